"""Open loop at constant rates: how long from the moment an event was due until its decision is acknowledged, and until
it is in a gateway's hands.

One worker; first it is let at events that wait, which tells what it can do on this machine beside its broker
(*saturation*); then the rates follow each other, each for `--seconds`, with a pause until all is answered. A
rate that is beyond saturation shows as delays that grow with the length of the run: that is what it would be.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from loadtest import load
from loadtest.acked import figures
from loadtest.environment import Offsets, Rig, note
from loadtest.figures import Row, Taken
from loadtest.latency import Delays, delays_of
from loadtest.load import Load, put, settle_broker
from loadtest.observer import Observer
from loadtest.options import RunOptions
from loadtest.programs import cpu_of
from loadtest.schedule import Step
from loadtest.stage import Stage, filtering, set_stage
from loadtest.watching import LOOK_EVERY_S, Look, row_of
from stream.model.topics import DECISIONS
from stream.testbed.processes import FilterProcess

HALF: Final = 0
"""The rate that stands for half of saturation."""

CATCH_UP_S_MAX: Final = 120.0
SATURATION_EVENTS_MAX: Final = 400_000
GENERATOR_LATE_MS: Final = 5.0
"""A generator that was later than this itself (p99) is named: part of the delays is its own."""


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """All rates in each turn."""
    stage = await set_stage(rig, options)
    await settle_broker(stage)
    waiting = min(options.events_count, SATURATION_EVENTS_MAX)
    for turn in range(1, options.repeat + 1):
        rows: dict[str, Row] = {}
        delays = {}
        notes: list[str] = []
        group = rig.group()
        await rig.skip_to_ends(group)
        await rig.write_events(stage.registry, count=waiting)
        async with filtering(stage, group=group, name=f"filter-{turn}") as process:
            saturated = await saturation(rig, process)
            rows["saturation"] = saturated
            note(f"turn {turn}: saturation {saturated['events_per_s']:,.0f} events a second")
            for place, asked in enumerate(options.rates):
                rate = asked or max(1, int(saturated["events_per_s"] / 2))
                name = f"{rate:,}/s" if asked else "half of saturation"
                taken, cpu = await _at(stage, process, rate=rate, prefix=f"l{turn}-{place}")
                rows[name], delays[name] = row_of_load(taken, rate=rate, cpu_s=cpu)
                notes += noticed(taken, name)
                note(f"turn {turn}: {name:<20}" + "  ".join(f"{n} {v:,.1f}" for n, v in rows[name].items()))
        notes.append(f"Generator and observer run on the same machine; the first {load.WARM_UP_S:.0f} s are left out.")
        yield Taken(rows=rows, delays=delays, notes=tuple(notes))


async def saturation(rig: Rig, process: FilterProcess) -> Row:
    """What the worker does with events that wait. It has begun already: the first look is the first figure."""
    looks: list[Look] = []
    async with Offsets(rig.config, DECISIONS) as produced:
        began = time.monotonic()
        while time.monotonic() - began < CATCH_UP_S_MAX:
            process.check()
            pids = process.worker_pids()
            count = await produced.count()
            looks.append(Look(time.monotonic(), cpu_of(pids), cpu_of(rig.ground.broker_pids), count))
            if len(looks) > 3 and count and count == looks[-3].produced:
                break
            await asyncio.sleep(LOOK_EVERY_S)
    done = looks[-1].produced
    moving = [look for look in looks if 0.02 * done < look.produced < 0.98 * done]
    return row_of(moving[0], moving[-1])


async def _at(stage: Stage, process: FilterProcess, *, rate: int, prefix: str) -> tuple[Load, float]:
    """A rate, and the processor time that the worker took for it."""
    spent = 0.0

    async def meter(_: Observer, begin_ns: int) -> None:
        nonlocal spent
        await asyncio.sleep((begin_ns - time.monotonic_ns()) / 1e9)
        before = cpu_of(process.worker_pids())
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            process.check()
            spent = cpu_of(process.worker_pids()) - before

    steps = (Step(rate, stage.options.seconds),)
    taken = await put(stage, process, mix="sms", steps=steps, prefix=prefix, meanwhile=(meter,))
    return taken, spent


def row_of_load(taken: Load, *, rate: int, cpu_s: float) -> tuple[Row, Delays]:
    """The figures of a load at one rate, and its delays."""
    found, missing = taken.delays_ns(taken.numbers())
    delays = delays_of(found)
    return {
        **figures(taken.acked),
        **delays.figures,
        "missing_count": float(missing),
        "events_per_s": float(rate),
        "worker_cpu_share": cpu_s / taken.schedule.seconds,
        **shares(taken),
    }, delays


def shares(taken: Load) -> Row:
    """What the measurement took of this machine itself, and how late it was."""
    return {
        "generator_cpu_share": taken.sent.cpu_s / taken.sent.wall_s,
        "observer_cpu_share": taken.observer_cpu_share,
        "generator_late_p99_ms": taken.sent.late_p99_ms,
    }


def noticed(taken: Load, name: str) -> list[str]:
    """Notes that belong to a load's figures."""
    if taken.sent.late_p99_ms <= GENERATOR_LATE_MS:
        return []
    return [
        f"{name}: the generator itself was {taken.sent.late_p99_ms:.0f} ms late (p99), which is part of the delays."
    ]
