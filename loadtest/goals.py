"""What figures should reach: the goals that were set before anything was measured. Pure.

A goal that is not met is shown as such beside its figure, wherever that is printed; it is never left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from loadtest.figures import Result


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure, for all rows whose whole name the pattern `row` matches."""

    scenario: str
    row: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def __str__(self) -> str:
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


GOALS: Final = (
    Goal("throughput", "passthrough", "filter_ratio", at_least=0.6),
    Goal("throughput", "plain", "filter_ratio", at_least=4),
    Goal("throughput", "faust-agent", "filter_ratio", at_least=40),
    Goal("throughput", "quix", "filter_ratio", at_least=2.5),
    Goal("throughput", "bytewax", "filter_ratio", at_least=3),
    Goal("throughput", "kafka-streams", "filter_ratio", at_least=3),
    # 1.8 of 2, per CPU-second: workers, broker and observer share the cores of one machine.
    Goal("scale", "2 workers", "efficiency_ratio", at_least=0.9),
    Goal("scale", ".*", "worker_own_mib", at_most=50),
    Goal("latency", "20,000/s", "acked_p99_ms", at_most=5),
    Goal("latency", "20,000/s", "acked_p999_ms", at_most=25),
    Goal("latency", "half of saturation", "acked_p99_ms", at_most=10),
    Goal("urgent", ".* waiting", "acked_p99_ms", at_most=20),
    Goal("optout-propagation", "expressions", "p50_ms", at_most=50),
    Goal("optout-propagation", "expressions", "p99_ms", at_most=1_000),
    Goal("registry-churn", "expressions, .*", "p99_ms", at_most=1_000),
    Goal("registry-churn", "idle worker", "records_per_cpu_s", at_least=500_000),
    Goal("hostile", ".*, hostile", "p99_ratio", at_most=2),
    Goal("hostile", ".*, hostile.*", "grown_mib", at_most=64),
    Goal("cold-start", "500,000,000 numbers", "first_decision_s", at_most=5),
)


def goal_of(scenario: str, row: str, figure: str) -> Goal | None:
    """The goal of a figure, if it has one."""
    for goal in GOALS:
        if (goal.scenario, goal.figure) == (scenario, figure) and re.fullmatch(goal.row, row):
            return goal
    return None


def judged(result: Result) -> Iterator[tuple[str, str, Goal, float, bool]]:
    """Row, figure, goal, median and whether it is met, for each figure of a result that has a goal."""
    for row, figures in result.rows.items():
        for name, figure in figures.items():
            goal = goal_of(result.scenario, row, name)
            if goal is not None:
                yield row, name, goal, figure.median, goal.met(figure.median)
