"""ChatAccumulator: a stream in, its message out, the same however the stream was cut.

What streams mean is told by the vectors, quirk by quirk, and by the twin in reference_chat.py, which random
streams are compared with. Then the sentences of the stub one by one: reading in mid-stream, adding chunks,
state. Tool calls, errors, JSON, and limits with threads and cost have files of their own.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import reference_chat
from chat_streams import DONE, STOP, VECTORS, accumulate, bodies, calls, chunk, event, fragment, outcome
from chat_streams import text as words
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from outcomes import pieces as cut

if TYPE_CHECKING:
    from collections.abc import Callable

from deltawire import ChatAccumulator, ChatParser, InvalidJSON, StreamEnd

# The vectors.

CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
every_case = pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])


def wire(case: dict[str, Any]) -> list[bytes]:
    return [sent.encode() if isinstance(sent, str) else event(sent) for sent in case["chunks"]]


def at(body: Any, pointer: str) -> Any:
    """Give what stands at a JSON pointer; None where nothing does."""
    for key in pointer.split("/")[1:]:
        if isinstance(body, list):
            body = body[int(key)] if int(key) < len(body) else None
        else:
            body = body.get(key) if isinstance(body, dict) else None
    return body


@every_case
def test_a_vector_assembles_as_it_says_whole_and_event_by_event_and_in_pieces(case: dict[str, Any]) -> None:
    chunks, options = wire(case), case.get("options", {})
    body = b"".join(chunks)
    expected = {"end": None, "usage": None, "error": None, "malformed": 0, **case["expected"]}
    for feed in (chunks, [body], cut(body), cut(body, 7)):
        got = outcome(feed, **options)
        choice = at(got.body, "/choices/0") or {"message": {}}
        for field in ("content", "reasoning"):
            assert choice["message"].get(field) == expected.get(field), field
        assert choice.get("finish_reason") == expected.get("finish_reason")
        assert got.body.get("usage") == expected["usage"]
        made = choice["message"].get("tool_calls", [])
        wanted = expected.get("tool_calls", [])
        # The facts of the first choice stand first.
        for call, facts, told in zip(made, got.calls[: len(made)], wanted, strict=True):
            part = call.get("function") or call.get("custom") or {}
            said = part.get("name", ""), part.get("arguments", part.get("input", ""))
            assert (call["id"], *said) == (told["id"], told["name"], told["arguments"])
            assert facts == (told.get("complete", True), tuple(told.get("repairs", [])))
        error = expected["error"] and tuple(expected["error"].values())
        assert (got.end, got.error, got.malformed) == (expected["end"], error, expected["malformed"])
        for pointer, value in expected.get("at", {}).items():
            assert at(got.body, pointer) == value, pointer


@every_case
def test_a_vector_assembles_the_same_wherever_it_is_cut(case: dict[str, Any]) -> None:
    body, options = b"".join(wire(case)), case.get("options", {})
    whole = outcome([body], **options)
    for place in range(1, len(body)):
        assert outcome([body[:place], body[place:]], **options) == whole, f"cut at {place}"


@every_case
def test_a_vector_means_what_the_twin_says(case: dict[str, Any]) -> None:
    body, options = b"".join(wire(case)), case.get("options", {})
    assert outcome([body], **options) == reference_chat.read(body, merge_choices=bool(options))


def test_each_vector_is_named_by_provider_and_behaviour() -> None:
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names) > 200
    assert all(case["name"].startswith(case["provider"] + ": ") for case in CASES)


# Any stream, cut anywhere.


# A body that fails is short enough to read; making it shorter would take minutes.
quickly: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}


@settings(max_examples=300, **quickly)
@given(bodies(), st.booleans(), st.data())
def test_any_stream_means_what_the_twin_says_however_it_is_cut(
    body: bytes, merges: bool, draw: st.DataObject
) -> None:
    options = {"n": 1} if merges else {}
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    twin = reference_chat.read(body, merge_choices=merges)
    assert outcome([body], **options) == twin
    assert outcome(cut(body), **options) == twin
    assert outcome([body[a:b] for a, b in itertools.pairwise((0, *cuts, len(body)))], **options) == twin


@settings(max_examples=50, **quickly)
@given(bodies())
def test_reading_in_mid_stream_changes_nothing(body: bytes) -> None:
    accumulator = ChatAccumulator()
    for piece in cut(body, 29):
        accumulator.feed(piece)
        completion = accumulator.completion
        accumulator.finished_tool_calls()
        assert (accumulator.usage and accumulator.usage.to_dict()) == completion.to_dict().get("usage")
        assert accumulator.error is None or accumulator.error.message is not None
    accumulator.close()
    assert accumulator.completion == accumulate(body).completion


@settings(max_examples=50, **quickly)
@given(bodies(), st.data())
def test_a_completion_that_is_kept_stays_what_had_come_when_it_was_read(
    body: bytes, draw: st.DataObject
) -> None:
    accumulator = ChatAccumulator()
    pieces = cut(body, max(29, len(body) // 20))
    kept = []
    for count, piece in enumerate(pieces, 1):
        accumulator.feed(piece)
        read = accumulator.completion
        if draw.draw(st.booleans()):
            kept.append((count, read))
    for count, read in kept:
        until_then = ChatAccumulator()
        for piece in pieces[:count]:
            until_then.feed(piece)
        assert read == until_then.completion


@settings(max_examples=50, **quickly)
@given(bodies())
def test_chunks_that_are_added_come_to_the_same_as_their_bytes(body: bytes) -> None:
    parser = ChatParser(errors="skip")
    chunks = parser.feed(body) + parser.close()
    by_object, by_dict = ChatAccumulator(), ChatAccumulator()
    for each in chunks:
        by_object.add(each)
        by_dict.add(each.to_dict())
    alone = accumulate(*(b"data: " + each.raw + b"\n\n" for each in chunks))
    for added in (by_object, by_dict):
        added.close()
        assert added.completion == alone.completion
        assert (added.end, added.error) == (alone.end, alone.error)


# In mid-stream.


def test_nothing_has_come_before_anything_came() -> None:
    accumulator = ChatAccumulator()
    assert accumulator.completion.to_dict() == {
        "id": None,
        "object": "chat.completion",
        "created": None,
        "model": None,
        "choices": [],
    }
    assert (accumulator.end, accumulator.error, accumulator.usage) == (None, None, None)
    assert accumulator.finished_tool_calls() == accumulator.finished_tool_calls(final_only=False) == []


def test_a_completion_that_was_taken_does_not_change_any_more() -> None:
    accumulator = ChatAccumulator()
    read = []
    for piece in cut(words("a", "b") + STOP):
        accumulator.feed(piece)
    for piece in (words("c"), words("d")):
        accumulator.feed(piece)
        read.append(accumulator.completion)
    accumulator.feed(DONE)
    assert [each.choices[0].message.content for each in read] == ["abc", "abcd"]


def test_what_only_the_end_makes_true_is_not_said_before() -> None:
    accumulator = ChatAccumulator()
    accumulator.feed(calls(fragment(index=0, id="a", name="f", arguments="")))
    (call,) = accumulator.completion.choices[0].message.tool_calls or []
    assert call.function is not None
    assert (call.function.arguments, call.complete, call.repairs) == ("", False, ())
    accumulator.feed(DONE)
    (call,) = accumulator.completion.choices[0].message.tool_calls or []
    assert call.function is not None
    assert (call.function.arguments, call.complete, call.repairs) == ("{}", True, ("arguments_empty",))


def test_end_is_none_until_the_sentinel_or_close() -> None:
    accumulator = ChatAccumulator()
    for piece in (words("a"), STOP, DONE[:-1]):
        accumulator.feed(piece)
        assert accumulator.end is None
    accumulator.feed(DONE[-1:])
    assert (accumulator.end, accumulator.done) == (StreamEnd.DONE, True)
    accumulator.close()
    assert accumulator.end is StreamEnd.DONE


def test_the_first_model_is_kept_beside_the_one_that_served() -> None:
    accumulator = accumulate(*(event({"model": model}) for model in ("", "router", "gpt", "gpt-5")), DONE)
    assert (accumulator.completion.first_model, accumulator.completion.model) == ("router", "gpt-5")


def test_counters_count() -> None:
    accumulator = ChatAccumulator()
    body = b": a\n\n" + words("a") + b"data: x\n\ndata:\n\n" + DONE + b": b\n\n"
    accumulator.feed(body + b"data: {")
    counters = (accumulator.bytes, accumulator.events, accumulator.comments, accumulator.malformed)
    assert counters == (len(body) + 7, 4, 1, 1), "nothing after the sentinel is an event or a comment"
    accumulator.reset()
    accumulator.feed(b"data: {")
    assert (accumulator.bytes, accumulator.pending_bytes, accumulator.malformed) == (7, 1, 0)


# Strict, and the chunks beside the message.


def test_strict_raises_for_a_broken_event_and_goes_on() -> None:
    accumulator = ChatAccumulator(errors="strict")
    with pytest.raises(InvalidJSON) as caught:
        accumulator.feed(words("a") + b"data: x\n\n" + words("b") + b"data: y\n\n" + STOP)
    assert (caught.value.event_number, caught.value.preview) == (2, b"x")
    assert accumulator.completion.choices[0].message.content == "a"
    with pytest.raises(InvalidJSON) as caught:
        accumulator.feed(b"")
    assert caught.value.event_number == 4
    accumulator.close()
    assert (accumulator.end, accumulator.malformed) == (StreamEnd.FINISHED, 2)
    assert accumulator.completion.choices[0].message.content == "ab"


def test_feed_chunks_gives_what_a_parser_gives_and_accumulates_beside() -> None:
    body = words("a", "b") + b"data: x\n\n" + b"data: 5\n\n" + STOP[:-2]
    accumulator, parser = ChatAccumulator(), ChatParser(errors="skip")
    for piece in cut(body, 50):
        assert accumulator.feed_chunks(piece) == parser.feed(piece)
    assert accumulator.close_chunks() == parser.close() != []
    assert accumulator.completion == accumulate(body).completion


# State.


def test_feed_and_add_after_close_raise_and_closing_again_is_harmless() -> None:
    accumulator = accumulate(words("a"), DONE)
    accumulator.close()
    again: list[Callable[[], object]] = [
        lambda: accumulator.feed(b""),
        lambda: accumulator.feed_chunks(b""),
        lambda: accumulator.add({}),
    ]
    for call in again:
        with pytest.raises(ValueError, match="close"):
            call()
    assert accumulator.completion.choices[0].message.content == "a"


def test_reset_makes_the_accumulator_new() -> None:
    accumulator = ChatAccumulator(n=1, errors="strict")
    with pytest.raises(InvalidJSON):
        accumulator.feed(chunk({"content": "a"}, index=1) + b"data: x\n\n" + words("b"))
    accumulator.reset()
    assert accumulator.completion == ChatAccumulator().completion
    accumulator.feed(chunk({"content": "c"}, "stop", index=3))
    accumulator.close()
    assert accumulator.completion == accumulate(chunk({"content": "c"}, "stop")).completion


@pytest.mark.parametrize("wrong", ["data: {}\n\n", None, 5, [b"data"]])
def test_what_is_not_bytes_is_a_type_error_that_names_the_type(wrong: Any) -> None:
    accumulator = ChatAccumulator()
    for method in (accumulator.feed, accumulator.feed_chunks, accumulator.add):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            method(wrong)
    with pytest.raises(TypeError):
        accumulator.add({"choices": object()})
    for data in (bytearray(words("a")), memoryview(words("b"))):
        accumulator.feed(data)
    assert accumulator.completion.choices[0].message.content == "ab"


@pytest.mark.parametrize("name", ["n", "max_message_size", "max_tool_calls", "max_choices", "max_event_size"])
def test_a_parameter_below_1_is_a_value_error(name: str) -> None:
    for below in (0, -1):
        wrong: dict[str, Any] = {name: below}
        with pytest.raises(ValueError, match="1"):
            ChatAccumulator(**wrong)
    wrong = {name: "1"}
    with pytest.raises(TypeError):
        ChatAccumulator(**wrong)


def test_parameters_are_keywords_and_errors_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="errors"):
        ChatAccumulator(errors="ignore")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ChatAccumulator(1)  # type: ignore[call-arg]


def test_text_with_a_backslash_is_not_taken_for_what_its_bytes_escape() -> None:
    accumulator = accumulate(event({"model": r"\u00e9"}), b'data: {"model": "\\u00e9"}\n\n')
    assert accumulator.completion.model == "é"


@pytest.mark.parametrize("odd", [5, "x", True, {"a": 1}])
def test_what_is_no_list_takes_the_place_of_none(odd: Any) -> None:
    def body(value: Any) -> bytes:
        delta = {"annotations": value, "content_parts": value}
        return event({"choices": [{"delta": delta, "logprobs": {"content": value, "refusal": value}}]})

    completion = accumulate(body([{"a": 1}]), body(odd)).completion
    assert completion.to_dict() == accumulate(body([{"a": 1}])).completion.to_dict()
    for name in (b"annotations", b"content_parts", b"refusal"):
        assert completion.raw.count(b'"%b"' % name) == 1
