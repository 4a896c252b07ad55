"""Chat streams of shapes that the recorded bodies lack, from seeds, each made from the message that it says.

The pieces of a message are drawn first, and no two of them are the same, so that no event says the same as
another; the chunks are written around them, in the envelope of the openai API. What a stream adds up to is
therefore known without reading it.
"""

import json
import random
from functools import cache
from typing import Any

from benches.bodies import DONE, Stream
from benches.chats import Call, Chat, Message

SEEDS = range(4)
"""So many streams of a sort are read in turn: no round reads the bytes of the one before."""

LATIN = "abcdefghijklmnopqrstuvwxyz"
MULTIBYTE = "абвгдежзийклмнопрстуфхцчшщъыьэюя漢字仮名交文日本語東京中国人大小上下左右😀🎉🌍"

Chunk = dict[str, Any]


@cache
def text(count: int, letters: str = LATIN) -> list[Chat]:
    """Make streams of so many events of text, most of them a word."""
    return [_chat("text", seed, _saying("content", count - 4, letters, seed)) for seed in SEEDS]


def multibyte(count: int) -> list[Chat]:
    """Make the same in letters of two, three and four bytes."""
    return text(count, MULTIBYTE)


@cache
def reasoning(count: int) -> list[Chat]:
    """Make streams of so many events: three quarters of them reason, the rest answers."""

    def both(seed: int) -> tuple[list[Chunk], list[Message]]:
        answering = count // 4
        thoughts, (thought,) = _saying("reasoning_content", count - 5 - answering, LATIN, seed)
        answers, (answer,) = _saying("content", answering, LATIN, -1 - seed)
        # The finish reason comes once, after both.
        return [*thoughts[:-1], *answers], [answer._replace(reasoning=thought.reasoning)]

    return [_chat("reasoning", seed, both(seed)) for seed in SEEDS]


@cache
def tool_calls(count: int) -> list[Chat]:
    """Make streams of so many events: four tool calls, one after the other."""
    return [_chat("tool calls", seed, _calling(count - 4, 4, seed)) for seed in SEEDS]


@cache
def one_tool_call(deltas: int) -> list[Chat]:
    """Make a stream of one tool call whose arguments come in so many deltas."""
    return [_chat("a tool call", 0, _calling(deltas + 1, 1, 0))]


@cache
def choices(count: int, n: int = 4) -> list[Chat]:
    """Make streams of so many events in all: n choices, an event of each in turn."""

    def all_of(seed: int) -> tuple[list[Chunk], list[Message]]:
        parts = [_saying("content", (count - 2) // n - 2, LATIN, seed * n + index) for index in range(n)]
        chunks = [
            _of_choice(index, chunk)
            for turn in zip(*(part[0] for part in parts), strict=True)
            for index, chunk in enumerate(turn)
        ]
        return chunks, [message for _, (message,) in parts]

    return [_chat(f"n={n}", seed, all_of(seed)) for seed in SEEDS]


@cache
def changing(count: int) -> list[Chat]:
    """Make streams none of whose events has the keys of one of the six before it, in the same order.

    The worst case for whoever expects an event to look like those before it.
    """

    def all_of(seed: int) -> tuple[list[Chunk], list[Message]]:
        chunks, messages = _saying("content", count - 4, LATIN, seed)
        draw = random.Random(seed)
        for number, chunk in enumerate(chunks):
            extras = {f"x_{number % 7}": number, f"y_{number % 11}": draw.choice([None, True, "z", 0.5])}
            where = [chunk, chunk["choices"][0], chunk["choices"][0]["delta"]][number % 3]
            fields = [*where.items(), *extras.items()]
            draw.shuffle(fields)
            where.clear()
            where.update(fields)
        return chunks, messages

    return [_chat("changing shape", seed, all_of(seed)) for seed in SEEDS]


@cache
def running(count: int) -> list[Chat]:
    """Make streams of so many events of text in which more changes than the text.

    Usage so far comes with each event, with padding and a field of the provider's own; the time at times.
    """

    def all_of(seed: int) -> tuple[list[Chunk], list[Message]]:
        chunks, messages = _saying("content", count - 4, LATIN, seed)
        draw = random.Random(seed)
        for number, chunk in enumerate(chunks):
            chunk["created"] += number // 50
            chunk["p"] = "".join(draw.choices(LATIN, k=draw.randint(1, 12)))
            chunk["obfuscation"] = "".join(draw.choices(LATIN, k=draw.randint(1, 12)))
            chunk["usage"] = {"prompt_tokens": 25, "completion_tokens": number, "total_tokens": 25 + number}
        return chunks, messages

    return [_chat("running usage", seed, all_of(seed)) for seed in SEEDS]


@cache
def commented(count: int) -> list[Chat]:
    """Make streams of so many events of text, with a keep-alive comment before each."""

    def with_comments(chat: Chat) -> Chat:
        blocks = [b": keep-alive\n\n" + block for block in chat.stream.blocks]
        return Chat(Stream(f"{chat.stream.name}, comments", blocks, chat.stream.events), chat.messages)

    return [with_comments(chat) for chat in text(count)]


@cache
def image(size: int) -> list[Chat]:
    """Make a stream with an event of so many bytes, which brings an image as OpenRouter sends them."""
    draw = random.Random(size)
    data = "".join(draw.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=size))
    url = f"data:image/png;base64,{data}"
    images = [{"type": "image_url", "image_url": {"url": url}}]
    chunks = [
        _chunk({"role": "assistant", "content": "Here it is."}),
        _chunk({"images": images}),
        _chunk({}, "stop"),
    ]
    return [_chat("an image", 0, (chunks, [Message("Here it is.", [], "stop", image=url)]))]


def _chat(name: str, seed: int, made: tuple[list[Chunk], list[Message]]) -> Chat:
    """Write the chunks down, with the usage and the sentinel after them."""
    chunks, messages = made
    usage = {"prompt_tokens": 25, "completion_tokens": len(chunks), "total_tokens": 25 + len(chunks)}
    # Without escapes beyond those that JSON asks for, as providers send it.
    payloads = [
        json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
        for chunk in (*chunks, {**_ENVELOPE, "choices": [], "usage": usage})
    ]
    payloads.append(DONE)
    blocks = [f"data: {payload}\n\n".encode() for payload in payloads]
    return Chat(Stream(f"{name} {seed}", blocks, [("message", payload) for payload in payloads]), messages)


def _saying(field: str, count: int, letters: str, seed: int) -> tuple[list[Chunk], list[Message]]:
    """Say so many pieces in a field of the delta, between the role and the finish reason."""
    pieces = _pieces(count, letters, seed)
    chunks = [
        _chunk({"role": "assistant", "content": ""}),
        *(_chunk({field: piece}) for piece in pieces),
        _chunk({}, "stop"),
    ]
    said = "".join(pieces)
    message = Message("", [], "stop", reasoning=said) if field != "content" else Message(said, [], "stop")
    return chunks, [message]


def _calling(count: int, calls: int, seed: int) -> tuple[list[Chunk], list[Message]]:
    """Make so many calls in so many chunks, beside those with the role and the finish reason."""
    chunks = [_chunk({"role": "assistant", "content": None})]
    expected = []
    for index in range(calls):
        fragments = count * (index + 1) // calls - count * index // calls - 1
        pieces = ['{"text":"', *_pieces(fragments - 2, LATIN, seed * calls + index, escapes=False), '"}']
        function = {"name": "write", "arguments": ""}
        head = {"index": index, "id": f"call_{seed}{index}", "type": "function", "function": function}
        chunks.append(_chunk({"tool_calls": [head]}))
        chunks += (
            _chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces
        )
        expected.append(Call("write", "".join(pieces)))
    chunks.append(_chunk({}, "tool_calls"))
    return chunks, [Message("", expected, "tool_calls")]


def _pieces(count: int, letters: str, seed: int, escapes: bool = True) -> list[str]:
    """Draw words; no two are the same, and one in twenty has something to escape."""
    draw = random.Random(f"{letters} {seed}")
    pieces: dict[str, None] = {}
    while len(pieces) < count:
        word = "".join(draw.choices(letters, k=draw.randint(3, 9)))
        pieces[f'"{word}"\n' if escapes and draw.random() < 0.05 else f" {word}"] = None
    return list(pieces)


_ENVELOPE = {
    "id": "chatcmpl-d7743865-12eb-48be-abbe-c5cb7d1f6d3c",
    "object": "chat.completion.chunk",
    "created": 1773323480,
    "model": "moonshotai/kimi-k2-0905",
    "system_fingerprint": "fp_6e6ff3688b",
}


def _chunk(delta: Chunk, finish_reason: str | None = None) -> Chunk:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**_ENVELOPE, "choices": [choice], "usage": None}


def _of_choice(index: int, chunk: Chunk) -> Chunk:
    (choice,) = chunk["choices"]
    return {**chunk, "choices": [{**choice, "index": index}]}
