"""Chat streams for the tests: how to write one, random ones with every quirk at once, and what came of them.

The random ones come from `bodies`: what one provider or another sends wrong, thrown together. They hold no
key twice, which a dict cannot say, and never mix functions with custom tools, of which no rule speaks.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from reference_chat import Outcome

from deltawire import ChatAccumulator

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

DONE = b"data: [DONE]\n\n"
VECTORS = Path(__file__).with_name("vectors") / "chat.json"


# How to write one.


def dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: Any) -> bytes:
    return b"data: " + dumps(value) + b"\n\n"


def chunk(
    delta: dict[str, Any] | None = None, finish_reason: str | None = None, *, index: int = 0, **fields: Any
) -> bytes:
    """Write the event of a chunk with one choice; `fields` stand at its top level."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish_reason}
    return event({"id": "c1", "created": 1, "model": "m", "choices": [choice], **fields})


def fragment(**fields: Any) -> dict[str, Any]:
    """Give a fragment of a tool call; `name` and `arguments` stand in its function."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {**fields, "function": function} if function else fields


def calls(*fragments: dict[str, Any], finish_reason: str | None = None, index: int = 0) -> bytes:
    """Write the event of a chunk with fragments of tool calls."""
    return chunk({"tool_calls": list(fragments)}, finish_reason, index=index)


def text(*contents: str) -> bytes:
    return b"".join(chunk({"content": content}) for content in contents)


def text_of(chunk: Any) -> Any:
    """Give the text of a chunk's first choice."""
    return chunk.choices[0].delta.content


STOP = chunk({}, "stop")


# What came of them.


def accumulate(*chunks: bytes, **options: Any) -> ChatAccumulator:
    """Feed all and close."""
    accumulator = ChatAccumulator(**options)
    for piece in chunks:
        accumulator.feed(piece)
    accumulator.close()
    return accumulator


def outcome(chunks: Iterable[bytes], **options: Any) -> Outcome:
    """Tell what an accumulator made of a stream, in the words of the twin."""
    accumulator = accumulate(*chunks, **options)
    completion = accumulator.completion
    body = completion.to_dict()
    facts = []
    for choice, plain in zip(completion.choices, body["choices"], strict=True):
        made = choice.message.tool_calls or []
        facts += [(call.complete, call.repairs) for call in made]
        for call, sent in zip(made, plain["message"].get("tool_calls", []), strict=True):
            if "id_generated" in call.repairs:
                assert call.id
                sent["id"] = None
    assert accumulator.end is not None
    told = accumulator.error
    error = None if told is None else (told.message, told.type, told.code)
    return Outcome(body, facts, accumulator.end.name, error, accumulator.malformed)


# Random ones.

MISSING = object()


def some(**fields: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an object, each of whose fields is one of the values given for it, or missing."""
    drawn = {key: st.sampled_from([MISSING, MISSING, *values]) for key, values in fields.items()}
    return st.fixed_dictionaries(drawn).map(
        lambda made: {key: value for key, value in made.items() if value is not MISSING}
    )


ARGUMENTS: list[Any] = [
    None,
    "",
    "{",
    '"q"',
    ":1}",
    '{"q":',
    "1}",
    '{"q":1}',
    '{"q":1}',
    "{}",
    "[",
    "]",
    " ",
    '"}',
    "\\",
]
ARGUMENTS += ["\n{}", "12", "x", "é\n", {}, {}, {"q": 1}, [1, "a b"], True]
NAMES = [None, "", " ", "f", "f", "f", "g"]
FRAGMENTS: dict[str, list[Any]] = {
    "index": [None, 0, 0, 0, 0, 1, 1, "0", "1", "x", -1, 7, 1.5, 4294967295],
    "id": [None, "", " ", "null", "a", "a", "b", "b", "c"],
    "type": [None, "", "function"],
    "extra_content": [None, {"a": 1}, {"b": 2}],
}
functions = st.builds(
    lambda fields, function: fields if function is MISSING else {**fields, "function": function},
    some(**FRAGMENTS),
    st.sampled_from([MISSING, None])
    | some(name=NAMES, arguments=ARGUMENTS)
    | some(name=NAMES, arguments=ARGUMENTS)
    | some(name=NAMES, arguments=ARGUMENTS, strict=[None, True, False]),
)
customs = st.builds(
    lambda fields, custom: {**fields, "custom": custom},
    some(**{**FRAGMENTS, "type": [None, "custom"]}),
    some(name=NAMES, input=[None, "", "ls ", "-l", "é\n", "1"]),
)

parts = st.sampled_from(
    [
        {"type": "text", "text": "t"},
        {"type": "text"},
        {"type": "thinking", "thinking": "k"},
        {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"text": "i"}, {}, 5]},
        {"type": "reference", "ids": [1]},
        5,
    ]
)
details = some(
    type=["reasoning.text", "reasoning.text", "reasoning.summary"],
    index=[None, 0, 0, 1, "1"],
    text=[None, "", "x", "y"],
    summary=["s"],
    id=[None, "", "rs_1", "rs_2"],
    signature=[None, "", "c2ln"],
)


def deltas(fragments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    lists = {
        "content": st.lists(parts, max_size=3),
        "reasoning_details": st.lists(details, max_size=3),
        "tool_calls": st.lists(fragments, max_size=3),
    }
    plain = some(
        role=[None, "", "assistant", "tool"],
        content=[None, "", "a", "b", "é😀\u2028"],
        refusal=[None, "", "no"],
        reasoning=[None, "", "r", "r", "s"],
        reasoning_content=[None, "", "r", "r"],
        reasoning_text=[None, "", "r", "t", 5],
        reasoning_details=[None, []],
        tool_calls=[None, [], "x"],
        function_call=[None, {"name": "f", "arguments": ""}, {"name": "", "arguments": "{}"}],
        audio=[None, {"id": "a", "data": "QQ=="}, {"transcript": "t"}, {"expires_at": 1}],
        annotations=[None, [], [{"type": "url_citation"}], 5, {"a": 1}],
        images=[None, [], [{"image_url": {"url": "data:,a"}}], "x"],
        content_parts=[None, [{"type": "image"}], "x"],
        x_field=[None, 1, [2]],
    )
    only = st.fixed_dictionaries({"tool_calls": lists["tool_calls"]})
    return st.one_of(
        plain, only, only, st.builds(lambda a, b: {**a, **b}, plain, st.fixed_dictionaries(lists))
    )


def choices(fragments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    plain = some(
        index=[None, 0, 0, 0, 0, 1, "1", -1],
        finish_reason=[None, "", "stop", "length"],
        logprobs=[
            None,
            {},
            {"content": [{"token": "a"}], "refusal": None},
            {"refusal": [1], "x": 2},
            {"content": 5},
        ],
        message=[None, {"role": "assistant", "content": "sum"}],
        usage=[None, {"prompt_tokens": 3}],
        error=[None, {}],
        matched_stop=[None, 5],
        token_ids=[None, [], [7], [7, 8], 5],
    )
    return st.builds(
        lambda choice, delta: {**choice, "delta": delta}, plain, deltas(fragments) | st.just({"x_field": 3})
    )


def chunks(fragments: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    plain = some(
        id=["", "c1", "c2", None],
        object=["", "chat.completion.chunk"],
        created=[0, 5, 1.5],
        model=["", "m", "n"],
        system_fingerprint=[None, "fp"],
        service_tier=[None, "default"],
        usage=[None, {}, {"prompt_tokens": 0}, {"prompt_tokens": 1}, {"total_tokens": 2, "d": {"c": 0}}],
        x_groq=[None, {"id": "g"}, {"usage": {"prompt_tokens": 4}}],
        error=[None, False, ""],
        citations=[None, ["u"], ["u", "v"]],
        choices=[None, [], 5],
        obfuscation=["aaa"],
    )
    some_choices = st.lists(choices(fragments), min_size=1, max_size=2)
    return st.builds(lambda chunk, made: {**chunk, "choices": made}, plain, some_choices) | plain


ODDITIES = [
    *(b": keep-alive\n\n", b"data:\n\n", b"data: : x\n\n", b"id: 1\n", b"retry: 5\n\n", b"event: message\n"),
    *(
        b"data: {broken\n\n",
        b"data: x\ndata: y\n\n",
        b'data: {"id":"c1","ch\n',
        b"data: 5\n\n",
        b"data: []\n\n",
    ),
    *(b'{"a":1}\n', b'{"a":\n', b": x\n"),
    *(b"data: : x\ndata: [DONE]\n\n", b'data: :\ndata: {"id":"c3"}\n\n', b"event: error\ndata:\n\n"),
    *(b"foo: bar\n", b"\n", b"event: error\n", b"data: \xff\n\n", b"data: [DONE] x\n\n", b"data\n\n"),
]
ERRORS = [
    event({"error": {"message": "m", "type": "t", "code": 5}}),
    event({"error": "m"}),
    event({"object": "error", "message": "m", "code": "c"}),
    event({"choices": [], "x_groq": {"error": "m"}}),
    b'error: {"message":"m"}\n\n',
    b'event: error\ndata: {"detail":"m"}\n\n',
    event({"choices": [{"index": 0, "error": {"message": "m"}}]}),
    event([{"error": {"message": "m", "status": "S"}}]),
    b'{"error":{"message":"m"}}\n',
    b'{"error":"n"}\n\n',
]


WORDS = ["", " ", "a", '"q"', ":1}", "\n", "é", "stop", "1"]


def varied(value: Any, chance: random.Random, words: list[str]) -> Any:
    """Put other texts and numbers in the place of some."""
    if isinstance(value, dict):
        return {key: varied(part, chance, words) for key, part in value.items()}
    if isinstance(value, list):
        return [varied(part, chance, words) for part in value]
    if isinstance(value, str):
        return chance.choice([value] * 4 + words)
    return chance.choice([value, value, value, 0, 1, 7, 10]) if type(value) is int else value


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw a body: chunks with every quirk, things between them, runs, an end that may be a cut."""
    fragments = draw(st.sampled_from([functions, functions, functions, customs]))
    # Free text that looks like arguments is a matter of its own.
    words = WORDS if fragments is customs else [*WORDS, "{", "{}", '{"q":1}']
    encode = partial(json.dumps, ensure_ascii=draw(st.booleans()))
    written = chunks(fragments).map(lambda chunk: b"data: " + encode(chunk).encode() + b"\n\n")
    one = st.one_of(*[written] * 8, st.sampled_from(ODDITIES), st.sampled_from([*ODDITIES, *ERRORS]))
    body = b"".join(draw(st.lists(one, max_size=10)))
    # And runs of chunks that have all but some values in common, as most chunks of a real stream have.
    for _ in range(draw(st.integers(0, 2))):
        shape, chance = draw(chunks(fragments)), draw(st.randoms(use_true_random=False))
        for _ in range(draw(st.integers(2, 6))):
            body += event(varied(shape, chance, words))
    whole = [b"", DONE, DONE, b"data: [DONE]", STOP, DONE + STOP]
    cut_off = [
        STOP[:-2],
        *(STOP[:-1] + line for line in (b"", b"id: 1", b"retry: 1", b"ev", b"event: error")),
    ]
    body += draw(st.sampled_from(whole + cut_off))
    if draw(st.integers(0, 4)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return body.replace(b"\n", draw(st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r"])))
