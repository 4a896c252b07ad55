//! `StreamTimings`: when things happened in a stream, as the core notes it; and the clock that tells when.

use std::time::Instant;

use deltawire_core::stream::Timings;
use pyo3::basic::CompareOp;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

/// When things happened.
#[pyclass(module = "deltawire")]
#[derive(Default)]
pub struct StreamTimings {
    core: Timings,
    #[pyo3(get, set)]
    on_gap: Option<Py<PyAny>>,
}

#[pymethods]
impl StreamTimings {
    #[new]
    #[pyo3(
        signature = (
            first_byte = None, first_event = None, first_content = None, first_tool_call = None,
            last_event = None, longest_gap = None, on_gap = None,
        ),
    )]
    fn new(
        first_byte: Option<f64>,
        first_event: Option<f64>,
        first_content: Option<f64>,
        first_tool_call: Option<f64>,
        last_event: Option<f64>,
        longest_gap: Option<f64>,
        on_gap: Option<Py<PyAny>>,
    ) -> Self {
        let core =
            Timings { first_byte, first_event, first_content, first_tool_call, last_event, longest_gap };
        Self { core, on_gap }
    }

    #[getter]
    fn first_byte(&self) -> Option<f64> {
        self.core.first_byte
    }

    #[getter]
    fn first_event(&self) -> Option<f64> {
        self.core.first_event
    }

    #[getter]
    fn first_content(&self) -> Option<f64> {
        self.core.first_content
    }

    #[getter]
    fn first_tool_call(&self) -> Option<f64> {
        self.core.first_tool_call
    }

    #[getter]
    fn last_event(&self) -> Option<f64> {
        self.core.last_event
    }

    #[getter]
    fn longest_gap(&self) -> Option<f64> {
        self.core.longest_gap
    }

    fn __richcmp__(&self, other: &Bound<'_, Self>, op: CompareOp) -> Option<bool> {
        let equal = || self.core == other.borrow().core;
        match op {
            CompareOp::Eq => Some(equal()),
            CompareOp::Ne => Some(!equal()),
            _ => None,
        }
    }

    fn __repr__(&self) -> String {
        let fields = self.fields().map(|(name, at)| {
            let at = at.map_or("None".into(), |at| format!("{at:?}"));
            format!("{name}={at}")
        });
        format!("StreamTimings({})", fields.join(", "))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        let this = slf.borrow();
        Ok((slf.get_type(), PyTuple::new(slf.py(), this.fields().map(|(_, at)| at))?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.on_gap.iter().try_for_each(|call| visit.call(call))
    }

    fn __clear__(&mut self) {
        self.on_gap = None;
    }
}

impl StreamTimings {
    /// Notes that bytes came.
    pub fn begin(&mut self, now: f64) {
        self.core.first_byte.get_or_insert(now);
    }

    /// Notes that something was complete, and what the message has by now; and calls `on_gap`, which may do as it
    /// likes with what gives the timings.
    pub fn note(slf: &Bound<'_, Self>, now: f64, has_content: bool, has_tool_calls: bool) -> PyResult<()> {
        let mut this = slf.try_borrow_mut()?;
        let gap = this.core.note(now, has_content, has_tool_calls);
        let (Some(gap), Some(on_gap)) = (gap, &this.on_gap) else { return Ok(()) };
        let on_gap = on_gap.clone_ref(slf.py());
        drop(this);
        on_gap.call1(slf.py(), (gap,)).map(drop)
    }

    fn fields(&self) -> [(&'static str, Option<f64>); 6] {
        [
            ("first_byte", self.core.first_byte),
            ("first_event", self.core.first_event),
            ("first_content", self.core.first_content),
            ("first_tool_call", self.core.first_tool_call),
            ("last_event", self.core.last_event),
            ("longest_gap", self.core.longest_gap),
        ]
    }
}

/// What tells the seconds since the stream was made.
pub enum Clock {
    /// `time.monotonic`, which is the clock of Rust's `Instant`, read without a call into Python.
    Monotonic(Instant),
    Called {
        clock: Py<PyAny>,
        begun: f64,
    },
}

impl Clock {
    pub fn new(clock: &Bound<'_, PyAny>) -> PyResult<Self> {
        static MONOTONIC: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if clock.is(MONOTONIC.import(clock.py(), "time", "monotonic")?) {
            return Ok(Self::Monotonic(Instant::now()));
        }
        if !clock.is_callable() {
            let given = clock.get_type().name()?;
            return Err(PyTypeError::new_err(format!("clock is a callable, not {given}")));
        }
        Ok(Self::Called { clock: clock.clone().unbind(), begun: seconds(&clock.call0()?)? })
    }

    pub fn now(&self, py: Python<'_>) -> PyResult<f64> {
        match self {
            Self::Monotonic(begun) => Ok(begun.elapsed().as_secs_f64()),
            Self::Called { clock, begun } => Ok(seconds(clock.call0(py)?.bind(py))? - begun),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Monotonic(_) => Ok(()),
            Self::Called { clock, .. } => visit.call(clock),
        }
    }
}

/// What a clock tells.
fn seconds(told: &Bound<'_, PyAny>) -> PyResult<f64> {
    if let Ok(seconds) = told.extract() {
        return Ok(seconds);
    }
    let given = told.get_type().name()?;
    Err(PyTypeError::new_err(format!("clock returns a number of seconds, not {given}")))
}
