"""What a gateway costs under load, by what it does to the streams that it passes on.

    python -m benches.load [--streams 1,100,1000] [--passes N] [--json FILE]

Client, gateways and upstream are processes on loopback. The gateways (`load_gateways`) are the same server
around the same client; what they add to the cheapest of them, which passes bytes on unseen, is what is asked
for. Every byte and every token of every stream is accounted for before a figure counts (`load_client`).

So many streams are opened on each gateway, and stay open. Then, round by round and in an order shuffled anew,
each gateway has a slice of events to pass on, and what is compared is what was measured in the same round,
since the machine's pace wanders. There are two paces: *flat out*, as fast as they go, and *paced*, at a rate
that all can follow, so that events come one by one. The first gives the throughput, the second latency and
memory, both CPU per event. Connecting is in no figure. What the relay adds is small beside what a machine's
pace wanders, so there are many rounds; the slow ways sit out three of four. A second pass has new processes,
since two of the same sort differ by some percent. It takes some four minutes on two cores.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import ceil, sqrt
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benches.load_client import Slice, Streams
from benches.load_gateways import OPENAI, PROXY, RELAY, RULES, SSE, WAYS

STREAMS = (1, 100, 1000)
PASSES = 2
FLAT_EVENTS = 2_000
FLAT_ROUNDS = 24
SLOW = 4
"""In one of so many rounds flat out those take part that re-serialise."""
PACED_RATE = 800
"""Events a second in all: what the slowest of them can follow on half a core."""
PACED_EVENTS = 400
PACED_ROUNDS = 5
WARM_UP = 3
"""Events of each stream before any is measured."""
TARGET = 50.0
"""How many times the CPU that the relay adds the SDK adds, at least."""

FLAT = "flat out"
PACED = "paced"


class Plan(NamedTuple):
    """What each of so many streams sends in a slice, and how many slices there are."""

    streams: int

    @property
    def flat(self) -> int:
        return max(2, FLAT_EVENTS // self.streams)

    @property
    def paced(self) -> int:
        return max(1, PACED_EVENTS // self.streams)

    @property
    def gap(self) -> float:
        """Seconds between two events of a stream."""
        return self.streams / PACED_RATE

    @property
    def paced_rounds(self) -> int:
        return max(2, PACED_ROUNDS * PACED_EVENTS // max(PACED_EVENTS, self.streams))

    def rounds(self, way: str) -> dict[str, range]:
        """Give the numbers of the rounds that a way takes part in, at each pace."""
        return {
            PACED: range(self.paced_rounds),
            FLAT: range(0, FLAT_ROUNDS, SLOW if way in (SSE, OPENAI) else 1),
        }

    def events(self, way: str) -> int:
        """How many events a stream has in all, but for its end."""
        rounds = self.rounds(way)
        return WARM_UP + self.paced * len(rounds[PACED]) + self.flat * len(rounds[FLAT])


@dataclass
class Measured:
    """One way at one number of streams: what was measured, over all passes.

    Attributes:
        slices: of each pace, by pass and round.
        latencies: of each paced event, in ns, pass by pass.
        resident: bytes that the process holds more for each stream in mid-stream, pass by pass.
    """

    way: str
    plan: Plan
    slices: dict[str, dict[tuple[int, int], Slice]] = field(default_factory=lambda: {PACED: {}, FLAT: {}})
    latencies: list[list[int]] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)

    def cpu(self, pace: str) -> dict[tuple[int, int], float]:
        """Give the CPU microseconds for an event, by pass and round."""
        return {turn: one.cpu_ns / one.events / 1e3 for turn, one in self.slices[pace].items()}

    def percentile(self, share: int) -> float:
        """Give a latency in microseconds, the median of the passes."""
        return median(made[len(made) * share // 100] / 1e3 for made in map(sorted, self.latencies))

    def to_dict(self, pace: str, floor: "Measured") -> dict[str, Any]:
        """Give the figures at a pace: medians, and of what is added also what bounds it."""
        cpu, base = self.cpu(pace), floor.cpu(pace)
        rate = median(one.events / one.seconds for one in self.slices[pace].values())
        told = {
            "way": self.way,
            "streams": self.plan.streams,
            "pace": pace,
            "cpu_us": median(cpu.values()),
            "added_us": between([cpu[turn] - base[turn] for turn in cpu]),
            "events_per_second": rate,
        }
        if pace == PACED:
            for share in (50, 99):
                told[f"p{share}_us"] = self.percentile(share)
                told[f"added_p{share}_us"] = self.percentile(share) - floor.percentile(share)
            told["bytes_per_stream"] = median(self.resident) if self.plan.streams > 1 else None
        return told


def between(values: list[float]) -> dict[str, float]:
    """Give the median of what was drawn, and what the true one lies between in nine of ten cases."""
    ordered = sorted(values)
    middle, width = len(ordered) / 2, 1.645 * sqrt(len(ordered)) / 2
    low, high = max(0, int(middle - width)), min(len(ordered), ceil(middle + width)) - 1
    return {"median": median(ordered), "low": ordered[low], "high": ordered[high]}


def judge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell how many times what a relay adds to the proxy the SDK adds, flat out.

    Paced, a process mostly wakes up and goes back to sleep; what that costs wanders by more than is added.
    """
    added = {(row["streams"], row["way"]): row["added_us"] for row in rows if row["pace"] == FLAT}
    judged = []
    for streams in dict.fromkeys(streams for streams, _ in added):
        for way in (RELAY, RULES):
            relay = added[streams, way]
            # What cannot be told from nothing is at most what bounds it.
            lost = relay["low"] <= 0
            base = relay["high"] if lost else relay["median"]
            ratio = added[streams, OPENAI]["median"] / base if base > 0 else None
            told = {"streams": streams, "pace": FLAT, "way": way, "ratio": ratio, "at_least": lost}
            judged.append({**told, "target": TARGET, "reached": ratio is None or ratio >= TARGET})
    return judged


@contextmanager
def process(module: str, *args: str) -> Iterator[Callable[[], int]]:
    """Run a module that prints the port that it serves on; give what waits for the port."""
    command = [sys.executable, "-m", module, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        output = started.stdout
        assert output is not None
        try:
            yield lambda: int(output.readline())
        finally:
            started.kill()


@contextmanager
def gateways() -> Iterator[tuple[int, dict[str, int]]]:
    """Run the upstream and each gateway in a process of its own; give their ports."""
    with ExitStack() as stack:
        upstream = stack.enter_context(process("benches.load_upstream"))()
        url = f"http://127.0.0.1:{upstream}/v1"
        started = {
            way: stack.enter_context(process("benches.load_gateways", str(number), url))
            for number, way in enumerate(WAYS)
        }
        yield upstream, {way: port() for way, port in started.items()}


async def sit(number: int, results: list[Measured], upstream: int, ports: dict[str, int], tell: Any) -> None:
    """Measure all ways at one number of streams, in the pass of this number.

    Raises:
        AssertionError: something did not come out of a gateway as it was sent.
    """
    plan = results[0].plan
    opened: dict[str, Streams] = {}
    for group, one in enumerate(results):
        tell(f"{plan.streams} streams: {one.way}, opened")
        streams = Streams(WAYS[one.way], group, ports[one.way], upstream, plan.events(one.way))
        idle = (await streams.used())["resident"]
        await streams.open(plan.streams)
        await streams.run(WARM_UP)
        one.resident.append(((await streams.used())["resident"] - idle) / plan.streams)
        opened[one.way] = streams
    shuffled = random.Random(plan.streams)
    for pace, each, gap in ((PACED, plan.paced, plan.gap), (FLAT, plan.flat, 0.0)):
        for turn in plan.rounds(PROXY)[pace]:
            due = [one for one in results if turn in plan.rounds(one.way)[pace]]
            for one in shuffled.sample(due, len(due)):
                tell(f"{plan.streams} streams, {pace}: {one.way}")
                one.slices[pace][number, turn] = await opened[one.way].run(each, gap)
    paced = slice(WARM_UP, WARM_UP + plan.paced * plan.paced_rounds)
    for one in results:
        tell(f"{plan.streams} streams: {one.way}, accounted for")
        latencies = await opened[one.way].end()
        one.latencies.append([latency for stream in latencies for latency in stream[paced]])


async def measure(streams: tuple[int, ...], passes: int) -> list[list[Measured]]:
    """Measure everything. Progress is told on stderr: a bar, or lines where that is no terminal."""
    results = [[Measured(way, Plan(number)) for way in WAYS] for number in streams]
    every = [one for made in results for one in made]
    steps = sum(2 + sum(map(len, one.plan.rounds(one.way).values())) for one in every)
    with _progress(passes * steps) as tell:
        # What streams leave behind in a process is not to be in the memory of later ones.
        for number, made in [(number, made) for number in range(passes) for made in results]:
            with gateways() as (upstream, ports):
                await sit(number, made, upstream, ports, tell)
    return results


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    console = Console(stderr=True)
    if not console.is_terminal:
        said: list[str] = []

        def say(what: str) -> None:
            # A line for each part, not for each slice.
            part = what.partition(":")[0]
            if part not in said[-1:]:
                print(part, file=sys.stderr, flush=True)
                said.append(part)

        yield say
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda what: bar.update(task, advance=1, description=what)


def rows_of(results: list[list[Measured]]) -> list[dict[str, Any]]:
    """Give the figures of all, each beside the proxy at the same number of streams."""
    return [
        one.to_dict(pace, next(floor for floor in made if floor.way == PROXY))
        for made in results
        for pace in (FLAT, PACED)
        for one in made
    ]


def show(rows: list[dict[str, Any]], judged: list[dict[str, Any]]) -> None:
    for streams, pace in dict.fromkeys((row["streams"], row["pace"]) for row in rows):
        print(f"\n{streams} stream{'s' * (streams > 1)}, {pace}")
        for row in rows:
            if (row["streams"], row["pace"]) == (streams, pace):
                print(f"  {row['way']:<42} {_told(row)}")
        for row in judged:
            if (row["streams"], row["pace"]) == (streams, pace):
                ratio = "more than can be told" if row["ratio"] is None else f"{row['ratio']:,.0f}"
                least = "at least " if row["at_least"] else ""
                verdict = "reached" if row["reached"] else "missed"
                print(f"  added by the openai SDK / {row['way']}: {least}{ratio}: {verdict}", flush=True)


def _told(row: dict[str, Any]) -> str:
    added = row["added_us"]
    told = f"{row['cpu_us']:6.1f} us CPU an event, {added['median']:6.2f} added"
    told += f" ({added['low']:.2f} to {added['high']:.2f})"
    if row["pace"] == FLAT:
        return told + f"; {row['events_per_second']:,.0f} events/s"
    told += f"; latency p50 {row['p50_us']:,.0f} us, p99 {row['p99_us']:,.0f} us"
    kept = row["bytes_per_stream"]
    return told if kept is None else f"{told}; {kept / 1024:,.1f} KiB a stream"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.load")
    parser.add_argument("--streams", default=",".join(map(str, STREAMS)), metavar="N,N")
    parser.add_argument("--passes", type=int, default=PASSES, choices=range(1, 11), metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file too")
    options = parser.parse_args()
    streams = tuple(int(number) for number in options.streams.split(","))
    if not all(1 <= number <= 1000 for number in streams):
        sys.exit("the number of streams is 1 to 1,000")
    if not Path("/proc/self/statm").exists():
        sys.exit("what a process holds is read from /proc, which this system has not")
    rows = rows_of(uvloop.run(measure(streams, options.passes)))
    judged = judge(rows)
    show(rows, judged)
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows, "judged": judged}, indent=1) + "\n")


if __name__ == "__main__":
    main()
