"""The ways that the targets compare: each held against the expected answer, then made ready to be timed.

A function here gives the ways of a row of `targets` and how many items a round of any of them reads. The
recorded bodies are short, and gone over several times a round: whoever comes after a slow way finds the
caches taken, and has to have the time to get over it. Generated streams are taken in turn, one a round.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from benches import async_peers, relay_ways, works
from benches.bodies import CUTS
from benches.names import RECORDED, SHAPES
from benches.paired import Ways
from benches.works import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from benches.bodies import Chunks

PASSES = 4

FEEDING = "ChatParser in a plain async for"
ITERATING = "ChatStream"
PASSING = "ChatRelay in a plain async for"
STREAMING = "ChatRelayStream"


def ways(work: Work, shape: str, cut: str, *libs: str, passes: int = PASSES) -> tuple[Ways, int]:
    """Do one of the works of the catalogue in these ways."""
    for lib in libs:
        works.assert_right(work, lib, shape, cut)
    passes = passes if shape == RECORDED else 1
    made = {lib: works.runs(work, lib, shape, cut, passes) for lib in libs}
    return made, passes * works.size(shape)[0]


def iterating(shape: str, cut: str) -> tuple[Ways, int]:
    """Iterate over the chunks of an in-memory source, with a stream and without."""
    readers = {FEEDING: async_peers.feeding, ITERATING: async_peers.iterating}
    made: dict[str, list[Callable[[], None]]] = {lib: [] for lib in readers}
    for chat in SHAPES[shape]():
        chunks = chat.stream.chunks(CUTS[cut])
        for lib, read in readers.items():
            assert async_peers.run(read)(chunks).to_dict() == chat.stream.values[-1]
            made[lib].append(async_peers.over(read, [chunks]))
    return made, works.size(shape)[0]


def streaming(shape: str, cut: str, **options: Any) -> tuple[Ways, int]:
    """Relay an in-memory source, with a stream of these options and without."""
    streaming = partial(relay_ways.streaming, **options)
    readers: dict[str, Callable[[Chunks], Coroutine[Any, Any, list[bytes]]]]
    readers = {PASSING: relay_ways.passing, STREAMING: streaming}
    made: dict[str, list[Callable[[], None]]] = {lib: [] for lib in readers}
    for chat in SHAPES[shape]():
        chunks = chat.stream.chunks(CUTS[cut])
        for lib, read in readers.items():
            assert b"".join(async_peers.run(read)(chunks)) == b"".join(chunks)
            made[lib].append(async_peers.over(read, [chunks]))
    return made, works.size(shape)[0]
