"""Which targets of speed are reached: a table of ratios, each of medians in one run.

    python -m benches.targets [--only TEXT] [--json FILE] [--seconds N]

A row names ways of doing the same work; each is held against the expected answer before it is timed. The
ways of a row are timed in turns (`paired`), and the figure is the median of the ratios inside each round. A
row that misses its target is measured again, twice at most, since a machine that slows down in mid-run can
spoil one; the best of the tries counts, and it is told how many there were. A row without a target stands
beside the one above it, for what the target leaves out.

Missing a target is no failure of the run: the exit code is 0. All rows take two to three minutes, `--only`
(a part of a row's name) takes seconds.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import json
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benches.json_peers import FLOOR
from benches.names import CALLS, RECORDED, TEXT
from benches.paired import Rounds, Spread, Ways, in_turns
from benches.relay_ways import EDITED, OBSERVED, RELAYED
from benches.target_ways import FEEDING, ITERATING, PASSING, STREAMING, iterating, streaming, ways
from benches.works import ACCUMULATE, DECODE, FRAME, ITERATE, READ, RELAY

OURS = "deltawire"
LAUNCHDARKLY = "launchdarkly-eventsource"
MSGSPEC = "msgspec, data already cut out"
COMPLETION = "deltawire, completion"
TO_DICT = "deltawire, to_dict"
STREAM = "deltawire ChatStream"
OPENAI = "openai client and accumulator"

SECONDS = 5.0
"""For how long a row is measured, beside checking it."""
TRIES = 3


class Row(NamedTuple):
    """A line of the table.

    Attributes:
        name: what is done, to which input, cut how.
        ways: makes the ways, checked, and tells how many items a round has.
        ours: the way of deltawire.
        other: what it is compared with.
        target: the figure to reach, and the one to stretch for; None for a row that only tells.
        unit: "ratio" of our time to the other's, at most; "times" that the other takes, at least; "ns" that
            ours takes longer for each item, at most.
        beside: another way of deltawire, told beside it.
    """

    name: str
    ways: Callable[[], tuple[Ways, int]]
    ours: str
    other: str
    target: tuple[float, float] | None = None
    unit: Literal["ratio", "times", "ns"] = "ratio"
    beside: str | None = None

    def figure(self, rounds: Rounds, items: int) -> Spread:
        if self.unit == "ratio":
            return rounds.ratio(self.ours, self.other)
        if self.unit == "times":
            return rounds.ratio(self.other, self.ours)
        return Spread(*(ns / items for ns in rounds.difference(self.ours, self.other)))

    def verdict(self, figure: float) -> str:
        if self.target is None:
            return ""
        reached = sum(self.better(figure, bound) for bound in self.target)
        return ["missed", "reached", "stretch reached"][reached]

    def better(self, figure: float, than: float) -> bool:
        return figure >= than if self.unit == "times" else figure <= than


ROWS = [
    Row(
        "EventParser, cassettes, 1 event",
        partial(ways, FRAME, RECORDED, "1 event", OURS, LAUNCHDARKLY),
        OURS,
        LAUNCHDARKLY,
        (0.22, 0.18),
    ),
    *(
        Row(f"JSONParser, {name}, {cut}", partial(ways, DECODE, shape, cut, OURS, FLOOR), OURS, FLOOR, target)
        for name, shape, cut, target in [
            ("cassettes", RECORDED, "1 event", (0.85, 0.70)),
            ("cassettes", RECORDED, "64 KiB", (0.80, 0.68)),
            ("2,000 events of text", TEXT, "64 KiB", (0.58, 0.48)),
            ("2,000 events of tool calls", CALLS, "64 KiB", None),
        ]
    ),
    *(
        Row(
            f"ChatParser, {name}, {cut}",
            partial(ways, READ, shape, cut, OURS, MSGSPEC),
            OURS,
            MSGSPEC,
            target,
        )
        for name, shape, cut, target in [
            ("cassettes", RECORDED, "1 event", (0.75, 0.60)),
            ("2,000 events of text", TEXT, "64 KiB", (0.50, 0.42)),
            ("2,000 events of tool calls", CALLS, "64 KiB", None),
        ]
    ),
    *(
        Row(
            f"ChatAccumulator, {name}, {cut}",
            partial(ways, ACCUMULATE, shape, cut, COMPLETION, TO_DICT, FLOOR),
            COMPLETION,
            FLOOR,
            target,
            beside=TO_DICT,
        )
        for name, shape, cut, target in [
            ("cassettes", RECORDED, "64 KiB", (0.13, 0.09)),
            ("cassettes", RECORDED, "1 event", (0.20, 0.13)),
            ("2,000 events of text", TEXT, "64 KiB", (0.065, 0.05)),
            ("2,000 events of text", TEXT, "1 event", (0.10, 0.07)),
            ("2,000 events of tool calls", CALLS, "64 KiB", None),
            ("2,000 events of tool calls", CALLS, "1 event", None),
        ]
    ),
    *(
        Row(
            f"{name}, {streams}, {cut}",
            partial(ways, RELAY, shape, cut, ours, OBSERVED),
            ours,
            OBSERVED,
            target,
        )
        for name, ours, target in [
            ("ChatRelay", RELAYED, (1.3, 1.1)),
            ("ChatRelay, set and usage dropped", EDITED, (2.0, 1.6)),
        ]
        for streams, shape in [("cassettes", RECORDED), ("2,000 events of text", TEXT)]
        for cut in ("1 event", "64 KiB")
    ),
    *(
        Row(
            f"ChatStream, async for, 2,000 events of text, {cut}",
            partial(iterating, TEXT, cut),
            ITERATING,
            FEEDING,
            target,
            "ns",
        )
        for cut, target in [("1 event", (130, 20)), ("64 KiB", None)]
    ),
    *(
        Row(
            f"ChatRelayStream{name}, async for, 2,000 events of text, 1 event",
            partial(streaming, TEXT, "1 event", **options),
            STREAMING,
            PASSING,
            unit="ns",
        )
        for name, options in [
            ("", {}),
            (" with a deadline", {"idle_timeout": 60.0}),
            (" with keep-alives and a deadline", {"keep_alive": 60.0, "idle_timeout": 60.0}),
        ]
    ),
    *(
        Row(
            f"ChatStream, async for and completion, {name}, 1 event",
            partial(ways, ITERATE, shape, "1 event", STREAM, OPENAI),
            STREAM,
            OPENAI,
            target,
            "times",
        )
        for name, shape, target in [
            ("cassettes", RECORDED, (200, 400)),
            ("2,000 events of text", TEXT, None),
        ]
    ),
]


class Result(NamedTuple):
    """What came of a row.

    Attributes:
        figure: in the unit of the row, of the best try.
        beside: the same of the way beside it.
        ns: the median of each way, in ns an item.
    """

    row: Row
    figure: Spread
    beside: Spread | None
    ns: dict[str, float]
    rounds: int
    tries: int

    @property
    def verdict(self) -> str:
        return self.row.verdict(self.figure.median)

    def to_dict(self) -> dict[str, Any]:
        row = self.row._asdict()
        del row["ways"]
        own = {key: value for key, value in self._asdict().items() if key != "row"}
        spreads = {key: spread and spread._asdict() for key, spread in own.items() if key in SPREADS}
        return {**row, **own, **spreads, "way_beside": self.row.beside, "verdict": self.verdict}


SPREADS = ("figure", "beside")


def measure(row: Row, seconds: float = SECONDS) -> Result:
    """Check and time a row; on a miss, time it again."""
    made, items = row.ways()
    best = _try(row, made, items, seconds)
    for tries in range(2, TRIES + 1):
        if best.verdict != "missed":
            break
        again = _try(row, made, items, seconds)
        better = row.better(again.figure.median, best.figure.median)
        best = (again if better else best)._replace(tries=tries)
    return best


def _try(row: Row, made: Ways, items: int, seconds: float) -> Result:
    rounds = in_turns(made, seconds)
    beside = rounds.ratio(row.beside, row.other) if row.beside else None
    ns = {way: round(rounds.ns(way) / items, 1) for way in made}
    return Result(row, row.figure(rounds, items), beside, ns, len(rounds), tries=1)


def show(result: Result) -> None:
    row = result.row
    verdict = f": {result.verdict}" if row.target is not None else ""
    tries = f", the best of {result.tries} tries" if result.tries > 1 and row.target is not None else ""
    print(f"\n{row.name}{verdict}{tries}")
    what = {
        "ratio": f"{row.ours} / {row.other}",
        "times": f"{row.other} / {row.ours}",
        "ns": f"ns an item, {row.ours} beyond {row.other}",
    }
    target = "" if row.target is None else f"; target {row.target[0]:g}, stretch {row.target[1]:g}"
    print(f"  {_text(result.figure)} {what[row.unit]}{target}")
    if result.beside is not None:
        print(f"  {_text(result.beside)} {row.beside} / {row.other}")
    told = ", ".join(f"{way} {ns:,.0f}" for way, ns in result.ns.items())
    print(f"  ns an item: {told}", flush=True)


def _text(figure: Spread) -> str:
    digits = 3 if figure.median < 10 else 0
    median, lower, upper = (f"{value:.{digits}f}" for value in figure)
    return f"{median} ({lower} - {upper})"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benches.targets", description="Tell which targets of speed are reached."
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows with this in their name")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="measure a row for so long, at least 8 rounds"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file too")
    options = parser.parse_args()
    rows = [row for row in ROWS if options.only.lower() in row.name.lower()]
    if not rows:
        sys.exit("no row has that in its name; there are\n" + "\n".join(f"  {row.name}" for row in ROWS))
    libs = ["orjson", "msgspec", "launchdarkly-eventsource", "openai"]
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, "
        + ", ".join(f"{lib} {version(lib)}" for lib in libs)
    )
    results = []
    for row in rows:
        results.append(measure(row, options.seconds))
        show(results[-1])
    if options.json is not None:
        options.json.write_text(json.dumps([result.to_dict() for result in results], indent=1) + "\n")
    judged = [result for result in results if result.row.target is not None]
    reached = sum(result.verdict != "missed" for result in judged)
    stretched = sum(result.verdict == "stretch reached" for result in judged)
    print(f"\n{reached} of {len(judged)} targets reached, {stretched} of them by the stretch")


if __name__ == "__main__":
    main()
