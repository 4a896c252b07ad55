"""The client of the load bench: holds many streams of a gateway open, and accounts for all that comes.

While streams run, a chunk is only kept with the time that it came at, and its events are counted; it is
looked at when all is over. What did not come out as the upstream sent it fails the run, so no figure is told.
"""

import asyncio
import http.client
import json
import re
import time
from bisect import bisect_left
from itertools import accumulate
from typing import NamedTuple, cast

from benches import load_streams
from benches.load_gateways import Way

PATIENCE = 60.0

_STREAM = re.compile(rb'"id": ?"chatcmpl-(\d+)"')


class Slice(NamedTuple):
    """What some events of each stream took.

    Attributes:
        events: of all streams.
        seconds: from the first one's leave to the last one's arrival.
        cpu_ns: CPU time of the gateway meanwhile.
    """

    events: int
    seconds: float
    cpu_ns: int


class Streams:
    """The streams of one gateway, all open.

    Args:
        way: what the gateway promises to keep.
        group: the number by which the upstream knows them.
        gateway: the port of the gateway.
        upstream: that of the upstream behind it.
        events: how many events with text each of them has.
    """

    def __init__(self, way: Way, group: int, gateway: int, upstream: int, events: int) -> None:
        self._way = way
        self._group = group
        self._gateway = gateway
        self._upstream = upstream
        self._events = events
        self._streams: list[_Stream] = []
        self._expected, self._counted = 0, 0.0
        self._all_came = asyncio.Event()
        self._billed = 0

    async def open(self, count: int) -> None:
        """Ask for so many streams, and wait until each has its head."""
        body = json.dumps(
            {"model": f"load.{self._group}.{self._events}", "messages": [], "stream": True}
        ).encode()
        request = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        request %= (len(body), body)
        loop = asyncio.get_running_loop()
        self._billed = (await self.used())["tokens"]
        async with asyncio.timeout(PATIENCE):
            for _ in range(count):
                made = await loop.create_connection(
                    lambda: _Stream(self, request), "127.0.0.1", self._gateway
                )
                self._streams.append(made[1])
            await asyncio.gather(*(one.opened for one in self._streams))

    async def run(self, each: int, gap: float = 0.0) -> Slice:
        """Have each stream send so many events, so many seconds apart, or as fast as they are taken."""
        events = each * len(self._streams)
        self._expected += events
        self._all_came.clear()
        before = await self.used()
        start = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            await self._go(each, gap)
            await self._all_came.wait()
        seconds = time.monotonic() - start
        return Slice(events, seconds, (await self.used())["cpu"] - before["cpu"])

    async def end(self) -> list[list[int]]:
        """Have them end, hold what came against what was sent, and give the latencies, stream by stream.

        Raises:
            AssertionError: something did not come as it was sent.
        """
        async with asyncio.timeout(PATIENCE):
            await self._go(0)
            await asyncio.gather(*(one.ended for one in self._streams))
        latencies = [_accounted(one, self._way, self._events) for one in self._streams]
        if self._way.bills:
            billed = (await self.used())["tokens"] - self._billed
            assert billed == self._events * len(self._streams), f"{billed} tokens were billed"
        return latencies

    async def used(self) -> dict[str, int]:
        """Ask the gateway what it has used up."""
        used: dict[str, int] = json.loads(await asyncio.to_thread(_get, self._gateway, "/"))
        return used

    def count(self, events: float) -> None:
        """Take note that so many more came, or a half of one."""
        self._counted += events
        if self._counted >= self._expected:
            self._all_came.set()

    async def _go(self, each: int, gap: float = 0.0) -> None:
        await asyncio.to_thread(_get, self._upstream, f"/go/{self._group}/{each}/{round(gap * 1e6)}")


class _Stream(asyncio.Protocol):
    def __init__(self, streams: Streams, request: bytes) -> None:
        self._streams = streams
        self._request = request
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.came: list[tuple[int, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.came.append((time.monotonic_ns(), data))
        if len(self.came) == 1:
            self.opened.set_result(None)
        # Two LF end an event, and every other one has its CR: however it is cut, that adds up.
        self._streams.count((data.count(b"\n") - data.count(b"\r")) / 2)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionError("the gateway closed the connection"))
        elif error is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)


def _get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


def _accounted(stream: _Stream, way: Way, events: int) -> list[int]:
    """Hold a stream against what was sent, and give the latency of each of its events with text, in ns."""
    raw = b"".join(data for _, data in stream.came)
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head[:100]
    body, ends = _dechunked(rest, len(head) + 4)
    found = _STREAM.search(body)
    assert found is not None, "a stream without an event"
    load_streams.assert_kept(way.keeps, int(found[1]), events, body)
    # An event came with the network chunk that has its last byte.
    offsets = list(accumulate(len(data) for _, data in stream.came))
    sent = load_streams.sent(body)
    came = [stream.came[bisect_left(offsets, end)][0] for end in _event_ends(body, ends)[:events]]
    return [after - before for before, after in zip(sent, came, strict=True)]


def _dechunked(raw: bytes, at: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Take the chunked coding off; give also where each chunk ends, in the body and on the wire."""
    parts: list[bytes] = []
    ends: list[tuple[int, int]] = []
    position = length = 0
    while True:
        line = raw.index(b"\r\n", position)
        size = int(raw[position:line], 16)
        if size == 0:
            assert raw[line:] == b"\r\n\r\n"
            return b"".join(parts), ends
        position = line + 2
        parts.append(raw[position : position + size])
        length += size
        position += size + 2
        ends.append((length, at + position - 2))


def _event_ends(body: bytes, ends: list[tuple[int, int]]) -> list[int]:
    """Give for each event where its last byte is on the wire, by the chunk that it is in."""
    found = []
    chunk = 0
    for match in re.finditer(rb"\n\n", body):
        while ends[chunk][0] < match.end():
            chunk += 1
        length, wire = ends[chunk]
        found.append(wire - (length - match.end()))
    return found
