"""Runbooks: one for each alert, each answering the same questions, none naming what does not exist."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml
from prometheus_client import CollectorRegistry

from stream import metrics
from stream.cli.parser import ORDER

ROOT: Final = Path(__file__).parents[2]
BOOKS: Final = sorted(path for path in (ROOT / "docs" / "runbooks").glob("Wurao*.md"))
RULES: Final = sorted((ROOT / "deploy" / "prometheus").glob("*.rules.yml"))
SECTIONS: Final = (
    "What it means",
    "How to see it",
    "The first five minutes",
    "The mend",
    "How to know it is over",
    "Followed",
)


def _alerts() -> set[str]:
    return {
        rule["alert"]
        for path in RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def _recorded() -> set[str]:
    found = [
        rule["record"]
        for path in RULES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "record" in rule
    ]
    return set(found)


def _metrics() -> set[str]:
    registries = [
        made.registry
        for kind in vars(metrics).values()
        if isinstance(kind, type) and kind.__module__ == metrics.__name__ and kind.__name__.endswith("Metrics")
        for made in [kind()]
    ]
    names: set[str] = set()
    for registry in registries:
        assert isinstance(registry, CollectorRegistry)
        for family in registry.collect():
            names |= {family.name, f"{family.name}_total"}
            if family.type == "histogram":
                names |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
    return names


@pytest.mark.skipif(not RULES, reason="no alerts in deploy/prometheus")
def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    assert {path.stem for path in BOOKS} == _alerts()


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_runbook_answers_every_question(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.stem}\n")
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS
    for body in re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]:
        assert body.strip(), f"{path.stem}: an empty answer"


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_runbook_names_no_metric_rule_command_or_alert_that_does_not_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    unknown = set(re.findall(r"\bwurao_[a-z_]+[a-z]\b", text)) - _metrics()
    assert not unknown
    if RULES:
        assert set(re.findall(r"\bwurao:[a-z_]+:[a-z0-9_]+", text)) <= _recorded()
        assert set(re.findall(r"\bWurao[A-Za-z]+", text)) <= _alerts()
    assert set(re.findall(r"`wurao ([a-z]+)", text)) <= set(ORDER)


def test_the_index_lists_every_runbook_and_says_whether_it_was_followed() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \|.*\| (yes|no) \|$", index, re.MULTILINE))
    assert set(rows) == {path.stem for path in BOOKS}
    for path in BOOKS:
        followed = "Not followed" not in path.read_text(encoding="utf-8")
        assert rows[path.stem] == ("yes" if followed else "no"), path.stem
