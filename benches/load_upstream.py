"""The upstream of the load bench: `python -m benches.load_upstream`. It prints the port that it serves on.

It is asked for a stream by a POST whose `model` is `load.EVENTS.MICROSECONDS`: how many events, and how far
apart; 0 is as fast as they are taken. The head is answered at once. The events of all streams that were asked
for begin with the next GET, so that what is measured is streaming, with all streams open. Each event is a
write of its own, as a provider flushes them. Over TCP, in a bare protocol: it has to be faster than what is
measured.
"""
# ruff: noqa: T201 - it tells its port.

import asyncio
import itertools
import re
import time
from typing import cast

import uvloop

from benches import load_streams

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_GONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_ASKED = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_MODEL = re.compile(rb'"model": ?"load\.(\d+)\.(\d+)"')


class Upstream(asyncio.Protocol):
    """A connection, which has one stream at a time."""

    waiting: "list[Upstream]" = []
    numbers = itertools.count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._writable = True
        self._idle = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self._transport.write(_GONE)
            self._transport.close()
            self._go()
            return
        length = _ASKED.search(head)
        assert length is not None
        if len(body) < int(length[1]):
            return
        self._received = b""
        asked = _MODEL.search(body)
        assert asked is not None
        self._events, micros = map(int, asked.groups())
        self._gap = micros / 1e6
        self._stream = next(self.numbers)
        self._next = 0
        self._transport.write(_HEAD)
        self.waiting.append(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._idle:
            self._idle = False
            self._send()

    @classmethod
    def _go(cls) -> None:
        begin = asyncio.get_running_loop().time()
        # Evenly spread, as those of independent users are.
        for number, one in enumerate(cls.waiting):
            one._begin(begin + one._gap * number / len(cls.waiting))
        cls.waiting.clear()

    def _begin(self, start: float) -> None:
        self._start = start
        self._loop.call_at(start, self._send) if self._gap else self._loop.call_soon(self._send)

    def _send(self) -> None:
        if not self._writable:
            self._idle = True
            return
        if self._next == self._events:
            ends = load_streams.tail(self._stream, self._events, time.monotonic_ns())
            self._transport.write(b"".join(map(_chunk, ends)) + b"0\r\n\r\n")
            return
        event = load_streams.event(self._stream, self._next, time.monotonic_ns())
        self._transport.write(_chunk(event))
        self._next += 1
        if self._gap:
            self._loop.call_at(self._start + self._next * self._gap, self._send)
        else:
            self._loop.call_soon(self._send)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
