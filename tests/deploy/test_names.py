"""No rule, panel or objective names a metric or label that does not exist; no generated file has drifted."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

from deploy.dashboards import BOARDS
from deploy.generate import files
from deploy.objectives import DUTIES, OBJECTIVES, WINDOWS
from stream import metrics as every
from stream.enforce.procedures import terms
from stream.enforce.procedures.terms import TERMS
from stream.metrics import LATENCY_BUCKETS_S, Latency
from tests.deploy.promtool import RULE_FILES

PROCEDURES: Final = Path(terms.__file__).parent

GIVEN: Final = {"job", "instance"}
"""Labels that Prometheus gives to all that it scrapes."""

PROMETHEUS_OWN: Final = {"up": GIVEN, "scrape_duration_seconds": GIVEN}

_SELECTOR = re.compile(r"\b(?P<name>(?:wurao|process|scrape)[_:][\w:]+|up)\b(?:\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_LEGEND = re.compile(r"\{\{(\w+)\}\}")
_STRINGS = re.compile(r'"[^"]*"')


def _of(metric: MetricWrapperBase | Latency) -> dict[str, set[str]]:
    """The series of one metric, and their labels."""
    if isinstance(metric, Latency):
        name, labels = metric._name, {metric._label} if metric._label else set()
        return {f"{name}_bucket": {"le", *labels}, f"{name}_sum": labels, f"{name}_count": labels}
    assert isinstance(metric, Counter | Gauge), metric
    return {metric._name + ("_total" if isinstance(metric, Counter) else ""): set(metric._labelnames)}


def _existing() -> dict[str, set[str]]:
    found: dict[str, set[str]] = dict(PROMETHEUS_OWN)
    for name in dir(every):
        if name.endswith("Metrics"):
            for metric in vars(getattr(every, name)()).values():
                if isinstance(metric, MetricWrapperBase | Latency):
                    found |= _of(metric)
    processes = ProcessCollector(registry=CollectorRegistry())
    for family in processes.collect():
        found |= {sample.name: set() for sample in family.samples}
    for rule in RULES:
        if "record" in rule:
            found[rule["record"]] = {
                label for some in _GROUPING.findall(rule["expr"]) for label in re.findall(r"\w+", some)
            }
    return {name: labels | GIVEN for name, labels in found.items()}


RULES: Final = [
    rule
    for path in RULE_FILES
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
EXISTING: Final = _existing()


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, where it stands, and the labels that its legend names."""

    where: str
    query: str
    legend: str = ""


ASKED: Final = [
    *(Asked(rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES),
    *(Asked(objective.name, objective.query(window)) for objective in OBJECTIVES for window in WINDOWS),
    *(Asked(duty.title, duty.broken) for duty in DUTIES),
    *(
        Asked(f"{board.name}: {panel.title}", query.expr, query.legend)
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
    ),
]


def problems(asked: Asked) -> list[str]:
    """What a query names that does not exist."""
    found, labels = [], set(GIVEN)
    for selector in _SELECTOR.finditer(_STRINGS.sub(lambda text: text.group().replace("wurao_", ""), asked.query)):
        name = selector["name"]
        if name not in EXISTING:
            found.append(f"{asked.where}: there is no metric {name}")
            continue
        labels |= EXISTING[name]
        for label, _ in _MATCHER.findall(selector["matchers"] or ""):
            if label not in EXISTING[name]:
                found.append(f"{asked.where}: {name} has no label {label}")
    named = {label for some in _GROUPING.findall(asked.query) for label in re.findall(r"\w+", some)}
    named |= set(_LEGEND.findall(asked.legend))
    return found + [f"{asked.where}: there is no label {label}" for label in sorted(named - labels)]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_a_query_names_metrics_and_labels_that_exist(asked: Asked) -> None:
    assert problems(asked) == []
    assert _SELECTOR.search(asked.query), "it asks for nothing"


def test_a_name_that_does_not_exist_is_found() -> None:
    assert problems(Asked("here", "sum(rate(wurao_decision_total[5m]))")) == [
        "here: there is no metric wurao_decision_total"
    ]
    assert problems(Asked("here", 'wurao_decisions_total{result="block"}'))
    assert problems(Asked("here", "sum by (verdicts) (wurao_decisions_total)"))
    assert problems(Asked("here", "sum by (verdict) (wurao_decisions_total)", "{{outcome}}"))


def test_buckets_and_terms_that_queries_name_exist() -> None:
    named = [
        dict(_MATCHER.findall(selector["matchers"] or ""))
        for asked in ASKED
        for selector in _SELECTOR.finditer(asked.query)
    ]
    edges = {matchers["le"] for matchers in named if "le" in matchers}
    assert edges, "no query asks for a bucket"
    assert {float(value) for value in edges} <= {*LATENCY_BUCKETS_S}
    assert {str(float(value)) for value in edges} == edges, "Prometheus compares texts"
    about = [(matchers.get("level"), set(matchers["about"].split("|"))) for matchers in named if "about" in matchers]
    clocks = set().union(*(some for level, some in about if level != "decision"))
    assert clocks, "no query asks for a clock"
    assert clocks <= {term.clock for term in TERMS}
    for decision in set().union(*(some for level, some in about if level == "decision")):
        asks = re.compile(rf'Alert\("decision", "{decision}"\)|: Final = "{decision}"')
        assert any(asks.search(path.read_text(encoding="utf-8")) for path in PROCEDURES.glob("*.py")), decision


def test_titles_of_panels_tell_them_apart() -> None:
    assert BOARDS
    for board in BOARDS:
        titles = [panel.title for panel in board.panels]
        assert titles
        assert len(titles) == len(set(titles))


def test_what_is_made_from_the_code_is_what_stands_in_the_repository() -> None:
    made = files()
    assert made
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} has drifted: run `python -m deploy`"
