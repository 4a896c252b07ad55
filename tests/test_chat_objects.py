"""The objects of a chat: attributes under openai's names, immutable, equal, picklable; openai as the judge.

Chunks and completions are read the way code for the openai package reads them. What an attribute is where
nothing was sent, and what the package itself makes of the same JSON, is told here.
"""

from __future__ import annotations

import copy
import itertools
import json
import operator
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import openai.types.chat as theirs
import orjson
import pytest
from chat_streams import DONE, STOP, accumulate, calls, chunk, event, fragment, text
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat._completions import ChatCompletionStreamState
from openai.types import completion_usage
from openai.types.chat import chat_completion, chat_completion_chunk

import deltawire
from deltawire import (
    ChatAccumulator,
    ChatCompletion,
    ChatCompletionChunk,
    ChatParser,
    CompletionUsage,
    InvalidJSON,
    StreamEnd,
    ToolCall,
)
from deltawire.cassettes import load

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENAI = "3.54.0"
"""The version whose classes were read last."""

USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 2,
    "total_tokens": 7,
    "cost": 0.5,
    "completion_tokens_details": {"reasoning_tokens": 1},
    "prompt_tokens_details": {"cached_tokens": 3},
}
LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.5}]}
FULL = {
    "id": "c1",
    "object": "chat.completion.chunk",
    "created": 1700000000,
    "model": "m",
    "service_tier": "default",
    "system_fingerprint": "fp",
    "usage": USAGE,
    "provider": {"name": "x"},
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "native_finish_reason": "tool_use",
            "logprobs": {"content": [LOGPROB], "refusal": None},
            "delta": {
                "role": "assistant",
                "content": "a",
                "refusal": None,
                "reasoning_content": "r",
                "tool_calls": [
                    {"index": 1, "id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
                "function_call": {"name": "g", "arguments": ""},
            },
        }
    ],
}


def parsed(value: Any) -> ChatCompletionChunk:
    (made,) = ChatParser().feed(event(value))
    return made


# Attributes of a chunk.


def test_known_fields_are_attributes_under_their_openai_names() -> None:
    made = parsed(FULL)
    assert (made.id, made.object, made.created, made.model) == ("c1", FULL["object"], 1700000000, "m")
    assert (made.service_tier, made.system_fingerprint) == ("default", "fp")
    (choice,) = made.choices
    assert (choice.index, choice.finish_reason) == (0, "tool_calls")
    delta = choice.delta
    assert (delta.role, delta.content, delta.refusal) == ("assistant", "a", None)
    (call,) = delta.tool_calls or []
    assert call.function is not None
    assert (call.index, call.id, call.type, call.function.name) == (1, "t", "function", "f")
    assert call.function.arguments == "{}"
    assert delta.function_call is not None
    assert (delta.function_call.name, delta.function_call.arguments) == ("g", "")
    assert choice.logprobs is not None
    (token,) = choice.logprobs.content or []
    assert (token.token, token.bytes, token.logprob, choice.logprobs.refusal) == ("a", [97], -0.5, None)
    assert (token.top_logprobs[0].token, token.top_logprobs[0].bytes) == ("b", None)
    usage = made.usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (5, 2, 7)
    assert usage.completion_tokens_details is not None
    assert usage.prompt_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 1
    assert usage.prompt_tokens_details.cached_tokens == 3


def test_unknown_fields_that_were_sent_are_attributes_too() -> None:
    made = parsed(FULL)
    assert made.provider == {"name": "x"}
    assert made.choices[0].native_finish_reason == "tool_use"
    assert made.choices[0].delta.reasoning_content == "r"
    assert made.usage is not None
    assert made.usage.cost == 0.5


@pytest.mark.parametrize("name", ["id", "model", "created", "service_tier", "system_fingerprint"])
def test_a_name_that_differs_in_one_letter_is_another_field(name: str) -> None:
    for at in range(len(name)):
        other = name[:at] + "~" + name[at + 1 :]
        made = parsed({other: "sent", "usage": {other: "sent too"}})
        assert (getattr(made, other), getattr(made, name)) == ("sent", None)
        assert getattr(made.usage, other) == "sent too"


def test_strings_that_differ_in_one_letter_are_not_taken_for_each_other() -> None:
    """Those of a chunk that is parsed are given out again where they come again, as keys and as values."""
    parser = ChatParser()
    for length in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 63, 64, 65):
        for at in range(length):
            for letter in "abé":
                sent = "-" * at + letter + "-" * (length - at - 1)
                for _ in range(2):
                    (made,) = parser.feed(event({"x": {sent: sent}, "id": sent}))
                    assert (made.id, made.x) == (sent, {sent: sent})


@pytest.mark.parametrize("name", ["foo", "", "é", "__wrapped__", "_x", "choices.0", "Id"])
def test_an_unknown_field_that_was_not_sent_is_an_attribute_error(name: str) -> None:
    made = parsed(FULL)
    for part in (made, made.choices[0], made.choices[0].delta, made.usage):
        assert not hasattr(part, name)
        with pytest.raises(AttributeError, match=type(part).__name__):
            getattr(part, name)


def test_a_known_field_that_was_not_sent_is_none_and_lists_of_choices_are_empty() -> None:
    made = parsed({})
    assert (made.id, made.object, made.created, made.model, made.usage) == (None,) * 5
    assert (made.service_tier, made.system_fingerprint, made.choices) == (None, None, [])
    assert parsed({"choices": None}).choices == []
    (choice,) = parsed({"choices": [{}]}).choices
    assert (choice.index, choice.finish_reason, choice.logprobs) == (None, None, None)
    assert (choice.delta.role, choice.delta.content, choice.delta.tool_calls) == (None, None, None)
    assert choice.delta.to_dict() == {}
    (null,) = parsed({"choices": [{"delta": None}]}).choices
    assert null.delta.content is None


def test_a_value_of_an_unexpected_kind_is_given_as_it_is() -> None:
    made = parsed({"id": 5, "usage": "x", "choices": [{"index": "1", "logprobs": [], "delta": {}}]})
    values: list[Any] = [made.id, made.usage, made.choices[0].index, made.choices[0].logprobs]
    assert values == [5, "x", "1", []]
    (choice,) = parsed({"choices": [{"delta": {"content": [{"type": "text"}], "tool_calls": "x"}}]}).choices
    values = [choice.delta.content, choice.delta.tool_calls]
    assert values == [[{"type": "text"}], "x"]


@pytest.mark.parametrize("choices", [None, [], {}, "x", 5, [5, None, "x", []], [5, {}]])
def test_choices_can_be_iterated_whatever_was_sent(choices: Any) -> None:
    made = parsed({"choices": choices})
    assert [choice.delta.content for choice in made.choices] == ([None] if choices == [5, {}] else [])
    assert made.to_dict() == {"choices": choices}


# What all objects have in common.


def every_part(value: Any) -> Iterator[Any]:
    yield value
    for name in dir(type(value)):
        field = None if name.startswith("_") else getattr(value, name)
        for part in field if isinstance(field, list) else [field]:
            if type(part).__module__ == "deltawire":
                yield from every_part(part)


ANOTHER = calls(fragment(index=0, id="u", name="g", arguments="{}"))
COMPLETION = accumulate(event(FULL), ANOTHER, chunk({"audio": {"id": "x"}}), STOP).completion
PARTS = [*every_part(parsed(FULL)), COMPLETION, *every_part(COMPLETION.choices[0])]
every_one = pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)


def test_every_class_is_among_the_parts_that_are_tried() -> None:
    import deltawire._native as native

    classes = {
        each for each in vars(native).values() if isinstance(each, type) and hasattr(each, "model_dump")
    }
    assert {type(part).__name__ for part in PARTS} >= {each.__name__ for each in classes} - {"Custom"}


@every_one
def test_an_object_can_not_be_changed(part: Any) -> None:
    for name in ("id", "index", "to_dict", "foo"):
        with pytest.raises(AttributeError):
            setattr(part, name, 5)
        with pytest.raises(AttributeError):
            delattr(part, name)


@every_one
def test_to_dict_is_what_orjson_makes_of_the_text_and_new_each_time(part: Any) -> None:
    made = part.to_dict()
    assert made == part.model_dump() == orjson.loads(part.raw) == orjson.loads(part.to_json())
    assert isinstance(part.raw, bytes)
    assert isinstance(part.to_json(), str)
    made["more"] = 5
    assert part.to_dict() != made


@every_one
def test_objects_of_one_class_are_equal_if_their_values_are(part: Any) -> None:
    same = type(part)(json.dumps(part.to_dict(), indent=2))
    assert same == part
    assert not same != part  # noqa: SIM202 - both operators
    other = type(part)(json.dumps({**part.to_dict(), "more": 5}))
    assert other != part
    assert part != part.to_dict()
    assert part != None  # noqa: E711 - the operator
    with pytest.raises(TypeError):
        hash(part)
    with pytest.raises(TypeError):
        operator.lt(part, part)


@every_one
def test_an_object_survives_pickle_and_copy(part: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        same = pickle.loads(pickle.dumps(part, protocol))
        assert (type(same), same) == (type(part), part)
    for same in (copy.copy(part), copy.deepcopy(part)):
        assert (type(same), same, same.to_dict()) == (type(part), part, part.to_dict())


@every_one
def test_the_repr_tells_the_class_and_the_fields_that_were_sent(part: Any) -> None:
    told = repr(part)
    assert told.startswith(type(part).__name__ + "(")
    for name, value in part.to_dict().items():
        assert f"{name}={value!r}" in told


@every_one
def test_a_class_says_where_it_is_found_and_has_no_subclass(part: Any) -> None:
    import deltawire

    assert getattr(deltawire, type(part).__name__) is type(part)
    with pytest.raises(TypeError):
        type("Sub", (type(part),), {})


def test_a_chunk_outlives_its_parser_and_its_neighbours() -> None:
    parser = ChatParser()
    delta = parser.feed(event(FULL) + text("b"))[0].choices[0].delta
    del parser
    assert (delta.content, delta.to_dict()["reasoning_content"]) == ("a", "r")


def test_a_chunk_has_nothing_of_those_that_are_gone() -> None:
    """The memory of objects is used again."""
    full, bare = event(FULL), b'data: {"choices":[{"delta":{"tool_calls":[{}]}}]}\n\n'
    parser = ChatParser()
    for data in (full, bare, full, full, bare, bare):
        (made,) = parser.feed(data)
        (choice,) = made.choices
        for part in (made, choice, choice.delta, *(choice.delta.tool_calls or ())):
            assert part.to_dict() == orjson.loads(part.raw)
        if data == bare:
            assert (made.id, made.usage, choice.delta.content) == (None, None, None)
            assert not hasattr(made, "provider")
            assert not hasattr(choice.delta, "reasoning_content")
        else:
            assert (made.id, made.provider, choice.delta.content) == ("c1", {"name": "x"}, "a")
        del made, choice, part


@pytest.mark.parametrize(("before", "behind"), [(b"", b""), (b" ", b""), (b"\t", b" "), (b"", b" ")])
def test_what_was_no_utf8_is_kept_as_it_was_sent(before: bytes, behind: bytes) -> None:
    sent = b'{"id":"\xff","choices":[{"delta":{"content":"\xc3"}}]}'
    (made,) = ChatParser().feed(b"data: " + before + sent + behind + b"\n\n")
    assert (made.raw, made.id, made.choices[0].delta.content) == (sent, "\ufffd", "\ufffd")
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("part", PARTS[:4], ids=lambda part: type(part).__name__)
def test_an_object_is_made_of_the_text_of_an_object_only(part: Any) -> None:
    wrong: list[tuple[Any, type[Exception]]] = [(text, InvalidJSON) for text in ("", "[]", "5", "{", b"\xff")]
    odd: tuple[Any, ...] = (None, {}, 5)
    wrong += [(value, TypeError) for value in odd]
    for given_value, error in wrong:
        with pytest.raises(error):
            type(part)(given_value)


# The completion.


def test_a_completion_has_the_attributes_of_openai() -> None:
    made = COMPLETION
    assert (made.id, made.object, made.created, made.model) == ("c1", "chat.completion", 1, "m")
    assert (made.service_tier, made.system_fingerprint, made.provider) == ("default", "fp", {"name": "x"})
    assert isinstance(made.usage, CompletionUsage)
    assert made.usage.to_dict() == USAGE
    (choice,) = made.choices
    message = choice.message
    assert (choice.index, choice.finish_reason, choice.native_finish_reason) == (0, "stop", "tool_use")
    assert (message.role, message.content, message.refusal, message.reasoning) == (
        "assistant",
        "a",
        None,
        "r",
    )
    assert message.function_call is not None
    assert message.audio is not None
    assert (message.function_call.name, message.audio.id, message.annotations) == ("g", "x", None)
    assert [call.id for call in message.tool_calls or []] == ["u", "t"]
    assert choice.logprobs is not None
    assert choice.logprobs.to_dict() == {"content": [LOGPROB], "refusal": None}


def test_a_completion_says_the_same_before_and_after_its_attributes_are_read() -> None:
    made, read = (accumulate(event(FULL), chunk({}, finish_reason="stop"), DONE).completion for _ in range(2))
    assert read.choices[0].message.content == "a"
    for completion in (made, read):
        (first, second) = completion.to_dict(), completion.to_dict()
        assert first == second == orjson.loads(completion.to_json()) == orjson.loads(completion.raw)
        assert first is not second
        assert first["choices"][0] is not second["choices"][0]
    assert (made.to_json(), made.raw, made) == (read.to_json(), read.raw, read)
    assert pickle.loads(pickle.dumps(made)) == read


def test_index_and_finish_reason_are_always_there_and_what_was_not_sent_is_not() -> None:
    made = accumulate(chunk({"content": "a"})).completion.to_dict()
    assert made == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": None},
        ],
    }


def test_a_completion_can_be_made_of_a_body_that_was_not_streamed() -> None:
    made = ChatCompletion(json.dumps(COMPLETION.to_dict()))
    assert made == COMPLETION
    call = ToolCall(b'{"id":"a","type":"function","function":{"name":"f","arguments":"[]"}}')
    assert (call.complete, call.repairs, call.parse()) == (True, (), [])


def test_a_completion_keeps_what_is_known_beside_its_body_when_it_is_pickled() -> None:
    made = accumulate(event({"model": "router"}), event({"model": "m"}), calls(fragment(name="f"))).completion
    same = pickle.loads(pickle.dumps(made))
    assert same.first_model == "router"
    assert [(call.complete, call.repairs) for call in same.choices[0].message.tool_calls] == [
        (True, ("id_generated", "index_missing", "arguments_empty"))
    ]


# openai as the judge.

CASSETTES = sorted(Path(__file__).with_name("cassettes").glob("*.yaml"))
every_cassette = pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)


def whole(body: bytes) -> ChatAccumulator:
    accumulator = accumulate(body)
    assert (accumulator.end, accumulator.error, accumulator.malformed) == (StreamEnd.DONE, None, 0)
    return accumulator


@every_cassette
def test_the_next_request_holds_the_message_that_comes_out(path: Path) -> None:
    first, second = load(path)
    said = [m for m in json.loads(second.request.body)["messages"] if m["role"] == "assistant"][-1]
    (choice,) = whole(first.response.body).completion.choices
    assert choice.message.content == said["content"]
    made = [call.to_dict() for call in choice.message.tool_calls or []]
    assert made == said["tool_calls"] != []
    assert [(call.complete, call.repairs) for call in choice.message.tool_calls or []] == [(True, ())] * len(
        made
    )
    assert choice.finish_reason == "tool_calls"


@every_cassette
def test_openai_takes_the_completion_of_a_recorded_stream(path: Path) -> None:
    for interaction in load(path):
        body = whole(interaction.response.body).completion.to_dict()
        if body.get("service_tier") == "on_demand":
            # A word of Groq's own; the package lets no tier pass but those of OpenAI.
            body["service_tier"] = "default"
        validated = theirs.ChatCompletion.model_validate(body)
        assert validated.to_dict() == body
        assert validated.usage is not None
        assert validated.usage.total_tokens > 0


def read_alike(ours: Any, other: Any) -> None:
    """Compare every attribute that the class of openai names."""
    if isinstance(other, list):
        assert len(ours) == len(other)
        for one, another in zip(ours, other, strict=True):
            read_alike(one, another)
    elif hasattr(type(other), "model_fields"):
        for name in type(other).model_fields:
            # Newer fields of theirs are unknown ones here: there if sent.
            read_alike(getattr(ours, name, None), getattr(other, name))
    else:
        assert ours == other


SAME = [
    (deltawire.ChatCompletion, theirs.ChatCompletion),
    (deltawire.ChatCompletionAudio, chat_completion_chunk.ChoiceDeltaAudio),
    (deltawire.ChatCompletionChunk, theirs.ChatCompletionChunk),
    (deltawire.ChatCompletionMessage, theirs.ChatCompletionMessage),
    (deltawire.Choice, chat_completion.Choice),
    (deltawire.ChoiceDelta, chat_completion_chunk.ChoiceDelta),
    (deltawire.ChoiceDeltaToolCall, chat_completion_chunk.ChoiceDeltaToolCall),
    (deltawire.ChunkChoice, chat_completion_chunk.Choice),
    (deltawire.CompletionTokensDetails, completion_usage.CompletionTokensDetails),
    (deltawire.CompletionUsage, completion_usage.CompletionUsage),
    (deltawire.PromptTokensDetails, completion_usage.PromptTokensDetails),
]


@pytest.mark.skipif(openai.__version__ != OPENAI, reason="another openai names other fields")
@pytest.mark.parametrize(("ours", "other"), SAME, ids=[ours.__name__ for ours, _ in SAME])
def test_what_a_class_of_openai_names_is_an_attribute_also_where_it_was_not_sent(
    ours: Any, other: Any
) -> None:
    made = ours("{}")
    assert not [name for name in other.model_fields if not hasattr(made, name)]
    assert made.to_dict() == {}


@every_cassette
def test_chunks_read_as_openais_do(path: Path) -> None:
    for interaction in load(path):
        chunks = ChatParser().feed(interaction.response.body)
        assert len(chunks) > 10
        for made in chunks:
            read_alike(made, theirs.ChatCompletionChunk.construct(**made.to_dict()))


def pruned(value: Any) -> Any:
    """Take out what is null, and what openai's accumulator adds."""
    if isinstance(value, dict):
        return {
            key: pruned(part)
            for key, part in value.items()
            if part is not None and key not in ("parsed", "parsed_arguments")
        }
    return [pruned(part) for part in value] if isinstance(value, list) else value


@st.composite
def canonical(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a stream as OpenAI sends it: one choice after the other begins, then all go on in any order."""
    texts = st.lists(st.text(max_size=5), max_size=4)
    streams: list[list[dict[str, Any]]] = []
    for index in range(draw(st.integers(1, 3))):
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": part} for part in draw(texts)]
        deltas += [{"refusal": part} for part in draw(texts) if part]
        for at in range(draw(st.integers(0, 3))):
            function = {"name": draw(st.sampled_from(["f", "g"])), "arguments": ""}
            head = {"index": at, "id": f"call_{index}_{at}", "type": "function", "function": function}
            deltas.append({"tool_calls": [head]})
            arguments = json.dumps({"q": draw(st.text(max_size=5))}, ensure_ascii=draw(st.booleans()))
            cuts = [0, *sorted(draw(st.sets(st.integers(1, len(arguments) - 1), max_size=3))), len(arguments)]
            deltas += [
                {"tool_calls": [{"index": at, "function": {"arguments": arguments[a:b]}}]}
                for a, b in itertools.pairwise(cuts)
            ]
        made: list[dict[str, Any]] = [
            {"index": index, "delta": delta, "finish_reason": None} for delta in deltas
        ]
        if draw(st.booleans()):
            # Not on the first: openai's accumulator takes those of a later choice twice.
            for choice in made[1:]:
                choice["logprobs"] = {"content": [LOGPROB], "refusal": None}
        made.append({"index": index, "delta": {}, "finish_reason": draw(st.sampled_from(["stop", "length"]))})
        streams.append(made)
    order = [stream.pop(0) for stream in streams]
    while any(streams):
        order.append(draw(st.sampled_from([stream for stream in streams if stream])).pop(0))
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    head["system_fingerprint"] = "fp"
    chunks = [{**head, "choices": [choice], "usage": None} for choice in order]
    return [*chunks, {**head, "choices": [], "usage": USAGE}]


@settings(max_examples=60, deadline=None)
@given(canonical())
def test_a_canonical_stream_comes_to_what_openais_accumulator_makes_of_it(
    chunks: list[dict[str, Any]],
) -> None:
    state = ChatCompletionStreamState()
    for each in chunks:
        state.handle_chunk(theirs.ChatCompletionChunk.model_validate(each))
    expected = pruned(state.current_completion_snapshot.to_dict())
    for choice in expected["choices"]:
        for call in choice["message"].get("tool_calls", []):
            del call["index"]
    assert pruned(whole(b"".join(map(event, chunks)) + DONE).completion.to_dict()) == expected
