"""What a relay writes at the end of a stream that did not end well."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx2
import openai
import pytest
from chat_streams import DONE, STOP, chunk, event, text
from fakes import BLOCK, agenerate
from relays import BODY, assert_told, collect, refuse, send
from virtual_time import VIRTUAL

from deltawire import ChatAccumulator, ChatRelay, ChatRelayStream, StreamEnd


def errors(sent: bytes) -> list[dict[str, Any]]:
    data = [json.loads(block[6:]) for block in sent.split(b"\n\n") if block.startswith(b'data: {"error"')]
    return [value["error"] for value in data]


@pytest.mark.parametrize(
    ("body", "kept", "code"),
    [
        (text("a") + b'data: {"cut', text("a"), "incomplete_stream"),
        (text("a") + b": cut", text("a"), "incomplete_stream"),
        (text("a"), text("a"), "incomplete_stream"),
        (b"", b"", "incomplete_stream"),
        (b": c\n\n", b": c\n\n", "incomplete_stream"),
        (b"<html>", b"", "not_event_stream"),
    ],
)
def test_a_stream_that_was_cut_ends_with_an_error(body: bytes, kept: bytes, code: str) -> None:
    sent = send(body, append_error=True)
    assert sent.startswith(kept + b'data: {"error":')
    (error,) = errors(sent)
    assert (error["type"], error["code"], error["param"]) == ("server_error", code, None)
    assert sent.endswith(b"}\n\n" + DONE)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"error":{"message":"m","type":"t","code":5}}', {"message": "m", "type": "t", "code": 5}),
        (b'error: {"message":"m"}\n\n', {"message": "m", "type": None, "code": None}),
        (b"event: error\ndata: m\n\n", {"message": "m", "type": None, "code": None}),
        (
            event({"choices": [], "x_groq": {"error": "m"}}),
            {"message": "m", "type": None, "code": None},
        ),
    ],
)
def test_an_error_in_another_form_is_told_in_the_form_that_clients_know(
    body: bytes, told: dict[str, Any]
) -> None:
    sent = send(body, append_error=True)
    assert errors(sent) == [told | {"param": None}]
    assert sent.endswith(DONE)
    if not body.startswith(b"{"):
        sent = send(body + DONE, append_error=True)
        assert errors(sent) == [told | {"param": None}]
        assert sent.count(DONE) == 1


FORMS = {
    "no JSON": b"event: error\ndata: overloaded\n\n",
    "a JSON string": b'event: error\ndata: "overloaded"\n\n',
    "fields at the top, by the type": b'event: error\ndata: {"message":"overloaded"}\n\n',
    "fields at the top, by the object": event({"object": "error", "message": "overloaded"}),
    "a list": event([{"error": {"message": "overloaded"}}]),
    "the known one": event({"error": {"message": "overloaded"}}),
    "the known one, by the type too": b'event: error\ndata: {"error":{"message":"overloaded"}}\n\n',
    "a field of its own": b"error: overloaded\n\n",
    "in a choice": event({"choices": [{"index": 0, "delta": {}, "error": {"message": "overloaded"}}]}),
}


@pytest.mark.parametrize("end", [b"", DONE], ids=["cut", "sentinel"])
@pytest.mark.parametrize("sent", FORMS.values(), ids=FORMS)
def test_the_openai_client_raises_what_the_provider_reported_in_whatever_form(
    sent: bytes, end: bytes
) -> None:
    relayed = send(text("a") + sent + end, append_error=True)
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=relayed)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: answer))
    with openai.OpenAI(api_key="k", base_url="http://localhost/", http_client=http) as client:
        chunks = client.chat.completions.create(model="m", messages=[], stream=True)
        taken = itertools.takewhile(lambda chunk: chunk.choices, chunks)
        assert next(taken).choices[0].delta.content == "a"
        with pytest.raises(openai.APIError, match="overloaded"):
            list(taken)


def test_an_error_in_another_form_is_told_the_same_wherever_the_stream_is_cut() -> None:
    alike = [event({"object": name, "message": "m"}) for name in ("ping", "error", "ping")]
    body = text("a") + b"".join(alike) + DONE
    whole = send(body, append_error=True)
    assert errors(whole) == [{"message": "m", "type": None, "param": None, "code": None}]
    for place in range(1, len(body)):
        relay = ChatRelay(append_error=True)
        assert relay.feed(body[:place]) + relay.feed(body[place:]) + relay.close() == whole


@pytest.mark.parametrize("sent", [FORMS["no JSON"], FORMS["fields at the top, by the object"]])
def test_an_error_that_is_not_observed_is_sent_on_as_it_came(sent: bytes) -> None:
    relay = ChatRelay(append_error=True, max_message_size=2)
    assert sent in relay.feed(text("abc") + sent + DONE)


def test_an_error_that_clients_know_is_not_told_twice() -> None:
    body = text("a") + event({"error": {"message": "m"}})
    assert send(body, append_error=True) == body + DONE
    assert send(body + DONE, append_error=True) == body + DONE


@pytest.mark.parametrize("body", [BODY, text("a") + STOP, text("a") + STOP + b": c\n"])
def test_a_stream_that_ended_well_gets_nothing_appended(body: bytes) -> None:
    assert send(body, append_error=True) == body


@pytest.mark.parametrize("end", [b"", b"\n", b"\r"])
def test_a_whole_event_without_its_end_is_completed(end: bytes) -> None:
    assert send(BODY[:-2] + end, append_error=True).rstrip(b"\r\n") == BODY.rstrip(b"\n")
    sent = send(text("a")[:-2] + end, append_error=True)
    assert len(errors(sent)) == 1
    accumulator = ChatAccumulator()
    accumulator.feed(sent)
    assert accumulator.end is StreamEnd.ERROR
    assert accumulator.completion.choices[0].message.content == "a"


def test_a_stream_that_is_not_observed_to_its_sentinel_is_not_taken_for_whole() -> None:
    sent = send(text("abc") + STOP, append_error=True, max_message_size=2)
    assert [error["code"] for error in errors(sent)] == ["incomplete_stream"]
    assert errors(send(text("abc") + STOP + DONE, append_error=True, max_message_size=2)) == []


def test_an_event_that_was_too_large_and_cut_is_ended_before_the_error() -> None:
    sent = send(chunk({"content": "x" * 200})[:-10], append_error=True, max_event_size=50)
    assert b'\n\ndata: {"error"' in sent


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_the_client_is_told_of_a_deadline_though_edit_raises(anyio_backend: Any) -> None:
    source = agenerate([text("a"), b'data: {"bad": 1}', BLOCK])
    async with ChatRelayStream(source, edit=refuse, append_error=True, idle_timeout=5.0) as stream:
        assert await anext(stream) == text("a")
        with pytest.raises(LookupError):
            await anext(stream)
        assert_told(await collect(stream), b"")
