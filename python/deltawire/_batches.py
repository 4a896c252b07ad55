"""The iterators over a stream other than the stream itself: by batch, and by item at C speed.

Both ask the stream for its pending batch, which it hands out as one shared iterator, and hold nothing
themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Self

_T = TypeVar("_T")


class Batches(Generic[_T]):
    """The items of a stream, in a list for each network chunk that completed any."""

    __slots__ = ("_abatch", "_fill")

    def __init__(self, fill: Callable[[], Iterator[_T]], abatch: Callable[[], Awaitable[list[_T]]]) -> None:
        self._fill = fill
        self._abatch = abatch

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[_T]:
        return list(self._fill())

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[list[_T]]:
        return self._abatch()


class Pieces(Generic[_T]):
    """The batches for `itertools.chain`. As it ends for good if this raises, an error goes in as a piece."""

    __slots__ = ("_fill",)

    def __init__(self, fill: Callable[[], Iterator[_T]]) -> None:
        self._fill = fill

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Iterator[_T]:
        try:
            return self._fill()
        except StopIteration:
            raise
        except BaseException as error:
            return _Raising(error)


class _Raising(Generic[_T]):
    """An iterator that raises, once."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error: BaseException | None = error

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> _T:
        error, self._error = self._error, None
        if error is None:
            raise StopIteration
        try:
            raise error
        finally:
            del error  # the exception holds this frame, which must not hold the exception
