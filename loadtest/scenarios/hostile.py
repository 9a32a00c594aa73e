"""Hostile events beside good ones, through two workers: nobody dies, nobody grows, good ones are not held up.

Both paths, each in runs that belong together. First what two workers do of good events alone while generator and
observer share their cores (*saturation*); then a quiet run at half of it; then, with a filter of its own, the same rate
with hostile events for one in twenty of all. These come in rounds, each of which is accounted for before the next:
every bad event has its dead letter, by place, with its reason and its bytes; every other has its decision; and every
good event has the decision that the same event had in the quiet run. Last, the same filter gets hostile events alone,
as fast as it takes them. What a round has been accounted for the broker may drop, so that no disk fills.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from numpy.typing import NDArray

from loadtest.child import begin_soon, child
from loadtest.environment import Rig, note
from loadtest.figures import Point, Row, Taken
from loadtest.generator import Job, Sent
from loadtest.hostile_load import HostileAccount, HostileJob, KindAccount
from loadtest.latency import Delays, added, delays_of
from loadtest.load import ANSWERS_S_MAX, settle_broker
from loadtest.observer import Observer, delays_ns
from loadtest.options import RunOptions
from loadtest.pool import SIZE
from loadtest.programs import cpu_of
from loadtest.schedule import NS_PER_S, Schedule, Step
from loadtest.stage import Stage, filtering, set_stage
from stream.kafka import clients, topics
from stream.model.topics import DEAD_LETTER, DECISIONS, EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT
from stream.testbed.processes import FilterProcess, restart_peak, rss_mib

HOSTILE_SHARE: Final = 0.05
"""Of all events."""
OVERLOAD: Final = {"native": 400_000, "python": 80_000}
"""Events a second that no two cores do beside a generator: what comes out of them is the saturation."""
OVERLOAD_S: Final = 6.0
PYTHON_SHARE: Final = 10
"""The Python path gets one in so many of the hostile events that the native one gets."""
ROUND_MAX: Final = 500_000
"""Hostile events of a round: both ends keep the place of each until it is accounted for."""
ROUND_S_MAX: Final = 60.0
WARM_UP_S: Final = 2.0
WARM_UP_RATE: Final = 5_000
WEIGH_EVERY_S: Final = 2.0
KEPT_BYTES: Final = {EVENTS_SMS: 256 << 20, EVENTS_CALL: 128 << 20, EVENTS_REPLY: 128 << 20, EVENTS_URGENT: 128 << 20,
                     DECISIONS: 128 << 20, DEAD_LETTER: 2 << 30}  # fmt: skip
"""What a partition keeps: more than waits at any time."""
SEGMENT_BYTES: Final = 32 << 20


class Answers:
    """What each event of a pool is answered: the same whenever it comes, whoever else sends."""

    def __init__(self, size: int) -> None:
        self._numbers: dict[str, int] = {}
        self._expected: NDArray[np.int64] = np.zeros(size, dtype=np.int64)

    def wrong_count(self, reason_of: NDArray[np.uint8], reasons: Mapping[int, str]) -> int:
        """How many of a load's events were answered otherwise than before; what is new is taken note of.

        `reason_of` and `reasons` are an observer's.
        """
        table = np.zeros(len(reasons) + 1, dtype=np.int64)
        for number, reason in reasons.items():
            table[number] = self._numbers.setdefault(reason, len(self._numbers) + 1)
        found = table[reason_of]
        shots = np.arange(len(found)) % len(self._expected)
        answered = found > 0
        unknown = answered & (self._expected[shots] == 0)
        self._expected[shots[unknown]] = found[unknown]
        return int((found[answered] != self._expected[shots[answered]]).sum())


@dataclass(frozen=True, slots=True)
class Round:
    """Good events, hostile ones or both, and what became of them."""

    sent: Sent | None
    good_count: int
    wall_s: float
    """from its beginning to the last answer"""
    delays: Delays
    undecided_count: int
    wrong_count: int
    repeated_count: int
    account: HostileAccount | None
    hostile_undecided_count: int


@dataclass(slots=True)
class Run:
    """A filter of two workers through some rounds."""

    name: str
    pids: Sequence[int]
    rounds: list[Round] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0
    peaks_mib: tuple[float, ...] = ()
    deaths_count: int = 0
    weights: list[Point] = field(default_factory=list)

    def row(self) -> Row:
        """Its figures."""
        accounts = [one.account for one in self.rounds if one.account is not None]
        kinds = [kind for account in accounts for kind in account.kinds.values()]
        good = sum(one.good_count for one in self.rounds)
        row = {"events_count": float(good), "hostile_count": float(sum(kind.sent for kind in kinds))}
        if good:
            loads = [one.sent for one in self.rounds if one.sent is not None]
            row["events_per_s"] = good / sum(load.wall_s for load in loads)
            row |= self.delays.figures
            row["generator_late_p99_ms"] = max(load.late_p99_ms for load in loads)
        if accounts:
            # Beside good events they are sent at a rate; alone, the filter's pace is what counts.
            spent_s = sum(account.sent_s if good else account.wall_s for account in accounts)
            row["hostile_per_s"] = row["hostile_count"] / spent_s
            row["hostile_mib"] = sum(account.bytes_count for account in accounts) / (1 << 20)
            row["letters_count"] = float(sum(kind.letters for kind in kinds))
        return row | {
            "peak_mib": max(self.peaks_mib),
            "worker_cpu_share": self.cpu_s / self.wall_s,
            **{f"{name}_count": float(count) for name, count in self.faults().items()},
        }

    def faults(self) -> Mapping[str, int]:
        """What must not be: all of it 0. Of delivery at least once, what comes twice is no fault, and is counted."""
        accounts = [one.account for one in self.rounds if one.account is not None]

        def total(figure: str) -> int:
            return sum(account.total(figure) for account in accounts)

        return {
            "undecided": sum(one.undecided_count for one in self.rounds),
            "decided_otherwise": sum(one.wrong_count for one in self.rounds),
            "hostile_undecided": sum(one.hostile_undecided_count for one in self.rounds),
            "letters_missing": total("missing"),
            "letters_unexplained": total("unexplained"),
            "letters_needless": total("needless") + sum(account.strangers_count for account in accounts),
            "letters_twice": total("repeated"),
            "decided_twice": sum(one.repeated_count for one in self.rounds),
            "deaths": self.deaths_count,
        }

    @property
    def delays(self) -> Delays:
        """Those of the good events, of all rounds together."""
        return added(one.delays for one in self.rounds)


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Both paths in each turn."""
    stage = await set_stage(rig, options)
    await _let_go(rig)
    await settle_broker(stage)
    for turn in range(1, options.repeat + 1):
        runs: list[Run] = []
        rows: dict[str, Row] = {}
        for path, hostile, alone in (
            ("native", options.hostile_count, options.alone_count),
            ("python", options.hostile_count // PYTHON_SHARE, options.alone_count // PYTHON_SHARE),
        ):
            some = [one async for one in _runs(stage, path, hostile=hostile, alone=alone, turn=turn)]
            runs += some
            rows |= _rows(some)
        yield Taken(
            rows=rows,
            delays={one.name: one.delays for one in runs if one.delays.count},
            timelines={"the larger worker's memory, MiB": tuple(runs[1].weights)},  # the first beside the quiet one
            notes=tuple(_notes(runs)),
            sound=not any(count for one in runs for name, count in one.faults().items() if not name.endswith("twice")),
        )


def _rows(runs: Sequence[Run]) -> dict[str, Row]:
    """The figures of runs on one path; of those after the first also what they are beside it, the quiet one."""
    rows = {one.name: one.row() for one in runs}
    quiet, *others = rows.values()
    for row in others:
        if "p99_ms" in row:
            row["p99_ratio"] = row["p99_ms"] / quiet["p99_ms"]
        row["grown_mib"] = row["peak_mib"] - quiet["peak_mib"]
    return rows


def _notes(runs: Sequence[Run]) -> list[str]:
    """How many there were of each kind."""
    kinds: dict[str, KindAccount] = {}
    for account in (one.account for run in runs for one in run.rounds if one.account is not None):
        for name, kind in account.kinds.items():
            known = kinds.setdefault(name, KindAccount())
            for figure in KindAccount.__struct_fields__:
                setattr(known, figure, getattr(known, figure) + getattr(kind, figure))
    faulty = [f"{name}: {kind}" for name, kind in kinds.items() if kind.missing or kind.unexplained or kind.needless]
    counts = ", ".join(f"{name} {kind.sent:,}" for name, kind in sorted(kinds.items(), key=lambda one: -one[1].sent))
    return [f"Hostile events of all runs by kind: {counts}.", *faulty]


async def _runs(stage: Stage, path: str, *, hostile: int, alone: int, turn: int) -> AsyncIterator[Run]:
    """The quiet run, the hostile one, and hostile events alone."""
    tester = Tester(stage, path, turn)
    rate = stage.options.rates[0] or await tester.half_of_saturation()
    async with tester.filter("quiet") as run:
        await tester.load(run, rate=rate, seconds=stage.options.seconds)
    yield run
    if hostile:
        async with tester.filter("hostile") as run:
            hostile_rate = max(1, round(rate * HOSTILE_SHARE / (1 - HOSTILE_SHARE)))
            for count in _parts(hostile, most=int(min(ROUND_MAX, hostile_rate * ROUND_S_MAX))):
                seconds = count / hostile_rate
                await tester.load(run, rate=rate, seconds=seconds, hostile=count, hostile_rate=hostile_rate)
        yield run
    if alone:
        async with tester.filter("hostile alone") as run:
            for count in _parts(alone, most=ROUND_MAX):
                await tester.load(run, hostile=count)
        yield run


def _parts(count: int, *, most: int) -> Iterator[int]:
    while count > 0:
        yield min(count, most)
        count -= most


class Tester:
    """One path's runs, one after the other."""

    def __init__(self, stage: Stage, path: str, turn: int) -> None:
        self._stage = stage
        self._path = path
        self._turn = turn
        self._loads_count = 0
        self._answers = Answers(SIZE)
        self._process: FilterProcess | None = None

    @asynccontextmanager
    async def filter(self, name: str) -> AsyncIterator[Run]:
        """A filter of its own, which is warm when the block begins, weighed in it, and looked after at its end."""
        log = f"filter-{self._path}-{name.replace(' ', '-')}-{self._turn}"
        path = "auto" if self._path == "native" else "off"
        workers = self._stage.options.workers[0]
        async with filtering(self._stage, workers=workers, name=log, path=path) as process:
            self._process = process
            run = Run(f"{self._path}, {name}", process.worker_pids())
            await self.load(Run("warming up", run.pids), rate=WARM_UP_RATE, seconds=WARM_UP_S)
            for pid in run.pids:
                restart_peak(pid)
            began, cpu_s = time.monotonic(), cpu_of(run.pids)
            weighing = asyncio.create_task(_weigh(run))
            try:
                yield run
            finally:
                weighing.cancel()
            run.wall_s, run.cpu_s = time.monotonic() - began, cpu_of(run.pids) - cpu_s
            run.peaks_mib = tuple(rss_mib(pid, peak=True) or 0.0 for pid in run.pids)
            run.deaths_count = max(len(set(run.pids) - set(process.worker_pids())), process.log.count("worker died"))
        note(f"{run.name}: " + ", ".join(f"{figure} {value:,.4g}" for figure, value in run.row().items() if value))

    async def half_of_saturation(self) -> int:
        """Half of what two workers do of good events while generator and observer share their cores."""
        async with self.filter("saturation") as run:
            await self.load(run, rate=OVERLOAD[self._path], seconds=OVERLOAD_S)
        rate = int(run.rounds[0].good_count / run.rounds[0].wall_s / 2)
        note(f"{self._path}: half of saturation is {rate:,} events a second")
        return rate

    async def load(
        self, run: Run, *, rate: int = 0, seconds: float = 0.0, hostile: int = 0, hostile_rate: int = 0
    ) -> None:
        """Good events at a rate, hostile ones at theirs (0: as fast as it goes), until all is accounted for."""
        rig, process = self._stage.rig, self._process
        assert process is not None
        self._loads_count += 1
        prefix = f"h{self._path[0]}{self._turn}-{self._loads_count}"
        steps = (Step(rate, seconds),) if rate else ()
        good = Schedule(steps).count if steps else 0
        async with AsyncExitStack() as stack:
            observer = await stack.enter_async_context(
                Observer(rig.config, prefix=prefix, count=good + hostile, reasons=True)
            )
            generator = sender = None
            if steps:
                job = Job(
                    prefix=prefix,
                    mix="sms",
                    steps=steps,
                    partitions=rig.partitions,
                    sample_now=self._stage.registry.now,
                    refusals_count=self._stage.options.refusals_count,
                )
                generator = await stack.enter_async_context(child("loadtest.generator", job, rig.settings))
            if hostile:
                hostile_job = HostileJob(
                    prefix=prefix,
                    seed=self._loads_count,
                    first=good,
                    count=hostile,
                    rate=hostile_rate,
                    partitions=rig.partitions,
                )
                sender = await stack.enter_async_context(child("loadtest.hostile_load", hostile_job, rig.settings))
            begin_ns = begin_soon()
            for one in (generator, sender):
                if one is not None:
                    await one.begin(begin_ns)
            sent = await generator.report(Sent) if generator is not None else None
            account = await sender.report(HostileAccount) if sender is not None else None
            wanted = good + (account.decided_count if account is not None else 0)
            await observer.wait(wanted, limit_s=ANSWERS_S_MAX)
            process.check()
            wall_s = (time.monotonic_ns() - begin_ns) / NS_PER_S
            warm = Schedule(steps).due(WARM_UP_S) if good and seconds > 2 * WARM_UP_S else 0
            intended_ns = begin_ns + Schedule(steps).at_ns(np.arange(warm, good)) if good else observer.seen_ns[:0]
            assert observer.reason_of is not None
            found, _ = delays_ns(observer.seen_ns[warm:good], intended_ns)
            run.rounds.append(
                Round(
                    sent=sent,
                    good_count=good,
                    wall_s=wall_s,
                    delays=delays_of(found),
                    undecided_count=int((observer.seen_ns[:good] == 0).sum()),
                    wrong_count=self._answers.wrong_count(observer.reason_of[:good], observer.reasons),
                    repeated_count=observer.duplicates,
                    account=account,
                    hostile_undecided_count=int((observer.seen_ns[good:wanted] == 0).sum()),
                )
            )
        if hostile:
            made = sum(one.account.total("sent") for one in run.rounds if one.account is not None)
            faults = {fault: count for fault, count in run.faults().items() if count}
            note(f"{run.name}: {made:,} hostile events are accounted for; faults: {faults or 'none'}")


async def _weigh(run: Run) -> None:
    """Note what the larger worker takes, now and then."""
    began = time.monotonic()
    while True:
        some = [mib for pid in run.pids if (mib := rss_mib(pid)) is not None]
        if some:
            run.weights.append(Point(time.monotonic() - began, max(some)))
        await asyncio.sleep(WEIGH_EVERY_S)


async def _let_go(rig: Rig) -> None:
    """Let the broker drop what is accounted for, where it is one of our own."""
    if not rig.ground.ours:
        return
    admin = clients.admin(rig.config)
    await admin.start()
    try:
        await admin.alter_configs(
            [
                ConfigResource(
                    ConfigResourceType.TOPIC,
                    topic,
                    configs={
                        **topics.EXPECTED[topic].settings,
                        "retention.bytes": str(kept),
                        "segment.bytes": str(SEGMENT_BYTES),
                    },
                )
                for topic, kept in KEPT_BYTES.items()
            ]
        )
    finally:
        await admin.close()
