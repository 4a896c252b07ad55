//! The data of events, up to the sentinel, and of an unterminated last event.

use crate::LimitExceeded;
use crate::sse::{DataEvent, Event, EventParser};

/// What chat streams end with, as the data of an event of its own.
pub const SENTINEL: &str = "[DONE]";

/// What the data of a dispatched event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Something to decode.
    Payload(Event<'a>),
    /// Nothing: the data is empty, or begins with a comment that a proxy has wrapped (`data: : keep-alive`).
    Nothing(Event<'a>),
    /// The sentinel. Nothing after it counts.
    Done,
}

/// Gives the data of each event of a stream that is pushed into it.
#[derive(Debug)]
pub struct DataParser {
    events: EventParser,
    /// Without white space around it; None for streams that have none.
    sentinel: Option<Box<str>>,
    /// It looks like an object: an object may be the sentinel.
    sentinel_is_object: bool,
    done: bool,
}

impl DataParser {
    /// A parser of a new stream that ends with `sentinel`, if it has one.
    #[must_use]
    pub fn new(max_event_size: usize, sentinel: Option<&str>) -> Self {
        Self::of(EventParser::new(max_event_size, b""), sentinel)
    }

    /// The same over an event parser with options of its own.
    pub(super) fn of(events: EventParser, sentinel: Option<&str>) -> Self {
        let sentinel = sentinel.map(trim);
        let sentinel_is_object = sentinel.is_some_and(is_object);
        Self { events, sentinel: sentinel.map(Into::into), sentinel_is_object, done: false }
    }

    /// Takes bytes off `rest` until an event is complete, and tells what its data is. None when `rest` is used up.
    ///
    /// # Errors
    ///
    /// An event went over the limit. Every further call says so again.
    pub fn next_data<'p, 'c: 'p>(
        &'p mut self,
        rest: &mut &'c [u8],
    ) -> Result<Option<Data<'p>>, LimitExceeded> {
        if self.done {
            self.events.pass_all(rest);
            return Ok(None);
        }
        let sentinel = self.sentinel.as_deref();
        Ok(self.events.next_event(rest)?.map(|event| match classify(event.data, sentinel) {
            DataKind::Payload => Data::Payload(event),
            DataKind::Nothing => Data::Nothing(event),
            DataKind::Done => {
                self.done = true;
                Data::Done
            }
        }))
    }

    /// Where the data of the next event begins, as [`EventParser::peek_data`] tells. That of an object is a payload.
    #[inline]
    pub fn peek_object(&mut self, rest: &mut &[u8]) -> Option<usize> {
        if self.done || self.sentinel_is_object { None } else { self.events.peek_data(rest) }
    }

    /// Takes the block that [`peek_object`](Self::peek_object) has found, as [`EventParser::take_data`] does.
    #[inline]
    pub fn take_object<'c>(
        &mut self,
        rest: &mut &'c [u8],
        start: usize,
        len: usize,
        block_len: usize,
    ) -> DataEvent<'c> {
        self.events.take_data(rest, start, len, block_len)
    }

    /// The same for who has no use for the events, as [`EventParser::pass_data`] does.
    #[inline]
    pub fn pass_objects(&mut self, rest: &mut &[u8], len: usize, events: u64) {
        self.events.pass_data(rest, len, events);
    }

    /// At the end of the stream, the data of an unterminated last event that may be a whole JSON object;
    /// only decoding it can tell. An unterminated sentinel is taken here.
    pub fn close(&mut self) -> Option<&[u8]> {
        if self.done {
            return None;
        }
        let data = self.events.incomplete_data()?;
        match classify(data, self.sentinel.as_deref()) {
            DataKind::Payload => {}
            DataKind::Nothing => return None,
            DataKind::Done => {
                self.done = true;
                self.events.take_incomplete();
                return None;
            }
        }
        self.events.incomplete_data().filter(|data| {
            let data = data.trim_ascii();
            data.starts_with(b"{") && data.ends_with(b"}")
        })
    }

    /// Counts the unterminated last event as dispatched: what [`close`](Self::close) gave was whole. Tells where in the
    /// stream it begins.
    pub fn take_incomplete(&mut self) -> u64 {
        self.events.take_incomplete()
    }

    /// Takes a text as the data of an event, the sentinel's effect included; tells what it is.
    pub(super) fn take(&mut self, data: &[u8]) -> DataKind {
        let kind = classify(data, self.sentinel.as_deref());
        self.done |= matches!(kind, DataKind::Done);
        kind
    }

    /// As [`EventParser::take_stray`], but for what comes behind the sentinel.
    pub(super) fn take_stray(&mut self, at_end: bool) -> Option<Vec<u8>> {
        if self.done { None } else { self.events.take_stray(at_end) }
    }

    /// Begins anew, with the same limit and sentinel.
    pub fn reset(&mut self) {
        self.events.reset(b"");
        self.done = false;
    }

    /// Whether the sentinel has come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The parser below, for its counters.
    #[must_use]
    pub fn events(&self) -> &EventParser {
        &self.events
    }
}

/// What [`Data`] tells, without the event.
pub(super) enum DataKind {
    Payload,
    Nothing,
    Done,
}

/// Tells what the data of an event is.
pub(super) fn classify(data: &[u8], sentinel: Option<&str>) -> DataKind {
    // An object is by far the most common, and neither of the others where the sentinel is none.
    if data.first() == Some(&b'{') && !sentinel.is_some_and(is_object) {
        return DataKind::Payload;
    }
    let text = String::from_utf8_lossy(data);
    let text = trim(&text);
    if text.is_empty() || text.starts_with(':') {
        DataKind::Nothing
    } else if sentinel == Some(text) {
        DataKind::Done
    } else {
        DataKind::Payload
    }
}

/// Whether a text looks like an object, as no sentinel of a provider does.
fn is_object(text: &str) -> bool {
    text.starts_with('{')
}

/// Whether the data of an event of a chat is the sentinel.
pub(crate) fn is_sentinel(data: &str) -> bool {
    matches!(classify(data.as_bytes(), Some(SENTINEL)), DataKind::Done)
}

/// Takes off what Python's `str.strip` takes off: Unicode's white space and the four separator controls.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}
