"""wurao's processes as an operator runs them, each told by its endpoint and its log."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.filter.harness import Broker, _free_ports
from tests.patience import LONG_S

REQUEST_TIMEOUT_MS = 10_000


class Process:
    """One of wurao's processes, and what it has logged."""

    def __init__(
        self, name: str, broker: Broker, directory: Path, *, command: Sequence[str] = (), **settings: str
    ) -> None:
        self.name = name
        self.port = _free_ports(3)
        self._log = directory / f"{name}.log"
        variables = {one: value for one, value in os.environ.items() if not one.startswith("WURAO_")}
        variables |= {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_KAFKA__REQUEST_TIMEOUT_MS": str(REQUEST_TIMEOUT_MS),
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_REGISTRY__SNAPSHOTS": str(directory / f"snapshots-{name}"),
            "WURAO_FILTER__WORKERS": "2",
            "WURAO_FILTER__GROUP": f"wurao-filter-{name}",
            "WURAO_METRICS__PORT": str(self.port),
            **{f"WURAO_{section}__PORT": str(self.port) for section in ("ENFORCE", "WATCH", "CONNECTOR", "AUDIT")},
            "WURAO_CONNECTOR__CONTACTS_FILE": str(directory / "contacts.toml"),
            **settings,
        }
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli.main", *(command or [name])], env=variables, stdout=log, stderr=log
            )

    def lines(self) -> list[dict[str, object]]:
        """What it has logged. Fails for a line that is no JSON."""
        found: list[dict[str, object]] = []
        for line in self._log.read_text(encoding="utf-8").splitlines():
            assert line.startswith("{"), f"{self.name} logged a plain line: {line}"
            found.append(json.loads(line))
        return found

    def readiness(self) -> str:
        """What `/readyz` answers; empty where nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=3) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())
        except OSError:
            return ""

    @property
    def is_ready(self) -> bool:
        return self.readiness() == "ready\n"

    def workers(self) -> list[tuple[object, object]]:
        """The runs of a filter's workers, which each names as it starts. One that died would be followed by another."""
        return [(line["worker"], line["epoch_run"]) for line in self.lines() if line["event"] == "registry loaded"]

    def tail(self) -> str:
        return self._log.read_text(encoding="utf-8")[-6_000:]


def wait_until(reached: Callable[[], bool], processes: Sequence[Process], *, within_s: float = LONG_S) -> None:
    """Wait for what is to come, as long as all live."""
    deadline = time.monotonic() + within_s
    while not reached():
        for one in processes:
            assert one.process.poll() is None, f"{one.name} ended with {one.process.returncode}:\n{one.tail()}"
        assert time.monotonic() < deadline, "\n".join(
            f"--- {one.name}: {one.readiness()}{one.tail()}" for one in processes
        )
        time.sleep(0.1)
