"""Results kept, shown and published: JSON and pictures for each run, tables of the newest in loadtest/README.md.

`publish` copies the newest result of each scenario to `loadtest/published`, which is kept with the sources, and writes
the README's tables from there; so what the README says can always be made again, and a test sees it drift.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from loadtest import figures, plots, tables
from loadtest.cluster import LoadtestError
from loadtest.figures import PUBLISHED, Result
from loadtest.scenarios import SCENARIOS

README: Final = Path(__file__).parent / "README.md"
BEGIN: Final = "<!-- results: made by `python -m loadtest report`; do not edit between these marks -->"
END: Final = "<!-- end of results -->"


def keep(result: Result, directory: Path) -> Sequence[Path]:
    """Write a result's JSON and its pictures; returns their files, the JSON first."""
    path = figures.write(result, directory)
    return [path, *plots.draw(result, path.with_suffix(""))]


def show(result: Result, console: Console, paths: Sequence[Path]) -> None:
    """Print a result."""
    console.print()
    console.print(tables.terminal(result), soft_wrap=True, crop=False)
    for line in (*tables.goals(result), *result.notes):
        console.print(f"  {line}", markup=False, soft_wrap=True, highlight=False)
    load = f"load average {result.machine.load_average:.1f} before, {result.load_after:.1f} after"
    console.print(f"  {result.took_s:.0f} s, {load}; {paths[0]}", markup=False, soft_wrap=True, highlight=False)
    if not result.sound:
        console.print("  NOT IN ORDER: something that had to hold did not; see above", style="bold red")


def publish(directory: Path, names: Iterable[str]) -> None:
    """Publish the newest result of each of these scenarios, and write the README's tables of all that are published."""
    found = figures.newest(directory, names)
    if not found:
        raise LoadtestError(f"{directory} holds no result: run a scenario first, or give --run")
    PUBLISHED.mkdir(exist_ok=True)
    for name, path in found.items():
        figures.read(path)
        shutil.copyfile(path, PUBLISHED / f"{name}.json")
        for old in PUBLISHED.glob(f"{name}-*.svg"):
            old.unlink()
        for picture in path.parent.glob(f"{path.stem}-*.svg"):
            shutil.copyfile(picture, PUBLISHED / f"{name}{picture.name.removeprefix(path.stem)}")
    README.write_text(between(README.read_text(encoding="utf-8"), published_tables()), encoding="utf-8")


def published() -> Mapping[str, Result]:
    """The published result of each scenario that has one, in the order of the scenarios."""
    paths = {name: PUBLISHED / f"{name}.json" for name in SCENARIOS}
    return {name: figures.read(path) for name, path in paths.items() if path.exists()}


def published_tables() -> str:
    """The README's tables."""
    lines: list[str] = []
    for name, result in published().items():
        options = result.options
        quick = "**A quick look, no figures to quote.** " if options.quick else ""
        refusals = f"{options.refusals_count:,} refusals"
        lines += [
            f"### {name}",
            "",
            f"{quick}{SCENARIOS[name].what[0].upper()}{SCENARIOS[name].what[1:]}.",
            f"Median of {result.turns_count} (spread); {refusals}, {options.partitions} partitions;",
            f"{result.machine}, after: {result.load_after:.1f}; {result.time}.",
            "",
            *tables.markdown(result),
            "",
        ]
        lines += [f"![{name}](published/{path.name})\n" for path in sorted(PUBLISHED.glob(f"{name}-*.svg"))]
    return "\n".join(lines).strip()


def between(text: str, made: str) -> str:
    """A document with what stands between its marks rewritten. Raises `LoadtestError` where it has no marks."""
    if BEGIN not in text or END not in text:
        raise LoadtestError(f"{README} has lost its marks: put {BEGIN!r} and {END!r} where the tables go")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}"
