"""docs/benchmarks.md and its charts, from the JSON that a run of the suite wrote.

    python -m benches.report FOLDER

The folder holds what `make bench-report` gathers there: `suite.json` of pytest-benchmark, and what the
commands `targets`, `growth`, `memory`, `fairness` and `load` wrote. Nothing is measured here, and every
figure in the page comes from the run; the sentences around them say only how it was measured.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benches.growth import TIMES
from benches.names import RECORDED
from benches.results import FLOOR_MARKS, Results, Timing

DOCS = Path(__file__).parent.parent / "docs"

MOST_GROWTH = 2.2
"""How many times the time twice the input may take."""

HEAD = """\
<!-- Written by `make bench-report` from the figures of one run; a change by hand is lost with the next. -->
# Benchmarks

Everything on this page comes from one run of `make bench-report` on this machine:
"""

HOW = """\
## How it is measured

- Every reader is held against the expected answer before it is timed. The answer comes with the stream: a
  plain split and the standard library's json for the recorded bodies, the message that it was made from for a
  generated one. A reader that gets a shape wrong, takes minutes for it, or leaves a part of the work to who
  calls it is not timed on it.
- A parser is made for each stream inside the timed function, and closed there. Generated streams come in
  several seeds, read in turn; no two events of one say the same.
- Each way has a loop of its own, since CPython specialises a loop for the types it meets.
- Time is the thread's own CPU time, with the collector off; given are medians and quartiles. Ratios to be
  judged (the targets) are of paired rounds: each round times every way once, in shuffled order, and the
  median of the ratios inside the rounds counts. A miss is measured again, twice at most, and the best try
  stands.
- A *floor* does less than the others: it decodes data that is already cut out, or does not parse at all. No
  reader of chunks has it that easy, so one that is below it saves work that others think necessary.
- `make bench` times all of it, `make targets` the targets alone, `make counts` the instructions of the core.
"""


def page(results: Results) -> str:
    """Write the page."""
    # One blank line between parts, as Markdown has it.
    parts = [HEAD, _machine(results), *_targets(results), HOW, *_works(results), *_growth(results)]
    parts += [*_memory(results), *_fairness(results), *_load(results)]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _machine(results: Results) -> str:
    return _table(["", ""], results.machine)


def _targets(results: Results) -> Iterator[str]:
    judged = [row for row in results.targets if row["target"]]
    reached = sum(row["verdict"] != "missed" for row in judged)
    stretched = sum(row["verdict"] == "stretch reached" for row in judged)
    yield (
        f"## Targets\n\n{reached} of {len(judged)} reached, {stretched} of them by the stretch. In brackets "
        "the quartiles of the rounds; a row without a target stands beside those that have one."
    )
    yield "![Each figure as a multiple of its target](bench-targets.svg)"
    rows = []
    for row in results.targets:
        told = {
            "ratio": f"{row['ours']} / {row['other']}",
            "times": f"{row['other']} / {row['ours']}",
            "ns": f"{row['ours']} beyond {row['other']}, ns an item",
        }
        target, stretch = row["target"] or ("", "")
        tries = f", {row['tries']} tries" if row["target"] and row["tries"] > 1 else ""
        rows.append(
            [row["name"], told[row["unit"]], _spread(row["figure"]), target, stretch, row["verdict"] + tries]
        )
        if row["beside"]:
            ours = f"{row['way_beside']} / {row['other']}"
            rows.append([row["name"], ours, _spread(row["beside"]), "", "", ""])
    yield _table(["work", "what to what", "figure", "target", "stretch", "verdict"], rows)


def _works(results: Results) -> Iterator[str]:
    yield (
        "## What users do with a stream\n\nIn ns an event, and in brackets deltawire's ratio to it (of "
        "the first of deltawire's ways in the table): below 1, deltawire is faster."
    )
    yield "![What each work costs, by library](bench-works.svg)"
    for work in results.works:
        if not work.startswith("HTTP"):
            yield f"### {work[0].upper()}{work[1:]}"
            cases = results.cases(work)
            yield _ways(results, work, [case for case in cases if case[0] == RECORDED])
            yield _shapes(results, work, [case for case in cases if case[0] != RECORDED])
    yield (
        "## Over HTTP\n\nThe recorded bodies over loopback, one after the other; the server is a process "
        "of its own. In ns of the client's CPU time an event: what is above the bytes alone is the parser's, "
        "and what follows from how it ends. Behind `[DONE]` an async `ChatStream` reads the rest, "
        "within bounds."
    )
    yield "![What a stream costs over HTTP, by client](bench-http.svg)"
    for work in results.works:
        if work.startswith("HTTP"):
            yield f"### {work}"
            yield _ways(results, work, results.cases(work))


def _ways(results: Results, work: str, cases: Sequence[tuple[str, str]]) -> str:
    """Tell the ways of a work, a row each, at each cut of one shape."""
    fastest = results.of(work, *cases[0])
    rows = []
    for way in fastest:
        row = [_name(way)]
        for case in cases:
            timings = {timing.lib: timing for timing in results.of(work, *case)}
            row.append(_beside(timings.get(way.lib), _ours(timings.values())))
        rows.append(row)
    return _table([RECORDED, *(cut for _, cut in cases)], rows)


def _shapes(results: Results, work: str, cases: Sequence[tuple[str, str]]) -> str:
    """Tell the ways of a work, a column each, on every other shape."""
    by_case = {case: {timing.lib: timing for timing in results.of(work, *case)} for case in cases}
    libs = list(dict.fromkeys(lib for timings in by_case.values() for lib in timings))
    libs.sort(key=lambda lib: (not lib.startswith("deltawire"), _is_floor(lib)))
    rows = [
        [f"{shape}, {cut}", *(_beside(timings.get(lib), _ours(timings.values())) for lib in libs)]
        for (shape, cut), timings in by_case.items()
    ]
    return _table(["shape, cut", *libs], rows) if rows else ""


def _growth(results: Results) -> Iterator[str]:
    yield (
        "## Growth\n\nStreams that tempt a parser into looking at bytes twice, at a size, twice that, and so "
        "on. Linear is 2 for each doubling; at most 2.2 is asked for, and what is over it is in bold. "
        "Looking twice would be 4 at each step. A single step that is larger is one of the memory, and the "
        "floor makes it too: the copy of one large event has outgrown a cache, or takes fresh pages from the "
        "system."
    )
    yield "![Time by size of the input: the pale lines are linear](bench-growth.svg)"
    rows = [
        [
            row["parser"],
            row["shape"],
            f"{row['sizes'][0] / 2**20:.2f}",
            f"{row['ms'][0]:.2f}",
            *(f"{ratio:.2f}" if ratio <= MOST_GROWTH else f"**{ratio:.2f}**" for ratio in row["ratios"]),
        ]
        for row in results.growth
    ]
    doublings = [f"{before} to {after} x" for before, after in pairwise(TIMES)]
    yield _table(["parser", "shape", "MiB", "ms", *doublings], rows)


def _memory(results: Results) -> Iterator[str]:
    yield (
        "## Memory\n\nBytes that each of many open parsers holds: the growth of the resident set while "
        "they are opened, by their number. At most 1 KB fresh; at most 3 KB and three times the last network "
        "chunk in mid-stream, which for the accumulator has the message so far in it."
    )
    yield "![What an open parser holds, beside its bound](bench-memory.svg)"
    rows = [
        [
            row["kind"],
            row["state"],
            f"{row['objects']:,}",
            f"{row['bytes']:,.0f}",
            f"{row['bound']:,}",
            "kept" if row["bytes"] <= row["bound"] else "**over**",
        ]
        for row in results.memory
    ]
    yield _table(["kind", "state", "opened", "bytes each", "bound", ""], rows)


def _fairness(results: Results) -> Iterator[str]:
    yield (
        "## Fairness\n\nHow long a network chunk of 4 MiB holds the event loop, which is what `feed` takes. "
        "A stream gives the items of a chunk without waiting; for it, it is the longest that a task beside "
        "it was kept waiting. Smaller chunks take less in proportion: one of 64 KiB a sixty-fourth."
    )
    yield "![How long a chunk of 4 MiB holds the loop](bench-fairness.svg)"
    shapes = list(dict.fromkeys(row["shape"] for row in results.fairness))
    ways = list(dict.fromkeys(row["way"] for row in results.fairness))
    ms = {(row["way"], row["shape"]): f"{row['ms']:.2f}" for row in results.fairness}
    yield _table(["ms", *shapes], [[way, *(ms[way, shape] for shape in shapes)] for way in ways])


def _load(results: Results) -> Iterator[str]:
    yield (
        "## Load\n\nGateways on loopback, the same server around the same client: one passes bytes on "
        "unseen, the others do something with them. What is added is to the CPU time of that one, in us an "
        "event, in the median of paired rounds; in brackets what the true median lies between, nine times of "
        "ten. *Flat out* is as fast as they go; *paced* is 800 events a second in all, that come one by one. "
        "The relay is `ChatRelay.feed` in a plain loop, but in the row of the relay stream, which has the "
        "keep-alives and deadlines of `examples/gateway.py`. A stream a second is one of a thousand events; "
        "connecting is in no figure. Every byte and every token of every stream was accounted for."
    )
    yield "![CPU that a gateway adds to passing bytes on, by what it does](bench-load.svg)"
    rows = []
    for row in results.load["rows"]:
        added = row["added_us"]
        kept, rate = row.get("bytes_per_stream"), row["events_per_second"]
        rows.append(
            [
                f"{row['streams']:,}, {row['pace']}",
                row["way"],
                f"{row['cpu_us']:.1f}",
                f"{added['median']:.2f} ({added['low']:.2f} - {added['high']:.2f})",
                f"{rate:,.0f}, {rate / 1000:.1f}" if "p50_us" not in row else "",
                f"{row['p50_us']:,.0f}, {row['p99_us']:,.0f}" if "p50_us" in row else "",
                f"{row['added_p50_us']:,.0f}, {row['added_p99_us']:,.0f}" if "p50_us" in row else "",
                f"{kept / 1024:.1f}" if kept else "",
            ]
        )
    head = ["streams", "way", "us an event", "added", "events/s, streams/s"]
    head += ["latency p50, p99, us", "added to that", "KiB a stream"]
    yield _table(head, rows)
    yield "What the openai SDK adds, as a multiple of what a relay adds: at least 50 is asked for."
    judged = []
    for row in results.load["judged"]:
        ratio = "none could be told" if row["ratio"] is None else f"{row['ratio']:,.0f}"
        told = f"at least {ratio}" if row["at_least"] and row["ratio"] is not None else ratio
        verdict = "reached" if row["reached"] else "missed"
        judged.append([f"{row['streams']:,}, {row['pace']}", row["way"], told, verdict])
    yield _table(["streams", "beside", "times", "verdict"], judged)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _beside(timing: Timing | None, ours: Timing | None) -> str:
    if timing is None:
        return ""
    ns = f"{timing.ns:,.0f}"
    return ns if timing.is_ours or ours is None else f"{ns} ({ours.ns / timing.ns:.2g})"


def _ours(timings: Iterable[Timing]) -> Timing | None:
    """Give the way that stands for deltawire: of the accumulator, the one that takes the completion."""
    ours = [timing for timing in timings if timing.is_ours]
    judged = [timing for timing in ours if timing.lib in JUDGED]
    return next(iter(judged or ours), None)


JUDGED = {"deltawire", "deltawire, completion", "deltawire ChatStream"}


def _name(timing: Timing) -> str:
    if timing.is_ours:
        return f"**{timing.lib}**"
    return f"*{timing.lib}*" if timing.is_floor else timing.lib


def _is_floor(lib: str) -> bool:
    return any(mark in lib for mark in FLOOR_MARKS)


def _spread(figure: dict[str, float]) -> str:
    median, lower, upper = (figure[key] for key in ("median", "lower_quartile", "upper_quartile"))
    digits = 3 if median < 10 else 0
    return f"{median:,.{digits}f} ({lower:,.{digits}f} - {upper:,.{digits}f})"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # Only now: the page can be had without matplotlib.
    from benches import charts

    results = Results.read(Path(sys.argv[1]))
    charts.draw(results, DOCS)
    (DOCS / "benchmarks.md").write_text(page(results), "utf-8")


if __name__ == "__main__":
    main()
