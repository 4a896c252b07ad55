//! The parsers that a stream feeds without asking Python: what each gives for a chunk, and whether that was the end.

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

/// A parser that can be fed, by its class.
pub enum Parser<'a, 'py> {
    Chat(&'a Bound<'py, ChatReader>),
    Relay(&'a Bound<'py, RelayReader>),
    Event(&'a Bound<'py, EventParser>),
    Json(&'a Bound<'py, JSONParser>),
}

impl<'a, 'py> Parser<'a, 'py> {
    /// None for what has to be fed by Python.
    #[inline]
    pub fn of(parser: &'a Bound<'py, PyAny>) -> Option<Self> {
        let chat = parser.cast_exact().map(Self::Chat);
        chat.or_else(|_| parser.cast_exact().map(Self::Relay))
            .or_else(|_| parser.cast_exact().map(Self::Event))
            .or_else(|_| parser.cast_exact().map(Self::Json))
            .ok()
    }

    pub fn feed(self, data: &Bound<'py, PyAny>) -> PyResult<Fed<'py>> {
        let (found, is_done) = match self {
            Self::Chat(parser) => return ChatReader::read(parser, data),
            Self::Relay(parser) => return RelayReader::read(parser, data),
            Self::Event(parser) => (EventParser::feed(parser, data)?, false),
            Self::Json(parser) => (JSONParser::feed(parser, data)?, parser.borrow().done()),
        };
        let found = if found.is_empty() { Found::Nothing } else { Found::Many(found) };
        Ok(Fed { found, is_done })
    }
}
