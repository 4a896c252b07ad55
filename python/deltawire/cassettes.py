"""Recorded HTTP exchanges: reads cassettes of go-vcr and VCR.py, and replays their response bodies.

`load` reads a whole file at once and gives plain frozen objects. `Interaction.replay` cuts a body anew at
each iteration, holds one chunk at a time, and so can be run over as often as one likes.

A cassette is somebody's file: whatever is in it, `load` returns or raises `CassetteError`. What that says
names the file and the place, never the content, since the bodies are prompts and answers. How YAML and
JSON become checked fields is told in `_cassette_file`; what a body means is left to the parsers. Compression
that a recorder left in a body is undone where it is gzip or deflate (`_content_encoding`).
"""

from __future__ import annotations

import math
import os
import random
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import anyio

from deltawire._cassette_file import BrokenFileError, Fields, decode
from deltawire._recorded import encoding_of
from deltawire.errors import CassetteError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Cassette", "Interaction", "Replay", "Request", "Response", "Split", "load"]

Split: TypeAlias = Literal["event", "line", "random"] | int
"""Where a body is cut: after each event, after each line, at random places, or every so many bytes."""

RANDOM_CHUNK_BYTES = 256
"""How far random cuts lie apart on average: about one event, so that some chunks hold a few, some a part."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
# Blank lines beyond the first stay with the event before them: a chunk of nothing but them is no event.
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2,}")

_STATUS = "[1-9][0-9][0-9]", "expected an HTTP status code"


@dataclass(frozen=True, slots=True)
class Request:
    """What was sent.

    Attributes:
        method: the HTTP method as it was recorded.
        url: the whole URL.
        headers: the values of each header, names and order as recorded. Not part of the repr.
        body: the body; text of the cassette as UTF-8. Not part of the repr.
    """

    method: str
    url: str
    headers: dict[str, list[str]] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        status: the HTTP status code.
        headers: the values of each header, names and order as recorded. Not part of the repr.
        body: the body; text of the cassette as UTF-8, gzip and deflate undone. Not part of the repr.
        duration: how long the exchange took, in seconds; None where the cassette does not tell.
    """

    status: int
    headers: dict[str, list[str]] = field(repr=False)
    body: bytes = field(repr=False)
    duration: float | None


@dataclass(frozen=True, slots=True)
class Interaction:
    """One request and the response to it."""

    request: Request
    response: Response

    def replay(self, split: Split = "event", seed: int = 0, pace: float = 0.0) -> Replay:
        """Give the response body as a source of chunks, as a network would.

        Args:
            split: where to cut: `"event"` after each blank line that ends an event (blank lines that follow
                stay with it), `"line"` after each line, `"random"` at random places, some 256 bytes apart,
                or a number: every so many bytes.
            seed: for `"random"`: the same seed gives the same cuts.
            pace: 1.0 spreads the chunks over the recorded duration, 0.5 over half of it, 0 gives them as
                fast as they are taken. Without a recorded duration it changes nothing.

        Raises:
            ValueError: `split` is none of these, or `pace` is negative or not finite.
        """
        return Replay(self.response.body, split, seed, pace, self.response.duration)


@dataclass(frozen=True, slots=True)
class Cassette:
    """The interactions of one file, in the order of the file; iterable, with a length of at least 1.

    Attributes:
        path: the file, as it was given.
        format: which tool's format it is in: go-vcr's version 2 or VCR.py's version 1.
        interactions: what was recorded.
    """

    path: str
    format: Literal["go-vcr", "VCR.py"]
    interactions: tuple[Interaction, ...]

    def __iter__(self) -> Iterator[Interaction]:
        return iter(self.interactions)

    def __len__(self) -> int:
        return len(self.interactions)


class Replay:
    """A recorded body as a source of bytes, for `for` and `async for`; each iteration begins anew.

    The chunks together are the body, and none is empty. Made by `Interaction.replay`.
    """

    __slots__ = ("_body", "_seconds", "_seed", "_split")

    def __init__(self, body: bytes, split: Split, seed: int, pace: float, duration: float | None) -> None:
        # `type`, since a bool is an int too.
        if split not in ("event", "line", "random") and not (type(split) is int and split > 0):
            raise ValueError(f"split must be 'event', 'line', 'random' or a positive int, not {split!r}")
        if not 0 <= pace < math.inf:
            raise ValueError(f"pace must be a finite number of at least 0, not {pace!r}")
        self._body = body
        self._split = split
        self._seed = seed
        self._seconds = pace * (duration or 0.0)

    def __iter__(self) -> Iterator[bytes]:
        start = time.monotonic()
        for chunk, due in self._schedule():
            # Toward a point in time, not for a time: what the consumer does with a chunk delays no other.
            wait = start + due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            yield chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncChunks(self._schedule())

    def _schedule(self) -> Iterator[tuple[bytes, float]]:
        """Give the chunks, each with when it is due: so far in time as its last byte is in the body."""
        begin = 0
        for end in self._ends():
            yield self._body[begin:end], self._seconds * end / len(self._body)
            begin = end

    def _ends(self) -> Iterator[int]:
        size = len(self._body)
        end = 0
        if isinstance(self._split, int):
            yield from range(self._split, size, self._split)
        elif self._split == "random":
            places = random.Random(self._seed)  # noqa: S311 -- to be repeated, not to be secret
            while (end := end + 1 + int(places.expovariate(1 / (RANDOM_CHUNK_BYTES - 0.5)))) < size:
                yield end
        else:
            for match in (_EVENT_END if self._split == "event" else _LINE_END).finditer(self._body):
                if (end := match.end()) < size:
                    yield end
        if size:
            yield size


class _AsyncChunks:
    """The asynchronous iterator of a Replay: no generator, so leaving it early leaves nothing to close."""

    def __init__(self, schedule: Iterator[tuple[bytes, float]]) -> None:
        self._schedule = schedule
        self._start: float | None = None
        self._held: tuple[bytes, float] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._start is None:
            self._start = anyio.current_time()
        # Held until it is given: a chunk that was waited for in a cancelled call comes out of the next one.
        self._held = self._held or next(self._schedule, None)
        if self._held is None:
            raise StopAsyncIteration
        chunk, due = self._held
        await anyio.sleep(max(0.0, self._start + due - anyio.current_time()))
        self._held = None
        return chunk


def load(path: str | os.PathLike[str]) -> Cassette:
    """Read a cassette: go-vcr version 2 in YAML, or VCR.py version 1 in YAML or JSON.

    Raises:
        CassetteError: the file cannot be read, is broken, or is no such cassette.
        ModuleNotFoundError: it is YAML and PyYAML is not installed (the extra `replay`).
    """
    name = os.fspath(path)
    try:
        try:
            data = Path(name).read_bytes()
        except OSError as error:
            raise BrokenFileError("", error.strerror or "cannot be read") from None
        except ValueError:
            raise BrokenFileError("", "not a name that a file can have") from None
        document = Fields(decode(data, json=name.lower().endswith(".json")))
        version = document.number("version", "[12]", "expected 2 (go-vcr) or 1 (VCR.py)")
        read = _from_go_vcr if version == 2 else _from_vcr_py
        interactions = tuple(map(read, document.items("interactions")))
    except BrokenFileError as broken:
        raise CassetteError(name, *broken.args) from None
    return Cassette(name, "go-vcr" if version == 2 else "VCR.py", interactions)


def _from_go_vcr(interaction: Fields) -> Interaction:
    sent, got = interaction.fields("request"), interaction.fields("response")
    headers = got.headers("headers")
    return Interaction(
        Request(
            sent.text("method"), sent.text("url"), sent.headers("headers"), sent.body("body", wrapped=False)
        ),
        Response(
            got.number("code", *_STATUS),
            headers,
            got.body("body", wrapped=False, encoding=encoding_of(headers)),
            got.duration("duration"),
        ),
    )


def _from_vcr_py(interaction: Fields) -> Interaction:
    sent, got = interaction.fields("request"), interaction.fields("response")
    headers = got.headers("headers")
    return Interaction(
        Request(
            sent.text("method"), sent.text("uri"), sent.headers("headers"), sent.body("body", wrapped=True)
        ),
        Response(
            got.fields("status").number("code", *_STATUS),
            headers,
            got.body("body", wrapped=True, encoding=encoding_of(headers)),
            None,
        ),
    )
