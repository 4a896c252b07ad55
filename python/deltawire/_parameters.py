"""What several classes have in common of their parameters: the limits by default, and checks."""

from __future__ import annotations

from typing import Any

# The parsers below have the same by default. An image comes as one event of some megabytes, base64 and all.
MAX_EVENT_SIZE = 32 * 1024 * 1024

# Far beyond what a model says in one answer: what is larger comes of a peer that means harm, or runs wild.
MAX_MESSAGE_SIZE = 64 * 1024 * 1024
MAX_TOOL_CALLS = 1024
MAX_CHOICES = 128


def seconds_or_none(name: str, value: Any) -> float | None:
    """Check a parameter that is a number of seconds, or None for no bound."""
    return None if value is None else seconds(name, value, " or None")


def seconds(name: str, value: Any, others: str = "") -> float:
    """Check a parameter that is a number of seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is a number of seconds{others}, not {type(value).__name__}")
    if not value > 0:
        raise ValueError(f"{name} is a number of seconds above 0{others}, not {value!r}")
    return float(value)


def count(name: str, value: Any) -> int:
    """Check a parameter that is a number of bytes, or of anything else that there is one of at least."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} is a number from 1 on, not {value}")
    return value
