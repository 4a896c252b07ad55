"""A chat with deadlines, which asks another model where the first one cannot answer.

    python examples/deadlines.py http://127.0.0.1:8000/v1

prints, when "busy" begins with an error and "stuck" falls silent within its answer:

    busy: UpstreamError
    stuck: Let me
    idle_timeout has passed; this had come: 'Let me'
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2

from deltawire import ChatStream, DeltawireError, StreamTimeout


@asynccontextmanager
async def ask(client: httpx2.AsyncClient, models: Iterable[str]) -> AsyncIterator[tuple[str, ChatStream]]:
    """Ask one model after the other; give the first that begins to answer, and its stream."""
    async with AsyncExitStack() as stack:
        for model in models:
            request = {
                "model": model,
                "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
                "stream": True,
            }
            try:
                response = await stack.enter_async_context(
                    client.stream("POST", "chat/completions", json=request)
                )
                stream = await stack.enter_async_context(
                    ChatStream(response, first_event_timeout=30, idle_timeout=1, total_timeout=600)
                )
                await stream.prefetch()  # takes nothing: the iteration gives all
                break
            except (DeltawireError, httpx2.TransportError) as error:
                print(f"{model}: {type(error).__name__}")
                await stack.aclose()
        else:
            sys.exit("no model has answered")
        yield model, stream


async def main(url: str) -> None:
    # The stream's deadlines are those that count. The client's are for connecting, and for the head.
    async with (
        httpx2.AsyncClient(base_url=url, timeout=httpx2.Timeout(10, read=60)) as client,
        ask(client, ["busy", "stuck"]) as (model, stream),
    ):
        print(f"{model}: ", end="")
        try:
            async for text in stream.text_deltas():
                print(text, end="", flush=True)
        except StreamTimeout as timeout:
            # Without a first event there is no choice either.
            came = "".join(choice.message.content or "" for choice in stream.completion.choices)
            print(f"\n{timeout.deadline} has passed; this had come: {came!r}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
