"""What a ChatRelayStream reads from: its source in wraps.

`Patient` is a source that tells silence by an empty chunk, and whose reads outlive who waits for them.
`Ending` tells the failure of one as its end. What becomes of the chunks is for the native
`_ChatRelayStreamParser`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from deltawire._backend import clock
from deltawire._deadlines import Late
from deltawire._errand import send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from deltawire._errand import Errand
    from deltawire._native import _ChatRelayStreamParser
    from deltawire._readers import Chunk

# How long a cancelled read may take to end before it is cancelled again, in seconds.
_CANCEL_SECONDS = 0.1


class Patient:
    """The chunks of an async source, with an empty one for each time that it was silent for so long.

    A read is not cancelled with who waits for it, where that would finish the source. Nor is it by a
    deadline: at the time `until`, this raises Late.
    """

    __slots__ = ("_errand", "_keep_alive", "_now", "_parser", "_quiet_since", "_sent", "chunks", "until")

    def __init__(
        self, chunks: AsyncIterator[Chunk], parser: _ChatRelayStreamParser, keep_alive: float | None
    ) -> None:
        self.chunks = chunks
        self._parser = parser
        self._keep_alive = keep_alive
        self._errand: Errand[Chunk] | None = None
        # The clock of the event loop, since when nothing was sent on, and how much had been.
        self._now: Callable[[], float] | None = None
        self._quiet_since: float | None = None
        self._sent = 0
        self.until = inf

    def __aiter__(self) -> Patient:
        return self

    async def __anext__(self) -> Chunk:
        if self._now is None:
            self._now = clock()
        if self._errand is None:
            self._errand = send(self.chunks)
        errand, at = self._errand, self.until
        if self._keep_alive is None and at == inf:
            await errand.wait()
        else:
            now = self._now()
            if self._quiet_since is None or self._sent != self._parser.sent:
                self._quiet_since, self._sent = now, self._parser.sent
            at = min(at, self._quiet_since + (self._keep_alive or inf))
            await errand.wait(at - now)
        if not errand.is_done:
            if at >= self.until:
                raise Late
            self._quiet_since = None
            self._parser.is_silent = True
            return b""
        self._errand = None
        return errand.result()

    async def cancel(self) -> None:
        """Cancel the read that is under way: the end of the source for who waits for it."""
        if self._errand is not None:
            errand, self._errand = self._errand, None
            while not errand.is_done:
                # On asyncio once is not enough, where a source waits for something else on its way out.
                errand.cancel()
                await errand.wait(_CANCEL_SECONDS)


class Ending:
    """The chunks of a source, for `for`; what it raises is noted, and told as its end."""

    __slots__ = ("_chunks", "failure")

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self.failure: Exception | None = None

    def __iter__(self) -> Ending:
        return self

    def __next__(self) -> Chunk:
        try:
            return next(self._chunks)
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise StopIteration from None


class AsyncEnding:
    """The same for `async for`."""

    __slots__ = ("_chunks", "failure")

    def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
        self._chunks = chunks
        self.failure: Exception | None = None

    def __aiter__(self) -> AsyncEnding:
        return self

    async def __anext__(self) -> Chunk:
        try:
            return await self._chunks.__anext__()
        except (StopAsyncIteration, Late):
            raise
        except Exception as error:
            self.failure = error
            raise StopAsyncIteration from None
