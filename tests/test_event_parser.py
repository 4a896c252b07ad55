"""EventParser: the HTML standard to the letter, for every cut of the bytes.

Three oracles: the vectors, written from the standard's text; the twin in reference.py, compared over bodies
that hypothesis makes; and, for what the standard leaves open (limits, counters), the stub's own words.
What it costs is in test_boundary.py.
"""

import array
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from deltawire import EventParser, LimitExceeded

VECTORS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors").joinpath("sse.json").read_text(encoding="utf-8")
)["cases"]
every_vector = pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])


class Outcome(NamedTuple):
    """All that a stream came to. What stands at the end is not told after an exceeded limit."""

    events: list[reference.Event]
    error: str | None = None
    last_event_id: str | None = None
    retry: int | None = None


def run(chunks: Iterable[bytes], **options: Any) -> Outcome:
    parser = EventParser(**options)
    events = []
    try:
        for chunk in chunks:
            events += parser.feed(chunk)
        events += parser.close()
    except LimitExceeded as error:
        events += error.values
        return Outcome(fields(events), error.limit)
    return Outcome(fields(events), None, parser.last_event_id, parser.retry)


def run_twin(body: bytes, **options: Any) -> Outcome:
    try:
        events, last_event_id, retry = reference.parse(body, **options)
    except reference.TooLargeError as error:
        return Outcome(error.events, "max_event_size")
    return Outcome(events, None, last_event_id, retry)


def fields(events: Iterable[Any]) -> list[reference.Event]:
    return [reference.Event(event.event, event.data, event.id, event.retry) for event in events]


def chunks_of(case: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(c["hex"]) if isinstance(c, dict) else c.encode() for c in case["chunks"]]


def outcome_of(case: dict[str, Any]) -> Outcome:
    events = [reference.Event(**event) for event in case["events"]]
    return Outcome(events, case.get("error"), case.get("last_event_id"), case.get("retry"))


def every_cut(body: bytes, places: int) -> Iterator[list[bytes]]:
    for cuts in itertools.combinations(range(len(body) + 1), places):
        yield [body[a:b] for a, b in itertools.pairwise((0, *cuts, len(body)))]


def single_bytes(body: bytes) -> list[bytes]:
    return [body[i : i + 1] for i in range(len(body))]


# The vectors.


@every_vector
def test_vector_as_given_whole_and_byte_by_byte(case: dict[str, Any]) -> None:
    chunks, options = chunks_of(case), case.get("options", {})
    body = b"".join(chunks)
    assert run(chunks, **options) == outcome_of(case)
    assert run([body], **options) == outcome_of(case)
    assert run(single_bytes(body), **options) == outcome_of(case)


@every_vector
def test_vector_cut_at_every_place_and_every_two_places(case: dict[str, Any]) -> None:
    body, options, expected = b"".join(chunks_of(case)), case.get("options", {}), outcome_of(case)
    for places in (1, 2) if len(body) <= 64 else (1,):
        for chunks in every_cut(body, places):
            assert run(chunks, **options) == expected, chunks


@pytest.mark.parametrize(
    "case", [case for case in VECTORS if "events_per_chunk" in case], ids=lambda c: c["name"]
)
def test_vector_events_come_out_with_the_chunk_that_completes_them(case: dict[str, Any]) -> None:
    parser = EventParser(**case.get("options", {}))
    assert [len(parser.feed(chunk)) for chunk in chunks_of(case)] == case["events_per_chunk"]


@every_vector
def test_vector_agrees_with_the_twin(case: dict[str, Any]) -> None:
    assert run_twin(b"".join(chunks_of(case)), **case.get("options", {})) == outcome_of(case)


# The twin. Lines and pieces of lines, so that a random body is more than one long unknown field.

TEXT_PIECES = [
    *(
        "data\n",
        "data:\n",
        "data: a\n",
        "data:bc\r\n",
        "event: a\n",
        "id: 1\n",
        "id: 2\0\n",
        "retry: 3\n",
        ": c\n",
    ),
    *("data", "data:", "data: ", "event: ", "event", "id: ", "id:", "retry: ", "retry:", ":", ": c", "foo: "),
    *(
        "\n",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\n\r\n",
        " ",
        "\0",
        "a",
        "12",
        "[]",
        "é",
        "\u2028",
        "\x85",
        "\ufeff",
    ),
]
INVALID_PIECES = [
    b"\xef",
    b"\xbb",
    b"\xbf",
    b"\xef\xbb",
    b"\xff",
    b"\xe2\x82",
    b"\xf0\x9f",
    b"\xc0",
    b"\xed\xa0",
]
text_bodies = st.lists(st.sampled_from([piece.encode() for piece in TEXT_PIECES]), max_size=50).map(b"".join)
bodies = st.lists(
    st.sampled_from([piece.encode() for piece in TEXT_PIECES] + INVALID_PIECES) | st.binary(max_size=3),
    max_size=50,
).map(b"".join)


@st.composite
def cut_up(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes]:
    body = draw(whole)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=20)))
    return [body[a:b] for a, b in itertools.pairwise((0, *cuts, len(body)))]


@settings(max_examples=1000, deadline=None)
@given(cut_up(bodies), st.sampled_from(["", "7"]))
def test_any_body_means_what_the_twin_says_however_it_is_cut(chunks: list[bytes], last_event_id: str) -> None:
    body = b"".join(chunks)
    expected = run_twin(body, last_event_id=last_event_id)
    assert run([body], last_event_id=last_event_id) == expected
    assert run(chunks, last_event_id=last_event_id) == expected
    assert run(single_bytes(body), last_event_id=last_event_id) == expected


@settings(max_examples=1000, deadline=None)
@given(cut_up(text_bodies), st.integers(1, 6))
def test_a_limit_is_exceeded_where_the_twin_says_however_the_body_is_cut(
    chunks: list[bytes], limit: int
) -> None:
    body = b"".join(chunks)
    expected = run_twin(body, max_event_size=limit)
    assert run([body], max_event_size=limit) == expected
    assert run(chunks, max_event_size=limit) == expected
    assert run(single_bytes(body), max_event_size=limit) == expected


def counters(chunks: Iterable[bytes]) -> dict[str, int]:
    parser = EventParser()
    for chunk in chunks:
        parser.feed(chunk)
    parser.close()
    names = ("bytes", "events", "comments", "malformed", "pending_bytes")
    return {name: getattr(parser, name) for name in names}


@settings(deadline=None)
@given(cut_up(bodies))
def test_counters_do_not_depend_on_the_cut(chunks: list[bytes]) -> None:
    body = b"".join(chunks)
    counted = counters(chunks)
    assert counted == counters([body]) == counters(single_bytes(body))
    assert counted["bytes"] == len(body)
    assert counted["events"] == len(reference.parse(body)[0])
    assert counted["comments"] == reference.count_comments(body)
    assert counted["malformed"] == 0
    assert counted["pending_bytes"] <= len(body)


# What is pending.


@pytest.mark.parametrize(
    ("fed", "held"),
    [
        (b"", 0),
        (b"data: abc", 3),
        (b"data: abc\n", 3),
        (b"data: abc\ndata: de", 6),
        (b"event: add\nid: 12\ndata: abc\n", 8),
        (b"event: ad", 2),
        (b"id: 12", 2),
        (b"data: abc\n\n", 0),
        (b"data: abc\n\n: comment", 0),
        (b"data: abc\n\nunknown: field", 0),
        (b"data: abc\n: comment\nunknown: field\n", 3),
        (b"id: 12\n\n", 0),
        (b"event: add\n\n", 0),
        (b"\xef\xbb\xbf", 0),
    ],
)
def test_pending_bytes_tells_what_is_held_of_the_incomplete_event(fed: bytes, held: int) -> None:
    for chunks in ([fed], single_bytes(fed)):
        parser = EventParser()
        for chunk in chunks:
            parser.feed(chunk)
        assert parser.pending_bytes == held
        assert parser.close() == []
        assert parser.pending_bytes == held, "close() tells what it discarded"
        parser.reset()
        assert parser.pending_bytes == 0


@pytest.mark.parametrize("fed", [b"event", b"retry: 1234567890123456", b"retry: " + b"0" * 1000])
def test_a_name_or_a_number_that_is_arriving_takes_a_few_bytes_at_most(fed: bytes) -> None:
    parser = EventParser()
    parser.feed(fed)
    assert parser.pending_bytes <= 8


@pytest.mark.parametrize(
    "line", [b": ", b"unknown: ", b"unknown", b"data ", b"datadata", b"retry: x", b"id: \0"]
)
def test_a_line_that_can_no_longer_become_a_field_fills_no_memory(line: bytes) -> None:
    parser = EventParser(max_event_size=100)
    parser.feed(line)
    for _ in range(1000):
        parser.feed(b"x" * 1000)
    assert parser.pending_bytes == 0
    assert [event.data for event in parser.feed(b"\ndata: a\n\n")] == ["a"]


# Limits.


@pytest.mark.parametrize("name", [b"data", b"event", b"id"])
def test_an_unfinished_line_is_refused_with_the_byte_that_goes_over_the_limit(name: bytes) -> None:
    parser = EventParser(max_event_size=1000)
    assert parser.feed(name + b": " + b"x" * 999) == []
    assert parser.feed(b"x") == []
    assert parser.pending_bytes == 1000
    with pytest.raises(LimitExceeded):
        parser.feed(b"x")


def test_limit_exceeded_tells_the_limit_the_place_and_the_events_before_it() -> None:
    parser = EventParser(max_event_size=5)
    parser.feed(b"data: 1\n\n")
    with pytest.raises(LimitExceeded) as caught:
        parser.feed(b"data: 2\n\ndata: 3\n\ndata: 666666\n\ndata: 4\n\n")
    error = caught.value
    assert [event.data for event in error.values] == ["2", "3"]
    assert (error.limit, error.value) == ("max_event_size", 5)
    assert (error.event_number, error.offset) == (4, 27)


def test_after_an_exceeded_limit_every_call_raises_it_until_reset() -> None:
    parser = EventParser(max_event_size=5)
    with pytest.raises(LimitExceeded):
        parser.feed(b"data: 1\n\ndata: 666666\n\n")
    calls: list[Callable[[], object]] = [
        lambda: parser.feed(b"\n\ndata: 2\n\n"),
        lambda: parser.feed(b""),
        parser.close,
        parser.close,
    ]
    for again in calls:
        with pytest.raises(LimitExceeded) as caught:
            again()
        assert caught.value.values == [], "what was delivered once is not delivered again"
        assert (caught.value.limit, caught.value.event_number) == ("max_event_size", 2)
    parser.reset()
    assert [event.data for event in parser.feed(b"data: 12345\n\n")] == ["12345"]
    assert parser.close() == []


def test_the_default_limit_is_32_mib() -> None:
    parser = EventParser()
    chunk = b"x" * 2**20
    parser.feed(b"data:")
    for _ in range(32):
        parser.feed(chunk)
    assert parser.pending_bytes == 32 * 2**20
    with pytest.raises(LimitExceeded):
        parser.feed(b"x")


# What goes in and who may call.


@pytest.mark.parametrize("wrong", ["data: a\n\n", None, 5, [1, 2], array.array("B", b"data"), object])
def test_what_is_not_bytes_is_a_type_error_that_names_the_type(wrong: Any) -> None:
    parser = EventParser()
    with pytest.raises(TypeError, match=type(wrong).__name__):
        parser.feed(wrong)
    assert parser.bytes == 0
    assert len(parser.feed(b"data: a\n\n")) == 1


def test_bytearray_and_memoryview_are_read_as_their_bytes() -> None:
    body = b"data: abc\n\n"
    words = array.array("H", body + b"\n")
    for data in (
        bytearray(body),
        memoryview(body),
        memoryview(bytearray(body)),
        memoryview(b"--" + body + b"--")[2:-2],
        memoryview(bytes(b for byte in body for b in (byte, 0)))[::2],  # not contiguous
        memoryview(body[::-1])[::-1],
        memoryview(words),  # two bytes an item
        memoryview(words).cast("B").cast("B", (2, 6)),  # two dimensions
    ):
        parser = EventParser()
        assert [event.data for event in parser.feed(data)] == ["abc"]
        assert parser.bytes == len(bytes(data))


def test_a_bytearray_may_change_after_feed() -> None:
    parser = EventParser()
    data = bytearray(b"data: abc")
    parser.feed(data)
    data[:] = b"x" * 100  # A buffer that was still exported would refuse to grow.
    assert [event.data for event in parser.feed(b"\n\n")] == ["abc"]


def test_feed_after_close_is_a_value_error_until_reset() -> None:
    parser = EventParser()
    parser.feed(b"data: a\n")
    assert parser.close() == []
    assert parser.close() == [], "closing again is harmless"
    with pytest.raises(ValueError, match="close"):
        parser.feed(b"\n")
    parser.reset()
    assert [event.data for event in parser.feed(b"data: b\n\n")] == ["b"]


def test_reset_makes_the_parser_as_new() -> None:
    parser = EventParser(last_event_id="7", max_event_size=9)
    parser.feed(b"\xef\xbb\xbf: x\nid: 8\nretry: 5\ndata: a\n\nevent: add\nid: 9\ndata: b\r")
    assert (parser.last_event_id, parser.retry) == ("8", 5)
    parser.reset()
    assert (parser.last_event_id, parser.retry, parser.pending_bytes) == ("7", None, 0)
    assert (parser.bytes, parser.events, parser.comments) == (0, 0, 0)
    # A BOM counts again, and no LF, type, id or data is left over from before.
    assert fields(parser.feed(b"\xef\xbb\xbfdata: c\n\n")) == [reference.Event("message", "c", "7", None)]
    with pytest.raises(LimitExceeded):
        parser.feed(b"data: 0123456789\n\n")


@pytest.mark.parametrize("size", [0, -1])
def test_a_limit_that_is_not_positive_is_a_value_error(size: int) -> None:
    with pytest.raises(ValueError, match="max_event_size"):
        EventParser(max_event_size=size)


@pytest.mark.parametrize("size", [True, 1.5, "1", None])
def test_a_limit_that_is_no_int_is_a_type_error(size: Any) -> None:
    with pytest.raises(TypeError, match=f"an int, not {type(size).__name__}"):
        EventParser(max_event_size=size)


@pytest.mark.parametrize("last_event_id", ["\0", "a\0", "1\n", "1\r2"])
def test_a_last_event_id_that_no_stream_can_set_is_a_value_error(last_event_id: str) -> None:
    # It becomes a request header: CR and LF there would be an injection.
    with pytest.raises(ValueError, match="last_event_id"):
        EventParser(last_event_id=last_event_id)


@pytest.mark.parametrize("kwargs", [{"max_event_size": "1"}, {"last_event_id": 7}, {"unknown": 1}])
def test_parameters_are_keywords_and_have_their_types(kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        EventParser(**kwargs)
    with pytest.raises(TypeError):
        EventParser(100)  # type: ignore[call-arg]


# Verbatim.

VERBATIM = (
    b"retry: 5\n\nevent: ping\r\n\r\nid: 1\r\rdata: x\n\n: c\n\n\nevent: message\ndata\n\n"
    b"retry: x\n\nid: a\0\n\nevent: e\nevent\n\nid\n\ndata: y\n\nevent: cut"
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 1000])
def test_verbatim_gives_out_each_block_that_sets_something(size: int) -> None:
    chunks = [VERBATIM[at : at + size] for at in range(0, len(VERBATIM), size)]
    assert run(chunks, verbatim=True).events == [
        reference.Event("", "", "", 5),
        reference.Event("ping", "", "", None),
        reference.Event("", "", "1", None),
        reference.Event("", "x", "1", None),
        reference.Event("message", "", "1", None),
        reference.Event("", "y", "", None),
    ]


@every_vector
def test_verbatim_adds_events_without_data_and_changes_no_other(case: dict[str, Any]) -> None:
    body = b"".join(chunks_of(case))
    usual, verbatim = EventParser(), EventParser(verbatim=True)
    found = [event for event in verbatim.feed(body) if event.data]
    named = [(event.event or "message", event.data, event.id, event.retry) for event in found]
    expected = [event for event in usual.feed(body) if event.data]
    assert named == [(event.event, event.data, event.id, event.retry) for event in expected]
    assert (verbatim.last_event_id, verbatim.retry) == (usual.last_event_id, usual.retry)


def test_verbatim_stays_after_a_reset() -> None:
    parser = EventParser(verbatim=True)
    for _ in range(2):
        assert len(parser.feed(b"retry: 1\n\n")) == 1
        parser.reset()
