"""`deltawire replay --output`: a file for each message, and nothing outside the folder."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from cassette_files import RECORDED, slow_interactions, vcr_py, write
from command import bad_line, delta, deltawire, document, shown, streams

from deltawire._completions import stems

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = RECORDED[0].parent


def test_each_stream_gets_a_file_with_its_completion(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    told = document("--output", folder, FOLDER)["interactions"]
    names = [f"{path.stem}-{number}.json" for path in RECORDED for number in range(2)]
    assert sorted(os.listdir(folder)) == sorted(names)
    for fact, name in zip(told, names, strict=True):
        assert fact["output"] == str(folder / name)
        assert json.loads((folder / name).read_text("utf-8")) == fact["completion"]
    body = slow_interactions(RECORDED[1])[1]["response"]["body"]
    assert "°" in body
    assert "°" in (folder / "tool_streaming-1.json").read_text("utf-8")


def test_what_is_shown_names_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, streams([delta(content="hi")]), "a.json")
    (message,), _, _ = shown(path, "--output", tmp_path / "o")
    assert message[-1] == f"  written to {tmp_path / 'o' / 'a-0.json'}"


def test_a_message_that_was_cut_or_empty_is_written_and_what_is_no_stream_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, streams([delta(content="hi")], "<html>", "data: [DONE]\n\n"), "a.json")
    told = document("--output", tmp_path / "o", path)["interactions"]
    assert [fact["output"] is None for fact in told] == [False, True, False]
    assert sorted(os.listdir(tmp_path / "o")) == ["a-0.json", "a-2.json"]
    written = json.loads((tmp_path / "o" / "a-0.json").read_text("utf-8"))
    assert written["choices"][0]["message"]["content"] == "hi"
    assert json.loads((tmp_path / "o" / "a-2.json").read_text("utf-8"))["choices"] == []


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = write(tmp_path, streams([delta(content="new")]), "a.json")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "a-0.json").write_text("older and longer" * 1000)
    document("--output", tmp_path / "o", path)
    assert json.loads((tmp_path / "o" / "a-0.json").read_text("utf-8"))["choices"]


def test_cassettes_of_one_name_do_not_share_files(tmp_path: Path) -> None:
    for name in ("x/a.json", "y/a.json", "y/a.yml", "y/a~2.yaml", "y/A.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path, streams([delta(content=name)]), name)
    told = document("--output", tmp_path / "o", tmp_path)["interactions"]
    assert len(told) == 5
    for fact in told:
        with open(fact["output"], "rb") as file:
            content = json.load(file)["choices"][0]["message"]["content"]
        assert fact["file"] == str(tmp_path / content)
    assert len({fact["output"].casefold() for fact in told}) == 5


def test_names_of_cassettes_become_names_in_the_folder() -> None:
    files = ["a/b.c.yaml", "...yaml", ".yaml", "x", "../é.json", "a\\..\\b.yml", "\x1b\n\udcff.yaml", "x.x"]
    expected = ["b.c", "..", ".yaml", "x", "é", "a_.._b", "___", "x~2"]
    if sys.platform == "win32":
        expected[5] = "b"
    assert stems(files) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="names of POSIX")
@pytest.mark.parametrize("name", ["...yaml", ".yaml", "a\\..\\b.yaml", "-x.yaml", "\n.yaml", "~.yaml"])
def test_whatever_a_cassette_is_called_its_file_is_in_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    path = write(tmp_path / "in", streams([delta(content="hi")]), name)
    (fact,) = document("--output", tmp_path / "o", path)["interactions"]
    (written,) = os.listdir(tmp_path / "o")
    assert fact["output"] == str(tmp_path / "o" / written)
    assert sorted(os.listdir(tmp_path)) == ["in", "o"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_a_link_in_the_folder_leads_nowhere(tmp_path: Path) -> None:
    path = write(tmp_path, streams([delta(content="hi")]), "a.json")
    (tmp_path / "o").mkdir()
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "o" / "a-0.json").symlink_to(tmp_path / "precious")
    document("--output", tmp_path / "o", path)
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "o" / "a-0.json").is_symlink()


def test_a_cassette_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    write(tmp_path, streams([delta(content="hi")]), "a.json")
    other = write(tmp_path, streams([delta(content="other")]), "a-0.json")
    before = other.read_bytes()
    line = bad_line(deltawire("replay", "--output", tmp_path, tmp_path))
    assert line == f"{other}: is a cassette that is read; choose another folder"
    assert other.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["a-0.json", "a.json"]


def test_a_folder_in_the_place_of_a_file_is_bad_input(tmp_path: Path) -> None:
    path = write(tmp_path, streams([delta(content="hi")]), "a.json")
    (tmp_path / "o" / "a-0.json").mkdir(parents=True)
    line = bad_line(deltawire("replay", "--output", tmp_path / "o", path))
    assert line.startswith(f"{tmp_path / 'o' / 'a-0.json'}: ")


def test_nothing_is_written_when_a_cassette_is_bad_input(tmp_path: Path) -> None:
    bad_line(deltawire("replay", "--output", tmp_path / "o", RECORDED[0], tmp_path / "missing.yaml"))
    assert os.listdir(tmp_path) == []


def test_a_message_that_is_nested_too_deep_to_be_indented_is_written_all_the_same(tmp_path: Path) -> None:
    deep = "[" * 1000 + "]" * 1000
    path = write(tmp_path, vcr_py({"string": f'data: {{"x": {deep}}}\n\n'}), "a.json")
    shown("--output", tmp_path / "o", path)
    written = (tmp_path / "o" / "a-0.json").read_text("utf-8")
    assert f'"x":{deep}' in written
    assert written.endswith("}\n")
