"""Two chats over httpx2, without async: the typed chunks of one, the whole message of the other.

    python examples/chat_httpx2.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    DONE: {"city":"Rome"}
"""

import sys

import httpx2

from deltawire import ChatStream

REQUEST = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream": True,
}


def show(client: httpx2.Client) -> None:
    with (
        client.stream("POST", "chat/completions", json=REQUEST) as response,
        ChatStream(response) as stream,
    ):
        for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
    print()


def collect(client: httpx2.Client) -> None:
    with (
        client.stream("POST", "chat/completions", json=REQUEST) as response,
        ChatStream(response, on_end="return") as stream,  # no exception: `end` tells
    ):
        message = stream.collect().choices[0].message
    for call in message.tool_calls or []:
        if call.function and stream.end:
            print(f"{stream.end.name}: {call.function.arguments}")


def main(url: str) -> None:
    with httpx2.Client(base_url=url, timeout=httpx2.Timeout(10.0, read=120.0)) as client:
        show(client)
        collect(client)


if __name__ == "__main__":
    main(sys.argv[1])
