"""The streams: each a parser run over a source, with `for` and with `async for`.

All that a stream does is `BaseStream`'s; here are its parsers, with their parameters and properties.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from deltawire._deadlines import Deadlines
from deltawire._native import EventParser, JSONParser, ServerSentEvent
from deltawire._parameters import MAX_EVENT_SIZE
from deltawire._stream import BaseStream

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class EventStream(BaseStream[ServerSentEvent]):
    """The events of a source: an `EventParser` over it.

    ```python
    with EventStream(response) as events:
        for event in events:
            print(event.event, event.data)
    ```

    The same with `async with` and `async for`; the first use decides for one of the two.

    Args:
        source: what gives the bytes: an iterable or async iterable of them, an open binary file, a byte
            stream of anyio, asyncio or trio, or a streaming response of httpx, httpx2, aiohttp, requests,
            niquests or urllib3.
        max_event_size: the largest event in bytes, as for `EventParser`.
        last_event_id: the last event ID string to begin with, after a reconnection.
        check_content_type: raise NotEventStream at the first read of an HTTP response whose content type is
            not `text/event-stream`, or whose status is none of success. One without a content type is read.
        first_event_timeout: how long to wait for the first event, in seconds from the first read; comments
            are no event. Deadlines hold for `async for` alone; each raises StreamTimeout and closes the
            source.
        idle_timeout: how long to wait for the source without progress, in seconds. Progress is an event
            with data, not a part of one; the time that the consumer takes does not count. Until the first
            event `first_event_timeout` stands in for it, if that is set.
        total_timeout: how long the stream may take, in seconds from the first read to its end, the
            consumer's time included.
        comments_count_as_progress: comments are progress too, but still no first event.

    Raises:
        TypeError: `source` is none, but bytes, text or a path; a deadline is no number, or `source` comes
            from a blocking client and there is one.
        ValueError: as for `EventParser`; a deadline is not above 0.
    """

    __slots__ = ()

    _parser: EventParser

    def __init__(
        self,
        source: Any,
        *,
        max_event_size: int = MAX_EVENT_SIZE,
        last_event_id: str = "",
        check_content_type: bool = True,
        first_event_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        comments_count_as_progress: bool = False,
    ) -> None:
        parser = EventParser(max_event_size=max_event_size, last_event_id=last_event_id)
        deadlines = Deadlines.of(first_event_timeout, idle_timeout, total_timeout, comments_count_as_progress)
        super().__init__(source, parser, check_content_type=check_content_type, deadlines=deadlines)

    @property
    def last_event_id(self) -> str:
        """The last event ID string: what to send as `Last-Event-ID` on a reconnection."""
        return self._parser.last_event_id

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds that the stream last set."""
        return self._parser.retry


class JSONStream(BaseStream[_T]):
    """The decoded JSON of the events of a source: a `JSONParser` over it.

    ```python
    async with JSONStream(response) as chunks:
        async for chunk in chunks:
            print(chunk["choices"])
    ```

    The same with `with` and `for`; the first use decides for one of the two. Iteration ends with the
    sentinel, without reading on; `done` tells whether it came, or the source just ended.

    Args:
        source: what gives the bytes, as for `EventStream`.
        loads: decodes the data of one event, given as bytes; `orjson.loads` by default.
        done: the sentinel, None for streams that have none.
        errors: `"strict"` raises InvalidJSON for an event that `loads` refuses, after everything decoded
            before it, and iterating on gives the rest; `"skip"` counts it in `malformed`.
        max_event_size: the largest event in bytes, as for `EventParser`.
        check_content_type: as for `EventStream`.
        first_event_timeout: as for `EventStream`.
        idle_timeout: as for `EventStream`.
        total_timeout: as for `EventStream`.
        comments_count_as_progress: as for `EventStream`.

    Raises:
        TypeError: as for `EventStream`.
        ValueError: as for `JSONParser`; a deadline is not above 0.
    """

    __slots__ = ()

    _parser: JSONParser[_T]

    @overload
    def __init__(
        self: JSONStream[Any],
        source: Any,
        *,
        loads: None = None,
        done: str | None = "[DONE]",
        errors: Literal["strict", "skip"] = "strict",
        max_event_size: int = MAX_EVENT_SIZE,
        check_content_type: bool = True,
        first_event_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        comments_count_as_progress: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self,
        source: Any,
        *,
        loads: Callable[[bytes], _T],
        done: str | None = "[DONE]",
        errors: Literal["strict", "skip"] = "strict",
        max_event_size: int = MAX_EVENT_SIZE,
        check_content_type: bool = True,
        first_event_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        comments_count_as_progress: bool = False,
    ) -> None: ...
    def __init__(
        self,
        source: Any,
        *,
        loads: Callable[[bytes], Any] | None = None,
        done: str | None = "[DONE]",
        errors: Literal["strict", "skip"] = "strict",
        max_event_size: int = MAX_EVENT_SIZE,
        check_content_type: bool = True,
        first_event_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        comments_count_as_progress: bool = False,
    ) -> None:
        parser: JSONParser[Any] = JSONParser(
            loads=loads, done=done, errors=errors, max_event_size=max_event_size
        )
        deadlines = Deadlines.of(first_event_timeout, idle_timeout, total_timeout, comments_count_as_progress)
        super().__init__(source, parser, check_content_type=check_content_type, deadlines=deadlines)

    @property
    def done(self) -> bool:
        """Whether the sentinel came."""
        return self._parser.done

    def _saw_sentinel(self) -> bool:
        return self._parser.done
