"""What is left of a response behind the sentinel: read, within bounds, so that the connection is used again.

Against a real server, with every client that reads HTTP: whether a connection is used again is the client's
doing, and the server counts connections.
"""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import httpx
import httpx2
import niquests
import pytest
import urllib3_future
from anyio.lowlevel import checkpoint
from clients import EVERYWHERE
from conftest import ASYNCIO
from fakes import agenerate
from servers import Exchange, serve
from virtual_time import VIRTUAL

import deltawire._closing
from deltawire import ChatStream, EventStream, IncompleteStream, JSONStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

ONE, DONE = b"data: 1\n\n", b"data: [DONE]\n\n"


# Sessions of the clients: each gives a function that asks for a response.


@asynccontextmanager
async def use_httpx() -> AsyncIterator[Any]:
    async with httpx.AsyncClient(verify=False) as client:
        yield lambda url: client.stream("GET", url)


@asynccontextmanager
async def use_httpx2() -> AsyncIterator[Any]:
    async with httpx2.AsyncClient(verify=False) as client:
        yield lambda url: client.stream("GET", url)


@asynccontextmanager
async def use_aiohttp() -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as session:
        yield session.get


@asynccontextmanager
async def use_niquests() -> AsyncIterator[Any]:
    async with niquests.AsyncSession() as session:

        @asynccontextmanager
        async def get(url: str) -> AsyncIterator[Any]:
            async with await session.get(url, stream=True) as response:
                yield response

        yield get


@asynccontextmanager
async def use_urllib3_future() -> AsyncIterator[Any]:
    async with urllib3_future.AsyncPoolManager() as pool:

        @asynccontextmanager
        async def get(url: str) -> AsyncIterator[Any]:
            response = await pool.request("GET", url, preload_content=False)
            yield response
            await response.close()

        yield get


SESSIONS: list[tuple[Callable[[], Any], list[Any]]] = [
    (use_httpx, EVERYWHERE),
    (use_httpx2, EVERYWHERE),
    (use_aiohttp, ASYNCIO),
    (use_niquests, ASYNCIO),
    (use_urllib3_future, ASYNCIO),
]
sessions = pytest.mark.parametrize(
    ("session", "anyio_backend"),
    [
        pytest.param(session, *loop.values, id=f"{session.__name__.removeprefix('use_')}-{loop.id}")
        for session, loops in SESSIONS
        for loop in loops
    ],
)


@pytest.fixture
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a machine under load have the end of the body in time."""
    monkeypatch.setattr(deltawire._closing, "_DRAIN_SECONDS", 10)


def end_late(exchange: Exchange) -> None:
    """End each body a moment after the sentinel, so that the client cannot have the end with it."""
    while exchange.request:
        exchange.head("chunked")
        exchange.send(ONE + DONE)
        threading.Event().wait(0.01)
        exchange.send(b": bye\n\n")
        exchange.end()
        exchange.again()


async def read_to_the_end(response: Any) -> None:
    async with JSONStream(response) as values:
        assert [value async for value in values] == [1]


async def read_without_closing(response: Any) -> None:
    assert [value async for value in JSONStream(response)] == [1]


async def leave_at_the_last_item(response: Any) -> None:
    async with JSONStream(response) as values:
        async for value in values:
            assert value == 1
            break


@pytest.mark.anyio
@pytest.mark.usefixtures("patiently")
@sessions
@pytest.mark.parametrize("read", [read_to_the_end, read_without_closing, leave_at_the_last_item])
async def test_the_next_request_uses_the_same_connection(session: Any, read: Any) -> None:
    with serve(end_late) as server:
        async with session() as get:
            for _ in range(3):
                async with get(server.url) as response:
                    await read(response)
        assert server.connections == 1


@pytest.mark.anyio
@pytest.mark.usefixtures("patiently")
@sessions
async def test_a_verdict_comes_after_the_connection_was_freed(session: Any) -> None:
    def fail(exchange: Exchange) -> None:
        while exchange.request:
            exchange.head("chunked")
            exchange.send(b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n')
            exchange.send(b'data: {"error": "overloaded"}\n\n' + DONE)
            threading.Event().wait(0.01)
            exchange.end()
            exchange.again()

    with serve(fail) as server:
        async with session() as get:
            for _ in range(2):
                async with get(server.url) as response, ChatStream(response, on_end="return") as stream:
                    assert len([chunk async for chunk in stream]) == 2
        assert server.connections == 1


def hold_on(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(ONE + DONE)
    exchange.wait_for_close()


@pytest.mark.anyio
@sessions
async def test_a_body_that_never_ends_is_given_up_and_its_connection_closed(session: Any) -> None:
    with serve(hold_on) as server:
        async with session() as get:
            async with get(server.url) as response:
                began = anyio.current_time()
                await read_to_the_end(response)
                assert anyio.current_time() - began < 5
            assert await anyio.to_thread.run_sync(server.client_closed.wait, 5)


@pytest.mark.anyio
@sessions
async def test_a_body_that_goes_on_is_given_up_too(session: Any) -> None:
    """The server sends far more than 64 KiB, and finds the connection closed."""
    sent = 0

    def flood(exchange: Exchange) -> None:
        nonlocal sent
        exchange.head("chunked")
        exchange.send(ONE + DONE)
        try:
            for _ in range(4000):
                exchange.send(b": " + b"x" * 65536 + b"\n\n")
                sent += 65536
        except OSError:
            exchange._server.client_closed.set()

    with serve(flood) as server:
        async with session() as get:
            async with get(server.url) as response:
                await read_to_the_end(response)
            assert await anyio.to_thread.run_sync(server.client_closed.wait, 10)
    assert sent < 4000 * 65536


# The bounds, without sockets


class Response:
    """What is known of a response: headers, version, and a body that notes what was read of it."""

    def __init__(self, *steps: Any, version: Any = "HTTP/1.1", **headers: str) -> None:
        self.headers = headers
        self.http_version = version
        self.reads = 0
        self.steps = steps

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        async for chunk in agenerate(self.steps):
            self.reads += 1
            yield chunk


@pytest.mark.anyio
async def test_at_most_64_kib_are_read_behind_the_sentinel() -> None:
    response = Response(ONE + DONE, *[b"x" * 1024] * 1000)
    await read_to_the_end(response)
    assert response.reads == 1 + 64


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
@pytest.mark.parametrize("pause", [0.03, 1000.0])
async def test_nothing_is_read_behind_the_sentinel_for_longer_than_100_ms(pause: float) -> None:
    async def trickle() -> AsyncIterator[bytes]:
        yield ONE + DONE
        while True:
            await anyio.sleep(pause)
            yield b"x"

    class Trickling(Response):
        def aiter_bytes(self) -> AsyncIterator[bytes]:
            return trickle()

    began = anyio.current_time()
    assert [value async for value in JSONStream(Trickling())] == [1]
    assert anyio.current_time() - began == pytest.approx(0.1)


@pytest.mark.anyio
async def test_a_response_that_was_read_to_its_end_is_not_closed_again() -> None:
    class Closed(Response):
        is_closed = False
        closings = 0

        async def aiter_bytes(self) -> AsyncIterator[bytes]:
            async for chunk in super().aiter_bytes():
                yield chunk
            self.is_closed = True

        async def aclose(self) -> None:
            self.closings += 1

    for steps, closings in [((ONE + DONE, b"\n"), 0), ((ONE + DONE, OSError("reset")), 1)]:
        response = Closed(*steps)
        async with JSONStream(response) as stream:
            assert [value async for value in stream] == [1]
        assert response.closings == closings


@pytest.mark.anyio
@pytest.mark.parametrize(
    "facts",
    [
        {"version": "HTTP/2"},
        {"version": "HTTP/1.0"},
        {"version": 20},
        {"version": None},
        {"connection": "Close"},
    ],
    ids=["HTTP/2", "HTTP/1.0", "HTTP/2 of urllib3", "no version", "the server closes"],
)
async def test_nothing_is_read_where_it_would_free_no_connection(facts: dict[str, Any]) -> None:
    response = Response(ONE + DONE, ONE, **facts)
    await read_to_the_end(response)
    assert response.reads == 1


@pytest.mark.anyio
async def test_what_fails_behind_the_sentinel_does_not_matter() -> None:
    response = Response(ONE + DONE, OSError("reset"))
    await read_to_the_end(response)


@pytest.mark.anyio
async def test_nothing_is_read_behind_a_sentinel_twice() -> None:
    response = Response(ONE + DONE, *[b"x" * 65536] * 9)
    async with JSONStream(response) as values:
        assert [value async for value in values] == [1]
        assert [value async for value in values] == []
    assert response.reads == 2


@pytest.mark.anyio
async def test_a_stream_without_a_sentinel_is_left_as_it_is() -> None:
    response = Response(ONE, ONE, ONE)
    async with JSONStream(response) as values:
        assert await anext(values) == 1
    assert response.reads == 1
    response = Response(ONE + DONE, DONE)
    async with EventStream(response) as events:
        await anext(events)
    assert response.reads == 1
    with pytest.raises(IncompleteStream):
        await ChatStream(Response(b": hi\n\n")).collect()


# After a cancellation


@pytest.mark.anyio
async def test_after_a_cancellation_nothing_is_read_behind_the_sentinel() -> None:
    response = Response(ONE + DONE, *[b"x"] * 9)
    with anyio.CancelScope() as scope:
        async with JSONStream(response) as values:
            assert await anext(values) == 1
            scope.cancel()
            await checkpoint()
    assert scope.cancelled_caught
    assert response.reads == 1


@pytest.mark.anyio
async def test_after_an_exception_nothing_is_read_behind_the_sentinel() -> None:
    response = Response(ONE + DONE, *[b"x"] * 9)
    async with JSONStream(response) as values:
        assert await anext(values) == 1
        await values.__aexit__(KeyError, KeyError(), None)
    assert response.reads == 1


@pytest.mark.anyio
async def test_a_cancellation_while_the_rest_is_read_passes_and_ends_it() -> None:
    with anyio.CancelScope() as scope:
        response = Response(ONE + DONE, b"x", scope.cancel, b"x", b"x", b"x")
        async with JSONStream(response) as values:
            async for value in values:
                assert value == 1
    assert scope.cancelled_caught
    assert response.reads <= 3


@pytest.mark.anyio
@sessions
async def test_a_cancellation_closes_the_connection_at_once(session: Any) -> None:
    with serve(hold_on) as server:
        async with session() as get, get(server.url) as response:
            with anyio.CancelScope() as scope:
                async with JSONStream(response) as values:
                    assert await anext(values) == 1
                    scope.cancel()
                    await checkpoint()
            assert scope.cancelled_caught
            assert await anyio.to_thread.run_sync(server.client_closed.wait, 5)
