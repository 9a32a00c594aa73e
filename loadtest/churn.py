"""Writes registry records while events flow: `python -m loadtest.churn`, a process controlled like the generator.

It reads a `Job` (a line of JSON), says `ready`, reads the moment to begin, writes so many records a second for so
long, each about another subscriber, and says in a line of JSON what it wrote (`Written`). It ends when its input does.
"""

import asyncio
import os
import time
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from loadtest.child import Lines, run
from stream import config as configuration
from stream.clock import now_ms
from stream.kafka import clients
from stream.testbed.feed import send_expressions
from stream.testbed.sample import WATCHED_CATEGORY, WATCHED_SENDER, RepeatedExpression

TICK_S: Final = 0.02


class Job(msgspec.Struct, frozen=True):
    """What to write: `first` to `end` are indexes of subscribers that nobody else writes about."""

    per_s: int
    everything_share: float
    seconds: float
    partitions: int
    first: int
    end: int
    core: int | None = None


class Written(msgspec.Struct, frozen=True):
    """What was written, and what that cost."""

    count: int
    wall_s: float
    cpu_s: float


async def write(job: Job, producer: AIOKafkaProducer, begin_ns: int) -> Written:
    """Write all of it, acknowledged."""
    who = range(job.first, job.end)
    moment = now_ms()
    refusals = RepeatedExpression("sms", "refuse", None, None, who, moment, "loadtest")
    consents = RepeatedExpression("sms", "consent", WATCHED_SENDER, WATCHED_CATEGORY, who, moment, "loadtest")
    acks = []
    written, cpu = 0, time.process_time()
    await asyncio.sleep(max(0.0, (begin_ns - time.monotonic_ns()) / 1e9))
    while (elapsed_s := (time.monotonic_ns() - begin_ns) / 1e9) < job.seconds:
        due = min(int(elapsed_s * job.per_s), len(who)) - written
        first = job.first + written
        everything = int(due * job.everything_share)
        for expression, some in (
            (refusals, range(first, first + everything)),
            (consents, range(first + everything, first + due)),
        ):
            if some:
                acks += await send_expressions(producer, expression, some, partitions=job.partitions)
        written += max(0, due)
        acks = [ack for ack in acks if not ack.done()]
        await asyncio.sleep(TICK_S)
    await asyncio.gather(*acks)
    return Written(written, (time.monotonic_ns() - begin_ns) / 1e9, time.process_time() - cpu)


async def work(lines: Lines) -> None:
    """One job, from its line to the report."""
    job = await lines.job(Job)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    producer = clients.producer(configuration.load(None, os.environ), client="loadtest-churn")
    await producer.start()
    try:
        begin_ns = await lines.begin()
        if begin_ns is not None:
            lines.report(await write(job, producer, begin_ns))
    finally:
        await producer.stop()


if __name__ == "__main__":
    run(work)
