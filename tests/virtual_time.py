"""Event loops whose clock jumps to the next deadline instead of waiting for it.

What is slept is exact and costs nothing, so that a test can state times to the millisecond and holds on a
machine under load. Only what waits for the clock alone works: no sockets, no threads.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

import pytest
from trio.testing import MockClock

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike


class _Jumps(selectors.BaseSelector):
    """A selector that does not wait where there is a timeout, but moves the clock by it."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.now = 0.0

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def get_map(self) -> Any:
        return self._selector.get_map()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self.now += timeout
            timeout = 0
        return self._selector.select(timeout)

    def close(self) -> None:
        self._selector.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop of asyncio with a virtual clock."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now


VIRTUAL: list[Any] = [
    pytest.param(("asyncio", {"loop_factory": VirtualLoop}), id="asyncio"),
    pytest.param(("trio", {"clock": MockClock(autojump_threshold=0)}), id="trio"),
]
"""For `anyio_backend`."""
