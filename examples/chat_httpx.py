"""A chat over httpx: the text as it comes, then what the message says as a whole.

    python examples/chat_httpx.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    weather({"city":"Rome"})
    tool_calls: 12 tokens in, 7 out
"""

import asyncio
import sys

import httpx

from deltawire import ChatStream, DeltawireError, UpstreamError

REQUEST = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}

# Time for the first token to come, and between two reads. A model may think for a while.
TIMEOUT = httpx.Timeout(10.0, read=120.0)


async def main(url: str) -> None:
    async with (
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT) as client,
        client.stream("POST", "chat/completions", json=REQUEST) as response,
        ChatStream(response, n=1) as stream,
    ):
        try:
            async for text in stream.text_deltas():
                print(text, end="", flush=True)
        except UpstreamError as error:
            sys.exit(f"the provider says: {error.error.message}")
        except (DeltawireError, httpx.TransportError) as error:
            sys.exit(f"this is all that came: {stream.completion.to_dict()} ({error})")

    (choice,) = stream.completion.choices
    print()
    for call in choice.message.tool_calls or []:
        if call.function and call.complete:  # one that was cut is never run
            print(f"{call.function.name}({call.function.arguments})")
    if stream.usage:
        tokens = stream.usage
        print(f"{choice.finish_reason}: {tokens.prompt_tokens} tokens in, {tokens.completion_tokens} out")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
