"""What `deltawire replay` shows to people: each message, then a table of the streams, then their sum.

The table stands last because that is what a terminal still shows when all has been printed. A message is
rows of a label and a text; the texts are folded to the width and, unless all is wanted, cut to a few lines.
The same text without colours goes to a pipe or a file.

What servers and files say is printed only after `clean`, as `rich.text.Text`, so that it is neither markup
nor control codes. rich is imported when something is shown: `--json` does without.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deltawire._printable import clean
from deltawire.verdict import StreamEnd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text

    from deltawire import ProviderError
    from deltawire._report import Call, Report

LABEL_COLUMNS = 11
FEWEST_COLUMNS = 20
"""However narrow the terminal is, a text gets so many."""
LINES = 6
"""So many lines of a text are shown, unless all of it is wanted."""
WITHOUT_TERMINAL_COLUMNS = 160

VERDICTS = {
    StreamEnd.ERROR: "the provider reported an error",
    StreamEnd.DONE: "the sentinel came",
    StreamEnd.NOT_SSE: "neither a field nor a comment of an event stream came",
    StreamEnd.TRUNCATED: "the stream was cut",
    StreamEnd.EMPTY: "no event had any data",
    StreamEnd.FINISHED: "without the sentinel, but every choice has its finish reason",
}


class Row(NamedTuple):
    """A part of a message: a label, a text of the provider's or ours, and the style of the text."""

    label: str
    text: str
    style: str = ""


def print_reports(reports: list[Report], summary: dict[str, Any], full: bool) -> None:
    """Print each message, the table and the sum; long texts whole if `full`."""
    from rich.console import Console

    # Without a terminal and a COLUMNS of its own rich takes 80, and folds what goes to grep or to a log.
    fixed = is_terminal(sys.stdout) or "COLUMNS" in os.environ
    console = Console(width=None if fixed else WITHOUT_TERMINAL_COLUMNS, highlight=False)
    folder = os.path.commonpath([Path(report.file).absolute().parent for report in reports])
    names = [os.path.relpath(report.file, folder) for report in reports]
    for report, name in zip(reports, names, strict=True):
        print_message(console, report, name, full)
    print_table(console, reports, names, summary)
    print_sum(console, summary)


def print_message(console: Console, report: Report, name: str, full: bool) -> None:
    """Print a line that names the stream, and its message below it."""
    from rich.text import Text

    heading = Text(f"{clean(name)}[{report.interaction}]", "bold")
    for about in filter(None, (report.provider, report.model)):
        heading.append(f"  {clean(about)}", "not bold")
    if not 200 <= report.status < 300:
        heading.append(f"  HTTP {report.status}", "not bold red")
    console.print(heading, overflow="fold")
    width = max(FEWEST_COLUMNS, console.width - LABEL_COLUMNS - 2)
    for row in rows(report, width):
        label = row.label
        for line in fold(console, row.text, width, full):
            line.stylize(row.style)
            line.rstrip()
            # An empty line of a text keeps the space before it: an empty line ends the message.
            console.print(Text(f"  {label:<{LABEL_COLUMNS}}", "dim"), line, sep="", soft_wrap=True)
            label = ""
    console.print()


def rows(report: Report, width: int) -> Iterator[Row]:
    """Give the parts of a message. `width` tells how much fits on a line."""
    completion = report.completion or {"choices": []}
    choices = completion["choices"]
    for choice in choices:
        index, message = choice["index"], choice["message"]
        if len(choices) > 1:
            yield Row("choice", str(index), "bold")
        audio = message.get("audio") or {}
        yield from _texts(
            ("reasoning", message.get("reasoning")),
            ("text", message.get("content")),
            ("refusal", message.get("refusal")),
            ("audio", audio.get("transcript")),
        )
        for call in report.tool_calls:
            if call.choice == index:
                yield from _call(call, width)
        if legacy := message.get("function_call"):
            yield Row("function", legacy["name"], "cyan")
            yield Row("", legacy["arguments"])
        reason = choice["finish_reason"]
        yield Row("finish", reason) if reason else Row("finish", "no reason came", "yellow")
    if report.completion is not None and not choices:
        yield Row("text", "nothing: no chunk of a chat came", "yellow")
    if report.usage:
        yield Row("usage", tokens(report.usage))
    if report.error is not None:
        yield Row("error", _error(report.error), "red")
    if report.malformed:
        yield Row("malformed", f"{report.malformed:,} that are no JSON, passed over", "red")
    if report.end is not None:
        style = "green" if report.end.is_complete else "red"
        yield Row("end", f"{report.end.value}: {VERDICTS[report.end]}", style)
    if report.skipped is not None:
        yield Row("skipped", report.skipped, "dim")
    if report.output is not None:
        yield Row("written to", report.output)


def _texts(*parts: tuple[str, Any]) -> Iterator[Row]:
    for label, text in parts:
        if text:
            yield Row(label, text if isinstance(text, str) else json.dumps(text))


def _error(error: ProviderError) -> str:
    about = ", ".join(str(part) for part in (error.type, error.code) if part is not None)
    return ": ".join(filter(None, (about, error.message))) or "without a word"


def _call(call: Call, width: int) -> Iterator[Row]:
    yield Row("tool call", f"{call.name}  {call.id}", "cyan")
    yield Row("", pretty(call, width))
    if not call.complete:
        yield Row("", "incomplete: this is not one JSON value, the call was cut", "yellow")
    if call.repairs:
        yield Row("", f"repairs: {', '.join(call.repairs)}", "yellow")


def pretty(call: Call, width: int) -> str:
    """Give the arguments on one line where they fit, else indented; as they came where they are no JSON."""
    if call.type == "custom" or not call.complete:
        return call.arguments
    try:
        value = json.loads(call.arguments)
        line = json.dumps(value, ensure_ascii=False)
        return line if len(line) <= width else json.dumps(value, ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):  # a number of 5,000 digits, 1,000 levels
        return call.arguments


def tokens(usage: dict[str, Any]) -> str:
    """Tell in a line what was used: the counts that everyone has, and of the others those that cost."""
    details = [usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")]
    cached, reasoning = (
        detail.get(key) if isinstance(detail, dict) else None
        for detail, key in zip(details, ("cached_tokens", "reasoning_tokens"), strict=True)
    )
    always = {name: usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total")}
    told = {name: count for name, count in always.items() if count is not None}
    told |= {
        name: count
        for name, count in (("cached", cached), ("reasoning", reasoning), ("cost", usage.get("cost")))
        if count
    }
    return ", ".join(f"{name} {count}" for name, count in told.items()) or json.dumps(usage)


def fold(console: Console, text: str, width: int, full: bool) -> Iterator[Text]:
    """Give a text in lines that fit, the first ones of it unless it is to be shown in full."""
    from rich.text import Text

    # Wide enough for what is shown, so that a text of megabytes is not folded for six lines of it.
    begin = text if full else text[: LINES * width * 2]
    count = 0
    for paragraph in begin.expandtabs(4).splitlines() or [""]:
        for line in Text(clean(paragraph)).wrap(console, width):
            if count == LINES and not full:
                yield _cut(text)
                return
            count += 1
            yield line
    if len(begin) < len(text):
        yield _cut(text)


def _cut(text: str) -> Text:
    from rich.text import Text

    return Text(f"... {len(text):,} characters in all; --full shows them", "dim")


def print_table(console: Console, reports: list[Report], names: list[str], summary: dict[str, Any]) -> None:
    """Print a row for each interaction."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    def cell(value: object, style: str = "") -> Text:
        return Text(clean(str(value)), style)

    malformed = summary["malformed"] > 0
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("file", overflow="fold")
    table.add_column("provider", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("finish", overflow="fold")
    table.add_column("end", no_wrap=True)
    if malformed:
        table.add_column("malformed", justify="right", no_wrap=True)

    for report, name in zip(reports, names, strict=True):
        skipped = report.skipped is not None
        reasons = ", ".join(reason or "-" for reason in report.finish_reasons)
        row = [
            cell("" if report.interaction else name),
            cell(report.provider or "-"),
            cell(report.model or "-"),
            cell("-" if skipped else f"{report.events:,}"),
            cell(f"{report.bytes:,}"),
            cell(reasons or "-"),
            cell("skipped", "dim")
            if report.end is None
            else cell(report.end.value, "green" if report.end.is_complete else "red"),
        ]
        if malformed:
            row.append(cell("-" if skipped else report.malformed, "red" if report.malformed else ""))
        table.add_row(*row)
    console.print(table)


def print_sum(console: Console, summary: dict[str, Any]) -> None:
    """Print what all streams add up to, what was timed, and how fast it was."""

    def count(noun: str) -> str:
        number = summary[f"{noun}s"]
        return f"{number:,} {noun if number == 1 else f'{noun}s'}"

    skipped = f" ({summary['skipped']} skipped)" if summary["skipped"] else ""
    lines = [f"{count('interaction')}{skipped} in {count('file')}: {count('event')}, {count('byte')}"]
    if summary["seconds"]:
        cut = {"event": "event by event", "line": "line by line", "random": "in random pieces"}
        split = cut.get(summary["split"], f"{summary['split']} bytes at a time")
        times = f", {summary['repeat']:,} times" if summary["repeat"] > 1 else ""
        lines.append(
            f"{summary['timed']}, {split}{times}: "
            f"{summary['events_per_second']:,.0f} events/s, {summary['megabytes_per_second']:,.1f} MB/s"
        )
    console.print("\n" + "\n".join(lines), soft_wrap=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether there is somebody to look at it; a closed stream is None."""
    return stream is not None and stream.isatty()
