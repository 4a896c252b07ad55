//! What each parser does at its door: one user at a time, bytes to read, and what it gives for them.

use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::False;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyInt, PyList, PyMemoryView, PyString};

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

/// What a call gives: a list of what it has found.
pub fn given<'py>(py: Python<'py>, found: &mut Vec<Py<PyAny>>) -> PyResult<Bound<'py, PyList>> {
    // Most calls give one.
    if found.len() == 1
        && let Some(one) = found.pop()
    {
        return PyList::new(py, [one]);
    }
    PyList::new(py, found.drain(..))
}

/// A limit as a parameter: a whole number above 0, since it has to let something through. `PyO3` adds a note with the
/// parameter's name.
pub fn size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let number = value.cast::<PyInt>().ok().filter(|_| !value.is_instance_of::<PyBool>());
    let Some(number) = number else {
        return Err(PyTypeError::new_err(format!("a limit is an int, not {}", value.get_type().name()?)));
    };
    match number.extract::<usize>() {
        Ok(size) if size > 0 => Ok(size),
        _ => {
            Err(PyValueError::new_err(format!("a limit is a number from 1 to {}, not {number}", usize::MAX)))
        }
    }
}

/// The same, where None stands for "not given".
pub fn optional_size(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() { Ok(None) } else { size(value).map(Some) }
}

/// Whether broken events are to be skipped: the parameter `errors`.
pub fn skips(errors: &str) -> PyResult<bool> {
    match errors {
        "strict" => Ok(false),
        "skip" => Ok(true),
        _ => Err(PyValueError::new_err(format!("errors is \"strict\" or \"skip\", not {errors:?}"))),
    }
}

/// `feed` after `close`.
pub fn closed() -> PyErr {
    PyValueError::new_err("feed after close: the stream has ended; reset() makes the parser new")
}
