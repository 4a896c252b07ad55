//! The core by itself, by the clock: `cargo bench -p deltawire-core`.
//!
//! The streams are made here, from a seed, and carry what must be found in them; that is asserted before
//! anything is timed. What Python's objects cost on top is measured by the suite in `benches/`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may fail")]

mod works;

use std::fmt::Write;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use works::{Found, Work};

const EVENTS: usize = 2000;
const KIB: usize = 1024;

/// A body, with what each work must find in it.
struct Stream {
    name: &'static str,
    body: String,
    /// Events, the sentinel among them, and the bytes of their data.
    events: Found,
    /// Bytes of content and arguments.
    message: usize,
}

impl Stream {
    /// A stream of payloads and the sentinel.
    fn of(name: &'static str, payloads: &[String], message: usize) -> Self {
        let mut body = String::new();
        for payload in payloads {
            write!(body, "data: {payload}\n\n").unwrap();
        }
        body.push_str("data: [DONE]\n\n");
        let bytes = payloads.iter().map(String::len).sum::<usize>() + "[DONE]".len();
        Self { name, body, events: Found { items: payloads.len() + 1, bytes }, message }
    }

    fn payloads(&self) -> Found {
        Found { items: self.events.items - 1, bytes: self.events.bytes - "[DONE]".len() }
    }
}

/// Numbers that look random, the same in every run (a linear congruential generator).
fn draw(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

/// Words, all of another number, of the letters given.
fn words(letters: &str) -> Vec<String> {
    let letters: Vec<char> = letters.chars().collect();
    let mut state = 1;
    let word = |number| {
        let drawn: String =
            (0..3 + draw(&mut state) % 7).map(|_| letters[draw(&mut state) % letters.len()]).collect();
        format!(" {drawn}{number}")
    };
    (0..EVENTS).map(word).collect()
}

fn chunk(delta: &str) -> String {
    format!(
        "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1773323480,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{{{delta}}},\"finish_reason\":null}}]}}"
    )
}

fn text(name: &'static str, letters: &str) -> Stream {
    let words = words(letters);
    let payloads: Vec<_> = words.iter().map(|word| chunk(&format!("\"content\":\"{word}\""))).collect();
    Stream::of(name, &payloads, words.iter().map(String::len).sum())
}

fn tool_call() -> Stream {
    let words = words("abcdefghijklmnopqrstuvwxyz");
    let call = |fields: &str| chunk(&format!("\"tool_calls\":[{{\"index\":0,{fields}}}]"));
    let mut payloads = vec![call(
        "\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}",
    )];
    payloads.extend(words.iter().map(|word| call(&format!("\"function\":{{\"arguments\":\"{word}\"}}"))));
    Stream::of("tool call", &payloads, words.iter().map(String::len).sum())
}

/// Chunks none of which is like the one before: the worst case for whoever compares them.
fn changing() -> Stream {
    let words = words("abcdefghijklmnopqrstuvwxyz");
    let payloads: Vec<_> = (words.iter().enumerate())
        .map(|(number, word)| {
            let mut delta = format!("\"content\":\"{word}\"");
            for key in 0..number % 7 {
                write!(delta, ",\"x{}\":{key}", number + key).unwrap();
            }
            chunk(&delta)
        })
        .collect();
    Stream::of("changing shape", &payloads, words.iter().map(String::len).sum())
}

fn large() -> Stream {
    let content = "iVBORw0K".repeat(512 * KIB);
    Stream::of("4 MiB event", &[chunk(&format!("\"content\":\"{content}\""))], content.len())
}

fn measure(criterion: &mut Criterion) {
    let streams = [
        text("text", "abcdefghijklmnopqrstuvwxyz"),
        text("multibyte text", "жщю漢字日本語😀🎉"),
        tool_call(),
        changing(),
        large(),
    ];
    for (name, work) in [
        ("EventParser", works::events as Work),
        ("ChunkParser", works::chunks),
        ("ChatReader", works::chat),
        ("Relay", works::relay),
    ] {
        let mut group = criterion.benchmark_group(name);
        for stream in &streams {
            let expected = match name {
                "EventParser" => stream.events,
                "ChunkParser" => stream.payloads(),
                _ => Found { bytes: stream.message, ..stream.payloads() },
            };
            group.throughput(Throughput::Bytes(stream.body.len() as u64));
            for (told, size) in [("1 event", None), ("64 KiB", Some(64 * KIB))] {
                let pieces = works::cut(stream.body.as_bytes(), size);
                assert_eq!(work(&pieces).unwrap(), expected, "{name}, {}, {told}", stream.name);
                let id = BenchmarkId::new(stream.name, told);
                group.bench_with_input(id, &pieces, |bencher, pieces| {
                    bencher.iter(|| work(black_box(pieces)).unwrap());
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20);
    targets = measure
}
criterion_main!(benches);
