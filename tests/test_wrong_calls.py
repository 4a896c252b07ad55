"""A wrong call is refused by a message that names the parameter and the type that came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deltawire import (
    ChatAccumulator,
    ChatParser,
    ChatRelay,
    ChatRelayStream,
    ChatStream,
    EventParser,
    JSONParser,
)

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
]


@pytest.mark.parametrize(("make", "wrong", "said"), WRONG)
def test_a_wrong_parameter_is_named_with_what_came(
    make: Callable[..., Any], wrong: dict[str, Any], said: str
) -> None:
    source: tuple[Any, ...] = ([],) if make in (ChatStream, ChatRelayStream) else ()
    # pytest's `match` reads the notes of an exception too, which stand below its text in a traceback.
    with pytest.raises((TypeError, ValueError), match=said):
        make(*source, **wrong)


def test_a_clock_that_goes_wrong_later_says_so_too_and_loses_nothing() -> None:
    chunk = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    told = iter([0.0, None, 2.0, 3.0])
    stream = ChatStream([chunk, b"data: [DONE]\n\n"], clock=lambda: next(told))  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match="clock returns a number of seconds, not NoneType"):
        next(stream)
    assert [each.choices[0].delta.content for each in stream] == ["a"]
