"""Relay a chat stream byte by byte, and make LiteLLM's response of it afterwards, for logs and bills.

OPENAI_API_KEY=... python examples/litellm_response.py https://api.openai.com/v1/chat/completions
"""

import os
import sys

import httpx
import litellm

from deltawire.compat.litellm import stream_chunk_builder

MESSAGES = [{"role": "user", "content": "What is the weather in Florence?"}]
REQUEST = {"model": "gpt-5-mini", "messages": MESSAGES, "stream": True}


def relay(url: str) -> list[bytes]:
    """Send the bytes on as they come, here to the standard output, and keep them."""
    headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    kept = []
    with httpx.Client() as client, client.stream("POST", url, json=REQUEST, headers=headers) as response:
        response.raise_for_status()
        for data in response.iter_bytes():
            sys.stdout.buffer.write(data)
            kept.append(data)
    sys.stdout.flush()
    return kept


if __name__ == "__main__":
    try:
        made = stream_chunk_builder(relay(sys.argv[1]), messages=MESSAGES)
    except litellm.APIError as error:
        sys.exit(f"the provider reported an error: {error.message}")
    choice = made.choices[0]
    for call in choice.message.tool_calls or []:
        print(call.function.name, call.function.arguments)
    print(choice.message.content, choice.finish_reason, made.usage.total_tokens)
