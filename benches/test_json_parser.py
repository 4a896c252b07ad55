"""JSONParser on the recorded bodies, beside the floor and decoders of events with a decoder of JSON."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.bodies import CUTS, recorded
from benches.json_peers import FLOOR, READERS, floor
from benches.measure import assert_values, measure, over

pytestmark = pytest.mark.benchmark(disable_gc=True)


@pytest.mark.parametrize("lib", [FLOOR, *READERS])
@pytest.mark.parametrize("cut", CUTS)
def test_decoding_events(benchmark: BenchmarkFixture, cut: str, lib: str) -> None:
    streams = recorded()
    if lib == FLOOR:
        # The same for every cut; it stands in each group to be compared with.
        for stream in streams:
            assert [floor([payload]) for payload in stream.payloads] == stream.values
        run = over(floor, [stream.payloads for stream in streams])
    else:
        assert_values(READERS[lib], streams, CUTS[cut])
        run = over(READERS[lib], [stream.chunks(CUTS[cut]) for stream in streams])
    measure(
        benchmark,
        run,
        group=f"decoded data, {cut} a chunk",
        lib=lib,
        events=sum(len(stream.payloads) for stream in streams),
        size=sum(stream.size for stream in streams),
    )
