//! Does one work on one body so many times, for an instruction counter to watch: see `benches/counts.py`.
//!
//! `count WORK CUT TIMES FILE`: the work is `events`, `chunks`, `chat` or `relay`, the cut a size in bytes or
//! `event`. Prints how many items one time found, and how many bytes in them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a tool of the benches")]

#[allow(missing_docs, reason = "a part of the benches")]
#[path = "../benches/works/mod.rs"]
mod works;

use works::{Found, Work};

fn main() {
    let [_, work, cut, times, file] = std::env::args().collect::<Vec<_>>().try_into().unwrap();
    let work: Work = match work.as_str() {
        "events" => works::events,
        "chunks" => works::chunks,
        "chat" => works::chat,
        "relay" => works::relay,
        other => panic!("no such work: {other}"),
    };
    let body = std::fs::read(file).unwrap();
    let pieces = works::cut(&body, (cut != "event").then(|| cut.parse().unwrap()));
    let mut found = Found { items: 0, bytes: 0 };
    for _ in 0..times.parse().unwrap() {
        found = work(&pieces).unwrap();
    }
    println!("{} {}", found.items, found.bytes);
}
