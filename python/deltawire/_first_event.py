"""The look at the first event of a chat stream, for `ChatStream.prefetch`.

What the first event says must not depend on what came in the same network chunk, so the bytes are read a
second time here, line by line, until the first event is complete. That costs the parsing of that event; then
nothing is looked at any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltawire._native import ChatAccumulator
from deltawire.errors import DeltawireError

if TYPE_CHECKING:
    from deltawire._native import ChatCompletionChunk
    from deltawire._readers import Chunk
    from deltawire.verdict import ProviderError


class FirstEvent:
    """Finds the first event that says anything.

    Attributes:
        found: whether there is no need to look on.
        chunk: its chunk; None where it has none, as an error that is no JSON, and the sentinel.
        error: the error that it reports, if it does.
    """

    __slots__ = ("_accumulator", "chunk", "error", "found")

    def __init__(self) -> None:
        self._accumulator = ChatAccumulator()
        self.found = False
        self.chunk: ChatCompletionChunk | None = None
        self.error: ProviderError | None = None

    def feed(self, data: Chunk) -> None:
        """Take the next bytes of the stream."""
        try:
            for line in bytes(data).splitlines(keepends=True):
                self._take(self._accumulator.feed_chunks(line))
                if self.found:
                    break
        except DeltawireError:
            self.found = True  # a limit; the stream has limits of its own, and raises what is due

    def close(self) -> None:
        """Take the end of the stream."""
        if not self.found:
            self._take(self._accumulator.close_chunks())

    def _take(self, chunks: list[ChatCompletionChunk]) -> None:
        self.error = self._accumulator.error
        if chunks:
            self.chunk = chunks[0]
        self.found = bool(chunks) or self.error is not None or self._accumulator.done
