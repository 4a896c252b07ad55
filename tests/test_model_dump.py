"""pydantic's names for what an object of a chat was made from: `model_dump` and `model_dump_json`.

Programs written for openai's chunks call them, so they are held to what openai's own objects give.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletionChunk as TheirChunk

from deltawire import ChatAccumulator, ChatCompletionChunk

# In the order in which openai's classes have them, for that is the order in which pydantic writes.
CALL = {"index": 0, "id": "call_1", "function": {"arguments": "{}", "name": "f"}, "type": None}
FIELDS: dict[str, Any] = {
    "id": "c1",
    "choices": [
        {
            "delta": {"content": "hé \u2028", "role": None, "tool_calls": [CALL]},
            "finish_reason": None,
            "index": 0,
            "logprobs": None,
        }
    ],
    "created": 1,
    "model": "m",
    "object": "chat.completion.chunk",
    "usage": None,
    "provider": None,
    "citations": ["a"],
}
CHUNK = ChatCompletionChunk(orjson.dumps(FIELDS))
THEIRS = TheirChunk.model_validate(FIELDS)


@pytest.mark.parametrize("exclude_none", [False, True])
def test_a_chunk_dumps_what_openais_dumps_of_what_was_sent(exclude_none: bool) -> None:
    expected = THEIRS.model_dump(mode="json", exclude_unset=True, exclude_none=exclude_none)
    assert CHUNK.model_dump(mode="json", exclude_unset=True, exclude_none=exclude_none) == expected
    assert CHUNK.model_dump(exclude_none=exclude_none) == expected
    assert json.loads(CHUNK.model_dump_json(exclude_unset=True, exclude_none=exclude_none)) == expected


def test_the_json_that_is_dumped_is_the_text_that_was_sent_unless_it_has_to_be_written_anew() -> None:
    text = '{ "a": null,\t"b": [1.0, "é"], "c": 18446744073709551616 }'
    chunk = ChatCompletionChunk(text)
    assert chunk.model_dump_json() == chunk.model_dump_json(exclude_unset=True) == text
    assert chunk.model_dump_json(exclude_none=True) == '{"b":[1.0,"é"],"c":1.8446744073709552e+19}'


def test_json_is_indented_as_pydantic_does() -> None:
    expected = THEIRS.model_dump_json(indent=2, exclude_unset=True, exclude_none=True)
    assert CHUNK.model_dump_json(indent=2, exclude_none=True) == expected


def test_nulls_are_left_out_at_every_level_and_stay_in_lists() -> None:
    chunk = ChatCompletionChunk('{"a":null,"b":{"c":null,"d":[null,{"e":null,"f":0}]},"g":false,"h":""}')
    assert chunk.model_dump(exclude_none=True) == {"b": {"d": [None, {"f": 0}]}, "g": False, "h": ""}
    assert chunk.model_dump()["b"]["c"] is None  # and nothing of the chunk has changed


def test_all_objects_of_a_chat_have_them_also_one_that_was_not_sent() -> None:
    accumulator = ChatAccumulator()
    accumulator.add(CHUNK)
    message = accumulator.completion.choices[0].message
    assert message.tool_calls is not None
    for part in (accumulator.completion, message, message.tool_calls[0]):
        assert json.loads(part.model_dump_json()) == part.model_dump() == part.to_dict()
    missing = ChatCompletionChunk('{"choices":[{}]}').choices[0].delta
    assert (missing.model_dump(exclude_none=True), missing.model_dump_json(indent=2)) == ({}, "{}")
    assert missing.model_dump_json(exclude_none=True) == missing.model_dump_json() == "{}"


def test_a_parameter_of_pydantic_that_would_be_passed_over_is_refused() -> None:
    with pytest.raises(TypeError, match="include"):
        CHUNK.model_dump(include={"id"})  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="by_alias"):
        CHUNK.model_dump_json(by_alias=True)  # type: ignore[call-arg]
