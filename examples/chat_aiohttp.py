"""Chats over aiohttp, several at a time in one session.

    python examples/chat_aiohttp.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Rome: Let me look.
    Oslo: Let me look.
    Lima: Let me look.
"""

import asyncio
import sys

import aiohttp

from deltawire import ChatStream

# aiohttp's default ends every response after five minutes in all, however alive it is.
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


async def ask(session: aiohttp.ClientSession, city: str) -> str:
    request = {
        "model": "any",
        "messages": [{"role": "user", "content": f"What is the weather in {city}?"}],
        "stream": True,
    }
    async with (
        session.post("chat/completions", json=request) as response,
        ChatStream(response) as stream,
    ):
        completion = await stream.collect()
    return f"{city}: {completion.choices[0].message.content}"


async def main(url: str) -> None:
    async with aiohttp.ClientSession(f"{url}/", timeout=TIMEOUT) as session:
        for line in await asyncio.gather(*(ask(session, city) for city in ("Rome", "Oslo", "Lima"))):
            print(line)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
