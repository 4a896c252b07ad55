"""The check that a response is an event stream, made before a stream reads anything.

A provider that refuses a request answers with JSON or HTML; to a parser that is a stream without events,
which looks like a model that had nothing to say.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from anyio import move_on_after

from deltawire.errors import PREVIEW_BYTES, NotEventStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from deltawire._readers import Chunk
    from deltawire.sources import Opened

# How long the body is read for a preview, in seconds. It is a help, and the error is not to wait for it.
_PREVIEW_SECONDS = 1.0


def require_event_stream(opened: Opened[Iterator[Chunk]]) -> None:
    """Read the first bytes of a response of another content type, and raise.

    Raises:
        NotEventStream: it is one.
    """
    if _is_event_stream(opened.content_type):
        return
    body = bytearray()
    deadline = monotonic() + _PREVIEW_SECONDS
    with suppress(Exception):  # StopIteration, or an error that says less than the content type
        while len(body) < PREVIEW_BYTES and monotonic() < deadline:
            body += next(opened.chunks)
    raise _refusal(opened, body)


async def arequire_event_stream(opened: Opened[AsyncIterator[Chunk]]) -> None:
    """Read the first bytes of a response of another content type, and raise.

    Raises:
        NotEventStream: it is one.
    """
    if _is_event_stream(opened.content_type):
        return
    body = bytearray()
    with suppress(Exception), move_on_after(_PREVIEW_SECONDS):
        while len(body) < PREVIEW_BYTES:
            body += await anext(opened.chunks)
    raise _refusal(opened, body)


def _is_event_stream(content_type: str | None) -> bool:
    if not content_type:
        return True
    # A proxy that joins repeated headers makes a list of them.
    types = (part.partition(";")[0].strip().lower() for part in content_type.split(","))
    return "text/event-stream" in types


def _refusal(opened: Opened[Any], body: bytearray) -> NotEventStream:
    return NotEventStream(
        status=opened.status, content_type=opened.content_type or "", preview=bytes(body[:PREVIEW_BYTES])
    )
