"""Which lane goes first: bulk stands back for an emergency until it is acknowledged, and not for ever."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.structs import RecordMetadata

from stream.config import FilterConfig
from stream.deciding.batch import Outputs
from stream.deciding.native_batch import Taken
from stream.filter.delivery import AtLeastOnceDelivery
from stream.filter.lane import Lane, LaneSettings
from stream.filter.lane_state import Draining, Idle, InHand, LaneState, State, Stopped
from stream.filter.pacing import GATHER_BYTES, GATHER_MS, URGENT_TIMES
from stream.kafka.clients import FETCH_WAIT_MS
from stream.model.dead_letters import DeadLetter
from stream.model.topics import TopicPartition
from tests.filter.letters import Letters
from tests.patience import LONG_S

PLACE = TopicPartition("events.urgent", 3)
ACK = RecordMetadata("dead-letter", 0, None, 0, 0, 0, 0)


class Decider:
    """Decides nothing, and takes note of nothing."""

    def decide(self, *_: object) -> Outputs:
        return Outputs()

    def acknowledged(self, *_: object) -> None:
        pass


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
        LaneSettings.of(FilterConfig(), "urgent", ("events.urgent",), is_raw=False),
        consumer=broker,
        producer=broker,
        letters=Letters(broker),
        decider=Decider(),
        marks={},
        lost=lambda *_: None,
    )
    yield lane
    await lane.delivery.stop()


async def hand_over(lane: Lane) -> None:
    await lane.delivery.room()
    letter = DeadLetter(PLACE, 0, None, b"", "not an event")
    await lane.delivery.hand_over(Outputs(dead_letters=[letter], next_offsets={PLACE: 1}))
    await asyncio.sleep(0)  # its letter is on its way


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


async def test_a_lane_that_cannot_commit_ends_by_its_reason(urgent: Lane, broker: Broker) -> None:
    async def commit(_: object) -> None:
        raise GroupAuthorizationFailedError("wurao-filter.urgent")

    assert isinstance(urgent.delivery, AtLeastOnceDelivery)
    urgent.delivery._commit = commit
    await hand_over(urgent)
    broker.acks[0].set_result(ACK)
    await urgent.settle("revoked")  # told to no rebalance, which would swallow it
    with pytest.raises(GroupAuthorizationFailedError):
        await urgent.run()
    with pytest.raises(GroupAuthorizationFailedError):
        await urgent.stop()


SOME = {PLACE: Taken([], [], 1)}


class Consumer(Broker):
    """Hands out what the test wrote down, then nothing; notes how much was asked for."""

    def __init__(self, script: list[int]) -> None:
        super().__init__()
        self.records_max: list[int] = []
        self.is_over = asyncio.Event()
        self._script = script
        self._fetcher = SimpleNamespace(_records={}, _fetch_max_wait_ms=FETCH_WAIT_MS, _fetch_min_bytes=1)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[AIOKafkaPartition, list[SimpleNamespace]]:
        self.records_max.append(max_records)
        if not self._script:
            self.is_over.set()
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        return {AIOKafkaPartition("events.sms", 3): [SimpleNamespace(offset=0)] * self._script.pop(0)}


def bulk(consumer: Consumer, *, after: Lane | None) -> Lane:
    """A lane that stands back for another; without one it is urgent itself."""
    return Lane(
        LaneSettings.of(FilterConfig(), "bulk" if after else "urgent", ("events.sms",), is_raw=False),
        consumer=consumer,
        producer=consumer,
        letters=Letters(consumer),
        decider=Decider(),
        marks={},
        lost=lambda *_: None,
        after=after,
    )


@pytest.fixture
def moment_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments that lanes are shown, one for each look; the last one stays."""
    moments = [100.0]
    show = SimpleNamespace(monotonic=lambda: moments.pop(0) if len(moments) > 1 else moments[0])
    monkeypatch.setattr("stream.filter.pacing.time", show)
    return moments


async def test_the_broker_gathers_for_bulk_while_batches_follow_each_other_and_else_answers_at_once(
    urgent: Lane, moment_s: list[float]
) -> None:
    lane = bulk(Consumer([]), after=urgent)
    its = lane.consumer._fetcher
    at_once, gathered = (FETCH_WAIT_MS, 1), (GATHER_MS, GATHER_BYTES)
    for moment, taken, expected in [
        (1.000, SOME, at_once),
        (1.004, SOME, gathered),
        (1.006, SOME, gathered),
        (1.008, {}, at_once),
        (1.010, SOME, gathered),
        (1.100, SOME, at_once),
    ]:
        moment_s[:] = [moment]
        lane.pacing.taken(taken)
        assert (its._fetch_max_wait_ms, its._fetch_min_bytes) == expected
    await lane.delivery.stop()


async def test_the_broker_never_gathers_emergencies(moment_s: list[float]) -> None:
    del moment_s  # it stands still: everything follows at once
    lane = bulk(Consumer([]), after=None)
    for _ in range(3):
        lane.pacing.taken(SOME)
        assert lane.consumer._fetcher._fetch_min_bytes == 1
    await lane.delivery.stop()


async def test_batches_of_bulk_are_small_while_emergencies_come(urgent: Lane, moment_s: list[float]) -> None:
    whole = FilterConfig().batch_records_max
    for moment, expected in [(100.0, whole // URGENT_TIMES), (104.9, whole // URGENT_TIMES), (105.1, whole)]:
        moment_s[:] = [100.0]
        urgent.pacing.taken(SOME)
        moment_s[:] = [moment]
        consumer = Consumer([5])
        lane = bulk(consumer, after=urgent)
        running = asyncio.ensure_future(lane.run())
        async with asyncio.timeout(LONG_S):
            await consumer.is_over.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await lane.delivery.stop()
        assert set(consumer.records_max) == {expected}


@pytest.mark.parametrize(
    ("calls", "state"),
    [
        ("", Idle()),
        ("take", InHand()),
        ("take handed_over", Idle()),
        ("drain", Draining(in_hand=False)),
        ("take drain", Draining(in_hand=True)),
        ("take drain drain", Draining(in_hand=True)),
        ("take drain handed_over", Draining(in_hand=False)),
        ("drain take", Draining(in_hand=False)),
        ("take drain stop handed_over", Stopped()),
        ("drain stop drain take", Stopped()),
    ],
)
def test_a_lane_that_drains_hands_over_what_it_holds_and_never_takes_again(calls: str, state: State) -> None:
    lane = LaneState()
    for call in calls.split():
        getattr(lane, call)()
    assert lane.now == state


async def test_who_waits_for_empty_hands_is_not_let_through_while_the_next_batch_is_taken() -> None:
    lane = LaneState()
    assert lane.take()
    waiting = asyncio.ensure_future(lane.until_empty_handed())
    await turns()
    lane.handed_over()
    assert lane.take()  # before the waiter had its turn
    await turns()
    assert not waiting.done()
    lane.handed_over()
    await turns()
    assert waiting.done()
