"""What the registrar's tests share: a broker's topics, made once for the module, and `wurao registrar` as a process."""

from collections.abc import Iterator

import pytest

from stream.testbed.local import Cluster
from tests.filter.harness import Broker
from tests.registrar.harness import RegistrarProcess


@pytest.fixture(scope="module")
def topics(kafka: Cluster) -> Broker:
    """The session's cluster, with wurao's topics made anew for the module."""
    broker = Broker(kafka.bootstrap, partitions=4)
    broker.delete_topics()
    broker.create_topics()
    return broker


@pytest.fixture(scope="module")
def registrar(topics: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistrarProcess]:
    """One for the tests of a module that only ask."""
    with RegistrarProcess(topics, tmp_path_factory.mktemp("registrar")) as process:
        yield process.wait_ready()
        assert process.stop() == 0
