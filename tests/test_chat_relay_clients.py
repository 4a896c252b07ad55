"""Relaying responses of clients over real connections."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import anyio
import httpx
import pytest
from chat_streams import DONE, STOP, text
from conftest import ASYNCIO, TRIO
from relays import BILLED, KEEP_ALIVE, USAGE_CHUNK, assert_told, collect
from servers import Exchange, serve

from deltawire import ChatRelayStream, NotEventStream, StreamEnd, UpstreamError


def answer(exchange: Exchange) -> None:
    exchange.head()
    exchange.send(text("a"))
    exchange.wait()
    exchange.send(text("b") + STOP + USAGE_CHUNK + DONE)
    exchange.end()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [ASYNCIO[0], TRIO])
async def test_an_httpx_response_is_relayed_as_it_arrives(anyio_backend: Any) -> None:
    with serve(answer) as server:
        async with (
            httpx.AsyncClient() as client,
            client.stream("GET", server.url) as response,
            ChatRelayStream(response, keep_alive=0.05) as stream,
        ):
            sent = await anext(stream)
            assert sent == text("a")
            assert await anext(stream) == KEEP_ALIVE  # and the read goes on
            server.release()
            sent += await collect(stream)
        assert sent.replace(KEEP_ALIVE, b"") == BILLED


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [ASYNCIO[0], TRIO])
async def test_an_httpx_response_is_read_on_for_a_client_that_goes_away(anyio_backend: Any) -> None:
    with serve(answer) as server:
        async with httpx.AsyncClient() as client, client.stream("GET", server.url) as response:
            with anyio.CancelScope() as scope:
                async with ChatRelayStream(response, on_disconnect="drain") as stream:
                    await anext(stream)
                    async with anyio.create_task_group() as group:
                        group.start_soon(collect, stream)
                        await anyio.sleep(0.05)
                        server.release()
                        scope.cancel()
        assert stream.end is StreamEnd.DONE
        assert stream.usage is not None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [ASYNCIO[0]])
async def test_an_aiohttp_response_that_is_reset_is_told_to_the_client(anyio_backend: Any) -> None:
    def reset(exchange: Exchange) -> None:
        exchange.head()
        exchange.send(text("a"))
        exchange.wait()
        exchange.reset()

    with serve(reset) as server:
        async with (
            aiohttp.ClientSession() as session,
            session.get(server.url) as response,
            ChatRelayStream(response, append_error=True, keep_alive=60.0) as stream,
        ):
            assert await anext(stream) == text("a")
            server.release()
            assert_told(text("a") + await collect(stream), text("a"))
        assert isinstance(stream.failure, aiohttp.ClientError)


def test_a_blocking_client_is_relayed_and_read_on() -> None:
    with serve(answer) as server, httpx.Client() as client, client.stream("GET", server.url) as response:
        with ChatRelayStream(response, on_disconnect="drain") as stream:
            assert next(stream) == text("a")
            server.release()
        assert stream.end is StreamEnd.DONE


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", [ASYNCIO[0], TRIO])
@pytest.mark.parametrize("append_error", [False, True])
async def test_a_response_that_is_no_stream_is_raised_before_anything_is_sent(
    append_error: bool, anyio_backend: Any
) -> None:
    body = json.dumps({"error": {"message": "no such key", "code": 401}}).encode()

    def refuse(exchange: Exchange) -> None:
        exchange.head(len(body), status=401, content_type="application/json")
        exchange.send(body)

    with serve(refuse) as server:
        async with httpx.AsyncClient() as client, client.stream("GET", server.url) as response:
            stream = ChatRelayStream(response, append_error=append_error, keep_alive=5.0)
            with pytest.raises(UpstreamError) as caught:
                await anext(stream)
            assert caught.value.error.message == "no such key"
            await stream.aclose()
        with (
            httpx.Client() as plain,
            plain.stream("GET", server.url) as answered,
            pytest.raises(UpstreamError),
        ):
            next(ChatRelayStream(answered, append_error=append_error))


def test_a_page_in_the_place_of_a_stream_is_raised() -> None:
    def page(exchange: Exchange) -> None:
        exchange.head(6, status=502, content_type="text/html")
        exchange.send(b"<html>")

    with (
        serve(page) as server,
        httpx.Client() as client,
        client.stream("GET", server.url) as response,
        pytest.raises(NotEventStream),
    ):
        next(ChatRelayStream(response))
