"""`deltawire serve` in a process of its own: asked over sockets by httpx and the openai client.

What the app answers is in test_standin.py; here it is what a client sees of it, the options, and how the
command begins and ends.
"""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest
from cassette_files import RECORDED, vcr_py, write
from command import COMMAND, bad_line, deltawire, slow_facts

from deltawire import ChatStream, NotEventStream, StreamEnd, UpstreamError
from deltawire.cassettes import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

FOLDER = RECORDED[0].parent
NAME = "tool_streaming-0"
(RECORDING, _) = load(FOLDER / "tool_streaming.yaml")
BODY = RECORDING.response.body


@contextmanager
def serving(*args: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command on a free port; give its URL and the process."""
    command = [*COMMAND, "serve", "--port", "0", *map(str, args)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            found = re.fullmatch(
                r"deltawire: serving \d+ recordings? at (http://\S+/v1) until Ctrl-C\n", line
            )
            assert found, line + process.stderr.read()
            yield found[1], process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(FOLDER) as (url, process):
        yield url
        assert process.poll() is None


def chat(client: Any, fault: str = "none", *, stream: bool = True) -> Any:
    return client.chat.completions.create(
        model=NAME, messages=[], stream=stream, extra_headers={"X-Fault": fault}
    )


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=url, max_retries=0)


@contextmanager
def ask(url: str, fault: str | None = "none", **options: Any) -> Iterator[httpx.Response]:
    body = {"model": NAME, "stream": True}
    headers = {"X-Fault": fault} if fault else {}
    with httpx.stream("POST", f"{url}/chat/completions", json=body, headers=headers, **options) as response:
        yield response


# What clients see.


def test_the_openai_client_gets_the_recorded_chat(url: str) -> None:
    facts = slow_facts(FOLDER / "tool_streaming.yaml")[0]
    with openai_client(url) as client:
        arguments = "".join(
            call.function.arguments
            for part in chat(client)
            for choice in part.choices
            for call in choice.delta.tool_calls or []
        )
        assert arguments == facts["tool_calls"][0]["arguments"]
        completion = chat(client, stream=False)
        assert completion.choices[0].message.tool_calls[0].function.arguments == arguments
        assert completion.usage.total_tokens == facts["usage"]["total_tokens"]
        assert NAME in [model.id for model in client.models.list()]


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": False})], ids=["asyncio"])
@pytest.mark.anyio
async def test_the_async_openai_client_gets_the_recorded_chat(url: str) -> None:
    async with openai.AsyncOpenAI(api_key="k", base_url=url, max_retries=0) as client:
        stream: AsyncIterator[Any] = await chat(client)
        reasons = [choice.finish_reason async for part in stream for choice in part.choices]
    assert [reason for reason in reasons if reason] == ["tool_calls"]


def test_a_connection_serves_one_request_after_the_other(url: str) -> None:
    with httpx.Client() as client:
        for one in load(FOLDER / "tool_streaming_groq-kimi-k2.yaml"):
            answer = client.post(
                f"{url}/chat/completions",
                json={"model": "moonshotai/kimi-k2-instruct-0905", "stream": True},
            )
            assert answer.content == one.response.body


def test_a_cut_is_an_error_of_the_network(url: str) -> None:
    with ask(url, "cut") as response, ChatStream(response) as stream:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            stream.collect()
        assert stream.events == len(list(RECORDING.replay("event"))) // 2
        assert stream.end is None
    with openai_client(url) as client, pytest.raises(openai.APIConnectionError):
        list(chat(client, "cut"))


def test_a_reset_is_one_of_tcp(url: str) -> None:
    host, port = httpx.URL(url).host, httpx.URL(url).port
    assert port is not None
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Fault: reset\r\nContent-Length: 16\r\n\r\n"
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(head + b'{"stream": true}')
        received: list[bytes] = []
        with pytest.raises(ConnectionResetError):
            received.extend(iter(partial(connection.recv, 65536), b""))
    assert b"".join(received).count(b"data: ") > 2
    with ask(url, "reset") as response, ChatStream(response) as stream:
        with pytest.raises(httpx.ReadError):
            stream.collect()
        assert stream.events == len(list(RECORDING.replay("event"))) // 2
    with openai_client(url) as client, pytest.raises(openai.APIConnectionError):
        list(chat(client, "reset"))


def test_a_stall_leaves_the_connection_open(url: str) -> None:
    with ask(url, "stall", timeout=httpx.Timeout(20, read=0.5)) as response, ChatStream(response) as stream:
        with pytest.raises(httpx.ReadTimeout):
            stream.collect()
        assert stream.events == len(list(RECORDING.replay("event"))) // 2
    with openai_client(url).with_options(timeout=0.5) as client, pytest.raises(openai.APITimeoutError):
        list(chat(client, "stall"))


def test_an_error_in_the_stream_is_one_of_the_provider(url: str) -> None:
    with (
        ask(url, "error") as response,
        ChatStream(response) as stream,
        pytest.raises(UpstreamError) as raised,
    ):
        stream.collect()
    assert raised.value.error.code == "stand_in"
    assert raised.value.completion is not None
    with openai_client(url) as client:
        with pytest.raises(openai.APIError, match="asked for an error"):
            list(chat(client, "error"))
        with pytest.raises(openai.InternalServerError, match="asked for an error"):
            chat(client, "error", stream=False)


def test_a_page_is_no_event_stream(url: str) -> None:
    with (
        ask(url, "html") as response,
        ChatStream(response) as stream,
        pytest.raises(NotEventStream) as raised,
    ):
        stream.collect()
    assert (raised.value.status, raised.value.preview[:9]) == (200, b"<!doctype")
    with openai_client(url) as client:
        assert list(chat(client, "html")) == []  # which looks like a model that had nothing to say


def test_a_malformed_event_stands_among_the_others(url: str) -> None:
    with ask(url, "malformed") as response, ChatStream(response) as stream:
        stream.collect()
    assert (stream.malformed, stream.end) == (1, StreamEnd.DONE)
    with openai_client(url) as client, pytest.raises(json.JSONDecodeError):
        list(chat(client, "malformed"))


def test_a_wrong_name_is_an_error_of_the_openai_client(url: str) -> None:
    with openai_client(url) as client:
        with pytest.raises(openai.NotFoundError, match="No recording has this name"):
            client.chat.completions.create(model="m", messages=[], extra_headers={"X-Cassette": "x"})
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            client.embeddings.create(model="m", input="a")


# The options.


def test_the_options_choose_the_cut_the_pace_and_the_fault() -> None:
    options: tuple[str, ...] = (
        "--split",
        "100",
        "--pace",
        "0.01",
        "--fault",
        "malformed",
        "--fault-after",
        "1",
    )
    with serving(*options, FOLDER / "tool_streaming.yaml") as (url, _), ask(url, fault=None) as response:
        start = time.monotonic()
        chunks = list(response.iter_raw())
        assert time.monotonic() - start >= 0.01 * (len(BODY) // 100 - 1)
    assert {len(chunk) % 100 for chunk in chunks[:-1]} == {0}
    first, broken, *_ = b"".join(chunks).split(b"\n\n")
    assert first + b"\n\n" == next(iter(RECORDING.replay("event")))
    assert broken not in BODY
    options = ("--fault", "slow-start", "--slow-start", "0.5", "--pace", "recorded")
    with (
        serving(*options, FOLDER / "tool_streaming_groq-kimi-k2.yaml") as (url, _),
        ask(url, fault=None) as response,
        ChatStream(response) as stream,
    ):
        start = time.monotonic()
        assert stream.collect().choices[0].finish_reason
        assert time.monotonic() - start >= 0.5


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "Missing argument 'PATH...'. (see python -m deltawire serve --help)"),
        (("missing.yaml",), "missing.yaml: No such file or directory"),
        (("empty",), "empty: no file in this folder is .yaml, .yml or .json"),
        (("text.yaml",), "text.yaml: top level: expected a mapping, found text"),
        (("get.json",), "get.json: no answer to a POST request is recorded"),
        (("huge.json",), "huge.json: interactions[0].response.body: event 1, "),
        (("--split", "0", "."), "'--split': give event, line, random or a number of bytes"),
        (("--pace", "-1", "."), "'--pace': give recorded or a number of seconds"),
        (("--pace", "nan", "."), "'--pace': give recorded or a number of seconds"),
        (("--pace", "fast", "."), "'--pace': give recorded or a number of seconds"),
        (("--fault", "flood", "."), "'--fault': 'flood' is not one of 'cut', 'reset', "),
        (("--fault-after", "-1", "."), "'--fault-after'"),
        (("--slow-start", "-1", "."), "'--slow-start'"),
        (("--port", "65536", "."), "'--port'"),
        (("--port", "http", "."), "'--port'"),
        (("--host", "192.0.2.1", "good.json"), "cannot listen on port 8000 of 192.0.2.1: Cannot assign "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path, "secret", "text.yaml")
    cassette = vcr_py({"string": "data: secret\n\n"})
    write(tmp_path, cassette, "good.json")
    cassette["interactions"][0]["request"]["method"] = "GET"
    write(tmp_path, cassette, "get.json")
    if "huge.json" in args:
        write(tmp_path, vcr_py({"string": "data: " + "x" * (33 * 1024 * 1024)}), "huge.json")
    line = bad_line(deltawire("serve", *args))
    assert said in line
    assert "secret" not in line


def test_a_port_in_use_is_bad_input(url: str) -> None:
    port = str(httpx.URL(url).port)
    line = bad_line(deltawire("serve", "--port", port, FOLDER))
    assert line == f"cannot listen on port {port} of 127.0.0.1: Address already in use; choose another"


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_library_is_one_line_that_names_the_extra(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from deltawire.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "serve", str(FOLDER)], capture_output=True, check=False
    )
    assert bad_line(result) == f"serve needs {missing}: pip install 'deltawire[cli,replay,serve]'"


def test_ctrl_c_ends_it_at_once_also_within_a_stream() -> None:
    with serving("--fault", "stall", FOLDER) as (url, process), ask(url, "stall") as response:
        chunks = response.iter_raw()
        assert next(chunks).startswith(b"data: ")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=20)
        assert (process.returncode, stdout, stderr.strip()) == (130, "", "")
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
