"""The services of the compose file, as processes of this machine."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.manifests import DEPLOY, seconds
from tests.deploy.workloads import ComposeService

READY_S_MAX = 90.0

REPLACED = {
    "WURAO_METRICS__HOST": "127.0.0.1",
    "WURAO_API__HOST": "127.0.0.1",
    "WURAO_API__TOKENS_FILE": str(DEPLOY / "own" / "api-tokens"),
    "WURAO_CONNECTOR__CONTACTS_FILE": str(DEPLOY / "own" / "contacts.toml"),
}
"""What differs outside a container: addresses, and where mounted files stand."""


class ServiceProcess:
    """One service: the compose file's command and variables, but for addresses, ports and places of files."""

    def __init__(
        self, name: str, service: ComposeService, folder: Path, *, ports: Mapping[str, int], login: Mapping[str, str]
    ) -> None:
        self.name = name
        self.port = ports[name]
        self._service = service
        self._log = folder / f"{name}.log"
        inherited = {one: value for one, value in os.environ.items() if not one.startswith("WURAO_")}
        settings = {one: REPLACED.get(one, value) for one, value in service.variables.items()}
        places = {
            "WURAO_REGISTRY__SNAPSHOTS": str(folder / "snapshots"),
            "WURAO_METRICS__PORT": str(ports["filter"]),
            "WURAO_ENFORCE__PORT": str(ports["enforce"]),
            "WURAO_API__PORT": str(ports["api"]),
            "WURAO_WATCH__PORT": str(ports["watch"]),
            "WURAO_CONNECTOR__PORT": str(ports["notify"]),
            "WURAO_AUDIT__PORT": str(ports["audit"]),
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli.main", *service.command],
                env={**inherited, **settings, **places, **login},
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return self._log.read_text(encoding="utf-8")

    def get(self, path: str, *, port: int | None = None) -> tuple[int, str]:
        """Status and text of an endpoint; 0 where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, repr(error)

    def wait_ready(self) -> None:
        """Wait until it is alive and at work."""
        deadline = time.monotonic() + READY_S_MAX
        while self.get("/readyz")[0] != 200:
            assert self._process.poll() is None, f"{self.name} ended:\n{self.log[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name}: {self.get('/readyz')}\n{self.log[-3000:]}"
            time.sleep(0.1)
        assert self.get("/healthz")[0] == 200

    def ask_to_end(self) -> None:
        """As a container is asked to; nothing where it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Its exit code, within the time that the compose file gives it."""
        return self._process.wait(timeout=seconds(self._service.stop_grace_period))

    def kill(self) -> None:
        """The end of a test, however it went."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
