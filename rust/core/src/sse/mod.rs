//! Server-sent events: the event stream interpretation of the HTML standard, section 9.2.6.
//!
//! [`EventParser`] owns all state and finds lines and blocks; `line` knows what a line that is still
//! arriving can become. Nothing here knows what the data of an event means.

mod line;
mod parser;

pub use parser::{DataEvent, Event, EventParser, MAX_EVENT_SIZE};
