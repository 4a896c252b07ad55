//! The vectors of tests/vectors/sse.json, which were written from the text of the HTML standard: as they are
//! given, whole, byte by byte, and cut at every place.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod naive;

use deltawire_core::sse::MAX_EVENT_SIZE;
use naive::{Dispatched, Outcome};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../tests/vectors/sse.json");

struct Case {
    name: String,
    chunks: Vec<Vec<u8>>,
    events_per_chunk: Option<Vec<usize>>,
    last_event_id: Vec<u8>,
    max_event_size: usize,
    expected: Expected,
}

/// What a vector tells of the outcome, as text: decoding is the caller's, but the vectors are about it too.
#[derive(Debug, PartialEq)]
struct Expected {
    events: Vec<[Option<String>; 4]>,
    /// The last event ID and the reconnection time at the end; None after an exceeded limit.
    end: Option<(String, Option<u64>)>,
}

impl Expected {
    fn of(outcome: &Outcome) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = |Dispatched { event, data, id, retry, .. }: &Dispatched| {
            let event = if event.is_empty() { "message".into() } else { text(event) };
            [Some(event), Some(text(data)), Some(text(id)), retry.map(|number| number.to_string())]
        };
        Self {
            events: outcome.events.iter().map(fields).collect(),
            end: outcome.end.as_ref().ok().map(|end| (text(&end.last_event_id), end.retry)),
        }
    }

    fn read(case: &Value) -> Self {
        let fields = |event: &Value| {
            let text = |name: &str| Some(event[name].as_str().unwrap().to_owned());
            let retry = event["retry"].as_u64().map(|number| number.to_string());
            [text("event"), text("data"), text("id"), retry]
        };
        let end = || (case["last_event_id"].as_str().unwrap().to_owned(), case["retry"].as_u64());
        Self {
            events: case["events"].as_array().unwrap().iter().map(fields).collect(),
            end: case["error"].is_null().then(end),
        }
    }
}

impl Case {
    fn read(case: &Value) -> Self {
        let chunk = |chunk: &Value| match chunk {
            Value::String(text) => text.clone().into_bytes(),
            other => other["hex"]
                .as_str()
                .unwrap()
                .split(' ')
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect(),
        };
        let number = |value: &Value| value.as_u64().map(|number| usize::try_from(number).unwrap());
        let options = &case["options"];
        Self {
            name: case["name"].as_str().unwrap().into(),
            chunks: case["chunks"].as_array().unwrap().iter().map(chunk).collect(),
            events_per_chunk: case["events_per_chunk"]
                .as_array()
                .map(|counts| counts.iter().filter_map(number).collect()),
            last_event_id: options["last_event_id"].as_str().unwrap_or("").into(),
            max_event_size: number(&options["max_event_size"]).unwrap_or(MAX_EVENT_SIZE),
            expected: Expected::read(case),
        }
    }

    fn all() -> Vec<Self> {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let cases: Vec<_> = file["cases"].as_array().unwrap().iter().map(Self::read).collect();
        assert!(cases.len() > 100);
        cases
    }

    fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    fn check<'c>(&self, chunks: impl IntoIterator<Item = &'c [u8]>, how: &str) {
        let outcome = naive::feed(chunks, &self.last_event_id, self.max_event_size);
        assert_eq!(Expected::of(&outcome), self.expected, "{}: {how}", self.name);
    }
}

#[test]
fn vectors_as_given() {
    for case in Case::all() {
        case.check(case.chunks.iter().map(Vec::as_slice), "as given");
    }
}

#[test]
fn vectors_whole_and_byte_by_byte() {
    for case in Case::all() {
        case.check([&*case.body()], "whole");
        case.check(case.body().chunks(1), "byte by byte");
    }
}

#[test]
fn vectors_cut_at_every_place() {
    for case in Case::all() {
        let body = case.body();
        for place in 0..=body.len() {
            let (before, after) = body.split_at(place);
            case.check([before, after], &format!("cut at {place}"));
        }
    }
}

#[test]
fn events_come_out_with_the_chunk_that_completes_them() {
    for case in Case::all() {
        let mut seen = 0;
        for (i, expected) in case.events_per_chunk.iter().flatten().enumerate() {
            let chunks = case.chunks[..=i].iter().map(Vec::as_slice);
            let events = naive::feed(chunks, &case.last_event_id, case.max_event_size).events.len();
            assert_eq!(events - seen, *expected, "{}: chunk {i}", case.name);
            seen = events;
        }
    }
}

#[test]
fn the_twin_agrees_with_the_vectors() {
    for case in Case::all() {
        let outcome = naive::parse(&case.body(), &case.last_event_id, case.max_event_size);
        assert_eq!(Expected::of(&outcome), case.expected, "{}", case.name);
    }
}
