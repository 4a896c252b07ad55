//! The parsers that a stream feeds without asking Python: what each gives for a chunk, and whether that was the end.

use pyo3::exceptions::PySystemError;
use pyo3::prelude::*;

use crate::chat_reader::ChatReader;
use crate::event_parser::EventParser;
use crate::found::Found;
use crate::json_parser::JSONParser;
use crate::relay_reader::RelayReader;

/// What came of a chunk: what it completed, and whether the parser has seen the sentinel by now.
pub struct Fed<'py> {
    pub found: Found<'py>,
    pub is_done: bool,
}

/// Whether `feed` can feed this one.
#[inline]
pub fn can_feed(parser: &Bound<'_, PyAny>) -> bool {
    parser.is_exact_instance_of::<ChatReader>()
        || parser.is_exact_instance_of::<RelayReader>()
        || parser.is_exact_instance_of::<EventParser>()
        || parser.is_exact_instance_of::<JSONParser>()
}

/// Feeds one of these.
pub fn feed<'py>(parser: &Bound<'py, PyAny>, data: &Bound<'py, PyAny>) -> PyResult<Fed<'py>> {
    if let Ok(reader) = parser.cast_exact::<ChatReader>() {
        return ChatReader::read(reader, data);
    }
    if let Ok(reader) = parser.cast_exact::<RelayReader>() {
        return RelayReader::read(reader, data);
    }
    let (found, is_done) = if let Ok(parser) = parser.cast_exact::<EventParser>() {
        (EventParser::feed(parser, data)?, false)
    } else if let Ok(parser) = parser.cast_exact::<JSONParser>() {
        let found = JSONParser::feed(parser, data)?;
        (found, parser.borrow().done())
    } else {
        return Err(PySystemError::new_err("no parser that can be fed"));
    };
    let found = if found.is_empty() { Found::Nothing } else { Found::Many(found) };
    Ok(Fed { found, is_done })
}
