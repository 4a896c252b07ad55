//! JSON objects as immutable Python objects with attributes, made at once from a text that was parsed.
//!
//! The fields that a class names are slots. Others that were sent are made as well, and kept in a dict that nobody
//! can get at but by their names. Short strings that a parser has just made are given out again: of a chunk that is
//! parsed, most stood in the chunk before.

use std::collections::VecDeque;

use deltawire_core::json::{Kind, Value};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyList, PyTuple};

use crate::class::Class;
use crate::orjson;
use crate::raw::{NewRecord, Origin};
use crate::text::{self, Strings};
use crate::translation::{self, BoxedResult, Maker};

/// Whether a tool call's arguments are whole, and what had to be put right.
pub type CallFacts = (bool, Vec<String>);

/// A JSON text, as a part of bytes that are kept as long as the objects that are made of it.
#[derive(Clone, Copy)]
pub struct Json<'a, 'py> {
    pub bytes: &'a Bound<'py, PyBytes>,
    /// Where in the bytes it begins.
    pub at: usize,
}

impl<'a, 'py> Json<'a, 'py> {
    /// A text that all of the bytes are.
    pub fn all(bytes: &'a Bound<'py, PyBytes>) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn py(self) -> Python<'py> {
        self.bytes.py()
    }

    /// What an object is made from, by its place in the text.
    #[inline]
    pub fn origin(self, start: usize, end: usize) -> Origin<'a, 'py> {
        Origin { text: self.bytes, start: self.at + start, end: self.at + end }
    }
}

/// What objects are made of.
pub struct Text<'a, 'py> {
    pub json: Json<'a, 'py>,
    /// What was sent of the object that is the whole text, where that was no valid UTF-8.
    pub sent: Option<&'a Bound<'py, PyBytes>>,
    /// What is known of the tool calls beside their text, in the order in which they stand in it.
    pub calls: VecDeque<CallFacts>,
}

impl<'a, 'py> Text<'a, 'py> {
    pub fn new(json: Json<'a, 'py>) -> Self {
        Self { json, sent: None, calls: VecDeque::new() }
    }
}

/// An object of a class from a value of a text.
pub fn object<'py>(
    class: &'static Class,
    value: Option<Value<'_>>,
    text: Text<'_, 'py>,
    strings: &mut Strings,
) -> PyResult<Bound<'py, PyAny>> {
    translation::object(&mut Objects { text, strings }, class, value).map_err(|error| *error)
}

struct Objects<'a, 'py> {
    text: Text<'a, 'py>,
    strings: &'a mut Strings,
}

impl<'py> Objects<'_, 'py> {
    fn py(&self) -> Python<'py> {
        self.text.json.py()
    }
}

impl<'py> Maker<'py> for Objects<'_, 'py> {
    type Made = Bound<'py, PyAny>;
    type Record = NewRecord<'py>;
    type Members = Bound<'py, PyDict>;

    fn none(&mut self) -> Self::Made {
        self.py().None().into_bound(self.py())
    }

    fn scalar(&mut self, value: Value<'_>) -> BoxedResult<Self::Made> {
        scalar(self.py(), value, self.strings)
    }

    fn list(&mut self, items: impl ExactSizeIterator<Item = Self::Made>) -> BoxedResult<Self::Made> {
        Ok(PyList::new(self.py(), items)?.into_any())
    }

    fn members(&mut self, _: Value<'_>) -> Self::Members {
        PyDict::new(self.py())
    }

    fn insert(&mut self, members: &mut Self::Members, name: &str, made: Self::Made) -> BoxedResult<()> {
        Ok(members.set_item(text::key(members.py(), name)?, made)?)
    }

    fn dict(&mut self, members: Self::Members) -> Self::Made {
        members.into_any()
    }

    fn record(&mut self, class: &'static Class, object: Option<Value<'_>>) -> BoxedResult<Self::Record> {
        let Text { json, sent, .. } = self.text;
        let (start, end) = object.map_or((0, 0), |object| (object.start(), object.end()));
        let mut record = NewRecord::new(class.record(json.py())?, &json.origin(start, end))?;
        let is_whole = object.is_some_and(|object| object.node_number() == 0);
        if let Some(sent) = sent.filter(|_| is_whole) {
            record.set_sent(sent)?;
        }
        Ok(record)
    }

    fn set(&mut self, record: &mut Self::Record, field: usize, made: Self::Made) {
        record.set(field, made);
    }

    fn finish(&mut self, record: Self::Record, extras: Option<Self::Members>) -> Self::Made {
        record.finish(extras)
    }

    fn complete(&mut self) -> BoxedResult<Self::Made> {
        let complete = self.text.calls.front().is_none_or(|(complete, _)| *complete);
        Ok(complete.into_bound_py_any(self.py())?)
    }

    fn repairs(&mut self) -> BoxedResult<Self::Made> {
        let (_, repairs) = self.text.calls.pop_front().unwrap_or_default();
        Ok(PyTuple::new(self.py(), repairs)?.into_any())
    }
}

/// A scalar as orjson would give it.
pub fn scalar<'py>(
    py: Python<'py>,
    value: Value<'_>,
    strings: &mut Strings,
) -> BoxedResult<Bound<'py, PyAny>> {
    Ok(match value.kind() {
        Kind::String => strings.get(py, value.as_str().unwrap_or_default().as_bytes())?.into_any(),
        Kind::Number => number(py, value.raw())?,
        Kind::Bool => (value.raw() == "true").into_bound_py_any(py)?,
        _ => py.None().into_bound(py),
    })
}

/// A number as orjson would give it.
pub fn number<'py>(py: Python<'py>, digits: &str) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(number) = digits.parse::<i64>() {
        return number.into_bound_py_any(py);
    }
    // Both find the double that is nearest to a decimal. Whole numbers are another matter.
    if digits.contains(['.', 'e', 'E'])
        && let Ok(number) = digits.parse::<f64>()
        && number.is_finite()
    {
        return Ok(PyFloat::new(py, number).into_any());
    }
    orjson::loads(py)?.call1((PyBytes::new(py, digits.as_bytes()),))
}
