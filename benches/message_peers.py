"""What messages are assembled with: from chunks, or from data already cut out, to the message.

Each way returns something of its own; beside it stands the function that finds the `chats.Message` of each
choice in it, which is not timed. deltawire is timed up to four points, because what is asked of the message
is a choice:

- fed: all chunks fed and closed, nothing asked. What an observer pays for a stream that it only counts.
- completion: `completion` taken, which shares what came until more comes; nothing read.
- read: content, tool calls and finish reason read from it.
- to_dict: the whole message as a dict.

The others:

- openai: its decoder, typed chunks and `ChatCompletionStreamState`, as its client runs them. It takes some
  100 us a chunk, and rebuilds the message with each one.
- litellm: a `ModelResponseStream` of each chunk and `stream_chunk_builder`, over openai's decoder. It is not
  timed on the recorded bodies, where it makes "stop" of the finish reason "tool_calls" of three, nor on n=4,
  which it merges into one choice.
- msgspec with a loop that joins: what a careful user would write for well-behaved providers, the data already
  cut out.
- orjson.loads alone: the floor of everything that goes through dicts.
"""

from typing import Any

import msgspec
import orjson
from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from benches import chunk_peers, json_peers
from benches.bodies import DONE, Chunks
from benches.chats import Call, Message, Way
from benches.litellm_peer import MISSING, parts
from benches.names import ALL, CHOICES, LONG, RECORDED
from deltawire import ChatAccumulator, ChatCompletion


class Delta(chunk_peers.Delta):
    reasoning_content: str | None = None
    images: list[Any] | None = None


class Choice(msgspec.Struct):
    index: int
    delta: Delta
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    system_fingerprint: str | None = None
    usage: chunk_peers.Usage | None = None


class Joined:
    """The parts of a message, as a loop over typed structs gathers them."""

    __slots__ = ("arguments", "content", "finish_reason", "images", "names", "reasoning")

    def __init__(self) -> None:
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.images: list[Any] = []
        self.names: dict[int, str] = {}
        self.arguments: dict[int, list[str]] = {}
        self.finish_reason: str | None = None

    def message(self) -> Message:
        calls = [Call(name, "".join(self.arguments.get(index, ()))) for index, name in self.names.items()]
        return Message(
            "".join(self.content), calls, self.finish_reason, "".join(self.reasoning), _url(self.images)
        )


DECODER = msgspec.json.Decoder(Chunk)


def fed(chunks: Chunks) -> ChatAccumulator:
    accumulator = ChatAccumulator()
    for data in chunks:
        accumulator.feed(data)
    accumulator.close()
    return accumulator


def completion(chunks: Chunks) -> ChatCompletion:
    accumulator = ChatAccumulator()
    for data in chunks:
        accumulator.feed(data)
    accumulator.close()
    return accumulator.completion


def read(chunks: Chunks) -> list[Message]:
    accumulator = ChatAccumulator()
    for data in chunks:
        accumulator.feed(data)
    accumulator.close()
    return found(accumulator.completion)


def to_dict(chunks: Chunks) -> dict[str, Any]:
    accumulator = ChatAccumulator()
    for data in chunks:
        accumulator.feed(data)
    accumulator.close()
    return accumulator.completion.to_dict()


def msgspec_joined(payloads: list[bytes]) -> list[Message]:
    decode = DECODER.decode
    messages: dict[int, Joined] = {}
    for payload in payloads:
        for choice in decode(payload).choices:
            message = messages.get(choice.index)
            if message is None:
                message = messages[choice.index] = Joined()
            delta = choice.delta
            if delta.content:
                message.content.append(delta.content)
            if delta.reasoning_content:
                message.reasoning.append(delta.reasoning_content)
            if delta.images:
                message.images += delta.images
            if choice.finish_reason:
                message.finish_reason = choice.finish_reason
            if delta.tool_calls:
                for call in delta.tool_calls:
                    function = call.function
                    if function is not None:
                        if function.name:
                            message.names[call.index] = function.name
                        if function.arguments:
                            message.arguments.setdefault(call.index, []).append(function.arguments)
    return [messages[index].message() for index in sorted(messages)]


def openai(chunks: Chunks) -> Any:
    state = ChatCompletionStreamState()
    for sse in SSEDecoder().iter_bytes(iter(chunks)):
        if sse.data == DONE:
            break
        # As the client makes its chunks, which are not validated.
        state.handle_chunk(construct_type(value=sse.json(), type_=ChatCompletionChunk))  # type: ignore[arg-type]
    return state.get_final_completion()


def litellm(chunks: Chunks) -> Any:
    make_chunk, assemble = parts()
    made = []
    for sse in SSEDecoder().iter_bytes(iter(chunks)):
        data = sse.data
        if data == DONE:
            break
        made.append(make_chunk(**orjson.loads(data)))
    return assemble(made)


def found(message: Any) -> list[Message]:
    """Find the messages in a completion of deltawire or of a peer: the attributes have the same names."""
    return [
        Message(
            choice.message.content or "",
            [Call(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()],
            choice.finish_reason,
            getattr(choice.message, "reasoning", None)
            or getattr(choice.message, "reasoning_content", None)
            or "",
            _url(getattr(choice.message, "images", None)),
        )
        for choice in message.choices
    ]


def found_in_dict(message: dict[str, Any]) -> list[Message]:
    return [
        Message(
            choice["message"]["content"] or "",
            [Call(**call["function"]) for call in choice["message"].get("tool_calls", ())],
            choice["finish_reason"],
            choice["message"].get("reasoning", ""),
            _url(choice["message"].get("images")),
        )
        for choice in message["choices"]
    ]


def _url(images: Any) -> str:
    return images[0]["image_url"]["url"] if images else ""


OURS = {
    "deltawire, fed": Way(fed, lambda accumulator: found(accumulator.completion)),
    "deltawire, completion": Way(completion, found),
    "deltawire, read": Way(read),
    "deltawire, to_dict": Way(to_dict, found_in_dict),
}
MSGSPEC = "msgspec and a loop, data already cut out"
OPENAI = "openai"
LITELLM = "litellm"

WAYS = {
    **OURS,
    MSGSPEC: Way(msgspec_joined, cut_out=True),
    json_peers.FLOOR: Way(json_peers.floor, cut_out=True, floor=True),
    OPENAI: Way(openai, found, not_for=frozenset({LONG})),
    LITELLM: Way(litellm, found, not_for=frozenset(ALL if MISSING else {RECORDED, CHOICES, LONG})),
}
