//! What the classes of this room have in common: how they are made, and how a slot gives its result to CPython.

use std::ffi::{CStr, c_int, c_ulong, c_void};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

/// What is raised where an awaitable is awaited again.
pub const REUSED: &CStr = c"cannot reuse already awaited __anext__()";

/// Makes a class from its slots, below `base` or, without one, below `object`.
///
/// # Safety
///
/// - The last of the slots is a zeroed one. Each of the others holds what CPython wants in that slot: a function of its
///   type, which keeps to what is asked of it; a table, the last entry of which is a zeroed one; or a C string.
/// - What they hold is there during the call, which copies it, but for definitions of methods and the names of members:
///   these are there as long as the class.
/// - `size` is that of the instances, which begin as those of the base do. The members lie inside it, behind that.
pub unsafe fn class<'py>(
    py: Python<'py>,
    base: Option<&Bound<'py, PyType>>,
    name: &'static CStr,
    size: usize,
    flags: c_ulong,
    slots: &mut [ffi::PyType_Slot],
) -> PyResult<Bound<'py, PyType>> {
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: i32::try_from(size)?,
        itemsize: 0,
        flags: u32::try_from(flags)?,
        slots: slots.as_mut_ptr(),
    };
    let bases = base.map(|base| PyTuple::new(py, [base])).transpose()?;
    let bases = bases.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: the spec and the bases live during the call, the name for ever, and the rest is the caller's promise. The
    // result is a new reference to a type, or null with an exception set.
    unsafe {
        let class = ffi::PyType_FromSpecWithBases(&raw mut spec, bases);
        Ok(Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked())
    }
}

/// A slot of a class.
pub fn slot(slot: c_int, pfunc: *const c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: pfunc.cast_mut() }
}

/// A member of a class: a field of its instances, by its offset, which Python code reads, and writes if the flags say so.
pub fn member(name: &'static CStr, type_code: c_int, offset: usize, flags: c_int) -> ffi::PyMemberDef {
    let (name, offset) = (name.as_ptr(), offset.cast_signed());
    ffi::PyMemberDef { name, type_code, offset, flags, doc: std::ptr::null() }
}

/// What CPython is given: a new reference, or null with an exception set.
pub fn give(py: Python<'_>, result: PyResult<Bound<'_, PyAny>>) -> *mut ffi::PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

/// An error whose exception is made. Where that is left to be done when it is looked at, `PyO3` detaches from the
/// interpreter for it, and panics where it cannot attach again: at the end of the process.
pub fn made(py: Python<'_>, error: PyErr) -> PyErr {
    error.restore(py);
    PyErr::fetch(py)
}

/// An object as it is: for slots whose object stands for itself.
pub unsafe extern "C" fn same(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the object is live.
    unsafe { ffi::Py_NewRef(object) }
}

/// Sets the `StopIteration` of an awaitable that returns this.
pub fn stop_with(item: &Bound<'_, PyAny>) {
    // SAFETY: the class of the exception is there as long as the interpreter, and the item is live. It is the only
    // argument of the exception, also where it is a tuple. The exception is a new reference, which is given back, or null
    // with another one set.
    unsafe {
        let stop = ffi::PyObject_CallOneArg(ffi::PyExc_StopIteration, item.as_ptr());
        if !stop.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, stop);
            ffi::Py_DECREF(stop);
        }
    }
}
