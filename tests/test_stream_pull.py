"""What `anext` of a stream awaits: it is native where all that is to be done is to read and to feed.

Whatever comes of a read, it is what the way through Python makes of it, `_afill`. What it is to who drives it
by hand is in test_stream_awaitable.py.
"""

from __future__ import annotations

import asyncio
import random
import sys
import types
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from chat_streams import text_of
from conftest import ASYNCIO
from fakes import BLOCK, Receiver, agenerate

from deltawire import (
    ChatRelayStream,
    ChatStream,
    EventStream,
    InvalidJSON,
    JSONStream,
    NotEventStream,
    UpstreamError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

    from fakes import Step

pytestmark = pytest.mark.anyio

MAKE: dict[str, Callable[..., Any]] = {
    "EventStream": EventStream,
    "JSONStream": JSONStream,
    "ChatStream": lambda source: ChatStream(source, errors="strict"),
    "ChatStream, limited": lambda source: ChatStream(source, max_message_size=12),
    "ChatRelayStream": ChatRelayStream,
    "ChatRelayStream, ending": lambda source: ChatRelayStream(source, append_error=True),
}
SOURCES: dict[str, Callable[[list[Step]], Any]] = {
    "generator": agenerate,
    "receiver": lambda steps: Receiver(*steps),
}


def event(text: str) -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n' % text.encode()


class Impatient:
    """Who awaits, and is cancelled when the source says so."""

    scope: anyio.CancelScope

    def cancel(self) -> None:
        self.scope.cancel()

    async def outcomes(self, give: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
        """Ask until the end and a little longer, and tell all that came of it."""
        found: list[Any] = []
        ends = 0
        while ends < 3:
            batch: list[Any] = ["cancelled"]
            try:
                with anyio.CancelScope() as self.scope:
                    batch = await give()
            except StopAsyncIteration:
                batch = ["end"]
                ends += 1
            except Exception as error:
                batch = [(type(error), str(error))]
                ends += not isinstance(error, InvalidJSON)
            found += batch
        return found


def steps_of(seed: int, cancel: Callable[[], object]) -> list[Step]:
    """Write what a source does: events, parts of them and several at once, broken ones, failures, the end."""
    draw = random.Random(seed)
    body = b"".join(
        draw.choice([event(str(number)), event(str(number)), b": hi\n\n", b"data: broken\n\n"])
        for number in range(draw.randrange(1, 9))
    )
    body += draw.choice([b"data: [DONE]\n\n", b"data: [DONE]\n\n" + event("late"), event("last")[:-1], b""])
    steps: list[Step] = []
    while body:
        size = draw.choice([1, 30, len(event("1")), 100, len(body)])
        steps.append(body[:size])
        body = body[size:]
    for _ in range(draw.choice([0, 0, 1, 2])):
        odd: list[Step] = [OSError("reset"), b"", cancel]
        steps.insert(draw.randrange(len(steps) + 1), draw.choice(odd))
    return steps


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
async def test_whatever_comes_of_a_read_is_what_python_makes_of_it(
    make: Callable[..., Any], source: Callable[[list[Step]], Any]
) -> None:
    for seed in range(200):
        found = []
        for is_native in (True, False):
            who = Impatient()
            async with make(source(steps_of(seed, who.cancel))) as stream:

                async def one(stream: Any = stream) -> list[Any]:
                    return [await anext(stream)]

                async def batch(stream: Any = stream) -> list[Any]:
                    return list(await stream._afill())

                outcomes = await who.outcomes(one if is_native else batch)
                found.append((outcomes, stream.bytes, stream.events, repr(stream)))
        assert found[0] == found[1], f"seed {seed}"


async def begun(*steps: Step) -> tuple[ChatStream, Any]:
    """Make a stream of which the first item was read, so that nothing is left to ask, and its source."""
    source = Receiver(event("a"), *steps)
    stream = ChatStream(source)
    assert text_of(await anext(stream)) == "a"
    return stream, source


async def test_nothing_is_read_before_it_is_awaited() -> None:
    stream, source = await begun(event("b"), event("c"))
    first, second = stream.__anext__(), stream.__anext__()
    assert source.receives == 1
    assert text_of(await second) == "b"
    assert text_of(await first) == "c"
    await stream.aclose()


async def test_it_can_be_awaited_in_another_task() -> None:
    stream, _ = await begun(event("b"))
    found = []

    async def wait(item: Awaitable[Any]) -> None:
        found.append(await item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, stream.__anext__())
    assert text_of(found[0]) == "b"
    await stream.aclose()


async def test_what_came_meanwhile_is_taken_first() -> None:
    stream, source = await begun(event("b") + event("c"))
    late = stream.__anext__()
    assert text_of(await anext(stream)) == "b"
    assert text_of(await late) == "c"
    assert source.receives == 2
    await stream.aclose()


async def test_it_is_awaited_once() -> None:
    stream, _ = await begun(event("b"))
    item = stream.__anext__()
    await item
    with pytest.raises(RuntimeError, match="already awaited"):
        await item
    await stream.aclose()


async def test_who_waits_is_not_disturbed_by_who_is_refused() -> None:
    gate = anyio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield event("a")
        await gate.wait()
        yield event("b")

    stream = ChatStream(source())
    await anext(stream)
    found = []
    item = stream.__anext__()

    async def wait() -> None:
        found.append(await item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        for again, message in [(stream.__anext__(), "one at a time"), (stream._afill(), "one at a time")]:
            with pytest.raises(RuntimeError, match=message):
                await again
        gate.set()
    assert text_of(found[0]) == "b"
    await stream.aclose()


async def test_the_first_item_is_waited_for_by_one_task_at_a_time() -> None:
    gate = anyio.Event()

    async def source() -> AsyncIterator[bytes]:
        await gate.wait()
        yield event("a")

    async with ChatStream(source(), on_end="return") as stream:
        found = []

        async def wait() -> None:
            found.append(await anext(stream))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="one at a time"):
                await anext(stream)
            gate.set()
        assert text_of(found[0]) == "a"


async def test_who_asks_while_a_refused_response_is_read_is_refused_too() -> None:
    gate = anyio.Event()

    class Page(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            await gate.wait()
            yield b"<html>"

    async with ChatStream(
        httpx.Response(200, headers={"Content-Type": "text/html"}, stream=Page())
    ) as stream:

        async def wait() -> None:
            with pytest.raises(NotEventStream):
                await anext(stream)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="one at a time"):
                await anext(stream)
            gate.set()


async def test_what_another_thread_has_left_pending_comes_out_before_the_end() -> None:
    async with ChatStream(agenerate([event("a") + event("b") + b"data: [DONE]\n\n"])) as stream:
        assert text_of(await anext(stream)) == "a"
        step = stream._next_step()
        assert step is not None
        assert [text_of(chunk) for chunk in await step] == ["b"]


async def test_who_asks_at_the_end_is_told_the_verdict_each_time() -> None:
    steps = [event("a"), b'data: {"error": "no"}\n\n', b"data: [DONE]\n\n"]
    async with ChatStream(agenerate(steps)) as stream:
        assert [(await anext(stream)).to_dict().get("error") for _ in range(2)] == [None, "no"]
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await anext(stream)


@pytest.mark.parametrize(("make", "items"), [(ChatStream, 2), (JSONStream, 2), (ChatRelayStream, 3)])
async def test_a_stream_that_ends_at_the_sentinel_is_read_without_a_coroutine(
    make: Any, items: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make, "_afill", None)
    async with make(agenerate([event("a"), event("b"), b"data: [DONE]\n\n", BLOCK])) as stream:
        assert len([item async for item in stream]) == items
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_it_cannot_be_awaited_by_what_it_waits_for() -> None:
    item: Any = None

    async def source() -> AsyncIterator[bytes]:
        yield event("a")
        with pytest.raises(RuntimeError, match="already running"):
            await item
        yield event("b")

    stream = ChatStream(source())
    await anext(stream)
    item = stream.__anext__()
    assert text_of(await item) == "b"
    await stream.aclose()


class Reading:
    """A source whose reads are awaitables of a kind."""

    def __init__(self, give: Callable[[bytes], Any]) -> None:
        self.give = give
        self.chunks = [event("a"), event("b"), event("c")]

    def __aiter__(self) -> Reading:
        return self

    def __anext__(self) -> Any:
        if not self.chunks:
            raise StopAsyncIteration
        return self.give(self.chunks.pop(0))


class Plain:
    """An awaitable of an iterator that knows no `send`."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def __await__(self) -> Any:
        return _Returning(self.value)


class _Returning:
    def __init__(self, value: bytes) -> None:
        self.value = value

    def __iter__(self) -> _Returning:
        return self

    def __next__(self) -> None:
        raise StopIteration(self.value)


@types.coroutine
def by_generator(value: bytes) -> Generator[Any, None, bytes]:
    yield from checkpoint().__await__()
    return value


async def by_coroutine(value: bytes) -> bytes:
    await checkpoint()
    return value


@pytest.mark.parametrize("read", [by_coroutine, by_generator, Plain])
async def test_the_source_may_give_any_awaitable(read: Callable[[bytes], Any]) -> None:
    stream = ChatStream(Reading(read), on_end="return")
    assert [text_of(chunk) async for chunk in stream] == ["a", "b", "c"]
    await stream.aclose()


@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_the_source_may_give_a_future() -> None:
    def read(value: bytes) -> asyncio.Future[bytes]:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, value)
        return future

    stream = ChatStream(Reading(read), on_end="return")
    assert [text_of(chunk) async for chunk in stream] == ["a", "b", "c"]
    await stream.aclose()


async def test_what_is_not_awaitable_is_refused() -> None:
    stream = ChatStream(Reading(lambda value: by_coroutine(value) if value == event("a") else value))
    await anext(stream)
    with pytest.raises(TypeError, match="object bytes can't be used in 'await' expression"):
        await anext(stream)
    with pytest.raises(anyio.BrokenResourceError):
        await anext(stream)
    await stream.aclose()


async def give_next(stream: Any) -> Any:
    return await anext(stream)


async def give_next_or_default(stream: Any) -> Any:
    return await anext(stream, "default")


def stop(value: object) -> Any:
    raise StopIteration("no item")


@pytest.mark.parametrize("give", [give_next, give_next_or_default])
@pytest.mark.parametrize("raises", ["source", "on_gap"])
async def test_a_stop_iteration_is_no_item(give: Callable[[Any], Awaitable[Any]], raises: str) -> None:
    """Who steps through an iterator, as `await` does from Python 3.12 on, takes it for what is returned."""
    stops = event("b") if raises == "source" else None
    read = Reading(lambda value: stop(value) if value == stops else by_coroutine(value))
    stream = ChatStream(read, on_end="return")
    assert text_of(await give(stream)) == "a"
    if raises == "on_gap":
        stream.timings.on_gap = stop
    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        await give(stream)
    assert isinstance(caught.value.__cause__, StopIteration)
    await stream.aclose()


@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_a_stop_iteration_ends_the_task_that_waits() -> None:
    read = Reading(lambda value: by_coroutine(value) if value == event("a") else stop(value))
    stream = ChatStream(read, on_end="return")
    await anext(stream)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await asyncio.wait_for(anext(stream), 5)
    await stream.aclose()


async def test_it_works_under_a_tracer() -> None:
    """A debugger has CPython call `send` by its name."""

    def trace(frame: types.FrameType, what: str, value: Any) -> Any:
        return trace

    stream = ChatStream(agenerate([event("a"), event("b"), event("c")]), on_end="return")
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = [text_of(chunk) async for chunk in stream]
    finally:
        sys.settrace(before)
    assert found == ["a", "b", "c"]
    await stream.aclose()


async def test_an_error_of_the_parser_comes_after_what_was_before_it() -> None:
    body = [event("a"), event("b"), event("c") + b"data: broken\n\n" + event("d"), b"data: [DONE]\n\n"]
    stream = ChatStream(agenerate(body), errors="strict", on_end="return")
    assert [text_of(await anext(stream)) for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(InvalidJSON) as caught:
        await anext(stream)
    assert caught.value.values == []
    assert [text_of(chunk) async for chunk in stream] == ["d"]
    await stream.aclose()
