"""Streams that tempt a parser into looking at bytes twice, each at a size, twice that, and so on.

    python -m benches.growth [--json FILE]

Twice the input takes twice the time, whatever the chunking; a buffer that is searched or rebuilt with every
piece takes four times. What exceeds two by little is the cache: the larger input fits in less well. An
accumulator is tempted by messages that grow by a word an event, where copying the whole is the mistake.

The sizes of a shape are timed in turns (`paired`), and the ratios are those inside the rounds.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benches import chat_shapes
from benches.bodies import Chunks, Event, Stream
from benches.chats import Chat
from benches.message_peers import read as read_message
from benches.paired import in_turns
from benches.shapes import large_event, many_data_lines, many_events
from deltawire import EventParser, JSONParser


class Shape(NamedTuple):
    make: Callable[[int], Stream | Chat]
    amount: int
    chunk_size: int | None


TIMES = (1, 2, 4, 8)
"""The sizes that are measured, as multiples."""
SECONDS = 3.0

EVENTS = {
    "one event in 1 KiB pieces": Shape(large_event, 1024 * 1024, 1024),
    "data lines of one event in 1 KiB pieces": Shape(many_data_lines, 4_000, 1024),
    "data lines of one event in one piece": Shape(many_data_lines, 4_000, 1024 * 1024 * 1024),
    "events in drips of 8 bytes": Shape(many_events, 500, 8),
}
FLOORS = {"one event, cut out": Shape(large_event, 1024 * 1024, None)}
CHATS = {
    "events of text": Shape(lambda count: chat_shapes.text(count)[0], 5_000, None),
    "deltas of one tool call": Shape(lambda count: chat_shapes.one_tool_call(count)[0], 5_000, None),
}


def read_events(chunks: Chunks) -> list[Event]:
    parser = EventParser()
    events = [(sse.event, sse.data) for chunk in chunks for sse in parser.feed(chunk)]
    parser.close()
    return events


def read_values(chunks: Chunks) -> list[Any]:
    parser = JSONParser()
    values = [value for chunk in chunks for value in parser.feed(chunk)]
    return values + parser.close()


def read_payload(chunks: Chunks) -> list[Any]:
    return [orjson.loads(chunk[6:-2]) for chunk in chunks]


READERS: dict[str, Callable[[Chunks], Any]] = {
    "EventParser": read_events,
    "JSONParser": read_values,
    "ChatAccumulator": read_message,
    "orjson.loads": read_payload,
}
CASES = [
    *((parser, shape) for parser in ("EventParser", "JSONParser") for shape in EVENTS),
    *(("ChatAccumulator", shape) for shape in CHATS),
    # How much of the growth of a large event is orjson's own.
    ("orjson.loads", "one event, cut out"),
]


def reading(parser: str, shape: str, times: int) -> tuple[Stream, Callable[[], Any]]:
    """Return a shape at so many times its size, and a function that reads it; its result is right."""
    make, amount, chunk_size = {**EVENTS, **CHATS, **FLOORS}[shape]
    made = make(amount * times)
    stream = made.stream if isinstance(made, Chat) else made
    chunks = stream.chunks(chunk_size)
    read = READERS[parser]
    if isinstance(made, Chat):
        expected: Any = made.messages
    else:
        expected = stream.events if parser == "EventParser" else stream.values
    assert read(chunks) == expected
    return stream, lambda: read(chunks)


class Grown(NamedTuple):
    """How the time of a parser grows with a shape.

    Attributes:
        sizes: of the inputs, in bytes.
        ms: what each takes.
        ratios: what each but the first takes, to the one before.
    """

    parser: str
    shape: str
    sizes: list[int]
    ms: list[float]
    ratios: list[float]


def measure(parser: str, shape: str, seconds: float = SECONDS) -> Grown:
    """Check and time a shape at every size."""
    made = [reading(parser, shape, times) for times in TIMES]
    names = [f"{times} x" for times in TIMES]
    rounds = in_turns({name: [read] for name, (_, read) in zip(names, made, strict=True)}, seconds)
    return Grown(
        parser,
        shape,
        [stream.size for stream, _ in made],
        [round(rounds.ns(name) / 1e6, 4) for name in names],
        [round(rounds.ratio(after, before).median, 3) for before, after in pairwise(names)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.growth")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file too")
    options = parser.parse_args()
    results = []
    print("the time of twice the input, as a multiple")
    for case in CASES:
        one = measure(*case)
        told = "  ".join(f"{ratio:.2f}" for ratio in one.ratios)
        print(f"  {one.parser + ', ' + one.shape:<56} {told}", flush=True)
        results.append(one)
    if options.json is not None:
        options.json.write_text(json.dumps([one._asdict() for one in results], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
