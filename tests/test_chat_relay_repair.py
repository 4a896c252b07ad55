"""What a relay makes of tool calls and finish reasons, for clients that take the format at its word."""

from __future__ import annotations

import json
from typing import Any

import pytest
import reference
from chat_streams import DONE, STOP, accumulate, calls, chunk, event, fragment, text
from relays import USAGE, send

from deltawire import ChatParser, ChatRelay


def test_a_canonical_stream_is_not_touched_by_a_repair() -> None:
    body = (
        chunk({"role": "assistant", "content": None})
        + calls({"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}})
        + calls({"index": 0, "function": {"arguments": '{"q"'}})
        + calls({"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}})
        + calls({"index": 0, "function": {"arguments": ":1}"}})
        + chunk({}, "tool_calls")
        + event({"choices": [], "usage": USAGE})
        + DONE
    )
    assert send(body, repair=True) == body


def test_id_type_and_name_are_sent_once_and_indices_count_the_calls() -> None:
    body = (
        calls(fragment(index=0, id="a", type="function", name="f", arguments='{"q"'))
        + calls(fragment(index=0, id="a", type="function", name="f", arguments=":1}"))
        + calls(fragment(index=0, id="b", name="f", arguments={"q": 2}, extra_content={"x": 1}))
        + STOP
        + DONE
    )
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"q"'}}
    second = {"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": '{"q":2}'}}
    assert send(body, repair=True) == (
        calls(first)
        + calls({"index": 0, "function": {"arguments": ":1}"}})
        + calls(second | {"extra_content": {"x": 1}})
        + STOP
        + DONE
    )


@pytest.mark.parametrize(
    ("pieces", "received"),
    [
        (["{", '{"q": 1}'], '{"q": 1}'),
        (["{", '{"q"', ": 1}"], '{"q": 1}'),
        # What a client has cannot be taken back, and this is what many look for.
        (["{}", '{"q"', ": 1}"], '{}{"q": 1}'),
        (["{}", "", "{}"], "{}"),
        ([{}, '{"q": 1}'], '{"q": 1}'),
    ],
)
def test_arguments_that_begin_anew_are_sent_as_far_as_they_can_be(pieces: list[Any], received: str) -> None:
    header, *others = pieces
    body = calls(fragment(index=0, id="a", type="function", name="f", arguments=header))
    body += b"".join(calls(fragment(index=0, arguments=piece)) for piece in others)
    sent = send(body + calls(fragment(index=0, arguments="")) + STOP + DONE, repair=True)
    deltas = [chunk.choices[0].delta.tool_calls or [] for chunk in ChatParser().feed(sent) if chunk.choices]
    texts = [call.function.arguments for calls in deltas for call in calls if call.function is not None]
    assert "".join(text or "" for text in texts) == received


def test_a_call_of_a_tool_of_the_providers_own_is_passed_on_as_it_came() -> None:
    own = {"index": 0, "id": "a", "type": "code_interpreter", "code_interpreter": {"input": "1"}}
    body = calls(own) + calls(fragment(index=1, id="b", type="function", name="f", arguments="{}"))
    assert send(body + STOP + DONE, repair=True) == body + STOP + DONE


def test_a_call_of_a_tool_of_the_providers_own_has_its_place_as_its_index() -> None:
    own = {"id": "w", "type": "web_search"}
    body = (
        calls(fragment(index=0, name="f", arguments="{}"))
        + calls({"index": 1, **own})
        + calls({"index": 1, "web_search": {"q": 1}})
        + calls({"index": 1, "web_search": {"q": 2}})
    )
    sent = [
        call.to_dict()
        for made in ChatParser().feed(send(body + STOP + DONE, repair=True))
        for choice in made.choices
        for call in choice.delta.tool_calls or []
    ]
    assert sent[:2] == [
        {"index": 0, **own, "web_search": {"q": 1}},
        {"index": 0, "web_search": {"q": 2}},
    ]
    assert [(call["index"], call["type"], call["function"]["name"]) for call in sent[2:]] == [
        (1, "function", "f")
    ]


def test_a_name_that_goes_on_is_sent_by_itself_so_that_whoever_reads_it_adds_it_up() -> None:
    parts = ({"id": "a"}, {"name": "get_"}, {"name": "time"}, {"arguments": "{}"})
    sent = send(b"".join(calls(fragment(index=1, **part)) for part in parts) + STOP + DONE, repair=True)
    header = {"index": 0, "id": "a", "type": "function", "function": {"name": "get_", "arguments": ""}}
    assert sent.startswith(chunk({}) + calls(header) + calls(fragment(index=0, name="time")))
    (call,) = accumulate(sent).completion.choices[0].message.tool_calls or []
    assert call.function is not None
    assert (call.function.name, call.function.arguments) == ("get_time", "{}")
    assert send(sent, repair=True) == sent


def test_a_call_waits_for_its_name_and_gets_an_id_at_the_latest_with_the_finish_reason() -> None:
    body = calls(fragment(index=0, id="a", arguments='{"q"')) + calls(
        fragment(index=0, name="f", arguments=":1}")
    )
    sent = send(body + DONE, repair=True)
    header = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"q":1}'}}
    assert sent == chunk({}) + calls(header) + DONE

    relay = ChatRelay(repair=True)
    body = calls(fragment(name="f", arguments="{}"), finish_reason="tool_calls") + DONE
    sent = relay.feed(body)
    (call,) = relay.completion.choices[0].message.tool_calls or []
    made = {"index": 0, "id": call.id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    *_, last, done, rest = sent.split(b"\n\n")
    assert json.loads(last[6:])["choices"] == [
        {"index": 0, "delta": {"tool_calls": [made]}, "finish_reason": "tool_calls"}
    ]
    assert done + b"\n\n" + rest == DONE
    assert b'"object":"chat.completion.chunk","created":1,"model":"m"' in last


def test_what_is_made_up_obeys_the_other_rules() -> None:
    body = calls(fragment(name="f", arguments="{}"), finish_reason="tool_calls") + DONE
    sent = send(body, repair=True, set={"model": "house"}, remove={"id"})
    assert b'"m"' not in sent
    assert b'"c1"' not in sent


def test_the_last_of_several_finish_reasons_is_sent() -> None:
    body = chunk({"content": "a"}, "stop") + chunk({"content": "b"}, "stop") + chunk({}, "length") + chunk({})
    assert send(body + DONE, repair=True) == text("a", "b") + chunk({}, "length") + chunk({}) + DONE


def test_a_finish_reason_that_nothing_came_behind_is_sent_at_the_end() -> None:
    sent = send(chunk({}, "stop") + text("a") + DONE, repair=True)
    assert sent.startswith(chunk({}) + text("a"))
    assert b'"delta":{},"finish_reason":"stop"' in sent
    assert sent.endswith(DONE)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("missing", [1, 2])
def test_an_event_without_its_end_is_ended_ahead_of_what_is_made_up(end: str, missing: int) -> None:
    call = calls(fragment(index=0, id="a", type="function", name="f", arguments=""))
    for body in (call + STOP, STOP + text("a"), STOP + text("a") + b": ping\n\n"):
        unended = body[:-missing].replace(b"\n", end.encode())
        sent = send(unended, repair=True)
        assert b'"finish_reason":"stop"' in sent
        whole = send(body, repair=True)
        assert reference.parse(sent)[0] == reference.parse(whole)[0]


def test_a_stream_that_was_cut_gets_no_finish_reason() -> None:
    sent = send(
        chunk({}, "stop") + text("a") + calls(fragment(name="f", arguments="{")) + b"data: {", repair=True
    )
    assert b'finish_reason":"' not in sent
    assert sent.endswith(b"data: {")


def test_choices_get_a_delta_and_an_index() -> None:
    body = event(
        {"choices": [{"finish_reason": ""}, {"index": "1", "delta": None}, {"index": 2, "delta": {}}, {}]}
    )
    assert send(body, repair=True) == event(
        {
            "choices": [
                {"index": 0, "delta": {}, "finish_reason": None},
                {"index": 1, "delta": {}},
                {"index": 2, "delta": {}},
                {"index": 0, "delta": {}},
            ]
        }
    )


def test_a_choice_gets_an_index_also_where_its_first_field_is_changed() -> None:
    whole = event({"choices": [{"message": {"content": "a"}}]})
    assert send(whole, repair=True) == event({"choices": [{"index": 0, "delta": {"content": "a"}}]})
    first, only = {"usage": USAGE, "delta": {"content": "a"}}, {"usage": USAGE}
    body = event({"choices": [first, only]}) * 3
    choices = [{"index": 0, "delta": {"content": "a"}}, {"index": 0, "delta": {}}]
    assert send(body, repair=True, usage="drop") == event({"choices": choices}) * 3


def test_a_whole_message_becomes_the_delta_unless_deltas_came() -> None:
    message = {"role": "assistant", "content": "a"}
    body = event({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    assert send(body, repair=True) == body.replace(b"message", b"delta", 1)
    assert send(text("a") + body, repair=True) == text("a") + event(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    )


def test_with_n_1_all_choices_are_choice_0() -> None:
    body = chunk({"content": "a"}, index=197) + chunk({}, "stop", index=198) + DONE
    assert send(body, repair=True, n=1) == text("a") + STOP + DONE
