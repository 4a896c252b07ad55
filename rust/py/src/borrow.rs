//! What each parser borrows for the length of a call: itself, for one user at a time, and the bytes that it reads.

use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::False;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

/// Borrows a parser for the length of a call, against other threads and against itself.
pub fn exclusively<'py, T: PyClass<Frozen = False>>(parser: &Bound<'py, T>) -> PyResult<PyRefMut<'py, T>> {
    parser.try_borrow_mut().map_err(|_| {
        PyRuntimeError::new_err(format!(
            "this {} is in use: one thread or task at a time, and what it calls must not use it",
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
    // Most likely the lines or the text that a client makes of a response.
    let hint = if data.is_instance_of::<PyString>() { ": give what came as it came, undecoded" } else { "" };
    let given = data.get_type().name()?;
    Err(PyTypeError::new_err(format!("feed takes bytes, bytearray or memoryview, not {given}{hint}")))
}

/// Where in the chunk some data lies; None if it lies elsewhere.
pub fn place(data: &[u8], chunk: &Bound<'_, PyBytes>) -> Option<usize> {
    let chunk = chunk.as_bytes();
    let start = data.as_ptr().addr().checked_sub(chunk.as_ptr().addr())?;
    (start.checked_add(data.len())? <= chunk.len()).then_some(start)
}
