"""The topics as Strimzi's topic operator makes them: `deploy/kubernetes/kafka/topics.yaml`, from the table that
`wurao topics create` follows.
"""

from typing import Final

import yaml

from stream.config import TopicsConfig
from stream.kafka.topics import EXPECTED

TARGET: Final = "deploy/kubernetes/kafka/topics.yaml"

TOPICS: Final = TopicsConfig(partitions=12, replication=3)
"""Twelve partitions feed twelve workers at most, for life; three replicas, so that one broker may be away."""

IN_SYNC_MIN: Final = 2
"""Of three: an acknowledged record is on two disks."""


def render() -> str:
    """One KafkaTopic for each topic."""
    head = (
        "# Made by `python -m deploy` from stream/kafka/topics.py: change it there.\n"
        "# The number of partitions is for life (DESIGN section 3): choose it in deploy/topics.py before the first "
        "start.\n"
    )
    return head + yaml.safe_dump_all((_topic(name) for name in EXPECTED), sort_keys=False)


def _topic(name: str) -> dict[str, object]:
    expected = EXPECTED[name]
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": "wurao"}},
        "spec": {
            "topicName": name,
            "partitions": expected.partitions(TOPICS),
            "replicas": TOPICS.replication,
            "config": {**expected.settings_by(TOPICS), "min.insync.replicas": str(IN_SYNC_MIN)},
        },
    }
