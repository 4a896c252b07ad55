"""Read events with the API of httpx-sse, blocking and async, and go on after a broken connection.

python examples/httpx_sse_events.py http://127.0.0.1:8000/events
"""

import asyncio
import sys

import httpx

from deltawire.compat.httpx_sse import SSEError, aconnect_sse, connect_sse


def read(url: str) -> str:
    """Print the events, and return the last event ID."""
    last_event_id = ""
    with httpx.Client() as client, connect_sse(client, "GET", url) as source:
        source.response.raise_for_status()
        for event in source.iter_sse():
            print(event.event, event.data, event.retry)
            last_event_id = event.id
    return last_event_id


async def read_async(url: str, last_event_id: str) -> None:
    headers = {"Last-Event-ID": last_event_id}
    async with (
        httpx.AsyncClient() as client,
        aconnect_sse(client, "GET", url, headers=headers, strict=True) as source,
    ):
        async for event in source.aiter_sse():
            print("async", event.event, event.data)


if __name__ == "__main__":
    try:
        asyncio.run(read_async(sys.argv[1], read(sys.argv[1])))
    except (SSEError, httpx.TransportError) as error:
        sys.exit(f"no events: {error}")
