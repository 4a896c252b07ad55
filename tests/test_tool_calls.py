"""Tool calls: which call a fragment belongs to, rule by rule, and what a call is in the end.

The rules are those at the head of rust/core/src/chat/tool_calls.rs. Whole streams of providers stand in
tests/vectors/chat.json; here each rule is tried by itself, with what lies right beside it.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from chat_streams import DONE, STOP, accumulate, calls, fragment

from deltawire import ChatAccumulator, ToolCall

Made = tuple[str | None, str, str]


def read(accumulator: ChatAccumulator) -> list[ToolCall]:
    return [call for choice in accumulator.completion.choices for call in choice.message.tool_calls or []]


def part(call: ToolCall) -> Made:
    """Give id (None for a generated one), name and arguments."""
    made = None if "id_generated" in call.repairs else call.id
    if call.function is None:
        assert call.custom is not None
        return made, call.custom.name, call.custom.input
    return made, call.function.name, call.function.arguments


def assembled(*fragments: dict[str, Any]) -> list[Made]:
    """Send each fragment in a chunk of its own."""
    return [part(call) for call in read(accumulate(*map(calls, fragments), DONE))]


def repairs(*fragments: dict[str, Any]) -> list[tuple[str, ...]]:
    return [call.repairs for call in read(accumulate(*map(calls, fragments), DONE))]


F = {"index": 0, "id": "a", "name": "f"}
NEW = "index_shared"

# Rule 1: an id that is known.


def test_a_known_id_continues_its_call() -> None:
    first = fragment(**F, arguments='{"q"')
    for more in (
        {"id": "a"},
        {"id": "a", "index": 0},
        {"id": "a", "index": 0, "name": "f"},
        {"id": "a", "name": "g"},
    ):
        assert assembled(first, fragment(**more, arguments=":1}")) == [("a", "f", '{"q":1}')]


def test_a_known_id_continues_its_call_behind_another_one() -> None:
    other = fragment(index=1, id="b", name="g", arguments="{}")
    assert assembled(fragment(**F, arguments='{"q"'), other, fragment(id="a", arguments=":1}")) == [
        ("a", "f", '{"q":1}'),
        ("b", "g", "{}"),
    ]


def test_a_known_id_begins_a_call_only_with_a_name_a_new_value_and_whole_arguments_before() -> None:
    whole = fragment(**F, arguments='{"q":1}')
    begins = fragment(**F, arguments='{"q":2}')
    assert assembled(whole, begins) == [("a", "f", '{"q":1}'), (None, "f", '{"q":2}')]
    assert repairs(whole, begins)[1] == ("id_generated", NEW)
    for lacking, joined in (
        ((whole, fragment(id="a", index=0, arguments='{"q":2}')), '{"q":1}{"q":2}'),
        ((whole, fragment(**F, arguments=" ")), '{"q":1} '),
        ((fragment(**F, arguments='{"q":'), fragment(**F, arguments="{}}")), '{"q":{}}'),
    ):
        assert assembled(*lacking) == [("a", "f", joined)]


def test_a_known_id_at_another_index_begins_a_call_with_a_name_and_continues_its_own_without() -> None:
    first = fragment(**F, arguments='{"q"')
    assert assembled(first, fragment(index=1, id="a", name="g", arguments="{}")) == [
        ("a", "f", '{"q"'),
        (None, "g", "{}"),
    ]
    assert assembled(first, fragment(index=1, id="a", arguments=":1}")) == [("a", "f", '{"q":1}')]


def test_an_id_that_two_calls_have_is_at_each_index_that_of_its_call() -> None:
    for name in ({}, {"name": "g"}):
        assert assembled(
            fragment(**F, arguments="{}"),
            fragment(index=1, id="a", name="g", arguments=""),
            fragment(index=1, id="a", **name, arguments='{"r"'),
            fragment(index=1, id="a", **name, arguments=":1}"),
        ) == [("a", "f", "{}"), (None, "g", '{"r":1}')]


# Rule 2: an id that is new.


def test_a_new_id_begins_a_call_where_the_index_is_free_or_missing() -> None:
    for more in ({"index": 1}, {}, {"index": None}, {"index": -1}):
        begun = fragment(**more, id="b", arguments="{}")
        assert assembled(fragment(**F, arguments="{"), begun) == [("a", "f", "{"), ("b", "", "{}")]


def test_a_new_id_at_a_taken_index_begins_a_call_if_it_names_a_function() -> None:
    for before in ("", "{", "{}"):
        made = assembled(fragment(**F, arguments=before), fragment(index=0, id="b", name="f", arguments="[]"))
        assert made == [("a", "f", before or "{}"), ("b", "f", "[]")]


def test_a_new_id_without_a_name_is_another_id_of_the_call_at_its_index() -> None:
    changed = (
        fragment(**F, arguments='{"q"'),
        fragment(index=0, id="b", arguments=":"),
        fragment(index=1, id="c", name="g", arguments="{}"),
        fragment(id="b", arguments="1}"),
    )
    assert assembled(*changed) == [("a", "f", '{"q":1}'), ("c", "g", "{}")]
    assert repairs(*changed)[0] == ("id_changed", "index_missing")


def test_a_call_without_an_id_takes_the_first_that_comes_unless_it_has_another_name() -> None:
    begun = fragment(index=0, name="f", arguments='{"q"')
    for late in ({}, {"name": "f"}):
        assert assembled(begun, fragment(index=0, id="a", **late, arguments=":1}")) == [("a", "f", '{"q":1}')]
    assert assembled(begun, fragment(index=0, id="a", name="g", arguments="{}")) == [
        (None, "f", '{"q"'),
        ("a", "g", "{}"),
    ]
    whole = fragment(index=0, name="f", arguments="{}")
    assert assembled(whole, fragment(index=0, id="a", name="f", arguments="[]"))[1] == ("a", "f", "[]")


def test_an_empty_header_takes_id_and_name_of_what_follows() -> None:
    assert assembled({"index": 0}, fragment(**F), fragment(index=0, arguments="[]")) == [("a", "f", "[]")]


# Rule 3: no id, but an index.


def test_without_an_id_the_newest_call_at_the_index_goes_on() -> None:
    assert assembled(
        fragment(**F, arguments="{}"),
        fragment(index=0, id="b", name="g"),
        fragment(index=1, id="c", name="h"),
        fragment(index=0, arguments="[1]"),
        fragment(index=1, arguments="[2]"),
    ) == [("a", "f", "{}"), ("b", "g", "[1]"), ("c", "h", "[2]")]


def test_without_an_id_a_free_index_begins_a_call() -> None:
    assert assembled(fragment(**F, arguments="{}"), fragment(index=1, arguments="[]"))[1] == (None, "", "[]")


def test_without_an_id_whole_arguments_a_name_and_a_new_value_begin_a_call() -> None:
    whole = fragment(**F, arguments='{"q":1}')
    for name in ("f", "g"):
        again = fragment(index=0, name=name, arguments='{"q":2}')
        assert assembled(whole, again) == [("a", "f", '{"q":1}'), (None, name, '{"q":2}')]
        assert repairs(whole, again)[1] == ("id_generated", NEW)
    assert assembled(whole, fragment(index=0, name="f", arguments=" \n")) == [("a", "f", '{"q":1} \n')]
    unfinished = fragment(**F, arguments='{"q":')
    assert assembled(unfinished, fragment(index=0, name="f", arguments="{}}")) == [("a", "f", '{"q":{}}')]


@pytest.mark.parametrize("value", ["{}", " [", "\n{", "\t\r\n [", {}, [], 5, True])
def test_a_value_begins_with_a_bracket_or_is_none_of_text(value: Any) -> None:
    whole = fragment(**F, arguments="[1]")
    assert len(assembled(whole, fragment(index=0, name="g", arguments=value))) == 2


@pytest.mark.parametrize("value", ["", " ", "1", '"{"', "]", None])
def test_other_text_begins_no_value(value: Any) -> None:
    whole = fragment(**F, arguments="[1]")
    assert len(assembled(whole, fragment(index=0, name="g", arguments=value))) == 1


# Rule 4: neither.


def test_without_id_and_index_a_name_begins_a_call() -> None:
    assert [
        made[1:]
        for made in assembled(
            fragment(name="f", arguments="{"),
            fragment(name="g", arguments="{}"),
            fragment(name="g", arguments="[]"),
        )
    ] == [("f", "{"), ("g", "{}"), ("g", "[]")]


def test_without_id_and_index_the_name_of_an_unfinished_call_continues_it() -> None:
    assert assembled(fragment(name="f", arguments='{"q"'), fragment(name="f", arguments=":1}")) == [
        (None, "f", '{"q":1}')
    ]


def test_a_fragment_of_arguments_alone_goes_to_the_newest_call() -> None:
    made = assembled(
        fragment(**F, arguments="{}"), fragment(index=1, id="b", name="g"), fragment(arguments="[]")
    )
    assert made == [("a", "f", "{}"), ("b", "g", "[]")]
    assert assembled(fragment(arguments="["), fragment(arguments="]")) == [(None, "", "[]")]


# Rule 5: names, and arguments that repeat.


def test_the_first_name_that_is_not_blank_counts() -> None:
    for blank in ("", " ", "\t\n", None, 5):
        assert assembled(fragment(index=0, id="a", name=blank), fragment(**F, arguments="[]")) == [
            ("a", "f", "[]")
        ]
    assert assembled(fragment(**F, arguments="["), fragment(index=0, name="g", arguments="]")) == [
        ("a", "f", "[]")
    ]


def test_a_name_grows_only_by_fragments_of_a_name_alone_before_any_arguments() -> None:
    begun, ends = fragment(**F), fragment(index=0, arguments="[]")
    assert assembled(begun, fragment(index=0, name="_g"), fragment(index=0, name="_h"), ends)[0][1] == "f_g_h"
    assert assembled(begun, fragment(index=0, name="f"), ends)[0][1] == "f"
    assert assembled(begun, fragment(index=0, id="a", name="_g"), ends)[0][1] == "f"
    assert assembled(begun, ends, fragment(index=0, name="_g"))[0][1] == "f"


def test_whole_arguments_that_come_again_without_a_name_are_dropped() -> None:
    whole = fragment(**F, arguments='{"q":1}')
    for again in ({"index": 0}, {"id": "a"}, {}):
        assert assembled(whole, fragment(**again, arguments='{"q":1}')) == [("a", "f", '{"q":1}')]
    assert repairs(whole, fragment(index=0, arguments='{"q":1}')) == [("arguments_repeated",)]
    assert assembled(whole, fragment(index=0, arguments='{"q":2}'))[0][2] == '{"q":1}{"q":2}'
    for piece in ("1", '"a"', "[", " "):
        assert (
            assembled(fragment(**F, arguments=piece), fragment(index=0, arguments=piece))[0][2] == piece * 2
        )


# Rule 6, and what an end is.


def test_no_call_is_closed_because_its_arguments_are_whole() -> None:
    for whole in ("{}", "[1]", "1"):
        made = assembled(
            fragment(**F, arguments=whole), fragment(index=0, arguments=" "), fragment(id="a", arguments="\n")
        )
        assert made == [("a", "f", whole + " \n")]


def test_no_call_is_closed_by_the_finish_reason() -> None:
    accumulator = accumulate(
        calls(fragment(**F, arguments='{"q"'), finish_reason="tool_calls"),
        STOP,
        calls(fragment(arguments=":1}")),
    )
    assert [part(call) for call in read(accumulator)] == [("a", "f", '{"q":1}')]


@pytest.mark.parametrize(
    ("arguments", "complete"),
    [
        ('{"q":1}', True),
        ("", True),
        ("1", True),
        (" [ ] ", True),
        ('{"q"', False),
        ("{]", False),
        ("{} x", False),
    ],
)
def test_a_call_is_complete_if_its_arguments_are_one_json_value(arguments: str, complete: bool) -> None:
    (call,) = read(accumulate(calls(fragment(**F, arguments=arguments)), DONE))
    assert call.complete is complete


@pytest.mark.parametrize("arguments", ['{"q":1}', '{"q', '[{"a":"}]"},[]]', "12", '"x"', " {} "])
def test_a_call_is_complete_in_mid_stream_once_its_value_is(arguments: str) -> None:
    accumulator = ChatAccumulator()
    accumulator.feed(calls(fragment(**F)))
    for end, character in enumerate(arguments, start=1):
        accumulator.feed(calls(fragment(index=0, arguments=character)))
        (call,) = read(accumulator)
        assert part(call) == ("a", "f", arguments[:end])
        try:
            orjson.loads(arguments[:end])
        except ValueError:
            assert not call.complete
        else:
            assert call.complete


@pytest.mark.parametrize("index", [4294967295, 2**32, 2**63, 2**64 - 1])
def test_an_index_is_a_key_and_costs_no_more_for_being_large(index: int) -> None:
    made = assembled(
        fragment(index=index, id="b", name="g"),
        fragment(**F, arguments="{}"),
        fragment(index=index, arguments="[]"),
    )
    assert made == [("a", "f", "{}"), ("b", "g", "[]")]


def test_a_thousand_calls_keep_apart() -> None:
    order = sorted(range(1000), key=lambda i: i * 7919 % 1000)
    heads = [fragment(index=i * 4_000_000, id=f"call_{i}", name="f") for i in order]
    bodies = [fragment(index=i * 4_000_000, arguments=f"[{i}]") for i in reversed(order)]
    assert assembled(*heads, *bodies) == [(f"call_{i}", "f", f"[{i}]") for i in range(1000)]


# Arguments that are no text.


def test_arguments_that_are_values_become_their_compact_text_number_by_number() -> None:
    raw = ' { "a" : [ 1.50 , -0.0, 1e5, 12345678901234567890123 ] , "b c":"\\u00e9 \\" { : , é"  } '
    body = b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":'
    (call,) = read(accumulate(body + raw.encode() + b"}}]}}]}\n\n", DONE))
    assert part(call)[2] == ('{"a":[1.50,-0.0,1e5,12345678901234567890123],"b c":"\\u00e9 \\" { : , é"}')
    assert call.repairs == ("id_generated", "arguments_not_text")


def test_an_empty_object_that_is_no_text_gives_way_to_the_value_that_follows() -> None:
    held = fragment(**F, arguments={})
    for value, text in (({"q": 1}, '{"q":1}'), ('{"q":1}', '{"q":1}'), ("[", "["), ({}, "{}")):
        assert assembled(held, fragment(index=0, arguments=value)) == [("a", "f", text)]
    assert assembled(held, fragment(index=0, arguments=" ")) == [("a", "f", "{} ")]


# Custom tools.


def test_the_input_of_a_custom_tool_is_free_text() -> None:
    begun = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "{"}}
    more = {"index": 0, "custom": {"input": " ls"}}
    (call,) = read(accumulate(calls(begun), calls(more), DONE))
    assert (part(call), call.type, call.complete, call.repairs) == (("a", "sh", "{ ls"), "custom", True, ())
    assert call.parse() == call.partial() == "{ ls"
    assert call.function is None


def test_a_custom_tool_without_input_has_the_empty_text() -> None:
    (call,) = read(
        accumulate(calls({"index": 0, "id": "a", "type": "custom", "custom": {"name": "now"}}), DONE)
    )
    assert (part(call), call.complete, call.repairs) == (("a", "now", ""), True, ())


def test_free_text_that_repeats_itself_is_kept() -> None:
    begun = {"index": 0, "id": "a", "custom": {"name": "code", "input": "[]"}}
    assert assembled(begun, {"index": 0, "custom": {"input": "[]"}}) == [("a", "code", "[][]")]
