//! The awaitable of an item that is there.

use std::ffi::c_void;

use pyo3::exceptions::{PyMemoryError, PySystemError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use super::slots::{REUSED, class, same, slot, stop_with};

/// An awaitable whose result is there.
#[repr(C)]
struct Ready {
    object: ffi::PyObject,
    /// Null once it has been given out.
    item: *mut ffi::PyObject,
}

static READY: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Makes the class.
pub fn make(py: Python<'_>) -> PyResult<()> {
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc as *const c_void),
        slot(ffi::Py_am_await, same as *const c_void),
        slot(ffi::Py_tp_iter, same as *const c_void),
        slot(ffi::Py_tp_iternext, next as *const c_void),
        slot(ffi::Py_am_send, send as *const c_void),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    // SAFETY: the slots are a `Ready`'s, each of its kind, and static.
    let ready =
        unsafe { class(py, None, c"deltawire._native._Ready", size_of::<Ready>(), flags, &mut slots)? };
    // It is the same whenever it is made.
    let _ = READY.set(py, ready.unbind());
    Ok(())
}

/// An awaitable of an item.
pub fn new(item: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = item.py();
    let class = READY.get(py).ok_or_else(|| PySystemError::new_err("no module"))?;
    // SAFETY: the memory is as large as `Ready`, and both of its fields are set before anybody sees it; the class is a
    // live type, that of a `Ready`.
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

unsafe extern "C" fn send(
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

unsafe extern "C" fn next(ready: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut item = std::ptr::null_mut();
    // SAFETY: as for `send`, whose result is an owned reference where it returns one; who calls is attached.
    unsafe {
        if matches!(send(ready, std::ptr::null_mut(), &raw mut item), ffi::PySendResult::PYGEN_RETURN) {
            stop_with(&Bound::from_owned_ptr(Python::assume_attached(), item));
        }
    }
    std::ptr::null_mut()
}

unsafe extern "C" fn dealloc(ready: *mut ffi::PyObject) {
    // SAFETY: the item is null or an owned reference, given back once; the memory came from `PyObject_Malloc`. The class
    // is given back last, since it was taken by `PyObject_Init`.
    unsafe {
        let class = ffi::Py_TYPE(ready);
        ffi::Py_XDECREF((*ready.cast::<Ready>()).item);
        ffi::PyObject_Free(ready.cast());
        ffi::Py_DECREF(class.cast());
    }
}
