"""Closing streams: what is closed, when and in what order, whatever goes wrong meanwhile.

Cancellation comes at a step of the source, not at a time: a step of the script (fakes.py) cancels the task
that reads. Streams that nobody closes are in test_stream_left_open.py.
"""

from __future__ import annotations

import asyncio
from functools import partial
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from conftest import ASYNCIO
from fakes import BLOCK, Receiver, agenerate, generate

from deltawire import InvalidJSON, JSONStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ONE, TWO, THREE = b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"


class Failure(Exception):
    pass


class Closing:
    """A source that gives its iterators away, and notes what is closed, in `log`.

    Args:
        steps: what the iterator does.
        on_close: what closing it, and closing its iterator, does.
    """

    def __init__(self, *steps: Any, on_close: Callable[[], Any] = lambda: None) -> None:
        self.steps = steps
        self.on_close = on_close
        self.log: list[str] = []

    def __iter__(self) -> Iterator[bytes]:
        return Chunks(self, generate(self.steps))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncChunks(self, Receiver(*self.steps))

    def close(self) -> None:
        self.log.append("source")
        self.on_close()

    async def aclose(self) -> None:
        self.log.append("source")
        await checkpoint()
        if (waiting := self.on_close()) is not None:
            await waiting
        self.log.append("source closed")


class Chunks:
    def __init__(self, source: Closing, chunks: Iterator[bytes]) -> None:
        self.source = source
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        self.source.log.append("chunks")
        self.source.on_close()


class AsyncChunks:
    def __init__(self, source: Closing, chunks: AsyncIterator[bytes]) -> None:
        self.source = source
        self.chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self.chunks)

    async def aclose(self) -> None:
        self.source.log.append("chunks")
        await checkpoint()
        if (waiting := self.source.on_close()) is not None:
            await waiting
        self.source.log.append("chunks closed")


CLOSED = ["chunks", "source"]
ACLOSED = ["chunks", "chunks closed", "source", "source closed"]


# What is closed


def test_leaving_early_closes_the_iterator_and_then_the_source() -> None:
    source = Closing(ONE, TWO)
    with JSONStream(source) as values:
        for value in values:
            assert value == 1
            break
        assert source.log == []
    assert source.log == CLOSED


@pytest.mark.anyio
async def test_leaving_early_closes_the_iterator_and_then_the_source_async() -> None:
    source = Closing(ONE, TWO)
    async with JSONStream(source) as values:
        async for value in values:
            assert value == 1
            break
        assert source.log == []
    assert source.log == ACLOSED


def test_a_stream_is_closed_at_its_end_and_unread_too() -> None:
    for read in (list, lambda values: None):
        source = Closing(ONE)
        with JSONStream(source) as values:
            read(values)
        assert source.log == CLOSED


@pytest.mark.anyio
async def test_a_stream_is_closed_at_its_end_and_unread_too_async() -> None:
    for read in (True, False):
        source = Closing(ONE)
        async with JSONStream(source) as values:
            if read:
                assert [value async for value in values] == [1]
        assert source.log == ACLOSED


@pytest.mark.parametrize(("step", "error"), [(Failure(), Failure), (b"data: bad\n\n", InvalidJSON)])
def test_an_error_closes_the_source(step: Any, error: type[Exception]) -> None:
    source = Closing(ONE, step)
    with pytest.raises(error), JSONStream(source) as values:
        list(values)
    assert source.log == CLOSED


@pytest.mark.anyio
@pytest.mark.parametrize(("step", "error"), [(Failure(), Failure), (b"data: bad\n\n", InvalidJSON)])
async def test_an_error_closes_the_source_async(step: Any, error: type[Exception]) -> None:
    source = Closing(ONE, step)
    with pytest.raises(error):
        async with JSONStream(source) as values:
            assert [value async for value in values] == []
    assert source.log == ACLOSED


def test_generators_are_closed() -> None:
    log = []

    def source() -> Iterator[bytes]:
        try:
            yield ONE
            yield TWO
        finally:
            log.append("closed")

    with JSONStream(source()) as values:
        assert next(values) == 1
    assert log == ["closed"]


@pytest.mark.anyio
async def test_generators_are_closed_async() -> None:
    log = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield ONE
            yield TWO
        finally:
            await checkpoint()
            log.append("closed")

    async with JSONStream(source()) as values:
        assert await anext(values) == 1
    assert log == ["closed"]


@pytest.mark.anyio
async def test_a_generator_is_closed_unless_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stands at a `yield` has not, also if the stream has."""
    closed = []

    async def aclose_all(closers: Any) -> None:
        closed.append(len(closers))

    monkeypatch.setattr("deltawire._stream.aclose_all", aclose_all)
    done = b"data: [DONE]\n\n"
    for steps, expected in [([ONE], []), ([ONE, done], [1])]:
        source = agenerate(steps)
        async with JSONStream(source) as values:
            assert [value async for value in values] == [1]
        assert closed == expected
        closed.clear()
        await source.aclose()


@pytest.mark.anyio
async def test_the_generator_over_a_body_that_was_kept_is_closed_though_the_response_is() -> None:
    response = httpx.Response(200, content=ONE + b"data: [DONE]\n\n" + TWO)
    assert response.is_closed
    read = response.aiter_bytes()
    response.aiter_bytes = lambda: read  # type: ignore[method-assign,assignment,misc]
    async with JSONStream(response) as values:
        assert [value async for value in values] == [1]
    assert isinstance(read, AsyncGeneratorType)
    assert read.ag_frame is None


@pytest.mark.anyio
async def test_closing_again_does_nothing() -> None:
    source = Closing(ONE)
    with JSONStream(source) as values:
        values.close()
        values.close()
    assert source.log == CLOSED
    source = Closing(ONE)
    async with JSONStream(source) as values:
        await values.aclose()
        await values.aclose()
    assert source.log == ACLOSED


# Errors in closing


def fail() -> None:
    raise Failure


def test_all_is_closed_though_closing_fails_and_the_first_error_comes_out() -> None:
    source = Closing(ONE, on_close=fail)
    with pytest.raises(Failure), JSONStream(source):
        pass
    assert source.log == CLOSED


@pytest.mark.anyio
async def test_all_is_closed_though_closing_fails_and_the_first_error_comes_out_async() -> None:
    source = Closing(ONE, on_close=fail)
    with pytest.raises(Failure):
        async with JSONStream(source):
            pass
    assert source.log == CLOSED


def test_an_error_in_closing_does_not_hide_the_one_in_flight() -> None:
    with pytest.raises(KeyError), JSONStream(Closing(ONE, on_close=fail)):
        raise KeyError


@pytest.mark.anyio
async def test_an_error_in_closing_does_not_hide_the_one_in_flight_async() -> None:
    with pytest.raises(KeyError):
        async with JSONStream(Closing(ONE, on_close=fail)):
            raise KeyError


# A closed stream


def test_a_closed_stream_raises_and_loses_its_batch() -> None:
    values = JSONStream([ONE + TWO, THREE])
    iterator, batches = iter(values), values.batches()
    assert next(iterator) == 1
    values.close()
    attempts: list[Callable[[], Any]] = [
        partial(next, each) for each in (values, iterator, batches, iter(values))
    ]
    for attempt in [*attempts, values.__enter__]:
        with pytest.raises(anyio.ClosedResourceError):
            attempt()
    assert (values.bytes, values.events) == (18, 2)


@pytest.mark.anyio
async def test_a_closed_stream_raises_and_loses_its_batch_async() -> None:
    values = JSONStream(agenerate([ONE + TWO, THREE]))
    batches = values.batches()
    assert await anext(values) == 1
    await values.aclose()
    attempts: list[Callable[[], Any]] = [values.__anext__, batches.__anext__, values.__aenter__]
    for attempt in attempts:
        with pytest.raises(anyio.ClosedResourceError):
            await attempt()
    assert values.events == 2


@pytest.mark.anyio
async def test_a_closed_stream_is_closed_to_both_sides() -> None:
    values = JSONStream([ONE])
    values.close()
    with pytest.raises(anyio.ClosedResourceError):
        await anext(values)


@pytest.mark.anyio
async def test_an_async_stream_is_not_closed_by_close() -> None:
    source = Receiver(ONE, TWO)
    async with JSONStream(source) as values:
        assert await anext(values) == 1
        with pytest.raises(RuntimeError, match=r"aclose\(\)"):
            values.close()
        assert await anext(values) == 2
    with pytest.raises(TypeError, match="asynchronous"):
        JSONStream(Receiver()).close()


@pytest.mark.anyio
async def test_a_sync_stream_is_closed_by_aclose_as_well() -> None:
    source = Closing(ONE)
    values = JSONStream(source)
    assert next(values) == 1
    await values.aclose()
    assert source.log == CLOSED


# Cancellation


@pytest.mark.anyio
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("kind", [agenerate, Receiver])
async def test_cancellation_at_any_read_closes_the_source(place: int, kind: Any) -> None:
    """What came before it came out, nothing else did, and closing was not cut short."""
    found = []
    with anyio.CancelScope() as scope:
        steps: list[Any] = [ONE, TWO, THREE]
        steps[place:place] = [scope.cancel, BLOCK]
        source = Receiver(*steps) if kind is Receiver else Closing(*steps)
        async with JSONStream(source) as values:
            async for value in values:
                found.append(value)  # noqa: PERF401 - what came before the cancellation counts
    assert scope.cancelled_caught
    assert found == [1, 2, 3][:place]
    if isinstance(source, Receiver):
        assert (source.closed, len(source.steps)) == (1, 4 - place)
    else:
        assert source.log == ACLOSED


@pytest.mark.anyio
async def test_cancellation_between_reads_closes_the_source() -> None:
    source = Closing(ONE, TWO)
    with anyio.CancelScope() as scope:
        async with JSONStream(source) as values:
            assert await anext(values) == 1
            scope.cancel()
            await checkpoint()
    assert scope.cancelled_caught
    assert source.log == ACLOSED


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
@pytest.mark.parametrize("place", range(4))
async def test_cancellation_of_an_asyncio_task_closes_the_source(place: int) -> None:
    found = []
    steps: list[Any] = [ONE, TWO, THREE]
    source = Closing(*steps[:place], lambda: task.cancel(), BLOCK, *steps[place:])

    async def read() -> None:
        async with JSONStream(source) as values:
            async for value in values:
                found.append(value)  # noqa: PERF401 - what came before the cancellation counts

    task: asyncio.Task[None] = asyncio.create_task(read())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert found == [1, 2, 3][:place]
    assert source.log == ACLOSED


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_a_receiver_is_read_on_after_timeouts_of_asyncio() -> None:
    reader = asyncio.StreamReader()
    values = JSONStream(reader)
    found = []
    for data in (ONE, b"da", b"ta: 2\n\n", b"", THREE):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(values), 0.002)
        reader.feed_data(data)
        if data.endswith(b"\n\n"):
            found.append(await asyncio.wait_for(anext(values), 5))
    reader.feed_eof()
    assert [*found, *[value async for value in values]] == [1, 2, 3]


@pytest.mark.anyio
async def test_closing_is_done_in_a_cancelled_scope_too() -> None:
    source = Closing(ONE)
    values = JSONStream(source)
    assert await anext(values) == 1
    with anyio.CancelScope() as scope:
        scope.cancel()
        await values.aclose()
    assert source.log == ACLOSED


@pytest.mark.anyio
async def test_closing_is_given_up_after_a_second_and_the_rest_is_tried() -> None:
    source = Closing(ONE, on_close=anyio.sleep_forever)
    before = anyio.current_time()
    async with JSONStream(source) as values:
        assert await anext(values) == 1
    assert source.log == CLOSED
    assert 0.9 < anyio.current_time() - before < 5


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_the_rest_is_closed_though_closing_is_cancelled() -> None:
    source = Closing(ONE, on_close=anyio.sleep_forever)
    values = JSONStream(source)
    assert await anext(values) == 1
    task = asyncio.create_task(values.aclose())
    while source.log != ["chunks"]:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.log == CLOSED


@pytest.mark.anyio
async def test_a_stream_may_be_closed_while_another_task_reads() -> None:
    """An object that ends its readers, as streams of anyio do, ends this one."""
    send, receive = anyio.create_memory_object_stream[bytes]()
    values = JSONStream(receive)
    raised: list[Exception] = []

    async def read() -> None:
        try:
            await anext(values)
        except Exception as error:
            raised.append(error)

    async with send, anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        await values.aclose()
        # Whether a reader is woken is the source's business, and a cancellation ends the others.
        with pytest.raises(anyio.BrokenResourceError):
            send.send_nowait(ONE)
        tasks.cancel_scope.cancel()
    assert all(isinstance(error, anyio.ClosedResourceError) for error in raised)


@pytest.mark.anyio
async def test_what_a_task_still_reads_from_a_stream_closed_meanwhile_is_dropped() -> None:
    reading, closed = anyio.Event(), anyio.Event()

    class Source(Receiver):
        async def receive(self, max_bytes: int = 65536) -> bytes:
            reading.set()
            await closed.wait()
            return await super().receive()

    values = JSONStream(Source(ONE))

    async def close() -> None:
        await reading.wait()
        await values.aclose()
        closed.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        with pytest.raises(anyio.ClosedResourceError):
            await anext(values)
