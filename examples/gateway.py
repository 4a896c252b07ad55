"""A gateway for chats: routes models to providers, passes their bytes on, and keeps the books.

    python examples/gateway.py examples/gateway.toml 8080

serves POST /v1/chat/completions, streaming or not, and GET /v1/models, both for clients with a key of the
file; GET /metrics is for Prometheus. The upstreams of a model are asked in turn until the first event of one
is no error; from then on its bytes are the client's, apart from the name of the model and a usage that nobody
asked for. What every request used, and how it ended, becomes a line of the usage log.

Nothing of a request but its JSON goes to an upstream, nothing of a response but its body goes to a client.
"""

import gc
import hashlib
import hmac
import os
import sys
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import anyio
import httpx2
import orjson
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from deltawire import (
    ChatRelayStream,
    DeltawireError,
    IncompleteStream,
    InvalidJSON,
    NotEventStream,
    StreamEnd,
    UpstreamError,
)
from deltawire.encoding import error_body
from deltawire.metrics import StreamMetrics
from deltawire.verdict import ProviderError

# Nobody on the way is to keep or to collect the stream; the second is nginx's.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# Another provider would say the same.
CLIENTS_FAULT = {400, 413, 415, 422}
# What a provider says with these is about the gateway's own account, and none of the client's business.
GATEWAYS_FAULT = {401, 402, 403, 404}
LOOK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Upstream:
    """A model at a provider. The key may stand in an environment variable instead."""

    name: str
    base_url: str
    model: str
    key: str = field(default="", repr=False)
    key_env: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        key = os.environ[self.key_env] if self.key_env else self.key
        authorization = {"Authorization": f"Bearer {key}"} if key else {}
        return {"url": f"{self.base_url}/chat/completions", "headers": {**self.headers, **authorization}}


@dataclass(frozen=True)
class Limits:
    """What a request may take, in seconds and bytes."""

    body_bytes: int = 4 * 1024 * 1024
    body: float = 30.0
    connect: float = 5.0
    first_event: float = 60.0
    idle: float = 60.0
    total: float = 600.0
    event_bytes: int = 8 * 1024 * 1024
    keep_alive: float = 15.0
    # For a client to take what it is sent, and to learn the bill of one that is gone.
    send: float = 60.0
    drain: float = 30.0
    # For streams to end after Ctrl-C; then they are cut, which no client takes for an end.
    shutdown: float = 10.0


@dataclass(frozen=True)
class Config:
    """The TOML file. Of the clients' keys only digests are kept, which are of one length."""

    keys: dict[str, bytes]
    models: dict[str, list[Upstream]]
    limits: Limits
    usage_log: Path

    @classmethod
    def load(cls, path: Path) -> "Config":
        table = tomllib.loads(path.read_text("utf-8"))
        if any(len(key) < 16 for key in table["keys"].values()):
            raise ValueError("a key has at least 16 characters")
        models = {model: [Upstream(**one) for one in made] for model, made in table["models"].items()}
        for upstreams in models.values():
            [upstream.request() for upstream in upstreams]  # fails now where a key is missing
        return cls(
            keys={name: hashlib.sha256(key.encode()).digest() for name, key in table["keys"].items()},
            models=models,
            limits=Limits(**table.get("limits", {})),
            usage_log=path.parent / table["usage_log"],
        )


class Refused(HTTPException):
    """A request that is answered with an error of the gateway's own."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, message)
        self.code = code


class Call:
    """One request: who asks for what, who was asked for it, and what came."""

    def __init__(self, key: str, body: dict[str, Any]) -> None:
        self.key = key
        self.body = body
        self.model: str = body["model"]
        self.streams = body.get("stream") is True
        self.options: dict[str, Any] = body.get("stream_options") or {}
        self.started = time.monotonic()
        self.tried: list[str] = []
        self.stream: ChatRelayStream | None = None
        self.head = b""
        self.delivered = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Give all that is to be sent to the client: first what was read to look at it."""
        assert self.stream is not None
        yield self.head
        async for data in self.stream:
            yield data


class Gateway:
    """The endpoints."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.registry = CollectorRegistry()
        names = {one.name for upstreams in config.models.values() for one in upstreams}
        labels = {"model": config.models, "upstream": names}
        self.metrics = StreamMetrics(labels=labels, registry=self.registry)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        limits = self.config.limits
        timeout = httpx2.Timeout(limits.idle, connect=limits.connect)
        pool = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        async with httpx2.AsyncClient(timeout=timeout, limits=pool) as self.client:
            yield

    async def models(self, request: Request) -> Response:
        self.authenticate(request)
        data = [
            {"id": model, "object": "model", "created": 0, "owned_by": "gateway"}
            for model in self.config.models
        ]
        return json_response({"object": "list", "data": data})

    async def scrape(self, _: Request) -> Response:
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    async def chat(self, request: Request) -> Response:
        key = self.authenticate(request)
        call = Call(key, await self.read(request))
        try:
            stack = await self.ask(call)
        except BaseException as error:
            self.book(call)
            if not isinstance(error, DeltawireError | httpx2.HTTPError):
                raise
            return failure_response(error)
        if call.streams:
            return Relayed(call, stack, self)
        async with stack:
            assert call.stream is not None
            answer = {**call.stream.completion.to_dict(), "model": call.model}
        call.delivered = True
        self.book(call)
        return json_response(answer)

    def authenticate(self, request: Request) -> str:
        """Give the name of the client's key. How long it takes tells nothing of the keys that there are."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(given.encode()).digest()
        found = [name for name, key in self.config.keys.items() if hmac.compare_digest(key, digest)]
        if not found or scheme.lower() != "bearer":
            raise Refused(401, "invalid_api_key", "This key is not known here.")
        return found[0]

    async def read(self, request: Request) -> dict[str, Any]:
        """Read the body of a chat, as far as it is allowed, and check what the gateway needs of it."""
        limits, body = self.config.limits, bytearray()
        try:
            with anyio.fail_after(limits.body):
                async for part in request.stream():
                    body += part
                    if len(body) > limits.body_bytes:
                        told = f"A request has at most {limits.body_bytes:,} bytes."
                        raise Refused(413, "request_too_large", told)
        except (TimeoutError, ClientDisconnect):
            raise Refused(408, "request_timeout", "The request did not come in time.") from None
        asked: Any = None
        with suppress(ValueError):
            asked = orjson.loads(body)
        if not isinstance(asked, dict) or not isinstance(asked.get("stream_options") or {}, dict):
            raise Refused(400, "invalid_json", "The body is no JSON object of a chat.")
        if not isinstance(asked.get("model"), str) or asked["model"] not in self.config.models:
            raise Refused(404, "model_not_found", "There is no such model; GET /v1/models lists them.")
        return asked

    async def ask(self, call: Call) -> AsyncExitStack:
        """Ask the upstreams of a model in turn, until one has begun to answer, or answered all.

        Raises:
            DeltawireError: what the last one answered is no chat.
            httpx2.HTTPError: it could not be reached.
        """
        for upstream in (upstreams := self.config.models[call.model]):
            call.tried.append(upstream.name)
            call.stream = None
            try:
                async with AsyncExitStack() as stack:
                    await self.begin(call, upstream, stack)
                    return stack.pop_all()
            except (DeltawireError, httpx2.HTTPError) as error:
                if getattr(error, "status", None) in CLIENTS_FAULT or upstream is upstreams[-1]:
                    raise
        raise AssertionError("a model without upstreams")

    async def begin(self, call: Call, upstream: Upstream, stack: AsyncExitStack) -> None:
        """Ask an upstream, and read as far as an error can still be kept from the client."""
        limits = self.config.limits
        options = {**call.options, "include_usage": True}
        body = {**call.body, "model": upstream.model, "stream": True, "stream_options": options}
        asking = self.client.stream("POST", **upstream.request(), json=body)
        response = await stack.enter_async_context(asking)
        call.stream = stream = ChatRelayStream(
            response,
            set={"model": call.model},
            usage="keep" if call.options.get("include_usage") else "drop",
            append_error=True,
            keep_alive=limits.keep_alive,
            on_disconnect="drain",
            drain_seconds=limits.drain,
            n=1 if call.body.get("n") in (None, 1) else None,
            max_event_size=limits.event_bytes,
            first_event_timeout=limits.first_event,
            idle_timeout=limits.idle,
            total_timeout=limits.total,
        )
        waited = time.monotonic() - call.started
        labels = {"model": call.model, "upstream": upstream.name}
        # Recorded once the stream is closed, which may be after it read on.
        stack.enter_context(self.metrics.watch(stream, waited=waited, **labels))
        await stack.enter_async_context(stream)
        async for data in stream:
            if call.streams:
                call.head += data
                if stream.events or len(call.head) > LOOK_BYTES:
                    break
        if (failure := failure_of(stream)) is not None:
            call.head = b""
            await response.aclose()  # there is nothing in it to read on for
            raise failure

    def book(self, call: Call) -> None:
        """Write what a request used: one write a line, so that the lines of several processes do not mix."""
        stream = call.stream
        usage = stream.usage if stream is not None else None
        line = {
            "time": datetime.now(UTC),
            "key": call.key,
            "model": call.model,
            "tried": call.tried,
            "end": stream.end.value if stream is not None and stream.end is not None else None,
            "delivered": call.delivered,
            "usage": usage.to_dict() if usage is not None else None,
            "seconds": round(time.monotonic() - call.started, 3),
        }
        with self.config.usage_log.open("ab", buffering=0) as books:
            books.write(orjson.dumps(line) + b"\n")


class Relayed(StreamingResponse):
    """The response that passes a stream on; its end, however it comes, closes the upstream and is booked."""

    def __init__(self, call: Call, stack: AsyncExitStack, gateway: Gateway) -> None:
        super().__init__(call, headers=HEADERS, media_type="text/event-stream")
        self.call = call
        self.stack = stack
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(self.gateway.config.limits.send):
                await send(message)
            self.call.delivered = message.get("more_body") is False

        try:
            # Left early it reads on, for a while, so that what a client that is gone used is known.
            async with self.stack:
                with suppress(TimeoutError):
                    await super().__call__(scope, receive, send_in_time)
        finally:
            self.gateway.book(self.call)


def failure_of(stream: ChatRelayStream) -> Exception | None:
    """Tell what is wrong with what has come of a stream."""
    if stream.error is not None:
        return UpstreamError(stream.error)
    if stream.end is StreamEnd.NOT_SSE:
        return NotEventStream()
    if stream.end is not None and not stream.end.is_complete and stream.failure is None:
        return IncompleteStream(stream.end)
    return stream.failure or stream.exceeded or (InvalidJSON() if stream.malformed else None)


def json_response(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, HEADERS, "application/json")


def failure_response(error: Exception) -> Response:
    """Answer that no upstream did."""
    status = getattr(error, "status", None)
    told = error_body("No provider could answer." if status in GATEWAYS_FAULT else error)
    return json_response(told, status if status in CLIENTS_FAULT | {429} else 502)


async def refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = ProviderError(error.detail, "invalid_request_error", getattr(error, "code", None), None)
    return json_response(error_body(said), error.status_code)


def create_app(config: Config) -> Starlette:
    gateway = Gateway(config)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", gateway.chat, methods=["POST"]),
            Route("/v1/models", gateway.models, methods=["GET"]),
            Route("/metrics", gateway.scrape, methods=["GET"]),
        ],
        exception_handlers={HTTPException: refusal},
        lifespan=gateway.lifespan,
    )


if __name__ == "__main__":
    config = Config.load(Path(sys.argv[1]))
    # Each read that waits holds some objects, and looking at those of all streams would be most of the work.
    gc.freeze()
    gc.set_threshold(50_000)
    uvicorn.run(
        create_app(config), port=int(sys.argv[2]), timeout_graceful_shutdown=ceil(config.limits.shutdown)
    )
