"""The load bench counts nothing that did not come through whole, and judges by what it measured."""

from __future__ import annotations

import json
from typing import Any

import pytest
import uvloop
from benches import load, load_streams
from benches.load_gateways import OPENAI, PROXY, RELAY, RULES, WAYS
from benches.load_streams import DONE, HOUSE_MODEL, Keeps

from deltawire import ChatRelay

SENT = [10, 25, 31]
WHOLE = load_streams.whole(7, SENT)
BLOCKS = [block + b"\n\n" for block in WHOLE.split(b"\n\n")[:-1]]


def rewritten(body: bytes) -> bytes:
    values = [json.loads(block[6:]) for block in body.split(b"\n\n") if block.startswith(b"data: {")]
    return b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values) + DONE


def ruled(body: bytes) -> bytes:
    relay = ChatRelay(set={"model": HOUSE_MODEL}, usage="drop")
    return relay.feed(body) + relay.close()


KEPT = {Keeps.BYTES: WHOLE, Keeps.VALUES: rewritten(WHOLE), Keeps.RULES: ruled(WHOLE)}


@pytest.mark.parametrize("keeps", Keeps)
def test_what_came_through_whole_is_accepted(keeps: Keeps) -> None:
    assert load_streams.sent(KEPT[keeps]) == SENT
    load_streams.assert_kept(keeps, 7, 3, KEPT[keeps])


@pytest.mark.parametrize("keeps", Keeps)
@pytest.mark.parametrize("number", range(4))
def test_an_event_that_is_lost_doubled_or_of_another_stream_is_found_out(keeps: Keeps, number: int) -> None:
    *blocks, _ = (block + b"\n\n" for block in KEPT[keeps].split(b"\n\n"))
    other = blocks[number].replace(b"000007", b"000008")
    for wrong in ([], [blocks[number]] * 2, [other]):
        with pytest.raises(AssertionError):
            load_streams.assert_kept(keeps, 7, 3, b"".join([*blocks[:number], *wrong, *blocks[number + 1 :]]))


@pytest.mark.parametrize("keeps", Keeps)
def test_a_stream_without_its_end_is_found_out(keeps: Keeps) -> None:
    for body in (KEPT[keeps].removesuffix(DONE), KEPT[keeps] + b"x", KEPT[keeps] + DONE):
        with pytest.raises((AssertionError, ValueError)):
            load_streams.assert_kept(keeps, 7, 3, body)


def test_a_usage_that_is_lost_or_kept_against_the_rules_is_found_out() -> None:
    assert b'"usage":{' in BLOCKS[-2]
    lost = b"".join(BLOCKS[:-2]) + DONE
    for keeps, body in ((Keeps.BYTES, lost), (Keeps.VALUES, lost), (Keeps.RULES, WHOLE)):
        with pytest.raises(AssertionError):
            load_streams.assert_kept(keeps, 7, 3, body)


def test_every_gateway_passes_on_what_it_promises_and_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"FLAT_EVENTS": 20, "FLAT_ROUNDS": 5, "PACED_EVENTS": 8, "PACED_ROUNDS": 2}
    for name, value in small.items():
        monkeypatch.setattr(load, name, value)
    results = uvloop.run(load.measure((3,), 1))
    rows = load.rows_of(results)
    assert {row["way"] for row in rows} == set(WAYS)
    assert len(rows) == 2 * len(WAYS)
    assert all(row["cpu_us"] > 0 and row["events_per_second"] > 0 for row in rows)
    # A latency for each event that was paced, and none from before the event was sent.
    for one in results[0]:
        (latencies,) = one.latencies
        assert len(latencies) == 3 * one.plan.paced * one.plan.paced_rounds
        assert min(latencies) > 0
    assert [row["way"] for row in load.judge(rows)] == [RELAY, RULES]


@pytest.mark.parametrize(
    ("relay", "sdk", "ratio", "at_least", "reached"),
    [
        ((1.0, 2.0, 3.0), 150.0, 75.0, False, True),
        ((1.0, 4.0, 5.0), 150.0, 37.5, False, False),
        ((-1.0, 0.5, 2.5), 150.0, 60.0, True, True),
        ((-1.0, 0.5, 5.0), 150.0, 30.0, True, False),
        ((-3.0, -2.0, -1.0), 150.0, None, True, True),
    ],
)
def test_a_relay_that_cannot_be_told_from_the_proxy_is_judged_by_what_bounds_it(
    relay: tuple[float, ...], sdk: float, ratio: Any, at_least: bool, reached: bool
) -> None:
    added = {way: dict(zip(("low", "median", "high"), relay, strict=True)) for way in (RELAY, RULES)}
    added |= {PROXY: {"median": 0.0}, OPENAI: {"median": sdk}}
    rows = [{"streams": 1, "pace": "flat out", "way": way, "added_us": told} for way, told in added.items()]
    for row in load.judge(rows):
        assert (row["ratio"], row["at_least"], row["reached"]) == (ratio, at_least, reached)


def test_a_median_is_told_with_what_bounds_it() -> None:
    assert load.between([3.0]) == {"median": 3.0, "low": 3.0, "high": 3.0}
    told = load.between([float(value) for value in range(100)])
    assert told == {"median": 49.5, "low": 41.0, "high": 58.0}
