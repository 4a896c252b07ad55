"""The slow, obvious twin of the parsers: what a whole body means, by the steps of the HTML standard.

The standard's section on interpreting an event stream is written out step by step, over a body that is all
there: no chunks, no buffers, no state that could be wrong at a cut. The native parsers are held against it.
It may be as slow as it likes. Nothing of deltawire is imported here.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One dispatched event."""

    event: str
    data: str
    id: str
    retry: int | None


class Refused(NamedTuple):
    """Stands in the place of a value where `loads` raised a ValueError."""

    event_number: int


class TooLargeError(Exception):
    """An event went over the limit. `events` are those before it."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.events = events


def split_lines(body: bytes) -> tuple[list[str], str]:
    """Decode a body and split it into its lines, and what follows the last line end."""
    # "UTF-8 decode" takes off one byte order mark and replaces what is invalid.
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    *lines, rest = re.split(r"\r\n|\n|\r", text)
    return lines, rest


def split_field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")


def parse(
    body: bytes, last_event_id: str = "", max_event_size: int | None = None
) -> tuple[list[Event], str, int | None]:
    """Return the events of a body, the last event ID string and the reconnection time at its end.

    TooLargeError if one block holds more than `max_event_size` bytes. Sizes are right for valid UTF-8 only.
    """
    events: list[Event] = []
    data_buffer = event_type_buffer = ""
    last_event_id_buffer = last_event_id
    reconnection_time: int | None = None
    block_id: str | None = None
    block_retry: int | None = None

    def check_size(line: str) -> None:
        """Refuse a line whose value does not fit in beside what its block holds."""
        name, value = split_field(line)
        if max_event_size is None or name not in ("data", "event", "id"):
            return
        if name == "id":
            # Of an id with NUL nothing is kept, but who reads a byte at a time learns that at the NUL only.
            value = value.partition("\0")[0]
        held = data_buffer + event_type_buffer + (block_id or "")
        if name != "data" and data_buffer:
            held = held[1:]  # The last LF of the data buffer is not part of the data.
        if len((held + value).encode()) > max_event_size:
            raise TooLargeError(events)

    lines, rest = split_lines(body)
    for line in lines:
        check_size(line)
        if line == "":
            # Dispatch the event.
            last_event_id = last_event_id_buffer
            if data_buffer != "":
                data = data_buffer.removesuffix("\n")
                events.append(Event(event_type_buffer or "message", data, last_event_id, block_retry))
            data_buffer = event_type_buffer = ""
            block_id = block_retry = None
        elif line.startswith(":"):
            pass
        else:
            field, value = split_field(line)
            if field == "event":
                event_type_buffer = value
            elif field == "data":
                data_buffer += value + "\n"
            elif field == "id" and "\0" not in value:
                last_event_id_buffer = block_id = value
            elif field == "retry" and re.fullmatch("[0-9]+", value):
                # The one place where the standard sets no bound and deltawire does.
                reconnection_time = block_retry = min(int(value), 2**64 - 1)
    # What is pending is discarded. Until its colon comes, a line may still become any field.
    if ":" in rest:
        check_size(rest)
    return events, last_event_id, reconnection_time


def count_comments(body: bytes) -> int:
    """Return how many lines of a body are comments."""
    return sum(line.startswith(":") for line in split_lines(body)[0])


def json_values(
    body: bytes, loads: Callable[[bytes], Any], done: str | None = "[DONE]"
) -> tuple[list[Any], bool]:
    """Return the decoded data of each event, Refused for what is not JSON, and whether the sentinel came.

    Providers forget the last blank line. So an event that lacks nothing else is taken if its data is the
    sentinel or a whole JSON object.
    """
    values: list[Any] = []
    events = parse(body)[0]
    events_if_terminated = parse(body + b"\n\n")[0]
    for number, event in enumerate(events_if_terminated, start=1):
        text = event.data.strip()
        if text == "" or text.startswith(":"):
            continue
        if done is not None and text == done.strip():
            return values, True
        try:
            value = loads(event.data.encode())
        except ValueError:
            if number <= len(events):
                values.append(Refused(number))
        else:
            if number <= len(events) or text.startswith("{"):
                values.append(value)
    return values, False


def encode(data: str, event: str | None = None, id: str | None = None, retry: int | None = None) -> bytes:
    """Write an event, line by line."""
    lines = [] if event is None else [f"event: {event}"]
    lines += [] if id is None else [f"id: {id}"]
    lines += [] if retry is None else [f"retry: {retry}"]
    lines += [f"data: {line}" for line in re.split(r"\r\n|\n|\r", data)]
    return "".join(f"{line}\n" for line in [*lines, ""]).encode()
