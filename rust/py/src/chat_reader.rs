//! `_ChatReader`: what a `ChatStream` runs, an accumulator that gives chunks, and a clock.
//!
//! The clock is read once for each network chunk. What looks for the first event, for `prefetch`, is Python's.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::borrow;
use crate::chat_accumulator::ChatAccumulator;
use crate::errors::{self, PREVIEW_BYTES};
use crate::feeding::{Fed, Found};
use crate::timings::{Clock, StreamTimings};

/// The parser that a `ChatStream` runs.
#[pyclass(name = "_ChatReader", module = "deltawire._native")]
pub struct ChatReader {
    #[pyo3(get)]
    accumulator: Py<ChatAccumulator>,
    #[pyo3(get)]
    timings: Py<StreamTimings>,
    #[pyo3(get, set)]
    look: Option<Py<PyAny>>,
    clock: Clock,
    /// The first bytes of the stream.
    preview: Vec<u8>,
}

#[pymethods]
impl ChatReader {
    #[new]
    fn new(accumulator: Py<ChatAccumulator>, clock: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            accumulator,
            timings: Py::new(clock.py(), StreamTimings::default())?,
            look: None,
            clock: Clock::new(clock)?,
            preview: Vec::new(),
        })
    }

    #[getter]
    fn preview<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.preview)
    }

    #[pyo3(signature = (data, /))]
    fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        match Self::read(slf, data)?.found {
            Found::Nothing => Ok(PyList::empty(slf.py())),
            Found::One(one) => PyList::new(slf.py(), [one]),
            Found::Many(many) => Ok(many),
        }
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let now = slf.borrow().clock.now(slf.py())?;
        let look = slf.borrow().look(slf.py());
        if let Some(look) = look {
            look.call_method0(intern!(slf.py(), "close"))?;
        }
        let accumulator = slf.borrow().accumulator.clone_ref(slf.py()).into_bound(slf.py());
        // One at most, so none comes with an exception.
        let chunks = ChatAccumulator::close_chunks(&accumulator)?;
        if !chunks.is_empty() {
            let has = has(&accumulator.borrow());
            Self::note(slf, now, has)?;
        }
        Ok(chunks)
    }

    #[getter]
    fn bytes(&self, py: Python<'_>) -> u64 {
        self.accumulator.borrow(py).bytes()
    }

    #[getter]
    fn events(&self, py: Python<'_>) -> u64 {
        self.accumulator.borrow(py).events()
    }

    #[getter]
    fn comments(&self, py: Python<'_>) -> u64 {
        self.accumulator.borrow(py).comments()
    }

    #[getter]
    fn malformed(&self, py: Python<'_>) -> u64 {
        self.accumulator.borrow(py).malformed()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.accumulator)?;
        visit.call(&self.timings)?;
        self.look.iter().try_for_each(|look| visit.call(look))?;
        self.clock.traverse(&visit)
    }

    /// The accumulator and the timings clear what may be in a cycle by themselves.
    fn __clear__(&mut self) {
        self.look = None;
        self.clock.clear();
    }
}

impl ChatReader {
    /// Takes the next bytes.
    pub fn read<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Fed<'py>> {
        let py = slf.py();
        let data = borrow::chunk(data)?;
        let now = slf.borrow().clock.now(py)?;
        if slf.borrow().preview.len() < PREVIEW_BYTES {
            slf.borrow_mut().begin(py, data.as_bytes(), now);
        }
        let look = slf.borrow().look(py);
        if let Some(look) = look
            && !look.getattr(intern!(py, "found"))?.is_truthy()?
        {
            look.call_method1(intern!(py, "feed"), (&data,))?;
        }
        let accumulator = slf.borrow().accumulator.clone_ref(py).into_bound(py);
        match ChatAccumulator::read(&accumulator, data.as_any(), true) {
            Ok(mut reading) => {
                let fed = Fed { found: reading.take_found(py)?, is_done: reading.done() };
                let has = has(&reading);
                drop(reading);
                if !matches!(fed.found, Found::Nothing) {
                    Self::note(slf, now, has)?;
                }
                Ok(fed)
            }
            Err(error) => {
                if errors::has_values(py, &error) {
                    let has = has(&accumulator.borrow());
                    Self::note(slf, now, has)?;
                }
                Err(error)
            }
        }
    }

    fn begin(&mut self, py: Python<'_>, data: &[u8], now: f64) {
        if self.preview.is_empty() && !data.is_empty() {
            self.timings.borrow_mut(py).first_byte = Some(now);
        }
        let rest = PREVIEW_BYTES - self.preview.len();
        self.preview.extend(data.iter().take(rest));
    }

    fn look<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.look.as_ref().map(|look| look.bind(py).clone())
    }

    fn note(slf: &Bound<'_, Self>, now: f64, (has_content, has_tool_calls): (bool, bool)) -> PyResult<()> {
        let timings = slf.borrow().timings.clone_ref(slf.py()).into_bound(slf.py());
        StreamTimings::note(&timings, now, has_content, has_tool_calls)
    }
}

/// What the message has by now: text, and tool calls.
fn has(accumulator: &ChatAccumulator) -> (bool, bool) {
    let message = accumulator.core().message();
    (message.has_content(), message.has_tool_calls())
}
