"""The image that `make image` builds, run by docker or podman with what the compose file gives each service."""

import functools
import shutil
import subprocess
import tomllib
from collections.abc import Iterable

import pytest

from tests.deploy.manifests import DEPLOY
from tests.deploy.workloads import ComposeService
from tests.patience import LONG_S

VERSION = str(tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
IMAGE = f"wurao:{VERSION}"


@functools.cache
def _found() -> str | None:
    for name in ("docker", "podman"):
        if shutil.which(name) is not None:
            command = [name, "run", "--rm", "--pull=never", "--network=none", "--entrypoint=true", IMAGE]
            if subprocess.run(command, capture_output=True, check=False, timeout=LONG_S).returncode == 0:
                return name
    return None


def engine() -> str:
    """Docker or podman, whichever has the image and can run it; skips the test where neither can."""
    found = _found()
    if found is None:
        pytest.skip(f"neither docker nor podman can run {IMAGE} here: `make image` builds it")
    return found


def run(service: ComposeService, *, name: str, variables: Iterable[str]) -> list[str]:
    """How a service is started in a container that shares this machine's network.

    Variables are named here and taken from the environment: no password stands among the arguments.
    """
    mounts = [volume.split(":")[:2] for volume in service.volumes if volume.startswith("./")]
    # Passwords come as variables.
    mounts += [[f"./own/{name}", file] for file, name in service.mounted.items() if name == "api-tokens"]
    return [
        *(engine(), "run", "--rm", f"--name={name}", "--network=host", *limits(service)),
        *(f"--volume={(DEPLOY / source).resolve()}:{target}:ro" for source, target in mounts),
        *(f"--env={variable}" for variable in variables),
        *(IMAGE, *service.command),
    ]


def limits(service: ComposeService) -> list[str]:
    """What the compose file denies a service."""
    return [
        *(["--read-only"] if service.read_only else []),
        *(f"--tmpfs={folder}" for folder in service.tmpfs),
        *(f"--cap-drop={capability}" for capability in service.cap_drop),
        *(f"--security-opt={option.removesuffix(':true')}" for option in service.security_opt),
    ]


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What docker or podman answers."""
    return subprocess.run([engine(), *arguments], capture_output=True, text=True, check=False, timeout=LONG_S)
