//! Invariant: for any bytes and any two ways to cut them, a relay sends on the same bytes; without a rule that
//! asks for a change, those that came; what an event has in common with an earlier one changes nothing; it
//! never panics, and holds no more than an event and the message.
#![no_main]

use arbitrary::Arbitrary;
use deltawire_core::chat::Limits;
use deltawire_core::relay::{Edit, Relay, Rules};
use libfuzzer_sys::fuzz_target;

/// What bytes alone would take long to come upon.
const KNOWN: [&str; 32] = [
    "data: ",
    "data:",
    "\n\n",
    "\n",
    "\r",
    "\r\n",
    "data: [DONE]\n\n",
    "event: error\n",
    ": x\n",
    "\u{feff}",
    "{\"choices\":[{\"index\":0,\"delta\":{",
    "{\"choices\":[{\"delta\":null,\"finish_reason\":\"",
    "}}]}",
    "},\"finish_reason\":\"stop\"}]}",
    "\"}]}",
    "\"content\":\"a\"",
    "\"tool_calls\":[{",
    "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]",
    "}]",
    "\"id\":\"a\"",
    "\"index\":1",
    "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}",
    "\"function\":{\"arguments\":{}}",
    "{\"error\":{\"message\":\"m\"}}",
    "\"usage\":{\"n\":5}",
    "\"model\":\"m\"",
    "\"model\":1",
    "{",
    "}",
    "[",
    "]",
    ",",
];

#[derive(Arbitrary, Debug)]
enum Piece<'a> {
    Bytes(&'a [u8]),
    Known(u8),
    /// An event of one shape, with a text of its own.
    Event {
        shape: u8,
        text: &'a str,
    },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    pieces: Vec<Piece<'a>>,
    cuts: Vec<u8>,
    rules: u8,
    max_event_size: u16,
    merge_choices: bool,
}

fn relay(rules: &Rules, limit: usize, merge: bool) -> Relay {
    let limits = Limits { max_message_size: 10_000, max_tool_calls: 40, max_choices: 4 };
    Relay::new(rules.clone(), limit, limits, merge)
}

fn send<'a>(relay: &mut Relay, chunks: impl Iterator<Item = &'a [u8]>, limit: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    for chunk in chunks {
        sent.extend_from_slice(relay.feed(chunk, &mut |_| Edit::Keep).unwrap_or(chunk));
        assert!(relay.pending_bytes() <= 2 * limit + 2);
    }
    sent.extend_from_slice(relay.close(&mut |_| Edit::Keep));
    sent
}

fuzz_target!(|input: Input<'_>| {
    let mut body = Vec::new();
    for piece in &input.pieces {
        match *piece {
            Piece::Bytes(bytes) => body.extend_from_slice(bytes),
            Piece::Known(at) => body.extend_from_slice(KNOWN[usize::from(at) % KNOWN.len()].as_bytes()),
            Piece::Event { shape, text } => {
                let key = ["content", "model", "arguments", "id"][usize::from(shape % 4)];
                let field = format!("\"{key}\":{text:?}");
                let event = match shape / 4 % 3 {
                    0 => format!("data: {{\"model\":\"m\",{field}}}\n\n"),
                    1 => format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{field}}}}}]}}\n\n"),
                    _ => format!(
                        "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{{field},\"function\":{{{field}}}}}]}}}}]}}\n\n"
                    ),
                };
                body.extend_from_slice(event.as_bytes());
            }
        }
    }
    let on = |bit: u8| input.rules & (1 << bit) != 0;
    let rules = Rules {
        set: if on(0) { vec![("model".into(), "\"other\"".into())] } else { Vec::new() },
        remove: if on(1) { vec!["id".into()] } else { Vec::new() },
        drop_usage: on(2),
        drop_comments: on(3),
        repair: on(4),
        append_error: on(5),
        edit: on(6),
    };
    let (limit, merge) = (usize::from(input.max_event_size) + 1, input.merge_choices);
    let whole = send(&mut relay(&rules, limit, merge), std::iter::once(&*body), limit);
    let drip = send(&mut relay(&rules, limit, merge), body.chunks(1), limit);
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&drip));
    let mut pieces = Vec::new();
    let mut rest = &*body;
    for &cut in &input.cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(whole, send(&mut relay(&rules, limit, merge), pieces.into_iter(), limit));
    if input.rules & 0b11_1111 == 0 {
        assert_eq!(whole, body);
    }
    let nothing = Rules { remove: vec!["no such field".into()], ..Rules::default() };
    assert_eq!(body, send(&mut relay(&nothing, limit, merge), body.chunks(7), limit));
});
