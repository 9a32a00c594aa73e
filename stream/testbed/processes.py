"""One of wurao's commands as a process of its own, and what any process costs: for demo, tests and benches, on Linux.

It runs under the same guard as a local broker: it ends when whoever started it ends, however that happens, and no
terminal's signals reach it. Its log goes to a file. Nothing here touches another process.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

from stream.config import ENVIRONMENT_PREFIX
from stream.testbed import guard

READY_S_MAX: Final = 240.0
"""A first start reads the whole registry and writes a snapshot of it before it is ready."""

END_S_MAX: Final = 240.0
"""How long an end that must come is waited for, on whatever machine."""

DRAIN_S_MAX: Final = 30.0
"""A drain's own bound and the goodbyes of a worker's clients, and some more."""

READY_EVERY_S: Final = 0.05
ANSWER_S_MAX: Final = 30.0
READY: Final = "ready\n"
"""What `/readyz` answers of a process that does its work."""

# Below the range from which the kernel takes ports for outgoing connections. Whoever asks gets sixteen that nobody was
# given before: a process opens its own some time after they were looked for. Two programs seldom begin at one place.
_BASES: Final = range(20_000, 32_000, 16)
_bases = islice(cycle(_BASES), os.getpid() * 37 % len(_BASES), None)
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_MIB: Final = 1 << 20


class ProcessError(Exception):
    """A process of wurao did not do what it was started for: what happened, and where its log is."""


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


def rss_mib(pid: int, *, peak: bool = False) -> float | None:
    """The memory of a process, shared pages too, in MiB: now, or the most since its `restart_peak`; None once gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    wanted = "VmHWM:" if peak else "VmRSS:"
    return next((int(line.split()[1]) * 1024 / _MIB for line in lines if line.startswith(wanted)), None)


def restart_peak(pid: int) -> None:
    """Let the most memory of a process of ours count from now (proc(5), `clear_refs`)."""
    with suppress(FileNotFoundError, ProcessLookupError):
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def free_ports(count: int) -> int:
    """The first of `count` (at most 16) neighbouring ports of 127.0.0.1 that nobody listens on just now."""
    for base in islice(_bases, len(_BASES)):
        try:
            for port in range(base, base + count):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return base
    raise ProcessError(f"no {count} neighbouring ports are free on 127.0.0.1 from {_BASES.start} to {_BASES.stop}")


def wurao_command(*words: str | Path) -> list[str]:
    """The command line of one of wurao's commands."""
    return [sys.executable, "-m", "stream.cli.main", *map(str, words)]


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """Our environment with these `WURAO_*` settings and no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return {**others, **settings}


def http_get(url: str) -> str | None:
    """What an address of this machine answers, whatever its status; None where nobody answers within `ANSWER_S_MAX`."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S_MAX) as answer:  # noqa: S310  # 127.0.0.1
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return None


class GuardedProcess:
    """A process under a guard: started, ended, and what it logs. Everything that waits for it blocks."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.log_file = log
        self.name = log.stem
        self._command = command
        self._environment = environment
        self._guard: subprocess.Popen[str] | None = None
        self.pid = 0
        """0 until it is started"""

    def __enter__(self) -> Self:
        if not self.pid:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, under its guard."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        watch = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(DRAIN_S_MAX), str(self.log_file)]
        self._guard = subprocess.Popen(
            [*watch, *self._command],
            env=dict(self._environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: we then end it in good order
        )
        assert self._guard.stdout is not None
        # Left open until the end: a signal may interrupt us here, and the guard is to find a reader all the same.
        self.pid = int(self._guard.stdout.readline() or 0)
        if not self.pid:
            raise ProcessError(f"{self.name} was not started by its guard; its log is {self.log_file}")

    @property
    def log(self) -> str:
        """Everything it has logged; empty before it is started."""
        return self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.exists() else ""

    def last_words(self) -> str:
        """The end of its log, and where the whole stands."""
        quoted = "\n".join(f"    {line[:400]}" for line in self.log.splitlines()[-12:]) or "    (it is empty)"
        return f"The last lines of its log:\n{quoted}\nThe whole log is {self.log_file}"

    def poll(self) -> int | None:
        """Its exit code (128 + n after signal n), or None while it runs; seen up to 0.2 s after it has ended."""
        return None if self._guard is None else self._guard.poll()

    def check(self) -> None:
        """Raise `ProcessError`, with the log's end, if it has ended or was never started."""
        if self._guard is None:
            raise ProcessError(f"{self.name} was not started")
        if (code := self.poll()) is not None:
            raise ProcessError(f"{self.name} ended with exit code {code}. {self.last_words()}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing where it has ended. Its guard holds the id, so it is still its own."""
        if self.pid and self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ended(self, *, within_s: float = END_S_MAX) -> int:
        """The exit code that it ends with. Raises `ProcessError`, with the log's end, where it still runs."""
        assert self._guard is not None
        try:
            return self._guard.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            raise ProcessError(f"{self.name} still runs after {within_s:.0f} s. {self.last_words()}") from None

    def terminate(self, *, within_s: float = END_S_MAX) -> int:
        """SIGTERM, and the exit code that it ends with."""
        self.signal(signal.SIGTERM)
        return self.ended(within_s=within_s)

    def kill(self) -> None:
        """SIGKILL: it finishes nothing. Does nothing where it has ended or was never started."""
        self.signal(signal.SIGKILL)
        self._close()

    def stop(self) -> int:
        """End it, by request first, and return its exit code. Does nothing where it has ended or was never started."""
        if self._guard is not None and self.poll() is None:
            self.signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(DRAIN_S_MAX)
        return self._close()

    def _close(self) -> int:
        """Let the guard end whatever is left."""
        if self._guard is None:
            return 0
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.close()
        code = self._guard.wait()
        self._guard.stdout.close()
        return code


class WuraoProcess(GuardedProcess):
    """One of wurao's processes, and what it says at its endpoints.

    It serves from `port` on: where it has workers, the supervisor there and each worker at the next ones. Everything
    that asks it something blocks, but for `ready`.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], log: Path, port: int, workers: int = 0
    ) -> None:
        super().__init__(command, environment=environment, log=log)
        self.port = port
        self.workers = workers

    @property
    def addresses(self) -> list[str]:
        """Where it serves: the supervisor first, then each worker."""
        return [f"http://127.0.0.1:{self.port + index}" for index in range(self.workers + 1)]

    def get(self, path: str, *, worker: int = 0) -> str | None:
        """What an endpoint answers, or None: of the supervisor (`worker` 0), a worker, or a process without workers."""
        return http_get(self.addresses[worker] + path)

    @property
    def is_ready(self) -> bool:
        """Whether it says that it does its work."""
        return self.get("/readyz") == READY

    def wait_ready(self) -> Self:
        """Wait until it does its work, all its workers too. Raises `ProcessError`, with the log's end, where not."""
        deadline = time.monotonic() + READY_S_MAX
        while not self.is_ready:
            self._check_time(deadline)
            time.sleep(READY_EVERY_S)
        return self

    async def ready(self) -> None:
        """`wait_ready` for whoever has a loop."""
        deadline = time.monotonic() + READY_S_MAX
        while not await asyncio.to_thread(lambda: self.is_ready):
            self._check_time(deadline)
            await asyncio.sleep(READY_EVERY_S)

    def _check_time(self, deadline: float) -> None:
        self.check()
        if time.monotonic() > deadline:
            raise ProcessError(f"{self.name} was not ready within {READY_S_MAX:.0f} s. {self.last_words()}")

    def scrape(self, *, worker: int = 0) -> Scrape | None:
        """What its metrics say; None where nobody answers."""
        text = self.get("/metrics", worker=worker)
        return None if text is None else Scrape.of(text)

    def metric(self, line_start: str, *, worker: int | None = None) -> float:
        """The sum over the metric lines that begin so, of a worker: unless one is named the first, where there are any.

        A metric whose labels have not occurred yet is 0. Raises `ProcessError` where it has no metric of that name, or
        nobody answers.
        """
        lines = (self.get("/metrics", worker=min(1, self.workers) if worker is None else worker) or "").splitlines()
        found = [line for line in lines if line.startswith(line_start)]
        if not found and not any(line.startswith(f"# TYPE {line_start.partition('{')[0]}") for line in lines):
            raise ProcessError(f"{self.name} shows no metric {line_start!r}. {self.last_words()}")
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def worker_pids(self) -> list[int]:
        """The workers that run. A fold of the registry is a child of the supervisor as well."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [int(pid) for pid in children.split()]


class FilterProcess(WuraoProcess):
    """`wurao filter` in an environment, with a port of its own."""

    def __init__(self, environment: Mapping[str, str], *, workers: int, log: Path) -> None:
        port = free_ports(workers + 1)
        super().__init__(
            wurao_command("filter", "--workers", str(workers)),
            environment={**environment, "WURAO_METRICS__HOST": "127.0.0.1", "WURAO_METRICS__PORT": str(port)},
            port=port,
            workers=workers,
            log=log,
        )
