"""What goes wrong with a response of the stand-in: what is sent of it, how fast, and how it ends.

`spoil` and `spoil_document` tell what is sent; `send` sends it in time and does to the connection what the
fault asks for. To which request a fault applies is decided in `standin`.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import anyio

from deltawire.cassettes import Replay
from deltawire.encoding import encode_error
from deltawire.verdict import ProviderError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, MutableMapping

    from deltawire.cassettes import Split

Fault: TypeAlias = Literal["cut", "reset", "stall", "error", "html", "slow-start", "malformed"]
"""What goes wrong with a response.

* `cut`: the connection ends within an event, and with it the body.
* `reset`: the same, with a TCP reset.
* `stall`: nothing more comes, and the connection stays open.
* `error`: an event with an error comes, and the body ends; without `stream`, an error with status 500.
* `html`: a page of HTML comes, with status 200.
* `slow-start`: the head comes at once, the body after a while.
* `malformed`: an event comes that is no JSON, then the others; without `stream`, half a document.
"""

FAULTS: tuple[Fault, ...] = get_args(Fault)

Pace: TypeAlias = float | Literal["recorded"]
"""Seconds from chunk to chunk, or as fast as it was recorded."""

ERROR = ProviderError("The stand-in was asked for an error.", "server_error", "stand_in", None)
HTML = b"<!doctype html>\n<title>Bad Gateway</title>\n<h1>Bad Gateway</h1>\n"
MALFORMED = b'data: {"choices": [{"index": 0, "delta": {"content":\n\n'

TRANSPORT = "deltawire.transport"
"""The ASGI extension by which `_serve` shows the connection."""

_FLUSH_SECONDS = 1.0


class BrokenOff(Exception):
    """A response was broken off on purpose; the server closes the connection when the app raises this."""


def spoil(events: list[bytes], fault: Fault | None, after: int | None) -> bytes:
    """Give what is sent of a stream. `after` is how many whole events come first; None for half of them."""
    whole = len(events) // 2 if after is None else after
    before, rest = b"".join(events[:whole]), events[whole:]
    match fault:
        case "stall":
            return before
        case "error":
            return before + encode_error(ERROR)
        case "cut" | "reset":
            return before + b"".join(event[: len(event) // 2] for event in rest[:1])
        case "malformed":
            return before + MALFORMED + b"".join(rest)
    return b"".join(events)


def spoil_document(body: bytes, fault: Fault | None) -> bytes:
    """Give what is sent of a JSON document."""
    return body if fault in (None, "slow-start") else body[: len(body) // 2]


async def send(
    body: bytes,
    fault: Fault | None,
    *,
    scope: MutableMapping[str, Any],
    split: Split,
    pace: Pace,
    duration: float | None,
    slow_start: float,
) -> AsyncIterator[bytes]:
    """Give a body in chunks, each when it is due, and end as the fault asks for.

    Args:
        body: what is sent, spoiled already.
        fault: what goes wrong.
        scope: that of the request, for its connection.
        split: where the body is cut.
        pace: how fast it comes.
        duration: how long the recorded body took, in seconds.
        slow_start: how long `"slow-start"` waits, in seconds.

    Raises:
        BrokenOff: the fault is `"cut"` or `"reset"`, and everything before it was sent.
    """
    if fault == "slow-start":
        await anyio.sleep(slow_start)
    if pace == "recorded":
        async for chunk in Replay(body, split, 0, 1.0, duration):
            yield chunk
    else:
        start = anyio.current_time()
        for number, chunk in enumerate(Replay(body, split, 0, 0.0, None)):
            # Also without a pace: others are to have their turn.
            await anyio.sleep(max(0.0, start + number * pace - anyio.current_time()))
            yield chunk
    if fault == "stall":
        await anyio.sleep_forever()
    if fault in ("cut", "reset"):
        transport = (scope.get("extensions") or {}).get(TRANSPORT)
        if transport is not None and fault == "reset":
            await _reset(transport)
        raise BrokenOff(fault)


async def _reset(transport: asyncio.Transport) -> None:
    """Close a connection with RST, after what was written."""
    with anyio.move_on_after(_FLUSH_SECONDS):
        while transport.get_write_buffer_size():  # noqa: ASYNC110 -- only its protocol is told
            await anyio.sleep(0.001)
    # By a duplicate of the descriptor: what event loops hand out as their socket differs.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
