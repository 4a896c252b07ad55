//! `_ChatRelayStreamParser`: what a `ChatRelayStream` runs, a relay that gives the bytes to send on, and a clock.
//!
//! As in `_ChatStreamParser`, the clock is read once for each network chunk, and what changes is in cells. A chunk that
//! goes on as it came is the object that was fed.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use deltawire_core::relay::Sent;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::borrow;
use crate::chat_relay::ChatRelay;
use crate::feeding::Fed;
use crate::found::Found;
use crate::timings::{Clock, StreamTimings};

/// The parser that a `ChatRelayStream` runs.
#[pyclass(frozen, name = "_ChatRelayStreamParser", module = "deltawire._native")]
pub struct ChatRelayStreamParser {
    #[pyo3(get)]
    relay: Py<ChatRelay>,
    #[pyo3(get)]
    timings: Py<StreamTimings>,
    keep_alive: Py<PyBytes>,
    clock: Clock,
    sent: Mutex<Sent>,
    is_silent: AtomicBool,
    is_over: AtomicBool,
}

#[pymethods]
impl ChatRelayStreamParser {
    #[new]
    fn new(relay: Py<ChatRelay>, clock: &Bound<'_, PyAny>, keep_alive: Py<PyBytes>) -> PyResult<Self> {
        Ok(Self {
            relay,
            timings: Py::new(clock.py(), StreamTimings::default())?,
            keep_alive,
            clock: Clock::new(clock)?,
            sent: Mutex::default(),
            is_silent: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        })
    }

    #[pyo3(signature = (data, /))]
    fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        Self::read(slf, data)?.found.into_list(slf.py())
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let last = ChatRelay::close(slf.get().relay.bind(py))?;
        let last = slf.get().sent().close(last.as_bytes()).into_owned();
        if last.is_empty() { Ok(PyList::empty(py)) } else { PyList::new(py, [PyBytes::new(py, &last)]) }
    }

    #[getter]
    fn is_silent(&self) -> bool {
        self.is_silent.load(Relaxed)
    }

    #[setter]
    fn set_is_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Relaxed);
    }

    #[getter]
    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    #[getter(sent)]
    fn sent_count(&self) -> u64 {
        self.sent().count()
    }

    #[getter]
    fn bytes(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.relay.try_borrow(py)?.bytes())
    }

    #[getter]
    fn events(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.relay.try_borrow(py)?.events())
    }

    #[getter]
    fn comments(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.relay.try_borrow(py)?.comments())
    }

    #[getter]
    fn malformed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.relay.try_borrow(py)?.malformed())
    }

    // Nothing is cleared, as in `_ChatStreamParser`: what has a callback that leads back to the stream clears that.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.relay)?;
        visit.call(&self.timings)?;
        self.clock.traverse(&visit)
    }
}

impl ChatRelayStreamParser {
    /// Takes the next bytes; none, where the source was silent.
    pub fn read<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Fed<'py>> {
        let py = slf.py();
        let this = slf.get();
        if this.is_silent.swap(false, Relaxed) {
            let may_interrupt = this.sent().interrupt();
            let comment = || Found::One(this.keep_alive.bind(py).clone().into_any());
            let found = if may_interrupt { comment() } else { Found::Nothing };
            return Ok(Fed { found, is_done: this.is_over() });
        }
        let data = borrow::chunk(data)?;
        // Once it is over, there is at most what an exception has kept back.
        let found =
            if this.is_over() { ChatRelay::close(this.relay.bind(py))? } else { this.pass_on(py, &data)? };
        let sent = this.sent().send(found.as_bytes());
        let found = match sent {
            now if now.is_empty() => Found::Nothing,
            now if now.len() == found.as_bytes().len() => Found::One(found.into_any()),
            now => Found::One(PyBytes::new(py, &now).into_any()),
        };
        Ok(Fed { found, is_done: this.is_over() })
    }

    /// Relays a chunk. What raises behind that takes nothing of what is to be sent on.
    fn pass_on<'py>(&self, py: Python<'py>, data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
        let relay = self.relay.bind(py);
        let now = self.clock.now(py);
        let (bytes, events) = {
            let relay = relay.try_borrow()?;
            (relay.bytes(), relay.events())
        };
        if let Ok(now) = now
            && bytes == 0
            && !data.as_bytes().is_empty()
        {
            self.timings.try_borrow_mut(py)?.begin(now);
        }
        // Of a line end of CR and LF both belong to the stream.
        let may_end = !data.as_bytes().ends_with(b"\r");
        let found = ChatRelay::feed(relay, data)?;
        let noted = now.and_then(|now| self.note(py, now, events));
        let last = noted.and_then(|is_done| {
            if !is_done || !may_end {
                return Ok(None);
            }
            self.is_over.store(true, Relaxed);
            ChatRelay::close(relay).map(Some)
        });
        match last {
            Ok(Some(last)) if !last.as_bytes().is_empty() => {
                Ok(PyBytes::new(py, &[found.as_bytes(), last.as_bytes()].concat()))
            }
            Ok(_) => Ok(found),
            Err(error) => {
                ChatRelay::owe(relay, found.as_bytes())?;
                Err(error)
            }
        }
    }

    /// Notes what came, of how many events before; and tells whether the sentinel has.
    fn note(&self, py: Python<'_>, now: f64, events: u64) -> PyResult<bool> {
        let (is_event, has_content, has_tool_calls, is_done) = {
            let relay = self.relay.try_borrow(py)?;
            (relay.events() > events, relay.has_content(), relay.has_tool_calls(), relay.done())
        };
        if is_event {
            StreamTimings::note(self.timings.bind(py), now, has_content, has_tool_calls)?;
        }
        Ok(is_done)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
