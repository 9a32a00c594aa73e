"""What the registrar's tests share: a broker's topics, made once for the module, and `wurao registrar` as a process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.testbed.local import Cluster
from stream.testbed.processes import WuraoProcess, environment_with, free_ports
from tests.filter.harness import Broker


@pytest.fixture(scope="module")
def topics(kafka: Cluster) -> Broker:
    """The session's cluster, with wurao's topics made anew for the module."""
    broker = Broker(kafka.bootstrap, partitions=4)
    broker.delete_topics()
    broker.create_topics()
    return broker


class RegistrarProcess(WuraoProcess):
    """`wurao registrar` as an operator runs it."""

    def __init__(self, broker: Broker, directory: Path, *words: str) -> None:
        port = free_ports(1)
        self.stores = directory / "stores"
        variables = {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_REGISTRAR__DIRECTORY": str(self.stores),
            "WURAO_REGISTRAR__PORT": str(port),
            "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
        }
        super().__init__(
            [sys.executable, "-m", "stream.cli.main", "registrar", *words],
            environment=environment_with(variables),
            port=port,
            workers=0,
            log=directory / f"registrar-{port}.log",
        )


@pytest.fixture(scope="module")
def registrar(topics: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistrarProcess]:
    """One for the tests of a module that only ask."""
    with RegistrarProcess(topics, tmp_path_factory.mktemp("registrar")) as process:
        yield process.wait_ready()
        assert process.stop() == 0
