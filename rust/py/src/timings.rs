//! `StreamTimings`: when things happened in a stream, as the core notes it; and the clock that tells when.

use std::time::Instant;

use deltawire_core::stream::Timings;
use pyo3::basic::CompareOp;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

/// When things happened.
#[pyclass(module = "deltawire", get_all, set_all)]
#[derive(Default)]
pub struct StreamTimings {
    pub first_byte: Option<f64>,
    first_event: Option<f64>,
    first_content: Option<f64>,
    first_tool_call: Option<f64>,
    last_event: Option<f64>,
    longest_gap: Option<f64>,
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
    pub fn new(
        first_byte: Option<f64>,
        first_event: Option<f64>,
        first_content: Option<f64>,
        first_tool_call: Option<f64>,
        last_event: Option<f64>,
        longest_gap: Option<f64>,
        on_gap: Option<Py<PyAny>>,
    ) -> Self {
        Self { first_byte, first_event, first_content, first_tool_call, last_event, longest_gap, on_gap }
    }

    /// Notes that something was complete, and what the message has by now.
    fn _note(slf: &Bound<'_, Self>, now: f64, has_content: bool, has_tool_calls: bool) -> PyResult<()> {
        Self::note(slf, now, has_content, has_tool_calls)
    }

    fn __richcmp__(&self, other: &Bound<'_, Self>, op: CompareOp) -> Option<bool> {
        let equal = || self.noted() == other.borrow().noted();
        match op {
            CompareOp::Eq => Some(equal()),
            CompareOp::Ne => Some(!equal()),
            _ => None,
        }
    }

    fn __repr__(&self) -> String {
        let Timings { first_byte, first_event, first_content, first_tool_call, last_event, longest_gap } =
            self.noted();
        let fields = [
            ("first_byte", first_byte),
            ("first_event", first_event),
            ("first_content", first_content),
            ("first_tool_call", first_tool_call),
            ("last_event", last_event),
            ("longest_gap", longest_gap),
        ]
        .map(|(name, at)| format!("{name}={}", at.map_or("None".into(), |at| format!("{at:?}"))));
        format!("StreamTimings({})", fields.join(", "))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.borrow();
        let on_gap = this.on_gap.as_ref().map(|call| call.clone_ref(slf.py()));
        let Timings { first_byte, first_event, first_content, first_tool_call, last_event, longest_gap } =
            this.noted();
        let fields =
            (first_byte, first_event, first_content, first_tool_call, last_event, longest_gap, on_gap);
        Ok((slf.get_type().into_any(), fields.into_pyobject(slf.py())?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.on_gap.iter().try_for_each(|call| visit.call(call))
    }

    fn __clear__(&mut self) {
        self.on_gap = None;
    }
}

impl StreamTimings {
    /// Notes that something was complete, and what the message has by now; and calls `on_gap`, which may do as it
    /// likes with what gives the timings.
    pub fn note(slf: &Bound<'_, Self>, now: f64, has_content: bool, has_tool_calls: bool) -> PyResult<()> {
        let mut this = slf.try_borrow_mut()?;
        let mut noted = this.noted();
        let gap = noted.note(now, has_content, has_tool_calls);
        this.first_byte = noted.first_byte;
        this.first_event = noted.first_event;
        this.first_content = noted.first_content;
        this.first_tool_call = noted.first_tool_call;
        this.last_event = noted.last_event;
        this.longest_gap = noted.longest_gap;
        let (Some(gap), Some(on_gap)) = (gap, &this.on_gap) else { return Ok(()) };
        let on_gap = on_gap.clone_ref(slf.py());
        drop(this);
        on_gap.call1(slf.py(), (gap,)).map(drop)
    }

    fn noted(&self) -> Timings {
        Timings {
            first_byte: self.first_byte,
            first_event: self.first_event,
            first_content: self.first_content,
            first_tool_call: self.first_tool_call,
            last_event: self.last_event,
            longest_gap: self.longest_gap,
        }
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
        Ok(Self::Called { clock: clock.clone().unbind(), begun: clock.call0()?.extract()? })
    }

    pub fn now(&self, py: Python<'_>) -> PyResult<f64> {
        match self {
            Self::Monotonic(begun) => Ok(begun.elapsed().as_secs_f64()),
            Self::Called { clock, begun } => Ok(clock.call0(py)?.extract::<f64>(py)? - begun),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Monotonic(_) => Ok(()),
            Self::Called { clock, .. } => visit.call(clock),
        }
    }

    /// Lets go of what may be in a cycle.
    pub fn clear(&mut self) {
        *self = Self::Monotonic(Instant::now());
    }
}
