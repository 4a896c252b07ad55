//! The memory of records that have ended, for those that are made next: chunk follows chunk, each as large as the one
//! before, and giving memory back to CPython to ask for it again takes as long as filling it.
//!
//! It is kept by the number of slots, by which all records are equally large, and no more of it than one network chunk
//! is likely to need: `MOST` pieces of each size, together less than 200 KiB for the process. A piece that is
//! kept holds the address of the next one where a record has its reference count.
//!
//! There is one of it. It is touched only by who is attached to the interpreter, whose lock (`gil_used` in lib.rs)
//! lets nobody else in, and for no longer than it takes to move an address: no Python code runs meanwhile.

use std::cell::UnsafeCell;
use std::ptr::null_mut;

use pyo3::ffi::PyObject;

use crate::class::MAX_FIELDS;

/// So many pieces of each size are kept: the records of a chunk of 64 KiB are about that.
const MOST: usize = 256;

static SPARE: Spare =
    Spare(UnsafeCell::new([const { Pieces { first: null_mut(), count: 0 } }; MAX_FIELDS + 1]));

struct Spare(UnsafeCell<[Pieces; MAX_FIELDS + 1]>);

/// Pieces of one size.
struct Pieces {
    first: *mut PyObject,
    count: usize,
}

// SAFETY: see the head of the file: whoever touches it holds the interpreter's lock.
unsafe impl Sync for Spare {}

/// Memory for a record of so many slots, if there is some.
///
/// # Safety
///
/// The caller is attached to the interpreter.
#[inline]
pub unsafe fn take(slots: usize) -> Option<*mut PyObject> {
    // SAFETY: nobody else has a reference to the pieces, see the head of the file. What is kept was given to `keep`, so
    // it is memory of that size that belongs to nobody, and begins with the address of the next piece, or null.
    unsafe {
        let pieces = (*SPARE.0.get()).get_mut(slots)?;
        if pieces.first.is_null() {
            return None;
        }
        let taken = pieces.first;
        pieces.first = taken.cast::<*mut PyObject>().read();
        pieces.count -= 1;
        Some(taken)
    }
}

/// Keeps the memory of a record of so many slots. False if it is to be freed.
///
/// # Safety
///
/// The caller is attached to the interpreter, and gives away memory from `PyObject_Malloc` that a record of so many slots
/// was in.
#[inline]
pub unsafe fn keep(slots: usize, memory: *mut PyObject) -> bool {
    // SAFETY: as for `take`; a record has room for an address, at its beginning and aligned for it.
    unsafe {
        let Some(pieces) = (*SPARE.0.get()).get_mut(slots).filter(|pieces| pieces.count < MOST) else {
            return false;
        };
        memory.cast::<*mut PyObject>().write(pieces.first);
        pieces.first = memory;
        pieces.count += 1;
        true
    }
}
