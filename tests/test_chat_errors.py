"""Errors and ends: every shape in which a provider reports an error, and the verdict on every way to end.

A stream that was cut must never look like one that ended, and what came before an error is never lost. So
each shape is sent alone, behind part of a message, before the sentinel, and cut at every place.
"""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from chat_streams import DONE, STOP, accumulate, calls, chunk, dumps, event, fragment, outcome, text
from outcomes import pieces as cut

from deltawire import ChatAccumulator, ChatParser, InvalidJSON, ProviderError, StreamEnd

Told = tuple[str, str | None, Any]

M = {"message": "m", "type": "t", "code": "c"}
# Each shape of an error, and what is told of it: message, type, code.
SHAPES: dict[str, tuple[bytes, Told]] = {
    "a top-level object": (event({"error": {**M, "param": None}}), ("m", "t", "c")),
    "an object in a chunk with choices": (chunk({}, None, error=M), ("m", "t", "c")),
    "an object in a chunk without choices": (event({"id": "c1", "choices": [], "error": M}), ("m", "t", "c")),
    "an event of type error": (b"event: error\n" + event({"error": M}), ("m", "t", "c")),
    "an event of type error that is the error": (b"event: error\n" + event(M), ("m", "t", "c")),
    "an event of type error that is a text": (b'event: error\ndata: "m"\n\n', ("m", None, None)),
    "an Anthropic event": (b"event: error\n" + event({"type": "error", "error": M}), ("m", "t", "c")),
    "a field named error": (b"error: " + dumps(M) + b"\n\n", ("m", "t", "c")),
    "a field named error, without a space": (b"error:" + dumps({"error": M}) + b"\n\n", ("m", "t", "c")),
    "a text in x_groq": (event({"choices": [], "x_groq": {"id": "r", "error": "m"}}), ("m", None, None)),
    "an object in x_groq": (event({"choices": [], "x_groq": {"error": M}}), ("m", "t", "c")),
    "a text": (event({"error": "m"}), ("m", None, None)),
    "an object of type error": (event({"object": "error", **M}), ("m", "t", "c")),
    "a status in the place of a type": (
        event({"error": {"code": 429, "message": "m", "status": "S"}}),
        ("m", "S", 429),
    ),
    "the first item of an array": (event([{"error": {"code": 429, "message": "m"}}]), ("m", None, 429)),
    "a flat Responses error": (event({"type": "error", "message": "m", "code": "c"}), ("m", "error", "c")),
    "response.failed": (event({"type": "response.failed", "response": {"error": M}}), ("m", "t", "c")),
    "response.incomplete": (
        event({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "m"}}}),
        ("m", None, None),
    ),
    "a choice's own": (event({"choices": [{"index": 0, "delta": {}, "error": M}]}), ("m", "t", "c")),
}
every_shape = pytest.mark.parametrize(("sent", "told"), SHAPES.values(), ids=SHAPES)


@every_shape
def test_an_error_is_recognised_and_the_partial_message_survives(sent: bytes, told: Told) -> None:
    for before, content in ((b"", None), (text("par"), "par"), (text("par") + STOP, "par")):
        for after in (b"", DONE, text("tial") + STOP + DONE):
            accumulator = accumulate(before, sent, after)
            error = accumulator.error
            assert error is not None
            assert (error.message, error.type, error.code) == told
            assert accumulator.end is StreamEnd.ERROR
            choices = accumulator.completion.choices
            said = choices[0].message.content if choices else None
            assert said == ((content or "") + "tial" if b"tial" in after else content)


@every_shape
def test_an_error_is_recognised_wherever_it_is_cut_and_without_its_last_blank_line(
    sent: bytes, told: Told
) -> None:
    body = text("a") + sent
    whole = outcome([body])
    assert (whole.end, whole.error) == ("ERROR", told)
    for place in range(1, len(body)):
        assert outcome([body[:place], body[place:]]) == whole, f"cut at {place}"
    # Only a whole object is taken without its blank line: of others nobody can tell that they are whole.
    end = "TRUNCATED" if b"data: [" in sent or b'data: "' in sent else "ERROR"
    for missing in (1, 2):
        assert outcome([body[:-missing]]).end == end


@every_shape
def test_a_parser_of_chunks_gives_an_error_as_a_chunk(sent: bytes, told: Told) -> None:
    chunks = ChatParser().feed(text("a") + sent + STOP)
    payload = sent.partition(b":" if sent.startswith(b"error") else b"data:")[2].strip()
    between = [each.to_dict() for each in chunks[1:-1]]
    assert between == ([json.loads(payload)] if payload.startswith(b"{") else [])


@pytest.mark.parametrize("nothing", [None, False, "", " ", {}, [], 0, 0.0, {"message": "", "code": None}])
def test_an_error_that_says_nothing_is_none(nothing: Any) -> None:
    sent = event({"choices": [{"index": 0, "delta": {"content": "a"}, "error": nothing}], "error": nothing})
    sent += event({"choices": [], "x_groq": {"error": nothing}, "object": "chat.completion.chunk"})
    accumulator = accumulate(sent + STOP)
    assert (accumulator.end, accumulator.error) == (StreamEnd.FINISHED, None)
    assert accumulator.completion.choices[0].message.content == "a"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        *[
            ({"title": "m"}, ("m", None, None)),
            ({"message": ""}, ("", None, None)),
            ({"detail": "m"}, ("m", None, None)),
            (5, ("5", None, None)),
        ],
        *[({"message": {"a": 1}}, ('{"a":1}', None, None)), ({"type": 5, "code": 0}, ("", "5", None))],
        *[({"code": {"a": [1.5]}}, ("", None, {"a": [1.5]})), ({"code": "", "x": 1}, ("", None, None))],
        *[(["m", 1], ('["m",1]', None, None)), (True, ("true", None, None)), ("é\n", ("é\n", None, None))],
    ],
)
def test_whatever_an_error_is_something_is_told_of_it_and_all_is_kept(error: Any, told: Told) -> None:
    accumulator = accumulate(event({"error": error}))
    assert accumulator.error is not None
    assert (accumulator.error.message, accumulator.error.type, accumulator.error.code) == told
    assert accumulator.error.raw == error


def test_response_failed_is_an_error_also_where_it_says_no_more() -> None:
    for kind in ("response.failed", "response.incomplete"):
        for response in (None, {}, {"error": None}):
            assert accumulate(event({"type": kind, "response": response})).end is StreamEnd.ERROR
        assert accumulate(event({"type": kind})).end is StreamEnd.ERROR
    assert accumulate(event({"type": "response.completed", "response": {"error": None}})).error is None


def test_an_error_event_whose_data_is_no_json_is_an_error_with_that_text() -> None:
    for sent in (b"event: error\ndata: upstream timeout\n\n", b"error: upstream timeout\n\n"):
        accumulator = accumulate(text("a"), sent, DONE)
        assert (accumulator.end, accumulator.malformed) == (StreamEnd.ERROR, 1)
        assert accumulator.error is not None
        assert accumulator.error.message == "upstream timeout"


def test_the_first_error_counts() -> None:
    accumulator = accumulate(event({"error": "first"}), event({"error": "second"}), DONE)
    assert accumulator.error is not None
    assert accumulator.error.message == "first"


def test_an_error_is_known_as_soon_as_it_came_and_the_end_later() -> None:
    accumulator = ChatAccumulator()
    error = ProviderError(message="m", type="t", code="c", raw=M)
    accumulator.feed(event({"error": M}))
    assert (accumulator.error, accumulator.end) == (error, None)
    accumulator.feed(DONE)
    assert (accumulator.error, accumulator.end) == (error, StreamEnd.ERROR)
    accumulator.reset()
    assert (accumulator.error, accumulator.end) == (None, None)


def test_an_error_can_be_copied_and_pickled() -> None:
    error = accumulate(event({"error": M})).error
    assert error == copy.deepcopy(error) == pickle.loads(pickle.dumps(error))


# A body that is one JSON document.

DOCUMENT = {"error": {"message": 'No such "model": data: {}\n\nid: é', "type": "t", "code": 404}}
LAYOUTS = {
    "compact": dumps(DOCUMENT),
    "printed over lines": json.dumps(DOCUMENT, indent=2).encode(),
    "with CR LF and a last line end": json.dumps(DOCUMENT, indent=2).replace("\n", "\r\n").encode() + b"\r\n",
    "behind white space": b" \r\n\n\t" + dumps(DOCUMENT) + b"\n\n",
    "behind a byte order mark": b"\xef\xbb\xbf" + dumps(DOCUMENT),
    "in an array": json.dumps([DOCUMENT], indent=1).encode(),
}


@pytest.mark.parametrize("body", LAYOUTS.values(), ids=LAYOUTS)
def test_an_error_document_in_the_place_of_a_stream_is_an_error_wherever_it_is_cut(body: bytes) -> None:
    whole = outcome([body])
    assert whole.end == "ERROR"
    assert whole.error == (DOCUMENT["error"]["message"], "t", 404)
    assert outcome(cut(body)) == whole
    for place in range(1, len(body)):
        assert outcome([body[:place], body[place:]]) == whole, f"cut at {place}"


def test_an_error_document_may_be_as_long_as_64_kib_however_it_is_cut() -> None:
    for size, end in ((65_536, "ERROR"), (65_537, "NOT_SSE"), (200_000, "NOT_SSE")):
        body = b'{"error":"' + b"x" * (size - 12) + b'"}'
        for chunks in ([body], cut(body, 1000), cut(body, 7), [b"", body[:1], body[1:], b""]):
            assert outcome(chunks).end == end


def test_white_space_before_a_document_counts_the_same_however_it_is_cut() -> None:
    for space in (10, 65_536, 100_000):
        body = b" " * space + b'{"error":"x"}'
        assert outcome([body]) == outcome(cut(body, 1000)) == outcome([b" " * space, body[space:]])


def test_an_error_document_that_is_no_utf8_is_an_error_all_the_same() -> None:
    accumulator = accumulate(b'{"error":{"message":"caf\xe9"}}')
    assert accumulator.error is not None
    assert accumulator.error.message == "caf\ufffd"


@pytest.mark.parametrize(
    "body",
    [
        *(
            b'{"error":"x"',
            b'{"error":"x"}}',
            b"{error: 1}",
            b'{"status":"ok"}',
            b"[]",
            b"{}",
            b'{"error":null}',
        ),
        *(
            b"<html>\n<p>error: 502</p>\n",
            b"Bad Gateway",
            b"\xff\xfe\x00",
            b"\n\n",
            b"\x00",
            b"5",
            b'"error"',
        ),
        *(b"\xef\xbb\xbf", b"datum: {}\n\n", b'Data: {"choices":[]}\n\n', b' data: {"choices":[]}\n\n'),
    ],
)
def test_any_other_body_that_is_no_event_stream_is_told_as_such(body: bytes) -> None:
    for chunks in ([body], cut(body)):
        accumulator = accumulate(*chunks)
        assert (accumulator.end, accumulator.error) == (StreamEnd.NOT_SSE, None)
        assert accumulator.completion.choices == []


@pytest.mark.parametrize("before", [b"", b": c\n\n", text("a"), text("a") + STOP], ids=len)
@pytest.mark.parametrize("after", [b"", b"\n", b": c\n", text("b") + STOP + DONE], ids=len)
def test_an_error_document_on_a_line_of_its_own_is_an_error_wherever_it_stands(
    before: bytes, after: bytes
) -> None:
    body = before + b'{"error":"x"}' + (after and b"\n" + after)
    for chunks in ([body], cut(body)):
        accumulator = accumulate(*chunks)
        assert accumulator.error is not None
        assert (accumulator.end, accumulator.error.message) == (StreamEnd.ERROR, "x")


def test_the_first_error_is_told_whether_it_is_an_event_or_a_line() -> None:
    errors = [event({"error": "0"}), b'{"error":"1"}\n']
    for first, second in ((0, 1), (1, 0)):
        body = text("a") + errors[first] + errors[second] + DONE
        for chunks in ([body], cut(body)):
            error = accumulate(*chunks).error
            assert error is not None
            assert error.message == str(first)


@pytest.mark.parametrize(
    "line", [b'{"a":{"error":"x"}}', b' {"error":"x"}', b'{"error":"x"', b'{"error":null}', b"["]
)
def test_any_other_line_that_is_no_field_says_nothing(line: bytes) -> None:
    body = text("a") + line + b"\n" + STOP + DONE
    for chunks in ([body], cut(body)):
        accumulator = accumulate(*chunks)
        assert (accumulator.end, accumulator.error, accumulator.malformed) == (StreamEnd.DONE, None, 0)


def test_a_line_that_is_no_field_is_not_kept_beyond_64_kib() -> None:
    line = b'{"error":"' + b"x" * 64 * 1024 + b'"}\n'
    assert accumulate(text("a") + line + STOP + DONE).error is None


# The verdict.


@pytest.mark.parametrize(
    ("body", "end"),
    [
        *[(event({"error": M}) + DONE, "ERROR"), (text("a") + event({"error": M})[:-2], "ERROR")],
        *[(DONE, "DONE"), (text("a") + DONE[:-2], "DONE"), (b"data: x\n\n" + DONE + b"data: {", "DONE")],
        *[(b"<html>", "NOT_SSE"), (b"dat", "NOT_SSE"), (b"{}", "NOT_SSE"), (b"\n", "NOT_SSE")],
        *[(STOP + b"data: {", "TRUNCATED"), (STOP + b"da", "TRUNCATED"), (STOP + b"id: 1\n", "TRUNCATED")],
        *[
            (STOP + b"event: x", "TRUNCATED"),
            (STOP + b"data: 5", "TRUNCATED"),
            (b": x\n\ndata: {", "TRUNCATED"),
        ],
        *[
            (b"", "EMPTY"),
            (b": x\n\n", "EMPTY"),
            (b"data:\n\ndata: : x\n\n", "EMPTY"),
            (b"retry: 5\n", "EMPTY"),
        ],
        *[
            (STOP, "FINISHED"),
            (STOP[:-2], "FINISHED"),
            (STOP + b": x", "FINISHED"),
            (STOP + b"foo", "FINISHED"),
        ],
        *[(STOP + event({"choices": [], "usage": {"total_tokens": 5}}), "FINISHED")],
        *[(text("a"), "TRUNCATED"), (event({}), "TRUNCATED"), (b"data: x\n\n", "TRUNCATED")],
        *[(STOP + chunk({"content": "b"}, index=1), "TRUNCATED"), (b"data: 5\n\n", "TRUNCATED")],
    ],
)
def test_the_verdict_is_the_first_that_holds(body: bytes, end: str) -> None:
    for chunks in ([body], cut(body)):
        accumulator = ChatAccumulator()
        for piece in chunks:
            accumulator.feed(piece)
        assert accumulator.end is (StreamEnd[end] if b"[DONE]\n\n" in body else None)
        accumulator.close()
        assert accumulator.end is StreamEnd[end]


def test_only_done_and_finished_are_complete() -> None:
    complete = {end for end in StreamEnd if end.is_complete}
    assert complete == {StreamEnd.DONE, StreamEnd.FINISHED}


def test_what_came_before_a_cut_is_kept() -> None:
    body = text("Hel", "lo") + calls(fragment(index=0, id="a", name="f", arguments='{"q"'))
    whole = accumulate(body).completion
    for end in range(1, len(chunk({}, "stop")) - 3):
        accumulator = accumulate(body + STOP[:end])
        assert accumulator.end is StreamEnd.TRUNCATED
        assert accumulator.completion == whole


# Broken events in the middle.


@pytest.mark.parametrize("broken", [b"{", b"x", b"{'a':1}", b"{} {}", b"NaN", b'"\\ud800"', b"\xff", b"<p>"])
def test_a_broken_event_is_counted_and_passed_over(broken: bytes) -> None:
    accumulator = accumulate(text("a") + b"data: " + broken + b"\n\n" + text("b") + STOP)
    assert (accumulator.malformed, accumulator.end) == (1, StreamEnd.FINISHED)
    assert accumulator.completion.choices[0].message.content == "ab"


def test_a_cut_line_with_the_next_one_behind_it_loses_only_itself() -> None:
    line = text("b")[:-1]
    for place in range(len(b"data: {"), len(line) - 2):
        body = text("a") + line[:place] + b"\n" + line + b"\n" + STOP + DONE
        accumulator = accumulate(body)
        assert (accumulator.malformed, accumulator.end) == (1, StreamEnd.DONE)
        assert accumulator.completion.choices[0].message.content == "ab"


def test_a_cut_line_with_the_sentinel_behind_it_loses_only_itself() -> None:
    for behind in (DONE, b"data:[DONE] \n\n", STOP[:-1] + DONE):
        body = text("a") + text("b")[:20] + b"\n" + behind
        for chunks in ([body], cut(body)):
            accumulator = accumulate(*chunks)
            assert (accumulator.malformed, accumulator.end) == (1, StreamEnd.DONE)


def test_a_strict_parser_raises_for_a_cut_line_alone() -> None:
    parser = ChatParser()
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(text("a") + b'data: {"id":\n' + text("b", "c") + b"data: x\n\n" + STOP)
    assert ([each.choices[0].delta.content for each in caught.value.values], caught.value.preview) == (
        ["a"],
        b'{"id":',
    )
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(b"")
    assert [each.choices[0].delta.content for each in caught.value.values] == ["b", "c"]
    assert [each.choices[0].finish_reason for each in parser.feed(b"")] == ["stop"]
    assert parser.malformed == 2
