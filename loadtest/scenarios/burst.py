"""Ten times the usual rate for ten seconds: how long until nothing waits any more, and the worst delay."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

import numpy as np

from loadtest.environment import Rig, note
from loadtest.figures import Point, Taken
from loadtest.latency import delays_of
from loadtest.load import put, settle_broker
from loadtest.observer import Observer
from loadtest.options import RunOptions
from loadtest.scenarios.latency import noticed
from loadtest.schedule import Schedule, Step
from loadtest.stage import filtering, set_stage

TIMES: Final = 10
BURST_S: Final = 10.0
BEFORE_S: Final = 5.0
LOOK_EVERY_S: Final = 0.1
GONE_S: Final = 0.05
"""Lag is gone once what waits is less than this much of the usual rate."""


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """A burst in each turn; `seconds` is how long the usual rate goes on afterwards."""
    stage = await set_stage(rig, options)
    await settle_broker(stage)
    (rate,) = options.rates
    steps = (Step(rate, BEFORE_S), Step(TIMES * rate, BURST_S), Step(rate, options.seconds))
    schedule = Schedule(steps)
    for turn in range(1, options.repeat + 1):
        waiting: list[Point] = []

        async def look(observer: Observer, begin_ns: int, seen: list[Point] = waiting) -> None:
            while True:
                await asyncio.sleep(LOOK_EVERY_S)
                at_s = (time.monotonic_ns() - begin_ns) / 1e9
                seen.append(Point(at_s, float(schedule.due(at_s) - observer.decided)))

        async with filtering(stage, name=f"filter-{turn}") as process:
            taken = await put(stage, process, mix="sms", steps=steps, prefix=f"b{turn}", meanwhile=(look,))
        usual = delays_of(taken.delays_ns(np.arange(rate, schedule.first_of(1)))[0])
        burst = delays_of(taken.delays_ns(np.arange(schedule.first_of(1), schedule.first_of(2)))[0])
        everything, missing = taken.delays_ns(np.arange(schedule.count))
        whole = delays_of(everything)
        over_s = BEFORE_S + BURST_S
        late = [point.at_s for point in waiting if point.at_s > over_s and point.value > GONE_S * rate]
        row = {
            "lag_gone_s": max(0.0, max(late, default=over_s) - over_s),
            "worst_ms": whole.figures["max_ms"],
            "lag_most_count": max((point.value for point in waiting), default=0.0),
            "missing_count": float(missing),
        }
        note(f"turn {turn}: " + "  ".join(f"{name} {value:,.1f}" for name, value in row.items()))
        yield Taken(
            rows={f"{rate:,}/s → {TIMES * rate:,}/s": row, "before": usual.figures, "in the burst": burst.figures},
            delays={"before": usual, "in the burst": burst},
            timelines={"events that wait": tuple(waiting)},
            notes=tuple(noticed(taken, "burst")),
        )
