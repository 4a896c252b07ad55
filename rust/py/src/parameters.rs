//! The parameters that several parsers have.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

/// A limit as a parameter: a whole number above 0, since it has to let something through. `PyO3` adds a note with the
/// parameter's name.
pub fn size(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let number = value.cast::<PyInt>().ok().filter(|_| !value.is_instance_of::<PyBool>());
    let Some(number) = number else {
        return Err(PyTypeError::new_err(format!("a limit is an int, not {}", value.get_type().name()?)));
    };
    match number.extract::<usize>() {
        Ok(size) if size > 0 => Ok(size),
        _ => {
            Err(PyValueError::new_err(format!("a limit is a number from 1 to {}, not {number}", usize::MAX)))
        }
    }
}

/// The same, where None stands for "not given".
pub fn optional_size(value: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if value.is_none() { Ok(None) } else { size(value).map(Some) }
}

/// Whether broken events are to be skipped: the parameter `errors`.
pub fn skips(errors: &str) -> PyResult<bool> {
    match errors {
        "strict" => Ok(false),
        "skip" => Ok(true),
        _ => Err(PyValueError::new_err(format!("errors is \"strict\" or \"skip\", not {errors:?}"))),
    }
}
