"""A broker with fresh topics for every test, and a configuration that points at it."""

from pathlib import Path

import pytest

from stream.config import Config
from stream.testbed.local import Cluster
from tests.api.house import config_for
from tests.filter.harness import Broker


@pytest.fixture
def broker(kafka: Cluster) -> Broker:
    """The session's cluster, with wurao's topics made anew."""
    broker = Broker(kafka.bootstrap)
    broker.delete_topics()
    broker.create_topics()
    return broker


@pytest.fixture
def config(broker: Broker, tmp_path: Path) -> Config:
    return config_for(broker, tmp_path)
