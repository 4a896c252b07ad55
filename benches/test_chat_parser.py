"""ChatParser, with content, tool calls and finish reason read, beside typed structs and plain dicts."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.chats import CASES, SHAPES, assert_chunks
from benches.chunk_peers import WAYS
from benches.measure import measure, over

pytestmark = pytest.mark.benchmark(disable_gc=True, max_time=0.25)


@pytest.mark.parametrize("lib", WAYS)
@pytest.mark.parametrize(("shape", "cut"), CASES)
def test_reading_chunks(benchmark: BenchmarkFixture, shape: str, cut: str, lib: str) -> None:
    chats, way = SHAPES[shape](), WAYS[lib]
    assert_chunks(way, chats, cut)
    measure(
        benchmark,
        over(way.run, [way.input(chat, cut) for chat in chats]),
        group=f"typed chunks, {shape}, {cut} a chunk",
        lib=lib,
        events=sum(len(chat.stream.payloads) for chat in chats),
        size=sum(chat.stream.size for chat in chats),
    )
