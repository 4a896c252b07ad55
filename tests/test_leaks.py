"""Ten thousand streams, opened and abandoned in every way: no task, no file, no generator stays behind."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import httpx2
import pytest
from anyio.lowlevel import checkpoint
from fakes import BLOCK, Receiver, agenerate
from servers import Exchange, serve

from deltawire import ChatStream, StreamTimeout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import AsyncGeneratorType

EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
STEPS: list[Any] = [b": hi\n\n", EVENT + EVENT, EVENT, BLOCK]


async def leave_unread(source: Any) -> None:
    async with ChatStream(source, idle_timeout=60):
        pass


async def leave_early(source: Any) -> None:
    async with ChatStream(source, idle_timeout=60) as stream:
        async for _ in stream:
            break


async def look_and_leave(source: Any) -> None:
    async with ChatStream(source, first_event_timeout=60) as stream:
        await stream.prefetch()


async def fail(source: Any) -> None:
    try:
        async with ChatStream(source) as stream:
            await anext(stream)
            raise KeyError
    except KeyError:
        pass


async def cancel(source: Any) -> None:
    with anyio.CancelScope() as scope:
        async with ChatStream(source, total_timeout=60) as stream:
            await anext(stream)
            scope.cancel()
            await checkpoint()


async def time_out(source: Any) -> None:
    try:
        async with ChatStream(source, total_timeout=1e-9) as stream:
            async for _ in stream:
                pass
    except StreamTimeout:
        return
    pytest.fail("no deadline struck")


async def time_out_without_a_block(source: Any) -> None:
    try:
        await ChatStream(source, total_timeout=1e-9).collect()
    except StreamTimeout:
        return
    pytest.fail("no deadline struck")


WAYS: list[Callable[[Any], Awaitable[None]]] = [
    leave_unread,
    leave_early,
    look_and_leave,
    fail,
    cancel,
    time_out,
    time_out_without_a_block,
]


def count_files() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def count_generators() -> int:
    kind: type[AsyncGeneratorType[Any, Any]] = type(agenerate([]))  # type: ignore[assignment]
    return sum(type(each) is kind for each in gc.get_objects())


def count_streams() -> int:
    return sum(type(each) is ChatStream for each in gc.get_objects())


@pytest.mark.anyio
async def test_ten_thousand_abandoned_streams_leave_nothing_behind() -> None:
    await checkpoint()
    files, tasks = count_files(), len(anyio.get_running_tasks())
    gc.collect()
    generators, streams = count_generators(), count_streams()
    receivers = []
    for number in range(10_000 // len(WAYS)):
        for way in WAYS:
            receiver = Receiver(*STEPS)
            await way(receiver)
            receivers.append(receiver.closed)
            if number % 5 == 0:  # 2,000 more
                await way(agenerate(STEPS))
    assert set(receivers) == {1}
    assert len(anyio.get_running_tasks()) == tasks
    assert count_files() <= files
    gc.collect()
    assert count_generators() <= generators
    assert count_streams() <= streams


def burst(exchange: Exchange) -> None:
    """Send a lot at once, so that the client has received more than it has read, and hold on."""
    exchange.head("chunked")
    exchange.send_raw((b"%x\r\n%b\r\n" % (len(EVENT), EVENT)) * 50)
    exchange.wait_for_close()


@pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")
@pytest.mark.anyio
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_hundreds_of_abandoned_responses_leave_nothing_behind(library: Any) -> None:
    with serve(burst) as server:
        files = 0
        for count in (1, 10):  # an event loop opens files of its own on first use
            async with library.AsyncClient(verify=False) as client:
                tasks = len(anyio.get_running_tasks())
                for _ in range(count):
                    for way in WAYS:
                        async with client.stream("GET", server.url) as response:
                            await way(response)
                        # The stream ends the client's generators; the garbage collector would need a task.
                        assert len(anyio.get_running_tasks()) == tasks
            for thread in server._threads:
                await anyio.to_thread.run_sync(thread.join, 10)
            gc.collect()
            files = files or count_files()
            assert count_files() <= files
        assert server.connections == 11 * len(WAYS)
