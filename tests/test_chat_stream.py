"""ChatStream: typed chunks, the message beside them, the verdict at the end, timings.

What streams have in common is tested in test_streams.py and test_stream_closing.py, what a message is made of
in test_chat_accumulator.py; here is what ChatStream adds. The sources are scripts (fakes.py).
"""

from __future__ import annotations

import copy
import itertools
import pickle
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
from fakes import Receiver, agenerate, generate
from hypothesis import given
from hypothesis import strategies as st

from deltawire import (
    ChatAccumulator,
    ChatCompletionChunk,
    ChatParser,
    ChatStream,
    IncompleteStream,
    InvalidJSON,
    LimitExceeded,
    NotEventStream,
    StreamEnd,
    StreamTimings,
    UpstreamError,
    cassettes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CASSETTES = Path(__file__).parent / "cassettes"
DONE = b"data: [DONE]\n\n"


def event(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + orjson.dumps({"id": "c", "choices": [choice], **more}) + b"\n\n"


HELLO = [event({"role": "assistant", "content": "Hel"}), event({"content": "lo"}), event({}, "stop"), DONE]
ERROR = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": 503}}\n\n'


async def run(stream: ChatStream) -> list[ChatCompletionChunk]:
    async with stream:
        return [chunk async for chunk in stream]


def test_a_stream_gives_the_chunks_of_a_parser_and_the_message_of_an_accumulator() -> None:
    for file in sorted(CASSETTES.glob("*.yaml")):
        for interaction in cassettes.load(file):
            body = interaction.response.body
            parser, message = ChatParser(), ChatAccumulator()
            message.feed(body)
            message.close()
            with ChatStream(interaction.replay(113)) as stream:
                chunks = list(stream)
            assert chunks == [*parser.feed(body), *parser.close()]
            assert stream.completion == message.completion
            assert stream.end is message.end is StreamEnd.DONE
            assert stream.usage is not None
            assert stream.usage == message.usage
            assert stream.events == message.events > 0


@given(st.lists(st.integers(0, len(b"".join(HELLO))), max_size=12))
def test_any_cut_gives_the_same_chunks_and_the_same_message(places: list[int]) -> None:
    body = b"".join(HELLO)
    pieces = [body[a:b] for a, b in itertools.pairwise((0, *sorted(places), len(body)))]
    stream = ChatStream(pieces)
    assert [chunk.choices[0].delta.content for chunk in stream] == ["Hel", "lo", None]
    assert stream.completion.choices[0].message.content == "Hello"
    assert stream.end is StreamEnd.DONE


@pytest.mark.anyio
async def test_async_iteration_gives_what_sync_iteration_gives() -> None:
    want = list(ChatStream(HELLO))
    for source in (agenerate(HELLO), Receiver(*HELLO), HELLO):
        stream = ChatStream(source)
        assert await run(stream) == want
        assert stream.completion.choices[0].message.content == "Hello"


def test_the_message_can_be_read_at_any_moment() -> None:
    stream = ChatStream(HELLO)
    assert stream.completion.choices == []
    assert stream.end is None
    seen = []
    for _ in stream:
        assert stream.end is None
        seen.append(stream.completion.choices[0].message.content)
    assert seen == ["Hel", "Hello", "Hello"]


def test_the_iteration_ends_with_the_sentinel_without_reading_on() -> None:
    def source() -> Iterator[bytes]:
        yield from HELLO
        raise AssertionError("read on after the sentinel")

    assert len(list(ChatStream(source()))) == 3


def chunk(*choices: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": choices}) + b"\n\n"


def parts(*texts: Any) -> list[Any]:
    return [{"type": "text", "text": text} for text in texts]


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

# What is sent, and the pieces of text of choice 0 in it.
TEXTS: dict[str, tuple[list[bytes], list[str]]] = {
    "deltas": (HELLO, ["Hel", "lo"]),
    "other choices": ([HELLO[0], chunk({"index": 1, "delta": {"content": "no"}}), *HELLO[1:]], ["Hel", "lo"]),
    "choices together": (
        [chunk({"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "a"}})],
        ["a"],
    ),
    "no index": ([chunk({"delta": {"content": "a"}})], ["a"]),
    "odd indices": (
        [
            chunk({"index": index, "delta": {"content": text}})
            for index, text in [("0", "a"), ("1", "no"), (-1, "b"), (1.0, "c"), (None, "d"), ("x", "e")]
        ],
        ["a", "b", "c", "d", "e"],
    ),
    "parts": (
        [event({"content": parts("a", "b")}), event({"content": [THINKING, *parts("c"), "x", {}]})],
        ["ab", "c"],
    ),
    "odd parts": ([event({"content": [{"type": "text", "text": 5}, {"type": "text"}, None]})], []),
    "odd content": ([event({"content": 5}), event({"content": {"text": "no"}}), event({"content": ""})], []),
    "an index beyond 64 bits": (
        [chunk({"index": index, "delta": {"content": "a"}}) for index in (str(2**64), "9" * 5000)],
        ["a", "a"],
    ),
    "an index in digits": (
        [chunk({"index": index, "delta": {"content": index}}) for index in ("00", "01", str(2**64 - 1))],
        ["00"],
    ),
    "a whole message": ([chunk({"index": 0, "message": {"content": "whole"}})], ["whole"]),
    "a whole message, delta null": ([chunk({"delta": None, "message": {"content": parts("a")}})], ["a"]),
    "a whole message that grows": (
        [chunk({"message": {"content": "a"}}), chunk({"message": {"content": "ab"}})],
        ["a", "b"],
    ),
    "a sum beside deltas": (
        [chunk({"delta": {"content": text}, "message": {"content": "sum"}}) for text in "ab"],
        ["a", "b"],
    ),
    "a whole message after deltas": (
        [event({"role": "assistant"}), event({"content": "a"}), chunk({"message": {"content": "no"}})],
        ["a"],
    ),
    "a whole message after text": ([event({"content": "a"}), chunk({"message": {"content": "no"}})], ["a"]),
    "a whole message after an empty delta": ([event({}), chunk({"message": {"content": "no"}})], []),
    "a whole message beside an odd delta": ([chunk({"delta": 5, "message": {"content": "no"}})], []),
}
texts = pytest.mark.parametrize(("body", "pieces"), TEXTS.values(), ids=TEXTS)


@texts
def test_text_deltas_are_the_pieces_of_the_content_of_choice_0(body: list[bytes], pieces: list[str]) -> None:
    stream = ChatStream(body, on_end="return")
    assert list(stream.text_deltas()) == pieces
    contents = [choice.message.content for choice in stream.completion.choices if choice.index == 0]
    assert [content or "" for content in contents] in ([], ["".join(pieces)])


def test_text_deltas_are_those_of_all_choices_where_these_are_one() -> None:
    body = [
        chunk({"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}}),
        chunk({"index": 2, "delta": {"content": parts("c")}}),
    ]
    stream = ChatStream(body, n=1, on_end="return")
    assert list(stream.text_deltas()) == ["ab", "c"]
    assert stream.completion.choices[0].message.content == "abc"
    body = [chunk({"index": index, "message": {"content": text}}) for index, text in enumerate("ab")]
    stream = ChatStream(body, n=1, on_end="return")
    assert list(stream.text_deltas()) == ["a", "b"]
    assert stream.completion.choices[0].message.content == "ab"


@pytest.mark.anyio
async def test_text_deltas_can_be_iterated_async() -> None:
    async with ChatStream(Receiver(*HELLO)) as stream:
        assert [text async for text in stream.text_deltas()] == ["Hel", "lo"]
    assert stream.end is StreamEnd.DONE


def test_collect_runs_to_the_end() -> None:
    assert ChatStream(HELLO).collect().choices[0].message.content == "Hello"
    with ChatStream(HELLO) as stream:
        next(stream)
        assert stream.collect().choices[0].message.content == "Hello"


@pytest.mark.anyio
async def test_collect_is_awaited_on_the_async_side() -> None:
    async with ChatStream(HELLO) as stream:
        assert (await stream.collect()).choices[0].message.content == "Hello"
    stream = ChatStream(agenerate(HELLO))
    assert (await stream.collect()).choices[0].message.content == "Hello"
    await stream.aclose()


CUT = [
    ("an error in the stream", [HELLO[0], ERROR], UpstreamError, StreamEnd.ERROR),
    ("an error before the sentinel", [HELLO[0], ERROR, DONE], UpstreamError, StreamEnd.ERROR),
    ("a JSON document", [b'{"error": "no key"}'], UpstreamError, StreamEnd.ERROR),
    ("cut between events", HELLO[:2], IncompleteStream, StreamEnd.TRUNCATED),
    ("cut inside an event", [*HELLO[:3], b'data: {"choi'], IncompleteStream, StreamEnd.TRUNCATED),
    ("nothing", [], IncompleteStream, StreamEnd.EMPTY),
    ("comments alone", [b": hi\n\n"], IncompleteStream, StreamEnd.EMPTY),
    ("a page", [b"<html>\n<p>502</p>"], NotEventStream, StreamEnd.NOT_SSE),
]
ends = pytest.mark.parametrize(("steps", "kind", "end"), [c[1:] for c in CUT], ids=[c[0] for c in CUT])


@ends
def test_a_bad_end_is_an_exception_after_everything_that_came(steps: Any, kind: Any, end: Any) -> None:
    stream = ChatStream(steps)
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(kind) as caught:
        chunks.extend(stream)
    assert chunks == ChatParser(errors="skip").feed(b"".join(steps))
    assert stream.end is end
    assert caught.value.completion == stream.completion
    assert caught.value.__context__ is None, "the traceback shows how an iteration ends"
    with pytest.raises(kind):
        next(stream)


@ends
@pytest.mark.anyio
async def test_a_bad_end_is_an_exception_on_the_async_side_too(steps: Any, kind: Any, end: Any) -> None:
    for source in (Receiver(*steps), agenerate(steps)):
        stream = ChatStream(source)
        with pytest.raises(kind):
            await run(stream)
        assert stream.end is end


@ends
def test_on_end_return_ends_quietly_with_the_verdict_in_end(steps: Any, kind: Any, end: Any) -> None:
    stream = ChatStream(steps, on_end="return")
    list(stream)
    assert stream.end is end


def test_a_stream_without_a_sentinel_is_whole_if_its_choices_are() -> None:
    stream = ChatStream(HELLO[:3])
    assert len(list(stream)) == 3
    assert stream.end is StreamEnd.FINISHED


def test_the_exceptions_tell_what_came_but_not_its_text() -> None:
    with pytest.raises(UpstreamError, match="code 503") as upstream:
        list(ChatStream([HELLO[0], ERROR]))
    assert upstream.value.error.message == "overloaded"
    assert upstream.value.completion is not None
    assert upstream.value.completion.choices[0].message.content == "Hel"
    assert "overloaded" not in str(upstream.value)
    with pytest.raises(IncompleteStream, match="after 2 events") as cut:
        list(ChatStream(HELLO[:2]))
    assert cut.value.end is StreamEnd.TRUNCATED
    assert cut.value.offset == len(HELLO[0] + HELLO[1])
    with pytest.raises(NotEventStream, match="neither a field nor a comment") as page:
        list(ChatStream([b"<html>" + b"x" * 500]))
    assert page.value.preview == (b"<html>" + b"x" * 500)[:200]


def test_a_source_that_fails_after_the_sentinel_has_not_failed() -> None:
    assert len(list(ChatStream(generate([*HELLO, OSError("reset")])))) == 3


def test_an_exception_of_the_source_comes_after_the_chunks_and_leaves_the_message() -> None:
    stream = ChatStream(generate([*HELLO[:2], OSError("reset")]))
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(OSError, match="reset"):
        chunks.extend(stream)
    assert len(chunks) == 2
    assert stream.completion.choices[0].message.content == "Hello"
    assert stream.end is None


def test_a_broken_event_is_passed_over_and_counted() -> None:
    stream = ChatStream([HELLO[0], b"data: {broken\n\n", *HELLO[1:]])
    assert len(list(stream)) == 3
    assert stream.malformed == 1


def test_a_broken_event_is_raised_in_its_place_if_asked_for() -> None:
    stream = ChatStream([HELLO[0] + b"data: {broken\n\n" + b"".join(HELLO[1:])], errors="strict")
    assert next(stream).choices[0].delta.content == "Hel"
    with pytest.raises(InvalidJSON) as broken:
        next(stream)
    assert broken.value.event_number == 2
    assert [chunk.choices[0].delta.content for chunk in stream] == ["lo", None]
    assert stream.completion.choices[0].message.content == "Hello"


def test_a_limit_is_raised_after_what_was_good() -> None:
    stream = ChatStream([b"".join(HELLO)], max_message_size=4)
    chunks: list[ChatCompletionChunk] = []
    with pytest.raises(LimitExceeded) as limit:
        chunks.extend(stream)
    assert (limit.value.limit, limit.value.value) == ("max_message_size", 4)
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["Hel"]


def response(body: bytes, content_type: str, status: int = 200) -> httpx.Response:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": content_type}, content=iter([body]))

    client = httpx.Client(transport=httpx.MockTransport(handler))
    return client.send(client.build_request("POST", "http://localhost"), stream=True)


def test_a_json_document_with_an_error_is_an_upstream_error_with_the_status() -> None:
    body = orjson.dumps(
        {"error": {"message": "bad key", "code": "invalid_api_key"}}, option=orjson.OPT_INDENT_2
    )
    with (
        pytest.raises(UpstreamError) as caught,
        ChatStream(response(body, "application/json", 401)) as stream,
    ):
        list(stream)
    assert caught.value.status == 401
    assert caught.value.error.code == "invalid_api_key"
    assert caught.value.completion is None
    with (
        pytest.raises(UpstreamError) as caught,
        ChatStream(response(body, "text/event-stream", 401)) as stream,
    ):
        list(stream)
    assert caught.value.status == 401


def test_an_error_document_is_read_to_64_kib() -> None:
    def document(size: int) -> bytes:
        return b'{"pad": "' + b"x" * size + b'", "error": "late"}'

    with pytest.raises(UpstreamError):
        list(ChatStream(response(document(60_000), "application/json", 500)))
    with pytest.raises(NotEventStream):
        list(ChatStream(response(document(70_000), "application/json", 500)))


def test_a_response_of_another_type_is_not_an_event_stream() -> None:
    with pytest.raises(NotEventStream, match="text/html") as caught:
        list(ChatStream(response(b"<html>", "text/html", 502)))
    assert caught.value.status == 502
    assert caught.value.preview == b"<html>"
    chunks = list(ChatStream(response(b"".join(HELLO), "text/plain"), check_content_type=False))
    assert len(chunks) == 3


def test_timings_come_from_the_clock_that_was_given() -> None:
    now = 100.0

    def clock() -> float:
        return now

    def source() -> Iterator[bytes]:
        nonlocal now
        call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
        for seconds, data in [
            (1.0, b": hi\n\n"),
            (2.0, event({"role": "assistant", "content": ""})),
            (0.5, event({"content": "x"})),
            (4.0, event({"tool_calls": [call]})),
            (0.25, event({}, "tool_calls")),
            (0.25, DONE),
        ]:
            now += seconds
            yield data

    stream = ChatStream(source(), clock=clock)
    assert stream.timings == StreamTimings()
    list(stream)
    timings = stream.timings
    assert (timings.first_byte, timings.first_event) == (1.0, 3.0)
    assert (timings.first_content, timings.first_tool_call) == (3.5, 7.5)
    assert (timings.last_event, timings.longest_gap) == (7.75, 4.0)


def test_timings_go_on_while_a_copy_stays() -> None:
    ticks = itertools.count()
    stream = ChatStream(HELLO, clock=lambda: next(ticks))
    next(stream)
    timings, kept = stream.timings, copy.copy(stream.timings)
    assert timings is stream.timings
    assert timings == kept
    list(stream)
    assert timings != kept
    assert kept == StreamTimings(first_byte=1.0, first_event=1.0, first_content=1.0, last_event=1.0)
    assert repr(kept).startswith("StreamTimings(first_byte=1.0, first_event=1.0, ")
    assert pickle.loads(pickle.dumps(timings)) == timings
    assert timings != "no timings"


@pytest.mark.parametrize("counter", ["bytes", "events", "comments", "malformed"])
def test_a_counter_that_is_asked_for_while_ids_are_made_is_an_ordinary_error(counter: str) -> None:
    def id_factory() -> str:
        with pytest.raises(RuntimeError, match="borrowed"):
            getattr(stream, counter)
        return "made"

    call = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    body = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    stream = ChatStream([b"data: %b\n\n" % orjson.dumps(body)], id_factory=id_factory)
    list(stream)
    (made,) = stream.completion.choices[0].message.tool_calls or []
    assert made.id == "made"


@pytest.mark.parametrize("fails", [False, True])
def test_what_hears_of_gaps_may_look_at_the_stream_and_fail_it(fails: bool) -> None:
    heard = []

    def on_gap(seconds: float) -> None:
        heard.append((seconds, stream.completion.choices[0].message.content, stream.timings.last_event))
        if fails:
            raise KeyError("gap")

    ticks = itertools.count()
    stream = ChatStream(HELLO, clock=lambda: next(ticks))
    stream.timings.on_gap = on_gap
    next(stream)
    with pytest.raises(KeyError) if fails else nullcontext():
        next(stream)
    assert heard == [(1.0, "Hello", 2.0)]


def fails_at(times: set[int]) -> Any:
    """Give a clock, or what hears of gaps, which raises the times that are told."""
    calls = itertools.count()

    def call(*_: float) -> float:
        time = next(calls)
        if time in times:
            raise KeyError(time)
        return float(time)

    return call


@pytest.mark.anyio
@pytest.mark.parametrize("chunks", [HELLO, [b"".join(HELLO[:2]), b"".join(HELLO[2:])]], ids=["1", "2"])
@pytest.mark.parametrize("fails", ["clock", "on_gap"])
@pytest.mark.parametrize("source", [iter, agenerate, Receiver])
async def test_what_a_clock_or_a_hearer_of_gaps_raises_takes_no_chunk(
    source: Any, fails: str, chunks: list[bytes]
) -> None:
    stream = ChatStream(
        Receiver(*chunks) if source is Receiver else source(chunks),
        **({"clock": fails_at({2, 3})} if fails == "clock" else {}),
    )
    if fails == "on_gap":
        stream.timings.on_gap = fails_at({0, 1})
    taken, raised = [], 0
    for _ in range(10):
        try:
            chunk = await anext(stream)
        except KeyError:
            raised += 1
        except StopAsyncIteration:
            break
        else:
            taken.append(chunk.choices[0].delta.content)
    assert taken == ["Hel", "lo", None]
    assert raised == (1 if fails == "on_gap" and len(chunks) == 2 else 2)
    assert stream.end is StreamEnd.DONE
    await stream.aclose()


@pytest.mark.parametrize("last", [b"data: bad\n\n", HELLO[1]], ids=["InvalidJSON", "LimitExceeded"])
def test_chunks_that_come_out_with_an_exception_are_timed(last: bytes) -> None:
    ticks = itertools.count()
    stream = ChatStream([HELLO[0] + last], errors="strict", max_message_size=4, clock=lambda: next(ticks))
    assert next(stream).choices[0].delta.content == "Hel"
    with pytest.raises((InvalidJSON, LimitExceeded)):
        next(stream)
    timings = stream.timings
    assert (timings.first_byte, timings.first_event, timings.first_content, timings.last_event) == (
        1,
        1,
        1,
        1,
    )


def test_finished_tool_calls_are_given_once() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    stream = ChatStream([event({"tool_calls": [call]}), event({}, "tool_calls"), DONE])
    next(stream)
    assert stream.finished_tool_calls() == []
    stream.collect()
    assert [call.id for call in stream.finished_tool_calls()] == ["a"]
    assert stream.finished_tool_calls() == []


def test_n_1_merges_choices_that_misuse_the_index() -> None:
    chunks = [
        b'data: {"choices": [{"index": %d, "delta": {"content": "%d"}}]}\n\n' % (n, n) for n in range(3)
    ]
    completion = ChatStream(chunks, n=1, on_end="return").collect()
    assert [choice.message.content for choice in completion.choices] == ["012"]


def test_wrong_arguments_are_refused_at_the_door() -> None:
    with pytest.raises(ValueError, match="on_end"):
        ChatStream([], on_end="maybe")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="number from 1"):
        ChatStream([], n=0)
    with pytest.raises(TypeError):
        ChatStream(b"data: x\n\n")
