"""A wrong call is refused by a message that names the parameter and the type that came."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from deltawire import (
    ChatAccumulator,
    ChatParser,
    ChatRelay,
    ChatRelayStream,
    ChatStream,
    EventParser,
    EventStream,
    JSONParser,
    ServerSentEvent,
    ToolCall,
)
from deltawire.metrics import StreamMetrics

if TYPE_CHECKING:
    from collections.abc import Callable

WRONG: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    (EventParser, {"max_event_size": 0}, "number from 1 .* not 0\nwhile processing 'max_event_size'"),
    (EventParser, {"last_event_id": b"1"}, "'bytes' .*\nwhile processing 'last_event_id'"),
    (EventParser, {"verbatim": 1}, "'int' .*\nwhile processing 'verbatim'"),
    (JSONParser, {"loads": "json"}, "loads .* str"),
    (JSONParser, {"done": 1}, "'int' .*\nwhile processing 'done'"),
    (ChatParser, {"errors": "ignore"}, 'errors is "strict" or "skip", not "ignore"'),
    (ChatAccumulator, {"n": "1"}, "int, not str\nwhile processing 'n'"),
    (ChatAccumulator, {"max_choices": True}, "int, not bool\nwhile processing 'max_choices'"),
    (ChatAccumulator, {"id_factory": 1}, "id_factory is a callable, not int"),
    (ChatRelay, {"set": [("a", 1)]}, "set is a dict of fields and values"),
    (ChatRelay, {"set": {"a": 1, "b": {1, 2}}}, 'does not encode the value of "b" in set'),
    (ChatRelay, {"remove": 5}, "remove is a set of fields, not int"),
    (ChatRelay, {"remove": "model"}, "remove is a set of fields, not str"),
    (ChatRelay, {"remove": [5]}, "a field is named by a str, not int"),
    (ChatRelay, {"usage": "none"}, 'usage is "keep" or "drop", not "none"'),
    (ChatRelay, {"edit": b""}, "edit is a callable, not bytes"),
    (ChatStream, {"clock": 5}, "clock is a callable, not int"),
    (ChatStream, {"clock": lambda: "12:00"}, "clock returns a number of seconds, not str"),
    (ChatStream, {"on_end": "ignore"}, "on_end is .* not 'ignore'"),
    (ChatStream, {"idle_timeout": "5"}, "idle_timeout is a number of seconds or None, not str"),
    (ChatRelayStream, {"drain_bytes": 1.5}, "drain_bytes is an int, not float"),
    (ChatRelayStream, {"clock": None}, "clock is a callable, not NoneType"),
    (ServerSentEvent, {"retry": -1}, "retry is a number of milliseconds from 0 .* not -1"),
    (
        ServerSentEvent,
        {"retry": 2**70},
        "retry is a number of milliseconds .* not 1180591620717411303424",
    ),
]


@pytest.mark.parametrize(("make", "wrong", "said"), WRONG)
def test_a_wrong_parameter_is_named_with_what_came(
    make: Callable[..., Any], wrong: dict[str, Any], said: str
) -> None:
    source: tuple[Any, ...] = ([],) if make in (ChatStream, ChatRelayStream) else ()
    # pytest's `match` reads the notes of an exception too, which stand below its text in a traceback.
    with pytest.raises((TypeError, ValueError), match=said):
        make(*source, **wrong)


def test_what_is_no_chunk_is_refused_with_its_whole_name() -> None:
    with pytest.raises(TypeError, match=r"not decimal\.Decimal; of a pydantic object, pass its model_dump"):
        ChatAccumulator().add(Decimal(1))  # type: ignore[arg-type]


def test_a_call_without_known_arguments_says_so() -> None:
    call = ToolCall('{"id":"a","type":"code_interpreter","code_interpreter":{"input":"1"}}')
    for parse in (call.parse, call.partial):
        with pytest.raises(TypeError, match="a call of the type 'code_interpreter' has no arguments"):
            parse()


def test_metrics_of_another_stream_are_refused() -> None:
    metrics = StreamMetrics(registry=CollectorRegistry())
    with pytest.raises(TypeError, match="not of EventStream"), metrics.watch(EventStream([])):  # type: ignore[arg-type]
        pass


def test_a_clock_that_goes_wrong_later_says_so_too_and_loses_nothing() -> None:
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    told = iter([0.0, None, 2.0, 3.0])
    stream = ChatStream([chunk, b"data: [DONE]\n\n"], clock=lambda: next(told))  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="clock returns a number of seconds, not NoneType"):
        next(stream)
    assert [each.choices[0].delta.content for each in stream] == ["a"]
