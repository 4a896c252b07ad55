"""The exceptions: facts as attributes, a text that helps and tells no payload, and a way through pickle.

A gateway logs exceptions and sends them between processes; what a prompt says must not get into the log.
"""

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest

import deltawire
from deltawire import (
    CassetteError,
    ChatAccumulator,
    ChatCompletion,
    DeltawireError,
    EventParser,
    IncompleteStream,
    InvalidJSON,
    JSONParser,
    LimitExceeded,
    NotEventStream,
    ProviderError,
    ServerSentEvent,
    StreamEnd,
    StreamTimeout,
    UpstreamError,
)

SECRET = "the prompt of somebody"
PREVIEW = SECRET.encode()

COMPLETION = ChatCompletion(orjson.dumps({"choices": [{"index": 0, "message": {"content": SECRET}}]}))

# One of each, all attributes set. The facts are what its text has to tell.
ERRORS: list[tuple[DeltawireError, dict[str, Any], list[str]]] = [
    (
        InvalidJSON(values=[{"a": SECRET}], event_number=12, offset=3456, size=789, preview=SECRET.encode()),
        {
            "values": [{"a": SECRET}],
            "event_number": 12,
            "offset": 3456,
            "size": 789,
            "preview": SECRET.encode(),
        },
        ["event 12", "byte 3456", "789 bytes", 'errors="skip"'],
    ),
    (
        LimitExceeded("max_event_size", 1000, values=[SECRET], event_number=12, offset=3456),
        {"limit": "max_event_size", "value": 1000, "values": [SECRET], "event_number": 12, "offset": 3456},
        ["event 12", "byte 3456", "max_event_size=1000", "reset()", "pass a larger max_event_size"],
    ),
    (
        NotEventStream(status=502, content_type="text/html", preview=PREVIEW),
        {"status": 502, "content_type": "text/html", "preview": PREVIEW},
        ["502", "'text/html'", "text/event-stream", "check_content_type=False"],
    ),
    (
        UpstreamError(
            ProviderError(SECRET, "server_error", 503, SECRET),
            completion=COMPLETION,
            status=200,
            offset=3456,
            events=12,
        ),
        {
            "error": ProviderError(SECRET, "server_error", 503, SECRET),
            "completion": COMPLETION,
            "status": 200,
            "offset": 3456,
            "events": 12,
        },
        ["503", "'server_error'", "HTTP status 200", "12 events", "3456 bytes", "`completion`"],
    ),
    (
        IncompleteStream(StreamEnd.TRUNCATED, completion=COMPLETION, offset=3456, events=12),
        {"end": StreamEnd.TRUNCATED, "completion": COMPLETION, "offset": 3456, "events": 12},
        ["TRUNCATED", "12 events", "3456 bytes", "`completion`", 'on_end="return"'],
    ),
    (
        StreamTimeout("idle_timeout", 2.5, elapsed=7.25, completion=COMPLETION, offset=3456, events=12),
        {
            "deadline": "idle_timeout",
            "seconds": 2.5,
            "elapsed": 7.25,
            "completion": COMPLETION,
            "offset": 3456,
            "events": 12,
        },
        [
            "idle_timeout=2.5",
            "7.25 s after",
            "12 events",
            "3456 bytes",
            "`completion`",
            "larger idle_timeout",
        ],
    ),
    (
        CassetteError("tests/a.yaml", "line 12, column 3", "no YAML"),
        {"path": "tests/a.yaml", "place": "line 12, column 3", "reason": "no YAML"},
        ["tests/a.yaml", "line 12, column 3", "no YAML"],
    ),
]
every_error = pytest.mark.parametrize(
    ("error", "attributes", "facts"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS]
)

WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle-{n}": partial(pickle.dumps, protocol=n) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def test_every_exception_is_tested_here() -> None:
    exported = {vars(deltawire)[name] for name in deltawire.__all__}
    classes = {item for item in exported if isinstance(item, type) and issubclass(item, BaseException)}
    assert classes == {DeltawireError, *(type(error) for error, _, _ in ERRORS)}


@every_error
def test_an_exception_has_its_facts_as_attributes(
    error: DeltawireError, attributes: dict[str, Any], facts: list[str]
) -> None:
    assert {name: getattr(error, name) for name in attributes} == attributes


@every_error
def test_the_text_tells_what_came_where_and_what_to_do(
    error: DeltawireError, attributes: dict[str, Any], facts: list[str]
) -> None:
    for fact in facts:
        assert fact in str(error)


@every_error
def test_the_text_does_not_tell_the_payload(
    error: DeltawireError, attributes: dict[str, Any], facts: list[str]
) -> None:
    assert SECRET not in str(error)
    assert SECRET not in repr(error)


@every_error
@pytest.mark.parametrize("through", WAYS.values(), ids=WAYS)
def test_an_exception_comes_back_whole(
    error: DeltawireError, attributes: dict[str, Any], facts: list[str], through: Callable[[Any], Any]
) -> None:
    error.add_note("a note")
    back = through(error)
    back = pickle.loads(back) if isinstance(back, bytes) else back
    assert type(back) is type(error)
    assert (str(back), back.args, vars(back)) == (str(error), error.args, vars(error))


def test_an_exception_of_a_subclass_comes_back_too() -> None:
    error = Special()
    error.limit = "other"
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), back.limit, back.value) == (Special, str(error), "other", 5)


class Special(LimitExceeded):
    """Has parameters of its own, so that pickle cannot call it with those of its base."""

    def __init__(self) -> None:
        super().__init__("max_event_size", 5)


@every_error
def test_one_base_catches_all(error: DeltawireError, attributes: dict[str, Any], facts: list[str]) -> None:
    assert isinstance(error, DeltawireError)
    # What is not for whoever called wrongly: that is a TypeError, ValueError or RuntimeError of Python.
    assert isinstance(error, ValueError) == (type(error) is InvalidJSON)
    assert not isinstance(error, (TypeError, RuntimeError))
    assert isinstance(error, TimeoutError) == isinstance(error, OSError) == (type(error) is StreamTimeout)


def test_a_body_that_was_read_all_the_same_is_told_by_what_it_is_and_not_by_its_type() -> None:
    error = NotEventStream(status=200, content_type="application/json", completion=COMPLETION)
    assert "neither a field nor a comment" in str(error)
    assert "check_content_type" not in str(error)


@pytest.mark.parametrize("make", [InvalidJSON, NotEventStream])
def test_a_preview_is_200_bytes_at_most(make: Callable[..., Any]) -> None:
    assert make(preview=b"x" * 200).preview == b"x" * 200
    assert make(preview=b"x" * 201).preview == b"x" * 200


@pytest.mark.parametrize("make", [InvalidJSON, lambda: LimitExceeded("max_event_size", 5)])
def test_values_that_nobody_gave_are_a_list_of_its_own(make: Callable[[], Any]) -> None:
    assert make().values == []
    assert make().values is not make().values


@pytest.mark.parametrize("deadline", ["first_event_timeout", "idle_timeout", "total_timeout"])
def test_a_timeout_of_a_stream_without_a_message_does_not_speak_of_one(deadline: str) -> None:
    error = StreamTimeout(deadline, 2)
    assert f"{deadline}=2" in str(error)
    assert "completion" not in str(error)
    assert error.completion is None


def test_a_cassette_error_without_a_place_names_the_file() -> None:
    assert str(CassetteError("a.yaml", "", "is empty")) == "a.yaml: is empty"


# As the parsers raise them.


def test_invalid_json_of_a_parser_tells_no_payload_and_comes_back_from_pickle() -> None:
    with pytest.raises(InvalidJSON) as caught:
        JSONParser().feed(b'data: {"a":1}\n\n: c\ndata: ' + SECRET.encode() * 20 + b"\n\n")
    error = caught.value
    assert SECRET not in str(error) + repr(error) + str(error.__cause__)
    assert error.preview == (SECRET.encode() * 20)[:200]
    assert (error.event_number, error.offset, error.size) == (2, 15, 20 * len(SECRET))
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)


def test_limit_exceeded_of_a_parser_tells_no_payload_and_comes_back_from_pickle() -> None:
    with pytest.raises(LimitExceeded) as caught:
        EventParser(max_event_size=10).feed(b"data: a\n\ndata: " + SECRET.encode() + b"\n\n")
    error = caught.value
    assert SECRET not in str(error) + repr(error)
    back = pickle.loads(pickle.dumps(error))
    assert back.values == error.values == [ServerSentEvent(data="a")]
    assert (back.event_number, back.offset) == (2, 9)


def test_a_chunk_over_a_limit_that_was_added_names_no_place_in_a_stream() -> None:
    with pytest.raises(LimitExceeded) as caught:
        ChatAccumulator(max_message_size=2).add({"choices": [{"index": 0, "delta": {"content": SECRET}}]})
    error = caught.value
    assert (error.event_number, error.offset) == (0, 0)
    assert str(error).startswith("what came goes over max_message_size=2;")


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b""], ids=["whole", "no blank line", "no line end"])
def test_an_event_over_a_limit_begins_where_it_begins_whether_or_not_it_has_an_end(end: bytes) -> None:
    accumulator = ChatAccumulator(max_message_size=2)
    first = b'data: {"choices":[]}\n\n'
    over = b'data: {"choices":[{"index":0,"delta":{"content":"abc"}}]}' + end

    def read() -> None:
        accumulator.feed(first + over)
        accumulator.close()

    with pytest.raises(LimitExceeded) as caught:
        read()
    assert (caught.value.event_number, caught.value.offset) == (2, len(first))


def test_an_event_that_is_no_json_names_no_place_in_a_stream() -> None:
    with pytest.raises(InvalidJSON) as caught:
        ServerSentEvent(data=SECRET).json()
    error = caught.value
    assert (error.event_number, error.offset, error.size) == (None, None, len(SECRET))
    assert "None" not in str(error)
    assert SECRET not in str(error)
    # There is no parser here to pass it to.
    assert "skip" not in str(error)
