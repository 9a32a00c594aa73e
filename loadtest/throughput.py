"""Events a second of one filter worker, beside a pass-through and a plain program: same broker, same
events, same run.

Every program is a process of its own that reads all waiting events in a new group and puts its answers into
a topic. It is watched from outside: records in that topic, and the processor time that the kernel has
charged to the process. Start and end of a run are left out (joining a group, the last batches). Programs
take turns, so that a slow moment of a shared machine does not hit one alone; the median of the turns is the
figure.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from loadtest.rig import PARTITIONS, Offsets, Rig, note
from stream.demo.processes import FilterError, FilterProcess, cpu_s
from stream.kafka import guard
from stream.model.topics import DECISIONS, EVENTS_SMS

LOOK_EVERY_S: Final = 0.1
LEFT_OUT: Final = 0.05
"""The part of the events at each end that is not measured."""

RUN_S_MAX: Final = 20.0
"""A slow program is not waited for to the end: its rate is known by then."""

START_S_MAX: Final = 90.0
STOP_S_MAX: Final = 30.0

PASSTHROUGH_TOPIC: Final = "bench.passthrough"
PLAIN_TOPIC: Final = "bench.plain"


class Turn(msgspec.Struct, frozen=True):
    """One program's one run: what was measured of it."""

    events_count: int
    wall_s: float
    cpu_s: float

    @property
    def per_cpu_s(self) -> float:
        """Events per second of processor time of the process."""
        return self.events_count / self.cpu_s

    @property
    def per_wall_s(self) -> float:
        """Events per second of the clock: what the broker and others left it."""
        return self.events_count / self.wall_s


class Measured(msgspec.Struct, frozen=True):
    """A program and its turns."""

    program: str
    turns: tuple[Turn, ...]

    @property
    def per_cpu_s(self) -> float:
        """The median."""
        return statistics.median(turn.per_cpu_s for turn in self.turns)

    @property
    def per_wall_s(self) -> float:
        """The median."""
        return statistics.median(turn.per_wall_s for turn in self.turns)

    @property
    def spread(self) -> float:
        """The distance of the slowest and the fastest turn, per CPU-second, in parts of the median."""
        rates = [turn.per_cpu_s for turn in self.turns]
        return (max(rates) - min(rates)) / self.per_cpu_s


class Program(Protocol):
    """Something that can be measured."""

    def start(self) -> None:
        """Start it."""

    def pid(self) -> int | None:
        """The process that does the work, once there is one."""

    def stop(self) -> object:
        """End it."""


class FilterWorker:
    """The filter, of which the one worker is measured; its supervisor idles."""

    def __init__(self, process: FilterProcess) -> None:
        self._process = process
        self.start = process.start
        self.stop = process.stop

    def pid(self) -> int | None:
        """The worker."""
        self._process.check()
        return next(iter(self._process.worker_pids), None)


class Peer:
    """One of `loadtest.peers`, under a guard."""

    def __init__(self, module: str, rig: Rig, target: str, *options: str) -> None:
        self._log = rig.directory / f"{module}.log"
        self._command = [
            sys.executable, "-m", f"loadtest.peers.{module}",
            "--group", rig.group(), "--events-topic", EVENTS_SMS, "--decisions-topic", target,
            "--partitions", str(PARTITIONS), *options,
        ]  # fmt: skip
        self._environment = {**os.environ, **rig.settings}
        self._guard: subprocess.Popen[str] | None = None
        self._pid = 0

    def start(self) -> None:
        """Start it."""
        watch = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(STOP_S_MAX), str(self._log)]
        self._guard = subprocess.Popen(
            [*watch, *self._command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        self._pid = int(self._guard.stdout.readline())

    def pid(self) -> int | None:
        """The process."""
        assert self._guard is not None
        if self._guard.poll() is not None:
            raise FilterError(f"{' '.join(self._command)} ended: {self._log.read_text(encoding='utf-8')[-2000:]}")
        return self._pid

    def stop(self) -> None:
        """End it."""
        if self._guard is None or self._guard.stdin is None or self._guard.stdout is None:
            return
        if self._guard.poll() is None and self._pid:
            os.kill(self._pid, signal.SIGTERM)
        self._guard.stdin.close()
        self._guard.wait()
        self._guard.stdout.close()


async def compare(rig: Rig, *, events_count: int, turns: int) -> tuple[Measured, ...]:
    """Measure all programs, by turns. The filter is first: its snapshot is what the plain program decides from."""
    found: dict[str, list[Turn]] = {}
    for turn in range(1, turns + 1):
        for name, program, target in _programs(rig):
            found.setdefault(name, []).append(await _measure(rig, program, target, events_count))
            latest = found[name][-1]
            note(
                f"turn {turn}: {name:<24}{latest.per_cpu_s:10,.0f} per CPU-second {latest.per_wall_s:10,.0f} per second"
            )
    return tuple(Measured(name, tuple(measured)) for name, measured in found.items())


FILTER: Final = "wurao filter, 1 worker"
PASSTHROUGH: Final = "aiokafka pass-through"
PLAIN: Final = "aiokafka plain loop"


class _Entry(NamedTuple):
    name: str
    program: Program
    target: str


def _programs(rig: Rig) -> Iterator[_Entry]:
    """A turn's programs, each made when its turn comes."""
    yield _Entry(FILTER, FilterWorker(rig.filter(os.environ)), DECISIONS)
    yield _Entry(PASSTHROUGH, Peer("passthrough", rig, PASSTHROUGH_TOPIC), PASSTHROUGH_TOPIC)
    yield _Entry(PLAIN, Peer("plain", rig, PLAIN_TOPIC, "--snapshot", str(rig.snapshot)), PLAIN_TOPIC)


class _Look(NamedTuple):
    at_s: float
    cpu_s: float
    produced: int


async def _measure(rig: Rig, program: Program, target: str, events_count: int) -> Turn:
    async with Offsets(rig.config, target) as produced:
        program.start()
        try:
            looks = await _watch(program, produced, events_count)
        finally:
            await asyncio.to_thread(program.stop)
    first, last = looks[0], looks[-1]
    return Turn(last.produced - first.produced, last.at_s - first.at_s, last.cpu_s - first.cpu_s)


async def _watch(program: Program, produced: Offsets, events_count: int) -> Sequence[_Look]:
    """Looks at the program from a little after its beginning to a little before its end."""
    began = time.monotonic()
    looks: list[_Look] = []
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        count, pid = await produced.count(), program.pid()
        taken = cpu_s(pid) if pid else None
        moment = time.monotonic()
        if taken is not None and count >= LEFT_OUT * events_count:
            looks.append(_Look(moment, taken, count))
        if looks and (count >= (1 - LEFT_OUT) * events_count or moment - looks[0].at_s > RUN_S_MAX):
            if len(looks) < 2:
                raise FilterError(f"{events_count:,} events are too few: the program had done all before a second look")
            return looks
        if not looks and moment - began > START_S_MAX:
            raise FilterError(f"a program had put out {count:,} records after {START_S_MAX:.0f} s: see its log")
