"""Exactly once, by real processes on a genuine Kafka: whoever dies when, a reader of committed records sees each event
decided once."""

import asyncio
import os
import random
import signal
import threading
from collections import Counter, deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

from stream.deciding.batch import Outputs
from stream.deciding.native_batch import Taken
from stream.filter.transactions import ExactlyOnceDelivery
from stream.kafka import clients
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.offsets import Offsets
from stream.model.topics import DEAD_LETTER, EXPRESSIONS, TopicPartition
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

MANY = 20_000


def filter_process(broker: Broker, directory: Path, *, workers: int = 1, native: str = "auto") -> FilterProcess:
    """A filter that delivers exactly once, and whose supervisor lets a worker sleep that a test has stopped."""
    return FilterProcess(
        broker,
        directory,
        workers=workers,
        WURAO_FILTER__DELIVERY="exactly-once",
        WURAO_FILTER__NATIVE=native,
        WURAO_FILTER__HUNG_AFTER_MS=str(3_600_000),
    )


def flood(count: int, *, first: int = 0) -> list[dict[str, object]]:
    """Events to numbers in every partition, calls among them."""
    return [
        event("sms", number, to=f"+86138{number % 997:08d}", text=cases.GOOD_TEXT, **cases.BANK)
        if number % 3
        else event("call", number, to=f"+86138{number % 997:08d}", **cases.BANK)
        for number in range(first, first + count)
    ]


def check_each_once(events: Sequence[dict[str, object]], broker: Broker, *, within_s: float = LONG_S) -> None:
    """Fails where one is missing, or decided more than once."""
    decisions = broker.decisions(until=len(events), within_s=within_s)
    counts = Counter(decision["event"] for decision in decisions)
    assert counts.keys() == {one["id"] for one in events}
    assert [name for name, count in counts.items() if count != 1] == []


def write_in_waves(broker: Broker, events: Sequence[dict[str, object]]) -> threading.Thread:
    """A writer at work."""
    waves = [events[first : first + 1_000] for first in range(0, len(events), 1_000)]
    writer = threading.Thread(target=lambda: deque(map(broker.write_events, waves), maxlen=0))
    writer.start()
    return writer


@pytest.mark.parametrize("native", ["off", "auto"])
def test_each_event_is_decided_and_committed_once_and_wills_and_dead_letters_come_out(
    broker: Broker, tmp_path: Path, native: str
) -> None:
    broker.write_registry(cases.registry())
    reply = event("reply", 1, **{"from": cases.WILLING, "to": cases.PORT, "text": "TD"})
    events = [*flood(1_000), reply]
    before = len(broker.read(EXPRESSIONS))
    with filter_process(broker, tmp_path, native=native) as filter_:
        filter_.wait_ready()
        broker.write_events(events)
        broker.write([("events.sms", 3, b"k", b"[")])
        check_each_once(events, broker)
        assert len(broker.read(DEAD_LETTER, until=1)) == 1
        assert len(broker.read(EXPRESSIONS, until=before + 1)) == before + 1
        assert filter_.terminate() == 0
    committed = broker.committed("wurao-filter.bulk")
    assert sum(offset for (topic, _), offset in committed.items() if topic.startswith("events.")) == len(events) + 1


def test_a_killed_worker_decides_nothing_twice(broker: Broker, tmp_path: Path) -> None:
    events, chance = flood(MANY), random.Random(7)
    with filter_process(broker, tmp_path, workers=2) as filter_:
        filter_.wait_ready()
        writer = write_in_waves(broker, events)
        for wanted in (MANY // 8, MANY // 4, MANY // 2):
            broker.decisions(until=wanted)
            os.kill(chance.choice(filter_.worker_pids()), signal.SIGKILL)
        writer.join()
        check_each_once(events, broker)


def test_a_worker_that_slept_and_was_replaced_decides_nothing_twice(broker: Broker, tmp_path: Path) -> None:
    """It wakes with batches in hand and believes that its partitions are its own; its transactions are not."""
    events = flood(MANY)
    with (
        filter_process(broker, tmp_path / "a") as sleeper,
        filter_process(broker, tmp_path / "b") as other,
    ):
        sleeper.wait_ready()
        other.wait_ready()
        writer = write_in_waves(broker, events)
        broker.decisions(until=MANY // 4)
        sleeping = sleeper.worker_pids()[0]
        os.kill(sleeping, signal.SIGSTOP)
        writer.join()
        broker.decisions(until=MANY)
        os.kill(sleeping, signal.SIGCONT)
        late = flood(1_000, first=MANY)
        broker.write_events(late)
        check_each_once([*events, *late], broker)


def test_a_predecessor_is_shut_out_before_anything_is_fetched(broker: Broker) -> None:
    """Its open transaction would move the committed offset behind our back, and decide what we decide as well."""
    place = TopicPartition("events.sms", 3)
    broker.write([(*place, b"k", b"[")] * 5)

    async def take_over() -> int | None:
        config, group = broker.config, "taken-over.bulk"
        transactional = partial(clients.producer, config, client="test")
        predecessor = transactional(transactional_id=f"{group}.{place.topic}.{place.partition}")
        successor = clients.group_consumer(config, group=group, client="test", instance=None)
        beside = clients.producer(config, client="test")
        async with predecessor, beside:
            await predecessor.begin_transaction()
            await predecessor.send_and_wait("decisions", key=b"k", value=b"{}", partition=3)
            await predecessor.send_offsets_to_transaction({AIOKafkaPartition(*place): 5}, group)
            delivery = ExactlyOnceDelivery(
                beside,
                letters=DeadLetterWriter(config, client="test"),
                consumer=successor,
                offsets=Offsets(
                    successor, member=successor, marks={place.topic: "cluster/topic"}, lost=lambda *_: None
                ),
                group=group,
                transactional=lambda name: transactional(transactional_id=name),
                in_flight_max=4,
                acknowledged=lambda _: None,
            )
            assigned = asyncio.Event()

            class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
                async def on_partitions_revoked(self, revoked: set[AIOKafkaPartition]) -> None:
                    pass

                async def on_partitions_assigned(self, given: set[AIOKafkaPartition]) -> None:
                    await delivery.assigned([TopicPartition(*one) for one in given])
                    assigned.set()

            successor.subscribe([place.topic], listener=Listener())
            async with successor:
                await asyncio.wait_for(assigned.wait(), 30)
                with pytest.raises(KafkaError):
                    await predecessor.commit_transaction()
                position: int = await successor.position(AIOKafkaPartition(*place))
                await delivery.stop()
                return position

    assert asyncio.run(take_over()) == 0
    assert broker.decisions() == []


def test_a_worker_whose_session_ended_leaves_its_partitions_alone_until_it_has_joined_again(broker: Broker) -> None:
    """After a silence of the brokers it is fenced and no member any more: nothing to die of, the group goes on."""
    place = TopicPartition("events.sms", 3)
    broker.write([(*place, b"k", b"[")] * 5)
    decided = Outputs(decisions={3: [(b"k", b"{}")]}, next_offsets={place: 5})

    async def outlast_the_session() -> None:
        config, group = broker.config, "outlasted.bulk"
        consumer = clients.group_consumer(config, group=group, client="test", instance=None)
        beside = clients.producer(config, client="test")
        delivery = ExactlyOnceDelivery(
            beside,
            letters=DeadLetterWriter(config, client="test"),
            consumer=consumer,
            offsets=Offsets(consumer, member=consumer, marks={place.topic: "cluster/topic"}, lost=lambda *_: None),
            group=group,
            transactional=lambda name: clients.producer(config, client="test", transactional_id=name),
            in_flight_max=4,
            acknowledged=lambda _: None,
        )
        assigned: asyncio.Queue[None] = asyncio.Queue()

        class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
            async def on_partitions_revoked(self, revoked: set[AIOKafkaPartition]) -> None:
                await delivery.revoked([TopicPartition(*one) for one in revoked])

            async def on_partitions_assigned(self, given: set[AIOKafkaPartition]) -> None:
                await delivery.assigned([TopicPartition(*one) for one in given])
                assigned.put_nowait(None)

        async def hand_over() -> None:
            assert delivery.portions({place: Taken((), (), 5)})
            await delivery.hand_over(decided)
            await delivery.settled()

        consumer.subscribe([place.topic], listener=Listener())
        async with asyncio.timeout(LONG_S), beside, consumer:
            await assigned.get()
            newer = clients.producer(config, client="test", transactional_id=f"{group}.{place.topic}.{place.partition}")
            async with newer:
                await newer.begin_transaction()
                await newer.commit_transaction()
            its = consumer._coordinator
            await its._send_req(LeaveGroupRequest(its.group_id, its.member_id))
            await hand_over()
            await assigned.get()
            await hand_over()
            while await consumer.committed(AIOKafkaPartition(*place)) != 5:  # noqa: ASYNC110  # markers come later
                await asyncio.sleep(0.05)
            await delivery.stop()

    asyncio.run(outlast_the_session())
    assert len(broker.read("decisions")) == 1
