"""Draws a dashboard from the lines that its queries gave, panel by panel as Grafana lays them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, Formatter, FuncFormatter, PercentFormatter

from deploy.dashboards.panel import WIDTH, Board, Panel, Unit

INK, PAPER, FAINT, LIMIT = "#24292f", "#ffffff", "#d8dee4", "#cf222e"
COLOURS: Final = (
    "#0969da", "#bf8700", "#1a7f37", "#8250df", "#cf222e", "#1b7c83", "#953800", "#6e7781", "#bf3989", "#4d2d00",
)  # fmt: skip
HEAD_IN, ROW_IN = 0.75, 2.75
"""Inches of the title, and of a row of panels with their legends."""

LEGEND_MAX: Final = 6
"""More lines than these are drawn and not named: the picture shows what a panel looks like."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a panel: its name, moments (seconds) and values."""

    name: str
    moments: tuple[float, ...]
    values: tuple[float, ...]


def draw(board: Board, lines: Mapping[str, Sequence[Line]], *, begin: float, path: Path) -> None:
    """Write the picture. `begin` is the moment that is shown as nought."""
    mpl.rcParams["font.family"] = ["DejaVu Sans"]
    rows = [row for _, panels in board.rows for row in _laid_out(panels)]
    tall = HEAD_IN + ROW_IN * len(rows)
    figure = Figure(figsize=(15, tall), dpi=80, facecolor=PAPER)
    figure.text(0.012, 1 - 0.3 / tall, f"wurao · {board.title}", fontsize=15, fontweight="bold", color=INK)
    grid = figure.add_gridspec(
        len(rows), 1, hspace=0.55, left=0.045, right=0.99, top=1 - HEAD_IN / tall, bottom=0.75 / tall
    )
    for place, row in enumerate(rows):
        parts = grid[place].subgridspec(1, len(row), width_ratios=[panel.width for panel in row], wspace=0.16)
        for column, panel in enumerate(row):
            axes = figure.add_subplot(parts[0, column])
            (_number if panel.number else _lines)(axes, panel, lines[panel.title], begin)
            axes.set_title(panel.title, fontsize=10, color=INK, loc="left", fontweight="bold")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _laid_out(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels in lines of 24 columns."""
    rows: list[list[Panel]] = [[]]
    for panel in panels:
        if sum(one.width for one in rows[-1]) + panel.width > WIDTH:
            rows.append([])
        rows[-1].append(panel)
    return rows


def _lines(axes: Axes, panel: Panel, lines: Sequence[Line], begin: float) -> None:
    most = max((value for line in lines for value in line.values), default=0.0)
    if panel.stacked:
        moments = sorted({moment for line in lines for moment in line.moments})
        known = [dict(zip(line.moments, line.values, strict=True)) for line in lines]
        most = max((sum(values.get(moment, 0.0) for values in known) for moment in moments), default=0.0)
        axes.stackplot(
            [moment - begin for moment in moments],
            [[values.get(moment, 0.0) for moment in moments] for values in known],
            labels=[line.name for line in lines],
            colors=COLOURS,
            alpha=0.6,
        )
    else:
        for place, line in enumerate(sorted(lines, key=lambda line: -max(line.values))):
            moments = [moment - begin for moment in line.moments]
            axes.plot(moments, line.values, color=COLOURS[place % len(COLOURS)], linewidth=1.3, label=line.name)
    if panel.limit is not None and panel.limit <= 3 * most:
        axes.axhline(panel.limit, color=LIMIT, linewidth=1, linestyle="--")
    top = 1.08 * most or 1.0
    axes.set_ylim(-0.02 * top, top)  # a line at nought is seen
    axes.yaxis.set_major_formatter(_formatter(panel.unit))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.tick_params(labelsize=8, colors=INK, length=0)
    for side in axes.spines.values():
        side.set_color(FAINT)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles[:LEGEND_MAX],
            [label.replace("127.0.0.1", "") for label in labels[:LEGEND_MAX]],
            fontsize=7.5,
            frameon=False,
            ncols=3,
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.08),
            columnspacing=1.0,
            handlelength=1.2,
        )


def _number(axes: Axes, panel: Panel, lines: Sequence[Line], _: float) -> None:
    axes.axis("off")
    value = lines[0].values[-1] if lines else float("nan")
    bad = panel.limit is not None and value >= panel.limit
    text = f"{100 * value:.2f}%" if panel.unit == "percentunit" else f"{value:,.0f}"
    axes.text(0.5, 0.55, text, fontsize=30, ha="center", va="center", color=LIMIT if bad else "#1a7f37")
    axes.text(0.5, 0.2, lines[0].name if lines else "", fontsize=9, ha="center", color=INK)


def _formatter(unit: Unit) -> Formatter:
    match unit:
        case "percentunit":
            return PercentFormatter(1.0, decimals=None)
        case "s":
            return EngFormatter("s")
        case "bytes":
            return EngFormatter("B")
        case "ops":
            return FuncFormatter(lambda value, _: f"{_short(value)}/s")
        case "µs":
            return FuncFormatter(lambda value, _: f"{value:g} µs")
        case _:
            return FuncFormatter(lambda value, _: _short(value))


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 10_000 else f"{value:g}"
