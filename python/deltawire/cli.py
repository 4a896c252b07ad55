"""The command line: `replay` for recorded streams, `events` for a single body, `serve` for a stand-in.

Here are the commands, their options and what they read. What `replay` knows of a stream is in `_report`, how
it looks on a terminal in `_show`, where it writes completions in `_completions`. What `serve` answers is in
`standin`, which is imported with its libraries when the command runs.

Data goes to stdout, all else to stderr. Bad input is one line and exit code 2, made in `run`; the words
are those of the exceptions.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from deltawire import CassetteError, EventParser, LimitExceeded, __version__, cassettes
from deltawire._completions import stems, write
from deltawire._faults import FAULTS
from deltawire._printable import clean
from deltawire._report import Report, describe, describe_error, parse_seconds, summarise
from deltawire._show import is_terminal, print_reports

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    import rich.progress

    from deltawire import ChatCompletion, ServerSentEvent
    from deltawire._faults import Fault, Pace
    from deltawire.cassettes import Split

SUFFIXES = (".yaml", ".yml", ".json")
READ_BYTES = 64 * 1024
PROGRESS_AFTER_SECONDS = 1.0


class InputError(Exception):
    """What a command was given cannot be used; the text is for the user."""


def to_split(text: str) -> Split:
    """Read a `cassettes.Split` as it is written on the command line."""
    if text in ("event", "line", "random"):
        return text  # type: ignore[return-value]
    if re.fullmatch("0*[1-9][0-9]{0,17}", text):
        return int(text)
    raise click.BadParameter("give event, line, random or a number of bytes")


def to_pace(text: str) -> Pace:
    """Read a `standin.Pace` as it is written on the command line."""
    if text == "recorded":
        return text  # type: ignore[return-value]
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?|\.[0-9]+", text):
        return float(text)
    raise click.BadParameter("give recorded or a number of seconds")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(__version__, prog_name="deltawire")
def cli() -> None:
    """Read streaming responses of language models: server-sent events, and the JSON in them."""


@cli.command(short_help="Parse recorded streams: their messages, and how fast they are read.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--full", is_flag=True, help="Show long texts whole.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write each message into DIR, as a JSON file.",
)
@click.option(
    "--split",
    type=to_split,
    default="event",
    metavar="event|line|random|N",
    help="Cut the bodies after each event, after each line, at random, or every N bytes.",
)
@click.option(
    "--repeat",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Parse each body N times, for a steadier rate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
def replay(
    paths: tuple[str, ...], full: bool, output: Path | None, split: Split, repeat: int, as_json: bool
) -> None:
    """Parse recorded streams: show their messages, how they ended, and how fast they are read.

    PATH is a cassette of go-vcr (version 2) or VCR.py (version 1), or a folder, which means the .yaml, .yml
    and .json files in it and below. The clock runs around the accumulator alone.

    The files in DIR are named after the cassette and the number of the interaction, as in cassette-0.json;
    older ones of that name are replaced.
    """
    files = find_cassettes(paths)
    reports: list[Report] = []
    completions: dict[str, ChatCompletion] = {}
    seconds = 0.0
    with Progress(len(files)) as progress:
        for number, (file, stem) in enumerate(zip(files, stems(files), strict=True)):
            cassette = cassettes.load(file)
            for index, interaction in enumerate(cassette):
                report = Report.of(interaction, file, index)
                reports.append(report)
                if report.skipped is not None:
                    describe_error(report, interaction.response.body)
                    continue
                chunks = list(interaction.replay(split))
                try:
                    completion = describe(report, chunks)
                except LimitExceeded as error:
                    where = f"{file}: interactions[{index}].response.body"
                    raise InputError(f"{where}: {told(error)}") from None
                if output is not None:
                    name = f"{stem}-{index}.json"
                    completions[name] = completion
                    report.output = clean(str(output / name))
                for turn in range(repeat):
                    seconds += parse_seconds(chunks)
                    progress.show(number + (index + (turn + 1) / repeat) / len(cassette))
    if output is not None:
        write(output, completions, files)
    summary = summarise(reports, len(files), seconds, split, repeat)
    if as_json:
        click.echo(to_json({"interactions": reports, "summary": summary}))
    else:
        print_reports(reports, summary, full)


@cli.command(short_help="Print the events of a body as JSON, one a line.")
@click.argument("file", default="-")
def events(file: str) -> None:
    """Print the events of FILE, or of stdin, one a line as JSON, each as soon as it is there.

    FILE is the body of a response. For stdin leave it out or write -, as in: curl -N ... | deltawire events
    """
    if file == "-" and sys.stdin is None:
        raise InputError("stdin is closed")
    source = "stdin" if file == "-" else file
    parser = EventParser()
    with click.open_file(file, "rb") as body:
        # read1 gives what is there; read would wait until it has all that it asked for.
        while chunk := body.read1(READ_BYTES):  # type: ignore[attr-defined]
            try:
                write_events(parser.feed(chunk))
            except LimitExceeded as error:
                write_events(error.values)
                raise InputError(f"{source}: {told(error)}") from None
    if parser.pending_bytes:
        say(f"{source} ends within an event, which is not shown")
    elif parser.bytes and not (parser.events or parser.comments or parser.retry or parser.last_event_id):
        raise InputError(f"{source}: no event in {parser.bytes:,} bytes; is it the body of an event stream?")


@cli.command(short_help="Answer chats from recorded streams, as a provider would, well or badly.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--host", default="127.0.0.1", help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Where to listen; 0 is any.")
@click.option(
    "--split",
    type=to_split,
    default="event",
    metavar="event|line|random|N",
    help="Send a stream in HTTP chunks of one event, one line, random size, or N bytes.",
)
@click.option(
    "--pace",
    type=to_pace,
    default="0",
    metavar="SECONDS|recorded",
    help="Wait so long from chunk to chunk, or as long as it took when it was recorded.",
)
@click.option("--fault", type=click.Choice(FAULTS), help="What goes wrong with each response.")
@click.option(
    "--fault-after",
    type=click.IntRange(min=0),
    metavar="N",
    help="Let N whole events come first.  [default: half of them]",
)
@click.option(
    "--slow-start",
    type=click.FloatRange(0, 3600),
    default=5.0,
    metavar="SECONDS",
    help="How long the fault slow-start waits.",
)
def serve(
    paths: tuple[str, ...],
    host: str,
    port: int,
    split: Split,
    pace: Pace,
    fault: Fault | None,
    fault_after: int | None,
    slow_start: float,
) -> None:
    """Answer chats from recorded streams, as a provider would, so that a gateway can be tried without one.

    POST /v1/chat/completions is answered from the cassettes in PATH, as for replay. A request picks its
    recording by the header X-Cassette, or by naming it as its model; else those of its model take turns, or
    if none was recorded with it, all. GET /v1/models lists the names. Without "stream": true the answer is
    the assembled completion.

    \b
    The faults:
      cut         the connection ends within an event
      reset       the same, with a TCP reset
      stall       nothing more comes, and the connection stays open
      error       an event with an error comes, and the body ends
      html        a page of HTML comes, with status 200
      slow-start  the head comes at once, the body after a while
      malformed   an event comes that is no JSON, then the others

    A request chooses one for itself by the header X-Fault, none for none. Ctrl-C ends it.
    """  # noqa: D301
    from deltawire import _serve, standin

    files = find_cassettes(paths)
    try:
        made = standin.recordings(map(cassettes.load, files))
        app = standin.create_app(
            made, split=split, pace=pace, fault=fault, fault_after=fault_after, slow_start=slow_start
        )
    except ValueError as error:
        raise InputError(f"{', '.join(paths)}: {error}") from None
    try:
        listener = _serve.listen(host, port)
    except OSError as error:
        # Not its own text, which repeats the address; the numbers of name resolution are negative.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise InputError(f"cannot listen on port {port} of {host}: {why}; choose another") from None
    with listener:
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{listener.getsockname()[1]}/v1"
        noun = "recording" if len(made) == 1 else "recordings"
        _serve.run(app, listener, lambda: say(f"serving {len(made)} {noun} at {url} until Ctrl-C"))


def find_cassettes(paths: Iterable[str]) -> list[str]:
    """Give the files that are meant; a folder stands for those with a cassette's suffix in it and below."""
    files: list[str] = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        found = [file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()]
        if not found:
            raise InputError(
                f"{path}: no file in this folder is {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            )
        files += map(str, sorted(found))
    return files


def to_json(document: dict[str, object]) -> bytes:
    """Encode what `--json` prints."""
    try:
        return orjson.dumps(document, option=orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:
        # What a provider sent may have 1,024 levels; orjson writes 254.
        raise InputError(
            "a value is nested too deep for --json; --output writes messages of any depth"
        ) from None


class Progress:
    """A bar on stderr, if that is a terminal and the work takes long; a context manager."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._shown = time.monotonic()
        self._wait = PROGRESS_AFTER_SECONDS if is_terminal(sys.stderr) else math.inf
        self._bar: rich.progress.Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: float) -> None:
        """Tell how much of the total is done. Costs next to nothing while it is not time to draw."""
        if (now := time.monotonic()) < self._shown + self._wait:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            # No thread that draws meanwhile: it would be measured.
            self._bar = Progress(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._bar.add_task("replay", total=self._total)
            self._bar.start()
            self._wait = 0.1
        self._shown = now
        self._bar.update(self._bar.task_ids[0], completed=done, refresh=True)


def write_events(events: Iterable[ServerSentEvent]) -> None:
    """Write events to stdout, one a line, and flush."""
    lines = [
        orjson.dumps({"event": event.event, "data": event.data, "id": event.id, "retry": event.retry}) + b"\n"
        for event in events
    ]
    if lines:
        click.echo(b"".join(lines), nl=False)


def told(error: LimitExceeded) -> str:
    """Tell of a limit what its exception does, without the remedy, which is one for programs."""
    event = f"event {error.event_number}, at byte {error.offset} of the stream"
    return f"{event}, is more than is read: {error.limit} is {error.value:,}"


def say(text: str) -> None:
    """Print one line to stderr."""
    click.echo(f"deltawire: {clean(text)}", err=True)


def run(args: list[str] | None = None) -> int:
    """Run the command line and give the exit code: 0 done, 2 bad input, 130 interrupted.

    Args:
        args: the arguments, those of the process by default.

    Raises:
        SystemExit: stdout or stderr is a pipe that nobody reads any more.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal's encoding lacks
    try:
        code = cli.main(args, standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except click.Abort:
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "deltawire"
        say(f"{error.format_message()} (see {command} --help)")
    except OSError as error:
        say(str(error) if error.filename is None else f"{error.filename}: {error.strerror}")
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What it still holds cannot be written either; at the exit that would be told once more.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (InputError, CassetteError) as error:
        say(str(error))
    return 2
