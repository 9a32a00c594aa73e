"""A steady load while something runs: the generator's process seen from here, and an observer beside it."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from loadtest.acked import Buckets, acknowledged, grown
from loadtest.child import begin_soon, child
from loadtest.environment import note
from loadtest.generator import Job, Sent
from loadtest.observer import Observer, delays_ns
from loadtest.pool import Mix, Pool, pool
from loadtest.schedule import NS_PER_S, Schedule, Step
from loadtest.stage import Stage, filtering
from stream.testbed.processes import FilterProcess

WARM_UP_S: Final = 2.0
"""The beginning of a load, which is sent and not counted: connections, first fetches, caches."""

ANSWERS_S_MAX: Final = 60.0

SETTLE_RATE: Final = 20_000
SETTLE_S: Final = 45.0
"""A broker that was started a minute ago is still compiling what it runs, on the cores that are measured: of 20,000
events a second the slowest hundredth took 33 ms in its first half minute, 19 in its second and 15 in its third."""


Meanwhile = Callable[[Observer, int], Coroutine[object, object, None]]
"""Runs beside a load: it is given the observer, and the moment (monotonic ns) at which the load begins."""


async def settle_broker(stage: Stage) -> None:
    """Load a broker that was started for this run until it has compiled what it runs; a quick look does without."""
    if not stage.rig.ground.ours or stage.options.quick:
        return
    note(f"{SETTLE_S:.0f} s of {SETTLE_RATE:,} events a second, until the broker has settled")
    async with filtering(stage, name="filter-settling") as process:
        await put(stage, process, mix="sms", steps=(Step(SETTLE_RATE, SETTLE_S),), prefix="settle")


@dataclass(slots=True)
class Load:
    """A load that has been sent and answered, or not."""

    schedule: Schedule
    events: Pool
    sent: Sent
    begin_ns: int
    seen_ns: NDArray[np.int64]
    duplicates: int
    acked: Buckets
    """event due → decision acknowledged, as the workers counted them from the warm-up on"""
    observer_cpu_share: float
    """of a core: this process while the load lasted"""

    def delays_ns(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """The delays of these events that were answered, from the moment they were due; how many were not."""
        return delays_ns(self.seen_ns[numbers], self.begin_ns + self.schedule.at_ns(numbers))

    def numbers(self, *, from_s: float = WARM_UP_S) -> NDArray[np.int64]:
        """The events due from that moment on, all of them where the load was too short for a warm-up."""
        first = self.schedule.due(from_s) if _has_warm_up(self.schedule, from_s) else 0
        return np.arange(first, self.schedule.count)


def _has_warm_up(schedule: Schedule, from_s: float = WARM_UP_S) -> bool:
    return schedule.seconds > 2 * from_s


async def put(
    stage: Stage,
    process: FilterProcess,
    *,
    mix: Mix,
    steps: Sequence[Step],
    prefix: str,
    meanwhile: Sequence[Meanwhile] = (),
    lane: str = "bulk",
    answers_s_max: float = ANSWERS_S_MAX,
) -> Load:
    """Send a load to a filter, watch it answered, and wait for the last answer within a limit.

    `meanwhile` are given the observer and the beginning, and run until all is answered. `lane` is the one whose
    acknowledgements are looked at.
    """
    rig, schedule = stage.rig, Schedule(steps)
    job = Job(
        prefix=prefix,
        mix=mix,
        steps=tuple(steps),
        partitions=rig.partitions,
        sample_now=stage.registry.now,
        refusals_count=stage.options.refusals_count,
        core=rig.generator_core,
    )
    async with (
        Observer(rig.config, prefix=prefix, count=schedule.count) as observer,
        child("loadtest.generator", job, rig.settings) as generator,
    ):
        begin_ns = begin_soon()
        await generator.begin(begin_ns)
        warm_ns = begin_ns + int(WARM_UP_S * NS_PER_S) * _has_warm_up(schedule)
        warm = asyncio.create_task(_look_at(warm_ns, process, lane))
        watching = [asyncio.create_task(one(observer, begin_ns)) for one in meanwhile]
        cpu_s = time.process_time()
        try:
            sent = await generator.report(Sent)
            observer_cpu_share = (time.process_time() - cpu_s) / sent.wall_s
            await observer.wait(schedule.count, limit_s=answers_s_max)
            acked = grown(await warm, await acknowledged(process, lane=lane))
        finally:
            for task in (*watching, warm):
                task.cancel()
            await asyncio.gather(*watching, warm, return_exceptions=True)
        events = pool(stage.registry, mix, prefix=prefix, partitions=rig.partitions)
        return Load(schedule, events, sent, begin_ns, observer.seen_ns, observer.duplicates, acked, observer_cpu_share)


async def _look_at(moment_ns: int, process: FilterProcess, lane: str) -> Buckets:
    await asyncio.sleep(max(0.0, (moment_ns - time.monotonic_ns()) / NS_PER_S))
    return await acknowledged(process, lane=lane)
