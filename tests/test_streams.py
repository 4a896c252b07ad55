"""EventStream and JSONStream: what comes out, when, and in what order with the errors.

The sources are scripts (fakes.py). What real clients do is in test_clients.py, what can be a source in
test_sources.py, closing in test_stream_closing.py.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import orjson
import pytest
from fakes import BLOCK, Receiver, Step, agenerate, generate
from hypothesis import given
from hypothesis import strategies as st

from deltawire import (
    EventParser,
    EventStream,
    InvalidJSON,
    JSONParser,
    JSONStream,
    LimitExceeded,
    NotEventStream,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

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


def cut(body: bytes, *places: int) -> list[bytes]:
    return [body[a:b] for a, b in itertools.pairwise((0, *sorted(places), len(body)))]


async def alist(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def outcomes(items: Iterator[Any]) -> list[Any]:
    """All that comes out, errors included, until the end."""
    found: list[Any] = []
    while len(found) < 100:
        try:
            found.append(next(items))
        except StopIteration:
            break
        except Exception as error:
            found.append(error)
    return found


async def aoutcomes(items: AsyncIterator[Any]) -> list[Any]:
    """All that comes out, errors included, until the end."""
    found: list[Any] = []
    while len(found) < 100:
        try:
            found.append(await anext(items))
        except StopAsyncIteration:
            break
        except Exception as error:
            found.append(error)
    return found


def kinds(found: Iterable[Any]) -> list[Any]:
    return [type(each) if isinstance(each, Exception) else each for each in found]


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


# Errors of the parser

BAD = b"data: 1\n\ndata: 2\n\ndata: bad\n\ndata: 3\n\ndata: worse\n\ndata: worst\n\ndata: 4\n\n"
BAD_OUTCOMES = [1, 2, InvalidJSON, 3, InvalidJSON, InvalidJSON, 4, 5]


def test_what_was_decoded_comes_out_before_the_error_and_the_rest_after_it() -> None:
    for places in [(), *itertools.combinations(range(0, len(BAD), 5), 2)]:
        values = JSONStream([*cut(BAD, *places), b"data: 5\n\n"])
        assert kinds(outcomes(values)) == BAD_OUTCOMES
        assert kinds(outcomes(iter(JSONStream([*cut(BAD, *places), b"data: 5\n\n"])))) == BAD_OUTCOMES
    assert values.malformed == 3


@pytest.mark.anyio
async def test_what_was_decoded_comes_out_before_the_error_and_the_rest_after_it_async() -> None:
    for places in [(), *itertools.combinations(range(0, len(BAD), 5), 2)]:
        values = JSONStream(agenerate([*cut(BAD, *places), b"data: 5\n\n"]))
        assert kinds(await aoutcomes(values)) == BAD_OUTCOMES


class Shouted(EventStream):
    """A subclass that gives something else for each item."""

    async def __anext__(self) -> Any:
        return (await super().__anext__()).data.upper()


@pytest.mark.anyio
async def test_batches_are_of_one_kind_where_a_subclass_gives_other_items() -> None:
    assert [item async for item in Shouted(agenerate([b"data: a\n\ndata: b\n\n"]))] == ["A", "B"]
    batches = [batch async for batch in Shouted(agenerate([b"data: a\n\ndata: b\n\n"])).batches()]
    assert [[event.data for event in batch] for batch in batches] == [["a", "b"]]


def test_batches_go_on_after_an_error_too() -> None:
    found = outcomes(JSONStream([BAD, b"data: 5\n\n"]).batches())
    assert kinds(found) == [[1, 2], InvalidJSON, [3], InvalidJSON, InvalidJSON, [4], [5]]


def test_a_for_loop_can_be_begun_again_after_an_error() -> None:
    values = JSONStream([BAD])
    found: list[Any] = []
    for _ in range(4):
        try:
            for value in values:
                found.append(value)  # noqa: PERF402 - what came before the error counts
        except InvalidJSON:
            found.append(InvalidJSON)
    assert found == BAD_OUTCOMES[:-1]


def test_an_error_holds_no_values_once_they_came_out() -> None:
    found = outcomes(JSONStream([BAD]))
    assert [each.values for each in found if isinstance(each, InvalidJSON)] == [[], [], []]
    assert [each.event_number for each in found if isinstance(each, InvalidJSON)] == [3, 5, 6]


def test_skipped_errors_are_counted() -> None:
    values = JSONStream([BAD], errors="skip")
    assert list(values) == [1, 2, 3, 4]
    assert values.malformed == 3


def test_an_exception_at_the_end_of_the_source_is_followed_by_the_end() -> None:
    def loads(data: bytes) -> Any:
        return {b"1": 1}[data]

    assert kinds(outcomes(JSONStream([b"data: 1\n\ndata: {}"], loads=loads))) == [1, KeyError]


def test_an_event_over_the_limit_comes_after_those_before_it_and_is_final() -> None:
    events = EventStream([b"data: 1\n\ndata: 22222222222\n\n", b"data: 3\n\n"], max_event_size=8)
    assert next(events).data == "1"
    for _ in range(3):
        with pytest.raises(LimitExceeded):
            next(events)


@pytest.mark.anyio
async def test_an_event_over_the_limit_comes_after_those_before_it_and_is_final_async() -> None:
    source = agenerate([b"data: 1\n\ndata: 22222222222\n\n", b"data: 3\n\n"])
    async with JSONStream(source, max_event_size=8) as values:
        assert await anext(values) == 1
        for _ in range(3):
            with pytest.raises(LimitExceeded):
                await anext(values)


def test_another_exception_of_loads_passes_and_loses_nothing() -> None:
    calls = itertools.count()

    def loads(data: bytes) -> Any:
        if next(calls) == 1:
            raise KeyError("mine")
        return orjson.loads(data)

    found = outcomes(JSONStream([b"data: 1\n\ndata: 2\n\ndata: 3\n\n", b"data: 4\n\n"], loads=loads))
    assert kinds(found) == [KeyError, 1, 3, 4]


def test_a_chunk_of_text_is_refused_by_name() -> None:
    source: Any = [b"data: 1\n\n", "data: 2\n\n", b"data: 3\n\n"]
    values = JSONStream(source)
    assert next(values) == 1
    with pytest.raises(TypeError, match="str"):
        next(values)
    assert next(values) == 3


# Errors of the source


class SourceError(Exception):
    pass


def test_an_exception_of_the_source_comes_unchanged_after_what_was_decoded() -> None:
    error = SourceError("mine")
    for start in (iter, lambda values: values):
        values = JSONStream(generate([b"data: 1\n\ndata: 2\n\nda", error]))
        found = outcomes(start(values))[:3]
        assert found == [1, 2, error]
        assert found[2] is error


@pytest.mark.anyio
@pytest.mark.parametrize("source", [agenerate, lambda steps: Receiver(*steps)], ids=["generator", "receiver"])
async def test_an_exception_of_the_source_comes_unchanged_after_what_was_decoded_async(
    source: Callable[[list[Step]], Any],
) -> None:
    error = SourceError("mine")
    async with JSONStream(source([b"data: 1\n\ndata: 2\n\nda", error])) as values:
        assert [await anext(values), await anext(values)] == [1, 2]
        with pytest.raises(SourceError) as caught:
            await anext(values)
        assert caught.value is error


def test_a_generator_that_failed_does_not_look_ended() -> None:
    values = JSONStream(generate([b"data: 1\n\n", SourceError(), b"data: 2\n\n"]))
    assert kinds(outcomes(values))[:4] == [
        1,
        SourceError,
        anyio.BrokenResourceError,
        anyio.BrokenResourceError,
    ]
    iterator = iter(JSONStream(generate([b"data: 1\n\n", SourceError()])))
    assert kinds(outcomes(iterator))[:3] == [1, SourceError, anyio.BrokenResourceError]


@pytest.mark.anyio
async def test_a_generator_that_failed_does_not_look_ended_async() -> None:
    for source in (agenerate, generate):
        values = JSONStream(source([b"data: 1\n\n", SourceError(), b"data: 2\n\n"]))
        assert await anext(values) == 1
        with pytest.raises(SourceError):
            await anext(values)
        for _ in range(2):
            with pytest.raises(anyio.BrokenResourceError, match="failed"):
                await anext(values)


@pytest.mark.anyio
async def test_a_receiver_that_failed_may_go_on_but_its_end_is_not_believed() -> None:
    async with JSONStream(Receiver(b"data: 1\n\n", SourceError(), b"data: 2\n\n")) as values:
        assert kinds(await aoutcomes(values)) == [1, SourceError, 2]
    # A socket does that after a reset: it raises once, and then reports an end.
    async with JSONStream(Receiver(b"data: 1\n\ndata: {}", SourceError())) as values:
        found = kinds(await aoutcomes(values))
        assert found[:4] == [1, SourceError, anyio.BrokenResourceError, anyio.BrokenResourceError]


@pytest.mark.anyio
async def test_a_generator_whose_read_was_cancelled_does_not_look_ended() -> None:
    values = JSONStream(agenerate([b"data: 1\n\n", BLOCK, b"data: 2\n\n"]))
    async with values:
        assert await anext(values) == 1
        with anyio.move_on_after(0.01):
            await anext(values)
        for iterator in (values, values.batches()):
            with pytest.raises(anyio.BrokenResourceError, match="cancelled"):
                await anext(iterator)


@pytest.mark.anyio
async def test_a_receiver_whose_read_was_cancelled_is_read_on() -> None:
    source = Receiver(b"data: 1\n\nda", BLOCK, b"ta: 2\n\n", b"data: 3\n\n")
    async with JSONStream(source) as values:
        assert await anext(values) == 1
        for _ in range(3):
            with anyio.move_on_after(0.005) as scope:
                await anext(values)
            assert scope.cancelled_caught
        assert source.steps.pop(0) is BLOCK
        assert await alist(values) == [2, 3]


@pytest.mark.anyio
async def test_a_source_in_memory_whose_read_was_cancelled_is_read_on() -> None:
    values = JSONStream([b"data: 1\n\n", b"data: 2\n\n"])
    assert await anext(values) == 1
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(values)
    assert scope.cancelled_caught
    assert await alist(values) == [2]


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


# The content type


def response(content_type: str | None, body: bytes = b"data: 1\n\n", status: int = 200) -> httpx.Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return httpx.Response(status, headers=headers, content=body)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/event-stream",
        "Text/Event-Stream",
        "text/event-stream; charset=utf-8",
        "text/event-stream;charset=windows-1252",
        "text/event-stream, text/event-stream",
        "text/plain; a=b, TEXT/EVENT-STREAM ;charset=utf-8",
    ],
)
@pytest.mark.anyio
async def test_the_type_of_an_event_stream_is_accepted(content_type: str | None) -> None:
    assert [event.data for event in EventStream(response(content_type))] == ["1"]
    assert [event.data async for event in EventStream(response(content_type))] == ["1"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/html; charset=utf-8", "text/event-streams", ";"]
)
@pytest.mark.anyio
async def test_another_type_is_refused_with_the_facts(content_type: str) -> None:
    body = b"<" * 250
    for attempt in range(2):
        events = EventStream(response(content_type, body, 502))
        for _ in range(2):
            with pytest.raises(NotEventStream) as caught:
                _ = next(events) if attempt == 0 else await anext(events)
            assert (caught.value.status, caught.value.content_type) == (502, content_type)
        assert events.bytes == 0
        await events.aclose()
    values = JSONStream(response(content_type, body))
    with pytest.raises(NotEventStream) as caught:
        await anext(values)
    assert caught.value.preview == body[:200]
    await values.aclose()


def test_the_type_is_not_looked_at_where_it_does_not_matter() -> None:
    assert len(list(EventStream(response("text/plain"), check_content_type=False))) == 1
    assert list(JSONStream(response("text/plain"), check_content_type=False)) == [1]


@pytest.mark.anyio
async def test_the_preview_is_what_came_before_the_body_failed() -> None:
    for attempt in range(2):
        body = Body([b"<html>", SourceError()])
        source = httpx.Response(200, headers={"Content-Type": "text/html"}, stream=body)
        with pytest.raises(NotEventStream) as caught:
            _ = next(EventStream(source)) if attempt == 0 else await anext(EventStream(source))
        assert caught.value.preview == b"<html>"


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[bytes]:
        return generate(self.steps)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return agenerate(self.steps)


@pytest.mark.anyio
async def test_a_preview_is_not_waited_for_longer_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltawire._content_type._BODY_SECONDS", 0.01)
    source = httpx.Response(200, headers={"Content-Type": "text/html"}, stream=Body([b"<html>", BLOCK]))
    with pytest.raises(NotEventStream) as caught:
        async with EventStream(source) as events:
            await anext(events)
    assert caught.value.preview == b"<html>"
    assert source.is_closed
