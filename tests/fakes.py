"""Sources that do what a list says, step by step, so that a test states the interleaving and times nothing.

A step is bytes to hand out, an exception to raise, BLOCK to wait for ever, or a function to call first, which
may cancel the task that reads. The end of the list is the end of the source.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeAlias

import anyio
from anyio.abc import ByteReceiveStream
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable


class Block(enum.Enum):
    BLOCK = enum.auto()


BLOCK = Block.BLOCK

Step: TypeAlias = "bytes | BaseException | Block | Callable[[], object]"


def generate(steps: Iterable[Step]) -> Generator[bytes, None, None]:
    """Run the steps in a generator."""
    for step in steps:
        if isinstance(step, bytes):
            yield step
        elif isinstance(step, BaseException):
            raise step
        elif not isinstance(step, Block):
            step()


async def agenerate(steps: Iterable[Step]) -> AsyncGenerator[bytes, None]:
    """Run the steps in an async generator."""
    for step in steps:
        await checkpoint()
        if isinstance(step, bytes):
            yield step
        elif isinstance(step, BaseException):
            raise step
        elif isinstance(step, Block):
            await anyio.sleep_forever()
        else:
            step()


class Receiver(ByteReceiveStream):
    """Runs the steps in the style of anyio: a receive that is cancelled has taken nothing.

    Attributes:
        steps: those still to come.
        receives: how many chunks were asked for.
        closed: how often it was closed.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.receives = 0
        self.closed = 0

    async def receive(self, max_bytes: int = 65536) -> bytes:
        self.receives += 1
        while True:
            await checkpoint()
            if not self.steps:
                raise anyio.EndOfStream
            if isinstance(self.steps[0], Block):
                await anyio.sleep_forever()
            step = self.steps.pop(0)
            if isinstance(step, bytes):
                return step
            if isinstance(step, BaseException):
                raise step
            if not isinstance(step, Block):
                step()

    async def aclose(self) -> None:
        self.closed += 1
        await checkpoint()
