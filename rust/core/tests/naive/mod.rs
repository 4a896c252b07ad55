//! The slow, obvious twin of the event parser: a whole body at once, by the steps of the HTML standard.
//!
//! No chunks, no state that could be wrong at a cut, no speed. [`feed`] runs the real parser over chunks and
//! tells what came of it in the same words.

use deltawire_core::sse::EventParser;

/// A dispatched event, which owns what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatched {
    pub event: Vec<u8>,
    pub data: Vec<u8>,
    pub id: Vec<u8>,
    pub retry: Option<u64>,
    /// Counted from 1.
    pub number: u64,
    /// Where the first line of its block begins.
    pub offset: u64,
}

/// All that a body came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub events: Vec<Dispatched>,
    /// Err where an event, by number and offset, went over the limit: nothing is said of the end then.
    pub end: Result<End, (u64, u64)>,
}

/// What stands at the end of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub last_event_id: Vec<u8>,
    pub retry: Option<u64>,
    pub comments: u64,
}

/// Runs the event parser over `chunks`.
pub fn feed<'c>(
    chunks: impl IntoIterator<Item = &'c [u8]>,
    last_event_id: &[u8],
    max_event_size: usize,
) -> Outcome {
    let mut parser = EventParser::new(max_event_size, last_event_id);
    let mut events = Vec::new();
    let mut fed = 0;
    for mut chunk in chunks {
        fed += chunk.len();
        loop {
            match parser.next_event(&mut chunk) {
                Ok(Some(event)) => events.push(Dispatched {
                    event: event.event.to_vec(),
                    data: event.data.to_vec(),
                    id: event.id.to_vec(),
                    retry: event.retry,
                    number: event.number,
                    offset: event.offset,
                }),
                Ok(None) => break,
                Err(exceeded) => {
                    assert_eq!((exceeded.limit, exceeded.value), ("max_event_size", max_event_size));
                    assert_eq!(parser.next_event(&mut &b"\n\ndata: x\n\n"[..]), Err(exceeded), "it stays so");
                    return Outcome { events, end: Err((exceeded.event_number, exceeded.offset)) };
                }
            }
        }
        assert!(chunk.is_empty(), "None means that the chunk is used up");
        assert_eq!(parser.bytes(), fed as u64);
        // A name that is still arriving is held beside the event.
        assert!(parser.pending_bytes() <= fed.min(max_event_size + 5));
    }
    assert_eq!(parser.events(), events.len() as u64);
    let end = End {
        last_event_id: parser.last_event_id().to_vec(),
        retry: parser.retry(),
        comments: parser.comments(),
    };
    Outcome { events, end: Ok(end) }
}

/// What the standard makes of `body`.
pub fn parse(body: &[u8], last_event_id: &[u8], max_event_size: usize) -> Outcome {
    let mut events = Vec::new();
    let mut end = End { last_event_id: last_event_id.to_vec(), retry: None, comments: 0 };
    let mut block = Block::default();
    for Line { offset, text, ended } in lines(body) {
        if text.is_empty() {
            if let Some(id) = &block.id {
                end.last_event_id.clone_from(id);
            }
            if !block.data.is_empty() {
                events.push(Dispatched {
                    event: block.event,
                    data: block.data.join(&b'\n'),
                    id: end.last_event_id.clone(),
                    retry: block.retry,
                    number: events.len() as u64 + 1,
                    offset: block.offset.unwrap_or(offset),
                });
            }
            block = Block::default();
            continue;
        }
        let begin = *block.offset.get_or_insert(offset);
        let colon = text.iter().position(|&byte| byte == b':');
        if colon == Some(0) {
            end.comments += u64::from(ended);
            continue;
        }
        if !ended && colon.is_none() {
            // It may still become any field.
            continue;
        }
        let (name, value) = match colon {
            Some(colon) => (&text[..colon], &text[colon + 1..]),
            None => (text, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if block.size_with(name, value) > max_event_size {
            return Outcome { end: Err((events.len() as u64 + 1, begin)), events };
        }
        match name {
            _ if !ended => {}
            b"event" => block.event = value.to_vec(),
            b"data" => block.data.push(value.to_vec()),
            b"id" if !value.contains(&0) => block.id = Some(value.to_vec()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = String::from_utf8_lossy(value);
                // The one failure left is a number beyond 64 bits.
                end.retry = Some(digits.parse().unwrap_or(u64::MAX));
                block.retry = end.retry;
            }
            _ => {}
        }
    }
    Outcome { events, end: Ok(end) }
}

/// The buffers of the standard, of one block.
#[derive(Default)]
struct Block {
    offset: Option<u64>,
    event: Vec<u8>,
    data: Vec<Vec<u8>>,
    id: Option<Vec<u8>>,
    retry: Option<u64>,
}

impl Block {
    /// The bytes that are held once this field has been read, beside what is held before it.
    fn size_with(&self, name: &[u8], value: &[u8]) -> usize {
        let mut lines: Vec<&[u8]> = self.data.iter().map(Vec::as_slice).collect();
        let other = match name {
            b"data" => {
                lines.push(value);
                0
            }
            b"event" => value.len(),
            // Of an ID with NUL nothing is kept, but who reads byte by byte learns that at the NUL only.
            b"id" => value.split(|&byte| byte == 0).next().map_or(0, <[u8]>::len),
            // Nothing is held of any other line, so it is no reason to refuse.
            _ => return 0,
        };
        lines.join(&b'\n').len() + self.event.len() + self.id.as_ref().map_or(0, Vec::len) + other
    }
}

struct Line<'b> {
    offset: u64,
    text: &'b [u8],
    /// False for what follows the last line end.
    ended: bool,
}

/// Cuts a body at LF, CR and CRLF, past a byte order mark.
fn lines(body: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut i = start;
    while i < body.len() {
        let end = match &body[i..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if end > 0 {
            lines.push(Line { offset: start as u64, text: &body[start..i], ended: true });
            start = i + end;
        }
        i += end.max(1);
    }
    if start < body.len() {
        lines.push(Line { offset: start as u64, text: &body[start..], ended: false });
    }
    lines
}
