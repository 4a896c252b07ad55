"""ChatParser: a typed chunk for each event that holds a JSON object, the same however the stream was cut.

What the chunks of a body are is told by the twin of JSONParser in reference.py; what JSON is by
test_chat_json.py, what a chunk is by test_chat_objects.py. Here go the sentences of the stub.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import reference
from chat_streams import DONE, STOP, VECTORS, bodies, chunk, event, text
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from outcomes import pieces as cut

from deltawire import ChatCompletionChunk, ChatParser, InvalidJSON, LimitExceeded
from deltawire.cassettes import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BODIES = [
    b"".join(sent.encode() if isinstance(sent, str) else event(sent) for sent in case["chunks"])
    for case in json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
]


def run(chunks: Iterable[bytes]) -> tuple[list[Any], tuple[bool, int, int, int, int]]:
    """Feed all and close: the chunks as dicts, then done and the counters."""
    parser = ChatParser(errors="skip")
    made = [each for piece in chunks for each in parser.feed(piece)]
    made += parser.close()
    assert all(type(each) is ChatCompletionChunk for each in made)
    counters = (parser.done, parser.bytes, parser.events, parser.comments, parser.malformed)
    return [each.to_dict() for each in made], counters


def objects(body: bytes) -> list[Any]:
    """Give what the twin finds; it knows no cut lines, no wrapped comments and no field `error`."""
    return [value for value in reference.json_values(body, orjson.loads)[0] if isinstance(value, dict)]


# Chunks.


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_the_chunks_of_a_vector_are_its_objects_wherever_it_is_cut(body: bytes) -> None:
    whole = run([body])
    known = b"\nerror:" not in b"\n" + body and b"data: :" not in body and whole[1][-1] == 0
    if known:
        assert whole[0] == objects(body)
    assert run(cut(body)) == run(cut(body, 7)) == whole
    for place in range(1, len(body)):
        assert run([body[:place], body[place:]]) == whole, f"cut at {place}"


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(bodies(), st.data())
def test_the_chunks_of_any_stream_are_the_same_however_it_is_cut(body: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    whole = run([body])
    assert run(cut(body)) == whole
    assert run([body[a:b] for a, b in itertools.pairwise((0, *cuts, len(body)))]) == whole
    assert whole[1][1] == len(body)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).with_name("cassettes").glob("*.yaml")), ids=lambda p: p.stem
)
def test_the_chunks_of_a_recorded_body_are_its_lines(path: Path) -> None:
    for interaction in load(path):
        body = interaction.response.body
        lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: {")]
        for feed in ([body], interaction.replay(), interaction.replay("line"), cut(body), cut(body, 1000)):
            made, counters = run(feed)
            assert made == [orjson.loads(line) for line in lines] != []
            assert (counters[0], counters[-1]) == (True, 0)


def test_each_chunk_comes_out_with_the_last_byte_of_its_event() -> None:
    parser = ChatParser()
    body = text("a") + text("b")
    assert [len(parser.feed(bytes([byte]))) for byte in body] == ([0] * (len(text("a")) - 1) + [1]) * 2


def test_values_that_are_no_objects_are_no_chunks() -> None:
    parser = ChatParser()
    made = parser.feed(b'data: 5\n\ndata: "x"\n\ndata: null\n\ndata: []\n\ndata: [{}]\n\n' + text("a"))
    assert [each.choices[0].delta.content for each in made] == ["a"]
    assert (parser.events, parser.malformed) == (6, 0)


@pytest.mark.parametrize("data", ["", " ", ":", ": keep-alive", "\u3000", "\t:{}"])
def test_empty_data_and_wrapped_comments_are_passed_over(data: str) -> None:
    parser = ChatParser()
    assert len(parser.feed(f"data: {data}\n\n".encode() + text("a"))) == 1
    assert (parser.events, parser.malformed) == (2, 0)


def test_chunks_of_one_shape_are_each_what_they_are() -> None:
    values = ["", "a", "é😀", "\\", '"}', "\n", "x" * 3000, "[DONE]", "a\u2028b", "}]}", "1", "\x00"]
    sent = [
        {"n": number, "choices": [{"index": number, "delta": {"content": value, "x": value}}], "y": value}
        for number, value in itertools.product((0, 1, -1, 10**6, 1.5, -0.0, 1e300), values)
    ]
    parser = ChatParser()
    made = [parser.feed(event(each)) for each in sent]
    assert [repr(each[0].to_dict()) for each in made] == [repr(each) for each in sent]
    assert [each[0].choices[0].delta.x for each in made] == [each["y"] for each in sent]


# The sentinel.


@pytest.mark.parametrize(
    "after", [text("b"), b"data: x\n\n", DONE, b"data: {", b": x\n", b"data: " + b"x" * 300]
)
def test_nothing_after_the_sentinel_counts(after: bytes) -> None:
    for feed in ([text("a") + DONE + after], cut(text("a") + DONE + after)):
        parser = ChatParser(max_event_size=200)
        made = [each for piece in feed for each in parser.feed(piece)] + parser.close()
        assert [each.choices[0].delta.content for each in made] == ["a"]
        assert (parser.done, parser.events, parser.malformed, parser.comments) == (True, 2, 0, 0)
        assert (parser.pending_bytes, parser.bytes) == (0, len(text("a") + DONE + after))


def test_done_is_told_as_soon_as_the_sentinel_came() -> None:
    parser = ChatParser()
    assert (parser.feed(text("a") + DONE[:-1]) != [], parser.done) == (True, False)
    assert (parser.feed(DONE[-1:]), parser.done) == ([], True)


# What is no JSON.


def contents(chunks: list[Any]) -> list[str | None]:
    return [each.choices[0].delta.content for each in chunks]


def test_strict_brings_the_chunks_before_and_the_rest_comes_out_of_the_next_call() -> None:
    parser = ChatParser()
    broken = b"event: x\ndata: {nope\n\n"
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(text("a", "b") + broken + text("c") + broken + text("d") + text("e")[:9])
    error = caught.value
    assert (contents(error.values), error.event_number, error.offset) == (["a", "b"], 3, len(text("a", "b")))
    assert (error.size, error.preview) == (5, b"{nope")
    assert isinstance(error.__cause__, orjson.JSONDecodeError)
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(b"")
    assert (contents(caught.value.values), caught.value.event_number) == (["c"], 5)
    assert contents(parser.feed(text("e")[9:] + text("f"))) == ["d", "e", "f"]
    assert (parser.malformed, parser.events) == (2, 8)


def test_what_was_held_back_comes_before_what_is_fed_next() -> None:
    parser = ChatParser()
    for feed, before in (
        (text("a") + b"data: x\n\n" + text("b") + b"data: x\n\n" + text("c"), ["a"]),
        (text("d") + b"data: x\n\n" + text("e"), ["b"]),
        (text("f"), ["c", "d"]),
    ):
        with pytest.raises(InvalidJSON) as caught:
            parser.feed(feed)
        assert contents(caught.value.values) == before
    assert contents(parser.feed(text("g"))) == ["e", "f", "g"]


def test_broken_lines_at_the_end_of_a_chunk_come_before_what_is_fed_next() -> None:
    parser = ChatParser()
    for feed, before in ((text("a")[:-1] + b"data: x\ndata: y\n\n", ["a"]), (text("b"), [])):
        with pytest.raises(InvalidJSON) as caught:
            parser.feed(feed)
        assert (contents(caught.value.values), caught.value.event_number) == (before, 1)
    assert contents(parser.feed(text("c"))) == ["b", "c"]


def test_close_gives_what_was_held_back_and_may_raise_too() -> None:
    parser = ChatParser()
    with pytest.raises(InvalidJSON):
        parser.feed(b"data: x\n\n" + text("a") + b"data: y\n\n" + text("b", "c")[:-2])
    with pytest.raises(InvalidJSON) as caught:
        parser.close()
    assert contents(caught.value.values) == ["a"]
    assert contents(parser.close()) == ["b", "c"]
    assert parser.close() == []
    with pytest.raises(ValueError, match="close"):
        parser.feed(b"")


def test_skip_counts_what_is_no_json_and_goes_on() -> None:
    parser = ChatParser(errors="skip")
    assert contents(parser.feed(b"data: x\n\n" + text("a") + b"data: {\n\n" + text("b"))) == ["a", "b"]
    assert (parser.malformed, parser.events) == (2, 4)


# An unterminated last event.


@pytest.mark.parametrize(
    "end", [b"", b"\n", b"\r", b"\r\n", b"\n: x", b"\nid: 5", b"\nfoo", b" ", b"\nevent: x\n"]
)
def test_an_unterminated_last_event_is_taken_if_it_is_a_whole_object(end: bytes) -> None:
    for feed in ([text("a") + text("b")[:-2] + end], cut(text("a") + text("b")[:-2] + end)):
        parser = ChatParser()
        made = [each for piece in feed for each in parser.feed(piece)]
        assert (contents(made), contents(parser.close())) == (["a"], ["b"])
        assert (parser.events, parser.close()) == (2, [])


@pytest.mark.parametrize(
    "end", [b"data: {", b"data: 5", b"data: []", b'data: "x"', b"data: {}x", b"dat", b"{}", b": {}"]
)
def test_anything_else_that_is_unterminated_is_discarded_without_a_word(end: bytes) -> None:
    for errors in ("strict", "skip"):
        parser = ChatParser(errors=errors)
        assert contents(parser.feed(text("a") + end)) == ["a"]
        assert parser.close() == []
        assert parser.malformed == 0


# Limits, state, cost.


def test_limit_exceeded_brings_the_chunks_before_and_ends_the_parser_until_reset() -> None:
    parser = ChatParser(max_event_size=len(text("a")))
    with pytest.raises(LimitExceeded) as caught:
        parser.feed(text("a", "b") + text("c" * 100) + text("d"))
    error = caught.value
    assert (contents(error.values), error.limit, error.value) == (
        ["a", "b"],
        "max_event_size",
        len(text("a")),
    )
    assert (error.event_number, error.offset) == (3, len(text("a", "b")))
    again: list[Callable[[], object]] = [
        lambda: parser.feed(text("e")),
        lambda: parser.feed(b""),
        parser.close,
    ]
    for call in again:
        with pytest.raises(LimitExceeded) as caught:
            call()
        assert caught.value.values == []
    parser.reset()
    assert contents(parser.feed(text("f"))) == ["f"]


def test_reset_makes_the_parser_as_new() -> None:
    parser = ChatParser()
    with pytest.raises(InvalidJSON):
        parser.feed(b": x\n" + text("a") + b"data: x\n\n" + text("b") + DONE + b"data: {")
    parser.reset()
    counters = (parser.bytes, parser.events, parser.comments, parser.malformed, parser.pending_bytes)
    assert (counters, parser.done) == ((0, 0, 0, 0, 0), False)
    assert contents(parser.feed(text("c") + DONE)) == ["c"]
    parser.close()
    parser.reset()
    assert contents(parser.feed(text("d"))) == ["d"]


@pytest.mark.parametrize("wrong", ["data: {}\n\n", None, 5, [b"data"]])
def test_what_is_not_bytes_is_a_type_error_that_names_the_type(wrong: Any) -> None:
    parser = ChatParser()
    with pytest.raises(TypeError, match=type(wrong).__name__):
        parser.feed(wrong)
    made = parser.feed(bytearray(text("a"))) + parser.feed(memoryview(text("b")))
    assert contents(made) == ["a", "b"]


@pytest.mark.parametrize("wrong", [{"errors": "ignore"}, {"max_event_size": 0}, {"max_event_size": -1}])
def test_an_argument_out_of_range_is_a_value_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"errors|limit"):
        ChatParser(**wrong)
    with pytest.raises(TypeError):
        ChatParser("strict")  # type: ignore[call-arg]


def test_neither_parser_nor_chunks_keep_a_large_network_chunk_alive() -> None:
    parser = ChatParser()
    fed = bytes(bytearray(text("a", *["b" * 3000] * 3) + b"data: "))
    before = sys.getrefcount(fed)
    made = parser.feed(fed)
    assert (len(made), sys.getrefcount(fed)) == (4, before)
    read = [made[0].choices[0].delta, made[1].raw]
    assert (len(read), sys.getrefcount(fed)) == (2, before)


@pytest.mark.parametrize("contents", [["a"], ["a", "b"], ["c" * 100_000]], ids=["one", "two", "large"])
def test_a_network_chunk_of_little_more_than_an_event_is_kept_by_its_objects_alone(
    contents: list[str],
) -> None:
    class Owner(bytes):
        """More may hang on it than its bytes."""

    parser = ChatParser()
    for _ in range(3):
        fed, owned = (kind(bytearray(text(*contents))) for kind in (bytes, Owner))
        before = sys.getrefcount(fed), sys.getrefcount(owned)
        made, others = parser.feed(fed), parser.feed(owned)
        assert made == others
        assert [b"data: %s\n\n" % each.raw for each in made] == [text(content) for content in contents]
        assert made[0].choices[0].delta.to_json() == others[0].choices[0].delta.to_json()
        assert sys.getrefcount(fed) > before[0]
        assert sys.getrefcount(owned) == before[1]
        del made
        assert sys.getrefcount(fed) == before[0]


@pytest.mark.parametrize("size", [1000, 4096, 10_000, 1_000_000])
def test_each_chunk_is_made_of_its_own_bytes_whatever_stands_beside_it(size: int) -> None:
    contents = ["ab€"[n % 3] * (7 * n**2 % 9973) for n in range(120)]
    sent = [text(content) for content in contents]
    parser = ChatParser()
    made = [each for piece in cut(b"".join(sent), size) for each in parser.feed(piece)]
    assert [b"data: %s\n\n" % each.raw for each in made] == sent
    assert [each.choices[0].delta.to_dict() for each in made] == [{"content": it} for it in contents]


def test_a_chunk_that_is_kept_holds_few_bytes_of_its_neighbours() -> None:
    fed = text(*map(str, range(500)))
    parser = ChatParser()
    tracemalloc.start()
    try:
        kept = [parser.feed(fed)[250] for _ in range(50)]
        before, _ = tracemalloc.get_traced_memory()
        kept += [parser.feed(fed)[250] for _ in range(100)]
        held = (tracemalloc.get_traced_memory()[0] - before) / 100
    finally:
        tracemalloc.stop()
    assert 100 < held < 4096 + 1024 < len(fed) / 8


@pytest.mark.parametrize("content", ["x", "x" * 2_000])
def test_a_small_chunk_that_is_kept_holds_nothing_of_a_large_one_in_front_of_it(content: str) -> None:
    fed = bytes(bytearray(text("x" * 1_000_000, content)))
    before = sys.getrefcount(fed)
    large, small = ChatParser().feed(fed)
    assert large.raw in fed
    assert sys.getrefcount(fed) > before
    del large
    assert sys.getrefcount(fed) == before
    assert b"data: %s\n\n" % small.raw == text(content)


SHAPES: dict[str, tuple[int, Callable[[int], Iterable[bytes]]]] = {
    "chunks": (2_000, lambda n: [text("x") * n]),
    "chunks-byte-by-byte": (200, lambda n: cut(text("x") * n)),
    "one-large-chunk-in-pieces": (200_000, lambda n: cut(text("x" * n), 64)),
    "one-chunk-of-many-values": (5_000, lambda n: [event({"x": [{}] * n})]),
    "one-chunk-of-many-fields": (5_000, lambda n: [event({f"x{i}": i for i in range(n)})]),
    "broken-events": (5_000, lambda n: [b"data: x\n\n" * n]),
    "broken-lines": (5_000, lambda n: [b"data: x\n" * n + STOP]),
    "one-deep-chunk": (100, lambda n: [event(json.loads("[" * n + "]" * n))]),
    "chunks-of-changing-shapes": (2_000, lambda n: [chunk({f"x{i % 7}": i}) for i in range(n)]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_eight_times_the_stream_takes_about_eight_times_as_long(shape: str) -> None:
    def cost(chunks: list[bytes]) -> float:
        parser = ChatParser(errors="skip")
        start = time.process_time()
        for piece in chunks:
            parser.feed(piece)
        return time.process_time() - start

    count, chunks_of = SHAPES[shape]
    small, large = list(chunks_of(count)), list(chunks_of(8 * count))
    # A millisecond on top, so that what is too short to measure does not decide.
    assert min(cost(large) for _ in range(3)) < 24 * (min(cost(small) for _ in range(3)) + 0.001)
