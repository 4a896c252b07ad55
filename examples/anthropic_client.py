"""A message through the anthropic client, decoded by deltawire.

    ANTHROPIC_API_KEY=... python examples/anthropic_client.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    end_turn, 7 tokens
"""

import sys

from anthropic import Anthropic, APIError

from deltawire.compat.openai import accelerate


def chat(url: str) -> None:
    # This client puts the /v1 behind its base URL by itself.
    client = accelerate(Anthropic(base_url=url.removesuffix("/v1")))
    with (
        client,
        client.messages.stream(
            model="any",
            max_tokens=200,
            messages=[{"role": "user", "content": "What is the weather in Rome?"}],
        ) as stream,
    ):
        for text in stream.text_stream:
            print(text, end="", flush=True)
        message = stream.get_final_message()
    print(f"\n{message.stop_reason}, {message.usage.output_tokens} tokens")


if __name__ == "__main__":
    try:
        chat(sys.argv[1])
    except APIError as error:
        sys.exit(f"the provider reported an error: {error.message}")
