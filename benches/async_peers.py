"""Chat streams over an in-memory source, with `async for`: from chunks to the message or the last value.

The source is an async generator that never waits, the same for all; so what is timed is the stream and not
the network. A way drives the event loop itself, and is as such called like any other; what is timed reads all
its inputs inside one run of the loop, as a run takes as long as reading ten events. What a way leaves to the
event loop is done in its own time: openai leaves generators, and asyncio closes each of them in a task, which
would otherwise run within the time of whoever comes next.

- feeding: `ChatParser.feed` inside a plain `async for`. What a user would write without a stream.
- ChatStream: the chunks are iterated over, and the message is asked for at the end.
- openai: `AsyncStream` as its client makes it, over a response of httpx2 with the source as its content, and
  `ChatCompletionStreamState`, which is what `client.chat.completions.stream` runs.
- httpx-sse: its `EventSource` over a response of httpx with the source as its content, and orjson.
- httpx2: its own `EventSource`, and orjson.
"""

import asyncio
import atexit
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import cache, partial
from typing import Any

import httpx
import httpx2
import httpx_sse
import openai
import orjson
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from benches import message_peers
from benches.bodies import DONE, Chunks
from benches.chats import Way
from deltawire import ChatCompletion, ChatParser, ChatStream

EVENT_STREAM = {"content-type": "text/event-stream"}


async def source(chunks: Chunks) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def feeding(chunks: Chunks) -> Any:
    last = None
    parser = ChatParser()
    async for data in source(chunks):
        for chunk in parser.feed(data):
            last = chunk
    parser.close()
    return last


async def iterating(chunks: Chunks) -> Any:
    last = None
    async with ChatStream(source(chunks)) as stream:
        async for chunk in stream:
            last = chunk
    return last


async def deltawire(chunks: Chunks) -> ChatCompletion:
    async with ChatStream(source(chunks)) as stream:
        async for _ in stream:
            pass
    return stream.completion


async def openai_client(chunks: Chunks) -> Any:
    response = _httpx2_response(chunks)
    state = ChatCompletionStreamState()
    stream = openai.AsyncStream(cast_to=ChatCompletionChunk, response=response, client=_openai_client())
    async for chunk in stream:
        state.handle_chunk(chunk)
    return state.get_final_completion()


async def httpx_sse_orjson(chunks: Chunks) -> Any:
    value = None
    response = httpx.Response(200, headers=EVENT_STREAM, content=source(chunks))
    async for sse in httpx_sse.EventSource(response).aiter_sse():
        # Reading on after the sentinel lets the generators end by themselves, and nothing comes after it.
        data = sse.data
        if data != DONE:
            value = orjson.loads(data)
    return value


async def httpx2_orjson(chunks: Chunks) -> Any:
    value = None
    response = _httpx2_response(chunks)
    async for sse in httpx2.EventSource(response):
        # Reading on after the sentinel lets the generators end by themselves, and nothing comes after it.
        data = sse.data
        if data != DONE:
            value = orjson.loads(data)
    return value


def _httpx2_response(chunks: Chunks) -> httpx2.Response:
    request = httpx2.Request("POST", "http://localhost/")
    return httpx2.Response(200, headers=EVENT_STREAM, content=source(chunks), request=request)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()

    def close() -> None:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    atexit.register(close)
    return loop


@cache
def _openai_client() -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key="none", base_url="http://localhost/")


def run(read: Callable[[Chunks], Coroutine[Any, Any, Any]]) -> Callable[[Chunks], Any]:
    """Make a function of a coroutine function."""

    def runs(chunks: Chunks) -> Any:
        return _run(read(chunks))

    return runs


def over(read: Callable[[Chunks], Awaitable[object]], inputs: list[Chunks]) -> Callable[[], None]:
    """Return a function that reads one input after the other inside one run of the loop."""

    async def all_of_them() -> None:
        for each in inputs:
            await read(each)

    return lambda: _run(all_of_them())


def _run(reading: Coroutine[Any, Any, Any]) -> Any:
    result = _loop().run_until_complete(reading)
    if asyncio.all_tasks(_loop()):
        _loop().run_until_complete(_finish())
    return result


async def _finish() -> None:
    """Let run what was left to the event loop, and what that leaves in its turn."""
    rounds_without = 0
    while rounds_without < 2:  # a task that is to be made is none yet
        await asyncio.sleep(0)
        rounds_without = 0 if len(asyncio.all_tasks()) > 1 else rounds_without + 1


def _way(
    read: Callable[[Chunks], Coroutine[Any, Any, Any]],
    result: Callable[[Any], Any] | None = None,
    *,
    floor: bool = False,
) -> Way:
    return Way(run(read), result, floor=floor, over=partial(over, read))


def _to_dict(chunk: Any) -> dict[str, Any] | None:
    return None if chunk is None else chunk.to_dict()


OURS = "deltawire ChatStream"
OPENAI = "openai client and accumulator"

WAYS = {
    OURS: _way(deltawire, message_peers.found),
    OPENAI: _way(openai_client, message_peers.found),
    "httpx-sse + orjson": _way(httpx_sse_orjson, floor=True),
    "httpx2 + orjson": _way(httpx2_orjson, floor=True),
    "deltawire ChatParser, fed": _way(feeding, _to_dict, floor=True),
}
