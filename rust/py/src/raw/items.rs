//! What streams are below their Python class: `__anext__` without a coroutine.
//!
//! An item that is there costs taking it from an iterator and an object that hands it out; what that saves is in
//! docs/performance.md. How a stream gets its items is told in the class below it, in Python.

use std::ffi::{CStr, c_int, c_void};
use std::mem::{offset_of, size_of};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{ffi, intern};

/// What an async stream is below its Python class: an object with the iterator over what is there already.
#[repr(C)]
struct Items {
    object: ffi::PyObject,
    /// An iterator, or null before `__init__`.
    pending: *mut ffi::PyObject,
}

/// An awaitable whose result is there.
#[repr(C)]
struct Ready {
    object: ffi::PyObject,
    /// Null once it has been given out.
    item: *mut ffi::PyObject,
}

static READY: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Makes the base class of streams, `_Items`: its `__anext__` takes the next item from the iterator `_pending`,
/// without making a coroutine; where there is none, it is what `_anext` of the class below returns.
///
/// What that saves is in docs/performance.md. An instance of a class below it is tracked by the collector as that class
/// says.
pub fn items_class(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let slot = |slot, pfunc: *const c_void| ffi::PyType_Slot { slot, pfunc: pfunc.cast_mut() };
    let class = |name: &'static CStr, size: usize, flags, slots: &mut [ffi::PyType_Slot]| {
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
            PyResult::Ok(Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked::<PyType>())
        }
    };
    let mut slots = [
        slot(ffi::Py_tp_dealloc, dealloc_ready as *const c_void),
        slot(ffi::Py_am_await, same as *const c_void),
        slot(ffi::Py_tp_iter, same as *const c_void),
        slot(ffi::Py_tp_iternext, next_of_ready as *const c_void),
        slot(ffi::Py_am_send, send_to_ready as *const c_void),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let ready = class(c"deltawire._native._Ready", size_of::<Ready>(), flags, &mut slots)?;
    // It is the same whenever it is made.
    let _ = READY.set(py, ready.unbind());

    let pending = ffi::PyMemberDef {
        name: c"_pending".as_ptr(),
        type_code: ffi::Py_T_OBJECT_EX,
        offset: offset_of!(Items, pending).cast_signed(),
        flags: 0,
        doc: std::ptr::null(),
    };
    let members = [pending, ffi::PyMemberDef::default()];
    let mut slots = [
        slot(ffi::Py_tp_members, members.as_ptr().cast()),
        slot(ffi::Py_tp_dealloc, dealloc_items as *const c_void),
        slot(ffi::Py_tp_traverse, traverse_items as *const c_void),
        slot(ffi::Py_am_aiter, same as *const c_void),
        slot(ffi::Py_am_anext, anext_of_items as *const c_void),
        slot(ffi::Py_tp_doc, c"Gives items that are there without a coroutine.".as_ptr().cast()),
        ffi::PyType_Slot::default(),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE;
    class(c"deltawire._native._Items", size_of::<Items>(), flags, &mut slots)
}

unsafe extern "C" fn same(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the object is live.
    unsafe { ffi::Py_NewRef(object) }
}

unsafe extern "C" fn anext_of_items(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY:
    // - The object begins as `Items` does; `pending` is null or live, and is held while it runs, since it could be
    //   replaced by what it calls.
    // - `PyIter_Next` gives a new reference, or null, with an exception set or not; it may be called on what is an
    //   iterator, which is checked.
    // - A new `Ready` takes the item over. `_anext` is called like any method.
    unsafe {
        let py = Python::assume_attached();
        let pending = Bound::from_borrowed_ptr_or_opt(py, (*object.cast::<Items>()).pending);
        if let Some(pending) = pending
            && ffi::PyIter_Check(pending.as_ptr()) != 0
        {
            let item = ffi::PyIter_Next(pending.as_ptr());
            if !item.is_null() {
                return new_ready(py, item);
            }
            if !ffi::PyErr_Occurred().is_null() {
                return item;
            }
        }
        ffi::PyObject_CallMethodNoArgs(object, intern!(py, "_anext").as_ptr())
    }
}

/// An awaitable of an item, which it takes over.
///
/// # Safety
///
/// `item` is an owned reference.
unsafe fn new_ready(py: Python<'_>, item: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the memory is as large as `Ready`, and both of its fields are set before anybody sees it; the class is
    // there, since `_Items` is. Should that fail, the item is given back.
    unsafe {
        let memory = ffi::PyObject_Malloc(size_of::<Ready>()).cast::<ffi::PyObject>();
        let Some(class) = READY.get(py).filter(|_| !memory.is_null()) else {
            ffi::PyObject_Free(memory.cast());
            ffi::Py_DECREF(item);
            return ffi::PyErr_NoMemory();
        };
        ffi::PyObject_Init(memory, class.as_ptr().cast());
        (*memory.cast::<Ready>()).item = item;
        memory
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
            let text = c"cannot reuse already awaited __anext__()";
            ffi::PyErr_SetString(ffi::PyExc_RuntimeError, text.as_ptr());
            return ffi::PySendResult::PYGEN_ERROR;
        }
        ffi::PySendResult::PYGEN_RETURN
    }
}

unsafe extern "C" fn next_of_ready(ready: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut item = std::ptr::null_mut();
    // SAFETY: as for `send_to_ready`. The result of an awaitable is the value of a StopIteration, which is made with
    // the item as its only argument, also where that is a tuple.
    unsafe {
        if matches!(
            send_to_ready(ready, std::ptr::null_mut(), &raw mut item),
            ffi::PySendResult::PYGEN_RETURN
        ) {
            let stop = ffi::PyObject_CallOneArg(ffi::PyExc_StopIteration, item);
            ffi::Py_DECREF(item);
            if !stop.is_null() {
                ffi::PyErr_SetObject(ffi::PyExc_StopIteration, stop);
                ffi::Py_DECREF(stop);
            }
        }
    }
    std::ptr::null_mut()
}

unsafe extern "C" fn dealloc_ready(ready: *mut ffi::PyObject) {
    // SAFETY: as for `dealloc`.
    unsafe {
        let class = ffi::Py_TYPE(ready);
        ffi::Py_XDECREF((*ready.cast::<Ready>()).item);
        ffi::PyObject_Free(ready.cast());
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn traverse_items(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: both are live; the class counts as referred to, since it was made at run time.
    unsafe {
        let class = visit(ffi::Py_TYPE(object).cast(), arg);
        let pending = (*object.cast::<Items>()).pending;
        if class != 0 || pending.is_null() { class } else { visit(pending, arg) }
    }
}

unsafe extern "C" fn dealloc_items(object: *mut ffi::PyObject) {
    // SAFETY: as for `dealloc`; the memory goes back as the class below wants it.
    unsafe {
        let class = ffi::Py_TYPE(object);
        ffi::Py_XDECREF((*object.cast::<Items>()).pending);
        if let Some(free) = (*class).tp_free {
            free(object.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}
