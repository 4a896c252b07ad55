"""The stream of typed chunks, with the message assembled beside it.

A `ChatStream` is a `BaseStream` over a `ChatAccumulator`, which gives the chunks of each network chunk and
adds them up in the same pass. What is added here: the verdict at the end, which is an exception if the stream
was cut or the provider reported an error; timings; and readers that want only the text or only the message.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from deltawire._content_type import aread_refused, read_refused, refusal
from deltawire._native import ChatAccumulator, ChatCompletion, ChatCompletionChunk
from deltawire._stream import _SYNC, BaseStream
from deltawire.errors import PREVIEW_BYTES, IncompleteStream, NotEventStream, UpstreamError
from deltawire.verdict import StreamEnd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Self

    from deltawire._native import CompletionUsage, ToolCall
    from deltawire._readers import Chunk
    from deltawire.sources import Opened
    from deltawire.verdict import ProviderError

# An error document longer than this is not waited for.
_MAX_DOCUMENT_BYTES = 64 * 1024


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


class _Reader:
    """The parser of a chat stream: an accumulator that gives chunks, and a clock."""

    __slots__ = ("_begun", "_clock", "accumulator", "preview", "timings")

    def __init__(self, accumulator: ChatAccumulator, clock: Callable[[], float]) -> None:
        self.accumulator = accumulator
        self.timings = StreamTimings()
        self.preview = b""
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
        """Take the next bytes; the clock is read once."""
        now = self._clock() - self._begun
        if self.timings.first_byte is None and data:
            self.timings.first_byte = now
        if len(self.preview) < PREVIEW_BYTES:
            self.preview += bytes(data[: PREVIEW_BYTES - len(self.preview)])
        return self._timed(self.accumulator.feed_chunks(data), now)

    def close(self) -> list[ChatCompletionChunk]:
        """Take the end of the source."""
        return self._timed(self.accumulator.close_chunks(), self._clock() - self._begun)

    def _timed(self, chunks: list[ChatCompletionChunk], now: float) -> list[ChatCompletionChunk]:
        if not chunks:
            return chunks
        timings = self.timings
        if timings.first_event is None:
            timings.first_event = now
        if timings.last_event is not None:
            gap = now - timings.last_event
            timings.longest_gap = max(timings.longest_gap or 0.0, gap)
            if timings.on_gap is not None:
                timings.on_gap(gap)
        timings.last_event = now
        if timings.first_content is None and self.accumulator.has_content:
            timings.first_content = now
        if timings.first_tool_call is None and self.accumulator.has_tool_calls:
            timings.first_tool_call = now
        return chunks


class ChatStream(BaseStream[ChatCompletionChunk]):
    """The typed chunks of a chat stream, with the message assembled beside them.

    ```python
    async with ChatStream(response) as stream:
        async for text in stream.text_deltas():
            print(text, end="")
    print(stream.completion.choices[0].message.tool_calls, stream.usage)
    ```

    The same with `with` and `for`; the first use decides for one of the two. Iteration ends with `[DONE]`,
    without reading on. A broken event is counted in `malformed` and passed over. When the iteration ends,
    after everything that was decoded came out, the verdict decides: it ends quietly if the message is whole,
    else it raises, each time it is asked to go on:

    * UpstreamError, if the provider reported an error, in the stream or as a JSON document in its place;
    * IncompleteStream, if the stream was cut or had nothing in it;
    * NotEventStream, if what came was no event stream.

    Each has the partial `completion`, and `completion` can be read at any moment.

    Args:
        source: what gives the bytes, as for `EventStream`.
        n: the n of the request. With 1, all choices are one: some providers misuse the index.
        on_end: `"return"` ends the iteration quietly whatever the verdict; see `end`.
        errors: `"strict"` raises InvalidJSON for a broken event, after everything before it; iterating on
            gives the rest.
        max_message_size: the largest message in bytes, as for `ChatAccumulator`.
        max_tool_calls: the most tool calls in a choice.
        max_choices: the most choices.
        max_event_size: the largest event in bytes, as for `EventParser`.
        id_factory: makes the id of a tool call that came without one, as for `ChatAccumulator`.
        check_content_type: raise at the first read of an HTTP response whose content type is not
            `text/event-stream`: UpstreamError if its body is a JSON document with an error, of at most
            64 KiB, else NotEventStream. One without a content type is read.
        clock: gives the time in seconds, for `timings`.

    Raises:
        TypeError: `source` is none, but bytes, text or a path.
        ValueError: as for `ChatAccumulator`, or `on_end` is neither.
    """

    __slots__ = ("_raises",)

    _parser: _Reader

    def __init__(
        self,
        source: Any,
        *,
        n: int | None = None,
        on_end: Literal["raise", "return"] = "raise",
        errors: Literal["strict", "skip"] = "skip",
        max_message_size: int = 64 * 1024 * 1024,
        max_tool_calls: int = 1024,
        max_choices: int = 128,
        max_event_size: int = 32 * 1024 * 1024,
        id_factory: Callable[[], str] | None = None,
        check_content_type: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if on_end not in ("raise", "return"):
            raise ValueError(f'on_end is "raise" or "return", not {on_end!r}')
        self._raises = on_end == "raise"
        accumulator = ChatAccumulator(
            n=n,
            errors=errors,
            max_message_size=max_message_size,
            max_tool_calls=max_tool_calls,
            max_choices=max_choices,
            max_event_size=max_event_size,
            id_factory=id_factory,
        )
        super().__init__(source, _Reader(accumulator, clock), check_content_type=check_content_type)

    @property
    def completion(self) -> ChatCompletion:
        """The message as far as it has come, at any moment. A copy: it does not change any more."""
        return self._parser.accumulator.completion

    @property
    def usage(self) -> CompletionUsage | None:
        """The last usage that says anything, wherever in the chunks it stood."""
        return self._parser.accumulator.usage

    @property
    def end(self) -> StreamEnd | None:
        """How the stream ended; None until the sentinel or the end of the source came."""
        return self._parser.accumulator.end

    @property
    def error(self) -> ProviderError | None:
        """The first error that the provider reported inside the stream."""
        return self._parser.accumulator.error

    @property
    def done(self) -> bool:
        """Whether the sentinel came."""
        return self._parser.accumulator.done

    @property
    def timings(self) -> StreamTimings:
        """When things happened. It goes on being filled in."""
        return self._parser.timings

    def finished_tool_calls(self, *, final_only: bool = True) -> list[ToolCall]:
        """Return the tool calls that are finished, each of them once: as `ChatAccumulator` does."""
        return self._parser.accumulator.finished_tool_calls(final_only=final_only)

    def text_deltas(self) -> TextDeltas:
        """Iterate over the pieces of text alone, with `for` or `async for`: the content of choice 0.

        Chunks without text are taken and not given. Raises as the iteration over the stream does.
        """
        return TextDeltas(self)

    def collect(self) -> Any:
        """Run to the end and return the completion.

        On a stream that is used with `async with` or `async for`, or whose source can be read only so, this
        returns an awaitable of the completion: `await stream.collect()`. Raises as the iteration does.
        """
        try:
            self._open(_SYNC)
        except (RuntimeError, TypeError):
            return self._acollect()
        for _ in self.batches():
            pass
        return self.completion

    async def _acollect(self) -> ChatCompletion:
        async for _ in self.batches():
            pass
        return self.completion

    def _saw_sentinel(self) -> bool:
        return self._parser.accumulator.done

    def _fill(self) -> Iterator[ChatCompletionChunk]:
        try:
            return super()._fill()
        except StopIteration:
            self._judge()
            raise

    async def _afill(self) -> Iterator[ChatCompletionChunk]:
        try:
            return await super()._afill()
        except StopAsyncIteration:
            self._judge()
            raise

    def _require_type(self, opened: Opened[Iterator[Chunk]]) -> None:
        body = read_refused(opened, _MAX_DOCUMENT_BYTES)
        if body is not None:
            raise self._refusal(opened, body)

    async def _arequire_type(self, opened: Opened[AsyncIterator[Chunk]]) -> None:
        body = await aread_refused(opened, _MAX_DOCUMENT_BYTES)
        if body is not None:
            raise self._refusal(opened, body)

    def _refusal(self, opened: Opened[Any], body: bytes) -> UpstreamError | NotEventStream:
        document = ChatAccumulator()
        document.feed(body)
        document.close()
        if document.error is not None:
            return UpstreamError(document.error, status=opened.status)
        return refusal(opened, body)

    def _judge(self) -> None:
        """Raise, if the stream has not ended well."""
        end = self.end
        if not self._raises or end is None or end.is_complete:
            return
        opened = self._opened
        status = opened.status if opened is not None else None
        if end is StreamEnd.ERROR and self.error is not None:
            raise UpstreamError(self.error, completion=self.completion, status=status)
        if end is StreamEnd.NOT_SSE:
            content_type = opened.content_type if opened is not None else None
            preview = self._parser.preview
            raise NotEventStream(
                status=status, content_type=content_type or "", preview=preview, completion=self.completion
            )
        raise IncompleteStream(end, completion=self.completion, offset=self.bytes, events=self.events)


class TextDeltas:
    """The pieces of text of a chat stream. Made by `ChatStream.text_deltas`."""

    __slots__ = ("_stream",)

    def __init__(self, stream: ChatStream) -> None:
        self._stream = stream

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while True:
            if text := _text(next(self._stream)):
                return text

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            if text := _text(await anext(self._stream)):
                return text


def _text(chunk: ChatCompletionChunk) -> str:
    for choice in chunk.choices:
        # Content may be a list of parts, whatever the types say.
        if not choice.index and type(choice.delta.content) is str:
            return choice.delta.content
    return ""
