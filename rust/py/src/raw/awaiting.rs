//! `await`, as the language has it, for who has no frame: an awaitable is begun, and driven step by step.

use pyo3::exceptions::{PyGeneratorExit, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use pyo3::{ffi, intern};

/// The flag of a generator that can be awaited, by `types.coroutine`.
const CO_ITERABLE_COROUTINE: u32 = 0x100;

/// What is sent or thrown into what waits.
pub enum Sent<'py> {
    Value(Bound<'py, PyAny>),
    /// The arguments of `throw`.
    Exception(Bound<'py, PyTuple>),
}

/// What comes of that.
pub enum Step<'py> {
    Yields(Bound<'py, PyAny>),
    Returns(Bound<'py, PyAny>),
}

/// Begins a read of the source: what is to be driven until it is done.
pub fn begin<'py>(source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = source.py();
    // SAFETY: the source is live, and so is its class; the slot, if it is there, is called as CPython does, and gives a
    // new reference, or null with an exception set.
    let awaitable = unsafe {
        let methods = (*ffi::Py_TYPE(source.as_ptr())).tp_as_async;
        match methods.as_ref().and_then(|methods| methods.am_anext) {
            Some(anext) => Bound::from_owned_ptr_or_err(py, anext(source.as_ptr()))?,
            None => source.call_method0(intern!(py, "__anext__"))?,
        }
    };
    iterator(awaitable)
}

/// What is to be driven to await an awaitable, as the language has it.
pub fn iterator(awaitable: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = awaitable.py();
    // SAFETY: the awaitable is live, and so is its class; the slot is called as above.
    unsafe {
        let object = awaitable.as_ptr();
        if ffi::PyCoro_CheckExact(object) != 0 {
            return Ok(awaitable);
        }
        let methods = (*ffi::Py_TYPE(object)).tp_as_async;
        if let Some(begin) = methods.as_ref().and_then(|methods| methods.am_await) {
            let iterator = Bound::from_owned_ptr_or_err(py, begin(object))?;
            if ffi::PyIter_Check(iterator.as_ptr()) != 0 {
                return Ok(iterator);
            }
        } else if ffi::PyGen_CheckExact(object) != 0 {
            let flags: u32 = awaitable.getattr("gi_code")?.getattr("co_flags")?.extract()?;
            if flags & CO_ITERABLE_COROUTINE != 0 {
                return Ok(awaitable);
            }
        }
    }
    let kind = awaitable.get_type().name()?;
    Err(PyTypeError::new_err(format!("object {kind} can't be used in 'await' expression")))
}

/// Sends or throws into what is awaited, as `await` does.
pub fn step<'py>(waiting: &Bound<'py, PyAny>, sent: Sent<'py>) -> PyResult<Step<'py>> {
    let py = waiting.py();
    let exception = match sent {
        Sent::Value(value) => {
            let mut result = std::ptr::null_mut();
            // SAFETY: both are live; what is written is a new reference, or null with an exception set.
            unsafe {
                let status = ffi::PyIter_Send(waiting.as_ptr(), value.as_ptr(), &raw mut result);
                let result = Bound::from_owned_ptr_or_err(py, result)?;
                return Ok(match status {
                    ffi::PySendResult::PYGEN_RETURN => Step::Returns(result),
                    _ => Step::Yields(result),
                });
            }
        }
        Sent::Exception(exception) => exception,
    };
    let error = raised(&exception);
    if error.is_instance_of::<PyGeneratorExit>(py) {
        if let Ok(close) = waiting.getattr(intern!(py, "close")) {
            close.call0()?;
        }
        return Err(error);
    }
    let Ok(throw) = waiting.getattr(intern!(py, "throw")) else { return Err(error) };
    match throw.call1(exception) {
        Ok(value) => Ok(Step::Yields(value)),
        Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
            error.value(py).getattr(intern!(py, "value")).map(Step::Returns)
        }
        Err(error) => Err(error),
    }
}

/// What `throw` is to raise: called with an exception, or with its class, its value and its traceback.
pub fn raised(exception: &Bound<'_, PyTuple>) -> PyErr {
    let py = exception.py();
    let item = |at| exception.get_item(at).unwrap_or_else(|_| py.None().into_bound(py));
    let (kind, value, traceback) = (item(0), item(1), item(2));
    let error = if !kind.is_instance_of::<PyType>() {
        PyErr::from_value(kind)
    } else if value.is_instance(&kind).unwrap_or(false) {
        PyErr::from_value(value)
    } else {
        let made = if value.is_none() { kind.call0() } else { kind.call1((value,)) };
        made.map_or_else(|error| error, PyErr::from_value)
    };
    if let Ok(traceback) = traceback.cast_into() {
        error.set_traceback(py, Some(traceback));
    }
    error
}
