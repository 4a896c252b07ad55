"""Streams and payloads beyond the recorded ones, made to a size, with their expected result.

What is drawn at random comes from a seed, so that every run measures the same bytes.
"""

import json
import random

from benches.bodies import Stream

WORDS = ["the", "and", "that", "was", "for", "with", "they", "have", "this", "from", "which", "there"]


def json_text(size: int) -> bytes:
    """Make a chat chunk of nearly so many bytes: prose in one string, few escapes."""
    draw = random.Random(size)
    text = " ".join(draw.choices(WORDS, k=size // 3))
    envelope = len(_chat_chunk(""))
    return _chat_chunk(text[: max(0, size - envelope)]).encode()


def json_numbers(size: int) -> bytes:
    """Make an embedding of nearly so many bytes: an array of numbers between -1 and 1."""
    draw = random.Random(size)
    numbers = [round(draw.uniform(-1, 1), 8) for _ in range(max(1, size // 13))]
    return json.dumps({"embedding": numbers}, separators=(",", ":")).encode()


def large_event(size: int) -> Stream:
    """One event of so many bytes, as an image comes."""
    return _one_event(f"an event of {size} bytes", json.dumps({"image": "iVBORw0K" * (size // 8)}).encode())


def many_data_lines(count: int) -> Stream:
    """One event whose data is spread over so many `data` lines."""
    line = '"one of many lines that make up the data of one event",'
    lines = ["[", *[line] * (count - 2), "0]"]
    return _one_event(f"an event of {count} data lines", "\n".join(lines).encode())


def many_events(count: int) -> Stream:
    """So many chat chunks, each with other text."""
    draw = random.Random(count)
    payloads = [_chat_chunk(" " + draw.choice(WORDS)) for _ in range(count)]
    blocks = [f"data: {payload}\n\n".encode() for payload in payloads]
    return Stream(f"{count} events", blocks, [("message", payload) for payload in payloads])


def _one_event(name: str, data: bytes) -> Stream:
    block = b"".join(b"data: " + line + b"\n" for line in data.split(b"\n")) + b"\n"
    return Stream(name, [block], [("message", data.decode())])


def _chat_chunk(content: str) -> str:
    return json.dumps(
        {
            "id": "chatcmpl-d7743865-12eb-48be-abbe-c5cb7d1f6d3c",
            "object": "chat.completion.chunk",
            "created": 1773323480,
            "model": "moonshotai/kimi-k2-0905",
            "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": None}],
        },
        separators=(",", ":"),
    )
