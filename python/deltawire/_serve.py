"""Runs the stand-in over TCP, with uvicorn: what `deltawire serve` does once its options are read.

To reset a connection one needs to have it, and ASGI has no word for it. So the server's own protocol class
notes the transport of each connection, and the app finds it in the scope of a request. The rest is uvicorn's.
It logs nothing: what is to be told is told by the command line.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import uvicorn

from deltawire._faults import TRANSPORT

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.applications import Starlette
    from starlette.types import Receive, Scope, Send


def listen(host: str, port: int) -> socket.socket:
    """Give a socket that listens; port 0 is any that is free.

    Raises:
        OSError: the port is in use, or the host is none of this machine.
    """
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return socket.create_server((host, port), family=family, backlog=1024)


def run(app: Starlette, listener: socket.socket, ready: Callable[[], object] = lambda: None) -> None:
    """Serve until the process is interrupted; then what is still being sent is cut.

    Args:
        app: the stand-in.
        listener: the socket.
        ready: called once connections are accepted.

    Raises:
        KeyboardInterrupt: SIGINT came.
    """
    transports: dict[Any, asyncio.BaseTransport] = {}

    async def shown(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            extensions = scope.setdefault("extensions", {})
            extensions[TRANSPORT] = transports.get(tuple(scope["client"] or ()))
        await app(scope, receive, send)

    # The address of a client is what tells its connection, so none is believed from a header.
    config = uvicorn.Config(
        shown,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=0,
    )
    config.load()
    config.http_protocol_class = _noting(config.http_protocol_class, transports)
    _Server(config, ready).run([listener])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _noting(
    base: type[asyncio.Protocol], transports: dict[Any, asyncio.BaseTransport]
) -> type[asyncio.Protocol]:
    """Make a protocol class that notes the transport of each connection."""

    class Noting(base):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._address = tuple(transport.get_extra_info("peername")[:2])
            transports[self._address] = transport
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            transports.pop(self._address, None)
            super().connection_lost(error)

    return Noting
