"""The process that sends a load: `python -m loadtest.generator`, told by its standard input, on a core of its own.

It reads a `Job` (a line of JSON), makes its events, connects, and says `ready`. It then reads the moment to begin
(nanoseconds of the monotonic clock, which all processes of a machine share), sends what is due every `tick_s`, and at
the end says in a line of JSON what that cost and how late it was itself (`Sent`). It ends when its input does.

Must never wait for an answer before it sends what is due: it stops only where the broker has left
`UNACKNOWLEDGED_MAX` batches unanswered, and that lateness is charged to the system like any other.
"""

import asyncio
import os
import time
from collections import defaultdict, deque
from typing import Final

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

from loadtest.child import Lines, run
from loadtest.pool import Mix, Pool, pool
from loadtest.schedule import NS_PER_S, Schedule, Step
from stream import config as configuration
from stream.demo.feed import Ack, now_ms, send_part
from stream.demo.sample import sample
from stream.kafka import clients

UNACKNOWLEDGED_MAX: Final = 20_000
CHUNK_MAX: Final = 20_000
"""Events that leave between two turns of the loop, where much is due at once."""


class Job(msgspec.Struct, frozen=True):
    """What to send. `sample_now` and `refusals_count` name the sample registry that the events are about."""

    prefix: str
    mix: Mix
    steps: tuple[Step, ...]
    partitions: int
    sample_now: int
    refusals_count: int
    tick_s: float = 0.002
    core: int | None = None
    """pinned to this one"""


class Sent(msgspec.Struct, frozen=True):
    """What was sent, and what that cost."""

    count: int
    wall_s: float
    cpu_s: float
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    """from the moment an event was due to the moment it was handed to the client"""


async def send(job: Job, schedule: Schedule, events: Pool, producer: AIOKafkaProducer, begin_ns: int) -> Sent:
    """Send all of it."""
    acks: deque[Ack] = deque()
    sent, late = 0, np.zeros(schedule.count, dtype=np.int64)
    await asyncio.sleep(max(0.0, (begin_ns - time.monotonic_ns()) / NS_PER_S))
    cpu = time.process_time()
    while sent < schedule.count:
        moment = time.monotonic_ns()
        due = min(schedule.due((moment - begin_ns) / NS_PER_S), sent + CHUNK_MAX)
        if due == sent:
            await asyncio.sleep(job.tick_s)
            continue
        parts: defaultdict[tuple[str, int], list[tuple[bytes, bytes]]] = defaultdict(list)
        for number in range(sent, due):
            shot = events.shot(number)
            parts[shot.topic, shot.partition].append((shot.key, shot.value(number)))
        now = now_ms()
        for (topic, partition), records in parts.items():
            acks += await send_part(producer, topic, partition, records, timestamp=now)
        numbers = np.arange(sent, due)
        late[sent:due] = moment - begin_ns - schedule.at_ns(numbers)
        sent = due
        while acks and (len(acks) > UNACKNOWLEDGED_MAX or acks[0].done()):
            await acks.popleft()
        await asyncio.sleep(job.tick_s)
    while acks:
        await acks.popleft()
    p50, p99, most = (float(q) / 1e6 for q in np.quantile(late, (0.5, 0.99, 1.0)))
    wall_s = (time.monotonic_ns() - begin_ns) / NS_PER_S
    return Sent(sent, wall_s, time.process_time() - cpu, p50, p99, most)


async def work(lines: Lines) -> None:
    """One job, from its line to the report."""
    job = await lines.job(Job)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    registry = sample(now=job.sample_now, refusals_count=job.refusals_count)
    events = pool(registry, job.mix, prefix=job.prefix, partitions=job.partitions)
    # Small lots gain nothing from compression, and gateways that send a few messages at a time use none.
    config = configuration.load(None, {**os.environ, "WURAO_FILTER__COMPRESSION": "none"})
    producer = clients.producer(config, client="loadtest-generator")
    await producer.start()
    try:
        begin_ns = await lines.begin()
        if begin_ns is not None:
            lines.report(await send(job, Schedule(job.steps), events, producer, begin_ns))
    finally:
        await producer.stop()


if __name__ == "__main__":
    run(work)
