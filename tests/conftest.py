"""What all tests share: the event loops that async tests run on, and that Ctrl-C does what it should.

An async test is marked `anyio`, and runs once on each of them. What works on asyncio alone is parametrised
with `anyio_backend` from `ASYNCIO`.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest

# A shell that runs the tests in the background has them ignore Ctrl-C, and so the commands that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ASYNCIO: list[Any] = [pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio")]
if sys.platform != "win32":
    ASYNCIO.append(pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"))
TRIO: Any = pytest.param(("trio", {}), id="trio")


@pytest.fixture(scope="module", params=[*ASYNCIO, TRIO])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param
