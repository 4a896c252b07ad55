"""Chat streams over HTTP on loopback, by client: from a request to the message or the last value.

Each client keeps one connection, which is warm when it is timed. Beside the readers stands each client that
only takes the bytes: what is left is the client's own cost, and no parser changes that.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import httpx
import httpx2
import httpx_sse
import openai
import orjson
from openai.lib.streaming.chat import ChatCompletionStreamState

from benches import chats, message_peers
from benches.bodies import DONE
from benches.chats import Chat
from deltawire import ChatCompletion, ChatStream


class Clients(NamedTuple):
    """One open client of each sort, and where the server is."""

    base: str
    httpx: httpx.AsyncClient
    httpx2: httpx2.AsyncClient
    aiohttp: aiohttp.ClientSession


ROOT = Path(__file__).parent.parent

Read = Callable[[Clients, str], Coroutine[Any, Any, Any]]


async def httpx_bytes(clients: Clients, path: str) -> int:
    size = 0
    async with clients.httpx.stream("GET", clients.base + path) as response:
        async for data in response.aiter_bytes():
            size += len(data)
    return size


async def httpx_deltawire(clients: Clients, path: str) -> ChatCompletion:
    async with (
        clients.httpx.stream("GET", clients.base + path) as response,
        ChatStream(response) as stream,
    ):
        async for _ in stream:
            pass
        return stream.completion


async def httpx_sse_orjson(clients: Clients, path: str) -> Any:
    value = None
    async with clients.httpx.stream("GET", clients.base + path) as response:
        async for sse in httpx_sse.EventSource(response).aiter_sse():
            if sse.data != DONE:
                value = orjson.loads(sse.data)
    return value


async def httpx2_bytes(clients: Clients, path: str) -> int:
    size = 0
    async with clients.httpx2.stream("GET", clients.base + path) as response:
        async for data in response.aiter_bytes():
            size += len(data)
    return size


async def httpx2_deltawire(clients: Clients, path: str) -> ChatCompletion:
    async with (
        clients.httpx2.stream("GET", clients.base + path) as response,
        ChatStream(response) as stream,
    ):
        async for _ in stream:
            pass
        return stream.completion


async def httpx2_orjson(clients: Clients, path: str) -> Any:
    value = None
    async with clients.httpx2.stream("GET", clients.base + path) as response:
        async for sse in httpx2.EventSource(response):
            if sse.data != DONE:
                value = orjson.loads(sse.data)
    return value


async def httpx2_openai(clients: Clients, path: str) -> Any:
    client = openai.AsyncOpenAI(api_key="none", base_url=clients.base + path, http_client=clients.httpx2)
    state = ChatCompletionStreamState()
    messages: Any = [{"role": "user", "content": "?"}]
    async with await client.chat.completions.create(model="m", messages=messages, stream=True) as stream:
        async for chunk in stream:
            state.handle_chunk(chunk)
    return state.get_final_completion()


async def aiohttp_bytes(clients: Clients, path: str) -> int:
    size = 0
    async with clients.aiohttp.get(clients.base + path) as response:
        async for data in response.content.iter_any():
            size += len(data)
    return size


async def aiohttp_deltawire(clients: Clients, path: str) -> ChatCompletion:
    async with clients.aiohttp.get(clients.base + path) as response, ChatStream(response) as stream:
        async for _ in stream:
            pass
        return stream.completion


async def aiohttp_lines_orjson(clients: Clients, path: str) -> Any:
    value = None
    async with clients.aiohttp.get(clients.base + path) as response:
        async for line in response.content:
            if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                value = orjson.loads(line[6:])
    return value


READERS: dict[str, dict[str, Read]] = {
    "httpx": {
        "bytes alone": httpx_bytes,
        "deltawire ChatStream": httpx_deltawire,
        "httpx-sse + orjson": httpx_sse_orjson,
    },
    "httpx2": {
        "bytes alone": httpx2_bytes,
        "deltawire ChatStream": httpx2_deltawire,
        "httpx2 + orjson": httpx2_orjson,
        "openai client and accumulator": httpx2_openai,
    },
    "aiohttp": {
        "bytes alone": aiohttp_bytes,
        "deltawire ChatStream": aiohttp_deltawire,
        "its lines + orjson": aiohttp_lines_orjson,
    },
}


def assert_right(returned: Any, chat: Chat) -> None:
    """Hold what a reader returned against the stream: its size, its messages or its last value."""
    if isinstance(returned, int):
        assert returned == chat.stream.size
    elif isinstance(returned, dict):
        assert returned == json.loads(chat.stream.payloads[-1])
    else:
        assert message_peers.found(returned) == chats.messages(chat)


@asynccontextmanager
async def opened() -> AsyncIterator[Clients]:
    """Start the server and open the clients."""
    command = [sys.executable, "-m", "benches.http_server"]
    async with AsyncExitStack() as stack:
        pipe = asyncio.subprocess.PIPE
        server = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT)
        stack.push_async_callback(server.wait)
        assert server.stdin is not None
        assert server.stdout is not None
        stack.callback(server.stdin.close)
        base = f"http://127.0.0.1:{int(await server.stdout.readline())}"
        yield Clients(
            base,
            await stack.enter_async_context(httpx.AsyncClient(timeout=30)),
            await stack.enter_async_context(httpx2.AsyncClient(timeout=30)),
            await stack.enter_async_context(aiohttp.ClientSession()),
        )
