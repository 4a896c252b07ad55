"""The drop-in for httpx-sse: its public API and its events, over real clients of httpx and httpx2.

httpx-sse itself is the oracle, for bodies in which it follows its own documentation; where it does not (a
BOM, a phantom event after an id, numbers that are none), the differences that docs/compat.md tells are held
to one by one.
"""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import httpx_sse as peer
import pytest
from compat_servers import answer
from fakes import agenerate
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import serve

from deltawire.compat import httpx_sse
from deltawire.compat.httpx_sse import EventSource, ServerSentEvent, SSEError, aconnect_sse, connect_sse

if TYPE_CHECKING:
    from servers import Exchange

CLIENTS = [httpx, httpx2]
either_client = pytest.mark.parametrize("http", CLIENTS, ids=["httpx", "httpx2"])

BODY = b"id: 1\ndata: one\n\nevent: two\ndata: 2\ndata: zwei\nretry: 5\n\nretry: 7\n\nevent: bare\n\n"
EVENTS = [
    ("message", "one", "1", None),
    ("two", "2\nzwei", "1", 5),
    ("message", "", "1", 7),
    ("bare", "", "1", None),
]


def fields(event: Any) -> tuple[str, str, str, int | None]:
    return event.event, event.data, event.id, event.retry


def source(*chunks: bytes, content_type: str | None = "text/event-stream", **options: Any) -> EventSource:
    headers = {} if content_type is None else {"content-type": content_type}
    return EventSource(httpx.Response(200, headers=headers, content=iter(chunks)), **options)


def events(*chunks: bytes, **options: Any) -> list[Any]:
    return [fields(event) for event in source(*chunks, **options).iter_sse()]


def test_it_exports_what_httpx_sse_exports() -> None:
    assert sorted(httpx_sse.__all__) == sorted(peer.__all__)
    assert httpx_sse.__version__ == peer.__version__


@either_client
def test_events_come_out_of_a_blocking_client(http: Any) -> None:
    with serve(answer(BODY)) as server, http.Client() as client:
        with connect_sse(client, "GET", server.url) as opened:
            assert opened.response.status_code == 200
            assert [fields(event) for event in opened.iter_sse()] == EVENTS
        assert opened.response.is_closed


@either_client
@pytest.mark.anyio
async def test_events_come_out_of_an_async_client(http: Any) -> None:
    with serve(answer(BODY)) as server:
        async with http.AsyncClient() as client:
            async with aconnect_sse(client, "POST", server.url, json={}) as opened:
                assert [fields(event) async for event in opened.aiter_sse()] == EVENTS
            assert opened.response.is_closed


@either_client
def test_an_event_comes_out_when_it_has_arrived(http: Any) -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.send(b"data: one\r\n\r")
        exchange.wait()
        exchange.send(b"\ndata: two\n\n")
        exchange.end()

    with serve(script) as server, http.Client() as client, connect_sse(client, "GET", server.url) as opened:
        iterator = opened.iter_sse()
        assert next(iterator).data == "one"
        server.release()
        assert [event.data for event in iterator] == ["two"]


@pytest.mark.parametrize(
    "given_headers",
    [
        None,
        {"accept": "x", "Last-Event-ID": "9"},
        httpx.Headers({"ACCEPT": "x", "Last-Event-ID": "9"}),
        [("cache-control", "x"), ("Last-Event-ID", "9")],
        [(b"Accept", b"x"), (b"Last-Event-ID", b"9")],
    ],
)
def test_the_request_asks_for_an_event_stream_once_and_leaves_the_callers_headers_alone(
    given_headers: Any,
) -> None:
    before = given_headers.copy() if given_headers is not None else None
    with (
        serve(answer(b"")) as server,
        httpx.Client() as client,
        connect_sse(client, "GET", server.url, headers=given_headers) as opened,
    ):
        sent = opened.response.request.headers
    assert sent.get_list("accept") == ["text/event-stream"]
    assert sent.get_list("cache-control") == ["no-store"]
    assert sent.get("last-event-id") == (None if given_headers is None else "9")
    assert given_headers == before


@either_client
def test_another_content_type_is_a_transport_error_of_the_client_at_the_first_step(http: Any) -> None:
    with (
        serve(answer(b"<html>", content_type="text/html; charset=x")) as server,
        http.Client() as client,
        connect_sse(client, "GET", server.url) as opened,
    ):
        iterator = opened.iter_sse()
        with pytest.raises(http.TransportError, match="text/event-stream") as caught:
            next(iterator)
    assert type(caught.value) is SSEError
    assert "'text/html'" in str(caught.value)


@pytest.mark.anyio
async def test_another_content_type_is_an_error_on_the_async_side() -> None:
    response = httpx2.Response(200, content=agenerate([b"data: x\n\n"]))
    with pytest.raises(SSEError):
        await anext(EventSource(response).aiter_sse())


@pytest.mark.parametrize(
    "content_type",
    ["text/event-stream", "application/json, text/event-stream; charset=utf-8", "Text/Event-Stream"],
)
def test_a_content_type_that_names_an_event_stream_will_do(content_type: str) -> None:
    assert events(b"data: x\n\n", content_type=content_type) == [("message", "x", "", None)]


def test_a_body_that_is_cut_raises_the_clients_own_exception() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head(99)
        exchange.send(b"data: one\n\ndata: two\n")

    with serve(script) as server, httpx2.Client() as client, connect_sse(client, "GET", server.url) as opened:
        iterator = opened.iter_sse()
        assert next(iterator).data == "one"
        with pytest.raises(httpx2.RemoteProtocolError):
            next(iterator)


@pytest.mark.anyio
async def test_an_async_iteration_that_is_left_early_leaves_nothing_behind() -> None:
    def script(exchange: Exchange) -> None:
        exchange.head()
        exchange.send(b"data: one\n\n")
        exchange.wait_for_close()

    with serve(script) as server:
        async with httpx.AsyncClient() as client:
            async with aconnect_sse(client, "GET", server.url) as opened:
                iterator = opened.aiter_sse()
                assert (await anext(iterator)).data == "one"
                await iterator.aclose()
            gc.collect()  # pytest turns what an event loop says of an open generator into an error
    assert server.client_closed.is_set()


def test_strict_follows_the_standard() -> None:
    assert events(BODY, strict=True) == EVENTS[:2]


def test_an_event_over_the_limit_is_an_error_after_the_events_before_it() -> None:
    iterator = source(b"data: one\n\n", b"data: 1234567890\n\n", max_event_size=8).iter_sse()
    assert next(iterator).data == "one"
    with pytest.raises(SSEError, match="max_event_size=8"):
        next(iterator)


def test_a_response_can_be_wrapped_again_like_one_of_httpx_sse() -> None:
    opened = source(b"data: one\n\n")
    assert [event.data for event in opened.iter_sse()] == ["one"]
    with pytest.raises(AttributeError):
        opened.response = None  # type: ignore[misc, assignment]


# --- the event object


def test_an_event_has_the_defaults_and_the_repr_of_httpx_sse() -> None:
    for args in ({}, {"event": "", "data": None}, {"event": "e", "data": "d", "id": "i", "retry": 0}):
        ours, theirs = ServerSentEvent(**args), peer.ServerSentEvent(**args)
        assert (repr(ours), fields(ours)) == (repr(theirs), fields(theirs))
    assert ServerSentEvent("a", "b", "c", 1).retry == 1


def test_an_event_is_read_only() -> None:
    for name in ("event", "data", "id", "retry"):
        with pytest.raises(AttributeError):
            setattr(ServerSentEvent(), name, "x")


@pytest.mark.parametrize(
    "data", ['{"a": [1, 2.5, null]}', "[NaN, Infinity]", '"\\ud800"', " 1 ", str(2**64 - 1)]
)
def test_json_gives_what_the_standard_library_gives(data: str) -> None:
    assert repr(ServerSentEvent(data=data).json()) == repr(json.loads(data))


@pytest.mark.parametrize("data", ["", "x", "{", "1 2"])
def test_json_raises_the_standard_librarys_error(data: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        ServerSentEvent(data=data).json()


# --- the same events as httpx-sse

LINES = st.sampled_from(
    ["data: a", "data:b", "data:  c", "data", "event: e", "event", "event:", "retry: 12", "retry: x", "x: y",
     ": comment", "data: é\u2028", "", "", "id: 1", "id", "id: a\0b"]
)  # fmt: skip
ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@settings(max_examples=300)
@given(st.lists(st.tuples(LINES, ENDS), max_size=14), st.integers(1, 9))
def test_the_events_are_those_of_httpx_sse_but_for_blocks_that_set_nothing(
    lines: list[tuple[str, str]], size: int
) -> None:
    body = "".join(line + end for line, end in lines).encode()
    response = httpx.Response(200, headers={"content-type": "text/event-stream"}, content=body)
    theirs = [fields(event) for event in peer.EventSource(response).iter_sse()]
    ours = events(*(body[at : at + size] for at in range(0, len(body), size)))
    if any(line.startswith("id") for line, _ in lines):
        # From the first id on, httpx-sse gives out an event for every blank line.
        assert ours == [event for event, sets in zip(theirs, setting(body), strict=True) if sets]
    else:
        assert ours == theirs


def setting(body: bytes) -> list[bool]:
    """Tell for each event that httpx-sse gives out whether its own block sets anything."""
    found: list[bool] = []
    block: dict[str, str] = {}
    last_id = ""
    for line in re.split(r"\r\n|\r|\n", body.decode())[:-1]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line:
            if not (name == "id" and "\0" in value) and not (name == "retry" and value == "x"):
                block[name] = value
            last_id = block.get("id", last_id)
            continue
        sets = "data" in block or any(block.get(name) for name in ("event", "id", "retry"))
        if sets or last_id:
            found.append(sets)
        block = {}
    return found


def test_a_bom_does_not_cost_the_first_event() -> None:
    assert events(b"\xef\xbb\xbfdata: x\n\n") == [("message", "x", "", None)]


def test_the_body_is_utf_8_whatever_the_charset_of_the_header_says() -> None:
    given_type = "text/event-stream; charset=windows-1252"
    assert events("data: é\n\n".encode(), content_type=given_type) == [("message", "é", "", None)]


@pytest.mark.parametrize("value", ["-5", "+5", "1_000", "\uff11"])
def test_a_retry_that_is_not_ascii_digits_is_ignored(value: str) -> None:
    assert events(f"retry: {value}\n\n".encode()) == []


def test_a_comment_after_an_id_is_no_event() -> None:
    assert events(b"id: 1\ndata: x\n\n: keep-alive\n\n") == [("message", "x", "1", None)]


# --- the import


@pytest.mark.parametrize("missing", ["httpx", "httpx2"])
def test_one_of_the_two_clients_is_enough(missing: str) -> None:
    other = "httpx2" if missing == "httpx" else "httpx"
    run_without(
        missing,
        f"""
import {other}
from deltawire.compat.httpx_sse import EventSource, SSEError
assert issubclass(SSEError, {other}.TransportError)
headers = {{"content-type": "text/event-stream"}}
response = {other}.Response(200, headers=headers, content=b"data: x\\n\\n")
assert [event.data for event in EventSource(response).iter_sse()] == ["x"]
""",
    )


def test_without_a_client_the_import_says_what_to_install() -> None:
    run_without(
        "httpx",
        "httpx2",
        """
try:
    import deltawire.compat.httpx_sse
except ImportError as error:
    assert "pip install httpx" in str(error)
else:
    raise AssertionError
""",
    )


def run_without(*names: str) -> None:
    """Run the last argument in an interpreter that cannot import the others."""
    *missing, code = names
    blocked = f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
    subprocess.run([sys.executable, "-c", blocked + code], check=True, timeout=50)
