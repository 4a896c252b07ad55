"""Cassettes whose bodies were recorded compressed."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
from cassette_files import error_of, go_vcr, vcr_py, write
from command import document

from deltawire import _cassette_file, _content_encoding
from deltawire.cassettes import load

if TYPE_CHECKING:
    from pathlib import Path

BODY = b"".join(
    b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": f"word {n} "}}]}).encode() + b"\n\n"
    for n in range(2000)
)


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


def recorded(folder: Path, body: bytes, encoding: str, name: str = "cassette.yaml") -> Path:
    headers = {"content-type": ["text/event-stream"], "Content-encoding": [encoding]}
    as_text = {"base64_string": base64.b64encode(body).decode()}
    return write(
        folder, vcr_py(as_text if name.endswith(".json") else {"string": body}, headers=headers), name
    )


def body_of(path: Path) -> bytes:
    (interaction,) = load(path)
    return interaction.response.body


@pytest.mark.parametrize("name", ["cassette.yaml", "cassette.json"])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZip", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY[:999]) + gzip.compress(BODY[999:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
    ],
)
def test_gzip_and_deflate_are_undone(tmp_path: Path, encoding: str, packed: bytes, name: str) -> None:
    assert body_of(recorded(tmp_path, packed, encoding, name)) == BODY


def test_those_of_go_vcr_are_undone_too(tmp_path: Path) -> None:
    text = go_vcr(f"!!binary {base64.b64encode(gzip.compress(BODY)).decode()}")
    with_header = text.replace("headers: {}\n    status", "headers: {Content-Encoding: [gzip]}\n    status")
    assert with_header != text
    assert body_of(write(tmp_path, with_header)) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity", "", "gzip, br"])
@pytest.mark.parametrize("body", [BODY, "data: é\n\n".encode(), b"", b"x\x9c"])
def test_a_body_that_is_not_compressed_so_stays_as_it_is(tmp_path: Path, encoding: str, body: bytes) -> None:
    assert body_of(recorded(tmp_path, body, encoding)) == body


@pytest.mark.parametrize("packed", [gzip.compress(BODY), zlib.compress(BODY)])
def test_of_a_body_that_was_cut_all_that_came_counts(tmp_path: Path, packed: bytes) -> None:
    encoding = "gzip" if packed.startswith(b"\x1f") else "deflate"
    got = body_of(recorded(tmp_path, packed[:-50], encoding))
    assert BODY.startswith(got)
    assert len(got) > len(BODY) / 2
    (told,) = document(recorded(tmp_path, packed[:-50], encoding))["interactions"]
    assert (told["end"], told["skipped"]) == ("truncated", None)


def test_of_a_body_that_is_broken_later_what_came_before_counts(tmp_path: Path) -> None:
    noise = b"".join(b"data: %d\n\n" % (n * 2654435761 % 2**32) for n in range(60_000))
    packed = bytearray(gzip.compress(noise))
    packed[-1000:-900] = b"\xff" * 100
    got = body_of(recorded(tmp_path, bytes(packed), "gzip"))
    before = len(noise) * 9 // 10  # what zlib makes of the broken bytes may come behind it
    assert got[:before] == noise[:before]


@pytest.mark.parametrize("packed", [gzip.compress(BODY), zlib.compress(BODY)])
def test_of_a_short_body_that_is_broken_what_came_before_counts_too(tmp_path: Path, packed: bytes) -> None:
    encoding = "gzip" if packed.startswith(b"\x1f") else "deflate"
    assert body_of(recorded(tmp_path, packed[:-4] + b"\0" * 4, encoding)) == BODY
    broken = packed[:2000] + b"\xff" * 20 + packed[2020:]
    assert body_of(recorded(tmp_path, broken, encoding))[:5000] == BODY[:5000]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_compressed_otherwise_stays_as_it_is(tmp_path: Path, encoding: str) -> None:
    packed = brotli.compress(BODY)
    assert body_of(recorded(tmp_path, packed, encoding)) == packed


def test_what_is_not_undone_is_passed_over_with_a_hint(tmp_path: Path) -> None:
    path = recorded(tmp_path, brotli.compress(BODY), "br")
    (told,) = document(path)["interactions"]
    assert told["skipped"] == (
        "recorded compressed: br, which is not undone here, as gzip and deflate are: "
        "record it with `Accept-Encoding: gzip`"
    )


def test_a_body_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_cassette_file, _content_encoding):
        monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    packed = gzip.compress(b"data: 1\n\n" * 1_000_000)
    error = error_of(recorded(tmp_path, packed, "gzip"))
    assert error.place == "interactions[0].response.body"
    assert error.reason == "decompresses to more than 100,000 bytes"
    members = gzip.compress(b"data: 1\n\n" * 6_000) * 2
    assert error_of(recorded(tmp_path, members, "gzip")).reason == error.reason
