"""The drop-in for LiteLLM's stream_chunk_builder: LiteLLM's own is the oracle where it is right.

On canonical streams the whole response is LiteLLM's. On the vectors of what providers send, the response says
what docs/chat.md says; where LiteLLM's does not, a test shows both.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from chat_streams import DONE, STOP, VECTORS, calls, chunk, event, fragment, text
from outcomes import pieces

from deltawire import ChatAccumulator, ChatParser, NotEventStream, StreamEnd, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or it is fetched over the network on import
litellm = pytest.importorskip("litellm", reason="LiteLLM is not installed: it held other packages back")

from litellm.main import stream_chunk_builder as their_builder  # noqa: E402
from litellm.types.utils import ModelResponseStream, TextChoices  # noqa: E402

from deltawire.compat.litellm import stream_chunk_builder  # noqa: E402

MESSAGES = [{"role": "user", "content": "What is the weather in Florence?"}]
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "completion_tokens_details": {"reasoning_tokens": 3},
    "prompt_tokens_details": {"cached_tokens": 4},
}
USAGE_CHUNK = event({"id": "c1", "created": 1, "model": "m", "object": "x", "choices": [], "usage": USAGE})

TEXT = chunk({"role": "assistant", "content": ""}) + text("Hel", "lö", "") + STOP
CALLS = (
    chunk({"role": "assistant", "content": None})
    + calls(fragment(index=0, id="call_a", type="function", name="f", arguments=""))
    + calls(fragment(index=0, arguments='{"a":'))
    + calls(fragment(index=0, arguments="1}"))
    + calls(fragment(index=1, id="call_b", type="function", name="g", arguments="{}"))
    + chunk({}, "tool_calls")
)
REASONING = (
    chunk({"role": "assistant", "reasoning_content": "hm"})
    + chunk({"reasoning_content": "m"})
    + text("so")
    + STOP
)
CANONICAL = {
    "text": TEXT,
    "text and usage": TEXT + USAGE_CHUNK,
    "cut at the length": text("a", "b") + chunk({}, "length"),
    "calls": CALLS,
    "calls and usage": CALLS + USAGE_CHUNK,
    "text and calls": text("Let me see.") + CALLS + USAGE_CHUNK,
    "reasoning": REASONING,
    "reasoning and usage": REASONING + USAGE_CHUNK,
    "nothing but usage": chunk({"role": "assistant", "content": ""}) + STOP + USAGE_CHUNK,
}


def parsed(body: bytes) -> list[Any]:
    parser = ChatParser(errors="skip")
    return parser.feed(body) + parser.close()


def objects(body: bytes) -> list[Any]:
    return [ModelResponseStream(**each.to_dict()) for each in parsed(body)]


FORMS: dict[str, Callable[[bytes], Any]] = {
    "objects": objects,
    "dicts": lambda body: [each.to_dict() for each in parsed(body)],
    "typed chunks": parsed,
    "the body": lambda body: body + DONE,
    "bytes": lambda body: pieces(body + DONE, 7),
    "an iterator": lambda body: iter([body, memoryview(DONE)]),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@every_form
@pytest.mark.parametrize("body", CANONICAL.values(), ids=CANONICAL)
def test_the_response_to_a_canonical_stream_is_litellms(body: bytes, form: Any) -> None:
    theirs = their_builder(objects(body), messages=MESSAGES)
    ours = stream_chunk_builder(form(body), messages=MESSAGES)
    assert type(ours) is litellm.ModelResponse
    assert ours.model_dump() == theirs.model_dump()


def test_the_arguments_are_litellms() -> None:
    with pytest.raises(litellm.APIError):
        stream_chunk_builder(None)
    assert stream_chunk_builder([]) is None
    assert stream_chunk_builder(b": keep-alive\n\n") is None
    assert stream_chunk_builder([TEXT], MESSAGES, None, end_time=None).choices[0].message.content == "Hellö"


def test_chunks_of_text_completions_are_left_to_litellm() -> None:
    choice = TextChoices(text="x", index=0, finish_reason="stop", logprobs=None)
    given = {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
    assert stream_chunk_builder([given]).choices[0].text == "x"


def test_what_is_no_chunk_is_refused() -> None:
    with pytest.raises(TypeError, match="not int"):
        stream_chunk_builder([5])


# --- what only LiteLLM knows


def test_thinking_blocks_images_and_fields_of_providers_are_put_together_by_litellm() -> None:
    deltas: list[dict[str, Any]] = [
        {"thinking_blocks": [{"type": "thinking", "thinking": "he"}], "reasoning_content": "he"},
        {
            "thinking_blocks": [{"type": "thinking", "thinking": "y", "signature": "s"}],
            "reasoning_content": "y",
        },
        {"images": [{"image_url": {"url": "data:,a"}, "index": 0, "type": "image_url"}]},
        {"provider_specific_fields": {"citations": [1], "a": 1}, "content": "c"},
        {"provider_specific_fields": {"citations": [1, 2]}},
    ]
    body = b"".join(chunk(delta) for delta in deltas) + STOP + USAGE_CHUNK
    theirs = their_builder(objects(body))
    for form in FORMS.values():
        assert stream_chunk_builder(form(body)).model_dump() == theirs.model_dump()


def test_hidden_parameters_stand_beside_the_response_and_give_the_order() -> None:
    given = objects(text("b", "a") + STOP)
    for each, when in zip(given, (2.0, 1.0, 3.0), strict=True):
        each._hidden_params = {"created_at": when, "custom_llm_provider": "p"}
    given[-1]._hidden_params["provider_specific_fields"] = {"traffic_type": "t"}
    theirs, ours = their_builder(given), stream_chunk_builder(given)
    assert ours.choices[0].message.content == theirs.choices[0].message.content == "ab"
    assert ours._hidden_params == theirs._hidden_params
    assert ours._hidden_params["provider_specific_fields"] == {"traffic_type": "t"}


def test_objects_inside_dicts_are_taken() -> None:
    given = [{**each, "choices": objects(TEXT)[0].choices, "_hidden_params": {"x": object()}} for each in
             [parsed(TEXT)[0].to_dict()]]  # fmt: skip
    assert stream_chunk_builder(given).choices[0].message.role == "assistant"


def test_it_takes_the_place_of_litellms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "stream_chunk_builder", stream_chunk_builder)
    monkeypatch.setattr(litellm.main, "stream_chunk_builder", stream_chunk_builder)
    assert litellm.stream_chunk_builder(objects(TEXT)).choices[0].message.content == "Hellö"


# --- where LiteLLM's is not right


def named(response: Any) -> list[tuple[str, str]]:
    found = response.choices[0].message.tool_calls or []
    return [(call.function.name, call.function.arguments) for call in found]


@every_form
@pytest.mark.parametrize("index", [{"index": 0}, {}], ids=["with the same index", "without an index"])
def test_calls_are_told_apart(index: dict[str, int], form: Any) -> None:
    if not index and form is objects:
        pytest.skip("an object of LiteLLM always has an index")
    body = b"".join(
        calls(fragment(**index, id=f"call_{name}", type="function", name=name, arguments=arguments))
        + calls(fragment(**index, arguments="1}"))
        for name, arguments in (("f", '{"a":'), ("g", '{"b":'))
    ) + chunk({}, "tool_calls")
    assert named(stream_chunk_builder(form(body))) == [("f", '{"a":1}'), ("g", '{"b":1}')]
    if index:
        assert named(their_builder(objects(body))) != [("f", '{"a":1}'), ("g", '{"b":1}')]


@every_form
def test_each_choice_has_its_own_message(form: Any) -> None:
    body = b"".join(
        chunk({"content": content}, reason, index=index)
        for index, content, reason in (
            (1, "one", None),
            (0, "nul", None),
            (1, "!", "length"),
            (0, "l", "stop"),
        )
    )
    response = stream_chunk_builder(form(body + USAGE_CHUNK))
    found = [(each.index, each.message.content, each.finish_reason) for each in response.choices]
    assert found == [(0, "null", "stop"), (1, "one!", "length")]
    assert response.usage.total_tokens == 18


def test_the_estimated_usage_counts_every_choice() -> None:
    one = stream_chunk_builder(text("Hello there") + STOP)
    two = stream_chunk_builder(
        text("Hello there") + STOP + chunk({"content": "Hello there"}, "stop", index=1)
    )
    assert two.usage.completion_tokens == 2 * one.usage.completion_tokens
    assert two.usage.total_tokens == two.usage.prompt_tokens + two.usage.completion_tokens


@pytest.mark.parametrize("form", [value for name, value in FORMS.items() if name != "objects"])
def test_a_stream_that_was_cut_has_no_finish_reason(form: Any) -> None:
    response = stream_chunk_builder(form(text("a", "b")))
    assert response.choices[0].finish_reason is None
    assert response.choices[0].message.content == "ab"
    assert response.model_dump()["choices"][0]["finish_reason"] is None
    theirs = their_builder(objects(chunk({"role": "assistant", "content": "a"})))
    assert theirs.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("place", ["x_groq", "choice"])
def test_usage_is_found_where_providers_put_it(place: str) -> None:
    last: dict[str, Any] = {"id": "c1", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}}]}
    if place == "x_groq":
        last["x_groq"] = {"usage": USAGE}
    else:
        last["choices"][0]["usage"] = USAGE
    response = stream_chunk_builder(TEXT + event(last))
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (11, 7)


def test_an_error_of_the_provider_is_litellms_error_with_the_partial_message_as_its_cause() -> None:
    with pytest.raises(litellm.APIError, match="boom") as caught:
        stream_chunk_builder([text("par", "tial"), event({"error": {"message": "boom"}})])
    cause = caught.value.__cause__
    assert isinstance(cause, UpstreamError)
    assert cause.completion is not None
    assert cause.completion.choices[0].message.content == "partial"


def test_an_error_page_is_litellms_error() -> None:
    with pytest.raises(litellm.APIError) as caught:
        stream_chunk_builder(b"<html>\n<body>502</body>\n</html>")
    assert isinstance(caught.value.__cause__, NotEventStream)


# --- every vector

CASES: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]


def body_of(case: dict[str, Any]) -> bytes:
    return b"".join(each.encode() if isinstance(each, str) else event(each) for each in case["chunks"])


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_response_says_what_the_accumulator_says(case: dict[str, Any]) -> None:
    body = body_of(case)
    accumulator = ChatAccumulator()
    accumulator.feed(body)
    accumulator.close()
    if accumulator.error is not None or accumulator.end is StreamEnd.NOT_SSE:
        with pytest.raises(litellm.APIError):
            stream_chunk_builder(body)
        return
    response = stream_chunk_builder(body)
    if accumulator.end is StreamEnd.EMPTY:
        assert response is None
        return
    completion = accumulator.completion
    assert len(response.choices) == max(1, len(completion.choices))
    for ours, theirs in zip(completion.choices, response.choices, strict=False):
        assert theirs.index == ours.index
        assert (theirs.message.content or "") == (ours.message.content or "")
        assert getattr(theirs.message, "reasoning_content", None) == ours.message.reasoning
        assert (theirs.finish_reason is None) == (ours.finish_reason is None)
        functions = [call for call in ours.message.tool_calls or [] if call.function is not None]
        made = [call for call in theirs.message.tool_calls or [] if call.type == "function"]
        assert [(call.id, call.function.name) for call in made] == [
            (call.id, call.function.name) for call in functions if call.function is not None
        ]
    if completion.usage is not None:
        assert response.usage.prompt_tokens == (completion.usage.prompt_tokens or 0)
