"""Runs every file in examples/, each in a process of its own and against a server on loopback.

An example is `python examples/NAME.py URL`, where URL is the base that a provider's client takes, with `/v1`
at its end. Its docstring tells what it prints: the indented lines after a paragraph that begins with
"prints". A new file is found by itself. One that prints nothing but serves is told in `SERVERS`, takes the
port as its second argument, and has tests of its own here. Keys of a provider are in the environment.
The gateway takes a file in the place of the URL, and has its tests in test_gateway.py.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from chat_streams import DONE, calls, chunk, event, fragment, text
from servers import Exchange, serve

from deltawire import EventStream, encode_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
GUIDES = sorted(set((ROOT / "docs" / "guides").glob("*.md")) - {ROOT / "docs" / "guides" / "README.md"})
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SERVERS = {"serve_fastapi", "serve_starlette"}
ELSEWHERE = {"gateway"}
ENVIRONMENT = {
    "NO_PROXY": "*",
    "PYTHONUNBUFFERED": "1",
    "OPENAI_API_KEY": "k",
    "ANTHROPIC_API_KEY": "k",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it is fetched over the network on import
}

USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
CHAT = [
    *(text(content) for content in ("Let me ", "look.")),
    calls(fragment(index=0, id="call_1", type="function", name="weather", arguments='{"city"')),
    calls(fragment(index=0, arguments=':"Rome"}')),
    chunk({}, "tool_calls"),
    event({"id": "c1", "created": 1, "model": "m", "choices": [], "usage": USAGE}),
    DONE,
]
OVERLOADED = event({"error": {"message": "overloaded", "code": 503}})
MESSAGE: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 12, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    *(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": content}}
        for content in ("Let me ", "look.")
    ),
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
]
# What the server answers with, by the path and the model.
ANSWERS = {
    ("/v1/chat/completions", "any"): CHAT,
    ("/v1/chat/completions", "busy"): [OVERLOADED, DONE],
    ("/v1/chat/completions", "stuck"): [text("Let me")],
    ("/v1/messages", "any"): [encode_event(part, event=part["type"]) for part in MESSAGE],
}


def answer(exchange: Exchange) -> None:
    path = exchange.request.split()[1].decode()
    body = json.loads(exchange.read_body())
    assert body["stream"] is True
    model = body["model"] if body.get("model") in ("busy", "stuck") else "any"
    exchange.head("close")
    for data in ANSWERS[path, model]:
        exchange.send(data)
    if model == "stuck":
        exchange.wait_for_close()


# What else a server may do.


def refuse(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close", status=429, content_type="application/json")
    exchange.send(b'{"error": {"message": "slow down", "code": "rate_limit"}}')


def err_at_once(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close")
    exchange.send(OVERLOADED + DONE)


def show_a_page(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close", content_type="text/html")
    exchange.send(b"<html>secret</html>")


def err_later(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close")
    exchange.send(text("a"))
    exchange.wait()
    exchange.send(OVERLOADED + DONE)


def cut(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close")
    exchange.send(text("a") + b'data: {"choi')


def cut_at_once(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close")
    exchange.send(b'data: {"choi')


def reset(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("chunked")
    exchange.send(text("a"))
    exchange.wait()
    exchange.reset()


def err_within(exchange: Exchange) -> None:
    exchange.read_body()
    exchange.head("close")
    exchange.send(text("a") + OVERLOADED)


# How an example is run.


@contextmanager
def start(example: Path, *args: str) -> Iterator[subprocess.Popen[str]]:
    # Importing litellm warns of litellm.
    options = [] if example.stem == "litellm_response" else ["-W", "error"]
    process = subprocess.Popen(
        [sys.executable, *options, str(example), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def promised(example: Path) -> str:
    """Give what the docstring of an example says that it prints."""
    docstring = ast.get_docstring(ast.parse(example.read_text())) or ""
    _, begins, rest = docstring.partition("\n\nprints")
    assert begins, f"the docstring of {example.name} does not tell what it prints"
    lines = rest.partition(":\n\n")[2].splitlines(keepends=True)
    indented = [line for line in lines if line.startswith("    ") or not line.strip()]
    return textwrap.dedent("".join(indented)).strip("\n") + "\n"


@pytest.mark.parametrize(
    "example", [pytest.param(path, id=path.stem) for path in EXAMPLES if path.stem not in SERVERS | ELSEWHERE]
)
def test_an_example_prints_what_it_promises(example: Path) -> None:
    if example.stem == "litellm_response":
        pytest.importorskip("litellm", reason="LiteLLM is not installed: it held other packages back")
    with serve(answer) as server, start(example, f"{server.url}v1") as process:
        stdout, stderr = process.communicate(timeout=50)
    assert stderr == ""
    assert stdout == promised(example)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("name", "script", "told"),
    [
        ("chat_httpx", err_within, "the provider says: overloaded"),
        ("openai_client", err_within, "the provider reported an error: overloaded"),
        ("deadlines", refuse, "no model has answered"),
        (
            "httpx_sse_events",
            show_a_page,
            "no events: expected a response of type text/event-stream, got 'text/html'",
        ),
    ],
)
def test_an_example_tells_what_went_wrong(name: str, script: Callable[[Exchange], None], told: str) -> None:
    with serve(script) as server, start(ROOT / "examples" / f"{name}.py", f"{server.url}v1") as process:
        _, stderr = process.communicate(timeout=50)
    assert (process.returncode, stderr) == (1, f"{told}\n")


def test_every_example_stands_in_a_guide_and_every_guide_has_one() -> None:
    shown = {guide: set(re.findall(r"examples/(\w+)\.py", guide.read_text())) for guide in GUIDES}
    assert set().union(*shown.values()) == {example.stem for example in EXAMPLES}
    assert all(shown.values())


@pytest.mark.parametrize("guide", [pytest.param(path, id=path.stem) for path in GUIDES])
def test_what_a_guide_shows_of_an_example_stands_in_it(guide: Path) -> None:
    def without_indents(code: str) -> str:
        return re.sub(r"\n\s*", "\n", code)

    shown = re.findall(r"```python\n# examples/(\w+)\.py\n(.*?)```", guide.read_text(), re.DOTALL)
    for name, code in shown:
        example = (ROOT / "examples" / f"{name}.py").read_text()
        assert without_indents(code) in without_indents(example)


# Those that serve.


@contextmanager
def serving(name: str, script: Callable[[Exchange], None]) -> Iterator[tuple[str, Any]]:
    """Run an example that serves in front of a server that does what the script says; give its URL."""
    example = ROOT / "examples" / f"{name}.py"
    with serve(script) as server, start(example, f"{server.url}v1", "0") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                break
        else:
            pytest.fail("it has not started")
        yield found[1], server
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        assert "Traceback" not in stderr


def deltas(url: str) -> Iterator[Any]:
    with openai.OpenAI(api_key="k", base_url=f"{url}/v1", max_retries=0) as client:
        for part in client.chat.completions.create(model="m", messages=[], stream=True):
            yield from (choice.delta for choice in part.choices)


def test_starlette_passes_a_chat_on_to_the_openai_client() -> None:
    with serving("serve_starlette", answer) as (url, _):
        seen = list(deltas(url))
        assert "".join(delta.content or "" for delta in seen) == "Let me look."
        arguments = [call.function.arguments for delta in seen for call in delta.tool_calls or []]
        assert arguments == ['{"city"', ':"Rome"}']
        body = httpx2.post(f"{url}/v1/chat/completions", json={}).content
        assert body == b"".join(CHAT)


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        (refuse, 429, "slow down"),
        (err_at_once, 502, "overloaded"),
        (show_a_page, 502, "The provider answered with something else than an event stream."),
        (cut_at_once, 502, "The provider's stream ended before the message was complete."),
    ],
)
def test_starlette_answers_an_error_before_the_first_chunk_with_a_status(
    script: Callable[[Exchange], None], status: int, message: str
) -> None:
    with serving("serve_starlette", script) as (url, _):
        with pytest.raises(openai.APIStatusError) as raised:
            next(deltas(url))
        assert raised.value.status_code == status
        assert isinstance(raised.value.body, dict)
        assert raised.value.body["message"] == message


@pytest.mark.parametrize(
    ("script", "code"), [(err_later, "503"), (cut, "incomplete_stream"), (reset, "internal_error")]
)
def test_starlette_tells_the_openai_client_of_an_error_after_the_first_chunk(
    script: Callable[[Exchange], None], code: str
) -> None:
    with serving("serve_starlette", script) as (url, server):
        seen = deltas(url)
        assert next(seen).content == "a"
        server.release()
        with pytest.raises(openai.APIError) as raised:
            next(seen)
        assert raised.value.code == code


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_client_that_goes_away_closes_the_request_to_the_provider(name: str) -> None:
    def script(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.head("chunked")
        exchange.send(text("a"))
        exchange.wait_for_close()

    path = "/ask" if name == "serve_fastapi" else "/v1/chat/completions"
    with serving(name, script) as (url, server):
        with (
            httpx2.stream("POST", f"{url}{path}", json={"question": "?"}) as response,
            EventStream(response) as events,
        ):
            assert "a" in next(events).data
        assert server.client_closed.wait(20)


def test_fastapi_answers_a_page_with_events_of_its_own() -> None:
    def ask(url: str) -> list[tuple[str, Any]]:
        with (
            httpx2.stream("POST", f"{url}/ask", json={"question": "?"}) as response,
            EventStream(response) as events,
        ):
            seen = [(event.event, event.json()) for event in events]
            assert events.comments == 1
        return seen

    with serving("serve_fastapi", answer) as (url, _):
        call = {"id": "call_1", "type": "function"}
        call["function"] = {"name": "weather", "arguments": '{"city":"Rome"}'}  # type: ignore[assignment]
        *texts, called, done = ask(url)
        assert texts == [("text", {"text": "Let me "}), ("text", {"text": "look."})]
        assert (called[0], called[1]["function"]) == ("call", call["function"])
        assert done == ("done", {"usage": USAGE})
    with serving("serve_fastapi", cut) as (url, _):
        assert ask(url) == [("text", {"text": "a"}), ("error", {"error": "IncompleteStream"})]
