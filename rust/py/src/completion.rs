//! The assembled message, under the names and attributes of the openai package.
//!
//! `ChatCompletion` holds what the accumulator held, which takes a copy if it goes on while that is kept. The canonical
//! body is written when it is first asked for, and the objects are made from it only for who reads an attribute: reading
//! `completion` for its verdict alone costs little, and `to_dict` decodes the body once.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltawire_core::chat::{self, Accumulator};
use deltawire_core::json::Document;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};
use pyo3::{IntoPyObjectExt, intern};

use crate::class::BODY;
use crate::make::CallFacts;
use crate::object;
use crate::orjson;
use crate::raw::text;

/// What a completion is made of, once it is asked for.
struct Whole {
    body: Py<PyAny>,
    calls: Vec<CallFacts>,
}

/// A chat completion as far as it has come.
#[pyclass(frozen, module = "deltawire")]
pub struct ChatCompletion {
    /// None if it was made of a body.
    snapshot: Option<Snapshot>,
    /// The body that the snapshot is written as.
    written: PyOnceLock<Py<PyBytes>>,
    whole: PyOnceLock<Whole>,
    /// If it was made of a body.
    first_model: Option<Box<str>>,
}

/// What an accumulator held.
pub struct Snapshot {
    pub message: Arc<Accumulator>,
    pub ended: bool,
    /// Ids from the user's factory, by choice and ordinal.
    pub ids: Ids,
}

/// Ids of tool calls that came without one, by the index of the choice and the call's ordinal.
pub type Ids = BTreeMap<(u64, usize), String>;

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
        Self {
            snapshot: Some(snapshot),
            written: PyOnceLock::new(),
            whole: PyOnceLock::new(),
            first_model: None,
        }
    }
}

impl ChatCompletion {
    /// The canonical body, if it has to be written.
    fn written<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyBytes>> {
        let Snapshot { message, ended, ids } = self.snapshot.as_ref()?;
        let written = self.written.get_or_init(py, || {
            let json = message.body(*ended, |index, call| id_of(ids, index, call));
            PyBytes::new(py, json.as_bytes()).unbind()
        });
        Some(written.bind(py))
    }

    fn whole<'a>(&'a self, py: Python<'_>) -> PyResult<&'a Whole> {
        self.whole.get_or_try_init(py, || {
            let (Some(Snapshot { message, ended, .. }), Some(json)) = (&self.snapshot, self.written(py))
            else {
                return Err(PyRuntimeError::new_err("no message"));
            };
            let mut document = Document::default();
            let calls = message.choices().flat_map(|(_, choice)| choice.tool_calls.iter());
            let calls: Vec<CallFacts> = calls.map(|call| facts(call, *ended, &mut document)).collect();
            Whole::read(json.as_any(), calls)
        })
    }

    fn body<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyAny>> {
        Ok(self.whole(py)?.body.bind(py))
    }
}

impl Whole {
    fn read(json: &Bound<'_, PyAny>, calls: Vec<CallFacts>) -> PyResult<Self> {
        let body = object::parse(&BODY, json, calls.iter().cloned().collect())?;
        Ok(Self { body: body.unbind(), calls })
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
        let first_model = first_model.map(Into::into);
        Ok(Self { snapshot: None, written: PyOnceLock::new(), whole, first_model })
    }

    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "id"))
    }

    #[getter]
    fn choices<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "choices"))
    }

    #[getter]
    fn created<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "created"))
    }

    #[getter]
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "model"))
    }

    #[getter]
    fn object<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "object"))
    }

    #[getter]
    fn service_tier<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "service_tier"))
    }

    #[getter]
    fn system_fingerprint<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "system_fingerprint"))
    }

    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "metadata"))
    }

    #[getter]
    fn moderation<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "moderation"))
    }

    #[getter]
    fn usage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "usage"))
    }

    #[getter]
    fn first_model(&self) -> Option<&str> {
        self.snapshot.as_ref().map_or(self.first_model.as_deref(), |snapshot| snapshot.message.first_model())
    }

    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(intern!(py, "raw"))
    }

    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(json) = self.written(py) {
            return orjson::loads(py)?.call1((json,));
        }
        self.body(py)?.call_method0(intern!(py, "to_dict"))
    }

    #[pyo3(
        signature = (**how),
        text_signature = "($self, *, mode='python', exclude_unset=True, exclude_none=False)",
    )]
    fn model_dump<'py>(
        &self,
        py: Python<'py>,
        how: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.call_method(intern!(py, "model_dump"), (), how)
    }

    #[pyo3(
        signature = (**how),
        text_signature = "($self, *, indent=None, exclude_unset=True, exclude_none=False)",
    )]
    fn model_dump_json<'py>(
        &self,
        py: Python<'py>,
        how: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.call_method(intern!(py, "model_dump_json"), (), how)
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(json) = self.written(py) {
            return Ok(text(py, json.as_bytes())?.into_any());
        }
        self.body(py)?.call_method0(intern!(py, "to_json"))
    }

    /// The fields that the provider added.
    fn __getattr__<'py>(&self, py: Python<'py>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        self.body(py)?.getattr(name)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        match other.cast::<Self>() {
            Ok(other) => self.body(py)?.eq(other.get().body(py)?)?.into_py_any(py),
            Err(_) => Ok(py.NotImplemented()),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        object::repr("ChatCompletion", &self.to_dict(py)?)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>,))> {
        let py = slf.py();
        let facts = PyDict::new(py);
        facts.set_item("calls", slf.get().whole(py)?.calls.clone())?;
        facts.set_item("first_model", slf.get().first_model())?;
        let partial = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&facts))?;
        Ok((partial, (slf.get().to_json(py)?,)))
    }
}
