"""The machine, as far as figures depend on it. No host names: results are published."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """What the figures were measured on."""

    processor: str
    cores_count: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]
    load_average: float
    """over the last minute, before anything was started: other load spoils wall-clock figures"""

    def __str__(self) -> str:
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.cores_count} cores of {self.processor}, {self.memory_gib:.0f} GiB, {self.system}, "
            f"Python {self.python}; {packages}; load average before: {self.load_average:.1f}"
        )


def describe(*, kafka: str, load_average: float | None = None) -> Machine:
    """The machine that runs this. `kafka` says which broker is measured; the load average is as of now if not given."""
    packages = ("aiokafka", "msgspec", "pyroaring", "uvloop", "numpy")
    return Machine(
        processor=_processor(),
        cores_count=len(os.sched_getaffinity(0)),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        versions={**{name: version(name) for name in packages}, "Kafka": kafka},
        load_average=os.getloadavg()[0] if load_average is None else load_average,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
