"""Replaying recorded bodies: where they are cut, and when the chunks come."""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from cassette_files import RECORDED, slow_interactions
from hypothesis import given
from hypothesis import strategies as st

import deltawire.cassettes
from deltawire import JSONStream, cassettes
from deltawire.cassettes import Interaction, Replay, Request, Response, load

BODIES = [
    b"data: a\n\ndata: b\n\n",
    b"data: a\r\n\r\ndata: b\r\n\r\n",
    b"data: a\r\rdata: b\r\r",
    b": comment\ndata: a\r\n\nevent: x\rdata: b\n\r\n\n\n\ndata: cut",
    b"\n\ndata: a\n\n",
    b"\r\n\r\n\r\n",
    b"no line end at all",
    "data: \U0001f600\n\n".encode() * 400,
    b"x",
]


def interaction_of(body: bytes, duration: float | None = None) -> Interaction:
    return Interaction(Request("GET", "", {}, b""), Response(200, {}, body, duration))


# How a body is cut


@pytest.mark.parametrize("split", ["event", "line", "random", 1, 2, 3, 7, 4096, sys.maxsize])
@pytest.mark.parametrize("body", BODIES)
def test_the_chunks_together_are_the_body_and_none_is_empty(body: bytes, split: cassettes.Split) -> None:
    replay = interaction_of(body).replay(split)
    chunks = list(replay)
    assert b"".join(chunks) == body
    assert all(chunks)
    assert list(replay) == chunks


@given(
    body=st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"data: x", b":"])).map(b"".join),
    split=st.one_of(st.sampled_from(["event", "line", "random"]), st.integers(1, 9)),
    seed=st.integers(),
)
def test_any_body_comes_out_whole(body: bytes, split: cassettes.Split, seed: int) -> None:
    chunks = list(interaction_of(body).replay(split, seed))
    assert b"".join(chunks) == body
    assert all(chunks)
    plain = [chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") for chunk in chunks]
    if split == "line":
        assert all(chunk.endswith(b"\n") for chunk in plain[:-1])
        assert not any(b"\n" in chunk[:-1] for chunk in plain)
    if split == "event":
        assert all(chunk.endswith(b"\n\n") for chunk in plain[:-1])
        assert not any(b"\n\n" in chunk.strip(b"\n") for chunk in plain)


def test_an_empty_body_has_no_chunks() -> None:
    for split in ("event", "line", "random", 5):
        assert list(interaction_of(b"").replay(split)) == []


def test_events_end_after_their_blank_line_whatever_the_line_ends() -> None:
    body = b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\rdata: e\r\n\ndata: f\r\n\rdata: g\n\r\ntail"
    assert list(interaction_of(body).replay("event")) == [
        b"data: a\n\n",
        b"data: b\r\n\r\n",
        b"data: c\r\r",
        b"data: d\n\r",
        b"data: e\r\n\n",
        b"data: f\r\n\r",
        b"data: g\n\r\n",
        b"tail",
    ]


def test_a_crlf_alone_ends_no_event_and_further_blank_lines_make_no_chunk_of_their_own() -> None:
    body = b"event: a\r\ndata: b\r\n\r\n\r\n\ndata: c\n\n"
    assert list(interaction_of(body).replay()) == [b"event: a\r\ndata: b\r\n\r\n\r\n\n", b"data: c\n\n"]


def test_lines_end_with_lf_cr_or_crlf() -> None:
    body = b"a\nb\rc\r\nd\n\re"
    assert list(interaction_of(body).replay("line")) == [b"a\n", b"b\r", b"c\r\n", b"d\n", b"\r", b"e"]


def test_a_number_cuts_after_so_many_bytes() -> None:
    assert list(interaction_of(b"abcdefg").replay(3)) == [b"abc", b"def", b"g"]
    assert list(interaction_of(b"abcdef").replay(3)) == [b"abc", b"def"]


def test_random_cuts_depend_on_the_seed_alone() -> None:
    interaction = interaction_of(bytes(100_000))
    cuts = [[len(chunk) for chunk in interaction.replay("random", seed)] for seed in (0, 0, 1)]
    assert cuts[0] == cuts[1] != cuts[2]
    assert [len(chunk) for chunk in interaction.replay("random")] == cuts[0]
    assert 200 < 100_000 / len(cuts[0]) < 320
    assert min(cuts[0]) < 20


@pytest.mark.parametrize("split", ["", "events", "EVENT", 0, -1, True, 1.5, None, b"line", ["line"]])
def test_another_split_is_a_value_error_at_once(split: Any) -> None:
    with pytest.raises(ValueError, match="split must be"):
        interaction_of(b"x").replay(split)


@pytest.mark.parametrize("pace", [-1, -0.001, float("nan"), float("inf")])
def test_a_pace_below_zero_or_not_finite_is_a_value_error_at_once(pace: float) -> None:
    with pytest.raises(ValueError, match="pace must be"):
        interaction_of(b"x").replay(pace=pace)


# How fast it comes


class FakeTime:
    """A clock that only sleeping moves; it stands for `time` and for anyio's clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    current_time = monotonic

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()

    async def sleep(seconds: float) -> None:
        fake.sleep(seconds)

    monkeypatch.setattr(deltawire.cassettes, "time", fake)
    monkeypatch.setattr(
        deltawire.cassettes, "anyio", SimpleNamespace(sleep=sleep, current_time=fake.current_time)
    )
    return fake


async def async_chunks(replay: Replay) -> list[bytes]:
    return [chunk async for chunk in replay]


def test_pace_spreads_the_chunks_over_the_recorded_duration(clock: FakeTime) -> None:
    replay = interaction_of(b"x" * 10, duration=4.0).replay(5, pace=0.5)
    arrived = [(chunk, clock.now - 1000) for chunk in replay]
    assert arrived == [(b"xxxxx", 1.0), (b"xxxxx", 2.0)]


def test_a_slow_consumer_does_not_delay_the_chunks_further(clock: FakeTime) -> None:
    arrived = []
    for _ in interaction_of(b"x" * 4, duration=4.0).replay(1, pace=1.0):
        arrived.append(clock.now - 1000)
        clock.now += 0.75 if len(arrived) < 3 else 5
    assert arrived == [1.0, 2.0, 3.0, 8.0]


@pytest.mark.parametrize("duration", [None, 3.0])
def test_pace_zero_and_a_missing_duration_wait_for_nothing(clock: FakeTime, duration: float | None) -> None:
    for pace in (0, 1) if duration is None else (0,):
        assert list(interaction_of(b"xyz", duration=duration).replay(1, pace=pace)) == [b"x", b"y", b"z"]
        assert clock.slept == []


def test_each_iteration_begins_its_own_time(clock: FakeTime) -> None:
    replay = interaction_of(b"xy", duration=1.0).replay(1, pace=1.0)
    for run in (1, 2):
        assert list(replay) == [b"x", b"y"]
        assert clock.now == 1000 + run


@pytest.mark.anyio
async def test_async_iteration_gives_the_same_chunks() -> None:
    for body in BODIES:
        for split in ("event", "line", "random", 5):
            replay = interaction_of(body).replay(split)
            assert await async_chunks(replay) == await async_chunks(replay) == list(replay)


@pytest.mark.anyio
async def test_async_iteration_keeps_the_pace(clock: FakeTime) -> None:
    replay = interaction_of(b"x" * 10, duration=4.0).replay(5, pace=0.5)
    assert [clock.now - 1000 async for _ in replay] == [1.0, 2.0]


@pytest.mark.anyio
async def test_real_clocks_keep_the_pace_too() -> None:
    replay = interaction_of(b"abc", duration=0.06).replay(1, pace=0.5)
    # 0.03 seconds are due; uvloop's timers count whole milliseconds, of a clock that it reads now and then.
    start = time.monotonic()
    assert await async_chunks(replay) == [b"a", b"b", b"c"]
    assert time.monotonic() - start >= 0.025
    start = time.monotonic()
    assert list(replay) == [b"a", b"b", b"c"]
    assert time.monotonic() - start >= 0.025


@pytest.mark.anyio
async def test_two_async_iterations_at_once_are_independent() -> None:
    replay = interaction_of(b"abc").replay(1)
    first, second = aiter(replay), aiter(replay)
    assert [await anext(first), await anext(first), await anext(second)] == [b"a", b"b", b"a"]


@pytest.mark.anyio
async def test_leaving_an_async_iteration_early_leaves_nothing_open() -> None:
    async for chunk in interaction_of(b"abc").replay(1):
        assert chunk == b"a"
        break


@pytest.mark.anyio
async def test_a_chunk_whose_wait_was_cancelled_is_not_lost() -> None:
    chunks = aiter(interaction_of(b"ab", duration=0.2).replay(1, pace=1.0))
    with anyio.move_on_after(0.001):
        await anext(chunks)
        pytest.fail("the first chunk is due after 0.1 seconds")
    assert [chunk async for chunk in chunks] == [b"a", b"b"]


@pytest.mark.anyio
async def test_an_async_iteration_without_pace_lets_other_tasks_run() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        async for _ in interaction_of(b"ab").replay(1):
            pytest.fail("the cancelled task went on")


def test_a_replay_is_a_source_for_the_streams() -> None:
    (first, _) = load(RECORDED[0])
    texts = slow_interactions(RECORDED[0])[0]["response"]["body"].split("\n\n")
    expected = [json.loads(text.removeprefix("data: ")) for text in texts if text not in ("", "data: [DONE]")]
    assert list(JSONStream(first.replay("random"))) == expected


@pytest.mark.anyio
async def test_a_replay_is_a_source_for_the_async_streams() -> None:
    (first, _) = load(RECORDED[0])
    async with JSONStream(first.replay(7)) as stream:
        assert [value async for value in stream] == list(JSONStream(first.replay()))
