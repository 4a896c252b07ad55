"""The Rust half of deltawire: push parsers, which take bytes and do no input or output of their own.

Each has `feed` and `close`, counts what it saw, and is used by one thread or task at a time.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Generic, Literal, TypeVar, final, overload

from typing_extensions import Self

_T = TypeVar("_T")

__version__: str

@final
class ServerSentEvent:
    """One dispatched event, as the HTML standard describes it. Immutable, hashable and picklable.

    The attribute names are those of httpx-sse and httpx2.
    """

    __match_args__: ClassVar[tuple[str, str, str, str]]
    def __new__(
        cls, event: str = "message", data: str = "", id: str = "", retry: int | None = None
    ) -> Self: ...
    @property
    def event(self) -> str:
        """The event type; `"message"` where the stream named none."""

    @property
    def data(self) -> str:
        """The data buffer: the values of the `data` lines, joined by LF. Invalid UTF-8 is U+FFFD."""

    @property
    def id(self) -> str:
        """The last event ID string when this event was dispatched; an earlier event may have set it."""

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds, where this event's own block set it."""

    def json(self) -> Any:
        """Decode `data` with orjson.

        Raises:
            InvalidJSON: `data` is not one JSON document.
        """

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[type[ServerSentEvent], tuple[str, str, str, int | None]]: ...

@final
class EventParser:
    """Parses an event stream by the letter of the HTML standard ("interpreting an event stream").

    One leading BOM is dropped; LF, CR and CRLF end lines in any mix, wherever the bytes are cut; an event
    comes out with the last byte of its blank line, a CR included; a block without `data` gives no event; an
    `id` with NUL and a `retry` that is not ASCII digits are ignored. Cost is linear in the bytes fed,
    whatever their cut; a line that cannot become a field is dropped while it still arrives.

    Args:
        max_event_size: the largest event in bytes, 32 MiB by default: what has to be held of it, which is
            its data, its type and its ID together.
        last_event_id: the last event ID string to begin with, after a reconnection.

    Raises:
        ValueError: `max_event_size` is below 1, or `last_event_id` holds NUL, CR or LF.
    """

    def __new__(cls, *, max_event_size: int = 33554432, last_event_id: str = "") -> Self: ...
    def feed(self, data: bytes | bytearray | memoryview, /) -> list[ServerSentEvent]:
        """Take the next bytes of the stream and return the events that they complete.

        bytes are borrowed for the call, a bytearray or memoryview is copied first.

        Raises:
            LimitExceeded: an event went over `max_event_size`; `values` holds the events before it. Until
                `reset()` every further call raises it again.
            TypeError: `data` is none of the three.
            ValueError: the parser was closed.
        """

    def close(self) -> list[ServerSentEvent]:
        """Mark the end of the stream. The standard discards an incomplete last event: the list is empty.

        `pending_bytes` goes on telling how much was discarded. Closing again is harmless.

        Raises:
            LimitExceeded: an event went over `max_event_size` before.
        """

    def reset(self) -> None:
        """Make the parser new, as its parameters made it."""

    @property
    def last_event_id(self) -> str:
        """The last event ID string: what to send as `Last-Event-ID` on a reconnection."""

    @property
    def retry(self) -> int | None:
        """The reconnection time in milliseconds that the stream last set; at most 2**64 - 1."""

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete event are held."""

    @property
    def bytes(self) -> int:
        """How many bytes of the stream were read."""

    @property
    def events(self) -> int:
        """How many events were dispatched."""

    @property
    def comments(self) -> int:
        """How many comment lines were passed over."""

    @property
    def malformed(self) -> int:
        """Always 0, for parity with the other parsers: the standard knows no malformed event."""

@final
class JSONParser(Generic[_T]):
    """Decodes the data of each event: an `EventParser` and `loads` in one call for each network chunk.

    Args:
        loads: decodes the data of one event, given as `bytes` of valid UTF-8 (an invalid sequence is U+FFFD).
            It says that they are not what it decodes by a ValueError. `orjson.loads` by default, which may
            be handed a view of the fed bytes instead.
        done: the sentinel; it is recognised as the whole data apart from white space. None for streams
            that have none.
        errors: `"strict"` raises InvalidJSON for an event that `loads` refuses, `"skip"` counts it in
            `malformed` and goes on.
        max_event_size: as for `EventParser`.

    Raises:
        TypeError: `loads` is not callable.
        ValueError: `done` is blank, `errors` is neither, or `max_event_size` is below 1.
    """

    @overload
    def __new__(
        cls,
        *,
        loads: None = None,
        done: str | None = "[DONE]",
        errors: Literal["strict", "skip"] = "strict",
        max_event_size: int = 33554432,
    ) -> JSONParser[Any]: ...
    @overload
    def __new__(
        cls,
        *,
        loads: Callable[[bytes], _T],
        done: str | None = "[DONE]",
        errors: Literal["strict", "skip"] = "strict",
        max_event_size: int = 33554432,
    ) -> Self: ...
    def feed(self, data: bytes | bytearray | memoryview, /) -> list[_T]:
        """Take the next bytes of the stream and return the decoded data of the events that they complete.

        Empty data, and data that begins with `:` (a comment that a proxy wrapped), is passed over. After the
        sentinel nothing counts and the list is empty.

        Raises:
            InvalidJSON: with `errors="strict"`, an event's data was refused; `values` holds what was decoded
                before it, and the rest of this feed comes out of the next call, `feed(b"")` if need be.
            LimitExceeded: an event went over `max_event_size`; `values` holds what was decoded before it.
                Until `reset()` every further call raises it again.
            RuntimeError: the parser is in use, by another thread or by its own `loads`.
            TypeError: `data` is neither bytes, bytearray nor memoryview.
            ValueError: the parser was closed.

        Another exception of `loads` passes unchanged; then what was decoded before it comes out of the next
        call, with the rest of the feed.
        """

    def close(self) -> list[_T]:
        """Mark the end of the stream and return what that completes.

        An unterminated last event is taken if its data is a whole JSON object or the sentinel; providers
        forget the last blank line. Anything else of it is discarded, as the standard says, and
        `pending_bytes` tells how much. Raises as `feed` does; what an exception held back comes out of
        another `close()`.
        """

    def reset(self) -> None:
        """Make the parser new, as its parameters made it."""

    @property
    def done(self) -> bool:
        """Whether the sentinel came."""

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete event are held."""

    @property
    def bytes(self) -> int:
        """How many bytes of the stream were read; what waits behind an exception is not."""

    @property
    def events(self) -> int:
        """How many events were dispatched, the sentinel and those passed over included."""

    @property
    def comments(self) -> int:
        """How many comment lines were passed over."""

    @property
    def malformed(self) -> int:
        """How many events `loads` refused."""

    def __class_getitem__(cls, item: Any, /) -> Any: ...
