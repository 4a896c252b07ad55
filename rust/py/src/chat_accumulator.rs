//! `ChatAccumulator`: the core's reader of a chat stream, and its message as Python objects.

use std::collections::btree_map::Entry;

use deltawire_core::chat::Limits;
use deltawire_core::sse::MAX_EVENT_SIZE;
use deltawire_core::stream::ChatReader;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::borrow;
use crate::class::CHUNK;
use crate::completion::{ChatCompletion, Ids};
use crate::errors;
use crate::found::Found;
use crate::object;
use crate::observed;
use crate::orjson;
use crate::parameters;
use crate::reading::Reading;

/// Adds up a chat stream into its message.
#[pyclass(module = "deltawire")]
pub struct ChatAccumulator {
    core: ChatReader,
    closed: bool,
    reading: Reading,
    id_factory: Option<Py<PyAny>>,
    /// What `id_factory` gave.
    ids: Ids,
}

#[pymethods]
impl ChatAccumulator {
    #[new]
    #[pyo3(
        signature = (
            *, n = None, errors = "skip", max_message_size = Limits::default().max_message_size,
            max_tool_calls = Limits::default().max_tool_calls, max_choices = Limits::default().max_choices,
            max_event_size = MAX_EVENT_SIZE, id_factory = None,
        ),
        text_signature = "(*, n=None, errors='skip', max_message_size=67108864, max_tool_calls=1024, max_choices=128, max_event_size=33554432, id_factory=None)"
    )]
    fn new(
        #[pyo3(from_py_with = parameters::optional_size)] n: Option<usize>,
        errors: &str,
        #[pyo3(from_py_with = parameters::size)] max_message_size: usize,
        #[pyo3(from_py_with = parameters::size)] max_tool_calls: usize,
        #[pyo3(from_py_with = parameters::size)] max_choices: usize,
        #[pyo3(from_py_with = parameters::size)] max_event_size: usize,
        id_factory: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        if let Some(factory) = id_factory.as_ref().filter(|factory| !factory.is_callable()) {
            let class = factory.get_type();
            return Err(PyTypeError::new_err(format!("id_factory is a callable, not {}", class.name()?)));
        }
        let limits = Limits { max_message_size, max_tool_calls, max_choices };
        Ok(Self {
            core: ChatReader::new(max_event_size, limits, n == Some(1)),
            closed: false,
            reading: Reading::new(errors)?,
            id_factory: id_factory.map(Bound::unbind),
            ids: Ids::new(),
        })
    }

    #[pyo3(signature = (data, /))]
    fn feed(slf: &Bound<'_, Self>, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let chunk = borrow::chunk(data)?;
        let mut accumulator = borrow::exclusively(slf)?;
        if accumulator.closed || !accumulator.reading.skips() {
            drop(accumulator);
            return Self::read(slf, chunk, false).map(drop);
        }
        // Where nothing is raised or made but the message, the core needs no help.
        let fed = accumulator.core.feed(chunk.as_bytes());
        fed.map_err(|exceeded| errors::limit_exceeded(slf.py(), exceeded, &PyList::empty(slf.py())))
    }

    /// `feed`, which gives the chunks too: what a stream of chunks needs, without reading anything twice.
    #[pyo3(signature = (data, /))]
    fn feed_chunks<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        Self::read(slf, borrow::chunk(data)?, true)?.reading.take(slf.py())
    }

    #[pyo3(signature = (chunk, /))]
    fn add(slf: &Bound<'_, Self>, chunk: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let json = if let Some(json) = object::chunk_json(chunk)? {
            PyBytes::new(py, json)
        } else if chunk.is_instance_of::<PyDict>() {
            orjson::dumps(py)?.call1((chunk,))?.cast_into::<PyBytes>()?
        } else {
            return Err(PyTypeError::new_err(format!(
                "add takes a deltawire.ChatCompletionChunk or a dict, not {}; of a pydantic object, pass \
                 its model_dump(exclude_unset=True)",
                chunk.get_type().fully_qualified_name()?
            )));
        };
        let mut accumulator = borrow::exclusively(slf)?;
        if accumulator.closed {
            return Err(errors::closed());
        }
        let text = String::from_utf8_lossy(json.as_bytes());
        let added = accumulator.core.add(&text);
        added.map_err(|exceeded| errors::limit_exceeded(py, exceeded, &PyList::empty(py)))
    }

    fn close(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::finish(slf, false).map(drop)
    }

    /// `close`, which gives the chunks too.
    pub fn close_chunks<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        Self::finish(slf, true)
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut accumulator = borrow::exclusively(slf)?;
        accumulator.core.reset();
        accumulator.closed = false;
        accumulator.reading.reset();
        accumulator.ids.clear();
        Ok(())
    }

    #[getter]
    fn completion(slf: &Bound<'_, Self>) -> PyResult<ChatCompletion> {
        let mut accumulator = borrow::exclusively(slf)?;
        accumulator.make_ids(slf.py())?;
        let accumulator = &mut *accumulator;
        Ok(observed::completion(&mut accumulator.core, &accumulator.ids))
    }

    #[pyo3(signature = (*, final_only = true))]
    fn finished_tool_calls<'py>(slf: &Bound<'py, Self>, final_only: bool) -> PyResult<Bound<'py, PyList>> {
        let mut accumulator = borrow::exclusively(slf)?;
        accumulator.make_ids(slf.py())?;
        let accumulator = &mut *accumulator;
        observed::finished_tool_calls(slf.py(), &mut accumulator.core, &accumulator.ids, final_only)
    }

    #[getter]
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        observed::end(py, &self.core)
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        observed::error(py, &self.core)
    }

    #[getter]
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        observed::usage(py, &self.core)
    }

    #[getter]
    fn has_content(&self) -> bool {
        self.core.message().has_content()
    }

    #[getter]
    fn has_tool_calls(&self) -> bool {
        self.core.message().has_tool_calls()
    }

    #[getter]
    pub fn done(&self) -> bool {
        self.core.chunks().data().is_done()
    }

    #[getter]
    fn pending_bytes(&self) -> usize {
        self.core.chunks().data().events().pending_bytes()
    }

    #[getter]
    pub fn bytes(&self) -> u64 {
        self.core.chunks().data().events().bytes()
    }

    #[getter]
    pub fn events(&self) -> u64 {
        self.core.chunks().data().events().events()
    }

    #[getter]
    pub fn comments(&self) -> u64 {
        self.core.chunks().data().events().comments()
    }

    #[getter]
    pub fn malformed(&self) -> u64 {
        self.core.chunks().malformed()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.id_factory.iter().try_for_each(|factory| visit.call(factory))
    }

    fn __clear__(&mut self) {
        self.id_factory = None;
    }
}

impl ChatAccumulator {
    pub fn core(&self) -> &ChatReader {
        &self.core
    }

    pub fn take_found<'py>(&mut self, py: Python<'py>) -> PyResult<Found<'py>> {
        self.reading.take_found(py)
    }

    /// Adds up the next bytes. The chat chunks, if they are `wanted`, wait to be taken.
    pub fn read<'py>(
        slf: &Bound<'py, Self>,
        chunk: Bound<'py, PyBytes>,
        wanted: bool,
    ) -> PyResult<PyRefMut<'py, Self>> {
        let mut held = borrow::exclusively(slf)?;
        if held.closed {
            return Err(errors::closed());
        }
        let accumulator = &mut *held;
        accumulator.reading.read(&mut accumulator.core, chunk, wanted)?;
        Ok(held)
    }

    fn finish<'py>(slf: &Bound<'py, Self>, wanted: bool) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let mut accumulator = borrow::exclusively(slf)?;
        accumulator.closed = true;
        let accumulator = &mut *accumulator;
        accumulator.reading.read(&mut accumulator.core, PyBytes::new(py, b""), wanted)?;
        let found = accumulator.reading.take(py)?;
        match accumulator.core.close() {
            Ok(last) => {
                if let Some(text) = last.filter(|_| wanted) {
                    let json = PyBytes::new(py, text.as_bytes());
                    found.append(object::parse(&CHUNK, &json, [].into())?)?;
                }
                Ok(found)
            }
            Err(exceeded) => Err(errors::limit_exceeded(py, exceeded, &found)),
        }
    }

    /// Asks the user's factory for the ids that are missing and have not been asked for yet.
    fn make_ids(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(factory) = &self.id_factory else { return Ok(()) };
        for (index, choice) in self.core.message().choices() {
            for call in choice.tool_calls.iter().filter(|call| call.id.is_none()) {
                if let Entry::Vacant(missing) = self.ids.entry((index, call.ordinal)) {
                    let made = factory.bind(py).call0()?;
                    let Ok(id) = made.cast::<PyString>() else {
                        let class = made.get_type();
                        return Err(PyTypeError::new_err(format!(
                            "id_factory returns a str, not {}",
                            class.name()?
                        )));
                    };
                    missing.insert(id.to_str()?.into());
                }
            }
        }
        Ok(())
    }
}
