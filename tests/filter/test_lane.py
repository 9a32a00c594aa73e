"""Which lane goes first: bulk stands back for an emergency until it is acknowledged, and not for ever."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import RecordMetadata

from stream.config import Filter
from stream.filter.batch import DeadLetter, Outputs, Place
from stream.filter.lane import GATHER_BYTES, GATHER_MS, URGENT_TIMES, Lane
from stream.filter.raw import Taken
from stream.kafka.clients import FETCH_WAIT_MS

PLACE = Place("events.urgent", 3)
ACK = RecordMetadata("dead-letter", 0, None, 0, 0, 0, 0)


class Broker:
    """Stands in for a consumer and a producer; answers when the test says so."""

    def __init__(self) -> None:
        self.acks: list[asyncio.Future[RecordMetadata]] = []

    def assignment(self) -> set[object]:
        return set()

    async def send(self, *_: object, **_options: object) -> asyncio.Future[RecordMetadata]:
        self.acks.append(asyncio.get_running_loop().create_future())
        return self.acks[-1]


@pytest.fixture
async def broker() -> Broker:
    return Broker()


@pytest.fixture
async def urgent(broker: Broker) -> AsyncIterator[Lane]:
    lane = Lane(
        "urgent",
        topics=("events.urgent",),
        consumer=broker,
        producer=broker,
        limits=Filter(),
        decide=lambda *_: Outputs(),
        raw=False,
        acknowledged=lambda _: None,
    )
    yield lane
    await lane.delivery.stop()


async def hand_over(lane: Lane) -> None:
    await lane.delivery.room()
    letter = DeadLetter(PLACE, 0, None, b"", "not an event")
    await lane.delivery.hand_over(Outputs(dead_letters=[letter], next_offsets={PLACE: 1}))


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nobody_stands_back_where_nothing_is_on_its_way(urgent: Lane) -> None:
    waiting = asyncio.ensure_future(urgent.drained())
    await turns()
    assert waiting.done()


async def test_bulk_stands_back_until_an_emergency_is_acknowledged(urgent: Lane, broker: Broker) -> None:
    await hand_over(urgent)
    waiting = asyncio.ensure_future(urgent.drained())
    await turns()
    assert not waiting.done()
    broker.acks[0].set_result(ACK)
    await turns()
    assert waiting.done()


async def test_bulk_does_not_stand_back_for_a_broker_that_does_not_answer(urgent: Lane) -> None:
    await hand_over(urgent)
    await urgent.drained()
    assert urgent.delivery.in_flight == 1


class Ask(NamedTuple):
    """What a lane asked its consumer for, and how that would have fetched then."""

    wait_ms: int
    bytes_min: int
    records_max: int


class Consumer(Broker):
    """Hands out what the test wrote down, then nothing; notes each ask."""

    def __init__(self, script: list[int]) -> None:
        super().__init__()
        self.asks: list[Ask] = []
        self.is_over = asyncio.Event()
        self._script = script
        self._fetcher = SimpleNamespace(_records={}, _fetch_max_wait_ms=FETCH_WAIT_MS, _fetch_min_bytes=1)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[TopicPartition, list[SimpleNamespace]]:
        its = self._fetcher
        self.asks.append(Ask(its._fetch_max_wait_ms, its._fetch_min_bytes, max_records))
        if not self._script:
            self.is_over.set()
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        count = self._script.pop(0)
        return {TopicPartition("events.sms", 3): [SimpleNamespace(offset=0)] * count} if count else {}


async def asked(lane_name: str, script: list[int], *, after: Lane | None) -> list[Ask]:
    """How a lane asked while the script lasted, and once more."""
    consumer, asks_count = Consumer(script), len(script) + 1
    lane = Lane(
        lane_name,
        topics=("events.sms",),
        consumer=consumer,
        producer=consumer,
        limits=Filter(),
        decide=lambda *_: Outputs(),
        raw=False,
        acknowledged=lambda _: None,
        after=after,
    )
    running = asyncio.ensure_future(lane.run())
    async with asyncio.timeout(10):
        await consumer.is_over.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await lane.delivery.stop()
    return consumer.asks[:asks_count]


async def test_the_broker_gathers_for_bulk_while_events_come_and_answers_at_once_when_none_do(urgent: Lane) -> None:
    asks = await asked("bulk", [5, 5, 0, 5], after=urgent)
    assert [ask[:2] for ask in asks] == [
        (FETCH_WAIT_MS, 1),
        (GATHER_MS, GATHER_BYTES),
        (GATHER_MS, GATHER_BYTES),
        (FETCH_WAIT_MS, 1),
        (GATHER_MS, GATHER_BYTES),
    ]


async def test_the_broker_never_gathers_emergencies(urgent: Lane) -> None:
    del urgent
    assert {ask[:2] for ask in await asked("urgent", [5, 5, 5], after=None)} == {(FETCH_WAIT_MS, 1)}


async def test_batches_of_bulk_are_small_while_emergencies_come() -> None:
    whole = Filter().batch_records_max
    quiet = Lane(
        "urgent",
        topics=("events.urgent",),
        consumer=Consumer([]),
        producer=Consumer([]),
        limits=Filter(),
        decide=lambda *_: Outputs(),
        raw=False,
        acknowledged=lambda _: None,
    )
    assert {ask.records_max for ask in await asked("bulk", [5, 5], after=quiet)} == {whole}
    quiet._note_taken({PLACE: Taken([], [], 1)})
    assert {ask.records_max for ask in await asked("bulk", [5, 5], after=quiet)} == {whole // URGENT_TIMES}
    await quiet.delivery.stop()
