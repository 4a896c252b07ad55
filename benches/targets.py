"""The figures in ns per event, and which of the targets are reached.

    python -m benches.targets

Every reader is held against the expected answer, then all are timed in turns (`paired`), going over the
recorded bodies each time. A target is a ratio inside one run; a figure in nanoseconds is this machine's, now.
Missing a target is no failure of the run: the exit code is 0. What chats cost is told without a verdict
(`chat_figures`). Two minutes in all.
"""
# ruff: noqa: T201 - a command prints.

import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import NamedTuple

from benches import chat_figures, growth, json_peers, peers
from benches.bodies import CUTS, recorded
from benches.measure import assert_events, assert_values, over
from benches.paired import Rounds, in_turns

ROUNDS = 120
PASSES = 4
"""How often a round goes over the bodies: whoever comes after a slow peer finds the caches taken, and has to
have the time to get over it."""

ROUNDS_OF_GROWTH = 30

Ways = dict[str, Callable[[], None]]


class Target(NamedTuple):
    work: str
    cut: str
    other: str
    at_most: float


TARGETS = [
    Target("events", "1 event", "launchdarkly-eventsource", 0.25),
    Target("decoded data", "64 KiB", json_peers.FLOOR, 1.20),
    Target("decoded data", "1 event", json_peers.FLOOR, 1.30),
]


def reading_events(cut: str) -> Ways:
    ways: Ways = {}
    for lib, read in peers.READERS.items():
        assert_events(read, recorded(), CUTS[cut])
        ways[lib] = over(read, [stream.chunks(CUTS[cut]) for stream in recorded()] * PASSES)
    return ways


def decoding_events(cut: str) -> Ways:
    ways: Ways = {
        json_peers.FLOOR: over(json_peers.floor, [stream.payloads for stream in recorded()] * PASSES)
    }
    for lib, read in json_peers.READERS.items():
        assert_values(read, recorded(), CUTS[cut])
        ways[lib] = over(read, [stream.chunks(CUTS[cut]) for stream in recorded()] * PASSES)
    return ways


WORK: dict[str, Callable[[str], Ways]] = {"events": reading_events, "decoded data": decoding_events}


def show(work: str, cut: str, rounds: Rounds, ways: Ways, events: int) -> None:
    print(f"\n{work}, {cut} a chunk: ns per event, deltawire's ratio to it (quartiles)")
    for lib in sorted(ways, key=rounds.ns):
        ratio = rounds.ratio("deltawire", lib)
        spread = f"{ratio.lower_quartile:.3f} - {ratio.upper_quartile:.3f}"
        print(f"  {lib:<36} {rounds.ns(lib) / PASSES / events:8.0f}  {ratio.median:.3f} ({spread})")


def show_growth(parser: str, shape: str) -> None:
    ways = {f"{times} x": growth.reading(parser, shape, times)[1] for times in (1, 2)}
    ratio = in_turns(ways, ROUNDS_OF_GROWTH).ratio("2 x", "1 x")
    spread = f"{ratio.lower_quartile:.2f} - {ratio.upper_quartile:.2f}"
    print(f"  {parser}, {shape:<36} {ratio.median:.2f} ({spread})")


def main() -> None:
    counts = {
        "events": sum(len(stream.events) for stream in recorded()),
        "decoded data": sum(len(stream.payloads) for stream in recorded()),
    }
    libs = ["orjson", "msgspec", "launchdarkly-eventsource", "httpx-sse", "openai", "sseclient-py"]
    print(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}")
    print(", ".join(f"{lib} {version(lib)}" for lib in libs))
    print(f"{len(recorded())} recorded bodies, {counts['events']} events, {ROUNDS} rounds")

    measured: dict[tuple[str, str], Rounds] = {}
    for work, ways_at in WORK.items():
        for cut in CUTS:
            ways = ways_at(cut)
            measured[work, cut] = in_turns(ways, ROUNDS)
            show(work, cut, measured[work, cut], ways, counts[work])

    chat_figures.show_chunks()
    chat_figures.show_messages()

    print("\ngrowth: the time of twice the input, as a multiple (quartiles)")
    for parser, shape in growth.CASES:
        show_growth(parser, shape)

    print("\ntargets")
    for work, cut, other, at_most in TARGETS:
        ratio = measured[work, cut].ratio("deltawire", other)
        verdict = "reached" if ratio.median <= at_most else "NOT reached"
        if ratio.lower_quartile <= at_most <= ratio.upper_quartile:
            verdict += ", though narrowly: the rounds disagree"
        print(f"  {work}, {cut} a chunk, deltawire / {other}")
        print(f"    {ratio.median:.3f}, target {at_most:.2f}: {verdict}")


if __name__ == "__main__":
    main()
