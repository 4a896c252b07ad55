"""Handing what is timed to pytest-benchmark."""

from collections.abc import Callable, Sequence
from itertools import cycle
from time import thread_time
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

TIMER = thread_time
"""The thread's own CPU time, as in `paired`: what else runs on the machine is not in it."""


def over(read: Callable[[Any], object], inputs: list[Any]) -> Callable[[], None]:
    """Return a function that reads one input after the other: a pass over the recorded bodies, say."""

    def run() -> None:
        for each in inputs:
            read(each)

    return run


def measure(
    benchmark: BenchmarkFixture,
    runs: Sequence[Callable[[], object]],
    *,
    group: str,
    lib: str,
    events: int,
    size: int,
    **told: object,
) -> None:
    """Time functions that are called in turn, each of which reads so many events of so many bytes in all."""
    benchmark.group = group
    benchmark.extra_info.update(lib=lib, events=events, bytes=size, **told)
    if len(runs) == 1:
        benchmark(runs[0])
    else:
        # One round is a call, or several: either way the next one reads another stream.
        turns = cycle(runs)
        benchmark(lambda: next(turns)())
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_event"] = round(benchmark.stats.stats.median * 1e9 / events, 1)
