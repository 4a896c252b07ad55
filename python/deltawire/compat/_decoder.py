"""`SSEDecoder`: what the clients of OpenAI and Anthropic take events from, over `EventParser`.

The clients make one decoder a response, by their `_make_sse_decoder`, and call `iter_bytes` or `aiter_bytes`
with the bytes of the response; nothing else is asked of it. Events have the attributes of both clients'.

Both clients' own decoders give out blocks without data, so this one does; but openai's stream asks every
event for its JSON, and dies of them. Hence `json()` of an event without data is a chunk that says nothing;
and a decoder made with `empty=False`, as `accelerate` uses, leaves such events out.

The cost is that of `EventParser` and of one small object for an event; with `raw=True` that of a Python step
for each line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from deltawire._native import EventParser
from deltawire.compat._events import feed, loads
from deltawire.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from deltawire._native import ServerSentEvent as _Event
    from deltawire._readers import Chunk

MAX_EVENT_SIZE = 256 * 1024 * 1024
"""The clients' own decoders have no limit; this one is far beyond what they are tested with."""

SENTINEL = "[DONE]"

_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerSentEvent:
    """An event, with the attributes of the clients' own: None where the stream said nothing.

    Args:
        event: its type; empty is None.
        data: its data; None is `""`.
        id: the last event ID.
        retry: the reconnection time in milliseconds.
        raw: the lines it was made of.
    """

    __slots__ = ("_data", "_event", "_id", "_raw", "_retry")

    def __init__(
        self,
        *,
        event: str | None = None,
        data: str | None = None,
        id: str | None = None,
        retry: int | None = None,
        raw: list[str] | None = None,
    ) -> None:
        self._event = event or None
        self._data = data or ""
        self._id = id
        self._retry = retry
        self._raw = [] if raw is None else raw

    @property
    def event(self) -> str | None:
        """The event type, None where the stream named none."""
        return self._event

    @property
    def data(self) -> str:
        """The values of the `data` lines, joined by LF. Blank data is `""`, the sentinel is bare."""
        return self._data

    @property
    def id(self) -> str | None:
        """The last event ID, None before there is one; an earlier event may have set it."""
        return self._id

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds, where this event's own block set it."""
        return self._retry

    @property
    def raw(self) -> list[str]:
        """The lines of the block, comments included; empty unless the decoder was made with `raw=True`."""
        return self._raw

    def json(self) -> Any:
        """Decode `data`; without data, return a chunk that says nothing, `{"choices": []}`.

        Raises:
            json.JSONDecodeError: the data is not one JSON document.
        """
        return loads(self._data) if self._data else {"choices": []}

    def __repr__(self) -> str:
        return f"ServerSentEvent(event={self.event}, data={self.data}, id={self.id}, retry={self.retry})"


class SSEDecoder:
    """Decodes the events of one response, for the clients' `_make_sse_decoder`.

    Args:
        empty: give out events without data too, as the clients' own decoders do.
        raw: keep the lines of each event in its `raw`, as Anthropic's own decoder does. Nothing in the
            clients reads them from a decoder that is put into the hook.
        max_event_size: the largest event in bytes, 256 MiB by default.
    """

    __slots__ = ("_empty", "_lines", "_max_event_size", "_parser", "_raw", "_size")

    def __init__(
        self, *, empty: bool = True, raw: bool = False, max_event_size: int = MAX_EVENT_SIZE
    ) -> None:
        self._empty = empty
        self._raw = raw
        self._max_event_size = max_event_size
        # What `decode` goes on with from line to line.
        self._parser = self._new_parser()
        self._lines: list[str] = []
        self._size = 0

    def iter_bytes(self, iterator: Iterator[bytes]) -> Iterator[ServerSentEvent]:
        """Give the events of the bytes, as they arrive.

        Raises:
            LimitExceeded: an event went over `max_event_size`, after the events before it.
        """
        decode = self._begin()
        for chunk in iterator:
            yield from decode(chunk)

    async def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncGenerator[ServerSentEvent, None]:
        """Do what `iter_bytes` does, for async bytes."""
        decode = self._begin()
        async for chunk in iterator:
            for event in decode(chunk):
                yield event

    def decode(self, line: str) -> ServerSentEvent | None:
        """Take a line, without its end; return the event that it completes: an empty one does.

        Raises:
            LimitExceeded: the event went over `max_event_size`.
        """
        if self._raw and line:
            self._size += len(line)
            if self._size > self._max_event_size:
                raise LimitExceeded("max_event_size", self._max_event_size)
            self._lines.append(line)
        events = self._parser.feed(line.encode("utf-8", "replace") + b"\n")
        lines = self._lines
        if not line:
            self._lines, self._size = [], 0
        return self._event(events[0], lines) if events and self._wants(events[0]) else None

    def _begin(self) -> Callable[[Chunk], Iterator[ServerSentEvent]]:
        """Make what decodes the chunks of one response."""
        if self._raw:
            decoder = SSEDecoder(empty=self._empty, raw=True, max_event_size=self._max_event_size)
            return _Lines(decoder, self._max_event_size).feed
        parser = self._new_parser()
        return lambda chunk: self._feed(parser, chunk)

    def _feed(self, parser: EventParser, chunk: Chunk) -> Iterator[ServerSentEvent]:
        events, exceeded = feed(parser, chunk)
        for event in events:
            if self._wants(event):
                yield self._event(event, [])
        if exceeded is not None:
            raise exceeded

    def _new_parser(self) -> EventParser:
        return EventParser(max_event_size=self._max_event_size, verbatim=True)

    def _wants(self, event: _Event) -> bool:
        return self._empty or not (event.data == "" or event.data.isspace())

    def _event(self, event: _Event, lines: list[str]) -> ServerSentEvent:
        data = event.data
        if data[:1].isspace() and (bare := data.strip()) in ("", SENTINEL):
            data = bare
        return ServerSentEvent(
            event=event.event, data=data, id=event.id or None, retry=event.retry, raw=lines
        )


class _Lines:
    """Cuts chunks into lines, for a decoder that keeps them."""

    __slots__ = ("_decoder", "_max_size", "_pieces", "_size", "_skip_lf")

    def __init__(self, decoder: SSEDecoder, max_size: int) -> None:
        self._decoder = decoder
        self._max_size = max_size
        # The line that is still arriving.
        self._pieces: list[bytes] = []
        self._size = 0
        # The last line ended with CR: an LF that follows belongs to the same line end.
        self._skip_lf = False

    def feed(self, chunk: Chunk) -> Iterator[ServerSentEvent]:
        data = bytes(chunk)
        if not data:
            return
        ends_with_cr = data.endswith(b"\r")
        if self._skip_lf and data.startswith(b"\n"):
            data = data[1:]
        self._skip_lf = ends_with_cr
        first, *others = _LINE_END.split(data)
        self._pieces.append(first)
        self._size += len(first)
        for following in others:
            line = b"".join(self._pieces).decode("utf-8", "replace")
            self._pieces, self._size = [following], len(following)
            if event := self._decoder.decode(line):
                yield event
        if self._size > self._max_size:
            raise LimitExceeded("max_event_size", self._max_size)
