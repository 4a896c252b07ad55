"""Reading cassettes: the two formats, and every way a body, a header and a duration may be written."""

from __future__ import annotations

import base64
import json
import pickle
import re
import sys
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cassette_files import RECORDED, go_vcr, slow_interactions, vcr_py, write

from deltawire import _cassette_file
from deltawire.cassettes import load

if TYPE_CHECKING:
    from pathlib import Path


def body_of(folder: Path, content: str | bytes | dict[str, Any], name: str = "cassette.yaml") -> bytes:
    (interaction,) = load(write(folder, content, name))
    return interaction.response.body


# What the recorded files hold


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_cassette_is_what_a_plain_yaml_loader_reads(path: Path) -> None:
    cassette = load(path)
    slow = slow_interactions(path)
    assert (cassette.path, cassette.format, len(cassette)) == (str(path), "go-vcr", len(slow))
    for interaction, expected in zip(cassette, slow, strict=True):
        request, response = interaction.request, interaction.response
        assert request.method == expected["request"]["method"] == "POST"
        assert request.url == expected["request"]["url"]
        assert request.headers == expected["request"]["headers"]
        assert request.body == expected["request"]["body"].encode()
        assert json.loads(request.body)["stream"] is True
        assert response.status == expected["response"]["code"] == 200
        assert response.headers == expected["response"]["headers"]
        assert response.body == expected["response"]["body"].encode()
        assert response.body.endswith(b"data: [DONE]\n\n")
        number, unit = re.fullmatch(r"([\d.]+)(ms|s)", expected["response"]["duration"]).groups()  # type: ignore[union-attr]
        assert response.duration == pytest.approx(float(number) / (1000 if unit == "ms" else 1))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_body_is_cut_into_its_events_and_lines(path: Path) -> None:
    for interaction, expected in zip(load(path), slow_interactions(path), strict=True):
        body: str = expected["response"]["body"]
        events = [f"{event}\n\n".encode() for event in body.split("\n\n")[:-1]]
        assert list(interaction.replay()) == events
        assert list(interaction.replay("line")) == [line.encode() for line in body.splitlines(keepends=True)]


# How a body may be written


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("|\n      data: a\n\n      data: b\n\n\n", "data: a\n\ndata: b\n"),
        ("|+\n      data: a\n\n      data: b\n\n\n", "data: a\n\ndata: b\n\n\n"),
        ("|-\n      data: a\n\n      data: b\n\n\n", "data: a\n\ndata: b"),
        ("|2+\n        indented\n\n", "  indented\n\n"),
        ("'data: it''s'", "data: it's"),
        (r'"data: a\r\n\r\n\u00e9\U0001F600\x07"', "data: a\r\n\r\n\xe9\U0001f600\x07"),
        ("|\n      data: \U0001f600 \u2028      x\n", "data: \U0001f600 \u2028x\n"),
        ("!!str 12", "12"),
        ("!!int 12", "12"),
        *[
            (text, text)
            for text in ("123", "no", "2020-01-01", "1.50", "0x1F", "1e3", "true", "<<", "=", "1:30")
        ],
        *[(text, "") for text in ("null", "~", "", '""')],
    ],
)
def test_a_body_in_a_cassette_of_go_vcr_is_read_to_the_last_character(
    tmp_path: Path, scalar: str, expected: str
) -> None:
    assert body_of(tmp_path, go_vcr(scalar)) == expected.encode()


def test_a_body_in_a_block_scalar_keeps_its_trailing_blank_lines(tmp_path: Path) -> None:
    assert body_of(tmp_path, go_vcr("|+\n      data: [DONE]\n\n")) == b"data: [DONE]\n\n"


def test_a_binary_body_is_the_bytes_that_it_stands_for(tmp_path: Path) -> None:
    data = bytes(range(256))
    folded = base64.encodebytes(data).decode().replace("\n", "\n      ")
    assert body_of(tmp_path, go_vcr(f"!!binary |\n      {folded}\n")) == data
    assert body_of(tmp_path, go_vcr("!!binary aGk=")) == b"hi"


@pytest.mark.parametrize("name", ["vcr.yaml", "vcr.yml", "vcr.json", "json in another file.yaml"])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"string": "data: \xe9 \U0001f600\n\n"}, "data: \xe9 \U0001f600\n\n".encode()),
        ({"string": ""}, b""),
        ({"string": None}, b""),
        ({"string": "123"}, b"123"),
        ({"base64_string": base64.b64encode(b"\xff\x00").decode()}, b"\xff\x00"),
        ({"base64_string": "/w\nA=\n"}, b"\xff\x00"),
        ("as it is", b"as it is"),
    ],
)
def test_a_body_in_a_cassette_of_vcr_py_is_read(
    tmp_path: Path, name: str, body: dict[str, str], expected: bytes
) -> None:
    content: Any = vcr_py(body, body)
    if name.startswith("json"):
        content = json.dumps(content)
    cassette = load(write(tmp_path, content, name))
    (interaction,) = cassette
    assert cassette.format == "VCR.py"
    assert interaction.request.method == "POST"
    assert interaction.request.url == "https://api.example.com/v1"
    assert interaction.response.status == 200
    assert interaction.response.duration is None
    assert interaction.response.body == interaction.request.body == expected


def test_bytes_and_null_as_vcr_py_writes_them_in_yaml(tmp_path: Path) -> None:
    (interaction,) = load(write(tmp_path, vcr_py({"string": b"\xff\x00"}, None)))
    assert interaction.response.body == b"\xff\x00"
    assert interaction.request.body == b""
    (interaction,) = load(write(tmp_path, vcr_py({"string": "a"}, b"\xfe")))
    assert interaction.request.body == b"\xfe"


def test_headers_are_lists_of_values_under_the_recorded_names(tmp_path: Path) -> None:
    headers = {"Content-Type": ["text/event-stream"], "x-one": "1", "X-Many": ["a", "b"], "X-Raw": [b"\xe9"]}
    (interaction,) = load(write(tmp_path, vcr_py(headers=headers)))
    expected = {
        "Content-Type": ["text/event-stream"],
        "x-one": ["1"],
        "X-Many": ["a", "b"],
        "X-Raw": ["\xe9"],
    }
    assert interaction.response.headers == interaction.request.headers == expected


def test_headers_may_be_missing_and_shared_lists_become_two(tmp_path: Path) -> None:
    content = vcr_py({"string": "a"})
    del content["interactions"][0]["request"]["headers"]
    content["interactions"][0]["response"]["headers"] = None
    (interaction,) = load(write(tmp_path, content))
    assert interaction.request.headers == interaction.response.headers == {}
    shared = {"A": ["b"]}
    text = yaml.dump(vcr_py(headers=shared))
    assert "*id" in text
    (interaction,) = load(write(tmp_path, text))
    assert interaction.request.headers == interaction.response.headers == shared
    assert interaction.request.headers["A"] is not interaction.response.headers["A"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5s", 1.5),
        ("250.7ms", 0.2507),
        ("1m2.5s", 62.5),
        ("1h0m3s", 3603),
        ("12\xb5s", 12e-6),
        ("12\u03bcs", 12e-6),
        ("12us", 12e-6),
        ("7ns", 7e-9),
        (".5s", 0.5),
        ("2.s", 2),
        ("0s", 0),
        ("2562047h47m16.854775807s", 9223372036.854775807),
    ],
)
def test_a_duration_is_read_as_go_writes_it(tmp_path: Path, text: str, seconds: float) -> None:
    (interaction,) = load(write(tmp_path, go_vcr(duration=text)))
    assert interaction.response.duration == pytest.approx(seconds)


@pytest.mark.parametrize("text", ['""', "null", ""])
def test_an_empty_duration_is_none(tmp_path: Path, text: str) -> None:
    (interaction,) = load(write(tmp_path, go_vcr(duration=text)))
    assert interaction.response.duration is None


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    content = go_vcr("|+\n      data: a\n\n")
    assert body_of(tmp_path, b"\xef\xbb\xbf" + content.encode()) == b"data: a\n\n"
    assert body_of(tmp_path, content.replace("\n", "\r\n")) == b"data: a\n\n"
    assert (
        body_of(tmp_path, b"\xef\xbb\xbf" + json.dumps(vcr_py({"string": "a"})).encode(), "bom.json") == b"a"
    )


def test_without_libyaml_the_same_comes_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_libyaml = load(RECORDED[0])
    path = write(tmp_path, go_vcr("!!binary aGk="))
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    _cassette_file._yaml_loader.cache_clear()
    try:
        assert load(RECORDED[0]) == with_libyaml
        assert load(path).interactions[0].response.body == b"hi"
    finally:
        _cassette_file._yaml_loader.cache_clear()


def test_what_is_loaded_is_frozen_comparable_and_picklable() -> None:
    cassette = load(RECORDED[0])
    assert pickle.loads(pickle.dumps(cassette)) == cassette == load(str(RECORDED[0]))
    with pytest.raises(FrozenInstanceError):
        cassette.path = ""  # type: ignore[misc]
    assert not hasattr(cassette.interactions[0].response, "__dict__")


def test_no_repr_shows_a_body_or_a_header() -> None:
    text = repr(load(RECORDED[0]))
    assert "helpful assistant" not in text
    assert "event-stream" not in text
    assert "api/v1/chat/completions" in text


def test_without_pyyaml_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ModuleNotFoundError, match=re.escape("pip install 'deltawire[replay]'")) as caught:
        load(RECORDED[0])
    assert caught.value.name == "yaml"
    assert len(load(write(tmp_path, vcr_py({"string": "x"}), "needs none.json"))) == 1
