"""A chat that is passed on: under another model's name, without the usage, which the gateway keeps.

    python examples/relay_chat.py http://127.0.0.1:8000/v1

prints, when the model answers so, the end of what a client gets, and the bill:

    "model":"house","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
    data: [DONE]
    DONE 19 tokens
"""

import asyncio
import sys

import httpx2

from deltawire import ChatRelayStream

REQUEST = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}


async def main(url: str) -> None:
    sent = bytearray()  # a server sends them to its client instead
    async with (
        httpx2.AsyncClient(timeout=120) as client,
        client.stream("POST", f"{url}/chat/completions", json=REQUEST) as response,
        ChatRelayStream(
            response,
            set={"model": "house"},
            usage="drop",
            append_error=True,
            keep_alive=15.0,
            on_disconnect="drain",
        ) as stream,
    ):
        async for data in stream:
            sent += data
    *_, last, done, _ = sent.decode().split("\n\n")
    print(last[last.index('"model"') :])
    print(done)
    assert stream.end is not None
    assert stream.usage is not None
    print(stream.end.name, stream.usage.total_tokens, "tokens")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
