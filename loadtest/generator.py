"""The process that sends a load: `python -m loadtest.generator`, controlled by standard input, on a core of its own.

It reads a `Job` (a line of JSON), makes its events ready (`batches`), connects, and says `ready`. It then reads the
moment to begin (nanoseconds of the monotonic clock, which all processes of a machine share), sends what is due every
`tick_ms`, and at the end says in a line of JSON what that cost and how late it was itself (`Sent`). It ends when its
input does.

A lot leaves as one request to each broker, past the producer's queue, which has one request on its way at a time: here
many are, as of many gateways. None is repeated: a broker that refuses one ends the load.

Must never wait for an answer before it sends what is due: it stops only where the broker has left `UNANSWERED_MAX`
requests unanswered, and that lateness is charged to the system like any other.
"""

import asyncio
import gc
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer
from aiokafka.protocol.produce import ProduceRequest

from loadtest.batches import NS_PER_MS, Lot, lots
from loadtest.child import Lines, run
from loadtest.cluster import LoadtestError
from loadtest.pool import Mix, pool
from loadtest.schedule import NS_PER_S, Schedule, Step
from stream import config as configuration
from stream.kafka import clients
from stream.testbed.sample import sample

UNANSWERED_MAX: Final = 2_000
READY_BYTES_MAX: Final = 1 << 30
"""Made before the load begins; of a larger load the rest is made while it runs, in what is left between two ticks."""

SPARE_NS: Final = NS_PER_MS
"""So much must be left until the next lot is due for another to be made meanwhile: that takes half of it."""

ACKS_OF_ALL: Final = -1


class Job(msgspec.Struct, frozen=True):
    """What to send. `sample_now` and `refusals_count` name the sample registry that the events are about."""

    prefix: str
    mix: Mix
    steps: tuple[Step, ...]
    partitions: int
    sample_now: int
    refusals_count: int
    tick_ms: int = 2
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


class Magazine:
    """The lots of a load, as many made beforehand as there is room for."""

    def __init__(self, source: Iterator[Lot]) -> None:
        self._source = source
        self._ready: deque[Lot] = deque()
        self._bytes_count = 0
        while self.make_one():
            pass

    def make_one(self) -> bool:
        """Make another lot ready; false where there is no room, or none left."""
        lot = next(self._source, None) if self._bytes_count < READY_BYTES_MAX else None
        if lot is None:
            return False
        self._ready.append(lot)
        self._bytes_count += lot.bytes_count
        return True

    def take(self) -> Lot | None:
        """The next lot; None after the last."""
        if not self._ready and not self.make_one():
            return None
        lot = self._ready.popleft()
        self._bytes_count -= lot.bytes_count
        return lot


class BatchSender:
    """The way to the brokers for batches that are whole. Each partition's leader must stay the same."""

    def __init__(self, producer: AIOKafkaProducer, *, timeout_ms: int) -> None:
        self._client = producer.client
        self._timeout_ms = timeout_ms

    def send(self, lot: Lot, *, begin_ms: int) -> list[asyncio.Task[None]]:
        """Send a lot; each task is done when a broker has acknowledged its part."""
        leader = self._client.cluster.leader_for_partition
        parts: defaultdict[int, defaultdict[str, list[tuple[int, bytearray]]]]
        parts = defaultdict(lambda: defaultdict(list))
        for batch in lot.batches:
            node = leader(clients.AIOKafkaPartition(batch.topic, batch.partition))
            parts[node][batch.topic].append((batch.partition, batch.stamped(begin_ms)))
        return [asyncio.create_task(self._ask(node, list(topics.items()))) for node, topics in parts.items()]

    async def _ask(self, node: int, topics: list[tuple[str, list[tuple[int, bytearray]]]]) -> None:
        answer = await self._client.send(node, ProduceRequest(None, ACKS_OF_ALL, self._timeout_ms, topics))
        for topic, partitions in answer.topics:
            for partition, code, *_ in partitions:
                if code:
                    raise LoadtestError(
                        f"a broker refused a batch for {topic}-{partition}: error {code} of its protocol"
                    )


async def send(schedule: Schedule, magazine: Magazine, way: BatchSender, *, begin_ns: int, begin_ms: int) -> Sent:
    """Send all of it; its beginning by the monotonic and by the wall clock."""
    answers: deque[asyncio.Task[None]] = deque()
    late = np.zeros(schedule.count, dtype=np.int64)
    await asyncio.sleep(max(0.0, (begin_ns - time.monotonic_ns()) / NS_PER_S))
    cpu_s = time.process_time()
    while (lot := magazine.take()) is not None:
        while (left_ns := begin_ns + lot.at_ns - time.monotonic_ns()) > 0:
            if left_ns < SPARE_NS or not magazine.make_one():
                await asyncio.sleep(left_ns / NS_PER_S)
        answers += way.send(lot, begin_ms=begin_ms)
        await asyncio.sleep(0)  # now it leaves
        late[lot.first : lot.stop] = time.monotonic_ns() - begin_ns
        while answers and (len(answers) > UNANSWERED_MAX or answers[0].done()):
            await answers.popleft()
    await asyncio.gather(*answers)
    wall_s, cpu_s = (time.monotonic_ns() - begin_ns) / NS_PER_S, time.process_time() - cpu_s
    late -= schedule.at_ns(np.arange(schedule.count))
    p50, p99, most = (float(q) / NS_PER_MS for q in np.quantile(late, (0.5, 0.99, 1.0)))
    return Sent(schedule.count, wall_s, cpu_s, p50, p99, most)


async def work(lines: Lines) -> None:
    """One job, from its line to the report."""
    job = await lines.job(Job)
    if job.core is not None:
        os.sched_setaffinity(0, {job.core})
    registry = sample(now=job.sample_now, refusals_count=job.refusals_count)
    events = pool(registry, job.mix, prefix=job.prefix, partitions=job.partitions)
    schedule = Schedule(job.steps)
    # A load begins at a whole millisecond of the monotonic clock: how far that is from the wall clock's is known.
    apart_ns = time.time_ns() - time.monotonic_ns()
    magazine = Magazine(
        lots(events, schedule, tick_ns=job.tick_ms * NS_PER_MS, phase_ns=apart_ns % NS_PER_MS),
    )
    gc.collect()
    gc.freeze()
    config = configuration.load(None, os.environ)
    producer = clients.producer(config, client="loadtest-generator")
    await producer.start()
    try:
        for topic in {shot.topic for shot in events.shots}:
            await producer.partitions_for(topic)  # now it knows their leaders
        begin_ns = await lines.begin()
        if begin_ns is not None:
            way = BatchSender(producer, timeout_ms=config.kafka.request_timeout_ms)
            begin_ms = (begin_ns + apart_ns) // NS_PER_MS
            lines.report(await send(schedule, magazine, way, begin_ns=begin_ns, begin_ms=begin_ms))
    finally:
        await producer.stop()


if __name__ == "__main__":
    run(work)
