//! The parsers that a stream feeds without asking Python: what each gives for a chunk, and whether that was the end.

use pyo3::prelude::*;

use crate::chat_relay_stream_parser::ChatRelayStreamParser;
use crate::chat_stream_parser::ChatStreamParser;
use crate::event_parser::EventParser;
use crate::found::Found;
use crate::json_parser::JSONParser;

/// What came of a chunk: what it completed, and whether the parser has seen the sentinel by now.
pub struct Fed<'py> {
    pub found: Found<'py>,
    pub is_done: bool,
}

/// A parser that can be fed, by its class.
pub enum Parser<'a, 'py> {
    Chat(&'a Bound<'py, ChatStreamParser>),
    Relay(&'a Bound<'py, ChatRelayStreamParser>),
    Event(&'a Bound<'py, EventParser>),
    Json(&'a Bound<'py, JSONParser>),
}

impl<'a, 'py> Parser<'a, 'py> {
    /// None for what has to be fed by Python.
    #[expect(clippy::inline_always, reason = "asked twice for each chunk; a call takes three times as long")]
    #[inline(always)]
    pub fn of(parser: &'a Bound<'py, PyAny>) -> Option<Self> {
        if let Ok(parser) = parser.cast_exact::<ChatStreamParser>() {
            Some(Self::Chat(parser))
        } else if let Ok(parser) = parser.cast_exact::<ChatRelayStreamParser>() {
            Some(Self::Relay(parser))
        } else if let Ok(parser) = parser.cast_exact::<EventParser>() {
            Some(Self::Event(parser))
        } else {
            parser.cast_exact::<JSONParser>().ok().map(Self::Json)
        }
    }

    pub fn feed(self, data: &Bound<'py, PyAny>) -> PyResult<Fed<'py>> {
        let (found, is_done) = match self {
            Self::Chat(parser) => return ChatStreamParser::read(parser, data),
            Self::Relay(parser) => return ChatRelayStreamParser::read(parser, data),
            Self::Event(parser) => (EventParser::feed(parser, data)?, false),
            Self::Json(parser) => (JSONParser::feed(parser, data)?, parser.borrow().done()),
        };
        let found = if found.is_empty() { Found::Nothing } else { Found::Many(found) };
        Ok(Fed { found, is_done })
    }
}
