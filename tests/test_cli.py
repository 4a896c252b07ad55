"""The command line: what `replay` and `events` print.

What the recorded cassettes hold is found out with PyYAML and `str.split`, none of the code that is tested.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cassette_files import RECORDED, go_vcr, slow_interactions, vcr_py, write
from click.testing import CliRunner
from command import COMMAND, deltawire, lines_of

from deltawire import __version__, cli

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = RECORDED[0].parent


def document(*args: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(cli.cli, ["replay", "--json", *map(str, args)], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def table(*args: str | Path, columns: int = 160) -> list[str]:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(
        cli.cli, ["replay", *map(str, args)], catch_exceptions=False
    )
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def slow_facts(path: Path) -> list[dict[str, Any]]:
    facts = []
    for index, interaction in enumerate(slow_interactions(path)):
        body: str = interaction["response"]["body"]
        data = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")]
        chunks = [json.loads(text) for text in data if text != "[DONE]"]
        reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
        facts.append(
            {
                "file": str(path),
                "interaction": index,
                "provider": interaction["request"]["url"].split("/")[2],
                "status": 200,
                "bytes": len(body.encode()),
                "skipped": None,
                "model": chunks[-1]["model"],
                "events": len(data),
                "malformed": 0,
                "done": data[-1] == "[DONE]",
                "finish_reasons": [[reason for reason in reasons if reason][-1]],
            }
        )
    return facts


# replay


def test_replay_tells_what_the_recorded_cassettes_hold() -> None:
    told = document(FOLDER)
    facts = [fact for path in RECORDED for fact in slow_facts(path)]
    assert told["interactions"] == facts
    summary = told["summary"]
    assert summary["files"] == len(RECORDED) == 5
    assert summary["interactions"] == len(facts)
    assert summary["events"] == sum(fact["events"] for fact in facts)
    assert summary["bytes"] == sum(fact["bytes"] for fact in facts)
    assert (summary["skipped"], summary["malformed"]) == (0, 0)
    assert (summary["split"], summary["repeat"]) == ("event", 1)
    assert summary["events_per_second"] == pytest.approx(summary["events"] / summary["seconds"])
    assert summary["megabytes_per_second"] == pytest.approx(summary["bytes"] / summary["seconds"] / 1e6)


@pytest.mark.parametrize("split", ["line", "random", "1", "7", "65536"])
def test_the_reports_do_not_depend_on_the_split(split: str) -> None:
    told = document("--split", split, FOLDER)
    assert told["interactions"] == document(FOLDER)["interactions"]
    assert str(told["summary"]["split"]) == split


def test_repeating_changes_the_rate_and_no_count() -> None:
    once, often = document(FOLDER), document("--repeat", "20", FOLDER)
    assert often["interactions"] == once["interactions"]
    assert often["summary"]["events"] == once["summary"]["events"]
    summary = often["summary"]
    assert summary["events_per_second"] == pytest.approx(20 * summary["events"] / summary["seconds"])


def test_the_table_has_a_row_for_each_interaction_and_a_line_for_all() -> None:
    lines = table(FOLDER)
    facts = [fact for path in RECORDED for fact in slow_facts(path)]
    heading, rule, *rows, empty, summary = lines
    assert heading.split() == ["file", "provider", "model", "events", "bytes", "finish", "[DONE]"]
    assert (set(rule), empty) == ({"─"}, "")
    assert len(rows) == len(facts)
    for row, fact in zip(rows, facts, strict=True):
        expected = [fact["provider"], fact["model"], str(fact["events"]), f"{fact['bytes']:,}"]
        expected += [*fact["finish_reasons"], "yes"]
        if fact["interaction"] == 0:
            expected.insert(0, os.path.basename(fact["file"]))
        assert row.split() == expected
    events, size = sum(fact["events"] for fact in facts), sum(fact["bytes"] for fact in facts)
    rates = re.fullmatch(
        rf"10 interactions in 5 files: {events:,} events, {size:,} bytes, ([\d,]+) events/s, ([\d,.]+) MB/s",
        summary,
    )
    assert rates
    assert float(rates[1].replace(",", "")) > 0


@pytest.mark.parametrize("columns", [80, 160])
def test_the_table_fits_the_terminal_and_loses_nothing(columns: int) -> None:
    lines = table(FOLDER, columns=columns)
    assert max(map(len, lines[:-1])) <= columns
    text = "".join(line[:14].strip() for line in lines)
    for path in RECORDED:
        assert columns == 160 or path.name in text
    assert "…" not in "".join(lines)


def test_without_a_terminal_a_row_is_not_folded() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    output = subprocess.run(
        [*COMMAND, "replay", FOLDER], capture_output=True, check=True, env=environment
    ).stdout
    assert all(path.name in output.decode() for path in RECORDED)


def test_a_folder_means_the_cassettes_in_it_and_below_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.yaml").mkdir()
    for name in ("z.yaml", "b/y.YML", "a.yaml/c.json", "b/x.txt"):
        write(tmp_path, vcr_py({"string": "data: 1\n\n"}), name)
    told = document(tmp_path, tmp_path / "z.yaml")
    assert [fact["file"] for fact in told["interactions"]] == [
        str(tmp_path / name) for name in ("a.yaml/c.json", "b/y.YML", "z.yaml", "z.yaml")
    ]
    assert told["summary"]["files"] == 4
    rows = table(tmp_path)[2:5]
    assert [row.split()[0] for row in rows] == ["a.yaml/c.json", "b/y.YML", "z.yaml"]


def interactions(*responses: dict[str, Any]) -> dict[str, Any]:
    content = vcr_py()
    (first,) = content["interactions"]
    content["interactions"] = [{**first, "response": {**first["response"], **more}} for more in responses]
    return content


def test_responses_that_are_no_event_stream_are_listed_and_passed_over(tmp_path: Path) -> None:
    stream = {"Content-Type": ["Text/Event-Stream; charset=utf-8"]}
    path = write(
        tmp_path,
        interactions(
            {"headers": {"content-type": ["application/json; x"]}, "body": {"string": "{}"}},
            {"headers": {}, "body": {"string": "<html>"}},
            {"headers": {**stream, "Content-Encoding": ["gzip"]}, "body": {"base64_string": "H4sI"}},
            {"headers": stream, "body": {"string": ""}},
            {"headers": {"content-type": ["text/plain"]}, "body": {"string": "\ufeff: hi\n\ndata: 1\n\n"}},
            {"headers": {**stream, "Content-Encoding": ["gzip"]}, "body": {"string": "data: 1\n\n"}},
        ),
        "mixed.json",
    )
    told = document(path)
    assert [fact["skipped"] for fact in told["interactions"]] == [
        "no event stream: application/json",
        "no event stream: no content type",
        "recorded compressed: gzip",
        None,
        None,
        None,
    ]
    assert [fact["events"] for fact in told["interactions"]] == [0, 0, 0, 0, 1, 1]
    assert told["summary"]["skipped"] == 3
    lines = table(path)
    assert "no event stream: application/json" in lines[2]
    assert lines[-1].startswith("6 interactions (3 skipped) in 1 file: 2 events, ")


def test_a_cassette_without_any_event_stream_has_no_rate(tmp_path: Path) -> None:
    path = write(tmp_path, vcr_py({"string": "{}"}), "a.json")
    assert document(path)["summary"]["events_per_second"] is None
    assert table(path)[-1] == "1 interaction (1 skipped) in 1 file: 0 events, 0 bytes"


def test_unusual_streams_are_described_as_far_as_they_go(tmp_path: Path) -> None:
    values: list[Any] = [
        5,
        {"model": "first", "choices": None},
        {"model": " ", "choices": [3, {"finish_reason": 1}, {"index": 1, "finish_reason": "stop"}]},
        {
            "model": "\x1b[31m[bold]",
            "choices": [{"finish_reason": "length"}, {"index": 1, "finish_reason": ""}],
        },
    ]
    body = "".join(f"data: {json.dumps(value)}\n\n" for value in values) + "data: {cut\n\n"
    path = write(tmp_path, go_vcr(json.dumps(body)).replace("https://api", "https://["), "a.yaml")
    (fact,) = document(path)["interactions"]
    assert fact["model"] == "\x1b[31m[bold]"
    assert fact["finish_reasons"] == ["length", "stop"]
    assert (fact["events"], fact["malformed"], fact["done"], fact["provider"]) == (5, 1, False, "")
    lines = table(path)
    assert lines[0].split()[-1] == "malformed"
    assert lines[2].split() == [
        "a.yaml",
        "-",
        "\ufffd[31m[bold]",
        "5",
        f"{len(body)}",
        "length,",
        "stop",
        "no",
        "1",
    ]


def test_a_stream_that_was_cut_counts_its_last_object_as_the_parser_does(tmp_path: Path) -> None:
    path = write(tmp_path, vcr_py({"string": 'data: {"model": "m"}'}))
    (fact,) = document(path)["interactions"]
    assert fact["model"] == "m"
    assert fact["done"] is False


def test_json_is_all_that_stdout_has() -> None:
    result = deltawire("replay", "--json", RECORDED[0], RECORDED[1])
    assert (result.returncode, result.stderr) == (0, b"")
    assert set(json.loads(result.stdout)) == {"interactions", "summary"}


def test_a_name_that_is_not_unicode_is_shown_all_the_same(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\x1b.yaml"
    with open(name, "wb") as file:
        file.write(RECORDED[0].read_bytes())
    result = deltawire("replay", "--json", tmp_path)
    assert json.loads(result.stdout)["interactions"][0]["file"].endswith("\ufffd\ufffd.yaml")
    for encoding in ("utf-8", "ascii"):
        result = deltawire("replay", tmp_path, PYTHONIOENCODING=encoding)
        assert (result.returncode, result.stderr) == (0, b"")
    assert b"\\ufffd\\ufffd.yaml" in result.stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "PROGRESS_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert cli.run(["replay", "--repeat", "3", str(FOLDER)]) == 0
    assert "replay" in terminal.getvalue()
    assert "%" in terminal.getvalue()


def test_no_bar_is_drawn_for_short_work_or_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert cli.run(["replay", str(RECORDED[0])]) == 0
    monkeypatch.setattr(sys, "stderr", no_terminal := io.StringIO())
    monkeypatch.setattr(cli, "PROGRESS_AFTER_SECONDS", 0.0)
    assert cli.run(["replay", str(RECORDED[0])]) == 0
    assert terminal.getvalue() == no_terminal.getvalue() == ""


def test_a_bar_is_taken_away_before_an_error_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cli, "PROGRESS_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert cli.run(["replay", str(FOLDER), str(write(tmp_path, "x"))]) == 2
    assert terminal.getvalue().endswith("top level: expected a mapping, found text\n")
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h") == 1


# events


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


# What it says of itself


def test_the_version_is_that_of_the_package() -> None:
    assert deltawire("--version").stdout.decode().split() == ["deltawire,", "version", __version__]


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["replay", "events", "--version"]),
        (["replay"], ["PATH", "--split", "--repeat", "--json"]),
        (["events"], ["FILE", "stdin"]),
    ],
)
def test_help_names_what_there_is(command: list[str], words: list[str], option: str) -> None:
    result = CliRunner().invoke(cli.cli, [*command, option])
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []
