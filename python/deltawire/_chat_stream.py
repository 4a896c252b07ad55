"""The stream of typed chunks, with the message assembled beside it.

A `ChatStream` is a `BaseStream` over a `ChatAccumulator`, which gives the chunks of each network chunk and
adds them up in the same pass. What is added here: the verdict at the end, which is an exception if the stream
was cut or the provider reported an error; the same verdict on the first event, before anything is taken; and
readers that want only the text or only the message. Timings are the business of the native
`_ChatStreamParser`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from deltawire._deadlines import Deadlines
from deltawire._first_event import FirstEvent
from deltawire._native import ChatAccumulator, ChatCompletion, ChatCompletionChunk, _ChatStreamParser
from deltawire._observed import Observed
from deltawire._parameters import MAX_CHOICES, MAX_EVENT_SIZE, MAX_MESSAGE_SIZE, MAX_TOOL_CALLS, count
from deltawire._stream import _SYNC, BaseStream
from deltawire._text_deltas import TextDeltas
from deltawire.errors import IncompleteStream, InvalidJSON, LimitExceeded, NotEventStream, UpstreamError
from deltawire.verdict import StreamEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from deltawire.verdict import ProviderError


class ChatStream(Observed, BaseStream[ChatCompletionChunk]):
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
            `text/event-stream`, or whose status is none of success: UpstreamError if its body tells of an
            error, in 64 KiB at most; so does any JSON object under such a status. Else NotEventStream. One
            without a content type is read.
        clock: gives the time in seconds, for `timings`. Deadlines go by the clock of the event loop.
        first_event_timeout: as for `EventStream`, as the other deadlines. StreamTimeout has the partial
            `completion`.
        idle_timeout: as for `EventStream`.
        total_timeout: as for `EventStream`.
        comments_count_as_progress: as for `EventStream`.

    Raises:
        TypeError: as for `EventStream`.
        ValueError: as for `ChatAccumulator`, `on_end` is neither, or a deadline is not above 0.
    """

    __slots__ = ("_accumulator", "_merges", "_raises")

    _parser: _ChatStreamParser

    def __init__(
        self,
        source: Any,
        *,
        n: int | None = None,
        on_end: Literal["raise", "return"] = "raise",
        errors: Literal["strict", "skip"] = "skip",
        max_message_size: int = MAX_MESSAGE_SIZE,
        max_tool_calls: int = MAX_TOOL_CALLS,
        max_choices: int = MAX_CHOICES,
        max_event_size: int = MAX_EVENT_SIZE,
        id_factory: Callable[[], str] | None = None,
        check_content_type: bool = True,
        clock: Callable[[], float] = time.monotonic,
        first_event_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        comments_count_as_progress: bool = False,
    ) -> None:
        if on_end not in ("raise", "return"):
            raise ValueError(f'on_end is "raise" or "return", not {on_end!r}')
        self._raises = on_end == "raise"
        self._merges = n == 1
        self._accumulator = partial(
            ChatAccumulator,
            n=n,
            errors=errors,
            max_message_size=max_message_size,
            max_tool_calls=max_tool_calls,
            max_choices=max_choices,
            max_event_size=max_event_size,
            id_factory=id_factory,
        )
        parser = _ChatStreamParser(self._accumulator(), clock)
        deadlines = Deadlines.of(first_event_timeout, idle_timeout, total_timeout, comments_count_as_progress)
        super().__init__(source, parser, check_content_type=check_content_type, deadlines=deadlines)

    @property
    def _observer(self) -> ChatAccumulator:
        return self._parser.accumulator

    def text_deltas(self) -> TextDeltas:
        """Iterate over the pieces of text alone, with `for` or `async for`: the content of choice 0.

        They are what the accumulator adds up, also from lists of parts, from a whole message in the place of
        deltas, and with `n=1` from all choices. Chunks without text are taken and not given. Raises as the
        iteration over the stream does.
        """
        return TextDeltas(self, merges=self._merges)

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

    def prefetch(self, max_bytes: int = 64 * 1024) -> Any:
        """Look at the first event, and return its chunk, which the iteration gives all the same.

        A gateway that has not sent a status code yet can still ask another provider if the first thing to
        come is an error. So this raises what the iteration is going to raise if the first event is an error
        (UpstreamError), if it cannot be taken (InvalidJSON, LimitExceeded; the iteration raises them again),
        or if there is none (IncompleteStream, NotEventStream, StreamTimeout, an exception of the source).
        With `on_end="return"` the verdict is not raised; look at `error` and `end`.

        Comments and events that say nothing are passed over. If after `max_bytes` bytes there is still no
        event, or a stream of nothing but the sentinel has ended, this returns None. Nothing is lost: whatever
        was read comes out of the iteration. Calling it again looks on where it stood, and says the same once
        the first event was found.

        Like `collect`, it returns an awaitable on a stream that is used with `async with`, whose source can
        be read only so, or that has a deadline: `await stream.prefetch()`.

        Args:
            max_bytes: how many bytes to read before looking is given up; the network chunk that goes over it
                is still read whole.

        Raises:
            RuntimeError: the iteration began before.
            TypeError: `max_bytes` is no int.
            ValueError: `max_bytes` is below 1.
        """
        count("max_bytes", max_bytes)
        try:
            self._open(_SYNC)
        except (RuntimeError, TypeError):
            return self._aprefetch(max_bytes)
        look = self._look()
        if not look.found or self._state == "held":
            with suppress(StopIteration), self._put_back(look):
                self._fill(self._looked(look, max_bytes))
        return self._first(look)

    async def _aprefetch(self, max_bytes: int) -> ChatCompletionChunk | None:
        look = self._look()
        if not look.found or self._state == "held":
            with suppress(StopAsyncIteration), self._put_back(look):
                await self._afill(self._looked(look, max_bytes))
        return self._first(look)

    def _look(self) -> FirstEvent:
        parser = self._parser
        if parser.look is None:
            if self._state != "new":
                raise RuntimeError("prefetch looks at the first event: call it before the iteration begins")
            # What it assembles is not looked at, so it needs no ids.
            parser.look = FirstEvent(self._accumulator(id_factory=None))
        look: FirstEvent = parser.look
        return look

    def _looked(self, look: FirstEvent, max_bytes: int) -> Callable[[], bool]:
        at_most = self.bytes + max_bytes
        return lambda: look.found or self.bytes >= at_most

    @contextmanager
    def _put_back(self, look: FirstEvent) -> Generator[None, None, None]:
        """Leave it to the iteration to raise what cannot be taken; raise the first event all the same."""
        try:
            yield
        except (InvalidJSON, LimitExceeded) as error:
            self._hold(error.with_traceback(None))
            if look.refused:
                raise

    def _first(self, look: FirstEvent) -> ChatCompletionChunk | None:
        if look.error is not None and self._raises:
            raise self._upstream_error(look.error)
        return look.chunk

    def _upstream_error(self, error: ProviderError) -> UpstreamError:
        return UpstreamError(
            error, completion=self.completion, status=self._status, offset=self.bytes, events=self.events
        )

    @property
    def _status(self) -> int | None:
        return self._opened.status if self._opened is not None else None

    def _saw_sentinel(self) -> bool:
        return self._observer.done

    def _judge(self) -> None:
        end = self.end
        if not self._raises or end is None or end.is_complete:
            return
        if end is StreamEnd.ERROR and self.error is not None:
            raise self._upstream_error(self.error)
        if end is StreamEnd.NOT_SSE:
            content_type = self._opened.content_type if self._opened is not None else None
            raise NotEventStream(
                status=self._status,
                content_type=content_type or "",
                preview=self._parser.preview,
                completion=self.completion,
            )
        raise IncompleteStream(end, completion=self.completion, offset=self.bytes, events=self.events)
