"""Chat streams over HTTP on loopback, the recorded bodies one after the other on a warm connection."""

import asyncio
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benches import http_peers
from benches.bodies import CUTS
from benches.chats import recorded
from benches.http_peers import READERS, Clients
from benches.http_server import path
from benches.measure import TIMER, measure
from benches.names import RECORDED


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def clients(runner: asyncio.Runner) -> Iterator[Clients]:
    opened = http_peers.opened()
    yield runner.run(opened.__aenter__())
    runner.run(opened.__aexit__(None, None, None))


@pytest.mark.benchmark(disable_gc=True, max_time=0.4, min_rounds=3, timer=TIMER)
@pytest.mark.parametrize(
    ("cut", "client", "lib"),
    [(cut, client, lib) for cut in CUTS for client in READERS for lib in READERS[client]],
)
def test_http(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, clients: Clients, cut: str, client: str, lib: str
) -> None:
    read = READERS[client][lib]
    paths = [path(RECORDED, number, cut) for number in range(len(recorded()))]

    async def all_of_them() -> None:
        for each in paths:
            await read(clients, each)

    for chat, each in zip(recorded(), paths, strict=True):
        http_peers.assert_right(runner.run(read(clients, each)), chat)
    measure(
        benchmark,
        [lambda: runner.run(all_of_them())],
        group=f"HTTP with {client}, {RECORDED}, {cut} a chunk",
        lib=lib,
        events=sum(len(chat.stream.payloads) for chat in recorded()),
        size=sum(chat.stream.size for chat in recorded()),
        work=f"HTTP with {client}",
        shape=RECORDED,
        cut=cut,
    )
