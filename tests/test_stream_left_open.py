"""Streams that nobody closes: who is warned, and what stays behind: no object, no task, no open file."""

from __future__ import annotations

import gc
import os
import sys
import weakref
from typing import Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from fakes import BLOCK, Receiver, agenerate, generate
from outcomes import SourceError
from servers import Exchange, serve

from deltawire import InvalidJSON, JSONStream

ONE, TWO, THREE = b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"


@pytest.mark.anyio
@pytest.mark.parametrize("steps", [(ONE, TWO), (ONE, b"data: bad\n\n")])
async def test_a_stream_left_open_warns(steps: Any) -> None:
    values = JSONStream(Receiver(*steps))
    assert await anext(values) == 1
    with pytest.warns(ResourceWarning, match="JSONStream of fakes.Receiver, reading> was left open"):
        del values
    source = agenerate(steps)
    values = JSONStream(source)
    assert await anext(values) == 1
    with pytest.warns(ResourceWarning, match="async_generator, reading> was left open"):
        del values
    await source.aclose()


class Chunks:
    """An iterator of which nobody knows what a cancelled read has done to it."""

    def __init__(self, *steps: Any) -> None:
        self.chunks = Receiver(*steps)

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self.chunks)

    async def aclose(self) -> None:
        await self.chunks.aclose()


@pytest.mark.anyio
async def test_a_stream_left_open_after_a_cancellation_warns() -> None:
    values = JSONStream(Chunks(ONE, BLOCK))
    assert await anext(values) == 1
    with anyio.move_on_after(0.005):
        await anext(values)
    await checkpoint()  # the event loop holds the cancellation, and it its traceback, until then
    with pytest.warns(ResourceWarning, match="left open"):
        del values


@pytest.mark.anyio
async def test_a_stream_that_nobody_left_open_does_not_warn() -> None:
    async def unread(source: Any) -> Any:
        return JSONStream(source)

    async def read(source: Any) -> Any:
        values = JSONStream(source)
        await anext(values)
        return values

    async def read_to_the_end(source: Any) -> Any:
        values = JSONStream(source)
        async for _ in values:
            pass
        return values

    async def read_and_close(source: Any) -> Any:
        values = JSONStream(source)
        await anext(values)
        await values.aclose()
        return values

    async def read_to_a_failure(source: Any) -> Any:
        values = JSONStream(source)
        await anext(values)
        with pytest.raises(SourceError):
            await anext(values)
        return values

    async def read_and_close_source(source: Any) -> Any:
        values = JSONStream(source)
        await anext(values)
        await source.aclose()
        return values

    cases: list[tuple[Any, Any]] = [
        (unread, Receiver(ONE)),
        (read_to_the_end, Receiver(ONE)),
        (read_to_the_end, Receiver(b"data: 1\n\ndata: [DONE]\n\n", BLOCK)),
        (read_and_close, Receiver(ONE, TWO)),
        (read_to_a_failure, Receiver(ONE, SourceError())),
        (read_to_a_failure, agenerate([ONE, SourceError()])),
        (read_and_close_source, Owned(ONE, TWO)),
        (read_and_close_source, agenerate([ONE, TWO])),
        (read, [ONE, TWO]),
    ]
    for use, source in cases:
        values = await use(source)
        del values
    values = JSONStream(generate([ONE, TWO]))
    assert next(values) == 1
    del values
    with pytest.raises(TypeError):
        JSONStream(b"")
    with pytest.raises(ValueError, match=r".+"):
        JSONStream([], max_event_size=0)


class Owned(Receiver):
    @property
    def is_closed(self) -> bool:
        return self.closed > 0


def test_a_stream_is_freed_by_reference_counting() -> None:
    """No cycles: an exception that came out holds neither the stream nor its source."""
    gc.disable()
    try:
        values = JSONStream(generate([ONE, b"data: bad\n\n", THREE]))
        iterator, batches = iter(values), values.batches()
        assert next(iterator) == 1
        with pytest.raises(InvalidJSON):
            next(iterator)
        with pytest.raises(ZeroDivisionError), JSONStream(generate([ONE])) as other:
            _ = next(other) / 0
        assert next(batches) == [3]
        seen = [weakref.ref(values), weakref.ref(other)]
        del values, iterator, batches, other
        assert [ref() for ref in seen] == [None, None]
    finally:
        gc.enable()


def stall(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(ONE)
    exchange.wait_for_close()


async def abandon_streams(count: int) -> None:
    tasks = len(anyio.get_running_tasks())
    with serve(stall) as server:
        for _ in range(count):
            source = await anyio.connect_tcp("127.0.0.1", server.port)
            await source.send(b"GET / HTTP/1.1\r\n\r\n")
            async with JSONStream(source) as values:
                async for _ in values:
                    break
        await anyio.wait_all_tasks_blocked()
        assert len(anyio.get_running_tasks()) == tasks
        assert server.connections == count


async def abandon_responses(count: int) -> None:
    with serve(stall) as server:
        async with httpx.AsyncClient() as client:
            tasks = len(anyio.get_running_tasks())
            for _ in range(count):
                async with client.stream("GET", server.url) as response, JSONStream(response) as values:
                    assert await anext(values) == 1
                # The stream ends the generators of httpx; the garbage collector would need a task for each.
                assert len(anyio.get_running_tasks()) == tasks


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
@pytest.mark.anyio
@pytest.mark.parametrize(("abandon", "count"), [(abandon_streams, 1000), (abandon_responses, 50)])
async def test_abandoned_streams_leave_nothing_behind(abandon: Any, count: int) -> None:
    await abandon(1)  # an event loop opens files of its own on first use
    files = len(os.listdir("/proc/self/fd"))
    await abandon(count)
    assert len(os.listdir("/proc/self/fd")) <= files
