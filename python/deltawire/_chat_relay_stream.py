"""The stream of bytes to send on, with everything observed beside it.

A `ChatRelayStream` is a `BaseStream` over a `ChatRelay`. What is added here: keep-alives while the source is
silent; what becomes of the source when the iteration is left early; and, with `append_error`, the failure of
the source as an end of the stream, which the relay tells the client of.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from operator import length_hint
from typing import TYPE_CHECKING, Any, Literal

from anyio import CancelScope, move_on_after

from deltawire._deadlines import Deadlines
from deltawire._native import ChatRelay, _ChatRelayStreamParser
from deltawire._observed import Observed
from deltawire._parameters import (
    MAX_CHOICES,
    MAX_EVENT_SIZE,
    MAX_MESSAGE_SIZE,
    MAX_TOOL_CALLS,
    count,
    seconds,
    seconds_or_none,
)
from deltawire._relaying import AsyncEnding, Ending, Patient
from deltawire._stream import _ASYNC, _SYNC, BaseStream
from deltawire.encoding import encode_comment
from deltawire.errors import StreamTimeout

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from deltawire._native import ServerSentEvent
    from deltawire._readers import Chunk
    from deltawire._stream import _Side
    from deltawire.errors import LimitExceeded
    from deltawire.sources import Opened

_KEEP_ALIVE = encode_comment("keep-alive")


class ChatRelayStream(Observed, BaseStream[bytes]):
    """The bytes of a chat stream to send on, observed and edited as by `ChatRelay`.

    ```python
    async with ChatRelayStream(response, usage="drop", append_error=True, keep_alive=15.0) as stream:
        async for data in stream:
            await send(data)
    bill(stream.usage, stream.end)
    ```

    The same with `with` and `for`; the first use decides for one of the two. An item is what a network chunk
    gives to send on, without rules the chunk itself, and never nothing. Iteration ends with `[DONE]`, without
    reading on, or with the source. It ends quietly whatever the verdict: see `end`. What the source raises is
    raised; with `append_error` it is an end like any other, told to the client by an error event, and kept in
    `failure`. That holds for deadlines too.

    Args:
        source: what gives the bytes, as for `EventStream`.
        set: as for `ChatRelay`, as the other rules.
        remove: see there.
        usage: see there.
        comments: see there.
        repair: see there.
        edit: see there. What it raises is raised by the iteration, which may go on.
        append_error: see there.
        keep_alive: after so many seconds in which nothing was sent on, a comment is; None for never. It comes
            at the beginning of a line and between two events only, with no blank line behind it. For
            `async for` alone.
        on_disconnect: what to do when the stream is closed, or its block left, before the end: `"cancel"`
            closes the source. `"drain"` reads on first, and sends nothing, so that the usage is known when
            the client went away: closing takes as long as that, cancelled or not.
        drain_seconds: how long it reads on at most. With `for`, a read that is under way is waited for.
        drain_bytes: how many bytes it reads on at most.
        n: the n of the request, as for `ChatAccumulator`.
        max_message_size: as for `ChatRelay`.
        max_tool_calls: as for `ChatRelay`.
        max_choices: as for `ChatRelay`.
        max_event_size: as for `ChatRelay`.
        check_content_type: raise at the first read of an HTTP response whose content type is not
            `text/event-stream`, or whose status is none of success, as for `ChatStream`.
        clock: gives the time in seconds, for `timings`. All else goes by the clock of the event loop.
        first_event_timeout: as for `EventStream`, as the other deadlines.
        idle_timeout: as for `EventStream`.
        total_timeout: as for `EventStream`.
        comments_count_as_progress: as for `EventStream`.

    Raises:
        TypeError: as for `EventStream` and `ChatRelay`; or there is a `keep_alive` for a source that can only
            be read with `for`.
        ValueError: as for `ChatRelay`, `on_disconnect` is neither, or a number is not above 0.
    """

    __slots__ = (
        "_appends",
        "_drain_bytes",
        "_drain_seconds",
        "_drains",
        "_ending",
        "_keep_alive",
        "_patient",
        "_timeout",
    )

    _parser: _ChatRelayStreamParser

    def __init__(
        self,
        source: Any,
        *,
        set: dict[str, Any] | None = None,  # noqa: A002
        remove: Iterable[str] | None = None,
        usage: Literal["keep", "drop"] = "keep",
        comments: Literal["keep", "drop"] = "keep",
        repair: bool = False,
        edit: Callable[[ServerSentEvent], bytes | None] | None = None,
        append_error: bool = False,
        keep_alive: float | None = None,
        on_disconnect: Literal["cancel", "drain"] = "cancel",
        drain_seconds: float = 30.0,
        drain_bytes: int = 16 * 1024 * 1024,
        n: int | None = None,
        max_message_size: int = MAX_MESSAGE_SIZE,
        max_tool_calls: int = MAX_TOOL_CALLS,
        max_choices: int = MAX_CHOICES,
        max_event_size: int = MAX_EVENT_SIZE,
        check_content_type: bool = True,
        clock: Callable[[], float] = time.monotonic,
        first_event_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        comments_count_as_progress: bool = False,
    ) -> None:
        if on_disconnect not in ("cancel", "drain"):
            raise ValueError(f'on_disconnect is "cancel" or "drain", not {on_disconnect!r}')
        self._appends = append_error
        self._keep_alive = seconds_or_none("keep_alive", keep_alive)
        self._drains = on_disconnect == "drain"
        self._drain_seconds = seconds("drain_seconds", drain_seconds)
        self._drain_bytes = count("drain_bytes", drain_bytes)
        self._ending: Ending | AsyncEnding | None = None
        self._patient: Patient | None = None
        self._timeout: StreamTimeout | None = None
        relay = ChatRelay(
            set=set,
            remove=remove,
            usage=usage,
            comments=comments,
            repair=repair,
            edit=edit,
            append_error=append_error,
            n=n,
            max_message_size=max_message_size,
            max_tool_calls=max_tool_calls,
            max_choices=max_choices,
            max_event_size=max_event_size,
        )
        deadlines = Deadlines.of(first_event_timeout, idle_timeout, total_timeout, comments_count_as_progress)
        parser = _ChatRelayStreamParser(relay, clock, _KEEP_ALIVE)
        super().__init__(source, parser, check_content_type=check_content_type, deadlines=deadlines)
        if keep_alive is not None:
            try:
                self._open(_ASYNC)
            except TypeError as error:
                raise TypeError(f"{error}; keep_alive holds for `async for` alone") from None

    @property
    def _observer(self) -> ChatRelay:
        return self._parser.relay

    @property
    def exceeded(self) -> LimitExceeded | None:
        """The limit at which the observation stopped; None if it goes on."""
        return self._parser.relay.exceeded

    @property
    def failure(self) -> Exception | None:
        """With `append_error`: what the source raised, or the deadline that passed."""
        return self._timeout or (self._ending.failure if self._ending is not None else None)

    @property
    def edited(self) -> int:
        """How many events were sent on otherwise than they came."""
        return self._parser.relay.edited

    @property
    def dropped(self) -> int:
        """How many events and lone comments were not sent on."""
        return self._parser.relay.dropped

    def close(self) -> None:
        """Close the source, with `on_disconnect="drain"` after reading on. As for all streams otherwise."""
        try:
            if self._reads_on(_SYNC):
                self._drain_bill()
        finally:
            super().close()

    async def aclose(self) -> None:
        """Close the source, in at most a second, cancelled or not; with `"drain"` after reading on.

        As for all streams otherwise.
        """
        try:
            if self._reads_on(_ASYNC):
                await self._adrain_bill()
        finally:
            await super().aclose()

    def _reads_on(self, side: _Side) -> bool:
        # Where somebody is reading, there is a task that waits, or a deadline that closes the stream.
        return self._drains and self._side is side and self._can_read_on() and not self._is_billed()

    def _is_billed(self) -> bool:
        # Behind an error nothing comes, but some providers keep the connection open.
        return self.done or self.error is not None

    def _drain_bill(self) -> None:
        deadline, size = time.monotonic() + self._drain_seconds, 0
        opened = self._open(_SYNC)
        # The client is gone: whatever goes wrong, the bill is as good as it gets.
        with suppress(Exception):
            while size < self._drain_bytes and time.monotonic() < deadline:
                chunk = next(opened.chunks, None)
                if chunk is None:
                    self._parser.close()
                    break
                size += len(chunk)
                self._observe(chunk)
                if self._is_billed():
                    break

    async def _adrain_bill(self) -> None:
        size = 0
        opened = self._open(_ASYNC)
        with suppress(Exception), CancelScope(shield=True), move_on_after(self._drain_seconds):
            try:
                while size < self._drain_bytes and not self._is_billed():
                    chunk = await opened.chunks.__anext__()
                    size += len(chunk)
                    self._observe(chunk)
            except StopAsyncIteration:
                self._parser.close()

    def _observe(self, chunk: Chunk) -> None:
        # Nothing is sent, so it does not matter what `edit` raises.
        with suppress(Exception):
            self._parser.feed(chunk)

    def _saw_sentinel(self) -> bool:
        return self._parser.is_over

    def _wrap(self, opened: Opened[Any]) -> Opened[Any]:
        chunks = opened.chunks
        waits = self._side is _ASYNC and not opened.polled
        if waits and (self._keep_alive is not None or (self._drains and opened.fragile)):
            chunks = self._patient = Patient(chunks, self._parser, self._keep_alive)
            # The read has to end first: a generator cannot be closed while it runs.
            closers = (self._patient.cancel, *opened.closers)
            opened = replace(opened, closers=closers, fragile=False)
            if self._deadlines is not None:
                self._deadlines.patient = self._patient
        if self._appends:
            chunks = self._ending = Ending(chunks) if self._side is _SYNC else AsyncEnding(chunks)
        return replace(opened, chunks=chunks)

    async def _afill(self, until: Callable[[], bool] | None = None) -> Iterator[bytes]:
        if self._timeout is None:
            try:
                return await super()._afill(until)
            except StreamTimeout as error:
                if not self._appends:
                    raise
                self._timeout = error.with_traceback(None)
        if not length_hint(self._pending):
            # Again, where `edit` raised and something is left to be told.
            self._pending = iter(self._parser.close())
        if length_hint(self._pending):
            return self._pending
        raise StopAsyncIteration

    async def _drain(self, opened: Opened[AsyncIterator[Chunk]]) -> None:
        await super()._drain(self._impatient(opened))

    async def _aread_refused(self, opened: Opened[AsyncIterator[Chunk]]) -> builtins.bytes:
        return await super()._aread_refused(self._impatient(opened))

    def _impatient(self, opened: Opened[AsyncIterator[Chunk]]) -> Opened[AsyncIterator[Chunk]]:
        """Return the source as it is, for reads that may finish it where they are cancelled."""
        return opened if self._patient is None else replace(opened, chunks=self._patient.chunks)
