"""Relays for the tests: what is sent on of a stream, however it is cut."""

from __future__ import annotations

from typing import Any

from chat_streams import DONE, STOP, event, text
from outcomes import pieces

from deltawire import ChatAccumulator, ChatRelay, ChatRelayStream, StreamEnd

BODY = text("a", "b", "c") + STOP + DONE
USAGE = {"prompt_tokens": 3, "total_tokens": 5}
USAGE_CHUNK = event({"choices": [], "usage": {"total_tokens": 5}})
BILLED = text("a", "b") + STOP + USAGE_CHUNK + DONE
KEEP_ALIVE = b": keep-alive\n"


def send(*chunks: bytes, **rules: Any) -> bytes:
    """Send a stream through a relay, whole and byte by byte."""
    relay = ChatRelay(**rules)
    sent = [relay.feed(data) for data in chunks]
    whole = b"".join([*sent, relay.close()])
    relay.reset()
    sent = [relay.feed(data) for data in pieces(b"".join(chunks))]
    assert b"".join([*sent, relay.close()]) == whole
    return whole


async def collect(stream: ChatRelayStream) -> bytes:
    return b"".join([data async for data in stream])


def refuse(event: Any) -> None:
    """Raise, for what is not to be sent."""
    if "bad" in event.data:
        raise LookupError


def assert_told(sent: bytes, before: bytes) -> None:
    assert sent.startswith(before + b'data: {"error":')
    assert sent.endswith(b'"code":"incomplete_stream"}}\n\n' + DONE)
    accumulator = ChatAccumulator()
    accumulator.feed(sent)
    assert accumulator.end is StreamEnd.ERROR
