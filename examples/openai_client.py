"""Stream a chat through the openai client, decoded by deltawire, and keep what came of it.

OPENAI_API_KEY=... python examples/openai_client.py https://api.openai.com/v1
"""

import asyncio
import sys
from typing import Any

from openai import APIError, AsyncOpenAI, OpenAI

from deltawire import ChatAccumulator
from deltawire.compat.openai import accelerate

REQUEST: dict[str, Any] = {
    "model": "gpt-5-mini",
    "messages": [{"role": "user", "content": "Say hello."}],
    "stream_options": {"include_usage": True},
    "stream": True,
}


def chat(base_url: str) -> None:
    client = accelerate(OpenAI(base_url=base_url), chunks="deltawire")
    message = ChatAccumulator()
    with client, client.chat.completions.create(**REQUEST) as stream:
        for chunk in stream:
            message.add(chunk)
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="")
    message.close()
    print(f"\n{message.end} {message.usage and message.usage.total_tokens}")


async def chat_async(base_url: str) -> None:
    """Do the same with the client's own chunks: nothing changes but the decoder."""
    async with (
        accelerate(AsyncOpenAI(base_url=base_url)) as client,
        await client.chat.completions.create(**REQUEST) as stream,
    ):
        async for chunk in stream:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="")
    print()


if __name__ == "__main__":
    try:
        chat(sys.argv[1])
        asyncio.run(chat_async(sys.argv[1]))
    except APIError as error:
        sys.exit(f"the provider reported an error: {error.message}")
