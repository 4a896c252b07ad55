"""How the source of a stream is let go: what is left behind the sentinel is read, then all is closed.

An HTTP/1.1 connection is free for the next request once the body was read to its end; a response that is
closed before that takes its connection with it. After `data: [DONE]` there is the chunk that ends the body,
mostly in the same packet, but a server may hold it back for ever, or send on. Only the async side can wait
for it with a bound, so only that side does.
"""

from __future__ import annotations

from contextlib import suppress
from inspect import isawaitable
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import CancelScope, current_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator

    from deltawire._readers import Chunk

_T = TypeVar("_T")

# How long closing may take in all, in seconds: a peer that does not answer must not hold up a cancelled task.
_CLOSE_SECONDS = 1.0

# What a new connection is worth, in seconds and in bytes: its handshakes with a distant server cost as much.
_DRAIN_SECONDS = 0.1
_DRAIN_BYTES = 64 * 1024


async def drain(chunks: AsyncIterator[Chunk]) -> bool:
    """Read to the end of the body, for 100 ms and 64 KiB at most. Tell whether it came."""
    # The message is whole: whatever goes wrong here costs the connection and nothing else.
    with suppress(Exception), CancelScope() as scope:
        return await _within(_DRAIN_SECONDS, scope, _read_on(chunks))
    return False


async def _read_on(chunks: AsyncIterator[Chunk]) -> bool:
    size = 0
    try:
        while size < _DRAIN_BYTES:
            size += len(await chunks.__anext__())
    except StopAsyncIteration:
        return True
    return False


def close_all(closers: tuple[Callable[[], Any], ...]) -> None:
    """Call all of them, whatever some raise; then raise the first of that."""
    failures = []
    for close in closers:
        try:
            close()
        except BaseException as error:
            failures.append(error)
    if failures:
        raise failures[0]


async def aclose_all(closers: tuple[Callable[[], Any], ...]) -> None:
    """Call all of them, in at most a second, cancelled or not; then raise the first exception that came."""
    failures = []
    for close in closers:
        try:
            result = close()
            if result is not None and (hasattr(result, "__await__") or isawaitable(result)):
                with CancelScope(shield=True) as scope:
                    # Each has its share: the connection is closed even where the iterator over it hangs.
                    await _within(_CLOSE_SECONDS / len(closers), scope, _wait(result))
        except BaseException as error:
            failures.append(error)
    if failures:
        raise failures[0]


async def _wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@coroutine
def _within(seconds: float, scope: CancelScope, steps: Coroutine[Any, Any, _T]) -> Generator[Any, Any, _T]:
    """Await for so many seconds from the first wait on: most have nothing to wait for, and a timer costs."""
    try:
        step = steps.send(None)
        scope.deadline = current_time() + seconds
        while True:
            try:
                sent = yield step
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(sent)
    except StopIteration as stopped:
        result: _T = stopped.value
        return result
