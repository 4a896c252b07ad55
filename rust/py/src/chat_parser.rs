//! `ChatParser`: the core's chunks as typed objects.

use deltawire_core::sse::MAX_EVENT_SIZE;
use deltawire_core::stream::ChunkParser;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::borrow;
use crate::errors;
use crate::parameters;
use crate::reading::Reading;

/// Parses a chat stream into typed chunks.
#[pyclass(module = "deltawire")]
pub struct ChatParser {
    core: ChunkParser,
    closed: bool,
    reading: Reading,
}

#[pymethods]
impl ChatParser {
    #[new]
    #[pyo3(
        signature = (*, errors = "strict", max_event_size = MAX_EVENT_SIZE),
        text_signature = "(*, errors='strict', max_event_size=33554432)"
    )]
    fn new(errors: &str, #[pyo3(from_py_with = parameters::size)] max_event_size: usize) -> PyResult<Self> {
        Ok(Self { core: ChunkParser::new(max_event_size), closed: false, reading: Reading::new(errors)? })
    }

    #[pyo3(signature = (data, /))]
    fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let chunk = borrow::chunk(data)?;
        let mut parser = borrow::exclusively(slf)?;
        if parser.closed {
            return Err(errors::closed());
        }
        let parser = &mut *parser;
        parser.reading.read(&mut parser.core, chunk, true)?;
        parser.reading.take(slf.py())
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let mut parser = borrow::exclusively(slf)?;
        parser.closed = true;
        let parser = &mut *parser;
        parser.reading.read(&mut parser.core, PyBytes::new(py, b""), true)?;
        let chunks = parser.reading.take(py)?;
        if let Some(chunk) = parser.core.close() {
            chunks.append(parser.reading.last(py, &chunk)?)?;
        }
        Ok(chunks)
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut parser = borrow::exclusively(slf)?;
        parser.core.reset();
        parser.closed = false;
        parser.reading.reset();
        Ok(())
    }

    #[getter]
    fn done(&self) -> bool {
        self.core.data().is_done()
    }

    #[getter]
    fn pending_bytes(&self) -> usize {
        self.core.data().events().pending_bytes()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.core.data().events().bytes()
    }

    #[getter]
    fn events(&self) -> u64 {
        self.core.data().events().events()
    }

    #[getter]
    fn comments(&self) -> u64 {
        self.core.data().events().comments()
    }

    #[getter]
    fn malformed(&self) -> u64 {
        self.core.malformed()
    }
}
