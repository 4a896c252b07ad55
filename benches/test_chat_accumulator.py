"""ChatAccumulator up to four points, beside what messages are assembled with today and the floors."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.chats import CASES, LONG, SHAPES, assert_messages
from benches.measure import measure, over
from benches.message_peers import FLOORS, OPENAI, OPENAI_WAY, OURS

WAYS = {**OURS, **FLOORS, OPENAI: OPENAI_WAY}

# openai's cost does not depend on the cut, and is so high that one will do.
RUNS = [
    (shape, cut, lib)
    for shape, cut in CASES
    for lib in WAYS
    if lib != OPENAI or (cut == "1 event" and shape != LONG)
]


@pytest.mark.benchmark(disable_gc=True, max_time=0.25, min_rounds=3)
@pytest.mark.parametrize(("shape", "cut", "lib"), RUNS)
def test_assembling_messages(benchmark: BenchmarkFixture, shape: str, cut: str, lib: str) -> None:
    chats, way = SHAPES[shape](), WAYS[lib]
    if lib == OPENAI and len(chats[0].stream.events) > 1_000:
        chats = chats[:1]
    assert_messages(way, chats, cut)
    measure(
        benchmark,
        over(way.run, [way.input(chat, cut) for chat in chats]),
        group=f"messages, {shape}, {cut} a chunk",
        lib=lib,
        events=sum(len(chat.stream.payloads) for chat in chats),
        size=sum(chat.stream.size for chat in chats),
    )
