"""`wurao registrar` for tests: of its own, and of whatever asks it."""

from pathlib import Path

from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.filter.harness import Broker


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
            wurao_command("registrar", *words),
            environment=environment_with(variables),
            port=port,
            log=directory / f"registrar-{port}.log",
        )
