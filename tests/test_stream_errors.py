"""Streams whose parser or source fails: what comes out before the error, and what after it.

The sources are scripts (fakes.py).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest
from fakes import BLOCK, Receiver, Step, agenerate, generate
from outcomes import SourceError, alist, aoutcomes, cut, kinds, outcomes

from deltawire import EventStream, InvalidJSON, JSONStream, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable


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
