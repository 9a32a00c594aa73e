"""A follower on a log that the test holds in its hands: what is applied, and how fresh the registry then is."""

import asyncio
from collections.abc import Collection

import pytest

from bloom.bitmaps import Wills
from bloom.partitioned import HeldPartitions
from stream.clock import now_ms
from stream.feed.follower import Follower
from stream.kafka.identity import TopicsChanged
from stream.model.registry import Expression, Sender
from stream.model.topics import EXPRESSIONS
from stream.registry.registry import Registry
from tests.feed.registry_log import PARTITIONS, Log, LogConsumer, place_of

REFUSAL = Expression(subscriber="+8613800138000", channel="sms", will="refuse", time=1, source="test")
PLACE = place_of(REFUSAL)
SENDER = Sender(sender="ORG-1", name="One", contact="95588", status="active", numbers=())


class World:
    """A follower of a log, for whose topics the test vouches."""

    def __init__(self, *, held: HeldPartitions | None = None) -> None:
        self.log = Log()
        self.consumer = LogConsumer(self.log, committed=True)
        self.same: bool | None = True
        """whether the topics are the same; None: nobody knows"""
        self.follower = Follower(
            self.consumer,
            Registry(held=held) if held is not None else Registry(),
            partitions=PARTITIONS,
            poll_records_max=100,
            ends_every_ms=1,
            watermarks=LogConsumer(self.log, committed=False),
            vouch=self.vouch,
        )

    async def vouch(self, _: Collection[str]) -> bool:
        if self.same is False:
            raise TopicsChanged("registry.senders was recreated")
        return bool(self.same)

    async def begin(self) -> None:
        await self.follower.start({})
        await self.follower.catch_up(lambda *_: None)

    @property
    def refusing(self) -> int:
        return self.follower.registry.wills.refusing_all_count("sms")

    async def poll_until_fresh(self) -> None:
        since = now_ms()
        while (self.follower.fresh_ms or 0) < since:
            await self.follower.poll(wait_ms=1)


async def test_what_nobody_can_vouch_for_waits_and_is_applied_once_somebody_does() -> None:
    world = World()
    await world.begin()
    world.log.write(REFUSAL)
    world.same = None
    for _ in range(5):
        assert not (await world.follower.poll(wait_ms=1)).records
    assert world.refusing == 0
    world.same = True
    await world.poll_until_fresh()
    assert world.refusing == 1


async def test_records_of_a_topic_made_anew_are_not_applied() -> None:
    world = World()
    await world.begin()
    world.log.write(SENDER)
    world.same = False
    with pytest.raises(TopicsChanged, match="recreated"):
        await world.follower.poll(wait_ms=1)
    assert not world.follower.registry.senders


async def test_records_that_were_removed_before_they_were_read_end_it_with_the_mend() -> None:
    world = World()
    await world.begin()
    world.consumer.lost_before = 1
    with pytest.raises(TopicsChanged, match="keep retention and DeleteRecords away from registry topics"):
        await world.follower.poll(wait_ms=1)


async def test_what_stands_behind_an_open_transaction_makes_the_registry_stale() -> None:
    world = World()
    await world.begin()
    fresh_ms = world.follower.fresh_ms
    assert fresh_ms is not None
    world.log.write(REFUSAL, hangs=True)
    await asyncio.sleep(0.002)
    while not world.follower.held_back:
        await world.follower.poll(wait_ms=1)
    stale_since = world.follower.fresh_ms
    for _ in range(20):
        await world.follower.poll(wait_ms=1)
    assert world.follower.fresh_ms == stale_since
    assert world.follower.held_back == (f"{EXPRESSIONS}-{PLACE.partition}",)
    world.log.open.clear()
    await world.poll_until_fresh()
    assert world.refusing == 1
    assert not world.follower.held_back


async def test_a_start_behind_an_open_transaction_reads_what_is_committed_and_has_not_been_fresh() -> None:
    world = World()
    world.log.write(SENDER)
    world.log.write(REFUSAL, hangs=True)
    await world.begin()
    assert list(world.follower.registry.senders) == ["ORG-1"]
    assert world.follower.staleness_ms(now_ms()) is None
    world.log.open.clear()
    await world.poll_until_fresh()
    assert world.refusing == 1


async def test_a_partition_taken_with_an_open_transaction_is_loaded_but_not_fresh() -> None:
    """Its other events need not wait; commercial ones are decided as by a registry that is stale."""
    world = World(held=HeldPartitions(PARTITIONS))
    await world.begin()
    assert world.follower.fresh_ms is not None
    world.log.write(REFUSAL, hangs=True)
    loaded = world.follower.take(PLACE.partition, Wills(), None)
    while not loaded.done():
        await world.follower.poll(wait_ms=1)
    assert world.follower.staleness_ms(now_ms()) is None
    world.log.open.clear()
    await world.poll_until_fresh()
    assert world.refusing == 1
