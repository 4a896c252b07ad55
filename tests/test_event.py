"""ServerSentEvent: an immutable value with the names of the standard."""

import copy
import pickle
from typing import Any

import pytest

from deltawire import EventParser, InvalidJSON, ServerSentEvent

EVENT_FIELDS: Any = ("add", '{"a":[1]}', "7", 5)
OTHER_FIELDS: Any = ("other", "other", "other", None)
EVENT = ServerSentEvent(*EVENT_FIELDS)


def test_an_event_has_the_defaults_of_the_standard() -> None:
    assert ServerSentEvent() == ServerSentEvent("message", "", "", None)
    assert ServerSentEvent(retry=5, id="7", data='{"a":[1]}', event="add") == EVENT
    assert (EVENT.event, EVENT.data, EVENT.id, EVENT.retry) == EVENT_FIELDS


@pytest.mark.parametrize("name", ["event", "data", "id", "retry", "unknown"])
def test_an_event_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(EVENT, name, "x")
    with pytest.raises(AttributeError):
        delattr(EVENT, name)


def test_events_are_equal_and_hash_alike_where_all_fields_are_equal() -> None:
    others = [
        ServerSentEvent(*[*EVENT_FIELDS[:i], other, *EVENT_FIELDS[i + 1 :]])
        for i, other in enumerate(OTHER_FIELDS)
    ]
    assert hash(EVENT) == hash(ServerSentEvent(*EVENT_FIELDS))
    assert len({EVENT, ServerSentEvent(*EVENT_FIELDS), *others}) == 5
    assert EVENT not in others
    assert EVENT != EVENT_FIELDS, "an event is no tuple"
    with pytest.raises(TypeError):
        _ = EVENT < EVENT  # type: ignore[operator]


def test_an_event_shows_what_it_holds() -> None:
    assert repr(ServerSentEvent(data="a\n'")) == """ServerSentEvent(event='message', data="a\\n'")"""
    assert eval(repr(EVENT)) == EVENT


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_event_comes_back_from_pickle_and_copy(protocol: int) -> None:
    parsed = EventParser().feed(b"event: \xff\nid: 7\nretry: 18446744073709551615\ndata: a\ndata:\n\n")[0]
    for event in (EVENT, ServerSentEvent(), parsed):
        assert pickle.loads(pickle.dumps(event, protocol)) == event
        assert copy.copy(event) == copy.deepcopy(event) == event


def test_an_event_can_be_matched() -> None:
    match EVENT:
        case ServerSentEvent(event="add", data=data, id="7"):
            assert data == '{"a":[1]}'
        case _:
            pytest.fail("not matched")


def test_json_decodes_the_data() -> None:
    assert EVENT.json() == {"a": [1]}
    assert ServerSentEvent(data=" null\n").json() is None


@pytest.mark.parametrize("data", ["", "{", "[DONE]", "x" * 1000, "\ud800"])
def test_json_of_other_data_is_invalid_json(data: str) -> None:
    with pytest.raises(InvalidJSON) as caught:
        ServerSentEvent(data=data).json()
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.values == []
    assert len(caught.value.preview) == min(200, caught.value.size)
    assert "xxx" not in str(caught.value), "the payload is not told"
