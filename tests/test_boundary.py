"""The boundary between Python and Rust: who owns what, what is left behind, what it costs.

Reference counts, memory and threads, which no test of values would notice. Sizes are those of the design: a
fresh parser takes at most 1 KiB, one in mid-stream 3 KiB. Memory is measured in a process of its own, where
nothing that other tests left can hide a growth.
"""

import gc
import multiprocessing
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from outcomes import pieces

from deltawire import ChatParser, EventParser, InvalidJSON, JSONParser, LimitExceeded

PARSERS: dict[str, Callable[..., Any]] = {
    "EventParser": EventParser,
    "JSONParser": JSONParser,
    "JSONParser-loads": lambda **options: JSONParser(loads=orjson.loads, **options),
}
every_parser = pytest.mark.parametrize("make", PARSERS.values(), ids=PARSERS)

EVENT = b'event: add\nid: 7\ndata: {"a":"b"}\n\n'
LARGE = b'data: {"a":"' + b"b" * 100_000 + b'"}\n\n'


class Subclass(bytes):
    """Accepted as the bytes that it is."""


# Ownership.


@every_parser
@pytest.mark.parametrize("kind", [bytes, Subclass])
@pytest.mark.parametrize("body", [EVENT * 3, LARGE, EVENT + LARGE + EVENT], ids=["small", "large", "mixed"])
@pytest.mark.parametrize("cut", [0, 1, 40, 5000])
def test_neither_parser_nor_results_keep_the_chunk_alive(
    make: Callable[..., Any], kind: type[bytes], body: bytes, cut: int
) -> None:
    parser = make()
    parser.feed(body[:cut])
    chunk = kind(body[cut:] + b"data: ")
    before = sys.getrefcount(chunk)
    results = parser.feed(chunk)
    assert sys.getrefcount(chunk) == before
    del results
    assert sys.getrefcount(chunk) == before


def test_a_chunk_is_kept_only_until_what_invalid_json_held_back_came_out() -> None:
    parser: JSONParser[Any] = JSONParser()
    chunk = bytes(bytearray(b"data: 1\n\ndata: x\n\n" + LARGE[:-3] + b"\n\ndata: 2\n\n"))
    before = sys.getrefcount(chunk)
    errors = []
    for again in (chunk, b""):
        with pytest.raises(InvalidJSON) as caught:
            parser.feed(again)
        errors.append(caught.value)
        errors[-1].__traceback__ = None  # It holds the frame of the call, and that its argument.
    del caught, again
    assert parser.feed(b"") == [2]
    assert sys.getrefcount(chunk) == before
    assert len(errors) == 2, "the errors are still there, and hold no chunk either"


@pytest.mark.parametrize("make", [ChatParser, JSONParser])
def test_a_chunk_whose_last_event_is_invalid_json_is_not_kept_at_all(make: Callable[[], Any]) -> None:
    parser = make()
    chunk = bytes(bytearray(b'data: {"a":1}\n\ndata: x\n\n'))
    before = sys.getrefcount(chunk)
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(chunk)
    assert len(caught.value.values) == 1
    del caught
    assert sys.getrefcount(chunk) == before


@every_parser
def test_an_exceeded_limit_does_not_keep_the_chunk_alive(make: Callable[..., Any]) -> None:
    parser = make(max_event_size=100)
    chunk = bytes(bytearray(EVENT + LARGE + EVENT))
    before = sys.getrefcount(chunk)
    with pytest.raises(LimitExceeded):
        parser.feed(chunk)
    assert sys.getrefcount(chunk) == before


def test_a_parser_that_its_loads_refers_to_is_collected() -> None:
    class Owner:
        def __init__(self) -> None:
            self.parser = JSONParser[Any](loads=self.loads)

        def loads(self, text: bytes) -> Any:
            if text == b"boom":
                raise KeyError("boom")
            return self

    owner = Owner()
    # Values that an exception held back are part of the cycle too.
    with pytest.raises(KeyError):
        owner.parser.feed(b"data: 1\n\ndata: boom\n\n")
    collected = weakref.ref(owner)
    del owner
    gc.collect()
    assert collected() is None


def test_a_parser_being_used_survives_a_garbage_collection() -> None:
    def loads(text: bytes) -> Any:
        gc.collect()
        return orjson.loads(text)

    parser: JSONParser[Any] = JSONParser(loads=loads)
    assert parser.feed(b"data: 1\n\ndata: 2\n\n") == [1, 2]


# Threads.


@pytest.mark.parametrize("method", ["feed", "close", "reset"])
def test_a_second_thread_on_one_parser_gets_a_runtime_error(method: str) -> None:
    entered, leave = threading.Event(), threading.Event()

    def loads(text: bytes) -> Any:
        entered.set()
        assert leave.wait(10)
        return orjson.loads(text)

    parser: JSONParser[Any] = JSONParser(loads=loads)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(parser.feed, b"data: 1\n\ndata: 2\n\ndata: 3")
        assert entered.wait(10)
        try:
            with pytest.raises(RuntimeError, match="in use"):
                getattr(parser, method)(*([b"data: 4\n\n"] if method == "feed" else []))
        finally:
            leave.set()
        assert first.result(10) == [1, 2]
    assert parser.feed(b"5\n\n") == [35]


def test_threads_with_a_parser_each_do_not_disturb_one_another() -> None:
    def work(number: int) -> list[Any]:
        def loads(text: bytes) -> Any:
            time.sleep(0)  # Lets the others go first.
            return orjson.loads(text)

        parser: JSONParser[Any] = JSONParser(loads=loads)
        body = b"".join(b'data: {"n":%d}\n\n' % (number * 1000 + i) for i in range(200))
        return [value["n"] for i in range(0, len(body), 7) for value in parser.feed(body[i : i + 7])]

    with ThreadPoolExecutor(8) as pool:
        for number, values in enumerate(pool.map(work, range(8))):
            assert values == [number * 1000 + i for i in range(200)]


# Memory. Each function below runs in a process of its own and returns by how many bytes its peak grew.


def peak() -> int:
    # A module of Unix.
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def grown_by(function: Callable[[], int]) -> int:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function).result()


def a_million_events() -> int:
    parser = EventParser()
    chunks = [
        b"".join(b"event: %d\nid: %d\nretry: 5\ndata: x%d\ndata:\n\n" % (i % 9, i, i) for i in range(1000)),
        b"data: abc\n\n" * 1000,
    ]
    for _ in range(100):
        for chunk in chunks:
            parser.feed(chunk)
    before = peak()
    for _ in range(500):
        for chunk in chunks:
            parser.feed(chunk)
    assert parser.events == 1_200_000
    return peak() - before


def many_values_and_errors() -> int:
    parser: JSONParser[Any] = JSONParser(loads=orjson.loads)
    default: JSONParser[Any] = JSONParser()
    body = b'data: {"a":[1,"b",null]}\n\n' * 100

    def feed_all(times: int) -> None:
        for _ in range(times):
            for each in (parser, default):
                each.feed(body)
                try:
                    each.feed(body[:50] + b"data: x\n\n" + body)
                except InvalidJSON:
                    each.feed(b"")

    feed_all(100)
    before = peak()
    feed_all(1000)
    return peak() - before


def after_a_large_event(event: bytes) -> int:
    def used(make: Callable[[], Any]) -> Any:
        parser = make()
        # Cut near the end, so that it went through the parser's own buffers.
        parser.feed(event[:-4])
        assert len(parser.feed(event[-4:] + b'data: 1\n\ndata: {"a":')) == 2
        return parser

    kept = [used(make) for make in PARSERS.values() for _ in range(10)]
    before = peak()
    kept += [used(make) for make in PARSERS.values() for _ in range(300)]
    return (peak() - before) // (len(kept) - 30)


def after_large_data() -> int:
    return after_a_large_event(LARGE)


def after_a_large_event_type() -> int:
    return after_a_large_event(b"event: " + b"x" * 100_000 + b"\ndata: 1\n\n")


def after_a_large_id_that_was_replaced() -> int:
    return after_a_large_event(b"id: " + b"x" * 100_000 + b"\n\nid: 1\ndata: 1\n\n")


def parsers_that_were_never_fed() -> int:
    kept = [make() for make in PARSERS.values() for _ in range(10)]
    before = peak()
    kept += [make() for make in PARSERS.values() for _ in range(10_000)]
    return (peak() - before) // 30_000


needs_resource = pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read by a module of Unix")


@needs_resource
@pytest.mark.parametrize("function", [a_million_events, many_values_and_errors])
def test_memory_does_not_grow_with_the_stream(function: Callable[[], int]) -> None:
    # One lost object of the smallest size an event would be 16 MB and more.
    assert grown_by(function) < 4 * 2**20


@needs_resource
@pytest.mark.parametrize(
    "function", [after_large_data, after_a_large_event_type, after_a_large_id_that_was_replaced]
)
def test_a_parser_in_mid_stream_is_small_again(function: Callable[[], int]) -> None:
    assert grown_by(function) <= 3 * 1024


@needs_resource
def test_a_fresh_parser_is_small() -> None:
    assert grown_by(parsers_that_were_never_fed) <= 1024


# Cost. Eight times the input takes a linear parser 8 times as long and a quadratic one 64 times. CPU time,
# the best of three: a busy machine does not make it fail.

Shape = Callable[[int], Iterable[bytes]]


def data_lines(size: int, line: int = 512) -> bytes:
    return (b"data: " + b" " * (line - 7) + b"\n") * (size // line - 1) + b"data: 1\n\n"


SHAPES: dict[str, tuple[int, Shape]] = {
    "one-event-in-1-KiB-pieces": (1024, lambda n: pieces(b'data: "' + b"x" * n + b'"\n\n', 1024)),
    "one-event-byte-by-byte": (64, lambda n: pieces(b'data: "' + b"x" * n + b'"\n\n', 1)),
    "one-event-of-many-lines-in-one-chunk": (1024, lambda n: [data_lines(n)]),
    "one-event-line-by-line": (1024, lambda n: pieces(data_lines(n), 512)),
    "one-event-of-empty-lines": (256, lambda n: pieces(b"data\n" * (n // 5) + b"data: 1\n\n", 1024)),
    "many-events-in-one-chunk": (64, lambda n: [b"data: 1\n\n" * (n // 9)]),
    "many-events-cut-anywhere": (64, lambda n: pieces(b"data: 1\n\n" * (n // 9), 64)),
    "a-comment-in-pieces": (1024, lambda n: pieces(b": " + b"x" * n + b"\n\ndata: 1\n\n", 64)),
    "an-id-in-pieces": (256, lambda n: pieces(b"id: " + b"x" * n + b"\0\ndata: 1\n\n", 64)),
    "many-event-types": (64, lambda n: pieces(b"event: a\n" * (n // 9) + b"data: 1\n\n", 64)),
    "many-broken-events-in-one-chunk": (16, lambda n: [b"data: x\n\n" * (n // 9)]),
    "much-after-the-sentinel": (
        1024,
        lambda n: [b"data: [DONE]\n\n", *pieces(b"data: 1\n\n" * (n // 9), 64)],
    ),
}


def cost(parser: Any, chunks: Iterable[bytes]) -> float:
    start = time.process_time()
    for chunk in chunks:
        while True:
            try:
                parser.feed(chunk)
            except InvalidJSON:
                chunk = b""
            else:
                break
    spent = time.process_time() - start
    assert parser.events > 0
    return spent


@pytest.mark.parametrize("make", [EventParser, JSONParser])
@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_input_takes_about_eight_times_as_long(make: Callable[[], Any], shape: str) -> None:
    kib, chunks_of = SHAPES[shape]
    small, large = chunks_of(kib * 1024), chunks_of(8 * kib * 1024)
    # A millisecond on top, so that what is too short to measure does not decide.
    assert min(cost(make(), large) for _ in range(3)) < 24 * (
        min(cost(make(), small) for _ in range(3)) + 0.001
    )
