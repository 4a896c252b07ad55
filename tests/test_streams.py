"""EventStream and JSONStream: what comes out, when, and in what order with the errors.

The sources are scripts (fakes.py). What real clients do is in test_clients.py, what can be a source in
test_sources.py, failures are in test_stream_errors.py, closing in test_stream_closing.py.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fakes import BLOCK, Receiver, agenerate, generate
from hypothesis import given
from hypothesis import strategies as st
from outcomes import SourceError, alist, cut, kinds, outcomes

from deltawire import EventParser, EventStream, InvalidJSON, JSONParser, JSONStream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deltawire._stream import BaseStream

EVENTS = (
    b"id: 7\nevent: a\ndata: 1\ndata: 2\n\n: hi\r\nretry: 5\r\ndata:x\r\n\r\n"
    b"data: \xf0\x9f\x99\x82\r\rdata: 4\n\ndata: cut"
)
CHUNKS = b'data: {"a": 1}\n\ndata: [2]\r\n\r\n: hi\n\ndata: "\xc3\xa4"\r\rdata: {"last": true}'


def parsed(parser: Any, body: bytes) -> list[Any]:
    return [*parser.feed(body), *parser.close()]


EXPECTED: list[tuple[type[BaseStream[Any]], bytes, list[Any]]] = [
    (EventStream, EVENTS, parsed(EventParser(), EVENTS)),
    (JSONStream, CHUNKS, parsed(JSONParser(), CHUNKS)),
]
both = pytest.mark.parametrize(("stream", "body", "expected"), EXPECTED, ids=["EventStream", "JSONStream"])


# Chunks


def test_the_bodies_have_what_their_parsers_make_of_them() -> None:
    assert [[event.data for event in EXPECTED[0][2]], EXPECTED[1][2]] == [
        ["1\n2", "x", "\U0001f642", "4"],
        [{"a": 1}, [2], "ä", {"last": True}],
    ]


@both
def test_every_cut_gives_the_same_items(stream: Any, body: bytes, expected: list[Any]) -> None:
    for place in range(len(body) + 1):
        assert list(stream(cut(body, place))) == expected
    assert list(stream([body[i : i + 1] for i in range(len(body))])) == expected


@pytest.mark.anyio
@both
async def test_every_cut_gives_the_same_items_async(stream: Any, body: bytes, expected: list[Any]) -> None:
    for place in range(len(body) + 1):
        assert await alist(stream(agenerate(cut(body, place)))) == expected
    assert await alist(stream([body[i : i + 1] for i in range(len(body))])) == expected


# Where a body is cut, and from which iterators items are taken in turn.
places = st.lists(st.integers(0, max(len(EVENTS), len(CHUNKS))))
turns = st.lists(st.integers(0, 3), min_size=1)


@both
@given(places=places, turns=turns)
def test_any_chunking_gives_the_same_items_by_any_mixture_of_iterators(
    stream: Any, body: bytes, expected: list[Any], places: list[int], turns: list[int]
) -> None:
    items: Any = stream(cut(body, *places))
    iterators = [items, iter(items), iter(items), items.batches()]
    found: list[Any] = []
    with suppress(StopIteration):
        for turn in itertools.cycle(turns):
            item = next(iterators[turn])
            found += item if turn == 3 else [item]
    assert found == expected


@pytest.mark.anyio
@both
@given(places=places, turns=turns)
async def test_any_chunking_gives_the_same_items_by_any_mixture_of_iterators_async(
    stream: Any, body: bytes, expected: list[Any], places: list[int], turns: list[int]
) -> None:
    for source in (agenerate, list):
        items: Any = stream(source(cut(body, *places)))
        iterators = [items, aiter(items), items, items.batches()]
        found: list[Any] = []
        with suppress(StopAsyncIteration):
            for turn in itertools.cycle(turns):
                item = await anext(iterators[turn])
                found += item if turn == 3 else [item]
        assert found == expected


@pytest.mark.anyio
async def test_an_event_comes_out_with_its_last_byte() -> None:
    source = Receiver(b"data: 1\n", b"\ndata: 2", BLOCK)
    async with EventStream(source) as events:
        assert (await anext(events)).data == "1"
        assert source.receives == 2


@pytest.mark.anyio
async def test_an_item_that_is_there_is_handed_out_without_awaiting() -> None:
    async with JSONStream(Receiver(b"data: 1\n\ndata: 2\n\n", BLOCK)) as values:
        assert await anext(values) == 1
        with pytest.raises(StopIteration) as caught:
            next(values.__anext__().__await__())
        assert caught.value.value == 2


@pytest.mark.anyio
async def test_the_next_item_is_awaited_once_like_that_of_an_async_generator() -> None:
    async with JSONStream(Receiver(b"data: [1]\n\ndata: [2]\n\n", BLOCK)) as values:
        assert await anext(values) == [1]
        there = values.__anext__()
        assert await there == [2]
        with pytest.raises(RuntimeError, match="already awaited"):
            await there


def always(item: object) -> Callable[[bytes], object]:
    return lambda _: item


@pytest.mark.anyio
async def test_an_item_that_is_a_tuple_or_an_exception_comes_out_as_it_is() -> None:
    items: list[Any] = [(1, 2), StopIteration(3), None]
    for item in items:
        async with JSONStream([b"data: 1\n\ndata: 2\n\n"], loads=always(item)) as values:
            assert [value async for value in values] == [item, item]
        async with JSONStream([b"data: 1\n\ndata: 2\n\n"], loads=always(item)) as values:
            await anext(values)
            with pytest.raises(StopIteration) as caught:
                next(values.__anext__().__await__())
            assert caught.value.value is item


@pytest.mark.anyio
async def test_a_source_in_memory_lets_other_tasks_run() -> None:
    order: list[object] = []

    async def read(name: str) -> None:
        async for value in JSONStream([b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]):
            order.append((name, value))  # noqa: PERF401 - at once, not at the end

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, "a")
        tasks.start_soon(read, "b")
    assert order.index(("a", 1)) < order.index(("b", 3))
    assert order.index(("b", 1)) < order.index(("a", 3))


# Batches

BATCHES = [b"data: 1\n\ndata: 2\n\nda", b"ta: 3\n\n", b": nothing\n\n", b"data: 4\n\ndata: 5\n\ndata: 6"]


def test_a_batch_is_what_a_chunk_completed_and_never_nothing() -> None:
    assert list(JSONStream(BATCHES).batches()) == [[1, 2], [3], [4, 5]]
    assert list(JSONStream([b": nothing\n\n"]).batches()) == []
    assert list(JSONStream([b"data: {}"]).batches()) == [[{}]], "what the end completes is a batch too"


@pytest.mark.anyio
async def test_a_batch_is_what_a_chunk_completed_and_never_nothing_async() -> None:
    assert await alist(JSONStream(agenerate(BATCHES)).batches()) == [[1, 2], [3], [4, 5]]
    assert await alist(JSONStream(agenerate([b": nothing\n\n"])).batches()) == []


def test_batches_begin_with_the_rest_of_the_one_that_items_come_from() -> None:
    values = JSONStream(BATCHES)
    assert next(values) == 1
    assert next(values.batches()) == [2]
    for value in values:
        assert value == 3
        break
    assert outcomes(values) == [4, 5]


def test_iterators_over_one_stream_share_its_batch() -> None:
    values = JSONStream(BATCHES)
    first, second = iter(values), iter(values)
    assert [next(first), next(second), next(values), next(first)] == [1, 2, 3, 4]
    assert next(values.batches()) == [5]
    assert [list(first), list(second), list(values)] == [[], [], []]


@pytest.mark.anyio
async def test_batches_begin_with_the_rest_of_the_one_that_items_come_from_async() -> None:
    values = JSONStream(agenerate(BATCHES))
    assert await anext(values) == 1
    batches = values.batches()
    assert [await anext(batches), await anext(values), await anext(values)] == [[2], 3, 4]
    assert await alist(batches) == [[5]]


class Shouted(EventStream):
    """A subclass that gives something else for each item."""

    async def __anext__(self) -> Any:
        return (await super().__anext__()).data.upper()


@pytest.mark.anyio
async def test_batches_are_of_one_kind_where_a_subclass_gives_other_items() -> None:
    assert [item async for item in Shouted(agenerate([b"data: a\n\ndata: b\n\n"]))] == ["A", "B"]
    batches = [batch async for batch in Shouted(agenerate([b"data: a\n\ndata: b\n\n"])).batches()]
    assert [[event.data for event in batch] for batch in batches] == [["a", "b"]]


# The sentinel and the end


def test_after_the_sentinel_nothing_is_read() -> None:
    values = JSONStream(generate([b"data: 1\n\n", b"data: [DONE]\n\n", SourceError()]))
    assert not values.done
    assert [list(values), list(values), list(values.batches())] == [[1], [], []]
    assert values.done


@pytest.mark.anyio
async def test_after_the_sentinel_nothing_is_read_async() -> None:
    source = Receiver(b"data: 1\n\ndata: [DONE]\n\n", SourceError())
    async with JSONStream(source) as values:
        assert await alist(values) == [1]
        assert await alist(values) == []
        assert (values.done, source.receives) == (True, 1)


def test_what_follows_the_sentinel_does_not_count() -> None:
    assert list(JSONStream([b"data: 1\n\ndata: [DONE]\n\ndata: 2\n\n"])) == [1]
    assert list(JSONStream([b"data: END\n\ndata: 2\n\n"], done="END")) == []
    assert list(JSONStream([b'data: "END"\n\ndata: 2\n\n'], done=None)) == ["END", 2]


def test_an_error_before_the_sentinel_in_the_same_chunk_does_not_hide_it() -> None:
    values = JSONStream(generate([b"data: bad\n\ndata: 1\n\ndata: [DONE]\n\n", SourceError()]))
    assert kinds(outcomes(values)) == [InvalidJSON, 1]
    assert values.done


def test_the_end_completes_a_whole_object_but_no_event() -> None:
    assert list(JSONStream([b'data: {"a": 1}'])) == [{"a": 1}]
    assert list(JSONStream([b'data: {"a": 1'])) == []
    assert list(EventStream([b"data: 1\n"])) == []


def test_a_stream_that_ended_stays_ended() -> None:
    values = JSONStream(iter([b"data: 1\n\n"]))
    assert [list(values), list(values), outcomes(values)] == [[1], [], []]


# One at a time, on one side


@pytest.mark.anyio
async def test_a_second_task_is_refused_and_the_first_not_disturbed() -> None:
    waiting = anyio.Event()
    send, receive = anyio.create_memory_object_stream[bytes](1)
    found: list[Any] = []
    async with send, JSONStream(receive) as values:

        async def read() -> None:
            waiting.set()
            found.append(await anext(values))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await waiting.wait()
            await anyio.wait_all_tasks_blocked()
            for iterator in (values, values.batches()):
                with pytest.raises(RuntimeError, match="one at a time"):
                    await anext(iterator)
            await send.send(b"data: 1\n\ndata: 2\n\n")
        assert found == [1]
        assert await anext(values) == 2


def test_a_second_thread_is_refused_and_the_first_not_disturbed() -> None:
    waiting, go_on = threading.Event(), threading.Event()
    found: list[Any] = []

    def source() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        waiting.set()
        assert go_on.wait(10)
        yield b"data: 2\n\ndata: 3\n\n"

    values = JSONStream(source())
    iterator = iter(values)
    thread = threading.Thread(target=lambda: found.extend(itertools.islice(iterator, 2)))
    thread.start()
    assert waiting.wait(10)
    for attempt in (
        lambda: next(values),
        lambda: next(iterator),
        lambda: next(values.batches()),
        values.close,
    ):
        with pytest.raises(RuntimeError, match="one at a time"):
            attempt()
    go_on.set()
    thread.join()
    assert [found, list(values)] == [[1, 2], [3]]


def test_loads_cannot_iterate_over_its_own_stream() -> None:
    values: JSONStream[Any]

    def loads(data: bytes) -> Any:
        return next(values)

    values = JSONStream([b"data: 1\n\n"], loads=loads)
    with pytest.raises(RuntimeError, match="one at a time"):
        next(values)


@pytest.mark.anyio
async def test_the_first_use_decides_for_a_side() -> None:
    values = JSONStream([b"data: 1\n\n", b"data: 2\n\n"])
    assert next(values) == 1
    with pytest.raises(RuntimeError, match="`for`"):
        await anext(values)
    assert next(values) == 2
    values = JSONStream([b"data: 1\n\n", b"data: 2\n\n"])
    assert await anext(values) == 1
    for attempt in (lambda: next(values), lambda: next(iter(values)), lambda: next(values.batches())):
        with pytest.raises(RuntimeError, match="`async for`"):
            attempt()
    assert await anext(values) == 2


# What a stream tells


def test_a_stream_has_the_counters_of_its_parser() -> None:
    events = EventStream(cut(EVENTS, 30), last_event_id="1")
    assert (events.last_event_id, events.retry, events.bytes) == ("1", None, 0)
    assert len(list(events)) == 4
    assert (events.bytes, events.events, events.comments, events.malformed) == (len(EVENTS), 4, 1, 0)
    assert (events.last_event_id, events.retry) == ("7", 5)


def test_the_parameters_are_those_of_the_parser() -> None:
    wrong: Any
    for wrong in ({"max_event_size": 0}, {"last_event_id": "a\nb"}):
        with pytest.raises(ValueError, match=r".+"):
            EventStream([], **wrong)
    with pytest.raises(ValueError, match=r".+"):
        JSONStream([], errors="ignore")  # type: ignore[call-overload]


def test_a_stream_shows_its_source_and_its_state() -> None:
    values = JSONStream(iter([b"data: 1\n\n"]))
    shown = [repr(values)]
    next(values)
    shown.append(repr(values))
    list(values)
    shown.append(repr(values))
    values.close()
    shown.append(repr(values))
    assert shown == [
        f"<JSONStream of builtins.list_iterator, {state}>" for state in ("new", "reading", "ended", "closed")
    ]
