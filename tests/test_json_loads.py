"""JSONParser and its `loads`: what it is given, and that nothing is lost or torn whatever it does."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pytest
from outcomes import pieces

from deltawire import InvalidJSON, JSONParser


def decode(chunks: Iterable[bytes | bytearray | memoryview], **options: Any) -> list[Any]:
    parser: JSONParser[Any] = JSONParser(**options)
    return [value for chunk in chunks for value in parser.feed(chunk)] + parser.close()


def data(*values: str) -> bytes:
    return b"".join(b"data: " + value.encode() + b"\n\n" for value in values)


def boom(text: bytes) -> Any:
    """Decode, but fail with what is no ValueError on `boom`, as a bug in the user's code does."""
    if text == b"boom":
        raise KeyError("boom")
    return orjson.loads(text)


# What it is given and may return.


def test_loads_is_given_bytes_of_valid_utf_8() -> None:
    seen: list[bytes] = []
    parser = JSONParser[None](loads=seen.append)
    body = b"data: {\ndata:\xff}\n\ndata: \xe2\x82\r\n\r\ndata: \xed\xa0\x80" + b" " * 100_000 + b"\n\n"
    assert parser.feed(body) == [None, None, None]
    assert seen == [b"{\n\xef\xbf\xbd}", b"\xef\xbf\xbd", b"\xef\xbf\xbd" * 3 + b" " * 100_000]
    assert {type(text) for text in seen} == {bytes}


def test_the_type_of_what_loads_returns_is_the_type_of_the_parser() -> None:
    parser = JSONParser[str](loads=bytes.decode)
    assert isinstance(parser, JSONParser)
    assert "".join(parser.feed(data("a", "b", "[DONE]"))) == "ab"


def test_what_loads_returns_comes_out_as_it_is() -> None:
    values = [None, False, [], object()]
    made = iter(values)
    parser: JSONParser[Any] = JSONParser(loads=lambda _: next(made))
    assert all(a is b for a, b in zip(parser.feed(data("1", "2", "3", "4")), values, strict=True))


@pytest.mark.parametrize("errors", ["strict", "skip"])
def test_another_exception_of_loads_passes_and_loses_nothing(errors: Any) -> None:
    parser: JSONParser[Any] = JSONParser(loads=boom, errors=errors)
    for _ in range(2):
        with pytest.raises(KeyError, match="boom"):
            parser.feed(data("1", "boom"))
    with pytest.raises(KeyError, match="boom"):
        parser.feed(data("2", "boom", "3") + b"data: 4")
    assert parser.feed(b"5\n\n") == [1, 1, 2, 3, 45]
    assert parser.feed(b"") == []
    assert (parser.malformed, parser.events) == (0, 8)


def test_another_exception_of_loads_leaves_invalid_json_its_values() -> None:
    parser: JSONParser[Any] = JSONParser(loads=boom)
    with pytest.raises(KeyError):
        parser.feed(data("1", "boom", "2", "x", "3"))
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(b"")
    assert caught.value.values == [1, 2]
    assert parser.close() == [3]


def test_another_exception_of_loads_in_close_loses_nothing() -> None:
    def loads(text: bytes) -> Any:
        if text == b'{"a":"boom"}':
            raise KeyError("boom")
        return boom(text)

    parser: JSONParser[Any] = JSONParser(loads=loads)
    with pytest.raises(KeyError):
        parser.feed(data("1", "boom", "2", "boom", "3") + b'data: {"a":"boom"}')
    with pytest.raises(KeyError):
        parser.close()
    with pytest.raises(KeyError):
        parser.close()
    assert parser.close() == [1, 2, 3], "the unterminated event was asked for once; it does not come again"


def test_an_interrupt_in_loads_loses_nothing() -> None:
    interrupts = iter([None, KeyboardInterrupt(), None])

    def loads(text: bytes) -> Any:
        if interrupt := next(interrupts):
            raise interrupt
        return orjson.loads(text)

    parser: JSONParser[Any] = JSONParser(loads=loads)
    with pytest.raises(KeyboardInterrupt):
        parser.feed(data("1", "2", "3"))
    assert parser.feed(b"") == [1, 3]


@pytest.mark.parametrize("method", ["feed", "close", "reset"])
def test_loads_may_not_use_its_own_parser(method: str) -> None:
    errors: list[RuntimeError] = []

    def loads(text: bytes) -> Any:
        with pytest.raises(RuntimeError, match="in use") as caught:
            getattr(parser, method)(*([data("0")] if method == "feed" else []))
        errors.append(caught.value)
        if text == b"boom":
            raise caught.value
        return orjson.loads(text)

    parser: JSONParser[Any] = JSONParser(loads=loads)
    assert parser.feed(data("1", "2")) == [1, 2]
    with pytest.raises(RuntimeError, match="in use"):
        parser.feed(data("3", "boom", "4") + b"data: 5")
    assert parser.feed(b"\n\n") == [3, 4, 5]
    assert len(errors) == 6


# Large events: whole in a chunk orjson is handed a view, split over chunks a copy.


@pytest.mark.parametrize(
    "size", [100, 1024, 4 * 1024, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 2**20]
)
def test_an_event_of_any_size_is_what_orjson_makes_of_its_data(size: int) -> None:
    text = orjson.dumps({"text": "é" * (size // 2 - 20), "list": list(range(9))}).ljust(size)
    body = data("1") + b"data: " + text + b"\n\nevent: x\ndata:" + text + b"\n\n" + data("2")
    expected = [1, orjson.loads(text), orjson.loads(text), 2]
    assert decode([body]) == expected
    assert decode([bytearray(body)]) == decode([memoryview(body)]) == expected
    for cut in (3, 9, 15, 16, len(text), len(body) // 2, len(body) - 9):
        assert decode([body[:cut], body[cut:]]) == expected
    assert decode(pieces(body, 1000)) == expected


def test_a_large_event_may_be_invalid() -> None:
    utf_8 = b'data: {"a":"' + b"x" * 100_000 + b'\xff"}\n\n'
    assert decode([utf_8]) == decode(pieces(utf_8, 999)) == [{"a": "x" * 100_000 + "\ufffd"}]
    parser: JSONParser[Any] = JSONParser()
    with pytest.raises(InvalidJSON) as caught:
        parser.feed(b"data: [" + b"1" * 100_000 + b"\n\n" + data("2"))
    assert (caught.value.size, caught.value.preview) == (100_001, b"[" + b"1" * 199)
    assert parser.feed(b"") == [2]


@pytest.mark.parametrize("loads", [None, json.loads])
@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"\xff", "\ufffd"), (b"\xe2\x82", "\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3), (b"\xc3\xa9", "é")],
)
def test_invalid_utf_8_is_replaced_before_anything_decodes(
    raw: bytes, text: str, loads: Callable[[bytes], Any] | None
) -> None:
    for body in (b'data: {"a":"' + raw + b'"}\n\n', b'data: {"a":"' + raw + b'"}'):
        for chunks in ([body], pieces(body)):
            assert decode(chunks, loads=loads) == [{"a": text}]
