"""What is given out of a tool call: its id, when it is finished, its arguments decoded whole and in part.

Which fragments a call is made of is the matter of test_tool_calls.py.
"""

from __future__ import annotations

import itertools
import json
import pickle
import re
import time
from typing import Any

import orjson
import pytest
from chat_streams import DONE, STOP, accumulate, calls, event, fragment, text
from hypothesis import given, settings
from hypothesis import strategies as st

from deltawire import ChatAccumulator, InvalidJSON, StreamEnd, ToolCall

F = {"index": 0, "id": "a", "name": "f"}


def read(accumulator: ChatAccumulator) -> list[ToolCall]:
    return [call for choice in accumulator.completion.choices for call in choice.message.tool_calls or []]


# Ids that have to be generated.


@pytest.mark.parametrize("missing", [None, "", " ", "null", 5, "missing"])
def test_a_missing_id_is_generated(missing: Any) -> None:
    fields = {} if missing == "missing" else {"id": missing}
    (call,) = read(accumulate(calls(fragment(index=0, name="f", **fields)), DONE))
    assert re.fullmatch("call_[0-9a-f]{16}", call.id)
    assert call.repairs[0] == "id_generated"


IDLESS = [fragment(index=i % 4, name="f", arguments="[]") for i in range(8)]


def idless(id: str = "c1", created: int = 1) -> list[bytes]:
    head = {"id": id, "created": created}
    return [
        event({**head, "choices": [{"index": choice, "delta": {"tool_calls": [made]}}]})
        for choice, made in itertools.product(range(3), IDLESS)
    ]


def ids(accumulator: ChatAccumulator) -> list[str]:
    return [call.id for call in read(accumulator)]


def test_generated_ids_are_unique_and_the_same_for_the_same_stream() -> None:
    once, again = (ids(accumulate(*idless(), DONE)) for _ in range(2))
    assert once == again
    assert len(set(once)) == 24
    assert set(once).isdisjoint(ids(accumulate(*idless("c2"), DONE)))
    assert set(once).isdisjoint(ids(accumulate(*idless("c1", 2), DONE)))


def test_generated_ids_stay_when_the_stream_goes_on() -> None:
    accumulator = ChatAccumulator()
    seen: list[str] = []
    for created, sent in enumerate(idless(), start=1):
        # Some providers send the time of each chunk.
        accumulator.feed(sent.replace(b'"created":1', b'"created":%d' % created))
        assert set(seen) <= set(ids(accumulator))
        seen = ids(accumulator)
    given_out = [call.id for call in accumulator.finished_tool_calls(final_only=False)]
    accumulator.feed(DONE)
    assert given_out == [id for id in ids(accumulator) if id in given_out]


def test_an_id_factory_makes_the_ids_that_are_missing_once_each() -> None:
    made: list[str] = []

    def id_factory() -> str:
        made.append(f"made_{len(made)}")
        return made[-1]

    accumulator = ChatAccumulator(id_factory=id_factory)
    for sent in [calls(fragment(**F, arguments="{}")), *idless()]:
        accumulator.feed(sent)
        accumulator.finished_tool_calls(final_only=False)
        assert ids(accumulator) == ids(accumulator)
    accumulator.close()
    assert ids(accumulator).count("a") == 1
    assert sorted(ids(accumulator)) == sorted(["a", *made])
    accumulator.reset()
    accumulator.feed(idless()[0] + DONE)
    assert ids(accumulator) == [f"made_{len(made) - 1}"]


def test_what_an_id_factory_raises_or_gives_wrong_comes_out_and_does_no_harm() -> None:
    answers: list[Any] = [KeyError("no"), 5, "fine"]

    def id_factory() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    accumulator = accumulate(calls(fragment(name="f")), DONE, id_factory=id_factory)
    with pytest.raises(KeyError):
        _ = accumulator.completion
    with pytest.raises(TypeError, match="id_factory returns a str, not int"):
        accumulator.finished_tool_calls()
    assert ids(accumulator) == ["fine"]
    with pytest.raises(TypeError, match="id_factory is a callable, not int"):
        ChatAccumulator(id_factory=5)  # type: ignore[arg-type]


def test_an_id_factory_that_uses_its_accumulator_gets_a_runtime_error() -> None:
    def id_factory() -> str:
        with pytest.raises(RuntimeError):
            accumulator.feed(DONE)
        return "made"

    accumulator = ChatAccumulator(id_factory=id_factory)
    accumulator.feed(calls(fragment(name="f")))
    assert ids(accumulator) == ["made"]
    accumulator.feed(DONE)
    assert accumulator.end is StreamEnd.DONE


# When a call is finished.


def given_out(accumulator: ChatAccumulator, *, final_only: bool = True) -> list[str]:
    return [call.id for call in accumulator.finished_tool_calls(final_only=final_only)]


TWO = [
    calls(fragment(index=0, id="a", name="f", arguments="")),
    calls(fragment(index=0, arguments='{"q"')),
    calls(fragment(index=0, arguments=":1}")),
    calls(fragment(index=1, id="b", name="g", arguments="")),
    calls(fragment(index=1, arguments="[2]")),
    STOP,
]


def test_no_call_is_finished_before_the_end_and_each_is_given_out_once_then() -> None:
    accumulator = ChatAccumulator()
    for sent in TWO:
        accumulator.feed(sent)
        assert given_out(accumulator) == []
    accumulator.feed(DONE)
    finished = accumulator.finished_tool_calls()
    assert finished == read(accumulator)
    assert [(call.complete, call.repairs) for call in finished] == [(True, ()), (True, ())]
    accumulator.close()
    assert given_out(accumulator) == given_out(accumulator, final_only=False) == []


def test_close_is_an_end_too() -> None:
    accumulator = ChatAccumulator()
    accumulator.feed(TWO[0])
    assert given_out(accumulator, final_only=False) == []
    accumulator.close()
    (call,) = accumulator.finished_tool_calls()
    assert call.function is not None
    assert (call.function.arguments, call.repairs, call.complete) == ("{}", ("arguments_empty",), True)


def test_a_call_that_was_cut_is_given_out_at_the_end_as_incomplete() -> None:
    accumulator = accumulate(*TWO[:2])
    (call,) = accumulator.finished_tool_calls()
    assert call.function is not None
    assert (call.function.arguments, call.complete) == ('{"q"', False)


def test_a_hint_waits_for_whole_json_and_a_later_call_or_the_finish_reason() -> None:
    accumulator = ChatAccumulator()
    hints = []
    for sent in [*TWO, DONE]:
        accumulator.feed(sent)
        hints.append(given_out(accumulator, final_only=False))
    assert hints == [[], [], [], ["a"], [], ["b"], []]


def test_whole_brackets_that_are_no_json_are_no_hint() -> None:
    accumulator = ChatAccumulator()
    accumulator.feed(calls(fragment(**F, arguments="{q: 1}")) + STOP)
    assert given_out(accumulator, final_only=False) == []
    # What looks broken may yet become whole only by a part that takes nothing back, so it stays broken.
    accumulator.feed(calls(fragment(index=0, arguments=" ")))
    assert given_out(accumulator, final_only=False) == []
    accumulator.feed(DONE)
    assert given_out(accumulator, final_only=False) == ["a"]


def test_a_call_without_arguments_is_no_hint_since_they_may_yet_come() -> None:
    accumulator = ChatAccumulator()
    accumulator.feed(calls(fragment(**F), fragment(index=1, id="b", name="g", arguments="12")) + STOP)
    assert given_out(accumulator, final_only=False) == []
    accumulator.feed(calls(fragment(index=0, arguments="{}"), fragment(index=1, arguments="3")) + DONE)
    finished = accumulator.finished_tool_calls()
    assert [call.parse() for call in finished] == [{}, 123]
    assert [call.repairs for call in finished] == [(), ()]


def test_a_fragment_after_the_hint_is_told_among_the_repairs() -> None:
    accumulator = ChatAccumulator()
    for sent in TWO[:4]:
        accumulator.feed(sent)
    assert [call.repairs for call in accumulator.finished_tool_calls(final_only=False)] == [()]
    accumulator.feed(calls(fragment(index=0, arguments=" ")) + TWO[4] + DONE)
    assert [call.repairs for call in read(accumulator)] == [("changed_after_reported",), ()]
    assert given_out(accumulator) == ["b"], "each call is given out once, changed or not"


def test_calls_of_all_choices_are_given_out() -> None:
    accumulator = accumulate(*(calls(fragment(id=f"{i}", name="f"), index=i) for i in (2, 0, 1)))
    assert given_out(accumulator) == ["0", "1", "2"]


def test_reset_forgets_what_was_given_out() -> None:
    accumulator = accumulate(*TWO)
    assert given_out(accumulator) == ["a", "b"]
    accumulator.reset()
    assert given_out(accumulator) == []
    accumulator.feed(b"".join(TWO) + DONE)
    assert given_out(accumulator) == ["a", "b"]


def test_asking_for_hints_after_every_fragment_is_linear() -> None:
    def cost(count: int) -> float:
        accumulator = ChatAccumulator()
        piece = calls(fragment(index=0, arguments='"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",'))
        start = time.process_time()
        accumulator.feed(calls(fragment(**F, arguments="[")) + STOP)
        for _ in range(count):
            accumulator.feed(piece)
            assert accumulator.finished_tool_calls(final_only=False) == []
        return time.process_time() - start

    assert min(cost(16_000) for _ in range(3)) < 24 * (min(cost(2_000) for _ in range(3)) + 0.001)


# Arguments decoded.

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def call_of(arguments: str) -> ToolCall:
    return ToolCall(
        json.dumps({"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}})
    )


def is_part_of(part: Any, whole: Any) -> bool:
    """Tell whether all of a decoded part stands in the whole, text as a beginning of it."""
    if isinstance(whole, dict):
        return isinstance(part, dict) and all(is_part_of(part[key], whole[key]) for key in part)
    if isinstance(whole, list):
        return isinstance(part, list) and len(part) <= len(whole) and all(map(is_part_of, part, whole))
    if isinstance(whole, str):
        return isinstance(part, str) and whole.startswith(part)
    # The beginning of a number is a number, and of a negative one nothing is below it.
    return type(part) in (int, float) if type(whole) in (int, float) else part is whole


@settings(max_examples=200, deadline=None)
@given(json_values, st.booleans())
def test_parse_gives_what_orjson_does_and_so_does_the_whole_of_partial(value: Any, ascii_only: bool) -> None:
    arguments = json.dumps(value, ensure_ascii=ascii_only)
    call = call_of(arguments)
    assert repr(call.parse()) == repr(orjson.loads(arguments))
    assert repr(call.partial()) == repr(orjson.loads(arguments))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4), st.booleans())
def test_partial_of_every_beginning_is_a_part_of_the_whole(value: Any, ascii_only: bool) -> None:
    arguments = json.dumps(value, ensure_ascii=ascii_only)
    whole = orjson.loads(arguments)
    for end in range(1, len(arguments) + 1):
        part = call_of(arguments[:end]).partial()
        assert isinstance(part, dict), arguments[:end]
        assert is_part_of(part, whole), arguments[:end]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        *[
            ("", None),
            (" ", None),
            ("x", None),
            ("nul", None),
            ("{", {}),
            (" [", []),
            ('{"q', {}),
            ('{"q"', {}),
        ],
        *[('{"q":', {}), ('{"q":"', {"q": ""}), ('{"q":"a', {"q": "a"}), ('{"q":"a\\', {"q": "a"})],
        *[('{"q":"a\\ud83d', {"q": "a"}), ('{"q":"a\\u00', {"q": "a"}), ('{"q":"a","r', {"q": "a"})],
        *[('{"q":[1,{"r":tr', {"q": [1, {}]}), ('{"q":[1,{"r":true', {"q": [1, {"r": True}]})],
        *[('{"q":18446744073709551616,"r":1', {"q": 18446744073709551616.0, "r": 1}), ("[-", [])],
    ],
)
def test_partial_gives_what_is_there(arguments: str, part: Any) -> None:
    assert call_of(arguments).partial() == part


@pytest.mark.parametrize("depth", [10, 199])
def test_partial_reads_200_levels_and_all_of_what_is_whole(depth: int) -> None:
    arguments = '{"a":' * depth
    part, whole = call_of(arguments).partial(), call_of(arguments + "1" + "}" * depth).partial()
    for _ in range(depth - 1):
        part, whole = part["a"], whole["a"]
    assert (part, whole) == ({}, {"a": 1})
    assert call_of('{"a":' * 300).partial() is None
    assert call_of('{"a":' * 1000 + "1" + "}" * 1000).partial() is not None


@pytest.mark.parametrize("arguments", ["{", "{}x", "", '{"a":NaN}', '{"a":1e999}', "[" * 1025 + "]" * 1025])
def test_parse_refuses_what_is_not_one_json_value_and_does_not_show_it(arguments: str) -> None:
    with pytest.raises(InvalidJSON) as caught:
        call_of(arguments).parse()
    error = caught.value
    assert (error.size, error.preview) == (len(arguments), arguments[:200].encode())
    assert isinstance(error.__cause__, orjson.JSONDecodeError)
    assert error.event_number is None
    assert "NaN" not in str(error)


def test_partial_is_linear() -> None:
    def cost(count: int) -> float:
        call = call_of("[" + '{"a":"b"},' * count)
        start = time.process_time()
        assert len(call.partial()) == count
        return time.process_time() - start

    assert min(cost(80_000) for _ in range(3)) < 24 * (min(cost(10_000) for _ in range(3)) + 0.001)


def test_a_call_keeps_what_is_known_of_it_when_it_is_pickled() -> None:
    (call,) = read(accumulate(calls(fragment(name="f", arguments="{")), text("a")))
    same = pickle.loads(pickle.dumps(call))
    assert (same, same.complete, same.repairs) == (call, False, ("id_generated", "index_missing"))
