"""A loopback server that does step by step what a test tells it to.

A script is a function that a thread runs for each connection: it sends a head, sends pieces, waits until the
test has seen them, and ends, cuts or resets the connection. Nothing is timed: an event that is withheld until
`release()` proves that the client had the one before it. A step that waits gives up after some seconds and
fails the test.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import brotli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Framing = Literal["chunked", "close"]

_PATIENCE = 10.0


class Exchange:
    """One request and what the script answers.

    Attributes:
        request: the head of the request.
    """

    def __init__(self, connection: socket.socket, server: Server) -> None:
        self._connection = connection
        self._server = server
        self._framing: Framing | int = "close"
        self._compressor: zlib._Compress | _Brotli | None = None
        self.request = b""
        self.again()

    def again(self) -> bool:
        """Wait for the next request on the same connection; tell whether there is one."""
        self.request = b""
        while b"\r\n\r\n" not in self.request and (received := self._connection.recv(65536)):
            self.request += received
        return bool(self.request)

    def head(
        self,
        framing: Framing | int = "chunked",
        *,
        status: int = 200,
        content_type: str | None = "text/event-stream",
        gzip: bool = False,
        br: bool = False,
    ) -> None:
        """Send the head of the response. A number as framing is a Content-Length."""
        self._framing = framing
        lines = [f"HTTP/1.1 {status} Whatever"]
        if content_type is not None:
            lines.append(f"Content-Type: {content_type}")
        if framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        elif framing == "close":
            lines.append("Connection: close")
        else:
            lines.append(f"Content-Length: {framing}")
        if gzip:
            lines.append("Content-Encoding: gzip")
            self._compressor = zlib.compressobj(wbits=31)
        elif br:
            lines.append("Content-Encoding: br")
            self._compressor = _Brotli()
        else:
            self._compressor = None
        self.send_raw("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        """Send a piece of the body: one chunk where the framing has any, flushed where it is compressed."""
        if self._compressor is not None:
            data = self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        self._send_framed(data)

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._connection.sendall(data)

    def wait(self) -> None:
        """Withhold what follows until the test calls `release()`."""
        assert self._server._released.acquire(timeout=_PATIENCE), "the client never had what was sent"

    def end(self) -> None:
        """End the body as its framing asks for."""
        if self._compressor is not None:
            self._send_framed(self._compressor.flush())
        if self._framing == "chunked":
            self.send_raw(b"0\r\n\r\n")

    def reset(self) -> None:
        """Break the connection, with RST instead of FIN."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_for_close(self) -> None:
        """Wait until the client has closed the connection, sending nothing."""
        with suppress(ConnectionResetError):
            while self._connection.recv(65536):
                pass
        self._server.client_closed.set()

    def read_body(self) -> bytes:
        """Give the body of the request, which has a Content-Length.

        A connection that is closed with something unread in it is reset, so a POST is to be read.
        """
        head, _, body = self.request.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
        assert found is not None
        while len(body) < int(found[1]) and (received := self._connection.recv(65536)):
            body += received
        return body

    def _send_framed(self, data: bytes) -> None:
        if self._framing == "chunked":
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.send_raw(data)


class _Brotli:
    """A compressor with the methods of zlib's."""

    def __init__(self) -> None:
        self._compressor: Any = brotli.Compressor()

    def compress(self, data: bytes) -> bytes:
        compressed: bytes = self._compressor.process(data)
        return compressed

    def flush(self, mode: int = zlib.Z_FINISH) -> bytes:
        rest: bytes = self._compressor.finish() if mode == zlib.Z_FINISH else self._compressor.flush()
        return rest


class Server:
    """The running server.

    Attributes:
        port: where it listens, on 127.0.0.1.
        client_closed: set when a script that waited for the client to close the connection saw it.
        connections: how many connections there were.
    """

    def __init__(self, script: Callable[[Exchange], None]) -> None:
        self._script = script
        self._released = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.client_closed = threading.Event()
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def release(self) -> None:
        """Let a script that waits go on."""
        self._released.release()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                exchange = Exchange(connection, self)
                if exchange.request:
                    self._script(exchange)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client went away, which is its right
            except BaseException as error:
                self._failures.append(error)


@contextmanager
def serve(script: Callable[[Exchange], None]) -> Iterator[Server]:
    """Run a server; what failed in a script is raised at the end."""
    server = Server(script)
    acceptor = threading.Thread(target=server._accept)
    acceptor.start()
    try:
        yield server
    finally:
        server._listener.shutdown(socket.SHUT_RDWR)
        server._listener.close()
        acceptor.join()
        for thread in server._threads:
            thread.join()
    if server._failures:
        raise server._failures[0]
