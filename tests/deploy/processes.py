"""The services of the compose file, as processes of this machine or in containers of the image."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.deploy import image
from tests.deploy.manifests import DEPLOY, seconds
from tests.deploy.workloads import ComposeService
from tests.patience import LONG_S

READY_S_MAX = LONG_S

Where = Literal["process", "container"]

_ADDRESSES = {"WURAO_METRICS__HOST": "127.0.0.1", "WURAO_API__HOST": "127.0.0.1"}
_PLACES = {
    "WURAO_API__TOKENS_FILE": str(DEPLOY / "own" / "api-tokens"),
    "WURAO_CONNECTOR__CONTACTS_FILE": str(DEPLOY / "own" / "contacts.toml"),
}
"""Where files stand outside a container."""


class ServiceProcess:
    """One service: the compose file's command and variables, but for addresses and ports.

    A process finds its files elsewhere, too.
    """

    def __init__(
        self,
        name: str,
        service: ComposeService,
        folder: Path,
        *,
        where: Where,
        ports: Mapping[str, int],
        login: Mapping[str, str],
    ) -> None:
        self.name = name
        self.port = ports[name]
        self._service = service
        self._log = folder / f"{name}.log"
        self._container = f"wurao-test-{name}-{self.port}" if where == "container" else ""
        inherited = {one: value for one, value in os.environ.items() if not one.startswith("WURAO_")}
        replaced = _ADDRESSES if self._container else _ADDRESSES | _PLACES
        settings = {one: replaced.get(one, value) for one, value in service.variables.items()}
        own_ports = {
            "WURAO_METRICS__PORT": str(ports["filter"]),
            "WURAO_ENFORCE__PORT": str(ports["enforce"]),
            "WURAO_API__PORT": str(ports["api"]),
            "WURAO_WATCH__PORT": str(ports["watch"]),
            "WURAO_CONNECTOR__PORT": str(ports["notify"]),
            "WURAO_AUDIT__PORT": str(ports["audit"]),
        }
        variables = {**settings, **own_ports, **login}
        if self._container:
            command = image.run(service, name=self._container, variables=variables)
        else:
            variables["WURAO_REGISTRY__SNAPSHOTS"] = str(folder / "snapshots")
            command = [sys.executable, "-m", "stream.cli.main", *service.command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**inherited, **variables},
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
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=LONG_S) as answer:
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

    def check_health(self) -> None:
        """Ask as the compose file does, from within the container, at the port that it has here."""
        assert self._service.healthcheck is not None
        _, *command, _ = self._service.healthcheck.test
        asked = image.ask("exec", self._container, *command, str(self.port))
        assert asked.returncode == 0, asked.stderr

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
            if self._container:
                image.ask("rm", "--force", self._container)
            self._process.kill()
            self._process.wait()
