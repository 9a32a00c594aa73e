"""Steady traffic with replies for a long time, and a worker killed now and then.

At the end it accounts for everything: each event that was sent has at least one decision, each reply that
says TD has become an expression, memory has not grown. Bounded by its minutes, and by `LAST_S_MAX` to let
the last answers come.
"""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from loadtest.environment import Rig, note
from loadtest.figures import Point, Taken
from loadtest.ledger import Ledger
from loadtest.options import RunOptions
from loadtest.stage import set_stage
from stream.kafka import clients
from stream.model.codec import decode_decision
from stream.model.topics import DECISIONS, EXPRESSIONS
from stream.testbed import texts
from stream.testbed.feed import Feed
from stream.testbed.processes import FilterProcess, usage
from stream.testbed.sample import Sample
from stream.testbed.traffic import Traffic

PREFIX: Final = "soak"
KILL_EVERY_S: Final = (15.0, 45.0)
"""At least and at most so long between two kills; the supervisor's pause before a restart grows up to 30 s."""

WEIGH_EVERY_S: Final = 5.0
WARM_SHARE: Final = 0.2
"""The part of the time at the beginning that is no part of the memory's slope."""

LAST_S_MAX: Final = 90.0
SLOPE_MIB_PER_H_MAX: Final = 200.0
"""More than this is called a leak; the overlay of replies and garbage collection make for some tens."""

SLOPE_MINUTES_MIN: Final = 10.0
"""In a shorter run a slope is noise: shown, and not judged."""


class Weight(NamedTuple):
    """The memory of all the filter's processes at one moment, each page counted once."""

    at_s: float
    mib: float


@dataclass(slots=True)
class Seen:
    """What has come out so far."""

    workers: int
    ledger: Ledger = field(default_factory=Ledger)
    reasons: Counter[str] = field(default_factory=Counter)
    opt_outs: set[str] = field(default_factory=set)
    """ids of replies that were recognised as refusals"""
    evidence: set[str] = field(default_factory=set)
    """ids of replies that expressions name"""
    weights: list[Weight] = field(default_factory=list)
    kills: int = 0


async def run(rig: Rig, options: RunOptions) -> AsyncIterator[Taken]:
    """One turn, for `--seconds`: a soak that is repeated is a longer soak."""
    (rate,), (workers,) = options.rates, options.workers
    stage = await set_stage(rig, options)
    process = rig.filter(workers=workers)
    seen = Seen(workers=workers)
    process.start()
    try:
        await process.ready()
        note(f"{rate:,} events/s for {options.seconds / 60:g} minutes, {workers} workers, one killed every 15 to 45 s")
        sent = await _traffic(rig, stage.registry, process, seen, seconds=options.seconds, rate=rate)
        code = await asyncio.to_thread(process.stop)
    finally:
        await asyncio.to_thread(process.stop)
    yield taken_of(seen, sent, code, options.seconds)


async def _traffic(rig: Rig, registry: Sample, process: FilterProcess, seen: Seen, *, seconds: float, rate: int) -> int:
    """Send, kill, weigh and read until all is sent and decided, or the last wait is over; returns what was sent."""
    traffic = Traffic(registry, texts.own(), seed=int(seconds), prefix=PREFIX)
    async with rig.producer() as producer:
        feed = Feed(producer, traffic, rate=rate, partitions=rig.partitions)
        reader = await _reader(rig)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_read(reader, seen)),
                    group.create_task(_weigh(process, seen)),
                    group.create_task(_report(feed, seen)),
                ]
                killing = group.create_task(_kill(process, seen))
                await feed.run(seconds)
                killing.cancel()
                deadline = time.monotonic() + LAST_S_MAX
                # Nobody announces the last answer, so it is looked for.
                while seen.ledger.first_missing(feed.sent) is not None and time.monotonic() < deadline:  # noqa: ASYNC110
                    await asyncio.sleep(0.5)
                await asyncio.sleep(2.0)  # what was decided twice, and the last expressions
                for task in tasks:
                    task.cancel()
        finally:
            await reader.stop()
        return feed.sent


async def _reader(rig: Rig) -> clients.AIOKafkaConsumer:
    """A reader of decisions and expressions from now on."""
    reader = clients.follower(rig.config, client="loadtest-soak")
    places = [*clients.partitions(DECISIONS, rig.partitions), *clients.partitions(EXPRESSIONS, rig.partitions)]
    reader.assign(places)
    await reader.start()
    for place, end in (await reader.end_offsets(places)).items():
        reader.seek(place, end)
    return reader


async def _read(reader: clients.AIOKafkaConsumer, seen: Seen) -> None:
    while True:
        for place, records in (await reader.getmany(timeout_ms=200)).items():
            if place.topic == EXPRESSIONS:
                seen.evidence.update(_evidence(record.value) for record in records)
                continue
            decisions = [decode_decision(record.value) for record in records]
            seen.ledger.decided(int(decision.event.rpartition("-")[2]) for decision in decisions)
            seen.reasons.update(decision.reason for decision in decisions)
            seen.opt_outs.update(one.event for one in decisions if one.reason == "opt_out_reply")


def _evidence(value: bytes) -> str:
    """The id of the reply that an expression names."""
    return value.partition(b'"evidence":"reply:')[2].partition(b'"')[0].decode()


async def _kill(process: FilterProcess, seen: Seen) -> None:
    """Kill a worker now and then: without leaving its group."""
    rng = random.Random(1)
    while True:
        await asyncio.sleep(rng.uniform(*KILL_EVERY_S))
        workers = process.worker_pids()
        if workers:
            os.kill(rng.choice(workers), signal.SIGKILL)
            seen.kills += 1


async def _weigh(process: FilterProcess, seen: Seen) -> None:
    began = time.monotonic()
    while True:
        process.check()
        taken = [usage(pid) for pid in (process.pid, *process.worker_pids())]
        if len(taken) == seen.workers + 1:  # else one is just dead
            seen.weights.append(Weight(time.monotonic() - began, sum(one.pss_mib for one in taken if one is not None)))
        await asyncio.sleep(WEIGH_EVERY_S)


async def _report(feed: Feed, seen: Seen) -> None:
    while True:
        await asyncio.sleep(30)
        weight = f"{seen.weights[-1].mib:.0f} MiB" if seen.weights else "?"
        note(f"sent {feed.sent:,}, decided {sum(seen.reasons.values()):,}, kills {seen.kills}, {weight}")


def slope_mib_per_h(weights: Sequence[Weight], seconds: float) -> float:
    """How memory grew after the beginning: the slope of a line through the weights."""
    warm = [weight for weight in weights if weight.at_s > WARM_SHARE * seconds]
    if len(warm) < 3:
        return 0.0
    slope = float(np.polyfit([weight.at_s for weight in warm], [weight.mib for weight in warm], 1)[0])
    return 3600 * slope


def taken_of(seen: Seen, sent: int, exit_code: int, seconds: float) -> Taken:
    """The account of a run, and whether all is in order."""
    account = seen.ledger.account(sent)
    lost_opt_outs = seen.opt_outs - seen.evidence
    slope = slope_mib_per_h(seen.weights, seconds)
    judged = seconds >= 60 * SLOPE_MINUTES_MIN
    notes = [] if judged else [f"Shorter than {SLOPE_MINUTES_MIN:.0f} minutes: memory's slope is shown and not judged."]
    if account.missing:
        notes.append(f"Without a decision: {', '.join(map(str, account.missing_examples))} and perhaps others.")
    row = {
        "events_count": float(account.sent),
        "undecided_count": float(account.missing),
        "decided_twice_count": float(account.decided_twice_or_more),
        "strangers_count": float(account.strangers),
        "kills_count": float(seen.kills),
        "opt_outs_count": float(len(seen.opt_outs)),
        "opt_outs_lost_count": float(len(lost_opt_outs)),
        "memory_mib": seen.weights[-1].mib if seen.weights else 0.0,
        "slope_mib_per_h": slope,
        "exit_count": float(exit_code),
    }
    return Taken(
        rows={f"{seconds / 60:g} minutes": row},
        timelines={"memory, MiB": tuple(Point(weight.at_s, weight.mib) for weight in seen.weights)},
        notes=tuple(notes),
        sound=not (account.missing or account.strangers or lost_opt_outs or exit_code)
        and not (judged and slope > SLOPE_MIB_PER_H_MAX),
    )
