//! Chat streams: the vectors of tests/vectors/chat.json, event by event, whole, byte by byte and cut at every
//! place that matters; and what the JSON layer below promises, with `serde_json` as the judge.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use deltawire_core::chat::{Limits, ToolCall};
use deltawire_core::json::{Completeness, Document, Kind, Value as Read, compact};
use deltawire_core::sse::MAX_EVENT_SIZE;
use deltawire_core::stream::{ChatReader, StreamEnd};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

const VECTORS: &str = include_str!("../../../tests/vectors/chat.json");

// The vectors.

struct Case {
    name: String,
    chunks: Vec<Vec<u8>>,
    merge_choices: bool,
    expected: Value,
}

/// What a stream came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// As text: it is the same, byte for byte, however the stream was cut.
    body: String,
    calls: Vec<Call>,
    end: String,
    error: Value,
    malformed: u64,
}

/// A tool call of the first choice. A generated id is none.
#[derive(Debug, PartialEq)]
struct Call {
    id: Option<String>,
    name: String,
    arguments: String,
    complete: bool,
    repairs: Vec<String>,
}

impl Call {
    fn of(call: &ToolCall, document: &mut Document) -> Self {
        Self {
            id: call.id.as_deref().map(str::to_owned),
            name: call.name.clone(),
            arguments: call.arguments(true).to_owned(),
            complete: call.is_complete(true, document),
            repairs: call.repairs(true).names().map(str::to_owned).collect(),
        }
    }

    fn read(call: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            id: text(&call["id"]),
            name: text(&call["name"]).unwrap(),
            arguments: text(&call["arguments"]).unwrap(),
            complete: call["complete"].as_bool().unwrap_or(true),
            repairs: call["repairs"].as_array().into_iter().flatten().filter_map(text).collect(),
        }
    }
}

fn read<'c>(chunks: impl IntoIterator<Item = &'c [u8]>, merge_choices: bool) -> Outcome {
    let mut reader = ChatReader::new(MAX_EVENT_SIZE, Limits::default(), merge_choices);
    for chunk in chunks {
        reader.feed(chunk).unwrap();
    }
    reader.close().unwrap();
    let message = reader.message();
    let id_of = |_, call: &ToolCall| match &call.id {
        Some(id) => id.to_string(),
        None => call.generated_id.to_string(),
    };
    let mut document = Document::default();
    let first = message.choices().next();
    let calls = first.into_iter().flat_map(|(_, choice)| choice.tool_calls.iter());
    let error = message.error.as_ref().map(|error| {
        let code: Value =
            error.code.as_deref().map_or(Value::Null, |code| serde_json::from_str(code).unwrap());
        json!({"message": &*error.message, "type": error.kind.as_deref(), "code": code})
    });
    Outcome {
        body: message.body(true, id_of),
        calls: calls.map(|call| Call::of(call, &mut document)).collect(),
        end: format!("{:?}", reader.end().unwrap()),
        error: error.unwrap_or_default(),
        malformed: reader.chunks().malformed(),
    }
}

impl Case {
    fn read(case: &Value) -> Self {
        let chunk = |chunk: &Value| match chunk {
            Value::String(wire) => wire.clone().into_bytes(),
            event => format!("data: {event}\n\n").into_bytes(),
        };
        Self {
            name: case["name"].as_str().unwrap().into(),
            chunks: case["chunks"].as_array().unwrap().iter().map(chunk).collect(),
            merge_choices: case["options"]["n"] == 1,
            expected: case["expected"].clone(),
        }
    }

    fn all() -> Vec<Self> {
        let file: Value = serde_json::from_str(VECTORS).unwrap();
        let cases: Vec<_> = file["cases"].as_array().unwrap().iter().map(Self::read).collect();
        assert!(cases.len() > 200);
        cases
    }

    fn check(&self, outcome: &Outcome) {
        let (expected, name) = (&self.expected, &self.name);
        let body: Value = serde_json::from_str(&outcome.body).unwrap();
        let choice = &body["choices"][0];
        for key in ["content", "reasoning"] {
            assert_eq!(choice["message"][key], expected[key], "{name}: {key}");
        }
        assert_eq!(choice["finish_reason"], expected["finish_reason"], "{name}");
        assert_eq!(body["usage"], expected["usage"], "{name}");
        let calls = expected["tool_calls"].as_array().into_iter().flatten().map(Call::read);
        assert_eq!(outcome.calls, calls.collect::<Vec<_>>(), "{name}");
        let end = outcome.end.replace("NotSse", "NOT_SSE").to_uppercase();
        assert_eq!(end, expected["end"].as_str().unwrap(), "{name}");
        assert_eq!(outcome.error, expected["error"], "{name}");
        assert_eq!(outcome.malformed, expected["malformed"].as_u64().unwrap_or(0), "{name}");
        for (pointer, value) in expected["at"].as_object().into_iter().flatten() {
            let found = body.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(found, value, "{name}: {pointer}");
        }
    }
}

#[test]
fn vectors_assemble_as_they_say_event_by_event_and_whole_and_byte_by_byte() {
    for case in Case::all() {
        let body = case.chunks.concat();
        case.check(&read(case.chunks.iter().map(Vec::as_slice), case.merge_choices));
        case.check(&read([&*body], case.merge_choices));
        case.check(&read(body.chunks(1), case.merge_choices));
    }
}

/// The places around line ends and inside the names of fields, and some inside the data. The rest of them are
/// cut by the tests in Python, whose core is optimised.
fn places(body: &[u8]) -> impl Iterator<Item = usize> {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    (1..body.len()).filter(move |&place| {
        let around = &body[place.saturating_sub(8)..(place + 2).min(body.len())];
        place < 8 || place % 11 == 0 || around.iter().any(is_end) || !body[place].is_ascii()
    })
}

#[test]
fn vectors_assemble_the_same_wherever_they_are_cut() {
    for case in Case::all() {
        let body = case.chunks.concat();
        let whole = read([&*body], case.merge_choices);
        for place in places(&body) {
            let (before, after) = body.split_at(place);
            assert_eq!(read([before, after], case.merge_choices), whole, "{}: cut at {place}", case.name);
        }
    }
}

// The reader beyond what vectors can say.

fn text(content: &str) -> Vec<u8> {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": content}}]})).into_bytes()
}

#[test]
fn a_limit_is_told_by_name_and_again_until_reset() {
    for (limits, limit) in [
        (Limits { max_message_size: 3, ..Limits::default() }, "max_message_size"),
        (Limits { max_tool_calls: 1, ..Limits::default() }, "max_tool_calls"),
        (Limits { max_choices: 1, ..Limits::default() }, "max_choices"),
    ] {
        let over = json!({"choices": [
            {"index": 0, "delta": {"content": "abc", "tool_calls": [{"id": "a"}, {"id": "b"}]}},
            {"index": 1, "delta": {"content": "d"}},
        ]});
        let mut reader = ChatReader::new(MAX_EVENT_SIZE, limits, false);
        reader.feed(&text("")).unwrap();
        let first = reader.feed(format!("data: {over}\n\n").as_bytes()).unwrap_err();
        assert_eq!((first.limit, first.event_number, first.offset), (limit, 2, text("").len() as u64));
        assert_eq!(reader.feed(b"").unwrap_err(), first);
        assert_eq!(reader.add("{}").unwrap_err(), first);
        assert_eq!(reader.close().unwrap_err(), first);
        assert_eq!(reader.end(), None);
        assert_eq!(reader.message().choices().next().unwrap().0, 0, "what came before can be read");
        reader.reset();
        reader.feed(&text("abc")).unwrap();
        assert_eq!(reader.message().choices().next().unwrap().1.content.as_ref().unwrap().as_str(), "abc");
    }
}

#[test]
fn a_chunk_that_came_by_another_way_is_added_and_what_is_no_json_passed_over() {
    let mut reader = ChatReader::new(MAX_EVENT_SIZE, Limits::default(), false);
    assert_eq!(reader.add("{"), Ok(()));
    assert_eq!(reader.message().choices().count(), 0);
    assert_eq!(reader.add(r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}"#), Ok(()));
    reader.close().unwrap();
    assert_eq!(reader.end(), Some(StreamEnd::Finished));
}

// JSON, with serde_json as the judge.

/// A value as `serde_json` has it, made by asking for each of its parts.
fn rebuilt(value: Read<'_>) -> Value {
    match value.kind() {
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(value.raw() == "true"),
        Kind::Number => serde_json::from_str(value.raw()).unwrap(),
        Kind::String => Value::String(value.as_str().unwrap().into_owned()),
        Kind::Array => value.items().map(rebuilt).collect(),
        Kind::Object => {
            Value::Object(value.members().map(|(key, value)| (key.to_owned(), rebuilt(value))).collect())
        }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        prop::num::f64::NORMAL.prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        "[\\[\\]{}\",:\\\\ \n]{0,6}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,3}|\\PC{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn containers() -> impl Strategy<Value = Value> {
    prop::collection::vec(values(), 0..3)
        .prop_map(|items| if items.len() == 1 { json!({"a": items}) } else { Value::from(items) })
}

/// Pieces of JSON, so that soup made of them is now and then valid.
const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\"",
    "\"\\u0061\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "1",
    "-0",
    "0",
    "01",
    "1.5",
    "1e5",
    "1e999",
    "1E-9",
    ".5",
    "-",
    "true",
    "false",
    "null",
    "nul",
    "NaN",
    "Infinity",
    " ",
    "\t",
    "\n",
    "\u{b}",
    "\\",
    "x",
    "\u{e9}",
    "\u{0}",
    "\u{2028}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_holds_the_values_that_serde_json_reads(value in values(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        let mut document = Document::default();
        prop_assert!(document.read(&text).is_ok());
        // Read again by the judge, who rounds floats in a way of its own.
        prop_assert_eq!(rebuilt(document.root(&text)), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn a_document_takes_what_serde_json_takes(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..8)) {
        let text = tokens.concat();
        let mut document = Document::default();
        let judged = serde_json::from_str::<Value>(&text);
        prop_assert_eq!(document.read(&text).is_ok(), judged.is_ok(), "{:?}", text);
        if let Ok(value) = judged {
            prop_assert_eq!(rebuilt(document.root(&text)), value);
        }
    }

    #[test]
    fn compact_takes_out_what_a_pretty_printer_put_in(value in values()) {
        prop_assert_eq!(compact(&serde_json::to_string_pretty(&value).unwrap()), value.to_string());
    }

    #[test]
    fn only_the_whole_of_a_container_is_whole(value in containers(), pretty in any::<bool>(), cuts in any::<[Index; 3]>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let text = text.unwrap();
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let mut cuts = cuts.map(|cut| *cut.get(&ends));
        cuts.sort_unstable();
        let [a, b, c] = cuts;
        let mut whole = Completeness::default();
        for (piece, rest) in [(&text[..a], true), (&text[a..b], true), (&text[b..c], true), (&text[c..], false)] {
            prop_assert!(!whole.is_whole());
            whole.push(piece);
            prop_assert_eq!(whole.is_whole(), !rest, "{:?}", text);
        }
        whole.push(" \r\n\t");
        prop_assert!(whole.is_whole());
        whole.push("x");
        prop_assert!(!whole.is_whole());
    }

    #[test]
    fn what_does_not_begin_with_a_bracket_is_never_whole(pieces in prop::collection::vec("[1a\"{}\\[\\] ]{0,3}", 1..5)) {
        let mut whole = Completeness::default();
        whole.push("1");
        for piece in pieces {
            whole.push(&piece);
            prop_assert!(!whole.is_whole());
        }
    }
}

#[test]
fn a_document_is_as_deep_as_orjson_allows() {
    for (opens, closes) in [("[", "]"), ("{\"a\":", "}")] {
        for inner in ["1", "[]", "{}"] {
            let containers = usize::from(inner != "1");
            for depth in 1022..1027 {
                let text = opens.repeat(depth) + inner + &closes.repeat(depth);
                let valid = Document::default().read(&text).is_ok();
                assert_eq!(valid, depth + containers <= 1024, "{depth} around {inner}");
            }
        }
    }
}

#[test]
fn a_hostile_depth_takes_no_call_stack() {
    let text = "[".repeat(10_000_000);
    assert!(Document::default().read(&text).is_err());
    let mut whole = Completeness::default();
    whole.push(&text);
    assert!(!whole.is_whole());
}
