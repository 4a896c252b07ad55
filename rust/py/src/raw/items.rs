//! What streams are below their Python class, `_Items`: `__anext__` without a coroutine.
//!
//! An item that is there is handed out by an awaitable that has it, [`Ready`]; where none is there, what is awaited is a
//! [`pull`]. What that saves is in docs/performance.md; what a stream does is told in the class below, in Python.
//!
//! What holds for an `_Items`:
//!
//! - Each pointer is null or an owned reference; they are members too, that Python reads, writes and deletes.
//! - `turn` is the token of who may read and parse, null while somebody has it. A token that is not None is an async
//!   iterator over the source: whoever takes it may read that and feed the parser at once, and gives it back.
//!
//! An instance of a class below `_Items` is tracked by the collector as that class says.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::offset_of;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::{PyMemoryError, PyStopIteration, PySystemError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};

use super::pull;
use crate::feeding;

/// What is raised where an awaitable is awaited again.
pub const REUSED: &CStr = c"cannot reuse already awaited __anext__()";

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

/// Makes a class from its slots, which are static.
pub fn class<'py>(
    py: Python<'py>,
    name: &'static CStr,
    size: usize,
    flags: std::ffi::c_ulong,
    slots: &mut [ffi::PyType_Slot],
) -> PyResult<Bound<'py, PyType>> {
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: i32::try_from(size)?,
        itemsize: 0,
        flags: u32::try_from(flags)?,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec, its slots and its members live during the call, which copies them; names are static.
    unsafe {
        let class = ffi::PyType_FromSpec(&raw mut spec);
        Ok(Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked())
    }
}

/// A slot of a class.
pub fn slot(slot: c_int, pfunc: *const c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: pfunc.cast_mut() }
}

/// Makes the base class of streams.
pub fn items_class(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    make_ready(py)?;
    pull::make(py)?;
    let member = |name: &'static CStr, type_code, offset: usize| ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code,
        offset: offset.cast_signed(),
        flags: 0,
        doc: std::ptr::null(),
    };
    let members = [
        member(c"_pending", ffi::Py_T_OBJECT_EX, offset_of!(Items, pending)),
        member(c"_turn", ffi::Py_T_OBJECT_EX, offset_of!(Items, turn)),
        member(c"_parser", ffi::Py_T_OBJECT_EX, offset_of!(Items, parser)),
        member(c"_closed", ffi::Py_T_BOOL, offset_of!(Items, is_closed)),
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
    class(py, c"deltawire._native._Items", size_of::<Items>(), flags, &mut slots)
}

/// A stream: an instance of a class below `_Items`.
pub struct Stream<'py>(Bound<'py, PyAny>);

impl<'py> Stream<'py> {
    /// Takes a stream for what it is.
    ///
    /// # Safety
    ///
    /// The object is an instance of a class below `_Items`.
    pub unsafe fn new(object: Bound<'py, PyAny>) -> Self {
        Self(object)
    }

    pub fn py(&self) -> Python<'py> {
        self.0.py()
    }

    pub fn into_object(self) -> Py<PyAny> {
        self.0.unbind()
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
        // SAFETY: a stream begins as `Items` does; what is put in is a new reference, and what was there is owned.
        let before = unsafe { std::mem::replace(&mut (*self.items()).pending, items.into_ptr()) };
        self.release(before);
        Ok(())
    }

    /// Takes the turn, if it is there for who reads and feeds without asking Python: the source.
    pub fn take_turn(&self) -> Option<Bound<'py, PyAny>> {
        // SAFETY: the pointer is null or an owned reference, which goes over to the caller. None is always there.
        unsafe {
            let turn = &mut (*self.items()).turn;
            if turn.is_null() || *turn == ffi::Py_None() || self.is_closed() {
                return None;
            }
            if !self.parser().is_some_and(|parser| feeding::can_feed(&parser)) {
                return None;
            }
            Bound::from_owned_ptr_or_opt(self.0.py(), std::mem::replace(turn, std::ptr::null_mut()))
        }
    }

    /// Gives the turn back: the source that was taken, or None where the next one is to ask Python.
    pub fn give_turn(&self, token: Bound<'py, PyAny>) {
        // SAFETY: as for `set_pending`.
        let before = unsafe { std::mem::replace(&mut (*self.items()).turn, token.into_ptr()) };
        self.release(before);
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

    fn release(&self, before: *mut ffi::PyObject) {
        // SAFETY: it was owned by the stream, and is not any more.
        drop(unsafe { Bound::from_owned_ptr_or_opt(self.0.py(), before) });
    }
}

unsafe extern "C" fn anext_of_items(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the object is one of a class below `_Items`, and attached to the interpreter is who calls.
    let stream = unsafe {
        let py = Python::assume_attached();
        Stream::new(Bound::from_borrowed_ptr(py, object))
    };
    give(anext(stream))
}

fn anext(stream: Stream<'_>) -> PyResult<Bound<'_, PyAny>> {
    match stream.next_pending()? {
        Some(item) => new_ready(item),
        None => pull::new(stream),
    }
}

/// What CPython is given: a new reference, or null with an exception set.
pub fn give(result: PyResult<Bound<'_, PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            // SAFETY: an exception is made, so there is somebody attached to the interpreter.
            error.restore(unsafe { Python::assume_attached() });
            std::ptr::null_mut()
        }
    }
}

/// An object as it is: for slots whose object stands for itself.
pub unsafe extern "C" fn same(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the object is live.
    unsafe { ffi::Py_NewRef(object) }
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

/// An awaitable whose result is there.
#[repr(C)]
struct Ready {
    object: ffi::PyObject,
    /// Null once it has been given out.
    item: *mut ffi::PyObject,
}

static READY: PyOnceLock<Py<PyType>> = PyOnceLock::new();

fn make_ready(py: Python<'_>) -> PyResult<()> {
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc_ready as *const c_void),
        slot(ffi::Py_am_await, same as *const c_void),
        slot(ffi::Py_tp_iter, same as *const c_void),
        slot(ffi::Py_tp_iternext, next_of_ready as *const c_void),
        slot(ffi::Py_am_send, send_to_ready as *const c_void),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let ready = class(py, c"deltawire._native._Ready", size_of::<Ready>(), flags, &mut slots)?;
    // It is the same whenever it is made.
    let _ = READY.set(py, ready.unbind());
    Ok(())
}

/// An awaitable of an item.
fn new_ready(item: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = item.py();
    let class = READY.get(py).ok_or_else(|| PySystemError::new_err("no module"))?;
    // SAFETY: the memory is as large as `Ready`, and both of its fields are set before anybody sees it; the class is a
    // live type.
    unsafe {
        let memory = ffi::PyObject_Malloc(size_of::<Ready>()).cast::<ffi::PyObject>();
        if memory.is_null() {
            return Err(PyMemoryError::new_err(()));
        }
        ffi::PyObject_Init(memory, class.as_ptr().cast());
        (*memory.cast::<Ready>()).item = item.into_ptr();
        Ok(Bound::from_owned_ptr(py, memory))
    }
}

unsafe extern "C" fn send_to_ready(
    ready: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: the item is null or an owned reference, which goes over to the caller; an exception is set for null.
    unsafe {
        let item = std::mem::replace(&mut (*ready.cast::<Ready>()).item, std::ptr::null_mut());
        result.write(item);
        if item.is_null() {
            ffi::PyErr_SetString(ffi::PyExc_RuntimeError, REUSED.as_ptr());
            return ffi::PySendResult::PYGEN_ERROR;
        }
        ffi::PySendResult::PYGEN_RETURN
    }
}

unsafe extern "C" fn next_of_ready(ready: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut item = std::ptr::null_mut();
    // SAFETY: as for `send_to_ready`, whose result is an owned reference where it returns one.
    unsafe {
        if matches!(
            send_to_ready(ready, std::ptr::null_mut(), &raw mut item),
            ffi::PySendResult::PYGEN_RETURN
        ) {
            stop_with(item);
        }
    }
    std::ptr::null_mut()
}

/// Sets the `StopIteration` of an awaitable that returns this.
///
/// # Safety
///
/// `item` is an owned reference.
pub unsafe fn stop_with(item: *mut ffi::PyObject) {
    // SAFETY: the item is given back once. It is the only argument of the exception, also where it is a tuple.
    unsafe {
        let stop = ffi::PyObject_CallOneArg(ffi::PyExc_StopIteration, item);
        ffi::Py_DECREF(item);
        if !stop.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, stop);
            ffi::Py_DECREF(stop);
        }
    }
}

unsafe extern "C" fn dealloc_ready(ready: *mut ffi::PyObject) {
    // SAFETY: the item is null or an owned reference, given back once; the memory came from `PyObject_Malloc`. The class
    // is given back last, since it was taken by `PyObject_Init`.
    unsafe {
        let class = ffi::Py_TYPE(ready);
        ffi::Py_XDECREF((*ready.cast::<Ready>()).item);
        ffi::PyObject_Free(ready.cast());
        ffi::Py_DECREF(class.cast());
    }
}
