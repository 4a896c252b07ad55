"""Files that are no cassettes: each is a CassetteError that names the place and shows nothing of the file."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cassette_files import error_of, go_vcr, vcr_py, write
from hypothesis import given
from hypothesis import strategies as st

from deltawire import CassetteError, _cassette_file
from deltawire.cassettes import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALIEN_YAML = {
    "unclosed": '{"version": 2',
    "unclosed quote": "version: 'x",
    "bad escape": 'version: "\\q"',
    "alias of nothing": "version: *secret",
    "the same anchor twice": "a: &secret 1\nb: &secret 2",
    "foreign tag": "version: !secret 2",
    "python tag": "version: !!python/name:os.system",
    "set": "version: !!set {a, b}",
    "unknown tag handle": "version: !secret!x 2",
    "merge tag": "a: &a {b: c}\nd: {!!merge x: *a}",
    "text that is tagged a list": "version: !!seq 2",
    "list that is tagged text": "version: !!str [2]",
    "text within itself": "&a !!str {!!value x: *a}",
    "two documents": "version: 2\n---\nversion: 2",
    "list as a key": "? [a]\n: b",
    "mapping within itself as a key": "? &a {x: *a}\n: b",
    "tab": "\tversion: 2",
    "control character": "version: \x01",
    "escape beyond unicode": '"\\UFFFFFFFF"',
    "endless version": f"%YAML {'9' * 5000}.1\n--- x",
    "cycle": "&a {version: 2, interactions: [*a]}",
    "list cycle": "version: 2\ninteractions: &a [*a]",
    "text": "just text",
    "deep": "[" * 100_000,
    "deep and closed": "[" * 100_000 + "]" * 100_000,
    "deep blocks": "- " * 100_000 + "x",
    "deep keys": "? " * 100_000 + "x",
}


@pytest.mark.parametrize("name", ALIEN_YAML)
def test_yaml_that_is_no_cassette_is_a_cassette_error_that_tells_nothing_of_it(
    tmp_path: Path, name: str
) -> None:
    error = error_of(write(tmp_path, ALIEN_YAML[name]))
    assert error.place or "nested" in error.reason
    assert "secret" not in error.reason
    assert "\n" not in str(error)


@pytest.fixture
def without_libyaml(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    _cassette_file._yaml_loader.cache_clear()
    yield
    _cassette_file._yaml_loader.cache_clear()


@pytest.mark.parametrize("name", ALIEN_YAML)
def test_without_libyaml_it_is_a_cassette_error_too(without_libyaml: None, tmp_path: Path, name: str) -> None:
    assert "secret" not in error_of(write(tmp_path, ALIEN_YAML[name])).reason


def test_without_libyaml_half_of_a_surrogate_pair_is_told(without_libyaml: None, tmp_path: Path) -> None:
    assert error_of(write(tmp_path, go_vcr(r'"\ud83d"'))).place == "interactions[0].response.body"


def test_a_file_that_is_not_there_is_a_cassette_error(tmp_path: Path) -> None:
    error = error_of(tmp_path / "missing.yaml")
    assert str(error) == f"{tmp_path / 'missing.yaml'}: {os.strerror(2)}"


def test_a_folder_is_a_cassette_error(tmp_path: Path) -> None:
    assert error_of(tmp_path).reason == os.strerror(21)


def test_a_name_that_no_file_can_have_is_a_cassette_error() -> None:
    assert "name" in error_of("a\0b").reason


@pytest.mark.parametrize("content", ["", " \n\t\n", "\ufeff"])
@pytest.mark.parametrize("name", ["empty.yaml", "empty.json"])
def test_an_empty_file_is_told_as_such(tmp_path: Path, content: str, name: str) -> None:
    assert error_of(write(tmp_path, content, name)).reason == "the file is empty"


@pytest.mark.parametrize(
    ("name", "content", "place", "reason"),
    [
        ("a.yaml", b"version: 2\nbody: \xc3\xa9\xff", "line 2, column 8", "not UTF-8"),
        ("a.yaml", "version: 2\n".encode("utf-16"), "line 1, column 1", "not UTF-8"),
        ("a.yaml", b"a: '\xc3\xa9'\nb: \x07", "line 2, column 4", "control character"),
        ("a.yaml", "version: 2\nbody: 'a' secret", "line 2, column", "not valid YAML"),
        ("a.yaml", "version: 2\nbody: !secret x", "line 2, column 7", "a tag that cassettes do not have"),
        ("a.yaml", "version: 2\nbody: !!binary '*'", "line 2, column 7", "bad base64"),
        ("a.yaml", "version: 2\nbody: !!binary 'aaa'", "line 2, column 7", "bad base64"),
        ("a.yaml", "version: 2\nbody: !!binary '\xe9\xe9\xe9\xe9'", "line 2, column 7", "bad base64"),
        ("a.json", '{"version": 1,\n "secret', "line 2, column", "not valid JSON"),
        ("a.json", '{"version": 1, "x": "\\ud83d"}', "line 1, column", "not valid JSON"),
        ("a.json", "version: 2", "line 1, column 1", "not valid JSON"),
        ("a.json", "[" * 100_000, "line 1, column", "not valid JSON"),
        ("a.json", "[]", "top level", "expected a mapping, found a list"),
        ("a.yaml", "- version: 2", "top level", "expected a mapping, found a list"),
        ("a.yaml", "# nothing", "top level", "expected a mapping, found null"),
        ("a.yaml", "secret", "top level", "expected a mapping, found text"),
        ("a.json", "12", "top level", "expected a mapping, found a number"),
        ("a.yaml", "a: b", "version", "missing"),
        ("a.yaml", "version: 3", "version", "expected 2"),
        ("a.json", '{"version": true}', "version", "expected 2"),
        ("a.yaml", "version: 2", "interactions", "missing"),
        ("a.yaml", "version: 2\ninteractions: []", "interactions", "nothing was recorded"),
        ("a.yaml", "version: 2\ninteractions:", "interactions", "nothing was recorded"),
        ("a.yaml", "version: 2\ninteractions: {}", "interactions", "expected a list, found a mapping"),
        ("a.yaml", "version: 2\ninteractions: [1]", "interactions[0]", "expected a mapping, found text"),
        ("a.yaml", "version: 2\ninteractions: [{}]", "interactions[0].request", "missing"),
    ],
)
def test_an_error_names_the_place(tmp_path: Path, name: str, content: Any, place: str, reason: str) -> None:
    error = error_of(write(tmp_path, content, name))
    assert error.place.startswith(place)
    assert reason in error.reason
    assert str(error) == f"{error.path}: {error.place}: {error.reason}"
    assert "secret" not in str(error)


REQUEST, RESPONSE = "interactions[1].request", "interactions[1].response"


@pytest.mark.parametrize(
    ("way", "value", "place", "reason"),
    [
        (("request",), [], REQUEST, "expected a mapping, found a list"),
        (("request", "method"), None, f"{REQUEST}.method", "expected text, found null"),
        (("request", "uri"), ["secret"], f"{REQUEST}.uri", "expected text, found a list"),
        (("request", "headers"), ["secret"], f"{REQUEST}.headers", "expected a mapping, found a list"),
        (
            ("request", "headers"),
            {"A": {"secret": 1}},
            f"{REQUEST}.headers",
            "expected text, found a mapping",
        ),
        (("request", "headers"), {"A": [None]}, f"{REQUEST}.headers", "expected text, found null"),
        (("request", "body"), ["secret"], f"{REQUEST}.body", "expected text, found a list"),
        (("response", "status"), "200", f"{RESPONSE}.status", "expected a mapping, found text"),
        (("response", "status", "code"), "secret", f"{RESPONSE}.status.code", "expected an HTTP status code"),
        (("response", "status", "code"), 20, f"{RESPONSE}.status.code", "expected an HTTP status code"),
        (("response", "status", "code"), [200], f"{RESPONSE}.status.code", "expected an HTTP status code"),
        (("response", "status", "code"), None, f"{RESPONSE}.status.code", "expected an HTTP status code"),
        (("response", "body"), {}, f"{RESPONSE}.body.string", "missing"),
        (("response", "body", "string"), {"secret": 1}, f"{RESPONSE}.body.string", "found a mapping"),
        (("response", "body"), {"base64_string": "*"}, f"{RESPONSE}.body.base64_string", "bad base64"),
        (("response", "body"), {"base64_string": None}, f"{RESPONSE}.body.base64_string", "found null"),
    ],
)
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_an_error_in_a_field_names_the_way_to_it(
    tmp_path: Path, name: str, way: tuple[str, ...], value: object, place: str, reason: str
) -> None:
    good, content = vcr_py({"string": "x"}), vcr_py({"string": "x"})
    at: Any = content["interactions"][0]
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = value
    content["interactions"] = good["interactions"] + content["interactions"]
    error = error_of(write(tmp_path, content, name))
    assert error.place == place
    assert reason in error.reason
    assert "secret" not in error.reason


def test_json_values_that_yaml_has_as_text_are_told_apart(tmp_path: Path) -> None:
    for value, kind in ((5, "a number"), (1.5, "a number"), (True, "a truth value")):
        error = error_of(write(tmp_path, vcr_py({"string": value}), "a.json"))
        assert error.reason == f"expected text, found {kind}"
        assert error_of(write(tmp_path, vcr_py({"string": "x"}, code=value), "a.json")).place.endswith(
            "status.code"
        )


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "5",
        "-1s",
        "1 s",
        "1.5",
        "s",
        "1s2",
        "1e3s",
        "1S",
        "\u0661s",
        "[]",
        "9" * 400 + "h",
        "1" * 100_000,
    ],
)
def test_a_bad_duration_is_told(tmp_path: Path, text: str) -> None:
    error = error_of(write(tmp_path, go_vcr(duration=text)))
    assert error.place == "interactions[0].response.duration"


def test_a_body_of_go_vcr_is_no_mapping_and_may_not_be_missing(tmp_path: Path) -> None:
    assert error_of(write(tmp_path, go_vcr("{string: x}"))).place == "interactions[0].response.body"
    content = go_vcr("x").replace("    body: x\n", "")
    assert str(error_of(write(tmp_path, content))).endswith("interactions[0].response.body: missing")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_at_all_are_a_cassette_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    for name in ("any.yaml", "any.json"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        error_of(path)


@given(st.data())
def test_a_damaged_cassette_is_read_or_is_a_cassette_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(go_vcr("|+\n      data: a\n\n").encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [b"", b"\n", b"  ", b"*", b"&a ", b"!!", b"{", b"[", b"'", b'"', b": ", b"- ", b"|"]
            )
        )
    path = tmp_path_factory.getbasetemp() / "damaged.yaml"
    path.write_bytes(content)
    with suppress(CassetteError):
        load(path)
