"""What a chat stream is relayed with: what a gateway pays for each event that it passes on.

The floor is the observation alone, a `ChatAccumulator` that is fed and asked for nothing. A relay gives back
all that it sends on, and what is held against the expected answer is what a client assembles from that. On
the async side a `ChatRelayStream` is compared with a `ChatRelay` that is fed inside a plain `async for`.
"""

from collections.abc import Callable
from typing import Any

from benches.async_peers import source
from benches.bodies import Chunks
from benches.chats import Message, Way
from benches.message_peers import fed, found, read
from deltawire import ChatAccumulator, ChatRelay, ChatRelayStream

OBSERVED = "deltawire ChatAccumulator, fed"
RELAYED = "deltawire ChatRelay"
EDITED = "deltawire ChatRelay, set and usage dropped"
REPAIRED = "deltawire ChatRelay, repair"

MODEL = "house/model-1"


def _observed(accumulator: ChatAccumulator) -> list[Message]:
    return found(accumulator.completion)


def _relay(**rules: Any) -> Callable[[Chunks], list[bytes]]:
    def run(chunks: Chunks) -> list[bytes]:
        relay = ChatRelay(**rules)
        sent = [relay.feed(chunk) for chunk in chunks]
        sent.append(relay.close())
        return sent

    return run


def _edited(sent: list[bytes]) -> list[Message]:
    accumulator = fed(sent)
    assert accumulator.completion.model == MODEL
    assert accumulator.usage is None
    return found(accumulator.completion)


async def passing(chunks: Chunks) -> list[bytes]:
    """Pass on what a relay gives for each chunk."""
    relay = ChatRelay()
    sent = [relay.feed(chunk) async for chunk in source(chunks)]
    sent.append(relay.close())
    return sent


async def streaming(chunks: Chunks, **options: Any) -> list[bytes]:
    """Do the same with a stream."""
    async with ChatRelayStream(source(chunks), **options) as stream:
        return [sent async for sent in stream]


WAYS = {
    OBSERVED: Way(fed, _observed),
    RELAYED: Way(_relay(), read),
    EDITED: Way(_relay(set={"model": MODEL}, usage="drop"), _edited),
    REPAIRED: Way(_relay(repair=True), read),
}
