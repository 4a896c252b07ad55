"""What can be a source besides the responses of HTTP clients, and what cannot.

The body comes in two chunks, cut within an event, wherever the kind of source has chunks.
"""

from __future__ import annotations

import asyncio
import io
import os
import socket
import tempfile
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
import trio
import trio.testing
import urllib3
from conftest import ASYNCIO, TRIO
from fakes import Receiver, agenerate, generate

from deltawire import ChatRelayStream, ChatStream, EventStream, IncompleteStream, JSONStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

A, B = b"data: 1\n\ndata: [2", b"]\n\ndata: 3\n\ndata: [DONE]\n\n"
VALUES = [1, [2], 3]


# Sources for both sides


class Both:
    def __iter__(self) -> Iterator[bytes]:
        return iter([A, B])

    def __aiter__(self) -> AsyncIterator[bytes]:
        return agenerate([A, B])


class Iterators:
    def __init__(self) -> None:
        self.chunks = [A, B]

    def __iter__(self) -> Iterators:
        return self

    def __next__(self) -> bytes:
        if not self.chunks:
            raise StopIteration
        return self.chunks.pop(0)


class ReadOnly:
    """A file that has nothing but `read`."""

    def __init__(self) -> None:
        self.file = io.BytesIO(A + B)

    def read(self, size: int) -> bytes:
        return self.file.read(size)


def temporary(buffering: int = -1) -> Any:
    file = tempfile.TemporaryFile("w+b", buffering=buffering)  # noqa: SIM115 - the stream closes it
    file.write(A + B)
    file.seek(0)
    return file


def spooled() -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115 - the stream closes it
    file.write(A + B)
    file.seek(0)
    return file


FOR_BOTH: dict[str, Callable[[], Any]] = {
    "list": lambda: [A, B],
    "tuple": lambda: (A, B),
    "list iterator": lambda: iter([A, B]),
    "generator": lambda: generate([A, B]),
    "class of an iterator": Iterators,
    "class with both sides": Both,
    "bytearrays": lambda: [bytearray(A), bytearray(B)],
    "memoryviews": lambda: [memoryview(A), memoryview(B)],
    "empty chunks": lambda: [b"", A, b"", b"", B, b""],
    "BytesIO": lambda: io.BytesIO(A + B),
    "file": temporary,
    "unbuffered file": lambda: temporary(0),
    "spooled file": spooled,
    "only read": ReadOnly,
    "requests over a file": lambda: requests_of(io.BytesIO(A + B)),
}
for_both = pytest.mark.parametrize("make", [pytest.param(FOR_BOTH[name], id=name) for name in FOR_BOTH])


def requests_of(raw: Any) -> requests.Response:
    response = requests.Response()
    response.raw = raw
    return response


@for_both
def test_a_source_is_read_by_for(make: Callable[[], Any]) -> None:
    with JSONStream(make()) as values:
        assert list(values) == VALUES
        assert values.done


@pytest.mark.anyio
@pytest.mark.parametrize("make", [make for name, make in FOR_BOTH.items() if "requests" not in name])
async def test_a_source_is_read_by_async_for(make: Callable[[], Any]) -> None:
    async with JSONStream(make()) as values:
        assert [value async for value in values] == VALUES
        assert values.done


@pytest.mark.parametrize(
    "make", [FOR_BOTH[name] for name in ("BytesIO", "file", "unbuffered file", "spooled file")]
)
def test_a_file_is_not_read_by_lines_and_is_closed(make: Callable[[], Any]) -> None:
    file = make()
    with JSONStream(file) as values:
        assert list(values.batches()) == [VALUES]
    assert file.closed


@pytest.mark.anyio
@pytest.mark.parametrize(
    "make", [FOR_BOTH[name] for name in ("BytesIO", "file", "unbuffered file", "spooled file")]
)
async def test_a_file_is_not_read_by_lines_and_is_closed_async(make: Callable[[], Any]) -> None:
    file = make()
    async with JSONStream(file) as values:
        assert [batch async for batch in values.batches()] == [VALUES]
    assert file.closed


# Async sources


async def stream_reader() -> Any:
    reader = asyncio.StreamReader()
    reader.feed_data(A)
    reader.feed_data(B)
    reader.feed_eof()
    return reader


async def anyio_file() -> Any:
    return anyio.wrap_file(temporary())


async def trio_file() -> Any:
    return trio.wrap_file(temporary())


async def anyio_objects() -> Any:
    send, receive = anyio.create_memory_object_stream[bytes](2)
    async with send:
        await send.send(A)
        await send.send(B)
    return receive


async def trio_stream() -> Any:
    send, receive = trio.testing.memory_stream_one_way_pair()
    async with send:
        await send.send_all(A)
        await send.send_all(B)
    return receive


async def trio_channel() -> Any:
    send, receive = trio.open_memory_channel[bytes](2)
    async with send:
        await send.send(A)
        await send.send(B)
    return receive


class OnlyReceive:
    def __init__(self) -> None:
        self.chunks = [A, B]

    async def receive(self) -> bytes:
        if not self.chunks:
            raise anyio.EndOfStream
        return self.chunks.pop(0)


class OnlyReceiveSome:
    def __init__(self) -> None:
        self.chunks = [A, B, b""]

    async def receive_some(self) -> bytes:
        return self.chunks.pop(0)


class OnlyAsyncRead:
    def __init__(self) -> None:
        self.file = io.BytesIO(A + B)

    async def read(self, size: int) -> bytes:
        return self.file.read(size)


async def wrapped(source: Any) -> Any:
    return source


EVERYWHERE = [*ASYNCIO, TRIO]
ASYNC: dict[str, tuple[Callable[[], Awaitable[Any]], list[Any]]] = {
    "async generator": (lambda: wrapped(agenerate([A, B])), EVERYWHERE),
    "anyio byte stream": (lambda: wrapped(Receiver(A, B)), EVERYWHERE),
    "anyio object stream": (anyio_objects, EVERYWHERE),
    "anyio file": (anyio_file, EVERYWHERE),
    "trio stream": (trio_stream, [TRIO]),
    "trio channel": (trio_channel, [TRIO]),
    "trio file": (trio_file, [TRIO]),
    "StreamReader": (stream_reader, ASYNCIO),
    "only receive": (lambda: wrapped(OnlyReceive()), EVERYWHERE),
    "only receive_some": (lambda: wrapped(OnlyReceiveSome()), EVERYWHERE),
    "only async read": (lambda: wrapped(OnlyAsyncRead()), EVERYWHERE),
}
for_async = pytest.mark.parametrize(
    ("make", "anyio_backend"),
    [
        pytest.param(make, *loop.values, id=f"{name}-{loop.id}")
        for name, (make, loops) in ASYNC.items()
        for loop in loops
    ],
)


@pytest.mark.anyio
@for_async
async def test_an_async_source_is_read_by_async_for(make: Callable[[], Awaitable[Any]]) -> None:
    async with JSONStream(await make()) as values:
        assert [value async for value in values] == VALUES
        assert values.done


@pytest.mark.anyio
@for_async
async def test_an_async_source_is_refused_by_for(make: Callable[[], Awaitable[Any]]) -> None:
    source = await make()
    text = f"{type(source).__qualname__} is asynchronous: use `async for`"
    for method in (JSONStream.__next__, JSONStream.__enter__, JSONStream.close):
        with pytest.raises(TypeError, match=text):
            method(JSONStream(source))
    async with JSONStream(source):
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_a_stream_reader_is_not_read_by_lines() -> None:
    values = JSONStream(await stream_reader())
    assert [batch async for batch in values.batches()] == [VALUES]


# Prompt reading


@contextmanager
def pipe() -> Iterator[tuple[io.BufferedReader, Callable[[bytes], object]]]:
    """Make a pipe: the end to read from, buffered, and how to write to the other."""
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, open(writing, "wb", buffering=0) as writer:
        yield reader, writer.write


def test_an_event_comes_out_of_a_pipe_while_the_next_is_withheld() -> None:
    with pipe() as (reader, write), JSONStream(reader) as values:
        for number in range(3):
            write(b"data: %d\n\n" % number)
            assert next(values) == number


@pytest.mark.anyio
@pytest.mark.parametrize("wrap", [anyio.wrap_file, lambda file: file], ids=["anyio file", "file"])
async def test_an_event_comes_out_of_a_pipe_while_the_next_is_withheld_async(
    wrap: Callable[[Any], Any],
) -> None:
    with pipe() as (reader, write):
        async with JSONStream(wrap(reader)) as values:
            for number in range(3):
                write(b"data: %d\n\n" % number)
                assert await anext(values) == number


def test_an_event_comes_out_of_a_socket_while_the_next_is_withheld() -> None:
    near, far = socket.socketpair()
    with near, far, near.makefile("rb") as file, JSONStream(file) as values:
        for number in range(3):
            far.sendall(b"data: %d\n\n" % number)
            assert next(values) == number


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_what_a_thread_reads_after_its_task_was_cancelled_is_not_lost() -> None:
    with pipe() as (reader, write):
        async with JSONStream(reader) as values:
            write(b"data: 1\n\n")
            assert await anext(values) == 1
            for number in (2, 3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(values), 0.005)
                write(b"data: %d\n\n" % number)
                assert await anext(values) == number


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ASYNCIO)
async def test_closing_a_file_does_not_wait_for_a_thread_that_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("deltawire._closing._CLOSE_SECONDS", 0.01)
    with pipe() as (reader, write):
        async with JSONStream(reader) as values:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(values), 0.005)
        # Where the thread had not begun to read when it was abandoned, the file is closed already.
        with suppress(BrokenPipeError):
            write(b"\n")


# What is no source


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (b"data: 1\n\n", r"bytes is no source: pass \[body\]"),
        (bytearray(b"data: 1\n\n"), r"bytearray is no source: pass \[body\]"),
        (memoryview(b"data: 1\n\n"), r"memoryview is no source: pass \[body\]"),
        ("stream.sse", r"str is no source: pass \[body.encode\(\)\] .* open\(path, 'rb'\)"),
        (Path("stream.sse"), r"Path is no source: pass open\(path, 'rb'\)"),
        (io.StringIO("data: 1\n\n"), r"StringIO is a text file: pass one opened in binary mode"),
    ],
)
def test_what_is_easily_mistaken_for_a_source_is_refused_at_once(wrong: Any, text: str) -> None:
    for stream in (EventStream, JSONStream):
        with pytest.raises(TypeError, match=text):
            stream(wrong)


@pytest.mark.anyio
async def test_what_is_no_source_at_all_is_refused_when_it_is_used() -> None:
    for wrong in (7, object(), None):
        with pytest.raises(TypeError, match="is no source of bytes"):
            next(EventStream(wrong))
        with pytest.raises(TypeError, match="is no source of bytes"):
            await anext(EventStream(wrong))


@pytest.mark.anyio
async def test_what_gives_a_source_is_told_from_one() -> None:
    async def ask() -> None: ...

    asked = ask()
    with pytest.raises(TypeError, match="await it first"):
        await anext(EventStream(asked))
    asked.close()
    with pytest.raises(TypeError, match="enter it with `with`"):
        next(EventStream(nullcontext()))


@pytest.mark.parametrize("item", ["data: 1\n\n", 1, None, {}])
def test_a_source_of_something_else_than_bytes_is_told_its_type(item: Any) -> None:
    for stream in (EventStream, JSONStream, ChatStream, ChatRelayStream):
        with pytest.raises(TypeError, match=f"bytes.*not .?{type(item).__name__}"):
            next(iter(stream([item])))


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", [["data: 1\n\n"], [7], io.StringIO, [None]])
async def test_what_gives_no_bytes_is_refused_by_name(wrong: Any) -> None:
    class Text:
        def read(self, size: int) -> str:
            return "data: 1\n\n"

    source = Text() if wrong is io.StringIO else wrong
    name = "str" if wrong is io.StringIO else type(wrong[0]).__name__
    with pytest.raises(TypeError, match=name):
        next(EventStream(source))
    async with EventStream(source) as events:
        with pytest.raises(TypeError, match=name):
            await anext(events)


def test_a_urllib3_that_waits_for_full_blocks_is_refused() -> None:
    class Response:
        closed = False

        def read(self, amt: int) -> bytes:
            return b""

        def release_conn(self) -> None:
            pass

    with pytest.raises(TypeError, match="update it"):
        next(EventStream(Response()))


def test_a_response_of_urllib3_over_a_file_is_read() -> None:
    for raw in (urllib3.HTTPResponse(io.BytesIO(A + B), preload_content=False), urllib3.HTTPResponse(A + B)):
        with JSONStream(raw) as values:
            assert list(values) == VALUES


def test_lines_in_the_place_of_a_response_are_told_from_a_stream_that_was_cut() -> None:
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    lines = [*chunk.splitlines(), *chunk.splitlines(), b"data: [DONE]", b""]
    with pytest.raises(IncompleteStream, match="lines without their ends, as iter_lines does"):
        ChatStream(lines).collect()
    with pytest.raises(IncompleteStream, match="ask again, or pass"):
        ChatStream([chunk, chunk[:20]]).collect()
    with pytest.raises(TypeError, match="not str: give what came as it came, undecoded"):
        ChatStream([line.decode() for line in lines]).collect()
