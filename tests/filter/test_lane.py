"""Which lane goes first: bulk stands back for an emergency until it is acknowledged, and not for ever."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka.structs import RecordMetadata

from stream.config import Filter
from stream.filter.batch import DeadLetter, Outputs, Place
from stream.filter.lane import Lane

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
