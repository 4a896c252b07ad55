"""What can be asked of a stream of a chat at any moment, whether its chunks are taken or its bytes passed on.

All of it is what the native object below has observed; a subclass tells which that is. Both streams
also refuse the same responses, by what these say of an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltawire._content_type import MAX_DOCUMENT_BYTES, chat_refusal

if TYPE_CHECKING:
    from deltawire._native import (
        ChatAccumulator,
        ChatCompletion,
        ChatRelay,
        CompletionUsage,
        StreamTimings,
        ToolCall,
    )
    from deltawire.errors import DeltawireError
    from deltawire.sources import Opened
    from deltawire.verdict import ProviderError, StreamEnd


class Observed:
    """A stream of a chat, as far as it was observed."""

    __slots__ = ()

    # The whole of a usual error document.
    _refused_bytes = MAX_DOCUMENT_BYTES

    if TYPE_CHECKING:
        _parser: Any

    @property
    def _observer(self) -> ChatAccumulator | ChatRelay:
        raise NotImplementedError

    @property
    def completion(self) -> ChatCompletion:
        """The message as far as it has come, at any moment. It does not change any more when more comes."""
        return self._observer.completion

    @property
    def usage(self) -> CompletionUsage | None:
        """The last usage that says anything, wherever in the chunks it stood; of a relay, sent on or not."""
        return self._observer.usage

    @property
    def end(self) -> StreamEnd | None:
        """How the stream ended; None until the sentinel or the end of the source came."""
        return self._observer.end

    @property
    def error(self) -> ProviderError | None:
        """The first error that the provider reported inside the stream."""
        return self._observer.error

    @property
    def done(self) -> bool:
        """Whether the sentinel came."""
        return self._observer.done

    @property
    def timings(self) -> StreamTimings:
        """When things happened. It goes on being filled in."""
        timings: StreamTimings = self._parser.timings
        return timings

    def finished_tool_calls(self, *, final_only: bool = True) -> list[ToolCall]:
        """Return the tool calls that are finished, each of them once: as `ChatAccumulator` does."""
        return self._observer.finished_tool_calls(final_only=final_only)

    # What `BaseStream` asks of its streams.

    def _partial(self) -> ChatCompletion:
        return self.completion

    def _refusal(self, opened: Opened[Any], body: bytes) -> DeltawireError:
        return chat_refusal(opened, body)
