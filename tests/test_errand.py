"""A read in a task of its own: who waits for it may give up, and the read goes on."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import anyio
import pytest

from deltawire._errand import send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

SOON = 0.01
LATE = 5.0
"""No test waits so long: one that would has failed."""


class Slow:
    """Gives a chunk after a while, unless it is cancelled."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.was_cancelled = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            await anyio.sleep(self.seconds)
        except anyio.get_cancelled_exc_class():
            self.was_cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return b"chunk"


@pytest.mark.parametrize("seconds", [0, SOON])
async def test_what_was_read_is_the_result(seconds: float) -> None:
    errand = send(Slow(seconds))
    with anyio.fail_after(LATE):
        await errand.wait()
        await errand.wait()
    assert errand.is_done
    assert errand.result() == b"chunk"


@pytest.mark.parametrize("error", [ValueError("broken"), StopAsyncIteration()])
async def test_what_the_read_raised_is_raised_by_the_result(error: Exception) -> None:
    errand = send(Slow(0, error))
    await errand.wait()
    assert errand.is_done
    with pytest.raises(type(error)) as raised:
        errand.result()
    assert raised.value is error


async def test_a_wait_that_is_over_leaves_the_read_to_the_next_one() -> None:
    source = Slow(SOON * 5)
    errand = send(source)
    await errand.wait(SOON)
    assert not errand.is_done
    await errand.wait(0)
    assert not errand.is_done
    with anyio.fail_after(LATE):
        await errand.wait(LATE)
    assert errand.result() == b"chunk"


async def test_who_is_cancelled_takes_nothing_of_the_read() -> None:
    source = Slow(SOON * 5)
    errand = send(source)
    with anyio.move_on_after(SOON):
        await errand.wait(LATE)
    assert not errand.is_done
    with anyio.fail_after(LATE):
        await errand.wait()
    assert (errand.result(), source.was_cancelled) == (b"chunk", False)


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_read_that_is_cancelled_is_over_at_once(has_begun: bool) -> None:
    source = Slow(LATE * 2)
    errand = send(source)
    if has_begun:
        await errand.wait(SOON)
    errand.cancel()
    with anyio.fail_after(LATE):
        await errand.wait(LATE * 2)
    assert errand.is_done
    assert not has_begun or source.was_cancelled
    with pytest.raises(StopAsyncIteration):
        errand.result()


async def test_all_who_wait_are_told() -> None:
    errand = send(Slow(SOON * 5))
    with anyio.fail_after(LATE):
        async with anyio.create_task_group() as group:
            group.start_soon(errand.wait)
            group.start_soon(errand.wait, LATE * 2)
            with anyio.move_on_after(SOON):
                await errand.wait()
            await errand.wait()
    assert errand.result() == b"chunk"


async def test_a_read_that_was_cancelled_lets_go_of_its_source() -> None:
    source = Slow(LATE * 2)
    kept = weakref.ref(source)
    errand = send(source)
    await errand.wait(SOON)
    errand.cancel()
    await errand.wait(LATE)
    await anyio.wait_all_tasks_blocked()
    gc.disable()
    try:
        del source, errand
        assert kept() is None
    finally:
        gc.enable()
