//! An event parser that dispatches blocks without data does so for each block that sets something, wherever
//! the stream is cut, and for no other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use deltawire_core::sse::EventParser;

const BODY: &[u8] = b"retry: 5\n\nevent: ping\r\n\r\nid: 1\r\rdata: x\n\n: c\n\n\nretry: x\n\nid: a\0\n\nevent: e\nevent\n\nid\n\ndata\n\nevent: cut";

/// The type, data and ID of each event.
fn events(parser: &mut EventParser, chunks: [&[u8]; 2]) -> Vec<[String; 3]> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    for mut rest in chunks {
        while let Some(event) = parser.next_event(&mut rest).unwrap() {
            found.push([text(event.event), text(event.data), text(event.id)]);
        }
    }
    found
}

#[test]
fn each_block_that_sets_something_is_dispatched_wherever_the_stream_is_cut() {
    let expected = [["", "", ""], ["ping", "", ""], ["", "", "1"], ["", "x", "1"], ["", "", ""]];
    let mut parser = EventParser::new(1000, b"").with_dataless_events();
    for cut in 0..=BODY.len() {
        let (head, tail) = BODY.split_at(cut);
        assert_eq!(events(&mut parser, [head, tail]), expected, "cut at {cut}");
        parser.reset(b"");
    }
}

#[test]
fn the_standard_dispatches_blocks_with_data_alone() {
    let mut parser = EventParser::new(1000, b"");
    assert_eq!(events(&mut parser, [BODY, b""]), [["", "x", "1"], ["", "", ""]]);
}
