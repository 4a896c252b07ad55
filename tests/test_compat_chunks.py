"""`accelerate(client, chunks="deltawire")`: deltawire's chunks out of openai's own streams.

All but the chunks is openai's: the end, errors, closing, raw responses. It is held to by comparing with a
client that was not accelerated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from compat_servers import DEADLY, DONE, answer, chunk, event, take_request
from conftest import ASYNCIO
from servers import serve

from deltawire import ChatAccumulator, ChatCompletionChunk, InvalidJSON, LimitExceeded, StreamEnd
from deltawire.compat.openai import accelerate

if TYPE_CHECKING:
    from servers import Exchange, Server

REQUEST: dict[str, Any] = {"model": "m", "messages": [], "stream": True}
on_asyncio = pytest.mark.parametrize("anyio_backend", ASYNCIO)


def connect(server: Server, **options: Any) -> openai.OpenAI:
    client = openai.OpenAI(api_key="k", base_url=server.url, max_retries=0)
    return accelerate(client, chunks="deltawire", **options)


def connect_async(server: Server) -> openai.AsyncOpenAI:
    client = openai.AsyncOpenAI(api_key="k", base_url=server.url, max_retries=0)
    return accelerate(client, chunks="deltawire")


CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
WHOLE = [
    chunk("", choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]),
    chunk("hé"),
    chunk("", choices=[{"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": None}]),
    chunk("", "tool_calls"),
    chunk("", choices=[], usage=USAGE),
    DONE,
]


def test_chunks_are_deltawires_and_have_openais_attributes() -> None:
    with serve(answer(*WHOLE)) as server, connect(server) as client:
        plain = openai.OpenAI(api_key="k", base_url=server.url)
        with plain:
            theirs = list(plain.chat.completions.create(**REQUEST))
        with client.chat.completions.create(**REQUEST) as stream:
            ours = list(stream)
            assert isinstance(stream, openai.Stream)
            assert stream.response.status_code == 200
        assert stream.response.is_closed
    assert {type(each) for each in ours} == {ChatCompletionChunk}
    assert [each.to_dict() for each in ours] == [each.to_dict() for each in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert (our.id, our.model, our.object, our.created) == (
            their.id,
            their.model,
            their.object,
            their.created,
        )
        for choice, other in zip(our.choices, their.choices, strict=True):
            assert choice.delta.content == other.delta.content
            assert (choice.index, choice.finish_reason) == (other.index, other.finish_reason)
    assert ours[2].choices[0].delta.tool_calls[0].function.arguments == "{}"
    assert ours[4].usage.total_tokens == 3


@pytest.mark.anyio
@on_asyncio
async def test_an_async_client_gives_chunks_too() -> None:
    with serve(answer(*WHOLE)) as server:
        async with connect_async(server) as client:
            async with await client.chat.completions.create(**REQUEST) as stream:
                ours = [each async for each in stream]
            assert stream.response.is_closed
    assert [type(each) for each in ours] == [ChatCompletionChunk] * 5


def test_the_chunks_of_a_stream_can_be_added_up() -> None:
    message = ChatAccumulator()
    with serve(answer(*WHOLE)) as server, connect(server) as client:
        for each in client.chat.completions.create(**REQUEST):
            message.add(each)
    message.close()
    assert message.end is StreamEnd.FINISHED
    assert message.completion.choices[0].message.content == "hé"


@pytest.mark.parametrize("deadly", DEADLY.values(), ids=DEADLY)
def test_what_ends_a_stream_of_openai_does_not(deadly: bytes) -> None:
    with (
        serve(answer(chunk("a"), deadly, chunk("b"), b"data:  [DONE]\n\n")) as server,
        connect(server) as client,
    ):
        found = [
            each.choices[0].delta.content
            for each in client.chat.completions.create(**REQUEST)
            if each.choices
        ]
    assert found == ["a", "b"]


def test_a_last_event_without_its_blank_line_is_taken() -> None:
    with serve(answer(chunk("a"), chunk("", "stop").rstrip())) as server, connect(server) as client:
        found = list(client.chat.completions.create(**REQUEST))
    assert [each.choices[0].finish_reason for each in found] == [None, "stop"]


@pytest.mark.parametrize("sentinel", [DONE, DONE.rstrip()])
def test_nothing_counts_after_the_sentinel(sentinel: bytes) -> None:
    with serve(answer(chunk("a") + sentinel, b"\n\n" + chunk("b"))) as server, connect(server) as client:
        found = list(client.chat.completions.create(**REQUEST))
    assert [each.choices[0].delta.content for each in found] == ["a"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"message": "boom", "code": 3}, "boom"),
        ("text", "An error occurred during streaming"),
        ([1], "An error"),
    ],
)
def test_an_error_in_the_stream_is_openais_error_after_the_chunks_before_it(error: Any, message: str) -> None:
    with (
        serve(answer(chunk("a") + event({"error": error}) + chunk("b"))) as server,
        connect(server) as client,
    ):
        stream = client.chat.completions.create(**REQUEST)
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(openai.APIError, match=message) as caught:
            next(stream)
        assert stream.response.is_closed
    assert caught.value.body == error


@pytest.mark.parametrize("error", [None, {}, "", False])
def test_an_empty_error_is_none(error: Any) -> None:
    with serve(answer(chunk('an "error" ', error=error), DONE)) as server, connect(server) as client:
        [found] = client.chat.completions.create(**REQUEST)
    assert type(found) is ChatCompletionChunk


def test_a_broken_event_raises_after_the_chunks_before_it() -> None:
    with serve(answer(chunk("a") + b"data: {\n\n" + chunk("b"))) as server, connect(server) as client:
        stream = client.chat.completions.create(**REQUEST)
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(InvalidJSON) as caught:
            next(stream)
        assert caught.value.values == []
        assert stream.response.is_closed


def test_an_event_over_the_limit_raises_after_the_chunks_before_it() -> None:
    with (
        serve(answer(chunk("a") + chunk("b" * 999))) as server,
        connect(server, max_event_size=500) as client,
    ):
        stream = client.chat.completions.create(**REQUEST)
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(LimitExceeded):
            next(stream)


def test_a_status_error_is_raised_before_the_stream() -> None:
    body = b'{"error": {"message": "no", "type": "t", "code": "c"}}'
    with (
        serve(answer(body, status=429, content_type="application/json")) as server,
        connect(server) as client,
        pytest.raises(openai.RateLimitError) as caught,
    ):
        client.chat.completions.create(**REQUEST)
    assert (caught.value.code, caught.value.status_code) == ("c", 429)


def cut(exchange: Exchange) -> None:
    take_request(exchange)
    exchange.head(9999)
    exchange.send(chunk("a"))


def test_a_body_that_is_cut_is_openais_connection_error() -> None:
    with serve(cut) as server, connect(server) as client:
        stream = client.chat.completions.create(**REQUEST)
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(openai.APIConnectionError):
            next(stream)
        assert stream.response.is_closed


@pytest.mark.anyio
@on_asyncio
async def test_a_body_that_is_cut_is_openais_connection_error_on_the_async_side() -> None:
    with serve(cut) as server:
        async with connect_async(server) as client:
            stream = await client.chat.completions.create(**REQUEST)
            assert (await anext(stream)).choices[0].delta.content == "a"
            with pytest.raises(openai.APIConnectionError):
                await anext(stream)


def stall(exchange: Exchange) -> None:
    take_request(exchange)
    exchange.head()
    exchange.send(chunk("a"))
    exchange.wait_for_close()


def test_a_read_timeout_is_openais_timeout() -> None:
    with serve(stall) as server, connect(server) as client:
        stream = client.with_options(timeout=0.3).chat.completions.create(**REQUEST)
        assert next(stream).choices[0].delta.content == "a"
        with pytest.raises(openai.APITimeoutError):
            next(stream)


def test_closing_a_stream_early_closes_the_connection() -> None:
    with serve(stall) as server, connect(server) as client:
        stream = client.chat.completions.create(**REQUEST)
        next(stream)
        stream.close()
        assert stream.response.is_closed
    assert server.client_closed.is_set()


@pytest.mark.anyio
@on_asyncio
async def test_leaving_an_async_stream_early_closes_the_connection() -> None:
    with serve(stall) as server:
        async with connect_async(server) as client:
            async with await client.chat.completions.create(**REQUEST) as stream:
                await anext(stream)
            assert stream.response.is_closed
    assert server.client_closed.is_set()


@pytest.mark.anyio
@on_asyncio
async def test_the_connection_of_a_finished_async_stream_is_used_again() -> None:
    def script(exchange: Exchange) -> None:
        for _ in range(3):
            take_request(exchange)
            exchange.head()
            for piece in WHOLE:
                exchange.send(piece)
            exchange.end()
            exchange.request = exchange._connection.recv(65536)

    with serve(script) as server:
        async with connect_async(server) as client:
            for _ in range(3):
                stream = await client.chat.completions.create(**REQUEST)
                assert len([each async for each in stream]) == 5
        assert server.connections == 1


def test_raw_and_streaming_responses_give_chunks() -> None:
    with serve(answer(*WHOLE)) as server, connect(server) as client:
        raw = client.chat.completions.with_raw_response.create(**REQUEST)
        assert raw.headers["content-type"] == "text/event-stream"
        assert {type(each) for each in raw.parse()} == {ChatCompletionChunk}
        with client.chat.completions.with_streaming_response.create(**REQUEST) as response:
            assert {type(each) for each in response.parse()} == {ChatCompletionChunk}
        with client.chat.completions.with_streaming_response.create(**REQUEST) as response:
            assert b"".join(response.iter_bytes()) == b"".join(WHOLE)


def test_the_stream_helper_adds_up_openais_own_chunks() -> None:
    with (
        serve(answer(b"retry: 1\n\n", *WHOLE)) as server,
        connect(server) as client,
        client.chat.completions.stream(model="m", messages=[]) as stream,
    ):
        kinds = {each.type for each in stream}
        completion = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert completion.choices[0].message.content == "hé"
    assert completion.choices[0].message.tool_calls[0].function.name == "f"  # type: ignore[index]


def test_what_is_no_chat_stream_stays_openais() -> None:
    text = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    text["choices"] = [{"index": 0, "text": "x", "finish_reason": None, "logprobs": None}]
    with serve(answer(event(text), b"retry: 1\n\n", DONE)) as server, connect(server) as client:
        [found] = client.completions.create(model="m", prompt="x", stream=True)
        assert (type(found).__name__, found.choices[0].text) == ("Completion", "x")
    whole = b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[]}'
    with serve(answer(whole, content_type="application/json")) as server, connect(server) as client:
        assert type(client.chat.completions.create(model="m", messages=[])).__name__ == "ChatCompletion"


def test_copies_give_chunks_too_and_the_choice_can_be_taken_back() -> None:
    with serve(answer(*WHOLE)) as server, connect(server) as client:
        copied = client.copy().with_options(timeout=3)
        assert {type(each) for each in copied.chat.completions.create(**REQUEST)} == {ChatCompletionChunk}
        accelerate(copied)
        assert ChatCompletionChunk not in {type(each) for each in copied.chat.completions.create(**REQUEST)}
        assert {type(each) for each in client.chat.completions.create(**REQUEST)} == {ChatCompletionChunk}


def test_resources_that_were_taken_before_give_chunks_too() -> None:
    with serve(answer(*WHOLE)) as server:
        client = openai.OpenAI(api_key="k", base_url=server.url, max_retries=0)
        create = client.chat.completions.create
        accelerate(client, chunks="deltawire")
        assert {type(each) for each in create(**REQUEST)} == {ChatCompletionChunk}
        client.close()


def test_a_client_over_httpx_gives_chunks_too() -> None:
    with serve(answer(*WHOLE)) as server, httpx.Client() as http:
        try:
            client = openai.OpenAI(api_key="k", base_url=server.url, http_client=http)  # type: ignore[arg-type]
        except TypeError:
            pytest.skip("this version of openai takes clients of httpx2 alone")
        found = list(accelerate(client, chunks="deltawire").chat.completions.create(**REQUEST))
    assert {type(each) for each in found} == {ChatCompletionChunk}
