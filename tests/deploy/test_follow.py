"""Following runbooks: the rules are shortened as it is said, and each fault is of an alert that there is."""

from pathlib import Path

import pytest
import yaml

from deploy.faults import BAD_POLICY, FAULTS, NEXT_POLICY
from deploy.follow import WINDOW_S_MIN, shortened
from stream.policy.loading import read
from stream.policy.toml import PolicyError
from tests.deploy.promtool import RULE_FILES, run


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("rate(x[30m])", "rate(x[30s])"),
        ("rate(x[5m])", f"rate(x[{WINDOW_S_MIN}s])"),
        ("increase(x[13h] offset 1h)", "increase(x[780s] offset 60s)"),
        ("wurao:x:ratio_5m > 1", "wurao:x:ratio_5m > 1"),
        ("        for: 2m\n", "        for: 2s\n"),
        ("10m of words", "10m of words"),
    ],
)
def test_a_minute_of_a_rule_becomes_a_second(text: str, short: str) -> None:
    assert shortened(text) == short


def test_prometheus_takes_the_shortened_rules(tmp_path: Path) -> None:
    files = [tmp_path / path.name for path in RULE_FILES]
    for path, file in zip(RULE_FILES, files, strict=True):
        file.write_text(shortened(path.read_text(encoding="utf-8")), encoding="utf-8")
    checked = run(["check", "rules", *map(str, files)])
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_fault_is_of_an_alert_and_no_alert_has_two() -> None:
    groups = [group for path in RULE_FILES for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    named = [fault.alert for fault in FAULTS]
    assert set(named) <= alerts
    assert len(set(named)) == len(named)


def test_the_policies_of_the_faults_are_the_one_good_and_the_other_not() -> None:
    assert read(NEXT_POLICY, source="next").version == "cn-2020.3"
    with pytest.raises(PolicyError):
        read(BAD_POLICY, source="bad")
