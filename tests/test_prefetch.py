"""ChatStream.prefetch: what the first event says, and that looking at it takes nothing away."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from fakes import BLOCK, Receiver, agenerate, generate
from servers import Exchange, serve

from deltawire import (
    ChatParser,
    ChatStream,
    IncompleteStream,
    InvalidJSON,
    LimitExceeded,
    NotEventStream,
    StreamEnd,
    StreamTimeout,
    UpstreamError,
)

if TYPE_CHECKING:
    from fakes import Step


def event(text: str, finish_reason: str = "null") -> bytes:
    delta = b'{"content": "%b"}' % text.encode()
    choice = b'{"index": 0, "delta": %b, "finish_reason": %b}' % (delta, finish_reason.encode())
    return b'data: {"id": "c", "choices": [%b]}\n\n' % choice


DONE = b"data: [DONE]\n\n"
COMMENT = b": PROCESSING\n\n"
ERROR = b'data: {"error": {"message": "overloaded", "code": 503}}\n\n'
HELLO = [COMMENT, event("Hel"), event("lo"), event("", '"stop"'), DONE]
BODY = b"".join(HELLO)
CHUNKS = ChatParser().feed(BODY)


async def aprefetch(stream: ChatStream, max_bytes: int = 64 * 1024) -> Any:
    async with stream:
        return await stream.prefetch(max_bytes)


def cuts(body: bytes) -> list[list[bytes]]:
    return [[body[:place], body[place:]] for place in range(len(body) + 1)]


# What is looked at is not lost


def test_the_first_chunk_is_given_and_the_iteration_gives_it_too() -> None:
    for pieces in [HELLO, [BODY], [BODY[i : i + 1] for i in range(len(BODY))], *cuts(BODY)]:
        stream = ChatStream(pieces)
        assert stream.prefetch() == CHUNKS[0]
        assert list(stream) == CHUNKS
        assert stream.completion.choices[0].message.content == "Hello"
        assert (stream.end, stream.bytes, stream.comments) == (StreamEnd.DONE, len(BODY), 1)


@pytest.mark.anyio
async def test_the_first_chunk_is_given_and_the_iteration_gives_it_too_async() -> None:
    for pieces in [HELLO, [BODY], [BODY[i : i + 1] for i in range(len(BODY))]]:
        for source in (agenerate(pieces), Receiver(*pieces), pieces):
            async with ChatStream(source) as stream:
                assert await stream.prefetch() == CHUNKS[0]
                assert [chunk async for chunk in stream] == CHUNKS


@pytest.mark.anyio
async def test_no_more_is_read_than_the_first_event_needs() -> None:
    source = Receiver(COMMENT, event("a")[:9], event("a")[9:], BLOCK)
    async with ChatStream(source) as stream:
        assert (await stream.prefetch()).choices[0].delta.content == "a"
        assert source.receives == 3
    steps: list[Step] = [event("a"), AssertionError("read on")]
    assert ChatStream(generate(steps)).prefetch() is not None


def test_batches_are_those_of_a_stream_that_nobody_looked_at() -> None:
    for pieces in [HELLO, [BODY], *cuts(BODY)]:
        stream = ChatStream(pieces)
        stream.prefetch()
        assert list(stream.batches()) == list(ChatStream(pieces).batches())


def test_timings_are_those_of_a_stream_that_nobody_looked_at() -> None:
    found = []
    for look in (False, True):
        ticks = itertools.count()
        stream = ChatStream(HELLO, clock=lambda ticks=ticks: float(next(ticks)))  # type: ignore[misc]
        if look:
            stream.prefetch()
        list(stream)
        found.append(stream.timings)
    assert found[0] == found[1]
    assert found[0].first_event == 2


@pytest.mark.anyio
async def test_what_else_reads_the_stream_loses_nothing() -> None:
    for source in (HELLO, [BODY]):
        async with ChatStream(source) as stream:
            await stream.prefetch()
            assert [text async for text in stream.text_deltas()] == ["Hel", "lo"]
        async with ChatStream(source) as stream:
            await stream.prefetch()
            assert (await stream.collect()).choices[0].message.content == "Hello"


def test_looking_again_says_the_same() -> None:
    stream = ChatStream(HELLO)
    assert stream.prefetch() == CHUNKS[0]
    assert stream.prefetch() == CHUNKS[0]
    assert next(stream) == CHUNKS[0]
    assert stream.prefetch() == CHUNKS[0]
    assert list(stream) == CHUNKS[1:]
    assert stream.prefetch() == CHUNKS[0]


# What an error is

# The first event is one: what it is raised as, and what its message is.
ERRORS = {
    "an error": (ERROR, "overloaded"),
    "an error of its own type": (b'event: error\ndata: {"message": "overloaded"}\n\n', "overloaded"),
    "an error that is no JSON": (b"event: error\ndata: overloaded\n\n", "overloaded"),
    "an error after a comment": (COMMENT + ERROR, "overloaded"),
    "an error after an empty event": (b"data:\n\n" + ERROR, "overloaded"),
    "an error with CRLF": (ERROR.replace(b"\n", b"\r\n"), "overloaded"),
}
errors = pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)


@errors
def test_a_first_event_that_is_an_error_is_raised_for_every_cut(body: bytes, message: str) -> None:
    """Also where good events came in the same network chunk, and where nothing ever follows."""
    for rest in ([], HELLO, [BODY]):
        for pieces in [[body + b"".join(rest)], [body, *rest], *cuts(body + b"".join(rest))]:
            stream = ChatStream(pieces)
            for _ in range(2):
                with pytest.raises(UpstreamError) as caught:
                    stream.prefetch()
                assert caught.value.error.message == message
            assert list(ChatStream(pieces, on_end="return")) == list(stream_quietly(stream))


def stream_quietly(stream: ChatStream) -> Any:
    try:
        yield from stream
    except UpstreamError:
        return


@pytest.mark.anyio
@errors
async def test_a_first_event_that_is_an_error_is_raised_while_the_server_holds_on(
    body: bytes, message: str
) -> None:
    source = Receiver(body, BLOCK)
    with pytest.raises(UpstreamError) as caught:
        await aprefetch(ChatStream(source))
    assert caught.value.error.message == message
    assert (source.receives, source.closed) == (1, 1)


def test_an_error_after_the_first_event_is_left_to_the_iteration_for_every_cut() -> None:
    body = event("a") + ERROR
    for pieces in cuts(body):
        stream = ChatStream(pieces)
        assert stream.prefetch() == ChatParser().feed(body)[0]
        found: list[Any] = []
        with pytest.raises(UpstreamError):
            found.extend(stream)
        assert found == ChatParser().feed(body)


# What iteration raises where there is no event
NO_EVENT: dict[str, tuple[list[Step], type[Exception]]] = {
    "nothing": ([], IncompleteStream),
    "comments alone": ([COMMENT, COMMENT], IncompleteStream),
    "an event that was cut": ([b'data: {"choi'], IncompleteStream),
    "a page": ([b"<html>\n<p>", b"502</p>"], NotEventStream),
    "a JSON document": ([b'{"error": ', b'"no key"}'], UpstreamError),
    "an error without an end": ([ERROR.rstrip()], UpstreamError),
    "an exception of the source": ([COMMENT, OSError("reset")], OSError),
}
no_event = pytest.mark.parametrize(("steps", "kind"), NO_EVENT.values(), ids=NO_EVENT)


@no_event
def test_where_there_is_no_event_the_verdict_is_raised(steps: list[Step], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ChatStream(generate(steps)).prefetch()


@pytest.mark.anyio
@no_event
async def test_where_there_is_no_event_the_verdict_is_raised_async(
    steps: list[Step], kind: type[Exception]
) -> None:
    for source in (agenerate(steps), Receiver(*steps)):
        with pytest.raises(kind):
            await aprefetch(ChatStream(source))


@no_event
def test_on_end_return_raises_no_verdict_of_a_look_either(steps: list[Step], kind: type[Exception]) -> None:
    if kind is not OSError:
        stream = ChatStream(generate(steps), on_end="return")
        first = stream.prefetch()
        assert list(stream) == ([] if first is None else [first])
        assert stream.end is not None
        assert not stream.end.is_complete


def test_on_end_return_gives_the_chunk_of_an_error() -> None:
    stream = ChatStream([ERROR, *HELLO], on_end="return")
    assert stream.prefetch() == ChatParser().feed(ERROR)[0]
    assert stream.error is not None
    assert stream.error.code == 503


def test_a_stream_of_the_sentinel_alone_has_no_first_chunk() -> None:
    for pieces in cuts(COMMENT + DONE):
        stream = ChatStream(pieces)
        assert stream.prefetch() is None
        assert list(stream) == []
        assert stream.done


@pytest.mark.anyio
async def test_a_deadline_strikes_a_look_too() -> None:
    source = Receiver(COMMENT, BLOCK)
    with pytest.raises(StreamTimeout, match="first_event_timeout"):
        await aprefetch(ChatStream(source, first_event_timeout=0.01))
    assert source.closed == 1
    stream = ChatStream(HELLO, total_timeout=60)
    assert await stream.prefetch() == CHUNKS[0], "it is awaited, as only this side has deadlines"
    assert [chunk async for chunk in stream] == CHUNKS


def test_a_first_event_that_is_broken_is_passed_over_or_raised() -> None:
    body = b"data: {bad\n\n" + BODY
    for pieces in [[body], *cuts(body)]:
        stream = ChatStream(pieces)
        assert stream.prefetch() == CHUNKS[0]
        assert (list(stream), stream.malformed) == (CHUNKS, 1)
        stream = ChatStream(pieces, errors="strict")
        for _ in range(2):
            with pytest.raises(InvalidJSON):
                stream.prefetch()
        with pytest.raises(InvalidJSON):
            next(stream)
        assert stream.prefetch() is None
        assert list(stream) == CHUNKS


def test_a_broken_event_after_the_first_is_left_to_the_iteration() -> None:
    body = event("a") + b"data: {bad\n\n" + event("b")
    for pieces in [[body], *cuts(body)]:
        stream = ChatStream(pieces, errors="strict", on_end="return")
        first = stream.prefetch()
        assert next(stream) == first == ChatParser().feed(body[: len(event("a"))])[0]
        assert stream.prefetch() == first
        with pytest.raises(InvalidJSON) as caught:
            next(stream)
        assert caught.value.event_number == 2
        assert [chunk.choices[0].delta.content for chunk in stream] == ["b"]


def test_an_error_that_is_no_json_is_the_error_that_it_says_though_it_is_broken_too() -> None:
    body = b"event: error\ndata: overloaded\n\n" + event("b")
    for pieces in [[body], *cuts(body)]:
        stream = ChatStream(pieces, errors="strict")
        for _ in range(2):
            with pytest.raises(UpstreamError):
                stream.prefetch()
        with pytest.raises(InvalidJSON):
            next(stream)
        assert next(stream).choices[0].delta.content == "b"


def test_a_first_event_over_the_limit_is_raised() -> None:
    for limit in ({"max_event_size": 20}, {"max_message_size": 2}):
        stream = ChatStream([BODY], **limit)  # type: ignore[arg-type]
        for _ in range(2):
            with pytest.raises(LimitExceeded):
                stream.prefetch()
        with pytest.raises(LimitExceeded):
            next(stream)


# Where looking is given up


@pytest.mark.anyio
async def test_looking_is_given_up_after_so_many_bytes_and_goes_on_when_asked_again() -> None:
    source = Receiver(*[COMMENT] * 10, event("a")[:30], event("a")[30:], DONE)
    async with ChatStream(source) as stream:
        for _ in range(3):
            receives = source.receives
            assert await stream.prefetch(3 * len(COMMENT)) is None
            assert source.receives - receives == 3
        assert await stream.prefetch(len(COMMENT) + 1) is None
        assert await stream.prefetch(1) is not None
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["a"]
        assert (stream.comments, stream.done) == (10, True)


def test_a_look_that_was_given_up_does_not_disturb_the_iteration() -> None:
    for pieces in cuts(COMMENT + ERROR + DONE):
        stream = ChatStream(pieces)
        try:
            assert stream.prefetch(1) is None
        except UpstreamError:
            assert len(pieces[0]) >= len(COMMENT + ERROR) - 1 or not pieces[0]
        found: list[Any] = []
        with pytest.raises(UpstreamError):
            found.extend(stream)
        assert found == ChatParser().feed(ERROR)
        # What came is what counts, whoever took it.
        with pytest.raises(UpstreamError):
            stream.prefetch()


def test_at_most_64_kib_are_looked_at() -> None:
    stream = ChatStream(generate([COMMENT * 100] * 1000))
    assert stream.prefetch() is None
    assert 64 * 1024 <= stream.bytes < 64 * 1024 + 100 * len(COMMENT)


# Where it is called wrongly


@pytest.mark.anyio
async def test_looking_comes_before_the_iteration() -> None:
    stream = ChatStream(HELLO)
    next(stream)
    with pytest.raises(RuntimeError, match="before the iteration"):
        stream.prefetch()
    assert list(stream) == CHUNKS[1:]
    async with ChatStream(agenerate(HELLO)) as stream:
        await anext(stream)
        with pytest.raises(RuntimeError, match="before the iteration"):
            await stream.prefetch()


def test_max_bytes_is_a_number_from_1_on() -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="from 1"):
            ChatStream(HELLO).prefetch(wrong)
    odd: Any
    for odd in (1.5, "1", None, True):
        with pytest.raises(TypeError, match=type(odd).__name__):
            ChatStream(HELLO).prefetch(odd)


@pytest.mark.anyio
async def test_a_closed_stream_is_not_looked_at() -> None:
    stream = ChatStream(HELLO)
    stream.prefetch()
    stream.close()
    with pytest.raises(anyio.ClosedResourceError):
        await stream.prefetch()


# What it is for


@pytest.mark.anyio
async def test_a_gateway_asks_another_provider_before_it_commits_to_a_status() -> None:
    def overloaded(exchange: Exchange) -> None:
        exchange.head("chunked")
        exchange.send(COMMENT + ERROR)
        exchange.wait_for_close()

    def well(exchange: Exchange) -> None:
        exchange.head("chunked")
        for data in HELLO:
            exchange.send(data)
        exchange.end()

    with serve(overloaded) as first, serve(well) as second:
        async with httpx.AsyncClient() as client:
            failures = []
            for server in (first, second):
                async with client.stream("POST", server.url) as response, ChatStream(response) as stream:
                    try:
                        await stream.prefetch()
                    except UpstreamError as error:
                        failures.append(error.error.message)
                        continue
                    texts = [text async for text in stream.text_deltas()]
    assert (failures, texts) == (["overloaded"], ["Hel", "lo"])
