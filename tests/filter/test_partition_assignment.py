"""Which partitions a worker of partitioned mode decides, whatever order the group's callbacks come in.

Lanes and follower are genuine; the test speaks for the group and holds the topics in its hands. What a real group does
to them stands in `test_partitioned.py`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from bloom.partition import partition_of
from bloom.partitioned import HeldPartitions
from stream import config as configuration
from stream.config import FilterConfig
from stream.deciding.batch import Outputs
from stream.feed import partition_snapshots
from stream.feed.follower import Follower
from stream.feed.partition_snapshots import Part
from stream.filter.lane import Lane, LaneSettings
from stream.filter.partition_assignment import URGENT, PartitionAssignment
from stream.kafka.describe import ClusterDescription
from stream.metrics import FilterMetrics
from stream.model.dead_letters import DeadLetter
from stream.model.registry import Expression
from stream.model.topics import EVENTS_SMS, EVENTS_URGENT, TopicPartition
from stream.registry.registry import Registry
from tests.feed.registry_log import PARTITIONS, Log, LogConsumer
from tests.filter.letters import Letters
from tests.patience import LONG_S

ACK = RecordMetadata("dead-letter", 0, None, 0, 0, 0, 0)
DRAIN_MS = 200


class Decider:
    """Decides nothing, and takes note of nothing."""

    def decide(self, *_: object) -> Outputs:
        return Outputs()

    def acknowledged(self, *_: object) -> None:
        pass


class Consumer:
    """A lane's consumer as aiokafka keeps one: what is assigned anew is fetched, unless it is paused."""

    def __init__(self, committed: dict[AIOKafkaPartition, int], fetched: Callable[[], None]) -> None:
        self.at: dict[AIOKafkaPartition, int | str] = {}
        self.pausing_count = 0
        self._assigned: set[AIOKafkaPartition] = set()
        self._paused: set[AIOKafkaPartition] = set()
        self._committed = committed
        self._fetched = fetched
        self._coordinator = SimpleNamespace(fetch_committed_offsets=self._fetch_committed)

    @property
    def fetching(self) -> list[int]:
        """The partitions of which it fetches."""
        return sorted({place.partition for place in self._assigned - self._paused})

    def assign(self, places: Collection[AIOKafkaPartition]) -> None:
        self._assigned, self._paused = set(places), set()
        self.at.clear()

    def assignment(self) -> set[AIOKafkaPartition]:
        return set(self._assigned)

    def pause(self, *places: AIOKafkaPartition) -> None:
        assert self._assigned.issuperset(places), "aiokafka refuses that"
        self._paused |= set(places)
        self.pausing_count += 1

    def resume(self, *places: AIOKafkaPartition) -> None:
        assert self._assigned.issuperset(places), "aiokafka refuses that"
        assert self.at.keys() >= set(places), "it would fetch from nowhere"
        self._paused -= set(places)
        self._fetched()

    def seek(self, place: AIOKafkaPartition, offset: int) -> None:
        self.at[place] = offset

    async def seek_to_beginning(self, *places: AIOKafkaPartition) -> None:
        self.at |= dict.fromkeys(places, "beginning")

    async def commit(self, offsets: Mapping[AIOKafkaPartition, tuple[int, str]]) -> None:
        self._committed |= {place: offset for place, (offset, _) in offsets.items()}

    async def _fetch_committed(
        self, places: Collection[AIOKafkaPartition]
    ) -> dict[AIOKafkaPartition, OffsetAndMetadata]:
        await asyncio.sleep(0)
        return {place: OffsetAndMetadata(self._committed[place], "") for place in places if place in self._committed}


class Producer:
    """Stands in for a broker that acknowledges when the test says so."""

    def __init__(self) -> None:
        self.acks: list[asyncio.Future[RecordMetadata]] = []

    async def send(self, *_: object, **_options: object) -> asyncio.Future[RecordMetadata]:
        self.acks.append(asyncio.get_running_loop().create_future())
        return self.acks[-1]


class World:
    """One worker: two lanes, a follower, and its assignment, which follows what the test says for the group."""

    def __init__(self, directory: Path) -> None:
        self.log = Log()
        self.held = HeldPartitions(PARTITIONS)
        self.follower = Follower(
            LogConsumer(self.log, committed=True),
            Registry(held=self.held),
            partitions=PARTITIONS,
            poll_records_max=100,
            ends_every_ms=1,
            watermarks=LogConsumer(self.log, committed=False),
        )
        self.committed: dict[AIOKafkaPartition, int] = {}
        self.refusing_when_fetched: list[int] = []
        self.member = Consumer(self.committed, self._note_what_is_known)
        self.by_hand = Consumer(self.committed, self._note_what_is_known)
        self.producer = Producer()
        self.urgent = self._lane("urgent", URGENT, self.by_hand)
        self.bulk = self._lane("bulk", (EVENTS_SMS,), self.member)
        self.metrics = FilterMetrics()
        self.settled_count = 0
        self.assignment = PartitionAssignment(
            configuration.load(None, {"WURAO_REGISTRY__SNAPSHOTS": str(directory)}),
            cluster=ClusterDescription("cluster", {}),
            follower=self.follower,
            urgent=self.urgent,
            bulk=self.bulk,
            metrics=self.metrics,
            settled=self._settled,
        )

    def _lane(self, name: str, topics: tuple[str, ...], consumer: Consumer) -> Lane:
        settings = LaneSettings.of(FilterConfig(drain_timeout_ms=DRAIN_MS), name, topics, is_raw=False)
        marks = dict.fromkeys((EVENTS_SMS, EVENTS_URGENT), "cluster/topic")
        return Lane(
            settings,
            consumer=consumer,
            producer=self.producer,
            letters=Letters(self.producer),
            decider=Decider(),
            marks=marks,
            lost=lambda *_: None,
            member=self.member,
        )

    def _note_what_is_known(self) -> None:
        self.refusing_when_fetched.append(self.held.store.refusing_all_count("sms"))

    def _settled(self) -> None:
        self.settled_count += 1

    # ---- the group

    async def revoke(self) -> None:
        """As aiokafka does before each assignment, the first one too."""
        await self.assignment.on_partitions_revoked(self.member.assignment())

    async def assign(self, *partitions: int) -> None:
        """The group gives the worker these."""
        places = {AIOKafkaPartition(topic, one) for topic in (EVENTS_SMS, EVENTS_URGENT) for one in partitions}
        self.member.assign(places)
        await self.assignment.on_partitions_assigned(places)

    async def rebalance(self, *partitions: int) -> None:
        await self.revoke()
        await self.assign(*partitions)

    # ---- what comes of it

    @property
    def fetching(self) -> tuple[list[int], list[int]]:
        """The partitions of which each lane fetches, the urgent one first."""
        return self.by_hand.fetching, self.member.fetching

    async def until(self, reached: Callable[[], bool], *, polling: bool = True) -> None:
        """Let the worker go on until something is so; without polls the follower loads nothing."""
        async with asyncio.timeout(LONG_S):
            while not reached():
                if polling:
                    await self.follower.poll(wait_ms=1)
                await asyncio.sleep(0)

    async def until_fetching(self, *partitions: int) -> None:
        wanted = sorted(partitions)
        await self.until(lambda: self.fetching == (wanted, wanted))

    async def some_turns(self, *, polling: bool) -> None:
        """Time in which whatever is wrong would happen."""
        for _ in range(20):
            if polling:
                await self.follower.poll(wait_ms=1)
            await asyncio.sleep(0.002)

    async def hand_over(self, lane: Lane, place: TopicPartition, next_offset: int) -> None:
        """A batch on its way: not acknowledged yet."""
        await lane.delivery.room()
        letter = DeadLetter(place, next_offset - 1, None, b"", "not an event")
        await lane.delivery.hand_over(Outputs(dead_letters=[letter], next_offsets={place: next_offset}))
        await asyncio.sleep(0)  # its letter is on its way


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.follower.start({})
    running = asyncio.ensure_future(made.assignment.run())
    yield made
    for ack in made.producer.acks:
        if not ack.done():
            ack.set_result(ACK)
    await made.urgent.delivery.stop()
    await made.bulk.delivery.stop()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await made.follower.stop()


class Shelf:
    """Snapshots that are read when the test says so."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.may_be_read = threading.Event()
        self._empty = partition_snapshots.newest_good

    def newest_good(self, config: object, cluster: object, partition: int, on_problem: object) -> Part:
        self.asked.append(partition)
        assert self.may_be_read.wait(LONG_S)
        return self._empty(config, cluster, partition, on_problem)  # type: ignore[arg-type]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf()
    monkeypatch.setattr(partition_snapshots, "newest_good", made.newest_good)
    return made


def refusal_in(partition: int) -> Expression:
    """A refusal of everything, of a subscriber who belongs there."""
    numbers = (f"+86138{number:08d}" for number in range(10_000))
    subscriber = next(number for number in numbers if partition_of(number, PARTITIONS) == partition)
    return Expression(subscriber=subscriber, channel="sms", will="refuse", time=1, source="test")


SMS_0 = TopicPartition(EVENTS_SMS, 0)


async def test_nothing_is_fetched_before_everything_that_the_topic_held_is_applied(world: World) -> None:
    for partition in range(PARTITIONS):
        world.log.write(refusal_in(partition))
    await world.rebalance(0, 2)
    await world.some_turns(polling=False)
    assert world.fetching == ([], [])
    assert world.assignment.waiting_count == 2
    await world.until_fetching(0, 2)
    assert world.held.numbers() == [0, 2]
    assert world.held.store.refusing_all_count("sms") == 2, "of the others nothing is known here"
    assert world.refusing_when_fetched[-1] == 2
    assert world.assignment.waiting_count == 0


async def test_each_partition_opens_as_soon_as_it_is_loaded_and_waits_for_no_other(world: World) -> None:
    world.log.write(refusal_in(3))
    await world.rebalance(1)
    await world.until_fetching(1)
    assert world.refusing_when_fetched == [0] * len(world.refusing_when_fetched)
    await world.rebalance(1, 3)
    await world.until(lambda: world.fetching == ([1], [1]), polling=False)
    assert world.assignment.waiting_count == 1
    await world.until_fetching(1, 3)


async def test_a_partition_that_stays_while_it_is_loading_opens_when_it_is_loaded_and_not_before(world: World) -> None:
    world.log.write(refusal_in(0))
    await world.rebalance(0)
    await world.until(lambda: len(world.follower._changes) == 1, polling=False)
    await world.rebalance(0, 1)
    await world.until(lambda: len(world.follower._changes) == 2, polling=False)
    assert world.fetching == ([], [])
    await world.until_fetching(0, 1)
    assert world.refusing_when_fetched[-1] == 1


async def test_the_urgent_lane_begins_where_the_group_has_committed(world: World) -> None:
    world.committed[AIOKafkaPartition(EVENTS_URGENT, 1)] = 41
    await world.rebalance(0, 1)
    await world.until_fetching(0, 1)
    assert world.by_hand.at == {
        AIOKafkaPartition(EVENTS_URGENT, 0): "beginning",
        AIOKafkaPartition(EVENTS_URGENT, 1): 41,
    }


async def test_a_worker_is_settled_once_when_all_that_it_was_given_first_is_loaded(world: World) -> None:
    await world.rebalance(0, 1)
    await world.some_turns(polling=False)
    assert world.settled_count == 0
    await world.until_fetching(0, 1)
    assert world.settled_count == 1
    await world.rebalance(2)
    await world.until_fetching(2)
    assert world.settled_count == 1


async def test_a_worker_that_is_given_nothing_is_settled_and_fetches_nothing(world: World) -> None:
    await world.rebalance()
    await world.until(lambda: world.settled_count == 1)
    assert world.fetching == ([], [])
    assert world.held.numbers() == []


async def test_a_revocation_waits_until_what_is_on_its_way_is_acknowledged_and_committed(world: World) -> None:
    await world.rebalance(0)
    await world.until_fetching(0)
    await world.hand_over(world.bulk, SMS_0, 7)
    revoking = asyncio.ensure_future(world.revoke())
    for _ in range(10):
        await asyncio.sleep(0)
    assert world.fetching == ([], []), "nothing more is taken meanwhile"
    assert not revoking.done()
    assert world.committed == {}
    world.producer.acks[0].set_result(ACK)
    await revoking
    assert world.committed == {AIOKafkaPartition(*SMS_0): 7}


async def test_a_revocation_waits_for_the_urgent_lane_too_and_commits_it_by_the_member(world: World) -> None:
    await world.rebalance(0)
    await world.until_fetching(0)
    place = TopicPartition(EVENTS_URGENT, 0)
    await world.hand_over(world.urgent, place, 3)
    revoking = asyncio.ensure_future(world.revoke())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not revoking.done()
    world.producer.acks[0].set_result(ACK)
    await revoking
    assert world.committed == {AIOKafkaPartition(*place): 3}


async def test_a_revocation_ends_without_a_broker_and_what_was_on_its_way_is_not_committed(world: World) -> None:
    await world.rebalance(0)
    await world.until_fetching(0)
    await world.hand_over(world.bulk, SMS_0, 7)
    async with asyncio.timeout(LONG_S):
        await world.revoke()
    assert world.committed == {}
    await world.assign(1)
    await world.until_fetching(1)
    world.producer.acks[0].set_result(ACK)  # too late: the partition is somebody else's
    await world.bulk.delivery.drain()
    assert world.committed == {}, "its next owner has begun where the group stood"


async def test_what_is_lost_is_let_go_of_and_what_stays_is_not_loaded_again(world: World, shelf: Shelf) -> None:
    shelf.may_be_read.set()
    world.log.write(refusal_in(0))
    world.log.write(refusal_in(1))
    await world.rebalance(0, 1)
    await world.until_fetching(0, 1)
    await world.rebalance(1)
    await world.until(lambda: world.fetching == ([1], [1]), polling=False)  # at once: it is here already
    await world.until(lambda: world.held.numbers() == [1])
    await world.until(lambda: world.held.store.refusing_all_count("sms") == 1)
    assert world.by_hand.assignment() == {AIOKafkaPartition(EVENTS_URGENT, 1)}
    assert shelf.asked == [0, 1]


async def test_a_partition_that_comes_back_is_loaded_anew(world: World, shelf: Shelf) -> None:
    shelf.may_be_read.set()
    await world.rebalance(0, 1)
    await world.until_fetching(0, 1)
    await world.rebalance(1)
    await world.until_fetching(1)
    world.log.write(refusal_in(0))  # while somebody else had it
    world.refusing_when_fetched.clear()
    await world.rebalance(0, 1)
    await world.until_fetching(0, 1)
    assert world.refusing_when_fetched[-1] == 1
    assert shelf.asked == [0, 1, 0]


async def test_the_same_assignment_again_loads_nothing_again(world: World, shelf: Shelf) -> None:
    shelf.may_be_read.set()
    await world.rebalance(0, 1)
    await world.until_fetching(0, 1)
    for _ in range(3):
        await world.assign(0, 1)  # without a revocation in between
        await world.until_fetching(0, 1)
    assert shelf.asked == [0, 1]
    assert world.held.numbers() == [0, 1]


async def test_between_two_assignments_nothing_opens_though_it_is_loaded_then(world: World) -> None:
    await world.rebalance(0)
    await world.until(lambda: 0 in world.held.numbers() or bool(world.follower._changes), polling=False)
    await world.revoke()
    await world.until(lambda: not world.assignment.waiting_count)  # its load ends in the midst of the rebalance
    await world.some_turns(polling=True)
    assert world.fetching == ([], [])
    await world.assign(0)
    await world.until_fetching(0)


async def test_a_partition_lost_while_it_is_loading_never_opens(world: World) -> None:
    await world.rebalance(0, 1)
    await world.until(lambda: len(world.follower._changes) == 2, polling=False)
    await world.rebalance(1)
    await world.until_fetching(1)
    await world.some_turns(polling=True)
    assert world.fetching == ([1], [1])
    assert world.held.numbers() == [1]
    assert world.assignment.waiting_count == 0


async def test_what_an_older_assignment_was_still_reading_is_not_taken_for_a_newer_one(
    world: World, shelf: Shelf
) -> None:
    await world.rebalance(0, 1)
    await world.until(lambda: shelf.asked == [0], polling=False)
    await world.rebalance(2)
    shelf.may_be_read.set()
    await world.until_fetching(2)
    await world.some_turns(polling=True)
    assert world.held.numbers() == [2]
    assert world.fetching == ([2], [2])
    assert shelf.asked == [0, 2], "nor does the older one go on with its next"


async def test_so_it_is_where_no_revocation_came_in_between(world: World, shelf: Shelf) -> None:
    await world.assign(0, 1)
    await world.until(lambda: shelf.asked == [0], polling=False)
    await world.assign(2)
    shelf.may_be_read.set()
    await world.until_fetching(2)
    await world.some_turns(polling=True)
    assert world.held.numbers() == [2]
    assert shelf.asked == [0, 2]


async def test_two_assignments_in_a_row_count_as_the_second(world: World) -> None:
    await world.assign(0, 1)
    await world.assign(2, 3)
    await world.until_fetching(2, 3)
    assert world.held.numbers() == [2, 3]
    assert world.by_hand.assignment() == {AIOKafkaPartition(EVENTS_URGENT, 2), AIOKafkaPartition(EVENTS_URGENT, 3)}


async def test_a_worker_that_loses_everything_holds_nothing_and_may_begin_again(world: World) -> None:
    await world.rebalance(0, 1, 2, 3)
    await world.until_fetching(0, 1, 2, 3)
    await world.rebalance()
    await world.until(lambda: not world.held.numbers())
    assert world.fetching == ([], [])
    await world.rebalance(3)
    await world.until_fetching(3)


async def test_a_group_that_leaves_a_worker_out_revokes_with_nothing_and_that_shuts_it_too(world: World) -> None:
    """aiokafka hands on an empty set where the member was thrown out: it no longer knows what it had."""
    await world.rebalance(0)
    await world.until_fetching(0)
    await world.assignment.on_partitions_revoked(set())
    assert world.fetching == ([], [])


async def test_metrics_say_what_is_held_and_what_is_still_loading(world: World, shelf: Shelf) -> None:
    def shown() -> tuple[float, float]:
        gauges = world.metrics.partitions_held, world.metrics.partitions_loading
        held, loading = (next(iter(gauge.collect())).samples[0].value for gauge in gauges)
        return held, loading

    await world.rebalance(0, 1)
    await world.until(lambda: shown() == (0, 2), polling=False)
    shelf.may_be_read.set()
    await world.until_fetching(0, 1)
    assert shown() == (2, 0)
    await world.rebalance(1)
    await world.until_fetching(1)
    assert shown() == (1, 0)
