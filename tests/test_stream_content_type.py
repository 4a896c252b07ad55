"""Streams over HTTP responses: which content types are read, and what is told of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import httpx
import pytest
from fakes import BLOCK, Step, agenerate, generate
from outcomes import SourceError

from deltawire import (
    ChatRelayStream,
    ChatStream,
    EventStream,
    JSONStream,
    NotEventStream,
    UpstreamError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def response(content_type: str | None, body: bytes = b"data: 1\n\n", status: int = 200) -> httpx.Response:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return httpx.Response(status, headers=headers, content=body)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/event-stream",
        "Text/Event-Stream",
        "text/event-stream; charset=utf-8",
        "text/event-stream;charset=windows-1252",
        "text/event-stream, text/event-stream",
        "text/plain; a=b, TEXT/EVENT-STREAM ;charset=utf-8",
    ],
)
@pytest.mark.anyio
async def test_the_type_of_an_event_stream_is_accepted(content_type: str | None) -> None:
    assert [event.data for event in EventStream(response(content_type))] == ["1"]
    assert [event.data async for event in EventStream(response(content_type))] == ["1"]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/html; charset=utf-8", "text/event-streams", ";"]
)
@pytest.mark.anyio
async def test_another_type_is_refused_with_the_facts(content_type: str) -> None:
    body = b"<" * 250
    for attempt in range(2):
        events = EventStream(response(content_type, body, 502))
        for _ in range(2):
            with pytest.raises(NotEventStream) as caught:
                _ = next(events) if attempt == 0 else await anext(events)
            assert (caught.value.status, caught.value.content_type) == (502, content_type)
        assert events.bytes == 0
        await events.aclose()
    values = JSONStream(response(content_type, body))
    with pytest.raises(NotEventStream) as caught:
        await anext(values)
    assert caught.value.preview == body[:200]
    await values.aclose()


@pytest.mark.parametrize("stream", [EventStream, JSONStream, ChatStream, ChatRelayStream])
@pytest.mark.parametrize("content_type", [None, "text/event-stream"])
@pytest.mark.parametrize("status", [301, 401, 429, 503])
@pytest.mark.anyio
async def test_a_status_that_is_no_success_is_refused_whatever_the_type(
    status: int, content_type: str | None, stream: Any
) -> None:
    for attempt in range(2):
        source = response(content_type, b"data: no\n\n", status)
        with pytest.raises(NotEventStream, match=f"the response has status {status};") as caught:
            _ = next(stream(source)) if attempt == 0 else await anext(stream(source))
        assert (caught.value.status, caught.value.preview) == (status, b"data: no\n\n")
    assert list(EventStream(response(content_type, status=status), check_content_type=False))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":{"message":"slow down","code":"rate"}}', ("slow down", "rate")),
        (b'data: {"error":{"message":"slow down","code":"rate"}}\n\n', ("slow down", "rate")),
        (b'{"detail":"Not Found"}', ("Not Found", None)),
        (b'{"message":"Internal"}', ("Internal", None)),
        (b'{"detail":[{"msg":"field required"}]}', ('[{"msg":"field required"}]', None)),
        (b'{\n "reason": "quota",\n "code": 7\n}', ("quota", 7)),
        (b"{}", ("", None)),
    ],
)
@pytest.mark.parametrize("content_type", [None, "application/json", "text/event-stream"])
@pytest.mark.parametrize("stream", [ChatStream, ChatRelayStream])
def test_a_failed_request_of_a_chat_raises_what_its_document_says(
    stream: Any, content_type: str | None, body: bytes, said: tuple[str, Any]
) -> None:
    with pytest.raises(UpstreamError) as caught:
        next(stream(response(content_type, body, 429)))
    error = caught.value.error
    assert (error.message, error.code, caught.value.status) == (*said, 429)
    assert caught.value.completion is None
    assert "`completion`" not in str(caught.value)


MANY = b'{"choices":[{"delta":{"tool_calls":[' + b",".join([b'{"function":{"name":"f"}}'] * 2000) + b"]}}]}"


@pytest.mark.parametrize("body", [b'{"detail":' + b"[" * 500 + b"]" * 500 + b"}", MANY], ids=["deep", "many"])
@pytest.mark.parametrize("stream", [ChatStream, ChatRelayStream])
def test_a_failed_request_of_a_chat_is_told_whatever_its_document(stream: Any, body: bytes) -> None:
    with pytest.raises((UpstreamError, NotEventStream)) as caught:
        next(stream(response("application/json", body, 400)))
    assert vars(caught.value)["status"] == 400


def test_what_else_a_source_calls_its_status_is_not_looked_at() -> None:
    class Source:
        status = "200 OK"
        headers: ClassVar = {"content-type": "text/event-stream"}

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"data: 1\n\n"])

    assert [event.data for event in EventStream(Source())] == ["1"]


@pytest.mark.parametrize("body", [b"", b"<html>", b'"oops"', b"[]", b"{"])
@pytest.mark.parametrize("stream", [ChatStream, ChatRelayStream])
def test_a_failed_request_of_a_chat_without_a_document_is_no_event_stream(stream: Any, body: bytes) -> None:
    with pytest.raises(NotEventStream) as caught:
        next(stream(response("application/json", body, 500)))
    assert (caught.value.status, caught.value.preview) == (500, body)


def test_the_type_is_not_looked_at_where_it_does_not_matter() -> None:
    assert len(list(EventStream(response("text/plain"), check_content_type=False))) == 1
    assert list(JSONStream(response("text/plain"), check_content_type=False)) == [1]


@pytest.mark.anyio
async def test_the_preview_is_what_came_before_the_body_failed() -> None:
    for attempt in range(2):
        body = Body([b"<html>", SourceError()])
        source = httpx.Response(200, headers={"Content-Type": "text/html"}, stream=body)
        with pytest.raises(NotEventStream) as caught:
            _ = next(EventStream(source)) if attempt == 0 else await anext(EventStream(source))
        assert caught.value.preview == b"<html>"


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    def __iter__(self) -> Iterator[bytes]:
        return generate(self.steps)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return agenerate(self.steps)


@pytest.mark.anyio
async def test_a_preview_is_not_waited_for_longer_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltawire._content_type._BODY_SECONDS", 0.01)
    source = httpx.Response(200, headers={"Content-Type": "text/html"}, stream=Body([b"<html>", BLOCK]))
    with pytest.raises(NotEventStream) as caught:
        async with EventStream(source) as events:
            await anext(events)
    assert caught.value.preview == b"<html>"
    assert source.is_closed
