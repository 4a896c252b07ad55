"""How long a network chunk of 4 MiB holds the event loop.

    python -m benches.fairness [--json FILE]

The interpreter is not given away inside `feed`, so a chunk holds the loop for as long as `feed` takes: with
one event of 4 MiB, and with some 14,000 small ones. Beside it stands what a user without deltawire cannot
avoid, orjson.loads of the same data already cut out. A stream gives the items of a chunk without waiting, so
what holds the loop there is reading all of them: the longest time that a task beside it, which only yields,
was kept waiting. Medians of several rounds, in milliseconds; other chunks take less in proportion.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import orjson

from benches import chat_shapes
from benches.bodies import Stream
from deltawire import ChatAccumulator, ChatParser, ChatRelay, ChatStream, EventParser, JSONParser

SIZE = 4 * 1024 * 1024
ROUNDS = 9
ORJSON = "orjson.loads, data already cut out"


class Hold(NamedTuple):
    """How long a way of reading a chunk holds the loop."""

    shape: str
    way: str
    ms: float


def shapes() -> dict[str, list[Stream]]:
    """Make the chunks: several of each sort, which are read in turn."""
    few = chat_shapes.text(2_000)
    times = 1 + SIZE // min(chat.stream.size for chat in few)
    many = [_cut(Stream(chat.stream.name, chat.stream.blocks[:-1] * times, []), SIZE) for chat in few]
    # Of the stream with an image, the one large event.
    images = [
        Stream(c.stream.name, c.stream.blocks[1:2], c.stream.events[1:2]) for c in chat_shapes.image(SIZE)
    ]
    return {"one event of 4 MiB": images, f"{len(many[0].blocks):,} events in 4 MiB": many}


def _cut(stream: Stream, size: int) -> Stream:
    blocks, length = [], 0
    for block in stream.blocks:
        length += len(block)
        if length > size:
            break
        blocks.append(block)
    return Stream(stream.name, blocks, [("message", block[6:-2].decode()) for block in blocks])


def feeding(make: Callable[[], Any], stream: Stream) -> float:
    """Feed a chunk to a fresh object; return the seconds that `feed` took."""
    (chunk,) = stream.chunks(1 << 30)
    parser = make()
    start = perf_counter()
    given = parser.feed(chunk)
    took = perf_counter() - start
    assert parser.events == len(stream.events)
    if isinstance(given, bytes):
        assert given == chunk
    else:
        assert given is None or len(given) == len(stream.events)
    return took


def decoding(stream: Stream) -> float:
    payloads = stream.payloads
    start = perf_counter()
    values = [orjson.loads(payload) for payload in payloads]
    took = perf_counter() - start
    assert len(values) == len(stream.events)
    return took


async def streaming(stream: Stream) -> float:
    """Iterate over a stream beside a task that yields; return the longest that it waited, in seconds."""
    longest, last, ended = 0.0, perf_counter(), False

    async def yielding() -> None:
        nonlocal longest, last
        while not ended:
            now = perf_counter()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0)

    async def source() -> AsyncIterator[bytes]:
        for chunk in stream.chunks(1 << 30):
            await asyncio.sleep(0)
            yield chunk
            await asyncio.sleep(0)

    task = asyncio.create_task(yielding())
    count = 0
    async with ChatStream(source(), on_end="return") as chunks:
        async for _ in chunks:
            count += 1
    ended = True
    await task
    assert count == len(stream.events)
    return longest


WAYS: dict[str, Callable[[Stream], float]] = {
    ORJSON: decoding,
    "EventParser.feed": lambda stream: feeding(EventParser, stream),
    "JSONParser.feed": lambda stream: feeding(JSONParser, stream),
    "ChatParser.feed": lambda stream: feeding(ChatParser, stream),
    "ChatAccumulator.feed": lambda stream: feeding(ChatAccumulator, stream),
    "ChatRelay.feed": lambda stream: feeding(ChatRelay, stream),
    "async for over ChatStream": lambda stream: asyncio.run(streaming(stream)),
}


def measure() -> list[Hold]:
    """Measure every way on every shape, in turns."""
    results = []
    for shape, streams in shapes().items():
        took: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(ROUNDS):
            for way, run in WAYS.items():
                gc.collect()
                took[way].append(run(streams[turn % len(streams)]))
        results += [Hold(shape, way, round(median(took[way]) * 1e3, 3)) for way in WAYS]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.fairness")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file too")
    options = parser.parse_args()
    results = measure()
    for one in results:
        print(f"{one.shape:<28} {one.way:<36} {one.ms:>9.2f} ms")
    if options.json is not None:
        options.json.write_text(json.dumps([one._asdict() for one in results], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
