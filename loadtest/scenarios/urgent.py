"""Emergency SMS while millions of others wait: time to decision, from the moment each was due."""

from collections.abc import AsyncIterator
from typing import Final

from loadtest.acked import figures
from loadtest.environment import Offsets, Rig, note
from loadtest.figures import Taken
from loadtest.latency import delays_of
from loadtest.load import put, settle_broker
from loadtest.options import RunOptions
from loadtest.pool import pool
from loadtest.scenarios.latency import noticed, shares
from loadtest.schedule import Step
from loadtest.stage import filtering, set_stage
from stream.model.topics import DECISIONS

BACKLOG_POOL: Final = 100_000


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """In each turn a new group meets the whole backlog."""
    stage = await set_stage(rig, options)
    await settle_broker(stage)
    (rate,) = options.rates
    waiting = pool(stage.registry, "sms", prefix="backlog", partitions=rig.partitions, size=BACKLOG_POOL)
    note(f"writing a backlog of {options.backlog:,} events")
    await rig.write_pool(waiting, count=options.backlog)
    for turn in range(1, options.repeat + 1):
        async with (
            Offsets(rig.config, DECISIONS) as decided,
            filtering(stage, group=rig.group(), name=f"filter-{turn}") as process,
        ):
            before = await decided.count()
            steps = (Step(rate, options.seconds),)
            taken = await put(stage, process, mix="urgent", steps=steps, prefix=f"u{turn}", lane="urgent")
            done = await decided.count() - taken.schedule.count
        found, missing = taken.delays_ns(taken.numbers())
        delays = delays_of(found)
        left = options.backlog - done
        row = {
            **figures(taken.acked),
            **delays.figures,
            "missing_count": float(missing),
            "backlog_left_count": float(max(0, left)),
            "backlog_per_s": (done - before) / taken.sent.wall_s,
            **shares(taken),
        }
        notes = list(noticed(taken, "urgent"))
        if left <= 0:
            notes.append("The backlog was gone before the last emergency: use a larger --backlog or fewer --seconds.")
        note(f"turn {turn}: " + "  ".join(f"{name} {value:,.1f}" for name, value in row.items()))
        yield Taken(
            rows={f"{options.backlog:,} waiting": row},
            delays={f"{options.backlog:,} waiting": delays},
            notes=tuple(notes),
            sound=not missing,
        )
