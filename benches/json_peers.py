"""What users decode event streams with today, and the floor: from chunks to the last value.

A reader decodes the data of every event up to the sentinel, drops each value when it has the next one, and
gives back the last, None if there was none (`measure.assert_values`). The decoders are those of `peers`; each
stands with its own `json()` (the standard library's) and with orjson, which its users turn to for speed.

The floor is not a reader of chunks: `orjson.loads` on the data already cut out.
"""

from collections.abc import Callable
from typing import Any

import orjson
from httpx_sse._decoders import SSEDecoder as HttpxSSEDecoder
from httpx_sse._decoders import SSELineDecoder
from ld_eventsource.reader import _BufferedLineReader, _SSEReader
from openai._streaming import SSEDecoder as OpenAISSEDecoder

from benches.bodies import DONE, Chunks
from benches.peers import TextDecoder
from deltawire import JSONParser


def floor(payloads: list[bytes]) -> Any:
    value = None
    loads = orjson.loads
    for payload in payloads:
        value = loads(payload)
    return value


def deltawire(chunks: Chunks) -> Any:
    value = None
    parser = JSONParser()
    for chunk in chunks:
        for found in parser.feed(chunk):
            value = found
    parser.close()
    return value


def launchdarkly_orjson(chunks: Chunks) -> Any:
    value = None
    for sse in _SSEReader(_BufferedLineReader.lines_from(chunks)).events_and_comments():
        data = sse.data
        if data == DONE:
            break
        value = orjson.loads(data)
    return value


def httpx_sse_json(chunks: Chunks) -> Any:
    value = None
    text = TextDecoder("replace")
    lines = SSELineDecoder()
    decoder = HttpxSSEDecoder()
    for chunk in chunks:
        for line in lines.decode(text.decode(chunk)):
            sse = decoder.decode(line)
            if sse is not None:
                if sse.data == DONE:
                    return value
                value = sse.json()
    return value


def httpx_sse_orjson(chunks: Chunks) -> Any:
    value = None
    text = TextDecoder("replace")
    lines = SSELineDecoder()
    decoder = HttpxSSEDecoder()
    for chunk in chunks:
        for line in lines.decode(text.decode(chunk)):
            sse = decoder.decode(line)
            if sse is not None:
                data = sse.data
                if data == DONE:
                    return value
                value = orjson.loads(data)
    return value


def openai_json(chunks: Chunks) -> Any:
    value = None
    for sse in OpenAISSEDecoder().iter_bytes(iter(chunks)):
        if sse.data == DONE:
            break
        value = sse.json()
    return value


def openai_orjson(chunks: Chunks) -> Any:
    value = None
    for sse in OpenAISSEDecoder().iter_bytes(iter(chunks)):
        data = sse.data
        if data == DONE:
            break
        value = orjson.loads(data)
    return value


FLOOR = "orjson.loads, data already cut out"

READERS: dict[str, Callable[[Chunks], Any]] = {
    "deltawire": deltawire,
    "launchdarkly-eventsource + orjson": launchdarkly_orjson,
    "httpx-sse + orjson": httpx_sse_orjson,
    "httpx-sse + json": httpx_sse_json,
    "openai + orjson": openai_orjson,
    "openai + json": openai_json,
}
