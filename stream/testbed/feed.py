"""Into Kafka: the sample registry as fast as it goes, and traffic at a steady rate.

Records leave as whole batches, one per partition, as the filter's own do. The rate is held open-loop: what
is due is sent, however late the answers are, so that a slow filter shows as waiting events and not as a
lower rate.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from bloom.partition import partitions_of
from stream.clock import now_ms
from stream.deciding.batch import Keyed
from stream.model.codec import encode
from stream.model.events import Event
from stream.model.registry import key_of
from stream.model.topics import EXPRESSIONS, TOPIC_OF, TopicPartition
from stream.testbed.sample import RepeatedExpression, Sample, numbers_of
from stream.testbed.traffic import Placed, Traffic, place

CHUNK: Final = 50_000
"""Subscribers whose repeated are made into records at once: some 20 MB."""

TICK_S: Final = 0.02
"""Traffic leaves in small lots, as it would from a gateway."""

DUE_S_MAX: Final = 1.0
"""After a pause of this machine, what is due beyond this is dropped and not sent in one burst."""

UNACKNOWLEDGED_MAX: Final = 4_000
"""Batches that may wait for their acks; beyond, the feed waits for the broker."""

Ack = asyncio.Future[RecordMetadata]


async def send(producer: AIOKafkaProducer, records: Iterable[Placed], *, timestamp: int) -> list[Ack]:
    """Hand records over as batches, one per partition (more where they are many). Their order is kept."""
    parts: defaultdict[TopicPartition, list[Keyed]] = defaultdict(list)
    for where, record in records:
        parts[where].append(record)
    acks: list[Ack] = []
    for (topic, partition), keyed in parts.items():
        acks += await send_part(producer, topic, partition, keyed, timestamp=timestamp)
    return acks


async def send_part(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Iterable[tuple[bytes, bytes]],
    *,
    timestamp: int,
) -> list[Ack]:
    """Hand keys and values over to one partition, in as many batches as it takes."""
    acks: list[Ack] = []
    builder = producer.create_batch()
    for key, value in records:
        if builder.append(timestamp=timestamp, key=key, value=value) is None:  # full: the next one begins
            acks.append(await producer.send_batch(builder, topic, partition=partition))
            builder = producer.create_batch()
            builder.append(timestamp=timestamp, key=key, value=value)
    if builder.record_count():
        acks.append(await producer.send_batch(builder, topic, partition=partition))
    return acks


async def write_registry(
    producer: AIOKafkaProducer, sample: Sample, *, partitions: int, note: Callable[[int], None]
) -> None:
    """Write a whole sample registry, acknowledged; `note` is called with how many records are handed over so far.

    About 3 µs a record: a million within some four seconds.
    """
    records = [
        Placed(TopicPartition(TOPIC_OF[type(one)], 0), Keyed(key_of(one).encode(), encode(one)))
        for one in sample.records()
    ]
    acks = await send(producer, records, timestamp=now_ms())
    written = len(records)
    for repeated in sample.expressions:
        for first in range(repeated.who.start, repeated.who.stop, CHUNK):
            who = range(first, min(first + CHUNK, repeated.who.stop))
            acks += await send_expressions(producer, repeated, who, partitions=partitions)
            written += len(who)
            note(written)
    await asyncio.gather(*acks)


async def send_expressions(
    producer: AIOKafkaProducer, repeated: RepeatedExpression, who: range, *, partitions: int
) -> list[Ack]:
    """Hand over the expressions of these subscribers, in batches.

    Their bytes differ in the number alone, so one template makes them all.
    """
    numbers = numbers_of(who)
    of_partition = partitions_of([f"+{number}" for number in numbers.tolist()], partitions)
    key, value = template(repeated)
    timestamp = now_ms()
    acks: list[Ack] = []
    for partition in range(partitions):
        records = [(key % number, value % number) for number in numbers[of_partition == partition].tolist()]
        acks += await send_part(producer, EXPRESSIONS, partition, records, timestamp=timestamp)
    return acks


def template(repeated: RepeatedExpression) -> tuple[bytes, bytes]:
    """Key and value of an expression, with `%d` where the digits of the number go."""
    one = repeated.expression(repeated.who.start)
    digits = one.subscriber.removeprefix("+").encode()
    key, value = key_of(one).encode(), encode(one)
    assert b"%" not in key + value, "a sender's name is put into a template"
    return key.replace(digits, b"%d", 1), value.replace(digits, b"%d", 1)


class Feed:
    """Traffic at a steady rate, until it is stopped."""

    def __init__(self, producer: AIOKafkaProducer, traffic: Traffic, *, rate: int, partitions: int) -> None:
        self.sent = 0
        """events handed over so far"""
        self.let_go = 0
        """events that were due while this machine was away, and were not sent"""
        self._producer = producer
        self._traffic = traffic
        self._rate = rate
        self._partitions = partitions
        self._acks: deque[Ack] = deque()

    async def send_events(self, events: list[Event], *, now: int) -> None:
        """Send these events with `now` as their records' time; waits where the broker is too far behind."""
        self._acks += await send(self._producer, place(events, partitions=self._partitions), timestamp=now)
        self.sent += len(events)
        while self._acks and (len(self._acks) > UNACKNOWLEDGED_MAX or self._acks[0].done()):
            await self._acks.popleft()

    async def run(self, seconds: float) -> None:
        """Send what is due for so long; returns when all of it is acknowledged."""
        began = last = time.monotonic()
        due = 0.0
        while last - began < seconds:
            await asyncio.sleep(TICK_S)
            moment = time.monotonic()
            due += (moment - last) * self._rate
            last = moment
            if due > self._rate * DUE_S_MAX:
                self.let_go += int(due - self._rate * DUE_S_MAX)
                due = self._rate * DUE_S_MAX
            count, due = int(due), due % 1
            now = now_ms()
            if count:
                await self.send_events(self._traffic.events(count, now=now), now=now)
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything sent is acknowledged."""
        while self._acks:
            await self._acks.popleft()
