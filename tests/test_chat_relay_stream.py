"""Relaying a source: what comes out, keep-alives, clients that go away, sources that fail."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from chat_streams import DONE, STOP, chunk, event, text
from fakes import BLOCK, Receiver, agenerate, generate
from outcomes import pieces
from relays import BILLED, KEEP_ALIVE, USAGE_CHUNK, assert_told, collect, refuse
from virtual_time import VIRTUAL

from deltawire import ChatRelayStream, StreamEnd, StreamTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class NetworkError(Exception):
    """What a source raises."""


# What comes out.


def test_without_rules_the_chunks_of_the_source_come_out_themselves() -> None:
    chunks = pieces(BILLED, 50)
    with ChatRelayStream(chunks) as stream:
        for sent, came in zip(stream, chunks, strict=True):
            assert sent is came
    assert stream.usage is not None
    assert (stream.usage.total_tokens, stream.end, stream.done) == (5, StreamEnd.DONE, True)
    assert stream.completion.choices[0].message.content == "ab"
    assert (stream.bytes, stream.events, stream.edited, stream.dropped) == (len(BILLED), 5, 0, 0)
    assert (stream.error, stream.exceeded, stream.failure) == (None, None, None)
    assert stream.finished_tool_calls() == []


@pytest.mark.anyio
async def test_with_rules_an_item_is_what_a_chunk_gives_to_send_on() -> None:
    async with ChatRelayStream(Receiver(*pieces(BILLED, 50)), usage="drop", set={"model": "x"}) as stream:
        items = [data async for data in stream]
    assert all(items)
    assert b"".join(items) == (text("a", "b") + STOP).replace(b'"m"', b'"x"') + DONE
    assert stream.usage is not None
    assert stream.edited == 3
    assert stream.dropped == 1


@pytest.mark.parametrize("source", ["in memory", "generator"])
def test_everything_is_readable_at_any_moment(source: str) -> None:
    now = 0.0
    chunks = [text("a"), text("b"), STOP, DONE]
    with ChatRelayStream(chunks if source == "in memory" else generate(chunks), clock=lambda: now) as stream:
        assert stream.end is None
        now = 1.0
        next(stream)
        now = 3.0
        next(stream)
        assert stream.completion.choices[0].message.content == "ab"
        assert stream.timings.first_byte == stream.timings.first_event == stream.timings.first_content == 1.0
        assert (stream.timings.last_event, stream.timings.longest_gap) == (3.0, 2.0)


def test_iteration_ends_with_the_sentinel_and_all_that_belongs_to_it() -> None:
    body = BILLED.replace(b"\n", b"\r\n")
    assert b"".join(ChatRelayStream([body[:-1], body[-1:], b"data: more\n\n"])) == body
    assert (
        b"".join(ChatRelayStream([BILLED + b": behind", b"data: more\n\n"], set={"a": 1}))
        == BILLED + b": behind"
    )


def test_what_edit_raises_is_raised_and_the_iteration_may_go_on() -> None:
    stream = ChatRelayStream([b"data: a\n\ndata: bad\n\n", b"data: b\n\n"], edit=refuse)
    with pytest.raises(LookupError):
        next(stream)
    assert b"".join(stream) == b"data: a\n\ndata: b\n\n"

    # Also what is shown at the end.
    stream = ChatRelayStream([text("a") + DONE + b'data: {"bad": 1}'], edit=refuse)
    with pytest.raises(LookupError):
        next(stream)
    assert b"".join(stream) == text("a") + DONE


def test_what_is_called_meanwhile_takes_no_bytes_when_it_raises() -> None:
    calls = 0

    def call(*_: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise LookupError
        return float(calls)

    chunks = [text("a"), text("b"), text("c"), DONE]
    for name in ("clock", "on_gap"):
        calls = 0
        stream = ChatRelayStream(chunks, clock=call) if name == "clock" else ChatRelayStream(chunks)
        if name == "on_gap":
            stream.timings.on_gap = call
        sent: list[bytes] = []
        with pytest.raises(LookupError):
            sent.extend(stream)
        assert b"".join([*sent, *stream]) == b"".join(chunks)


# Sources that fail.


@pytest.mark.anyio
async def test_what_the_source_raises_is_raised() -> None:
    stream = ChatRelayStream(Receiver(text("a"), NetworkError()))
    assert await anext(stream) == text("a")
    with pytest.raises(NetworkError):
        await anext(stream)
    assert stream.end is None
    await stream.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("make", [lambda *steps: Receiver(*steps), lambda *steps: agenerate(steps)])
async def test_with_append_error_a_failure_is_an_end_that_the_client_is_told(
    make: Callable[..., Any],
) -> None:
    failure = NetworkError()
    async with ChatRelayStream(make(text("a") + b"data: {", failure), append_error=True) as stream:
        assert_told(await collect(stream), text("a"))
    assert stream.failure is failure
    assert stream.end is StreamEnd.TRUNCATED
    with ChatRelayStream(generate([text("a"), b"data: {", failure]), append_error=True) as again:
        assert_told(b"".join(again), text("a"))
    assert again.failure is failure


def test_a_stream_that_was_cut_ends_quietly_and_tells_its_verdict() -> None:
    stream = ChatRelayStream([text("a")])
    assert b"".join(stream) == text("a")
    assert stream.end is StreamEnd.TRUNCATED
    assert_told(b"".join(ChatRelayStream([text("a")], append_error=True)), text("a"))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
@pytest.mark.parametrize("deadline", ["first_event_timeout", "idle_timeout", "total_timeout"])
async def test_a_deadline_is_raised_or_told(deadline: str, anyio_backend: Any) -> None:
    first = b": c\n\n" if deadline == "first_event_timeout" else text("a")
    options: dict[str, Any] = {deadline: 5.0}
    async with ChatRelayStream(Receiver(first, BLOCK), **options) as stream:
        assert await anext(stream) == first
        with pytest.raises(StreamTimeout) as caught:
            await anext(stream)
    assert caught.value.completion is not None

    began = anyio.current_time()
    source = Receiver(first, BLOCK)
    async with ChatRelayStream(source, append_error=True, keep_alive=2.0, **options) as stream:
        sent = await collect(stream)
        assert_told(sent, first + KEEP_ALIVE * 2)
        assert await collect(stream) == b""
    assert anyio.current_time() - began == pytest.approx(5.0)
    assert isinstance(stream.failure, StreamTimeout)
    assert source.closed


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
@pytest.mark.parametrize("options", [{"keep_alive": 60.0}, {"on_disconnect": "drain"}])
async def test_a_deadline_ends_a_read_that_nobody_may_cancel(options: Any, anyio_backend: Any) -> None:
    was_closed = False

    async def source() -> Any:
        nonlocal was_closed
        try:
            for wait, data in ((4, text("a")), (20, text("b")), (60, text("c"))):
                await anyio.sleep(wait)
                yield data
        finally:
            was_closed = True

    chunks = source()
    # The first deadline is kept, and holds no longer.
    async with ChatRelayStream(chunks, first_event_timeout=5.0, **options) as stream:
        assert [await anext(stream), await anext(stream)] == [text("a"), text("b")]
    assert was_closed

    began = anyio.current_time()
    async with ChatRelayStream(source(), idle_timeout=21.0, drain_seconds=1.0, **options) as stream:
        assert [await anext(stream), await anext(stream)] == [text("a"), text("b")]
        with pytest.raises(StreamTimeout) as caught:
            await anext(stream)
        assert caught.value.deadline == "idle_timeout"
    # Nobody is waited for but, with `drain`, the bill.
    assert anyio.current_time() - began - 45 <= 1.0


# Keep-alives.


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_while_the_source_is_silent_comments_are_sent(anyio_backend: Any) -> None:
    async def source() -> Any:
        for wait, data in ((35, text("a")), (14, text("b")), (15.5, STOP + DONE)):
            await anyio.sleep(wait)
            yield data

    async with ChatRelayStream(source(), keep_alive=15.0) as stream:
        came = [(anyio.current_time(), data) async for data in stream]
    begun = came[0][0] - 15
    assert [(round(when - begun, 6), data) for when, data in came] == [
        (15, KEEP_ALIVE),
        (30, KEEP_ALIVE),
        (35, text("a")),
        (49, text("b")),
        (64, KEEP_ALIVE),
        (64.5, STOP + DONE),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
@pytest.mark.parametrize(
    ("sent", "safe"),
    [
        (b"", True),
        (b"data: x\n\n", True),
        (b"data: x\r\n\r\n", True),
        (b"data: x\n\n: c\n", True),
        (b"data: x\n\n: c\r\n", True),
        (b": c\n: d\n", True),
        (b"data: x\n", False),
        (b"data: x\r\n", False),
        (b"id: 1\n: c\n", False),
        (b"data: x\r\r", False),
        (b"data: x\n\n: c", False),
        (b"data: " + b"x" * 1000 + b"\n", False),
        (b"data: x\n\n:" + b"x" * 1000 + b"\n", False),
        (b"data: x\n\n" + b": c\n" * 1000, False),
    ],
)
async def test_a_comment_is_sent_only_between_events(sent: bytes, safe: bool, anyio_backend: Any) -> None:
    for size in (1, 7, 2000):
        source = Receiver(*pieces(sent, size), BLOCK)
        async with ChatRelayStream(source, keep_alive=1.0) as stream:
            found = b""
            with anyio.move_on_after(3.5):
                async for data in stream:
                    found += data
        assert found == sent + KEEP_ALIVE * (3 if safe else 0)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_byte_order_mark_behind_a_comment_is_not_sent(anyio_backend: Any) -> None:
    async def source(*chunks: bytes) -> Any:
        for data in chunks:
            await anyio.sleep(1.5)
            yield data

    for size in (1, 2, 100):
        body = b"\xef\xbb\xbf" + DONE
        async with ChatRelayStream(source(*pieces(body, size)), keep_alive=1.0) as stream:
            sent = await collect(stream)
        assert sent.replace(KEEP_ALIVE, b"") == DONE
        assert sent.startswith(KEEP_ALIVE)
    async with ChatRelayStream(source(b"\xef", b"\xbb"), keep_alive=1.0) as stream:
        assert (await collect(stream)).replace(KEEP_ALIVE, b"") == b"\xef\xbb"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_cancelled_read_takes_nothing_and_the_iteration_may_go_on(anyio_backend: Any) -> None:
    async def source() -> Any:
        yield text("a")
        await anyio.sleep(5)
        yield STOP + DONE

    async with ChatRelayStream(source(), keep_alive=60.0) as stream:
        assert await anext(stream) == text("a")
        with anyio.move_on_after(1) as scope:
            await anext(stream)
        assert scope.cancelled_caught
        assert await anext(stream) == STOP + DONE


def test_keep_alives_need_a_source_that_can_be_waited_for() -> None:
    with pytest.raises(TypeError, match="keep_alive"):
        ChatRelayStream(httpx.Response(200, stream=httpx.SyncByteStream()), keep_alive=1.0)
    with pytest.raises(RuntimeError):
        next(ChatRelayStream([BILLED], keep_alive=1.0))


# Clients that go away.


@pytest.mark.anyio
@pytest.mark.parametrize("make", [lambda *steps: Receiver(*steps), lambda *steps: agenerate(steps)])
@pytest.mark.parametrize("keep_alive", [None, 60.0])
async def test_when_the_client_goes_away_the_bill_is_read_on(make: Any, keep_alive: float | None) -> None:
    for cancelled in (False, True):
        with anyio.CancelScope() as scope:
            # The second read is cancelled while the source waits, the rest comes afterwards.
            source = make(text("a"), scope.cancel if cancelled else b"", text("b"), STOP, USAGE_CHUNK, DONE)
            async with ChatRelayStream(source, on_disconnect="drain", keep_alive=keep_alive) as stream:
                async for _ in stream:
                    if not cancelled:
                        break
        assert stream.end is StreamEnd.DONE
        assert stream.usage is not None
        assert stream.completion.choices[0].message.content == "ab"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
@pytest.mark.parametrize("fragile", [False, True])
async def test_reading_on_is_bounded_in_time(fragile: bool, anyio_backend: Any) -> None:
    steps = (text("a"), text("b"), BLOCK)
    source: Any = agenerate(steps) if fragile else Receiver(*steps)
    began = anyio.current_time()
    async with ChatRelayStream(source, on_disconnect="drain", drain_seconds=7.0) as stream:
        await anext(stream)
    assert anyio.current_time() - began == pytest.approx(7.0)
    assert stream.end is None
    assert stream.completion.choices[0].message.content == "ab"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
@pytest.mark.parametrize("deadline", ["first_event_timeout", "idle_timeout", "total_timeout"])
async def test_the_deadlines_of_a_client_do_not_hold_for_its_bill(deadline: str, anyio_backend: Any) -> None:
    async def source() -> Any:
        for data in (text("a"), text("b"), STOP, USAGE_CHUNK, DONE):
            yield data
            await anyio.sleep(3)

    limits: Any = {deadline: 4.0}
    async with ChatRelayStream(source(), on_disconnect="drain", **limits) as stream:
        await anext(stream)
    assert stream.end is StreamEnd.DONE
    assert stream.usage is not None


@pytest.mark.anyio
async def test_reading_on_is_bounded_in_bytes() -> None:
    source = Receiver(*[text("a")] * 100)
    async with ChatRelayStream(source, on_disconnect="drain", drain_bytes=5 * len(text("a"))) as stream:
        await anext(stream)
    assert source.receives == 6
    assert source.closed == 1


@pytest.mark.anyio
async def test_reading_on_ends_with_the_source_and_survives_its_failure() -> None:
    for last in ((), (NetworkError(),)):
        async with ChatRelayStream(Receiver(text("a"), STOP, *last), on_disconnect="drain") as stream:
            await anext(stream)
        assert stream.end is (None if last else StreamEnd.FINISHED)
        with ChatRelayStream(generate([text("a"), STOP, *last]), on_disconnect="drain") as stream:
            next(stream)
        assert stream.end is (None if last else StreamEnd.FINISHED)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_source_is_closed_though_reading_on_is_cancelled(anyio_backend: Any) -> None:
    source = Receiver(text("a"), BLOCK)
    stream = ChatRelayStream(source, on_disconnect="drain", keep_alive=60.0)
    await anext(stream)
    closing = asyncio.create_task(stream.aclose())
    await anyio.wait_all_tasks_blocked()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert source.closed == 1


@pytest.mark.anyio
async def test_what_edit_raises_does_not_cost_the_bill() -> None:
    def edit(event: Any) -> bytes | None:
        raise LookupError

    async with ChatRelayStream(Receiver(*pieces(BILLED, 50)), edit=edit, on_disconnect="drain") as stream:
        with pytest.raises(LookupError):
            await anext(stream)
    assert stream.end is StreamEnd.DONE
    assert stream.usage is not None
    with (
        pytest.raises(LookupError),
        ChatRelayStream(pieces(BILLED, 50), edit=edit, on_disconnect="drain") as plain,
    ):
        next(plain)
    assert plain.end is StreamEnd.DONE


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has eager tasks from Python 3.12 on")
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("options", [{"keep_alive": 60.0}, {"on_disconnect": "drain"}])
def test_a_read_whose_task_begins_at_once_loses_nothing(options: Any, waits: bool) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces(BILLED, 50):
            if waits:
                await asyncio.sleep(0)
            yield piece

    async def read() -> bytes:
        if sys.version_info >= (3, 12):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with ChatRelayStream(source(), **options) as stream:
            return await collect(stream)

    assert asyncio.run(read()) == BILLED


ERROR = event({"error": {"message": "overloaded"}})


@pytest.mark.anyio
@pytest.mark.parametrize("sent", [[text("a"), ERROR, BLOCK], [ERROR, BLOCK]])
async def test_behind_an_error_nothing_is_waited_for(sent: list[Any]) -> None:
    source = Receiver(*sent)
    with anyio.fail_after(5.0):
        async with ChatRelayStream(source, on_disconnect="drain", drain_seconds=60.0) as stream:
            await anext(stream)
    assert stream.error is not None
    assert (source.closed, source.receives) == (1, len(sent) - 1)


@pytest.mark.anyio
async def test_without_draining_the_source_is_closed_at_once() -> None:
    source = Receiver(text("a"), BLOCK)
    with anyio.CancelScope() as scope:
        async with ChatRelayStream(source, keep_alive=60.0) as stream:
            await anext(stream)
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
                group.start_soon(collect, stream)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
    assert source.closed == 1
    assert source.receives == 2


@pytest.mark.anyio
@pytest.mark.parametrize("fragile", [False, True])
@pytest.mark.parametrize("options", [{}, {"append_error": True}, {"idle_timeout": 60.0}])
async def test_who_reads_is_told_when_another_task_closes_the_stream(fragile: bool, options: Any) -> None:
    source: Any = agenerate([text("a"), BLOCK]) if fragile else Receiver(text("a"), BLOCK)
    stream = ChatRelayStream(source, keep_alive=60.0, **options)
    was_told = False

    async def read() -> None:
        nonlocal was_told
        assert await anext(stream) == text("a")
        with pytest.raises(anyio.ClosedResourceError):
            await anext(stream)
        was_told = True

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
    assert was_told
    assert stream.failure is None


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", VIRTUAL)
async def test_a_source_that_waits_on_its_way_out_is_closed_in_time(anyio_backend: Any) -> None:
    has_ended = False

    async def source() -> Any:
        nonlocal has_ended
        try:
            yield text("a")
            await anyio.sleep_forever()
        finally:
            try:
                await anyio.sleep(60)
            finally:
                has_ended = True

    stream = ChatRelayStream(source(), keep_alive=5.0)
    assert [await anext(stream), await anext(stream)] == [text("a"), KEEP_ALIVE]
    began = anyio.current_time()
    await stream.aclose()
    assert anyio.current_time() - began <= 1.0
    assert has_ended


def test_what_was_never_read_and_what_has_ended_is_not_read_on() -> None:
    chunks = iter([text("a"), DONE, b"more"])
    with ChatRelayStream(chunks, on_disconnect="drain"):
        pass
    assert next(chunks) == text("a")
    with ChatRelayStream(chunks, on_disconnect="drain") as stream:
        assert list(stream) == [DONE]
    assert next(chunks) == b"more"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"on_disconnect": "stop"}, ValueError),
        ({"keep_alive": 0}, ValueError),
        ({"keep_alive": "15"}, TypeError),
        ({"drain_seconds": -1}, ValueError),
        ({"drain_seconds": None}, TypeError),
        ({"drain_bytes": 0}, ValueError),
        ({"drain_bytes": 1.5}, TypeError),
        ({"usage": "none"}, ValueError),
        ({"idle_timeout": 0}, ValueError),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(
    arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        ChatRelayStream([], **arguments)


@pytest.mark.anyio
async def test_items_of_a_large_stream_are_all_there() -> None:
    body = b"".join(chunk({"content": str(n)}) for n in range(2000)) + STOP + DONE
    async with ChatRelayStream(
        agenerate(pieces(body, 1000)), keep_alive=5.0, on_disconnect="drain"
    ) as stream:
        assert await collect(stream) == body
