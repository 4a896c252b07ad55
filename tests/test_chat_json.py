"""What is JSON to a reader of chats: orjson decides.

Texts that are JSON, almost JSON and beyond JSON are sent as the data of an event. ChatParser must take
exactly those that orjson takes, invalid UTF-8 as U+FFFD, and every way to read a chunk must give orjson's
values: the dict, and each attribute, which is made from the text by another way.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from chat_streams import DONE, accumulate
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from deltawire import ChatCompletionChunk, ChatParser, InvalidJSON

if TYPE_CHECKING:
    import random

INVALID = object()


def by_orjson(text: bytes) -> Any:
    """Decode as a reader of an event stream: one space and invalid UTF-8 are not the parser's business."""
    try:
        return orjson.loads(text.decode("utf-8", "replace"))
    except ValueError:
        return INVALID


def by_parser(text: bytes) -> Any:
    """Send a text as one event: the chunk, None for another JSON value, INVALID for a broken event."""
    assert not re.search(rb"[\r\n]", text)
    parser = ChatParser(errors="skip")
    chunks = parser.feed(b"data: " + text + b"\n\n")
    assert len(chunks) + parser.malformed <= 1
    if parser.malformed:
        return INVALID
    return chunks[0] if chunks else None


def flat(value: Any) -> list[str]:
    """Give a value as a list of its tokens, however deep it is nested."""
    tokens, waiting = [], [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            tokens.append(f"dict of {list(part)}")
            waiting += part.values()
        elif isinstance(part, list):
            tokens.append(f"list of {len(part)}")
            waiting += part
        else:
            tokens.append(repr(part))
    return tokens


def same(one: Any, other: Any) -> bool:
    """Compare values and types: 1 is not 1.0 nor True, 0.0 is not -0.0."""
    return flat(one) == flat(other)


def check(text: bytes) -> Any:
    expected, got = by_orjson(text), by_parser(text)
    if not isinstance(expected, dict):
        assert got is (INVALID if expected is INVALID else None), text[:200]
        return None
    assert isinstance(got, ChatCompletionChunk), text[:200]
    assert same(got.to_dict(), expected)
    assert same(got.to_dict(), got.model_dump())
    assert same(orjson.loads(got.to_json()), expected)
    assert got.raw == text.strip(b" \t"), "white space around it is not part of the object"
    for name, value in expected.items():
        if name.isidentifier() and name not in {*dir(got), "choices", "usage"} and not name.startswith("__"):
            assert same(getattr(got, name), value)
    return got


# Texts by hand.

BARE_NUMBERS = """
0 -0 1 -1 00 01 -01 +1 - 1. .5 -.5 1.5 0.10 -0.0 1e 1e+ 1e5 1E5 1e+5 1e-5 1.5e3 1e05 0e0 0E999999999999
1e1.5 0x1 1_0 1f --1 1e308 1.7976931348623157e308 1.7976931348623159e308 1e309 -1e309 1e999 1e-999
1e99999999999999999999 1e-99999999999999999999 0.0e99999999999999999999 5e-324 2e-324 0.1 123456789.123456789
9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
18446744073709551616 9007199254740993 NaN nan -NaN Infinity -Infinity inf true false null True nul truex
"""
NUMBERS = [
    *BARE_NUMBERS.split(),
    "1" * 300,
    "1" * 309,
    "9" * 309,
    "1" * 310,
    "-" + "1" * 310,
    "0." + "1" * 400,
    "1" * 310 + ".5",
]
NUMBERS += ["1" * 310 + "e-300", "0." + "0" * 400 + "1", "1" + "0" * 400 + "e-400", "0." + "0" * 20 + "1e330"]
BARE_STRINGS = r"""
\ud83d\ude00 \ud83d \ude00 \ud83d\ud83d \ud83d\u0041 \ud83dx \ude00\ud83d \u0000 \u00e9 \u00E9 \u00g9 \u00e \u
\uD83D\uDE00 \n\r\t\b\f\/\\\" \x41 \ " \' ' \v 😀
"""
STRINGS = [*BARE_STRINGS.split(), "\x00", "\x01", "\x1f", "\t", "\x7f", "\u0080", "\u2028\u2029\u0085\ufeff"]
BARE_STRUCTURES = """
{} [] [1,] [,1] [1,,2] {,} {"a":1,} {"a"} {"a":}
{a:1} {'a':1} {1:2} {"a":1}{"b":2} {"a":1}x {}] [} { } [ ] {}}
5 "x" /**/{} {}// {"":1} {"a":{"b":[{"c":[]}]}} {"a":1,"a":2} {"a":1,"\\u0061":[2]} {"id":1,"i\\u0064":"x"}
{"\\ud800":1} {"a\\tb":1} {"__class__":1} {"raw":1}
"""
STRUCTURES = [
    *BARE_STRUCTURES.split(),
    "{ }",
    "[ ]",
    " {} ",
    "\t{}\t",
    "[1 2]",
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{"a\tb":1}',
    "\ufeff{}",
]
STRUCTURES += ["{}\ufeff", "\x0c{}", "\x0b{}", "\u00a0{}", "{}\u2028"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
def test_numbers_and_words_are_what_orjson_says(number: str) -> None:
    for text in (f'{{"v":{number}}}', f'{{"v": {number} }}', f'{{"v":[{number},{number}]}}'):
        check(text.encode())
    check(number.encode())


@pytest.mark.parametrize("string", STRINGS, ids=ascii)
def test_strings_and_keys_are_what_orjson_says(string: str) -> None:
    for text in (f'{{"v":"{string}"}}', f'{{"v":"a{string}b","w":1}}', f'{{"a{string}":[{{}}]}}'):
        check(text.encode())
        check(b'{"v":"\xff",' + text.encode()[1:])


@pytest.mark.parametrize("structure", STRUCTURES, ids=ascii)
def test_structures_are_what_orjson_says(structure: str) -> None:
    check(structure.encode())
    check(f'{{"v":{structure}}}'.encode())


@pytest.mark.parametrize("depth", [1, 2, 500, *range(1020, 1030), 5000, 200_000])
def test_the_depth_of_nesting_is_orjsons(depth: int) -> None:
    for opens, closes in (("[", "]"), ('{"a":', "}"), ('[{"a":', "}]"), ("[ [", "] ]")):
        times = depth // (1 + (len(opens) > 1 and opens != '{"a":'))
        for inner in ("1", "[]", "{}", '""', '[1,"a"]'):
            text = opens * times + inner + closes * times
            check(text.encode())
            check(f'{{"v":{text}}}'.encode())
            check(f'{{"v":{opens * times}'.encode())


SEQUENCES = ["ff", "c3", "c0 80", "e2 82", "ed a0 80", "f0 9f 98", "f4 90 80 80", "80", "fe ff"]


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_invalid_utf8_is_u_fffd_before_anything_is_decoded(sequence: str) -> None:
    broken = bytes.fromhex(sequence)
    check(b'{"v":"a' + broken + b'b"}')
    check(b'{"v":"a' + broken + b'"}')
    check(b'{"a' + broken + b'":1,"id":"' + broken + b'"}')
    check(b'{"v":' + broken + b"1}")
    chunk = by_parser(b'{"v":"' + broken + b'"}')
    assert "\ufffd" in chunk.v
    assert chunk.raw == b'{"v":"' + broken + b'"}', "raw is what was sent"


def test_of_a_key_that_stands_twice_the_last_value_counts_everywhere() -> None:
    twice = (
        b'{"id":"x","id":"c1","model":"x","model":"m","created":1,"created":2,"object":1,"choices":[{"delta":{}}],'
        b'"usage":{"a":1},"usage":{"prompt_tokens":1,"prompt_tokens":2},"x":1,"x":null,'
        b'"choices":[{"index":3,"index":0,"finish_reason":"x","finish_reason":"stop","delta":{"content":"x"},'
        b'"logprobs":{"content":[1]},"logprobs":null,"delta":{"content":"x","role":"x","content":"a","role":"tool",'
        b'"refusal":"x","refusal":"r","reasoning":"x","reasoning":"h","annotations":[1],"annotations":[2],'
        b'"audio":{"data":"x"},"audio":{"data":"d","data":"e"},"function_call":{"name":"x"},'
        b'"function_call":{"name":"f"},"tool_calls":[{"index":5}],'
        b'"tool_calls":[{"index":1,"index":0,"id":"x","id":"a","function":{},'
        b'"function":{"name":"x","name":"g","arguments":"x","arguments":"{}"}}]}}]}'
    )
    once = json.dumps(json.loads(twice)).encode()
    (chunk,) = ChatParser().feed(b"data: " + twice + b"\n\n")
    assert (chunk.id, chunk.choices[0].delta.content, chunk.choices[0].finish_reason) == ("c1", "a", "stop")
    assert accumulate(b"data: " + twice + b"\n\n", DONE).completion.to_dict() == (
        accumulate(b"data: " + once + b"\n\n", DONE).completion.to_dict()
    )


# Texts by chance.

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**66), 2**66) | st.floats(-1e308, 1e308) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)
names = st.sampled_from(["id", "object", "created", "model", "system_fingerprint", "x", "é", "_y"])
objects = st.dictionaries(names | st.text(max_size=3), values, max_size=5)


@settings(max_examples=300, deadline=None)
@given(objects, st.booleans(), st.sampled_from([None, 1]))
@example({"v": -0.0}, True, None)
def test_any_object_is_read_as_orjson_reads_it(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).replace("\n", "\t")
    # A lone surrogate is an escape that no decoder takes, and no UTF-8.
    assume(ascii_only or text.isprintable() or not re.search("[\ud800-\udfff]", text))
    check(text.encode("utf-8", "surrogatepass"))


ALPHABET = [
    *'{}[]",:\\/ \t0123456789eE+-.tfnaulrsxIN',
    r"\u",
    r"\ud83d",
    "null",
    "\x00",
    "\x1f",
    "é",
    "\u2028",
]


@settings(max_examples=500, deadline=None)
@given(objects, st.booleans(), st.randoms(use_true_random=False), st.integers(1, 4))
def test_a_text_with_a_few_changes_is_taken_exactly_if_orjson_takes_it(
    value: Any, ascii_only: bool, chance: random.Random, changes: int
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    for _ in range(changes):
        start = chance.randrange(len(text) + 1)
        text = text[:start] + chance.choice(["", *ALPHABET]) + text[start + chance.randrange(3) :]
    assume(text.strip() and not text.strip().startswith(":"))
    check(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ALPHABET), max_size=20).map("".join))
def test_any_soup_of_tokens_is_taken_exactly_if_orjson_takes_it(text: str) -> None:
    assume(text.strip() and not text.strip().startswith(":"))
    check(text.encode())
    check(b'{"v":' + text.encode() + b"}")


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"-?[0-9]{0,22}(\.[0-9]{0,22})?([eE][+-]?[0-9]{0,4})?", fullmatch=True))
def test_any_number_is_taken_exactly_if_orjson_takes_it_and_is_the_same_number(number: str) -> None:
    check(b'{"v":' + number.encode() + b"}")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=12))
def test_any_bytes_inside_a_string_are_taken_exactly_if_orjson_takes_them(inside: bytes) -> None:
    inside = inside.replace(b"\n", b"").replace(b"\r", b"")
    check(b'{"v":"' + inside + b'"}')
    check(b'{"' + inside + b'":1}')


# A chunk from a text of one's own.


@settings(max_examples=200, deadline=None)
@given(objects, st.booleans())
def test_a_chunk_can_be_made_of_any_object_as_bytes_and_as_str(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=1)
    assume(by_orjson(text.encode("utf-8", "surrogatepass")) is not INVALID)
    for made in (ChatCompletionChunk(text), ChatCompletionChunk(text.encode())):
        assert same(made.to_dict(), orjson.loads(text))
        assert (made.to_json(), made.raw) == (text, text.encode())


@pytest.mark.parametrize("text", ["", "x", "[]", "5", "null", "{", '{"a":NaN}', '{"a":1e999}', "[" * 1025])
def test_no_chunk_is_made_of_what_is_no_object(text: str) -> None:
    for given_text in (text, text.encode()):
        with pytest.raises(InvalidJSON):
            ChatCompletionChunk(given_text)


def test_no_chunk_is_made_of_what_is_no_text() -> None:
    wrong: Any
    for wrong in (None, 5, {}, bytearray(b"{}")):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            ChatCompletionChunk(wrong)
    with pytest.raises(InvalidJSON):
        ChatCompletionChunk(b'{"a":"\xff"}')
    with pytest.raises(ValueError):  # noqa: PT011 - which one is Python's choice
        ChatCompletionChunk('{"a":"\ud800"}')


def test_orjson_itself_is_what_these_tests_take_it_for() -> None:
    assert by_orjson(b"[" * 1024 + b"]" * 1024) is not INVALID
    assert by_orjson(b"[" * 1025 + b"]" * 1025) is INVALID
    assert by_orjson(b'{"v":NaN}') is by_orjson(b'{"v":1e999}') is by_orjson(b'"\\ud800"') is INVALID
    assert math.isclose(by_orjson(b"18446744073709551616"), 2**64)
