"""The look at the first event of a chat stream, for `ChatStream.prefetch`.

What the first event says must not depend on what came in the same network chunk, so the bytes are read a
second time here, line by line, until the first event is complete. That costs the parsing of that event; then
nothing is looked at any more.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from deltawire.errors import InvalidJSON, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltawire._native import ChatAccumulator, ChatCompletionChunk
    from deltawire._readers import Chunk
    from deltawire.verdict import ProviderError


class FirstEvent:
    """Finds the first event that says anything.

    Attributes:
        found: whether there is no need to look on.
        chunk: its chunk; None where it has none, as an error that is no JSON, and the sentinel.
        error: the error that it reports, if it does.
        refused: whether it is broken or over a limit, so that the stream raises it.

    Args:
        accumulator: a new one, with the parameters of the stream's own.
    """

    __slots__ = ("_accumulator", "chunk", "error", "found", "refused")

    def __init__(self, accumulator: ChatAccumulator) -> None:
        self._accumulator = accumulator
        self.found = False
        self.chunk: ChatCompletionChunk | None = None
        self.error: ProviderError | None = None
        self.refused = False

    def feed(self, data: Chunk) -> None:
        """Take the next bytes of the stream."""
        for line in bytes(data).splitlines(keepends=True):
            if self.found:
                break
            self._look(partial(self._accumulator.feed_chunks, line))

    def close(self) -> None:
        """Take the end of the stream."""
        if not self.found:
            self._look(self._accumulator.close_chunks)

    def _look(self, take: Callable[[], list[ChatCompletionChunk]]) -> None:
        chunks: list[ChatCompletionChunk] = []
        try:
            chunks = take()
        except (InvalidJSON, LimitExceeded):
            self.refused = self._accumulator.error is None
        self.error = self._accumulator.error
        if chunks:
            self.chunk = chunks[0]
        says_error = self.refused or self.error is not None
        self.found = bool(chunks) or says_error or self._accumulator.done
