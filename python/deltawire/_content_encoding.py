"""Undoes the compression that a recorder left in a body, where the standard library can: gzip and deflate.

VCR.py keeps a body as it came over the wire unless it is told otherwise. Most recorders undo the compression
and keep the header, so the body decides: what is not compressed stays as it is. Of a body that was cut, or is
broken, what came before counts, as it would have for a client. What it may grow to is limited.

br and zstd are left to the reader of the cassette; `hint` tells what to do about them.
"""

from __future__ import annotations

import zlib
from contextlib import suppress

MAX_BYTES = 256 * 1024 * 1024
"""What a body may grow to: a few kilobytes can be made to give gigabytes."""

_PIECE_BYTES = 64 * 1024

# What zlib is to expect: the header of gzip; that of zlib, which "deflate" means; and none, as some servers
# send it.
_WINDOWS = {
    "gzip": (16 + zlib.MAX_WBITS,),
    "x-gzip": (16 + zlib.MAX_WBITS,),
    "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS),
}


class TooLargeError(Exception):
    """The body grows beyond the limit."""


def undo(body: bytes, encoding: str) -> bytes:
    """Decompress a body; one that is not compressed, or in a way not known here, is given as it is.

    Raises:
        TooLargeError: it grows beyond `MAX_BYTES`.
    """
    windows = _WINDOWS.get(encoding, ())
    if not windows or is_text(body):
        return body
    return next(filter(None, (_decompress(body, window) for window in windows)), body)


def is_text(body: bytes) -> bool:
    """Tell whether a body is UTF-8, which nothing compressed is."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_left(body: bytes, encoding: str) -> bool:
    """Tell whether a body of a cassette is still compressed: in a way that `undo` leaves alone."""
    return bool(encoding) and encoding not in _WINDOWS and not is_text(body)


def hint(encoding: str) -> str:
    """Tell what to do about a body that is still compressed."""
    if encoding in _WINDOWS:
        return "and broken: record it anew"
    return "which is not undone here, as gzip and deflate are: record it with `Accept-Encoding: gzip`"


def _decompress(body: bytes, window: int) -> bytes:
    plain = bytearray()

    def take(piece: bytes) -> None:
        nonlocal plain
        plain += member.decompress(piece, MAX_BYTES + 1 - len(plain))
        if len(plain) > MAX_BYTES:
            raise TooLargeError

    at = 0
    with suppress(zlib.error):
        while at < len(body):
            member = zlib.decompressobj(window)  # gzip may have several
            while at < len(body) and not member.eof:
                piece = body[at : at + _PIECE_BYTES]
                before = member.copy()
                try:
                    take(piece)
                except zlib.error:
                    if window < 0:
                        raise  # without a header it may be anything else as well
                    # zlib gives nothing of a piece that is broken, so the last one is taken byte by byte.
                    member = before
                    for byte in piece:
                        take(bytes((byte,)))
                at += len(piece)
            at -= len(member.unused_data)
    return bytes(plain)
