"""The examples of the drop-ins, each run as its guide tells, against a local server."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compat_servers import DONE, answer, chunk, event
from servers import serve
from test_compat_openai import ANTHROPIC_BODY

EXAMPLES = Path(__file__).parent.parent / "examples"
GUIDES = Path(__file__).parent.parent / "docs" / "guides"

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CHAT = (chunk("Hel"), b"retry: 3\n\n", chunk("lo"), chunk("", "stop"), chunk(choices=[], usage=USAGE), DONE)
CALL = {
    "index": 0,
    "id": "c",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"F"}'},
}
CALLS = (
    chunk("So: ", choices=[{"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": None}]),
    chunk("", "tool_calls", usage=USAGE),
    DONE,
)
ERROR = event({"error": {"message": "boom"}})


def run(name: str, script: Any) -> subprocess.CompletedProcess[str]:
    keys = {"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with serve(script) as server:
        command = [sys.executable, str(EXAMPLES / name), server.url]
        return subprocess.run(
            command, env=os.environ | keys, capture_output=True, text=True, timeout=50, check=False
        )


def test_httpx_sse_events() -> None:
    done = run("httpx_sse_events.py", answer(b"id: 7\ndata: one\n\nretry: 9\n\n"))
    assert done.stdout.splitlines() == ["message one None", "message  9", "async message one"]
    assert (done.returncode, done.stderr) == (0, "")


def test_httpx_sse_events_tells_what_is_no_event_stream() -> None:
    done = run("httpx_sse_events.py", answer(b"{}", content_type="application/json"))
    assert done.returncode == 1
    assert "got 'application/json'" in done.stderr


def test_openai_client() -> None:
    done = run("openai_client.py", answer(*CHAT))
    assert done.stdout.splitlines() == ["Hello", "StreamEnd.FINISHED 5", "Hello"]
    assert (done.returncode, done.stderr) == (0, "")


def test_openai_client_tells_an_error_inside_the_stream() -> None:
    done = run("openai_client.py", answer(chunk("Hel"), ERROR))
    assert (done.returncode, done.stderr) == (1, "the provider reported an error: boom\n")


def test_anthropic_client() -> None:
    done = run("anthropic_client.py", answer(ANTHROPIC_BODY))
    assert done.stdout.splitlines() == ["hé", "3"]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="LiteLLM is not installed")
def test_litellm_response() -> None:
    done = run("litellm_response.py", answer(*CALLS))
    assert done.stdout == b"".join(CALLS).decode() + 'weather {"city":"F"}\nNone tool_calls 5\n'
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["httpx-sse", "openai", "anthropic", "litellm"])
def test_a_guide_names_its_example(name: str) -> None:
    example = {"httpx-sse": "httpx_sse_events.py", "litellm": "litellm_response.py"}.get(
        name, f"{name}_client.py"
    )
    text = (GUIDES / f"{name}.md").read_text(encoding="utf-8")
    assert f"../../examples/{example}" in text
    assert (EXAMPLES / example).is_file()
