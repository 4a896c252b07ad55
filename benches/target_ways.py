"""The ways that the targets compare: each held against the expected answer, then made ready to be timed.

A function here gives the ways of one row of `targets` and how many items a round of any of them reads. The
recorded bodies are short, and gone over several times a round: whoever comes after a slow way finds the
caches taken, and has to have the time to get over it. Generated streams are taken in turn, one a round.
"""

from collections.abc import Callable

from benches import async_peers, chats, chunk_peers, json_peers, message_peers, peers
from benches.bodies import CUTS, recorded
from benches.chats import SHAPES, Chat, Way
from benches.measure import assert_events, assert_values, over
from benches.paired import Ways

CASSETTES = "recorded bodies"
PASSES = 4

OURS = "deltawire"
LAUNCHDARKLY = "launchdarkly-eventsource"
FLOOR = json_peers.FLOOR
MSGSPEC = chunk_peers.MSGSPEC
COMPLETION = "deltawire, completion"
TO_DICT = "deltawire, to_dict"
FEEDING = "ChatParser in a plain async for"
ITERATING = "ChatStream"
STREAMING = async_peers.OURS
OPENAI = async_peers.OPENAI


def events(cut: str) -> tuple[Ways, int]:
    """Read `event` and `data` of each event of the recorded bodies."""
    ways = {}
    for lib in (OURS, LAUNCHDARKLY):
        assert_events(peers.READERS[lib], recorded(), CUTS[cut])
        ways[lib] = [over(peers.READERS[lib], [stream.chunks(CUTS[cut]) for stream in recorded()] * PASSES)]
    return ways, PASSES * sum(len(stream.events) for stream in recorded())


def values(shape: str, cut: str) -> tuple[Ways, int]:
    """Decode the data of each event."""
    ways = {
        OURS: Way(json_peers.deltawire),
        FLOOR: Way(json_peers.floor, cut_out=True),
    }
    for chat in SHAPES[shape]():
        assert_values(json_peers.deltawire, [chat.stream], CUTS[cut])
        assert json_peers.floor(chat.stream.payloads) == chat.stream.values[-1]
    return _over(ways, shape, cut)


def chunks(shape: str, cut: str) -> tuple[Ways, int]:
    """Read content, tool calls and finish reason of each chunk."""
    ways = {lib: chunk_peers.WAYS[lib] for lib in (OURS, MSGSPEC)}
    for way in ways.values():
        chats.assert_chunks(way, SHAPES[shape](), cut)
    return _over(ways, shape, cut)


def messages(shape: str, cut: str) -> tuple[Ways, int]:
    """Assemble the message and take it, as an object or as a dict."""
    ways = {lib: message_peers.OURS[lib] for lib in (COMPLETION, TO_DICT)}
    ways[FLOOR] = message_peers.FLOORS[FLOOR]
    for way in ways.values():
        chats.assert_messages(way, SHAPES[shape](), cut)
    return _over(ways, shape, cut)


def async_chunks(shape: str, cut: str) -> tuple[Ways, int]:
    """Iterate over the chunks of an in-memory source."""
    ways = {FEEDING: async_peers.feeding, ITERATING: async_peers.iterating}
    for chat in SHAPES[shape]():
        for read in ways.values():
            last = async_peers.run(read)(chat.stream.chunks(CUTS[cut]))
            assert last.to_dict() == chat.stream.values[-1]
    return _in_groups(
        shape,
        lambda group: {
            lib: async_peers.over(read, [chat.stream.chunks(CUTS[cut]) for chat in group])
            for lib, read in ways.items()
        },
    )


def async_messages(shape: str, cut: str) -> tuple[Ways, int]:
    """Read a chat from an in-memory source, chunk by chunk, and take the message."""
    ways = {STREAMING: async_peers.deltawire, OPENAI: async_peers.openai_client}
    for way in async_peers.MESSAGES.values():
        chats.assert_messages(way, SHAPES[shape]()[:1], cut)
    return _in_groups(
        shape,
        lambda group: {
            lib: async_peers.over(read, [chat.stream.chunks(CUTS[cut]) for chat in group])
            for lib, read in ways.items()
        },
        passes=1,
    )


def _over(ways: dict[str, Way], shape: str, cut: str) -> tuple[Ways, int]:
    return _in_groups(
        shape,
        lambda group: {
            lib: over(way.run, [way.input(chat, cut) for chat in group]) for lib, way in ways.items()
        },
    )


def _in_groups(
    shape: str, make: Callable[[list[Chat]], dict[str, Callable[[], object]]], passes: int = PASSES
) -> tuple[Ways, int]:
    """Make the functions of each way: one over all recorded bodies, or one for each generated stream."""
    made = SHAPES[shape]()
    groups = [made * passes] if shape == CASSETTES else [[chat] for chat in made]
    functions = [make(group) for group in groups]
    ways = {lib: [group[lib] for group in functions] for lib in functions[0]}
    return ways, sum(len(chat.stream.payloads) for chat in groups[0])
