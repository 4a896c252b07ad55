"""The slow, obvious twin of the chat accumulator: what a whole body comes to, by the rules as written.

It reads the body at once, decodes every event into a dict, and applies the rules one after the other, with
the whole text looked at again wherever a rule asks about it. No chunks, no buffers, no state that could be
wrong at a cut; it may be as slow as it likes. Nothing of deltawire is imported here.

Ids that have to be generated are None: they have a test of their own.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any, NamedTuple

import orjson
import reference
from reference_calls import Call, add_fragment, as_text, is_json, keep, meant, number, of, said


class Outcome(NamedTuple):
    """What a body came to."""

    body: dict[str, Any]
    # Of each tool call, in the order of the body: whether it is complete, and its repairs.
    calls: list[tuple[bool, tuple[str, ...]]]
    end: str
    # Message, type and code.
    error: tuple[str, str | None, Any] | None
    malformed: int


# One choice.

IN_DELTA = {"role", "content", "refusal", "tool_calls", "function_call", "audio", "annotations", "images"}
IN_DELTA |= {"reasoning", "reasoning_content", "reasoning_text", "reasoning_details", "content_parts"}


class Choice:
    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self.extras: dict[str, Any] = {}
        self.logprobs: dict[str, Any] | None = None
        self.has_delta = False
        self.begin_message()

    def begin_message(self) -> None:
        # What the message holds beside calls: canonical fields and the provider's own.
        self.message: dict[str, Any] = {"role": "assistant", "content": None}
        self.role: str | None = None
        self.calls: list[Call] = []

    def add(self, choice: dict[str, Any], merges: bool) -> None:
        self.finish_reason = meant(choice.get("finish_reason")) or self.finish_reason
        for key, value in choice.items():
            if key == "token_ids":
                if of(value, list):
                    self.extras[key] = [*self.extras.get(key, []), *value]
            elif key not in ("index", "usage", "error", "delta", "message", "finish_reason", "logprobs"):
                keep(self.extras, key, value)
        self.add_logprobs(choice.get("logprobs"))
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict):
            self.has_delta = True
            self.add_delta(delta)
        elif delta is None and isinstance(message, dict) and not self.has_delta:
            if not merges:
                # A whole message stands for all that came before it; where choices are one, it adds to it.
                self.begin_message()
            self.add_delta(message)

    def grow(self, key: str, text: Any) -> None:
        if isinstance(text, str):
            self.message[key] = (self.message.get(key) or "") + text

    def extend(self, key: str, items: list[Any]) -> None:
        if items:
            self.message[key] = [*self.message.get(key, []), *items]

    def add_logprobs(self, logprobs: Any) -> None:
        if not isinstance(logprobs, dict):
            return
        held = self.logprobs = self.logprobs or {"content": None, "refusal": None}
        for key, value in logprobs.items():
            if key in ("content", "refusal") and isinstance(value, list):
                held[key] = [*(held[key] or []), *value] or None
            elif key not in ("content", "refusal"):
                keep(held, key, value)

    def add_delta(self, delta: dict[str, Any]) -> None:
        self.role = self.role or said(delta.get("role"))
        self.message["role"] = self.role or "assistant"
        for key, value in delta.items():
            if key == "content":
                self.add_content(value)
            elif key in ("annotations", "images", "content_parts"):
                self.extend(key, of(value, list))
        self.grow("refusal", delta.get("refusal") or None)
        self.add_reasoning(delta)
        for item in of(delta.get("tool_calls"), list):
            if isinstance(item, dict):
                add_fragment(self.calls, item)
        legacy = of(delta.get("function_call"), dict)
        arguments = legacy.get("arguments")
        name, arguments = said(legacy.get("name")) or "", "" if arguments == {} else as_text(arguments)
        if name or arguments:
            held = self.message.setdefault("function_call", {"name": "", "arguments": ""})
            held["name"] = held["name"] or name
            held["arguments"] += arguments
        if isinstance(delta.get("audio"), dict):
            audio = self.message.setdefault("audio", {"data": "", "transcript": ""})
            for key, value in delta["audio"].items():
                if key in ("data", "transcript"):
                    audio[key] += of(value, str)
                else:
                    keep(audio, key, value)
        for key, value in delta.items():
            if key not in IN_DELTA:
                keep(self.message, key, value)

    def add_content(self, content: Any) -> None:
        self.grow("content", content)
        for part in of(content, list):
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "text" and "text" in part:
                self.grow("content", part["text"])
            elif kind == "thinking" and "thinking" in part:
                thinking = part["thinking"]
                self.grow("reasoning", thinking)
                for inner in of(thinking, list):
                    self.grow("reasoning", of(inner, dict).get("text"))
            else:
                self.extend("content_parts", [part])

    def add_reasoning(self, delta: dict[str, Any]) -> None:
        content = delta.get("reasoning_content")
        first = of(delta.get("reasoning"), str)
        if content in (None, ""):
            content = delta.get("reasoning_text", content)
        second = of(content, str)
        plain = first if first == second else first + second
        self.grow("reasoning", plain or None)
        texts = ""
        for fragment in of(delta.get("reasoning_details"), list):
            if not isinstance(fragment, dict):
                continue
            blocks = self.message.setdefault("reasoning_details", [])
            name = of(fragment.get("type"), str), number(fragment.get("index"))
            alike = [b for b in blocks if (of(b.get("type"), str), number(b.get("index"))) == name]
            detail_id = of(fragment.get("id"), str) if name[1] is None else ""
            if detail_id.strip():
                known = [b for b in alike if b.get("id") == detail_id]
                alike = known or [b for b in alike[-1:] if not of(b.get("id"), str).strip()]
            block = alike[-1] if alike else {}
            if not alike:
                blocks.append(block)
            for key, value in fragment.items():
                if key in ("text", "summary"):
                    if isinstance(value, str):
                        block[key] = block.get(key, "") + value
                        texts += value
                elif key not in block or not isinstance(value, str) or value.strip():
                    keep(block, key, value)
        if not plain:
            self.grow("reasoning", texts or None)

    def finish(self, index: int, ended: bool) -> tuple[dict[str, Any], list[tuple[bool, tuple[str, ...]]]]:
        calls = [call for call in self.calls if call.name or call.arguments or call.is_foreign()]
        if all(call.index is not None for call in calls):
            calls.sort(key=lambda call: call.index or 0)
        finished = [call.finish(ended) for call in calls]
        message = dict(self.message)
        if finished:
            message["tool_calls"] = [body for body, _, _ in finished]
        body = {"index": index, "message": message, "finish_reason": self.finish_reason, **self.extras}
        if self.logprobs is not None:
            body["logprobs"] = self.logprobs
        return body, [(complete, repairs) for _, complete, repairs in finished]


# Errors.


def find_error(event: str, document: Any) -> Any:
    """Give what tells of the error that a JSON document reports; None if it reports none."""
    if isinstance(document, list):
        document = document[0] if document else None
    fields = of(document, dict)
    if says(fields.get("error")) or (fields.get("error") and "choices" not in fields):
        return fields["error"]
    if says(inner := of(fields.get("x_groq"), dict).get("error")):
        return inner
    if fields.get("object") == "error" or fields.get("type") == "error":
        return document
    if fields.get("type") in ("response.failed", "response.incomplete"):
        response = of(fields.get("response"), dict)
        return response.get("error") or response.get("incomplete_details") or response or document
    if event == "error":
        return document
    choices = [choice for choice in of(fields.get("choices"), list) if isinstance(choice, dict)]
    return next((choice["error"] for choice in choices if says(choice.get("error"))), None)


def says(error: Any) -> bool:
    """Tell whether an error says anything."""
    values = error.values() if isinstance(error, dict) else [error]
    return any(value and not (isinstance(value, str) and value.isspace()) for value in values)


def tell(error: Any) -> tuple[str, str | None, Any]:
    def text(value: Any) -> str:
        return value if isinstance(value, str) else orjson.dumps(value).decode()

    if not isinstance(error, dict):
        return text(error), None, None
    message = error.get("message") or error.get("reason") or error.get("detail") or error.get("title") or ""
    kind = error.get("type") or error.get("status")
    return text(message), kind and text(kind), error.get("code") or None


# The stream.


class Chunks(NamedTuple):
    """The JSON documents of a body, each with the type of its event."""

    found: list[tuple[str, Any]]
    payloads: int
    malformed: int
    done: bool
    recognised: bool
    unfinished: bool


FIELDS = ("data", "event", "id", "retry", "error")


def sort(text: str) -> str:
    """Tell what the data of an event is."""
    text = text.strip()
    if text == "" or text.startswith(":"):
        return "nothing"
    if text == "[DONE]":
        return "sentinel"
    return "payload"


def split(body: bytes) -> Chunks:
    lines, rest = reference.split_lines(body)
    # Some servers report an error in a field of that name: data of an event of type "error".
    as_standard = "".join(re.sub(r"^error(: ?|$)", "event: error\ndata: ", line) + "\n" for line in lines)
    # A line that sets no data sets nothing without its end.
    rest_of_data = "" if re.match("event|id|retry", rest) else rest
    as_standard += re.sub(r"^error(: ?|$)", "event: error\ndata: ", rest_of_data)
    terminated = len(reference.parse(as_standard.encode())[0])
    events = reference.parse(as_standard.encode() + b"\n\n")[0]
    found: list[tuple[str, Any]] = []
    payloads = malformed = 0
    taken = False
    sorts: list[str] = []
    for at, event in enumerate(events):
        single = event.data.split("\n")
        whole = is_json(event.data)
        cut = len(single) > 1 and any(
            sort(line) == "sentinel" or (line.lstrip().startswith("{") and is_json(line)) for line in single
        )
        # A line may have been cut off with the next one right behind it: then each gets a chance of its own.
        texts = single if not whole and cut and at < terminated else [event.data]
        payloads += at < terminated and (sort(event.data) == "payload" or texts is single)
        for text in texts:
            sorts.append(sort(text))
            if sorts[-1] == "sentinel":
                break
            if at >= terminated:
                # It has no blank line, and is taken if it is a whole object.
                taken = is_json(text) and text.strip().startswith("{")
                payloads += taken
            if sorts[-1] == "payload" and is_json(text):
                found += [(event.event, orjson.loads(text))] if at < terminated or taken else []
            elif sorts[-1] != "sentinel" and at < terminated:
                # Not even JSON, but an error.
                is_error = event.event == "error" and texts == [event.data]
                malformed += is_error or sorts[-1] == "payload"
                found += [("error", text)] if is_error else []
        if sorts[-1] == "sentinel":
            break
    done = sorts[-1:] == ["sentinel"]

    names = [line.partition(":")[0] for line in lines if line != ""]
    names += [rest.partition(":")[0]] if ":" in rest else []
    block = list(chain([rest] if ":" in rest else [], reversed(lines)))
    block = block[: block.index("")] if "" in block else block
    fields = [reference.split_field(line) for line in block]
    unfinished = any(f in ("data", "error") or (f in ("event", "id") and v) for f, v in fields)
    unfinished |= ":" not in rest and rest != "" and any(field.startswith(rest) for field in FIELDS)
    recognised = any(name == "" or name in FIELDS for name in names)
    return Chunks(found, payloads, malformed, done, recognised, unfinished and not taken)


def find_stray_error(body: bytes) -> Any:
    """Give the error on a line of its own that is no field, unless an event before it tells of one."""
    lines, rest = reference.split_lines(body)
    for at, line in enumerate([*lines, rest]):
        if len(line.encode()) > 64 * 1024 or not (line.startswith("{") and is_json(line)):
            continue
        error = find_error("", orjson.loads(line))
        whole = lines[:at]
        while whole and whole[-1] != "":
            whole.pop()
        # At the end of the stream the event that lacks its end comes first.
        before = split("".join(each + "\n" for each in whole).encode() if at < len(lines) else body)
        if before.done or any(find_error(event, chunk) is not None for event, chunk in before.found):
            return None
        if error is not None:
            return error
    return None


IN_CHUNK = {"id", "object", "created", "model", "choices", "usage", "error"}
IN_CHUNK |= {"system_fingerprint", "service_tier"}


def counts(usage: dict[str, Any]) -> bool:
    values = chain(usage.values(), *(v.values() for v in usage.values() if isinstance(v, dict)))
    return any(type(value) in (int, float) and value for value in values)


def verdict(body: bytes, chunks: Chunks, choices: dict[int, Choice], error: Any) -> str:
    """Tell how a stream ended: the first that holds."""
    if error is not None:
        return "ERROR"
    if chunks.done:
        return "DONE"
    if body and not chunks.recognised:
        return "NOT_SSE"
    if chunks.unfinished:
        return "TRUNCATED"
    if not chunks.payloads:
        return "EMPTY"
    if choices and all(choice.finish_reason is not None for choice in choices.values()):
        return "FINISHED"
    return "TRUNCATED"


def read(body: bytes, merge_choices: bool = False) -> Outcome:
    """Tell what a body comes to."""
    chunks = split(body)
    choices: dict[int, Choice] = {}
    whole: dict[str, Any] = {"id": None, "object": "chat.completion", "created": None, "model": None}
    usage: dict[str, Any] | None = None
    errors = [error for event, chunk in chunks.found if (error := find_error(event, chunk)) is not None]
    for _, chunk in chunks.found:
        fields = of(chunk, dict)
        whole["id"] = whole["id"] or said(fields.get("id"))
        for key in ("model", "system_fingerprint", "service_tier"):
            if said(fields.get(key)):
                whole[key] = fields[key]
        if type(fields.get("created")) in (int, float) and fields["created"]:
            whole["created"] = fields["created"]
        for key, value in fields.items():
            if key not in IN_CHUNK:
                keep(whole, key, value)
        places = []
        for choice in of(fields.get("choices"), list):
            if isinstance(choice, dict):
                index = 0 if merge_choices else number(choice.get("index")) or 0
                choices.setdefault(index, Choice()).add(choice, merge_choices)
                places.append(choice.get("usage"))
        places += [of(fields.get("x_groq"), dict).get("usage"), fields.get("usage")]
        for sent in places:
            if isinstance(sent, dict) and (usage is None or counts(sent) or not counts(usage)):
                usage = sent
    if (stray := find_stray_error(body)) is not None:
        errors.insert(0, stray)
    document = body.decode("utf-8-sig", "replace").strip()
    if not chunks.recognised and is_json(document):
        errors = [error for error in [find_error("", orjson.loads(document))] if error is not None]
    parts = [choice.finish(index, ended=True) for index, choice in sorted(choices.items())]
    whole["choices"] = [part for part, _ in parts]
    if usage is not None:
        whole["usage"] = usage
    error = tell(errors[0]) if errors else None
    end = verdict(body, chunks, choices, error)
    return Outcome(whole, [fact for _, facts in parts for fact in facts], end, error, chunks.malformed)
