"""The command line, run in a process of its own, where a warning is an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

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
