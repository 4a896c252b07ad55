"""The catalogue of the suite: the works, the ways of doing each, and the shapes and cuts it is done on.

A work is what users do with a stream; its ways are deltawire, the peers and the floors. A shape is a sort of
stream, of which there are one or several (the seeds of a generated one); they are read in turn.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from benches import async_peers, chats, chunk_peers, json_peers, message_peers, peers, relay_ways
from benches.bodies import CUTS
from benches.chats import Chat, Way
from benches.measure import over
from benches.names import (
    CALLS,
    CHANGING,
    CHOICES,
    COMMENTS,
    DRIP,
    IMAGE,
    LINES,
    LONG,
    MULTIBYTE,
    REASONING,
    RECORDED,
    RUNNING,
    SHAPES,
    TEXT,
)

ONE, LARGE, EIGHT = "1 event", "64 KiB", "8 bytes"


class Work(NamedTuple):
    """Something users do with a stream.

    Attributes:
        name: what is done.
        ways: how, by name; deltawire's begin with its name.
        expected: gives the expected answer for the first events of a stream, or for all of it.
        cases: the shapes that it is done on, each with a cut.
    """

    name: str
    ways: dict[str, Way]
    expected: Callable[[Chat, int | None], Any]
    cases: list[tuple[str, str]]

    def libs(self, shape: str) -> list[str]:
        """Name the ways that are timed on a shape."""
        return [lib for lib, way in self.ways.items() if shape not in way.not_for]


FRAME = Work(
    "events",
    peers.WAYS,
    chats.last_event,
    [
        *((RECORDED, cut) for cut in CUTS),
        *((shape, LARGE) for shape in (TEXT, MULTIBYTE, COMMENTS, IMAGE, LINES)),
        (DRIP, EIGHT),
    ],
)
DECODE = Work(
    "decoded data",
    json_peers.WAYS,
    chats.last_value,
    [
        *((RECORDED, cut) for cut in CUTS),
        (TEXT, ONE),
        *((shape, LARGE) for shape in (TEXT, MULTIBYTE, CALLS, CHANGING, LONG, IMAGE, LINES)),
        (DRIP, EIGHT),
    ],
)
READ = Work(
    "typed chunks",
    chunk_peers.WAYS,
    chats.last_read,
    [
        *((RECORDED, cut) for cut in CUTS),
        (TEXT, ONE),
        *((shape, LARGE) for shape in (TEXT, MULTIBYTE, CALLS, REASONING, RUNNING, CHOICES, CHANGING, IMAGE)),
    ],
)
ACCUMULATE = Work(
    "messages",
    message_peers.WAYS,
    chats.messages,
    [
        *((RECORDED, cut) for cut in CUTS),
        (TEXT, ONE),
        (CHANGING, ONE),
        *(
            (shape, LARGE)
            for shape in (
                TEXT,
                MULTIBYTE,
                CALLS,
                REASONING,
                RUNNING,
                CHOICES,
                CHANGING,
                COMMENTS,
                LONG,
                IMAGE,
            )
        ),
        (DRIP, EIGHT),
    ],
)
ITERATE = Work(
    "async iteration, in memory",
    async_peers.WAYS,
    chats.messages,
    [*((RECORDED, cut) for cut in CUTS), (TEXT, ONE), (TEXT, LARGE)],
)

RELAY = Work(
    "relaying",
    relay_ways.WAYS,
    chats.messages,
    [
        *((RECORDED, cut) for cut in CUTS),
        *((shape, cut) for shape in (TEXT, CALLS) for cut in (ONE, LARGE)),
        *((shape, LARGE) for shape in (MULTIBYTE, CHANGING, COMMENTS, IMAGE)),
    ],
)

WORKS = [FRAME, DECODE, READ, ACCUMULATE, ITERATE, RELAY]
CASES = [(work, shape, cut, lib) for work in WORKS for shape, cut in work.cases for lib in work.libs(shape)]


def assert_right(work: Work, lib: str, shape: str, cut: str) -> None:
    """Hold a way to the expected answer: on the first stream of a shape throughout, on the others whole."""
    way = work.ways[lib]
    for number, chat in enumerate(SHAPES[shape]()):
        throughout = work.expected is not chats.messages and (not number or shape == RECORDED)
        check = chats.assert_right_throughout if throughout else chats.assert_right
        check(way, work.expected, chat, cut)


def runs(work: Work, lib: str, shape: str, cut: str, passes: int = 1) -> list[Callable[[], None]]:
    """Make the functions to be timed: one over all recorded bodies, or one for each generated stream."""
    way, made = work.ways[lib], SHAPES[shape]()
    groups = [made * passes] if shape == RECORDED else [[chat] * passes for chat in made]
    over_all = way.over or partial(over, way.run)
    return [over_all([way.input(chat, cut) for chat in group]) for group in groups]


def size(shape: str) -> tuple[int, int]:
    """Tell how many payloads and how many bytes one of the functions reads."""
    made = SHAPES[shape]()
    streams = [chat.stream for chat in (made if shape == RECORDED else made[:1])]
    return sum(len(stream.payloads) for stream in streams), sum(stream.size for stream in streams)
