//! Records that have ended, for those that are made next: chunk follows chunk, each as large as the one before, and
//! giving memory back to CPython to ask for it again takes as long as filling it.
//!
//! Each class has a room for its records, and keeps no more of them than one network chunk is likely to need: `MOST`,
//! which is 30 KiB or less. A record that is kept is an object as before, which holds its class, and nothing else, and
//! to which there is one reference, that of this file. Its memory is not looked at: it may have left the processor's
//! cache. Tools that trace allocations tell of it where it was first asked for.
//!
//! Rooms are touched only by who is attached to the interpreter, whose lock (`gil_used` in lib.rs) lets nobody else
//! in, and for no longer than it takes to move an address: no Python code runs meanwhile.

use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi::{Py_INCREF, PyObject};

/// So many records of a class are kept: those of a chunk of 64 KiB are about that.
const MOST: usize = 256;

/// There are as many rooms as classes, or more; a class that gets none keeps nothing.
const ROOMS: usize = 24;

static SPARE: Spare =
    Spare(UnsafeCell::new([const { Records { kept: [null_mut(); MOST], count: 0 } }; ROOMS]));

struct Spare(UnsafeCell<[Records; ROOMS]>);

/// Records of one class.
struct Records {
    kept: [*mut PyObject; MOST],
    count: usize,
}

// SAFETY: see the head of the file: whoever touches it holds the interpreter's lock.
unsafe impl Sync for Spare {}

/// Where the records of a class are kept.
#[derive(Clone, Copy)]
pub struct Room(u8);

impl Room {
    /// A room that no other class has.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(u8::try_from(NEXT.fetch_add(1, Ordering::Relaxed)).unwrap_or(u8::MAX))
    }

    /// A record of the class, if one is kept. The reference to it is the caller's, and all behind its header is to be
    /// set.
    ///
    /// # Safety
    ///
    /// The caller is attached to the interpreter.
    #[inline]
    pub unsafe fn take(self) -> Option<*mut PyObject> {
        // SAFETY: nobody else has a reference to the records, see the head of the file.
        let records = unsafe { (*SPARE.0.get()).get_mut(usize::from(self.0))? };
        let last = records.count.checked_sub(1)?;
        records.count = last;
        records.kept.get(last).copied()
    }

    /// Keeps a record of the class. False if it is to be freed.
    ///
    /// # Safety
    ///
    /// The caller is attached to the interpreter, and gives away a record of the class, to which there is no reference,
    /// and which holds none any more but to its class.
    #[inline]
    pub unsafe fn keep(self, record: *mut PyObject) -> bool {
        // SAFETY: as for `take`. One whose memory is not freed is an object that can be referred to again.
        unsafe {
            let Some(records) = (*SPARE.0.get()).get_mut(usize::from(self.0)) else { return false };
            let Some(place) = records.kept.get_mut(records.count) else { return false };
            Py_INCREF(record);
            *place = record;
            records.count += 1;
            true
        }
    }
}
