//! Invariant: for any bytes and any two ways to cut them, `ChatReader` gives the same message, the same
//! verdict, the same count of broken events and the same error; what it has in common with the chunk before
//! changes nothing; it never panics, and holds no more than what came, and than its limits.
#![no_main]

use arbitrary::Arbitrary;
use deltawire_core::LimitExceeded;
use deltawire_core::chat::{Accumulator, Limits, ProviderError};
use deltawire_core::json::Document;
use deltawire_core::stream::{ChatReader, ChunkParser, Step, StreamEnd};
use libfuzzer_sys::fuzz_target;

/// What bytes alone would take long to come upon.
const KNOWN: [&str; 48] = [
    "data: ",
    "\n\n",
    "\n",
    "data: [DONE]\n\n",
    "event: error\n",
    "error: ",
    ": x\n",
    "id: 1\n",
    "\u{feff}",
    " ",
    "{\"choices\":[{\"delta\":{",
    "{\"choices\":[{\"index\":1,\"delta\":{",
    "}}]}",
    "},\"finish_reason\":\"stop\"}]}",
    "\"content\":\"a\"",
    "\"content\":\"\"",
    "\"content\":[{\"type\":\"text\",\"text\":\"t\"},{\"x\":1}]",
    "null",
    "\"reasoning\":\"r\"",
    "\"reasoning_content\":\"r\"",
    "\"role\":\"\"",
    "\"x\":1",
    "\"audio\":{\"data\":\"d\"}",
    "\"reasoning_details\":[{\"type\":\"t\",\"index\":0,\"text\":\"x\"},{\"index\":1,\"summary\":\"s\"}]",
    ",",
    ":",
    "\"tool_calls\":[{",
    "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]",
    "}]",
    "\"id\":\"a\"",
    "\"index\":0",
    "\"index\":\"1\"",
    "\"id\":\"b\"",
    "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}",
    "\"function\":{\"arguments\":{}}",
    "\"function\":{\"arguments\":\"[\\u00e9\\ud83d\\ude00\"}",
    "\"id\":\"null\"",
    "\"custom\":{\"name\":\"c\",\"input\":\"i\"}",
    "{\"error\":{\"message\":\"m\"}}",
    "{\"usage\":{\"n\":5}}",
    "\r\n",
    "{\"choices\":[{\"message\":{\"content\":\"w\"}}]}",
    "{\"x_groq\":{\"usage\":{\"n\":0}}}",
    "{",
    "}",
    "[",
    "]",
    "\"logprobs\":{\"content\":[1]}",
];

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Known(u8),
    /// A chunk of one shape, with a text of its own.
    Chunk {
        shape: u8,
        text: &'a str,
    },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    pieces: Vec<Piece<'a>>,
    cuts: Vec<u8>,
    max_message_size: u16,
    merge_choices: bool,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    body: String,
    calls: Vec<(u64, usize)>,
    end: Option<StreamEnd>,
    error: Option<ProviderError>,
    malformed: u64,
    exceeded: Option<LimitExceeded>,
}

fn body_of(message: &Accumulator) -> String {
    message.body(true, |_, call| call.id.as_deref().unwrap_or("made").to_owned())
}

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>, limits: Limits, merge_choices: bool) -> Outcome {
    let mut reader = ChatReader::new(1 << 20, limits, merge_choices);
    let mut exceeded = None;
    for chunk in chunks {
        exceeded = reader.feed(chunk).err();
        if exceeded.is_some() {
            break;
        }
    }
    if exceeded.is_none() {
        exceeded = reader.close().err();
    }
    let calls = reader.finished_tool_calls(true);
    assert!(reader.finished_tool_calls(true).is_empty(), "each is given out once");
    Outcome {
        body: body_of(reader.message()),
        calls,
        end: reader.end(),
        error: reader.message().error.as_deref().cloned(),
        malformed: reader.chunks().malformed(),
        exceeded,
    }
}

/// The message as it is when each chunk is read and added by itself.
fn plainly(body: &[u8], limits: Limits, merge_choices: bool) -> Option<String> {
    let mut message = Accumulator::new(limits, merge_choices);
    let mut chunks = ChunkParser::new(1 << 20);
    let mut document = Document::default();
    let mut rest = body;
    chunks.begin(body);
    while let Some(step) = chunks.next_step(&mut rest).ok()? {
        if let Step::Chunk(chunk) = step {
            document.read(chunk.text).ok()?;
            message.add(chunk.event, document.root(chunk.text)).ok()?;
        }
    }
    if let Some(chunk) = chunks.close() {
        document.read(chunk.text).ok()?;
        message.add(chunk.event, document.root(chunk.text)).ok()?;
    }
    Some(body_of(&message))
}

fuzz_target!(|input: Input<'_>| {
    let mut body = Vec::new();
    for piece in &input.pieces {
        match *piece {
            Piece::Bytes(bytes) => body.extend_from_slice(bytes),
            Piece::Known(at) => body.extend_from_slice(KNOWN[usize::from(at) % KNOWN.len()].as_bytes()),
            Piece::Chunk { shape, text } => {
                let key = ["content", "reasoning", "arguments", "refusal"][usize::from(shape % 4)];
                let field = format!("\"{key}\":{text:?}");
                let delta = match shape % 4 {
                    2 => format!("\"tool_calls\":[{{\"index\":{},\"function\":{{{field}}}}}]", shape / 4 % 3),
                    _ => field,
                };
                let index = shape / 16 % 2;
                let event =
                    format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{{delta}}}}}]}}\n\n");
                body.extend_from_slice(event.as_bytes());
            }
        }
    }
    let limits = Limits {
        max_message_size: usize::from(input.max_message_size) + 1,
        max_tool_calls: 40,
        max_choices: 4,
    };
    let merge = input.merge_choices;
    let whole = read(std::iter::once(&*body), limits, merge);
    assert_eq!(whole, read(body.chunks(1), limits, merge));
    let mut pieces = Vec::new();
    let mut rest = &*body;
    for &cut in &input.cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(whole, read(pieces.into_iter(), limits, merge));
    if whole.exceeded.is_none() {
        assert_eq!(Some(&whole.body), plainly(&body, limits, merge).as_ref());
    }
    // The keys of a canonical body come on top, for each choice and call; a byte may become U+FFFD or an escape.
    assert!(whole.body.len() <= 40 * body.len() + 1000, "{} of {}", whole.body.len(), body.len());
});
