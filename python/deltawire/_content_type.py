"""The check that a response is an event stream, made before a stream reads anything.

A provider that refuses a request answers with JSON, HTML or nothing; to a parser that is a stream without
events, which looks like a model that had nothing to say. The status tells of a refusal, whatever the type; so
does a type other than an event stream's, whatever the status. No type at all is taken for the right one.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson
from anyio import move_on_after

from deltawire._native import ChatAccumulator
from deltawire.errors import LimitExceeded, NotEventStream, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from deltawire._readers import Chunk
    from deltawire.sources import Opened
    from deltawire.verdict import ProviderError

# An error document longer than this is not waited for.
MAX_DOCUMENT_BYTES = 64 * 1024

# How long the body is read for, in seconds. It is a help, and the error is not to wait for it.
_BODY_SECONDS = 1.0


def is_refused(opened: Opened[Any]) -> bool:
    """Tell whether a source is a response that is no event stream."""
    return _is_failure(opened.status) or not _is_event_stream(opened.content_type)


def read_refused(opened: Opened[Iterator[Chunk]], at_most: int) -> bytes:
    """Read the beginning of the body of such a response."""
    body = bytearray()
    deadline = monotonic() + _BODY_SECONDS
    with suppress(Exception):  # StopIteration, or an error that says less than the content type
        while len(body) < at_most and monotonic() < deadline:
            body += next(opened.chunks)
    return bytes(body[:at_most])


async def aread_refused(opened: Opened[AsyncIterator[Chunk]], at_most: int) -> bytes:
    """Read the beginning of the body of such a response."""
    body = bytearray()
    with suppress(Exception), move_on_after(_BODY_SECONDS):
        while len(body) < at_most:
            body += await anext(opened.chunks)
    return bytes(body[:at_most])


def refusal(opened: Opened[Any], body: bytes) -> NotEventStream:
    """Make the exception for such a response."""
    return NotEventStream(status=opened.status, content_type=opened.content_type or "", preview=body)


def chat_refusal(opened: Opened[Any], body: bytes) -> UpstreamError | NotEventStream:
    """Make the exception for such a response in the place of a chat stream: what it says of an error."""
    error = _error(body)
    if error is None and _is_failure(opened.status):
        # Whatever the shape of the document, the status says that it is of an error.
        with suppress(ValueError):
            if isinstance(orjson.loads(body), dict):
                # A line end in JSON is white space, but would end the field.
                error = _error(b"event: error\ndata: " + b" ".join(body.splitlines()))
    return refusal(opened, body) if error is None else UpstreamError(error, status=opened.status)


def _error(body: bytes) -> ProviderError | None:
    accumulator = ChatAccumulator()
    with suppress(LimitExceeded):  # which says less than the status
        accumulator.feed(body)
        accumulator.close()
    return accumulator.error


def _is_failure(status: Any) -> bool:
    # What else has a `status` may mean something else by it.
    return isinstance(status, int) and status >= 300


def _is_event_stream(content_type: str | None) -> bool:
    if not content_type:
        return True
    # A proxy that joins repeated headers makes a list of them.
    types = (part.partition(";")[0].strip().lower() for part in content_type.split(","))
    return "text/event-stream" in types
