"""`deltawire replay`: the messages, as JSON and as they are shown."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cassette_files import RECORDED, slow_interactions, vcr_py, write
from command import (
    bad_line,
    delta,
    deltawire,
    document,
    shown,
    slow_chunks,
    slow_facts,
    slow_message,
    streams,
)

from deltawire import cli

if TYPE_CHECKING:
    from pathlib import Path


def message_of(folder: Path, *data: Any, columns: int = 80, args: tuple[str, ...] = ()) -> list[str]:
    """Give the lines below the heading that are shown for a stream."""
    path = write(folder, streams([*data]), "a.json")
    ((heading, *lines),), _, _ = shown(path, *args, columns=columns)
    assert heading.startswith("a.json[0]  api.example.com")
    return lines


# The recorded cassettes


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_message_of_a_recorded_stream_is_what_its_deltas_add_up_to(path: Path) -> None:
    told = document(path)["interactions"]
    for fact, interaction in zip(told, slow_interactions(path), strict=True):
        _, chunks = slow_chunks(interaction["response"]["body"])
        expected = slow_message(chunks)
        (choice,) = fact["completion"]["choices"]
        assert choice["message"]["content"] == expected["content"]
        calls = choice["message"].get("tool_calls", [])
        for call, slow in zip(calls, expected["tool_calls"], strict=True):
            assert call == {key: slow[key] for key in ("id", "type", "function")}
        assert fact["completion"]["id"] == chunks[0]["id"]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_first_message_is_what_the_recording_client_sent_back(path: Path) -> None:
    fact = document(path)["interactions"][0]
    sent = json.loads(slow_interactions(path)[1]["request"]["body"])
    (recorded,) = [message for message in sent["messages"] if message["role"] == "assistant"]
    message = fact["completion"]["choices"][0]["message"]
    assert {key: message[key] for key in recorded} == recorded


def test_the_messages_of_the_recorded_cassettes_are_shown_in_their_order() -> None:
    facts = [fact for path in RECORDED for fact in slow_facts(path)]
    names = [path.name for path in RECORDED for _ in slow_interactions(path)]
    told = document(RECORDED[0].parent)["interactions"]
    messages, _, _ = shown(RECORDED[0].parent)
    for lines, name, fact, full in zip(messages, names, facts, told, strict=True):
        content = full["completion"]["choices"][0]["message"]["content"].replace("\xa0", " ")
        expected = [f"{name}[{fact['interaction']}]  {fact['provider']}  {fact['model']}"]
        first, *more = content.replace("\u202f", " ").split("\n")
        expected += [f"  text       {first}", *(f"             {line}" for line in more)]
        for call in fact["tool_calls"]:
            expected.append(f"  tool call  {call['name']}  {call['id']}")
            expected.append(f"             {json.dumps(json.loads(call['arguments']))}")
        expected.append(f"  finish     {fact['finish_reasons'][0]}")
        assert lines[:-2] == expected
        counts = [f"{name} {fact['usage'][f'{name}_tokens']}" for name in ("prompt", "completion", "total")]
        assert lines[-2].startswith(f"  usage      {', '.join(counts)}")
        assert lines[-1] == "  end        done: the sentinel came"


# The parts of a message


def test_all_that_a_message_has_is_shown_choice_by_choice(tmp_path: Path) -> None:
    lines = message_of(
        tmp_path,
        delta(reasoning_content="First\nthen", content="Yes"),
        delta(1, refusal="No", audio={"id": "a", "transcript": "spoken"}),
        delta(4, function_call={"name": "old", "arguments": '{"a":1}'}, finish_reason="function_call"),
        delta(finish_reason="stop"),
        {"choices": [], "usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}},
        "[DONE]",
    )
    assert lines == [
        "  choice     0",
        "  reasoning  First",
        "             then",
        "  text       Yes",
        "  finish     stop",
        "  choice     1",
        "  refusal    No",
        "  audio      spoken",
        "  finish     no reason came",
        "  choice     4",
        "  function   old",
        '             {"a":1}',
        "  finish     function_call",
        "  usage      prompt 3, cached 2",
        "  end        done: the sentinel came",
    ]


def test_usage_tells_the_counts_and_what_costs() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
        "completion_tokens_details": {"reasoning_tokens": 15, "audio_tokens": 0},
        "prompt_tokens_details": None,
        "cost": 0.25,
        "queue_time": 1,
    }
    from deltawire._show import tokens

    assert tokens(usage) == "prompt 10, completion 20, total 30, reasoning 15, cost 0.25"
    assert tokens({"prompt_tokens_details": 5, "queue_time": 1}) == json.dumps(
        {"prompt_tokens_details": 5, "queue_time": 1}
    )


def call(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": 0, "id": "c", "type": "function", "function": function, **fields}


def test_arguments_stand_on_a_line_where_they_fit_and_are_indented_where_not(tmp_path: Path) -> None:
    short, long = {"city": "Köln"}, {"city": "Köln", "days": ["x" * 30, "y" * 30]}
    lines = message_of(
        tmp_path,
        delta(tool_calls=[call("short", json.dumps(short))]),
        delta(tool_calls=[call("long", json.dumps(long), index=1, id="d")], finish_reason="tool_calls"),
        args=("--full",),
    )
    assert lines[:3] == ["  tool call  short  c", '             {"city": "Köln"}', "  tool call  long  d"]
    assert json.loads("".join(lines[3:10])) == long
    assert lines[3:5] == ["             {", '               "city": "Köln",']


def test_a_call_that_was_cut_or_put_right_says_so(tmp_path: Path) -> None:
    lines = message_of(tmp_path, delta(tool_calls=[{"function": {"name": "f", "arguments": '{"a": '}}]))
    assert lines[0].startswith("  tool call  f  call_")
    assert lines[1:] == [
        '             {"a":',
        "             incomplete: this is not one JSON value, the call was cut",
        "             repairs: id_generated, index_missing",
        "  finish     no reason came",
        "  end        truncated: the stream was cut",
    ]
    (fact,) = document(tmp_path)["interactions"]
    (told,) = fact["tool_calls"]
    assert (told["arguments"], told["complete"]) == ('{"a": ', False)
    assert told["repairs"] == ["id_generated", "index_missing"]
    assert fact["finish_reasons"] == [None]


def test_a_custom_tool_shows_its_input_as_it_is(tmp_path: Path) -> None:
    custom = {
        "index": 0,
        "id": "c",
        "type": "custom",
        "custom": {"name": "sql", "input": "select  1\nfrom t"},
    }
    lines = message_of(tmp_path, delta(tool_calls=[custom]), "[DONE]")
    assert lines[:3] == ["  tool call  sql  c", "             select  1", "             from t"]
    (fact,) = document(tmp_path)["interactions"]
    assert fact["tool_calls"][0]["type"] == "custom"
    assert fact["tool_calls"][0]["arguments"] == "select  1\nfrom t"


@pytest.mark.parametrize(
    "arguments", ["[" * 100_000 + "]" * 100_000, "1" * 5000], ids=["100,000 levels", "5,000 digits"]
)
def test_arguments_that_cannot_be_made_pretty_are_shown_as_they_came(tmp_path: Path, arguments: str) -> None:
    lines = message_of(tmp_path, delta(tool_calls=[call("f", arguments)]), "[DONE]")
    assert lines[1] == " " * 13 + arguments[:67]
    assert lines[7] == f"             ... {len(arguments):,} characters in all; --full shows them"


# How it ended


@pytest.mark.parametrize(
    ("body", "end"),
    [
        ([delta(content="x"), "[DONE]"], "done: the sentinel came"),
        (
            [delta(content="x", finish_reason="stop")],
            "finished: without the sentinel, but every choice has its finish reason",
        ),
        ([delta(content="x")], "truncated: the stream was cut"),
        ('data: {"choices": [', "truncated: the stream was cut"),
        ("", "empty: no event had any data"),
        ("what is this", "not_sse: neither a field nor a comment of an event stream came"),
    ],
)
def test_the_verdict_is_told(tmp_path: Path, body: Any, end: str) -> None:
    stream = {"content-type": ["text/event-stream"]}
    path = write(tmp_path, streams(body, headers=stream), "a.json")
    (lines,), table, _ = shown(path)
    assert lines[-1] == f"  end        {end}"
    assert table[2].split()[-1] == end.partition(":")[0]
    assert document(path)["interactions"][0]["end"] == end.partition(":")[0]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"message": "Overloaded", "type": "server_error", "code": 503}, "server_error, 503: Overloaded"),
        ({"message": "Overloaded"}, "Overloaded"),
        ({"code": "rate_limited"}, "rate_limited"),
        ("boom", "boom"),
        ({"x": 1}, "without a word"),
    ],
)
def test_an_error_of_the_provider_is_told_beside_the_part_that_came(
    tmp_path: Path, error: Any, said: str
) -> None:
    lines = message_of(tmp_path, delta(content="Once upon"), {"error": error})
    assert lines == [
        "  text       Once upon",
        "  finish     no reason came",
        f"  error      {said}",
        "  end        error: the provider reported an error",
    ]
    (fact,) = document(tmp_path)["interactions"]
    assert (fact["end"], fact["error"]["raw"]) == ("error", error)
    assert fact["completion"]["choices"][0]["message"]["content"] == "Once upon"


def test_what_is_no_json_or_no_chat_is_told(tmp_path: Path) -> None:
    assert message_of(tmp_path, "{cut", {"type": "message_start"}, "[DONE]") == [
        "  text       nothing: no chunk of a chat came",
        "  malformed  1 that are no JSON, passed over",
        "  end        done: the sentinel came",
    ]


# Long, wide and hostile texts


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_a_long_text_is_folded_and_cut_to_a_few_lines(tmp_path: Path, columns: int) -> None:
    text = "".join(f"word{number} " for number in range(5000))
    lines = message_of(tmp_path, delta(content=text), columns=columns)
    assert len(lines) == 6 + 1 + 2
    assert max(map(len, lines)) <= columns
    assert lines[6] == f"             ... {len(text):,} characters in all; --full shows them"
    assert text.startswith(" ".join(line[13:] for line in lines[:6]))


@pytest.mark.parametrize("text", ["a\n" * 7, "\u200d" * 5000 + "a" * 5000])
def test_a_text_is_never_cut_without_a_word(tmp_path: Path, text: str) -> None:
    lines = message_of(tmp_path, delta(content=text))
    assert f"             ... {len(text):,} characters in all; --full shows them" in lines


def test_in_full_a_text_loses_nothing(tmp_path: Path) -> None:
    text = "".join(f"word{number} " for number in range(5000)) + "\n\n  indented\ttab"
    lines = message_of(tmp_path, delta(content=text), args=("--full",))
    assert " ".join(line[13:] for line in lines[:-4]).split() == text.split()[:-2]
    assert lines[-4:-2] == [" " * 13, "               indented  tab"]


def test_wide_characters_are_counted_as_two_columns(tmp_path: Path) -> None:
    lines = message_of(tmp_path, delta(content="漢" * 60), columns=40)
    assert [line[13:] for line in lines[:5]] == [*["漢" * 13] * 4, "漢" * 8]


def test_a_message_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[31m[bold]\x9b\r\x08a\u202eb\u2028c\x00\ud800"
    safe = evil.replace("\ud800", "")
    path = write(
        tmp_path,
        streams(
            [
                {"model": safe, **delta(content=safe, reasoning=safe, refusal=safe)},
                delta(tool_calls=[call(safe, json.dumps({safe: safe}), id=safe)], finish_reason=safe),
                {"error": {"message": safe, "type": safe, "code": safe}, "usage": {safe: safe}},
            ]
        ),
        "a.json",
    )
    for args in ((), ("--full",)):
        result = deltawire("replay", *args, path)
        text = result.stdout.decode()
        assert (result.returncode, result.stderr) == (0, b"")
        assert [char for char in text if not char.isprintable() and char != "\n"] == []
        assert "[bold]" in text


def test_spaces_of_all_sorts_and_joined_emoji_are_shown(tmp_path: Path) -> None:
    lines = message_of(tmp_path, delta(content="40\xa0°C\u3000👩\u200d💻 🫨"))
    assert lines[0] == "  text       40 °C 👩\u200d💻 🫨"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_are_colours_and_elsewhere_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(tmp_path, streams([delta(content="hi")]), "a.json")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    assert cli.run(["replay", str(path)]) == 0
    assert "\x1b[31mtruncated: the stream was cut\x1b[0m" in terminal.getvalue()
    assert b"\x1b" not in deltawire("replay", path, TERM="xterm-256color").stdout


def test_json_that_is_nested_too_deep_to_be_printed_is_one_line(tmp_path: Path) -> None:
    deep = "[" * 300 + "]" * 300
    path = write(tmp_path, vcr_py({"string": f'data: {{"x": {deep}}}\n\n'}), "a.json")
    said = "a value is nested too deep for --json; --output writes messages of any depth"
    assert bad_line(deltawire("replay", "--json", path)) == said
    assert deltawire("replay", path).returncode == 0
