"""The HTTP clients that streams are tested over: how each sends a request, and what it is known to do.

`blocking` and `asynchronous` run a test with each of them. No server here has a certificate, and loading
those of the authorities takes longer than most tests.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.request
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import anyio
import httpx
import httpx2
import niquests
import pytest
import requests
import urllib3
import urllib3_future
from anyio.streams.buffered import BufferedByteReceiveStream
from conftest import ASYNCIO, TRIO

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from servers import Server


@contextmanager
def get_httpx(server: Server) -> Iterator[Any]:
    with httpx.Client(verify=False) as client, client.stream("GET", server.url) as response:
        yield response


@contextmanager
def get_httpx2(server: Server) -> Iterator[Any]:
    with httpx2.Client(verify=False) as client, client.stream("GET", server.url) as response:
        yield response


@contextmanager
def get_requests(server: Server) -> Iterator[Any]:
    with requests.Session() as session, session.get(server.url, stream=True) as response:
        yield response


@contextmanager
def get_niquests(server: Server) -> Iterator[Any]:
    with niquests.Session() as session, session.get(server.url, stream=True) as response:
        yield response


@contextmanager
def get_urllib3(server: Server) -> Iterator[Any]:
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", server.url, preload_content=False)
        yield response
        response.close()


@contextmanager
def get_urllib3_future(server: Server) -> Iterator[Any]:
    with urllib3_future.PoolManager() as pool:
        response = pool.request("GET", server.url, preload_content=False)
        yield response
        response.close()


@contextmanager
def get_urllib(server: Server) -> Iterator[Any]:
    with urllib.request.urlopen(server.url) as response:
        yield response


@asynccontextmanager
async def aget_httpx(server: Server) -> AsyncIterator[Any]:
    async with httpx.AsyncClient(verify=False) as client, client.stream("GET", server.url) as response:
        yield response


@asynccontextmanager
async def aget_httpx2(server: Server) -> AsyncIterator[Any]:
    async with httpx2.AsyncClient(verify=False) as client, client.stream("GET", server.url) as response:
        yield response


@asynccontextmanager
async def aget_aiohttp(server: Server) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as session, session.get(server.url) as response:
        yield response


@asynccontextmanager
async def aget_aiohttp_content(server: Server) -> AsyncIterator[Any]:
    async with aget_aiohttp(server) as response:
        yield response.content


@asynccontextmanager
async def aget_niquests(server: Server) -> AsyncIterator[Any]:
    async with niquests.AsyncSession() as session, await session.get(server.url, stream=True) as response:
        yield response


@asynccontextmanager
async def aget_urllib3_future(server: Server) -> AsyncIterator[Any]:
    async with urllib3_future.AsyncPoolManager() as pool:
        response = await pool.request("GET", server.url, preload_content=False)
        yield response
        await response.close()


@asynccontextmanager
async def aget_stream_reader(server: Server) -> AsyncIterator[Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    yield reader
    writer.close()
    with suppress(ConnectionResetError):
        await writer.wait_closed()


@asynccontextmanager
async def aget_anyio(server: Server) -> AsyncIterator[Any]:
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(b"GET / HTTP/1.1\r\n\r\n")
        buffered = BufferedByteReceiveStream(stream)
        await buffered.receive_until(b"\r\n\r\n", 9999)
        yield buffered


class Client(NamedTuple):
    """A way to send a request.

    Attributes:
        get: gives the response, or what is read from it.
        cut: what it raises where a body is shorter than its framing says.
        backends: the event loops that it knows.
        http: whether it reads HTTP, so that there is a framing, a content type and an encoding.
        decodes: whether it undoes content encodings.
        closes: whether what it gives closes the connection.
        tells_resets: whether it tells a connection that was reset from one that was closed, where the body
            ends with the connection. The others hand out an end, and only a sentinel can tell.
    """

    get: Callable[[Server], Any]
    cut: type[Exception] = Exception
    backends: list[Any] = ASYNCIO
    http: bool = True
    decodes: bool = True
    closes: bool = True
    tells_resets: bool = True


SYNC = [
    Client(get_httpx, httpx.RemoteProtocolError),
    Client(get_httpx2, httpx2.RemoteProtocolError),
    Client(get_requests, requests.exceptions.ChunkedEncodingError),
    Client(get_niquests, niquests.exceptions.ChunkedEncodingError, tells_resets=False),
    Client(get_urllib3, urllib3.exceptions.ProtocolError),
    Client(get_urllib3_future, urllib3_future.exceptions.ProtocolError, tells_resets=False),
    Client(get_urllib, http.client.IncompleteRead, decodes=False),
]
EVERYWHERE = [*ASYNCIO, TRIO]
ASYNC = [
    Client(aget_httpx, httpx.RemoteProtocolError, EVERYWHERE),
    Client(aget_httpx2, httpx2.RemoteProtocolError, EVERYWHERE),
    Client(aget_aiohttp, aiohttp.ClientPayloadError, tells_resets=False),
    Client(aget_aiohttp_content, aiohttp.ClientPayloadError, closes=False, tells_resets=False),
    Client(aget_niquests, niquests.exceptions.ChunkedEncodingError, tells_resets=False),
    Client(aget_urllib3_future, urllib3_future.exceptions.ProtocolError, tells_resets=False),
    Client(aget_stream_reader, http=False, decodes=False, closes=False),
    Client(aget_anyio, backends=EVERYWHERE, http=False, decodes=False),
]


def blocking(which: Callable[[Client], bool] = lambda client: True) -> pytest.MarkDecorator:
    """Run a test with each blocking client of which this is true."""
    chosen = [pytest.param(each, id=each.get.__name__.removeprefix("get_")) for each in SYNC if which(each)]
    return pytest.mark.parametrize("client", chosen)


def asynchronous(which: Callable[[Client], bool] = lambda client: True) -> pytest.MarkDecorator:
    """Run a test with each async client of which this is true, on each event loop that it knows."""
    chosen = [
        pytest.param(each, *loop.values, id=f"{each.get.__name__.removeprefix('aget_')}-{loop.id}")
        for each in ASYNC
        if which(each)
        for loop in each.backends
    ]
    return pytest.mark.parametrize(("client", "anyio_backend"), chosen)
