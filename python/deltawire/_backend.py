"""Which event loop runs, for what is asked with each network read: anyio finds that out anew each time."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def running_trio() -> Any:
    """Return the module trio, if it runs this task; None on asyncio."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


def clock() -> Callable[[], float]:
    """Return what tells the time of the event loop that runs, in seconds: `anyio.current_time` by itself."""
    trio = running_trio()
    if trio is None:
        return asyncio.get_running_loop().time
    tells: Callable[[], float] = trio.current_time
    return tells
