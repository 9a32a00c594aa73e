"""wurao's processes as an operator runs them, each told by its endpoint and its log."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from stream.testbed.processes import WuraoProcess, environment_with, free_ports, wurao_command
from tests.filter.harness import Broker
from tests.patience import LONG_S

REQUEST_TIMEOUT_MS = 10_000


class Process(WuraoProcess):
    """One of wurao's processes, and what it has logged."""

    def __init__(
        self, name: str, broker: Broker, directory: Path, *, command: Sequence[str] = (), **settings: str
    ) -> None:
        port = free_ports(3)
        variables = {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_KAFKA__REQUEST_TIMEOUT_MS": str(REQUEST_TIMEOUT_MS),
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_REGISTRY__SNAPSHOTS": str(directory / f"snapshots-{name}"),
            "WURAO_REGISTRAR__DIRECTORY": str(directory / f"stores-{name}"),
            "WURAO_FILTER__WORKERS": "2",
            "WURAO_FILTER__GROUP": f"wurao-filter-{name}",
            "WURAO_METRICS__PORT": str(port),
            **{
                f"WURAO_{section}__PORT": str(port)
                for section in ("REGISTRAR", "ENFORCE", "WATCH", "CONNECTOR", "AUDIT")
            },
            "WURAO_CONNECTOR__CONTACTS_FILE": str(directory / "contacts.toml"),
            **settings,
        }
        environment, log = environment_with(variables), directory / f"{name}.log"
        super().__init__(wurao_command(*(command or [name])), environment=environment, port=port, log=log)

    def lines(self) -> list[dict[str, object]]:
        """What it has logged. Fails for a line that is no JSON."""
        found: list[dict[str, object]] = []
        for line in self.log.splitlines():
            assert line.startswith("{"), f"{self.name} logged a plain line: {line}"
            found.append(json.loads(line))
        return found

    def workers_started(self) -> list[tuple[object, object]]:
        """The runs of a filter's workers, which each names as it starts. One that died would be followed by another."""
        return [(line["worker"], line["epoch_run"]) for line in self.lines() if line["event"] == "registry loaded"]

    def tail(self) -> str:
        return self.log[-6_000:]


def wait_until(reached: Callable[[], bool], processes: Sequence[Process], *, within_s: float = LONG_S) -> None:
    """Wait for what is to come, as long as all live."""
    deadline = time.monotonic() + within_s
    while not reached():
        for one in processes:
            assert one.poll() is None, f"{one.name} ended with {one.poll()}:\n{one.tail()}"
        assert time.monotonic() < deadline, "\n".join(
            f"--- {one.name}: {one.get('/readyz')}{one.tail()}" for one in processes
        )
        time.sleep(0.1)
