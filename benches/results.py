"""What a run of the suite came to, read from the JSON that its parts wrote: for the report and its charts."""

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from benches import works
from benches.bodies import SIZES
from benches.counts import compiler
from benches.http_peers import READERS as HTTP
from benches.names import ALL

LIBRARIES = [
    "orjson",
    "msgspec",
    "jiter",
    "launchdarkly-eventsource",
    "httpx-sse",
    "httpx",
    "httpx2",
    "aiohttp",
    "openai",
    "anthropic",
    "sseclient-py",
    "litellm",
]

# What stands beside users' ways: it is given the data already cut out, or does not parse at all.
FLOOR_MARKS = ("already cut out", "bytes.split", "bytes alone")


class Timing(NamedTuple):
    """How long one way of one work took, in ns an event: the median and the quartiles."""

    work: str
    shape: str
    cut: str
    lib: str
    ns: float
    lower: float
    upper: float

    @property
    def is_ours(self) -> bool:
        return self.lib.startswith("deltawire")

    @property
    def is_floor(self) -> bool:
        return any(mark in self.lib for mark in FLOOR_MARKS)


@dataclass(frozen=True)
class Results:
    """One run: the suite, the targets, growth, memory, fairness, load."""

    suite: dict[str, Any]
    targets: list[dict[str, Any]]
    growth: list[dict[str, Any]]
    memory: list[dict[str, Any]]
    fairness: list[dict[str, Any]]
    load: dict[str, list[dict[str, Any]]]

    @classmethod
    def read(cls, folder: Path) -> "Results":
        """Read what the parts of a run wrote into a folder."""
        parts = ("suite", "targets", "growth", "memory", "fairness", "load")
        return cls(*(json.loads((folder / f"{part}.json").read_text("utf-8")) for part in parts))

    @cached_property
    def timings(self) -> list[Timing]:
        """Every timing of the suite that names its work; the others explain a constant."""
        return [
            _timing(bench) for bench in self.suite["benchmarks"] if "shape" in bench.get("extra_info", {})
        ]

    def of(self, work: str, shape: str | None = None, cut: str | None = None) -> list[Timing]:
        """Give the timings of a work, the fastest first."""
        chosen = [
            timing
            for timing in self.timings
            if timing.work == work and shape in (None, timing.shape) and cut in (None, timing.cut)
        ]
        return sorted(chosen, key=lambda timing: timing.ns)

    def cases(self, work: str) -> list[tuple[str, str]]:
        """Give the shapes and cuts of a work, in the order of the catalogue."""
        found = {(timing.shape, timing.cut) for timing in self.timings if timing.work == work}
        return sorted(found, key=lambda case: (ALL.index(case[0]), list(SIZES).index(case[1])))

    @property
    def works(self) -> list[str]:
        """Name the works that were timed, those over HTTP at the end."""
        names = [*(work.name for work in works.WORKS), *(f"HTTP with {client}" for client in HTTP)]
        return [name for name in names if self.of(name)]

    @property
    def machine(self) -> list[tuple[str, str]]:
        """Tell what the run was done with and on."""
        info = self.suite["machine_info"]
        cpu = info.get("cpu", {})
        model = cpu.get("brand_raw") or info.get("processor") or info["machine"]
        python = f"{info['python_implementation']} {info['python_version']}"
        return [
            ("CPU", f"{model}, {cpu.get('count', '?')} cores, {info['machine']}"),
            ("System", info["system"]),
            ("Python", f"{python} ({info['python_compiler']})"),
            ("Rust", compiler()),
            ("deltawire", version("deltawire")),
            ("Beside", ", ".join(f"{lib} {_version(lib)}" for lib in LIBRARIES)),
            ("Date", self.suite["datetime"][:10]),
        ]


def _timing(bench: dict[str, Any]) -> Timing:
    info, stats = bench["extra_info"], bench["stats"]
    median, lower, upper = (stats[key] * 1e9 / info["events"] for key in ("median", "q1", "q3"))
    return Timing(
        info["work"],
        info["shape"],
        info["cut"],
        info["lib"],
        median,
        lower,
        upper,
    )


def _version(lib: str) -> str:
    try:
        return version(lib)
    except PackageNotFoundError:
        return "(not installed, left out)"
