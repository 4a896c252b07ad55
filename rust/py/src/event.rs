//! `ServerSentEvent`.

use pyo3::IntoPyObjectExt;
use pyo3::basic::CompareOp;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyNotImplemented, PyString, PyTuple, PyType};

use crate::orjson;

/// One dispatched event, as the HTML standard describes it.
#[pyclass(frozen, module = "deltawire")]
pub struct ServerSentEvent {
    #[pyo3(get)]
    pub event: Py<PyString>,
    #[pyo3(get)]
    pub data: Py<PyString>,
    #[pyo3(get)]
    pub id: Py<PyString>,
    #[pyo3(get)]
    pub retry: Option<u64>,
}

#[pymethods]
impl ServerSentEvent {
    #[classattr]
    fn __match_args__() -> (&'static str, &'static str, &'static str, &'static str) {
        ("event", "data", "id", "retry")
    }

    #[new]
    #[pyo3(signature = (event = None, data = None, id = None, retry = None), text_signature = "(event='message', data='', id='', retry=None)")]
    fn new(
        py: Python<'_>,
        event: Option<Py<PyString>>,
        data: Option<Py<PyString>>,
        id: Option<Py<PyString>>,
        retry: Option<Bound<'_, PyInt>>,
    ) -> PyResult<Self> {
        let or = |given: Option<Py<PyString>>, default| {
            given.unwrap_or_else(|| PyString::new(py, default).unbind())
        };
        let milliseconds = |retry: Bound<'_, PyInt>| {
            let refused = || format!("retry is a number of milliseconds from 0 to 2 ** 64 - 1, not {retry}");
            retry.extract().map_err(|_| PyValueError::new_err(refused()))
        };
        let retry = retry.map(milliseconds).transpose()?;
        Ok(Self { event: or(event, "message"), data: or(data, ""), id: or(id, ""), retry })
    }

    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        orjson::decode(self.data.bind(py))
    }

    fn __richcmp__<'py>(
        &self,
        py: Python<'py>,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Ok(other) = other.cast::<Self>() else {
            return PyNotImplemented::get(py).into_bound_py_any(py);
        };
        match op {
            CompareOp::Eq | CompareOp::Ne => {
                let equal = self.fields(py)?.eq(other.get().fields(py)?)?;
                (equal == matches!(op, CompareOp::Eq)).into_bound_py_any(py)
            }
            _ => PyNotImplemented::get(py).into_bound_py_any(py),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.fields(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = format!(
            "ServerSentEvent(event={}, data={}",
            self.event.bind(py).repr()?,
            self.data.bind(py).repr()?
        );
        if self.id.bind(py).len()? > 0 {
            text = format!("{text}, id={}", self.id.bind(py).repr()?);
        }
        if let Some(retry) = self.retry {
            text = format!("{text}, retry={retry}");
        }
        Ok(text + ")")
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, Bound<'py, PyTuple>)> {
        Ok((slf.get_type(), slf.get().fields(slf.py())?))
    }
}

impl ServerSentEvent {
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        (&self.event, &self.data, &self.id, self.retry).into_pyobject(py)
    }
}
