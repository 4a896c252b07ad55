//! What all objects of a chat can do, and how Python code makes one.
//!
//! An object knows the JSON text that it was made from (objects inside it a part of the same bytes). `to_dict`
//! decodes that text, so it is what was sent, to the letter.

use std::collections::VecDeque;

use deltawire_core::json::{Document, Kind};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyAttributeError, PySystemError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyType};

use crate::class::Class;
use crate::errors::{self, Refused};
use crate::make::{self, CallFacts, Json, Text};
use crate::orjson;
use crate::raw::{self, text};
use crate::text::Strings;

/// What the objects of a chat have in common: each is JSON text with attributes, and immutable.
#[pyclass(subclass, frozen, module = "deltawire", name = "_ChatObject")]
pub struct ChatObject;

/// The names of its methods, and Python's own: a field that is called so is in `to_dict` only.
pub fn is_taken(name: &str) -> bool {
    name.starts_with("__")
        || matches!(
            name,
            "raw" | "to_dict" | "model_dump" | "to_json" | "model_dump_json" | "parse" | "partial"
        )
}

#[pymethods]
impl ChatObject {
    #[new]
    #[classmethod]
    fn from_json<'py>(cls: &Bound<'py, PyType>, json: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        parse(Class::of(cls)?, json, VecDeque::new())
    }

    #[getter]
    fn raw<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let made = made(slf)?;
        Ok(PyBytes::new(slf.py(), made.sent.unwrap_or(&made.text[made.start..made.end])))
    }

    fn to_dict<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let json = json(slf)?;
        if json.is_empty() {
            return Ok(PyDict::new(slf.py()).into_any());
        }
        orjson::loads(slf.py())?.call1((PyBytes::new(slf.py(), json),))
    }

    #[pyo3(signature = (*, mode = "python", exclude_unset = true, exclude_none = false))]
    fn model_dump<'py>(
        slf: &Bound<'py, Self>,
        mode: &str,
        exclude_unset: bool,
        exclude_none: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        // What was decoded from JSON is the same in both modes, and has nothing that was not set.
        let _ = (mode, exclude_unset);
        let fields = Self::to_dict(slf)?;
        if exclude_none {
            leave_out_none(&fields)?;
        }
        Ok(fields)
    }

    #[pyo3(signature = (*, indent = None, exclude_unset = true, exclude_none = false))]
    fn model_dump_json<'py>(
        slf: &Bound<'py, Self>,
        indent: Option<usize>,
        exclude_unset: bool,
        exclude_none: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if indent.is_none() && !exclude_none {
            return Ok(Self::to_json(slf)?.into_any());
        }
        let fields = Self::model_dump(slf, "json", exclude_unset, exclude_none)?;
        write_json(&fields, indent)
    }

    fn to_json<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        let json = json(slf)?;
        text(slf.py(), if json.is_empty() { b"{}" } else { json })
    }

    fn __setattr__(slf: &Bound<'_, Self>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = value;
        Err(immutable(slf, name))
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<()> {
        Err(immutable(slf, name))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match other.cast::<Self>() {
            Ok(other) if slf.get_type().is(other.get_type()) => {
                let equal = json(slf)? == json(other)? || Self::to_dict(slf)?.eq(Self::to_dict(other)?)?;
                equal.into_py_any(py)
            }
            _ => Ok(py.NotImplemented()),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type().name()?;
        repr(&class.to_cow()?, &Self::to_dict(slf)?)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyString>,))> {
        Ok((slf.get_type(), (Self::to_json(slf)?,)))
    }
}

/// What tool calls have in common with other objects, and beside it.
#[pyclass(extends = ChatObject, subclass, frozen, module = "deltawire", name = "_ToolCallObject")]
pub struct ToolCallObject;

#[pymethods]
impl ToolCallObject {
    #[new]
    #[classmethod]
    #[pyo3(signature = (json, *, complete = true, repairs = Vec::new()), text_signature = "(json, *, complete=True, repairs=())")]
    fn from_json<'py>(
        cls: &Bound<'py, PyType>,
        json: &Bound<'py, PyAny>,
        complete: bool,
        repairs: Vec<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        parse(Class::of(cls)?, json, [(complete, repairs)].into())
    }

    fn parse<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let Some(arguments) = arguments(slf)? else { return input(slf) };
        orjson::decode(&arguments)
    }

    fn partial<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let Some(arguments) = arguments(slf)? else { return input(slf) };
        crate::partial::decode(slf.py(), arguments.to_str()?)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyString>,))> {
        let py = slf.py();
        let facts = PyDict::new(py);
        for name in ["complete", "repairs"] {
            facts.set_item(name, slf.getattr(name)?)?;
        }
        let partial = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&facts))?;
        Ok((partial, (ChatObject::to_json(slf.as_super())?,)))
    }
}

/// The text of a custom tool.
fn input<'py>(call: &Bound<'py, ToolCallObject>) -> PyResult<Bound<'py, PyAny>> {
    let custom = call.getattr("custom")?;
    if custom.is_none() {
        let kind = call.getattr("type")?.repr()?;
        return Err(PyTypeError::new_err(format!(
            "a call of the type {kind} has no arguments that are known: read the fields of its own"
        )));
    }
    custom.getattr("input")
}

/// The arguments of a function; None of a custom tool, which has free text instead.
fn arguments<'py>(call: &Bound<'py, ToolCallObject>) -> PyResult<Option<Bound<'py, PyString>>> {
    let function = call.getattr("function")?;
    if function.is_none() {
        return Ok(None);
    }
    Ok(Some(function.getattr("arguments")?.cast_into::<PyString>()?))
}

fn made<'a>(object: &'a Bound<'_, ChatObject>) -> PyResult<raw::Made<'a>> {
    raw::origin(object.as_any()).ok_or_else(|| PySystemError::new_err("not an object of a chat"))
}

/// The text of an object; that of one that was not sent is empty.
fn json<'a>(object: &'a Bound<'_, ChatObject>) -> PyResult<&'a [u8]> {
    let made = made(object)?;
    Ok(&made.text[made.start..made.end])
}

fn immutable(object: &Bound<'_, ChatObject>, name: &str) -> PyErr {
    let class = object.get_type();
    PyAttributeError::new_err(format!("cannot set or delete {name:?}: objects of {class} are immutable"))
}

/// `Class(name=value, ...)`, with the fields that were sent.
pub fn repr(class: &str, fields: &Bound<'_, PyAny>) -> PyResult<String> {
    let fields = fields.cast::<PyDict>()?.iter();
    let fields: Vec<String> =
        fields.map(|(name, value)| Ok(format!("{name}={}", value.repr()?))).collect::<PyResult<_>>()?;
    Ok(format!("{class}({})", fields.join(", ")))
}

/// Takes the members that are None out of what was decoded, at every level.
fn leave_out_none(value: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(members) = value.cast::<PyDict>() {
        // A copy, since a dict must not change while it is gone through.
        for (name, member) in members.copy()? {
            if member.is_none() {
                members.del_item(name)?;
            } else {
                leave_out_none(&member)?;
            }
        }
    } else if let Ok(items) = value.cast::<PyList>() {
        items.iter().try_for_each(|item| leave_out_none(&item))?;
    }
    Ok(())
}

/// What was decoded as JSON text again, as pydantic writes it: compact, or indented.
fn write_json<'py>(value: &Bound<'py, PyAny>, indent: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let how = PyDict::new(py);
    how.set_item("ensure_ascii", false)?;
    match indent {
        Some(_) => how.set_item("indent", indent)?,
        None => how.set_item("separators", (",", ":"))?,
    }
    py.import("json")?.getattr("dumps")?.call((value,), Some(&how))
}

/// The text of a chunk that Python code hands in, if it is one.
pub fn chunk_json<'a>(object: &'a Bound<'_, PyAny>) -> PyResult<Option<&'a [u8]>> {
    let chunk = crate::class::CHUNK.get(object.py())?;
    if !object.get_type().is(chunk) {
        return Ok(None);
    }
    Ok(raw::origin(object).map(|made| &made.text[made.start..made.end]))
}

/// An object of a class from the JSON text that Python code hands in.
pub fn parse<'py>(
    class: &'static Class,
    json: &Bound<'py, PyAny>,
    calls: VecDeque<CallFacts>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = json.py();
    let json = if let Ok(bytes) = json.cast::<PyBytes>() {
        bytes.clone()
    } else if let Ok(text) = json.cast::<PyString>() {
        PyBytes::new(py, text.to_str()?.as_bytes())
    } else {
        let given = json.get_type();
        return Err(PyTypeError::new_err(format!("JSON text is bytes or str, not {}", given.name()?)));
    };
    let mut document = Document::default();
    if let Ok(text) = std::str::from_utf8(json.as_bytes())
        && document.read(text).is_ok()
        && document.root(text).kind() == Kind::Object
    {
        let root = document.root(text);
        let text = Text { calls, ..Text::new(Json::all(&json)) };
        return make::object(class, Some(root), text, &mut Strings::default());
    }
    let refused = Refused::new(None, json.as_bytes());
    let cause = orjson::loads(py)?.call1((&json,)).err();
    Err(errors::invalid_json(py, &refused, &PyList::empty(py), cause))
}
