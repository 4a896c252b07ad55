"""The encoder: what it writes is what the parsers give back, whatever the text and the cut.

What clients make of it is tried with the openai package over a real server.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest
import reference
from chat_streams import DONE, chunk
from hypothesis import example, given
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from outcomes import pieces
from servers import Exchange, serve

from deltawire import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatStream,
    DeltawireError,
    EventParser,
    IncompleteStream,
    InvalidJSON,
    LimitExceeded,
    NotEventStream,
    ProviderError,
    ServerSentEvent,
    StreamEnd,
    ToolCall,
    UpstreamError,
    encode_comment,
    encode_error,
    encode_event,
)
from deltawire.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Any text, and often what an event stream is made of.
texts = st.text(st.sampled_from("\r\n\r\n :\0\ufeff\u2028\u0085") | st.characters(codec="utf-8"), max_size=40)
fields = texts.filter(lambda text: not set(text) & set("\r\n\0"))
retries = st.integers(0, 2**64 - 1)


def normalised(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(chunks: Iterable[bytes]) -> list[ServerSentEvent]:
    parser = EventParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    assert parser.close() == []
    assert parser.pending_bytes == 0
    return events


def parse_at_every_cut(encoded: bytes) -> list[ServerSentEvent]:
    events = parse([encoded])
    for at in range(1, len(encoded)):
        assert parse([encoded[:at], encoded[at:]]) == events
    assert parse(pieces(encoded)) == events
    return events


@given(texts, st.none() | fields, st.none() | fields, st.none() | retries)
@example("", None, None, None)
@example(" two spaces ", " e", " i", 0)
@example("\r\r\n\n", "", "", 2**64 - 1)
@example("data: a\n\nevent: b", None, None, None)
@example("\ufeff", "\ufeff", "\ufeff", None)
def test_parsing_gives_back_what_was_encoded_at_every_cut(
    data: str, event: str | None, id: str | None, retry: int | None
) -> None:
    encoded = encode_event(data, event=event, id=id, retry=retry)
    (parsed,) = parse_at_every_cut(encoded)
    assert parsed == ServerSentEvent(event or "message", normalised(data), id or "", retry)
    assert reference.parse(encoded)[0] == [(parsed.event, parsed.data, parsed.id, parsed.retry)]


@given(texts, st.none() | fields, st.none() | fields, st.none() | retries)
def test_the_twin_writes_the_same(data: str, event: str | None, id: str | None, retry: int | None) -> None:
    written = reference.encode(data, event, id, retry)
    assert encode_event(data, event=event, id=id, retry=retry) == written
    assert encode_event(data.encode(), event=event, id=id, retry=retry) == written


@given(st.lists(st.tuples(st.booleans(), texts), max_size=6))
def test_events_and_comments_in_any_order_stay_apart(items: list[tuple[bool, str]]) -> None:
    encoded = b"".join(encode_comment(text) if comment else encode_event(text) for comment, text in items)
    events = parse_at_every_cut(encoded)
    assert [event.data for event in events] == [normalised(text) for comment, text in items if not comment]
    comments = [text for comment, text in items if comment]
    assert reference.count_comments(encoded) == sum(1 + normalised(text).count("\n") for text in comments)


@given(texts, st.sampled_from("\r\n\0"), texts, st.sampled_from(["event", "id"]))
def test_nothing_is_injected_through_the_type_and_the_id(
    before: str, bad: str, after: str, name: str
) -> None:
    arguments: dict[str, Any] = {name: before + bad + after}
    with pytest.raises(ValueError, match=f"{name} cannot hold ") as raised:
        encode_event("", **arguments)
    assert len(str(raised.value)) < 80


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts, st.lists))
def test_json_comes_back_as_the_same_value_on_one_line(value: Any) -> None:
    if isinstance(value, str):
        value = [value]
    encoded = encode_event(value)
    assert encoded.count(b"\n") == 2
    assert parse_at_every_cut(encoded)[0].json() == value


@dataclass
class Progress:
    done: int


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"a": [1, "\r\n"]}, rb'{"a":[1,"\r\n"]}'),
        ([], b"[]"),
        (1.5, b"1.5"),
        (True, b"true"),
        (None, b"null"),
        (Progress(3), b'{"done":3}'),
        ("", b""),
        ("[DONE]", b"[DONE]"),
        (b"\xff", b"\xff"),
        (bytearray(b"a"), b"a"),
        (memoryview(b"abc")[::2], b"ac"),
        (ChatCompletionChunk(b'{"a": 1.50}'), b'{"a": 1.50}'),
        ({"chunk": ChatCompletionChunk(b'{"a": 1.50}')}, b'{"chunk":{"a": 1.50}}'),
    ],
)
def test_the_data_may_be_text_or_anything_that_is_json(data: Any, line: bytes) -> None:
    assert encode_event(data) == b"data: " + line + b"\n\n"


@pytest.mark.parametrize("cls", [ChatCompletion, ChatCompletionChunk, ToolCall])
def test_objects_of_a_chat_are_sent_as_their_own_json(cls: Any) -> None:
    value = cls(b'{"id": "c1",\r\n "index": 0}')
    (event,) = parse([encode_event(value)])
    assert event.json() == value.to_dict()


def test_a_chunk_deeper_than_orjson_writes_is_sent_all_the_same() -> None:
    raw = b'{"a":' + b"[" * 900 + b"]" * 900 + b"}"
    assert encode_event(ChatCompletionChunk(raw)) == b"data: " + raw + b"\n\n"


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"data": object()}, TypeError, "object"),
        ({"data": {1: 2}}, TypeError, "must be str"),
        ({"data": ServerSentEvent(data="secret")}, TypeError, "ServerSentEvent"),
        ({"data": "\ud800"}, ValueError, "surrogates"),
        ({"data": "", "event": b"a"}, TypeError, "event is a str, not bytes"),
        ({"data": "", "id": 1}, TypeError, "id is a str, not int"),
        ({"data": "", "event": "\ud800"}, ValueError, "surrogates"),
        ({"data": "", "retry": -1}, ValueError, "retry is a number of milliseconds from 0 on, not -1"),
        ({"data": "", "retry": 1.0}, TypeError, "retry is an int, in milliseconds, not float"),
        ({"data": "", "retry": True}, TypeError, "not bool"),
        ({"data": "", "retry": "5"}, TypeError, "not str"),
    ],
)
def test_what_cannot_be_encoded_is_refused(arguments: dict[str, Any], error: type, said: str) -> None:
    with pytest.raises(error, match=said) as raised:
        encode_event(**arguments)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("", b":\n"),
        ("keep-alive", b": keep-alive\n"),
        ("a\r\n\rb\n", b": a\n:\n: b\n:\n"),
        ("data: x\n\ndata: y", b": data: x\n:\n: data: y\n"),
    ],
)
def test_a_comment_is_lines_of_its_own_and_no_blank_line(text: str, encoded: bytes) -> None:
    assert encode_comment(text) == encoded


def test_a_comment_is_a_str() -> None:
    with pytest.raises(TypeError, match="a comment is a str, not bytes"):
        encode_comment(b"a")  # type: ignore[arg-type]


def test_a_comment_after_an_id_gives_the_openai_client_no_event_without_data() -> None:
    stream = encode_event({}, id="1") + encode_comment("ping") + encode_event({}) + encode_comment()
    assert [event.data for event in SSEDecoder().iter_bytes(iter([stream]))] == ["{}", "{}"]


# Errors.

SAID = ProviderError("slow down", "rate_limit", 429, {"message": "slow down", "key": "secret"})


def body_of(encoded: bytes) -> dict[str, Any]:
    (event,) = parse([encoded])
    assert event.event == "message"
    (body,) = json.loads(event.data).values()
    assert list(body) == ["message", "type", "param", "code"]
    assert body["message"]
    assert body["param"] is None
    del body["param"]
    return body  # type: ignore[no-any-return]


@pytest.mark.parametrize("error", [SAID, UpstreamError(SAID, status=429)])
def test_what_the_provider_said_is_passed_on(error: Any) -> None:
    assert body_of(encode_error(error)) == {"message": "slow down", "type": "rate_limit", "code": 429}


def test_a_text_is_the_message() -> None:
    body = body_of(encode_error("out of credits\r\n\r\ndata: [DONE]\ud800"))
    message = "out of credits\r\n\r\ndata: [DONE]?"
    assert body == {"message": message, "type": "server_error", "code": None}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (IncompleteStream(StreamEnd.TRUNCATED), "incomplete_stream"),
        (NotEventStream(content_type="secret", preview=b"secret"), "not_event_stream"),
        (LimitExceeded("max_event_size", 1), "limit_exceeded"),
        (InvalidJSON(preview=b"secret"), "invalid_json"),
        (TimeoutError("secret"), "timeout"),
        (CassetteError("/secret", "", "secret"), "upstream_error"),
        (DeltawireError("secret"), "upstream_error"),
        (OSError(2, "secret", "/secret"), "internal_error"),
        (ValueError("secret"), "internal_error"),
        (asyncio.CancelledError("secret"), "internal_error"),
        (ExceptionGroup("secret", [ValueError("secret")]), "internal_error"),
    ],
)
def test_of_an_exception_only_what_it_means_for_the_client_is_told(error: BaseException, code: str) -> None:
    encoded = encode_error(error)
    body = body_of(encoded)
    assert (body["type"], body["code"]) == ("server_error", code)
    assert b"secret" not in encoded


def test_nothing_else_is_an_error() -> None:
    with pytest.raises(TypeError, match="an error is a ProviderError, an exception or a str, not dict"):
        encode_error({})  # type: ignore[arg-type]


# An empty type and a code of 0 say nothing, and are read as none.
@given(
    texts,
    st.none() | texts.filter(len),
    st.none() | texts.filter(len) | st.integers(-(2**31), 2**31).filter(bool),
)
def test_a_chat_stream_reads_the_same_error(message: str, kind: str | None, code: Any) -> None:
    encoded = chunk({"content": "a"}) + encode_error(ProviderError(message, kind, code, None)) + DONE
    with pytest.raises(UpstreamError) as raised:
        ChatStream(pieces(encoded)).collect()
    error = raised.value.error
    assert (error.message, error.type, error.code) == (message, kind, code)
    assert raised.value.completion is not None
    assert raised.value.completion.choices[0].message.content == "a"


@pytest.mark.parametrize("ending", [DONE, b""])
@pytest.mark.parametrize(("error", "code"), [(SAID, "429"), (ValueError("secret"), "internal_error")])
def test_the_openai_client_raises_it_after_what_came_before(error: Any, code: str, ending: bytes) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.head()
        exchange.send(chunk({"content": "a"}) + encode_comment("ping") + encode_error(error) + ending)
        exchange.end()

    def ask(client: Any) -> Any:
        return client.chat.completions.create(model="m", messages=[], stream=True)

    async def aread(url: str) -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
            async for part in await ask(client):
                seen.append(part.choices[0].delta.content)  # noqa: PERF401 -- it raises

    def read(url: str) -> None:
        with openai.OpenAI(api_key="k", base_url=url, max_retries=0) as client:
            for part in ask(client):
                seen.append(part.choices[0].delta.content)  # noqa: PERF401 -- it raises

    body = json.loads(encode_error(error).removeprefix(b"data: "))["error"]
    with serve(script) as server:
        for run in (read, lambda url: asyncio.run(aread(url))):
            seen: list[str] = []
            with pytest.raises(openai.APIError) as raised:
                run(server.url)
            told = raised.value
            assert seen == ["a"]
            assert type(told) is openai.APIError
            assert told.body == body
            assert (told.message, told.code, told.type) == (body["message"], code, body["type"])
