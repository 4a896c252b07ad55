"""The example gateway in a process of its own, with upstreams of every kind behind it, and what it wrote.

Its models are told by `Setup`: the recordings as they are, each fault of the stand-in within a stream and at
its first event, with a healthy upstream behind it and without, and scripts of the tests' own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cassette_files import RECORDED
from command import COMMAND
from servers import serve

from deltawire.cassettes import load
from deltawire.standin import FAULTS, recordings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from servers import Exchange, Server

ROOT = Path(__file__).parents[1]
KEYS = {"alice": "sk-test-alice-0123456789", "bob": "sk-test-bob-0123456789ab"}
RECORDINGS = {one.name: one for one in recordings(map(load, RECORDED)) if one.message is not None}
HEALTHY = "tool_streaming-0"
LIMITS = {
    "body_bytes": 100_000,
    "body": 1.0,
    "first_event": 2.0,
    "idle": 2.0,
    "total": 20.0,
    "event_bytes": 1_000_000,
    "keep_alive": 0.25,
    "send": 2.0,
    "drain": 4.0,
    "shutdown": 1.5,
}


class Gateway:
    """The running gateway.

    Attributes:
        url: its base URL, with `/v1` at the end.
        process: the process.
        scripted: the server behind the models whose names begin with `script-`.
    """

    def __init__(self, url: str, process: subprocess.Popen[bytes], folder: Path, scripted: Server) -> None:
        self.url = url
        self.process = process
        self.scripted = scripted
        self._folder = folder

    @property
    def log(self) -> str:
        return (self._folder / "stderr").read_text()

    def usage(self) -> list[dict[str, Any]]:
        """Read the usage log."""
        path = self._folder / "usage.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def booked(self, model: str, seen: int = 0, *, patience: float = 15.0) -> dict[str, Any]:
        """Wait for the only line of a model beyond those that were seen."""
        deadline = time.monotonic() + patience
        while not (lines := [line for line in self.usage() if line["model"] == model][seen:]):
            assert time.monotonic() < deadline, "it was not booked"
            time.sleep(0.02)
        (line,) = lines
        return line

    def resident(self) -> int:
        """Give the bytes that the process has resident."""
        statm = Path(f"/proc/{self.process.pid}/statm").read_text()
        return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running(
    folder: Path, scripts: Mapping[str, Callable[[Exchange], None]], pace: float = 0.0
) -> Iterator[Gateway]:
    """Run a gateway with all its upstreams; the stand-in sends an event every `pace` seconds."""

    def script(exchange: Exchange) -> None:
        asked = json.loads(exchange.read_body())
        scripts[asked["model"]](exchange)

    with ExitStack() as stack:
        scripted = stack.enter_context(serve(script))
        later, first = (
            stack.enter_context(_standin(folder / name, *args))
            for name, args in {"later": ("--pace", str(pace)), "first": ("--fault-after", "0")}.items()
        )
        config = folder / "gateway.toml"
        config.write_text(_config(later, first, f"{scripted.url}v1", list(scripts)))
        command = [sys.executable, "-W", "error", str(ROOT / "examples" / "gateway.py"), str(config), "0"]
        process = stack.enter_context(_process(command, folder / "stderr"))
        url = _told(folder / "stderr", r"running on (http://\S+)", process)
        yield Gateway(f"{url}/v1", process, folder, scripted)


def _config(later: str, first: str, scripted: str, scripts: list[str]) -> str:
    models: dict[str, list[dict[str, Any]]] = {}

    def upstream(base_url: str, model: str, fault: str = "none") -> dict[str, Any]:
        name = "healthy" if fault == "none" else fault
        return {"name": name, "base_url": base_url, "model": model, "headers": {"X-Fault": fault}}

    healthy = upstream(later, HEALTHY)
    for name in RECORDINGS:
        models[name] = [upstream(later, name)]
    for fault in FAULTS:
        models[fault] = [upstream(later, HEALTHY, fault)]
        models[f"{fault}-first"] = [upstream(first, HEALTHY, fault)]
        models[f"{fault}-then-healthy"] = [upstream(later, HEALTHY, fault), healthy]
        models[f"{fault}-first-then-healthy"] = [upstream(first, HEALTHY, fault), healthy]
    # Nobody listens on the port of discarding, which only the superuser could open.
    dead = {"name": "dead", "base_url": "http://127.0.0.1:9/v1", "model": "m", "key": "sk-secret"}
    models |= {"dead": [dead], "dead-then-healthy": [dead, healthy]}
    injecting = {"name": "injecting", "base_url": scripted, "model": "m", "headers": {"X-A": "a\r\nX-B: b"}}
    models["injecting"] = [injecting]
    for name in scripts:
        one = {"name": "scripted", "base_url": scripted, "model": name, "key": "sk-upstream-secret"}
        models[f"script-{name}"] = [one]
        models[f"script-{name}-then-healthy"] = [one, healthy]

    # JSON's strings are TOML's, and its objects nearly inline tables.
    def inline(table: dict[str, Any]) -> str:
        pairs = (
            f"{key} = {inline(value) if isinstance(value, dict) else json.dumps(value)}"
            for key, value in table.items()
        )
        return "{" + ", ".join(pairs) + "}"

    lines = ['usage_log = "usage.jsonl"', f"keys = {inline(KEYS)}", f"limits = {inline(LIMITS)}", "[models]"]
    lines += [f"{json.dumps(model)} = [{', '.join(map(inline, made))}]" for model, made in models.items()]
    return "\n".join(lines)


@contextmanager
def _standin(stderr: Path, *args: str) -> Iterator[str]:
    command = [*COMMAND, "serve", "--port", "0", "--slow-start", "0.5", *args, str(RECORDED[0].parent)]
    with _process(command, stderr) as process:
        yield _told(stderr, r"at (http://\S+/v1) until", process)


@contextmanager
def _process(command: list[str], stderr: Path) -> Iterator[subprocess.Popen[bytes]]:
    # Into a file: a pipe that nobody empties would stop it.
    with stderr.open("wb") as output, subprocess.Popen(command, stderr=output, stdout=output) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            finally:
                process.kill()


def _told(stderr: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(pattern, stderr.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(stderr.read_text())
