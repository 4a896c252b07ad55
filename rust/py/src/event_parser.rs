//! `EventParser`: the core's events as `ServerSentEvent` objects.

use deltawire_core::sse;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::borrow;
use crate::errors;
use crate::event::ServerSentEvent;
use crate::parameters;
use crate::raw::text;
use crate::text::Recent;

/// Parses an event stream by the letter of the HTML standard.
#[pyclass(module = "deltawire")]
pub struct EventParser {
    core: sse::EventParser,
    initial_id: Box<str>,
    closed: bool,
    /// What the type of an event is that names none.
    default_type: Py<PyString>,
    recent_event: Recent,
    recent_id: Recent,
}

#[pymethods]
impl EventParser {
    #[new]
    #[pyo3(signature = (*, max_event_size = sse::MAX_EVENT_SIZE, last_event_id = String::new(), verbatim = false), text_signature = "(*, max_event_size=33554432, last_event_id='', verbatim=False)")]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = parameters::size)] max_event_size: usize,
        last_event_id: String,
        verbatim: bool,
    ) -> PyResult<Self> {
        if last_event_id.contains(['\0', '\r', '\n']) {
            return Err(PyValueError::new_err(
                "last_event_id holds NUL, CR or LF: no stream can have set it",
            ));
        }
        let core = sse::EventParser::new(max_event_size, last_event_id.as_bytes());
        Ok(Self {
            core: if verbatim { core.with_dataless_events() } else { core },
            recent_event: Recent::new(py, b"message")?,
            recent_id: Recent::new(py, last_event_id.as_bytes())?,
            initial_id: last_event_id.into_boxed_str(),
            closed: false,
            default_type: if verbatim { intern!(py, "") } else { intern!(py, "message") }.clone().unbind(),
        })
    }

    #[pyo3(signature = (data, /))]
    pub fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let chunk = borrow::chunk(data)?;
        let mut parser = borrow::exclusively(slf)?;
        if parser.closed {
            return Err(errors::closed());
        }
        parser.events_in(slf.py(), chunk.as_bytes())
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let mut parser = borrow::exclusively(slf)?;
        parser.closed = true;
        parser.events_in(slf.py(), b"")
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut parser = borrow::exclusively(slf)?;
        let parser = &mut *parser;
        parser.core.reset(parser.initial_id.as_bytes());
        parser.closed = false;
        Ok(())
    }

    #[getter]
    fn last_event_id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, self.core.last_event_id())
    }

    #[getter]
    fn retry(&self) -> Option<u64> {
        self.core.retry()
    }

    #[getter]
    fn pending_bytes(&self) -> usize {
        self.core.pending_bytes()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.core.bytes()
    }

    #[getter]
    fn events(&self) -> u64 {
        self.core.events()
    }

    #[getter]
    fn comments(&self) -> u64 {
        self.core.comments()
    }

    #[getter]
    #[expect(clippy::unused_self, reason = "the parsers have the same counters")]
    fn malformed(&self) -> u64 {
        0
    }
}

impl EventParser {
    fn events_in<'py>(&mut self, py: Python<'py>, mut rest: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let found = PyList::empty(py);
        loop {
            match self.core.next_event(&mut rest) {
                Ok(Some(event)) => {
                    let event = ServerSentEvent {
                        event: if event.event.is_empty() {
                            self.default_type.clone_ref(py)
                        } else {
                            self.recent_event.get(py, event.event)?
                        },
                        data: text(py, event.data)?.unbind(),
                        id: self.recent_id.get(py, event.id)?,
                        retry: event.retry,
                    };
                    found.append(Py::new(py, event)?)?;
                }
                Ok(None) => return Ok(found),
                Err(exceeded) => return Err(errors::limit_exceeded(py, exceeded, &found)),
            }
        }
    }
}
