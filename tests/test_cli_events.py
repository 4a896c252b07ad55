"""`deltawire events`: the events of a body, one a line."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from cassette_files import RECORDED, slow_interactions
from click.testing import CliRunner
from command import COMMAND, deltawire, lines_of

from deltawire import cli

if TYPE_CHECKING:
    from pathlib import Path

BODY = b'id: 7\r\nevent: greeting\r\ndata: \xc3\xa9\r\ndata: "two"\r\n\r\nretry: 5\ndata: [DONE]\n\n: bye\n\n'
LINES = [
    {"event": "greeting", "data": '\xe9\n"two"', "id": "7", "retry": None},
    {"event": "message", "data": "[DONE]", "id": "7", "retry": 5},
]


def test_events_prints_each_event_of_a_file_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "body.txt"
    path.write_bytes(BODY)
    result = deltawire("events", path)
    assert (result.returncode, result.stderr) == (0, b"")
    assert lines_of(result.stdout) == LINES


@pytest.mark.parametrize("args", [("events",), ("events", "-")])
def test_events_reads_stdin_without_a_file(args: tuple[str, ...]) -> None:
    result = deltawire(*args, stdin=BODY)
    assert (result.returncode, result.stderr) == (0, b"")
    assert lines_of(result.stdout) == LINES
    assert lines_of(CliRunner().invoke(cli.cli, args, input=BODY).stdout_bytes) == LINES


def test_events_of_a_recorded_body_are_its_data_lines() -> None:
    body: str = slow_interactions(RECORDED[0])[0]["response"]["body"]
    result = deltawire("events", stdin=body.encode())
    assert [line["data"] for line in lines_of(result.stdout)] == [
        line.removeprefix("data: ") for line in body.split("\n") if line
    ]


def test_an_event_is_printed_before_the_next_one_has_come() -> None:
    process = subprocess.Popen([*COMMAND, "events"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin
        assert process.stdout
        for number in range(3):
            process.stdin.write(b"data: %d\n\n" % number)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["data"] == str(number)
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_an_empty_body_has_no_events() -> None:
    result = deltawire("events")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


@pytest.mark.parametrize("body", [b": ping\n\n", b"retry: 5\n\n", b"id: 5\n\n", b"\xef\xbb\xbf:\n"])
def test_a_stream_without_events_is_a_stream(body: bytes) -> None:
    result = deltawire("events", stdin=body)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_a_body_that_ends_within_an_event_is_noted() -> None:
    result = deltawire("events", stdin=b"data: a\n\ndata: secret")
    assert result.returncode == 0
    assert [line["data"] for line in lines_of(result.stdout)] == ["a"]
    assert result.stderr == b"deltawire: stdin ends within an event, which is not shown\n"
