"""The services of the compose file, as processes of this machine or in containers of the image."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from stream.testbed.processes import WuraoProcess, environment_with, wurao_command
from tests.deploy import image
from tests.deploy.manifests import DEPLOY, seconds
from tests.deploy.workloads import ComposeService

Where = Literal["process", "container"]

_ADDRESSES = {"WURAO_METRICS__HOST": "127.0.0.1", "WURAO_API__HOST": "127.0.0.1"}
_PLACES = {
    "WURAO_API__TOKENS_FILE": str(DEPLOY / "own" / "api-tokens"),
    "WURAO_CONNECTOR__CONTACTS_FILE": str(DEPLOY / "own" / "contacts.toml"),
}
"""Where files stand outside a container."""


class ServiceProcess(WuraoProcess):
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
        settings: Mapping[str, str],
    ) -> None:
        self._service = service
        self._container = f"wurao-test-{name}-{ports[name]}" if where == "container" else ""
        replaced = _ADDRESSES if self._container else _ADDRESSES | _PLACES
        variables = {
            **{one: replaced.get(one, value) for one, value in service.variables.items()},
            "WURAO_METRICS__PORT": str(ports["filter"]),
            "WURAO_REGISTRAR__PORT": str(ports["registrar"]),
            "WURAO_ENFORCE__PORT": str(ports["enforce"]),
            "WURAO_API__PORT": str(ports["api"]),
            "WURAO_WATCH__PORT": str(ports["watch"]),
            "WURAO_CONNECTOR__PORT": str(ports["notify"]),
            "WURAO_AUDIT__PORT": str(ports["audit"]),
            **settings,
        }
        if self._container:
            command = image.run(service, name=self._container, variables=variables)
        else:
            variables["WURAO_REGISTRY__SNAPSHOTS"] = str(folder / "snapshots")
            variables["WURAO_REGISTRAR__DIRECTORY"] = str(folder / "registrar")
            command = wurao_command(*service.command)
        super().__init__(
            command,
            environment=environment_with(variables),
            port=ports[name],
            log=folder / f"{name}.log",
            workers=2 if name == "filter" else 0,
        )

    def check_health(self) -> None:
        """Ask as the compose file does, from within the container, at the port that it has here."""
        assert self._service.healthcheck is not None
        _, *command, _ = self._service.healthcheck.test
        asked = image.ask("exec", self._container, *command, str(self.port))
        assert asked.returncode == 0, asked.stderr

    def ended_in_time(self) -> int:
        """Its exit code, within the time that the compose file gives it."""
        return self.ended(within_s=seconds(self._service.stop_grace_period))

    def kill(self) -> None:
        """The end of a test, however it went."""
        if self._container and self.poll() is None:
            image.ask("rm", "--force", self._container)
        super().kill()
