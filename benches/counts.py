"""How many instructions the core spends on an event, counted by valgrind's callgrind and held to a baseline.

    python -m benches.counts [--write] [--only TEXT]

A count does not depend on how busy the machine is, so it shows a slow-down where no clock can. Counted
is the Rust core alone, by the example `count` of rust/core, built in the profiling profile: Python's objects
are not in it. A stream is read a few times and many times, and the difference of the two is what reading it
costs; starting up cancels out. The program tells what it found, which is held against what the stream holds.

The baseline, `benches/counts.json`, names the compiler that it was taken with; another one gives others,
and `--write` takes a new one. The exit code is 1 if a count is over its baseline by more than the tolerance.
"""
# ruff: noqa: T201 - a command prints.

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from benches import chats
from benches.bodies import SIZES
from benches.chats import Chat
from benches.names import CALLS, CHANGING, MULTIBYTE, RECORDED, RUNNING, SHAPES, TEXT

TOLERANCE = 0.02
"""Counts of one build are nearly equal; what a change elsewhere moves by accident is more."""

FEW, MANY = 2, 6

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "target" / "profiling" / "examples" / "count"
BASELINE = Path(__file__).with_name("counts.json")

WORKS = {"EventParser": "events", "ChunkParser": "chunks", "ChatReader": "chat", "Relay": "relay"}
CASES = [
    (parser, shape, cut)
    for parser in WORKS
    for shape, cut in [
        (RECORDED, "1 event"),
        (RECORDED, "64 KiB"),
        (TEXT, "1 event"),
        (TEXT, "64 KiB"),
        (MULTIBYTE, "64 KiB"),
        (CALLS, "64 KiB"),
        (RUNNING, "64 KiB"),
        (CHANGING, "64 KiB"),
    ]
]


class Count(NamedTuple):
    """How many instructions reading took, and how many payloads were read."""

    instructions: int
    payloads: int


def count(parser: str, chat: Chat, cut: str) -> Count:
    """Count what reading a stream once costs."""
    with tempfile.TemporaryDirectory() as folder:
        body = Path(folder) / "body"
        body.write_bytes(b"".join(chat.stream.blocks))
        few, many = (_run(parser, chat, body, cut, times) for times in (FEW, MANY))
    return Count((many - few) // (MANY - FEW), len(chat.stream.payloads))


def count_shape(parser: str, shape: str, cut: str) -> float:
    """Count what an event costs: over all recorded bodies, or one of the generated streams."""
    made = SHAPES[shape]()
    counts = [count(parser, chat, cut) for chat in (made if shape == RECORDED else made[:1])]
    return round(sum(one.instructions for one in counts) / sum(one.payloads for one in counts), 1)


def build() -> None:
    """Build the program that is counted."""
    subprocess.run(
        [
            *[
                "cargo",
                "build",
                "--locked",
                "--quiet",
                "--profile",
                "profiling",
                "-p",
                "deltawire-core",
                "--example",
                "count",
            ]
        ],
        cwd=ROOT,
        check=True,
    )


def compiler() -> str:
    """Name the compiler and the machine that it compiles for."""
    told = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True)
    return f"{told.stdout.strip()}, {platform.machine()}"


def expected(parser: str, chat: Chat) -> str:
    """Give what the program has to tell: how many items it found, and how many bytes in them."""
    if parser == "EventParser":
        return f"{len(chat.stream.events)} {sum(len(data.encode()) for _, data in chat.stream.events)}"
    if parser == "ChunkParser":
        return f"{len(chat.stream.payloads)} {sum(map(len, chat.stream.payloads))}"
    texts = [part for message in chats.messages(chat) for part in (message.content, *_arguments(message))]
    return f"{len(chat.stream.payloads)} {sum(len(text.encode()) for text in texts)}"


def _arguments(message: chats.Message) -> list[str]:
    # No arguments are an empty object.
    return [call.arguments or "{}" for call in message.calls]


def _run(parser: str, chat: Chat, body: Path, cut: str, times: int) -> int:
    size = SIZES[cut]
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={body}.out", "--", str(PROGRAM)]
    command += [WORKS[parser], "event" if size is None else str(size), str(times), str(body)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"counting failed:\n{ran.stderr}")
    if ran.stdout.strip() != expected(parser, chat):
        sys.exit(f"{parser} found {ran.stdout.strip()} in {chat.stream.name}, not {expected(parser, chat)}")
    (collected,) = (line for line in ran.stderr.splitlines() if "Collected" in line)
    return int(collected.rpartition(":")[2])


def _judge(counts: dict[str, float], baseline: dict[str, Any]) -> bool:
    """Tell how the counts stand to the baseline; return whether one is over it."""
    known = baseline.get("instructions an event", {})
    over = False
    print(f"{'instructions an event':<60} {'now':>9} {'baseline':>9}")
    for name, now in counts.items():
        before = known.get(name)
        if before is None:
            print(f"{name:<60} {now:>9,.0f} {'none':>9}")
            continue
        change = now / before - 1
        told = "  OVER" if change > TOLERANCE else "  less" if change < -TOLERANCE else ""
        over |= change > TOLERANCE
        print(f"{name:<60} {now:>9,.0f} {before:>9,.0f} {change:>+7.1%}{told}")
    return over


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.counts")
    parser.add_argument("--write", action="store_true", help="make these counts the baseline")
    parser.add_argument("--only", default="", metavar="TEXT", help="only what has this in its name")
    options = parser.parse_args()
    for tool in ("valgrind", "cargo"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not on the PATH; counting needs valgrind and a Rust toolchain")
    build()
    cases = {f"{parser}, {shape}, {cut}": (parser, shape, cut) for parser, shape, cut in CASES}
    chosen = {name: case for name, case in cases.items() if options.only.lower() in name.lower()}
    if not chosen:
        sys.exit("nothing has that in its name; there are\n" + "\n".join(f"  {name}" for name in cases))
    counts = {name: count_shape(*case) for name, case in chosen.items()}
    baseline = json.loads(BASELINE.read_text("utf-8")) if BASELINE.exists() else {}
    over = _judge(counts, baseline)
    if options.write:
        merged = {**baseline.get("instructions an event", {}), **counts}
        # Only what is still counted stays.
        kept = {name: merged[name] for name in cases if name in merged}
        told = {"compiler": compiler(), "instructions an event": kept}
        BASELINE.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    elif baseline.get("compiler") != compiler():
        print(f"the baseline is of {baseline.get('compiler')}, this is {compiler()}: take one with --write")
    elif over:
        sys.exit("over the baseline: a slow-down, or a change that is worth it (then --write)")


if __name__ == "__main__":
    main()
