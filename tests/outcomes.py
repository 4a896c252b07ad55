"""What comes out of a stream, errors included, and what goes wrong in its source."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator


def cut(body: bytes, *places: int) -> list[bytes]:
    """Cut a body at these places."""
    return [body[a:b] for a, b in itertools.pairwise((0, *sorted(places), len(body)))]


def pieces(body: bytes, size: int = 1) -> list[bytes]:
    """Cut a body into pieces of a size."""
    return [body[i : i + size] for i in range(0, len(body), size)]


class SourceError(Exception):
    """What a source raises that fails."""


async def alist(items: AsyncIterator[Any]) -> list[Any]:
    """List all that comes out."""
    return [item async for item in items]


def outcomes(items: Iterator[Any]) -> list[Any]:
    """All that comes out, errors included, until the end."""
    found: list[Any] = []
    while len(found) < 100:
        try:
            found.append(next(items))
        except StopIteration:
            break
        except Exception as error:
            found.append(error)
    return found


async def aoutcomes(items: AsyncIterator[Any]) -> list[Any]:
    """All that comes out, errors included, until the end."""
    found: list[Any] = []
    while len(found) < 100:
        try:
            found.append(await anext(items))
        except StopAsyncIteration:
            break
        except Exception as error:
            found.append(error)
    return found


def kinds(found: Iterable[Any]) -> list[Any]:
    """Put the class of each error in its place."""
    return [type(each) if isinstance(each, Exception) else each for each in found]
