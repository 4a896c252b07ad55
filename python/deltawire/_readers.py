"""The iterators over the bytes of a source, for each client that needs a way of its own.

Each gives what is there and waits only where nothing is, ends where the body ends, and raises the client's
own exception where it was cut. They hold one chunk at most. What is read by which is told in `sources`.
"""

from __future__ import annotations

import sys
from collections import deque
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio import CancelScope, EndOfStream, to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
    from types import AsyncGeneratorType

Chunk: TypeAlias = bytes | bytearray | memoryview

# What a read takes that has to name a number. It is an upper bound, no read waits for so much.
READ_SIZE = 64 * 1024

# The most HTTP chunks that one receive of a client can bring, of one byte each.
_MOST_HTTP_CHUNKS = READ_SIZE // len(b"1\r\nx\r\n")

# The exceptions of urllib3, and those of requests and niquests that stand for them.
_OWN_NAMES = {
    "ProtocolError": "ChunkedEncodingError",
    "DecodeError": "ContentDecodingError",
    "ReadTimeoutError": "ConnectionError",
    "SSLError": "SSLError",
}


def read_file(file: Any) -> Iterator[bytes]:
    """Read an open binary file."""
    return iter(partial(_prompt_read(file), READ_SIZE), b"")


def _prompt_read(file: Any) -> Callable[[int], bytes]:
    # `read` of a buffered file waits for all that it was asked for, `read1` for something.
    read: Callable[[int], bytes] = file.read1 if hasattr(file, "read1") else file.read
    return read


def read_http_client(response: Any) -> Generator[bytes, None, None]:
    """Read an `http.client.HTTPResponse`: a file, but one that is silent about a body cut short."""
    yield from read_file(response)
    # What replays recorded responses may have the header's text here, which nobody counts down.
    if isinstance(response.length, int) and response.length:
        from http.client import IncompleteRead

        raise IncompleteRead(b"", response.length)


def read_urllib3(response: Any) -> Iterator[bytes]:
    """Read a response of urllib3.

    Not by `stream`, which waits for a full block where the body has no chunked framing, and for the end of
    the HTTP chunk where it has.
    """
    if response.closed:
        return iter((response.data,))  # read already: what was kept of it, or nothing
    if hasattr(response, "is_from_promise"):
        # urllib3-future: `read1` may give b"" in the middle of a compressed body; `stream(-1)` is prompt.
        chunks: Iterator[bytes] = response.stream(-1, decode_content=True)
        return chunks
    if not hasattr(response, "read1"):
        raise TypeError("urllib3 before 2.0 waits for more than has arrived: update it")
    # With a size, for without one it is silent about a body that is shorter than its Content-Length.
    return iter(partial(response.read1, READ_SIZE, decode_content=True), b"")


def is_kept(response: Any) -> bool:
    """Tell whether a response of requests or niquests was read; then it keeps the body, or says that not."""
    return response.raw is None or getattr(response.raw, "closed", False) is True


def read_requests(response: Any) -> Generator[bytes, None, None]:
    """Read a response of requests or niquests."""
    if is_kept(response):
        yield response.content
        return
    with _own_errors(response):
        # Where no response of urllib3 is, in tests mostly, there is a file.
        read = read_urllib3 if hasattr(response.raw, "release_conn") else read_file
        yield from read(response.raw)


async def aread_niquests(response: Any) -> AsyncGenerator[bytes, None]:
    """Read an async response of niquests.

    Not by its `iter_content`, which holds back an event that compression made longer.
    """
    if is_kept(response):
        yield await response.content
        return
    with _own_errors(response):
        async with aclosing(response.raw.stream(-1, decode_content=True)) as chunks:
            async for chunk in chunks:
                yield chunk


@contextmanager
def _own_errors(response: Any) -> Generator[None, None, None]:
    """Raise what requests and niquests raise for an error of urllib3 when they iterate by themselves."""
    try:
        yield
    except Exception as error:
        exceptions = sys.modules.get(type(response).__module__.partition(".")[0] + ".exceptions")
        for parent in type(error).__mro__:
            own = getattr(exceptions, _OWN_NAMES.get(parent.__name__, ""), None)
            if own is not None:
                raise own(error) from error
        raise


async def aread_kept(read: Callable[[], Awaitable[bytes]]) -> AsyncGenerator[bytes, None]:
    """Hand out the body that a response keeps."""
    yield await read()


class Unwound:
    """The generators of httpx, which do not close those that they iterate over.

    Closing the outermost one leaves the others to the garbage collector: asyncio makes a task for each, trio
    complains. A read that is cancelled at once passes through all of them, once those that have to wait for
    nothing are done: of what was received, each HTTP chunk is one.
    """

    __slots__ = ("_chunks",)

    def __init__(self, chunks: AsyncGeneratorType[bytes, None]) -> None:
        self._chunks = chunks

    def __aiter__(self) -> Unwound:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._chunks.__anext__()

    async def aclose(self) -> None:
        if self._chunks.ag_running:
            return  # in another task, which ends it with the connection
        with suppress(Exception), CancelScope(shield=True) as scope:
            scope.cancel()
            for _ in range(_MOST_HTTP_CHUNKS):
                if await anext(self._chunks, None) is None:
                    break
        await self._chunks.aclose()


class Reads:
    """Calls a function for each chunk, until it gives b""."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[], Awaitable[Chunk]]) -> None:
        self._read = read

    def __aiter__(self) -> Reads:
        return self

    async def __anext__(self) -> Chunk:
        if chunk := await self._read():
            return chunk
        raise StopAsyncIteration


class Receives(Reads):
    """A stream in the style of anyio or trio that cannot be iterated by itself."""

    __slots__ = ()

    def __init__(self, stream: Any) -> None:
        super().__init__(stream.receive if hasattr(stream, "receive") else stream.receive_some)

    async def __anext__(self) -> Chunk:
        try:
            return await super().__anext__()
        except EndOfStream:
            raise StopAsyncIteration from None


class ThreadReads:
    """Reads a blocking file in worker threads.

    asyncio's own cancellation abandons a thread with its read. What that still reads is kept for the next
    read, which waits for it.
    """

    __slots__ = ("_chunks", "_file", "_lock")

    def __init__(self, file: Any) -> None:
        self._file = file
        self._chunks: deque[bytes] = deque()
        self._lock = Lock()

    def __aiter__(self) -> ThreadReads:
        return self

    async def __anext__(self) -> bytes:
        await to_thread.run_sync(self._fetch)
        if chunk := self._chunks.popleft():
            return chunk
        raise StopAsyncIteration

    def _fetch(self) -> None:
        with self._lock:
            if not self._chunks:
                self._chunks.append(_prompt_read(self._file)(READ_SIZE))

    async def aclose(self) -> None:
        # Closing waits for an abandoned read, so it is done in a thread, where that can be given up.
        if hasattr(self._file, "close"):
            await to_thread.run_sync(self._file.close, abandon_on_cancel=True)


class Polled:
    """Chunks in memory, for `async for`."""

    __slots__ = ("_chunks", "close")

    def __init__(self, chunks: Iterator[Chunk]) -> None:
        self._chunks = chunks
        self.close: Callable[[], None] | None = getattr(chunks, "close", None)

    def __aiter__(self) -> Polled:
        return self

    async def __anext__(self) -> Chunk:
        try:
            return next(self._chunks)
        except StopIteration:
            raise StopAsyncIteration from None
