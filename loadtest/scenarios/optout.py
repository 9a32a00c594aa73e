"""Two scenarios of the registry: how soon a refusal is in force, alone (`optout-propagation`) and while the registry
churns (`registry-churn`); and what a worker applies that has nothing else to do.

Events flow at a steady rate all the while, so that every worker has batches to decide, and their own delays are
measured too: what a churning registry costs them is part of the answer.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

from loadtest import churn
from loadtest.child import Child, child
from loadtest.churn import Written
from loadtest.cluster import LoadtestError
from loadtest.environment import Offsets, Rig, note
from loadtest.figures import Row, Taken
from loadtest.latency import Delays, delays_of
from loadtest.load import put, settle_broker
from loadtest.observer import Observer
from loadtest.options import RunOptions
from loadtest.optout_probe import ExpressionWriters, announced, delays_of_expressions
from loadtest.programs import cpu_of
from loadtest.scenarios.latency import noticed
from loadtest.schedule import Step
from loadtest.stage import Stage, filtering, set_stage
from stream.clock import now_ms
from stream.model.topics import EPOCHS, EXPRESSIONS
from stream.testbed.feed import Ack, send_expressions
from stream.testbed.processes import FilterProcess
from stream.testbed.sample import RepeatedExpression

FRESH_FIRST: Final = 100_000_000
"""Subscribers from here on are in no sample registry."""

FRESH_EACH: Final = 10_000_000
WORDS_MAX: Final = 1_000_000
SETTLE_S: Final = 1.0
AFTER_S: Final = 3.0
"""Events go on after the last word, so that every worker has a batch to decide with it."""

APPLIED_COUNT: Final = 500_000
APPLIED_EVERY_S: Final = 0.1
APPLIED_S_MAX: Final = 60.0
CHUNK: Final = 50_000


async def propagation(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Words alone."""
    stage = await set_stage(rig, options)
    await settle_broker(stage)
    for turn in range(1, options.repeat + 1):
        rows, delays, notes = await _measured(stage, turn=turn, churn_per_s=0)
        yield Taken(rows=rows, delays=delays, notes=notes, sound=not rows["expressions"]["never_count"])


async def churning(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """Words, and events, without churn and with it, one after the other in each turn."""
    stage = await set_stage(rig, options)
    await settle_broker(stage)
    for turn in range(1, options.repeat + 1):
        rows: dict[str, Row] = {}
        delays: dict[str, Delays] = {}
        notes: tuple[str, ...] = ()
        for place, per_s in enumerate((0, options.churn_per_s)):
            found, waited, noted = await _measured(stage, turn=2 * turn + place, churn_per_s=per_s)
            rows |= {f"{name}, {per_s:,} records/s": row for name, row in found.items()}
            delays |= {f"{name}, {per_s:,} records/s": some for name, some in waited.items()}
            notes += noted
        rows["idle worker"] = await applied(stage, turn=turn)
        sound = not any(row.get("never_count") for row in rows.values())
        yield Taken(rows=rows, delays=delays, notes=notes, sound=sound)


async def _measured(
    stage: Stage, *, turn: int, churn_per_s: int
) -> tuple[dict[str, Row], dict[str, Delays], tuple[str, ...]]:
    rig, options = stage.rig, stage.options
    (rate,), (workers,) = options.rates, options.workers
    first = FRESH_FIRST + turn * FRESH_EACH
    job = churn.Job(
        per_s=churn_per_s,
        everything_share=options.everything_share,
        seconds=options.seconds,
        partitions=rig.partitions,
        first=first + WORDS_MAX,
        end=first + FRESH_EACH,
        core=rig.generator_core,
    )
    spent = 0.0
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(filtering(stage, workers=workers, name=f"filter-{turn}"))
        epochs = await stack.enter_async_context(Offsets(rig.config, EPOCHS, partitions=1))
        producer = await stack.enter_async_context(rig.producer())
        writers = ExpressionWriters(producer, range(first, first + WORDS_MAX), rig.partitions, options.seconds)
        writer = await stack.enter_async_context(child("loadtest.churn", job, rig.settings)) if churn_per_s else None
        written: asyncio.Task[Written] | None = None

        async def churn_beside(_: Observer, begin_ns: int) -> None:
            nonlocal written, spent
            if writer is not None:
                written = asyncio.create_task(_written(writer, begin_ns))
            before = cpu_of(process.worker_pids())
            await asyncio.sleep(options.seconds)
            spent = cpu_of(process.worker_pids()) - before
            await asyncio.Event().wait()

        taken = await put(
            stage,
            process,
            mix="sms",
            steps=(Step(rate, options.seconds + AFTER_S),),
            prefix=f"w{turn}",
            meanwhile=(writers.run, churn_beside),
        )
        wrote = await written if written is not None else None
        await asyncio.sleep(SETTLE_S)
        states = await announced(rig, first=epochs.before)
    optouts, never = await delays_of_expressions(writers.sent, states)
    waited, missing = taken.delays_ns(taken.numbers())
    events = delays_of(waited)
    rows = {
        "expressions": {
            **optouts.figures,
            "expressions_count": float(optouts.count),
            "never_count": float(never),
        },
        "events": {
            **events.figures,
            "missing_count": float(missing),
            "events_per_s": float(rate),
            "worker_cpu_share": spent / options.seconds,
            "records_per_s": wrote.count / wrote.wall_s if wrote is not None else 0.0,
        },
    }
    for name, row in rows.items():
        note(f"{name:<8}" + "  ".join(f"{key} {value:,.1f}" for key, value in row.items()))
    return rows, {"expressions": optouts, "events": events}, tuple(noticed(taken, f"{churn_per_s:,} records/s"))


async def _written(writer: Child, begin_ns: int) -> Written:
    await writer.begin(begin_ns)
    return await writer.report(Written)


async def applied(stage: Stage, *, turn: int) -> Row:
    """How many refusals of everything a worker applies a second that has no events, written as fast as it goes."""
    rig = stage.rig
    first = FRESH_FIRST + (2 * stage.options.repeat + 2 + turn) * FRESH_EACH
    refusals = RepeatedExpression(
        "call", "refuse", None, None, range(first, first + APPLIED_COUNT), now_ms(), "loadtest"
    )
    async with filtering(stage, name=f"filter-idle-{turn}") as process, rig.producer() as producer:
        await asyncio.sleep(SETTLE_S)
        before = await _records(process)
        pids = process.worker_pids()
        began, cpu_before = time.monotonic(), cpu_of(pids)
        acks: list[Ack] = []
        for start in range(first, first + APPLIED_COUNT, CHUNK):
            acks += await send_expressions(producer, refusals, range(start, start + CHUNK), partitions=rig.partitions)
        await asyncio.gather(*acks)
        while (done := await _records(process) - before) < APPLIED_COUNT:
            if time.monotonic() - began > APPLIED_S_MAX:
                raise LoadtestError(
                    f"{done:,.0f} of {APPLIED_COUNT:,} records were applied after {APPLIED_S_MAX:.0f} s"
                )
            await asyncio.sleep(APPLIED_EVERY_S)
        took, cpu = time.monotonic() - began, cpu_of(pids) - cpu_before
    return {"records_per_cpu_s": APPLIED_COUNT / cpu, "records_per_s": APPLIED_COUNT / took}


async def _records(process: FilterProcess) -> float:
    scrape = await asyncio.to_thread(process.scrape, worker=1)
    return 0.0 if scrape is None else scrape.total("wurao_registry_records_total", topic=EXPRESSIONS)
