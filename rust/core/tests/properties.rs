//! The event parser means what its slow twin says, whatever the body, wherever it is cut, whatever the limit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod naive;

use proptest::prelude::*;
use proptest::sample::{Index, select};

const NO_LIMIT: usize = usize::MAX / 2;

/// Lines and pieces of lines, so that a random body is more than one long unknown field.
const PIECES: &[&[u8]] = &[
    b"data: a\n",
    b"data:bc\r\n",
    b"data\n",
    b"data:\r",
    b"event: a\n",
    b"event\n",
    b"id: 1\n",
    b"id\n",
    b"id: 2\0\n",
    b"retry: 3\n",
    b"retry: 4x\n",
    b": c\n",
    b"\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b"data",
    b"data: ",
    b"data:",
    b"dat",
    b"event: ",
    b"id: ",
    b"retry: ",
    b":",
    b" ",
    b"\0",
    b"7",
    b"99999999999999999999",
    b"x",
    b"foo: ",
    b"\xEF\xBB\xBF",
    b"\xEF\xBB",
    b"\xEF",
    b"\xFF",
    b"\xE2\x82",
    "\u{e9}\u{2028}\u{85}".as_bytes(),
];

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        9 => select(PIECES).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn cut<'b>(body: &'b [u8], places: &[Index]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

fn places() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_body_means_what_the_twin_says_however_it_is_cut(body in bodies(), places in places()) {
        let expected = naive::parse(&body, b"7", NO_LIMIT);
        prop_assert_eq!(&naive::feed([&*body], b"7", NO_LIMIT), &expected);
        prop_assert_eq!(&naive::feed(cut(&body, &places), b"7", NO_LIMIT), &expected);
        prop_assert_eq!(&naive::feed(body.chunks(1), b"7", NO_LIMIT), &expected);
    }

    #[test]
    fn a_limit_is_exceeded_where_the_twin_says_however_the_body_is_cut(
        body in bodies(),
        places in places(),
        limit in 1_usize..8,
    ) {
        let expected = naive::parse(&body, b"", limit);
        prop_assert_eq!(&naive::feed([&*body], b"", limit), &expected);
        prop_assert_eq!(&naive::feed(cut(&body, &places), b"", limit), &expected);
        prop_assert_eq!(&naive::feed(body.chunks(1), b"", limit), &expected);
    }

    #[test]
    fn an_event_whose_bytes_are_the_limit_passes_and_one_byte_more_does_not(
        event in "[a-z]{0,9}",
        id in "[a-z]{0,9}",
        data in prop::collection::vec("[a-z]{0,9}", 1..5),
        places in places(),
    ) {
        let body = format!("event: {event}\nid: {id}\ndata: {}\n\n", data.join("\ndata: "));
        let size = event.len() + id.len() + data.join("\n").len();
        let chunks = cut(body.as_bytes(), &places);
        prop_assert_eq!(naive::feed(chunks.clone(), b"", size.max(1)).events.len(), 1);
        if size > 1 {
            prop_assert_eq!(naive::feed(chunks, b"", size - 1).end, Err((1, 0)));
        }
    }
}
