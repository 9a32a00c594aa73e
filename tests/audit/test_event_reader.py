"""Events are found for their decisions, also for repeated ones; what is kept of them does not grow with the topic."""

import asyncio
import time
from collections.abc import Sequence

import orjson
import pytest
from aiokafka.admin import RecordsToDelete

from bloom.partition import partition_of
from stream.audit import event_reader
from stream.audit.event_reader import AHEAD_MAX, BEHIND_MAX, VERIFIED_MAX, EventReader
from stream.kafka import clients
from stream.model.decision import Decision
from tests.filter import cases
from tests.filter.harness import NOW, Broker, event

pytestmark = pytest.mark.kafka

PARTITION = partition_of(cases.WILLING, 12)
BATCH = 1_000


def _write(broker: Broker, numbers: range) -> None:
    """Events in one partition, in whole batches."""

    async def send() -> None:
        producer = clients.producer(broker.config, client="test")
        await producer.start()
        acks = [
            await producer.send("events.sms", orjson.dumps(event("sms", number, to=cases.WILLING)), partition=PARTITION)
            for number in numbers
        ]
        await asyncio.gather(*acks)
        await producer.stop()

    asyncio.run(send())


def _decided(numbers: Sequence[int]) -> list[tuple[int, Decision]]:
    return [
        (
            PARTITION,
            Decision(
                event=f"sms-{number}",
                of="sms",
                time=NOW,
                decided=time.time_ns() // 1_000_000,
                to=cases.WILLING,
                from_=None,
                sender=None,
                verdict="allow",
                reason="personal",
                basis=None,
                policy="p",
                epoch="e-1",
            ),
        )
        for number in numbers
    ]


async def _judge(events: EventReader, numbers: Sequence[int]) -> int:
    """Find the events of these and have them judged; how many were found."""
    decisions = _decided(numbers)
    await events.find(decisions)
    found = sum(events.of(partition, decision) is not None for partition, decision in decisions)
    events.release(decisions)
    return found


def test_what_was_judged_is_found_again_and_memory_does_not_follow_the_topic(broker: Broker) -> None:
    _write(broker, range(30_000))

    async def go() -> None:
        events = EventReader(broker.config)
        await events.start()
        try:
            await events.assign({PARTITION: 0})
            most = 0
            for first in range(0, 30_000, BATCH):
                assert await _judge(events, range(first, first + BATCH)) == BATCH
                most = max(most, events.kept_count)
            assert most <= VERIFIED_MAX + 2 * event_reader.POLL_RECORDS_MAX
            again = range(30_000 - 4 * BATCH, 30_000)
            assert await _judge(events, again) == len(again), "a worker's successor decides its last batches again"
        finally:
            await events.stop()

    asyncio.run(go())


def test_events_that_nobody_decides_are_let_go_when_later_ones_were_verified(broker: Broker) -> None:
    _write(broker, range(20_000))

    async def go() -> None:
        events = EventReader(broker.config)
        await events.start()
        try:
            await events.assign({PARTITION: 0})
            assert await _judge(events, [9_000]) == 1, "all before it was read, and decided before the audit came"
            assert events.kept_count <= BEHIND_MAX + event_reader.POLL_RECORDS_MAX + 1
            assert await _judge(events, [8_000, 8_999]) == 2, "order is not sure within a batch"
            assert await _judge(events, [19_999]) == 1
            assert events.kept_count <= AHEAD_MAX
            assert await _judge(events, [0, 3_000, 9_001, 15_000]) == 4, "they are in the topic, if not in memory"
            assert events.kept_count <= AHEAD_MAX + 2
        finally:
            await events.stop()

    asyncio.run(go())


def test_a_decision_without_an_event_costs_no_other_its_own(broker: Broker) -> None:
    _write(broker, range(30_000))

    async def go() -> None:
        events = EventReader(broker.config)
        await events.start()
        try:
            await events.assign({PARTITION: 0})
            assert await _judge(events, [99_999]) == 0, "forged: nobody ever sent it"
            for first in range(0, 30_000, 10_000):
                assert await _judge(events, [*range(first, first + BATCH), 99_999]) == BATCH
            assert events.kept_count <= VERIFIED_MAX + AHEAD_MAX
        finally:
            await events.stop()

    asyncio.run(go())


def test_events_that_were_deleted_before_they_were_read_cost_no_other_decision_its_own(broker: Broker) -> None:
    _write(broker, range(1_000))
    place = clients.AIOKafkaPartition("events.sms", PARTITION)

    async def go() -> None:
        events = EventReader(broker.config)
        admin = clients.admin(broker.config)
        await events.start()
        await admin.start()
        try:
            await events.assign({PARTITION: 0})
            await admin.delete_records({place: RecordsToDelete(900)})
            events._consumer.seek(place, 100)  # where a reader stands to which nothing was asked for long
            assert await _judge(events, [200, 950]) == 1
        finally:
            await admin.close()
            await events.stop()

    asyncio.run(go())
