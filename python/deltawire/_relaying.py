"""What a ChatRelayStream runs and reads from: the relay with a clock and keep-alives, the source in wraps.

`Reader` is the parser of the stream: it gives the bytes to send on. `Patient` is a source that tells silence
by an empty chunk, and whose reads outlive who waits for them. `Ending` tells the failure of one as its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import current_time, move_on_after

from deltawire._errand import Errand
from deltawire._native import StreamTimings
from deltawire.encoding import encode_comment

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Callable, Iterator

    from deltawire._native import ChatRelay
    from deltawire._readers import Chunk

KEEP_ALIVE = encode_comment("keep-alive")

_BOM = b"\xef\xbb\xbf"

# Where no event ends in so many bytes, the stream stands inside one. Comments are shorter.
_TAIL = 512
_INSIDE = b"inside"

# How long a cancelled read may take to end, in seconds.
_CANCEL_SECONDS = 1.0


class Reader:
    """The parser that a ChatRelayStream runs.

    Attributes:
        relay: gives the bytes to send on, and observes.
        timings: filled in as events come.
        is_silent: the empty chunk that comes next stands for silence.
        is_over: the sentinel came, and all that belongs to it.
        sent: how often there was something to send on.
    """

    __slots__ = ("_begun", "_clock", "_head", "_tail", "is_over", "is_silent", "relay", "sent", "timings")

    def __init__(self, relay: ChatRelay, clock: Callable[[], float]) -> None:
        self.relay = relay
        self.timings = StreamTimings()
        self.is_silent = False
        self.is_over = False
        self.sent = 0
        self._clock = clock
        self._begun = clock()
        # What was sent since the end of the last event, if that is short.
        self._tail = b""
        # Behind a keep-alive that was the first to be sent: what may be a byte order mark. It would not stand
        # at the beginning any more.
        self._head: builtins.bytes | None = None

    @property
    def bytes(self) -> int:
        return self.relay.bytes

    @property
    def events(self) -> int:
        return self.relay.events

    @property
    def comments(self) -> int:
        return self.relay.comments

    @property
    def malformed(self) -> int:
        return self.relay.malformed

    def feed(self, data: Chunk, /) -> list[builtins.bytes]:
        """Take the next bytes."""
        if self.is_silent:
            self.is_silent = False
            return self._keep_alive()
        relay, timings = self.relay, self.timings
        now = self._clock() - self._begun
        if data:
            timings._begin(now)  # noqa: SLF001 - of this package, as below
        events = relay.events
        found = relay.feed(data)
        if relay.events > events:
            timings._note(now, relay.has_content, relay.has_tool_calls)  # noqa: SLF001
        if relay.done and bytes(data[-1:]) != b"\r":
            # Of a line end of CR and LF both belong to the stream.
            self.is_over = True
            found += relay.close()
        return self._send(found)

    def close(self) -> list[builtins.bytes]:
        """Take the end of the source."""
        found = self.relay.close()
        if self._head:
            found, self._head = self._head + found, None
        return self._send(found)

    def _send(self, found: builtins.bytes) -> list[builtins.bytes]:
        if self._head is not None and found:
            self._head += found
            if len(self._head) < len(_BOM) and _BOM.startswith(self._head):
                return []
            found, self._head = self._head.removeprefix(_BOM), None
        if not found:
            return []
        self.sent += 1
        tail = (self._tail + found[-_TAIL:]).replace(b"\r\n", b"\n")
        _, end, behind = tail.rpartition(b"\n\n")
        is_long = len(behind) > _TAIL or (not end and len(found) > _TAIL)
        self._tail = _INSIDE if is_long else behind
        return [found]

    def _keep_alive(self) -> list[builtins.bytes]:
        """Give a comment, if the stream stands between two events and at the beginning of a line."""
        *lines, rest = self._tail.split(b"\n")
        if rest or not all(line.startswith(b":") for line in lines):
            return []
        if not self.sent:
            self._head = b""
        self.sent += 1
        return [KEEP_ALIVE]


class Patient:
    """The chunks of an async source, with an empty one for each time that it was silent for so long.

    A read is not cancelled with who waits for it, where that would finish the source.
    """

    __slots__ = ("_errand", "_keep_alive", "_quiet_since", "_reader", "_sent", "chunks")

    def __init__(self, chunks: AsyncIterator[Chunk], reader: Reader, keep_alive: float | None) -> None:
        self.chunks = chunks
        self._reader = reader
        self._keep_alive = keep_alive
        self._errand: Errand[Chunk] | None = None
        # Since when nothing was sent on, and how much had been.
        self._quiet_since: float | None = None
        self._sent = 0

    def __aiter__(self) -> Patient:
        return self

    async def __anext__(self) -> Chunk:
        if self._errand is None:
            self._errand = Errand(self.chunks)
        errand = self._errand
        if self._keep_alive is None:
            await errand.wait()
        else:
            if self._quiet_since is None or self._sent != self._reader.sent:
                self._quiet_since, self._sent = current_time(), self._reader.sent
            with move_on_after(self._quiet_since + self._keep_alive - current_time()):
                await errand.wait()
            if not errand.is_done:
                self._quiet_since = None
                self._reader.is_silent = True
                return b""
        self._errand = None
        return errand.result()

    async def cancel(self) -> None:
        """Cancel the read that is under way."""
        if self._errand is not None:
            errand, self._errand = self._errand, None
            errand.cancel()
            with move_on_after(_CANCEL_SECONDS, shield=True):
                await errand.wait()


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
        except StopAsyncIteration:
            raise
        except Exception as error:
            self.failure = error
            raise StopAsyncIteration from None
