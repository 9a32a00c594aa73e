"""A broker with fresh topics for every test of the doctor."""

import pytest

from stream.testbed.local import Cluster
from tests.filter.harness import Broker


@pytest.fixture
def broker(kafka: Cluster) -> Broker:
    """The session's cluster, with wurao's topics made anew."""
    broker = Broker(kafka.bootstrap)
    broker.delete_topics()
    broker.create_topics()
    return broker
