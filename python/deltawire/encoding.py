"""Writes event streams: what `EventParser` reads, as bytes to send.

Each function gives whole lines, so what they give may be sent in any order, one after the other. An event is
one expression and a copy or two of its data. What may stand in a field is what the HTML standard's parser
gives back ("parsing an event stream"): a line end inside data begins another `data` line, and what would
forge a field is refused.

The error event is that of the chat dialect. Which error deserves one, whether `[DONE]` follows, and when a
comment keeps a connection alive, is left to who serves the stream.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from deltawire import _native
from deltawire.errors import (
    DeltawireError,
    IncompleteStream,
    InvalidJSON,
    LimitExceeded,
    NotEventStream,
    UpstreamError,
)
from deltawire.verdict import ProviderError

__all__ = ["encode_comment", "encode_error", "encode_event", "error_body"]

# As numbers: `in` finds a byte in a third of the time that it takes for bytes of length 1.
_LF, _CR = b"\n\r"

# A line end would begin a field of the sender's choosing; of an id with NUL the standard keeps nothing.
_FORBIDDEN = re.compile("[\r\n\0]")

# What a client is told, by class: its code, and a text that names no part of the program that it talks to.
# Of two classes that fit the first counts: StreamTimeout is a TimeoutError, InvalidJSON a ValueError.
_TOLD: tuple[tuple[type[BaseException], str, str], ...] = (
    (IncompleteStream, "incomplete_stream", "The provider's stream ended before the message was complete."),
    (NotEventStream, "not_event_stream", "The provider answered with something else than an event stream."),
    (LimitExceeded, "limit_exceeded", "The provider sent more than is allowed."),
    (InvalidJSON, "invalid_json", "The provider sent an event that is not valid JSON."),
    (TimeoutError, "timeout", "The provider took too long."),
    (DeltawireError, "upstream_error", "The provider's stream could not be read."),
    (BaseException, "internal_error", "The server had an error."),
)

# What the native classes of a chat have in common: the JSON text that they were made from.
_CHAT_OBJECTS = tuple(
    cls for cls in (getattr(_native, name) for name in _native.__all__) if hasattr(cls, "to_json")
)


def encode_event(
    data: Any, *, event: str | None = None, id: str | None = None, retry: int | None = None
) -> bytes:
    """Encode one event, with the blank line that dispatches it.

    `EventParser` and every browser give back the same event. Line ends in data that is text (CRLF, CR and LF
    alike) come back as LF, which is all that the format can say; white space, and a line end at the end,
    stay. Empty text is an event with empty data, by the standard; clients of chats fail on it, so as a sign
    of life send a comment instead.

    Args:
        data: text as a str, or as bytes, bytearray or memoryview in UTF-8, which are sent as they are. An
            object of a chat is sent as the JSON text that it was made from. Everything else is encoded as
            JSON by orjson: dict, list, numbers, dataclasses, and None as `null`.
        event: the event type. Without one, clients take `"message"`.
        id: the last event ID string from this event on; `""` unsets it.
        retry: the reconnection time in milliseconds.

    Raises:
        TypeError: `data` or a part of it is nothing that orjson encodes, or an argument is of another type.
        ValueError: `event` or `id` holds CR, LF or NUL, `retry` is negative, or a str holds half of a
            surrogate pair, which UTF-8 has no bytes for.
    """
    if isinstance(data, str):
        text = data.encode()
    elif isinstance(data, bytes):
        text = data
    elif isinstance(data, bytearray | memoryview):
        text = bytes(data)
    else:
        text = orjson.dumps(data, default=_json_text)
    if _CR in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if _LF in text:
        text = text.replace(b"\n", b"\ndata: ")
    # The space is always sent: the parser takes one off, and so leaves those that belong to the data.
    if event is None and id is None and retry is None:
        return b"data: %b\n\n" % text
    return b"%b%b%bdata: %b\n\n" % (_line("event", event), _line("id", id), _retry(retry), text)


def encode_comment(text: str = "") -> bytes:
    """Encode a comment, which no parser gives out: a sign of life that keeps a silent connection open.

    A comment ends with its line: no blank line follows, on which clients of the openai package fail once an
    id was sent. So it may be sent between events, never inside the bytes of one. Text of several lines gives
    several comments.

    Args:
        text: what the comment says, for people who look at the stream.

    Raises:
        TypeError: `text` is no str.
        ValueError: `text` holds half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise TypeError(f"a comment is a str, not {type(text).__name__}")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(f": {line}\n" if line else ":\n" for line in lines).encode()


def encode_error(error: ProviderError | BaseException | str) -> bytes:
    """Encode the event that tells a client of a chat stream of an error: `data: {"error": {...}}`.

    The openai client raises APIError with the inner object as its `body`, `ChatStream` raises UpstreamError.
    `[DONE]` is not part of it: send that too if the stream is over.

    Args:
        error: what went wrong; see `error_body` for what is told of it.

    Raises:
        TypeError: `error` is none of these.
    """
    return encode_event(error_body(error))


def error_body(error: ProviderError | BaseException | str) -> dict[str, Any]:
    """Make the document that tells a client of an error, in openai's shape, to be sent as JSON.

    It is the data of `encode_error`, and the body of a response that has a status of its own because no
    stream has begun: `{"error": {"message": ..., "type": ..., "param": None, "code": ...}}`.

    What is told depends on who wrote it:

    * a ProviderError, and that of an UpstreamError, is passed on: message, type and code;
    * a str is the message;
    * of deltawire's other exceptions, and of TimeoutErrors, a fixed text and a code of their own are sent
      (`incomplete_stream`, `not_event_stream`, `limit_exceeded`, `invalid_json`, `timeout`);
    * of any other exception nothing is sent but that there was one, with the code `internal_error`: what it
      says may be a path, a query, a key.

    Raises:
        TypeError: `error` is none of these.
    """
    if isinstance(error, UpstreamError):
        error = error.error
    kind: str | None = "server_error"
    code: Any = None
    if isinstance(error, ProviderError):
        message, kind, code = error.message, error.type, error.code
    elif isinstance(error, str):
        message = error
    elif isinstance(error, BaseException):
        code, message = next((code, text) for cls, code, text in _TOLD if isinstance(error, cls))
    else:
        raise TypeError(f"an error is a ProviderError, an exception or a str, not {type(error).__name__}")
    # Whatever is in the message, the client has to hear of the error: half a surrogate pair becomes "?".
    message = message.encode(errors="replace").decode()
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _line(name: str, value: str | None) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__}")
    if found := _FORBIDDEN.search(value):
        raise ValueError(f"{name} cannot hold {found[0]!r}: it would end the line, or void the field")
    return f"{name}: {value}\n".encode()


def _retry(retry: int | None) -> bytes:
    if retry is None:
        return b""
    # `type`, since a bool is an int too.
    if type(retry) is not int:
        raise TypeError(f"retry is an int, in milliseconds, not {type(retry).__name__}")
    if retry < 0:
        raise ValueError(f"retry is a number of milliseconds from 0 on, not {retry}")
    return b"retry: %d\n" % retry


def _json_text(value: object) -> orjson.Fragment:
    if isinstance(value, _CHAT_OBJECTS):
        return orjson.Fragment(value.raw)
    raise TypeError(f"data of type {type(value).__name__} is neither text nor anything that orjson encodes")
