"""The check that a response is an event stream, made before a stream reads anything.

A provider that refuses a request answers with JSON or HTML; to a parser that is a stream without events,
which looks like a model that had nothing to say.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import move_on_after

from deltawire._native import ChatAccumulator
from deltawire.errors import NotEventStream, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from deltawire._readers import Chunk
    from deltawire.sources import Opened

# An error document longer than this is not waited for.
MAX_DOCUMENT_BYTES = 64 * 1024

# How long the body is read for, in seconds. It is a help, and the error is not to wait for it.
_BODY_SECONDS = 1.0


def read_refused(opened: Opened[Iterator[Chunk]], at_most: int) -> bytes | None:
    """Read the beginning of the body of a response of another content type; None if it is an event stream."""
    if _is_event_stream(opened.content_type):
        return None
    body = bytearray()
    deadline = monotonic() + _BODY_SECONDS
    with suppress(Exception):  # StopIteration, or an error that says less than the content type
        while len(body) < at_most and monotonic() < deadline:
            body += next(opened.chunks)
    return bytes(body[:at_most])


async def aread_refused(opened: Opened[AsyncIterator[Chunk]], at_most: int) -> bytes | None:
    """Read the beginning of the body of a response of another content type; None if it is an event stream."""
    if _is_event_stream(opened.content_type):
        return None
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
    document = ChatAccumulator()
    document.feed(body)
    document.close()
    if document.error is not None:
        return UpstreamError(document.error, status=opened.status)
    return refusal(opened, body)


def _is_event_stream(content_type: str | None) -> bool:
    if not content_type:
        return True
    # A proxy that joins repeated headers makes a list of them.
    types = (part.partition(";")[0].strip().lower() for part in content_type.split(","))
    return "text/event-stream" in types
