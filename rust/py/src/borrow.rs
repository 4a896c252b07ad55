//! What each parser does at its door: one user at a time, and bytes to read.

use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::False;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView};

/// Borrows a parser for the length of a call, against other threads and against itself.
pub fn exclusively<'py, T: PyClass<Frozen = False>>(parser: &Bound<'py, T>) -> PyResult<PyRefMut<'py, T>> {
    parser.try_borrow_mut().map_err(|_| {
        PyRuntimeError::new_err(format!(
            "this {} is in use: one thread or task at a time, and `loads` must not feed its own parser",
            T::NAME
        ))
    })
}

/// The fed data as bytes. bytes are borrowed; a bytearray or memoryview may change, so it is copied.
pub fn chunk<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    if data.is_instance_of::<PyByteArray>() || data.is_instance_of::<PyMemoryView>() {
        return Ok(data.py().get_type::<PyBytes>().call1((data,))?.cast_into::<PyBytes>()?);
    }
    Err(PyTypeError::new_err(format!(
        "feed takes bytes, bytearray or memoryview, not {}",
        data.get_type().name()?
    )))
}

/// The size limit that a parser was given, which has to let something through.
pub fn max_event_size(bytes: isize) -> PyResult<usize> {
    match usize::try_from(bytes) {
        Ok(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(PyValueError::new_err(format!("max_event_size is a number of bytes above 0, not {bytes}"))),
    }
}

/// `feed` after `close`.
pub fn closed() -> PyErr {
    PyValueError::new_err("feed after close: the stream has ended; reset() makes the parser new")
}
