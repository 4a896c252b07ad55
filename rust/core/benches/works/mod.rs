//! What is measured of the core, by the clock (`core.rs`) and in instructions (`examples/count.rs`).
//!
//! Each work reads a stream from a list of network chunks with a parser of its own, as a gateway does, and
//! tells how much it found, which whoever measures holds against what he knows of the stream.

use std::hint::black_box;

use deltawire_core::LimitExceeded;
use deltawire_core::chat::{Limits, Text};
use deltawire_core::relay::{Edit, Relay, Rules};
use deltawire_core::sse::{EventParser, MAX_EVENT_SIZE};
use deltawire_core::stream::{ChatReader, ChunkParser, Step};

/// How many items a work found, and how many bytes of payload in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub items: usize,
    pub bytes: usize,
}

/// One of the works below.
pub type Work = fn(&[&[u8]]) -> Result<Found, LimitExceeded>;

/// Events, with their data.
pub fn events(chunks: &[&[u8]]) -> Result<Found, LimitExceeded> {
    let mut found = Found { items: 0, bytes: 0 };
    let mut parser = EventParser::new(MAX_EVENT_SIZE, b"");
    for &chunk in chunks {
        let mut rest = chunk;
        while let Some(event) = parser.next_event(&mut rest)? {
            found.items += 1;
            found.bytes += black_box(event.data).len();
        }
    }
    Ok(found)
}

/// Chunks that are valid JSON, with their text.
pub fn chunks(chunks: &[&[u8]]) -> Result<Found, LimitExceeded> {
    let mut found = Found { items: 0, bytes: 0 };
    let mut parser = ChunkParser::new(MAX_EVENT_SIZE);
    for &chunk in chunks {
        let mut rest = chunk;
        parser.begin(chunk);
        loop {
            while let Some(lone) = parser.next_lone(&mut rest) {
                found.items += 1;
                found.bytes += black_box(lone.event.data).len();
            }
            match parser.next_step(&mut rest)? {
                Some(Step::Chunk(chunk)) => {
                    found.items += 1;
                    found.bytes += black_box(chunk.text).len();
                }
                Some(_) => {}
                None => break,
            }
        }
    }
    Ok(found)
}

/// The message of a chat; its bytes are those of the content, the reasoning and the arguments.
pub fn chat(chunks: &[&[u8]]) -> Result<Found, LimitExceeded> {
    let mut reader = ChatReader::new(MAX_EVENT_SIZE, Limits::default(), false);
    for &chunk in chunks {
        reader.feed(chunk)?;
    }
    reader.close()?;
    Ok(said(&reader))
}

/// The same, of a stream that is passed on under another model name and without usage.
pub fn relay(chunks: &[&[u8]]) -> Result<Found, LimitExceeded> {
    let set = vec![("model".into(), "\"house/model-1\"".into())];
    let rules = Rules { set, drop_usage: true, ..Rules::default() };
    let mut relay = Relay::new(rules, MAX_EVENT_SIZE, Limits::default(), false);
    for &chunk in chunks {
        black_box(relay.feed(chunk, &mut |_| Edit::Keep));
    }
    black_box(relay.close(&mut |_| Edit::Keep));
    relay.exceeded().map_or_else(|| Ok(said(relay.reader())), Err)
}

fn said(reader: &ChatReader) -> Found {
    let items = reader.chunks().payloads();
    let bytes = reader.message().choices().map(|(_, choice)| {
        let calls: usize = choice.tool_calls.iter().map(|call| call.arguments(true).len()).sum();
        choice.content.as_ref().map_or(0, Text::len) + calls
    });
    Found { items: usize::try_from(items).unwrap_or(usize::MAX), bytes: bytes.sum() }
}

/// Cuts a body into pieces of a size, or where no size is given after each event that ends with a blank line.
pub fn cut(body: &[u8], size: Option<usize>) -> Vec<&[u8]> {
    let Some(size) = size else {
        let mut rest = body;
        let mut pieces = Vec::new();
        while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
            let (piece, after) = rest.split_at(end + 2);
            pieces.push(piece);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(rest);
        }
        return pieces;
    };
    body.chunks(size).collect()
}
