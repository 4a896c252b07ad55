"""Streams over the HTTP clients, each against a real server: what a client does to a stream in its hands.

Nothing is held back, whatever the framing and the encoding; a cut body raises the client's own exception; the
connection is closed when the stream is left. What streams do by themselves is in test_streams.py.
"""

from __future__ import annotations

import urllib.request
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import httpx
import httpx2
import niquests
import pytest
import requests
import urllib3
import urllib3_future
from clients import (
    EVERYWHERE,
    Client,
    aget_aiohttp_content,
    asynchronous,
    blocking,
    get_httpx,
    get_httpx2,
    get_niquests,
    get_requests,
    get_urllib,
    get_urllib3,
    get_urllib3_future,
)
from conftest import ASYNCIO
from servers import Exchange, Framing, serve

from deltawire import EventStream, JSONStream, NotEventStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# Text that compression makes longer: a client that waits for as many bytes as it has read, waits too long.
ONE, TWO = "q8Zt1xWc", "mJ4vR0yK"
EVENT_1, EVENT_2 = f"data: {ONE}\n\n".encode(), f"data: {TWO}\n\n".encode()


framings = pytest.mark.parametrize("framing", ["chunked", "close"])
WHOLE = len(EVENT_1 + EVENT_2)


def withhold(framing: Framing | int, *, gzip: bool = False) -> Callable[[Exchange], None]:
    """Send the second event when the test has the first one."""

    def script(exchange: Exchange) -> None:
        exchange.head(framing, gzip=gzip)
        exchange.send(EVENT_1)
        exchange.wait()
        exchange.send(EVENT_2)
        exchange.end()

    return script


def withhold_within_a_chunk(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send_raw(b"%x\r\n" % WHOLE + EVENT_1)
    exchange.wait()
    exchange.send_raw(EVENT_2 + b"\r\n")
    exchange.end()


def assert_withheld(client: Client, script: Callable[[Exchange], None]) -> None:
    with serve(script) as server, client.get(server) as response, EventStream(response) as events:
        assert next(events).data == ONE
        server.release()
        assert [event.data for event in events] == [TWO]


async def aassert_withheld(client: Client, script: Callable[[Exchange], None]) -> None:
    with serve(script) as server:
        async with client.get(server) as response, EventStream(response) as events:
            assert (await anext(events)).data == ONE
            server.release()
            assert [event.data async for event in events] == [TWO]


@blocking()
@framings
def test_an_event_comes_out_while_the_server_withholds_the_next_one(client: Client, framing: Framing) -> None:
    assert_withheld(client, withhold(framing))


@pytest.mark.anyio
@asynchronous(lambda client: client.http)
@framings
async def test_an_event_comes_out_while_the_server_withholds_the_next_one_async(
    client: Client, framing: Framing
) -> None:
    await aassert_withheld(client, withhold(framing))


@pytest.mark.anyio
@asynchronous(lambda client: not client.http)
async def test_an_event_comes_out_of_a_byte_stream_while_the_server_withholds_the_next_one(
    client: Client,
) -> None:
    await aassert_withheld(client, withhold("close"))


@blocking(lambda client: client.decodes)
@framings
def test_an_event_comes_out_of_a_compressed_body_once_it_was_flushed(
    client: Client, framing: Framing
) -> None:
    assert_withheld(client, withhold(framing, gzip=True))


@pytest.mark.anyio
@asynchronous(lambda client: client.decodes)
@framings
async def test_an_event_comes_out_of_a_compressed_body_once_it_was_flushed_async(
    client: Client, framing: Framing
) -> None:
    await aassert_withheld(client, withhold(framing, gzip=True))


@blocking()
def test_an_event_comes_out_before_its_http_chunk_is_complete(client: Client) -> None:
    assert_withheld(client, withhold_within_a_chunk)


@pytest.mark.anyio
@asynchronous(lambda client: client.http)
async def test_an_event_comes_out_before_its_http_chunk_is_complete_async(client: Client) -> None:
    await aassert_withheld(client, withhold_within_a_chunk)


@pytest.mark.parametrize("framing", ["chunked", WHOLE])
@blocking()
def test_a_body_that_is_cut_raises_the_exception_of_the_client(
    client: Client, framing: Framing | int
) -> None:
    def script(exchange: Exchange) -> None:
        exchange.head(framing)
        exchange.send(EVENT_1)
        exchange.wait()

    with serve(script) as server, client.get(server) as response, EventStream(response) as events:
        assert next(events).data == ONE
        server.release()
        with pytest.raises(client.cut):
            next(events)
        with pytest.raises((anyio.BrokenResourceError, client.cut)):
            next(events)


@pytest.mark.anyio
@pytest.mark.parametrize("framing", ["chunked", WHOLE])
@asynchronous(lambda client: client.http)
async def test_a_body_that_is_cut_raises_the_exception_of_the_client_async(
    client: Client, framing: Framing | int
) -> None:
    def script(exchange: Exchange) -> None:
        exchange.head(framing)
        exchange.send(EVENT_1)
        exchange.wait()

    with serve(script) as server:
        async with client.get(server) as response, EventStream(response) as events:
            assert (await anext(events)).data == ONE
            server.release()
            with pytest.raises(client.cut):
                await anext(events)
            with pytest.raises((anyio.BrokenResourceError, client.cut)):
                await anext(events)


def assert_no_end(events: EventStream, times: int) -> None:
    for _ in range(times):
        try:
            pytest.fail(f"{next(events)} came after the failure")
        except StopIteration:
            pytest.fail("the stream looks complete")
        except Exception:
            continue


async def aassert_no_end(events: EventStream, times: int) -> None:
    for _ in range(times):
        try:
            pytest.fail(f"{await anext(events)} came after the failure")
        except StopAsyncIteration:
            pytest.fail("the stream looks complete")
        except Exception:
            continue


def reset_after_an_event(framing: Framing) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.head(framing)
        exchange.send(EVENT_1)
        exchange.wait()
        exchange.reset()

    return script


def assert_reset(client: Client, framing: Framing) -> None:
    script = reset_after_an_event(framing)
    with serve(script) as server, client.get(server) as response, EventStream(response) as events:
        assert next(events).data == ONE
        server.release()
        assert_no_end(events, 2)


async def aassert_reset(client: Client, framing: Framing) -> None:
    with serve(reset_after_an_event(framing)) as server:
        async with client.get(server) as response, EventStream(response) as events:
            assert (await anext(events)).data == ONE
            server.release()
            await aassert_no_end(events, 2)


@blocking()
def test_a_connection_that_is_reset_is_no_end(client: Client) -> None:
    assert_reset(client, "chunked")


@blocking(lambda client: client.tells_resets)
def test_a_connection_that_is_reset_is_no_end_of_a_body_without_framing(client: Client) -> None:
    assert_reset(client, "close")


@pytest.mark.anyio
@asynchronous(lambda client: client.http)
async def test_a_connection_that_is_reset_is_no_end_async(client: Client) -> None:
    await aassert_reset(client, "chunked")


@pytest.mark.anyio
@asynchronous(lambda client: client.tells_resets)
async def test_a_connection_that_is_reset_is_no_end_of_a_body_without_framing_async(client: Client) -> None:
    await aassert_reset(client, "close")


def stall(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(EVENT_1)
    exchange.wait_for_close()


@blocking()
def test_leaving_early_closes_the_connection(client: Client) -> None:
    with serve(stall) as server, client.get(server) as response:
        with EventStream(response) as events:
            for event in events:
                assert event.data == ONE
                break
        assert server.client_closed.wait(5)


@pytest.mark.anyio
@asynchronous(lambda client: client.closes and client.http)
async def test_leaving_early_closes_the_connection_async(client: Client) -> None:
    with serve(stall) as server:
        async with client.get(server) as response:
            async with EventStream(response) as events:
                async for event in events:
                    assert event.data == ONE
                    break
            assert await anyio.to_thread.run_sync(server.client_closed.wait, 5)


@pytest.mark.anyio
@asynchronous(lambda client: client.closes and client.http)
async def test_cancelling_the_reading_task_closes_the_connection(client: Client) -> None:
    with serve(stall) as server:
        async with client.get(server) as response:
            with anyio.CancelScope() as scope:
                async with EventStream(response) as events:
                    async for event in events:
                        assert event.data == ONE
                        scope.deadline = anyio.current_time() + 0.02
            assert scope.cancelled_caught
            assert await anyio.to_thread.run_sync(server.client_closed.wait, 5)


@blocking()
def test_after_a_read_that_timed_out_there_is_no_end(client: Client) -> None:
    # Long enough for the head, on a machine that is busy.
    timeout = 0.3
    timeouts: dict[Any, Callable[[str], AbstractContextManager[Any] | Any]] = {
        get_httpx: lambda url: httpx.stream("GET", url, timeout=timeout),
        get_httpx2: lambda url: httpx2.stream("GET", url, timeout=timeout),
        get_requests: lambda url: requests.get(url, timeout=timeout, stream=True),
        get_niquests: lambda url: niquests.get(url, timeout=timeout, stream=True),
        get_urllib3: lambda url: urllib3.request("GET", url, timeout=timeout, preload_content=False),
        get_urllib3_future: lambda url: urllib3_future.request(
            "GET", url, timeout=timeout, preload_content=False
        ),
        get_urllib: lambda url: urllib.request.urlopen(url, timeout=timeout),
    }
    with (
        serve(stall) as server,
        timeouts[client.get](server.url) as response,
        EventStream(response) as events,
    ):
        assert next(events).data == ONE
        assert_no_end(events, 3)


def hold_open_after_the_sentinel(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(b"data: 1\n\ndata: [DONE]\n\n")
    exchange.wait_for_close()


@blocking()
def test_the_sentinel_ends_the_stream_while_the_server_keeps_the_connection(client: Client) -> None:
    script = hold_open_after_the_sentinel
    with serve(script) as server, client.get(server) as response, JSONStream(response) as values:
        assert list(values) == [1]
        assert values.done


@pytest.mark.anyio
@asynchronous(lambda client: client.http)
async def test_the_sentinel_ends_the_stream_while_the_server_keeps_the_connection_async(
    client: Client,
) -> None:
    with serve(hold_open_after_the_sentinel) as server:
        async with client.get(server) as response, JSONStream(response) as values:
            assert [value async for value in values] == [1]
            assert values.done


def refuse(exchange: Exchange) -> None:
    exchange.head("chunked", status=503, content_type="Application/JSON; charset=utf-8", gzip=True)
    exchange.send(b'{"error": ')
    exchange.send(b'"overloaded"}' + b" " * 500)
    exchange.end()


@blocking(lambda client: client.decodes)
def test_a_response_of_another_type_is_refused_with_a_preview(client: Client) -> None:
    with (
        serve(refuse) as server,
        client.get(server) as response,
        pytest.raises(NotEventStream) as caught,
        EventStream(response) as events,
    ):
        next(events)
    assert (caught.value.status, caught.value.content_type) == (503, "Application/JSON; charset=utf-8")
    assert caught.value.preview == b'{"error": "overloaded"}' + b" " * 177


@pytest.mark.anyio
@asynchronous(lambda client: client.decodes and client.get is not aget_aiohttp_content)
async def test_a_response_of_another_type_is_refused_with_a_preview_async(client: Client) -> None:
    with serve(refuse) as server:
        async with client.get(server) as response:
            with pytest.raises(NotEventStream) as caught:
                async with EventStream(response) as events:
                    await anext(events)
    assert (caught.value.status, caught.value.content_type) == (503, "Application/JSON; charset=utf-8")
    assert caught.value.preview == b'{"error": "overloaded"}' + b" " * 177


def send_whole(exchange: Exchange) -> None:
    exchange.head(WHOLE)
    exchange.send(EVENT_1 + EVENT_2)


@pytest.mark.parametrize(
    "get",
    [
        lambda url: httpx.get(url),
        lambda url: httpx2.get(url),
        lambda url: requests.get(url),
        lambda url: niquests.get(url),
        lambda url: urllib3.request("GET", url),
        lambda url: urllib3_future.request("GET", url),
    ],
    ids=["httpx", "httpx2", "requests", "niquests", "urllib3", "urllib3_future"],
)
def test_a_body_that_the_client_has_read_already_is_streamed(get: Callable[[str], Any]) -> None:
    with serve(send_whole) as server, EventStream(get(server.url)) as events:
        assert [event.data for event in events] == [ONE, TWO]


@asynccontextmanager
async def get_whole_httpx(url: str) -> AsyncIterator[Any]:
    async with httpx.AsyncClient() as client:
        yield await client.get(url)


@asynccontextmanager
async def get_whole_aiohttp(url: str) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await response.read()
        yield response


@asynccontextmanager
async def get_whole_niquests(url: str) -> AsyncIterator[Any]:
    async with niquests.AsyncSession() as session:
        yield await session.get(url)


@asynccontextmanager
async def get_whole_niquests_stream(url: str) -> AsyncIterator[Any]:
    async with niquests.AsyncSession() as session, await session.get(url, stream=True) as response:
        await response.content
        yield response


@asynccontextmanager
async def get_whole_requests(url: str) -> AsyncIterator[Any]:
    yield requests.get(url)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("get", "anyio_backend"),
    [
        pytest.param(get, *loop.values, id=f"{get.__name__.removeprefix('get_whole_')}-{loop.id}")
        for get, loops in [
            (get_whole_httpx, EVERYWHERE),
            (get_whole_aiohttp, ASYNCIO),
            (get_whole_niquests, ASYNCIO),
            (get_whole_niquests_stream, ASYNCIO),
            (get_whole_requests, EVERYWHERE),
        ]
        for loop in loops
    ],
)
async def test_a_body_that_the_client_has_read_already_is_streamed_async(get: Callable[[str], Any]) -> None:
    with serve(send_whole) as server:
        async with get(server.url) as response, EventStream(response) as events:
            assert [event.data async for event in events] == [ONE, TWO]


@blocking()
@pytest.mark.anyio
async def test_a_task_does_not_wait_for_a_blocking_client(client: Client) -> None:
    with (
        serve(send_whole) as server,
        client.get(server) as response,
        pytest.raises(TypeError, match="blocking client"),
    ):
        await anext(EventStream(response))


@pytest.mark.anyio
@asynchronous()
async def test_an_async_source_is_refused_by_for(client: Client) -> None:
    with serve(withhold("close")) as server:
        server.release()
        async with client.get(server) as response:
            with pytest.raises(
                TypeError, match=f"{type(response).__qualname__} is asynchronous.*`async for`"
            ):
                next(EventStream(response))
