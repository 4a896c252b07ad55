//! The chunks of a chat stream: the JSON texts in its events, and what to do with those that are none.
//!
//! Beyond [`DataParser`] it reads each payload into a [`Document`] that is used again and again, and knows
//! three ways in which streams go wrong. An event that is no JSON is passed over; where it has several lines,
//! a line may have been cut off with the next `data:` line right behind it, so each line gets a chance of its
//! own. A server that knows no event streams answers with one JSON document: the beginning of a body that may
//! be one is kept until a field or comment proves otherwise. And some servers report an error in a field of
//! that name, which is taken for an event of type "error".

use crate::LimitExceeded;
use crate::json::{Alike, Document, Fit, Read, Reader, Shared, Stretch, Value};
use crate::sse::{DataEvent, Event, EventParser};
use crate::stream::data::{Data, DataKind, DataParser, SENTINEL, classify};

/// A document longer than this is not waited for: those that tell of errors take a few KiB.
const MAX_BODY: usize = 64 * 1024;

/// A chunk, or what came in the place of one.
#[derive(Clone, Copy, Debug)]
pub enum Step<'p> {
    /// A JSON text.
    Chunk(Chunk<'p>),
    /// A payload that is no JSON. It has been counted.
    Malformed(Malformed<'p>),
    /// A JSON text on a line of its own, which is no field: of use where it reports an error.
    Stray(Chunk<'p>),
    /// An event without a payload, the sentinel, or the end of what was fed.
    Nothing,
}

/// A chunk whose event is a block of one `data` line, whole in what was fed: nearly all are that.
#[derive(Clone, Copy, Debug)]
pub struct Lone<'c> {
    /// How it was read.
    pub read: Read,
    /// The data as text, where it had to be parsed.
    pub(super) text: Option<&'c str>,
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
    text: Box<str>,
    /// The type of their event, until the first of them is looked at.
    event: Box<str>,
    at: usize,
    number: u64,
    offset: u64,
}

/// Gives the chunks of a stream that is pushed into it.
#[derive(Debug)]
pub struct ChunkParser {
    data: DataParser,
    /// None until the first payload.
    reader: Option<Box<Reader>>,
    /// For what does not come as an event of its own. Few streams have any such thing, so what is for it is kept
    /// only as long as it is needed.
    document: Option<Box<Document>>,
    /// A payload that was no valid UTF-8, or one of the lines.
    text: Box<str>,
    /// The type of the event at hand, where that was no valid UTF-8, or of the event that the lines are of.
    event: Box<str>,
    lines: Option<Box<Lines>>,
    /// The body so far, as long as it may be a JSON document.
    body: Option<Vec<u8>>,
    malformed: u64,
    payloads: u64,
}

impl ChunkParser {
    /// A parser of a new stream, which ends with [`SENTINEL`].
    #[inline]
    #[must_use]
    pub fn new(max_event_size: usize) -> Self {
        let events = EventParser::new(max_event_size, b"").with_error_field().with_stray_lines(b'{');
        Self {
            data: DataParser::of(events, Some(SENTINEL)),
            reader: None,
            document: None,
            text: Box::default(),
            event: Box::default(),
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

    /// Takes the next event off `rest`, if it is a lone chunk. Where this gives None, nothing has been taken but the LF of
    /// a line end whose CR came before, and [`next_step`](Self::next_step) tells what comes.
    #[inline]
    pub fn next_lone<'c>(&mut self, rest: &mut &'c [u8]) -> Option<Lone<'c>> {
        if self.lines.is_some() {
            return None;
        }
        let start = self.data.peek_object(rest)?;
        let fit = self.reader.as_mut().and_then(|reader| {
            let fit = reader.fit(&rest[start..])?;
            let block_len = self.data.events().block_len(rest, start, fit.len)?;
            Some((Read::Like(fit), fit.len, block_len, None))
        });
        let (read, len, block_len, text) = match fit {
            Some(fit) => fit,
            None => self.read_lone(rest, start)?,
        };
        let event = self.data.take_object(rest, start, len, block_len);
        self.payloads += 1;
        Some(Lone { read, text, event })
    }

    /// Takes events off `rest` as long as they are lone chunks of the template of the last one, and `take`, which is
    /// given the whole block too, takes them: those that [`next_lone`](Self::next_lone) would give one by one. Tells
    /// whether there was any.
    ///
    /// # Errors
    ///
    /// `take` returned an error: it, and the place in the stream where the event begins, which stays on `rest`.
    #[inline]
    pub(super) fn take_alike<E>(
        &mut self,
        rest: &mut &[u8],
        mut take: impl FnMut(&Alike<'_>, &[u8]) -> Option<Result<(), E>>,
    ) -> Result<bool, (E, u64)> {
        let last = self.reader.as_mut().filter(|_| self.lines.is_none()).and_then(|reader| reader.last());
        let Some(mut last) = last else { return Ok(false) };
        let mut any = false;
        while let Some(start) = self.data.peek_object(rest)
            && let Some(alike) = last.fit(&rest[start..])
            && let Some(block_len) = self.data.events().block_len(rest, start, alike.fit().len)
            && let Some(taken) = take(&alike, &rest[..block_len])
        {
            let (before, offset) = (*rest, self.data.events().bytes());
            self.data.pass_objects(rest, block_len, 1);
            self.payloads += 1;
            if let Err(error) = taken {
                *rest = before;
                return Err((error, offset));
            }
            any = true;
        }
        Ok(any)
    }

    /// The same for chunks of which nothing but one string changes: `take` is given it, decoded, what it makes of the
    /// block of the event, and the block, which it leaves if it returns false. The string is given by its template, which
    /// is the last one, and its place among the values of the chunk.
    #[inline]
    pub(super) fn take_strings(
        &mut self,
        rest: &mut &[u8],
        (template, node): (u32, usize),
        mut take: impl FnMut(&[u8], &Stretch, &[u8]) -> bool,
    ) -> bool {
        if self.lines.is_some() || self.data.peek_object(rest).is_none() {
            return false;
        }
        let around = self.reader.as_mut().and_then(|reader| reader.around(template, node));
        let Some(mut around) = around else { return false };
        let (mut left, mut events) = (*rest, 0);
        while let Some(start) = EventParser::data_start(left)
            && let Some((string, len)) = around.string(&left[start..])
            && let Some(block_len) = self.data.events().block_len(left, start, len)
            && take(&string, &around.stretch(start, len), &left[..block_len])
        {
            left = &left[block_len..];
            events += 1;
        }
        self.payloads += events;
        self.data.pass_objects(rest, rest.len() - left.len(), events);
        events > 0
    }

    /// Reads a chunk that fits no template as it is.
    fn read_lone<'c>(
        &mut self,
        rest: &'c [u8],
        start: usize,
    ) -> Option<(Read, usize, usize, Option<&'c str>)> {
        if rest.get(start) != Some(&b'{') {
            return None;
        }
        let len = EventParser::data_len(rest, start)?;
        let block_len = self.data.events().block_len(rest, start, len)?;
        let text = std::str::from_utf8(&rest[start..start + len]).ok()?;
        let read = self.reader.get_or_insert_default().read_line(text).ok()?;
        Some((read, len, block_len, Some(text)))
    }

    /// What a lone chunk has in common with an earlier one, if it is like it.
    #[inline]
    #[must_use]
    pub fn alike<'a>(&'a self, lone: &Lone<'a>) -> Option<Alike<'a>> {
        let Read::Like(fit) = lone.read else { return None };
        Some(self.reader.as_ref()?.alike(fit, lone.event.data))
    }

    /// The number of the template that a lone chunk is of, or became: that of the text that was read last.
    #[must_use]
    pub fn template_number(&self) -> Option<u32> {
        self.reader.as_ref()?.template_number()
    }

    /// How far a lone chunk that was parsed is the same as every chunk of a template.
    #[must_use]
    pub fn shared(&self, lone: &Lone<'_>) -> Option<Shared> {
        self.reader.as_ref().filter(|_| lone.read == Read::Parsed)?.shared()
    }

    /// The text of which a template was made, as a value. None if there is no template.
    pub fn template(&mut self, fit: Fit) -> Option<Value<'_>> {
        let reader = self.reader.as_mut()?;
        reader.unpack(fit);
        Some(reader.template(fit))
    }

    /// Makes sure that [`value`](Self::value) has all values of a lone chunk.
    pub fn expand(&mut self, lone: &Lone<'_>) {
        if let (Read::Like(fit), Some(reader)) = (lone.read, &mut self.reader) {
            reader.expand(fit);
        }
    }

    /// A lone chunk as a value: once it was expanded, if it is like an earlier one. None if it is no text, which
    /// cannot be.
    #[must_use]
    pub fn value<'a>(&'a self, lone: &Lone<'a>) -> Option<Value<'a>> {
        let text = lone.text.or_else(|| std::str::from_utf8(lone.event.data).ok())?;
        Some(self.reader.as_ref()?.document().root(text))
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
        if let Some(line) = self.data.take_stray(false) {
            return Ok(Some(self.read_stray(&line).map_or(Step::Nothing, Step::Stray)));
        }
        let before = rest.len();
        let (event, is_payload) = match self.data.next_data(rest)? {
            Some(Data::Payload(event)) => (event, true),
            // A comment without its blank line has the lines of the next event behind it, and an error may be told by
            // the type of its event alone.
            Some(Data::Nothing(event)) if event.data.contains(&b'\n') || event.event == b"error" => {
                (event, false)
            }
            Some(_) => return Ok(Some(Step::Nothing)),
            // Maybe no more than up to the end of a stray line.
            None if rest.len() < before => return Ok(Some(Step::Nothing)),
            None => return Ok(None),
        };
        self.payloads += u64::from(is_payload);
        self.document = None;
        let name = decode(event.event, &mut self.event);
        let text = decode(event.data, &mut self.text);
        let Event { data, number, offset, .. } = event;
        let reader = self.reader.get_or_insert_default();
        if let Ok(read) = reader.read(text) {
            if let Read::Like(fit) = read {
                reader.expand(fit);
            }
            let value = reader.document().root(text);
            let chunk = Chunk { event: name, data, text, value, number, offset };
            return Ok(Some(Step::Chunk(chunk)));
        }
        if has_whole_line(text) {
            self.payloads += u64::from(!is_payload);
            let (text, event) = (text.into(), name.into());
            self.lines = Some(Box::new(Lines { text, event, at: 0, number, offset }));
            return Ok(Some(Step::Nothing));
        }
        if !is_payload && name != "error" {
            return Ok(Some(Step::Nothing));
        }
        self.malformed += 1;
        Ok(Some(Step::Malformed(Malformed { event: name, data, number, offset })))
    }

    /// At the end of the stream: an unterminated last event, if it is a whole JSON object.
    pub fn close(&mut self) -> Option<Chunk<'_>> {
        let text: Box<str> = String::from_utf8_lossy(self.data.close()?).into();
        let document = self.document.get_or_insert_default();
        document.read(&text).ok()?;
        self.text = text;
        self.event = String::from_utf8_lossy(self.data.events().event_type()).into();
        let offset = self.data.take_incomplete();
        self.payloads += 1;
        let value = document.root(&self.text);
        let number = self.data.events().events();
        let (event, text) = (&*self.event, &*self.text);
        Some(Chunk { event, data: text.as_bytes(), text, value, number, offset })
    }

    /// At the end of the stream, behind [`close`](Self::close): a JSON text on a line of its own that has not ended.
    pub fn close_stray(&mut self) -> Option<Chunk<'_>> {
        let line = self.data.take_stray(true)?;
        self.read_stray(&line)
    }

    fn read_stray(&mut self, line: &[u8]) -> Option<Chunk<'_>> {
        self.text = String::from_utf8_lossy(line).into();
        let text = &*self.text;
        let document = self.document.get_or_insert_default();
        document.read(text).ok()?;
        let value = document.root(text);
        Some(Chunk { event: "", data: text.as_bytes(), text, value, number: 0, offset: 0 })
    }

    /// The body as one JSON document, if it is no event stream but that.
    pub fn body(&mut self) -> Option<Chunk<'_>> {
        let body = self.body.take().filter(|_| !self.data.events().is_recognised())?;
        self.text = String::from_utf8_lossy(&body).into();
        let text = self.text.trim_start_matches('\u{feff}').trim();
        let document = self.document.get_or_insert_default();
        document.read(text).ok()?;
        let value = document.root(text);
        Some(Chunk { event: "", data: text.as_bytes(), text, value, number: 0, offset: 0 })
    }

    /// Begins anew, with the same limit.
    pub fn reset(&mut self) {
        self.data.reset();
        self.reader = None;
        self.lines = None;
        self.body = Some(Vec::new());
        self.malformed = 0;
        self.payloads = 0;
    }

    /// The parser below, for its counters and whether the sentinel has come.
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
        let Some(mut lines) = self.lines.take() else { return Step::Nothing };
        let line = lines.text[lines.at..].split('\n').next().unwrap_or_default();
        self.text = line.into();
        if lines.at == 0 {
            self.event = std::mem::take(&mut lines.event);
        }
        let (number, offset) = (lines.number, lines.offset);
        lines.at += line.len() + 1;
        if lines.at < lines.text.len() {
            self.lines = Some(lines);
        }
        match self.data.take(self.text.as_bytes()) {
            DataKind::Payload => {}
            DataKind::Nothing => return Step::Nothing,
            DataKind::Done => {
                self.lines = None;
                return Step::Nothing;
            }
        }
        let document = self.document.get_or_insert_default();
        if document.read(&self.text).is_ok() {
            let value = document.root(&self.text);
            let (event, text) = (&*self.event, &*self.text);
            let data = text.as_bytes();
            return Step::Chunk(Chunk { event, data, text, value, number, offset });
        }
        self.malformed += 1;
        // A cut line is a chunk's; the error, if the type tells of one, is in a line that is whole.
        Step::Malformed(Malformed { event: "", data: self.text.as_bytes(), number, offset })
    }
}

/// Decodes UTF-8 into `held` only where a sequence is invalid, which becomes U+FFFD.
fn decode<'a>(bytes: &'a [u8], held: &'a mut Box<str>) -> &'a str {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text;
    }
    *held = String::from_utf8_lossy(bytes).into();
    held
}

/// Whether one of several lines is a JSON object by itself, or the sentinel.
fn has_whole_line(text: &str) -> bool {
    let mut lines = text.split('\n');
    let mut document = Document::default();
    text.contains('\n')
        && lines.any(|line| match classify(line.as_bytes(), Some(SENTINEL)) {
            DataKind::Payload => line.trim_start().starts_with('{') && document.read(line).is_ok(),
            DataKind::Nothing => false,
            DataKind::Done => true,
        })
}
