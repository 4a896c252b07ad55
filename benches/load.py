"""What a gateway costs under load, by what it does to the streams that it passes on.

    python -m benches.load [--streams 1,100,1000] [--passes N] [--json FILE]

Client, gateway and upstream are processes on loopback. The gateways (`load_gateways`) are the same server
around the same client; what they add to the cheapest of them, which passes bytes on unseen, is what is asked
for. Every byte and every token of every stream is accounted for before a figure counts (`load_client`).

A load is put on each gateway in turn, in an order shuffled anew, and that some times; what is compared is
what was measured in the same pass. There are two loads for each number of streams: *flat out*, as fast as they
go, and *paced*, at a rate that all can follow, whose events come one by one. The first gives the throughput,
the second latency and memory, both CPU per event. All streams are open before the first event comes; so
connecting is in no figure. It takes about four minutes on two cores; the number of streams, events and passes
is bounded, and so is the time of each.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benches.load_client import Load, Run, run
from benches.load_gateways import OPENAI, PROXY, RELAY, RULES, SSE, WAYS
from benches.load_streams import TAIL

PASSES = 3
STREAMS = (1, 100, 1000)
FLAT_EVENTS = 12_000
PACED_SECONDS = 2.0
PACED_RATE = 800
"""Events a second in all: what the slowest of them can follow on half a core."""
TARGET = 50.0
"""How many times the CPU of the relay the SDK adds, at least."""

FLAT = "flat out"
PACED = "paced"


def loads(streams: int) -> dict[str, Load]:
    """Give the loads for a number of streams that are open at once."""
    events = max(2, round(PACED_RATE * PACED_SECONDS / streams))
    return {
        FLAT: Load(streams, max(10, FLAT_EVENTS // streams)),
        PACED: Load(streams, events, PACED_SECONDS / events),
    }


class Measured(NamedTuple):
    """One way under one load: all its runs, one a pass."""

    way: str
    pace: str
    load: Load
    runs: list[Run]

    def cpu(self) -> list[float]:
        """Give the CPU nanoseconds for an event, pass by pass."""
        return [run.cpu_ns / self.load.total for run in self.runs]

    def to_dict(self, floor: "Measured") -> dict[str, Any]:
        """Give the figures: medians over the passes."""
        added = [ours - base for ours, base in zip(self.cpu(), floor.cpu(), strict=True)]
        told: dict[str, Any] = {"way": self.way, "pace": self.pace, "streams": self.load.streams}
        told["events"] = self.load.total
        told["cpu_us"] = _round(median(self.cpu()) / 1e3)
        told["added_cpu_us"] = [_round(value / 1e3) for value in sorted(added)]
        told["events_per_second"] = round(median(self.load.total / run.seconds for run in self.runs))
        told["streams_per_second"] = _round(median(self.load.streams / run.seconds for run in self.runs))
        if self.pace == PACED:
            for share in (50, 99):
                value = median(_percentile(run.latencies, share) for run in self.runs)
                base = median(_percentile(run.latencies, share) for run in floor.runs)
                told[f"p{share}_us"] = _round(value / 1e3)
                told[f"added_p{share}_us"] = _round((value - base) / 1e3)
            if self.load.streams > 1:
                # The first pass: later ones find memory that the process has already.
                first = self.runs[0]
                told["bytes_per_stream"] = round((first.resident - first.idle) / self.load.streams)
        return told


def judge(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tell by how much more the SDK adds to the proxy than the relays, for each load."""
    by_load: dict[tuple[str, int], dict[str, list[float]]] = {}
    for row in rows:
        by_load.setdefault((row["pace"], row["streams"]), {})[row["way"]] = row["added_cpu_us"]
    judged = []
    for (pace, streams), added in by_load.items():
        for ours in (RELAY, RULES):
            sdk, relay = median(added[OPENAI]), median(added[ours])
            # Below what can be told from noise the ratio is that to the largest that was measured.
            lost = relay <= 0
            base = max(added[ours]) if lost else relay
            ratio = sdk / base if base > 0 else float("inf")
            told = {
                "pace": pace,
                "streams": streams,
                "way": ours,
                "ratio": _round(ratio) if base > 0 else None,
            }
            judged.append({**told, "at_least": lost, "target": TARGET, "reached": ratio >= TARGET})
    return judged


@contextmanager
def process(module: str, *args: str) -> Iterator[int]:
    """Run a module that prints the port that it serves on; give the port."""
    command = [sys.executable, "-m", module, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            yield int(started.stdout.readline())
        finally:
            started.kill()


@asynccontextmanager
async def gateways() -> AsyncIterator[tuple[int, dict[str, int]]]:
    """Run the upstream and each gateway in a process of its own; give their ports."""
    with ExitStack() as stack:
        upstream = stack.enter_context(process("benches.load_upstream"))
        url = f"http://127.0.0.1:{upstream}/v1"
        ports = {
            way: stack.enter_context(process("benches.load_gateways", str(number), url))
            for number, way in enumerate(WAYS)
        }
        for way, port in ports.items():
            # What is made once, by the first requests: modules, caches, the types' own memory.
            for _ in range(3):
                await run(WAYS[way], port, upstream, Load(4, 50))
        yield upstream, ports


async def measure(streams: tuple[int, ...], passes: int) -> list[Measured]:
    """Measure everything. Progress is told on stderr: a bar, or lines where that is no terminal."""
    results = [
        Measured(way, pace, load, [])
        for number in streams
        for pace, load in loads(number).items()
        for way in WAYS
    ]
    shuffle = random.Random(passes).shuffle
    with _progress(passes * len(results)) as tell:
        for turn in range(passes):
            async with gateways() as (upstream, ports):
                for number in streams:
                    for pace in (PACED, FLAT):
                        due = [one for one in results if (one.load.streams, one.pace) == (number, pace)]
                        shuffle(due)
                        for one in due:
                            tell(f"pass {turn + 1}, {number} streams, {pace}: {one.way}")
                            one.runs.append(await run(WAYS[one.way], ports[one.way], upstream, one.load))
    return results


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda what: print(what, file=sys.stderr, flush=True)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=-1)
        yield lambda what: bar.update(task, advance=1, description=what)
        bar.update(task, completed=total, description="done")


def rows_of(results: list[Measured]) -> list[dict[str, Any]]:
    """Give the figures of all, each beside the proxy under the same load."""
    floors = {(one.pace, one.load): one for one in results if one.way == PROXY}
    return [one.to_dict(floors[one.pace, one.load]) for one in results]


def _percentile(ordered: list[int], share: int) -> int:
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


def _round(value: float) -> float:
    return round(value, 2 if abs(value) < 100 else 0)


def show(rows: list[dict[str, Any]], judged: list[dict[str, Any]]) -> None:
    for row in rows:
        low, high = row["added_cpu_us"][0], row["added_cpu_us"][-1]
        told = f"{row['cpu_us']:8.2f} us CPU an event, added {low:.2f} to {high:.2f}"
        told += f"; {row['events_per_second']:,} events/s"
        if row["pace"] == PACED:
            told += f"; added latency p50 {row['added_p50_us']:,} us, p99 {row['added_p99_us']:,} us"
            if "bytes_per_stream" in row:
                told += f"; {row['bytes_per_stream']:,} bytes a stream"
        print(f"{row['streams']:5} streams, {row['pace']:8} {row['way']:42} {told}")
    for row in judged:
        ratio = "more than can be told" if row["ratio"] is None else f"{row['ratio']:,.0f} times"
        verdict = "reached" if row["reached"] else "missed"
        least = "at least " if row["at_least"] else ""
        print(
            f"{row['streams']} streams, {row['pace']}: the SDK adds {least}{ratio} what is added by {row['way']}: {verdict}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.load")
    parser.add_argument("--streams", default=",".join(map(str, STREAMS)), metavar="N,N")
    parser.add_argument("--passes", type=int, default=PASSES, choices=range(1, 11), metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results into this file too")
    options = parser.parse_args()
    streams = tuple(int(number) for number in options.streams.split(","))
    if not all(1 <= number <= 2000 for number in streams):
        sys.exit("the number of streams is 1 to 2000")
    if not Path("/proc/self/statm").exists():
        sys.exit("what a process holds is read from /proc, which this system has not")
    rows = rows_of(asyncio.run(measure(streams, options.passes)))
    judged = judge(rows)
    show(rows, judged)
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows, "judged": judged}, indent=1) + "\n")


if __name__ == "__main__":
    main()
