//! The chunks of a chat stream: the JSON texts in its events, and what to do with those that are none.
//!
//! Beyond [`DataParser`] it reads each payload into a [`Document`] that is used again and again, and knows
//! three ways in which streams go wrong. An event that is no JSON is passed over; where it has several lines,
//! a line may have been cut off with the next `data:` line right behind it, so each line gets a chance of its
//! own. A server that knows no event streams answers with one JSON document: the beginning of a body that may
//! be one is kept until a field or comment proves otherwise. And some servers report an error in a field of
//! that name, which is taken for an event of type "error".

use crate::LimitExceeded;
use crate::json::{Alike, Document, Learned, Read, Reader, Value};
use crate::sse::{DataEvent, Event, EventParser};
use crate::stream::data::{Data, DataParser, Sort, sort};

/// An error document longer than this is not waited for.
const MAX_BODY: usize = 64 * 1024;

/// Up to this size memory is kept from event to event.
const KEPT_CAPACITY: usize = 2 * 1024;

/// A chunk, or what came in the place of one.
#[derive(Clone, Copy, Debug)]
pub enum Step<'p> {
    /// A JSON text.
    Chunk(Chunk<'p>),
    /// A payload that is no JSON. It has been counted.
    Malformed(Malformed<'p>),
    /// An event without a payload, or the sentinel.
    Nothing,
}

/// A chunk whose event is a block of one `data` line, whole in what was fed: nearly all are that.
#[derive(Clone, Copy, Debug)]
pub struct Lone<'c> {
    /// How it was read.
    pub read: Read,
    /// The event.
    pub event: DataEvent<'c>,
}

/// The JSON text of one event.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'p> {
    /// The type of the event; empty stands for "message".
    pub event: &'p str,
    /// The payload as it was sent.
    pub data: &'p [u8],
    /// The payload as text: an invalid UTF-8 sequence is U+FFFD.
    pub text: &'p str,
    /// The text as a value.
    pub value: Value<'p>,
    /// If it became a template: which.
    pub learned: Option<Learned>,
    /// Which event of the stream it came in, counted from 1.
    pub number: u64,
    /// Where in the stream that event begins, in bytes.
    pub offset: u64,
}

/// A payload that is no JSON.
#[derive(Clone, Copy, Debug)]
pub struct Malformed<'p> {
    /// The type of the event; empty stands for "message".
    pub event: &'p str,
    /// The payload.
    pub data: &'p [u8],
    /// Which event of the stream it came in, counted from 1.
    pub number: u64,
    /// Where in the stream that event begins, in bytes.
    pub offset: u64,
}

/// Lines of an event that as a whole is no JSON, to be looked at one by one.
#[derive(Debug)]
struct Lines {
    text: String,
    at: usize,
    number: u64,
    offset: u64,
}

/// Gives the chunks of a stream that is pushed into it.
#[derive(Debug)]
pub struct ChunkParser {
    data: DataParser,
    sentinel: Option<Box<str>>,
    reader: Reader,
    /// For what does not come as an event of its own.
    document: Document,
    /// A payload that was no valid UTF-8, or one of the lines.
    text: String,
    /// The type of the event at hand, where it was no valid UTF-8.
    event: String,
    /// The type of the event that the lines are of.
    line_event: String,
    lines: Option<Lines>,
    /// The body so far, as long as it may be a JSON document.
    body: Option<Vec<u8>>,
    malformed: u64,
    payloads: u64,
}

impl ChunkParser {
    /// A parser of a new stream.
    #[must_use]
    pub fn new(max_event_size: usize, sentinel: Option<&str>) -> Self {
        Self {
            data: DataParser::of(EventParser::new(max_event_size, b"").with_error_field(), sentinel),
            sentinel: sentinel.map(Into::into),
            reader: Reader::default(),
            document: Document::default(),
            text: String::new(),
            event: String::new(),
            line_event: String::new(),
            lines: None,
            body: Some(Vec::new()),
            malformed: 0,
            payloads: 0,
        }
    }

    /// To be called with each chunk of the stream before it is taken apart.
    pub fn begin(&mut self, chunk: &[u8]) {
        let Some(body) = &mut self.body else { return };
        let piece = if body.is_empty() { chunk.trim_ascii_start() } else { chunk };
        let first = body.first().or(piece.first());
        let document = matches!(first, None | Some(b'{' | b'[' | 0xEF));
        if document && !self.data.events().is_recognised() && body.len() + piece.len() <= MAX_BODY {
            body.extend_from_slice(piece);
        } else {
            self.body = None;
        }
    }

    /// Takes the next event off `rest`, if it is a lone chunk. Where this gives None, nothing has been taken, and
    /// [`next_step`](Self::next_step) tells what comes.
    #[inline]
    pub fn next_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        if self.lines.is_some() {
            return None;
        }
        let start = self.data.peek_object(rest)?;
        let fit = self.reader.fit(&rest[start..]).and_then(|fit| {
            let block_len = self.data.events().block_len(rest, start, fit.len)?;
            Some((Read::Like(fit), fit.len, block_len))
        });
        let (read, len, block_len) = match fit {
            Some(fit) => fit,
            None => self.read_lone(rest, start)?,
        };
        let event = self.data.take_object(rest, start, len, block_len);
        self.payloads += 1;
        Some(Lone { read, event })
    }

    /// Reads a chunk that fits no template as it is.
    fn read_lone(&mut self, rest: &[u8], start: usize) -> Option<(Read, usize, usize)> {
        if rest.get(start) != Some(&b'{') {
            return None;
        }
        let len = EventParser::data_len(rest, start)?;
        let block_len = self.data.events().block_len(rest, start, len)?;
        let text = std::str::from_utf8(&rest[start..start + len]).ok()?;
        let read = self.reader.read_unlike(text).ok()?;
        Some((read, len, block_len))
    }

    /// What a lone chunk has in common with an earlier one, if it is like it.
    #[inline]
    #[must_use]
    pub fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>> {
        let Read::Like(fit) = lone.read else { return None };
        Some(self.reader.alike(fit, lone.event.data))
    }

    /// Makes sure that [`value`](Self::value) has all values of a lone chunk.
    pub fn expand(&mut self, lone: &Lone<'_>) {
        if let Read::Like(fit) = lone.read {
            self.reader.expand(fit);
        }
    }

    /// A lone chunk as a value: once it was expanded, if it is like an earlier one. None if it is no text, which
    /// cannot be.
    #[must_use]
    pub fn value<'a>(&'a self, lone: &Lone<'a>) -> Option<Value<'a>> {
        Some(self.reader.document().root(std::str::from_utf8(lone.event.data).ok()?))
    }

    /// Takes bytes off `rest` until there is a step to tell. None when `rest` is used up.
    ///
    /// # Errors
    ///
    /// An event went over the limit. Every further call says so again.
    pub fn next_step<'p, 'c: 'p>(
        &'p mut self,
        rest: &mut &'c [u8],
    ) -> Result<Option<Step<'p>>, LimitExceeded> {
        if self.lines.is_some() {
            return Ok(Some(self.next_line()));
        }
        let event = match self.data.next_data(rest)? {
            Some(Data::Payload(event)) => event,
            Some(_) => return Ok(Some(Step::Nothing)),
            None => return Ok(None),
        };
        self.payloads += 1;
        for held in [&mut self.text, &mut self.event, &mut self.line_event] {
            if held.capacity() > KEPT_CAPACITY {
                *held = String::new();
            }
        }
        if self.document.capacity() > KEPT_CAPACITY {
            self.document.shrink();
        }
        let name = decode(event.event, &mut self.event);
        let text = decode(event.data, &mut self.text);
        let Event { data, number, offset, .. } = event;
        if let Ok(read) = self.reader.read(text) {
            let learned = match read {
                Read::Parsed(learned) => learned,
                Read::Like(fit) => {
                    self.reader.expand(fit);
                    None
                }
            };
            let value = self.reader.document().root(text);
            let chunk = Chunk { event: name, data, text, value, learned, number, offset };
            return Ok(Some(Step::Chunk(chunk)));
        }
        if has_whole_line(text, self.sentinel.as_deref(), &mut self.document) {
            let (text, event) = (text.to_owned(), name.to_owned());
            self.line_event = event;
            self.lines = Some(Lines { text, at: 0, number, offset });
            return Ok(Some(Step::Nothing));
        }
        self.malformed += 1;
        Ok(Some(Step::Malformed(Malformed { event: name, data, number, offset })))
    }

    /// At the end of the stream: an unterminated last event, if it is a whole JSON object.
    pub fn close(&mut self) -> Option<Chunk<'_>> {
        let text = decode(self.data.close()?, &mut self.text).to_owned();
        self.document.read(&text).ok()?;
        self.text = text;
        self.event = String::from_utf8_lossy(self.data.events().event_type()).into_owned();
        self.data.take_incomplete();
        self.payloads += 1;
        let value = self.document.root(&self.text);
        let (number, offset) = (self.data.events().events(), self.data.events().bytes());
        let (event, text) = (&*self.event, &*self.text);
        Some(Chunk { event, data: text.as_bytes(), text, value, learned: None, number, offset })
    }

    /// The body as one JSON document, if it is no event stream but that.
    pub fn body(&mut self) -> Option<Chunk<'_>> {
        let body = self.body.take().filter(|_| !self.data.events().is_recognised())?;
        self.text = String::from_utf8_lossy(&body).into_owned();
        let text = self.text.trim_start_matches('\u{feff}').trim();
        self.document.read(text).ok()?;
        let value = self.document.root(text);
        Some(Chunk { event: "", data: text.as_bytes(), text, value, learned: None, number: 0, offset: 0 })
    }

    /// Begins anew, with the same limit and sentinel.
    pub fn reset(&mut self) {
        self.data.reset();
        self.reader = Reader::default();
        self.lines = None;
        self.body = Some(Vec::new());
        self.malformed = 0;
        self.payloads = 0;
    }

    /// The parser below, for its counters and the sentinel.
    #[must_use]
    pub fn data(&self) -> &DataParser {
        &self.data
    }

    /// How many payloads were no JSON.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// How many payloads there were.
    #[must_use]
    pub fn payloads(&self) -> u64 {
        self.payloads
    }

    fn next_line(&mut self) -> Step<'_> {
        let Some(lines) = &mut self.lines else { return Step::Nothing };
        let rest = &lines.text[lines.at..];
        let line = rest.split('\n').next().unwrap_or_default();
        self.text.clear();
        self.text.push_str(line);
        let (number, offset) = (lines.number, lines.offset);
        lines.at += line.len() + 1;
        if lines.at >= lines.text.len() {
            self.lines = None;
        }
        match self.data.sort(self.text.as_bytes()) {
            Sort::Payload => {}
            Sort::Nothing => return Step::Nothing,
            Sort::Done => {
                self.lines = None;
                return Step::Nothing;
            }
        }
        if self.document.read(&self.text).is_ok() {
            let value = self.document.root(&self.text);
            let (event, text) = (&*self.line_event, &*self.text);
            let data = text.as_bytes();
            return Step::Chunk(Chunk { event, data, text, value, learned: None, number, offset });
        }
        self.malformed += 1;
        // A cut line is a chunk's; the error, if the type tells of one, is in a line that is whole.
        Step::Malformed(Malformed { event: "", data: self.text.as_bytes(), number, offset })
    }
}

/// Decodes UTF-8 into `held` only where a sequence is invalid, which becomes U+FFFD.
fn decode<'a>(bytes: &'a [u8], held: &'a mut String) -> &'a str {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text;
    }
    *held = String::from_utf8_lossy(bytes).into_owned();
    held
}

/// Whether one of several lines is a JSON object by itself, or the sentinel.
fn has_whole_line(text: &str, sentinel: Option<&str>, document: &mut Document) -> bool {
    let mut lines = text.split('\n');
    text.contains('\n')
        && lines.any(|line| match sort(line.as_bytes(), sentinel) {
            Sort::Payload => line.trim_start().starts_with('{') && document.read(line).is_ok(),
            Sort::Nothing => false,
            Sort::Done => true,
        })
}
