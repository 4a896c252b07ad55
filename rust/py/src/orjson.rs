//! orjson, by which JSON is decoded and encoded where no objects of our own are made of it.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyString};

use crate::errors::{self, Refused};

pub fn loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "orjson", "loads")
}

pub fn dumps(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    DUMPS.import(py, "orjson", "dumps")
}

/// Decodes a text that is at hand, as `ServerSentEvent.json()` and `ToolCall.parse()` do: what is no JSON raises
/// `InvalidJSON`.
pub fn decode<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    let py = text.py();
    loads(py)?.call1((text,)).map_err(|cause| {
        let refused = Refused::new(None, text.to_string_lossy().as_bytes());
        errors::invalid_json(py, &refused, &PyList::empty(py), Some(cause))
    })
}
