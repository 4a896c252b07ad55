"""Holding a reader against the expected answer, and handing it to pytest-benchmark.

A reader gives back only the last thing it read, so that gathering results does not weigh on what is timed.
Run over every beginning of a stream it has to give back each event in turn.
"""

from collections.abc import Callable
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture

from benches.bodies import Chunks, Event, Stream


def assert_events(read: Callable[[Chunks], Event], streams: list[Stream], size: int | None) -> None:
    for stream in streams:
        assert read([]) == ("", "")
        for count, event in enumerate(stream.events, start=1):
            assert read(stream.chunks(size, count)) == event, (stream.name, count)


def assert_values(read: Callable[[Chunks], Any], streams: list[Stream], size: int | None) -> None:
    for stream in streams:
        assert read([]) is None
        for count, value in enumerate(stream.values, start=1):
            assert read(stream.chunks(size, count)) == value, (stream.name, count)
        # The sentinel is neither a value nor an error.
        assert read(stream.chunks(size)) == stream.values[-1], stream.name


def over(read: Callable[[Any], object], inputs: list[Any]) -> Callable[[], None]:
    """Return a function that reads one input after the other: a pass over the recorded bodies, say."""

    def run() -> None:
        for each in inputs:
            read(each)

    return run


def measure(
    benchmark: BenchmarkFixture, run: Callable[[], object], *, group: str, lib: str, events: int, size: int
) -> None:
    """Time `run`, which reads so many events of so many bytes in all."""
    benchmark.group = group
    benchmark.extra_info.update(lib=lib, events=events, bytes=size)
    benchmark(run)
    if benchmark.stats is not None:
        benchmark.extra_info["ns_per_event"] = round(benchmark.stats.stats.median * 1e9 / events, 1)
