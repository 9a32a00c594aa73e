"""What all tests share: one genuine Kafka, begun for the first that asks, and fresh topics for each that asks."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from stream.testbed.local import Cluster, ExistingKafka, LocalKafka
from tests.filter.harness import Broker

# How quickly examples are made tells about the machine that day, and not about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# A shell ignores Ctrl-C for what it runs in the background, and what that starts inherits it: tests that send SIGINT
# would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def broker(kafka: Cluster) -> Broker:
    """The session's cluster, with wurao's topics made anew."""
    broker = Broker(kafka.bootstrap)
    broker.delete_topics()
    broker.create_topics()
    return broker
