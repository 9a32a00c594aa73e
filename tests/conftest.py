"""What all tests share: one genuine Kafka, started for the first test that asks and ended with the last."""

import os
from collections.abc import Iterator

import pytest

from stream.kafka.local import Cluster, ExistingKafka, LocalKafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[Cluster]:
    """A genuine Kafka, shared by all tests: they make topics and groups of their own names.

    WURAO_KAFKA__BOOTSTRAP names a cluster that runs already; without it a broker is started on this machine.
    """
    existing = os.environ.get("WURAO_KAFKA__BOOTSTRAP")
    if existing:
        yield ExistingKafka(existing)
        return
    with LocalKafka() as local:
        yield local
