"""What `deltawire replay` knows of recorded streams: a report of each, their sum and their rate.

A body is read once, untimed, for what it says (`describe`), and then for the rate (`parse_seconds`), with
the clock around the accumulator alone. All that is told of a stream is what `ChatAccumulator` makes of it.
The JSON document, the terminal and the written completions are made of `Report`s only: whatever becomes
known of a stream goes into `describe` and shows up from there.

How it looks on a terminal is left to `_show`, reading files and options to `cli`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltawire import ChatAccumulator
from deltawire._printable import clean
from deltawire._recorded import host_of, why_skipped

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltawire import ChatCompletion, ProviderError, StreamEnd
    from deltawire.cassettes import Interaction, Split

TIMED = "ChatAccumulator: feed and close"
"""What the clock runs around."""

MAX_ERROR_BYTES = 64 * 1024
"""So far a body that is no event stream is looked at for an error; error documents are not longer."""


@dataclass(slots=True)
class Call:
    """A tool call of a message.

    Attributes:
        choice: the index of its choice.
        id: its id, generated where the provider sent none.
        type: `"function"` or `"custom"`.
        name: what is to be called.
        arguments: the text of the arguments, or the input of a custom tool, as it was sent.
        complete: whether the arguments are one JSON value.
        repairs: what had to be put right.
    """

    choice: int
    id: str
    type: str
    name: str
    arguments: str
    complete: bool
    repairs: tuple[str, ...]


@dataclass(slots=True)
class Report:
    """What there is to say of one interaction.

    Attributes:
        file: the cassette.
        interaction: its number in the cassette, from 0.
        provider: the host of the request's URL.
        status: the HTTP status code.
        bytes: the length of the response body.
        skipped: why it was not taken for a stream; None if it was. Of the others only `end` and `error` are
            known, where the body is an error document.
        model: the model named last, which is the one that served.
        events: how many events there are, the sentinel included.
        malformed: how many payloads are no JSON.
        done: whether the sentinel came.
        end: the verdict.
        error: the error that the provider reported.
        finish_reasons: that of each choice, in the order of their index.
        usage: how many tokens were used, with all that the provider added.
        tool_calls: those of all choices.
        completion: the assembled message.
        output: the file that the completion is written to.
    """

    file: str
    interaction: int
    provider: str
    status: int
    bytes: int
    skipped: str | None = None
    model: str | None = None
    events: int = 0
    malformed: int = 0
    done: bool = False
    end: StreamEnd | None = None
    error: ProviderError | None = None
    finish_reasons: list[str | None] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    tool_calls: list[Call] = field(default_factory=list)
    completion: dict[str, Any] | None = None
    output: str | None = None

    @classmethod
    def of(cls, interaction: Interaction, file: str, index: int) -> Report:
        """Begin the report of an interaction, with what is known before its body is parsed."""
        response = interaction.response
        provider, size = host_of(interaction.request.url), len(response.body)
        return cls(clean(file), index, clean(provider), response.status, size, why_skipped(response))


def describe(report: Report, chunks: Iterable[bytes]) -> ChatCompletion:
    """Fill a report with what the stream says, and give the message.

    Raises:
        LimitExceeded: an event or the message went over a limit.
    """
    accumulator = ChatAccumulator()
    for chunk in chunks:
        accumulator.feed(chunk)
    accumulator.close()
    completion = accumulator.completion
    report.model = completion.model
    report.events = accumulator.events
    report.malformed = accumulator.malformed
    report.done = accumulator.done
    report.end = accumulator.end
    report.error = accumulator.error
    report.finish_reasons = [choice.finish_reason for choice in completion.choices]
    report.usage = completion.usage.to_dict() if completion.usage else None
    report.tool_calls = list(_calls(completion))
    report.completion = completion.to_dict()
    return completion


def describe_error(report: Report, body: bytes) -> None:
    """Fill the report of what is no stream with the error that stands in its place, if one does."""
    accumulator = ChatAccumulator()
    accumulator.feed(body[:MAX_ERROR_BYTES])
    accumulator.close()
    if accumulator.error is not None:
        report.end = accumulator.end
        report.error = accumulator.error


def _calls(completion: ChatCompletion) -> Iterable[Call]:
    for choice in completion.choices:
        for call in choice.message.tool_calls or ():
            if call.custom is not None:
                name, arguments = call.custom.name, call.custom.input
            else:
                assert call.function is not None
                name, arguments = call.function.name, call.function.arguments
            yield Call(choice.index, call.id, call.type, name, arguments, call.complete, call.repairs)


def parse_seconds(chunks: Iterable[bytes]) -> float:
    """Measure how long a new accumulator takes for a body."""
    accumulator = ChatAccumulator()
    start = time.perf_counter()
    for chunk in chunks:
        accumulator.feed(chunk)
    accumulator.close()
    return time.perf_counter() - start


def summarise(reports: list[Report], files: int, seconds: float, split: Split, repeat: int) -> dict[str, Any]:
    """Add up the reports of what was parsed. `seconds` is for all of it, `repeat` times."""
    parsed = [report for report in reports if report.skipped is None]
    events, size = sum(report.events for report in parsed), sum(report.bytes for report in parsed)
    return {
        "files": files,
        "interactions": len(reports),
        "skipped": len(reports) - len(parsed),
        "events": events,
        "malformed": sum(report.malformed for report in parsed),
        "bytes": size,
        "split": split,
        "repeat": repeat,
        "timed": TIMED,
        "seconds": seconds,
        "events_per_second": events * repeat / seconds if seconds else None,
        "megabytes_per_second": size * repeat / seconds / 1e6 if seconds else None,
    }
