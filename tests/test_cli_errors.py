"""The command line with bad input, closed pipes, interrupts, missing libraries: one line and an exit code."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cassette_files import RECORDED, vcr_py, write
from command import COMMAND, bad_line, deltawire, lines_of

from deltawire import cassettes, cli

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = RECORDED[0].parent


@pytest.mark.parametrize(
    "body", [b"<html>secret</html>\n", b'{"error": "secret"}', b"\x1f\x8b\x08\x00", b"\xff\xfe"]
)
def test_a_body_that_is_no_event_stream_is_bad_input(body: bytes) -> None:
    line = bad_line(deltawire("events", stdin=body))
    assert line == f"stdin: no event in {len(body)} bytes; is it the body of an event stream?"


def test_an_event_over_the_limit_is_bad_input_after_the_events_before_it() -> None:
    result = deltawire("events", stdin=b"data: a\n\ndata: " + b"x" * (33 * 1024 * 1024))
    assert result.returncode == 2
    assert [line["data"] for line in lines_of(result.stdout)] == ["a"]
    # Without what a program is to do about it: the command has no such option, and nothing to reset.
    said = "event 2, at byte 9 of the stream, is more than is read: max_event_size is 33,554,432"
    assert result.stderr.decode() == f"deltawire: stdin: {said}\n"


def test_an_event_over_the_limit_in_a_cassette_is_bad_input(tmp_path: Path) -> None:
    path = write(tmp_path, vcr_py({"string": "data: " + "x" * (33 * 1024 * 1024)}), "a.json")
    assert bad_line(deltawire("replay", path)).startswith(f"{path}: interactions[0].response.body: event 1, ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("replay",), "Missing argument 'PATH...'. (see python -m deltawire replay --help)"),
        (("replay", "missing.yaml"), "missing.yaml: No such file or directory"),
        (("replay", str(RECORDED[0]), "missing"), "missing: No such file or directory"),
        (("replay", "empty"), "empty: no file in this folder is .yaml, .yml or .json"),
        (("replay", "text.txt"), "text.txt: top level: expected a mapping, found text"),
        (("replay", "."), "broken.json: line 1, column 1: not valid JSON: unexpected character"),
        (("replay", "latin.txt"), "latin.txt: line 1, column 7: not UTF-8"),
        (("replay", "two\nlines"), "two\ufffdlines: the file is empty"),
        (("events", "missing"), "missing: No such file or directory"),
        (("events", ""), ": No such file or directory"),
        (("events", "empty"), "empty: Is a directory"),
        (("events", "a", "b"), "Got unexpected extra argument (b)"),
        (("replay", "--split", "0", "."), "'--split': give event, line, random or a number of bytes"),
        (("replay", "--split", "-1", "."), "'--split': give event, line, random or a number of bytes"),
        (("replay", "--split", "events", "."), "'--split': give event, line, random or a number of bytes"),
        (("replay", "--split", "9" * 30, "."), "'--split': give event, line, random or a number of bytes"),
        (("replay", "--repeat", "0", "."), "'--repeat'"),
        (("replay", "--output", "text.txt", str(RECORDED[0])), "'--output': Directory 'text.txt' is a file"),
        (("replay", "--output", "text.txt/a", str(RECORDED[0])), "text.txt/a: Not a directory"),
        (("replay", "--jso", "."), "'--jso'"),
        (("play", "."), "'play'"),
        (("--nothing",), "'--nothing'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path, "secret", "text.txt")
    write(tmp_path, "secret", "broken.json")
    write(tmp_path, b"secret\xff", "latin.txt")
    write(tmp_path, "", "two\nlines")
    line = bad_line(deltawire(*args))
    assert said in line
    assert "secret" not in line


def test_without_a_command_the_help_is_shown_as_an_error() -> None:
    result = deltawire()
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"Usage:" in result.stderr
    assert b"events" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="closes descriptors")
def test_closed_standard_streams_give_no_traceback() -> None:
    for redirection in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        for args in (f"replay --json {RECORDED[0]}", f"replay {RECORDED[0]}", "events", "nothing"):
            shell = f"{shlex.join(COMMAND)} {args} {redirection}"
            result = subprocess.run(shell, shell=True, capture_output=True, input=b"data: 1\n\n", check=False)
            assert result.returncode in (0, 2)
            assert b"Traceback" not in result.stderr
            assert result.stderr.count(b"\n") <= 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_told() -> None:
    for args in (["replay", FOLDER], ["replay", "--json", FOLDER], ["events"]):
        with open("/dev/full", "wb") as full:
            result = subprocess.run(
                [*COMMAND, *args], stdout=full, stderr=subprocess.PIPE, input=b"data: 1\n\n", check=False
            )
        assert result.returncode == 2
        assert result.stderr == b"deltawire: [Errno 28] No space left on device\n"


# Ends from outside


@pytest.mark.parametrize("args", [["events"], ["replay", "--json", str(FOLDER)], ["replay", str(FOLDER)]])
def test_a_closed_pipe_ends_it_quietly(args: list[str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.close()
    process.stdout = None
    _, stderr = process.communicate(b"data: x\n\n" * 100_000, timeout=50)
    assert stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_an_interrupt_ends_it_with_130_and_without_a_traceback() -> None:
    process = subprocess.Popen(
        [*COMMAND, "events"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"data: x\n\n")
    process.stdin.flush()
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=50)
    assert process.returncode == 130
    assert stderr.strip() == b""


def test_an_interrupt_during_a_replay_ends_it_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cassettes, "load", interrupted)
    assert cli.run(["replay", str(FOLDER)]) == 130


WITHOUT = """
import sys

class NotInstalled:
    def find_spec(name, *_):
        if name == {name!r}:
            raise ModuleNotFoundError("No module named " + name, name=name)

sys.meta_path.insert(0, NotInstalled)
"""


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("click", "the command line needs click: pip install 'deltawire[cli,replay]'"),
        ("rich", "the command line needs rich: pip install 'deltawire[cli,replay]'"),
        ("yaml", "a cassette in YAML needs PyYAML: pip install 'deltawire[replay]'"),
    ],
)
def test_a_missing_library_is_one_line_that_names_the_extra(missing: str, said: str) -> None:
    code = WITHOUT.format(name=missing) + "from deltawire.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "replay", RECORDED[0]], capture_output=True, check=False
    )
    assert bad_line(result) == said


@pytest.mark.parametrize(
    ("module", "missing", "said"),
    [
        ("metrics", "prometheus_client", "needs prometheus-client: pip install 'deltawire[metrics]'"),
        ("standin", "starlette", "needs starlette: pip install 'deltawire[cli,replay,serve]'"),
    ],
)
def test_a_module_that_is_imported_without_its_library_names_the_extra(
    module: str, missing: str, said: str
) -> None:
    code = f"{WITHOUT.format(name=missing)}import deltawire.{module}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert result.returncode == 1
    last = result.stderr.decode().splitlines()[-1]
    assert last == f"ModuleNotFoundError: deltawire.{module} {said}"


def test_another_missing_module_is_not_hidden() -> None:
    code = "import sys; sys.modules['orjson'] = None; from deltawire.__main__ import main; main()"
    result = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, check=False)
    assert result.returncode == 1
    assert b"orjson" in result.stderr
