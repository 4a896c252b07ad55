"""The deadlines of a stream: how long its next read may take.

Each read has one point in time that it must be done by, the nearest of those that the deadlines ask for; it
is worked out anew for each, from what the parser has counted. The clock is the event loop's. A stream without
deadlines has no object of this module; one that has costs two looks at the clock and one cancel scope for a
network read. No scope is entered where the data is there: where items are pending the stream does not come
here, and a source in memory never waits. Whether any other source has to wait is known only once it does, too
late to put a scope around it. Once no deadline is left to keep, as behind the first event where only that had
one, a stream is read like one without deadlines.

What a deadline means for the stream, which raises StreamTimeout and closes the source, is told in `_stream`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from anyio import CancelScope

from deltawire._backend import clock
from deltawire._parameters import seconds_or_none
from deltawire.errors import StreamTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from deltawire._native import ChatCompletion
    from deltawire._protocols import Counters, Patient
    from deltawire._readers import Chunk
    from deltawire.sources import Opened


class Late(Exception):
    """A source that was told until when to read has nothing by then."""


class DeadlinePassed(Exception):
    """A deadline struck; nothing was read.

    Attributes:
        deadline: the name of the parameter.
        seconds: what it is set to.
        elapsed: the seconds since the first read.
    """

    def __init__(self, deadline: str, seconds: float, elapsed: float) -> None:
        super().__init__(deadline)
        self.deadline = deadline
        self.seconds = seconds
        self.elapsed = elapsed

    def told(self, completion: ChatCompletion | None, offset: int, events: int) -> StreamTimeout:
        """Make the exception that the iteration raises, with what was read until then."""
        return StreamTimeout(
            self.deadline,
            self.seconds,
            elapsed=self.elapsed,
            completion=completion,
            offset=offset,
            events=events,
        )


class Deadlines:
    """The deadlines of one stream, and how much of them is used up."""

    __slots__ = (
        "_begun",
        "_comments_count",
        "_first_event",
        "_idle",
        "_now",
        "_progress",
        "_total",
        "_waited",
        "patient",
    )

    def __init__(
        self,
        first_event: float | None,
        idle: float | None,
        total: float | None,
        comments_count: bool,
    ) -> None:
        self._first_event = first_event
        self._idle = idle
        self._total = total
        self._comments_count = comments_count
        # The clock of the event loop, and when the first read began.
        self._now: Callable[[], float] | None = None
        self._begun = 0.0
        # How much progress there was, and for how long the source was waited for since.
        self._progress = 0
        self._waited = 0.0
        # What is read from, if it can be told until when: it needs no scope.
        self.patient: Patient | None = None

    @classmethod
    def of(
        cls,
        first_event_timeout: float | None,
        idle_timeout: float | None,
        total_timeout: float | None,
        comments_count_as_progress: bool,
    ) -> Deadlines | None:
        """Make them of the parameters of a stream; None if all are off.

        Raises:
            TypeError: one is no number.
            ValueError: one is not above 0.
        """
        if first_event_timeout is idle_timeout is total_timeout is None:
            return None
        return cls(
            seconds_or_none("first_event_timeout", first_event_timeout),
            seconds_or_none("idle_timeout", idle_timeout),
            seconds_or_none("total_timeout", total_timeout),
            bool(comments_count_as_progress),
        )

    def are_left(self, counters: Counters) -> bool:
        """Tell whether any can still strike; once none can, that stays so."""
        return self._idle is not None or self._total is not None or not counters.events

    async def read(self, opened: Opened[AsyncIterator[Chunk]], counters: Counters) -> Chunk:
        """Read the next chunk.

        Raises:
            DeadlinePassed: it did not come in time. A cancellation from outside stays one.
        """
        if self._now is None:
            self._now = clock()
            self._begun = self._now()
        began = self._now()
        deadline, seconds, at = self._nearest(began, counters)
        if at <= began:
            raise DeadlinePassed(deadline, seconds, began - self._begun)
        if opened.polled or at == inf:
            return await opened.chunks.__anext__()
        try:
            if self.patient is not None:
                self.patient.until = at
                return await opened.chunks.__anext__()
            with CancelScope(deadline=at):
                # A read that is done as the deadline strikes is not cancelled any more, and its data counts.
                return await opened.chunks.__anext__()
        except Late:
            pass
        finally:
            if self.patient is not None:
                self.patient.until = inf
            if self._idle is not None:
                self._waited += self._now() - began
        raise DeadlinePassed(deadline, seconds, self._now() - self._begun)

    def _nearest(self, now: float, counters: Counters) -> tuple[str, float, float]:
        """Find the deadline that strikes first: its name, its seconds and when that is."""
        events = counters.events
        progress = events + counters.comments if self._comments_count else events
        if progress != self._progress:
            self._progress = progress
            self._waited = 0.0
        found = ("", inf, inf)
        if self._total is not None:
            found = ("total_timeout", self._total, self._begun + self._total)
        if self._first_event is not None and not events:
            at = self._begun + self._first_event
            if at < found[2]:
                found = ("first_event_timeout", self._first_event, at)
        elif self._idle is not None:
            at = now + self._idle - self._waited
            if at < found[2]:
                found = ("idle_timeout", self._idle, at)
        return found
