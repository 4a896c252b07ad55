//! What a chunk completed, as it is given.

use pyo3::prelude::*;
use pyo3::types::PyList;

/// What a chunk completed. One item needs no list.
pub enum Found<'py> {
    Nothing,
    One(Bound<'py, PyAny>),
    Many(Bound<'py, PyList>),
}

impl<'py> Found<'py> {
    pub fn into_list(self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        match self {
            Self::Nothing => Ok(PyList::empty(py)),
            Self::One(one) => PyList::new(py, [one]),
            Self::Many(many) => Ok(many),
        }
    }
}

/// A list of what was found, which is there no more.
pub fn list<'py>(py: Python<'py>, found: &mut Vec<Py<PyAny>>) -> PyResult<Bound<'py, PyList>> {
    // Most calls give one.
    if found.len() == 1
        && let Some(one) = found.pop()
    {
        return PyList::new(py, [one]);
    }
    PyList::new(py, found.drain(..))
}
