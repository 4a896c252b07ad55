"""Faults of the network and of the server at every point of a stream, over every async client.

A script sends a stream up to a point, waits until the test has what is whole before it, and then resets the
connection, ends it, or says nothing any more. Whatever the client makes of that: everything before comes out,
nothing after it does, and what was cut never looks complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from clients import Client, aget_aiohttp_content, asynchronous
from servers import Exchange, serve

from deltawire import ChatStream, NotEventStream, StreamEnd, StreamTimeout, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable


def event(text: str, finish_reason: str = "null") -> bytes:
    delta = f'{{"content": "{text}"}}'
    choice = f'{{"index": 0, "delta": {delta}, "finish_reason": {finish_reason}}}'
    return f'data: {{"choices": [{choice}]}}\n\n'.encode()


COMMENT, DONE = b": PROCESSING\n\n", b"data: [DONE]\n\n"
BODY = COMMENT + event("a") + event("b") + event("", '"stop"') + DONE

# How far the stream comes, and what text is whole by then.
POINTS: dict[str, tuple[int, str]] = {
    "before anything": (0, ""),
    "in a comment": (5, ""),
    "after a comment": (len(COMMENT), ""),
    "in the first event": (len(COMMENT) + 20, ""),
    "between events": (len(COMMENT + event("a")), "a"),
    "in an event": (len(COMMENT + event("a")) + 20, "a"),
    "before the last brace of an event": (len(COMMENT + event("a") + event("b")) - 3, "a"),
    "before the sentinel": (len(BODY) - len(DONE) - len(event("", '"stop"')), "ab"),
}
http = asynchronous(lambda client: client.http and client.get is not aget_aiohttp_content)
decoding = asynchronous(lambda client: client.decodes and client.get is not aget_aiohttp_content)


async def read_until(stream: ChatStream, text: str) -> None:
    """Read what is whole."""
    found = ""
    while found != text:
        found += (await anext(stream)).choices[0].delta.content or ""


def fault(place: int, then: Callable[[Exchange], None], **head: Any) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.head("chunked", **head)
        exchange.send(BODY[:place]) if place else None
        exchange.wait()
        then(exchange)

    return script


async def assert_cut(client: Client, point: str, then: Callable[[Exchange], None], **head: Any) -> None:
    place, text = POINTS[point]
    with serve(fault(place, then, **head)) as server:
        async with client.get(server) as response, ChatStream(response) as stream:
            await read_until(stream, text)
            server.release()
            for _ in range(3):
                try:
                    await anext(stream)
                except StopAsyncIteration:
                    pytest.fail(f"{point}: it looks complete")
                except Exception:
                    continue
                pytest.fail(f"{point}: something came after it")
            assert (stream.completion.choices[0].message.content if text else "") == text
            assert not stream.done
            assert stream.end in (None, StreamEnd.TRUNCATED, StreamEnd.EMPTY, StreamEnd.NOT_SSE)


@pytest.mark.anyio
@http
async def test_a_reset_at_any_point_is_an_exception_after_what_came(client: Client) -> None:
    for point in POINTS:
        await assert_cut(client, point, Exchange.reset)


@pytest.mark.anyio
@http
async def test_an_end_at_any_point_is_an_exception_after_what_came(client: Client) -> None:
    """Of a body that is framed right, so that the client sees nothing wrong; and of one that is not."""
    for point in POINTS:
        await assert_cut(client, point, Exchange.end)
    await assert_cut(client, "in an event", lambda exchange: None)


@pytest.mark.anyio
@decoding
@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_a_compressed_body_that_is_cut_is_an_exception_after_what_came(
    client: Client, encoding: str
) -> None:
    for point in ("before anything", "in the first event", "in an event"):
        await assert_cut(client, point, Exchange.reset, **{encoding: True})
    await assert_cut(client, "between events", lambda exchange: None, **{encoding: True})


async def assert_stalled(client: Client, point: str) -> None:
    place, text = POINTS[point]
    # Long enough for what was sent, on a machine that is busy.
    deadlines: dict[str, Any] = {"idle_timeout" if text else "first_event_timeout": 0.5}
    with serve(fault(place, Exchange.wait_for_close)) as server:
        server.release()
        async with client.get(server) as response:
            async with ChatStream(response, **deadlines) as stream:
                await read_until(stream, text)
                with pytest.raises(StreamTimeout) as caught:
                    await anext(stream)
            error = caught.value
            assert {error.deadline: error.seconds} == deadlines
            assert error.completion is not None
            assert (error.offset, error.events) == (place, len(text))
            assert (error.completion.choices[0].message.content if text else "") == text
            assert await anyio.to_thread.run_sync(server.client_closed.wait, 5), "it left the connection open"


@pytest.mark.anyio
@http
async def test_a_stall_at_any_point_strikes_the_deadline_and_closes_the_connection(client: Client) -> None:
    async with anyio.create_task_group() as tasks:
        for point in POINTS:
            tasks.start_soon(assert_stalled, client, point)


@pytest.mark.anyio
@http
async def test_comments_keep_a_connection_but_are_no_progress(client: Client) -> None:
    def ping(exchange: Exchange) -> None:
        exchange.head("chunked")
        exchange.send(event("a"))
        try:
            while not exchange._server.client_closed.wait(0.01):
                exchange.send(COMMENT)
        except OSError:
            exchange._server.client_closed.set()

    with serve(ping) as server:
        async with client.get(server) as response, ChatStream(response, idle_timeout=0.3) as stream:
            await read_until(stream, "a")
            with pytest.raises(StreamTimeout):
                await anext(stream)
            assert stream.comments > 0
        server.client_closed.set()


@pytest.mark.anyio
@decoding
@pytest.mark.parametrize("encoding", ["gzip", "br"])
async def test_an_event_comes_out_of_a_compressed_body_before_the_deadline(
    client: Client, encoding: str
) -> None:
    def script(exchange: Exchange) -> None:
        encodings: dict[str, Any] = {encoding: True}
        exchange.head("chunked", **encodings)
        exchange.send(COMMENT + event("a"))
        exchange.wait()
        exchange.send(BODY[len(COMMENT + event("a")) :])
        exchange.end()

    with serve(script) as server:
        async with client.get(server) as response, ChatStream(response, idle_timeout=20) as stream:
            await read_until(stream, "a")
            server.release()
            assert (await stream.collect()).choices[0].message.content == "ab"


@pytest.mark.anyio
@http
async def test_a_page_in_the_place_of_a_stream_is_told_by_its_type_or_by_its_body(client: Client) -> None:
    for content_type in ("text/html", "text/event-stream", None):

        def page(exchange: Exchange, content_type: str | None = content_type) -> None:
            exchange.head("chunked", status=502, content_type=content_type)
            exchange.send(b"<html>\n<h1>502 Bad Gateway</h1>\n</html>\n")
            exchange.end()

        with serve(page) as server:
            async with client.get(server) as response:
                with pytest.raises(NotEventStream) as caught:
                    await ChatStream(response, first_event_timeout=20).collect()
        assert caught.value.status == 502
        assert caught.value.preview.startswith(b"<html>")


@pytest.mark.anyio
@http
async def test_a_document_in_the_place_of_a_stream_is_what_it_says(client: Client) -> None:
    def refuse(exchange: Exchange) -> None:
        exchange.head("chunked", status=429, content_type="application/json")
        exchange.send(b'{"error": {"message": "slow down", "code": 429}}')
        exchange.end()

    with serve(refuse) as server:
        async with client.get(server) as response:
            with pytest.raises(UpstreamError) as caught:
                await ChatStream(response, first_event_timeout=20).prefetch()
    assert (caught.value.status, caught.value.error.message) == (429, "slow down")


@pytest.mark.anyio
@http
@pytest.mark.parametrize("charset", ["utf-8", "windows-1252", "utf-16", "nonsense"])
async def test_a_wrong_charset_changes_nothing(client: Client, charset: str) -> None:
    """Event streams are UTF-8, whatever the header says."""

    def script(exchange: Exchange) -> None:
        exchange.head("chunked", content_type=f"text/event-stream; charset={charset}")
        exchange.send(event("\u00e4\U0001f642") + DONE)
        exchange.end()

    with serve(script) as server:
        async with client.get(server) as response:
            completion = await ChatStream(response, idle_timeout=20).collect()
    assert completion.choices[0].message.content == "\u00e4\U0001f642"


@pytest.mark.anyio
@http
async def test_a_reset_after_the_sentinel_is_no_failure(client: Client) -> None:
    def script(exchange: Exchange) -> None:
        exchange.head("chunked")
        exchange.send(BODY)
        exchange.wait()
        exchange.reset()

    with serve(script) as server:
        async with client.get(server) as response, ChatStream(response) as stream:
            await read_until(stream, "ab")
            await anext(stream)
            server.release()
            assert [chunk async for chunk in stream] == []
            assert stream.end is StreamEnd.DONE
