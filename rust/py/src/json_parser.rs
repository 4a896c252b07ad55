//! `JSONParser`: the data of the core's events through `loads`.
//!
//! The parser stays borrowed while `loads` runs, so a `loads` that feeds its own parser gets a `RuntimeError`
//! instead of a torn state. Where `loads` raises, the next call goes on behind that event (`backlog`). Data that is
//! like an earlier one is not for orjson: its dict is a copy (`shape`).

use deltawire_core::json::{Alike, Fit, Value};
use deltawire_core::sse::MAX_EVENT_SIZE;
use deltawire_core::stream::{Data, Lone, SENTINEL, ValueParser};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView, PySlice};

use crate::backlog::{Backlog, Failure};
use crate::borrow;
use crate::errors::{self, Refused};
use crate::found;
use crate::make::Json;
use crate::orjson;
use crate::parameters;
use crate::shape::{Filled, Shapes, Templates};

/// From this size on, orjson gets a view of the fed bytes instead of a copy. Making a view costs about as much
/// as copying 10 KiB; `benches/test_view.py` measures both.
const VIEW_FROM: usize = 16 * 1024;

/// Decodes the data of each event.
#[pyclass(generic, module = "deltawire")]
pub struct JSONParser {
    closed: bool,
    backlog: Backlog,
    decoder: Decoder,
}

#[pymethods]
impl JSONParser {
    #[new]
    #[pyo3(
        signature = (*, loads = None, done = Some(SENTINEL), errors = "strict", max_event_size = MAX_EVENT_SIZE),
        text_signature = "(*, loads=None, done='[DONE]', errors='strict', max_event_size=33554432)"
    )]
    fn new(
        py: Python<'_>,
        loads: Option<Py<PyAny>>,
        done: Option<&str>,
        errors: &str,
        #[pyo3(from_py_with = parameters::size)] max_event_size: usize,
    ) -> PyResult<Self> {
        if done.is_some_and(|text| text.trim().is_empty()) {
            return Err(PyValueError::new_err("done is blank; pass None for a stream without a sentinel"));
        }
        if let Some(loads) = &loads
            && !loads.bind(py).is_callable()
        {
            return Err(PyTypeError::new_err(format!(
                "loads is not callable: {}",
                loads.bind(py).get_type().name()?
            )));
        }
        let decoder = Decoder {
            core: ValueParser::new(max_event_size, done, loads.is_none()),
            shapes: Shapes::default(),
            loads,
            skip: parameters::skips(errors)?,
            malformed: 0,
            decoded: Vec::new(),
        };
        Ok(Self { closed: false, backlog: Backlog::default(), decoder })
    }

    #[pyo3(signature = (data, /))]
    pub fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let chunk = borrow::chunk(data)?;
        let mut parser = borrow::exclusively(slf)?;
        if parser.closed {
            return Err(errors::closed());
        }
        parser.read(chunk)?;
        parser.decoder.values(slf.py())
    }

    fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let py = slf.py();
        let mut parser = borrow::exclusively(slf)?;
        parser.closed = true;
        parser.read(PyBytes::new(py, b""))?;
        parser.decoder.read_incomplete(py)?;
        parser.decoder.values(py)
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut parser = borrow::exclusively(slf)?;
        parser.closed = false;
        parser.backlog.clear();
        parser.decoder.reset();
        Ok(())
    }

    #[getter]
    pub fn done(&self) -> bool {
        self.decoder.core.data().is_done()
    }

    #[getter]
    fn pending_bytes(&self) -> usize {
        self.decoder.core.data().events().pending_bytes()
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.decoder.core.data().events().bytes()
    }

    #[getter]
    fn events(&self) -> u64 {
        self.decoder.core.data().events().events()
    }

    #[getter]
    fn comments(&self) -> u64 {
        self.decoder.core.data().events().comments()
    }

    #[getter]
    fn malformed(&self) -> u64 {
        self.decoder.malformed
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(loads) = &self.decoder.loads {
            visit.call(loads)?;
        }
        self.decoder.decoded.iter().try_for_each(|value| visit.call(value))
    }

    fn __clear__(&mut self) {
        self.decoder.loads = None;
        self.decoder.decoded.clear();
    }
}

impl JSONParser {
    fn read(&mut self, chunk: Bound<'_, PyBytes>) -> PyResult<()> {
        let py = chunk.py();
        let Self { backlog, decoder, .. } = self;
        let read = backlog.read(chunk, |chunk, rest| decoder.read(chunk, rest));
        read.map_err(|failure| failure.raise(py, || decoder.values(py)))
    }
}

/// Reads events, and decodes their data.
struct Decoder {
    core: ValueParser,
    shapes: Shapes,
    /// None stands for orjson's.
    loads: Option<Py<PyAny>>,
    skip: bool,
    malformed: u64,
    /// What was decoded in the call at hand, and in calls before it that raised an exception of `loads`' own.
    decoded: Vec<Py<PyAny>>,
}

impl Decoder {
    /// Gives out what is decoded.
    fn values<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        found::list(py, &mut self.decoded)
    }

    fn reset(&mut self) {
        self.core.reset();
        self.shapes.clear();
        self.malformed = 0;
        self.decoded.clear();
    }

    /// Decodes what is complete in what is left of a chunk.
    fn read<'c>(&mut self, chunk: &'c Bound<'_, PyBytes>, rest: &mut &'c [u8]) -> Result<(), Failure> {
        let py = chunk.py();
        loop {
            while let Some(lone) = self.core.next_like(rest) {
                self.shapes.learn(py, &mut self.core, &lone, None)?;
                if let Some(alike) = self.core.alike(&lone) {
                    // A dict does not know its text, so any bytes will do.
                    let text = Filled { json: Json::all(chunk), alike };
                    self.decoded.push(self.shapes.make(&text)?.unbind());
                }
                if rest.is_empty() {
                    // A lone event leaves nothing behind that waits; nearly every call ends here.
                    return Ok(());
                }
            }
            let event = match self.core.next_data(rest)? {
                Some(Data::Payload(event)) => event,
                Some(Data::Nothing(_) | Data::Done) => continue,
                None => return Ok(()),
            };
            match decode(self.loads.as_ref(), event.data, chunk) {
                Ok(value) => self.decoded.push(value.unbind()),
                Err(error) if error.is_instance_of::<PyValueError>(py) => {
                    self.malformed += 1;
                    if !self.skip {
                        let refused = Refused::new(Some((event.number, event.offset)), event.data);
                        return Err(Failure::Malformed { refused, cause: Some(error) });
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Decodes an unterminated last event, if it is whole after all.
    fn read_incomplete(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(data) = self.core.close() else { return Ok(()) };
        match decode(self.loads.as_ref(), data, &PyBytes::new(py, b"")) {
            Err(error) if error.is_instance_of::<PyValueError>(py) => return Ok(()),
            result => {
                // Whatever else `loads` says, it has had this event.
                self.core.take_incomplete();
                self.decoded.push(result?.unbind());
            }
        }
        Ok(())
    }
}

impl Templates for ValueParser {
    #[inline]
    fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>> {
        self.alike(lone)
    }

    fn template(&mut self, fit: Fit) -> Option<Value<'_>> {
        self.template(fit)
    }
}

/// Hands the data of one event to `loads`, valid UTF-8 in any case. `chunk` is what was fed: the data may lie
/// in it.
fn decode<'py>(
    loads: Option<&Py<PyAny>>,
    data: &[u8],
    chunk: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = chunk.py();
    let Some(loads) = loads else {
        let result = match view(data, chunk) {
            Some(view) => orjson::loads(py)?.call1((view?,)),
            None => orjson::loads(py)?.call1((PyBytes::new(py, data),)),
        };
        // orjson checks the UTF-8 itself, so only what it refused has to be looked at.
        return match result {
            Err(error) if error.is_instance_of::<PyValueError>(py) => match String::from_utf8_lossy(data) {
                std::borrow::Cow::Borrowed(_) => Err(error),
                std::borrow::Cow::Owned(text) => orjson::loads(py)?.call1((text,)),
            },
            result => result,
        };
    };
    let text = String::from_utf8_lossy(data);
    loads.bind(py).call1((PyBytes::new(py, text.as_bytes()),))
}

/// A view of large data that lies in the chunk. It owns the chunk as long as it lives.
fn view<'py>(data: &[u8], chunk: &Bound<'py, PyBytes>) -> Option<PyResult<Bound<'py, PyAny>>> {
    if data.len() < VIEW_FROM {
        return None;
    }
    let start = borrow::place(data, chunk)?;
    let end = start + data.len();
    let bounds = (isize::try_from(start).ok()?, isize::try_from(end).ok()?);
    Some(
        PyMemoryView::from(chunk)
            .and_then(|view| view.get_item(PySlice::new(chunk.py(), bounds.0, bounds.1, 1))),
    )
}
