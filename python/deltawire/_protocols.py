"""What the parts of a stream ask of each other: for type checkers, nothing here runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from deltawire._readers import Chunk

_T = TypeVar("_T")


class Counters(Protocol):
    """What the deadlines ask of a parser."""

    @property
    def events(self) -> int: ...
    @property
    def comments(self) -> int: ...


class Parser(Counters, Protocol[_T]):
    """What a stream asks of its parser."""

    @property
    def bytes(self) -> int: ...
    @property
    def malformed(self) -> int: ...
    def feed(self, data: Chunk, /) -> list[_T]: ...
    def close(self) -> list[_T]: ...


class Patient(Protocol):
    """What the deadlines ask of chunks that can be told until when to come: at that time they raise Late."""

    until: float
