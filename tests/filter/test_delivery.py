"""The way out: what is acknowledged is committed, in time and not before; and no batch waits for a commit."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaTimeoutError
from aiokafka.structs import RecordMetadata

from stream.deciding.batch import Outputs
from stream.filter.delivery import AtLeastOnceDelivery, accepted
from stream.model.dead_letters import DeadLetter
from stream.model.topics import TopicPartition
from tests.filter.letters import Letters

PLACE = TopicPartition("events.sms", 3)
ACK = RecordMetadata("decisions", 3, None, 0, 0, 0, 0)


class Producer:
    """Stands in for a broker that answers when the test says so."""

    def __init__(self) -> None:
        self.acks: list[asyncio.Future[RecordMetadata]] = []

    async def send(self, *_: object, **_options: object) -> asyncio.Future[RecordMetadata]:
        self.acks.append(asyncio.get_running_loop().create_future())
        return self.acks[-1]


class World:
    """A delivery with room for two batches, and a commit that takes as long as the test wants."""

    def __init__(self) -> None:
        self.producer = Producer()
        self.committed: list[Mapping[TopicPartition, int]] = []
        self.commit_may_end = asyncio.Event()
        self.commit_may_end.set()
        self.commit_fails: Exception | None = None
        self.delivery = AtLeastOnceDelivery(
            self.producer,
            letters=Letters(self.producer),
            begin=self.begin,
            commit=self.commit,
            in_flight_max=2,
            acknowledged=lambda _: None,
        )

    async def begin(self, _: object) -> None:
        """Nothing is assigned here."""

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await self.commit_may_end.wait()
        if self.commit_fails is not None:
            raise self.commit_fails
        self.committed.append(dict(offsets))

    async def hand_over(self, next_offset: int) -> None:
        await self.delivery.room()
        # A dead letter leaves alone; decisions leave as batches, which a broker is needed for.
        letter = DeadLetter(PLACE, next_offset - 1, None, b"", "not an event")
        await self.delivery.hand_over(Outputs(dead_letters=[letter], next_offsets={PLACE: next_offset}))
        await asyncio.sleep(0)  # its letter is on its way

    def acknowledge(self) -> None:
        next(ack for ack in self.producer.acks if not ack.done()).set_result(ACK)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.delivery.stop()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nothing_is_committed_before_it_is_acknowledged(world: World) -> None:
    await world.hand_over(5)
    await turns()
    assert world.committed == []
    world.acknowledge()
    await world.delivery.drain()
    assert world.committed == [{PLACE: 5}]


async def test_a_later_batch_that_is_acknowledged_first_waits_for_the_one_before(world: World) -> None:
    await world.hand_over(5)
    await world.hand_over(9)
    world.producer.acks[1].set_result(ACK)
    await turns()
    assert world.committed == []
    assert world.delivery.in_flight == 2
    world.acknowledge()
    await world.delivery.drain()
    assert world.committed[-1] == {PLACE: 9}


async def test_no_batch_waits_for_a_commit(world: World) -> None:
    world.commit_may_end.clear()
    for next_offset in range(1, 6):  # more than there is room for
        await world.hand_over(next_offset)
        world.acknowledge()
        await turns()
    assert world.committed == []
    world.commit_may_end.set()
    await world.delivery.drain()
    assert world.committed[-1] == {PLACE: 5}


async def test_room_is_what_is_not_acknowledged_yet(world: World) -> None:
    await world.hand_over(1)
    await world.hand_over(2)
    third = asyncio.ensure_future(world.delivery.room())
    await turns()
    assert not third.done()
    world.acknowledge()
    await turns()
    assert third.done()


async def test_a_drain_waits_for_the_commit_of_the_last_batch(world: World) -> None:
    world.commit_may_end.clear()
    await world.hand_over(7)
    world.acknowledge()
    draining = asyncio.ensure_future(world.delivery.drain())
    await turns()
    assert not draining.done()
    world.commit_may_end.set()
    await draining
    assert world.committed == [{PLACE: 7}]


async def test_a_drain_waits_for_every_acknowledgement(world: World) -> None:
    await world.hand_over(1)
    await world.hand_over(2)
    draining = asyncio.ensure_future(world.delivery.drain())
    world.acknowledge()
    await turns()
    assert world.committed == [{PLACE: 1}]
    assert not draining.done()
    world.acknowledge()
    await draining
    assert world.committed == [{PLACE: 1}, {PLACE: 2}]


async def test_batches_acknowledged_between_two_commits_are_committed_together(world: World) -> None:
    for next_offset in range(1, 11):
        await world.hand_over(next_offset)
        world.acknowledge()
        await turns()
    await world.delivery.drain()
    assert world.committed == [{PLACE: 1}, {PLACE: 10}]


async def test_what_cannot_be_delivered_fails_the_delivery_and_whatever_is_handed_over_after_it(world: World) -> None:
    await world.hand_over(1)
    world.producer.acks[0].set_exception(ConnectionError("the broker is gone"))
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(asyncio.shield(world.delivery.failed), 5)
    with pytest.raises(ConnectionError):
        await world.hand_over(2)  # there was room for two: what is handed over now could not be delivered


async def test_a_commit_that_fails_for_good_leaves_no_room_and_no_end_as_if_all_were_well(world: World) -> None:
    """Offsets would stand still while a thousand batches are decided, and all of them again by whoever comes next."""
    world.commit_fails = GroupAuthorizationFailedError("wurao-filter.bulk")
    await world.hand_over(1)
    world.acknowledge()
    with pytest.raises(GroupAuthorizationFailedError):
        await world.delivery.drain()
    with pytest.raises(GroupAuthorizationFailedError):
        await world.delivery.room()
    assert world.committed == []


async def test_a_producer_that_takes_nothing_for_a_while_is_asked_until_it_does() -> None:
    """aiokafka gives up after `kafka.request_timeout_ms`; an outage may be longer."""
    answers: list[Exception | None] = [KafkaTimeoutError(), KafkaTimeoutError(), None]

    async def send() -> asyncio.Future[RecordMetadata]:
        if (answer := answers.pop(0)) is not None:
            raise answer
        return asyncio.get_running_loop().create_future()

    await accepted(send)
    assert answers == []
