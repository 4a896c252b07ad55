"""The benches cannot run on wrong data: what their streams carry is true, and a wrong reader is found out.

What a stream carries is held against the slow twins, which share nothing with the generators and nothing with
the parsers. Nothing is timed.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from typing import Any

import pytest
import reference
import reference_chat
from benches import (
    chat_shapes,
    chats,
    counts,
    fairness,
    growth,
    http_peers,
    memory,
    message_peers,
    names,
    report,
    results,
    shapes,
    targets,
    training,
    works,
)
from benches.bodies import SIZES
from benches.chats import Chat, Message, Way
from benches.http_server import path
from benches.paired import Rounds, Spread

SMALL: dict[str, list[Chat]] = {
    names.RECORDED: chats.recorded()[:3],
    names.TEXT: chat_shapes.text(30),
    names.MULTIBYTE: chat_shapes.multibyte(30),
    names.CALLS: chat_shapes.tool_calls(40),
    names.REASONING: chat_shapes.reasoning(30),
    names.CHOICES: chat_shapes.choices(42),
    names.RUNNING: chat_shapes.running(60),
    names.CHANGING: chat_shapes.changing(40),
    names.COMMENTS: chat_shapes.commented(30),
    names.DRIP: chat_shapes.text(20),
    names.LONG: chat_shapes.one_tool_call(60),
    names.IMAGE: chat_shapes.image(10_000),
    names.LINES: [Chat(shapes.many_data_lines(40), [])],
}
STREAMS = {f"{shape}, {chat.stream.name}": chat for shape, made in SMALL.items() for chat in made}
every_stream = pytest.mark.parametrize("chat", STREAMS.values(), ids=STREAMS)
every_chat = pytest.mark.parametrize("chat", [chat for chat in STREAMS.values() if chat.messages])


def test_there_is_a_small_stream_of_every_shape() -> None:
    assert set(SMALL) == set(names.SHAPES)


@every_stream
def test_the_events_that_a_stream_carries_are_those_of_the_standard(chat: Chat) -> None:
    for count in (0, 1, len(chat.stream.blocks)):
        body = b"".join(chat.stream.blocks[:count])
        events = [(event.event, event.data) for event in reference.parse(body)[0]]
        assert events == chat.stream.events[:count]
    # One block, one event: what is cut between blocks is cut between events.
    assert len(chat.stream.blocks) == len(chat.stream.events)


@every_stream
def test_cutting_a_stream_loses_nothing(chat: Chat) -> None:
    body = b"".join(chat.stream.blocks)
    for size in SIZES.values():
        assert b"".join(chat.stream.chunks(size)) == body
    assert all(len(chunk) <= 8 for chunk in chat.stream.chunks(8))


@every_chat
def test_the_message_that_a_stream_carries_is_the_one_it_says(chat: Chat) -> None:
    outcome = reference_chat.read(b"".join(chat.stream.blocks))
    assert outcome.end == "DONE"
    assert not outcome.malformed
    assert message_peers.found_in_dict(outcome.body) == chats.messages(chat)


@pytest.mark.parametrize("make", [chat_shapes.text, chat_shapes.tool_calls, chat_shapes.changing])
def test_no_event_of_a_generated_stream_says_the_same_as_another_and_no_seed_the_same_as_another(
    make: Any,
) -> None:
    streams = [chat.stream for chat in make(200)]
    for stream in streams:
        assert len(stream.events) == 200
        assert len(set(stream.events)) == 200
    assert len({b"".join(stream.blocks) for stream in streams}) == len(streams) == len(chat_shapes.SEEDS)
    chat_shapes.text.cache_clear()
    assert make(200)[0].stream.blocks == streams[0].blocks, "a seed gives the same stream in every run"


def test_no_event_of_a_changing_stream_has_the_keys_of_one_of_the_six_before_it() -> None:
    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return [(key, keys(part)) for key, part in value.items()]
        return [keys(part) for part in value] if isinstance(value, list) else None

    values = chat_shapes.changing(200)[0].stream.values
    shapes_of = [str(keys(value)) for value in values[:-1]]
    for number, shape in enumerate(shapes_of):
        assert shape not in shapes_of[max(0, number - 6) : number]


CASES = [
    pytest.param(work, shape, cut, lib, id=f"{work.name}, {shape}, {cut}, {lib}")
    for work, shape, cut, lib in works.CASES
    # It takes seconds to import, and is no part of the development environment.
    if lib != message_peers.LITELLM
]


@pytest.mark.parametrize(("work", "shape", "cut", "lib"), CASES)
def test_every_way_finds_what_a_stream_carries(work: works.Work, shape: str, cut: str, lib: str) -> None:
    throughout = work.expected is not chats.messages
    check = chats.assert_right_throughout if throughout else chats.assert_right
    check(work.ways[lib], work.expected, SMALL[shape][0], cut)


@pytest.mark.parametrize(("work", "lib"), [(work, lib) for work in works.WORKS for lib in work.ways])
def test_every_way_is_measured_somewhere(work: works.Work, lib: str) -> None:
    if lib == message_peers.LITELLM:
        pytest.skip("litellm is measured where it is installed")
    assert any(lib in work.libs(shape) for shape, _ in work.cases)


def test_a_reader_that_skips_one_event_is_found_out() -> None:
    (chat,) = chat_shapes.text(30)[:1]
    skipped = chat.stream.payloads[11]

    def read(chunks: list[bytes]) -> Any:
        seen = [chunk[6:-2] for chunk in chunks if chunk[6:-2] not in (skipped, b"[DONE]")]
        return json.loads(seen[-1]) if seen else None

    with pytest.raises(AssertionError):
        chats.assert_right_throughout(Way(read), chats.last_value, chat, "1 event")


def test_a_message_that_lacks_its_last_piece_is_found_out() -> None:
    (chat,) = chat_shapes.text(30)[:1]
    (message,) = chat.messages
    short = message._replace(content=message.content[:-1])
    with pytest.raises(AssertionError):
        chats.assert_right(Way(lambda _: [short]), chats.messages, chat, "1 event")


@pytest.mark.parametrize(("parser", "shape"), growth.CASES)
def test_the_shapes_of_growth_are_read_rightly(
    parser: str, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = next(kind for kind in (growth.EVENTS, growth.CHATS, growth.FLOORS) if shape in kind)
    monkeypatch.setitem(kind, shape, kind[shape]._replace(amount=80))
    once, twice = (growth.reading(parser, shape, times)[0] for times in (1, 2))
    assert once.size < twice.size


def test_every_http_reader_finds_what_the_server_sends() -> None:
    async def all_of_them() -> None:
        async with http_peers.opened() as clients:
            for number, chat in enumerate(chats.recorded()[:2]):
                for readers in http_peers.READERS.values():
                    for read in readers.values():
                        returned = await read(clients, path(names.RECORDED, number, "1 event"))
                        http_peers.assert_right(returned, chat)

    asyncio.run(all_of_them())


@pytest.mark.parametrize("kind", memory.KINDS)
def test_parsers_stand_where_the_memory_bench_says(kind: str) -> None:
    if not memory.available():
        pytest.skip("what a process holds is read from /proc")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for state in memory.STATES:
            held = pool.apply(memory.held, (kind, state, 20))
            assert held.bound == 1024 if state == memory.FRESH else held.bound > 3 * 1024


@pytest.mark.parametrize("way", fairness.WAYS)
def test_every_way_of_the_fairness_bench_reads_all_of_a_chunk(way: str) -> None:
    stream = chat_shapes.text(30)[0].stream
    stream = type(stream)(stream.name, stream.blocks[:-1], stream.events[:-1])
    assert fairness.WAYS[way](stream) > 0


def test_the_counting_program_is_told_what_it_has_to_find() -> None:
    chat = Chat(SMALL[names.TEXT][0].stream, [Message("é", [], None)])
    assert counts.expected("ChatReader", chat) == "29 2"
    assert counts.expected("EventParser", chat).startswith("30 ")


@pytest.mark.parametrize(
    ("unit", "figure", "verdict"),
    [
        *[("ratio", 0.6, "missed"), ("ratio", 0.5, "reached"), ("ratio", 0.25, "stretch reached")],
        *[("ns", 0.6, "missed"), ("ns", 0.3, "reached"), ("ns", -1, "stretch reached")],
        *[("times", 0.2, "missed"), ("times", 0.5, "reached")],
    ],
)
def test_a_verdict_tells_on_which_side_of_its_target_a_figure_lies(
    unit: Any, figure: float, verdict: str
) -> None:
    target = (0.5, 0.75) if unit == "times" else (0.5, 0.25)
    row = targets.ROWS[0]._replace(target=target, unit=unit)
    assert row.verdict(figure) == verdict


def test_figures_are_medians_of_what_each_round_gives() -> None:
    rounds = Rounds({"a": [10, 20, 90, 40], "b": [10, 10, 30, 10]})
    assert rounds.ratio("a", "b") == Spread(2.5, 1.25, 3.75)
    assert rounds.difference("a", "b").median == 20
    assert targets.ROWS[0]._replace(ours="a", other="b", unit="ns").figure(rounds, 10).median == 2


def test_every_row_of_the_targets_can_be_picked_by_its_name() -> None:
    assert len({row.name for row in targets.ROWS}) == len(targets.ROWS)
    assert sum(row.target is not None for row in targets.ROWS) == 20


def test_the_report_tells_every_figure_of_a_run_and_nothing_of_the_machine_but_its_make() -> None:
    spread = {"median": 0.5, "lower_quartile": 0.25, "upper_quartile": 0.75}
    row: dict[str, Any] = {"name": "ROW", "ours": "deltawire", "other": "b", "unit": "ratio"}
    row["target"] = [0.6, 0.1]
    row |= {"figure": spread, "beside": None, "way_beside": None, "tries": 2, "verdict": "reached"}
    machine = {"machine": "x86_64", "system": "Linux", "node": "SECRET", "cpu": {"brand_raw": "CPU9"}}
    machine |= {"python_implementation": "CPython", "python_version": "3.x", "python_compiler": "cc"}
    info = {"work": "events", "shape": names.RECORDED, "cut": "1 event", "events": 10, "bytes": 1000}
    benchmarks = [
        {"extra_info": {**info, "lib": lib}, "stats": {"median": s, "q1": s, "q3": s}}
        for lib, s in {"deltawire": 1e-6, "openai": 4e-6}.items()
    ]
    suite = {"machine_info": machine, "benchmarks": benchmarks, "datetime": "2026-01-02T03:04"}
    grown = [{"parser": "P", "shape": "F", "sizes": [2**20], "ms": [3.0], "ratios": [2.5]}]
    held = [{"kind": "K", "state": "fresh", "bytes": 2000.0, "bound": 1024, "objects": 5}]
    hold = [{"shape": "S", "way": "W", "ms": 1.5}]
    added = {"median": 1.25, "low": -0.5, "high": 2.0}
    way = {"way": "GATE", "streams": 1000, "pace": "flat out", "cpu_us": 30.0, "added_us": added}
    ratio = {"way": "GATE", "streams": 1000, "pace": "flat out", "ratio": 75.0, "at_least": True}
    loaded = {"rows": [{**way, "events_per_second": 20_000.0}], "judged": [{**ratio, "reached": True}]}
    page = report.page(results.Results(suite, [row], grown, held, hold, loaded))
    for told in ("CPU9", "| ROW |", "0.500 (0.250 - 0.750)", "reached, 2 tries", "| openai | 400 (0.25) |"):
        assert told in page
    for told in (
        "**deltawire** | 100 |",
        "| K | fresh | 5 | 2,000 | 1,024 | **over** |",
        "| W | 1.50 |",
        "| 1,000, flat out | GATE | 30.0 | 1.25 (-0.50 - 2.00) | 20,000, 20.0 |",
        "| 1,000, flat out | GATE | at least 75 | reached |",
        "| **2.50** |",
    ):
        assert told in page
    assert "SECRET" not in page


def test_what_a_build_is_trained_on_is_read_in_each_way() -> None:
    for shape in training.TIMES:
        chunks = SMALL[shape][0].stream.chunks(None)
        training.push(chunks)
        asyncio.run(training.stream(chunks))
