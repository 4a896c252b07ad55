"""The text of a chat stream, piece by piece, for `ChatStream.text_deltas`.

The pieces add up to the `content` of choice 0 of the completion: the rules are the accumulator's, told in
`rust/core/src/chat/choice.rs` and docs/chat.md. Of a usual chunk this costs reading one attribute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Self

    from deltawire._native import ChatCompletionChunk, ChunkChoice

MOST_DIGITS = len(str(2**64))


class TextDeltas:
    """The pieces of text of a chat stream. Made by `ChatStream.text_deltas`."""

    __slots__ = ("_chunks", "_has_delta", "_merges", "_whole")

    def __init__(
        self, chunks: Iterator[ChatCompletionChunk] | AsyncIterator[ChatCompletionChunk], *, merges: bool
    ) -> None:
        self._chunks: Any = chunks
        # All choices are one.
        self._merges = merges
        # Deltas came, so that whole messages do not count any more.
        self._has_delta = False
        # The index and the text of the last whole message.
        self._whole = (-1, "")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while True:
            if text := self._take(next(self._chunks)):
                return text

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while True:
            if text := self._take(await anext(self._chunks)):
                return text

    def _take(self, chunk: ChatCompletionChunk) -> str:
        text = ""
        for choice in chunk.choices:
            if self._merges or not _as_index(choice.index):
                content: Any = choice.delta.content
                if content is not None:
                    self._has_delta = True
                    text += _join(content)
                elif not self._has_delta:
                    text += self._take_message(choice)
        return text

    def _take_message(self, choice: ChunkChoice) -> str:
        """Return the text of a whole message in the place of a delta, from a provider that did not stream."""
        fields = choice.to_dict()
        delta, message = fields.get("delta"), fields.get("message")
        if isinstance(delta, dict):
            self._has_delta = True
        if delta is not None or not isinstance(message, dict):
            return ""
        index, text = _as_index(choice.index), _join(message.get("content"))
        seen = self._whole[1] if self._whole[0] == index else ""
        self._whole = index, text
        # It takes the place of one that came before, whose text is given out already.
        return text.removeprefix(seen) if text.startswith(seen) else ""


def _as_index(index: Any) -> int:
    """Return what an index means, whatever was sent as one."""
    if type(index) is str and index.isascii() and index.isdigit():
        digits = index.lstrip("0")
        # Beyond 64 bits it is no index, and int() refuses to read thousands of digits.
        index = int(digits) if 0 < len(digits) <= MOST_DIGITS else 0
    return index if type(index) is int and 0 < index < 2**64 else 0


def _join(content: Any) -> str:
    if type(content) is str:
        return content
    if type(content) is not list:
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
    return "".join(text for text in texts if isinstance(text, str))
