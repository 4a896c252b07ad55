"""What all streams do: run a parser over a source, with `for` and with `async for`.

`BaseStream` owns every change of state between the first use and the close, for both sides, which differ
only in how they wait for the next chunk: `_fill` and `_afill`. A subclass brings a parser and its
properties. How a source is read is told in `sources`, how long a read may take in `_deadlines`.

The cost is one `_fill` for each network chunk, with one call into the parser. The items then come out of the
list that it returned: `for` takes them at C speed, `async for` without awaiting anything. No cancel scope is
entered to read where there is no deadline. Where the source is just to be read and the parser to be fed,
the native `__anext__` of `_Items` does it without `_afill`: the token of the turn tells it that it may, and
where it does not, `_next_step` is asked. What comes of it is settled here all the same.

What holds on both sides:

- The items of a chunk are one pending batch, shared by all iterators over the stream. Whatever is mixed,
  nothing is lost and nothing comes twice.
- An error comes in its place, after all that was decoded before it. After an InvalidJSON, iterating on gives
  the rest.
- A stream that was cut never looks complete: only the end of the source and the sentinel end the iteration.
- A deadline comes in its place too, after all that was decoded; it closes the source.
- One thread or task at a time; a second one gets a RuntimeError, and nothing is corrupted.
"""

from __future__ import annotations

import warnings
from contextlib import suppress
from itertools import chain
from operator import length_hint
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import anyio
from anyio.lowlevel import checkpoint

from deltawire._batches import Batches, Pieces
from deltawire._closing import aclose_all, close_all, drain
from deltawire._content_type import aread_refused, is_refused, read_refused, refusal
from deltawire._deadlines import DeadlinePassed
from deltawire._native import _Items
from deltawire.errors import PREVIEW_BYTES, DeltawireError, InvalidJSON, LimitExceeded
from deltawire.sources import check, is_closed, open_async, open_sync

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from types import TracebackType
    from typing import Self

    from deltawire._deadlines import Deadlines
    from deltawire._native import ChatCompletion
    from deltawire._protocols import Parser
    from deltawire._readers import Chunk
    from deltawire.sources import Opened

_T = TypeVar("_T")

# What is to be done once the pending batch has come out:
# new       nothing was read: check the content type, then read
# reading   read the source
# doubted   read the source, which raised, but do not believe it if it ends now: a socket does after a reset
# held      raise the error that came after the batch
# resuming  call the parser, which raised, for what it held back
# ended     end the iteration: the source ended, or the sentinel came
# failed    refuse: the source raised, and what looks like its end is none
# cut       refuse: a read was cancelled, and what would look like the end of the source is none
_State: TypeAlias = Literal["new", "reading", "doubted", "held", "resuming", "ended", "failed", "cut"]

# Not `new`, of which nothing was read; and where the source raised, nobody forgot to close.
_LEFT_OPEN = frozenset({"reading", "held", "resuming", "cut"})

# More is to be read, and what comes counts.
_GOING_ON = frozenset({"reading", "doubted", "resuming"})

_Side: TypeAlias = Literal["`for` and `close()`", "`async for` and `aclose()`"]
_SYNC: Literal["`for` and `close()`"] = "`for` and `close()`"
_ASYNC: Literal["`async for` and `aclose()`"] = "`async for` and `aclose()`"

_NO_DEADLINES = "a blocking read cannot be interrupted: with `for` use the timeouts of the client instead"


class BaseStream(_Items, Generic[_T]):
    """A parser over a source.

    Iterate over it or over `batches()`, or call `next()` or `anext()`. As a context manager it closes the
    source at the end, however the block is left. Iteration raises:

    * InvalidJSON and LimitExceeded of the parser; what was decoded before has come out, so `values` is empty;
    * the source's own exceptions, unchanged;
    * NotEventStream at the first read, for an HTTP response of another content type, or without success;
    * anyio.BrokenResourceError, if an earlier read failed, or was cancelled where that finishes the source (a
      generator, a response of httpx): what follows would pass for the end of the stream;
    * StreamTimeout, if a deadline passed; the stream is closed then;
    * anyio.ClosedResourceError, if the stream was closed;
    * RuntimeError, if another task or thread is reading it, or if it is used from the other side;
    * TypeError, if the source cannot be read from this side, or gives something other than bytes; or if a
      stream with a deadline is used with `for`.
    """

    __slots__ = (
        "__weakref__",
        "_at_end",
        "_checks_type",
        "_deadlines",
        "_drained",
        "_held",
        "_opened",
        "_side",
        "_source",
        "_state",
    )

    _parser: Parser[_T]

    # How much is read of the body of a response that is no event stream.
    _refused_bytes = PREVIEW_BYTES

    def __init__(
        self,
        source: Any,
        parser: Parser[_T],
        *,
        check_content_type: bool,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._state: _State = "new"
        check(source)
        self._source = source
        self._parser = parser
        self._checks_type = check_content_type
        # The first use decides.
        self._side: _Side | None = None
        self._opened: Opened[Any] | None = None
        # An iterator over the batch and not the batch: all that iterate over the stream take from it.
        self._pending: Iterator[_T] = iter(())
        self._held: InvalidJSON | LimitExceeded | None = None
        # The source has ended: what the parser holds back is to be had from its `close`, not from `feed`.
        self._at_end = False
        # No state, because a task may close the stream while another one waits for its source.
        self._closed = False
        # Who deletes the token may read and parse. That is one step, also between threads.
        self._turn: AsyncIterator[Chunk] | None = None
        # What is left behind the sentinel is read once at most.
        self._drained = False
        self._deadlines = deadlines
        if deadlines is not None:
            try:
                self._open(_ASYNC)  # the only side where they hold; what cannot be read there is told now
            except TypeError as error:
                raise TypeError(f"{error}; {_NO_DEADLINES}") from None

    def __iter__(self) -> Iterator[_T]:
        """Iterate over the items."""
        return chain.from_iterable(Pieces(self._fill))

    def __next__(self) -> _T:
        """Return the next item."""
        for item in self._pending:
            return item
        return next(self._fill())

    if TYPE_CHECKING:
        # Those of `_Items`, which await `_afill` where there is no item and no way around it.
        def __aiter__(self) -> Self: ...
        def __anext__(self) -> Awaitable[_T]: ...

    def batches(self) -> Batches[_T]:
        """Iterate over lists, with `for` or `async for`: what one network chunk completed, never nothing.

        The first list is the rest of the batch in which item iteration stands.
        """
        return Batches(self._fill, self._abatch)

    async def _abatch(self) -> list[_T]:
        first = await super().__anext__()  # what a subclass gives for an item is its own affair
        return [first, *self._pending]

    def __enter__(self) -> Self:
        self._open(_SYNC)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:
                raise

    async def __aenter__(self) -> Self:
        self._open(_ASYNC)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            try:
                if kind is None and self._state == "ended" and not self._closed:
                    opened = self._open(_ASYNC)
                    if opened.keeps_connection:
                        await self._drain(opened)
            finally:
                await self.aclose()
        except Exception:
            if error is None:
                raise

    def close(self) -> None:
        """Close the source. Iterating on raises ClosedResourceError; closing again is harmless.

        Raises:
            RuntimeError: the stream is used with `async for`, await `aclose()`; or another thread is reading
                it, and has to end first.
        """
        if self._closed:
            return
        opened = self._open(_SYNC)
        self._take_turn()
        self._turn = None
        self._forget()
        close_all(opened.closers)

    async def aclose(self) -> None:
        """Close the source, in at most a second, cancelled or not. Iterating on raises ClosedResourceError.

        Closing again is harmless. A stream that is used with `for` is closed as by `close()`. A task that is
        reading gets what its source raises when it is closed.
        """
        if self._side is _SYNC:
            self.close()
        if self._closed:
            return
        opened = self._open(_ASYNC)
        self._forget()
        # A response that was read to its end has closed itself, and nothing is left to be done.
        if not (self._at_end and is_closed(self._source)):
            await aclose_all(opened.closers)

    def __del__(self) -> None:
        # There is no state if the parser refused its arguments. On the sync side reference counting closes.
        if self._closed or getattr(self, "_state", None) not in _LEFT_OPEN or self._side is not _ASYNC:
            return
        if self._opened is not None and self._opened.closers and not is_closed(self._source):
            text = f"{self!r} was left open: use `async with`, or await `aclose()`"
            warnings.warn(text, ResourceWarning, stacklevel=1, source=self)

    def __repr__(self) -> str:
        source = type(self._source)
        state = "closed" if self._closed else self._state
        return f"<{type(self).__name__} of {source.__module__}.{source.__qualname__}, {state}>"

    @property
    def bytes(self) -> int:
        """How many bytes were read."""
        return self._parser.bytes

    @property
    def events(self) -> int:
        """How many events were dispatched."""
        return self._parser.events

    @property
    def comments(self) -> int:
        """How many comment lines were passed over."""
        return self._parser.comments

    @property
    def malformed(self) -> int:
        """How many events the parser refused."""
        return self._parser.malformed

    def _judge(self) -> None:
        """Raise, where the iteration is about to end and the stream has not ended well."""

    def _saw_sentinel(self) -> bool:
        """Tell whether the stream said that it is complete."""
        return False

    def _wrap(self, opened: Opened[Any]) -> Opened[Any]:
        """Put something between the source and the stream."""
        return opened

    def _refusal(self, opened: Opened[Any], body: builtins.bytes) -> DeltawireError:
        """Make the exception for a response that is no event stream."""
        return refusal(opened, body)

    async def _aread_refused(self, opened: Opened[AsyncIterator[Chunk]]) -> builtins.bytes:
        """Read the beginning of the body of such a response."""
        return await aread_refused(opened, self._refused_bytes)

    def _partial(self) -> ChatCompletion | None:
        """Return the part of a message that came, for an exception."""
        return None

    def _fill(self, until: Callable[[], bool] | None = None) -> Iterator[_T]:
        """Return the pending batch; read if there is none. StopIteration is the end of the stream.

        `until` is asked after each read that completed nothing; if it says so, the batch is empty.
        """
        self._take_turn()
        try:
            opened = self._open(_SYNC)
            if length_hint(self._pending):
                return self._pending
            if self._state == "new":
                if self._checks_type and is_refused(opened):
                    raise self._refusal(opened, read_refused(opened, self._refused_bytes))
                self._state = "reading"
            while self._state != "ended":
                chunk: Chunk = b""
                if self._state != "reading" and self._state != "doubted":
                    self._raise_what_is_due()
                elif not self._at_end:
                    try:
                        chunk = next(opened.chunks)
                    except BaseException as error:
                        if not self._ends(error):
                            raise
                if batch := self._parse(chunk):
                    self._pending = iter(batch)
                    return self._pending
                if until is not None and until():
                    return self._pending
            self._judge()
            raise StopIteration
        finally:
            self._turn = None

    def _next_step(self) -> Awaitable[Iterator[_T]] | None:
        """Decide what `__anext__` is to do: return what it is to await, or None if the turn tells it now.

        To begin and to end mostly needs no waiting, and is then done here, as `_afill` would do it.
        """
        if self._state == "new" or self._state == "ended":
            self._take_turn()
            try:
                opened = self._open(_ASYNC)
                if self._state == "ended" and not (opened.keeps_connection or length_hint(self._pending)):
                    self._judge()
                    raise StopAsyncIteration
                if self._state == "new" and not (self._checks_type and is_refused(opened)):
                    self._state = "reading"
            finally:
                token = self._turn = self._plain_source()
            if token is not None:
                return None
        return self._afill()

    async def _afill(self, until: Callable[[], bool] | None = None) -> Iterator[_T]:
        """Return the pending batch; read if there is none. StopAsyncIteration is the end of the stream.

        `until` is asked after each read that completed nothing; if it says so, the batch is empty.
        """
        self._take_turn()
        try:
            opened = self._open(_ASYNC)
            if length_hint(self._pending):
                return self._pending
            if self._state == "new":
                if self._checks_type and is_refused(opened):
                    raise self._refusal(opened, await self._aread_refused(opened))
                self._state = "reading"
            while self._state != "ended":
                chunk: Chunk = b""
                if self._state != "reading" and self._state != "doubted":
                    self._raise_what_is_due()
                elif not self._at_end:
                    if opened.polled:
                        await checkpoint()
                    try:
                        if self._deadlines is None:
                            chunk = await opened.chunks.__anext__()
                        else:
                            chunk = await self._deadlines.read(opened, self._parser)
                    except DeadlinePassed as passed:
                        with suppress(Exception):
                            await self.aclose()
                        raise passed.told(self._partial(), self.bytes, self.events) from None
                    except BaseException as error:
                        if not self._ends(error):
                            raise
                    if self._closed:
                        raise anyio.ClosedResourceError("this stream is closed")
                if batch := self._parse(chunk):
                    self._pending = iter(batch)
                    return self._pending
                if until is not None and until():
                    return self._pending
            if opened.keeps_connection:
                await self._drain(opened)
            self._judge()
            raise StopAsyncIteration
        finally:
            self._turn = self._plain_source()

    async def _drain(self, opened: Opened[AsyncIterator[Chunk]]) -> None:
        """Read what is left behind the sentinel, which lets the client use its connection again."""
        if not self._drained and not self._at_end:
            self._drained = True
            if not is_closed(self._source):
                self._at_end = await drain(opened.chunks)

    def _open(self, side: _Side) -> Opened[Any]:
        """Open the source on first use, and hold to that side."""
        if self._closed:
            raise anyio.ClosedResourceError("this stream is closed")
        if self._opened is None:
            opened = open_sync(self._source) if side is _SYNC else open_async(self._source)
            self._side = side
            self._opened = self._wrap(opened)
        elif self._side is not side:
            if self._deadlines is not None:
                raise TypeError(f"this stream has a deadline; {_NO_DEADLINES}")
            raise RuntimeError(
                f"this stream is used with {self._side}: its first use decided, go on with these"
            )
        return self._opened

    def _plain_source(self) -> AsyncIterator[Chunk] | None:
        """Return the source, if all that is to be done next is to read it and to feed the parser."""
        opened: Opened[AsyncIterator[Chunk]] | None = self._opened
        if self._state != "reading" or self._at_end or opened is None or opened.polled:
            return None
        if self._deadlines is not None and self._deadlines.are_left(self._parser):
            return None
        return opened.chunks

    def _can_read_on(self) -> bool:
        """Tell whether more may be read: neither source nor stream has ended, and nobody is reading."""
        return self._state in _GOING_ON and not self._closed and not self._at_end and hasattr(self, "_turn")

    def _take_turn(self) -> None:
        try:
            del self._turn
        except AttributeError:
            raise RuntimeError("another thread or task is reading this stream: one at a time") from None

    def _parse(self, chunk: Chunk) -> list[_T]:
        """Call the parser, and decide what comes next."""
        try:
            batch: list[_T] = self._parser.close() if self._at_end else self._parser.feed(chunk)
        except BaseException as error:
            before = self._refuses(error)
            if before is None:
                raise
            return before
        self._settle()
        return batch

    def _settle(self) -> None:
        """Decide what comes after what the parser took."""
        self._state = "ended" if self._at_end or self._saw_sentinel() else "reading"

    def _refuses(self, error: BaseException) -> list[_T] | None:
        """Decide what comes after an exception of the parser: return what is to come out before it."""
        self._state = "resuming"
        if not isinstance(error, InvalidJSON | LimitExceeded) or not error.values:
            return None
        self._hold(error)
        batch, error.values = error.values, []
        return batch

    def _hold(self, error: InvalidJSON | LimitExceeded) -> None:
        """Raise this once the pending batch has come out, and go on as if the parser had raised it then."""
        self._held, self._state = error, "held"

    def _raise_what_is_due(self) -> None:
        if self._held is not None:
            error, self._held, self._state = self._held, None, "resuming"
            try:
                raise error
            finally:
                del error  # the exception holds this frame, which must not hold the exception
        if self._state != "resuming":
            what = "was cancelled" if self._state == "cut" else "failed"
            raise anyio.BrokenResourceError(
                f"an earlier read of the source {what} and finished it, so nobody knows whether the stream "
                f"is complete; of sources only those with `receive` or `read` can go on after a cancellation"
            )

    def _ends(self, error: BaseException) -> bool:
        """Decide what comes after an exception of the source: tell whether it stands for its end."""
        if isinstance(error, StopIteration if self._side is _SYNC else StopAsyncIteration):
            if self._state == "doubted":
                self._state = "failed"
                self._raise_what_is_due()
            self._at_end = True
            return True
        is_fragile = self._opened is not None and self._opened.fragile
        if isinstance(error, Exception):
            self._state = "failed" if is_fragile else "doubted"
        elif is_fragile:
            self._state = "cut"
        return False

    def _forget(self) -> None:
        self._closed = True
        self._held = None
        for _ in self._pending:
            pass  # iterators over the stream hold it as well
