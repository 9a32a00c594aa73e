"""The users as Strimzi's user operator makes them: `deploy/kubernetes/kafka/users.yaml`, from the table of rights that
processes, tests and `wurao users create` follow.
"""

from textwrap import fill
from typing import Final

import yaml

from stream.kafka.rights import USERS, Quotas, Right, User

TARGET: Final = "deploy/kubernetes/kafka/users.yaml"


def render() -> str:
    """One KafkaUser for each user, under a comment that says what for."""
    head = (
        "# Made by `python -m deploy` from stream/kafka/rights.py: change it there.\n"
        "# The operator makes a secret of each user's name, with its password. A test starts every component on a "
        "genuine\n# Kafka with exactly these rights, and tries the others.\n"
    )
    return head + "---\n".join(f"{_comment(user.why)}\n{_manifest(user)}" for user in USERS.values())


def _comment(text: str) -> str:
    return fill(text, width=118, initial_indent="# ", subsequent_indent="# ")


def _manifest(user: User) -> str:
    spec: dict[str, object] = {
        "authentication": {"type": "scram-sha-512"},
        "authorization": {"type": "simple", "acls": [_acl(right) for right in user.rights()]},
    }
    if user.quotas is not None:
        spec["quotas"] = _quotas(user.quotas)
    resource = {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "metadata": {"name": user.name, "labels": {"strimzi.io/cluster": "wurao"}},
        "spec": spec,
    }
    return yaml.safe_dump(resource, sort_keys=False, default_flow_style=None, width=118)


def _acl(right: Right) -> dict[str, object]:
    return {
        "resource": {"type": right.resource, "name": right.name, "patternType": right.pattern},
        "operations": list(right.operations),
    }


def _quotas(quotas: Quotas) -> dict[str, int]:
    return {
        "producerByteRate": quotas.producer_bytes,
        "consumerByteRate": quotas.consumer_bytes,
        "requestPercentage": quotas.request_percentage,
    }
