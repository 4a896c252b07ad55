"""What messages are assembled with: from chunks, or from data already cut out, to the message.

Each way returns something of its own; beside it stands the function that finds the `chats.Message` in it,
which is not timed. deltawire is timed up to four points, because what is asked of the message is a choice:

- fed: all chunks fed and closed, nothing asked. What an observer pays for a stream that it only counts.
- completion: `completion` taken, which is a copy of what came; nothing read.
- read: content, tool calls and finish reason read from it.
- to_dict: the whole message as a dict.

The others: openai's decoder, typed chunks and `ChatCompletionStreamState`, as its client runs them. It takes
some 100 us a chunk, and rebuilds the message with each one, so it gets the short streams and few rounds.
msgspec with a loop that joins: what a careful user would write for well-behaved providers, the data already
cut out. orjson.loads alone: the floor of everything that goes through dicts.
"""

from typing import Any

from openai._models import construct_type
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from benches import json_peers
from benches.bodies import DONE, Chunks
from benches.chats import Call, Message, Way
from benches.chunk_peers import DECODER
from deltawire import ChatAccumulator, ChatCompletion


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


def read(chunks: Chunks) -> Message:
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


def msgspec_joined(payloads: list[bytes]) -> Message:
    decode = DECODER.decode
    content = []
    names: dict[int, str] = {}
    arguments: dict[int, list[str]] = {}
    finish_reason = None
    for payload in payloads:
        for choice in decode(payload).choices:
            delta = choice.delta
            if delta.content:
                content.append(delta.content)
            if choice.finish_reason:
                finish_reason = choice.finish_reason
            if delta.tool_calls:
                for call in delta.tool_calls:
                    function = call.function
                    if function is not None:
                        if function.name:
                            names[call.index] = function.name
                        if function.arguments:
                            arguments.setdefault(call.index, []).append(function.arguments)
    calls = [Call(name, "".join(arguments.get(index, ()))) for index, name in names.items()]
    return Message("".join(content), calls, finish_reason)


def openai(chunks: Chunks) -> Any:
    state = ChatCompletionStreamState()
    for sse in SSEDecoder().iter_bytes(iter(chunks)):
        if sse.data == DONE:
            break
        # As the client makes its chunks, which are not validated.
        state.handle_chunk(construct_type(value=sse.json(), type_=ChatCompletionChunk))  # type: ignore[arg-type]
    return state.get_final_completion()


def found(message: Any) -> Message:
    """Find the message in a completion of deltawire or openai: the attributes have the same names."""
    (choice,) = message.choices
    calls = [Call(call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    return Message(choice.message.content or "", calls, choice.finish_reason)


def found_in_dict(message: dict[str, Any]) -> Message:
    (choice,) = message["choices"]
    calls = [Call(**call["function"]) for call in choice["message"].get("tool_calls", ())]
    return Message(choice["message"]["content"] or "", calls, choice["finish_reason"])


def as_it_is(message: Message) -> Message:
    return message


OURS = {
    "deltawire, fed": Way(fed, lambda accumulator: found(accumulator.completion)),
    "deltawire, completion": Way(completion, found),
    "deltawire, read": Way(read, as_it_is),
    "deltawire, to_dict": Way(to_dict, found_in_dict),
}
MSGSPEC = "msgspec and a loop, data already cut out"
FLOORS = {
    MSGSPEC: Way(msgspec_joined, as_it_is, cut_out=True),
    json_peers.FLOOR: Way(json_peers.floor, cut_out=True),
}
OPENAI = "openai"
OPENAI_WAY = Way(openai, found)
