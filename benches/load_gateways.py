"""The gateways that the load bench compares: `python -m benches.load_gateways NUMBER URL`, see WAYS.

Each runs in a process of its own and is the same ASGI server (uvicorn) around the same HTTP client (httpx2,
which the openai package uses too). They differ in what they do to the bytes between the two, and all but the
first know the bill in the end. It prints the port that it serves on. GET tells what the process has used up:
CPU nanoseconds, bytes resident, tokens billed.
"""
# ruff: noqa: T201 - it tells its port.

import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from resource import getpagesize
from typing import Any, NamedTuple

import httpx2
import httpx_sse
import openai
import orjson
import uvicorn
import uvloop

from benches.load_streams import HOUSE_MODEL, Keeps
from deltawire import ChatRelay, ChatRelayStream

Asked = dict[str, Any]
Answer = AsyncIterator[bytes]


class Upstream:
    """The clients, and what was billed."""

    def __init__(self, url: str) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
        self.http = httpx2.AsyncClient(base_url=url, limits=limits, timeout=60.0)
        self.openai = openai.AsyncOpenAI(api_key="k", base_url=url, http_client=self.http, max_retries=0)
        self.tokens = 0

    def ask(self, asked: Asked) -> Any:
        return self.http.stream("POST", "chat/completions", json=asked)


async def proxy(upstream: Upstream, asked: Asked) -> Answer:
    async with upstream.ask(asked) as response:
        yield b""
        async for data in response.aiter_raw():
            yield data


def relay(rules: dict[str, Any]) -> Callable[[Upstream, Asked], Answer]:
    async def relayed(upstream: Upstream, asked: Asked) -> Answer:
        async with upstream.ask(asked) as response:
            yield b""
            relay = ChatRelay(**rules)
            async for data in response.aiter_raw():
                yield relay.feed(data)
            yield relay.close()
            assert relay.usage is not None
            upstream.tokens += relay.usage.completion_tokens or 0

    return relayed


async def relay_stream(upstream: Upstream, asked: Asked) -> Answer:
    async with upstream.ask(asked) as response:
        yield b""
        stream = ChatRelayStream(
            response,
            set={"model": HOUSE_MODEL},
            usage="drop",
            append_error=True,
            keep_alive=15.0,
            on_disconnect="drain",
            first_event_timeout=60.0,
            idle_timeout=60.0,
            total_timeout=600.0,
        )
        async with stream:
            async for data in stream:
                yield data
        assert stream.usage is not None
        upstream.tokens += stream.usage.completion_tokens or 0


async def httpx_sse_orjson(upstream: Upstream, asked: Asked) -> Answer:
    async with upstream.ask(asked) as response:
        yield b""
        # It asks of a response what those of httpx2 have too.
        async for event in httpx_sse.EventSource(response).aiter_sse():
            if event.data == "[DONE]":
                yield b"data: [DONE]\n\n"
            else:
                chunk = orjson.loads(event.data)
                if chunk["usage"] is not None:
                    upstream.tokens += chunk["usage"]["completion_tokens"]
                yield b"data: " + orjson.dumps(chunk) + b"\n\n"


async def openai_sdk(upstream: Upstream, asked: Asked) -> Answer:
    chunks: Any = await upstream.openai.chat.completions.create(**asked)
    yield b""
    async for chunk in chunks:
        if chunk.usage is not None:
            upstream.tokens += chunk.usage.completion_tokens
        yield b"data: " + chunk.model_dump_json(exclude_unset=True).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


class Way(NamedTuple):
    """A gateway: how it answers, beginning with nothing once the upstream has; and what it keeps."""

    answer: Callable[[Upstream, Asked], Answer]
    keeps: Keeps
    bills: bool = True


PROXY = "raw byte proxy"
RELAY = "deltawire relay"
RULES = "deltawire relay, model set, usage dropped"
STREAM = "deltawire relay stream, as the example gateway sets it"
SSE = "httpx-sse and orjson, re-serialised"
OPENAI = "openai SDK, re-serialised"

WAYS = {
    PROXY: Way(proxy, Keeps.BYTES, bills=False),
    RELAY: Way(relay({}), Keeps.BYTES),
    RULES: Way(relay({"set": {"model": HOUSE_MODEL}, "usage": "drop"}), Keeps.RULES),
    STREAM: Way(relay_stream, Keeps.RULES),
    SSE: Way(httpx_sse_orjson, Keeps.VALUES),
    OPENAI: Way(openai_sdk, Keeps.VALUES),
}


def app(way: Way, upstream: Upstream) -> Any:
    """Make the ASGI app, bare, so that nothing of a framework is measured."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def start(content_type: bytes) -> None:
            headers = [(b"content-type", content_type)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def body(data: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        if scope["method"] == "GET":
            used = {"cpu": time.process_time_ns(), "resident": _resident(), "tokens": upstream.tokens}
            await start(b"application/json")
            await body(json.dumps(used).encode(), more=False)
            return
        message = await receive()
        asked = message["body"]
        while message["more_body"]:
            message = await receive()
            asked += message["body"]
        parts = way.answer(upstream, orjson.loads(asked))
        await anext(parts)
        await start(b"text/event-stream")
        async for data in parts:
            if data:
                await body(data)
        await body(b"", more=False)

    return answer


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


async def main() -> None:
    way = list(WAYS.values())[int(sys.argv[1])]
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app(way, Upstream(sys.argv[2])), lifespan="off", log_level="error", backlog=4096)
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    uvloop.run(main())
