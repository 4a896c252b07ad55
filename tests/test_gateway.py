"""The example gateway, with the real openai client in front of it and the stand-in behind it, over loopback.

What it passes on is what came, whatever goes wrong is told, and nobody who is not let in learns anything.
What it does when it is attacked, or left alone, is in test_gateway_safety.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from chat_streams import DONE, chunk, event, text
from gateways import HEALTHY, KEYS, RECORDINGS, Gateway, running

from deltawire import ChatAccumulator
from deltawire.standin import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Exchange

USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}


def silent(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(text("a"))
    time.sleep(0.8)
    exchange.send(text("b") + chunk({}, "stop") + DONE)
    exchange.end()


def refusing(status: int) -> Callable[[Exchange], None]:
    def script(exchange: Exchange) -> None:
        exchange.head("close", status=status, content_type="application/json")
        exchange.send(b'{"error": {"message": "told by the provider", "code": "c"}}')

    return script


def with_usage(exchange: Exchange) -> None:
    exchange.head("chunked")
    bill = event({"id": "c1", "created": 1, "model": "m", "choices": [], "usage": USAGE})
    exchange.send(text("a") + chunk({}, "stop") + bill + DONE)
    exchange.end()


SCRIPTS = {
    "silent": silent,
    "with-usage": with_usage,
    **{str(status): refusing(status) for status in (400, 401, 429, 500)},
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("gateway"), SCRIPTS) as gateway:
        yield gateway
        assert gateway.process.poll() is None
        assert "Traceback" not in gateway.log


def ask_sync(url: str, model: str, **options: Any) -> tuple[list[dict[str, Any]], Exception | None]:
    """Give the chunks that the openai client gives, and what it raises after them."""
    chunks: list[dict[str, Any]] = []
    with openai.OpenAI(api_key=KEYS["alice"], base_url=url, max_retries=0) as client:
        try:
            stream = client.chat.completions.create(model=model, messages=[], stream=True, **options)
            chunks.extend(part.to_dict() for part in stream)
        except Exception as error:
            return chunks, error
    return chunks, None


def ask_async(url: str, model: str, **options: Any) -> tuple[list[dict[str, Any]], Exception | None]:
    async def ask() -> tuple[list[dict[str, Any]], Exception | None]:
        chunks: list[dict[str, Any]] = []
        async with openai.AsyncOpenAI(api_key=KEYS["alice"], base_url=url, max_retries=0) as client:
            try:
                async for part in await client.chat.completions.create(
                    model=model, messages=[], stream=True, **options
                ):
                    chunks.append(part.to_dict())  # noqa: PERF401 - what came before an error is asked for too
            except Exception as error:
                return chunks, error
        return chunks, None

    return asyncio.run(ask())


def complete(url: str, model: str) -> Any:
    with openai.OpenAI(api_key=KEYS["alice"], base_url=url, max_retries=0) as client:
        return client.chat.completions.create(model=model, messages=[]).to_dict()


def post(gateway: Gateway, model: str, **body: Any) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {KEYS['alice']}"}
    body = {"model": model, "messages": [], **body}
    return httpx2.post(f"{gateway.url}/chat/completions", json=body, headers=headers, timeout=30)


CLIENTS = {"sync": ask_sync, "async": ask_async}
both_clients = pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)


def each_client(*faults: str) -> pytest.MarkDecorator:
    """Run a test for each fault with both clients; a stall takes its time, and is the same to both."""
    cases = [
        pytest.param(fault, ask, id=f"{fault}-{name}")
        for fault in faults
        for name, ask in CLIENTS.items()
        if (fault, name) != ("stall", "sync")
    ]
    return pytest.mark.parametrize(("fault", "ask"), cases)


def sent(name: str, model: str, *, usage: bool) -> list[dict[str, Any]]:
    """Give the chunks of a recording as a client is to get them."""
    chunks = []
    for data in RECORDINGS[name].interaction.response.body.split(b"\n"):
        if data.startswith(b"data: {"):
            value = json.loads(data[6:])
            value["model"] = model
            only_usage = not value["choices"]
            if not usage:
                value.pop("usage", None)
                (value.get("x_groq") or {}).pop("usage", None)
            if usage or not only_usage:
                chunks.append(value)
    return chunks


# What comes of a recording.


@both_clients
@pytest.mark.parametrize("name", RECORDINGS)
def test_the_openai_client_gets_text_and_tool_calls_as_they_were_recorded(
    gateway: Gateway, name: str, ask: Any
) -> None:
    chunks, error = ask(gateway.url, name, stream_options={"include_usage": True})
    assert error is None
    assert chunks == sent(name, name, usage=True)
    chunks, error = ask(gateway.url, name)
    assert error is None
    assert [choice for part in chunks for choice in part["choices"]] == [
        choice for part in sent(name, name, usage=False) for choice in part["choices"]
    ]
    assert not any(part.get("usage") for part in chunks), "nobody asked for it"


@pytest.mark.parametrize("name", RECORDINGS)
def test_all_bytes_but_the_model_are_those_that_were_recorded(gateway: Gateway, name: str) -> None:
    body = post(gateway, name, stream=True, stream_options={"include_usage": True}).content
    recorded = RECORDINGS[name].interaction.response.body
    model = json.dumps(name).encode()
    renamed = re.sub(rb'("model": ?)"[^"]*"', lambda found: found[1] + model, recorded)
    assert body == renamed[: renamed.index(DONE) + len(DONE)]


@pytest.mark.parametrize("name", RECORDINGS)
def test_without_stream_the_message_is_assembled(gateway: Gateway, name: str) -> None:
    accumulator = ChatAccumulator()
    accumulator.feed(RECORDINGS[name].interaction.response.body)
    accumulator.close()
    assert complete(gateway.url, name) == {**accumulator.completion.to_dict(), "model": name}


def test_the_bill_is_kept_and_told_to_who_asks(gateway: Gateway) -> None:
    chunks, _ = ask_sync(gateway.url, "script-with-usage")
    assert [len(part["choices"]) for part in chunks] == [1, 1]
    seen = gateway.booked("script-with-usage")
    assert seen["usage"] == USAGE
    assert (seen["key"], seen["end"], seen["delivered"]) == ("alice", "done", True)
    chunks, _ = ask_sync(gateway.url, "script-with-usage", stream_options={"include_usage": True})
    assert chunks[-1]["usage"] == USAGE
    assert gateway.booked("script-with-usage", 1)["usage"] == USAGE


def test_a_silent_upstream_is_covered_by_keep_alives(gateway: Gateway) -> None:
    body = post(gateway, "script-silent", stream=True).content
    first, *_, last = body.split(b"\n\n")[:2]
    assert b'"a"' in first
    # It stands before the next event, in lines of its own and without a blank line.
    assert re.fullmatch(rb'(?:: keep-alive\n)+data: \{.*"b".*\}', last)
    chunks, error = ask_sync(gateway.url, "script-silent")
    assert error is None
    assert [part["choices"][0]["delta"].get("content") for part in chunks] == ["a", "b", None]


def test_models_and_metrics_are_told(gateway: Gateway) -> None:
    with openai.OpenAI(api_key=KEYS["bob"], base_url=gateway.url) as client:
        assert set(RECORDINGS) <= {model.id for model in client.models.list()}
    seen = len([line for line in gateway.usage() if line["model"] == HEALTHY])
    ask_sync(gateway.url, HEALTHY)
    gateway.booked(HEALTHY, seen)  # which is the last thing to happen
    metrics = httpx2.get(gateway.url.removesuffix("/v1") + "/metrics").text
    labels = f'model="{HEALTHY}",upstream="healthy"'
    for metric in (f'streams_total{{end="done",{labels}}}', f"event_gap_seconds_count{{{labels}}}"):
        found = re.search(rf"^deltawire_{re.escape(metric)} (\S+)$", metrics, re.MULTILINE)
        assert found is not None
        assert float(found[1]) >= 1


# What goes wrong within a stream.

BREAKING = [fault for fault in FAULTS if fault not in ("slow-start", "html")]


@each_client(*BREAKING)
def test_a_fault_within_a_stream_is_told_and_never_looks_like_an_end(
    gateway: Gateway, fault: str, ask: Any
) -> None:
    seen = len([line for line in gateway.usage() if line["model"] == fault])
    chunks, error = ask(gateway.url, fault)
    before = sent(HEALTHY, fault, usage=False)
    assert chunks == before[: len(chunks)]
    assert 0 < len(chunks) < len(before)
    # What is no JSON is passed on as it came, and is no more an end than it is without a gateway.
    assert isinstance(error, json.JSONDecodeError if fault == "malformed" else openai.APIError)
    assert not any(choice["finish_reason"] for part in chunks for choice in part["choices"])
    line = gateway.booked(fault, seen)
    assert line["end"] == {"error": "error", "malformed": "done"}.get(fault, line["end"])
    assert (line["end"] == "done") is (fault == "malformed")


@both_clients
def test_a_page_in_the_place_of_a_stream_is_an_error_with_a_status(gateway: Gateway, ask: Any) -> None:
    chunks, error = ask(gateway.url, "html")
    assert chunks == []
    assert isinstance(error, openai.InternalServerError)
    assert error.status_code == 502
    assert error.code == "not_event_stream"


@both_clients
def test_a_slow_start_is_waited_for(gateway: Gateway, ask: Any) -> None:
    chunks, error = ask(gateway.url, "slow-start")
    assert error is None
    assert chunks == sent(HEALTHY, "slow-start", usage=False)


@pytest.mark.parametrize("fault", ["cut", "reset", "error", "html", "malformed"])
def test_without_stream_a_fault_is_an_error_with_a_status(gateway: Gateway, fault: str) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        complete(gateway.url, fault)
    assert raised.value.status_code == 502
    assert "choices" not in raised.value.response.text


# Fallback.


@each_client(*BREAKING, "html")
def test_a_fault_at_the_first_event_has_the_next_upstream_asked(
    gateway: Gateway, fault: str, ask: Any
) -> None:
    model = f"{fault}-first-then-healthy"
    seen = len([line for line in gateway.usage() if line["model"] == model])
    chunks, error = ask(gateway.url, model)
    assert error is None
    assert chunks == sent(HEALTHY, model, usage=False)
    line = gateway.booked(model, seen)
    assert line["tried"] == [fault, "healthy"]
    assert line["usage"]["total_tokens"] == 99


@pytest.mark.parametrize("fault", ["cut", "reset", "error", "html", "malformed"])
def test_a_fault_at_the_first_event_of_the_last_upstream_is_a_status(gateway: Gateway, fault: str) -> None:
    response = post(gateway, f"{fault}-first", stream=True)
    assert response.status_code == 502
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("fault", [*BREAKING, "html"])
def test_without_stream_the_next_upstream_is_asked_whenever_the_fault_comes(
    gateway: Gateway, fault: str
) -> None:
    answer = complete(gateway.url, f"{fault}-then-healthy")
    arguments = answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"location": "Florence, Italy"}


@both_clients
def test_an_upstream_that_is_not_there_is_passed_over(gateway: Gateway, ask: Any) -> None:
    chunks, error = ask(gateway.url, "dead-then-healthy")
    assert error is None
    assert chunks == sent(HEALTHY, "dead-then-healthy", usage=False)
    chunks, error = ask(gateway.url, "dead")
    assert chunks == []
    assert isinstance(error, openai.InternalServerError)


@pytest.mark.parametrize(
    ("status", "told", "says"),
    [(400, 400, True), (401, 502, False), (429, 429, True), (500, 502, True)],
)
def test_a_refusal_is_told_unless_it_is_the_gateway_that_is_refused(
    gateway: Gateway, status: int, told: int, says: bool
) -> None:
    response = post(gateway, f"script-{status}", stream=True)
    assert response.status_code == told
    assert ("told by the provider" in response.text) is says
    # Another provider would refuse a request that is wrong as well.
    answer = post(gateway, f"script-{status}-then-healthy", stream=True)
    assert answer.status_code == (400 if status == 400 else 200)
