"""Scripts for the loopback server that answer a POST, and chat bodies for them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Exchange

DONE = b"data: [DONE]\n\n"

# Each of these between two chunks ends a stream of openai 3.52 and later with a JSONDecodeError.
DEADLY = {
    "retry only": b"retry: 3000\n\n",
    "id only": b"id: 7\n\n",
    "ping without data": b"event: ping\n\n",
    "empty data": b"data:\n\n",
    "blank data": b"data:  \n\n",
    "comment after an id": b'id: 7\ndata: {"choices":[]}\n\n: keep-alive\n\n',
    "several": b"retry: 1\n\nid: 8\n\n: x\n\nevent: ping\n\ndata\n\n",
}


def chunk(content: str = "", finish_reason: str | None = None, **fields: Any) -> bytes:
    """Write a chat chunk as an event, as OpenAI does."""
    delta = {"content": content} if content else {}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
    return event(body | fields)


def event(body: Any, name: str | None = None) -> bytes:
    """Write an event."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()


def answer(
    *pieces: bytes, status: int = 200, content_type: str = "text/event-stream"
) -> Callable[[Exchange], None]:
    """Answer a request with these pieces, and end with the connection: no client tries to use it again."""

    def script(exchange: Exchange) -> None:
        take_request(exchange)
        exchange.head("close", status=status, content_type=content_type)
        for piece in pieces:
            exchange.send(piece)

    return script


def take_request(exchange: Exchange) -> None:
    """Read the body of the request: a connection that is closed with bytes unread is reset."""
    head, _, body = exchange.request.partition(b"\r\n\r\n")
    lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
    length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
    while len(body) < length:
        received = exchange._connection.recv(65536)
        assert received, "the request ended early"
        body += received
    exchange.request = head + b"\r\n\r\n" + body
