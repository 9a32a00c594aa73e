"""The jars that a genuine Kafka broker runs on: found here, or fetched once and checked.

`deploy/kafka/jgo.toml` names them by Maven coordinates, `deploy/kafka/jgo.lock.toml` holds the SHA-256 of
each. `jgo` resolves and fetches them without a Java build tool. They are kept in one folder per user and lock
file, so all checkouts share them and a second run needs no network.

Promises: a class path that is returned holds exactly the jars of the lock file, each with its checksum. Only
fetching touches the network, says so on stderr, and is tried only when jgo's own cache cannot serve.
"""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import msgspec

_CHECKOUT = Path(__file__).parents[2] / "deploy" / "kafka"
_INSTALLED = ("share", "wurao", "kafka")
_COMPLETE = "complete"
_FETCH_LIMIT_S = 600


class LocalKafkaError(RuntimeError):
    """A local Kafka could not be made to run; the message says what, where the log is, and the mend."""


class _Jar(msgspec.Struct, frozen=True, rename="camel"):
    """One jar of the lock file."""

    artifact_id: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        return f"{self.artifact_id}-{self.version}.jar"


class _Lock(msgspec.Struct, frozen=True):
    """What we read of the lock file."""

    dependencies: tuple[_Jar, ...]


def definition(name: str) -> Path:
    """The file `name` of `deploy/kafka`: from the checkout, or else from the data of the installed
    distribution.
    """
    if (_CHECKOUT / name).is_file():
        return _CHECKOUT / name
    try:
        recorded = files("wurao") or []
    except PackageNotFoundError:
        recorded = []
    for entry in recorded:
        if entry.parts[-4:] == (*_INSTALLED, name):
            return Path(str(entry.locate()))
    raise LocalKafkaError(
        f"{name} is neither in {_CHECKOUT} nor among the files of the installed wurao: reinstall wurao"
    )


def cache() -> Path:
    """The folder of this lock file's jars, whether or not they are there yet."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(definition("jgo.lock.toml").read_bytes()).hexdigest()
    return home / "wurao" / f"kafka-{digest[:12]}"


def class_path() -> str:
    """The jars of the lock file as a Java class path; fetches them first when they are not there.

    Raises LocalKafkaError when they are neither here nor to be had.
    """
    folder = cache()
    if not (folder / _COMPLETE).exists():
        with _alone(folder.parent):
            # Another process may have fetched them while this one waited for its turn.
            if not (folder / _COMPLETE).exists():
                _fill(folder)
    return os.pathsep.join(str(jar) for jar in sorted(folder.rglob("*.jar")))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold off every other process that would fill the same cache."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(folder: Path) -> None:
    """Fetch the jars beside `folder`, check them, and only then give them its name."""
    if importlib.util.find_spec("jgo") is None:
        raise LocalKafkaError(
            f"Kafka's jars are not in {folder} and jgo, which fetches them, is not installed:"
            " pip install 'wurao[kafka]', or set WURAO_KAFKA__BOOTSTRAP to a cluster that runs"
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as scratch:
        for name in ("jgo.toml", "jgo.lock.toml"):
            shutil.copy(definition(name), scratch)
        if _sync(Path(scratch), "--offline") is not None:
            print(f"wurao: fetching Kafka's jars (about 50 MB, once) into {folder}", file=sys.stderr, flush=True)
            problem = _sync(Path(scratch))
            if problem is not None:
                raise LocalKafkaError(
                    f"Kafka's jars are not in {folder} and could not be fetched: {problem}."
                    " Connect this machine once and try again, copy that folder from a machine that has it,"
                    " or set WURAO_KAFKA__BOOTSTRAP to a cluster that runs"
                )
        jars = Path(scratch) / ".jgo"
        _check(jars)
        (jars / _COMPLETE).touch()
        shutil.rmtree(folder, ignore_errors=True)
        jars.rename(folder)


def _sync(folder: Path, *options: str) -> str | None:
    """Let jgo resolve `folder/jgo.toml` into `folder/.jgo`; None when it did, else its last words."""
    # Copies, not links: what was checked must not change when another tool cleans up its own cache.
    command = [
        sys.executable,
        "-m",
        "jgo",
        "--resolver",
        "python",
        "--links",
        "copy",
        "--color",
        "plain",
        *options,
    ]
    done = subprocess.run(
        [*command, "sync"], cwd=folder, capture_output=True, text=True, timeout=_FETCH_LIMIT_S, check=False
    )
    if done.returncode == 0:
        return None
    output = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return output[-1].strip(" .") if output else f"jgo ended with exit code {done.returncode}"


def _check(folder: Path) -> None:
    """Compare the jars below `folder` with the lock file, both ways."""
    lock = msgspec.toml.decode(definition("jgo.lock.toml").read_bytes(), type=_Lock)
    wanted = {jar.name: jar.sha256 for jar in lock.dependencies}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.rglob("*.jar")}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise LocalKafkaError(
            f"{len(wrong)} of Kafka's jars differ from jgo.lock.toml ({', '.join(wrong[:3])}): delete them"
            " from the local Maven repository and try again; if that does not help, do not trust their source"
        )
