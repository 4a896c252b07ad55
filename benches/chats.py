"""Chat streams, each with the message that it adds up to, and what it takes to hold a way of reading to that.

What a recorded stream adds up to is found by joining its deltas with the standard library's json; that is
right for them, as their tool calls come with an index each (tests compare with what the recording client had
assembled). Generated streams are made from their messages: see `chat_shapes`.
"""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from benches import bodies
from benches.bodies import SIZES, Chunks, Event, Stream


class Call(NamedTuple):
    name: str
    arguments: str


class Message(NamedTuple):
    """What counts of an assembled message; `image` is the URL of the one image in it."""

    content: str
    calls: list[Call]
    finish_reason: str | None
    reasoning: str = ""
    image: str = ""


class Chat(NamedTuple):
    """A stream and the messages in it, one for each choice; none for a stream that is no chat."""

    stream: Stream
    messages: list[Message]


class Read(NamedTuple):
    """What a reader of chunks has seen last of each field."""

    content: str | None = None
    finish_reason: str | None = None
    name: str | None = None
    arguments: str | None = None


class Way(NamedTuple):
    """A way of reading a stream.

    Attributes:
        run: takes chunks, or data already cut out.
        result: finds in what `run` returns what is held against the expected answer; not timed. None if it
            gives that back itself.
        cut_out: whether it gets the data already cut out, which is the same for every cut.
        floor: whether it does less than the others: it gives back the last value that it decoded.
        not_for: shapes that it is not timed on, because it gets them wrong or takes too long.
        over: makes a function that does `run` on one input after the other, where there is more to a `run`
            than reading: it drives an event loop.
    """

    run: Callable[[Any], Any]
    result: Callable[[Any], Any] | None = None
    cut_out: bool = False
    floor: bool = False
    not_for: frozenset[str] = frozenset()
    over: Callable[[list[Any]], Callable[[], None]] | None = None

    def input(self, chat: Chat, cut: str, events: int | None = None) -> Chunks:
        """Give what `run` takes for a stream, or for its first events."""
        if self.cut_out:
            return chat.stream.payloads[:events]
        return chat.stream.chunks(SIZES[cut], events)

    def answer(self, chat: Chat, cut: str, events: int | None = None) -> Any:
        """Read a stream, or its first events, and give what was found."""
        returned = self.run(self.input(chat, cut, events))
        return returned if self.result is None else self.result(returned)


@cache
def recorded() -> list[Chat]:
    """Give the recorded bodies."""
    return [Chat(stream, _joined(stream.values)) for stream in bodies.recorded()]


def last_event(chat: Chat, events: int | None = None) -> Event:
    """Give the last of the first events."""
    read = chat.stream.events[:events]
    return read[-1] if read else ("", "")


def last_value(chat: Chat, events: int | None = None) -> Any:
    """Give what the last of the first events holds; the sentinel holds nothing."""
    read = chat.stream.payloads[:events]
    return json.loads(read[-1]) if read else None


def last_read(chat: Chat, events: int | None = None) -> Read:
    """Give what a reader of the first events has seen last of each field."""
    return _read([json.loads(payload) for payload in chat.stream.payloads[:events]])


def messages(chat: Chat, _events: int | None = None) -> list[Message]:
    """Give the messages, which are known for the whole stream only."""
    return chat.messages


def assert_right(way: Way, expected: Callable[[Chat, int | None], Any], chat: Chat, cut: str) -> None:
    """Hold a way to the expected answer for a stream."""
    _assert_right(way, expected, chat, cut, None)


def assert_right_throughout(
    way: Way, expected: Callable[[Chat, int | None], Any], chat: Chat, cut: str
) -> None:
    """Hold a way to the expected answer for a stream and for beginnings of it.

    A reader gives back only what it read last, so that gathering results does not weigh on what is timed: run
    over each beginning of a stream it has to give back each event in turn. A long stream is not read from its
    beginning for each of its events, which would take the square, but for some.
    """
    count = len(chat.stream.events)
    step = 1 + count * count // 20_000
    for events in range(0, count, step) if step < count else ():
        _assert_right(way, expected, chat, cut, events)
    _assert_right(way, expected, chat, cut, None)


def _assert_right(
    way: Way, expected: Callable[[Chat, int | None], Any], chat: Chat, cut: str, events: int | None
) -> None:
    wanted = last_value(chat, events) if way.floor else expected(chat, events)
    assert way.answer(chat, cut, events) == wanted, f"{chat.stream.name}, {cut}, {events} events"


def _read(values: list[Any]) -> Read:
    read = Read()
    for value in values:
        for choice in value["choices"]:
            delta = choice["delta"]
            read = read._replace(content=delta.get("content"), finish_reason=choice.get("finish_reason"))
            for call in delta.get("tool_calls") or ():
                function = call["function"]
                read = read._replace(name=function.get("name"), arguments=function.get("arguments"))
    return read


def _joined(values: list[Any]) -> list[Message]:
    messages: dict[int, Message] = {}
    for value in values:
        for choice in value["choices"]:
            message = messages.setdefault(choice["index"], Message("", [], None))
            delta = choice["delta"]
            for part in delta.get("tool_calls") or ():
                function, at = part["function"], part["index"]
                assert at <= len(message.calls)
                message.calls[at:] = message.calls[at:] or [Call("", "")]
                name, arguments = message.calls[at]
                message.calls[at] = Call(
                    name + (function.get("name") or ""), arguments + (function.get("arguments") or "")
                )
            messages[choice["index"]] = message._replace(
                content=message.content + (delta.get("content") or ""),
                reasoning=message.reasoning + (delta.get("reasoning_content") or ""),
                finish_reason=choice.get("finish_reason") or message.finish_reason,
                image=delta["images"][0]["image_url"]["url"] if delta.get("images") else message.image,
            )
    return [messages[index] for index in sorted(messages)]
