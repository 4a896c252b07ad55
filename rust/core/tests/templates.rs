//! Templates never change a result: a text read by a reader that has read others is what it is by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "tests may fail")]

use deltawire_core::chat::Limits;
use deltawire_core::json::{Document, Invalid, Read, Reader, Scalar, Value};
use deltawire_core::stream::ChatReader;
use proptest::prelude::*;

fn values(value: Value<'_>) -> String {
    let members: Vec<String> =
        value.members().map(|(key, value)| format!("{key:?}:{}", values(value))).collect();
    let items: Vec<String> = value.items().map(values).collect();
    format!("{:?} {} {:?} {members:?} {items:?}", value.kind(), value.raw(), value.as_str())
}

fn same(reader: &mut Reader, text: &str) -> Result<(), TestCaseError> {
    let mut document = Document::default();
    let alone = document.read(text).map(|()| values(document.root(text)));
    // A text may be followed by others.
    let behind = format!("{text}\n\ndata: {text}");
    if let Some(fit) = reader.fit(behind.as_bytes()) {
        reader.expand(fit);
        let by_template = values(reader.document().root(&behind[..fit.len]));
        let whole = text.get(..fit.len).is_some_and(|text| document.read(text).is_ok());
        prop_assert!(whole, "{}", text);
        prop_assert_eq!(values(document.root(&text[..fit.len])), by_template, "{}", text);
    }
    let by_template = read(reader, text).map(|()| values(reader.document().root(text)));
    prop_assert_eq!(alone, by_template, "{}", text);
    Ok(())
}

fn read(reader: &mut Reader, text: &str) -> Result<(), Invalid> {
    if let Read::Like(fit) = reader.read(text)? {
        assert_eq!(fit.len, text.len());
        reader.expand(fit);
    }
    Ok(())
}

fn same_if_remembered(reader: &mut Reader, text: &str) -> Result<(), TestCaseError> {
    if let Some(fit) = reader.fit_or_remember(text) {
        reader.expand(fit);
        let mut document = Document::default();
        prop_assert!(document.read(text).is_ok(), "{}", text);
        prop_assert_eq!(values(document.root(text)), values(reader.document().root(text)));
    }
    Ok(())
}

fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i16>().prop_map(|n| n.to_string()),
        (any::<i8>(), 0..400u16).prop_map(|(n, e)| format!("{n}.5e{e}")),
        "[a-z\u{e9}\u{1f642}]{0,6}".prop_map(|text| format!("\"{text}\"")),
        "(\\\\n|\\\\\\\\|\\\\\"|\\\\u00e9|\\\\ud83d\\\\ude42|x){0,3}".prop_map(|text| format!("\"{text}\"")),
    ];
    scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(("[abc]|\\\\u0061", inner), 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

/// A chunk of a chat with other values in it, some of them no JSON.
fn chunk() -> impl Strategy<Value = String> {
    let text = "[ a-c\"\\\\\\n{}\u{e9}]{0,5}|\\\\n|\\\\u00e9|\\\\ud800|\\\\\"";
    let number = "-?[0-9]{1,3}|1e999|01|1\\.5|";
    (text, number, text, prop::bool::ANY).prop_map(|(content, created, id, spaced)| {
        let space = if spaced { " " } else { "" };
        format!(
            "{{\"id\":\"{id}\",\"created\":{space}{created},\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}}}}]}}"
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn texts_that_are_alike_are_read_as_if_alone(texts in prop::collection::vec(chunk(), 1..12)) {
        let (mut reader, mut remembering) = (Reader::default(), Reader::default());
        for text in &texts {
            same(&mut reader, text)?;
            same_if_remembered(&mut remembering, text)?;
        }
    }

    #[test]
    fn texts_of_any_shape_are_read_as_if_alone(texts in prop::collection::vec(json(), 1..8)) {
        let mut reader = Reader::default();
        for text in texts.iter().chain(&texts) {
            same(&mut reader, text)?;
        }
    }

    #[test]
    fn a_text_with_any_bytes_changed_is_read_as_if_alone(
        text in json(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, any::<char>()), 1..6),
    ) {
        let mut reader = Reader::default();
        let mut chars: Vec<char> = text.chars().collect();
        same(&mut reader, &text)?;
        for (at, kind, c) in edits {
            let at = at.index(chars.len() + 1);
            match kind {
                0 => chars.insert(at, c),
                1 if at < chars.len() => drop(chars.remove(at)),
                _ if at < chars.len() => chars[at] = char::from(b"\"\\{}[]:,0a"[usize::from(u8::try_from(c as u32 % 10).unwrap())]),
                _ => {}
            }
            same(&mut reader, &chars.iter().collect::<String>())?;
        }
    }
}

/// What a delta may have, each with a few values, so that chunks are often alike.
fn delta() -> impl Strategy<Value = String> {
    let maybe = |field: &'static str, values: &'static [&'static str]| {
        prop::option::weighted(0.5, prop::sample::select(values))
            .prop_map(move |value| value.map(|value| format!("\"{field}\":{value}")))
    };
    let text = &["\"\"", "\"a\"", "\"bc\"", "\"\\n\"", "null", "[{\"type\":\"text\",\"text\":\"p\"}]"];
    let arguments = &["\"\"", "\"{\"", "\"}\"", "\"{}\"", "\"x\"", "null", "{}", "{\"a\":1}"];
    let call = (
        maybe("index", &["0", "0", "1", "null", "\"0\"", "4000000000"]),
        maybe("id", &["\"\"", "\"a\"", "\"b\"", "null"]),
        maybe("name", &["\"f\"", "\"\"", "null", "\"g\""]),
        maybe("arguments", arguments),
        maybe("extra", &["1", "2"]),
    );
    let call = call.prop_map(|(index, id, name, arguments, extra)| {
        let function: Vec<String> = name.into_iter().chain(arguments).collect();
        let function = Some(format!("\"function\":{{{}}}", function.join(",")));
        format!(
            "{{{}}}",
            index.into_iter().chain(id).chain(function).chain(extra).collect::<Vec<_>>().join(",")
        )
    });
    let calls = prop::option::weighted(0.5, prop::collection::vec(call, 0..3))
        .prop_map(|calls| calls.map(|calls| format!("\"tool_calls\":[{}]", calls.join(","))));
    let fields = (
        maybe("role", &["\"assistant\"", "\"\""]),
        maybe("content", text),
        maybe("reasoning", &["\"\"", "\"r\"", "\"s\"", "null"]),
        maybe("reasoning_content", &["\"r\"", "null"]),
        maybe("refusal", &["\"\"", "\"no\"", "null"]),
        maybe("annotations", &["[]", "[1]", "null"]),
        maybe("reasoning_details", &["[{\"type\":\"t\",\"text\":\"d\"}]", "[]"]),
        maybe("other", &["1", "\"x\""]),
        calls,
    );
    fields.prop_map(|(a, b, c, d, e, f, g, h, calls)| {
        let fields: Vec<String> = [a, b, c, d, e, f, g, h, calls].into_iter().flatten().collect();
        format!("{{{}}}", fields.join(","))
    })
}

/// What stands around the choices of a chunk, as a template with a hole for each thing that varies.
const ENVELOPES: [&str; 10] = [
    "{\"id\":\"c\",\"created\":C,\"obfuscation\":\"P\",\"usage\":{\"t\":U},\"choices\":[X]}",
    "{\"id\":\"c\",\"model\":\"M\",\"created\":C,\"more\":M,\"choices\":[X]}",
    "{\"id\":\"c\",\"model\":\"M\",\"created\":C,\"more\":M,\"choices\":[X],\"usage\":{\"t\":U}}",
    "{\"id\":\"c\",\"model\":\"M\",\"usage\":{\"t\":U},\"choices\":[X],\"x_groq\":{\"usage\":{\"t\":C}}}",
    "{\"id\":\"c\",\"model\":\"M\",\"x_groq\":{\"usage\":{\"t\":U}},\"choices\":[X]}",
    "{\"id\":\"c\",\"model\":\"M\",\"created\":C,\"choices\":[X],\"model\":\"P\"}",
    "{\"id\":\"P\",\"created\":C,\"p\":\"U\",\"obfuscation\":\"P\",\"usage\":{\"p\":1,\"t\":U},\"choices\":[X]}",
    "{\"p\":U,\"p\":1,\"usage\":{\"d\":{\"c\":2,\"t\":U}},\"choices\":[X]}",
    "{\"x\":{\"n\":U,\"m\":\"U\"},\"p\":U,\"usage\":{\"a\":[U]},\"choices\":[X]}",
    "{\"type\":\"U\",\"choices\":[X],\"usage\":{\"d\":{\"c\":U},\"t\":U}}",
];

/// Chunks, several of a shape one after the other.
fn chunks() -> impl Strategy<Value = Vec<String>> {
    let finish = prop::sample::select(&["null", "\"stop\"", "\"\""][..]);
    let varying = (0..3u8, 0..2u8, 0..2u8, finish, 0..12u8, 0..2u8);
    let envelope = prop::sample::select(&ENVELOPES[..]);
    let shape = (envelope, delta(), prop::collection::vec((varying, "[a-c]{0,2}"), 1..8));
    prop::collection::vec(shape, 1..6).prop_map(|shapes| {
        let mut chunks = Vec::new();
        for (envelope, delta, varied) in shapes {
            for ((created, index, padding, finish, usage, model), piece) in varied {
                let piece = format!("\"{piece}\"");
                let delta = delta.replace("\"a\"", &piece).replace("\"x\"", &piece);
                let choice = format!("{{\"index\":{index},\"delta\":{delta},\"finish_reason\":{finish}}}");
                let holes = [("C", created), ("P", padding), ("U", usage), ("M", model)]
                    .map(|(hole, it)| (hole, it.to_string()));
                let chunk =
                    holes.into_iter().fold(envelope.to_owned(), |chunk, (hole, it)| chunk.replace(hole, &it));
                chunks.push(chunk.replace('X', &choice));
            }
        }
        chunks
    })
}

fn reader(n: bool, max_message_size: usize) -> ChatReader {
    let limits = Limits { max_message_size, max_tool_calls: 100, max_choices: 100 };
    ChatReader::new(1 << 20, limits, n)
}

fn message(reader: &ChatReader) -> String {
    let mut repairs = Vec::new();
    let body = reader.message().body(false, |_, call| call.generated_id.to_string());
    for (_, choice) in reader.message().choices() {
        repairs.extend(
            choice.tool_calls.iter().flat_map(|call| call.repairs(false).names().collect::<Vec<_>>()),
        );
    }
    format!("{body} {repairs:?} {:?} {:?}", reader.message().error, reader.message().first_model())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_message_is_the_same_with_and_without_templates(
        chunks in chunks(), merge in any::<bool>(), report in any::<prop::sample::Index>(), max in 1..200usize,
    ) {
        let max = if max < 100 { max } else { 1 << 20 };
        let (mut with, mut without) = (reader(merge, max), reader(merge, max));
        let report = report.index(chunks.len());
        for (n, chunk) in chunks.iter().enumerate() {
            let fed = with.feed(format!("data: {chunk}\n\n").as_bytes());
            // What comes by another way is added in full.
            let added = without.add(chunk);
            prop_assert_eq!(fed.is_err(), added.is_err(), "{:#?}", &chunks[..=n]);
            prop_assert_eq!(message(&with), message(&without), "{:#?}", &chunks[..=n]);
            if n == report {
                prop_assert_eq!(with.finished_tool_calls(false), without.finished_tool_calls(false));
            }
        }
    }
}

/// What is known of a stream: its message, its counters, its end, and the limit it went over.
fn known(reader: &mut ChatReader, pieces: &[&[u8]]) -> String {
    let fed = pieces.iter().try_for_each(|piece| reader.feed(piece));
    let closed = reader.close();
    let events = reader.chunks().data().events();
    let counters =
        [events.events(), events.comments(), reader.chunks().payloads(), reader.chunks().malformed()];
    // What comes behind the limit is not read.
    let bytes = if fed.is_ok() { events.bytes() } else { 0 };
    format!("{} {counters:?} {bytes} {:?} {fed:?} {closed:?}", message(reader), reader.end())
}

/// A block with some data: nearly always one `data` line and a blank line.
fn block(data: &str, framing: u8) -> String {
    match framing {
        0 => format!("data:{data}\n\n"),
        1 => format!("data: {data}\r\n\r\n"),
        2 => format!("data: {data}\r\r"),
        3 => format!(": ping\n\ndata: {data}\n\n"),
        4 => format!("event: x\ndata: {data}\n\n"),
        5 => format!("data: {data}\ndata:\n\n"),
        6 => format!("\ndata:  {data} \n\n"),
        7 => "data: [DONE]\n\n".to_owned(),
        _ => format!("data: {data}\n\n"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_stream_is_the_same_as_a_whole_and_byte_by_byte(
        chunks in chunks(), framings in prop::collection::vec(0..40u8, 40), merge in any::<bool>(), max in 1..200usize,
    ) {
        let max = if max < 100 { max } else { 1 << 20 };
        let blocks: String = chunks.iter().zip(framings.iter().cycle()).map(|(chunk, &framing)| block(chunk, framing)).collect();
        let whole = known(&mut reader(merge, max), &[blocks.as_bytes()]);
        let bytes: Vec<&[u8]> = blocks.as_bytes().chunks(1).collect();
        prop_assert_eq!(known(&mut reader(merge, max), &bytes), whole, "{}", blocks);
    }
}

/// Adds chunks with templates and without, which comes to the same.
fn message_of(chunks: &[&str]) -> String {
    let (mut with, mut without) = (reader(false, 1 << 20), reader(false, 1 << 20));
    for chunk in chunks {
        with.feed(format!("data: {chunk}\n\n").as_bytes()).unwrap();
        without.add(chunk).unwrap();
        assert_eq!(message(&with), message(&without), "{chunk}");
    }
    message(&with)
}

#[test]
fn a_value_that_is_again_what_it_was_before_the_last_chunk_counts() {
    let text = |model: &str| format!(r#"{{"model":"{model}","choices":[{{"delta":{{"content":"x"}}}}]}}"#);
    let end =
        |model: &str| format!(r#"{{"model":"{model}","choices":[{{"delta":{{}}}}],"usage":{{"t":1}}}}"#);
    // The chunk of another shape begins like the template, but not like the chunk before it.
    assert!(message_of(&[&text("a"), &text("b"), &end("a")]).contains(r#""model":"a""#));
    assert!(message_of(&[&text("a"), &end("b"), &text("a"), &end("a")]).contains(r#""model":"a""#));
    assert!(message_of(&[&text("a"), &text("b"), &text("a"), &end("b")]).contains(r#""model":"b""#));
}

#[test]
fn a_chunk_that_came_by_another_way_is_the_one_before() {
    let mut reader = reader(false, 1 << 20);
    reader.feed(b"data: {\"model\":\"a\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n").unwrap();
    reader.add("{\"model\":\"b\",\"choices\":[{\"delta\":{\"content\":\"y\"}}]}").unwrap();
    // It begins like the template, and fits none.
    reader.feed(b"data: {\"model\":\"a\",\"choices\":[{\"delta\":{}}]}\n\n").unwrap();
    assert_eq!(reader.message().model.as_deref(), Some("a"));
}

#[test]
fn usage_that_is_said_in_several_places_is_told_apart_in_each_chunk() {
    let chunk = |rest: &str| format!(r#"{{"usage":{{"t":1}},"choices":[{{"delta":{{}}}}]{rest}}}"#);
    assert!(
        message_of(&[&chunk(""), &chunk(r#","x_groq":{"usage":{"t":2}}"#)]).contains(r#""usage":{"t":1}"#)
    );
}

#[test]
fn a_key_that_stands_twice_hides_no_value_of_the_next_chunk() {
    let one = r#"{"model":"a","n":1,"model":"b"}"#;
    assert!(message_of(&[one, r#"{"model":"a","n":2}"#]).contains(r#""model":"a""#));
}

/// A stream of chunks that differ in their content alone.
fn texts(contents: &[&str]) -> String {
    let chunk = |content: &&str| {
        format!(r#"{{"id":"a","choices":[{{"index":0,"delta":{{"content":"{content}"}}}}]}}"#)
    };
    contents.iter().map(|content| block(&chunk(content), u8::MAX)).collect()
}

#[test]
fn texts_in_one_piece_add_up_to_what_they_say() {
    let body =
        texts(&["a", "b", "\\\"c\\n", "", "é", r"\ud83d\ude00", "z", "a longer text, of more than one word"]);
    let mut reader = reader(false, 1 << 20);
    reader.feed(body.as_bytes()).unwrap();
    let (_, choice) = reader.message().choices().next().unwrap();
    let content = choice.content.as_ref().unwrap().as_str();
    assert_eq!(content, "ab\"c\né\u{1f600}za longer text, of more than one word");
}

#[test]
fn a_text_that_is_none_ends_a_run_and_no_more() {
    for bad in [r"\x", r"\ud83d", "\u{1}", "\\"] {
        let body = texts(&["a", "b", bad, "c"]);
        let pieces: Vec<&[u8]> = body.as_bytes().split_inclusive(|&byte| byte == b'\n').collect();
        let whole = known(&mut reader(false, 1 << 20), &[body.as_bytes()]);
        assert_eq!(whole, known(&mut reader(false, 1 << 20), &pieces), "{bad:?}");
        assert!(whole.contains(r#""content":"abc""#), "{whole}");
    }
}

#[test]
fn a_run_of_texts_goes_over_the_limit_at_the_event_that_does() {
    let body = texts(&["0123456789"; 6]);
    let over = reader(false, 45).feed(body.as_bytes()).unwrap_err();
    assert_eq!((over.limit, over.event_number), ("max_message_size", 5));
    assert_eq!(over.offset, (body.len() / 6 * 4) as u64);
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(7).collect();
    assert_eq!(known(&mut reader(false, 45), &[body.as_bytes()]), known(&mut reader(false, 45), &pieces));
}

#[test]
fn a_field_that_says_what_it_said_is_passed_over_and_no_other_one() {
    let chunk = |delta: &str, rest: &str| {
        format!(r#"{{"id":"a","model":"m","choices":[{{"delta":{delta}}}]{rest}}}"#)
    };
    let fields =
        [r#","usage":{"t":1},"p":1"#, r#","usage":{"t":2},"p":1"#, r#","p":2,"model":"n""#, r#","p":1"#];
    let chunks: Vec<String> =
        fields.iter().flat_map(|rest| [chunk("{}", rest), chunk(r#"{"content":"x"}"#, rest)]).collect();
    message_of(&chunks.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn an_empty_fragment_of_another_call_keeps_its_place() {
    let chunk = r#"{"choices":[{"delta":{"tool_calls":[
        {"function":{"arguments":"{"}},{"id":"b","function":{"arguments":""}}]}}]}"#
        .replace('\n', "");
    message_of(&[&chunk, &chunk, &chunk]);
}

#[test]
fn fragments_that_repeat_the_id_are_those_of_one_call() {
    let chunk = |index: u8, arguments: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{index},"id":"call_{index}",
            "function":{{"name":"","arguments":"{arguments}"}}}}]}}}}]}}"#
        )
        .replace('\n', "")
    };
    let chunks = [(0, "{"), (0, ""), (0, "}"), (1, "["), (1, "1"), (0, " "), (1, "]"), (1, "")];
    let chunks = chunks.map(|(index, arguments)| chunk(index, arguments));
    let message = message_of(&chunks.each_ref().map(String::as_str));
    assert!(
        message.contains(r#""arguments":"{} ""#) && message.contains(r#""arguments":"[1]""#),
        "{message}"
    );
}

#[test]
fn fragments_without_an_index_go_to_the_first_call_of_their_id() {
    let chunk = |arguments: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"id":"a","function":{{"name":"f","arguments":"{arguments}"}}}}]}}}}]}}"#
        )
    };
    // The second one begins a call under the id of the first, to which the third one goes.
    let chunks = ["{}", "{", "}", "{", "{"].map(chunk);
    message_of(&chunks.each_ref().map(String::as_str));
}

#[test]
fn an_error_is_found_whatever_is_the_same_as_a_chunk_ago() {
    let chunk = r#"{"type":"x","object":"chunk"}"#;
    let error = r#"{"type":"x","object":"err\u006fr","message":"m"}"#;
    assert!(message_of(&[chunk, error]).contains("ProviderError"));
    assert!(message_of(&[r#"{"object":"err\u006fr"}"#]).contains("ProviderError"));
}

#[test]
fn a_payload_of_several_lines_is_no_template_for_what_only_looks_like_it() {
    let mut reader = reader(false, 1 << 20);
    // The payload is the same as the bytes that come next, but there the second line is none of data.
    reader.feed(b"data: {\"id\":\ndata: \"a\"}\n\n").unwrap();
    reader.feed(b"data: {\"id\":\n\"a\"}\n\n").unwrap();
    assert_eq!((reader.chunks().payloads(), reader.chunks().malformed()), (2, 1));
    // Here it is the blank line that would be taken for a part of the payload.
    reader.feed(b"data: {\"id\":\"a\"}\ndata:\n\n").unwrap();
    let mut rest = &b"data: {\"id\":\"a\"}\n\n\n"[..];
    assert_eq!(reader.next_lone(&mut rest).unwrap().unwrap().event.data, b"{\"id\":\"a\"}");
}

fn chunk_of(created: u32, content: &str) -> String {
    format!(
        "{{\"created\":{created},\"choices\":[{{\"delta\":{{\"content\":\"{content}\"}},\"end\":null}}]}}"
    )
}

/// What stands in the gaps, if the text is like an earlier one.
fn gaps(reader: &mut Reader, text: &str) -> Option<Vec<String>> {
    let Read::Like(fit) = reader.read(text).unwrap() else { return None };
    let alike = reader.alike(fit, text.as_bytes());
    let count = alike.gaps().len();
    let scalar = |gap| match alike.scalar(gap).unwrap() {
        Scalar::String(text) => String::from_utf8(text.into_owned()).unwrap(),
        Scalar::Number(number) => number.to_owned(),
    };
    Some((0..count).map(scalar).collect())
}

#[test]
fn what_varies_becomes_a_gap_and_only_that() {
    let mut reader = Reader::default();
    assert_eq!(gaps(&mut reader, &chunk_of(1, "a")), None);
    assert_eq!(gaps(&mut reader, &chunk_of(1, "bc")), Some(vec!["bc".to_owned()]));
    assert_eq!(gaps(&mut reader, &chunk_of(22, "")), Some(vec!["22".to_owned(), String::new()]));
    assert_eq!(gaps(&mut reader, &chunk_of(22, "")), Some(vec!["22".to_owned(), String::new()]));
    assert_eq!(gaps(&mut reader, "{\"other\":1}"), None);
    assert_eq!(gaps(&mut reader, &chunk_of(3, "\\\"")), Some(vec!["3".to_owned(), "\"".to_owned()]));
    assert_eq!(gaps(&mut reader, &chunk_of(3, "x").replace("null", "true")), None);
}

#[test]
fn a_text_in_a_gap_is_checked_as_a_parser_would() {
    let mut reader = Reader::default();
    for text in ["a", "b"] {
        read(&mut reader, &chunk_of(1, text)).unwrap();
    }
    let mut fits = |content: &[u8]| {
        let [before, behind] =
            ["{\"created\":1,\"choices\":[{\"delta\":{\"content\":\"", "\"},\"end\":null}]}"];
        reader.fit(&[before.as_bytes(), content, behind.as_bytes()].concat()).is_some()
    };
    for good in [
        "",
        "x",
        "\\\\",
        "\\ud83d\\ude00",
        "\u{e9}\u{1f642}",
        "\u{7f}",
        "long enough to take blocks of eight",
    ] {
        assert!(fits(good.as_bytes()), "{good}");
    }
    let bad =
        ["\"", "\\", "\\x", "\\u00g0", "\\ud83d", "\\ud83d\\n", "\\ude00", "a\nb", "\u{1f}", "1234567\u{0}"];
    for bad in bad {
        assert!(!fits(bad.as_bytes()), "{bad}");
    }
    for bad in [&b"\xFF"[..], b"\xE9", b"a\xC3", b"\xED\xA0\x80"] {
        assert!(!fits(bad), "{bad:?}");
    }
}
