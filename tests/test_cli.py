"""`deltawire replay`: what it finds in recordings, as JSON and as a table. And what it says of itself."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cassette_files import RECORDED, go_vcr, vcr_py, write
from click.testing import CliRunner
from command import COMMAND, deltawire, document, shown, slow_facts

from deltawire import __version__, cli
from deltawire._faults import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = RECORDED[0].parent


def test_replay_tells_what_the_recorded_cassettes_hold() -> None:
    told = document(FOLDER)
    facts = [fact for path in RECORDED for fact in slow_facts(path)]
    completions = [fact.pop("completion") for fact in told["interactions"]]
    assert told["interactions"] == facts
    assert [completion["model"] for completion in completions] == [fact["model"] for fact in facts]
    summary = told["summary"]
    assert summary["files"] == len(RECORDED) == 5
    assert summary["interactions"] == len(facts)
    assert summary["events"] == sum(fact["events"] for fact in facts)
    assert summary["bytes"] == sum(fact["bytes"] for fact in facts)
    assert (summary["skipped"], summary["malformed"]) == (0, 0)
    assert (summary["split"], summary["repeat"]) == ("event", 1)
    assert summary["timed"] == "ChatAccumulator: feed and close"
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


def test_the_table_has_a_row_for_each_interaction_and_below_it_is_the_sum() -> None:
    _, (heading, rule, *rows), total = shown(FOLDER)
    facts = [fact for path in RECORDED for fact in slow_facts(path)]
    assert heading.split() == ["file", "provider", "model", "events", "bytes", "finish", "end"]
    assert set(rule) == {"─"}
    assert len(rows) == len(facts)
    for row, fact in zip(rows, facts, strict=True):
        expected = [fact["provider"], fact["model"], str(fact["events"]), f"{fact['bytes']:,}"]
        expected += [*fact["finish_reasons"], "done"]
        if fact["interaction"] == 0:
            expected.insert(0, os.path.basename(fact["file"]))
        assert row.split() == expected
    events, size = sum(fact["events"] for fact in facts), sum(fact["bytes"] for fact in facts)
    assert total[0] == f"10 interactions in 5 files: {events:,} events, {size:,} bytes"
    rates = re.fullmatch(
        r"ChatAccumulator: feed and close, event by event: ([\d,]+) events/s, ([\d,.]+) MB/s", total[1]
    )
    assert rates
    assert float(rates[1].replace(",", "")) > 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--split", "line"], "line by line"),
        (["--split", "random", "--repeat", "2000"], "in random pieces, 2,000 times"),
        (["--split", "64"], "64 bytes at a time"),
    ],
)
def test_the_sum_tells_how_the_bodies_were_fed(args: list[str], words: str) -> None:
    _, _, total = shown(*args, RECORDED[2])
    assert total[1].startswith(f"ChatAccumulator: feed and close, {words}: ")


@pytest.mark.parametrize("columns", [80, 160])
def test_what_is_shown_fits_the_terminal_and_the_table_loses_nothing(columns: int) -> None:
    messages, table, total = shown(FOLDER, columns=columns)
    assert max(len(line) for lines in [*messages, table, total] for line in lines) <= columns
    text = "".join(line[:14].strip() for line in table)
    for path in RECORDED:
        assert columns == 160 or path.name in text
    assert "…" not in "".join(table)


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
    _, (_, _, *rows), _ = shown(tmp_path)
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
        "recorded compressed: gzip, and broken: record it anew",
        None,
        None,
        None,
    ]
    assert [fact["events"] for fact in told["interactions"]] == [0, 0, 0, 0, 1, 1]
    assert [fact["end"] for fact in told["interactions"]] == [
        None,
        None,
        None,
        "empty",
        "truncated",
        "truncated",
    ]
    assert told["summary"]["skipped"] == 3
    messages, table, total = shown(path)
    assert messages[0] == [
        "mixed.json[0]  api.example.com",
        "  skipped    no event stream: application/json",
    ]
    assert table[2].split() == ["mixed.json", "api.example.com", "-", "-", "2", "-", "skipped"]
    assert total[0] == "6 interactions (3 skipped) in 1 file: 2 events, 27 bytes"


def test_a_cassette_without_any_event_stream_has_no_rate(tmp_path: Path) -> None:
    path = write(tmp_path, vcr_py({"string": "{}"}), "a.json")
    assert document(path)["summary"]["events_per_second"] is None
    assert shown(path)[2] == ["1 interaction (1 skipped) in 1 file: 0 events, 0 bytes"]


def test_an_error_document_in_the_place_of_a_stream_is_told(tmp_path: Path) -> None:
    error = {"message": "too\n much", "type": "rate_limit", "code": 429}
    document_of = {"headers": {"content-type": ["application/json"]}, "status": {"code": 429, "message": ""}}
    path = write(
        tmp_path,
        interactions({**document_of, "body": {"string": json.dumps({"error": error}, indent=1)}}),
        "a.json",
    )
    (fact,) = document(path)["interactions"]
    assert fact["skipped"] == "no event stream: application/json"
    assert (fact["end"], fact["status"]) == ("error", 429)
    assert fact["error"] == {**error, "raw": error}
    assert (fact["completion"], fact["tool_calls"], fact["finish_reasons"]) == (None, [], [])
    (message,), table, _ = shown(path)
    assert message == [
        "a.json[0]  api.example.com  HTTP 429",
        "  error      rate_limit, 429: too",
        "              much",
        "  end        error: the provider reported an error",
        "  skipped    no event stream: application/json",
    ]
    assert table[2].split()[-1] == "error"


def test_unusual_streams_are_described_as_far_as_they_go(tmp_path: Path) -> None:
    values: list[Any] = [
        5,
        {"model": "first", "choices": None},
        {"model": " ", "choices": [3, {"finish_reason": 1}, {"index": 1, "finish_reason": "stop"}]},
        {
            "model": "\x1b[31m[bold]",
            "choices": [{"finish_reason": "length"}, {"index": 1, "finish_reason": ""}, {"index": 2}],
        },
    ]
    body = "".join(f"data: {json.dumps(value)}\n\n" for value in values) + "data: {cut\n\n"
    path = write(tmp_path, go_vcr(json.dumps(body)).replace("https://api", "https://["), "a.yaml")
    (fact,) = document(path)["interactions"]
    assert fact["model"] == "\x1b[31m[bold]"
    assert fact["finish_reasons"] == ["length", "stop", None]
    assert (fact["events"], fact["malformed"], fact["done"], fact["provider"]) == (5, 1, False, "")
    _, table, _ = shown(path)
    assert table[0].split()[-1] == "malformed"
    expected = [
        "a.yaml",
        "-",
        "\ufffd[31m[bold]",
        "5",
        f"{len(body)}",
        "length,",
        "stop,",
        "-",
        "truncated",
        "1",
    ]
    assert table[2].split() == expected


def test_a_stream_that_was_cut_counts_its_last_object_as_the_parser_does(tmp_path: Path) -> None:
    path = write(tmp_path, vcr_py({"string": 'data: {"model": "m"}'}))
    (fact,) = document(path)["interactions"]
    assert fact["model"] == "m"
    assert (fact["done"], fact["end"]) == (False, "truncated")


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


# What it says of itself


def test_the_version_is_that_of_the_package() -> None:
    assert deltawire("--version").stdout.decode().split() == ["deltawire,", "version", __version__]


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["replay", "events", "--version"]),
        (["replay"], ["PATH", "--full", "--output", "--split", "--repeat", "--json"]),
        (["events"], ["FILE", "stdin"]),
    ],
)
def test_help_names_what_there_is(command: list[str], words: list[str], option: str) -> None:
    result = CliRunner().invoke(cli.cli, [*command, option])
    assert result.exit_code == 0
    assert [word for word in words if word not in result.stdout] == []


def test_help_has_a_line_for_each_fault() -> None:
    lines = CliRunner().invoke(cli.cli, ["serve", "--help"]).stdout.splitlines()
    assert "  The faults:" in lines
    assert [fault for fault in FAULTS if not any(line.startswith(f"    {fault} ") for line in lines)] == []
