"""EventParser on the recorded bodies, `event` and `data` read, beside the floor and the peers."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.bodies import CUTS, recorded
from benches.measure import assert_events, measure, over
from benches.peers import READERS

pytestmark = pytest.mark.benchmark(disable_gc=True)


@pytest.mark.parametrize("lib", READERS)
@pytest.mark.parametrize("cut", CUTS)
def test_reading_events(benchmark: BenchmarkFixture, cut: str, lib: str) -> None:
    streams = recorded()
    read = READERS[lib]
    assert_events(read, streams, CUTS[cut])
    measure(
        benchmark,
        over(read, [stream.chunks(CUTS[cut]) for stream in streams]),
        group=f"events, {cut} a chunk",
        lib=lib,
        events=sum(len(stream.events) for stream in streams),
        size=sum(stream.size for stream in streams),
    )
