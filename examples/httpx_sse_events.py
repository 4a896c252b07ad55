"""Two chats with the API of httpx-sse, blocking and async.

    python examples/httpx_sse_events.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    7 events of type 'message', the last one is [DONE]
"""

import asyncio
import sys

import httpx

from deltawire.compat.httpx_sse import SSEError, aconnect_sse, connect_sse

REQUEST = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream": True,
}
TIMEOUT = httpx.Timeout(10.0, read=120.0)


def read(url: str) -> None:
    with (
        httpx.Client(base_url=url, timeout=TIMEOUT) as client,
        connect_sse(client, "POST", "chat/completions", json=REQUEST) as source,
    ):
        source.response.raise_for_status()
        for event in source.iter_sse():
            if event.data == "[DONE]":
                break
            for choice in event.json()["choices"]:
                print(choice["delta"].get("content") or "", end="", flush=True)
    print()


async def read_async(url: str) -> None:
    async with (
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT) as client,
        aconnect_sse(client, "POST", "chat/completions", json=REQUEST, strict=True) as source,
    ):
        events = [event async for event in source.aiter_sse()]
    types = {event.event for event in events}
    print(f"{len(events)} events of type {'/'.join(map(repr, types))}, the last one is {events[-1].data}")


if __name__ == "__main__":
    try:
        read(sys.argv[1])
        asyncio.run(read_async(sys.argv[1]))
    except (SSEError, httpx.HTTPError) as error:
        sys.exit(f"no events: {error}")
