"""A result as people read it: a table for the terminal, another for Markdown, from the same cells. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich import box
from rich.table import Table

from loadtest.figures import Figure, Result
from loadtest.goals import goal_of, judged

UNITS: Final = {
    "_per_cpu_s": "/CPU-s",
    "_per_s": "/s",
    "_per_h": "/h",
    "_ms": "ms",
    "_us": "µs",
    "_s": "s",
    "_share": "%",
    "_ratio": "×",
    "_mib": "MiB",
    "_bytes": "B",
    "_count": "",
}
"""A figure's unit by the end of its name, the longest first."""

QUIET: Final = ("event_bytes", "cpu_share", "exit_count")
"""Figures that stand in the results and not in the README's tables."""


COLUMNS_MAX: Final = 8
"""A table with more figures than this is turned: figures down, what was measured across."""


class Cell(NamedTuple):
    """A figure as text: its median, and the spread of its turns where there were several."""

    text: str
    met: bool | None = None
    """whether its goal is met; None where it has none"""


class Grid(NamedTuple):
    """A table, ready to be printed in any form."""

    head: Sequence[str]
    lines: Sequence[tuple[str, Sequence[Cell]]]


def heading(name: str) -> str:
    """A figure's name with its unit set apart: `p99_ms` → `p99, ms`."""
    for ending, unit in UNITS.items():
        if name.endswith(ending):
            stem = name.removesuffix(ending).replace("_", " ").replace("p999", "p99.9")
            return f"{stem}, {unit}" if unit else stem
    return name.replace("_", " ")


def number(name: str, value: float) -> str:
    """A value in the unit of its name, with as many digits as it bears."""
    if name.endswith("_share"):
        return f"{100 * value:.0f}"
    if name.endswith(("_per_s", "_per_cpu_s", "_count", "_per_h")) or abs(value) >= 1_000:
        return f"{value:,.0f}"
    if name.endswith("_ratio") or abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:.1f}"


def cell(result: Result, row: str, name: str) -> Cell:
    """One figure; an empty cell where the row has none."""
    figure: Figure | None = result.rows[row].get(name)
    if figure is None:
        return Cell("")
    text = number(name, figure.median)
    if len(figure.values) > 1 and figure.spread:
        text += f" ({figure.spread:.0%})"
    goal = goal_of(result.scenario, row, name)
    return Cell(text, None if goal is None else goal.met(figure.median))


def grid(result: Result, *, leave_out: Sequence[str] = ()) -> Grid:
    """All figures of a result, what was measured down and figures across, or turned where these are many."""
    found = dict.fromkeys(name for figures in result.rows.values() for name in figures)
    names = [name for name in found if name not in leave_out]
    if len(names) <= COLUMNS_MAX:
        return Grid(
            [heading(name) for name in names],
            [(row, [cell(result, row, name) for name in names]) for row in result.rows],
        )
    return Grid(
        list(result.rows), [(heading(name), [cell(result, row, name) for row in result.rows]) for name in names]
    )


def terminal(result: Result) -> Table:
    """A table for the terminal; what misses its goal is red, what meets it green."""
    title = f"{result.scenario}: median of {result.turns_count} turn{'s' if result.turns_count > 1 else ''} (spread)"
    made = grid(result)
    table = Table("", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for head in made.head:
        table.add_column(head, justify="right")
    for name, cells in made.lines:
        table.add_row(name, *map(_coloured, cells))
    return table


def _coloured(one: Cell) -> str:
    return one.text if one.met is None else f"[{'green' if one.met else 'red'}]{one.text}[/]"


def goals(result: Result) -> Iterator[str]:
    """A sentence for each goal."""
    for row, name, goal, median, met in judged(result):
        yield f"{row}: {heading(name)} {number(name, median)} (goal {goal}: {'met' if met else 'NOT MET'})"


def markdown(result: Result) -> Iterator[str]:
    """A table in Markdown, its goals, and what must be known to read it. What misses its goal is bold."""
    made = grid(result, leave_out=QUIET)
    yield "| |" + "".join(f" {head} |" for head in made.head)
    yield "|---|" + "--:|" * len(made.head)
    for name, cells in made.lines:
        yield f"| {name} |" + "".join(f" **{one.text}** |" if one.met is False else f" {one.text} |" for one in cells)
    yield ""
    for goal in goals(result):
        yield f"* {goal}"
    for note in result.notes:
        yield f"* {note}"
