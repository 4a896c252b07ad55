"""How data is best handed to orjson: a copy, or a view of the chunk that it lies in.

Explains `VIEW_FROM` in rust/py/src/json_parser.rs: the size from which on the view is the faster one of a
pair. Making a view costs about as much as copying 10 KiB; on small data that is noticed, on large data the
copy is, and both are little beside the decoding. Therefore the handing over stands alone as well ("nothing").
Text is what a chat stream is made of; numbers (embeddings, log probabilities) are the slowest to decode.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches.measure import TIMER, measure
from benches.shapes import json_numbers, json_text

pytestmark = pytest.mark.benchmark(disable_gc=True, max_time=0.2, timer=TIMER)

PREFIX = b"data: "
KIB = 1024
SIZES = [256, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 4096 * KIB]


def copy(chunk: bytes, start: int, end: int) -> bytes:
    return chunk[start:end]


def view(chunk: bytes, start: int, end: int) -> memoryview:
    return memoryview(chunk)[start:end]


def copy_and_loads(chunk: bytes, start: int, end: int) -> Any:
    return orjson.loads(chunk[start:end])


def view_and_loads(chunk: bytes, start: int, end: int) -> Any:
    return orjson.loads(memoryview(chunk)[start:end])


HAND_OVER: dict[str, dict[str, Callable[[bytes, int, int], Any]]] = {
    "nothing": {"copy": copy, "view": view},
    "text": {"copy": copy_and_loads, "view": view_and_loads},
    "numbers": {"copy": copy_and_loads, "view": view_and_loads},
}


@pytest.mark.parametrize("way", ["copy", "view"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("decoding", HAND_OVER)
def test_handing_over(benchmark: BenchmarkFixture, decoding: str, size: int, way: str) -> None:
    data = json_numbers(size) if decoding == "numbers" else json_text(size)
    chunk = PREFIX + data + b"\n\n"
    hand_over = partial(HAND_OVER[decoding][way], chunk, len(PREFIX), len(PREFIX) + len(data))
    assert hand_over() == (data if decoding == "nothing" else json.loads(data))
    measure(
        benchmark,
        [hand_over],
        group=f"handing over, decoding {decoding}, {size:>7} bytes",
        lib=way,
        events=1,
        size=len(data),
        work="view",
    )
