"""JSONParser: the decoded data of each event up to the sentinel, and what is no JSON.

What a body comes to is told by the twin in reference.py and, for the recorded bodies, by cutting them at
their lines; the rest goes through the sentences of the stub one by one. test_json_loads.py goes on with
what `loads` is given and may do.
"""

import itertools
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import reference
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import pieces
from reference import Refused

from deltawire import InvalidJSON, JSONParser, LimitExceeded


class Outcome(NamedTuple):
    values: list[Any]
    done: bool
    # bytes, events, comments, malformed
    counters: tuple[int, int, int, int]


def run(chunks: Iterable[bytes], **options: Any) -> Outcome:
    """Feed all chunks and close, with Refused for each InvalidJSON."""
    parser: JSONParser[Any] = JSONParser(**options)
    values: list[Any] = []

    def collect(call: Callable[[], list[Any]], again: Callable[[], list[Any]]) -> None:
        while True:
            try:
                values.extend(call())
            except InvalidJSON as error:
                values.extend([*error.values, Refused(error.event_number or 0)])
                call = again
            else:
                return

    for chunk in chunks:
        collect(partial(parser.feed, chunk), partial(parser.feed, b""))
    collect(parser.close, parser.close)
    counters = (parser.bytes, parser.events, parser.comments, parser.malformed)
    return Outcome(values, parser.done, counters)


def data(*values: str) -> bytes:
    return b"".join(b"data: " + value.encode() + b"\n\n" for value in values)


def boom(text: bytes) -> Any:
    """Decode, but fail with what is no ValueError on `boom`, as a bug in the user's code does."""
    if text == b"boom":
        raise KeyError("boom")
    return orjson.loads(text)


# The sentinel.


@pytest.mark.parametrize(
    "event",
    [
        *(
            "data: [DONE]\n\n",
            "data:[DONE]\n\n",
            "data: [DONE]\r\n\r\n",
            "data: [DONE]\r\r",
            "data:\t [DONE] \t\n\n",
        ),
        *(
            "data\ndata: [DONE]\ndata:\n\n",
            "event: end\ndata: [DONE]\nid: 3\n\n",
            ": x\ndata: [DONE]\n: x\n\n",
        ),
        *(
            "data: [DONE]\n",
            "data: [DONE]",
            "data:[DONE]\r",
            "data: [DONE] \nid: 3",
            "data: \xa0[DONE]\u3000\n\n",
        ),
    ],
)
def test_the_sentinel_is_the_whole_data_apart_from_white_space(event: str) -> None:
    for chunks in ([data("1") + event.encode()], pieces(data("1") + event.encode())):
        outcome = run(chunks)
        assert (outcome.values, outcome.done) == ([1], True)
        assert outcome.counters[1:] == (2, event.count(": x"), 0), "it is an event, and no malformed one"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"[DONE]"', "[DONE]"),
        ('["[DONE]"]', ["[DONE]"]),
        ('{"content":"[DONE]"}', {"content": "[DONE]"}),
        *(
            (text, Refused(1))
            for text in ("[DONE] x", "x [DONE]", "[DONE][DONE]", "[done]", "[ DONE ]", "[DONE", "DONE")
        ),
    ],
)
def test_data_that_merely_holds_the_sentinel_is_not_the_sentinel(text: str, value: Any) -> None:
    assert run([data(text, "2")])[:2] == ([value, 2], False)


def test_a_comment_or_another_field_is_not_the_sentinel() -> None:
    assert run([b": [DONE]\n\nevent: [DONE]\ndata: 1\n\nid: [DONE]\n\n[DONE]\n\n" + data("2")])[:2] == (
        [1, 2],
        False,
    )


def test_without_a_sentinel_nothing_ends_the_stream() -> None:
    assert run([data("1", "[DONE]", "2")], done=None)[:2] == ([1, Refused(2), 2], False)


@pytest.mark.parametrize("done", ["<end>", " <end>\n", '{"end":true}', "null", "конец"])
def test_the_sentinel_can_be_another(done: str) -> None:
    assert run([data("1", "[DONE]", done.strip(), "2")], done=done)[:2] == ([1, Refused(2)], True)


@pytest.mark.parametrize(
    "after",
    [data("2"), data("{"), data("[DONE]"), b"data: " + b"x" * 100, b": x\n\n", b"\n\xff\0", b"\n" * 100],
)
def test_nothing_after_the_sentinel_counts(after: bytes) -> None:
    before = data("1", "[DONE]")
    for chunks in ([before + after], [before, after], pieces(before + after)):
        outcome = run(chunks, max_event_size=10)
        assert outcome == ([1], True, (len(before + after), 2, 0, 0))


def test_done_is_told_as_soon_as_the_sentinel_came() -> None:
    parser: JSONParser[Any] = JSONParser()
    assert (parser.feed(data("1") + b"data: [DONE]\n"), parser.done) == ([1], False)
    assert (parser.feed(b"\n"), parser.done) == ([], True)
    assert parser.pending_bytes == 0


@pytest.mark.parametrize("text", ["", " ", "\t", ":", ": keep-alive", " : {}", ":1", "\xa0"])
def test_empty_data_and_wrapped_comments_are_passed_over(text: str) -> None:
    assert run([data(text, "1", text)])[:3] == ([1], False, (len(data(text, "1", text)), 3, 0, 0))


# What is no JSON.


def test_invalid_json_brings_what_was_decoded_and_the_rest_comes_out_of_the_next_call() -> None:
    parser: JSONParser[Any] = JSONParser()
    assert parser.feed(data("1")) == [1]
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(data("2", "3", "x", "4", "yy", "5") + b"data: 6")
    error = caught.value
    assert (error.values, error.event_number, error.offset) == ([2, 3], 4, 27)
    assert (error.size, error.preview) == (1, b"x")
    assert isinstance(error.__cause__, orjson.JSONDecodeError)
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(b"")
    assert (caught.value.values, caught.value.event_number, caught.value.offset) == ([4], 6, 45)
    assert parser.feed(b"") == [5]
    assert parser.feed(b"") == []
    assert parser.feed(b"7\n\n") == [67]
    assert parser.malformed == 2


def test_what_invalid_json_held_back_comes_before_what_is_fed_next() -> None:
    parser: JSONParser[Any] = JSONParser()
    for chunk, values in ((data("1", "x", "2", "x", "3"), [1]), (data("4", "x", "5"), [2])):
        with pytest.raises(InvalidJSON) as caught:
            parser.feed(chunk)
        assert caught.value.values == values
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(data("6"))
    assert caught.value.values == [3, 4]
    assert parser.feed(data("7")) == [5, 6, 7]


def test_close_gives_what_was_held_back_and_may_raise_too() -> None:
    parser: JSONParser[Any] = JSONParser()
    with pytest.raises(InvalidJSON):
        parser.feed(data("x", "1", "x", "2") + b'data: {"a":3}')
    with pytest.raises(InvalidJSON) as caught:
        parser.close()
    assert caught.value.values == [1]
    assert parser.close() == [2, {"a": 3}]
    assert parser.close() == []
    with pytest.raises(ValueError, match="close"):
        parser.feed(b"")


def test_skip_counts_what_is_no_json_and_goes_on() -> None:
    parser: JSONParser[Any] = JSONParser(errors="skip")
    assert parser.feed(data("x", "1", "{", "2", "nul")) == [1, 2]
    assert (parser.malformed, parser.events) == (3, 5)


def test_the_cause_is_the_exception_of_loads() -> None:
    cause = ValueError("no")

    def loads(text: bytes) -> Any:
        raise cause

    parser: JSONParser[Any] = JSONParser(loads=loads)
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(data("1"))
    assert caught.value.__cause__ is cause


# An unterminated last event.


@pytest.mark.parametrize(
    "tail",
    [
        *(b'data: {"a":1}', b'data:{"a":1}\n', b'data: {"a":1}\r', b'data: {"a":1}\r\n', b'data:  {"a":1}  '),
        *(
            b'data: {"a":\ndata: 1}',
            b'event: x\ndata: {"a":1}\nid: 4',
            b'data: {"a":1}\n: x',
            b'data: {"a":1}\nfoo',
        ),
        *(
            b'data: {"a":1}\ndata',
            b'data\ndata: {"a":1}\ndata:\n',
            b'data: {"a":1}\nid: 4\0',
            b'data: {"a":1}\nretry: 5',
        ),
    ],
)
def test_an_unterminated_last_event_is_taken_if_it_is_a_whole_object(tail: bytes) -> None:
    for chunks in ([data("1") + tail], pieces(data("1") + tail)):
        parser: JSONParser[Any] = JSONParser()
        assert [value for chunk in chunks for value in parser.feed(chunk)] == [1]
        assert parser.close() == [{"a": 1}]
        assert (parser.events, parser.done) == (2, False)
        assert parser.close() == []


@pytest.mark.parametrize(
    "tail",
    [
        *(
            b'data: {"a":1',
            b'data: {"a":1}x',
            b'data: {"a":1}{"b":2}',
            b"data: {",
            b"data: {a}",
            b"data: [1]",
            b"data: 1",
        ),
        *(
            b'data: "x"',
            b"data: null",
            b'data: {"a":1}\ndata: x',
            b'data: {"a":1}\xff',
            b"data",
            b"data: ",
            b"data: : {}",
        ),
        *(b'{"a":1}', b': {"a":1}', b'event: {"a":1}', b'dat: {"a":1}', b"id: 4\n", b"data: [DONE] x", b""),
    ],
)
@pytest.mark.parametrize("errors", ["strict", "skip"])
def test_anything_else_that_is_unterminated_is_discarded_without_a_word(tail: bytes, errors: Any) -> None:
    for chunks in ([data("1") + tail], pieces(data("1") + tail)):
        assert run(chunks, errors=errors)[:2] == ([1], False)
        assert run(chunks, errors=errors).counters[3] == 0


def test_close_tells_by_pending_bytes_whether_an_event_was_discarded() -> None:
    for tail, pending in (
        (b'data: {"a":1}', 0),
        (b"data: [DONE]", 0),
        (b'data: {"a":', 5),
        (b"data: [1]\n", 3),
    ):
        parser: JSONParser[Any] = JSONParser()
        parser.feed(data("1") + tail)
        assert parser.pending_bytes > 0
        parser.close()
        assert parser.pending_bytes == pending


# The twin, and recorded bodies.

EVENTS = st.sampled_from(
    [
        *(
            b"data: 1\n\n",
            b'data: {"a":"\xc3\xa9"}\n\n',
            b'data:{"b":[]}\r\n\r\n',
            b"data: x\n\n",
            b"data: {\ndata: }\n\n",
        ),
        *(
            b"data: [DONE]\n\n",
            b"data:\n\n",
            b": c\n\n",
            b"data: :c\n\n",
            b'data: "\xff"\r\r',
            b"event: e\ndata: 2\n\n",
        ),
        *(
            b'data: {"c":3}',
            b"data: ",
            b"data",
            b"{",
            b"}",
            b"[DONE]",
            b"\n",
            b"\r",
            b"\xff",
            b" ",
            b":",
            b"\x1f",
            b"\x0b",
        ),
    ]
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(EVENTS, max_size=20).map(b"".join), st.data(), st.sampled_from([None, "[DONE]", "x"]))
def test_any_body_means_what_the_twin_says_however_it_is_cut(
    body: bytes, draw: st.DataObject, done: str | None
) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    chunks = [body[a:b] for a, b in itertools.pairwise((0, *cuts, len(body)))]
    values, ended = reference.json_values(body, orjson.loads, done)
    whole = run([body], done=done)
    assert whole[:2] == (values, ended)
    assert whole == run(chunks, done=done) == run(pieces(body), done=done)
    assert whole.counters[0] == len(body)
    assert run(chunks, done=done, loads=boom) == whole
    skipped = run(chunks, done=done, errors="skip")
    assert skipped == whole._replace(values=[value for value in values if not isinstance(value, Refused)])


CASSETTES = sorted(Path(__file__).with_name("cassettes").glob("*.yaml"))


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)
def test_a_recorded_body_decodes_the_same_however_it_is_cut(path: Path) -> None:
    for interaction in yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]:
        body = interaction["response"]["body"].encode()
        lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: {")]
        expected = [orjson.loads(line) for line in lines]
        assert len(expected) > 10
        for chunks in (
            [body],
            [event + b"\n\n" for event in body.split(b"\n\n")],
            pieces(body),
            pieces(body, 1000),
        ):
            outcome = run(chunks)
            assert outcome.values == expected
            assert outcome.done
            assert outcome.counters[3] == 0


# Limits, parameters, state.


def test_limit_exceeded_brings_what_was_decoded_and_ends_the_parser_until_reset() -> None:
    parser: JSONParser[Any] = JSONParser(max_event_size=5)
    with pytest.raises(LimitExceeded) as caught:
        parser.feed(data("1", "2", "123456", "3"))
    assert (caught.value.values, caught.value.event_number, caught.value.offset) == ([1, 2], 3, 18)
    calls: list[Callable[[], object]] = [
        lambda: parser.feed(data("4")),
        lambda: parser.feed(b""),
        parser.close,
        parser.close,
    ]
    for again in calls:
        with pytest.raises(LimitExceeded) as caught:
            again()
        assert caught.value.values == []
    parser.reset()
    assert parser.feed(data("12345")) == [12345]


def test_reset_makes_the_parser_as_new() -> None:
    parser: JSONParser[Any] = JSONParser(loads=boom, done="end")
    with pytest.raises(KeyError):
        parser.feed(data("1", "boom", "2"))
    parser.reset()
    with pytest.raises(InvalidJSON):
        parser.feed(data("x", "3", "end", "4"))
    assert parser.feed(b"") == [3]
    assert parser.done
    parser.close()
    parser.reset()
    assert (parser.done, parser.bytes, parser.events, parser.comments, parser.malformed) == (
        False,
        0,
        0,
        0,
        0,
    )
    assert parser.feed(data("5", "end", "6")) == [5]


@pytest.mark.parametrize(
    "kwargs",
    [{"errors": "ignore"}, {"done": ""}, {"done": " "}, {"max_event_size": 0}, {"max_event_size": -1}],
)
def test_an_argument_out_of_range_is_a_value_error_that_names_it(kwargs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        JSONParser(**kwargs)


@pytest.mark.parametrize("kwargs", [{"done": 5}, {"errors": None}, {"max_event_size": "1"}, {"unknown": 1}])
def test_parameters_are_keywords_and_have_their_types(kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        JSONParser(**kwargs)
    with pytest.raises(TypeError):
        JSONParser(json.loads)  # type: ignore[call-overload]


@pytest.mark.parametrize("wrong", ["data: 1\n\n", None, 5, [1, 2]])
def test_what_is_not_bytes_is_a_type_error_that_names_the_type(wrong: Any) -> None:
    parser: JSONParser[Any] = JSONParser()
    with pytest.raises(TypeError, match=type(wrong).__name__):
        parser.feed(wrong)
    assert parser.feed(data("1")) == [1]
