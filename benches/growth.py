"""Streams that tempt a parser into looking at bytes twice, each at a size and at twice the size.

Twice the input takes twice the time, whatever the chunking; a buffer that is searched or rebuilt with every
piece takes four times. What exceeds two by little is the cache: the larger input fits in less well.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from benches.bodies import Chunks, Event, Stream
from benches.shapes import large_event, many_data_lines, many_events
from deltawire import EventParser, JSONParser


class Shape(NamedTuple):
    make: Callable[[int], Stream]
    amount: int
    chunk_size: int


SHAPES = {
    "one 8 MiB event in 1 KiB pieces": Shape(large_event, 8 * 1024 * 1024, 1024),
    "16,000 data lines in 1 KiB pieces": Shape(many_data_lines, 16_000, 1024),
    "16,000 data lines in one piece": Shape(many_data_lines, 16_000, 1024 * 1024 * 1024),
    "2,000 events in drips of 8 bytes": Shape(many_events, 2_000, 8),
}


def read_events(chunks: Chunks) -> list[Event]:
    parser = EventParser()
    events = [(sse.event, sse.data) for chunk in chunks for sse in parser.feed(chunk)]
    parser.close()
    return events


def read_values(chunks: Chunks) -> list[Any]:
    parser = JSONParser()
    values = [value for chunk in chunks for value in parser.feed(chunk)]
    return values + parser.close()


READERS: dict[str, Callable[[Chunks], list[Any]]] = {"EventParser": read_events, "JSONParser": read_values}


def reading(parser: str, shape: str, times: int) -> tuple[Stream, Callable[[], list[Any]]]:
    """Return a shape at so many times its size, and a function that reads it; its result is right."""
    make, amount, chunk_size = SHAPES[shape]
    stream = make(amount * times)
    chunks = stream.chunks(chunk_size)
    read = READERS[parser]
    assert read(chunks) == (stream.events if parser == "EventParser" else stream.values)
    return stream, lambda: read(chunks)
