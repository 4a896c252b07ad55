"""The public API of httpx-sse 0.4, over `EventParser`, for the clients of httpx and httpx2.

```python
from deltawire.compat.httpx_sse import connect_sse  # was: from httpx_sse import connect_sse

with httpx.Client() as client, connect_sse(client, "GET", url) as source:
    for event in source.iter_sse():
        print(event.event, event.data, event.id, event.retry)
```

Names, signatures, the order of things and the exceptions are those of httpx-sse. Like it, and unlike the
standard, this gives out blocks without data that set an event type, an ID or a reconnection time;
`strict=True` follows the standard. What else differs, to the better, is told in docs/compat.md. The cost is
that of `EventParser` and of one small object for an event.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from deltawire._native import EventParser
from deltawire._parameters import MAX_EVENT_SIZE
from deltawire._readers import Unwound
from deltawire.compat._events import feed, loads

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from typing import TypeAlias

    import httpx
    import httpx2

    from deltawire._readers import Chunk

    _Client: TypeAlias = httpx.Client | httpx2.Client
    _AsyncClient: TypeAlias = httpx.AsyncClient | httpx2.AsyncClient
    _Response: TypeAlias = httpx.Response | httpx2.Response

    class _TransportError(httpx.TransportError, httpx2.TransportError):  # type: ignore[misc]
        pass

else:

    def _transport_errors() -> Iterator[type[Exception]]:
        for client in ("httpx", "httpx2"):
            with suppress(ImportError):
                yield import_module(client).TransportError

    _bases = tuple(_transport_errors())
    if not _bases:
        raise ImportError(
            "deltawire.compat.httpx_sse needs a client: pip install httpx, or pip install httpx2"
        )
    _TransportError = type("_TransportError", _bases, {"__doc__": "Of whichever of the clients are there."})

__all__ = ["EventSource", "SSEError", "ServerSentEvent", "__version__", "aconnect_sse", "connect_sse"]

__version__ = "0.4.3"
"""The version of httpx-sse whose API this is."""

_REQUEST_HEADERS = {"Accept": "text/event-stream", "Cache-Control": "no-store"}


class SSEError(_TransportError):
    """A response that is no event stream, or an event over the limit.

    It is an `httpx.TransportError` and an `httpx2.TransportError`, as far as these are installed.
    """


class ServerSentEvent:
    """An event, with the attributes of httpx-sse: read-only, compared by identity.

    Args:
        event: its type; None or empty stands for `"message"`.
        data: its data; None stands for `""`.
        id: the last event ID; None stands for `""`.
        retry: the reconnection time in milliseconds, where the event's own block set it.
    """

    __slots__ = ("__dict__", "__weakref__", "_data", "_event", "_id", "_retry")

    def __init__(
        self,
        event: str | None = None,
        data: str | None = None,
        id: str | None = None,
        retry: int | None = None,
    ) -> None:
        self._event = event or "message"
        self._data = data or ""
        self._id = id or ""
        self._retry = retry

    @property
    def event(self) -> str:
        """The event type; `"message"` where the stream named none."""
        return self._event

    @property
    def data(self) -> str:
        """The values of the `data` lines, joined by LF; `""` without one."""
        return self._data

    @property
    def id(self) -> str:
        """The last event ID; an earlier event may have set it."""
        return self._id

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds, where this event's own block set it."""
        return self._retry

    def json(self) -> Any:
        """Decode `data`.

        Raises:
            json.JSONDecodeError: it is not one JSON document.
        """
        return loads(self._data)

    def __repr__(self) -> str:
        parts = [f"event={self.event!r}"]
        parts += [f"{name}={value!r}" for name in ("data", "id") if (value := getattr(self, name))]
        parts += [f"retry={self.retry!r}"] if self.retry is not None else []
        return f"ServerSentEvent({', '.join(parts)})"


class EventSource:
    """The events of a streaming response of httpx or httpx2.

    Args:
        response: the response, opened by `client.stream`.
        strict: follow the standard: a block without data is no event. By default it is one if it sets an
            event type, an ID or a reconnection time, as httpx-sse has it.
        max_event_size: the largest event in bytes, 32 MiB by default.
    """

    def __init__(
        self, response: _Response, *, strict: bool = False, max_event_size: int = MAX_EVENT_SIZE
    ) -> None:
        self._response = response
        self._strict = strict
        self._max_event_size = max_event_size

    @property
    def response(self) -> _Response:
        """The response."""
        return self._response

    def iter_sse(self) -> Iterator[ServerSentEvent]:
        """Iterate over the events.

        Raises:
            SSEError: at the first step, if the content type is not `text/event-stream`; after the events
                before it, if an event is too large.
        """
        parser = self._begin()
        for chunk in self._response.iter_bytes():
            yield from self._events(parser, chunk)

    async def aiter_sse(self) -> AsyncGenerator[ServerSentEvent, None]:
        """Iterate over the events; raises as `iter_sse` does. Closing it lets go of the response's bytes."""
        parser = self._begin()
        chunks: Any = self._response.aiter_bytes()
        if hasattr(chunks, "ag_running"):
            chunks = Unwound(chunks)
        try:
            async for chunk in chunks:
                for event in self._events(parser, chunk):
                    yield event
        finally:
            await chunks.aclose()

    def _begin(self) -> EventParser:
        content_type = self._response.headers.get("content-type", "").partition(";")[0]
        if "text/event-stream" not in content_type.lower():
            raise SSEError(f"expected a response of type text/event-stream, got {content_type!r}")
        return EventParser(max_event_size=self._max_event_size, verbatim=not self._strict)

    def _events(self, parser: EventParser, chunk: Chunk) -> Iterator[ServerSentEvent]:
        events, exceeded = feed(parser, chunk)
        for event in events:
            yield ServerSentEvent(event.event, event.data, event.id, event.retry)
        if exceeded is not None:
            raise SSEError(str(exceeded)) from exceeded


@contextmanager
def connect_sse(
    client: _Client,
    method: str,
    url: Any,
    *,
    strict: bool = False,
    max_event_size: int = MAX_EVENT_SIZE,
    **kwargs: Any,
) -> Iterator[EventSource]:
    """Send a request that asks for an event stream, and give its `EventSource`.

    Args:
        client: a client of httpx or httpx2.
        method: the HTTP method.
        url: the URL, as the client takes it.
        strict: as for `EventSource`.
        max_event_size: as for `EventSource`.
        **kwargs: for `client.stream`. `Accept` and `Cache-Control` are set whatever `headers` has of them.
    """
    headers = _request_headers(kwargs.pop("headers", None))
    with client.stream(method, url, headers=headers, **kwargs) as response:
        yield EventSource(response, strict=strict, max_event_size=max_event_size)


@asynccontextmanager
async def aconnect_sse(
    client: _AsyncClient,
    method: str,
    url: Any,
    *,
    strict: bool = False,
    max_event_size: int = MAX_EVENT_SIZE,
    **kwargs: Any,
) -> AsyncIterator[EventSource]:
    """Do what `connect_sse` does, with an async client."""
    headers = _request_headers(kwargs.pop("headers", None))
    async with client.stream(method, url, headers=headers, **kwargs) as response:
        yield EventSource(response, strict=strict, max_event_size=max_event_size)


def _request_headers(given: Any) -> list[tuple[Any, Any]]:
    """Put the two headers in the place of the caller's, however they are written; his stay as they are."""
    items = getattr(given, "multi_items", getattr(given, "items", lambda: given or ()))()
    own = {spelt for name in _REQUEST_HEADERS for spelt in (name.lower(), name.lower().encode())}
    return [*((name, value) for name, value in items if name.lower() not in own), *_REQUEST_HEADERS.items()]
