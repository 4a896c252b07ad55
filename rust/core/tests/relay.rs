//! A relay sends on what came but for what its rules ask, wherever the stream is cut; what an event has in
//! common with an earlier one changes nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use deltawire_core::chat::Limits;
use deltawire_core::relay::{Edit, Relay, Rules, Sent};
use deltawire_core::sse::EventParser;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const LIMITS: Limits = Limits { max_message_size: 1 << 20, max_tool_calls: 100, max_choices: 10 };

/// Scalars that may stand for each other in events that are otherwise alike, and some that may not.
const SCALARS: &[&str] = &[
    "\"a\"",
    "\"\"",
    "\"long enough for the search \\u00e9 \\n\\\"\"",
    "\"\u{e9}\u{2028}\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"a\tb\"",
    "\"a",
    "a\"",
    "1",
    "12",
    "-7",
    "012",
    "1.5",
    "1e400",
    "1234567890123456",
    "null",
    "true",
    "{}",
    "[]",
    "{\"usage\":1}",
    "",
];

const SHAPES: &[&str] = &[
    "data: {\"id\":@,\"model\":@,\"choices\":[{\"index\":0,\"delta\":{\"content\":@}}]}\n\n",
    "data: {\"model\":@,\"usage\":@,\"choices\":[],\"n\":@}\n\n",
    "data: {\"model\":@,\"model\":@}\r\n\r\n",
    "data: {\"choices\":[],\"usage\":{\"n\":@}}\n\n",
    "data: {\"a\":@,\ndata: \"model\":@}\n\n",
    "event: e\ndata:{\"error\":@,\"mod\\u0065l\":@}\r\r",
    "id: 7\n: c\ndata: [@,{\"model\":@}]\n\n",
    "data: {\"model\":@\ndata: {\"model\":@}\n\n",
    ": c\n\n",
    "data: [DONE]\n\n",
    "\n",
    "data: @\n\n",
];

/// What may stand between two blocks and changes how the next one is read.
const ODD: &[&[u8]] =
    &[b"\xEF\xBB\xBF", b"\xEF", b"{\"error\":{}}", b"{", b"<html>\r", b"x\n", b"\n", b": c\r"];

fn rules() -> Vec<Rules> {
    let set = |key: &str, value: &str| vec![(key.into(), value.into())];
    vec![
        Rules { set: set("model", "{\"x\":1}"), ..Rules::default() },
        Rules { remove: vec!["model".into(), "n".into()], ..Rules::default() },
        Rules { drop_usage: true, set: set("id", "null"), ..Rules::default() },
        Rules { drop_comments: true, ..Rules::default() },
    ]
}

fn blocks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let block = (select(SHAPES), prop::collection::vec(select(SCALARS), 3)).prop_map(|(shape, scalars)| {
        let mut parts = shape.split('@');
        let mut block = parts.next().unwrap_or_default().to_owned();
        for (part, scalar) in parts.zip(scalars) {
            block += scalar;
            block += part;
        }
        block.into_bytes()
    });
    // Runs of one shape, as streams have them.
    prop::collection::vec(block, 0..12)
}

fn relay(rules: &Rules, limit: usize) -> Relay {
    Relay::new(rules.clone(), limit, LIMITS, false)
}

fn send<'b>(rules: &Rules, limit: usize, chunks: impl IntoIterator<Item = &'b [u8]>) -> Vec<u8> {
    let mut relay = relay(rules, limit);
    let mut sent = Vec::new();
    for chunk in chunks {
        sent.extend_from_slice(relay.feed(chunk, &mut |_| Edit::Keep).unwrap_or(chunk));
    }
    sent.extend_from_slice(relay.close(&mut |_| Edit::Keep));
    sent
}

fn cut<'b>(body: &'b [u8], places: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_event_is_edited_as_if_it_were_the_only_one(blocks in blocks(), at in any::<Index>()) {
        let rules = rules();
        let rules = &rules[at.index(rules.len())];
        // A blank line behind a comment is a matter of both.
        let blocks: Vec<_> = blocks.into_iter().filter(|it| !it.starts_with(b"\n")).collect();
        let expected: Vec<u8> = blocks.iter().flat_map(|block| send(rules, 1 << 20, [&**block])).collect();
        prop_assert_eq!(send(rules, 1 << 20, [&*blocks.concat()]), expected);
    }

    #[test]
    fn what_is_sent_on_does_not_depend_on_the_cut(
        mut blocks in blocks(),
        odd in prop::collection::vec((any::<Index>(), select(ODD)), 0..3),
        at in any::<Index>(),
        places in prop::collection::vec(any::<Index>(), 0..20),
        limit in prop_oneof![Just(1 << 20), 1_usize..200],
        repair in any::<bool>(),
        append_error in any::<bool>(),
    ) {
        let rules = rules();
        let rules = Rules { repair, append_error, ..rules[at.index(rules.len())].clone() };
        for (at, odd) in odd {
            blocks.insert(at.index(blocks.len() + 1), odd.to_vec());
        }
        let body = blocks.concat();
        let whole = send(&rules, limit, [&*body]);
        prop_assert_eq!(&send(&rules, limit, cut(&body, &places)), &whole);
        prop_assert_eq!(&send(&rules, limit, body.chunks(1)), &whole);
    }

    #[test]
    fn nothing_is_changed_without_a_rule_that_asks_for_it(
        body in prop::collection::vec(any::<u8>(), 0..200),
        blocks in blocks(),
        places in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let rules = Rules { set: vec![("no such field".into(), "1".into())], ..Rules::default() };
        let body = [blocks.concat(), body].concat();
        prop_assert_eq!(&send(&rules, 50, cut(&body, &places)), &body);
        prop_assert_eq!(&send(&Rules::default(), 50, cut(&body, &places)), &body);
    }
}

#[test]
fn only_in_front_of_the_first_event_is_a_mark_no_part_of_a_line() {
    let (event, edited) = ("data: {\"model\":\"m\"}\n\n", "data: {\"model\":{\"x\":1}}\n\n");
    let body = format!("\u{feff}{event}\u{feff}{event}{event}");
    let expected = format!("\u{feff}{edited}\u{feff}{event}{edited}");
    assert_eq!(sent_by_rules(&body), expected);
    assert_eq!(sent_by_rules(&body[3..]), expected[3..]);
}

/// What is sent on of a body as a whole, with the field `model` set.
fn sent_by_rules(body: &str) -> String {
    String::from_utf8(send(&rules()[0], 1 << 20, [body.as_bytes()])).unwrap()
}

#[test]
fn events_that_differ_in_scalars_are_all_edited_as_the_first() {
    let event = |n: usize| format!("data: {{\"model\":\"m\",\"c\":\"{n}\",\"n\":{n}}}\n\n");
    let rules = &rules()[0];
    let body: String = (0..1000).map(event).collect();
    let sent = String::from_utf8(send(rules, 1 << 20, [body.as_bytes()])).unwrap();
    assert_eq!(sent, body.replace("\"m\"", "{\"x\":1}"));
}

/// What is sent on is the same for the body as a whole and for each byte alone.
fn sent_in_any_cut(limit: usize, limits: Limits, body: &str) -> String {
    let rules = Rules { repair: true, ..Rules::default() };
    let send = |chunks: &mut dyn Iterator<Item = &[u8]>| {
        let mut relay = Relay::new(rules.clone(), limit, limits, false);
        let mut sent = Vec::new();
        for chunk in chunks {
            sent.extend_from_slice(relay.feed(chunk, &mut |_| Edit::Keep).unwrap_or(chunk));
        }
        sent.extend_from_slice(relay.close(&mut |_| Edit::Keep));
        String::from_utf8(sent).unwrap()
    };
    let whole = send(&mut std::iter::once(body.as_bytes()));
    assert_eq!(send(&mut body.as_bytes().chunks(1)), whole);
    whole
}

#[test]
fn nothing_is_repaired_once_the_observation_has_stopped() {
    let limits = Limits { max_message_size: 5, ..LIMITS };
    for block in [
        "data: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n",
        "id: 1\ndata: {\"choices\":[{\"delta\":{\"content\":\"abc\"}}]}\n\n",
    ] {
        let sent = sent_in_any_cut(1 << 20, limits, &format!(": c\n\n{}", block.repeat(3)));
        assert_eq!(sent.matches("index").count(), 1, "{sent}");
    }
}

#[test]
fn a_block_over_the_limit_tells_nothing_of_others() {
    let chunk = |id: &str, index: u8| {
        format!(
            "data: {{\"id\":\"{id}\",\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n"
        )
    };
    let large = chunk("a long id", 1);
    let message = "data: {\"choices\":[{\"index\":1,\"message\":{\"content\":\"a\"}}]}\n\n";
    let body = [": c\n\n", &large, &chunk("b", 0), message].concat();
    // Its data is within the limit, so that it is observed.
    let sent = sent_in_any_cut(large.len() - 4, LIMITS, &body);
    assert!(sent.ends_with("[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}\n\n"), "{sent}");
}

#[test]
fn what_is_outstanding_has_the_envelope_of_the_chunks_before() {
    let call = "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n";
    let finish = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let large = format!("data: {{\"model\":\"other\",\"n\":\"{}\"}}\n\n", "n".repeat(200));
    let sent = sent_in_any_cut(large.len() - 4, LIMITS, &[call, finish, &large].concat());
    assert!(sent.contains("chunk\",\"model\":\"m\""), "{sent}");
}

/// The events of a stream: type, data and last event ID of each.
fn events(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let mut parser = EventParser::new(1 << 20, b"");
    let (mut rest, mut found) = (stream, Vec::new());
    while let Some(event) = parser.next_event(&mut rest).unwrap() {
        found.push((event.event.to_vec(), event.data.to_vec(), event.id.to_vec()));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_comment_in_between_changes_no_event(
        pieces in prop::collection::vec(
            (select(&["data: x", ": c", ":", "\n", "\n", "\n\n", "\r\n", "\r", "\u{feff}", "\u{feff}data: y\n\n", "id: 1", "x"][..]), any::<bool>()),
            1..24,
        ),
        cut in any::<bool>(),
    ) {
        let came: String = pieces.iter().map(|(piece, _)| *piece).collect();
        let (mut sent, mut out, mut interrupted) = (Sent::default(), Vec::new(), false);
        for (piece, ask) in &pieces {
            let size = if cut { 1 } else { piece.len() };
            for bytes in piece.as_bytes().chunks(size) {
                out.extend_from_slice(&sent.send(bytes));
            }
            if *ask && sent.interrupt() {
                out.extend_from_slice(b": in between\n\n");
                interrupted = true;
            }
            let ended = out.ends_with(b"\n\n");
            prop_assert!(!ended || sent.interrupt());
        }
        out.extend_from_slice(&sent.close(b""));
        if !interrupted {
            prop_assert_eq!(&*out, came.as_bytes());
        }
        prop_assert_eq!(events(&out), events(came.as_bytes()), "{:?}", came);
    }
}

#[test]
fn inside_a_long_event_nothing_is_put_in_between() {
    let mut sent = Sent::default();
    sent.send(b"data: a\n");
    // What was sent last looks like a comment that stands for itself.
    sent.send(&[&b": "[..], &[b'x'; 600], b"\n: c\n"].concat());
    assert!(!sent.interrupt());
    sent.send(b"\n");
    assert!(sent.interrupt());
    for _ in 0..600 {
        sent.send(b":\n");
    }
    assert!(!sent.interrupt());
    sent.send(b"data: b\r\n\r\n");
    assert!(sent.interrupt());
    assert_eq!(sent.count(), 606);
}
