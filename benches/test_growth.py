"""Cost grows with the bytes and with nothing else: each shape of `growth` at a size, twice that, and so on.

Nothing is asserted about time; the report draws the curve and tells the ratios.
"""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.growth import CASES, TIMES, reading
from benches.measure import TIMER, measure

pytestmark = pytest.mark.benchmark(disable_gc=True, max_time=0.3, min_rounds=3, timer=TIMER)


@pytest.mark.parametrize(("parser", "shape", "times"), [(*case, times) for case in CASES for times in TIMES])
def test_growth(benchmark: BenchmarkFixture, parser: str, shape: str, times: int) -> None:
    stream, read = reading(parser, shape, times)
    measure(
        benchmark,
        [read],
        group=f"growth, {parser}, {shape}",
        lib=f"{times} x",
        events=len(stream.events),
        size=stream.size,
        work="growth",
        shape=shape,
        cut=parser,
    )
