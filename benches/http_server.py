"""A server on loopback that streams the bodies of the catalogue: `python -m benches.http_server`.

A process of its own, so that serving does not take the interpreter away from the client that is timed. It
prints its port and ends when its input does. A path is a shape, the number of the stream and the cut, all of
them quoted; what comes after them is passed over, as is the body of a request. Each network chunk is an HTTP
chunk, sent by itself.
"""
# ruff: noqa: T201 - a command prints.

import asyncio
import sys
from urllib.parse import quote, unquote

from benches.bodies import SIZES
from benches.names import SHAPES

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def path(shape: str, number: int, cut: str) -> str:
    """Name a stream in a URL."""
    return "/" + "/".join(quote(part, safe="") for part in (shape, str(number), cut))


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
            target = head.split(" ", 2)[1]
            for line in head.split("\r\n"):
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    await reader.readexactly(int(value))
            shape, number, cut = (unquote(part) for part in target.split("/")[1:4])
            chunks = SHAPES[shape]()[int(number)].stream.chunks(SIZES[cut])
            writer.write(HEAD)
            for chunk in chunks:
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the client is done
    finally:
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(_main())
