"""The streams of the load bench: what the upstream sends, and whether a gateway sent all of it on.

The text of each event says which it is of which stream, so that none can be lost, doubled or mixed up
unnoticed; and when it was written, in nanoseconds of the machine's monotonic clock, which is the same for all
processes. Apart from that it is an event of OpenAI's, and a stream ends as one does whose client asked for
usage: a finish reason, a chunk with the usage alone, the sentinel.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

MODEL = "moonshotai/kimi-k2-0905"
HOUSE_MODEL = "house/model-1"
DONE = b"data: [DONE]\n\n"

_HEAD = (
    '"object":"chat.completion.chunk","created":1773323480,"model":"%s","system_fingerprint":"fp_6e6ff3688b"'
)
_EVENT = 'data: {"id":"chatcmpl-%012d",' + _HEAD % MODEL
_CHOICE = ',"choices":[{"index":0,"delta":%s,"logprobs":null,"finish_reason":%s}],"usage":null'
_PADDED = _CHOICE + ',"obfuscation":"%s"}\n\n'
_USAGE = ',"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":%d}}\n\n'
_SENT = re.compile(rb'"content": ?" w\d+\.\d+\.(\d+)"')


class Keeps(Enum):
    """What a gateway promises to keep of a stream."""

    BYTES = "every byte"
    RULES = "every byte but the model and the usage"
    VALUES = "every value"


def event(stream: int, number: int, sent: int) -> bytes:
    """Write an event of a stream that has text."""
    delta = f'{{"content":" w{stream}.{number}.{sent}"}}'
    return (_EVENT % stream + _PADDED % (delta, "null", "x" * (1 + number % 7))).encode()


def tail(stream: int, events: int) -> list[bytes]:
    """Write the events that end a stream."""
    finish = _EVENT % stream + _PADDED % ("{}", '"stop"', "")
    usage = _EVENT % stream + _USAGE % (events, events + 12)
    return [finish.encode(), usage.encode(), DONE]


def whole(stream: int, sent: list[int]) -> bytes:
    """Write a whole stream, given when each of its events with text was written."""
    texts = [event(stream, number, time) for number, time in enumerate(sent)]
    return b"".join([*texts, *tail(stream, len(sent))])


def sent(body: bytes) -> list[int]:
    """Read when the events of a body with text were written."""
    return [int(value) for value in _SENT.findall(body)]


def assert_kept(keeps: Keeps, stream: int, events: int, body: bytes) -> None:
    """Hold what came through a gateway against what the upstream sent.

    Raises:
        AssertionError: something was lost, changed, doubled or put in.
    """
    times = sent(body)
    assert len(times) == events, f"stream {stream}: {len(times)} events of {events}"
    original = whole(stream, times)
    if keeps is Keeps.BYTES:
        assert body == original, f"stream {stream}: the bytes differ"
        return
    expected = list(_values(original))
    if keeps is Keeps.RULES:
        expected = [{**value, "model": HOUSE_MODEL} for value in expected if value["choices"]]
        for value in expected:
            del value["usage"]
    assert list(_values(body)) == expected, f"stream {stream}: the values differ"


def _values(body: bytes) -> Iterator[dict[str, Any]]:
    *events, done, rest = body.split(b"\n\n")
    assert (done + b"\n\n", rest) == (DONE, b""), "it ends without the sentinel"
    for data in events:
        assert data.startswith(b"data: {")
        yield json.loads(data[6:])
