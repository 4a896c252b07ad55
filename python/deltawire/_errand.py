"""A read that goes on while nobody waits for it: with a limit on the wait, without one on the read.

To stop waiting for a read by cancelling it finishes many sources: an async generator is closed by that, and a
response of httpx with it. So the read runs in a task of its own, of which one waiter may give up and another
may take the result. On asyncio that is a task, on trio a system task: neither asks for a nursery around the
stream, which an object that is iterated from anywhere does not have. The task ends with the read.

It costs a task for each network read, so only streams that need it read like that.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from anyio import CancelScope, Event, move_on_after

from deltawire._backend import running_trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

# The loop holds its tasks weakly.
_tasks: set[asyncio.Task[None]] = set()


class Errand(Protocol[_T_co]):
    """One read, in a task of its own."""

    @property
    def is_done(self) -> bool:
        """Whether the read has ended, well or not."""

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for the read to end, but no longer than that. To be cancelled takes nothing of it."""

    def result(self) -> _T_co:
        """Return what was read, or raise what the read raised."""

    def cancel(self) -> None:
        """Cancel the read: what comes of it is the end of the source."""


def send(chunks: AsyncIterator[_T]) -> Errand[_T]:
    """Read the next chunk in a task of its own."""
    trio = running_trio()
    return _Task(chunks) if trio is None else _SystemTask(chunks, trio)


class _Read(Generic[_T]):
    """A read and what came of it."""

    __slots__ = ("_error", "_found", "_is_cancelled")

    def __init__(self) -> None:
        self._found: list[_T] = []
        self._error: BaseException | None = None
        self._is_cancelled = False

    def result(self) -> _T:
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # it holds this frame
        if not self._found:
            raise StopAsyncIteration
        return self._found.pop()

    def _note(self, error: BaseException) -> bool:
        """Keep what the read raised, and tell whether it is nobody else's."""
        # A cancellation that was asked for here is nobody's.
        if isinstance(error, Exception) or not self._is_cancelled:
            self._error = error
        # What is no Exception is for the event loop: it is being shut down, or the read was cancelled.
        return isinstance(error, Exception)


class _Task(_Read[_T]):
    """The same on asyncio, by its own means: a cancel scope and an event took longer than all of it."""

    __slots__ = ("_loop", "_task", "_waiters", "is_done")

    def __init__(self, chunks: AsyncIterator[_T]) -> None:
        super().__init__()
        self.is_done = False
        # Who reads, and who closes the stream meanwhile.
        self._waiters: list[asyncio.Future[None]] = []
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        task = self._loop.create_task(self._run(chunks))
        if self.is_done:
            return  # of an eager task factory: it began before it was known here
        self._task = task
        _tasks.add(task)
        # It may be cancelled before it begins.
        task.add_done_callback(self._end)

    async def wait(self, seconds: float | None = None) -> None:
        if self.is_done:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        timer = None if seconds is None else self._loop.call_later(seconds, _wake, [waiter])
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)
            if timer is not None:
                timer.cancel()

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self, chunks: AsyncIterator[_T]) -> None:
        if self._task is not None:
            # A callback takes another turn of the event loop, which nobody is to wait for.
            self._task.remove_done_callback(self._end)
        try:
            self._found.append(await chunks.__anext__())
        except BaseException as error:
            if not self._note(error):
                raise
        finally:
            self._end(self._task)

    def _end(self, task: asyncio.Task[None] | None) -> None:
        if task is not None:
            _tasks.discard(task)
        # What cancelled it holds its frame, which holds this, and the source.
        self._task = None
        self.is_done = True
        _wake(self._waiters)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


class _SystemTask(_Read[_T]):
    """The same on trio."""

    __slots__ = ("_done", "_scope")

    def __init__(self, chunks: AsyncIterator[_T], trio: Any) -> None:
        super().__init__()
        self._scope = CancelScope()
        self._done = Event()
        trio.lowlevel.spawn_system_task(self._run, chunks)

    @property
    def is_done(self) -> bool:
        return self._done.is_set()

    async def wait(self, seconds: float | None = None) -> None:
        with move_on_after(seconds):
            await self._done.wait()

    def cancel(self) -> None:
        self._is_cancelled = True
        self._scope.cancel()

    async def _run(self, chunks: AsyncIterator[_T]) -> None:
        try:
            with self._scope:
                self._found.append(await chunks.__anext__())
        except BaseException as error:
            if not self._note(error):
                raise
        finally:
            self._done.set()
