"""The exceptions of deltawire: a small closed set, each with its facts as attributes.

A message tells what came, where in the stream, and what to do about it, but never the payload: logs
leak prompts. Up to 200 bytes of it stand in `preview`, for whoever decides to look. All of them can be
pickled and copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltawire._native import ChatCompletion
    from deltawire.verdict import ProviderError, StreamEnd

PREVIEW_BYTES = 200
"""At most so many bytes of what came are kept in an exception's `preview`."""


class DeltawireError(Exception):
    """The base of every exception that deltawire raises for what came in.

    A wrong call (a str fed, `feed` after `close`, a parser used by two threads at a time) raises Python's
    own TypeError, ValueError or RuntimeError instead.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException would call the class with `args`, which hold the text and not the parameters.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[DeltawireError], args: tuple[Any, ...], state: dict[str, Any]) -> DeltawireError:
    error = cls.__new__(cls, *args)
    error.args = args  # OSError takes them in its `__init__`
    error.__dict__.update(state)
    return error


class InvalidJSON(DeltawireError, ValueError):
    """The data of an event is not what `loads` decodes. Its own exception is the `__cause__`.

    The parser goes on: the rest of the feed that raised comes out of the next call, `feed(b"")` if need be.

    Attributes:
        values: what was decoded before it in the same feed; it is delivered nowhere else.
        event_number: which event of the stream it was, counted from 1; None for what is in no stream: from
            `ServerSentEvent.json()`, `ToolCall.parse()`, and where an object is made of JSON text.
        offset: byte offset in the stream at which the event begins; None where `event_number` is.
        size: the length of its data in bytes.
        preview: the first bytes of its data, at most 200.
    """

    def __init__(
        self,
        *,
        values: list[Any] | None = None,
        event_number: int | None = None,
        offset: int | None = None,
        size: int = 0,
        preview: bytes = b"",
    ) -> None:
        if event_number is None:
            message = (
                f"what was given, {size} bytes, is not valid JSON (see __cause__ for why), or no object "
                f"where one is asked for"
            )
        else:
            message = (
                f"event {event_number}, at byte {offset} of the stream, holds {size} bytes of data that are "
                f'not valid JSON; see __cause__ for why, or pass errors="skip" to count such events and go on'
            )
        super().__init__(message)
        self.values = [] if values is None else values
        self.event_number = event_number
        self.offset = offset
        self.size = size
        self.preview = preview[:PREVIEW_BYTES]


class LimitExceeded(DeltawireError):
    """More came than a limit allows. The parser refuses to go on until `reset()`.

    Attributes:
        limit: the name of the limit, which is the parameter that sets it (`"max_event_size"`).
        value: what it is set to.
        values: what was complete before it in the same feed; it is delivered nowhere else.
        event_number: which event of the stream went over it, counted from 1; 0 where that is not
            known: of a chunk that was added as an object, and in a decoder of `compat`.
        offset: byte offset in the stream at which that event begins; 0 where `event_number` is.
    """

    def __init__(
        self,
        limit: str,
        value: int,
        *,
        values: list[Any] | None = None,
        event_number: int = 0,
        offset: int = 0,
    ) -> None:
        what = f"event {event_number}, at byte {offset} of the stream," if event_number else "what came"
        super().__init__(
            f"{what} goes over {limit}={value}; "
            f"pass a larger {limit} if such events are expected, and call reset() to use the parser again"
        )
        self.limit = limit
        self.value = value
        self.values = [] if values is None else values
        self.event_number = event_number
        self.offset = offset


class NotEventStream(DeltawireError):
    """What came is no event stream but an error page or a document, by its content type or by its body.

    Attributes:
        status: the HTTP status code, None where the response has none.
        content_type: the Content-Type header as it was sent.
        preview: the first bytes of the body, at most 200.
        completion: of a chat stream that was read all the same, what came of it; else None.
    """

    def __init__(
        self,
        *,
        status: int | None = None,
        content_type: str = "",
        preview: bytes = b"",
        completion: ChatCompletion | None = None,
    ) -> None:
        refused = completion is None  # before anything was read
        if refused and content_type and "text/event-stream" not in content_type.lower():
            super().__init__(
                f"expected a response of type text/event-stream, got {content_type!r} with status {status}; "
                f"look at the request, or pass check_content_type=False if it is an event stream after all"
            )
        elif refused and status is not None and status >= 300:
            super().__init__(
                f"the response has status {status}; look at the request, and at the beginning of the body in "
                f"`preview`, or pass check_content_type=False to read it all the same"
            )
        else:
            where = f" with HTTP status {status}" if status is not None else ""
            super().__init__(
                f"the body{where} is no event stream: it has neither a field nor a comment; "
                f"look at its beginning in `preview`"
            )
        self.status = status
        self.content_type = content_type
        self.preview = preview[:PREVIEW_BYTES]
        self.completion = completion


class CassetteError(DeltawireError):
    """A cassette cannot be read: not there, not YAML or JSON, or not in a format of go-vcr or VCR.py.

    Attributes:
        path: the file.
        place: where in it: `"line 12, column 3"`, or the way to a field, `"interactions[0].response.body"`.
        reason: what is wrong there.
    """

    def __init__(self, path: str, place: str, reason: str) -> None:
        super().__init__(f"{path}: {place}: {reason}" if place else f"{path}: {reason}")
        self.path = path
        self.place = place
        self.reason = reason


class UpstreamError(DeltawireError):
    """The provider reported an error, inside the stream or as a JSON document in its place.

    Attributes:
        error: what it said: message, type, code and all of it, raw.
        completion: the message as far as it had come; None where no stream had begun.
        status: the HTTP status code, None where it is not known.
        offset: how many bytes of the stream had come.
        events: how many events had come.
    """

    def __init__(
        self,
        error: ProviderError,
        *,
        completion: ChatCompletion | None = None,
        status: int | None = None,
        offset: int = 0,
        events: int = 0,
    ) -> None:
        facts = [f"code {error.code!r:.64}"] if error.code is not None else []
        facts += [f"type {error.type!r:.64}"] if error.type is not None else []
        facts += [f"HTTP status {status}"] if status is not None else []
        told = f" ({', '.join(facts)})" if facts else ""
        where, part = "", ""
        if completion is not None:
            where = f" after {events} events and {offset} bytes"
            part = ", and the part of the answer that came is in `completion`"
        super().__init__(
            f"the provider reported an error{told}{where}; its message is in `error.message`{part}"
        )
        self.error = error
        self.completion = completion
        self.status = status
        self.offset = offset
        self.events = events


class IncompleteStream(DeltawireError):
    """The stream was cut: it ended without a sentinel and without a finish reason, or had nothing in it.

    Attributes:
        end: the verdict: TRUNCATED or EMPTY.
        completion: the message as far as it had come. A tool call in it may be incomplete: do not run it.
        offset: how many bytes of the stream had come.
        events: how many events had come.
    """

    def __init__(
        self,
        end: StreamEnd,
        *,
        completion: ChatCompletion | None = None,
        offset: int = 0,
        events: int = 0,
    ) -> None:
        remedy = "ask again"
        if end.name == "TRUNCATED" and not events:
            # So ends, too, what was cut into lines, and asking again would not help.
            remedy += " (if the source gives lines without their ends, as iter_lines does: pass the response)"
        super().__init__(
            f"the stream ended early ({end.name}) after {events} events and {offset} bytes; the part that "
            f'came is in `completion`; {remedy}, or pass on_end="return" to take it'
        )
        self.end = end
        self.completion = completion
        self.offset = offset
        self.events = events


class StreamTimeout(DeltawireError, TimeoutError):
    """A deadline of a stream passed, after everything that was decoded came out. The source is closed.

    Attributes:
        deadline: which: `"first_event_timeout"`, `"idle_timeout"` or `"total_timeout"`.
        seconds: what it is set to.
        elapsed: the seconds from the first read until it passed.
        completion: of a chat stream, the message as far as it had come; else None. A tool call in it may be
            incomplete: do not run it.
        offset: how many bytes of the stream had come.
        events: how many events had come.
    """

    def __init__(
        self,
        deadline: str,
        seconds: float,
        *,
        elapsed: float = 0.0,
        completion: ChatCompletion | None = None,
        offset: int = 0,
        events: int = 0,
    ) -> None:
        what = {
            "first_event_timeout": f"no event came within {seconds:g} s",
            "idle_timeout": f"no event came for {seconds:g} s",
        }.get(deadline, f"the stream took longer than {seconds:g} s")
        part = "the part that came is in `completion`; " if completion is not None else ""
        super().__init__(
            f"{what}: {deadline}={seconds:g} passed {elapsed:.3g} s after the first read, after {events} "
            f"events and {offset} bytes; {part}ask again, or pass a larger {deadline} to wait longer"
        )
        self.deadline = deadline
        self.seconds = seconds
        self.elapsed = elapsed
        self.completion = completion
        self.offset = offset
        self.events = events
