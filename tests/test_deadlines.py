"""Deadlines: when each strikes, what it leaves alone, what comes out before it, and what it costs.

Time is virtual (virtual_time.py): a source sleeps for as long as its script says, and the clock jumps. What
needs sockets is in test_faults.py.
"""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from anyio.lowlevel import checkpoint
from fakes import BLOCK, Receiver, agenerate
from virtual_time import VIRTUAL

import deltawire._deadlines
from deltawire import ChatStream, DeltawireError, EventStream, JSONStream, StreamTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from fakes import Step

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", VIRTUAL, scope="module")]

ONE, TWO, THREE = b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"
DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
NAMES = ["first_event_timeout", "idle_timeout", "total_timeout"]


class Timed(Receiver):
    """Runs steps, and sleeps before each of them: `(seconds, step)`. At the end it blocks."""

    def __init__(self, *steps: tuple[float, Step]) -> None:
        super().__init__()
        self.timed = list(steps)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if not self.timed:
            await anyio.sleep_forever()
        seconds, step = self.timed[0]
        await anyio.sleep(seconds)
        self.timed.pop(0)
        self.steps.append(step)
        return await super().receive()


async def run(stream: Any) -> tuple[list[Any], StreamTimeout | None, Any]:
    """All that comes out, the deadline that struck, and the seconds it took."""
    found: list[Any] = []
    began = anyio.current_time()
    try:
        async with stream:
            async for item in stream:
                found.append(item)  # noqa: PERF401 - what came before the exception counts
    except StreamTimeout as error:
        return found, error, pytest.approx(anyio.current_time() - began)
    return found, None, pytest.approx(anyio.current_time() - began)


# When each strikes


async def test_the_first_event_has_to_come_in_time() -> None:
    source = Timed((1, COMMENT), (1, b"data: un"), (1, b"finished"))
    found, error, seconds = await run(JSONStream(source, first_event_timeout=5))
    assert error is not None
    assert (found, error.deadline, error.seconds, error.elapsed) == ([], "first_event_timeout", 5, 5)
    assert (error.events, error.offset) == (0, len(COMMENT) + len(b"data: unfinished"))
    assert (seconds, source.closed) == (5, 1)


async def test_the_first_event_ends_the_wait_for_it() -> None:
    found, error, _ = await run(JSONStream(Timed((4, ONE), (100, TWO), (100, DONE)), first_event_timeout=5))
    assert (found, error) == ([1, 2], None)


async def test_the_wait_for_the_first_event_begins_with_the_first_read() -> None:
    values = JSONStream(Timed((4, ONE), (0, DONE)), first_event_timeout=5)
    await anyio.sleep(100)
    assert (await run(values))[:2] == ([1], None)


async def test_a_stream_without_progress_is_idle() -> None:
    source = Timed((2, ONE), (2, TWO), (2, COMMENT), (0.5, b"data: "))
    found, error, seconds = await run(JSONStream(source, idle_timeout=3))
    assert error is not None
    assert (found, error.deadline, error.seconds, error.events) == ([1, 2], "idle_timeout", 3, 2)
    assert error.elapsed == pytest.approx(7)
    assert (seconds, source.closed) == (7, 1)


async def test_every_event_is_progress_though_it_gives_nothing() -> None:
    steps = [(2.0, step) for step in (b"data:\n\n", b"data: bad\n\n", b"data: : ping\n\n", DONE)]
    assert (await run(JSONStream(Timed(*steps), errors="skip", idle_timeout=3)))[:2] == ([], None)
    # An event without data is none.
    found, error, seconds = await run(EventStream(Timed((2, b"event: ping\n\n"), (2, ONE)), idle_timeout=3))
    assert (found, error is not None, seconds) == ([], True, 3)


async def test_comments_are_progress_if_they_count() -> None:
    steps = [(2.0, COMMENT)] * 5
    streams: list[Any] = [JSONStream, EventStream, ChatStream]
    for stream in streams:
        values = stream(Timed(*steps), idle_timeout=3, comments_count_as_progress=True)
        _, error, seconds = await run(values)
        assert error is not None
        assert (error.deadline, seconds) == ("idle_timeout", 13)
        _, error, seconds = await run(stream(Timed(*steps), idle_timeout=3))
        assert error is not None
        assert (error.deadline, seconds) == ("idle_timeout", 3)


async def test_comments_are_no_first_event_though_they_count() -> None:
    values = JSONStream(Timed(*[(1.0, COMMENT)] * 9), first_event_timeout=5, comments_count_as_progress=True)
    _, error, seconds = await run(values)
    assert error is not None
    assert (error.deadline, seconds) == ("first_event_timeout", 5)


async def test_the_time_of_the_consumer_is_not_idle() -> None:
    async with JSONStream(Timed((2, ONE), (2, COMMENT), (0.5, TWO)), idle_timeout=3) as values:
        assert await anext(values) == 1
        await anyio.sleep(100)
        assert await anext(values) == 2


async def test_the_wait_of_several_reads_adds_up() -> None:
    """A read that the consumer gave up has waited too."""
    source = Timed((9, ONE))
    async with JSONStream(source, idle_timeout=5) as values:
        for _ in range(2):
            with anyio.move_on_after(2) as scope:
                await anext(values)
            assert scope.cancelled_caught
            await anyio.sleep(100)
        began = anyio.current_time()
        with pytest.raises(StreamTimeout) as caught:
            await anext(values)
    assert anyio.current_time() - began == pytest.approx(1)
    assert caught.value.elapsed == pytest.approx(205)


async def test_until_the_first_event_its_own_deadline_stands_in_for_idle() -> None:
    steps = [(4.0, ONE), (2.0, TWO)]
    for first_event, end in ((None, 0 + 3), (10, 4 + 2 + 3)):
        values = JSONStream(Timed(*steps), idle_timeout=3, first_event_timeout=first_event)
        _, error, seconds = await run(values)
        assert error is not None
        assert (error.deadline, seconds) == ("idle_timeout", end)


async def test_the_whole_stream_has_to_end_in_time() -> None:
    source = Timed(*[(1.0, ONE)] * 20)
    found, error, seconds = await run(JSONStream(source, total_timeout=5.5, idle_timeout=3))
    assert error is not None
    assert (found, error.deadline, error.elapsed, seconds) == ([1] * 5, "total_timeout", 5.5, 5.5)


async def test_the_time_of_the_consumer_counts_for_the_whole_and_what_is_decoded_still_comes() -> None:
    source = Timed((1, ONE + TWO + THREE))
    async with JSONStream(source, total_timeout=5) as values:
        assert await anext(values) == 1
        await anyio.sleep(100)
        assert [await anext(values), await anext(values)] == [2, 3]
        with pytest.raises(StreamTimeout, match="total_timeout=5 passed 101 s after"):
            await anext(values)
    assert source.closed == 1


async def test_a_source_in_memory_is_held_to_the_whole_too() -> None:
    values = JSONStream([ONE, TWO, THREE], total_timeout=5)
    assert await anext(values) == 1
    await anyio.sleep(6)
    with pytest.raises(StreamTimeout):
        await anext(values)


@pytest.mark.parametrize(
    ("deadlines", "name"),
    [
        ({"first_event_timeout": 1, "idle_timeout": 2, "total_timeout": 3}, "first_event_timeout"),
        ({"first_event_timeout": 3, "idle_timeout": 2, "total_timeout": 1}, "total_timeout"),
        ({"idle_timeout": 1, "total_timeout": 2}, "idle_timeout"),
        ({"idle_timeout": 2, "total_timeout": 1}, "total_timeout"),
        ({"first_event_timeout": 1, "total_timeout": math.inf}, "first_event_timeout"),
    ],
)
async def test_the_nearest_deadline_strikes(deadlines: dict[str, Any], name: str) -> None:
    _, error, seconds = await run(JSONStream(Receiver(BLOCK), **deadlines))
    assert error is not None
    assert (error.deadline, seconds) == (name, 1)


# What comes out, and what is left


def chunk(text: str) -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n' % text.encode()


@pytest.mark.parametrize("name", NAMES[1:])
async def test_a_timeout_of_a_chat_has_the_part_that_came(name: str) -> None:
    deadline: dict[str, Any] = {name: 2}
    stream = ChatStream(Timed((0.1, chunk("Hel") + chunk("lo")), (0.1, b'data: {"cho')), **deadline)
    found, error, _ = await run(stream)
    assert error is not None
    assert len(found) == 2
    assert error.completion == stream.completion
    assert stream.completion.choices[0].message.content == "Hello"
    assert isinstance(error, TimeoutError)
    assert isinstance(error, DeltawireError)
    assert "Hello" not in str(error)
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), vars(back)) == (str(error), vars(error))


async def test_a_timeout_of_other_streams_has_no_completion() -> None:
    _, error, _ = await run(EventStream(Receiver(BLOCK), idle_timeout=1))
    assert error is not None
    assert error.completion is None


async def test_an_error_that_is_due_comes_before_the_deadline() -> None:
    async with JSONStream(Timed((0, ONE + b"data: bad\n\n" + TWO)), total_timeout=1) as values:
        assert await anext(values) == 1
        await anyio.sleep(2)
        with pytest.raises(ValueError, match="not valid JSON"):
            await anext(values)
        assert await anext(values) == 2
        with pytest.raises(StreamTimeout):
            await anext(values)


async def test_a_stream_that_ended_has_no_deadline_any_more() -> None:
    for steps in ([ONE + DONE, BLOCK], [ONE, b"data: [DONE]"]):
        async with JSONStream(Receiver(*steps), total_timeout=1) as values:
            assert await anext(values) == 1
            if BLOCK in steps:
                await anyio.sleep(2)
            assert [value async for value in values] == []


async def test_a_stream_that_timed_out_is_closed() -> None:
    source = Receiver(BLOCK)
    values = JSONStream(source, idle_timeout=1)
    with pytest.raises(StreamTimeout):
        await anext(values)
    for iterator in (values, values.batches()):
        with pytest.raises(anyio.ClosedResourceError):
            await anext(iterator)
    await values.aclose()
    assert (source.closed, source.receives) == (1, 1)


async def test_an_error_in_closing_does_not_hide_the_timeout() -> None:
    class Failing(Receiver):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("reset")

    source = Failing(BLOCK)
    with pytest.raises(StreamTimeout):
        await anext(JSONStream(source, idle_timeout=1))
    assert source.closed == 1


async def test_a_source_whose_closing_hangs_holds_up_a_timeout_for_a_second() -> None:
    class Hanging(Receiver):
        async def aclose(self) -> None:
            await anyio.sleep_forever()

    _, error, seconds = await run(JSONStream(Hanging(BLOCK), idle_timeout=1))
    assert error is not None
    assert error.elapsed == pytest.approx(1)
    assert seconds == 2


async def test_an_abandoned_generator_is_closed_and_its_finally_runs() -> None:
    log = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield ONE
            await anyio.sleep_forever()
        finally:
            log.append("closed")

    found, error, _ = await run(JSONStream(source(), idle_timeout=1))
    assert (found, error is not None, log) == ([1], True, ["closed"])


@pytest.mark.parametrize("take", ["batches", "text_deltas", "collect"])
async def test_every_way_of_reading_is_held_to_the_deadlines(take: str) -> None:
    stream = ChatStream(Timed((0, chunk("a"))), idle_timeout=1)
    if take != "collect":
        items = getattr(stream, take)()
        assert await anext(items) in ("a", list(ChatStream([chunk("a")], on_end="return")))
    with pytest.raises(StreamTimeout) as caught:
        await (stream.collect() if take == "collect" else anext(items))
    assert (caught.value.deadline, caught.value.events) == ("idle_timeout", 1)


# Races


async def test_data_that_comes_with_the_deadline_is_not_lost() -> None:
    """Whichever is noticed first, the data or the deadline: what was taken from the source comes out."""

    async def strike(send: Any, turns: int, found: list[Any]) -> None:
        await anyio.sleep(1)
        for _ in range(turns):
            await checkpoint()
        try:
            send.send_nowait(ONE)
        except (anyio.BrokenResourceError, anyio.WouldBlock):
            found.append("refused")

    for turns in range(3):
        send, receive = anyio.create_memory_object_stream[bytes](0)
        found: list[Any] = []
        async with send, anyio.create_task_group() as tasks:
            tasks.start_soon(strike, send, turns, found)
            async with JSONStream(receive, idle_timeout=1) as values:
                try:
                    found.append(await anext(values))
                except StreamTimeout:
                    found.append("timeout")
                await anyio.sleep(1)
        assert found in ([1], ["timeout", "refused"], ["refused", "timeout"])


async def test_data_that_came_before_the_deadline_was_noticed_comes_out() -> None:
    """A read that has its data when the deadline strikes is not cancelled, and the next one strikes."""

    class Late(Receiver):
        async def receive(self, max_bytes: int = 65536) -> bytes:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)
            return ONE

    found, error, seconds = await run(JSONStream(Late(), total_timeout=1))
    assert error is not None
    assert (found, seconds) == ([1], 2)


# The user's own cancellations


@pytest.mark.parametrize("name", NAMES)
async def test_a_scope_of_the_user_passes_unchanged(name: str) -> None:
    deadline: dict[str, Any] = {name: 2}
    for seconds_of_user, expected in ((1, None), (3, name)):
        with anyio.move_on_after(seconds_of_user) as scope:
            _, error, seconds = await run(JSONStream(Receiver(BLOCK), **deadline))
            assert error is not None
            assert (error.deadline, seconds) == (expected, 2)
        assert scope.cancelled_caught == (expected is None)
    with pytest.raises(TimeoutError) as caught, anyio.fail_after(1):
        await run(JSONStream(Receiver(BLOCK), **deadline))
    assert not isinstance(caught.value, StreamTimeout)


async def test_a_scope_that_is_cancelled_before_the_deadline_strikes_wins() -> None:
    """Both at the same instant: the scope of the user first, then the deadline."""
    with anyio.CancelScope() as scope:
        source = Receiver(scope.cancel, BLOCK)
        async with JSONStream(source, idle_timeout=1e-3) as values:
            await anext(values)
    assert scope.cancelled_caught
    assert source.closed == 1


async def test_a_stream_with_deadlines_is_read_on_after_a_cancellation() -> None:
    async with JSONStream(Timed((1, ONE), (1, TWO)), idle_timeout=5, total_timeout=100) as values:
        found = []
        for _ in range(8):
            with anyio.move_on_after(0.4):
                found.append(await anext(values))
        assert found == []
        assert [await anext(values), await anext(values)] == [1, 2]


# Which scopes are entered


@pytest.fixture
def scopes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the deadlines of the scopes that reading entered."""
    entered: list[float] = []

    class Counting:
        def __init__(self, deadline: float) -> None:
            entered.append(deadline)
            self.scope = anyio.CancelScope(deadline=deadline)

        def __enter__(self) -> None:
            self.scope.__enter__()

        def __exit__(self, *details: object) -> Any:
            exit_scope: Callable[..., Any] = self.scope.__exit__
            return exit_scope(*details)

    monkeypatch.setattr(deltawire._deadlines, "CancelScope", Counting)
    return entered


CHUNKS = [ONE + TWO, b"data: 3", b"\n\n" + ONE, COMMENT, TWO]


async def test_one_scope_is_entered_for_a_network_read_and_none_for_what_is_pending(
    scopes: list[float],
) -> None:
    source = Receiver(*CHUNKS)
    found, _, _ = await run(JSONStream(source, idle_timeout=10))
    assert (found, source.receives, len(scopes)) == ([1, 2, 3, 1, 2], len(CHUNKS) + 1, len(CHUNKS) + 1)


@pytest.mark.parametrize(
    ("source", "deadlines"),
    [
        (lambda: Receiver(*CHUNKS), {}),
        (lambda: Receiver(*CHUNKS), dict.fromkeys(NAMES, math.inf)),
        (lambda: CHUNKS, dict.fromkeys(NAMES, 10)),
    ],
    ids=["no deadline", "none that strikes", "in memory"],
)
async def test_no_scope_is_entered_without_a_deadline_and_for_data_in_memory(
    scopes: list[float], source: Callable[[], Any], deadlines: dict[str, Any]
) -> None:
    found, _, _ = await run(JSONStream(source(), **deadlines))
    assert (found, scopes) == ([1, 2, 3, 1, 2], [])


async def test_no_scope_is_entered_once_the_only_deadline_is_kept(scopes: list[float]) -> None:
    await run(JSONStream(Receiver(COMMENT, *CHUNKS), first_event_timeout=10))
    assert len(scopes) == 2


@pytest.mark.parametrize("others", [{}, {"idle_timeout": 10}, {"total_timeout": 10}])
async def test_once_no_deadline_is_left_a_stream_is_read_like_one_without(
    others: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    read = deltawire._deadlines.Deadlines.read

    async def count(*args: Any) -> Any:
        reads.append(args)
        return await read(*args)

    monkeypatch.setattr(deltawire._deadlines.Deadlines, "read", count)
    chunks = [COMMENT, ONE, TWO, THREE, DONE]
    found, _, _ = await run(JSONStream(Receiver(*chunks), first_event_timeout=10, **others))
    assert (found, len(reads)) == ([1, 2, 3], len(chunks) if others else 2)


async def test_no_scope_stays_entered_between_reads() -> None:
    """A scope that were left open around a yield would cancel the consumer."""
    async with JSONStream(Timed((1, ONE), (1, TWO), (1, THREE)), idle_timeout=1.5) as values:
        async for value in values:
            await anyio.sleep(5)
            if value == 3:
                break


# Where a deadline makes no sense


@pytest.mark.parametrize("stream", [EventStream, JSONStream, ChatStream])
@pytest.mark.parametrize("name", NAMES)
async def test_a_deadline_is_a_number_of_seconds_above_0(stream: Any, name: str) -> None:
    for value in (0, 0.0, -1, -0.5, math.nan, -math.inf):
        with pytest.raises(ValueError, match=f"{name} is a number of seconds above 0 or None, not"):
            stream([], **{name: value})
    for wrong in (True, False, "1", b"1", [1], 1j):
        with pytest.raises(
            TypeError, match=f"{name} is a number of seconds or None, not {type(wrong).__name__}"
        ):
            stream([], **{name: wrong})
    for right in (None, 1, 0.001, math.inf):
        stream([], **{name: right})


@pytest.mark.parametrize("stream", [EventStream, JSONStream, ChatStream])
async def test_a_stream_with_a_deadline_is_refused_by_for(stream: Any) -> None:
    def enter(values: Any) -> None:
        with values:
            pass

    uses: Iterable[Callable[[Any], Any]] = (next, list, enter, lambda values: next(values.batches()))
    for use in uses:
        for name in NAMES:
            with pytest.raises(TypeError, match=r"deadline.*blocking.*use the timeouts of the client"):
                use(stream([ONE], **{name: 1}))


async def test_a_stream_with_a_deadline_over_a_blocking_client_is_refused_when_it_is_made() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=iter([ONE])))
    with httpx.Client(transport=transport) as client, client.stream("GET", "http://localhost") as response:
        with pytest.raises(TypeError, match=r"blocking client.*use the timeouts of the client"):
            EventStream(response, idle_timeout=1)
        assert len(list(EventStream(response))) == 1


async def test_any_cut_gives_the_same_items_with_deadlines() -> None:
    body = ONE + COMMENT + TWO + THREE
    deadlines: dict[str, Any] = dict.fromkeys(NAMES, 9)
    for place in range(len(body) + 1):
        pieces = [body[:place], body[place:]]
        for source in (agenerate(pieces), Receiver(*pieces), pieces):
            found, _, _ = await run(JSONStream(source, **deadlines))
            assert found == [1, 2, 3]
