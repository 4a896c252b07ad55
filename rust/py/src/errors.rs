//! The exceptions of `deltawire.errors`, which are defined in Python, raised from Rust.

use deltawire_core::LimitExceeded;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

/// So many bytes of what came are shown at most, in an error or as a stream's preview.
pub const PREVIEW_BYTES: usize = 200;

/// A payload that was refused.
pub struct Refused {
    /// The number of its event and where in the stream that begins, if it came from one.
    place: Option<(u64, u64)>,
    size: usize,
    preview: Box<[u8]>,
}

impl Refused {
    pub fn new(place: Option<(u64, u64)>, data: &[u8]) -> Self {
        Self { place, size: data.len(), preview: data[..data.len().min(PREVIEW_BYTES)].into() }
    }
}

/// `InvalidJSON`, with what was decoded before it and the decoder's own exception as its cause.
pub fn invalid_json(
    py: Python<'_>,
    refused: &Refused,
    values: &Bound<'_, PyList>,
    cause: Option<PyErr>,
) -> PyErr {
    let facts = || {
        let facts = PyDict::new(py);
        facts.set_item("values", values)?;
        facts.set_item("event_number", refused.place.map(|(number, _)| number))?;
        facts.set_item("offset", refused.place.map(|(_, offset)| offset))?;
        facts.set_item("size", refused.size)?;
        facts.set_item("preview", PyBytes::new(py, &refused.preview))?;
        Ok(facts)
    };
    let error = make(py, "InvalidJSON", facts());
    error.set_cause(py, cause);
    error
}

/// `LimitExceeded`, with what was complete before it.
pub fn limit_exceeded(py: Python<'_>, exceeded: LimitExceeded, values: &Bound<'_, PyList>) -> PyErr {
    let facts = || {
        let facts = PyDict::new(py);
        facts.set_item("limit", exceeded.limit)?;
        facts.set_item("value", exceeded.value)?;
        facts.set_item("values", values)?;
        facts.set_item("event_number", exceeded.event_number)?;
        facts.set_item("offset", exceeded.offset)?;
        Ok(facts)
    };
    make(py, "LimitExceeded", facts())
}

/// Whether one of these two came with something that was complete before it.
#[cold]
pub fn has_values(py: Python<'_>, error: &PyErr) -> bool {
    let values = error.value(py).getattr("values");
    values.and_then(|values| values.len()).is_ok_and(|count| count > 0)
}

/// Makes an exception of `deltawire.errors`; should that fail, the failure is what is raised.
#[cold]
fn make(py: Python<'_>, class: &str, facts: PyResult<Bound<'_, PyDict>>) -> PyErr {
    facts
        .and_then(|facts| py.import("deltawire.errors")?.getattr(class)?.call((), Some(&facts)))
        .map_or_else(|error| error, PyErr::from_value)
}

/// `feed` after `close`.
pub fn closed() -> PyErr {
    PyValueError::new_err("feed after close: the stream has ended; reset() makes the parser new")
}
