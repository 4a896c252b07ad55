"""What a profile-guided build is trained on: streams of most shapes, cut small and large, read in each way.

    python -m benches.training

`make wheel` runs it with an instrumented build of the package, in an environment that has PyYAML beside it,
for the cassettes, and no peers.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from benches.bodies import CUTS, Chunks
from benches.names import CALLS, CHANGING, MULTIBYTE, REASONING, RECORDED, RUNNING, SHAPES, TEXT
from deltawire import (
    ChatAccumulator,
    ChatParser,
    ChatRelay,
    ChatRelayStream,
    ChatStream,
    EventParser,
    JSONParser,
)

TIMES = {RECORDED: 40, TEXT: 1, MULTIBYTE: 1, CALLS: 1, REASONING: 1, RUNNING: 1, CHANGING: 1}
"""How often a shape is read: recorded streams are short, and weigh as much as all others together."""


def push(chunks: Chunks) -> None:
    """Push a stream into each parser, and look at what comes out as programs do."""
    events, values, chat, message = EventParser(), JSONParser(), ChatParser(), ChatAccumulator()
    relays = [ChatRelay(), ChatRelay(set={"model": "m"}, usage="drop"), ChatRelay(repair=True)]
    found = 0
    for chunk in chunks:
        found += sum(len(event.data) for event in events.feed(chunk))
        found += len(values.feed(chunk))
        for made in chat.feed(chunk):
            found += sum(len(choice.delta.content or "") for choice in made.choices)
        message.feed(chunk)
        found += sum(len(relay.feed(chunk)) for relay in relays)
    parsers: list[Any] = [events, values, chat, message, *relays]
    for parser in parsers:
        parser.close()
    assert found
    assert message.completion.to_dict()["choices"]


async def stream(chunks: Chunks) -> None:
    """Iterate over a stream, and pass it on."""

    async def source() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async with ChatStream(source()) as made:
        async for _ in made:
            pass
    assert made.completion.choices
    async with ChatRelayStream(source()) as sent:
        assert b"".join([data async for data in sent]) == b"".join(chunks)


def main() -> None:
    for shape, times in TIMES.items():
        for chat in SHAPES[shape]():
            for cut in ("1 event", "64 KiB"):
                chunks = chat.stream.chunks(CUTS[cut])
                for _ in range(times):
                    push(chunks)
                    asyncio.run(stream(chunks))


if __name__ == "__main__":
    main()
