//! The event parser: all state of an event stream that is being read, and every change of it.
//!
//! Plan. A chunk is cut into lines by `memchr2`. The common block (one whole `data` line, then a blank line,
//! both inside the chunk) is handed out as a slice of the chunk; nothing is copied. Every other line goes
//! piece by piece through [`Line`], and the value of its field into a buffer of the parser (`fields`). So each byte
//! is searched once and copied at most once, whatever the cut: the cost is linear in the bytes fed.
//!
//! The size of an event is what the parser may have to hold of it: its data, type and ID. It is checked by
//! the same sum on both ways, so the limit does not depend on the cut either.
//!
//! Decoding is left to the caller: lines end at ASCII bytes only, which are never part of a longer UTF-8
//! sequence, so decoding a value with replacement gives what decoding the stream first would give.

mod fields;
mod lone;

use std::mem;

use memchr::memchr2;

use super::line::{Digits, Line};
use crate::LimitExceeded;

pub use lone::DataEvent;

const LF: u8 = b'\n';
const CR: u8 = b'\r';
const BOM: [u8; 3] = *b"\xEF\xBB\xBF";

/// The largest event that a parser should take where nobody says otherwise: images and audio come in base64, which
/// takes megabytes in one event. `OpenAI`'s client for Go takes lines of this size.
pub const MAX_EVENT_SIZE: usize = 32 * 1024 * 1024;

/// Buffers up to this size are kept from event to event; larger ones go back, so that one large event does
/// not weigh on a connection that stays open for hours. Chunks of a chat stream are 200 to 700 bytes.
const KEPT_CAPACITY: usize = 1024;

/// A line that is kept though it is no field is no longer than an error document is.
const MAX_STRAY: usize = 64 * 1024;

/// A dispatched event. It borrows from the chunk, or from the parser where it was split over chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event type buffer; empty stands for "message".
    pub event: &'a [u8],
    /// The data buffer, without its last LF.
    pub data: &'a [u8],
    /// The last event ID string at the dispatch.
    pub id: &'a [u8],
    /// The reconnection time in milliseconds, where the block set it.
    pub retry: Option<u64>,
    /// Which event of the stream it is, counted from 1.
    pub number: u64,
    /// Where in the stream the event's block begins, in bytes.
    pub offset: u64,
}

/// Parses an event stream that is pushed into it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is independent and has its sentence")]
pub struct EventParser {
    max_event_size: usize,

    /// How many bytes of a leading BOM have come; all three also where there is none.
    bom: usize,
    /// The last line ended with CR: an LF that follows belongs to the same line end.
    skip_lf: bool,
    line: Line,
    /// The value of the `event` or `id` line that is arriving.
    value: Vec<u8>,
    /// The value of the `retry` line that is arriving.
    digits: Digits,

    /// It is known that a block begins here, and that nothing of one is held.
    at_block: bool,
    /// The block has been handed out; it is forgotten when the next one is asked for.
    dispatched: bool,
    /// Where the block begins; None until its first line does.
    block_offset: Option<u64>,
    /// The standard's data buffer, without the LF at its end. `has_data` tells an empty line from none.
    data: Vec<u8>,
    has_data: bool,
    /// The standard's event type buffer.
    event: Vec<u8>,
    /// The standard's last event ID buffer, where this block has set it.
    block_id: Option<Vec<u8>>,
    block_retry: Option<u64>,

    last_event_id: Vec<u8>,
    retry: Option<u64>,
    /// A line with a field or a comment has begun: the stream looks like one.
    recognised: bool,
    /// `error` is a field too.
    error_field: bool,
    /// A block without data is dispatched too, if it sets something else.
    dataless: bool,
    /// Lines are kept that begin with this and are no field.
    stray_begins: Option<u8>,
    /// One of them, and whether it has ended.
    stray: Option<Box<(Vec<u8>, bool)>>,

    bytes: u64,
    events: u64,
    comments: u64,
    exceeded: Option<LimitExceeded>,
}

impl EventParser {
    /// A parser of a new stream. `last_event_id` is what a reconnection goes on from, else empty.
    #[must_use]
    pub fn new(max_event_size: usize, last_event_id: &[u8]) -> Self {
        Self {
            max_event_size,
            bom: 0,
            skip_lf: false,
            line: Line::Start,
            value: Vec::new(),
            digits: Digits::default(),
            at_block: false,
            dispatched: false,
            block_offset: None,
            data: Vec::new(),
            has_data: false,
            event: Vec::new(),
            block_id: None,
            block_retry: None,
            last_event_id: last_event_id.to_vec(),
            retry: None,
            recognised: false,
            error_field: false,
            dataless: false,
            stray_begins: None,
            stray: None,
            bytes: 0,
            events: 0,
            comments: 0,
            exceeded: None,
        }
    }

    /// Takes a field `error` for the data of an event of type "error". The standard knows no such field;
    /// some servers of language models report an error in it.
    #[must_use]
    pub fn with_error_field(mut self) -> Self {
        self.error_field = true;
        self
    }

    /// Dispatches a block without data too, if it sets an event type, an ID or a reconnection time. The
    /// standard does not; clients of the field do, and programs count on it.
    #[must_use]
    pub fn with_dataless_events(mut self) -> Self {
        self.dataless = true;
        self
    }

    /// Keeps a line that begins with a byte with which no field does, for who knows what it may be: servers that
    /// fail write it between the events. One that is longer than 64 KiB is not kept.
    #[must_use]
    pub fn with_stray_lines(mut self, begins: u8) -> Self {
        self.stray_begins = Some(begins);
        self
    }

    /// A line that was kept, once it has ended; at the end of the stream, also one that has not.
    pub fn take_stray(&mut self, at_end: bool) -> Option<Vec<u8>> {
        self.stray.take_if(|stray| stray.1 || at_end).map(|stray| stray.0)
    }

    /// Takes bytes off `rest` until an event is complete. None when `rest` is used up, or a line that is kept has ended.
    ///
    /// An event comes out with the last byte of its blank line; a CR is one, whether or not an LF follows.
    ///
    /// # Errors
    ///
    /// An event went over the limit. Every further call says so again.
    pub fn next_event<'p, 'c: 'p>(
        &'p mut self,
        rest: &mut &'c [u8],
    ) -> Result<Option<Event<'p>>, LimitExceeded> {
        if let Some(exceeded) = self.exceeded {
            return Err(exceeded);
        }
        self.at_block = false;
        if self.dispatched {
            self.begin_block();
        }
        if self.bom < BOM.len() {
            self.pass_bom(rest);
        }
        // The block's data, as long as it is one line inside this chunk.
        let mut whole: Option<&'c [u8]> = None;
        while let Some(&first) = rest.first() {
            if mem::take(&mut self.skip_lf) && first == LF {
                self.pass(rest, 1);
                continue;
            }
            let at_start = matches!(self.line, Line::Start);
            if at_start && (first == LF || first == CR) {
                self.skip_lf = first == CR;
                self.pass(rest, 1);
                if whole.is_none() && !self.has_data && !(self.dataless && self.sets_something()) {
                    self.commit_id();
                    self.begin_block();
                    continue;
                }
                return Ok(Some(self.dispatch(whole)));
            }
            self.block_offset.get_or_insert(self.bytes);

            let end = memchr2(LF, CR, rest);
            let (piece, _) = rest.split_at(end.unwrap_or(rest.len()));
            let data = if at_start && end.is_some() && whole.is_none() && !self.has_data {
                piece.strip_prefix(b"data:")
            } else {
                None
            };
            if let Some(value) = data {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                self.check_size(value.len())?;
                self.recognised = true;
                whole = Some(value);
            } else {
                if let Some(data) = whole.take() {
                    self.keep_data(data);
                }
                self.push(piece)?;
            }
            if let Some(end) = end {
                self.skip_lf = rest[end] == CR;
                self.pass(rest, end + 1);
                self.end_line()?;
                if self.stray.is_some() {
                    break;
                }
            } else {
                self.pass(rest, rest.len());
            }
        }
        if let Some(data) = whole {
            self.keep_data(data);
        }
        Ok(None)
    }

    /// What has come of the data of an incomplete block, the line that is still arriving included.
    #[must_use]
    pub fn incomplete_data(&self) -> Option<&[u8]> {
        (self.has_data && !self.dispatched).then_some(&*self.data)
    }

    /// The event type buffer of the incomplete block.
    #[must_use]
    pub fn event_type(&self) -> &[u8] {
        &self.event
    }

    /// Dispatches the incomplete block as if its blank line had come. The standard has no such step: it is
    /// for readers who know by other means that the data is whole. Tells where in the stream the block begins.
    pub fn take_incomplete(&mut self) -> u64 {
        let offset = self.block_offset.unwrap_or(self.bytes);
        self.commit_id();
        self.events += 1;
        self.begin_block();
        // The line that was cut has set nothing, and nothing of it is waited for any more.
        self.line = Line::Start;
        self.digits = Digits::default();
        clear(&mut self.value);
        offset
    }

    /// Begins anew, with the same limit. `last_event_id` as for [`EventParser::new`].
    pub fn reset(&mut self, last_event_id: &[u8]) {
        let Self { error_field, dataless, stray_begins, .. } = *self;
        *self = Self { error_field, dataless, stray_begins, ..Self::new(self.max_event_size, last_event_id) };
    }

    /// The last event ID string of the stream.
    #[must_use]
    pub fn last_event_id(&self) -> &[u8] {
        &self.last_event_id
    }

    /// The reconnection time in milliseconds that the stream has set last.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Whether any line was a field or a comment: an error page has neither.
    #[must_use]
    pub fn is_recognised(&self) -> bool {
        self.recognised
    }

    /// How many bytes of an incomplete event are held.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        let name = if let Line::Name(name) = &self.line { name.as_bytes().len() } else { 0 };
        if self.dispatched { name } else { name + self.held() }
    }

    /// How many bytes have been taken off the chunks.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many events have been dispatched.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many comment lines have been passed over.
    #[must_use]
    pub fn comments(&self) -> u64 {
        self.comments
    }

    /// Takes all of `rest` without a look at it, for a reader who wants no more events.
    pub fn pass_all(&mut self, rest: &mut &[u8]) {
        self.pass(rest, rest.len());
    }

    fn pass(&mut self, rest: &mut &[u8], count: usize) {
        *rest = &rest[count..];
        self.bytes += count as u64;
    }

    fn pass_bom(&mut self, rest: &mut &[u8]) {
        while let (Some(expected), Some(byte)) = (BOM.get(self.bom), rest.first()) {
            if byte == expected {
                self.pass(rest, 1);
                self.bom += 1;
            } else {
                if self.bom > 0 {
                    // Part of a BOM is content, and no field's name begins with it.
                    self.line = Line::Ignored;
                    self.block_offset = Some(0);
                }
                self.bom = BOM.len();
            }
        }
    }

    fn dispatch<'p>(&'p mut self, whole: Option<&'p [u8]>) -> Event<'p> {
        self.commit_id();
        self.events += 1;
        self.dispatched = true;
        Event {
            event: &self.event,
            data: whole.unwrap_or(&self.data),
            id: &self.last_event_id,
            retry: self.block_retry,
            number: self.events,
            offset: self.block_offset.unwrap_or(self.bytes),
        }
    }

    /// Whether the block has set anything beside data. What it set to nothing does not count.
    fn sets_something(&self) -> bool {
        !self.event.is_empty()
            || self.block_id.as_ref().is_some_and(|id| !id.is_empty())
            || self.block_retry.is_some()
    }

    fn commit_id(&mut self) {
        if let Some(id) = self.block_id.take() {
            self.last_event_id = id;
        }
    }

    #[inline]
    fn begin_block(&mut self) {
        self.dispatched = false;
        self.block_offset = None;
        self.has_data = false;
        self.block_retry = None;
        clear(&mut self.data);
        clear(&mut self.event);
    }

    fn keep_data(&mut self, data: &[u8]) {
        self.data.extend_from_slice(data);
        self.has_data = true;
    }

    fn held(&self) -> usize {
        let id = self.block_id.as_ref().map_or(0, Vec::len);
        self.data.len() + self.event.len() + self.value.len() + id
    }

    fn check_size(&mut self, more: usize) -> Result<(), LimitExceeded> {
        if self.held() + more <= self.max_event_size {
            return Ok(());
        }
        let exceeded = LimitExceeded {
            limit: "max_event_size",
            value: self.max_event_size,
            event_number: self.events + 1,
            offset: self.block_offset.unwrap_or(self.bytes),
        };
        self.exceeded = Some(exceeded);
        self.begin_block();
        self.value = Vec::new();
        Err(exceeded)
    }
}

/// Empties a buffer, and gives back its memory if it has grown large.
fn clear(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_CAPACITY {
        *buffer = Vec::new();
    } else {
        buffer.clear();
    }
}
