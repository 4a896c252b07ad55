"""The figures of ChatParser and ChatAccumulator, in ns per chunk and as ratios to floors and to openai.

All ways of one work on one shape are timed in turns (`paired`), over all streams of the shape each time. A
ratio is given with its quartiles; a figure in nanoseconds is this machine's, now. Nothing is judged here.
"""
# ruff: noqa: T201 - prints for a command.

from collections.abc import Callable

from benches import chats, chunk_peers, json_peers, message_peers
from benches.chats import Chat, Way
from benches.measure import over
from benches.paired import Rounds, in_turns

ROUNDS = 60
ROUNDS_OF_LONG = 8
ROUNDS_OF_OPENAI = 6

PASSES = {"recorded bodies": 8}
"""How often a round goes over the streams of a shape: the recorded ones are short."""


def show_chunks() -> None:
    floors = [chunk_peers.MSGSPEC, json_peers.FLOOR]
    for shape, cut in chats.CASES:
        measured, count = _measure(shape, cut, chunk_peers.WAYS, chats.assert_chunks, _rounds(shape))
        _show(f"typed chunks, {shape}, {cut} a chunk", measured, count, [chunk_peers.OURS], floors)


def show_messages() -> None:
    ways = {**message_peers.OURS, **message_peers.FLOORS}
    floors = [message_peers.MSGSPEC, json_peers.FLOOR]
    for shape, cut in chats.CASES:
        measured, count = _measure(shape, cut, ways, chats.assert_messages, _rounds(shape))
        _show(f"messages, {shape}, {cut} a chunk", measured, count, [*message_peers.OURS], floors)
    ours = "deltawire, to_dict"
    ways = {ours: message_peers.OURS[ours], message_peers.OPENAI: message_peers.OPENAI_WAY}
    for shape in chats.SHAPES:
        if shape != chats.LONG:
            measured, count = _measure(
                shape, "1 event", ways, chats.assert_messages, ROUNDS_OF_OPENAI, streams=1
            )
            _show(f"messages, {shape}, beside openai", measured, count, [message_peers.OPENAI], [ours])


def _rounds(shape: str) -> int:
    return ROUNDS_OF_LONG if shape == chats.LONG else ROUNDS


def _measure(
    shape: str,
    cut: str,
    ways: dict[str, Way],
    check: Callable[[Way, list[Chat], str], None],
    rounds: int,
    streams: int | None = None,
) -> tuple[Rounds, int]:
    """Time ways over a shape; return the rounds, and how many chunks one of them reads."""
    made = chats.SHAPES[shape]()[:streams] * PASSES.get(shape, 1)
    for way in ways.values():
        check(way, made[: len(made) // PASSES.get(shape, 1)], cut)
    runs = {lib: over(way.run, [way.input(chat, cut) for chat in made]) for lib, way in ways.items()}
    return in_turns(runs, rounds), sum(len(chat.stream.payloads) for chat in made)


def _show(title: str, rounds: Rounds, count: int, ours: list[str], others: list[str]) -> None:
    print(f"\n{title}: ns per chunk, ratio to {' and to '.join(others)}")
    for lib in others:
        print(f"  {lib:<40} {rounds.ns(lib) / count:8.0f}")
    for lib in ours:
        ratios = [rounds.ratio(lib, other) for other in others]
        told = "   ".join(
            f"{ratio.median:.3f} ({ratio.lower_quartile:.3f} - {ratio.upper_quartile:.3f})"
            for ratio in ratios
        )
        print(f"  {lib:<40} {rounds.ns(lib) / count:8.0f}   {told}")
