"""The upstream of the load bench: `python -m benches.load_upstream`. It prints the port that it serves on.

It is asked for a stream by a POST whose `model` is `load.GROUP.EVENTS`, and answers the head at once. Then
all streams of a group wait for GET /go/GROUP/COUNT/MICROSECONDS: each sends so many events, so far apart, or
as fast as they are taken. When all events were sent the next such GET ends the streams. Each event is a write
of its own, as a provider flushes them. It is a bare protocol, as it has to be faster than what is measured.
"""
# ruff: noqa: T201 - it tells its port.

import asyncio
import itertools
import re
import time
from collections import defaultdict
from typing import ClassVar, cast

import uvloop

from benches import load_streams

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_GONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_MODEL = re.compile(rb'"model": ?"load\.(\d+)\.(\d+)"')
_GO = re.compile(rb"GET /go/(\d+)/(\d+)/(\d+) ")


class Upstream(asyncio.Protocol):
    """A connection, which has one stream."""

    groups: ClassVar[dict[int, list["Upstream"]]] = defaultdict(list)
    numbers = itertools.count()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._writable = True
        self._held_up = False
        self._next = self._until = 0

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        if go := _GO.match(head):
            self._transport.write(_GONE)
            self._transport.close()
            self._go(*map(int, go.groups()))
            return
        length = _LENGTH.search(head)
        assert length is not None
        if len(body) < int(length[1]):
            return
        asked = _MODEL.search(body)
        assert asked is not None
        group, self._events = map(int, asked.groups())
        self._stream = next(self.numbers)
        self._transport.write(_HEAD)
        self.groups[group].append(self)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._held_up:
            self._held_up = False
            self._send()

    @classmethod
    def _go(cls, group: int, count: int, micros: int) -> None:
        streams, gap = cls.groups[group], micros / 1e6
        now = asyncio.get_running_loop().time()
        for number, one in enumerate(streams):
            # Evenly spread, as those of independent users are.
            one._begin(now + gap * number / len(streams), count, gap)
        if streams[0]._next == streams[0]._events:
            streams.clear()

    def _begin(self, start: float, count: int, gap: float) -> None:
        if self._next == self._events:
            ends = load_streams.tail(self._stream, self._events)
            self._transport.write(b"".join(map(_chunk, ends)) + b"0\r\n\r\n")
            return
        self._until = self._next + count
        self._due, self._gap = start, gap
        self._schedule()

    def _schedule(self) -> None:
        if self._gap:
            self._loop.call_at(self._due, self._send)
            self._due += self._gap
        else:
            self._loop.call_soon(self._send)

    def _send(self) -> None:
        if not self._writable:
            self._held_up = True
            return
        self._transport.write(_chunk(load_streams.event(self._stream, self._next, time.monotonic_ns())))
        self._next += 1
        if self._next < self._until:
            self._schedule()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
