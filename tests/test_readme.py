"""The samples of the README can be pasted as they stand, one after the other, and print what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassette_files import RECORDED
from servers import Exchange, serve

from deltawire import cassettes

if TYPE_CHECKING:
    import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
MEMORY, CLIENT, PUSH, DROP_IN = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
URL = "http://127.0.0.1:8000/v1"

(RECORDING, _) = cassettes.load(RECORDED[0].parent / "tool_streaming.yaml")


def said(sample: str) -> str:
    """Give what a sample says that its last line prints, as far as that is told."""
    *_, comment = re.findall(r"# (.*)\n$", sample)
    return str(comment).removesuffix("...")


def test_the_samples_over_bytes_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(MEMORY, names)
    assert capsys.readouterr().out == f"Hello, \nworld\n{said(MEMORY)}\n"
    exec(PUSH, names)  # goes on with the body of the one above
    out = capsys.readouterr().out
    assert out.startswith(said(PUSH))
    assert "'content': 'Hello, world'" in out


def test_the_sample_over_http_reads_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.head()
        exchange.send(RECORDING.response.body)
        exchange.end()

    assert URL in CLIENT
    with serve(answer) as server:
        exec(CLIENT.replace(URL, server.url), {})
    out = capsys.readouterr().out
    assert out.startswith("I'll check the weather in Florence, Italy for you.[ToolCall(")
    assert out.endswith(" StreamEnd.DONE\n")


def test_the_sample_of_the_drop_in_makes_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    names: dict[str, Any] = {}
    exec(DROP_IN, names)
    assert type(names["client"]).__name__ == "AsyncOpenAI"
