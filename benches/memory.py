"""What an open parser holds, in bytes: a hundred thousand of each kind, fresh and in mid-stream.

    python -m benches.memory [--json FILE]

Each kind in each state has a process of its own, which takes the growth of its resident set while it opens
them, and divides it by their number; so the figure has in it what the allocator adds. The bounds are the
design's: 1 KB for a fresh one, 3 KB and three times the last network chunk for one in mid-stream. Every one
is fed bytes of its own, and has to tell at the end that it stands where it should.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import json
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from resource import getpagesize
from typing import Any, NamedTuple

from deltawire import ChatAccumulator, ChatParser, ChatRelay, EventParser, JSONParser

COUNT = 100_000
FEW = 1_000

KINDS: dict[str, Callable[[], Any]] = {
    "EventParser": EventParser,
    "JSONParser": JSONParser,
    "ChatParser": ChatParser,
    "ChatAccumulator": ChatAccumulator,
    "ChatRelay": ChatRelay,
}
KB = 1024


class Held(NamedTuple):
    """What one object holds, and what it may, in bytes."""

    kind: str
    state: str
    bytes: float
    bound: int
    objects: int


def _event(number: int, padding: int = 8) -> bytes:
    """Write a chunk with a word in it; the padding belongs to no message, so nobody has to keep it."""
    delta = '{"index":0,"delta":{"role":"assistant","content":" %012d"},"logprobs":null,"finish_reason":null}'
    return (
        b'data: {"id":"chatcmpl-%024d","object":"chat.completion.chunk","created":1773323480,"model":"gpt-5",'
        b'"system_fingerprint":"fp_6e6ff3688b","choices":[%b],"usage":null,"obfuscation":"%b"}\n\n'
        % (number, (delta % number).encode(), b"x" * padding)
    )


def _chunks(state: str, number: int) -> list[bytes]:
    """Give the network chunks that bring an object into a state."""
    event, next_event = _event(2 * number), _event(2 * number + 1)
    if state == FRESH:
        return []
    if state == MID_STREAM:
        return [event, event + next_event[: len(next_event) // 2]]
    return [_event(number, 1024 * KB), event + next_event[: len(next_event) // 2]]


FRESH = "fresh"
MID_STREAM = "in mid-stream"
AFTER_LARGE = "in mid-stream, after an event of 1 MiB"
STATES = {FRESH: COUNT, MID_STREAM: COUNT, AFTER_LARGE: FEW}


def held(kind: str, state: str, count: int) -> Held:
    """Measure in this process."""
    make = KINDS[kind]
    # What is made once, by the first: modules, caches, the types' own memory.
    warm = [_opened(make, state, number) for number in range(10)]
    objects: list[Any] = [None] * count
    before = _resident()
    for number in range(count):
        objects[number] = _opened(make, state, number)
    grown = _resident() - before
    last = _chunks(state, 0)[-1:]
    bound = KB if state == FRESH else 3 * KB + 3 * len(last[0])
    for one in (*warm, *objects):
        assert one.bytes == sum(map(len, _chunks(state, 0)))
        assert one.events == len(_chunks(state, 0))
    return Held(kind, state, grown / count, bound, count)


def _opened(make: Callable[[], Any], state: str, number: int) -> Any:
    one = make()
    for chunk in _chunks(state, number):
        one.feed(chunk)
    return one


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


def available() -> bool:
    """Tell whether this system says what a process holds."""
    return Path("/proc/self/statm").exists()


def measure() -> list[Held]:
    """Measure each kind in each state, each in a process of its own."""
    fresh_processes = multiprocessing.get_context("spawn")
    results = []
    for kind in KINDS:
        for state, count in STATES.items():
            with fresh_processes.Pool(1) as pool:
                results.append(pool.apply(held, (kind, state, count)))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file too")
    options = parser.parse_args()
    if not available():
        sys.exit("what a process holds is read from /proc, which this system has not")
    results = measure()
    print(f"{'bytes each':<62} {'held':>7} {'bound':>7}")
    for one in results:
        over = "  OVER" if one.bytes > one.bound else ""
        name = f"{one.kind}, {one.state} ({one.objects:,})"
        print(f"{name:<62} {one.bytes:>7,.0f} {one.bound:>7,}{over}")
    if options.json is not None:
        options.json.write_text(json.dumps([one._asdict() for one in results], indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
