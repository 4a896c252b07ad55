"""What `deltawire replay` tells of recorded streams: a report of each, its table, its sum and its rate.

A body is read once, untimed, for what it says (`describe`), and then for the rate (`parse_seconds`), with
the clock around the parser alone. The table, the JSON document and the summary are made of `Report`s only:
whatever becomes known of a stream goes into `describe` and shows up from there.

What servers and files say is printed only after `clean`. Reading files and options is left to `cli`.
"""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deltawire import JSONParser

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from deltawire.cassettes import Interaction, Response, Split

_FIELD = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")


@dataclass(slots=True)
class Report:
    """What there is to say of one interaction.

    Attributes:
        file: the cassette.
        interaction: its number in the cassette, from 0.
        provider: the host of the request's URL.
        status: the HTTP status code.
        bytes: the length of the response body.
        skipped: why it was not parsed; None if it was. The rest is of the parsed ones.
        model: the model named last, which is the one that served.
        events: how many events there are, the sentinel included.
        malformed: how many of them hold no JSON.
        done: whether the sentinel came.
        finish_reasons: that of each choice, in the order of their index.
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
    finish_reasons: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, interaction: Interaction, file: str, index: int) -> Report:
        """Begin the report of an interaction, with what is known before its body is parsed."""
        response = interaction.response
        try:
            provider = urlsplit(interaction.request.url).hostname or ""
        except ValueError:
            provider = ""
        size = len(response.body)
        return cls(clean(file), index, clean(provider), response.status, size, why_skipped(response))


def why_skipped(response: Response) -> str | None:
    """Tell what a response is if it is no event stream that can be read, else None."""
    headers = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
    content_type = headers.get("content-type", "").lower()
    encoding = headers.get("content-encoding", "identity")
    # Recorders drop headers and servers send wrong ones, so a body that begins as one is one.
    if _FIELD.match(response.body):
        return None
    if "text/event-stream" not in content_type:
        return f"no event stream: {content_type.partition(';')[0] or 'no content type'}"
    return None if encoding == "identity" else f"recorded compressed: {encoding}"


def describe(report: Report, chunks: Iterable[bytes]) -> None:
    """Fill a report with what the stream says."""
    parser = JSONParser(errors="skip")
    reasons: dict[int, str] = {}
    for value in [*chain.from_iterable(map(parser.feed, chunks)), *parser.close()]:
        if not isinstance(value, dict):
            continue
        if isinstance(model := value.get("model"), str) and model.strip():
            report.model = model
        choices = value.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            reason = choice.get("finish_reason") if isinstance(choice, dict) else None
            if isinstance(reason, str) and reason.strip():
                index = choice.get("index")
                reasons[index if isinstance(index, int) else 0] = reason
    report.events = parser.events
    report.malformed = parser.malformed
    report.done = parser.done
    report.finish_reasons = [reason for _, reason in sorted(reasons.items())]


def parse_seconds(chunks: Iterable[bytes]) -> float:
    """Measure how long a new parser takes for a body."""
    parser = JSONParser(errors="skip")
    start = time.perf_counter()
    for chunk in chunks:
        parser.feed(chunk)
    parser.close()
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
        "seconds": seconds,
        "events_per_second": events * repeat / seconds if seconds else None,
        "megabytes_per_second": size * repeat / seconds / 1e6 if seconds else None,
    }


def print_table(reports: list[Report], summary: dict[str, Any]) -> None:
    """Print a row for each interaction and a line for all."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def cell(value: object, style: str = "") -> Text:
        # A Text, and clean: what a server sent is neither markup nor control codes for the terminal.
        return Text(clean(str(value)), style)

    def count(noun: str) -> str:
        number = summary[f"{noun}s"]
        return f"{number:,} {noun if number == 1 else f'{noun}s'}"

    malformed = summary["malformed"] > 0
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold")
    table.add_column("provider", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("finish", overflow="fold")
    table.add_column(Text("[DONE]"), no_wrap=True)
    if malformed:
        table.add_column("malformed", justify="right", no_wrap=True)

    folder = os.path.commonpath([Path(report.file).absolute().parent for report in reports])
    for report in reports:
        name = cell("" if report.interaction else os.path.relpath(report.file, folder))
        if report.skipped is not None:
            row = [cell(report.skipped, "dim"), cell("-"), cell(f"{report.bytes:,}"), cell("-"), cell("-")]
        else:
            row = [
                cell(report.model or "-"),
                cell(f"{report.events:,}"),
                cell(f"{report.bytes:,}"),
                cell(", ".join(report.finish_reasons) or "-"),
                cell("yes") if report.done else cell("no", "yellow"),
            ]
        if malformed:
            row.append(cell("-" if report.skipped else report.malformed, "red" if report.malformed else ""))
        table.add_row(name, cell(report.provider or "-"), *row)

    skipped = f" ({summary['skipped']} skipped)" if summary["skipped"] else ""
    rate = ""
    if summary["seconds"]:
        rate = f", {summary['events_per_second']:,.0f} events/s, {summary['megabytes_per_second']:,.1f} MB/s"
    # Without a terminal and a COLUMNS of its own rich takes 80, and folds what goes to grep or to a log.
    fixed = is_terminal(sys.stdout) or "COLUMNS" in os.environ
    console = Console(width=None if fixed else 160, highlight=False)
    console.print(table)
    console.print(
        f"\n{count('interaction')}{skipped} in {count('file')}: {count('event')}, {count('byte')}{rate}",
        soft_wrap=True,
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether there is somebody to look at it; a closed stream is None."""
    return stream is not None and stream.isatty()


def clean(text: str) -> str:
    """Make text fit for a terminal and for JSON: no control codes, no halves of surrogate pairs."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
