"""How a chat stream ended, and what the provider said of it.

A stream that was cut must never look like one that ended. What tells is what came, not that nothing more
does.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class StreamEnd(enum.Enum):
    """The verdict on a stream: the first of these that holds."""

    ERROR = "error"
    """The provider reported an error, in the stream or as a JSON document in its place."""
    DONE = "done"
    """The sentinel came."""
    NOT_SSE = "not_sse"
    """Bytes came, but neither a field nor a comment of an event stream: an error page, for example."""
    TRUNCATED = "truncated"
    """The last event is unfinished, or a choice has no finish reason: the stream was cut."""
    EMPTY = "empty"
    """No event had any data."""
    FINISHED = "finished"
    """There was no sentinel, but every choice has its finish reason."""

    @property
    def is_complete(self) -> bool:
        """Whether the message is whole: DONE or FINISHED."""
        return self in _COMPLETE


# To look a member up takes longer than all else that a stream asks at its end.
_COMPLETE = (StreamEnd.DONE, StreamEnd.FINISHED)


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An error that the provider reported inside a stream.

    Attributes:
        message: its text; empty where none was sent.
        type: what sort of error, in the provider's words.
        code: its code, a number or a str as it was sent.
        raw: all of it, decoded.
    """

    message: str
    type: str | None
    code: Any
    raw: Any
