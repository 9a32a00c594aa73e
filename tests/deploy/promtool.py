"""Debian's `promtool`, asked about our rules: scenarios in, the alerts that fire out.

A scenario is a healthy deployment with some series changed, and the exact set of alerts that fire at its end. So each
alert is shown to stay silent in every scenario but its own.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.patience import LONG_S

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
RULE_FILES = tuple(sorted(RULES.glob("*.rules.yml")))

_GROUPS = sorted(
    (group["name"] for path in RULE_FILES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]),
    key=lambda name: name not in ("wurao-now", "wurao-budgets-recorded"),
)
"""Every group of rules, those that record first."""

SAMPLES_PER_MINUTE = 2


def promtool() -> str:
    """The tool's path; skips the test where it is not installed."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: `apt-get install prometheus` brings it")
    return found


def line(*pieces: tuple[float, float], start: float = 0) -> str:
    """A series in promtool's notation: pieces of (slope per minute, minutes), one after the other."""
    value, said = start, []
    for slope, minutes in pieces:
        count = round(minutes * SAMPLES_PER_MINUTE)
        step = slope / SAMPLES_PER_MINUTE
        said.append(f"{value:.10g}+{step:.10g}x{count - 1}")
        value += step * count
    return " ".join(said)


def level(*pieces: tuple[float | None, float]) -> str:
    """A gauge: pieces of (value or None for absent, minutes)."""
    return " ".join(
        f"_x{round(minutes * SAMPLES_PER_MINUTE)}"
        if value is None
        else f"{value:.10g}+0x{round(minutes * SAMPLES_PER_MINUTE) - 1}"
        for value, minutes in pieces
    )


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that fires, and its labels but for the name."""

    alert: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its series."""
        labels = {"alertname": self.alert, "alertstate": "firing", **self.labels}
        return "ALERTS{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, and what fires at the end of it (None as a series: it is not there)."""

    name: str
    changes: Mapping[str, str | None]
    fires: tuple[Firing, ...] = ()
    minutes: int = 80

    @property
    def every_minutes(self) -> int:
        """How often rules are evaluated: promtool takes some 75 µs a rule, and there are many scenarios."""
        return 2 if self.minutes <= 80 else 4 if self.minutes <= 480 else 20


def scenario_file(scenarios: Sequence[Scenario], healthy: Mapping[str, str]) -> str:
    """The file for `promtool test rules`, of scenarios with one `every_minutes`.

    `healthy` gives each series with MINUTES where its length goes.
    """
    tests = []
    for scenario in scenarios:
        series = {name: text for name, text in healthy.items() if name not in scenario.changes}
        series = {name: _lengthen(text, scenario.minutes) for name, text in series.items()}
        series |= {name: text for name, text in scenario.changes.items() if text is not None}
        tests.append(
            {
                "name": scenario.name,
                "interval": "30s",
                "input_series": [{"series": name, "values": text} for name, text in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'ALERTS{alertstate="firing"}',
                        "eval_time": f"{scenario.minutes - scenario.every_minutes}m",
                        "exp_samples": [{"labels": firing.text, "value": 1} for firing in scenario.fires],
                    }
                ],
            }
        )
    whole = {
        "rule_files": [str(path) for path in RULE_FILES],
        "group_eval_order": _GROUPS,  # else any, and an alert would now and then see what was recorded a round before
        "evaluation_interval": f"{scenarios[0].every_minutes}m",
        "tests": tests,
    }
    return yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=10_000)


def _lengthen(text: str, minutes: float) -> str:
    return text.replace("MINUTES", str(round(minutes * SAMPLES_PER_MINUTE) - 1))


def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run promtool; its output goes into the assertion."""
    return subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False, timeout=LONG_S)
