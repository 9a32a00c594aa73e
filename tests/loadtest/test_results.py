"""What is measured is kept whole, and what is printed follows from it: medians, spreads, goals met or not."""

from pathlib import Path

import numpy as np
import pytest

from loadtest import figures, plots
from loadtest.figures import Point, Result, Taken, ratio, result_of
from loadtest.goals import goal_of
from loadtest.latency import delays_of
from loadtest.machine import describe
from loadtest.options import RunOptions
from loadtest.tables import heading, markdown, number, terminal

MACHINE = describe(kafka="4.4.0")


def result(*turns: Taken, scenario: str = "throughput") -> Result:
    return result_of(scenario, turns, machine=MACHINE, options=RunOptions(), took_s=1.0, load_after=2.0)


def turn(rate: float, filter_ratio: float) -> Taken:
    return Taken(
        rows={
            "filter": {"events_per_cpu_s": rate},
            "plain": {"events_per_cpu_s": rate / filter_ratio, "filter_ratio": filter_ratio},
        },
        notes=("said in every turn",),
    )


def test_a_figure_is_the_median_of_its_turns_and_its_spread_stands_beside() -> None:
    figure = result(turn(100, 5), turn(300, 5), turn(120, 5)).figure("filter", "events_per_cpu_s")
    assert list(figure.values) == [100, 300, 120]
    assert figure.median == 120
    assert figure.spread == pytest.approx(200 / 120)


def test_a_goal_is_printed_met_or_not() -> None:
    text = "\n".join(markdown(result(turn(100, 3), turn(100, 3.5))))
    assert "* plain: filter, × 3.25 (goal ≥ 4: NOT MET)" in text
    assert "**3.25 (15%)**" in text
    assert "goal ≥ 4: met" in "\n".join(markdown(result(turn(100, 4))))


def test_a_note_of_every_turn_is_said_once() -> None:
    assert result(turn(1, 1), turn(1, 1)).notes == ("said in every turn",)


def test_a_result_is_read_as_it_was_written_and_the_newest_is_found(tmp_path: Path) -> None:
    one = result(turn(1, 1))
    path = figures.write(one, tmp_path)
    assert figures.read(path) == one
    assert figures.newest(tmp_path, ("throughput", "burst")) == {"throughput": path}


def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "burst.json").write_text("{}")
    with pytest.raises(ValueError, match=r"burst\.json is not a result of this version"):
        figures.read(tmp_path / "burst.json")


def test_a_figure_that_was_not_measured_is_named() -> None:
    with pytest.raises(KeyError, match="throughput: no figure 'p99_ms' of 'filter'"):
        result(turn(1, 1)).figure("filter", "p99_ms")


def test_a_run_is_sound_only_if_every_turn_was() -> None:
    bad = Taken(rows={}, sound=False)
    assert not result(turn(1, 1), bad).sound


def test_a_ratio_of_what_was_not_measured_is_none() -> None:
    rows = {"a": {"x": 6.0}, "b": {"x": 2.0}}
    assert ratio(rows, "a", "b", "x") == 3.0
    assert ratio(rows, "a", "c", "x") is None


def test_names_of_figures_end_in_their_units() -> None:
    assert heading("p999_ms") == "p99.9, ms"
    assert heading("events_per_cpu_s") == "events, /CPU-s"
    assert heading("missing_count") == "missing"
    assert number("cpu_share", 0.123) == "12"
    assert number("events_per_s", 12_345.6) == "12,346"
    assert number("p99_ms", 4.567) == "4.57"


def test_goals_hold_for_rows_by_pattern() -> None:
    goal = goal_of("urgent", "10,000,000 waiting", "acked_p99_ms")
    assert goal is not None
    assert goal.met(20.0)
    assert not goal.met(20.1)
    assert goal_of("urgent", "10,000,000 waiting", "p50_ms") is None


def test_a_table_with_many_figures_is_turned() -> None:
    many = Taken(rows={"only": {f"f{place}_ms": 1.0 for place in range(12)}})
    assert len(terminal(result(many)).columns) == 2
    assert len(terminal(result(turn(1, 1))).columns) == 3


def test_the_machine_is_described_without_its_name() -> None:
    import platform  # noqa: PLC0415

    assert "Kafka 4.4.0" in str(MACHINE)
    assert platform.node() not in str(MACHINE)


def test_pictures_are_drawn_of_what_a_result_has(tmp_path: Path) -> None:
    delays = Taken(
        rows={"1,000/s": {"p50_ms": 1.0}},
        delays={"1,000/s": delays_of(np.arange(1, 1_000, dtype=np.int64) * 1_000_000)},
        timelines={"events that wait": (Point(0.0, 1.0), Point(1.0, 0.0))},
    )
    drawn = plots.draw(result(delays, scenario="latency"), tmp_path / "latency")
    assert [path.name for path in drawn] == [
        "latency-delays.svg",
        "latency-delays.png",
        "latency-time.svg",
        "latency-time.png",
    ]
    assert plots.draw(result(turn(1, 1)), tmp_path / "bars")[0].name == "bars-bars.svg"
