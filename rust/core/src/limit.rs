//! The one error that framing knows: more came than a limit allows.

use std::fmt;

/// More came than a limit allows. The object that said so goes no further until it is made new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// The name of the limit, as users know it.
    pub limit: &'static str,
    /// What the limit is set to.
    pub value: usize,
    /// Which event of the stream went over it, counted from 1.
    pub event_number: u64,
    /// Where in the stream that event begins, in bytes.
    pub offset: u64,
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, value, event_number, offset } = self;
        write!(f, "event {event_number}, at byte {offset} of the stream, goes over {limit}={value}")
    }
}

impl std::error::Error for LimitExceeded {}
