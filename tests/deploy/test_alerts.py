"""The alerts: each fires when it should and stays silent when it should not, by Prometheus' own tool."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.objectives import OBJECTIVES
from tests.deploy.promtool import RULE_FILES, run, scenario_file
from tests.deploy.scenarios import HEALTHY, SCENARIOS

TEMPLATE_LABEL = re.compile(r"\$labels\.(\w+)")


def _alerts() -> list[dict[str, dict[str, str]]]:
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


ALERTS = _alerts()
assert ALERTS, "there is no alert in the rules: tests of all of them would say nothing"


def test_prometheus_takes_the_rules() -> None:
    checked = run(["check", "rules", *map(str, RULE_FILES)])
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("every_minutes", [2, 4, 20])
def test_each_scenario_fires_its_alerts_and_no_others(every_minutes: int, tmp_path: Path) -> None:
    some = [scenario for scenario in SCENARIOS if scenario.every_minutes == every_minutes]
    file = tmp_path / "scenarios.yml"
    file.write_text(scenario_file(some, HEALTHY), encoding="utf-8")
    tested = run(["test", "rules", str(file)])
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_a_scenario_in_which_it_fires() -> None:
    wanted = {(str(rule["alert"]), rule["labels"].get("burn")) for rule in ALERTS}
    fired = {(one.alert, one.labels.get("burn")) for scenario in SCENARIOS for one in scenario.fires}
    assert fired == wanted
    assert SCENARIOS[0].changes == {}, "the first is the healthy deployment, in which all are silent"
    assert SCENARIOS[0].fires == ()


def test_every_alert_says_how_grave_it_is_what_it_means_and_where_its_runbook_is() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}, rule["alert"]
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['alert']}.md"


def test_what_an_alert_says_names_only_labels_that_it_has() -> None:
    has = {one.alert: one.labels.keys() for scenario in SCENARIOS for one in scenario.fires}
    for rule in ALERTS:
        texts = " ".join(rule["annotations"].values())
        assert set(TEMPLATE_LABEL.findall(texts)) <= has[str(rule["alert"])], rule["alert"]


def test_every_objective_rings_at_three_speeds_each_over_a_long_window_and_a_short_one() -> None:
    assert OBJECTIVES
    for objective in OBJECTIVES:
        rings = [rule for rule in ALERTS if str(rule["alert"]) == objective.alert]
        assert [rule["labels"]["burn"] for rule in rings] == ["14.4", "6", "1"]
        for rule, windows in zip(rings, (("1h", "5m"), ("6h", "30m"), ("3d", "6h")), strict=True):
            assert all(f":ratio_{window} > " in str(rule["expr"]) for window in windows)
