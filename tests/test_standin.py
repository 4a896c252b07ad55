"""The stand-in as an ASGI app, called without a server: what it sends, in which pieces, and to whom.

Over sockets, with real clients and as a command, it is in test_serve.py.
"""

from __future__ import annotations

import gzip
import json
import math
from typing import TYPE_CHECKING, Any

import anyio
import brotli
import pytest
from cassette_files import RECORDED, go_vcr, vcr_py, write
from chat_streams import DONE, STOP, chunk, event, text
from command import streams

from deltawire import ChatStream, EventParser, InvalidJSON, StreamEnd, UpstreamError, standin
from deltawire.cassettes import load
from deltawire.standin import BrokenOff, create_app, recordings

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.applications import Starlette

    from deltawire.standin import Fault, Recording

pytestmark = pytest.mark.anyio

FIVE = [*(text(word) for word in ("one", "two", "three")), STOP, DONE]
BODY = b"".join(FIVE)


class Answer:
    """What the app sent: the status, the headers, the pieces of the body, and whether it came to an end."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.times: list[float] = []
        self.ended = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def error(self) -> dict[str, Any]:
        document = json.loads(self.body)
        assert list(document) == ["error"]
        assert list(document["error"]) == ["message", "type", "param", "code"]
        assert self.headers["content-type"] == "application/json"
        return document["error"]  # type: ignore[no-any-return]


async def call(
    app: Starlette,
    body: bytes = b'{"stream": true}',
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
    leave_after: int | None = None,
    into: Answer | None = None,
) -> Answer:
    """Call the app as a server does. The client leaves after so many pieces of the body."""
    answer = into or Answer()
    left = anyio.Event()
    requests = iter([{"type": "http.request", "body": body}])

    async def receive() -> dict[str, Any]:
        if (message := next(requests, None)) is None:
            await left.wait()
            return {"type": "http.disconnect"}
        return message

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if message.get("body"):
            answer.pieces.append(message["body"])
            answer.times.append(anyio.current_time())
        answer.ended = not message.get("more_body", False)
        if len(answer.pieces) == leave_after:
            left.set()

    raw = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": raw}
    await app(scope, receive, send)
    return answer


@pytest.fixture
def made(tmp_path: Path) -> list[Recording]:
    return recordings([load(write(tmp_path, streams(BODY.decode()), "five.json"))])


@pytest.fixture
def recorded() -> list[Recording]:
    return recordings(map(load, RECORDED))


# Which recording.


async def test_every_post_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    paths = [
        write(tmp_path, streams("a"), "one.json"),
        write(tmp_path / "other", streams("a"), "one.json"),
        write(tmp_path, streams("a", "b"), "two.json"),
        write(tmp_path, streams("a"), "two-0.json"),
    ]
    read = streams("a", "b")
    read["interactions"][0]["request"] = {**read["interactions"][0]["request"], "method": "GET"}
    paths.append(write(tmp_path, read, "mixed.json"))
    names = [one.name for one in recordings(map(load, paths))]
    assert names == ["one", "one~2", "two-0", "two-1", "two-0~2", "mixed-1"]


async def test_a_header_or_the_model_names_the_recording(recorded: list[Recording]) -> None:
    app = create_app(recorded)
    for one in recorded:
        for headers, model in (({"X-Cassette": one.name}, "anything"), ({}, one.name)):
            asked = json.dumps({"model": model, "stream": True}).encode()
            answer = await call(app, asked, headers=headers)
            assert answer.body == one.interaction.response.body
            assert answer.headers["x-cassette"] == one.name


async def test_recordings_of_a_model_take_turns_and_for_an_unknown_one_all_do(
    recorded: list[Recording],
) -> None:
    app = create_app(recorded)

    async def names(model: Any, count: int) -> list[str]:
        asked = json.dumps({"model": model, "stream": True}).encode()
        return [(await call(app, asked)).headers["x-cassette"] for _ in range(count)]

    groq = ["tool_streaming_groq-kimi-k2-0", "tool_streaming_groq-kimi-k2-1"]
    every = [one.name for one in recorded]
    assert await names("moonshotai/kimi-k2-instruct-0905", 3) == [*groq, groq[0]]
    assert await names("gpt-x", 4) == every[:4]
    assert await names("moonshotai/kimi-k2-instruct-0905", 1) == groq[1:]
    assert await names(None, 7) == [*every[4:], every[0]]
    assert await names(["moonshotai/kimi-k2-instruct-0905"], 1) == every[1:2]


async def test_a_recording_stands_for_the_models_that_answered(tmp_path: Path) -> None:
    body = chunk({"content": "a"}, model="first") + chunk({}, "stop", model="last") + DONE
    cassette = streams(body.decode())
    cassette["interactions"][0]["request"] = {
        **cassette["interactions"][0]["request"],
        "body": '{"model": "asked"}',
    }
    (one,) = recordings([load(write(tmp_path, cassette, "a.json"))])
    assert one.models == {"asked", "first", "last"}


async def test_a_name_in_any_letters_goes_through_a_header(tmp_path: Path) -> None:
    path = write(tmp_path, streams(BODY.decode()), "Wetter für 100%.json")
    app = create_app(recordings([load(path)]))
    answer = await call(app)
    name = answer.headers["x-cassette"]
    assert name == "Wetter%20f%C3%BCr%20100%25"
    assert (await call(app, headers={"X-Cassette": name})).body == BODY


async def test_models_lists_the_recordings(recorded: list[Recording]) -> None:
    answer = await call(create_app(recorded), method="GET", path="/v1/models")
    listed = json.loads(answer.body)
    assert [model["id"] for model in listed["data"]] == [one.name for one in recorded]
    assert {model["owned_by"] for model in listed["data"]} == {"api.groq.com", "openrouter.ai"}


# What is answered.


async def test_without_stream_the_answer_is_the_assembled_completion(recorded: list[Recording]) -> None:
    app = create_app(recorded)
    for one in recorded:
        answer = await call(app, b'{"stream": false}', headers={"X-Cassette": one.name})
        stream = ChatStream([one.interaction.response.body])
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert json.loads(answer.body) == stream.collect().to_dict()


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (text("a"), "The recording a ends early, so it has no completion.", "incomplete"),
        (text("a") + event({"error": {"message": "slow down", "code": 429}}), "slow down", 429),
    ],
)
async def test_a_recording_that_is_no_whole_message_has_no_completion(
    tmp_path: Path, body: bytes, message: str, code: Any
) -> None:
    app = create_app(recordings([load(write(tmp_path, streams(body.decode()), "a.json"))]))
    answer = await call(app, b"{}")
    assert (answer.status, answer.error["message"], answer.error["code"]) == (502, message, code)
    assert (await call(app)).body == body


@pytest.mark.parametrize("body", [b"{}", b'{"stream": true}'])
async def test_what_was_recorded_and_is_no_stream_is_answered_as_it_was(tmp_path: Path, body: bytes) -> None:
    document = '{"error": {"message": "slow down"}}'
    headers = {"Content-Type": ["application/json"], "Content-Encoding": ["gzip"]}
    cassette = vcr_py({"string": document}, headers=headers, code=429)
    answer = await call(create_app(recordings([load(write(tmp_path, cassette, "a.json"))])), body)
    assert answer.status == 429
    assert answer.body.decode() == document
    assert answer.headers["content-type"] == "application/json"
    assert "content-encoding" not in answer.headers  # recorders undo it and keep the header


async def test_a_body_that_was_recorded_compressed_keeps_its_encoding(tmp_path: Path) -> None:
    packed = brotli.compress(b'data: {"choices": []}\n\n' * 9)
    headers = {"Content-Type": ["text/event-stream"], "Content-Encoding": ["br"]}
    cassette = vcr_py({"string": packed}, headers=headers)
    answer = await call(create_app(recordings([load(write(tmp_path, cassette))])))
    assert answer.body == packed
    assert answer.headers["content-encoding"] == "br"


@pytest.mark.parametrize("body", ["désolé".encode("latin-1"), "désolé".encode()[:-1]])
async def test_an_answer_that_was_recorded_with_gzip_is_no_longer_called_so(
    tmp_path: Path, body: bytes
) -> None:
    headers = {"Content-Type": ["text/html"], "Content-Encoding": ["gzip"]}
    cassette = vcr_py({"string": gzip.compress(body)}, headers=headers)
    answer = await call(create_app(recordings([load(write(tmp_path, cassette))])))
    assert answer.body == body
    assert "content-encoding" not in answer.headers


async def test_a_stream_that_was_recorded_with_gzip_is_answered_as_a_stream(tmp_path: Path) -> None:
    body = b'data: {"choices": [{"index": 0, "delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n'
    headers = {"Content-Type": ["text/event-stream"], "Content-Encoding": ["gzip"]}
    cassette = vcr_py({"string": gzip.compress(body)}, headers=headers)
    answer = await call(create_app(recordings([load(write(tmp_path, cassette))])))
    assert answer.body == body
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ({"path": "/v1/embeddings"}, 404, "Invalid URL (POST /v1/embeddings)"),
        ({"method": "GET"}, 405, "Invalid URL (GET /v1/chat/completions)"),
        ({"body": b"{"}, 400, "The body of the request is no JSON object."),
        ({"body": b"[]"}, 400, "The body of the request is no JSON object."),
        ({"headers": {"X-Cassette": "none"}}, 404, "No recording has this name"),
        ({"headers": {"X-Fault": "flood"}}, 400, "X-Fault is none or one of cut, reset, "),
    ],
)
async def test_a_wrong_request_is_answered_with_an_error_in_the_shape_of_openai(
    made: list[Recording], arguments: dict[str, Any], status: int, said: str
) -> None:
    answer = await call(create_app(made), **arguments)
    assert answer.status == status
    assert answer.error["message"].startswith(said)
    assert answer.error["type"] == "invalid_request_error"


async def test_a_request_over_the_limit_is_refused(
    made: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standin, "MAX_REQUEST_BYTES", 20)
    assert (await call(create_app(made), b"{}" + b" " * 18)).status == 200
    answer = await call(create_app(made), b"{}" + b" " * 19)
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


# In which pieces, and when.


@pytest.mark.parametrize(
    ("split", "pieces"), [("event", FIVE), ("line", None), (7, None), (1, None), (len(BODY), [BODY])]
)
async def test_a_stream_is_cut_where_it_is_said(made: list[Recording], split: Any, pieces: Any) -> None:
    answer = await call(create_app(made, split=split))
    assert answer.pieces == (pieces or [*made[0].interaction.replay(split)])
    assert (answer.body, answer.ended) == (BODY, True)
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_chunks_come_at_the_pace_that_is_said(made: list[Recording]) -> None:
    answer = await call(create_app(made, pace=0.05))
    assert answer.times[-1] - answer.times[0] >= 0.19
    assert len(answer.times) == 5


async def test_chunks_come_in_the_time_that_was_recorded(tmp_path: Path) -> None:
    path = write(tmp_path, go_vcr(json.dumps(BODY.decode()), duration="200ms"))
    answer = await call(create_app(recordings([load(path)]), pace="recorded"))
    assert answer.times[-1] - answer.times[0] >= 0.1
    assert answer.body == BODY


# What goes wrong.


async def broken_off(app: Starlette, **arguments: Any) -> Answer:
    """Call the app, which breaks the response off; give what was sent before."""
    answer = Answer()
    with pytest.raises(BrokenOff):
        await call(app, into=answer, **arguments)
    assert not answer.ended
    return answer


@pytest.mark.parametrize("fault", ["cut", "reset"])
@pytest.mark.parametrize("split", ["event", 3])
async def test_a_response_is_broken_off_within_an_event(
    made: list[Recording], fault: Fault, split: Any
) -> None:
    for after in range(6):
        answer = await broken_off(create_app(made, split=split, fault=fault, fault_after=after))
        rest = BODY.removeprefix(answer.body)
        assert len(answer.body) + len(rest) == len(BODY)
        parser = EventParser()
        assert len(parser.feed(answer.body)) == min(after, 5)
        assert bool(parser.pending_bytes) is (after < 5)


async def test_half_of_the_events_come_before_a_fault(made: list[Recording]) -> None:
    answer = await broken_off(create_app(made, fault="cut"))
    assert len(EventParser().feed(answer.body)) == 2


async def test_a_stalled_stream_ends_when_the_client_goes_away(made: list[Recording]) -> None:
    answer = await call(create_app(made, fault="stall", fault_after=3), leave_after=3)
    assert answer.pieces == FIVE[:3]
    assert not answer.ended
    with anyio.move_on_after(0.2) as waited:
        await call(create_app(made, fault="stall", fault_after=3))
    assert waited.cancelled_caught


@pytest.mark.parametrize("after", [0, 2, 4])
async def test_an_error_takes_the_place_of_the_rest(made: list[Recording], after: int) -> None:
    answer = await call(create_app(made, fault="error", fault_after=after))
    assert answer.pieces[:-1] == FIVE[:after]
    assert answer.ended
    with pytest.raises(UpstreamError) as raised:
        ChatStream(answer.pieces).collect()
    assert raised.value.error.message == "The stand-in was asked for an error."


async def test_a_malformed_event_stands_among_the_others(made: list[Recording]) -> None:
    answer = await call(create_app(made, fault="malformed", fault_after=1))
    assert [answer.pieces[0], *answer.pieces[2:]] == FIVE
    stream = ChatStream(answer.pieces, errors="strict")
    assert next(stream).choices[0].delta.content == "one"
    with pytest.raises(InvalidJSON):
        next(stream)
    assert stream.collect().choices[0].message.content == "onetwothree"
    assert (stream.malformed, stream.end) == (1, StreamEnd.DONE)


async def test_a_page_comes_with_status_200(made: list[Recording]) -> None:
    for body in (b"{}", b'{"stream": true}'):
        answer = await call(create_app(made, fault="html"), body)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.body.startswith(b"<!doctype html>")


async def test_a_slow_start_holds_back_all_but_the_head(made: list[Recording]) -> None:
    for body in (b"{}", b'{"stream": true}'):
        answer = Answer()
        with anyio.move_on_after(0.3) as waited:
            await call(create_app(made, fault="slow-start", slow_start=60), body, into=answer)
        assert waited.cancelled_caught
        assert (answer.status, answer.pieces) == (200, [])
        start = anyio.current_time()
        answer = await call(create_app(made, fault="slow-start", slow_start=0.1), body)
        assert anyio.current_time() - start >= 0.1
        assert answer.ended


async def test_a_completion_goes_wrong_too(made: list[Recording]) -> None:
    app = create_app(made)
    whole = (await call(app, b"{}")).body
    half = whole[: len(whole) // 2]
    for fault in ("cut", "reset"):
        assert (await broken_off(app, body=b"{}", headers={"X-Fault": fault})).body == half
    answer = await call(app, b"{}", headers={"X-Fault": "malformed"})
    assert (answer.status, answer.body, answer.ended) == (200, half, True)
    answer = await call(app, b"{}", headers={"X-Fault": "stall"}, leave_after=1)
    assert (answer.body, answer.ended) == (half, False)
    answer = await call(app, b"{}", headers={"X-Fault": "error"})
    assert (answer.status, answer.error["code"]) == (500, "stand_in")


async def test_a_request_chooses_its_own_fault(made: list[Recording]) -> None:
    app = create_app(made, fault="html")
    assert (await call(app, headers={"X-Fault": "none"})).body == BODY
    assert (await call(app, headers={"X-Fault": "error"})).body != BODY
    assert (await call(app)).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"split": 0}, "split must be"),
        ({"pace": -1}, "pace is"),
        ({"pace": math.inf}, "pace is"),
        ({"pace": math.nan}, "pace is"),
        ({"fault": "flood"}, "fault is None or one of cut, "),
        ({"fault_after": -1}, "fault_after is"),
        ({"slow_start": -1}, "slow_start is"),
    ],
)
async def test_settings_out_of_range_are_refused(
    made: list[Recording], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        create_app(made, **arguments)


async def test_without_a_recording_there_is_nothing_to_answer() -> None:
    with pytest.raises(ValueError, match="no answer to a POST request is recorded"):
        create_app([])
