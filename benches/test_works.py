"""Every work of the catalogue, on every shape, in every way: deltawire, the peers, the floors."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.litellm_peer import MISSING
from benches.measure import TIMER, measure
from benches.works import CASES, Work, assert_right, runs, size


def test_litellm_is_there() -> None:
    if MISSING:
        pytest.skip("litellm is not installed, and is left out")


@pytest.mark.benchmark(disable_gc=True, max_time=0.25, min_rounds=3, timer=TIMER)
@pytest.mark.parametrize(
    ("work", "shape", "cut", "lib"),
    [pytest.param(*case, id=f"{case[0].name}-{case[1]}-{case[2]}-{case[3]}") for case in CASES],
)
def test_work(benchmark: BenchmarkFixture, work: Work, shape: str, cut: str, lib: str) -> None:
    assert_right(work, lib, shape, cut)
    events, amount = size(shape)
    measure(
        benchmark,
        runs(work, lib, shape, cut),
        group=f"{work.name}, {shape}, {cut} a chunk",
        lib=lib,
        events=events,
        size=amount,
        work=work.name,
        shape=shape,
        cut=cut,
    )
