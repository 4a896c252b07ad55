"""The client of the load bench: asks a gateway for many streams at once, and accounts for all that comes.

While streams run, a chunk is only kept with the time that it came at; it is looked at after the clock has
stopped. What does not come out as the upstream sent it fails the run, so no figure is told of it.
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


class Load(NamedTuple):
    """So many streams at once, each of so many events, so many seconds apart; 0 is as fast as they go."""

    streams: int
    events: int
    gap: float = 0.0

    @property
    def model(self) -> str:
        return f"load.{self.events}.{round(self.gap * 1e6)}"

    @property
    def total(self) -> int:
        """How many events there are in all."""
        return self.streams * (self.events + load_streams.TAIL)


class Run(NamedTuple):
    """What came of a load.

    Attributes:
        seconds: from the first event's leave to the last one's arrival.
        cpu_ns: CPU time of the gateway meanwhile.
        idle: bytes that the gateway had resident before the streams were opened.
        resident: the same in mid-stream, all open.
        latencies: of each event with text, in ns, sorted.
    """

    seconds: float
    cpu_ns: int
    idle: int
    resident: int
    latencies: list[int]


class _Stream(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.came: list[tuple[int, bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.came.append((time.monotonic_ns(), data))
        if len(self.came) == 1:
            self.opened.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionError("the gateway closed the connection"))
        elif error is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)


async def run(way: Way, gateway: int, upstream: int, load: Load) -> Run:
    """Put a load on a gateway.

    Args:
        way: what it promises to keep.
        gateway: its port.
        upstream: that of the upstream behind it.
        load: how much.

    Raises:
        AssertionError: something did not come as it was sent.
        TimeoutError: it took more than a minute.
    """
    asked = {"model": load.model, "messages": [], "stream": True}
    body = json.dumps(asked).encode()
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
    request %= (len(body), body)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        idle = await used(gateway)
        made = [
            (await loop.create_connection(lambda: _Stream(request), "127.0.0.1", gateway))[1]
            for _ in range(load.streams)
        ]
        await asyncio.gather(*(one.opened for one in made))
        before = await used(gateway)
        start = time.monotonic_ns()
        await asyncio.to_thread(_get, upstream)
        middle = before
        if load.gap:
            await asyncio.sleep(load.events * load.gap / 2)
            middle = await used(gateway)
        await asyncio.gather(*(one.ended for one in made))
    after = await used(gateway)
    latencies = sorted(latency for one in made for latency in _accounted(one, way, load))
    if way.bills:
        billed = after["tokens"] - idle["tokens"]
        assert billed == load.streams * load.events, f"{billed} tokens were billed"
    end = max(one.came[-1][0] for one in made)
    return Run(
        (end - start) / 1e9, after["cpu"] - before["cpu"], idle["resident"], middle["resident"], latencies
    )


async def used(port: int) -> dict[str, int]:
    """Ask a gateway what it has used up."""
    used: dict[str, int] = json.loads(await asyncio.to_thread(_get, port))
    return used


def _get(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


_STREAM = re.compile(rb'"id": ?"chatcmpl-(\d+)"')


def _accounted(stream: _Stream, way: Way, load: Load) -> list[int]:
    """Hold a stream against what was sent, and give the latency of each of its events with text."""
    raw = b"".join(data for _, data in stream.came)
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head[:100]
    body, ends = _dechunked(rest, len(head) + 4)
    found = _STREAM.search(body)
    assert found is not None, "a stream without an event"
    load_streams.assert_kept(way.keeps, int(found[1]), load.events, body)
    # An event came with the network chunk that has its last byte.
    offsets = list(accumulate(len(data) for _, data in stream.came))
    latencies = []
    for end, sent in zip(_event_ends(body, ends), load_streams.sent(body)[: load.events], strict=False):
        latencies.append(stream.came[bisect_left(offsets, end)][0] - sent)
    assert len(latencies) == load.events
    return latencies


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
    """Give for each event where it ends on the wire; by the chunk that its last byte is in."""
    found = []
    chunk = 0
    for match in re.finditer(rb"\n\n", body):
        while ends[chunk][0] < match.end():
            chunk += 1
        length, wire = ends[chunk]
        found.append(wire - (length - match.end()))
    return found
