"""Programs that can be measured: the filter, and those of `loadtest.peers`, each a process of its own.

All are measured from outside: by the records in their output topic, and by the CPU time that the kernel has charged
to them. Each runs under a guard, so that none outlives the measurement.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from loadtest.cluster import LoadtestError
from loadtest.environment import Rig
from loadtest.peers import PEERS, Peer
from stream import config as configuration
from stream.model.topics import DECISIONS, EVENTS_SMS
from stream.testbed.processes import FilterProcess, GuardedProcess, cpu_s, environment_with

LOG_LINES_QUOTED: Final = 4

FILTER: Final = "filter"
FILTER_PYTHON: Final = "filter-python"
FILTER_EXACTLY_ONCE: Final = "filter-exactly-once"
"""Its records are counted by offsets, as all programs' are: transaction markers count too, one in some thousands."""
FILTER_UNCOMPRESSED: Final = "filter-uncompressed"
"""It does not compress its decisions: that saves the codec's work, and sends several times the bytes."""
NATIVE: Final = "native"
"""The setting of `filter` that chooses between the native path and the Python path."""


class CannotRun(Exception):
    """A program that does not start here: its last output, and how to correct it."""


class FilterProgram:
    """The filter. Its workers are measured; its supervisor idles."""

    target: Final = DECISIONS
    """the topic that it writes to"""

    def __init__(self, process: FilterProcess) -> None:
        self._process = process
        self.start = process.start
        self.stop = process.stop

    def pids(self) -> Sequence[int]:
        """The running workers, without the process that makes the base, which is a child of the supervisor as well."""
        self._process.check()
        return self._process.worker_pids()


class Report(msgspec.Struct, frozen=True):
    """What a peer reports at its end: the time from its first event to the last acknowledgement."""

    events: int
    wall_s: float
    cpu_s: float
    passes: int = 1
    """over all events; the Java peers make several, until the JIT compiler has settled, and report a settled one"""
    settled: bool = True


class PeerProgram(GuardedProcess):
    """A peer, under a guard: it ends when it has decided `stop_at` events, is asked to, or when this process ends."""

    def __init__(self, peer: Peer, rig: Rig, *, stop_at: int) -> None:
        self.target = topic_of(peer.name)
        self._peer = peer
        command = [
            *peer.command,
            "--bootstrap", rig.config.kafka.bootstrap,
            "--group", rig.group(),
            "--events-topic", EVENTS_SMS,
            "--decisions-topic", self.target,
            "--partitions", str(rig.partitions),
            "--stop-at", str(stop_at),
            "--snapshot", str(rig.snapshot),
        ]  # fmt: skip
        environment = environment_with(rig.settings)
        super().__init__(command, environment=environment, log=rig.directory / f"{peer.name}.log")

    def start(self) -> None:
        """Start it. Raises `CannotRun` where it is not set up."""
        if self._peer.missing:
            raise CannotRun(self._peer.missing)
        self.log_file.unlink(missing_ok=True)
        super().start()

    def report(self) -> Report:
        """Its report. Raises `CannotRun`, with its last lines of output, where it gave none."""
        lines = self.log.splitlines()
        try:
            report = msgspec.json.decode(lines[-1] if lines else "", type=Report)
        except msgspec.MsgspecError:
            quoted = " / ".join(line[:200] for line in lines[-LOG_LINES_QUOTED:]) or "no output"
            raise CannotRun(f"{self._peer.name} ended by itself: {quoted}") from None
        if not report.events or not report.cpu_s:
            raise CannotRun(f"{self._peer.name} decided nothing in the time it had")
        return report


def topic_of(name: str) -> str:
    """Where a peer puts its decisions: a topic of its own, so that its records can be counted."""
    return f"loadtest.{name}"


def names() -> tuple[str, ...]:
    """Every program there is, the filter first."""
    python = (FILTER_PYTHON,) if NATIVE in configuration.FilterConfig.__struct_fields__ else ()
    return (FILTER, *python, FILTER_EXACTLY_ONCE, FILTER_UNCOMPRESSED, *PEERS)


def chosen(peers: Sequence[str]) -> tuple[str, ...]:
    """The filter, always the first, and the peers asked for (none: all). Raises `LoadtestError`."""
    unknown = [name for name in peers if name not in names()]
    if unknown:
        raise LoadtestError(f"no program is called {', '.join(unknown)}: choose from {', '.join(names())}")
    return tuple(dict.fromkeys((FILTER, *(peers or names()))))


def filter_program(name: str, rig: Rig, *, workers: int = 1, group: str | None = None) -> FilterProgram:
    """A filter, not yet started, configured as the name says, in a new consumer group or the given one."""
    settings = {
        **native("off" if name == FILTER_PYTHON else "auto"),
        "WURAO_FILTER__DELIVERY": "exactly-once" if name == FILTER_EXACTLY_ONCE else "at-least-once",
        **({"WURAO_FILTER__COMPRESSION": "none"} if name == FILTER_UNCOMPRESSED else {}),
    }
    return FilterProgram(rig.filter(workers=workers, name=name, settings=settings, group=group))


def native(choice: str) -> Mapping[str, str]:
    """The setting that chooses the filter's path, where this version has one."""
    known = NATIVE in configuration.FilterConfig.__struct_fields__
    return {"WURAO_FILTER__NATIVE": choice} if known else {}


def cpu_of(pids: Sequence[int]) -> float:
    """The processor time of some processes together, seconds; one that is gone counts nothing."""
    return sum(cpu_s(pid) or 0.0 for pid in pids)
