"""The recorded bodies as streams of chunks, each with what a parser must find in it.

The expected answer comes from a plain split of the body and from the standard library's json, so nothing that
is timed has a part in it. The split is right for bodies of a certain form only, which is checked: every block
is one `data` line, lines end with LF.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

Chunks = list[bytes]
Event = tuple[str, str]
"""The `event` and the `data` of one event."""

CUTS: dict[str, int | None] = {"1 event": None, "4 KiB": 4 * 1024, "64 KiB": 64 * 1024}
"""How large a network chunk is, in bytes; None is one event a chunk, as a provider flushes them."""
SIZES = {**CUTS, "8 bytes": 8}

CASSETTES = Path(__file__).parent.parent / "tests" / "cassettes"
DONE = "[DONE]"


@dataclass(frozen=True)
class Stream:
    """The blocks of an event stream, each up to its blank line and with the one event that it stands for."""

    name: str
    blocks: list[bytes]
    events: list[Event]

    def chunks(self, size: int | None, blocks: int | None = None) -> Chunks:
        """Cut the first so many blocks, or all of them, into chunks."""
        if size is None:
            return self.blocks[:blocks]
        body = b"".join(self.blocks[:blocks])
        return [body[start : start + size] for start in range(0, len(body), size)]

    @cached_property
    def payloads(self) -> list[bytes]:
        """The data already cut out, without the sentinel."""
        return [data.encode() for _, data in self.events if data != DONE]

    @property
    def values(self) -> list[Any]:
        return [json.loads(payload) for payload in self.payloads]

    @property
    def size(self) -> int:
        return sum(map(len, self.blocks))


@cache
def recorded() -> list[Stream]:
    """Every response body of the cassettes."""
    return [
        from_body(f"{path.stem}[{number}]", body.encode())
        for path in sorted(CASSETTES.glob("*.yaml"))
        for number, body in enumerate(_response_bodies(path))
    ]


def from_body(name: str, body: bytes) -> Stream:
    blocks = [block + b"\n\n" for block in body.split(b"\n\n")[:-1]]
    for block in blocks:
        if not block.startswith(b"data: ") or block.count(b"\n") != 2 or b"\r" in block:
            raise ValueError(f"{name}: a plain split does not tell what {block[:40]!r} means")
    if b"".join(blocks) != body:
        raise ValueError(f"{name}: the last block has no blank line")
    return Stream(name, blocks, [("message", block[6:-2].decode()) for block in blocks])


def _response_bodies(path: Path) -> Iterator[str]:
    for interaction in yaml.safe_load(path.read_text("utf-8"))["interactions"]:
        yield interaction["response"]["body"]
