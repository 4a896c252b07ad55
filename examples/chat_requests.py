"""A chat over requests, and the events of the same stream without any idea of chats.

    python examples/chat_requests.py http://127.0.0.1:8000/v1

prints, when the model answers so:

    Let me look.
    7 events, the last one is [DONE]
"""

import sys

import requests

from deltawire import ChatStream, EventStream

REQUEST = {
    "model": "any",
    "messages": [{"role": "user", "content": "What is the weather in Rome?"}],
    "stream": True,
}


def post(session: requests.Session, url: str) -> requests.Response:
    # stream=True, or requests reads all of it first. The timeouts are those to connect and of each read.
    return session.post(f"{url}/chat/completions", json=REQUEST, stream=True, timeout=(10, 120))


def main(url: str) -> None:
    with requests.Session() as session:
        with post(session, url) as response, ChatStream(response) as stream:
            for text in stream.text_deltas():
                print(text, end="", flush=True)
        print()
        with post(session, url) as response, EventStream(response) as events:
            datas = [event.data for event in events]
        print(f"{len(datas)} events, the last one is {datas[-1]}")


if __name__ == "__main__":
    main(sys.argv[1])
