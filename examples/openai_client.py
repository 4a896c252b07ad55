"""Two chats through the openai client, decoded by deltawire: with its chunks, and with the client's own.

    OPENAI_API_KEY=... python examples/openai_client.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    FINISHED: weather({"city":"Rome"}), 19 tokens
    Let me look.
"""

import asyncio
import sys
from typing import Any

from openai import APIError, AsyncOpenAI, OpenAI

from deltawire import ChatAccumulator
from deltawire.compat.openai import accelerate

REQUEST: dict[str, Any] = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream_options": {"include_usage": True},
    "stream": True,
}


def chat(url: str) -> None:
    client = accelerate(OpenAI(base_url=url), chunks="deltawire")
    message = ChatAccumulator()
    with client, client.chat.completions.create(**REQUEST) as stream:
        for chunk in stream:
            message.add(chunk)
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
    message.close()
    print()
    assert message.end is not None
    assert message.usage is not None
    for call in message.finished_tool_calls():
        if call.function:
            asked = f"{call.function.name}({call.function.arguments})"
            print(f"{message.end.name}: {asked}, {message.usage.total_tokens} tokens")


async def chat_async(url: str) -> None:
    """Do the same with the client's own chunks: nothing changes but the decoder."""
    async with (
        accelerate(AsyncOpenAI(base_url=url)) as client,
        await client.chat.completions.create(**REQUEST) as stream,
    ):
        async for chunk in stream:
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    try:
        chat(sys.argv[1])
        asyncio.run(chat_async(sys.argv[1]))
    except APIError as error:
        sys.exit(f"the provider reported an error: {error.message}")
