"""Chat streams, each with the message that it adds up to: the recorded ones, and generated ones.

What a recorded stream adds up to is found by joining its deltas with the standard library's json; that is
right for them, as their tool calls come with an index each (tests compare with what the recording client had
assembled). A generated stream is made from its message: pieces that no other event of it has, so that no
event says the same as another. Its envelope is that of the openai API.
"""

import json
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from benches import bodies
from benches.bodies import CUTS, DONE, Chunks, Stream

SEEDS = range(4)
"""So many streams of a sort are read in turn: no round reads the bytes of the one before."""

LATIN = "abcdefghijklmnopqrstuvwxyz"
MULTIBYTE = "абвгдежзийклмнопрстуфхцчшщъыьэюя漢字仮名交文日本語東京中国人大小上下左右😀🎉🌍"


class Call(NamedTuple):
    name: str
    arguments: str


class Message(NamedTuple):
    """What counts of an assembled message."""

    content: str
    calls: list[Call]
    finish_reason: str | None


class Chat(NamedTuple):
    stream: Stream
    message: Message


class Read(NamedTuple):
    """What a reader of chunks has seen last of each field."""

    content: str | None = None
    finish_reason: str | None = None
    name: str | None = None
    arguments: str | None = None


@cache
def recorded() -> list[Chat]:
    """Give the recorded bodies."""
    return [Chat(stream, _joined(stream.values)) for stream in bodies.recorded()]


@cache
def text(count: int) -> list[Chat]:
    """Make streams of so many events of text, most of them a word."""
    return [_text(count, LATIN, seed) for seed in SEEDS]


@cache
def multibyte(count: int) -> list[Chat]:
    """Make the same in letters of two, three and four bytes."""
    return [_text(count, MULTIBYTE, seed) for seed in SEEDS]


@cache
def tool_calls(count: int) -> list[Chat]:
    """Make streams of so many events: four tool calls, one after the other."""
    return [_tool_calls(count, 4, seed) for seed in SEEDS]


@cache
def one_tool_call(deltas: int) -> list[Chat]:
    """Make a stream of one tool call whose arguments come in so many deltas."""
    return [_tool_calls(deltas + 5, 1, 0)]


LONG = "a tool call in 100,000 deltas"

SHAPES: dict[str, Callable[[], list[Chat]]] = {
    "recorded bodies": recorded,
    "2,000 events of text": lambda: text(2_000),
    "2,000 events of multibyte text": lambda: multibyte(2_000),
    "2,000 events of tool calls": lambda: tool_calls(2_000),
    LONG: lambda: one_tool_call(100_000),
}


CASES = [(shape, cut) for shape in SHAPES for cut in CUTS if shape != LONG or cut == "64 KiB"]
"""What is measured: the shapes, and the cut of each."""


class Way(NamedTuple):
    """A way of reading a chat.

    Attributes:
        run: takes chunks, or data already cut out.
        result: finds in what `run` returns what is held against the expected answer; not timed. None for a
            floor, which gives back the last value that it decoded.
        cut_out: whether it gets the data already cut out, which is the same for every cut.
    """

    run: Callable[[Any], Any]
    result: Callable[[Any], Any] | None = None
    cut_out: bool = False

    def input(self, chat: Chat, cut: str, events: int | None = None) -> Chunks:
        """Give what `run` takes for a chat, or for its first events."""
        if self.cut_out:
            return chat.stream.payloads[:events]
        return chat.stream.chunks(CUTS[cut], events)

    def gives(self, given: Chunks, last: Any, expected: object) -> bool:
        """Tell whether `run` gives what it should."""
        returned = self.run(given)
        return bool(returned == last if self.result is None else self.result(returned) == expected)


def assert_chunks(way: Way, chats: list[Chat], cut: str) -> None:
    """Hold a reader of chunks against what it should have seen after each of them."""
    for chat in chats:
        values = chat.stream.values
        steps = list(enumerate(zip(values, reads(values), strict=True), start=1))
        # A long stream is not run from its beginning for each of its events: that would take the square.
        for events, (value, read) in steps[:: 1 + len(steps) ** 2 // 100_000]:
            assert way.gives(way.input(chat, cut, events), value, read), (chat.stream.name, events)
        value, read = steps[-1][1]
        assert way.gives(way.input(chat, cut), value, read), chat.stream.name


def assert_messages(way: Way, chats: list[Chat], cut: str) -> None:
    """Hold what assembles messages against the message of each stream."""
    for chat in chats:
        last = json.loads(chat.stream.payloads[-1])
        assert way.gives(way.input(chat, cut), last, chat.message), chat.stream.name


def reads(values: list[Any]) -> Iterator[Read]:
    """Give what a reader has seen after each chunk."""
    read = Read()
    for value in values:
        for choice in value["choices"]:
            delta = choice["delta"]
            read = read._replace(content=delta.get("content"), finish_reason=choice.get("finish_reason"))
            for call in delta.get("tool_calls") or ():
                function = call["function"]
                read = read._replace(name=function.get("name"), arguments=function.get("arguments"))
        yield read


def _joined(values: list[Any]) -> Message:
    content = ""
    finish_reason = None
    calls: dict[int, Call] = {}
    for value in values:
        for choice in value["choices"]:
            assert choice["index"] == 0
            content += choice["delta"].get("content") or ""
            finish_reason = choice.get("finish_reason") or finish_reason
            for part in choice["delta"].get("tool_calls") or ():
                name, arguments = calls.get(part["index"], Call("", ""))
                function = part["function"]
                calls[part["index"]] = Call(
                    name + (function.get("name") or ""), arguments + (function.get("arguments") or "")
                )
    return Message(content, list(calls.values()), finish_reason)


def _text(count: int, letters: str, seed: int) -> Chat:
    pieces = _pieces(count - 4, letters, seed)
    chunks = [
        _chunk({"role": "assistant", "content": ""}),
        *(_chunk({"content": piece}) for piece in pieces),
        _chunk({}, "stop"),
    ]
    return Chat(_stream(f"text {seed}", chunks), Message("".join(pieces), [], "stop"))


def _tool_calls(count: int, calls: int, seed: int) -> Chat:
    # Beside the calls there are a chunk with the role, the finish reason, the usage and the sentinel.
    in_calls = count - 4
    chunks = [_chunk({"role": "assistant", "content": None})]
    expected = []
    for index in range(calls):
        fragments = in_calls * (index + 1) // calls - in_calls * index // calls - 1
        pieces = ['{"text":"', *_pieces(fragments - 2, LATIN, seed * calls + index, escapes=False), '"}']
        head = {
            "index": index,
            "id": f"call_{seed}{index}",
            "type": "function",
            "function": {"name": "write", "arguments": ""},
        }
        chunks.append(_chunk({"tool_calls": [head]}))
        chunks += (
            _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces
        )
        expected.append(Call("write", "".join(pieces)))
    chunks.append(_chunk({}, "tool_calls"))
    return Chat(_stream(f"tool calls {seed}", chunks), Message("", expected, "tool_calls"))


def _pieces(count: int, letters: str, seed: int, escapes: bool = True) -> list[str]:
    """Draw words; no two are the same, and one in twenty has something to escape."""
    draw = random.Random(f"{letters} {seed}")
    pieces: dict[str, None] = {}
    while len(pieces) < count:
        word = "".join(draw.choices(letters, k=draw.randint(3, 9)))
        pieces[f'"{word}"\n' if escapes and draw.random() < 0.05 else f" {word}"] = None
    return list(pieces)


def _stream(name: str, chunks: list[str]) -> Stream:
    usage = {"prompt_tokens": 25, "completion_tokens": len(chunks), "total_tokens": 25 + len(chunks)}
    payloads = [*chunks, _encode({**_ENVELOPE, "choices": [], "usage": usage}), DONE]
    blocks = [f"data: {payload}\n\n".encode() for payload in payloads]
    return Stream(name, blocks, [("message", payload) for payload in payloads])


_ENVELOPE = {
    "id": "chatcmpl-d7743865-12eb-48be-abbe-c5cb7d1f6d3c",
    "object": "chat.completion.chunk",
    "created": 1773323480,
    "model": "moonshotai/kimi-k2-0905",
    "system_fingerprint": "fp_6e6ff3688b",
}


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _encode({**_ENVELOPE, "choices": [choice], "usage": None})


def _encode(value: Any) -> str:
    # Without escapes beyond those that JSON asks for, as providers send it.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
