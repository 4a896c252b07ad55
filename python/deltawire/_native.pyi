"""The Rust half of deltawire: push parsers, which take bytes and do no input or output of their own.

Each has `feed` and `close`, counts what it saw, and is used by one thread or task at a time.
"""

import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, final, overload

from typing_extensions import disjoint_base

from deltawire.errors import LimitExceeded
from deltawire.verdict import ProviderError, StreamEnd

__all__ = [
    "ChatAccumulator",
    "ChatCompletion",
    "ChatCompletionAudio",
    "ChatCompletionChunk",
    "ChatCompletionMessage",
    "ChatCompletionTokenLogprob",
    "ChatParser",
    "ChatRelay",
    "Choice",
    "ChoiceDelta",
    "ChoiceDeltaToolCall",
    "ChoiceDeltaToolCallFunction",
    "ChoiceLogprobs",
    "ChunkChoice",
    "CompletionTokensDetails",
    "CompletionUsage",
    "Custom",
    "EventParser",
    "Function",
    "JSONParser",
    "PromptTokensDetails",
    "ServerSentEvent",
    "StreamTimings",
    "ToolCall",
    "TopLogprob",
    "__version__",
]

_T = TypeVar("_T")

__version__: str

@disjoint_base
class _Items:
    """Gives items without a coroutine, where that can be done: the base of streams.

    `__anext__` returns an awaitable of the next item of `_pending`. Where that has none, and `_turn` is the
    source, the awaitable takes the turn, reads the source and feeds `_parser`. What is not plain it leaves to
    the class below: to `_settle`, `_ends` and `_refuses`, and all the rest to `_next_step`, which mostly
    leaves it to `_afill`.
    """

    _pending: Iterator[Any]
    _turn: AsyncIterator[Any] | None
    _parser: Any
    _closed: bool
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Awaitable[Any]: ...

@final
class _ChatStreamParser:
    """The parser that a ChatStream runs: an accumulator that gives chunks, and a clock.

    The clock is read once for each network chunk.
    """

    accumulator: ChatAccumulator
    timings: StreamTimings
    preview: builtins.bytes
    """The first bytes of the stream, at most 200."""
    look: Any
    """What looks for the first event, once `prefetch` was called; it needs every byte until then."""
    def __new__(cls, accumulator: ChatAccumulator, clock: Callable[[], float]) -> Self: ...
    def feed(self, data: builtins.bytes | bytearray | memoryview, /) -> list[ChatCompletionChunk]:
        """Take the next bytes and return the chunks that they complete. Raises as `ChatAccumulator.feed`."""

    def close(self) -> list[ChatCompletionChunk]:
        """Take the end of the source."""

    @property
    def bytes(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def comments(self) -> int: ...
    @property
    def malformed(self) -> int: ...

@final
class _ChatRelayStreamParser:
    """The parser that a ChatRelayStream runs: a relay that gives the bytes to send on, and a clock.

    The clock is read once for each network chunk. `keep_alive` is the comment that is sent for silence.
    """

    relay: ChatRelay
    timings: StreamTimings
    is_silent: bool
    """The chunk that comes next stands for silence, and is empty."""
    def __new__(cls, relay: ChatRelay, clock: Callable[[], float], keep_alive: builtins.bytes) -> Self: ...
    def feed(self, data: builtins.bytes | bytearray | memoryview, /) -> list[builtins.bytes]:
        """Take the next bytes and return what is to be sent on, if anything. Raises as `ChatRelay.feed`."""

    def close(self) -> list[builtins.bytes]:
        """Take the end of the source."""

    @property
    def is_over(self) -> bool:
        """The sentinel came, and all that belongs to it."""

    @property
    def sent(self) -> int:
        """How often there was something to send on."""

    @property
    def bytes(self) -> int: ...
    @property
    def events(self) -> int: ...
    @property
    def comments(self) -> int: ...
    @property
    def malformed(self) -> int: ...

@final
class StreamTimings:
    """When things happened in a stream, in seconds since it was made; None for what has not happened."""

    on_gap: Callable[[float], object] | None
    """Called with each such time, where it is set; for metrics. What it raises, the stream raises."""

    def __new__(
        cls,
        first_byte: float | None = None,
        first_event: float | None = None,
        first_content: float | None = None,
        first_tool_call: float | None = None,
        last_event: float | None = None,
        longest_gap: float | None = None,
        on_gap: Callable[[float], object] | None = None,
    ) -> Self: ...
    @property
    def first_byte(self) -> float | None:
        """The first bytes of the source came."""

    @property
    def first_event(self) -> float | None:
        """The first chunk was complete."""

    @property
    def first_content(self) -> float | None:
        """The first chunk with text for the message was complete."""

    @property
    def first_tool_call(self) -> float | None:
        """The first chunk with a fragment of a tool call was complete."""

    @property
    def last_event(self) -> float | None:
        """The last chunk so far was complete."""

    @property
    def longest_gap(self) -> float | None:
        """The longest time between two network chunks that completed something."""

    def __eq__(self, other: object, /) -> bool: ...
    def __reduce__(self) -> tuple[type[StreamTimings], tuple[Any, ...]]: ...

@final
class ServerSentEvent:
    """One dispatched event, as the HTML standard describes it. Immutable, hashable and picklable.

    The attribute names are those of httpx-sse and httpx2.
    """

    __match_args__: ClassVar[tuple[Literal["event"], Literal["data"], Literal["id"], Literal["retry"]]] = (
        "event",
        "data",
        "id",
        "retry",
    )
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
        verbatim: give out a block without data too, if it sets an event type, an ID that is not empty, or a
            reconnection time; and leave `event` empty where a block names no type. So do httpx-sse and the
            clients of providers, the standard does not.

    Raises:
        ValueError: `max_event_size` is below 1, or `last_event_id` holds NUL, CR or LF.
    """

    def __new__(
        cls, *, max_event_size: int = 33554432, last_event_id: str = "", verbatim: bool = False
    ) -> Self: ...
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

    def __class_getitem__(cls, key: Any) -> Any: ...

@final
class ChatParser:
    """Parses a chat stream into typed chunks: one for each event whose data is a JSON object.

    What is valid JSON is what orjson takes, invalid UTF-8 as U+FFFD. The stream ends with `[DONE]`; empty
    data, comments wrapped as data and JSON values of other kinds are passed over. Of an event that is no
    JSON but has several lines, each line that is a JSON object counts: a proxy may cut a line and go on
    with the next one. A field `error` (not of the standard) is taken for an event of type "error".

    Args:
        errors: `"strict"` raises InvalidJSON for a broken event, `"skip"` counts it in `malformed`.
        max_event_size: as for `EventParser`.

    Raises:
        ValueError: `errors` is neither, or `max_event_size` is below 1.
    """

    def __new__(
        cls, *, errors: Literal["strict", "skip"] = "strict", max_event_size: int = 33554432
    ) -> Self: ...
    def feed(self, data: bytes | bytearray | memoryview, /) -> list[ChatCompletionChunk]:
        """Take the next bytes of the stream and return the chunks that they complete.

        Raises:
            InvalidJSON: with `errors="strict"`, an event was broken; `values` holds the chunks before it, and
                the rest of this feed comes out of the next call, `feed(b"")` if need be.
            LimitExceeded: an event went over `max_event_size`; `values` holds the chunks before it. Until
                `reset()` every further call raises it again.
            TypeError: `data` is neither bytes, bytearray nor memoryview.
            ValueError: the parser was closed.
        """

    def close(self) -> list[ChatCompletionChunk]:
        """Mark the end of the stream and return what that completes.

        An unterminated last event is taken if its data is a whole JSON object. Raises as `feed` does.
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
        """How many payloads were no JSON."""

@final
class ChatAccumulator:
    """Adds up a chat stream into its message, whatever the provider makes of the format.

    Everything happens in one call for each network chunk, without a Python object for an event. Indices are
    keys; text is concatenated; of other fields the last value that is not null counts; usage is never added
    up. The rules for tool calls are told in docs/chat.md.

    Args:
        n: the n of the request. With 1, all choices are one: some providers count the index up, or put each
            tool call into a choice of its own.
        errors: `"skip"` counts a broken event in `malformed`, `"strict"` raises InvalidJSON for it.
        max_message_size: the largest message in bytes, over all choices.
        max_tool_calls: the most tool calls in a choice.
        max_choices: the most choices.
        max_event_size: as for `EventParser`.
        id_factory: makes the id of a tool call that came without one; by default it is a hash of the
            response's id and time, the choice and the call's place: the same stream gives the same ids.

    Raises:
        TypeError: `id_factory` is not callable.
        ValueError: `n` or a limit is below 1, or `errors` is neither.
    """

    def __new__(
        cls,
        *,
        n: int | None = None,
        errors: Literal["strict", "skip"] = "skip",
        max_message_size: int = 67108864,
        max_tool_calls: int = 1024,
        max_choices: int = 128,
        max_event_size: int = 33554432,
        id_factory: Callable[[], str] | None = None,
    ) -> Self: ...
    def feed(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take the next bytes of the stream.

        Raises:
            InvalidJSON: with `errors="strict"`, an event was broken; the rest of this feed is taken by the
                next call, `feed(b"")` if need be.
            LimitExceeded: an event or the message went over a limit. What came before is kept; until
                `reset()` every further call raises it again.
            TypeError: `data` is neither bytes, bytearray nor memoryview.
            ValueError: the accumulator was closed.
        """

    def feed_chunks(self, data: bytes | bytearray | memoryview, /) -> list[ChatCompletionChunk]:
        """Take the next bytes of the stream and return their chunks too, in the same pass."""

    def add(self, chunk: ChatCompletionChunk | dict[str, Any], /) -> None:
        """Take a chunk that came by another way.

        Raises:
            LimitExceeded: the message went over a limit.
            TypeError: it is no chunk, or the dict holds what is no JSON.
            ValueError: the accumulator was closed.
        """

    def close(self) -> None:
        """Mark the end of the stream, which decides the verdict. Closing again is harmless.

        An unterminated last event is taken if its data is a whole JSON object or the sentinel. Raises as
        `feed` does.
        """

    def close_chunks(self) -> list[ChatCompletionChunk]:
        """Mark the end of the stream and return the chunks that this completes."""

    def reset(self) -> None:
        """Make the accumulator new, as its parameters made it."""

    @property
    def completion(self) -> ChatCompletion:
        """The message as far as it has come, at any moment. It does not change any more when more comes.

        To look at it takes the same however long it is; it is copied where more comes while it is kept.
        """

    @property
    def end(self) -> StreamEnd | None:
        """How the stream ended; None until the sentinel came or `close()` was called."""

    @property
    def error(self) -> ProviderError | None:
        """The first error that the provider reported inside the stream."""

    @property
    def usage(self) -> CompletionUsage | None:
        """The last usage that says anything, wherever in the chunks it stood."""

    @property
    def has_content(self) -> bool:
        """Whether any text has come for a message."""

    @property
    def has_tool_calls(self) -> bool:
        """Whether any tool call has begun."""

    def finished_tool_calls(self, *, final_only: bool = True) -> list[ToolCall]:
        """Return the tool calls that are finished, each of them once.

        No call is finished before the end of the stream: arguments that happen to be whole JSON may go on.
        With `final_only=False` a call is given out before, as a hint, if its arguments are whole JSON and a
        later call has begun or the finish reason has come. A fragment that arrives for it all the same adds
        the repair `"changed_after_reported"` to the call in `completion`.
        """

    @property
    def done(self) -> bool:
        """Whether the sentinel came."""

    @property
    def pending_bytes(self) -> int:
        """How many bytes of an incomplete event are held."""

    @property
    def bytes(self) -> int:
        """How many bytes of the stream were read."""

    @property
    def events(self) -> int:
        """How many events were dispatched, the sentinel and those passed over included."""

    @property
    def comments(self) -> int:
        """How many comment lines were passed over."""

    @property
    def malformed(self) -> int:
        """How many payloads were no JSON."""

@final
class ChatRelay:
    """Passes a chat stream on byte for byte, observes it as `ChatAccumulator` does, and applies rules.

    `feed` and `close` return what to send on. Without rules that is the object that was fed. With rules an
    event waits for its end, and spans of it are replaced; all other bytes are those that came. Comments ahead
    of an event do not wait. Events of other dialects, broken JSON, any line ends and any cut of the bytes
    pass through; where a replaced span crosses `data:` lines, that event's data is written on one line. The
    guide docs/guides/relay.md tells the rules in full.

    Nothing that comes makes a relay raise: over a limit it stops observing, goes on relaying, and says so in
    `exceeded`. An event over `max_event_size` bytes, all its lines counted, is sent on in pieces with no rule
    applied. A relay holds at most one event, or two with `repair`, beside the message that it observes.

    Args:
        set: top-level fields and the values that take the place of theirs, anything that orjson encodes. A
            field that is not there is not put in. Keys are compared unescaped; each of several is meant.
        remove: top-level fields to take out, each with one comma.
        usage: `"drop"` drops chunks that have nothing but the usage, and takes it out of other chunks: the
            field at the top, in a choice and in `x_groq`. It is observed all the same.
        comments: `"drop"` drops comment lines, and the blank line of a comment that stands for itself.
        repair: put tool calls into canonical form: a stable index, id, type and name in the first fragment
            and no other, arguments as text; and one finish reason for a choice. What is canonical is not
            touched. An event with a finish reason waits for the next event, a call for its id and name.
        edit: called with each event that would be sent on, after the other rules; the slow way. It returns
            None to leave it, `b""` to drop it, or the bytes to send in its place, which end with a blank
            line. It must not use the relay. What it raises comes out of `feed` or `close`, and what was to be
            returned comes out of the next call, without the events that it failed on.
        append_error: send on whole events only, and let a stream that did not end well end with an error
            event as the openai package raises it, and `[DONE]`. For chat streams: other dialects have other
            ends.
        n: the n of the request, as for `ChatAccumulator`.
        max_message_size: as for `ChatAccumulator`.
        max_tool_calls: as for `ChatAccumulator`.
        max_choices: as for `ChatAccumulator`.
        max_event_size: the largest event in bytes.

    Raises:
        TypeError: a value of `set` is no JSON, or a rule is of another type.
        ValueError: `usage` or `comments` is neither, a field is to be set and removed, or a limit is below 1.
    """

    def __new__(
        cls,
        *,
        set: dict[str, Any] | None = None,  # noqa: A002
        remove: Iterable[str] | None = None,
        usage: Literal["keep", "drop"] = "keep",
        comments: Literal["keep", "drop"] = "keep",
        repair: bool = False,
        edit: Callable[[ServerSentEvent], builtins.bytes | None] | None = None,
        append_error: bool = False,
        n: int | None = None,
        max_message_size: int = 67108864,
        max_tool_calls: int = 1024,
        max_choices: int = 128,
        max_event_size: int = 33554432,
    ) -> Self: ...
    def feed(self, data: builtins.bytes | bytearray | memoryview, /) -> builtins.bytes:
        """Take the next bytes of the stream and return those to send on.

        Raises:
            TypeError: `data` is neither bytes, bytearray nor memoryview; or `edit` returned no bytes.
            ValueError: the relay was closed, or what `edit` returned does not end with a blank line.
        """

    def close(self) -> builtins.bytes:
        """Mark the end of the stream, which decides the verdict, and return what is left to send on.

        An event that lacks its blank line is edited if its data is a whole JSON object, else sent on as it
        is, with its end if a repair sends something behind it; with `append_error` it is completed, else
        dropped. Closing again returns nothing.
        """

    def reset(self) -> None:
        """Make the relay new, as its parameters made it."""

    @property
    def completion(self) -> ChatCompletion:
        """The message as far as it has come from upstream, whatever the rules, as for `ChatAccumulator`."""

    @property
    def end(self) -> StreamEnd | None:
        """How the stream ended; None before, and where the observation stopped."""

    @property
    def error(self) -> ProviderError | None:
        """The first error that the provider reported inside the stream."""

    @property
    def usage(self) -> CompletionUsage | None:
        """The last usage that says anything, whether or not it was sent on."""

    @property
    def exceeded(self) -> LimitExceeded | None:
        """The limit at which the observation stopped; None if it goes on. Nothing raises it."""

    @property
    def has_content(self) -> bool:
        """Whether any text has come for a message."""

    @property
    def has_tool_calls(self) -> bool:
        """Whether any tool call has begun."""

    def finished_tool_calls(self, *, final_only: bool = True) -> list[ToolCall]:
        """Return the tool calls that are finished, each of them once: as `ChatAccumulator` does."""

    @property
    def done(self) -> bool:
        """Whether the sentinel came."""

    @property
    def pending_bytes(self) -> int:
        """How many bytes wait to be sent on; always 0 without rules."""

    @property
    def bytes(self) -> int:
        """How many bytes came."""

    @property
    def events(self) -> int:
        """How many events were observed."""

    @property
    def comments(self) -> int:
        """How many comment lines were observed."""

    @property
    def malformed(self) -> int:
        """How many observed payloads were no JSON."""

    @property
    def edited(self) -> int:
        """How many events were sent on otherwise than they came, those that were made up included."""

    @property
    def dropped(self) -> int:
        """How many events and lone comments were not sent on."""

class _ChatObject:
    """What the objects of a chat have in common. Each is made from the JSON text of an object."""

    def __new__(cls, json: builtins.bytes | str) -> Self: ...
    @property
    def raw(self) -> builtins.bytes:
        """The JSON text that this object was made from, as it was sent."""

    def to_dict(self) -> dict[str, Any]:
        """Decode the JSON text with orjson; new for each call."""

    def to_json(self) -> str:
        """Return the JSON text."""

    def model_dump(
        self, *, mode: str = "python", exclude_unset: bool = True, exclude_none: bool = False
    ) -> dict[str, Any]:
        """`to_dict` under pydantic's name: what was sent, as pydantic's gives it with `exclude_unset=True`.

        Args:
            mode: changes nothing: everything was decoded from JSON.
            exclude_unset: changes nothing: what was not sent is never in it.
            exclude_none: leave out fields that are null, at every level.
        """

    def model_dump_json(
        self, *, indent: int | None = None, exclude_unset: bool = True, exclude_none: bool = False
    ) -> str:
        """`to_json` under pydantic's name: the JSON text as it was sent, unless it has to be written anew.

        Args:
            indent: write it on several lines, each level indented by so many spaces.
            exclude_unset: as for `model_dump`.
            exclude_none: as for `model_dump`.
        """

    def __getattr__(self, name: str) -> Any: ...
    def __eq__(self, other: builtins.object, /) -> bool: ...

@final
class ChatCompletionChunk(_ChatObject):
    """One chunk of a chat stream, with the attributes of the openai package. Immutable and picklable.

    A field that is not listed here is an attribute too if it was sent; a listed one that was not sent is
    None (`choices` is empty, a choice's `delta` has no fields). This holds for all objects of a chat. They
    can be made from the JSON text of an object, which raises InvalidJSON if it is none.
    """

    @property
    def id(self) -> str | None:
        """The id of the response."""

    @property
    def choices(self) -> list[ChunkChoice]:
        """What the chunk adds to each choice."""

    @property
    def created(self) -> int | None:
        """When the response was begun, in seconds since 1970."""

    @property
    def model(self) -> str | None:
        """The model that serves."""

    @property
    def object(self) -> str | None:
        """`"chat.completion.chunk"`, if the provider says so."""

    @property
    def service_tier(self) -> str | None:
        """The tier that served the request."""

    @property
    def system_fingerprint(self) -> str | None:
        """The configuration of the backend."""

    @property
    def usage(self) -> CompletionUsage | None:
        """How many tokens were used, in the chunk that tells it."""

    @property
    def moderation(self) -> Any:
        """What moderation found, as it was sent."""

    @property
    def obfuscation(self) -> str | None:
        """Padding that hides how long the text is."""

@final
class ChunkChoice(_ChatObject):
    """What a chunk adds to one choice."""

    @property
    def delta(self) -> ChoiceDelta:
        """What it adds to the message."""

    @property
    def finish_reason(self) -> str | None:
        """Why the message ended, in the chunk that tells it."""

    @property
    def index(self) -> int | None:
        """Which choice it is."""

    @property
    def logprobs(self) -> ChoiceLogprobs | None:
        """Log probabilities of its tokens."""

@final
class ChoiceDelta(_ChatObject):
    """What a chunk adds to a message."""

    @property
    def content(self) -> str | None:
        """Text; some providers send a list of parts."""

    @property
    def audio(self) -> ChatCompletionAudio | None:
        """A piece of audio output and of its transcript."""

    @property
    def function_call(self) -> ChoiceDeltaToolCallFunction | None:
        """The legacy function call."""

    @property
    def refusal(self) -> str | None:
        """Text of a refusal."""

    @property
    def role(self) -> str | None:
        """Who speaks."""

    @property
    def tool_calls(self) -> list[ChoiceDeltaToolCall] | None:
        """Fragments of tool calls."""

@final
class ChoiceDeltaToolCall(_ChatObject):
    """A fragment of a tool call."""

    @property
    def index(self) -> int | None:
        """Which call it belongs to."""

    @property
    def id(self) -> str | None:
        """The id of the call, in its first fragment."""

    @property
    def function(self) -> ChoiceDeltaToolCallFunction | None:
        """A fragment of its name and arguments."""

    @property
    def type(self) -> str | None:
        """`"function"` or `"custom"`."""

@final
class ChoiceDeltaToolCallFunction(_ChatObject):
    """A fragment of a function's name and arguments."""

    @property
    def arguments(self) -> str | None:
        """A piece of the JSON text of the arguments."""

    @property
    def name(self) -> str | None:
        """The name, in the first fragment."""

@final
class ChoiceLogprobs(_ChatObject):
    """Log probabilities of tokens."""

    @property
    def content(self) -> list[ChatCompletionTokenLogprob] | None:
        """Of the tokens of the content."""

    @property
    def refusal(self) -> list[ChatCompletionTokenLogprob] | None:
        """Of the tokens of the refusal."""

@final
class ChatCompletionTokenLogprob(_ChatObject):
    """The log probability of one token."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def bytes(self) -> list[int] | None:
        """Its UTF-8 bytes."""

    @property
    def logprob(self) -> float:
        """Its log probability."""

    @property
    def top_logprobs(self) -> list[TopLogprob]:
        """The likeliest tokens in its place."""

@final
class TopLogprob(_ChatObject):
    """One of the likeliest tokens in a place."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def bytes(self) -> list[int] | None:
        """Its UTF-8 bytes."""

    @property
    def logprob(self) -> float:
        """Its log probability."""

@final
class CompletionUsage(_ChatObject):
    """How many tokens a request took. What providers add (cost, queue times) are attributes too."""

    @property
    def completion_tokens(self) -> int:
        """Tokens of the answer."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the request."""

    @property
    def total_tokens(self) -> int:
        """Both."""

    @property
    def completion_tokens_details(self) -> CompletionTokensDetails | None:
        """What the tokens of the answer were."""

    @property
    def prompt_tokens_details(self) -> PromptTokensDetails | None:
        """What the tokens of the request were."""

@final
class CompletionTokensDetails(_ChatObject):
    """What the tokens of the answer were."""

    @property
    def accepted_prediction_tokens(self) -> int | None:
        """Of a prediction that came true."""

    @property
    def audio_tokens(self) -> int | None:
        """Of audio."""

    @property
    def reasoning_tokens(self) -> int | None:
        """Of reasoning."""

    @property
    def rejected_prediction_tokens(self) -> int | None:
        """Of a prediction that did not come true."""

    @property
    def text_tokens(self) -> int | None:
        """Of text."""

@final
class PromptTokensDetails(_ChatObject):
    """What the tokens of the request were."""

    @property
    def audio_tokens(self) -> int | None:
        """Of audio."""

    @property
    def cache_write_tokens(self) -> int | None:
        """Written into the cache."""

    @property
    def cached_tokens(self) -> int | None:
        """Read from the cache."""

    @property
    def image_tokens(self) -> int | None:
        """Of images."""

    @property
    def text_tokens(self) -> int | None:
        """Of text."""

@final
class ChatCompletion(_ChatObject):
    """An assembled message, with the attributes of the openai package. Immutable and picklable.

    The body is canonical: index and finish_reason are always there, and the finish reason is what the
    provider sent, never invented. Provider's own fields are kept: see docs/chat.md for the rules.
    """

    def __new__(
        cls,
        json: builtins.bytes | str,
        *,
        calls: Iterable[tuple[bool, Iterable[str]]] = (),
        first_model: str | None = None,
    ) -> Self: ...
    @property
    def id(self) -> str | None:
        """The first id of the response that is not blank."""

    @property
    def choices(self) -> list[Choice]:
        """The answers, by index."""

    @property
    def created(self) -> int | None:
        """When the response was begun, in seconds since 1970."""

    @property
    def model(self) -> str | None:
        """The model named last: the one that served."""

    @property
    def first_model(self) -> str | None:
        """The model named first; not part of the body."""

    @property
    def object(self) -> str:
        """`"chat.completion"`."""

    @property
    def service_tier(self) -> str | None:
        """The tier that served the request."""

    @property
    def system_fingerprint(self) -> str | None:
        """The configuration of the backend."""

    @property
    def usage(self) -> CompletionUsage | None:
        """How many tokens were used."""

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the request attached, if the provider says it again."""

    @property
    def moderation(self) -> Any:
        """What moderation found, as it was sent last."""

@final
class Choice(_ChatObject):
    """One of the answers."""

    @property
    def finish_reason(self) -> str | None:
        """The last reason sent that is not blank."""

    @property
    def index(self) -> int:
        """Which choice it is."""

    @property
    def logprobs(self) -> ChoiceLogprobs | None:
        """Log probabilities of its tokens."""

    @property
    def message(self) -> ChatCompletionMessage:
        """The message."""

@final
class ChatCompletionMessage(_ChatObject):
    """The message of an answer."""

    @property
    def content(self) -> str | None:
        """Its text; None if no text was sent."""

    @property
    def refusal(self) -> str | None:
        """The text of a refusal."""

    @property
    def role(self) -> str:
        """Who speaks: `"assistant"`."""

    @property
    def annotations(self) -> list[Any] | None:
        """Citations and the like."""

    @property
    def audio(self) -> ChatCompletionAudio | None:
        """Audio output."""

    @property
    def function_call(self) -> Function | None:
        """The legacy function call."""

    @property
    def tool_calls(self) -> list[ToolCall] | None:
        """Tool calls."""

    @property
    def reasoning(self) -> str | None:
        """Reasoning text, from whichever fields carried it."""

@final
class ChatCompletionAudio(_ChatObject):
    """Audio output."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def data(self) -> str:
        """Base64 data."""

    @property
    def expires_at(self) -> int:
        """Until when it can be referred to, in seconds since 1970."""

    @property
    def transcript(self) -> str:
        """What it says."""

@final
class Function(_ChatObject):
    """A function that the model wants called."""

    @property
    def arguments(self) -> str:
        """The JSON text of the arguments, as it was sent."""

    @property
    def name(self) -> str:
        """The name."""

@final
class Custom(_ChatObject):
    """A custom tool that the model wants called."""

    @property
    def input(self) -> str:
        """Free text."""

    @property
    def name(self) -> str:
        """The name."""

@final
class ToolCall(_ChatObject):
    """A tool call of a message."""

    def __new__(
        cls, json: builtins.bytes | str, *, complete: bool = True, repairs: Iterable[str] = ()
    ) -> Self: ...
    @property
    def id(self) -> str:
        """Its id; generated where the provider sent none."""

    @property
    def type(self) -> str:
        """`"function"` or `"custom"`."""

    @property
    def function(self) -> Function | None:
        """What is to be called."""

    @property
    def custom(self) -> Custom | None:
        """What is to be called, for a custom tool."""

    @property
    def complete(self) -> bool:
        """Whether the arguments are one JSON value. False for a call that was cut: do not run it."""

    @property
    def repairs(self) -> tuple[str, ...]:
        """What had to be put right: see docs/chat.md for the names. Not part of the body."""

    def parse(self) -> Any:
        """Decode the arguments; the input of a custom tool as it is.

        Raises:
            InvalidJSON: they are not one JSON value.
        """

    def partial(self) -> Any:
        """Decode the arguments as far as they go, for display; None if they do not begin like JSON.

        Incomplete ones may be 200 levels deep. Linear in their length. Never run a call on these: the rest
        may change their meaning.
        """
