//! What streams are below their Python class, `_Items`: `__anext__` without a coroutine.
//!
//! An item that is there is handed out by an awaitable that has it, [`ready`]; where none is there, what is awaited is a
//! [`pull`]. What that saves is in docs/performance.md; what a stream does is told in the class below, in Python.
//!
//! What holds for an `_Items`:
//!
//! - Each pointer is null or an owned reference; they are members too, that Python reads, writes and deletes.
//! - `turn` is the token of who may read and parse, null while somebody has it. A token that is not None is an async
//!   iterator over the source: whoever takes it may read that and feed the parser at once, and gives it back.
//!
//! An instance of a class below `_Items` is tracked by the collector as that class says.

use std::ffi::{c_char, c_int, c_void};
use std::mem::offset_of;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyStopIteration;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use super::slots::{class, give, member, same, slot};
use super::{pull, ready};
use crate::feeding::Parser;

/// What a stream has below its Python class.
#[repr(C)]
struct Items {
    object: ffi::PyObject,
    /// An iterator over the items that are there.
    pending: *mut ffi::PyObject,
    turn: *mut ffi::PyObject,
    parser: *mut ffi::PyObject,
    is_closed: c_char,
}

/// Makes the base class of streams.
pub fn items_class(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    ready::make(py)?;
    pull::make(py)?;
    let members = [
        member(c"_pending", ffi::Py_T_OBJECT_EX, offset_of!(Items, pending), 0),
        member(c"_turn", ffi::Py_T_OBJECT_EX, offset_of!(Items, turn), 0),
        member(c"_parser", ffi::Py_T_OBJECT_EX, offset_of!(Items, parser), 0),
        member(c"_closed", ffi::Py_T_BOOL, offset_of!(Items, is_closed), 0),
        ffi::PyMemberDef::default(),
    ];
    let mut slots = [
        slot(ffi::Py_tp_members, members.as_ptr().cast()),
        slot(ffi::Py_tp_dealloc, dealloc_items as *const c_void),
        slot(ffi::Py_tp_traverse, traverse_items as *const c_void),
        slot(ffi::Py_tp_clear, clear_items as *const c_void),
        slot(ffi::Py_am_aiter, same as *const c_void),
        slot(ffi::Py_am_anext, anext_of_items as *const c_void),
        slot(ffi::Py_tp_doc, c"Gives items without a coroutine, where that can be done.".as_ptr().cast()),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE;
    // SAFETY: the slots are those of `Items`, each of its kind; the members are there during the call, and their names for
    // ever. The offsets are those of fields of their types.
    unsafe { class(py, None, c"deltawire._native._Items", size_of::<Items>(), flags, &mut slots) }
}

/// A stream: an instance of a class below `_Items`.
pub struct Stream<'py>(Bound<'py, PyAny>);

/// A stream that is held beyond a call.
pub struct KeptStream(Py<PyAny>);

impl KeptStream {
    pub fn into_bound(self, py: Python<'_>) -> Stream<'_> {
        Stream(self.0.into_bound(py))
    }

    pub fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }
}

impl<'py> Stream<'py> {
    /// Takes a stream for what it is.
    ///
    /// # Safety
    ///
    /// The object is an instance of a class below `_Items`.
    unsafe fn new(object: Bound<'py, PyAny>) -> Self {
        Self(object)
    }

    pub fn py(&self) -> Python<'py> {
        self.0.py()
    }

    pub fn unbind(self) -> KeptStream {
        KeptStream(self.0.unbind())
    }

    fn items(&self) -> *mut Items {
        self.0.as_ptr().cast()
    }

    pub fn is_closed(&self) -> bool {
        // SAFETY: a stream begins as `Items` does.
        unsafe { (*self.items()).is_closed != 0 }
    }

    /// The next item that is there.
    pub fn next_pending(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.0.py();
        // SAFETY: a stream begins as `Items` does. `pending` is null or live, and is held while it runs, since it could
        // be replaced by what it calls. The slot, if it is there, is called as CPython does, and gives a new reference,
        // or null, with an exception set or not.
        unsafe {
            let Some(pending) = Bound::from_borrowed_ptr_or_opt(py, (*self.items()).pending) else {
                return Ok(None);
            };
            let Some(next) = (*ffi::Py_TYPE(pending.as_ptr())).tp_iternext else { return Ok(None) };
            let item = next(pending.as_ptr());
            if !item.is_null() {
                return Ok(Some(Bound::from_owned_ptr(py, item)));
            }
            if ffi::PyErr_Occurred().is_null() {
                return Ok(None);
            }
        }
        let error = PyErr::fetch(py);
        if error.is_instance_of::<PyStopIteration>(py) { Ok(None) } else { Err(error) }
    }

    /// Makes the items of an iterable those that are there.
    pub fn set_pending(&self, items: &Bound<'py, PyAny>) -> PyResult<()> {
        let items = items.try_iter()?.into_any();
        // SAFETY: a stream begins as `Items` does, and `pending` is one of its references.
        unsafe { self.replace(&raw mut (*self.items()).pending, items) };
        Ok(())
    }

    /// Takes the turn, if it is there for who reads and feeds without asking Python: the source.
    pub fn take_turn(&self) -> Option<Bound<'py, PyAny>> {
        // SAFETY: a stream begins as `Items` does; the pointer is null or an owned reference, which goes over to the caller.
        // None is always there.
        unsafe {
            let turn = &raw mut (*self.items()).turn;
            if (*turn).is_null() || *turn == ffi::Py_None() || self.is_closed() {
                return None;
            }
            if self.parser().is_none_or(|parser| Parser::of(&parser).is_none()) {
                return None;
            }
            Bound::from_owned_ptr_or_opt(self.0.py(), turn.replace(std::ptr::null_mut()))
        }
    }

    /// Gives the turn back: the source that was taken, or None where the next one is to ask Python.
    pub fn give_turn(&self, token: Bound<'py, PyAny>) {
        // SAFETY: as for `set_pending`.
        unsafe { self.replace(&raw mut (*self.items()).turn, token) };
    }

    pub fn parser(&self) -> Option<Bound<'py, PyAny>> {
        // SAFETY: a stream begins as `Items` does; the pointer is null or live.
        unsafe { Bound::from_borrowed_ptr_or_opt(self.0.py(), (*self.items()).parser) }
    }

    /// Calls a method of the class below.
    pub fn call<A: PyCallArgs<'py>>(
        &self,
        name: &Bound<'py, PyString>,
        args: A,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.0.call_method1(name, args)
    }

    /// Puts an object into a place of the stream.
    ///
    /// # Safety
    ///
    /// The place is one of the references in the stream.
    unsafe fn replace(&self, place: *mut *mut ffi::PyObject, object: Bound<'py, PyAny>) {
        // SAFETY: what is put in is a new reference. What was there is null or was owned by the stream, and is given back
        // once it is not there any more.
        drop(unsafe { Bound::from_owned_ptr_or_opt(self.0.py(), place.replace(object.into_ptr())) });
    }
}

unsafe extern "C" fn anext_of_items(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the object is one of a class below `_Items`, and attached to the interpreter is who calls.
    let (py, stream) = unsafe {
        let py = Python::assume_attached();
        (py, Stream::new(Bound::from_borrowed_ptr(py, object)))
    };
    give(py, anext(stream))
}

fn anext(stream: Stream<'_>) -> PyResult<Bound<'_, PyAny>> {
    match stream.next_pending()? {
        Some(item) => ready::new(item),
        None => pull::new(stream),
    }
}

unsafe extern "C" fn traverse_items(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: all are live or null; the class counts as referred to, since it was made at run time.
    unsafe {
        let Items { pending, turn, parser, .. } = *object.cast::<Items>();
        for each in [ffi::Py_TYPE(object).cast(), pending, turn, parser] {
            if !each.is_null() {
                let stop = visit(each, arg);
                if stop != 0 {
                    return stop;
                }
            }
        }
    }
    0
}

unsafe extern "C" fn clear_items(object: *mut ffi::PyObject) -> c_int {
    // SAFETY: each pointer is null or an owned reference, and is given back once: it is null before that.
    unsafe {
        let items = &mut *object.cast::<Items>();
        let owned = [&mut items.pending, &mut items.turn, &mut items.parser];
        for each in owned.map(|each| std::mem::replace(each, std::ptr::null_mut())) {
            ffi::Py_XDECREF(each);
        }
    }
    0
}

unsafe extern "C" fn dealloc_items(object: *mut ffi::PyObject) {
    // SAFETY: as for `clear_items`; the memory goes back as the class below wants it, and the class, which was made at
    // run time, is given back last.
    unsafe {
        let class = ffi::Py_TYPE(object);
        clear_items(object);
        if let Some(free) = (*class).tp_free {
            free(object.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}
