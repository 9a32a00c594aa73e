"""The environment of the Python peers that need more packages than the project: `.venv-peers`, made by `make peers`.

It has what `requirements.lock` names; the project's own packages are seen through it and not installed twice. Must
never be needed by the filter, its tests or its demonstration.
"""

import hashlib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

LOCK: Final = Path(__file__).parent / "requirements.lock"
ENVIRONMENT: Final = Path(__file__).parents[2] / ".venv-peers"
PYTHON: Final = ENVIRONMENT / "bin" / "python"
COMPLETE: Final = ENVIRONMENT / "complete"
"""Holds the digest of the lock file that was installed."""


def is_ready() -> bool:
    """Whether `.venv-peers` has what the lock file names."""
    return COMPLETE.exists() and COMPLETE.read_text(encoding="ascii") == _digest()


def has(package: str) -> bool:
    """Whether it is ready and has a package: some have no build for the newest Python."""
    return is_ready() and any(ENVIRONMENT.glob(f"lib/python*/site-packages/{package}"))


def make() -> None:
    """Rebuild `.venv-peers`, unless it is ready. Raises `CalledProcessError`; pip has then said why."""
    if is_ready():
        return
    print("loadtest: installing the peers' packages into .venv-peers (once)", file=sys.stderr, flush=True)
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    subprocess.run([str(PYTHON), *install], check=True)
    # After its own packages, so that those win: the project's, for its decoder, rules and encoder.
    paths = {"base": str(ENVIRONMENT), "platbase": str(ENVIRONMENT)}
    own = Path(sysconfig.get_path("purelib", vars=paths))
    project = sysconfig.get_path("purelib")
    (own / "zz-project.pth").write_text(f"import site; site.addsitedir({project!r})\n", encoding="utf-8")
    COMPLETE.write_text(_digest(), encoding="ascii")


def _digest() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()
