"""What each rule of a relay changes, and what it leaves."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import pytest
from chat_streams import DONE, STOP, calls, chunk, event, fragment, text
from relays import BODY, USAGE, send

from deltawire import ChatAccumulator, ChatRelay, LimitExceeded, ServerSentEvent, StreamEnd

# Sending on.


def test_without_rules_the_object_that_was_fed_comes_back() -> None:
    relay = ChatRelay()
    chunk = bytes(bytearray(BODY))
    assert relay.feed(chunk) is chunk
    assert relay.feed(bytearray(b"x")) == b"x"
    assert relay.feed(memoryview(b"y")) == b"y"
    assert relay.close() == b""
    assert relay.pending_bytes == 0


def test_a_rule_that_changes_nothing_in_a_chunk_gives_back_the_object_that_was_fed() -> None:
    relay = ChatRelay(usage="drop", comments="drop", repair=True, append_error=True)
    body = bytes(bytearray(text("a", "b")))
    assert relay.feed(body) is body
    assert (relay.edited, relay.dropped) == (0, 0)


def test_with_rules_an_event_waits_for_its_end_and_a_comment_does_not() -> None:
    relay = ChatRelay(set={"model": "x"})
    assert relay.feed(b": ping\ndata: {}") == b": ping\n"
    assert relay.pending_bytes == len(b"data: {}")
    assert relay.feed(b"\n: inside\n") == b""
    assert relay.feed(b"\n") == b"data: {}\n: inside\n\n"
    assert relay.feed(b": pi") == b""
    assert relay.close() == b": pi"


@pytest.mark.parametrize("rules", [{}, {"set": {"zz": 1}}, {"usage": "drop"}, {"repair": True}])
@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbfdata:{}\r\n\r\n: c\r\rretry: 5\r\rdata\r\n\r\n",
        b"\xef\xbbdata: x\n\n\n\n",
        b'event: message_start\ndata: {"type":"message_start","usage":{"n":1}}\n\n',
        b'data: {"type":"response.completed","response":{"usage":{}}}\n\n',
        b'data: {"candidates":[],"usageMetadata":{}}\r\n\r\n',
        b'data: {"choices":[{"text":"t","index":0,"finish_reason":"stop"}]}\n\n',
        b"data: {broken\n\ndata: [1]\n\ndata: \xff\n\ndata:\n\nfoo: bar\n\n",
        b"<html>\n\n<body>",
        b'{"error":{"message":"m"}}',
        b"",
    ],
)
def test_what_no_rule_is_about_passes_through(body: bytes, rules: dict[str, Any]) -> None:
    assert send(body, **rules) == body


def test_what_was_observed_is_what_an_accumulator_makes_of_it() -> None:
    body = (
        calls(fragment(id="a", name="f", arguments="{}"))
        + STOP
        + event({"usage": {"total_tokens": 5}})
        + DONE
    )
    relay, accumulator = ChatRelay(usage="drop"), ChatAccumulator()
    relay.feed(body)
    accumulator.feed(body)
    assert relay.completion == accumulator.completion
    assert relay.usage is not None
    assert (relay.usage.total_tokens, relay.end, relay.done) == (5, StreamEnd.DONE, True)
    assert relay.finished_tool_calls() == accumulator.finished_tool_calls()
    assert (relay.has_content, relay.has_tool_calls, relay.error) == (False, True, None)


def test_over_a_limit_it_stops_observing_and_goes_on_relaying() -> None:
    relay = ChatRelay(set={"model": "x"}, max_message_size=2)
    sent = relay.feed(text("abc", "d") + DONE) + relay.close()
    assert sent == text("abc", "d").replace(b'"m"', b'"x"') + DONE
    assert isinstance(relay.exceeded, LimitExceeded)
    assert (relay.exceeded.limit, relay.exceeded.value) == ("max_message_size", 2)
    assert relay.end is None
    assert relay.bytes == len(text("abc", "d") + DONE)
    relay.reset()
    assert relay.exceeded is None


def test_an_event_over_the_limit_passes_in_pieces_and_the_next_one_is_edited() -> None:
    large = chunk({"content": "x" * 200})
    small = chunk({"content": "y"})
    relay = ChatRelay(set={"model": "other"}, max_event_size=150)
    assert relay.feed(large[:100]) == b""
    assert relay.feed(large[100:180]) == large[:180]
    assert relay.feed(large[180:]) == large[180:]
    assert relay.feed(small) == small.replace(b'"m"', b'"other"')
    assert relay.exceeded is not None
    assert send(large + small, set={"model": "other"}, max_event_size=150) == large + small.replace(
        b'"m"', b'"other"'
    )


def test_the_limit_of_an_event_does_not_depend_on_the_cut() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        body = b'data: {"model":"m"}' + end + b": c\n"
        sizes = {send(body, set={"model": "x"}, max_event_size=size) for size in range(10, 30)}
        assert sizes == {body, body.replace(b'"m"', b'"x"')}


# set and remove


def test_set_replaces_the_value_wherever_the_field_stands_and_puts_none_in() -> None:
    body = event({"a": {"model": 1}, "model": {"b": [1, {"c": "}"}]}, "z": 1}) + event({"z": 2})
    assert send(body, set={"model": "é"}) == event({"a": {"model": 1}, "model": "é", "z": 1}) + event(
        {"z": 2}
    )


def test_set_knows_a_key_by_its_meaning_and_takes_every_one() -> None:
    body = b'data: { "mod\\u0065l" : 1 , "model":null,"\\u006dodel":"x\\"" }\n\n'
    assert (
        send(body, set={"model": [1]}) == b'data: { "mod\\u0065l" : [1] , "model":[1],"\\u006dodel":[1] }\n\n'
    )


@pytest.mark.parametrize(
    ("data", "left"),
    [
        ('{"a":1}', "{}"),
        ('{ "a" : 1 }', "{  }"),
        ('{"a":1,"b":2}', '{"b":2}'),
        ('{"b":2, "a":1}', '{"b":2}'),
        ('{"b":2, "a":1 , "c":3}', '{"b":2, "c":3}'),
        ('{"a":1,"b":2,"a":3,"a":4}', '{"b":2}'),
        ('{"a":1,"a":3}', "{}"),
        ('{"c":{"a":1}}', '{"c":{"a":1}}'),
        ('[{"a":1}]', '[{"a":1}]'),
    ],
)
def test_remove_takes_the_field_and_one_comma(data: str, left: str) -> None:
    assert send(b"data: %b\n\n" % data.encode(), remove={"a"}) == b"data: %b\n\n" % left.encode()


def test_an_event_like_the_last_one_is_edited_in_its_own_places() -> None:
    words = ["a", "", "longer " * 40, 'q"\\\n\u2028é😀', "\x7f", "a"]
    chunks = [chunk({"content": word}, id=word * 2, created=len(word), model=word) for word in words]
    body = b"".join(chunks)
    expected = [json.loads(data[6:]) | {"model": "X"} for data in chunks]
    for data in expected:
        del data["id"]
    sent = send(body, set={"model": "X"}, remove={"id"})
    assert [json.loads(data[6:]) for data in sent.split(b"\n\n")[:-1]] == expected


@pytest.mark.parametrize("broken", ["a\tb", "\\x", "\\ud800", "\\u12", 'a"b', "a\\"])
def test_a_broken_event_that_is_nearly_like_the_last_one_is_left_alone(broken: str) -> None:
    good = b'data: {"model":"m","c":"word"}\n\n'
    bad = good.replace(b"word", broken.encode())
    assert send(good * 2 + bad + good, set={"model": 1}) == good.replace(
        b'"m"', b"1"
    ) * 2 + bad + good.replace(b'"m"', b"1")


@pytest.mark.parametrize("number", ["01", "-", "1.5.", "1e999", "+1", "0x1", "1 2", "--1"])
def test_a_broken_number_is_not_taken_for_one(number: str) -> None:
    good = b'data: {"model":"m","n":12}\n\n'
    bad = good.replace(b"12", number.encode())
    assert send(good * 2 + bad, set={"model": 1}) == good.replace(b'"m"', b"1") * 2 + bad


def test_a_span_over_data_lines_puts_that_event_on_one_line() -> None:
    body = b'id: 1\ndata: {"a":1,\nevent: e\ndata: "b":\r\ndata:  2}\n\n'
    assert send(body, remove={"b"}) == b'id: 1\nevent: e\ndata: {"a":1}\n\n'
    assert send(body, set={"a": 5}) == body.replace(b":1,", b":5,")
    assert send(body, set={"b": 5}) == body.replace(b" 2}", b" 5}")


def test_invalid_utf8_stays_as_it_is_around_an_edit() -> None:
    body = b'data: {"a":"\xff\xe2\x82","model":"m","b":"\xf0\x9f"}\n\n'
    assert send(body, set={"model": 1}) == body.replace(b'"m"', b"1")
    assert send(body * 3, remove={"a"}) == b'data: {"model":"m","b":"\xf0\x9f"}\n\n' * 3


def test_a_cut_line_does_not_keep_the_next_one_from_the_rules() -> None:
    body = b'data: {"model":"m","ch\ndata: {"model":"m"}\n\n'
    assert send(body, set={"model": 1}) == b'data: {"model":"m","ch\ndata: {"model":1}\n\n'


def test_a_last_event_without_its_end_is_edited_if_it_is_whole() -> None:
    assert send(b'data: {"model":"m"}', set={"model": 1}) == b'data: {"model":1}'
    assert send(b'data: {"model":"m"', set={"model": 1}) == b'data: {"model":"m"'
    assert send(DONE + b'data: {"usage":{},"choices":[]}\n', usage="drop") == DONE


# usage and comments


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": []},
        {},
        {"id": "c", "object": "o", "created": 1, "model": "m", "choices": None, "provider": "p"},
        {"choices": [], "x_groq": {"id": "r"}, "system_fingerprint": "f", "service_tier": None},
    ],
)
def test_a_chunk_with_nothing_but_the_usage_is_dropped(fields: dict[str, Any]) -> None:
    relay = ChatRelay(usage="drop")
    assert relay.feed(text("a") + event(fields | {"usage": USAGE}) + DONE) == text("a") + DONE
    assert relay.usage is not None
    assert (relay.usage.total_tokens, relay.dropped) == (5, 1)


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": [], "prompt_filter_results": []},
        {"choices": [], "error": {"message": "m"}},
        {"choices": [], "x_groq": {"error": "e"}},
        {"choices": [{"index": 0, "delta": {}}]},
        {"choices": [], "citations": ["u"]},
    ],
)
def test_a_chunk_with_something_beside_the_usage_loses_only_that(fields: dict[str, Any]) -> None:
    assert send(event({"usage": USAGE, **fields}), usage="drop") == event(fields)
    assert send(event({**fields, "usage": None}), usage="drop") == event(fields)


def test_usage_in_a_choice_and_in_groqs_field_is_dropped_too() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    body = event({"choices": [choice | {"usage": USAGE}], "x_groq": {"id": "r", "usage": USAGE}})
    assert send(body, usage="drop") == event({"choices": [choice], "x_groq": {"id": "r"}})


def test_usage_of_another_dialect_is_part_of_its_protocol() -> None:
    body = event(
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
    )
    assert send(body, usage="drop") == body


def test_a_comment_that_stands_for_itself_is_dropped_with_its_blank_line() -> None:
    body = b": a\n\nid: 1\n: b\ndata: x\n\n\n: c\r\n\r\n: d\n: e\ndata: y\n\n:"
    assert send(body, comments="drop") == b"id: 1\ndata: x\n\n\ndata: y\n\n"


# edit


def test_edit_leaves_drops_or_replaces_an_event() -> None:
    seen = []

    def edit(event: ServerSentEvent) -> bytes | None:
        seen.append(event)
        return {"drop": b"", "replace": b"data: new\r\n\r\n"}.get(event.data)

    body = b": c\nid: 7\nevent: e\ndata: keep\n\ndata: drop\n\nretry: 5\ndata: replace\n\nid: 8\n\n"
    relay = ChatRelay(edit=edit)
    assert relay.feed(body) == b": c\nid: 7\nevent: e\ndata: keep\n\ndata: new\r\n\r\nid: 8\n\n"
    assert seen == [
        ServerSentEvent("e", "keep", "7"),
        ServerSentEvent("message", "drop", "7"),
        ServerSentEvent("message", "replace", "7", 5),
    ]
    assert (relay.edited, relay.dropped) == (1, 1)
    assert send(body.replace(b"\n", b"\r\n"), edit=edit).count(b"new") == 1


def test_edit_sees_events_after_the_other_rules_and_not_those_that_are_dropped() -> None:
    seen: list[Any] = []
    relay = ChatRelay(edit=lambda event: seen.append(event.data), set={"model": 1}, usage="drop", repair=True)
    relay.feed(b'data: {"model":2}\n\n' + event({"usage": USAGE}) + chunk({}, "stop") + DONE)
    assert seen[0] == '{"model":1}'
    assert len(seen) == 3
    assert seen[-1] == "[DONE]"


def test_what_edit_raises_comes_out_and_nothing_else_is_lost() -> None:
    def edit(event: ServerSentEvent) -> bytes | None:
        if event.data == "bad":
            raise LookupError(event.data)
        return None

    relay = ChatRelay(edit=edit)
    with pytest.raises(LookupError):
        relay.feed(b"data: a\n\ndata: bad\n\ndata: b\n\n")
    assert relay.feed(b"data: c\n\n") == b"data: a\n\ndata: b\n\ndata: c\n\n"


@pytest.mark.parametrize(("made", "error"), [("text", TypeError), (b"data: x\n", ValueError), (1, TypeError)])
def test_edit_must_return_whole_events(made: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="edit return"):
        ChatRelay(edit=lambda _: made).feed(b"data: x\n\n")


def test_edit_must_not_use_the_relay() -> None:
    relay: ChatRelay = ChatRelay(edit=lambda _: relay.feed(b""))
    with pytest.raises(RuntimeError, match="in use"):
        relay.feed(b"data: x\n\n")


def test_a_relay_that_its_own_edit_refers_to_is_collected() -> None:
    class Holder:
        relay: ChatRelay

        def edit(self, event: ServerSentEvent) -> None: ...

    holder = Holder()
    holder.relay = ChatRelay(edit=holder.edit)
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None


# The object.


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ({"set": {"a": object()}}, TypeError),
        ({"set": {1: 1}}, TypeError),
        ({"set": ["a"]}, TypeError),
        ({"remove": "model"}, TypeError),
        ({"remove": {1}}, TypeError),
        ({"edit": 1}, TypeError),
        ({"usage": "none"}, ValueError),
        ({"comments": ""}, ValueError),
        ({"set": {"a": 1}, "remove": ["a"]}, ValueError),
        ({"set": {"usage": 1}, "usage": "drop"}, ValueError),
        ({"max_event_size": 0}, ValueError),
        ({"n": 0}, ValueError),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rules: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ChatRelay(**rules)


def test_feeding_after_the_end_is_refused_and_closing_again_is_harmless() -> None:
    relay = ChatRelay(append_error=True)
    assert relay.close() != b""
    assert relay.close() == b""
    with pytest.raises(ValueError, match="close"):
        relay.feed(b"")
    relay.reset()
    assert relay.feed(BODY) == BODY
    assert relay.end is StreamEnd.DONE


def test_data_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="str"):
        ChatRelay().feed("data: x\n\n")  # type: ignore[arg-type]


def test_many_splices_in_one_event_take_linear_time() -> None:
    data = b"data: {" + b",".join(b'"a":1,"b":2' for _ in range(50_000)) + b"}\n\n"
    assert len(send_once(data, remove={"a"})) < len(data)
    lines = b"data: {" + b",\ndata: ".join(b'"a":1' for _ in range(50_000)) + b',"b":\xff"\xff"}\n\n'
    assert send_once(lines, set={"a": 2}) == lines
    lines = lines.replace(b"\xff", b"")
    assert send_once(lines, set={"a": 2}) == lines.replace(b":1", b":2")


def send_once(body: bytes, **rules: Any) -> bytes:
    relay = ChatRelay(**rules)
    return relay.feed(body) + relay.close()
