"""The parser of a chat stream: an accumulator that gives chunks, and a clock.

The clock is read once for each network chunk, and what the chunk completed is looked at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deltawire.errors import PREVIEW_BYTES, InvalidJSON, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltawire._first_event import FirstEvent
    from deltawire._native import ChatAccumulator, ChatCompletionChunk
    from deltawire._readers import Chunk


@dataclass(slots=True)
class StreamTimings:
    """When things happened, in seconds since the stream was made; None for what has not happened.

    Attributes:
        first_byte: the first bytes of the source came.
        first_event: the first chunk was complete.
        first_content: the first chunk with text for the message was complete.
        first_tool_call: the first chunk with a fragment of a tool call was complete.
        last_event: the last chunk so far was complete.
        longest_gap: the longest time between two network chunks that completed something, in seconds.
        on_gap: called with each such time, where it is set; for metrics. What it raises, the stream raises.
    """

    first_byte: float | None = None
    first_event: float | None = None
    first_content: float | None = None
    first_tool_call: float | None = None
    last_event: float | None = None
    longest_gap: float | None = None
    on_gap: Callable[[float], object] | None = field(default=None, repr=False, compare=False)


class Reader:
    """The parser that a ChatStream runs.

    Attributes:
        accumulator: assembles the message and gives the chunks.
        timings: filled in as chunks come.
        preview: the first bytes of the stream, at most 200.
        look: what looks for the first event, once `prefetch` was called; it needs every byte until then.
    """

    __slots__ = ("_begun", "_clock", "accumulator", "look", "preview", "timings")

    def __init__(self, accumulator: ChatAccumulator, clock: Callable[[], float]) -> None:
        self.accumulator = accumulator
        self.timings = StreamTimings()
        self.preview = b""
        self.look: FirstEvent | None = None
        self._clock = clock
        self._begun = clock()

    @property
    def bytes(self) -> int:
        return self.accumulator.bytes

    @property
    def events(self) -> int:
        return self.accumulator.events

    @property
    def comments(self) -> int:
        return self.accumulator.comments

    @property
    def malformed(self) -> int:
        return self.accumulator.malformed

    def feed(self, data: Chunk, /) -> list[ChatCompletionChunk]:
        """Take the next bytes."""
        now = self._clock() - self._begun
        if len(self.preview) < PREVIEW_BYTES:
            self._begin(data, now)
        if self.look is not None and not self.look.found:
            self.look.feed(data)
        try:
            chunks = self.accumulator.feed_chunks(data)
        except (InvalidJSON, LimitExceeded) as error:
            self._time(error.values, now)
            raise
        if chunks:
            self._time(chunks, now)
        return chunks

    def _begin(self, data: Chunk, now: float) -> None:
        if self.timings.first_byte is None and data:
            self.timings.first_byte = now
        self.preview += bytes(data[: PREVIEW_BYTES - len(self.preview)])

    def close(self) -> list[ChatCompletionChunk]:
        """Take the end of the source."""
        now = self._clock() - self._begun
        if self.look is not None:
            self.look.close()
        chunks = self.accumulator.close_chunks()  # one at most, so none comes with an exception
        self._time(chunks, now)
        return chunks

    def _time(self, chunks: list[ChatCompletionChunk], now: float) -> None:
        if not chunks:
            return
        timings = self.timings
        if timings.first_event is None:
            timings.first_event = now
        if timings.last_event is not None:
            gap = now - timings.last_event
            if timings.longest_gap is None or gap > timings.longest_gap:
                timings.longest_gap = gap
            if timings.on_gap is not None:
                timings.on_gap(gap)
        timings.last_event = now
        if timings.first_content is None and self.accumulator.has_content:
            timings.first_content = now
        if timings.first_tool_call is None and self.accumulator.has_tool_calls:
            timings.first_tool_call = now
