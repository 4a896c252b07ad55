"""A chat that is passed on byte by byte, and LiteLLM's response made of it afterwards, for logs and bills.

    python examples/litellm_response.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    weather {"city":"Rome"}
    tool_calls, 19 tokens
"""

import sys

import httpx2
import litellm

from deltawire.compat.litellm import stream_chunk_builder

MESSAGES = [{"role": "user", "content": "What is the weather in Rome?"}]
REQUEST = {
    "model": "any",
    "messages": MESSAGES,
    "stream": True,
    "stream_options": {"include_usage": True},
}


def relay(url: str) -> list[bytes]:
    """Keep the bytes as they come; a server sends them to its client as well."""
    with (
        httpx2.Client(base_url=url, timeout=httpx2.Timeout(10.0, read=120.0)) as client,
        client.stream("POST", "chat/completions", json=REQUEST) as response,
    ):
        response.raise_for_status()
        return list(response.iter_bytes())


def main(url: str) -> None:
    try:
        made = stream_chunk_builder(relay(url), messages=MESSAGES)
    except litellm.APIError as error:
        sys.exit(f"the provider reported an error: {error.message}")
    choice = made.choices[0]
    print(choice.message.content)
    for call in choice.message.tool_calls or []:
        print(call.function.name, call.function.arguments)
    print(f"{choice.finish_reason}, {made.usage.total_tokens} tokens")


if __name__ == "__main__":
    main(sys.argv[1])
