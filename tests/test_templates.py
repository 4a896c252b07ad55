"""What is read by its likeness to an earlier chunk is what it is by itself, whoever reads it.

The core's own properties compare texts and messages; here the objects that Python gets are held to those of
a reader that has no template: a `loads` of the user's, a chunk made from its text, one that is added alone.
Streams are drawn from a few shapes whose values change, so that nearly every chunk is like another one.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire import ChatAccumulator, ChatCompletionChunk, ChatParser, JSONParser

Drawn: TypeAlias = tuple[list[bytes], list[bytes]]
"""The texts of a stream, and the chunks that it comes in."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["", "a", 'quote " and \\ backslash', "line\nend", "é", "😀", "\u2028", "\x7f", "{", "data: x"]
    ),
)
NAMES = st.sampled_from(
    ["id", "content", "provider", "p", "obfuscation", "é", 'q"', "to_dict", "__class__", ""]
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Draw the texts of a stream: of each shape some in a row, with other values in a few places."""
    texts = []
    for _ in range(draw(st.integers(1, 4))):
        delta: dict[str, Any] = draw(st.dictionaries(NAMES, SCALARS, max_size=3))
        delta["content"] = "a"
        if draw(st.booleans()):
            call = {"index": 0, "function": {"arguments": "{", "name": None}}
            delta["tool_calls"] = [call] * draw(st.integers(0, 2))
        choice = {"index": 0, "delta": delta, "finish_reason": None, "native": draw(SCALARS)}
        chunk: dict[str, Any] = draw(st.dictionaries(NAMES, SCALARS, max_size=3))
        chunk |= {
            "created": 1,
            "choices": [choice] * draw(st.integers(1, 2)),
            "x": {"y": [1, {"z": "s"}, []]},
        }
        ascii_only, spaced = draw(st.booleans()), draw(st.booleans())
        for _ in range(draw(st.integers(1, 6))):
            chunk["created"] = draw(st.sampled_from([1, 22, 1.5, "1", None]))
            chunk["x"]["y"][1]["z"] = draw(SCALARS)
            delta["content"] = draw(SCALARS)
            if draw(st.integers(0, 9)) == 0:
                delta[draw(NAMES)] = draw(SCALARS)
            separators = (", ", ": ") if spaced else (",", ":")
            text = json.dumps(chunk, ensure_ascii=ascii_only, separators=separators)
            if draw(st.integers(0, 19)) == 0:
                # A key twice, and one that is escaped.
                text = text.replace(
                    '"created"', '"id":1,"\\u0069d"' if ascii_only else '"created":0,"created"', 1
                )
            if draw(st.integers(0, 19)) == 0:
                at = draw(st.integers(0, len(text)))
                text = (
                    text[:at]
                    + draw(st.sampled_from(['"', "\\", "}", "", "0", "\x01", "\ud800"]))
                    + text[at + 1 :]
                )
            texts.append(text.encode("utf-8", "surrogatepass"))
    return texts


def cut(draw: st.DrawFn, texts: list[bytes]) -> list[bytes]:
    body = b"".join(b"data: " + text.replace(b"\n", b"") + b"\n\n" for text in texts)
    size = draw(st.sampled_from([len(body) + 1, 7, 100, 1000]))
    return [body[at : at + size] for at in range(0, len(body), size)]


@st.composite
def bodies(draw: st.DrawFn) -> Drawn:
    texts = draw(streams())
    return texts, cut(draw, texts)


def shown(value: object) -> str:
    """Show all of a value, its types and the order of its keys included."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"{type(value).__name__} {value!r}"


def attributes(value: Any, names: set[str]) -> str:
    """Show all attributes of an object of a chat that a text may have given it."""
    if isinstance(value, list):
        return "[" + ", ".join(attributes(item, names) for item in value) + "]"
    if not hasattr(value, "to_dict"):
        return shown(value)
    found = {name: attributes(getattr(value, name, "no such field"), names) for name in sorted(names)}
    return f"{type(value).__name__} {found} {value.to_json()} {value.raw!r}"


def change(value: Any) -> None:
    """Change every container in a value."""
    if isinstance(value, dict):
        for part in value.values():
            change(part)
        value.clear()
        value["changed"] = True
    elif isinstance(value, list):
        for part in value:
            change(part)
        value.append("changed")


@given(bodies())
def test_decoded_data_is_what_a_loads_of_the_users_makes_of_it(
    drawn: tuple[list[bytes], list[bytes]],
) -> None:
    _, chunks = drawn
    by_template, alone = JSONParser(errors="skip"), JSONParser(errors="skip", loads=orjson.loads)
    for chunk in chunks:
        values = by_template.feed(chunk)
        assert [shown(value) for value in values] == [shown(value) for value in alone.feed(chunk)]
        # Whoever gets a value may change it.
        change(values)
    assert by_template.malformed == alone.malformed
    assert [shown(value) for value in by_template.close()] == [shown(value) for value in alone.close()]


@given(bodies())
def test_a_chunk_is_what_is_made_from_its_text_alone(drawn: Drawn) -> None:
    texts, chunks = drawn
    names = {
        "id",
        "created",
        "choices",
        "index",
        "delta",
        "finish_reason",
        "content",
        "tool_calls",
        "function",
    }
    names |= {"arguments", "name", "native", "provider", "p", "obfuscation", "é", 'q"', "x", "usage", "model"}
    parser = ChatParser(errors="skip")
    made = [chunk for data in chunks for chunk in parser.feed(data)] + parser.close()
    expected = []
    for text in texts:
        try:
            expected.append(ChatCompletionChunk(text.decode(errors="replace").replace("\n", "")))
        except ValueError:
            continue
    assert len(made) + parser.malformed == len(texts)
    if any(b"\xed" in text or b"\n" in text for text in texts):
        return  # what was sent is not what was decoded
    assert [attributes(chunk, names) for chunk in made] == [attributes(chunk, names) for chunk in expected]
    for chunk in made:
        chunk.choices.clear()
        change(getattr(chunk, "x", None))


@given(bodies())
def test_a_message_is_what_its_chunks_add_up_to_one_by_one(drawn: Drawn) -> None:
    texts, chunks = drawn
    by_template, alone = ChatAccumulator(), ChatAccumulator()
    for data in chunks:
        by_template.feed(data)
    for text in texts:
        try:
            chunk = ChatCompletionChunk(text.decode(errors="replace").replace("\n", ""))
        except ValueError:
            continue
        alone.add(chunk)
    assert by_template.completion.to_dict() == alone.completion.to_dict()


def test_what_one_chunk_gives_out_is_no_other_chunks() -> None:
    """Lists and dicts are made anew, also those that never change."""
    text = b'data: {"choices":[{"index":0,"delta":{"content":"%d"}}],"x":{"y":[]}}\n\n'
    body = b"".join(text % number for number in range(6))
    for parser, get in ((JSONParser(), dict.__getitem__), (ChatParser(), getattr)):
        chunks: list[Any] = parser.feed(body)
        for name in ("choices", "x"):
            assert len({id(get(chunk, name)) for chunk in chunks}) == len(chunks)


@pytest.mark.parametrize("order", [range(9), range(8, -1, -1), [4, 0, 8, 2, 6, 1, 7, 3, 5]])
def test_values_that_begin_to_change_one_after_another_are_each_in_their_place(order: Any) -> None:
    """First one value changes, then two, and so on: fields, others, and values deep inside of both."""
    begun: list[int] = []
    texts = []
    for place in order:
        begun.append(place)
        for number in range(3):
            at = [f"{number}{place}" if place in begun else "same" for place in range(9)]
            call = {
                "index": 0,
                "id": at[3],
                "function": {"name": at[4], "arguments": at[5]},
                "z": {"y": at[6]},
            }
            delta = {"role": at[1], "tool_calls": [call], "reasoning": at[2]}
            choices = [{"index": 0, "delta": delta, "logprobs": None}]
            texts.append(
                orjson.dumps(
                    {"id": at[0], "choices": choices, "x": {"a": [1, {"b": at[7]}], "c": None}, "y": at[8]}
                )
            )
    names = {"id", "choices", "x", "y", "delta", "role", "tool_calls", "reasoning", "function", "name", "z"}
    dicts, chunks = JSONParser(), ChatParser()
    for text in texts:
        (value,), (made,) = (parser.feed(b"data: " + text + b"\n\n") for parser in (dicts, chunks))
        assert orjson.dumps(value) == text
        assert made.to_dict() == value
        assert attributes(made, names) == attributes(ChatCompletionChunk(text), names)
        change(value)
        change(made.x)


def test_a_scalar_in_the_place_of_an_object_may_begin_to_change_too() -> None:
    """A delta and the choices are what readers go through, whatever was sent for them."""
    sent = [(1, 1, 1, 1), (2, 1, 1, 1), (2, 2, 1, 1), (3, 3, 2, 1), (3, 4, 2, 2), (4, 5, 3, 3)]
    shape = b'{"id":"%d","choices":[{"index":0,"delta":%d,"logprobs":%d}],"usage":%d}'
    texts = [shape % numbers for numbers in sent]
    texts += [b'{"id":"1","choices":%d,"usage":%d}' % numbers for numbers in [(1, 1), (1, 2), (2, 2), (3, 3)]]
    parser = ChatParser()
    for text in texts:
        (made,) = parser.feed(b"data: " + text + b"\n\n")
        names = {"id", "choices", "index", "delta", "content", "logprobs", "usage"}
        assert attributes(made, names) == attributes(ChatCompletionChunk(text), names)


@pytest.mark.parametrize("count", [6, 600])
def test_what_chunks_have_in_common_is_there_for_the_last_of_them_and_gone_with_it(count: int) -> None:
    """The memory of the first few hundred that go is used again, that of the others is not."""
    text = b'data: {"id":"a","created":1758698601,"choices":[{"delta":{"content":"%d"}}]}\n\n'
    parser = ChatParser()
    for _ in range(2):
        chunks = parser.feed(b"".join(text % number for number in range(count)))
        created = chunks[-1].created
        parser.reset()
        while chunks:
            assert chunks.pop(0).choices[0].delta.content == str(count - len(chunks) - 1)
            assert all((chunk.id, chunk.created) == ("a", 1758698601) for chunk in chunks[-3:])
        # What is left is the name here, and the parameter of the call, which newer versions do not count.
        assert sys.getrefcount(created) <= 2


def test_a_key_that_was_sent_is_not_kept_for_good() -> None:
    """Python 3.12 never frees a str that was interned, and a provider may send other keys each time."""
    text = b'data: {"choices":[],"x":{"a_key_that_was_sent":%d}}\n\n'
    for parser, get in ((JSONParser(), dict.__getitem__), (ChatParser(), getattr)):
        chunks: list[Any] = parser.feed(b"".join(text % number for number in range(3)))
        for chunk in chunks:
            (key,) = get(chunk, "x")
            assert sys.intern("_".join(["a", "key", "that", "was", "sent"])) is not key


def test_no_template_outlives_its_parser() -> None:
    text = b'data: {"a":"%d","b":1}\n\n'
    for parser in (JSONParser(), JSONParser()):
        values = parser.feed(text % 1 + text % 2 + text % 3)
        assert values == [{"a": str(number), "b": 1} for number in (1, 2, 3)]
        parser.reset()
        assert parser.feed(b'data: {"a":"4","b":2}\n\n') == [{"a": "4", "b": 2}]


@pytest.mark.parametrize(
    "name", ["raw", "to_dict", "to_json", "model_dump", "model_dump_json", "__reduce__", "__class__"]
)
def test_a_field_called_like_a_method_hides_nothing(name: str) -> None:
    text = orjson.dumps({"id": "x", name: "sent"})
    (chunk, again) = ChatParser().feed(b"data: " + text + b"\n\ndata: " + text + b"\n\n")
    for made in (chunk, again):
        assert made.to_dict() == {"id": "x", name: "sent"}
        assert made.raw == text
        assert isinstance(made, ChatCompletionChunk)
