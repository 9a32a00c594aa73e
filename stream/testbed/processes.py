"""`wurao filter` as a process of its own, and what any process costs: for demo and benches, on Linux.

The filter runs under the same guard as a local broker: it ends when whoever started it ends, however that
happens, and no terminal's signals reach it. Its log goes to a file. Nothing here touches another process.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from stream.testbed import guard

READY_S_MAX: Final = 120.0
"""A first start reads the whole registry and writes a snapshot of it before it is ready."""

DRAIN_S_MAX: Final = 30.0
"""A drain's own bound and the goodbyes of a worker's clients, and some more."""

READY_EVERY_S: Final = 0.05
ANSWER_S_MAX: Final = 5.0

# Below the range from which the kernel takes ports for outgoing connections.
_PORTS: Final = range(21_000, 32_000)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_MIB: Final = 1 << 20


class FilterError(Exception):
    """The filter did not do what it was started for: what happened, and where its log is."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has taken so far: memory now, processor time in all."""

    rss_mib: float
    pss_mib: float
    """its own memory and its share of what it shares: these add up over processes"""
    own_mib: float
    """what it shares with nobody: so much each further process takes"""
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """The samples of `/metrics`: name → (labels, value) of its samples."""

    samples: Mapping[str, tuple[tuple[Mapping[str, str], float], ...]]

    @classmethod
    def of(cls, text: str) -> "Scrape":
        """Read Prometheus' text format."""
        found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for one in family.samples:
                found.setdefault(one.name, []).append((one.labels, float(one.value)))
        return cls({name: tuple(samples) for name, samples in found.items()})

    def total(self, name: str, **labels: str) -> float:
        """The sum over all samples of a name that carry these labels; 0 where there is none."""
        return sum(
            value
            for carried, value in self.samples.get(name, ())
            if all(carried.get(label) == wanted for label, wanted in labels.items())
        )

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """A histogram, over all series that carry these labels: upper edge → how many were not above it."""
        found: defaultdict[float, float] = defaultdict(float)
        for carried, value in self.samples.get(f"{name}_bucket", ()):
            if all(carried.get(label) == wanted for label, wanted in labels.items()):
                found[float(carried["le"])] += value
        return dict(found)


def quantile_of(buckets: Mapping[float, float], q: float) -> float | None:
    """The upper edge of the bucket in which a quantile lies; None for an empty histogram."""
    whole = max(buckets.values(), default=0.0)
    return min((edge for edge, count in buckets.items() if count >= q * whole), default=None) if whole else None


def usage(pid: int) -> Usage | None:
    """What a process has taken, from /proc; None once it is gone. The kernel walks its pages: not for every moment."""
    try:
        memory = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    taken = cpu_s(pid)
    kib = {line.split(":")[0]: int(line.split()[1]) for line in memory.splitlines()[1:]}
    if taken is None or "Rss" not in kib:
        return None
    own = kib["Private_Clean"] + kib["Private_Dirty"]
    return Usage(kib["Rss"] * 1024 / _MIB, kib["Pss"] * 1024 / _MIB, own * 1024 / _MIB, taken)


def cpu_s(pid: int) -> float | None:
    """The processor time that a process has taken, its threads' together, in seconds; None once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # utime and stime: fields 14 and 15 of proc(5)


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports of 127.0.0.1 that nobody listens on just now."""
    first = _PORTS.start + (os.getpid() * 16) % (len(_PORTS) // 2)
    for base in range(first, _PORTS.stop - count, count):
        try:
            for port in range(base, base + count):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return base
    raise FilterError(f"no {count} neighbouring ports are free on 127.0.0.1 between {first} and {_PORTS.stop}")


class FilterProcess:
    """One host's filter. `environment` holds its `WURAO_*` settings; it serves its metrics from `port` on."""

    def __init__(self, environment: Mapping[str, str], *, workers: int, log: Path) -> None:
        self.workers = workers
        self.log = log
        self.port = free_ports(workers + 1)
        self._environment = {**environment, "WURAO_METRICS__HOST": "127.0.0.1"}
        self._environment["WURAO_METRICS__PORT"] = str(self.port)
        self._guard: subprocess.Popen[str] | None = None
        self.pid = 0

    def start(self) -> None:
        """Start it, under its guard."""
        watch = [
            sys.executable,
            "-I",
            "-S",
            guard.__file__,
            str(os.getpid()),
            str(DRAIN_S_MAX),
            str(self.log),
        ]
        command = [sys.executable, "-m", "stream.cli.main", "filter", "--workers", str(self.workers)]
        self._guard = subprocess.Popen(
            [*watch, *command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: we then end it in good order
        )
        assert self._guard.stdout is not None
        # Left open until the end: a signal may interrupt us here, and the guard is to find a reader all the same.
        self.pid = int(self._guard.stdout.readline() or 0)
        if not self.pid:
            raise FilterError(f"`wurao filter` was not started by its guard; its log is {self.log}")

    async def wait_ready(self) -> None:
        """Wait until all workers decide. Raises `FilterError`, with the log's end, where they do not."""
        deadline = time.monotonic() + READY_S_MAX
        while await self.get("/readyz") != "ready\n":
            self.check()
            if time.monotonic() > deadline:
                raise FilterError(f"`wurao filter` was not ready within {READY_S_MAX:.0f} s. {self.last_words()}")
            await asyncio.sleep(READY_EVERY_S)

    def check(self) -> None:
        """Raise `FilterError` if it has ended."""
        if self._guard is not None and self._guard.poll() is not None:
            raise FilterError(f"`wurao filter` ended with exit code {self._guard.returncode}. {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, and where the whole stands."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:] if self.log.exists() else []
        quoted = "\n".join(f"    {line[:400]}" for line in lines) or "    (it is empty)"
        return f"The last lines of its log:\n{quoted}\nThe whole log is {self.log}"

    @property
    def addresses(self) -> list[str]:
        """Where it serves: the supervisor first, then each worker."""
        return [f"http://127.0.0.1:{self.port + index}" for index in range(self.workers + 1)]

    @property
    def worker_pids(self) -> list[int]:
        """The workers that run."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [int(pid) for pid in children.split()]

    async def get(self, path: str, *, worker: int = 0) -> str | None:
        """What an endpoint answers (`worker` 0 is the supervisor), or None where nobody answers."""
        limit = aiohttp.ClientTimeout(total=ANSWER_S_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.get(f"{self.addresses[worker]}{path}") as answer,
            ):
                return await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def scrape(self, worker: int) -> Scrape | None:
        """What a worker's metrics say (workers count from 1); None where it does not answer."""
        text = await self.get("/metrics", worker=worker)
        return None if text is None else Scrape.of(text)

    def stop(self) -> int:
        """Drain and end it; returns its exit code. Does nothing when it was stopped before."""
        guarding, self._guard = self._guard, None
        if guarding is None:
            return 0
        if guarding.poll() is None and self.pid:
            os.kill(self.pid, signal.SIGTERM)  # its guard holds the id, so it is still its own
            with suppress(subprocess.TimeoutExpired):
                guarding.wait(DRAIN_S_MAX)
        assert guarding.stdin is not None
        assert guarding.stdout is not None
        guarding.stdin.close()  # the guard ends whatever is left
        code = guarding.wait()
        guarding.stdout.close()
        return code
