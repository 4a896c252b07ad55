//! `_ChatStreamParser`: what a `ChatStream` runs, an accumulator that gives chunks, and a clock.
//!
//! The clock is read once for each network chunk. The class is frozen, which spares a borrow for each; what changes is
//! in cells. What looks for the first event, for `prefetch`, is Python's.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList};

use crate::borrow;
use crate::chat_accumulator::ChatAccumulator;
use crate::errors::{self, PREVIEW_BYTES};
use crate::feeding::Fed;
use crate::found::Found;
use crate::timings::{Clock, StreamTimings};

/// The parser that a `ChatStream` runs.
#[pyclass(frozen, name = "_ChatStreamParser", module = "deltawire._native")]
pub struct ChatStreamParser {
    #[pyo3(get)]
    accumulator: Py<ChatAccumulator>,
    #[pyo3(get)]
    timings: Py<StreamTimings>,
    look: PyOnceLock<Py<PyAny>>,
    clock: Clock,
    /// The first bytes of the stream, and whether there are as many of them as are kept.
    preview: Mutex<Vec<u8>>,
    has_preview: AtomicBool,
    /// Chunks that an exception of the clock or of `on_gap` has kept back, and whether there are any.
    owed: Mutex<Vec<Py<PyAny>>>,
    owes: AtomicBool,
}

#[pymethods]
impl ChatStreamParser {
    #[new]
    fn new(accumulator: Py<ChatAccumulator>, clock: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            accumulator,
            timings: Py::new(clock.py(), StreamTimings::default())?,
            look: PyOnceLock::new(),
            clock: Clock::new(clock)?,
            preview: Mutex::default(),
            has_preview: AtomicBool::new(false),
            owed: Mutex::default(),
            owes: AtomicBool::new(false),
        })
    }

    #[getter]
    fn look<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.look.get(py).map(|look| look.bind(py))
    }

    #[setter]
    fn set_look(&self, look: &Bound<'_, PyAny>) -> PyResult<()> {
        let set = self.look.set(look.py(), look.clone().unbind());
        set.map_err(|_| PyRuntimeError::new_err("look is set already"))
    }

    #[getter]
    fn preview<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.preview.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[pyo3(signature = (data, /))]
    fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        Self::read(slf, data)?.found.into_list(slf.py())
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let this = slf.get();
        let now = this.clock.now(py)?;
        if let Some(look) = this.look.get(py) {
            look.call_method0(py, intern!(py, "close"))?;
        }
        // One at most, so none comes with an exception.
        let chunks = Found::Many(ChatAccumulator::close_chunks(this.accumulator.bind(py))?);
        let has = has(&*this.accumulator.try_borrow(py)?);
        this.noted(py, Ok(now), has, chunks)?.into_list(py)
    }

    #[getter]
    fn bytes(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.accumulator.try_borrow(py)?.bytes())
    }

    #[getter]
    fn events(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.accumulator.try_borrow(py)?.events())
    }

    #[getter]
    fn comments(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.accumulator.try_borrow(py)?.comments())
    }

    #[getter]
    fn malformed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.accumulator.try_borrow(py)?.malformed())
    }

    // Nothing is cleared: what has a clock that leads back to the stream is in a cycle with more than this. What looks
    // for the first event has an accumulator, and no more.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.accumulator)?;
        visit.call(&self.timings)?;
        self.clock.traverse(&visit)
    }
}

impl ChatStreamParser {
    /// Takes the next bytes. What the clock or `on_gap` raises takes nothing of what they complete.
    pub fn read<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Fed<'py>> {
        let py = slf.py();
        let data = borrow::chunk(data)?;
        let this = slf.get();
        let now = this.clock.now(py);
        if !this.has_preview.load(Relaxed) {
            this.begin(py, data.as_bytes(), now.as_ref().ok().copied())?;
        }
        if let Some(look) = this.look.get(py)
            && !look.getattr(py, intern!(py, "found"))?.is_truthy(py)?
        {
            look.call_method1(py, intern!(py, "feed"), (&data,))?;
        }
        match ChatAccumulator::read(this.accumulator.bind(py), data, true) {
            Ok(mut reading) => {
                let (found, is_done) = (reading.take_found(py)?, reading.done());
                let has = has(&reading);
                drop(reading);
                Ok(Fed { found: this.noted(py, now, has, found)?, is_done })
            }
            Err(error) => {
                // A clock that raises is told at the next chunk: this error comes out now or never.
                if let Ok(now) = now
                    && errors::has_values(py, &error)
                {
                    this.note(py, now, has(&*this.accumulator.try_borrow(py)?))?;
                }
                Err(error)
            }
        }
    }

    fn begin(&self, py: Python<'_>, data: &[u8], now: Option<f64>) -> PyResult<()> {
        let mut preview = self.preview.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now
            && preview.is_empty()
            && !data.is_empty()
        {
            self.timings.try_borrow_mut(py)?.begin(now);
        }
        let rest = PREVIEW_BYTES - preview.len();
        preview.extend(data.iter().take(rest));
        self.has_preview.store(preview.len() == PREVIEW_BYTES, Relaxed);
        Ok(())
    }

    /// Notes that something was complete, if it was, and gives it, behind what is owed.
    fn noted<'py>(
        &self,
        py: Python<'py>,
        now: PyResult<f64>,
        has: (bool, bool),
        found: Found<'py>,
    ) -> PyResult<Found<'py>> {
        let is_new = match &found {
            Found::Nothing => false,
            Found::One(_) => true,
            Found::Many(many) => !many.is_empty(),
        };
        let noted = now.and_then(|now| if is_new { self.note(py, now, has) } else { Ok(()) });
        if noted.is_ok() && !self.owes.load(Relaxed) {
            return Ok(found);
        }
        let found = found.into_list(py)?;
        let mut owed = std::mem::take(&mut *self.owed());
        owed.extend(found.iter().map(Bound::unbind));
        self.owes.store(noted.is_err(), Relaxed);
        if let Err(error) = noted {
            *self.owed() = owed;
            return Err(error);
        }
        if owed.is_empty() { Ok(Found::Nothing) } else { Ok(Found::Many(PyList::new(py, owed)?)) }
    }

    fn owed(&self) -> MutexGuard<'_, Vec<Py<PyAny>>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, py: Python<'_>, now: f64, (has_content, has_tool_calls): (bool, bool)) -> PyResult<()> {
        StreamTimings::note(self.timings.bind(py), now, has_content, has_tool_calls)
    }
}

/// What the message has by now: text, and tool calls.
fn has(accumulator: &ChatAccumulator) -> (bool, bool) {
    let message = accumulator.core().message();
    (message.has_content(), message.has_tool_calls())
}
