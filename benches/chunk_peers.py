"""What typed chunks are read with: from chunks, or from data already cut out, to the last fields seen.

Each reader reads content, finish reason, and the name and arguments of tool calls of every chunk, and gives
back what it saw last of each (`chats.Read`); run over each beginning of a stream, that shows every chunk.

The floors get the data already cut out, and are the same for every cut:

- msgspec: structs with the fields that are common to providers, decoded and read the same way.
- orjson.loads: dicts, which nobody reads. What typed chunks may cost where nothing but JSON is decoded.

openai is its decoder and its typed chunks, made as its client makes them, which are not validated.
"""

from typing import Any

import msgspec
from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.types.chat import ChatCompletionChunk

from benches import json_peers
from benches.bodies import DONE, Chunks
from benches.chats import Read, Way
from deltawire import ChatParser


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    index: int
    id: str | None = None
    type: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    role: str | None = None
    content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    index: int
    delta: Delta
    finish_reason: str | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Chunk(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    system_fingerprint: str | None = None
    usage: Usage | None = None


DECODER = msgspec.json.Decoder(Chunk)


def deltawire(chunks: Chunks) -> Read:
    content = finish_reason = name = arguments = None
    parser = ChatParser()
    for data in chunks:
        for chunk in parser.feed(data):
            for choice in chunk.choices:
                delta = choice.delta
                content = delta.content
                finish_reason = choice.finish_reason
                calls = delta.tool_calls
                if calls:
                    for call in calls:
                        function = call.function
                        if function is not None:
                            name = function.name
                            arguments = function.arguments
    parser.close()
    return Read(content, finish_reason, name, arguments)


def msgspec_typed(payloads: list[bytes]) -> Read:
    content = finish_reason = name = arguments = None
    decode = DECODER.decode
    for payload in payloads:
        for choice in decode(payload).choices:
            delta = choice.delta
            content = delta.content
            finish_reason = choice.finish_reason
            calls = delta.tool_calls
            if calls:
                for call in calls:
                    function = call.function
                    if function is not None:
                        name = function.name
                        arguments = function.arguments
    return Read(content, finish_reason, name, arguments)


def openai(chunks: Chunks) -> Read:
    content = finish_reason = name = arguments = None
    for sse in SSEDecoder().iter_bytes(iter(chunks)):
        if sse.data == DONE:
            break
        chunk: Any = construct_type(value=sse.json(), type_=ChatCompletionChunk)
        for choice in chunk.choices:
            delta = choice.delta
            content = delta.content
            finish_reason = choice.finish_reason
            calls = delta.tool_calls
            if calls:
                for call in calls:
                    function = call.function
                    if function is not None:
                        name = function.name
                        arguments = function.arguments
    return Read(content, finish_reason, name, arguments)


OURS = "deltawire"
MSGSPEC = "msgspec, data already cut out"

WAYS = {
    OURS: Way(deltawire),
    MSGSPEC: Way(msgspec_typed, cut_out=True),
    "openai": Way(openai),
    json_peers.FLOOR: Way(json_peers.floor, cut_out=True, floor=True),
}
