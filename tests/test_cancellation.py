"""Cancellation at every await of a stream's life, from the first read to the end of closing.

A source counts what it is asked to wait for, over all its methods, and at the k-th of them cancels whoever
waits and never answers. For every k there is: nothing that came is lost or comes twice, the source is closed,
the cancellation passes unchanged, and what was cut does not look complete. Where time matters it is virtual.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from conftest import ASYNCIO
from virtual_time import VIRTUAL

from deltawire import ChatStream, NotEventStream, StreamTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


def event(text: str) -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n' % text.encode()


PIECES = [b": hi\n\n", event("a") + event("b"), event("c")[:20], event("c")[20:], b"data: [DONE]\n\n"]
REST = [b": bye\n\n", b"\n"]
TEXTS = ["a", "b", "c"]


class Waits:
    """What waits at every turn, and at the k-th cancels and never goes on.

    Attributes:
        count: how often it was waited for.
        closed: which of its two parts were closed, in order.
        finished: those of them whose closing was not cut short.
    """

    def __init__(self, at: int | None, cancel: Callable[[], object], content_type: str) -> None:
        self.at = at
        self.cancel = cancel
        self.count = 0
        self.closed: list[str] = []
        self.finished: list[str] = []
        self.headers = {"content-type": content_type}
        self.http_version = "HTTP/1.1"

    async def turn(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.cancel()
            await anyio.sleep_forever()
        await checkpoint()

    async def close(self, part: str) -> None:
        self.closed.append(part)
        await self.turn()
        self.finished.append(part)


class Response(Waits):
    """A response that is read by a generator, as those of httpx are: a cancelled read ends it."""

    def aiter_bytes(self) -> Chunks:
        return Chunks(self)

    async def aclose(self) -> None:
        await self.close("response")


class Chunks:
    def __init__(self, response: Response) -> None:
        self.response = response
        self.chunks = self.generate()
        self.ag_running = False

    async def generate(self) -> AsyncIterator[bytes]:
        for piece in [*PIECES, *REST]:
            await self.response.turn()
            yield piece
        await self.response.turn()

    def __aiter__(self) -> Chunks:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self.chunks.__anext__()

    async def aclose(self) -> None:
        await self.response.close("chunks")


class Socket(Waits):
    """A byte stream in the style of anyio: a cancelled read has taken nothing."""

    headers: Any

    def __init__(self, at: int | None, cancel: Callable[[], object], content_type: str) -> None:
        super().__init__(at, cancel, content_type)
        del self.headers
        self.pieces = [*PIECES, *REST]

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await self.turn()
        if not self.pieces:
            raise anyio.EndOfStream
        return self.pieces.pop(0)

    async def aclose(self) -> None:
        await self.close("response")


async def iterate(stream: ChatStream, found: list[str]) -> None:
    async for chunk in stream:
        found.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - also where it is cancelled


async def take_batches(stream: ChatStream, found: list[str]) -> None:
    async for batch in stream.batches():
        found.extend(chunk.choices[0].delta.content or "" for chunk in batch)


async def take_texts(stream: ChatStream, found: list[str]) -> None:
    async for text in stream.text_deltas():
        found.append(text)  # noqa: PERF401 - what came before the cancellation counts


async def look_and_iterate(stream: ChatStream, found: list[str]) -> None:
    assert (await stream.prefetch()) is not None
    await iterate(stream, found)


READS = [iterate, take_batches, take_texts, look_and_iterate]
ALL = {"first_event_timeout": 60, "idle_timeout": 60, "total_timeout": 600}
EVENTS = "text/event-stream"


async def use(
    source: Any, read: Callable[[ChatStream, list[str]], Awaitable[None]], deadlines: dict[str, Any]
) -> tuple[ChatStream, list[str], bool]:
    """Read it in a task's own block; tell whether the reading came to its end."""
    found: list[str] = []
    ended = False
    stream = ChatStream(source, **deadlines)
    async with stream:
        await read(stream, found)
        ended = True
    return stream, found, ended


async def count_waits(kind: type[Waits], read: Any) -> int:
    source = kind(None, lambda: None, EVENTS)
    stream, found, ended = await use(source, read, {})
    assert (found, ended, stream.done) == (TEXTS, True, True)
    assert source.closed[-1] == "response"
    return source.count


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL, scope="module")
@pytest.mark.parametrize("deadlines", [{}, ALL], ids=["", "deadlines"])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", [Response, Socket])
async def test_cancelling_a_scope_at_any_await_closes_the_source(
    kind: type[Waits], read: Any, deadlines: dict[str, Any]
) -> None:
    waits = await count_waits(kind, read)
    for at in range(1, waits + 1):
        found: list[str] = []
        stream: ChatStream | None = None
        began = anyio.current_time()
        with anyio.CancelScope() as scope:
            source = kind(at, scope.cancel, EVENTS)
            stream = ChatStream(source, **deadlines)
            async with stream:
                await read(stream, found)
            # Nobody has noticed: the last await was one of closing, which is shielded.
            await checkpoint()
        assert scope.cancelled_caught
        assert found == TEXTS[: len(found)]
        assert source.closed == (["chunks", "response"] if kind is Response else ["response"])
        if at <= waits - len(source.closed):
            assert source.finished == source.closed, "closing was cut short"
        assert anyio.current_time() - began < 1.1, "closing takes a second at most"
        assert stream is not None
        if not stream.done:
            assert stream.end is None
        with pytest.raises(anyio.ClosedResourceError):
            await anext(stream)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO, scope="module")
@pytest.mark.parametrize("deadlines", [{}, ALL], ids=["", "deadlines"])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", [Response, Socket])
async def test_cancelling_a_task_of_asyncio_at_any_await_closes_the_source(
    kind: type[Waits], read: Any, deadlines: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltawire._closing._CLOSE_SECONDS", 0.05)
    waits = await count_waits(kind, read)
    for at in range(1, waits + 1):
        source = kind(at, lambda: None, EVENTS)
        task = asyncio.create_task(use(source, read, deadlines))
        source.cancel = task.cancel
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)
        assert source.closed == (["chunks", "response"] if kind is Response else ["response"])
        if at <= waits - len(source.closed):
            assert source.finished == source.closed, "closing was cut short"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL, scope="module")
@pytest.mark.parametrize("deadlines", [{}, ALL], ids=["", "deadlines"])
async def test_a_byte_stream_is_read_on_after_a_cancellation_at_any_await(deadlines: dict[str, Any]) -> None:
    for at in range(1, len(PIECES) + 1):
        found: list[str] = []
        scope = anyio.CancelScope()
        source = Socket(at, scope.cancel, EVENTS)
        async with ChatStream(source, **deadlines) as stream:
            with scope:
                await iterate(stream, found)
            assert scope.cancelled_caught
            await iterate(stream, found)
        assert (found, stream.done) == (TEXTS, True)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL, scope="module")
async def test_a_response_that_was_cancelled_does_not_look_complete() -> None:
    for at in range(1, len(PIECES) + 1):
        scope = anyio.CancelScope()
        source = Response(at, scope.cancel, EVENTS)
        async with ChatStream(source) as stream:
            with scope:
                await iterate(stream, [])
            assert scope.cancelled_caught
            with pytest.raises(anyio.BrokenResourceError, match="cancelled"):
                await anext(stream)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL, scope="module")
async def test_a_source_that_never_answers_at_any_await_is_given_up_at_the_deadline() -> None:
    """No cancellation from outside: where a read hangs a deadline strikes, where closing hangs a second."""
    for kind in (Response, Socket):
        for at in range(1, await count_waits(kind, iterate) + 1):
            source = kind(at, lambda: None, EVENTS)
            began = anyio.current_time()
            found: list[str] = []
            struck = None
            try:
                async with ChatStream(source, idle_timeout=5) as stream:
                    await iterate(stream, found)
            except StreamTimeout as error:
                struck = error.deadline
            assert (struck == "idle_timeout") == (at <= len(PIECES))
            assert (found == TEXTS) == (at > len(PIECES) - 1)
            assert anyio.current_time() - began < 6.2
            assert source.closed == (["chunks", "response"] if kind is Response else ["response"])


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL, scope="module")
async def test_cancellation_while_a_refused_body_is_read_closes_the_response() -> None:
    source: Waits = Response(None, lambda: None, "text/html")
    with pytest.raises(NotEventStream):
        await use(source, iterate, {})
    for at in range(1, source.count + 1):
        with anyio.CancelScope() as scope:
            source = Response(at, scope.cancel, "text/html")
            try:
                await use(source, iterate, {})
            except NotEventStream:
                assert at > len(PIECES + REST) + 1, "it was cancelled before it could be refused"
            await checkpoint()
        assert scope.cancelled_caught
        assert source.closed == ["chunks", "response"]
