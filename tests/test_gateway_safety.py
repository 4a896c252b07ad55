"""The example gateway under attack and under load: who is let in, what a request may take, what is booked.

Whatever a client or an upstream does, memory is bounded, the answer is clear, and the request is booked.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from chat_streams import DONE, chunk, event, text
from gateways import HEALTHY, KEYS, RECORDINGS, Gateway, running

from deltawire import EventParser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Exchange

USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19}
BILL = event({"id": "c1", "created": 1, "model": "m", "choices": [], "usage": USAGE})
MIB = 1024 * 1024
heads: list[bytes] = []
endless_over = threading.Event()


def headers(exchange: Exchange) -> None:
    heads.append(exchange.request)
    exchange.send_raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\nSet-Cookie: a=b\r\n"
        b"X-Upstream: secret\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
    )
    exchange.send_raw(text("a") + chunk({}, "stop") + DONE)


def endless(exchange: Exchange) -> None:
    exchange.head("close")
    try:
        while True:
            exchange.send(text("x" * 10_000))
    finally:
        endless_over.set()


def billed_late(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(text("a"))
    exchange.wait()
    exchange.send(chunk({}, "stop") + BILL + DONE)
    exchange.end()


def stalled(exchange: Exchange) -> None:
    exchange.head("chunked")
    exchange.send(text("a"))
    exchange.wait_for_close()


def dripping(exchange: Exchange) -> None:
    exchange.head("chunked")
    while True:
        exchange.send(text("a"))
        time.sleep(0.2)


def large_event(exchange: Exchange) -> None:
    exchange.head("close")
    exchange.send(text("a") + text("x" * 3 * MIB) + chunk({}, "stop") + BILL + DONE)


def event_without_end(exchange: Exchange) -> None:
    exchange.head("close")
    exchange.send(text("a") + b'data: {"id":"')
    for _ in range(64):
        exchange.send(b"x" * MIB)


SCRIPTS = {
    "headers": headers,
    "endless": endless,
    "billed-late": billed_late,
    "stalled": stalled,
    "dripping": dripping,
    "large-event": large_event,
    "event-without-end": event_without_end,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("gateway"), SCRIPTS, pace=0.005) as gateway:
        yield gateway
        assert gateway.process.poll() is None
        assert "Traceback" not in gateway.log


AUTHORIZED = {"Authorization": f"Bearer {KEYS['alice']}"}


def body_of(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [], "stream": True, **more}


def post(gateway: Gateway, model: str, headers: dict[str, str] = AUTHORIZED, **more: Any) -> httpx2.Response:
    return httpx2.post(
        f"{gateway.url}/chat/completions", json=body_of(model, **more), headers=headers, timeout=30
    )


def connect(gateway: Gateway, *lines: str, body: bytes = b"") -> socket.socket:
    """Open a connection and send a POST with these header lines."""
    url = httpx2.URL(gateway.url)
    assert url.port is not None
    connection = socket.create_connection((url.host, url.port), timeout=20)
    head = ["POST /v1/chat/completions HTTP/1.1", "Host: a", "Connection: close", *lines, "", ""]
    connection.sendall("\r\n".join(head).encode() + body)
    return connection


def answer(connection: socket.socket) -> tuple[int, bytes]:
    received = b""
    while data := connection.recv(65536):
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


# Who is let in.


def test_a_key_that_is_not_known_learns_nothing_from_the_answer(gateway: Gateway) -> None:
    key = KEYS["alice"]
    probes = [
        f"Bearer {probe}" for probe in ("x", key[:-1], key + "x", key[:-1] + "x", key.upper(), key * 99)
    ]
    probes += [key, f"Basic {key}", "Bearer", f"Bearer  {key}", f"Bearer {KEYS['alice']} {KEYS['bob']}"]
    answers = [post(gateway, HEALTHY, {"Authorization": probe}) for probe in probes]
    answers += [post(gateway, HEALTHY, {}), post(gateway, "no such model", {"Authorization": "Bearer x"})]
    answers += [httpx2.get(f"{gateway.url}/models", headers={"Authorization": probe}) for probe in probes]
    for one in answers:
        del one.headers["date"]
    (told,) = {(one.status_code, one.content, str(one.headers)) for one in answers}
    assert told[0] == 401
    assert json.loads(told[1])["error"]["code"] == "invalid_api_key"
    assert post(gateway, HEALTHY, {"Authorization": f"bearer {KEYS['bob']}"}).status_code == 200
    assert gateway.booked(HEALTHY)["key"] == "bob"


def test_a_body_is_not_read_of_who_is_not_let_in(gateway: Gateway) -> None:
    with connect(gateway, "Authorization: Bearer x", "Content-Length: 10000000") as connection:
        assert answer(connection)[0] == 401


# What a request may hold.


def refused(gateway: Gateway, body: bytes) -> tuple[int, Any]:
    response = httpx2.post(f"{gateway.url}/chat/completions", content=body, headers=AUTHORIZED, timeout=30)
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    return response.status_code, response.json()["error"]["code"]


def test_a_request_that_is_no_chat_is_refused(gateway: Gateway) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b"null", b"[" * 90_000, b'{"a":' * 10_000):
        assert refused(gateway, body) == (400, "invalid_json")
    for options in ([1], "x", 5):
        assert refused(gateway, json.dumps(body_of(HEALTHY, stream_options=options)).encode())[0] == 400
    for model in ("none", "", None, 5, [HEALTHY], "a\r\nX-Evil: 1"):
        assert refused(gateway, json.dumps({"model": model}).encode()) == (404, "model_not_found")
    for url in (gateway.url, f"{gateway.url}/chat", f"{gateway.url}/chat/completions"):
        response = httpx2.get(url, headers=AUTHORIZED)
        assert response.status_code in (404, 405)
        assert "error" in response.json()


def test_a_body_over_the_limit_is_refused_however_it_comes(gateway: Gateway) -> None:
    large = json.dumps(body_of(HEALTHY, messages=["x" * 100_000])).encode()
    authorization = f"Authorization: {AUTHORIZED['Authorization']}"
    for lines, body in (
        ([f"Content-Length: {len(large)}"], large),
        (["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)),
    ):
        with connect(gateway, authorization, *lines, body=body) as connection:
            status, told = answer(connection)
        assert status == 413
        assert json.loads(told)["error"]["code"] == "request_too_large"
    assert post(gateway, HEALTHY, messages=["x" * 90_000]).status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(gateway: Gateway) -> None:
    authorization = f"Authorization: {AUTHORIZED['Authorization']}"
    with connect(gateway, authorization, "Content-Length: 50", body=b'{"model"') as connection:
        status, told = answer(connection)
    assert (status, json.loads(told)["error"]["code"]) == (408, "request_timeout")
    connect(gateway, authorization, "Content-Length: 50", body=b'{"model"').close()


# What goes from one side to the other.


def test_nothing_but_the_json_of_a_request_goes_to_an_upstream(gateway: Gateway) -> None:
    cut = post(gateway, HEALTHY, {**AUTHORIZED, "X-Fault": "cut", "X-Cassette": "none"})
    assert cut.content.endswith(b"}]}\n\n" + DONE)
    heads.clear()
    post(gateway, "script-headers", {**AUTHORIZED, "X-Client": "1", "Cookie": "c=1"})
    (head,) = heads
    assert b"\r\nauthorization: bearer sk-upstream-secret\r\n" in head.lower()
    assert not any(leaked in head.lower() for leaked in (b"x-client", b"cookie", b"sk-test"))


def test_nothing_but_the_body_of_a_response_goes_to_a_client(gateway: Gateway) -> None:
    response = post(gateway, "script-headers")
    assert response.content.endswith(DONE)
    expected = {"date", "server", "cache-control", "x-accel-buffering", "content-type", "transfer-encoding"}
    assert set(response.headers) == expected


def test_a_header_that_would_forge_another_is_not_sent(gateway: Gateway) -> None:
    before = gateway.scripted.connections
    assert post(gateway, "injecting").status_code == 502
    # What was connected was never sent a request.
    assert gateway.scripted.connections - before <= 1
    assert "X-B" not in post(gateway, "injecting").text


# What an upstream may send.


def test_an_event_over_the_limit_passes_through_in_pieces(gateway: Gateway) -> None:
    before = gateway.resident()
    body = post(gateway, "script-large-event").content
    contents = [
        json.loads(one.data)["choices"][0]["delta"].get("content", "")
        for one in EventParser().feed(body)
        if one.data != "[DONE]"
    ]
    assert contents[:2] == ["a", "x" * 3 * MIB]
    assert body.endswith(DONE)
    assert gateway.resident() - before < 40 * MIB


def test_an_event_without_an_end_takes_no_memory_and_is_no_whole_stream(gateway: Gateway) -> None:
    before = gateway.resident()
    size = 0
    tail = b""
    with httpx2.stream(
        "POST",
        f"{gateway.url}/chat/completions",
        json=body_of("script-event-without-end"),
        headers=AUTHORIZED,
    ) as response:
        for data in response.iter_bytes():
            size += len(data)
            tail = (tail + data)[-300:]
            assert gateway.resident() - before < 40 * MIB
    assert size > 60 * MIB
    assert gateway.booked("script-event-without-end")["end"] != "done"
    assert b"error" in tail


# Clients that do not read, and clients that go away.


def test_a_client_that_does_not_read_holds_up_its_stream_and_nothing_else(gateway: Gateway) -> None:
    before = gateway.resident()
    asked = json.dumps(body_of("script-endless")).encode()
    authorization = f"Authorization: {AUTHORIZED['Authorization']}"
    endless_over.clear()
    with connect(gateway, authorization, f"Content-Length: {len(asked)}", body=asked) as connection:
        connection.recv(1000)
        for _ in range(10):
            time.sleep(0.1)
            assert gateway.resident() - before < 40 * MIB
        assert post(gateway, HEALTHY).content.endswith(DONE), "others are served meanwhile"
        # It has some seconds to read on; then the upstream is let go.
        assert endless_over.wait(20)
    line = gateway.booked("script-endless")
    assert (line["end"], line["delivered"]) == (None, False)
    assert gateway.resident() - before < 40 * MIB


def leave_early(gateway: Gateway, model: str) -> None:
    url = f"{gateway.url}/chat/completions"
    with httpx2.stream("POST", url, json=body_of(model), headers=AUTHORIZED) as response:
        assert b'"a"' in next(response.iter_raw())


def test_the_bill_of_a_client_that_is_gone_is_known_all_the_same(gateway: Gateway) -> None:
    leave_early(gateway, "script-billed-late")
    gateway.scripted.release()
    line = gateway.booked("script-billed-late")
    assert (line["end"], line["delivered"], line["usage"]) == ("done", False, USAGE)


def test_an_upstream_without_a_bill_is_let_go_in_time(gateway: Gateway) -> None:
    gateway.scripted.client_closed.clear()
    leave_early(gateway, "script-stalled")
    assert gateway.scripted.client_closed.wait(20)
    line = gateway.booked("script-stalled")
    assert line["end"] in (None, "truncated")
    assert (line["delivered"], line["usage"]) == (False, None)
    assert line["seconds"] < 15


# Nothing is lost.

STREAMS = 240
FAULTS = ("cut", "reset", "error")


async def one_of_many(client: httpx2.AsyncClient, url: str, number: int) -> tuple[str, bytes]:
    """Ask for a stream: one of three is read to its end, one is left after some events, one has a fault."""
    if number % 3 == 2:
        model, leaves = FAULTS[number // 3 % len(FAULTS)], None
    else:
        model = list(RECORDINGS)[number // 3 % len(RECORDINGS)]
        leaves = None if number % 3 == 0 else number % 13
    body = b""
    asked = body_of(model, stream_options={"include_usage": True})
    async with client.stream("POST", url, json=asked, headers=AUTHORIZED) as response:
        async for data in response.aiter_raw():
            body += data
            if leaves is not None and body.count(b"\n\n") > leaves:
                break
    return model, body


def renamed(recording: str, model: str) -> bytes:
    """Give what a client is to get of a recording, found out with json and `bytes.split`."""
    blocks = []
    for block in RECORDINGS[recording].interaction.response.body.split(b"\n\n"):
        if block.startswith(b"data: {"):
            was = json.dumps(json.loads(block[6:])["model"]).encode()
            block = block.replace(b'"model":' + was, b'"model":' + json.dumps(model).encode())
        blocks.append(block)
    body = b"\n\n".join(blocks)
    return body[: body.index(DONE) + len(DONE)]


def test_every_byte_and_every_token_of_many_streams_is_accounted_for(gateway: Gateway) -> None:
    async def all_of_them() -> list[tuple[str, bytes]]:
        limits = httpx2.Limits(max_connections=16)
        async with httpx2.AsyncClient(limits=limits, timeout=40) as client:
            url = f"{gateway.url}/chat/completions"
            return await asyncio.gather(*(one_of_many(client, url, number) for number in range(STREAMS)))

    seen = len(gateway.usage())
    came = asyncio.run(all_of_them())
    for number, (model, body) in enumerate(came):
        if number % 3 == 0:
            assert body == renamed(model, model)
        elif number % 3 == 1:
            assert renamed(model, model).startswith(body)
        else:
            *good, error, done, rest = body.split(b"\n\n")
            assert renamed(HEALTHY, model).startswith(b"\n\n".join(good) + b"\n\n")
            assert len(good) == len(list(RECORDINGS[HEALTHY].interaction.replay("event"))) // 2
            assert (done, rest) == (b"data: [DONE]", b"")
            assert json.loads(error.removeprefix(b"data: "))["error"]["message"]
    deadline = time.monotonic() + 20
    while len(lines := gateway.usage()[seen:]) < STREAMS and time.monotonic() < deadline:
        time.sleep(0.05)
    # A line for each, however it went; and the bill of each that had one, whoever had left by then.
    assert len(lines) == STREAMS
    asked = [model for model, _ in came]
    assert sorted(line["model"] for line in lines) == sorted(asked)
    for line in lines:
        if line["model"] in FAULTS:
            assert line["usage"] is None
            assert line["end"] != "done"
        else:
            message = RECORDINGS[line["model"]].message
            assert message is not None
            assert message.usage is not None
            assert (line["end"], line["usage"]) == ("done", message.usage.to_dict()), str(line)
    assert sum(not line["delivered"] for line in lines) >= STREAMS // 6, "hardly anybody left early"


# The end.


def test_streams_have_some_time_to_end_and_are_cut_then(tmp_path: Path) -> None:
    with running(tmp_path, SCRIPTS) as gateway:
        url = f"{gateway.url}/chat/completions"
        with (
            httpx2.Client(headers=AUTHORIZED, timeout=30) as client,
            client.stream("POST", url, json=body_of("script-billed-late")) as ended,
            client.stream("POST", url, json=body_of("script-dripping")) as never_ended,
        ):
            received = ended.iter_raw()
            assert b'"a"' in next(received)
            gateway.process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            gateway.scripted.release()
            assert b"".join(received).endswith(DONE)
            with pytest.raises(httpx2.RemoteProtocolError):
                list(never_ended.iter_raw())
        assert gateway.process.wait(20) == 0
        ends = {line["model"]: line["end"] for line in gateway.usage()}
    assert ends.keys() == {"script-billed-late", "script-dripping"}
    assert [model for model, end in ends.items() if end == "done"] == ["script-billed-late"]
