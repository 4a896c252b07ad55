"""A read that goes on while nobody waits for it: with a limit on the wait, without one on the read.

To stop waiting for a read by cancelling it finishes many sources: an async generator is closed by that, and a
response of httpx with it. So the read runs in a task of its own, of which one waiter may give up and another
may take the result. On asyncio that is a task, on trio a system task: neither asks for a nursery around the
stream, which an object that is iterated from anywhere does not have. The task ends with the read.

It costs a task for each network read, so only streams that need it read like that.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from anyio import CancelScope, Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

_T = TypeVar("_T")

# The loop holds its tasks weakly.
_tasks: set[asyncio.Task[None]] = set()


class Errand(Generic[_T]):
    """One read, in a task of its own."""

    __slots__ = ("_done", "_error", "_found", "_scope")

    def __init__(self, chunks: AsyncIterator[_T]) -> None:
        self._scope = CancelScope()
        self._done = Event()
        self._found: list[_T] = []
        self._error: BaseException | None = None
        _spawn(self._run, chunks)

    @property
    def is_done(self) -> bool:
        """Whether the read has ended, well or not."""
        return self._done.is_set()

    async def wait(self) -> None:
        """Wait for the read to end. To be cancelled takes nothing of it."""
        await self._done.wait()

    def result(self) -> _T:
        """Return what was read, or raise what the read raised."""
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # it holds this frame
        if not self._found:
            raise StopAsyncIteration
        return self._found.pop()

    def cancel(self) -> None:
        """Cancel the read."""
        self._scope.cancel()

    async def _run(self, chunks: AsyncIterator[_T]) -> None:
        try:
            with self._scope:
                self._found.append(await chunks.__anext__())
        except BaseException as error:
            self._error = error
            # What is no Exception is for the event loop: it is being shut down.
            if not isinstance(error, Exception):
                raise
        finally:
            self._done.set()


def _spawn(run: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        trio.lowlevel.spawn_system_task(run, *args)
        return
    task = asyncio.get_running_loop().create_task(run(*args))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
