"""The charts of the report, as SVG: one function each, from the results of a run.

Blue is deltawire, orange its peers, grey the floors: colours of Okabe and Ito, which are told apart without
red and green, and by their lightness. Times are on a logarithmic scale, where equal steps are equal ratios,
and written out beside what shows them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benches.names import RECORDED
from benches.results import Results, Timing

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "deltawire",
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "legend.frameon": False,
    }
)

OURS, PEER, FLOOR, INK, PALE = "#0072B2", "#E69F00", "#9A9A9A", "#222222", "#E4E4E4"
LINES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "*"]


def works(results: Results, folder: Path) -> None:
    """Draw what each work costs on the recorded bodies, one event a chunk."""
    names = [name for name in results.works if not name.startswith("HTTP")]
    panels = [(name, results.of(name, RECORDED, "1 event")) for name in names]
    _bars(
        panels,
        "ns an event (logarithmic)",
        folder / "bench-works.svg",
        "on the recorded bodies, 1 event a chunk",
    )


def http(results: Results, folder: Path) -> None:
    """Draw what a stream costs over HTTP, by client."""
    names = [name for name in results.works if name.startswith("HTTP")]
    panels = [(name, results.of(name, RECORDED, "1 event")) for name in names]
    told = "recorded bodies over loopback, 1 event a chunk"
    _bars(panels, "ns of the client's CPU time an event (logarithmic)", folder / "bench-http.svg", told)


def _bars(panels: Sequence[tuple[str, list[Timing]]], unit: str, path: Path, told: str) -> None:
    panels = [(name, timings) for name, timings in panels if timings]
    bars = [len(timings) for _, timings in panels]
    figure, all_axes = plt.subplots(
        len(panels),
        1,
        figsize=(9, 0.27 * sum(bars) + 0.75 * len(panels) + 0.7),
        height_ratios=bars,
        squeeze=False,
        layout="constrained",
    )
    for axes, (name, timings) in zip(all_axes[:, 0], panels, strict=True):
        _panel(axes, timings[::-1])
        axes.set_title(f"{name[0].upper()}{name[1:]}")
    figure.supxlabel(f"{unit}; {told}. Thin lines: quartiles", fontsize=9.5)
    handles = [Rectangle((0, 0), 1, 1, color=colour) for colour in (OURS, PEER, FLOOR)]
    labels = ["deltawire", "peers", "floors: less work"]
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    _save(figure, path)


def _panel(axes: Any, timings: list[Timing]) -> None:
    """Draw a bar for each timing, the first at the bottom."""
    places = range(len(timings))
    values = [timing.ns for timing in timings]
    below = [timing.ns - timing.lower for timing in timings]
    above = [timing.upper - timing.ns for timing in timings]
    axes.barh(places, values, color=[_colour(timing) for timing in timings], height=0.72)
    axes.errorbar(values, places, xerr=[below, above], fmt="none", ecolor=INK, elinewidth=0.8)
    axes.set_yticks(places, [timing.lib for timing in timings])
    _log_axis(axes, min(values) / 2, max(values) * 2.2)
    for place, timing in zip(places, timings, strict=True):
        axes.annotate(
            _ns(timing.ns), (timing.upper, place), (4, 0), textcoords="offset points", va="center", size=8.5
        )
    for label, timing in zip(axes.get_yticklabels(), timings, strict=True):
        label.set_fontweight("bold" if timing.is_ours else "normal")


def _log_axis(axes: Any, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    steps = (1, 2, 5) if high / low < 1_000 else (1,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=PALE)
    axes.set_axisbelow(True)


def targets(results: Results, folder: Path) -> None:
    """Draw each target's figure as a multiple of its target: left of the line it is reached."""
    rows = [row for row in results.targets if row["target"]][::-1]
    figure, axes = plt.subplots(figsize=(9, 0.4 * len(rows) + 1.2))
    everything = []
    for place, row in enumerate(rows):
        target, stretch = row["target"]
        colour, marker = (LINES[1], "X") if row["verdict"] == "missed" else (OURS, "o")
        shares = [_share(row, row["figure"][key]) for key in ("median", "lower_quartile", "upper_quartile")]
        axes.plot([min(shares), max(shares)], [place, place], color=colour, lw=2)
        axes.plot(_share(row, stretch), place, "|", color=INK, ms=13, mew=1.6)
        axes.plot(shares[0], place, marker, color=colour, ms=8, mec="white", zorder=3)
        told = f"{_figure(row, row['figure']['median'])}  (target {_figure(row, target)})"
        axes.text(1.02, place, told, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
        everything += [*shares, _share(row, stretch)]
    axes.axvline(1, color=INK, lw=1)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    _log_axis(axes, min(everything) / 1.3, max(everything) * 1.3)
    axes.set_xlabel("cost as a multiple of the target's (logarithmic): reached at 1 and below")
    marks = [
        Line2D([], [], color=OURS, marker="o", lw=0, label="reached"),
        Line2D([], [], color=LINES[1], marker="X", lw=0, label="missed"),
        Line2D([], [], color=INK, marker="|", ms=12, lw=0, label="stretch"),
    ]
    axes.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    _save(figure, folder / "bench-targets.svg")


def growth(results: Results, folder: Path) -> None:
    """Draw how the time grows with the size of the input, and as pale lines what is linear."""
    rows = results.growth
    parsers = list(dict.fromkeys(row["parser"] for row in rows))
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    times = [ms for row in rows for ms in row["ms"]]
    figure, all_axes = plt.subplots(
        1, len(parsers), figsize=(9, 4), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, parser in zip(all_axes[0], parsers, strict=True):
        own = [row for row in rows if row["parser"] == parser]
        sizes = [size / 2**20 for row in own for size in row["sizes"]]
        for slope in (2**power for power in range(-8, 14, 2)):
            axes.plot([1e-3, 1e3], [slope * 1e-3, slope * 1e3], color=PALE, lw=0.8, zorder=0)
        for row in own:
            number = shapes.index(row["shape"])
            axes.plot(
                [size / 2**20 for size in row["sizes"]],
                row["ms"],
                marker=MARKERS[number],
                color=LINES[number],
                ms=5,
            )
        axes.set_yscale("log")
        axes.set_ylim(min(times) / 2, max(times) * 2)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        _log_axis(axes, min(sizes) / 1.5, max(sizes) * 1.5)
        axes.grid(visible=False)
        axes.set_title(parser)
        axes.set_xlabel("MiB of input")
    all_axes[0, 0].set_ylabel("ms (both logarithmic)")
    all_axes[0, 0].tick_params(axis="y", length=3)
    handles = [
        Line2D([], [], marker=MARKERS[number], color=LINES[number], ms=5, label=shape)
        for number, shape in enumerate(shapes)
    ]
    handles.append(Line2D([], [], color=PALE, label="linear"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8.5)
    _save(figure, folder / "bench-growth.svg")


def memory(results: Results, folder: Path) -> None:
    """Draw what an open parser holds, beside its bound."""
    kinds = list(dict.fromkeys(row["kind"] for row in results.memory))[::-1]
    states = list(dict.fromkeys(row["state"] for row in results.memory))
    figure, axes = plt.subplots(figsize=(9, 0.75 * len(kinds) + 1))
    height = 0.8 / len(states)
    for number, state in enumerate(states):
        rows = {row["kind"]: row for row in results.memory if row["state"] == state}
        places = [place + 0.4 - height * (number + 0.5) for place in range(len(kinds))]
        values = [rows[kind]["bytes"] for kind in kinds]
        colour = [LINES[5], OURS, FLOOR][number % 3]
        axes.barh(places, values, color=colour, height=height * 0.9, label=state)
        for place, kind in zip(places, kinds, strict=True):
            held, bound = rows[kind]["bytes"], rows[kind]["bound"]
            axes.plot([bound, bound], [place - height / 2, place + height / 2], color=LINES[1], lw=2.5)
            # Where the bound is in the way, beyond it.
            at = max(held, bound) if held <= bound < held + 450 else held
            axes.annotate(
                f"{held:,.0f}", (at, place), (4, 0), textcoords="offset points", va="center", size=8.5
            )
    axes.plot([], [], color=LINES[1], lw=2.5, label="bound")
    axes.set_yticks(range(len(kinds)), kinds)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("bytes each, with what the allocator adds")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=8.5)
    _save(figure, folder / "bench-memory.svg")


def fairness(results: Results, folder: Path) -> None:
    """Draw how long a chunk of 4 MiB holds the event loop."""
    shapes = list(dict.fromkeys(row["shape"] for row in results.fairness))
    figure, all_axes = plt.subplots(1, len(shapes), figsize=(9, 2.5), sharey=True, squeeze=False)
    for axes, shape in zip(all_axes[0], shapes, strict=True):
        rows = [row for row in results.fairness if row["shape"] == shape][::-1]
        values = [row["ms"] for row in rows]
        colours = [FLOOR if "orjson" in row["way"] else OURS for row in rows]
        axes.barh(range(len(rows)), values, color=colours, height=0.7)
        axes.set_yticks(range(len(rows)), [row["way"] for row in rows])
        for place, value in enumerate(values):
            axes.annotate(
                f"{value:.1f}", (value, place), (4, 0), textcoords="offset points", va="center", size=8.5
            )
        axes.set_xlim(0, max(values) * 1.14)
        axes.set_title(shape)
        axes.set_xlabel("ms that the loop is held")
        axes.tick_params(axis="y", length=0)
    _save(figure, folder / "bench-fairness.svg")


def load(results: Results, folder: Path) -> None:
    """Draw what each gateway adds to passing bytes on, as fast as they go, with what bounds it."""
    rows = [
        row for row in results.load["rows"] if row["pace"] == "flat out" and any(row["added_us"].values())
    ]
    numbers = list(dict.fromkeys(row["streams"] for row in rows))
    figure, all_axes = plt.subplots(
        1, len(numbers), figsize=(9, 2.1), sharex=True, sharey=True, squeeze=False
    )
    for axes, streams in zip(all_axes[0], numbers, strict=True):
        own = [row for row in rows if row["streams"] == streams][::-1]
        values, lows, highs = ([row["added_us"][key] for row in own] for key in ("median", "low", "high"))
        colours = [OURS if row["way"].startswith("deltawire") else PEER for row in own]
        axes.barh(range(len(own)), values, color=colours, height=0.7)
        axes.hlines(range(len(own)), lows, highs, color=INK, lw=0.9)
        for place, (value, high) in enumerate(zip(values, highs, strict=True)):
            axes.annotate(
                f"{value:.1f}",
                (max(value, high), place),
                (4, 0),
                textcoords="offset points",
                va="center",
                size=8.5,
            )
        axes.set_yticks(range(len(own)), [row["way"] for row in own])
        axes.axvline(0, color=INK, lw=0.8)
        axes.set_title(f"{streams:,} stream{'s' * (streams > 1)}")
        axes.set_xlabel("us of CPU added an event")
        axes.tick_params(axis="y", length=0)
    all_axes[0, 0].set_xlim(
        min(0, *(row["added_us"]["low"] for row in rows)), max(row["added_us"]["high"] for row in rows) * 1.25
    )
    figure.tight_layout()
    _save(figure, folder / "bench-load.svg")


CHARTS = {
    "targets": targets,
    "works": works,
    "http": http,
    "growth": growth,
    "memory": memory,
    "fairness": fairness,
    "load": load,
}


def draw(results: Results, folder: Path) -> None:
    """Draw all charts into a folder."""
    for chart in CHARTS.values():
        chart(results, folder)


def _colour(timing: Timing) -> str:
    return OURS if timing.is_ours else FLOOR if timing.is_floor else PEER


def _share(row: dict[str, Any], figure: float) -> float:
    """Give a figure as a multiple of the target's cost; where more is better, the other way round."""
    target = row["target"][0]
    # A difference may come out below nothing, where a logarithm has no place.
    share = target / figure if row["unit"] == "times" else figure / target
    return float(max(share, 0.02))


def _figure(row: dict[str, Any], figure: float) -> str:
    if row["unit"] == "ns":
        return f"{figure:,.0f} ns"
    if row["unit"] == "times":
        return f"{figure:,.0f} times"
    return f"{figure:.3f}".rstrip("0")


def _ns(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)
