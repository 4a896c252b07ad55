//! `ChatParser`: the core's chunks as typed objects; and the loop over a chunk of the stream that it shares
//! with `ChatAccumulator`.

use std::collections::VecDeque;

use deltawire_core::LimitExceeded;
use deltawire_core::json::Kind;
use deltawire_core::stream::{ChatReader, Chunk, ChunkParser, Malformed, Step};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::borrow;
use crate::chunk::ChatCompletionChunk;
use crate::errors::{self, Refused};
use crate::json_parser::orjson_loads;
use crate::object::{Made, Text};

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
        signature = (*, errors = "strict", max_event_size = 33_554_432),
        text_signature = "(*, errors='strict', max_event_size=33554432)"
    )]
    fn new(errors: &str, #[pyo3(from_py_with = borrow::size)] max_event_size: usize) -> PyResult<Self> {
        Ok(Self {
            core: ChunkParser::new(max_event_size, Some("[DONE]")),
            closed: false,
            reading: Reading::new(errors)?,
        })
    }

    #[pyo3(signature = (data, /))]
    fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let chunk = borrow::chunk(data)?;
        let mut parser = borrow::exclusively(slf)?;
        if parser.closed {
            return Err(borrow::closed());
        }
        let parser = &mut *parser;
        parser.reading.read(&mut parser.core, chunk, true)
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let mut parser = borrow::exclusively(slf)?;
        parser.closed = true;
        let parser = &mut *parser;
        let chunks = parser.reading.read(&mut parser.core, PyBytes::new(py, b""), true)?;
        if let Some(chunk) = parser.core.close() {
            append(&chunks, chunk)?;
        }
        Ok(chunks)
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut parser = borrow::exclusively(slf)?;
        parser.core.reset();
        parser.closed = false;
        parser.reading.backlog.clear();
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

/// A core object that takes a chunk of the stream apart step by step.
pub trait Steps {
    fn begin(&mut self, chunk: &[u8]);
    fn next_step<'p, 'c: 'p>(&'p mut self, rest: &mut &'c [u8]) -> Result<Option<Step<'p>>, LimitExceeded>;
}

impl Steps for ChunkParser {
    fn begin(&mut self, chunk: &[u8]) {
        self.begin(chunk);
    }

    fn next_step<'p, 'c: 'p>(&'p mut self, rest: &mut &'c [u8]) -> Result<Option<Step<'p>>, LimitExceeded> {
        self.next_step(rest)
    }
}

impl Steps for ChatReader {
    fn begin(&mut self, chunk: &[u8]) {
        self.begin(chunk);
    }

    fn next_step<'p, 'c: 'p>(&'p mut self, rest: &mut &'c [u8]) -> Result<Option<Step<'p>>, LimitExceeded> {
        self.next_step(rest)
    }
}

/// The loop over a chunk of the stream. After an exception it goes on where it was.
pub struct Reading {
    skip: bool,
    /// Chunks of the stream that wait behind an exception, each with how much of it was read.
    pub backlog: VecDeque<(Py<PyBytes>, usize)>,
}

impl Reading {
    pub fn new(errors: &str) -> PyResult<Self> {
        Ok(Self { skip: borrow::skips(errors)?, backlog: VecDeque::new() })
    }

    /// Reads what waits, then the chunk. Gives the chat chunks as objects, if they are `wanted`.
    pub fn read<'py>(
        &mut self,
        core: &mut impl Steps,
        chunk: Bound<'py, PyBytes>,
        wanted: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = chunk.py();
        let found = PyList::empty(py);
        self.backlog.push_back((chunk.unbind(), 0));
        while let Some((chunk, start)) = self.backlog.pop_front() {
            let chunk = chunk.bind(py);
            let bytes = chunk.as_bytes();
            if start == 0 {
                core.begin(bytes);
            }
            let mut rest = &bytes[start..];
            loop {
                match core.next_step(&mut rest) {
                    Ok(Some(Step::Chunk(chunk))) if wanted => append(&found, chunk)?,
                    Ok(Some(Step::Malformed(malformed))) if !self.skip => {
                        let error = invalid(py, malformed, &found);
                        self.backlog.push_front((chunk.clone().unbind(), bytes.len() - rest.len()));
                        return Err(error);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(exceeded) => {
                        self.backlog.clear();
                        return Err(errors::limit_exceeded(py, exceeded, &found));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Appends a chunk as an object; not a JSON value of another kind.
fn append(found: &Bound<'_, PyList>, chunk: Chunk<'_>) -> PyResult<()> {
    if chunk.value.kind() != Kind::Object {
        return Ok(());
    }
    let py = found.py();
    let mut text = Text::new(PyBytes::new(py, chunk.text.as_bytes()));
    if chunk.data != chunk.text.as_bytes() {
        text.sent = Some(PyBytes::new(py, chunk.data));
    }
    found.append(ChatCompletionChunk::make(&text, Some(chunk.value))?)
}

fn invalid(py: Python<'_>, malformed: Malformed<'_>, values: &Bound<'_, PyList>) -> PyErr {
    let Malformed { data, number, offset, .. } = malformed;
    let cause = orjson_loads(py).and_then(|loads| loads.call1((PyBytes::new(py, data),))).err();
    errors::invalid_json(py, Refused { place: Some((number, offset)), data }, values, cause)
}
