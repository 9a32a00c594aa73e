"""The rules as the Prometheus operator takes them: `deploy/kubernetes/base/prometheusrule.yaml`, of all rule files."""

from pathlib import Path
from typing import Final

import yaml

from deploy import objectives

TARGET: Final = "deploy/kubernetes/base/prometheusrule.yaml"

_FOLDER: Final = Path(__file__).parent / "prometheus"
WRITTEN: Final = ("recording.rules.yml", "alerts.rules.yml")
"""Those that people write; the objectives' are made from their table."""


def render() -> str:
    """All groups in one PrometheusRule."""
    texts = [(_FOLDER / name).read_text(encoding="utf-8") for name in WRITTEN] + [objectives.render()]
    groups = [group for text in texts for group in yaml.safe_load(text)["groups"]]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "wurao"},
        "spec": {"groups": groups},
    }
    head = "# Made by `python -m deploy` from deploy/prometheus/*.rules.yml and deploy/objectives.py: change them.\n"
    return head + yaml.safe_dump(rule, sort_keys=False, allow_unicode=True, width=118)
