"""Stream a message through the anthropic client, decoded by deltawire.

ANTHROPIC_API_KEY=... python examples/anthropic_client.py https://api.anthropic.com
"""

import sys

from anthropic import Anthropic, APIError

from deltawire.compat.openai import accelerate


def chat(base_url: str) -> None:
    with (
        accelerate(Anthropic(base_url=base_url)) as client,
        client.messages.stream(
            model="claude-opus-5",
            max_tokens=200,
            messages=[{"role": "user", "content": "Say hello."}],
        ) as stream,
    ):
        for text in stream.text_stream:
            print(text, end="")
        print(f"\n{stream.get_final_message().usage.output_tokens}")


if __name__ == "__main__":
    try:
        chat(sys.argv[1])
    except APIError as error:
        sys.exit(f"the provider reported an error: {error.message}")
