"""What holds for every stream, however it is cut: the relay beside its twin, and beside the accumulator."""

from __future__ import annotations

import re
from typing import Any

import orjson
import reference
from chat_streams import accumulate, bodies, event, functions, some
from hypothesis import given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk
from outcomes import pieces
from reference_relay import DROPPED, apply, decoded

from deltawire import ChatAccumulator, ChatCompletion, ChatRelay

VALUE = {"deep": ["é", 1]}
RULES: list[dict[str, Any]] = [
    {"set": {"model": "house", "id": VALUE}},
    {"remove": {"id", "choices", "x_field"}},
    {"remove": {"model"}, "set": {"created": 1}},
    {"usage": "drop"},
    {"usage": "drop", "set": {"model": "house"}, "remove": {"citations", "object"}},
]
OTHERS: list[dict[str, Any]] = [
    {"comments": "drop"},
    {"repair": True},
    {"append_error": True},
    {"repair": True, "append_error": True, "usage": "drop", "comments": "drop", "set": {"model": "h"}},
    {"repair": True, "n": 1},
]


def send(chunks: list[bytes], **rules: Any) -> tuple[bytes, ChatRelay]:
    relay = ChatRelay(**rules)
    sent = [relay.feed(chunk) for chunk in chunks]
    return b"".join([*sent, relay.close()]), relay


@st.composite
def cut_bodies(draw: st.DrawFn) -> list[bytes]:
    """Draw a body, cut anywhere."""
    body = draw(bodies())
    places = sorted(draw(st.lists(st.integers(0, len(body)), max_size=8)))
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


def events(body: bytes) -> tuple[list[reference.Event], int]:
    """Take a body apart; how many of the events have their end."""
    return reference.parse(body + b"\n\n")[0], len(reference.parse(body)[0])


def is_object(text: str) -> bool:
    return isinstance(decoded(text), dict)


def expected(body: bytes, rules: dict[str, Any]) -> list[tuple[str, Any]]:
    """Tell what a client must find in what is sent on: the type and data of each event."""
    found: list[tuple[str, Any]] = []
    all_events, whole = events(body)
    for number, sent in enumerate(all_events):
        value = decoded(sent.data)
        if number >= whole and not (is_object(sent.data) and sent.data.lstrip().startswith("{")):
            found.append((sent.event, sent.data))
        elif isinstance(value, str) and value == sent.data:
            lines = [
                (apply(decoded(line), **rules) if line.lstrip().startswith("{") else line)
                for line in sent.data.split("\n")
            ]
            lines = [decoded(line) if isinstance(line, str) else line for line in lines]
            found.append((sent.event, ["" if line is DROPPED else line for line in lines]))
        elif (made := apply(value, **rules)) is not DROPPED:
            found.append((sent.event, made))
    return found


def received(sent: bytes, like: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Read what was sent on, broken data line by line."""
    found: list[tuple[str, Any]] = []
    for at, (kind, data, *_) in enumerate(events(sent)[0]):
        value = decoded(data)
        broken = isinstance(value, str) and value == data
        lined = at < len(like) and isinstance(like[at][1], list) and broken
        lines: Any = [decoded(line) for line in data.split("\n")]
        found.append((kind, lines if lined else value))
    return found


@given(cut_bodies())
@settings(max_examples=50, deadline=None)
def test_without_rules_what_is_sent_on_is_what_was_fed_and_is_observed(chunks: list[bytes]) -> None:
    relay, accumulator = ChatRelay(), ChatAccumulator()
    for chunk in chunks:
        assert relay.feed(chunk) is chunk
        accumulator.feed(chunk)
    assert relay.close() == b""
    accumulator.close()
    assert relay.completion.to_dict() == accumulator.completion.to_dict()
    assert (relay.end, relay.error, relay.usage) == (accumulator.end, accumulator.error, accumulator.usage)
    for counter in ("bytes", "events", "comments", "malformed"):
        assert getattr(relay, counter) == getattr(accumulator, counter)


@given(cut_bodies(), st.sampled_from(RULES))
@settings(max_examples=100, deadline=None)
def test_reading_what_is_sent_on_is_applying_the_rules_to_what_was_read(
    chunks: list[bytes], rules: dict[str, Any]
) -> None:
    body = b"".join(chunks)
    sent, relay = send(chunks, **rules)
    wanted = expected(body, rules)
    assert received(sent, wanted) == [
        (kind, decoded(data) if isinstance(data, str) else data) for kind, data in wanted
    ]
    accumulator = ChatAccumulator()
    accumulator.feed(body)
    accumulator.close()
    assert relay.completion.to_dict() == accumulator.completion.to_dict()
    assert relay.usage == accumulator.usage


@given(cut_bodies(), st.sampled_from([*RULES, *OTHERS]))
@settings(max_examples=100, deadline=None)
def test_what_is_sent_on_does_not_depend_on_the_cut(chunks: list[bytes], rules: dict[str, Any]) -> None:
    body = b"".join(chunks)
    whole = send([body], **rules)[0]
    assert send(chunks, **rules)[0] == whole
    assert send(pieces(body), **rules)[0] == whole


@given(cut_bodies())
@settings(max_examples=50, deadline=None)
def test_dropping_comments_takes_out_nothing_else(chunks: list[bytes]) -> None:
    sent = send(chunks, comments="drop")[0]
    assert reference.count_comments(sent) == 0
    assert reference.parse(sent) == reference.parse(b"".join(chunks))


MARK = '"\u00abmark\u00bb"'
members = st.lists(
    st.sampled_from(['"a" : 1', '"model2":"m"', '"x":{"model":"inner"}', '"c": [1, 2]', '"\\u00e9":"\\n"']),
    max_size=3,
)


@given(
    st.lists(st.tuples(members, members, st.sampled_from(["", "\n", " "])), max_size=8),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(['"model"', '"mod\\u0065l"']),
)
@settings(max_examples=100, deadline=None)
def test_bytes_outside_the_value_are_those_that_came(
    drawn: list[tuple[list[str], list[str], str]], end: str, key: str
) -> None:
    body = ""
    for before, behind, space in drawn:
        body += f"id: 7{end}event: e{end}"
        text = "{" + f",{space}".join([*before, f"{key} :{space}{MARK}", *behind]) + "}"
        body += "".join(f"data:{line}{end}" for line in text.split("\n")) + f": c{end}{end}"
    sent = send(pieces(body.encode(), 7), set={"model": [None]})[0]
    assert sent.decode() == body.replace(MARK, "[null]")


fragments = functions.filter(lambda it: not isinstance(it.get("index"), float))
deltas = st.builds(
    lambda plain, calls: {**plain, **calls},
    some(content=["a", "b", ""], role=[None]),
    st.fixed_dictionaries({}, optional={"tool_calls": st.none() | st.lists(fragments, max_size=3)}),
)
chunks_with_calls = st.builds(
    lambda delta, more: {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, **more}],
    },
    deltas,
    some(finish_reason=[None, "", "stop", "tool_calls"]),
)


def openai_message(body: bytes) -> tuple[list[tuple[str, str, str]], str | None, list[str]]:
    """Assemble a stream as the openai package does: the calls, the text, and all finish reasons."""
    state = ChatCompletionStreamState()
    reasons = []
    for sent in SSEDecoder().iter_bytes(iter([body])):
        if sent.data.startswith("[DONE]"):
            break
        chunk = construct_type(type_=ChatCompletionChunk, value=sent.json())
        assert isinstance(chunk, ChatCompletionChunk)
        reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        list(state.handle_chunk(chunk))
    message = state.current_completion_snapshot.choices[0].message
    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []]
    return calls, message.content, [str(reason) for reason in reasons]


@given(st.lists(chunks_with_calls, min_size=1, max_size=8), st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_openai_package_assembles_what_was_repaired_to_the_same_calls(
    drawn: list[dict[str, Any]], done: bool
) -> None:
    body = b"".join(map(event, drawn)) + b"data: [DONE]\n\n" * done
    body += event({"id": "c1", "choices": []}) * (not done)
    sent, relay = send([body], repair=True)
    choice = relay.completion.choices[0]
    calls, content, reasons = openai_message(sent)
    ours = calls_of(relay.completion)
    if relay.end is None or not relay.end.is_complete:
        return
    assert (content or "") == (choice.message.content or "")
    assert len(reasons) == (choice.finish_reason is not None)
    if not goes_on_after_its_end(drawn):
        # A placeholder that was sent on before it gave way cannot be taken back.
        meant = [(id, name, re.sub(r"^\{\}(?=\s*[{[])", "", arguments)) for id, name, arguments in calls]
        assert sorted(meant) == sorted(ours) == sorted(calls_of(accumulate(sent).completion))
        assert reasons == ([choice.finish_reason] if choice.finish_reason else [])
    # A call that was sent without a name, since none came in time, would be held back once more.
    if all(first_names(sent)):
        assert send([sent], repair=True)[0] == sent


def calls_of(completion: ChatCompletion) -> list[tuple[str, str, str]]:
    calls = completion.choices[0].message.tool_calls or []
    return [(call.id, call.function.name, call.function.arguments) for call in calls if call.function]


def first_names(body: bytes) -> list[str]:
    """Give the name in the first fragment of each call, which is the one with the id."""
    chunks = reference.json_values(body, orjson.loads)[0]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    fragments = [fragment for delta in deltas for fragment in delta.get("tool_calls") or []]
    return [fragment["function"]["name"] for fragment in fragments if fragment.get("id")]


def has_news(chunk: dict[str, Any]) -> bool:
    (choice,) = chunk["choices"]
    said = (value for key, value in choice["delta"].items() if key != "role")
    return bool(choice.get("finish_reason")) or any(said)


def goes_on_after_its_end(drawn: list[dict[str, Any]]) -> bool:
    """Whether a chunk without news comes behind a finish reason, and then more news."""
    news = [has_news(chunk) for chunk in drawn]
    ended = (bool(chunk["choices"][0].get("finish_reason")) for chunk in drawn)
    return any(
        end and not news[at + 1 :][0] and any(news[at + 1 :])
        for at, end in enumerate(ended)
        if at + 1 < len(news)
    )
