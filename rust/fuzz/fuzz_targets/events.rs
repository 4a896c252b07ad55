//! Invariant: for any bytes and any two ways to cut them, `EventParser` gives the same events, the same
//! counters and the same error; it never panics, and holds no more than its limit.
#![no_main]

use arbitrary::Arbitrary;
use deltawire_core::LimitExceeded;
use deltawire_core::sse::EventParser;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    body: &'a [u8],
    cuts: Vec<u8>,
    max_event_size: u8,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<(Vec<u8>, Vec<u8>, Vec<u8>, Option<u64>, u64, u64)>,
    last_event_id: Vec<u8>,
    retry: Option<u64>,
    counters: (u64, u64),
    pending: usize,
    error: Option<LimitExceeded>,
}

fn parse<'a>(chunks: impl Iterator<Item = &'a [u8]>, max_event_size: usize) -> Outcome {
    let mut parser = EventParser::new(max_event_size, b"");
    let (mut events, mut error) = (Vec::new(), None);
    for mut rest in chunks {
        loop {
            match parser.next_event(&mut rest) {
                Ok(Some(e)) => events.push((
                    e.event.to_vec(),
                    e.data.to_vec(),
                    e.id.to_vec(),
                    e.retry,
                    e.number,
                    e.offset,
                )),
                Ok(None) => break,
                Err(exceeded) => {
                    error = Some(exceeded);
                    break;
                }
            }
        }
        // A few bytes of a field's name may be held beside the event's values.
        assert!(parser.pending_bytes() <= max_event_size + 5);
    }
    Outcome {
        events,
        last_event_id: parser.last_event_id().to_vec(),
        retry: parser.retry(),
        counters: (parser.events(), parser.comments()),
        pending: parser.pending_bytes(),
        error,
    }
}

fuzz_target!(|input: Input<'_>| {
    let limit = usize::from(input.max_event_size) + 1;
    let whole = parse(std::iter::once(input.body), limit);
    let bytewise = parse(input.body.chunks(1), limit);
    let mut pieces = Vec::new();
    let mut rest = input.body;
    for &cut in &input.cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    let cut = parse(pieces.into_iter(), limit);
    assert_eq!(whole, bytewise);
    assert_eq!(whole, cut);
});
