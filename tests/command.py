"""The command line, run in a process of its own, where a warning is an error, or in this one.

Also what the recorded cassettes hold, found out with PyYAML, `str.split` and json: none of the code that is
tested. The recorded streams are canonical, so that joining what came is all there is to do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from cassette_files import slow_interactions, vcr_py
from click.testing import CliRunner

from deltawire import cli

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-W", "error", "-m", "deltawire"]


def deltawire(*args: str | Path, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *args],
        input=stdin,
        capture_output=True,
        timeout=50,
        check=False,
        env={**os.environ, **env},
    )


def lines_of(output: bytes) -> list[Any]:
    assert output.endswith(b"\n")
    return [json.loads(line) for line in output.splitlines()]


def bad_line(result: subprocess.CompletedProcess[bytes]) -> str:
    """Give the one line on stderr of a run that refused its input."""
    lines = result.stderr.decode().splitlines()
    assert result.returncode == 2
    assert result.stdout == b""
    assert len(lines) == 1
    assert lines[0].startswith("deltawire: ")
    return lines[0].removeprefix("deltawire: ")


def document(*args: str | Path) -> dict[str, Any]:
    """Give what `replay --json` prints."""
    result = CliRunner().invoke(cli.cli, ["replay", "--json", *map(str, args)], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def shown(*args: str | Path, columns: int = 160) -> tuple[list[list[str]], list[str], list[str]]:
    """Give what `replay` prints, as lines: each message, the table, and the sum."""
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(
        cli.cli, ["replay", *map(str, args)], catch_exceptions=False
    )
    assert (result.exit_code, result.stderr) == (0, "")
    *messages, table, total = [part.split("\n") for part in result.stdout.removesuffix("\n").split("\n\n")]
    return messages, table, total


def streams(*bodies: str | list[Any], **response: Any) -> dict[str, Any]:
    """Make a cassette of VCR.py with one body for each interaction; a list is the data of its events."""
    cassette = vcr_py()
    (first,) = cassette["interactions"]
    texts = [body if isinstance(body, str) else "".join(map(_event, body)) for body in bodies]
    cassette["interactions"] = [
        {**first, "response": {**first["response"], "body": {"string": text}, **response}} for text in texts
    ]
    return cassette


def _event(data: Any) -> str:
    return f"data: {data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)}\n\n"


def delta(index: int = 0, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """Make a chunk with one choice."""
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish_reason}]}


def slow_facts(path: Path) -> list[dict[str, Any]]:
    """Give what `replay --json` should tell of a recorded cassette, apart from the completions."""
    facts = []
    for number, interaction in enumerate(slow_interactions(path)):
        body: str = interaction["response"]["body"]
        data, chunks = slow_chunks(body)
        reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
        usages = [chunk.get("usage") or chunk.get("x_groq", {}).get("usage") for chunk in chunks]
        message = slow_message(chunks)
        facts.append(
            {
                "file": str(path),
                "interaction": number,
                "provider": interaction["request"]["url"].split("/")[2],
                "status": 200,
                "bytes": len(body.encode()),
                "skipped": None,
                "model": chunks[-1]["model"],
                "events": len(data),
                "malformed": 0,
                "done": data[-1] == "[DONE]",
                "end": "done",
                "error": None,
                "finish_reasons": [[reason for reason in reasons if reason][-1]],
                "usage": [usage for usage in usages if usage][-1],
                "tool_calls": [
                    {
                        "choice": 0,
                        "id": call["id"],
                        "type": call["type"],
                        "name": call["function"]["name"],
                        "arguments": call["function"]["arguments"],
                        "complete": True,
                        "repairs": [],
                    }
                    for call in message["tool_calls"]
                ],
                "output": None,
            }
        )
    return facts


def slow_chunks(body: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Give the data of each event of a recorded body, and the chunks in it."""
    data = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")]
    return data, [json.loads(text) for text in data if text != "[DONE]"]


def slow_message(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """Join the deltas of a recorded stream, which has one choice and canonical tool calls."""
    content = ""
    calls: dict[int, dict[str, Any]] = {}
    for choice in [choice for chunk in chunks for choice in chunk["choices"]]:
        content += choice["delta"].get("content") or ""
        for part in choice["delta"].get("tool_calls") or []:
            call = calls.setdefault(part["index"], {**part, "function": {"name": "", "arguments": ""}})
            call["function"]["name"] += part["function"].get("name") or ""
            call["function"]["arguments"] += part["function"].get("arguments") or ""
    return {"role": "assistant", "content": content, "tool_calls": list(calls.values())}
