"""What users decode event streams with today, and the floor: from chunks to the last value.

A reader decodes the data of every event up to the sentinel, drops each value when it has the next one, and
gives back the last, None if there was none. The decoders are those of `peers`; each
stands with its own `json()` (the standard library's) and with orjson, which its users turn to for speed.

The floors are no readers of chunks: `orjson.loads`, msgspec and jiter on the data already cut out.
"""

from typing import Any

import httpx2
import jiter
import msgspec
import orjson
from httpx_sse._decoders import SSEDecoder as HttpxSSEDecoder
from httpx_sse._decoders import SSELineDecoder
from ld_eventsource.reader import _BufferedLineReader, _SSEReader
from openai._streaming import SSEDecoder as OpenAISSEDecoder

from benches.bodies import DONE, Chunks
from benches.chats import Way
from benches.peers import TextDecoder, httpx2_response
from deltawire import JSONParser


def floor(payloads: list[bytes]) -> Any:
    value = None
    loads = orjson.loads
    for payload in payloads:
        value = loads(payload)
    return value


def msgspec_floor(payloads: list[bytes]) -> Any:
    value = None
    decode = msgspec.json.Decoder().decode
    for payload in payloads:
        value = decode(payload)
    return value


def jiter_floor(payloads: list[bytes]) -> Any:
    value = None
    from_json = jiter.from_json
    for payload in payloads:
        value = from_json(payload)
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
        # No shape that this is timed on has comments, which would have to be sorted out.
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


def httpx2_orjson(chunks: Chunks) -> Any:
    value = None
    for sse in httpx2.EventSource(httpx2_response(chunks), max_event_size=None):
        data = sse.data
        if data == DONE:
            break
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

WAYS = {
    "deltawire": Way(deltawire),
    "launchdarkly-eventsource + orjson": Way(launchdarkly_orjson),
    "httpx-sse + orjson": Way(httpx_sse_orjson),
    "httpx-sse + json": Way(httpx_sse_json),
    "httpx2 + orjson": Way(httpx2_orjson),
    "openai + orjson": Way(openai_orjson),
    "openai + json": Way(openai_json),
    FLOOR: Way(floor, cut_out=True, floor=True),
    "msgspec.json.decode, data already cut out": Way(msgspec_floor, cut_out=True, floor=True),
    "jiter.from_json, data already cut out": Way(jiter_floor, cut_out=True, floor=True),
}
