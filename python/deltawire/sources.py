"""What a stream reads from: any source of bytes as one small object, `Opened`, for each of the two sides.

`open_sync` and `open_async` recognise a source by its methods, so that no client is imported, and pick the
way of reading that hands out bytes when they arrive: never lines (files, `asyncio.StreamReader` and
aiohttp's content are iterated by lines) and never full blocks (`read(n)` of urllib3 and of buffered files
waits for n bytes). Content encodings are undone by the client. Nothing is read and nothing is started here.
Opening costs some microseconds a stream; a chunk then passes at most one frame that is ours.

Blocking sources under `async for`: a file is read in a worker thread, and a cancelled task waits for the
read in progress. A response of a blocking client is refused: it may be silent for minutes, and meanwhile a
task that waits for it cannot be cancelled, nor can it be closed. Any other iterable is taken to hold its
chunks in memory.

When to read, what to do about errors and when to close is the business of `_stream`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutine, iscoroutinefunction
from io import TextIOBase
from types import AsyncGeneratorType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from deltawire import _readers as readers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from deltawire._readers import Chunk

_Chunks = TypeVar("_Chunks", covariant=True)

# What can be no source but is easily taken for one.
_MISTAKEN = (str, bytes, bytearray, memoryview, os.PathLike, TextIOBase)

_ASYNC_METHODS = ("__aiter__", "aiter_bytes", "receive", "receive_some", "read")


@dataclass(slots=True)
class Opened(Generic[_Chunks]):
    """A source as a stream reads it.

    Attributes:
        chunks: the iterator over the bytes, as they arrive.
        closers: what to call to close it, in this order; on the async side some give an awaitable.
        fragile: whether a read that failed or was cancelled finishes the source, so that it would report a
            plain end, or may have lost a chunk: so does a generator, and other iterators promise nothing.
        polled: whether reading never waits, so that an async stream has to let others run by itself.
        status: the HTTP status of a response.
        content_type: the Content-Type header of a response, `""` without one; None if this is no response.
        keeps_connection: whether the client can use the connection again once the body was read to its end,
            and not before: a response of HTTP/1.1, unless the server closes.
    """

    chunks: _Chunks
    closers: tuple[Callable[[], Any], ...]
    fragile: bool
    polled: bool = False
    status: int | None = None
    content_type: str | None = None
    keeps_connection: bool = False


def check(source: Any) -> None:
    """Refuse what can be no source but is easily mistaken for one.

    Raises:
        TypeError: `source` is the bytes themselves, text, a path or a file opened as text.
    """
    # The most usual one is known at once: to ask the two abstract classes takes longer than to open it.
    if type(source) is AsyncGeneratorType or not isinstance(source, _MISTAKEN):
        return
    if isinstance(source, str | bytes | bytearray | memoryview):
        body = "body.encode()" if isinstance(source, str) else "body"
        raise TypeError(
            f"{_name(source)} is no source: pass [{body}] for a body, open(path, 'rb') for a path"
        )
    if isinstance(source, os.PathLike):
        raise TypeError(f"{_name(source)} is no source: pass open(path, 'rb')")
    raise TypeError(f"{_name(source)} is a text file: pass one opened in binary mode, open(path, 'rb')")


def is_closed(source: Any) -> bool:
    """Tell whether the source says of itself that it was closed. Many cannot tell, and count as open."""
    if type(source) is AsyncGeneratorType:
        return source.ag_frame is None  # one that has ended runs nothing any more
    # The responses of requests and niquests cannot, but what they read from can.
    for each in (source, getattr(source, "raw", None)):
        if getattr(each, "is_closed", None) is True or getattr(each, "closed", None) is True:
            return True
    return False


def open_sync(source: Any) -> Opened[Iterator[Chunk]]:
    """Open a source for `for`.

    Raises:
        TypeError: the source is asynchronous only, or nothing that deltawire knows how to read.
    """
    chunks: Iterator[Chunk]
    fragile = True
    source = getattr(source, "http_response", source)  # a response of openai's or anthropic's client
    if hasattr(source, "iter_bytes"):  # httpx, httpx2
        if _is_other_side(source, "__iter__"):
            _refuse_async(source)
        chunks = source.iter_bytes()
    elif hasattr(source, "iter_content"):  # requests, niquests
        if iscoroutinefunction(source.iter_content):
            _refuse_async(source)
        chunks = readers.read_requests(source)
    elif hasattr(source, "read") and iscoroutinefunction(source.read):
        _refuse_async(source)
    elif hasattr(source, "release_conn"):
        chunks = readers.read_urllib3(source)
    elif hasattr(source, "getheader"):
        chunks = readers.read_http_client(source)
    elif hasattr(source, "read"):
        chunks, fragile = readers.read_file(source), False
    elif hasattr(source, "__iter__"):
        chunks = iter(source)
    else:
        _refuse_async(source)
    return Opened(chunks, _closers(source, chunks, ("close",)), fragile, False, *_http(source))


def open_async(source: Any) -> Opened[AsyncIterator[Chunk]]:
    """Open a source for `async for`.

    Raises:
        TypeError: the source comes from a blocking client, or is nothing that deltawire knows how to read.
    """
    if type(source) is AsyncGeneratorType:  # known without asking, as many as there are
        return Opened(source, (source.aclose,), True)
    chunks: Any
    fragile, polled = False, False
    source = getattr(source, "http_response", source)
    if hasattr(source, "aiter_bytes"):  # httpx, httpx2
        if _is_other_side(source, "__aiter__"):
            _refuse_blocking(source)
        chunks, fragile = readers.Unwound(source.aiter_bytes()), True
    elif hasattr(source, "iter_content") and iscoroutinefunction(source.iter_content):
        chunks, fragile = readers.aread_niquests(source), True
    elif hasattr(source, "iter_content") and readers.is_kept(source):
        chunks, polled = readers.Polled(iter((source.content,))), True
    elif hasattr(source, "receive") or hasattr(source, "receive_some"):
        # anyio's and trio's contract: a receive that is cancelled has taken nothing.
        chunks = source if hasattr(source, "__anext__") else readers.Receives(source)
    elif hasattr(source, "wrapped"):  # the async files of anyio and trio
        chunks = source = readers.ThreadReads(source.wrapped)
    elif hasattr(source, "read") and iscoroutinefunction(source.read):
        chunks, fragile = _open_coroutine_read(source)
    elif hasattr(source, "headers"):
        _refuse_blocking(source)
    elif hasattr(source, "read"):
        chunks = source = readers.ThreadReads(source)
    elif hasattr(source, "__aiter__"):
        chunks, fragile = aiter(source), True
    elif hasattr(source, "__iter__"):
        chunks, fragile, polled = readers.Polled(iter(source)), True, True
    else:
        raise _unknown(source)
    return Opened(chunks, _closers(source, chunks, ("aclose", "close")), fragile, polled, *_http(source))


def _open_coroutine_read(source: Any) -> tuple[AsyncIterator[Chunk], bool]:
    """Give the iterator over what has a coroutine `read`, and whether it is fragile."""
    content = getattr(source, "content", source)
    if hasattr(content, "readany"):  # aiohttp's response, or its content
        if content is not source and content.at_eof():
            return readers.aread_kept(source.read), True
        return readers.Reads(content.readany), False
    if hasattr(source, "is_from_promise"):  # urllib3-future, whose `read` waits for a full block
        return source.stream(-1, decode_content=True), True
    # asyncio.StreamReader takes nothing from its buffer before it returns; of others nothing is known.
    return readers.Reads(partial(source.read, readers.READ_SIZE)), not hasattr(source, "readuntil")


def _is_other_side(response: Any, method: str) -> bool:
    """Tell whether a response of httpx comes from a client of the other side."""
    # A response that was read to its end is closed, keeps its body, and serves it on both sides.
    stream = getattr(response, "stream", None)
    return stream is not None and not response.is_closed and not hasattr(stream, method)


def _refuse_async(source: Any) -> NoReturn:
    if any(hasattr(source, method) for method in _ASYNC_METHODS):
        raise TypeError(f"{_name(source)} is asynchronous: use `async for`, or a blocking client")
    raise _unknown(source)


def _unknown(source: Any) -> TypeError:
    hint = ""
    if iscoroutine(source):
        hint = ": await it first"
    elif hasattr(source, "__enter__") or hasattr(source, "__aenter__"):
        hint = ": enter it with `with` or `async with`, and pass what that gives"
    return TypeError(f"{_name(source)} is no source of bytes that deltawire knows how to read{hint}")


def _refuse_blocking(source: Any) -> NoReturn:
    raise TypeError(
        f"{_name(source)} comes from a blocking client, and a task that waits for it cannot be cancelled: "
        f"use an async client, or `for` in a worker thread"
    )


def _closers(source: Any, chunks: Any, names: tuple[str, ...]) -> tuple[Callable[[], Any], ...]:
    """Find how to close the iterator, then the source it came from, unless that was closed already."""
    # A response that was read before is closed, but a generator over the body that it keeps is not.
    to_close = [] if chunks is source else [chunks]
    if not is_closed(source):
        to_close.append(source)
    found = []
    for each in to_close:
        # Of the two names the async one is the right one where an object has both.
        for name in names:
            if method := getattr(each, name, None):
                found.append(method)
                break
    return tuple(found)


def _http(source: Any) -> tuple[int | None, str | None, bool]:
    """Look up the status and the content type of an HTTP response, and whether the connection is kept."""
    get_header = getattr(getattr(source, "headers", None), "get", None)
    if get_header is None:
        return None, None, False
    status = getattr(source, "status_code", None) or getattr(source, "status", None)
    # As httpx, urllib3 (and niquests, whose own is one of these) and aiohttp write it.
    version = getattr(source, "http_version", None) or getattr(source, "version", None)
    is_kept = version in ("HTTP/1.1", 11, (1, 1)) and "close" not in (get_header("connection") or "").lower()
    return status, get_header("content-type") or "", is_kept


def _name(source: Any) -> str:
    return f"{type(source).__module__}.{type(source).__qualname__}".removeprefix("builtins.")
