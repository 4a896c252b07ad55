"""Typed chunks out of openai's own stream classes.

openai's `Stream` takes events from its decoder, asks each for its JSON, raises what is an error, and gives
the rest to the client to make an object of. Here the decoder is a `ChatParser`, the JSON of an event is the
finished chunk, and the client has nothing left to do. So the end, errors, closing, draining and exceptions of
the transport are openai's own code. The cost is that of `ChatParser` and of openai's loop, about a
microsecond a chunk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltawire._native import ChatCompletionChunk, ChatParser
from deltawire.compat._decoder import SENTINEL, ServerSentEvent
from deltawire.errors import InvalidJSON, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator


class ChunkEvent:
    """A chunk in the clothes of an event. Its data is empty, since nobody but `json()` is asked for more."""

    __slots__ = ("_chunk",)

    event: str | None = None
    data = ""
    id: str | None = None
    retry: int | None = None

    def __init__(self, chunk: ChatCompletionChunk) -> None:
        self._chunk = chunk

    def json(self) -> ChatCompletionChunk | dict[str, Any]:
        """Return the chunk; a dict where it is an error, which openai's stream recognises and raises."""
        # Most chunks are told by their bytes, without looking the attribute up in them.
        if b'"error"' in self._chunk.raw:
            fields = self._chunk.to_dict()
            if fields.get("error"):
                return fields
        return self._chunk


class ChunkDecoder:
    """Decodes the chunks of one response, in the shape of the decoders of openai's hook.

    Args:
        max_event_size: the largest event in bytes.
    """

    __slots__ = ("_max_event_size",)

    def __init__(self, max_event_size: int) -> None:
        self._max_event_size = max_event_size

    def iter_bytes(self, iterator: Iterator[bytes]) -> Iterator[ChunkEvent | ServerSentEvent]:
        """Give the chunks of the bytes, then the sentinel if it came.

        Raises:
            InvalidJSON: an event is no JSON, after the chunks before it.
            LimitExceeded: an event went over the limit, after the chunks before it.
        """
        parser = ChatParser(max_event_size=self._max_event_size)
        for data in iterator:
            yield from _events(parser.feed, data)
            if parser.done:
                break
        else:
            yield from _events(parser.close)
        if parser.done:
            yield ServerSentEvent(data=SENTINEL)

    async def aiter_bytes(
        self, iterator: AsyncIterator[bytes]
    ) -> AsyncGenerator[ChunkEvent | ServerSentEvent, None]:
        """Do what `iter_bytes` does, for async bytes."""
        parser = ChatParser(max_event_size=self._max_event_size)
        async for data in iterator:
            for event in _events(parser.feed, data):
                yield event
            if parser.done:
                break
        else:
            for event in _events(parser.close):
                yield event
        if parser.done:
            yield ServerSentEvent(data=SENTINEL)


def _events(parse: Callable[..., list[ChatCompletionChunk]], *data: bytes) -> Iterator[ChunkEvent]:
    try:
        chunks = parse(*data)
    except (InvalidJSON, LimitExceeded) as error:
        chunks, error.values = error.values, []
        yield from map(ChunkEvent, chunks)
        raise
    yield from map(ChunkEvent, chunks)
