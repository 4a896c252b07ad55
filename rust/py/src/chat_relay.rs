//! `ChatRelay`: the core's relay of a chat stream. What goes on unchanged is the object that was fed.

use deltawire_core::chat::Limits;
use deltawire_core::relay::{Edit, Relay, Rules, ends_with_blank_line};
use deltawire_core::sse::{Event, MAX_EVENT_SIZE};
use deltawire_core::stream::ChatReader;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::borrow;
use crate::completion::{ChatCompletion, Ids};
use crate::errors;
use crate::event::ServerSentEvent;
use crate::observed;
use crate::orjson;
use crate::parameters;
use crate::raw::text;

/// Passes a chat stream on, observes it, and changes what rules ask for.
#[pyclass(module = "deltawire")]
pub struct ChatRelay {
    core: Relay,
    closed: bool,
    edit: Option<Py<PyAny>>,
    /// What would have been returned, had `edit` not raised.
    owed: Vec<u8>,
}

#[pymethods]
impl ChatRelay {
    #[new]
    #[pyo3(
        signature = (
            *, set = None, remove = None, usage = "keep", comments = "keep", repair = false, edit = None,
            append_error = false, n = None, max_message_size = Limits::default().max_message_size,
            max_tool_calls = Limits::default().max_tool_calls, max_choices = Limits::default().max_choices,
            max_event_size = MAX_EVENT_SIZE,
        ),
        text_signature = "(*, set=None, remove=None, usage='keep', comments='keep', repair=False, edit=None, append_error=False, n=None, max_message_size=67108864, max_tool_calls=1024, max_choices=128, max_event_size=33554432)"
    )]
    #[expect(clippy::too_many_arguments, reason = "they are keywords")]
    fn new(
        set: Option<&Bound<'_, PyAny>>,
        remove: Option<&Bound<'_, PyAny>>,
        usage: &str,
        comments: &str,
        repair: bool,
        edit: Option<Bound<'_, PyAny>>,
        append_error: bool,
        #[pyo3(from_py_with = parameters::optional_size)] n: Option<usize>,
        #[pyo3(from_py_with = parameters::size)] max_message_size: usize,
        #[pyo3(from_py_with = parameters::size)] max_tool_calls: usize,
        #[pyo3(from_py_with = parameters::size)] max_choices: usize,
        #[pyo3(from_py_with = parameters::size)] max_event_size: usize,
    ) -> PyResult<Self> {
        if let Some(edit) = edit.as_ref().filter(|edit| !edit.is_callable()) {
            let class = edit.get_type();
            return Err(PyTypeError::new_err(format!("edit is a callable, not {}", class.name()?)));
        }
        let rules = Rules {
            set: set.map_or(Ok(Vec::new()), values)?,
            remove: remove.map_or(Ok(Vec::new()), names)?,
            drop_usage: drops("usage", usage)?,
            drop_comments: drops("comments", comments)?,
            repair,
            append_error,
            edit: edit.is_some(),
        };
        let dropped = rules.drop_usage.then_some("usage");
        if let Some((name, _)) =
            rules.set.iter().find(|(key, _)| rules.remove.contains(key) || dropped == Some(&**key))
        {
            return Err(PyValueError::new_err(format!("the field {name:?} is to be set and to be removed")));
        }
        let limits = Limits { max_message_size, max_tool_calls, max_choices };
        Ok(Self {
            core: Relay::new(rules, max_event_size, limits, n == Some(1)),
            closed: false,
            edit: edit.map(Bound::unbind),
            owed: Vec::new(),
        })
    }

    #[pyo3(signature = (data, /))]
    pub fn feed<'py>(slf: &Bound<'py, Self>, data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let chunk = borrow::chunk(data)?;
        let mut relay = borrow::exclusively(slf)?;
        if relay.closed {
            return Err(errors::closed());
        }
        let Self { core, edit, owed, .. } = &mut *relay;
        let mut shown = Shown { py: slf.py(), edit: edit.as_ref(), error: None };
        let sent = core.feed(chunk.as_bytes(), &mut |event| shown.show(event));
        if owed.is_empty() && shown.error.is_none() {
            return Ok(sent.map_or(chunk, |sent| PyBytes::new(slf.py(), sent)));
        }
        owed.extend_from_slice(sent.unwrap_or(chunk.as_bytes()));
        shown.pay(owed)
    }

    pub fn close<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let mut relay = borrow::exclusively(slf)?;
        let Self { core, edit, owed, closed, .. } = &mut *relay;
        let mut shown = Shown { py: slf.py(), edit: edit.as_ref(), error: None };
        if !std::mem::replace(closed, true) {
            owed.extend_from_slice(core.close(&mut |event| shown.show(event)));
        }
        shown.pay(owed)
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let mut relay = borrow::exclusively(slf)?;
        relay.core.reset();
        relay.closed = false;
        relay.owed.clear();
        Ok(())
    }

    #[getter]
    fn completion(slf: &Bound<'_, Self>) -> PyResult<ChatCompletion> {
        // No id is made here: a client has to see the same ones.
        Ok(observed::completion(borrow::exclusively(slf)?.core.reader_mut(), &Ids::new()))
    }

    #[pyo3(signature = (*, final_only = true))]
    fn finished_tool_calls<'py>(slf: &Bound<'py, Self>, final_only: bool) -> PyResult<Bound<'py, PyList>> {
        let mut relay = borrow::exclusively(slf)?;
        observed::finished_tool_calls(slf.py(), relay.core.reader_mut(), &Ids::new(), final_only)
    }

    #[getter]
    fn end<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        observed::end(py, self.reader())
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        observed::error(py, self.reader())
    }

    #[getter]
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        observed::usage(py, self.reader())
    }

    #[getter]
    fn exceeded<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let exceeded = self.core.exceeded()?;
        Some(
            errors::limit_exceeded(py, exceeded, &PyList::empty(py)).into_value(py).into_bound(py).into_any(),
        )
    }

    #[getter]
    pub fn has_content(&self) -> bool {
        self.reader().message().has_content()
    }

    #[getter]
    pub fn has_tool_calls(&self) -> bool {
        self.reader().message().has_tool_calls()
    }

    #[getter]
    pub fn done(&self) -> bool {
        self.reader().chunks().data().is_done()
    }

    #[getter]
    fn pending_bytes(&self) -> usize {
        self.core.pending_bytes()
    }

    #[getter]
    pub fn bytes(&self) -> u64 {
        self.core.bytes()
    }

    #[getter]
    pub fn events(&self) -> u64 {
        self.reader().chunks().data().events().events()
    }

    #[getter]
    pub fn comments(&self) -> u64 {
        self.reader().chunks().data().events().comments()
    }

    #[getter]
    pub fn malformed(&self) -> u64 {
        self.reader().chunks().malformed()
    }

    #[getter]
    fn edited(&self) -> u64 {
        self.core.edited()
    }

    #[getter]
    fn dropped(&self) -> u64 {
        self.core.dropped()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.edit.iter().try_for_each(|edit| visit.call(edit))
    }

    fn __clear__(&mut self) {
        self.edit = None;
    }
}

impl ChatRelay {
    /// Takes back what was returned, and could not be sent on yet: it is returned first next time.
    pub fn owe(slf: &Bound<'_, Self>, sent: &[u8]) -> PyResult<()> {
        borrow::exclusively(slf)?.owed.splice(..0, sent.iter().copied());
        Ok(())
    }

    fn reader(&self) -> &ChatReader {
        self.core.reader()
    }
}

/// Shows events to the caller's function.
struct Shown<'r, 'py> {
    py: Python<'py>,
    edit: Option<&'r Py<PyAny>>,
    /// The first that it raised.
    error: Option<PyErr>,
}

impl<'py> Shown<'_, 'py> {
    /// An event that the function fails on is not sent: whatever it should have kept back would be.
    fn show(&mut self, event: Event<'_>) -> Edit {
        self.try_show(event).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            Edit::Drop
        })
    }

    fn try_show(&self, event: Event<'_>) -> PyResult<Edit> {
        let Some(edit) = self.edit else { return Ok(Edit::Keep) };
        let py = self.py;
        let kind = match event.event {
            b"" => intern!(py, "message").clone(),
            kind => text(py, kind)?,
        };
        let event = ServerSentEvent {
            event: kind.unbind(),
            data: text(py, event.data)?.unbind(),
            id: text(py, event.id)?.unbind(),
            retry: event.retry,
        };
        let made = edit.bind(py).call1((event,))?;
        if made.is_none() {
            return Ok(Edit::Keep);
        }
        let Ok(made) = made.cast::<PyBytes>() else {
            let class = made.get_type();
            return Err(PyTypeError::new_err(format!("edit returns bytes or None, not {}", class.name()?)));
        };
        match made.as_bytes() {
            b"" => Ok(Edit::Drop),
            bytes if ends_with_blank_line(bytes) => Ok(Edit::Replace(bytes.to_vec())),
            _ => Err(PyValueError::new_err(
                "edit returned bytes that do not end with a blank line: they would run into the next event",
            )),
        }
    }

    /// Returns what is owed, unless there is an error to raise.
    fn pay(self, owed: &mut Vec<u8>) -> PyResult<Bound<'py, PyBytes>> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(PyBytes::new(self.py, &std::mem::take(owed))),
        }
    }
}

/// The fields to set, each with its value as JSON.
fn values(set: &Bound<'_, PyAny>) -> PyResult<Vec<(Box<str>, Box<str>)>> {
    let py = set.py();
    let set = set.cast::<PyDict>().map_err(|_| PyTypeError::new_err("set is a dict of fields and values"))?;
    let dumps = orjson::dumps(py)?;
    set.iter()
        .map(|(name, value)| {
            let name = field(&name)?;
            let json = dumps.call1((value,)).map_err(|cause| {
                let error =
                    PyTypeError::new_err(format!("orjson does not encode the value of {name:?} in set"));
                error.set_cause(py, Some(cause));
                error
            })?;
            Ok((name, String::from_utf8_lossy(json.cast_into::<PyBytes>()?.as_bytes()).into()))
        })
        .collect()
}

/// The fields to remove.
fn names(remove: &Bound<'_, PyAny>) -> PyResult<Vec<Box<str>>> {
    match remove.try_iter() {
        Ok(names) if !remove.is_instance_of::<PyString>() => names.map(|name| field(&name?)).collect(),
        _ => {
            let given = remove.get_type().name()?;
            Err(PyTypeError::new_err(format!("remove is a set of fields, not {given}")))
        }
    }
}

fn field(name: &Bound<'_, PyAny>) -> PyResult<Box<str>> {
    match name.cast::<PyString>() {
        Ok(name) => Ok(name.to_str()?.into()),
        Err(_) => {
            Err(PyTypeError::new_err(format!("a field is named by a str, not {}", name.get_type().name()?)))
        }
    }
}

/// Whether a rule of two says to drop.
fn drops(rule: &str, value: &str) -> PyResult<bool> {
    match value {
        "keep" => Ok(false),
        "drop" => Ok(true),
        _ => Err(PyValueError::new_err(format!("{rule} is \"keep\" or \"drop\", not {value:?}"))),
    }
}
