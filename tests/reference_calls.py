"""The tool calls of the twin in reference_chat.py: which call a fragment belongs to, looked up in a list.

The rules stand at the head of rust/core/src/chat/tool_calls.rs; their numbers are named here. Whether
arguments are whole is found out from their whole text, each time anew. Nothing of deltawire is imported here.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

REPAIRS = (
    "id_generated",
    "id_changed",
    "index_missing",
    "index_shared",
    "name_late",
    "arguments_not_text",
    "arguments_repeated",
    "arguments_empty",
)

# Small words of the rules.


def said(text: Any) -> str | None:
    """Give a text that says anything: blank and other than text is missing."""
    return text if isinstance(text, str) and text.strip() else None


def meant(text: Any) -> str | None:
    """Give a text that says anything, and more than the word null."""
    return None if text == "null" else said(text)


def number(index: Any) -> int | None:
    """Give a whole number from 0 on, also one that was sent as a string of digits."""
    if isinstance(index, str) and re.fullmatch("[0-9]+", index):
        return int(index)
    return index if type(index) is int and index >= 0 else None


def of(value: Any, kind: type) -> Any:
    """Give a value of a kind, or an empty one of it."""
    return value if isinstance(value, kind) else kind()


def as_text(arguments: Any) -> str:
    """Give arguments as text, also those that were sent as a value."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else orjson.dumps(arguments).decode()


def is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def is_whole(text: str) -> bool:
    """Tell whether a text begins with a bracket and ends with the one that closes it."""
    begins = text.lstrip(" \t\r\n")[:1] in ("[", "{")
    text = re.sub(r'"(?:[^"\\]|\\.)*"', "x", text, flags=re.DOTALL).strip(" \t\r\n")
    depth, ends = 0, []
    for at, c in enumerate(text, start=1):
        depth += (c in "[{") - (c in "]}")
        if depth == 0:
            ends.append(at)
    return begins and '"' not in text and ends == [len(text)]


def keep(extras: dict[str, Any], key: str, value: Any) -> None:
    """Keep a field that nobody interprets: the last value that is not null."""
    if value is not None and key != "obfuscation":
        extras[key] = value


# Tool calls.


class Call:
    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id: str | None = None
        # All ids that lead to it: its own, its aliases, and one that another call had before.
        self.ids: set[str] = set()
        self.kind = self.name = self.arguments = ""
        self.custom = self.placeholder = False
        self.extras: dict[str, Any] = {}
        self.body_extras: dict[str, Any] = {}
        self.repairs: set[str] = set()

    def is_whole(self) -> bool:
        return not self.custom and is_whole(self.arguments)

    def is_foreign(self) -> bool:
        """Tell whether it calls a tool of the provider's own."""
        named = self.name or self.arguments or self.kind in ("", "function", "custom")
        return bool(not named and self.extras)

    def finish(self, ended: bool) -> tuple[dict[str, Any], bool, tuple[str, ...]]:
        """Give the call as it stands in the body, whether it is complete, and its repairs."""
        repairs = self.repairs | ({"id_generated"} if self.id is None else set())
        if self.is_foreign():
            made = tuple(repair for repair in REPAIRS if repair in repairs)
            return {"id": self.id, "type": self.kind, **self.extras}, ended, made
        arguments = self.arguments
        if ended and not self.custom and arguments == "":
            arguments = "{}"
            repairs |= {"arguments_empty"}
        key, text = ("custom", "input") if self.custom else ("function", "arguments")
        body = {
            "id": self.id,
            "type": self.kind or key,
            key: {"name": self.name, text: arguments, **self.body_extras},
            **self.extras,
        }
        complete = ended if self.custom else is_json(arguments)
        return body, complete, tuple(repair for repair in REPAIRS if repair in repairs)


def place(
    calls: list[Call],
    id: str | None,
    index: int | None,
    name: str | None,
    *,
    has_arguments: bool,
    begins: bool,
) -> Call:
    """Find the call that a fragment belongs to, or begin a new one: rules 1 to 4."""

    def new() -> Call:
        call = Call(index)
        if any(index is not None and other.index == index for other in calls):
            call.repairs.add("index_shared")
        if id is not None:
            call.id = None if any(id in other.ids for other in calls) else id
            call.ids.add(id)
        calls.append(call)
        return call

    there = next((call for call in reversed(calls) if index is not None and call.index == index), None)
    known = [call for call in calls if id in call.ids]
    if id is not None and known:
        # Rule 1. At this index, if the id is known there; else where it was first.
        call = there if there in known and there is not None else known[0]
        if index is None or call.index is None or call.index == index:
            return new() if name and begins and call.is_whole() else call
        return new() if name else call
    if id is not None:
        # Rule 2.
        if there is None:
            return new()
        same = not there.name or (there.name == name and not there.is_whole())
        if name is not None and not (there.id is None and same):
            return new()
        if there.id is None:
            there.id = id
        else:
            there.repairs.add("id_changed")
        there.ids.add(id)
        return there
    if index is not None:
        # Rule 3.
        if there is None:
            return new()
        again = begins and there.is_whole()
        # The header of another call, right behind one that had no arguments.
        other = name != there.name and has_arguments and not there.arguments
        return new() if name and there.name and (again or other) else there
    # Rule 4.
    if not calls:
        return new()
    newest = calls[-1]
    continues = not name or not newest.name or (newest.name == name and not newest.is_whole())
    return newest if continues else new()


def add_fragment(calls: list[Call], item: dict[str, Any]) -> None:
    id = meant(item.get("id"))
    index = number(item.get("index"))
    function, custom = item.get("function"), item.get("custom")
    key = "arguments" if isinstance(function, dict) else "input"
    body = function if isinstance(function, dict) else of(custom, dict)
    name, arguments = said(body.get("name")), body.get(key)
    begins = arguments is not None
    if isinstance(arguments, str):
        begins = arguments.lstrip()[:1] in ("{", "[")
    call = place(calls, id, index, name, has_arguments=arguments is not None, begins=begins)

    if index is None:
        call.repairs.add("index_missing")
    call.kind = call.kind or said(item.get("type")) or ""
    call.custom |= isinstance(custom, dict) or (not isinstance(function, dict) and call.kind == "custom")
    # Rule 5.
    if name is not None:
        if not call.name:
            if call.arguments:
                call.repairs.add("name_late")
            call.name = name
        elif id is None and arguments is None and not call.arguments and call.name != name:
            call.name += name
    is_text = isinstance(arguments, str)
    text = as_text(arguments)
    if text:
        if not is_text:
            call.repairs.add("arguments_not_text")
        repeats = name is None and call.is_whole() and text == call.arguments
        opened = not call.custom and call.arguments == "{" == text[:1]
        if opened or (call.placeholder and begins and not (is_text and repeats)):
            call.arguments = ""
            repeats = False
        if repeats:
            call.repairs.add("arguments_repeated")
        else:
            call.arguments += text
            # An empty object in one piece, and nothing else.
            call.placeholder = not call.custom and text == call.arguments == "{}"
    for extra, value in item.items():
        if extra not in ("id", "index", "type", "function", "custom"):
            keep(call.extras, extra, value)
    for extra, value in body.items():
        if extra not in ("name", key):
            keep(call.body_extras, extra, value)
