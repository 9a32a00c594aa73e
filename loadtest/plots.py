"""A result as pictures: bars where programs are compared, percentile curves of delays, timelines. SVG and PNG."""

from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import StrMethodFormatter

from loadtest.figures import Result
from loadtest.latency import curve
from loadtest.tables import heading

mpl.use("Agg")  # files only: no display is needed

SUFFIXES: Final = (".svg", ".png")
BARS: Final = ("events_per_cpu_s", "events_per_s", "first_decision_s")
"""What is drawn as bars: the first of these that a result has."""

NINES: Final = 4
INK: Final = "#2b5d8a"


def draw(result: Result, stem: Path) -> list[Path]:
    """Write the pictures that a result has something for; returns their files, `stem-….svg` and `.png`."""
    drawn: list[Path] = []
    for kind, canvas in _canvases(result):
        for suffix in SUFFIXES:
            path = stem.with_name(f"{stem.name}-{kind}{suffix}")
            canvas.savefig(path, dpi=110, metadata={"Date": None} if suffix == ".svg" else None)
            drawn.append(path)
        plt.close(canvas)
    return drawn


def _canvases(result: Result) -> list[tuple[str, Canvas]]:
    found: list[tuple[str, Canvas]] = []
    named = [name for name in BARS if any(name in figures for figures in result.rows.values())]
    if named and not result.delays:
        found.append(("bars", _bars(result, named[0])))
    if any(delays.count for delays in result.delays.values()):
        found.append(("delays", _delays(result)))
    if result.timelines:
        found.append(("time", _timelines(result)))
    return found


def _bars(result: Result, name: str) -> Canvas:
    """One bar a row, its turns as dots."""
    rows = [row for row, figures in result.rows.items() if name in figures]
    canvas, axes = _canvas(height=1.2 + 0.42 * len(rows))
    figures = [result.rows[row][name] for row in rows]
    axes.barh(rows, [figure.median for figure in figures], color=INK, height=0.6)
    for place, figure in enumerate(figures):
        axes.plot(figure.values, [place] * len(figure.values), "o", color="black", markersize=3)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.set_xlabel(heading(name))
    _title(axes, result, "median; dots are the turns")
    return canvas


def _delays(result: Result) -> Canvas:
    """Delay by percentile, over a scale of nines, where the tail has room."""
    canvas, axes = _canvas(height=4.2)
    nines = np.linspace(0.0, NINES, 200)
    shares = (1 - 10.0**-nines).tolist()
    for row, delays in result.delays.items():
        if delays.count:
            axes.plot(nines, curve(delays, shares), label=row)
    axes.set_yscale("log")
    axes.set_xticks(range(NINES + 1), ["0", "90", "99", "99.9", "99.99"][: NINES + 1])
    axes.set_xlabel("percentile")
    axes.set_ylabel("from the moment it was due, ms")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    _title(axes, result, "all turns together")
    return canvas


def _timelines(result: Result) -> Canvas:
    canvas, axes = _canvas(height=3.4)
    for name, points in result.timelines.items():
        axes.plot([point.at_s for point in points], [point.value for point in points], label=name, color=INK)
    axes.set_xlabel("seconds")
    axes.set_ylabel(", ".join(result.timelines))
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)
    _title(axes, result, "the last turn")
    return canvas


def _canvas(*, height: float) -> tuple[Canvas, Axes]:
    canvas, axes = plt.subplots(figsize=(8.0, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def _title(axes: Axes, result: Result, shown: str) -> None:
    quick = ", a quick look" if result.options.quick else ""
    axes.set_title(f"{result.scenario} ({shown}{quick})", loc="left", fontsize=10)
