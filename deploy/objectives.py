"""The objectives: what wurao promises its operators, each with the query that measures it and what may be missed.

One table. From it come the recording rules and the alerts on budgets (`deploy/prometheus/objectives.rules.yml`) and
the page that people read (`docs/slo.md`), so that neither can say what the other does not.

Two kinds. An `Objective` has a budget over 30 days, and alerts that ring when it is spent too fast, by two windows and
a burn rate (Site Reliability Workbook, chapter 5): the long window says that it matters, the short one that it still
goes on. A `Duty` has none: one event is too many, and a plain alert in `alerts.rules.yml` tells of each.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import yaml

TARGET: Final = "deploy/prometheus/objectives.rules.yml"

WINDOW_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Burn:
    """One speed of spending: `rate` 1 spends the budget in just the 30 days."""

    rate: float
    long: str
    short: str
    severity: str
    spends: str
    """what is gone when it fires: rate × long window ÷ 30 days"""


BURNS: Final = (
    Burn(14.4, "1h", "5m", "page", "2% of the month's budget in an hour"),
    Burn(6, "6h", "30m", "page", "5% of the month's budget in six hours"),
    Burn(1, "3d", "6h", "ticket", "10% of the month's budget in three days"),
)

WINDOWS: Final = ("5m", "30m", "1h", "6h", "3d")
"""Every window that some burn reads, shortest first."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise with a budget. `bad` is the PromQL of the share that broke it, with WINDOW where a window goes."""

    name: str
    title: str
    promise: str
    alert: str
    summary: str
    bad: str
    percent: str
    """how much must keep it, as people write it"""
    excluded: str

    @property
    def budget(self) -> float:
        """The share that may break it."""
        return round(1 - float(self.percent) / 100, 6)

    def record(self, window: str) -> str:
        """The name of the recorded share."""
        return f"wurao:{self.name}:ratio_{window}"

    def query(self, window: str) -> str:
        """What is recorded."""
        return self.bad.replace("WINDOW", window)

    def condition(self, burn: Burn) -> str:
        """When a burn's alert fires."""
        limit = f"{burn.rate:g} * {self.budget:g}"
        return f"{self.record(burn.long)} > {limit} and {self.record(burn.short)} > {limit}"


@dataclass(frozen=True, slots=True)
class Duty:
    """A promise without a budget: how many broke it in a window, and the alert that fires for one."""

    title: str
    promise: str
    alert: str
    broken: str
    excluded: str


OBJECTIVES: Final = (
    Objective(
        name="decision_late",
        title="Decisions in time",
        promise="Of all decisions, 99.9% are acknowledged by the broker within 200 ms of the event's record "
        "timestamp, which is the time limit of a call.",
        alert="WuraoLatencyBudgetBurns",
        summary="Decisions come later than 200 ms too often",
        bad='1 - sum(rate(wurao_decision_latency_seconds_bucket{le="0.2"}[WINDOW]))'
        " / (sum(rate(wurao_decision_latency_seconds_count[WINDOW])) > 0)",
        percent="99.9",
        excluded="Nothing: a backlog after an outage counts, since its gateways did not wait. Where a gateway sets the "
        "record timestamp, its clock is part of the figure.",
    ),
    Objective(
        name="filter_away",
        title="The filter is available",
        promise="During 99.95% of the time some worker is ready: its registry loaded and fresh, the broker within "
        "reach. A single ready worker takes over the partitions of the others.",
        alert="WuraoAvailabilityBudgetBurns",
        summary="The filter is unavailable too often",
        bad="avg_over_time(wurao:filter_away[WINDOW])",
        percent="99.95",
        excluded="Time in which Prometheus itself was down.",
    ),
    Objective(
        name="refusal_late",
        title="A refusal is applied within a second",
        promise="During 99.9% of the time every worker has applied every expression that is a second old or older.",
        alert="WuraoRefusalInForceBudgetBurns",
        summary="Expressions of subscribers are applied later than a second too often",
        bad="avg_over_time(wurao:refusal_late[WINDOW])",
        percent="99.9",
        excluded="The time until an expression is in its topic (a reply waits for its turn in `events.reply`). It "
        "is sampled at each scrape, so a delay between two scrapes is not seen. Time without any worker belongs to "
        "the objective before this one.",
    ),
    Objective(
        name="clocks_late",
        title="A violator is stopped within the time set",
        promise="During 99% of the time every clock of the control plane is processed within a minute: when the "
        "grace of a measure ends, its order is written then, and is applied by the objective before this one.",
        alert="WuraoViolatorStopBudgetBurns",
        summary="Clocks of the control plane are processed late too often",
        bad="avg_over_time(wurao:clocks_late[WINDOW])",
        percent="99",
        excluded="The time set itself (the grace of each measure, docs/procedures.md), and the time until a notice "
        "has reached the party: WuraoNoticesFail covers that.",
    ),
)


def _counted(counter: str) -> str:
    """How many in the window. A counter that is new in it counts whole: `increase` does not see its first event."""
    window = f"{WINDOW_DAYS}d"
    return f"sum(({counter} unless {counter} offset {window}) or increase({counter}[{window}])) or vector(0)"


DUTIES: Final = (
    Duty(
        title="No delivery to somebody who refused",
        promise="None, ever. `wurao audit` keeps a registry of its own and makes every decision again.",
        alert="WuraoDeliveredAgainstRefusal",
        broken=_counted("wurao_audit_violations_total"),
        excluded="Decisions that the audit cannot judge, since the registry as it stood is no longer known "
        '(`outcome="unknown"`); WuraoAuditBlind fires when they are more than one in a hundred.',
    ),
    Duty(
        title="No complaint's term is missed",
        promise="None: forwarded within 3 working days, answered within 3 more, reported within 15 (Articles 29-31).",
        alert="WuraoTermMissed",
        broken=_counted('wurao_enforce_alerts_total{level="breach",about=~"forward|answer|report"}'),
        excluded="Nothing. WuraoTermEndsSoon fires a day before, or three.",
    ),
)


def _records() -> Iterator[Mapping[str, str]]:
    for objective in OBJECTIVES:
        for window in WINDOWS:
            yield {"record": objective.record(window), "expr": objective.query(window)}


def _alerts() -> Iterator[Mapping[str, str | Mapping[str, str]]]:
    for objective in OBJECTIVES:
        for burn in BURNS:
            yield {
                "alert": objective.alert,
                "expr": objective.condition(burn),
                "labels": {"severity": burn.severity, "burn": f"{burn.rate:g}"},
                "annotations": {
                    "summary": objective.summary,
                    "description": f"At this speed: {burn.spends}. Of the last {burn.long} "
                    "{{ $value | humanizePercentage }} broke the objective; "
                    f"{objective.percent}% must keep it over {WINDOW_DAYS} days.",
                    "runbook": f"docs/runbooks/{objective.alert}.md",
                },
            }


def render() -> str:
    """The rules file."""
    groups = [
        {"name": "wurao-budgets-recorded", "interval": "30s", "rules": list(_records())},
        {"name": "wurao-budgets", "rules": list(_alerts())},
    ]
    head = (
        "# Made by `python -m deploy` from deploy/objectives.py: change it there.\n"
        "# Records: the share that broke each objective, over five windows. Alerts: it is spent too fast.\n"
    )
    return head + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=118)
