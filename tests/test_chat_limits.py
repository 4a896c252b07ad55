"""ChatAccumulator at its limits: what may be kept of a stream, who may use it at a time, what a stream costs.

A provider may send anything, for as long as it likes. So whatever is kept of every chunk counts toward a
limit, and every shape of a stream takes a time in proportion to its length.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from chat_streams import DONE, accumulate, calls, chunk, event, fragment
from chat_streams import text as words
from outcomes import pieces as cut

from deltawire import ChatAccumulator, LimitExceeded, StreamEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Limits.

CALL = calls(fragment(id="a", name="f", arguments="{}"), fragment(id="b", name="f", arguments="{}"))
OVER: dict[str, tuple[dict[str, int], list[bytes], bytes]] = {
    "the text of all choices": (
        {"max_message_size": 6},
        [words("abc"), chunk({"content": "def"}, index=1)],
        words("g"),
    ),
    "reasoning": ({"max_message_size": 6}, [chunk({"reasoning": "abcdef"})], chunk({"reasoning": "g"})),
    "arguments": ({"max_message_size": 9}, [CALL], calls(fragment(id="b", arguments="1234"))),
    "unknown fields": ({"max_message_size": 6}, [words("abc")], chunk({"x": "yz"})),
    "tool calls": ({"max_tool_calls": 2}, [CALL], calls(fragment(id="c", name="f", arguments=""))),
    "choices": ({"max_choices": 2}, [words("a"), chunk({"content": "b"}, index=9)], chunk({}, index=5)),
    "an event": ({"max_event_size": 200}, [words("a")], words("b" * 200)),
}


@pytest.mark.parametrize(("options", "before", "over"), OVER.values(), ids=OVER)
def test_over_a_limit_the_partial_message_can_be_read_until_reset(
    options: dict[str, Any], before: list[bytes], over: bytes
) -> None:
    accumulator = ChatAccumulator(**options)
    for piece in before:
        accumulator.feed(piece)
    kept = accumulator.completion
    calls: list[Callable[[], object]] = [
        lambda: accumulator.feed(over),
        lambda: accumulator.feed(b""),
        lambda: accumulator.add({}),
        accumulator.close_chunks,
        accumulator.close,
    ]
    for call in calls:
        with pytest.raises(LimitExceeded) as caught:
            call()
        assert {caught.value.limit: caught.value.value} == options
        assert (caught.value.event_number, caught.value.offset) == (len(before) + 1, len(b"".join(before)))
    assert accumulator.end is None
    partial = accumulator.completion
    for choice in kept.choices:
        (same,) = (other for other in partial.choices if other.index == choice.index)
        assert (same.message.content or "").startswith(choice.message.content or "")
        assert (same.message.tool_calls or [])[:1] == (choice.message.tool_calls or [])[:1]
    accumulator.reset()
    accumulator.feed(b"".join(before) + DONE)
    assert accumulator.completion == kept


def test_chunks_that_are_added_have_the_same_limits() -> None:
    accumulator = ChatAccumulator(max_message_size=3)
    accumulator.add({"choices": [{"delta": {"content": "abc"}}]})
    with pytest.raises(LimitExceeded, match="max_message_size"):
        accumulator.add({"choices": [{"delta": {"content": "d"}}]})


def test_tool_calls_are_limited_in_each_choice() -> None:
    accumulator = ChatAccumulator(max_tool_calls=2)
    for index in range(5):
        accumulator.feed(CALL.replace(b'"index":0', b'"index":%d' % index, 1))
    assert len(accumulator.completion.choices) == 5


@pytest.mark.parametrize(
    "grow",
    [
        lambda i: calls(fragment(index=0, id=f"{i}".zfill(500), arguments="")),
        lambda i: chunk({"reasoning_details": [{"type": f"{i}".zfill(500)}]}),
        lambda i: chunk({f"{i}".zfill(500): 1}),
        lambda i: chunk({"audio": {f"{i}".zfill(500): 1}}),
        lambda i: event({f"{i}".zfill(500): 1}),
    ],
    ids=[
        "ids of one call",
        "kinds of reasoning",
        "fields of the delta",
        "fields of audio",
        "top-level fields",
    ],
)
def test_whatever_is_kept_of_every_chunk_counts_toward_the_size_of_the_message(
    grow: Callable[[int], bytes],
) -> None:
    accumulator = ChatAccumulator(max_message_size=10_000)
    with pytest.raises(LimitExceeded):
        accumulator.feed(b"".join(grow(i) for i in range(100)))


def test_what_is_replaced_does_not_count_twice() -> None:
    accumulator = ChatAccumulator(max_message_size=1000)
    for i in range(100):
        accumulator.feed(chunk({}, x="y" * (100 if i % 2 else 10)))
        accumulator.feed(event({"choices": [{"index": 3, "message": {"content": "z" * i}}]}))
    assert accumulator.completion.choices[1].message.content == "z" * 99


# Threads.


METHODS: dict[str, Callable[[ChatAccumulator], object]] = {
    "feed": lambda accumulator: accumulator.feed(b""),
    "add": lambda accumulator: accumulator.add({}),
    "close": lambda accumulator: accumulator.close(),
    "reset": lambda accumulator: accumulator.reset(),
    "completion": lambda accumulator: accumulator.completion,
    "end": lambda accumulator: accumulator.end,
    "finished_tool_calls": lambda accumulator: accumulator.finished_tool_calls(),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_second_thread_on_one_accumulator_gets_a_runtime_error(method: str) -> None:
    entered, leave = threading.Event(), threading.Event()

    def id_factory() -> str:
        entered.set()
        assert leave.wait(10)
        return "made"

    accumulator = ChatAccumulator(id_factory=id_factory)
    accumulator.feed(calls(fragment(name="f", arguments="{}")))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: accumulator.completion)
        assert entered.wait(10)
        try:
            with pytest.raises(RuntimeError):
                METHODS[method](accumulator)
        finally:
            leave.set()
        (call,) = first.result(10).choices[0].message.tool_calls or []
    assert call.id == "made"
    accumulator.feed(DONE)
    assert accumulator.end is StreamEnd.DONE


def test_threads_with_an_accumulator_each_do_not_disturb_one_another() -> None:
    def work(number: int) -> str | None:
        body = words(*(f"{number}" for _ in range(100)))
        accumulator = ChatAccumulator()
        for piece in cut(body, 7):
            accumulator.feed(piece)
        return accumulator.completion.choices[0].message.content

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [f"{number}" * 100 for number in range(8)]


# Cost. Eight times the input takes a linear accumulator 8 times as long and a quadratic one 64 times. CPU
# time, the best of three: a busy machine does not make it fail.

LOGPROB = event({"choices": [{"index": 0, "logprobs": {"content": [{"token": "a", "logprob": -0.5}]}}]})
HEAD = calls(fragment(index=0, id="a", type="function", name="f", arguments=""))
SHAPES: dict[str, tuple[int, Callable[[int], Iterable[bytes]]]] = {
    "one-character-fragments-of-one-call": (
        12_500,
        lambda n: [HEAD] + [calls(fragment(index=0, arguments="x"))] * n,
    ),
    "one-character-texts": (12_500, lambda n: [words("x")] * n),
    "one-character-texts-byte-by-byte": (200, lambda n: cut(words("x") * n)),
    "one-large-text-in-pieces": (200_000, lambda n: cut(words("x" * n), 64)),
    "one-large-text-of-escapes": (50_000, lambda n: [words('\n"\x01' * n)]),
    "many-calls": (125, lambda n: [calls(fragment(index=i, name="f", arguments="{}")) for i in range(n)]),
    "a-new-id-on-each-fragment": (
        5_000,
        lambda n: [HEAD] + [calls(fragment(index=0, id=f"{i}", arguments="1")) for i in range(n)],
    ),
    "reasoning-details-of-one-block": (
        5_000,
        lambda n: [chunk({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "x"}]})] * n,
    ),
    "reasoning-details-of-many-blocks": (
        2_500,
        lambda n: [chunk({"reasoning_details": [{"type": "t", "index": i} for i in range(n)]})],
    ),
    "log-probabilities": (2_500, lambda n: [LOGPROB] * n),
    "many-unknown-fields": (2_500, lambda n: [event({f"x{i}": i for i in range(n)})]),
    "many-broken-events": (12_500, lambda n: [b"data: x\n\n" * n]),
    "many-broken-lines-under-a-long-event-type": (
        2_500,
        lambda n: [b"event: " + b"x" * 10 * n + b"\n" + b"data: {}\n" * n + b"data: {\n\n"],
    ),
    "a-body-that-is-no-event-stream": (50_000, lambda n: cut(b'{"error":"' + b"x" * n + b'"}', 16)),
}


def cost(chunks: Iterable[bytes], look: Callable[[ChatAccumulator], object] | None = None) -> float:
    accumulator = ChatAccumulator(max_tool_calls=100_000)
    start = time.process_time()
    for piece in chunks:
        accumulator.feed(piece)
        if look is not None:
            look(accumulator)
    accumulator.close()
    assert accumulator.completion.to_dict()["object"] == "chat.completion"
    return time.process_time() - start


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_stream_takes_about_eight_times_as_long(shape: str) -> None:
    count, chunks_of = SHAPES[shape]
    small, large = list(chunks_of(count)), list(chunks_of(8 * count))
    # A millisecond on top, so that what is too short to measure does not decide.
    assert min(cost(large) for _ in range(3)) < 24 * (min(cost(small) for _ in range(3)) + 0.001)


def test_to_look_at_a_long_message_after_each_chunk_takes_no_longer_than_at_a_short_one() -> None:
    def look(accumulator: ChatAccumulator) -> object:
        return accumulator.completion

    small, large = [words("x" * 500)] * 500, [words("x" * 500)] * 4_000
    times = [min(cost(chunks, look) for _ in range(3)) for chunks in (small, large)]
    assert times[1] < 24 * (times[0] + 0.001)


def test_a_hundred_thousand_fragments_are_one_call() -> None:
    body = HEAD + calls(fragment(index=0, arguments=" ")) * 100_000 + calls(fragment(arguments="[1]")) + DONE
    (call,) = accumulate(body).completion.choices[0].message.tool_calls or []
    assert call.function is not None
    assert orjson.loads(call.function.arguments) == [1]
    assert len(call.function.arguments) == 100_003
