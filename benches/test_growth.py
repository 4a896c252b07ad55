"""Cost grows with the bytes and with nothing else: each shape of `growth` at a size and at twice the size.

Nothing is asserted about time. The two are timed one after the other here; `python -m benches.targets` times
them in turns and tells the ratio.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.growth import CASES, reading
from benches.measure import measure

pytestmark = pytest.mark.benchmark(disable_gc=True, max_time=0.5)


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("parser", "shape"), CASES)
def test_growth(benchmark: BenchmarkFixture, parser: str, shape: str, times: int) -> None:
    stream, read = reading(parser, shape, times)
    measure(
        benchmark,
        [read],
        group=f"growth, {parser}, {shape}",
        lib=f"{times} x",
        events=len(stream.events),
        size=stream.size,
    )
