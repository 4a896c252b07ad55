//! JSON objects as immutable Python objects with attributes: how all chat objects are made.
//!
//! An object is made from its JSON text, which it keeps (objects inside it keep a part of the same bytes).
//! The fields that its class names are attributes that are made at once; any other field that was sent is
//! found in the text when it is asked for. `to_dict` decodes the text, so it is what was sent, to the letter.

use std::cell::RefCell;
use std::collections::VecDeque;

use deltawire_core::json::{Document, Kind, Value};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::errors::{self, Refused};
use crate::json_parser::orjson_loads;
use crate::text::text;

/// A JSON text, and what objects are made from beside it.
pub struct Text<'py> {
    pub json: Bound<'py, PyBytes>,
    /// What was sent, where that was no valid UTF-8.
    pub sent: Option<Bound<'py, PyBytes>>,
    /// What is known of the tool calls beside their text, in the order in which they stand in it.
    pub calls: RefCell<VecDeque<CallFacts>>,
}

/// Whether a tool call's arguments are whole, and what had to be put right.
pub type CallFacts = (bool, Vec<String>);

impl<'py> Text<'py> {
    pub fn new(json: Bound<'py, PyBytes>) -> Self {
        Self { json, sent: None, calls: RefCell::default() }
    }

    pub fn py(&self) -> Python<'py> {
        self.json.py()
    }
}

/// A part of a JSON text: what an object was made from.
pub struct Source {
    text: Py<PyBytes>,
    start: usize,
    end: usize,
    sent: Option<Py<PyBytes>>,
}

impl Source {
    /// The part of the text in which `value` stands, which was read from it.
    pub fn of(text: &Text<'_>, value: Option<Value<'_>>) -> Self {
        let (start, len) = value.map_or((0, 0), |value| (value.start(), value.raw().len()));
        let sent = text.sent.as_ref().filter(|_| value.is_some_and(Value::is_root));
        Self {
            text: text.json.clone().unbind(),
            start,
            end: start + len,
            sent: sent.map(|sent| sent.clone().unbind()),
        }
    }

    /// What was sent for this object.
    pub fn sent<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        match &self.sent {
            Some(sent) => sent.bind(py).clone(),
            None => PyBytes::new(py, self.raw(py)),
        }
    }

    /// The text; that of an object which was not sent is empty.
    pub fn raw(&self, py: Python<'_>) -> &[u8] {
        &self.text.as_bytes(py)[self.start..self.end]
    }

    pub fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.start == self.end {
            return Ok(PyDict::new(py).into_any());
        }
        orjson_loads(py)?.call1((PyBytes::new(py, self.raw(py)),))
    }

    pub fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        text(py, if self.start == self.end { b"{}" } else { self.raw(py) })
    }

    /// A field that the class does not name.
    pub fn field<'py>(&self, py: Python<'py>, class: &str, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let raw = String::from_utf8_lossy(self.raw(py));
        let mut document = Document::default();
        if !name.starts_with("__")
            && document.read(&raw).is_ok()
            && let Some(value) = document.root(&raw).get(name)
        {
            return plain(py, value);
        }
        Err(PyAttributeError::new_err(format!("{class:?} has no field {name:?}, and none was sent")))
    }

    pub fn equals(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        Ok(self.raw(py) == other.raw(py) || self.to_dict(py)?.eq(other.to_dict(py)?)?)
    }

    /// `Class(name=value, ...)`, with the fields that were sent.
    pub fn repr(&self, py: Python<'_>, class: &str) -> PyResult<String> {
        let fields = self.to_dict(py)?.cast_into::<PyDict>()?;
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, value)| Ok(format!("{name}={}", value.repr()?)))
            .collect::<PyResult<_>>()?;
        Ok(format!("{class}({})", fields.join(", ")))
    }
}

/// A value as orjson would give it.
pub fn plain<'py>(py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    let raw = value.raw();
    Ok(match value.kind() {
        Kind::Null => py.None().into_bound(py),
        Kind::Bool => (raw == "true").into_pyobject(py)?.to_owned().into_any(),
        Kind::String => text(py, value.as_str().unwrap_or_default().as_bytes())?.into_any(),
        Kind::Number if let Ok(number) = raw.parse::<i64>() => number.into_pyobject(py)?.into_any(),
        _ => orjson_loads(py)?.call1((PyBytes::new(py, raw.as_bytes()),))?,
    })
}

/// The text of an object that Python code hands in, with what it was read into.
fn read<'py>(json: &Bound<'py, PyAny>, document: &mut Document) -> PyResult<Bound<'py, PyBytes>> {
    let py = json.py();
    let bytes = if let Ok(bytes) = json.cast::<PyBytes>() {
        bytes.clone()
    } else if let Ok(text) = json.cast::<PyString>() {
        PyBytes::new(py, text.to_str()?.as_bytes())
    } else {
        return Err(PyTypeError::new_err(format!(
            "JSON text is bytes or str, not {}",
            json.get_type().name()?
        )));
    };
    let object = std::str::from_utf8(bytes.as_bytes())
        .is_ok_and(|text| document.read(text).is_ok() && document.root(text).kind() == Kind::Object);
    if object {
        return Ok(bytes);
    }
    let refused = Refused { place: None, data: bytes.as_bytes() };
    Err(match orjson_loads(py)?.call1((&bytes,)) {
        Err(cause) => errors::invalid_json(py, refused, &PyList::empty(py), Some(cause)),
        Ok(_) => errors::invalid_json(py, refused, &PyList::empty(py), None),
    })
}

/// An object of a class from the JSON text that Python code hands in.
pub fn parse<'py, T: Made>(
    json: &Bound<'py, PyAny>,
    calls: VecDeque<CallFacts>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut document = Document::default();
    let json = read(json, &mut document)?;
    let text = String::from_utf8_lossy(json.as_bytes());
    T::make(&Text { json: json.clone(), sent: None, calls: RefCell::new(calls) }, Some(document.root(&text)))
}

/// `==` of two objects of one class; None for the other stands for one of another class.
pub fn equal(py: Python<'_>, one: &Source, other: Option<&Source>) -> PyResult<Py<PyAny>> {
    match other {
        Some(other) => one.equals(py, other)?.into_py_any(py),
        None => Ok(py.NotImplemented()),
    }
}

/// How a class makes itself from a value of a chunk; None where the field was not sent.
pub trait Made: Sized {
    fn make<'py>(text: &Text<'py>, value: Option<Value<'_>>) -> PyResult<Bound<'py, PyAny>>;
}

/// A field that is given out as it is; None where it was not sent.
pub struct Plain;

impl Made for Plain {
    fn make<'py>(text: &Text<'py>, value: Option<Value<'_>>) -> PyResult<Bound<'py, PyAny>> {
        let py = text.py();
        value.map_or_else(|| Ok(py.None().into_bound(py)), |value| plain(py, value))
    }
}

/// An object of a class; a value of another kind as it is.
pub struct Optional<T>(std::marker::PhantomData<T>);

impl<T: Made> Made for Optional<T> {
    fn make<'py>(text: &Text<'py>, value: Option<Value<'_>>) -> PyResult<Bound<'py, PyAny>> {
        match value {
            Some(object) if object.kind() == Kind::Object => T::make(text, value),
            _ => Plain::make(text, value),
        }
    }
}

/// A list of objects of a class, without items that are none; None where it was not sent.
pub struct ListOf<T>(std::marker::PhantomData<T>);

impl<T: Made> Made for ListOf<T> {
    fn make<'py>(text: &Text<'py>, value: Option<Value<'_>>) -> PyResult<Bound<'py, PyAny>> {
        match value {
            Some(list) if list.kind() == Kind::Array => {
                let objects = list.items().filter(|item| item.kind() == Kind::Object);
                let items: Vec<_> = objects.map(|item| T::make(text, Some(item))).collect::<PyResult<_>>()?;
                Ok(PyList::new(text.py(), items)?.into_any())
            }
            _ => Plain::make(text, value),
        }
    }
}

/// A list as before, empty where it was not sent: what every reader of chunks iterates over.
pub struct ListAlways<T>(std::marker::PhantomData<T>);

impl<T: Made> Made for ListAlways<T> {
    fn make<'py>(text: &Text<'py>, value: Option<Value<'_>>) -> PyResult<Bound<'py, PyAny>> {
        match value {
            Some(list) if list.kind() == Kind::Array => ListOf::<T>::make(text, value),
            _ => Ok(PyList::empty(text.py()).into_any()),
        }
    }
}

/// Defines a class: `Name { field = "key": How }`.
macro_rules! object {
    ($(#[$doc:meta])* $Name:ident { $($field:ident = $key:literal : $How:ty),* $(,)? }) => {
        $(#[$doc])*
        #[pyclass(frozen, module = "deltawire")]
        pub struct $Name {
            $(#[pyo3(get, name = $key)] $field: Py<PyAny>,)*
            source: Source,
        }

        impl Made for $Name {
            fn make<'py>(
                text: &Text<'py>,
                value: Option<Value<'_>>,
            ) -> PyResult<Bound<'py, PyAny>> {
                $(let mut $field = None;)*
                let object = value.filter(|value| value.kind() == Kind::Object);
                for (key, value) in object.into_iter().flat_map(Value::members) {
                    match &*key {
                        $($key => $field = Some(value),)*
                        _ => {}
                    }
                }
                let made = $Name {
                    $($field: <$How as Made>::make(text, $field)?.unbind(),)*
                    source: Source::of(text, object),
                };
                Ok(Bound::new(text.py(), made)?.into_any())
            }
        }

        #[pymethods]
        impl $Name {
            #[new]
            fn from_json<'py>(json: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                object::parse::<Self>(json, std::collections::VecDeque::new())
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
                self.source.field(py, stringify!($Name), name)
            }

            fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
                object::equal(py, &self.source, other.cast::<Self>().ok().map(|other| &other.get().source))
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                self.source.repr(py, stringify!($Name))
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyString>,))> {
                Ok((slf.get_type(), (slf.get().source.to_json(slf.py())?,)))
            }
        }
    };
}
pub(crate) use object;
