//! The assembled message, under the names and attributes of the openai package.
//!
//! `ChatCompletion` is a copy of what the accumulator holds. The canonical body is written, and the objects
//! are made from it, when they are first asked for: reading `completion` for its verdict alone costs little.

use std::collections::HashMap;

use deltawire_core::chat::{self, Accumulator};
use deltawire_core::json::{Document, Kind, Value};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

use crate::chunk::{ChoiceLogprobs, CompletionUsage};
use crate::errors::{self, Refused};
use crate::json_parser::orjson_loads;
use crate::object::{self, CallFacts, ListAlways, ListOf, Made, Optional, Plain, Source, Text, object};

object! {
    /// One of the answers.
    Choice {
        finish_reason = "finish_reason": Plain,
        index = "index": Plain,
        logprobs = "logprobs": Optional<ChoiceLogprobs>,
        message = "message": ChatCompletionMessage,
    }
}

object! {
    /// The message of an answer.
    ChatCompletionMessage {
        content = "content": Plain,
        refusal = "refusal": Plain,
        role = "role": Plain,
        annotations = "annotations": Plain,
        audio = "audio": Optional<ChatCompletionAudio>,
        function_call = "function_call": Optional<Function>,
        tool_calls = "tool_calls": ListOf<ToolCall>,
        reasoning = "reasoning": Plain,
    }
}

object! {
    /// Audio output.
    ChatCompletionAudio {
        id = "id": Plain,
        data = "data": Plain,
        expires_at = "expires_at": Plain,
        transcript = "transcript": Plain,
    }
}

object! {
    /// A function that the model wants called.
    Function {
        arguments = "arguments": Plain,
        name = "name": Plain,
    }
}

object! {
    /// A custom tool that the model wants called.
    Custom {
        input = "input": Plain,
        name = "name": Plain,
    }
}

object! {
    /// The body of a whole completion.
    Body {
        id = "id": Plain,
        choices = "choices": ListAlways<Choice>,
        created = "created": Plain,
        model = "model": Plain,
        object = "object": Plain,
        service_tier = "service_tier": Plain,
        system_fingerprint = "system_fingerprint": Plain,
        usage = "usage": Optional<CompletionUsage>,
    }
}

/// A tool call of a message.
#[pyclass(frozen, module = "deltawire")]
pub struct ToolCall {
    #[pyo3(get)]
    id: Py<PyAny>,
    #[pyo3(get, name = "type")]
    kind: Py<PyAny>,
    #[pyo3(get)]
    function: Py<PyAny>,
    #[pyo3(get)]
    custom: Py<PyAny>,
    #[pyo3(get)]
    complete: bool,
    #[pyo3(get)]
    repairs: Py<PyTuple>,
    source: Source,
}

impl Made for ToolCall {
    fn make<'py>(text: &Text<'py>, value: Option<Value<'_>>) -> PyResult<Bound<'py, PyAny>> {
        let py = text.py();
        let object = value.filter(|value| value.kind() == Kind::Object);
        let field = |key| object.and_then(|object| object.get(key));
        let (complete, repairs) = text.calls.borrow_mut().pop_front().unwrap_or((true, Vec::new()));
        let call = Self {
            id: Plain::make(text, field("id"))?.unbind(),
            kind: Plain::make(text, field("type"))?.unbind(),
            function: Optional::<Function>::make(text, field("function"))?.unbind(),
            custom: Optional::<Custom>::make(text, field("custom"))?.unbind(),
            complete,
            repairs: PyTuple::new(py, repairs)?.unbind(),
            source: Source::of(text, object),
        };
        Ok(Bound::new(py, call)?.into_any())
    }
}

#[pymethods]
impl ToolCall {
    #[new]
    #[pyo3(signature = (json, *, complete = true, repairs = Vec::new()), text_signature = "(json, *, complete=True, repairs=())")]
    fn from_json<'py>(
        json: &Bound<'py, PyAny>,
        complete: bool,
        repairs: Vec<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        object::parse::<Self>(json, [(complete, repairs)].into())
    }

    fn parse<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(arguments) = self.arguments(py)? else { return self.custom.bind(py).getattr("input") };
        orjson_loads(py)?.call1((&arguments,)).map_err(|cause| {
            let text = arguments.to_string_lossy();
            let refused = Refused { place: None, data: text.as_bytes() };
            errors::invalid_json(py, refused, &PyList::empty(py), Some(cause))
        })
    }

    fn partial<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(arguments) = self.arguments(py)? else { return self.custom.bind(py).getattr("input") };
        crate::partial::decode(py, arguments.to_str()?)
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        self.source.sent(py)
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.source.to_dict(py)
    }

    fn model_dump<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.source.to_dict(py)
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.source.to_json(py)
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.source.field(py, "ToolCall", name)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        object::equal(py, &self.source, other.cast::<Self>().ok().map(|other| &other.get().source))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        self.source.repr(py, "ToolCall")
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyString>,))> {
        let py = slf.py();
        let call = slf.get();
        let facts = PyDict::new(py);
        facts.set_item("complete", call.complete)?;
        facts.set_item("repairs", &call.repairs)?;
        let partial = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&facts))?;
        Ok((partial, (call.source.to_json(py)?,)))
    }
}

impl ToolCall {
    /// The arguments of a function; None of a custom tool, which has free text instead.
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyString>>> {
        if self.function.is_none(py) {
            return Ok(None);
        }
        Ok(Some(self.function.bind(py).getattr("arguments")?.cast_into::<PyString>()?))
    }
}

/// What a completion is made of, once it is asked for.
struct Whole {
    body: Py<Body>,
    calls: Vec<CallFacts>,
}

/// A chat completion as far as it has come.
#[pyclass(frozen, module = "deltawire")]
pub struct ChatCompletion {
    snapshot: Option<Snapshot>,
    whole: PyOnceLock<Whole>,
    first_model: Option<Box<str>>,
}

/// A copy of what an accumulator held.
pub struct Snapshot {
    pub message: Accumulator,
    pub ended: bool,
    /// Ids from the user's factory, by choice and ordinal.
    pub ids: Ids,
}

/// Ids of tool calls that came without one, by the index of the choice and the call's ordinal.
pub type Ids = HashMap<(u64, usize), String>;

/// The id of a call: the provider's, else the user's, else a generated one.
pub fn id_of(ids: &Ids, index: u64, call: &chat::ToolCall) -> String {
    match (&call.id, ids.get(&(index, call.ordinal))) {
        (Some(id), _) => id.to_string(),
        (None, Some(id)) => id.clone(),
        (None, None) => call.generated_id.to_string(),
    }
}

/// What is known of a call beside its text.
pub fn facts(call: &chat::ToolCall, ended: bool, document: &mut Document) -> CallFacts {
    (call.is_complete(ended, document), call.repairs(ended).names().map(str::to_owned).collect())
}

impl From<Snapshot> for ChatCompletion {
    fn from(snapshot: Snapshot) -> Self {
        let first_model = snapshot.message.first_model.clone();
        Self { snapshot: Some(snapshot), whole: PyOnceLock::new(), first_model }
    }
}

impl ChatCompletion {
    fn whole<'a>(&'a self, py: Python<'_>) -> PyResult<&'a Whole> {
        self.whole.get_or_try_init(py, || {
            let snapshot = self.snapshot.as_ref().ok_or_else(|| PyRuntimeError::new_err("no message"))?;
            let Snapshot { message, ended, ids } = snapshot;
            let mut document = Document::default();
            let calls = message.choices().flat_map(|(_, choice)| choice.tool_calls.iter());
            let calls: Vec<CallFacts> = calls.map(|call| facts(call, *ended, &mut document)).collect();
            let json = message.body(*ended, |index, call| id_of(ids, index, call));
            Whole::read(PyString::new(py, &json).as_any(), calls)
        })
    }

    fn body<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, Body>> {
        Ok(self.whole(py)?.body.bind(py))
    }
}

impl Whole {
    fn read(json: &Bound<'_, PyAny>, calls: Vec<CallFacts>) -> PyResult<Self> {
        let body = object::parse::<Body>(json, calls.iter().cloned().collect())?;
        Ok(Self { body: body.cast_into::<Body>()?.unbind(), calls })
    }
}

#[pymethods]
impl ChatCompletion {
    #[new]
    #[pyo3(signature = (json, *, calls = Vec::new(), first_model = None), text_signature = "(json, *, calls=(), first_model=None)")]
    fn from_json(
        json: &Bound<'_, PyAny>,
        calls: Vec<CallFacts>,
        first_model: Option<String>,
    ) -> PyResult<Self> {
        let whole = PyOnceLock::new();
        // It is new, so it takes what it is given.
        let _ = whole.set(json.py(), Whole::read(json, calls)?);
        Ok(Self { snapshot: None, whole, first_model: first_model.map(Into::into) })
    }

    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().id.bind(py).clone())
    }

    #[getter]
    fn choices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().choices.bind(py).clone())
    }

    #[getter]
    fn created<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().created.bind(py).clone())
    }

    #[getter]
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().model.bind(py).clone())
    }

    #[getter]
    fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().object.bind(py).clone())
    }

    #[getter]
    fn service_tier<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().service_tier.bind(py).clone())
    }

    #[getter]
    fn system_fingerprint<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().system_fingerprint.bind(py).clone())
    }

    #[getter]
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.body(py)?.get().usage.bind(py).clone())
    }

    #[getter]
    fn first_model(&self) -> Option<&str> {
        self.first_model.as_deref()
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(self.body(py)?.get().source.sent(py))
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.get().source.to_dict(py)
    }

    fn model_dump<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.to_dict(py)
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        self.body(py)?.get().source.to_json(py)
    }

    /// The fields that the provider added.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(name)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let other = match other.cast::<Self>() {
            Ok(other) => Some(&other.get().body(py)?.get().source),
            Err(_) => None,
        };
        object::equal(py, &self.body(py)?.get().source, other)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        self.body(py)?.get().source.repr(py, "ChatCompletion")
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyString>,))> {
        let py = slf.py();
        let facts = PyDict::new(py);
        facts.set_item("calls", slf.get().whole(py)?.calls.clone())?;
        facts.set_item("first_model", slf.get().first_model())?;
        let partial = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&facts))?;
        Ok((partial, (slf.get().to_json(py)?,)))
    }
}
