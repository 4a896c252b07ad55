"""What `anext` of a stream returns, driven by hand: whatever is done to it, it is like a coroutine."""

from __future__ import annotations

import gc
import subprocess
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from chat_streams import text, text_of

from deltawire import ChatStream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


@types.coroutine
def trap(value: object) -> Generator[object, object, object]:
    return (yield value)


class Traps:
    """A source that yields to the event loop what a list says, and hands out what that sends."""

    def __init__(self) -> None:
        self.ends: list[type[BaseException]] = []

    def __aiter__(self) -> Traps:
        return self

    async def __anext__(self) -> Any:
        try:
            return await trap("wait")
        except BaseException as error:
            self.ends.append(type(error))
            raise


def hand_driven() -> tuple[ChatStream, Traps, Any]:
    source = Traps()
    stream = ChatStream(source, on_end="return")
    first: Any = stream.__anext__()
    assert first.send(None) == "wait"
    with pytest.raises(StopIteration) as stopped:
        first.send(text("a"))
    assert text_of(stopped.value.value) == "a"
    return stream, source, stream.__anext__()


def test_what_is_sent_and_yielded_passes_through() -> None:
    stream, _, item = hand_driven()
    assert item.send(None) == "wait"
    assert item.send(text("b")[:9]) == "wait", "nothing is complete, so the source is read again"
    with pytest.raises(StopIteration) as stopped:
        item.send(text("b")[9:])
    assert text_of(stopped.value.value) == "b"
    assert stream.events == 2
    with pytest.raises(RuntimeError, match="already awaited"):
        item.send(None)


# Generators of newer versions of Python say so themselves.
@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature of throw:DeprecationWarning")
@pytest.mark.parametrize(
    "thrown", [(KeyError("x"),), (KeyError,), (KeyError, "x"), (KeyError, KeyError("x"), None)]
)
def test_what_is_thrown_reaches_the_source(thrown: tuple[Any, ...]) -> None:
    stream, source, item = hand_driven()
    assert next(item) == "wait"
    with pytest.raises(KeyError):
        item.throw(*thrown)
    assert source.ends == [KeyError]
    with pytest.raises(anyio.BrokenResourceError):
        stream.__anext__().send(None)  # type: ignore[attr-defined]


def test_what_is_thrown_before_it_is_awaited_reads_nothing() -> None:
    stream, source, item = hand_driven()
    with pytest.raises(KeyError):
        item.throw(KeyError("x"))
    with pytest.raises(RuntimeError, match="already awaited"):
        item.send(None)
    assert source.ends == []
    assert stream.__anext__().send(None) == "wait"  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", [lambda item: item.close(), lambda item: None], ids=["closed", "dropped"])
def test_to_let_go_of_it_ends_the_read(end: Callable[[Any], None]) -> None:
    stream, source, item = hand_driven()
    item.send(None)
    end(item)
    del item
    gc.collect()
    assert source.ends == [GeneratorExit]
    with pytest.raises(anyio.BrokenResourceError, match="was cancelled"):
        stream.__anext__().send(None)  # type: ignore[attr-defined]


def test_to_let_go_of_one_after_the_other_ends_each_read() -> None:
    for _ in range(5):
        _, source, item = hand_driven()
        item.send(None)
        del item
        assert source.ends == [GeneratorExit], "at once"


LEFT_OPEN = """
import os, sys, types
from deltawire import EventStream

@types.coroutine
def read(is_first, write=os.write):
    if not is_first:
        try:
            yield "waiting"
        finally:
            write(1, b"ended")
    return b"data: a\\n\\n"

class Source:
    def __init__(self):
        self.is_first = True

    def __aiter__(self):
        return self

    def __anext__(self):
        self.is_first, is_first = False, self.is_first
        return read(is_first)

stream = EventStream(Source())
try:
    stream.__anext__().send(None)
except StopIteration:
    pass
waiting = stream.__anext__()
assert waiting.send(None) == "waiting"
sys.left_open = [waiting]
sys.left_open.append(sys.left_open)
"""


def test_one_that_waits_at_the_end_of_the_process_is_ended() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "ended")


def test_to_let_go_of_it_before_it_is_awaited_frees_the_stream() -> None:
    stream = ChatStream(Traps())
    alive = weakref.ref(stream)
    item = stream.__anext__()
    del stream
    assert alive() is not None
    del item
    assert alive() is None


def test_to_close_it_before_it_is_awaited_reads_nothing() -> None:
    stream, source, item = hand_driven()
    item.close()
    item.close()
    assert source.ends == []
    assert stream.__anext__().send(None) == "wait"  # type: ignore[attr-defined]


def test_a_cycle_through_it_is_collected() -> None:
    class Holder:
        item: Any

    holder = Holder()

    class Holding(Traps):
        held = holder

    source = Holding()
    stream = ChatStream(source, on_end="return")
    first: Any = stream.__anext__()
    first.send(None)
    with pytest.raises(StopIteration):
        first.send(text("a"))
    holder.item = stream.__anext__()
    holder.item.send(None)
    alive = weakref.ref(stream)
    del stream, source, first, holder, Holding
    gc.collect()
    assert alive() is None
