"""The decoder for the clients of OpenAI and Anthropic, and `accelerate`, against real clients and a server.

What the clients do with events is theirs; what is tested is that they get the same, that what ends a stream
of theirs does not, and that copies and subclasses of a client keep it. Typed chunks are in
test_compat_chunks.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anthropic
import httpx2
import openai
import openai._streaming
import pytest
from anthropic._streaming import SSEBytesDecoder as AnthropicProtocol
from anthropic._streaming import SSEDecoder as AnthropicDecoder
from compat_servers import DEADLY, DONE, answer, chunk, event
from conftest import ASYNCIO
from fakes import agenerate
from servers import serve

from deltawire import ChatStream, EventStream, LimitExceeded, NotEventStream
from deltawire.compat.openai import ServerSentEvent, SSEDecoder, accelerate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

BODY = (
    b"event: ping\n\nid: 1\nretry: 9\nevent: x\ndata: {\ndata: }\n\n"
    b"data: two\n\nevent: message\ndata: 3\n\ndata: cut"
)
EVENTS = [
    ("ping", "", None, None),
    ("x", "{\n}", "1", 9),
    (None, "two", "1", None),
    ("message", "3", "1", None),
]


def fields(event: Any) -> tuple[str | None, str, str | None, int | None]:
    return event.event, event.data, event.id, event.retry


def connect(server: Server, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=server.url, max_retries=0, **options)


def contents(client: openai.OpenAI) -> list[str | None]:
    with client.chat.completions.create(model="m", messages=[], stream=True) as stream:
        return [each.choices[0].delta.content for each in stream if each.choices]


# --- the decoder


def cuts(body: bytes) -> Iterator[list[bytes]]:
    yield [body]
    for at in range(1, len(body)):
        yield [body[:at], b"", body[at:]]
    yield [body[at : at + 1] for at in range(len(body))]


@pytest.mark.parametrize("raw", [False, True])
def test_events_are_those_of_openai_for_every_cut(raw: bool) -> None:
    assert [fields(each) for each in openai._streaming.SSEDecoder().iter_bytes(iter([BODY]))] == EVENTS
    for chunks in cuts(BODY):
        assert [fields(each) for each in SSEDecoder(raw=raw).iter_bytes(iter(chunks))] == EVENTS


@pytest.mark.anyio
@pytest.mark.parametrize("raw", [False, True])
async def test_events_come_out_of_async_bytes(raw: bool) -> None:
    chunks = agenerate([BODY[:9], BODY[9:]])
    assert [fields(each) async for each in SSEDecoder(raw=raw).aiter_bytes(chunks)] == EVENTS


def test_events_come_out_line_by_line() -> None:
    decoder = SSEDecoder()
    found = [each for line in BODY.decode().split("\n") if (each := decoder.decode(line))]
    assert [fields(each) for each in found] == EVENTS


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_raw_holds_the_lines_that_anthropics_own_decoder_holds(end: str) -> None:
    lines = [
        "event: a",
        "data: 1",
        "",
        ": c",
        "x: y",
        "data: 2",
        "data",
        "",
        "",
        "event: b",
        "",
        "data: é",
        "",
    ]
    body = (end.join(lines) + end).encode()
    theirs = [each.raw for each in AnthropicDecoder().iter_bytes(iter([body]))]
    for chunks in cuts(body):
        assert [each.raw for each in SSEDecoder(raw=True).iter_bytes(iter(chunks))] == theirs
    assert [each.raw for each in SSEDecoder().iter_bytes(iter([body]))] == [[]] * len(theirs)


@pytest.mark.parametrize(
    "blank", [b"data:\n\n", b"data: \xe2\x80\x83 \n\n", b"event: ping\n\n", b"retry: 4\n\n"]
)
def test_an_event_without_data_has_json_that_says_nothing_or_is_left_out(blank: bytes) -> None:
    [found] = SSEDecoder().iter_bytes(iter([blank]))
    assert (found.data, found.json()) == ("", {"choices": []})
    assert list(SSEDecoder(empty=False).iter_bytes(iter([blank]))) == []


@pytest.mark.parametrize("sentinel", [b"data:  [DONE]\n\n", b"data:[DONE]  \n\n", b"data: \t[DONE]\r\r"])
def test_a_sentinel_with_white_space_begins_as_the_clients_expect(sentinel: bytes) -> None:
    [found] = SSEDecoder().iter_bytes(iter([sentinel]))
    assert found.data.startswith("[DONE]")


def test_invalid_utf_8_and_a_bom_cost_no_event() -> None:
    body = b'\xef\xbb\xbfdata: "a\xff"\n\ndata: "b"\n\n'
    assert [each.json() for each in SSEDecoder().iter_bytes(iter([body]))] == ["a\ufffd", "b"]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    "line", [b"data: 123456789\n\n", b"data: 123456789", b"data: 1\ndata: 1\ndata: 123456789\n"]
)
def test_an_event_over_the_limit_raises_after_those_before_it(raw: bool, line: bytes) -> None:
    found = SSEDecoder(max_event_size=8, raw=raw).iter_bytes(iter([b"data\n\n" + line]))
    if not raw:
        assert next(found).data == ""
    with pytest.raises(LimitExceeded):
        list(found)


def test_an_event_larger_than_64_mib_is_taken() -> None:
    chunks = [b"data:", *[b"x" * 2**20] * 64, b"x\n\n"]
    [found] = SSEDecoder().iter_bytes(iter(chunks))
    assert len(found.data) == 2**26 + 1


def test_an_event_has_the_defaults_and_the_repr_of_openai() -> None:
    ours, theirs = ServerSentEvent(data="1"), openai._streaming.ServerSentEvent(data="1")
    assert (repr(ours), fields(ours), ours.raw) == (repr(theirs), fields(theirs), [])
    with pytest.raises(AttributeError):
        ours.data = "2"  # type: ignore[misc]
    with pytest.raises(json.JSONDecodeError):
        ServerSentEvent(data="{").json()


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_it_is_what_the_clients_take_for_a_decoder(kind: str) -> None:
    protocol = openai._streaming.SSEBytesDecoder if kind == "openai" else AnthropicProtocol
    assert isinstance(SSEDecoder(), protocol)


# --- openai


@pytest.mark.parametrize("deadly", DEADLY.values(), ids=DEADLY)
def test_what_ends_a_stream_of_openai_does_not(deadly: bytes) -> None:
    with (
        serve(answer(chunk("a"), deadly, chunk("b", "stop"), b"data:  [DONE]\n\n")) as server,
        connect(server) as client,
    ):
        with pytest.raises(json.JSONDecodeError):
            contents(client)
        assert contents(accelerate(client)) == ["a", "b"]


@pytest.mark.parametrize("deadly", DEADLY.values(), ids=DEADLY)
def test_a_decoder_put_into_the_hook_by_hand_gets_over_them_too(
    deadly: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(answer(chunk("a"), deadly, chunk("b", "stop"), DONE)) as server, connect(server) as client:
        monkeypatch.setattr(client, "_make_sse_decoder", SSEDecoder)
        assert contents(client) == ["a", "b"]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_an_async_client_is_accelerated() -> None:
    with serve(answer(chunk("a"), *DEADLY.values(), chunk("b", "stop"), DONE)) as server:
        async with (
            accelerate(openai.AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0)) as client,
            await client.chat.completions.create(model="m", messages=[], stream=True) as stream,
        ):
            assert [each.choices[0].delta.content async for each in stream if each.choices] == ["a", "b"]


def test_a_client_gives_its_own_objects_as_before() -> None:
    with serve(answer(chunk("a", seed=1), chunk("", "stop"), DONE)) as server, connect(server) as client:
        before = list(client.chat.completions.create(model="m", messages=[], stream=True))
        stream = accelerate(client).chat.completions.create(model="m", messages=[], stream=True)
        assert isinstance(stream, openai.Stream)
        assert list(stream) == before
        assert type(before[0]).__module__.startswith("openai.")


def test_responses_are_read_as_before() -> None:
    body = {"type": "response.output_text.delta", "delta": "x", "output_index": 0, "sequence_number": 1}
    with (
        serve(answer(b"retry: 1\n\n", event(body, "response.output_text.delta"))) as server,
        accelerate(connect(server)) as client,
    ):
        [found] = client.responses.create(model="m", input="x", stream=True)
    assert (found.type, found.delta) == ("response.output_text.delta", "x")  # type: ignore[union-attr]


@pytest.mark.parametrize("copy", ["copy", "with_options"])
def test_copies_of_a_client_and_their_copies_are_accelerated(copy: str) -> None:
    with serve(answer(chunk("a"), b"retry: 1\n\n", DONE)) as server, connect(server) as client:
        first = getattr(accelerate(client, max_event_size=500), copy)(timeout=5)
        second = getattr(first, copy)(max_retries=1)
        assert second is not first is not client
        assert (first.timeout, second.max_retries) == (5, 1)
        for each in (first, second, first.chat.with_streaming_response._chat._client):
            assert contents(each) == ["a"]


def test_accelerating_again_changes_nothing() -> None:
    client = openai.OpenAI(api_key="k")
    assert accelerate(client) is client
    before = dict(vars(client))
    assert accelerate(client) is client
    assert vars(client) == before


def test_other_clients_are_left_alone() -> None:
    accelerate(openai.OpenAI(api_key="k"))
    assert type(openai.OpenAI(api_key="k")._make_sse_decoder()) is openai._streaming.SSEDecoder


def test_the_limit_of_a_client_holds_and_can_be_set_anew() -> None:
    with serve(answer(chunk("a" * 300), DONE)) as server, connect(server) as client:
        with pytest.raises(LimitExceeded):
            contents(accelerate(client, max_event_size=200))
        assert contents(accelerate(client, max_event_size=20_000)) == ["a" * 300]


def test_an_azure_client_and_its_copies_are_accelerated() -> None:
    with serve(answer(chunk("a"), b"retry: 1\n\n", DONE)) as server:
        client = accelerate(
            openai.AzureOpenAI(api_key="k", azure_endpoint=server.url, api_version="2024-10-21")
        )
        with client:
            assert contents(client) == ["a"]
            assert contents(client.with_options(timeout=9)) == ["a"]


def test_an_error_in_the_stream_is_openais_error() -> None:
    body = event({"error": {"message": "boom", "code": "c", "type": "t"}})
    with serve(answer(chunk("a"), body)) as server, accelerate(connect(server)) as client:
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(openai.APIError, match="boom") as caught:
            next(stream)
    assert caught.value.body == {"message": "boom", "code": "c", "type": "t"}
    assert stream.response.is_closed


# --- anthropic

ANTHROPIC: list[dict[str, Any]] = [
    {"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m",
        "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hé"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
]  # fmt: skip
ANTHROPIC_BODY = b"event: ping\ndata: {}\n\n: c\n\n" + b"retry: 3\n\n".join(
    event(each, str(each["type"])) for each in ANTHROPIC
)


@pytest.mark.parametrize("copy", [False, True])
def test_an_anthropic_client_is_accelerated(copy: bool) -> None:
    with serve(answer(ANTHROPIC_BODY[:100], ANTHROPIC_BODY[100:])) as server:
        client = anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0)
        before = list(client.messages.create(model="m", max_tokens=9, messages=[], stream=True))
        client = accelerate(client).with_options(timeout=9) if copy else accelerate(client)
        made: object = client._make_sse_decoder()
        assert type(made) is SSEDecoder
        assert list(client.messages.create(model="m", max_tokens=9, messages=[], stream=True)) == before
        with client.messages.stream(model="m", max_tokens=9, messages=[]) as stream:
            assert "".join(stream.text_stream) == "hé"
        client.close()
    assert [each.type for each in before] == [each["type"] for each in ANTHROPIC]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_an_async_anthropic_client_is_accelerated() -> None:
    with serve(answer(ANTHROPIC_BODY)) as server:
        async with accelerate(
            anthropic.AsyncAnthropic(api_key="k", base_url=server.url, max_retries=0)
        ) as client:
            stream = await client.messages.create(model="m", max_tokens=9, messages=[], stream=True)
            assert [each.type async for each in stream] == [each["type"] for each in ANTHROPIC]


def test_mixed_line_ends_hold_no_event_of_anthropic_back() -> None:
    body = event(ANTHROPIC[-1], "message_stop")[:-1] + b"\r\n"
    with serve(answer(body)) as server:
        client = anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0)
        with accelerate(client):
            [found] = client.messages.create(model="m", max_tokens=9, messages=[], stream=True)
    assert found.type == "message_stop"


def test_an_error_event_is_anthropics_error() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    with (
        serve(answer(event(error, "error"))) as server,
        accelerate(anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=0)) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        list(client.messages.create(model="m", max_tokens=9, messages=[], stream=True))
    assert caught.value.body == error


# --- their responses as sources


def test_a_streaming_response_of_the_client_is_a_source() -> None:
    request: dict[str, Any] = {"model": "m", "messages": [], "stream": True}
    with (
        serve(answer(chunk("hé"), DONE)) as server,
        connect(server) as client,
        client.chat.completions.with_streaming_response.create(**request) as response,
        ChatStream(response) as stream,
    ):
        assert [each.choices[0].delta.content for each in stream] == ["hé"]
        assert response.is_closed is False
    assert response.is_closed


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_a_streaming_response_of_an_async_client_is_a_source() -> None:
    with serve(answer(chunk("hé"), DONE)) as server:
        async with openai.AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0) as client:
            create = client.chat.completions.with_streaming_response.create
            async with create(model="m", messages=[], stream=True) as response:
                with pytest.raises(TypeError, match="is asynchronous"):
                    list(ChatStream(response))
                async with ChatStream(response, idle_timeout=30) as stream:
                    assert [each.choices[0].delta.content async for each in stream] == ["hé"]
            assert response.is_closed


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_a_refusal_is_told_of_such_a_response_too() -> None:
    page = answer(b"<html>", content_type="text/html")
    with serve(page) as server:
        async with anthropic.AsyncAnthropic(api_key="k", base_url=server.url, max_retries=0) as client:
            create = client.messages.with_streaming_response.create
            async with create(model="m", max_tokens=1, messages=[], stream=True) as response:
                with pytest.raises(NotEventStream) as caught:
                    await anext(EventStream(response))
    assert (caught.value.status, caught.value.content_type) == (200, "text/html")


# --- what is refused


@pytest.mark.parametrize("wrong", [None, 5, object(), openai, openai.OpenAI, httpx2.Client])
def test_what_is_no_client_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"takes a client of openai or anthropic, like OpenAI\(\)"):
        accelerate(wrong)


@pytest.mark.parametrize("package", [openai, anthropic])
def test_a_version_of_the_client_without_the_hook_is_refused(
    package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = openai.OpenAI(api_key="k") if package is openai else anthropic.Anthropic(api_key="k")
    monkeypatch.delattr(package._base_client.BaseClient, "_make_sse_decoder")
    with pytest.raises(
        RuntimeError, match=rf"of {package.__name__} \d.*has no _make_sse_decoder.*pip install"
    ):
        accelerate(client)
    assert not any("deltawire" in name for name in vars(client))


def test_a_client_with_a_decoder_of_its_own_is_refused() -> None:
    class Bedrock(anthropic.Anthropic):
        def _make_sse_decoder(self) -> Any:
            raise AssertionError

    with pytest.raises(TypeError, match="brings a decoder of its own"):
        accelerate(Bedrock(api_key="k"))


def test_wrong_options_are_refused_at_once() -> None:
    client = openai.OpenAI(api_key="k")
    with pytest.raises(ValueError, match='chunks is None or "deltawire"'):
        accelerate(client, chunks="pydantic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="only the clients of openai have"):
        accelerate(anthropic.Anthropic(api_key="k"), chunks="deltawire")
    with pytest.raises(ValueError, match="max_event_size"):
        accelerate(client, max_event_size=0)
    assert "_deltawire" not in vars(client)
