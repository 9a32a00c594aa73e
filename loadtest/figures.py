"""What a scenario measured, in one shape for all: rows of figures, with every turn's value. Pure but for its files.

A figure's name ends in its unit (`p99_ms`, `events_per_cpu_s`, `lost_count`, `cpu_share`), which is how tables print
it and how the model of capacity finds it. A result says the machine, the options it was run with, and every turn, so
that a median is never all there is.
"""

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from loadtest.latency import Delays, added
from loadtest.machine import Machine
from loadtest.options import RunOptions

DIRECTORY: Final = Path(__file__).parent / "results"
"""Where runs are written unless another place is given; not kept with the sources."""

PUBLISHED: Final = Path(__file__).parent / "published"
"""One result of each scenario, kept with the sources: what README and docs/capacity.md are made from."""

Row = dict[str, float]
"""Figures by name."""


class Point(NamedTuple):
    """A moment of a timeline (seconds from its start) and a value."""

    at_s: float
    value: float


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn measured."""

    rows: dict[str, Row]
    """by what was measured: a program, a rate, a number of workers"""
    delays: dict[str, Delays] = {}
    """by row"""
    timelines: dict[str, tuple[Point, ...]] = {}
    notes: tuple[str, ...] = ()
    """what a reader must know to read the figures rightly"""
    sound: bool = True
    """false where what had to hold did not: the run then exits with 1"""


class Figure(msgspec.Struct, frozen=True):
    """One figure of all turns."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """From the least to the greatest, in parts of the median; 0 for one turn."""
        return (max(self.values) - min(self.values)) / abs(self.median) if self.median else 0.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All turns of a scenario."""

    scenario: str
    time: str
    """UTC, ISO 8601"""
    machine: Machine
    options: RunOptions = msgspec.field(name="wish")
    rows: dict[str, dict[str, Figure]]
    delays: dict[str, Delays]
    """by row, of all turns together"""
    timelines: dict[str, tuple[Point, ...]]
    """of the last turn"""
    notes: tuple[str, ...]
    turns_count: int
    sound: bool
    took_s: float
    load_after: float
    """the load average at the end: others at work spoil figures of the wall clock"""

    def figure(self, row: str, name: str) -> Figure:
        """One figure. Raises `KeyError` that names scenario, row and figure where it was not measured."""
        try:
            return self.rows[row][name]
        except KeyError as error:
            raise KeyError(f"{self.scenario}: no figure {name!r} of {row!r} was measured") from error


def result_of(
    scenario: str, turns: Sequence[Taken], *, machine: Machine, options: RunOptions, took_s: float, load_after: float
) -> Result:
    """The turns as one result. A row or figure that a turn lacks has fewer values."""
    rows: dict[str, dict[str, list[float]]] = {}
    delays: dict[str, list[Delays]] = {}
    for turn in turns:
        for row, figures in turn.rows.items():
            for name, value in figures.items():
                rows.setdefault(row, {}).setdefault(name, []).append(value)
        for row, some in turn.delays.items():
            delays.setdefault(row, []).append(some)
    return Result(
        scenario=scenario,
        time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        machine=machine,
        options=options,
        rows={row: {name: Figure(tuple(values)) for name, values in some.items()} for row, some in rows.items()},
        delays={row: added(some) for row, some in delays.items()},
        timelines=dict(turns[-1].timelines),
        notes=tuple(dict.fromkeys(one for turn in turns for one in turn.notes)),
        turns_count=len(turns),
        sound=all(turn.sound for turn in turns),
        took_s=took_s,
        load_after=load_after,
    )


def write(result: Result, directory: Path) -> Path:
    """Write it as JSON; returns its file, named after scenario and moment."""
    directory.mkdir(parents=True, exist_ok=True)
    moment = result.time.replace(":", "").replace("-", "").removesuffix("Z")
    path = directory / f"{result.scenario}-{moment}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return path


def read(path: Path) -> Result:
    """A result as it was written. Raises `ValueError` that names the file where it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Result)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} is not a result of this version ({error}): run its scenario again") from error


def newest(directory: Path, scenarios: Iterable[str]) -> Mapping[str, Path]:
    """The newest result of each of these scenarios in a directory; those without one are left out."""
    found = {}
    for scenario in scenarios:
        # The name's end is a moment of fixed width, so the last by name is the newest.
        paths = sorted(path for path in directory.glob(f"{scenario}-*T*.json"))
        if paths:
            found[scenario] = paths[-1]
    return found


def ratio(rows: Mapping[str, Row], one: str, other: str, name: str) -> float | None:
    """A figure of one row in parts of another's; None where either was not measured."""
    above, below = rows.get(one, {}).get(name), rows.get(other, {}).get(name)
    return above / below if above is not None and below else None
