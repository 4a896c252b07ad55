//! The part of a JSON text that has come, for display.

use deltawire_core::json::Document;
use jiter::{JsonValue, PartialMode};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::orjson;

/// Decodes an incomplete JSON text as far as it goes, an unfinished string included; None if it does not
/// begin like one. A whole one is for orjson; else one pass, by jiter's partial mode.
pub fn decode<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if Document::default().read(text).is_ok() {
        return orjson::loads(py)?.call1((text,));
    }
    match JsonValue::parse_with_config(text.as_bytes(), false, PartialMode::TrailingStrings) {
        Ok(value) => object(py, &value),
        Err(_) => Ok(py.None().into_bound(py)),
    }
}

fn object<'py>(py: Python<'py>, value: &JsonValue<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        JsonValue::Null => py.None().into_bound(py),
        JsonValue::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        JsonValue::Int(value) => value.into_pyobject(py)?.into_any(),
        // orjson's integers end with 64 bits; beyond these it has floats.
        JsonValue::BigInt(value) => orjson::loads(py)?.call1((value.to_string(),))?,
        JsonValue::Float(value) => value.into_pyobject(py)?.into_any(),
        JsonValue::Str(value) => value.into_pyobject(py)?.into_any(),
        JsonValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| object(py, item)).collect::<PyResult<_>>()?;
            PyList::new(py, items)?.into_any()
        }
        JsonValue::Object(members) => {
            let dict = PyDict::new(py);
            for (key, value) in members.iter() {
                dict.set_item(key, object(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
