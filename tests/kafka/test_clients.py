"""The client kit, on a genuine broker that is frozen, killed and started again."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka.admin import NewTopic
from aiokafka.errors import IllegalStateError

from stream import config as configuration
from stream.config import Config
from stream.kafka import clients, closing
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition, AIOKafkaProducer, KafkaError
from stream.kafka.closing import close_within
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.durable import DurableProducer, Send
from stream.kafka.group import RebalanceListener, commit_owned
from stream.model.dead_letters import DeadLetter
from stream.model.topics import DEAD_LETTER, TopicPartition
from stream.testbed.local import LocalKafka
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka

TOPIC = "kit"
PLACE = AIOKafkaPartition(TOPIC, 0)


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker of this module's own, for it is killed."""
    with LocalKafka() as kafka:
        asyncio.run(_make_topic(_config(kafka)))
        yield kafka


@pytest.fixture
def config(own_kafka: LocalKafka) -> Config:
    return _config(own_kafka)


def _config(kafka: LocalKafka) -> Config:
    return configuration.load(None, {"WURAO_KAFKA__BOOTSTRAP": kafka.bootstrap})


async def _make_topic(config: Config, name: str = TOPIC) -> None:
    admin = clients.admin(config)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1)])
    finally:
        await admin.close()


def one(value: bytes) -> Send[object]:
    """Writes one record, and waits until it is acknowledged."""

    async def send(producer: AIOKafkaProducer) -> object:
        return await producer.send_and_wait(TOPIC, value=value, partition=0)

    return send


async def values(config: Config) -> list[bytes]:
    """All that stands in the partition that the tests write to."""
    return [record.value for record in await records(config, PLACE)]


async def records(config: Config, place: AIOKafkaPartition) -> list[clients.ConsumerRecord]:
    """All that stands in a partition."""
    consumer = clients.follower(config, client="test")
    consumer.assign([place])
    await consumer.start()
    found: list[clients.ConsumerRecord] = []
    try:
        await consumer.seek_to_beginning(place)
        (end,) = (await consumer.end_offsets([place])).values()
        while await consumer.position(place) < end:
            found += (await consumer.getmany(place, timeout_ms=500)).get(place, ())
    finally:
        await consumer.stop()
    return found


async def until(seen: Callable[[], bool]) -> None:
    """Wait until it is seen."""
    async with asyncio.timeout(LONG_S):
        while not seen():  # noqa: ASYNC110  # what is seen is the broker's
            await asyncio.sleep(0.02)


def others() -> set[asyncio.Task[object]]:
    """The tasks of this loop, but for who asks."""
    return asyncio.all_tasks() - {current for current in [asyncio.current_task()] if current}


@asynccontextmanager
async def frozen(kafka: LocalKafka) -> AsyncIterator[None]:
    """The broker is there, and answers nobody."""
    os.kill(kafka.pids[1], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(kafka.pids[1], signal.SIGCONT)


# DurableProducer -------------------------------------------------------------------------------------------------


async def test_records_given_while_no_broker_is_there_are_written_when_one_is_again(
    own_kafka: LocalKafka, config: Config
) -> None:
    producer = DurableProducer(config, client="test")
    await producer.start()
    await asyncio.to_thread(own_kafka.kill, 1)
    writing = [asyncio.create_task(producer.durably(one(b"away-%d" % number))) for number in range(3)]
    try:
        await until(lambda: producer.failing)
    finally:
        await asyncio.to_thread(own_kafka.restart, 1)
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*writing)
    assert not producer.failing
    await producer.close()
    assert {b"away-0", b"away-1", b"away-2"} <= set(await values(config))


async def test_many_who_begin_before_there_is_a_broker_all_end(own_kafka: LocalKafka, config: Config) -> None:
    await asyncio.to_thread(own_kafka.kill, 1)
    producer = DurableProducer(config, client="test")
    writing = [asyncio.create_task(producer.durably(one(b"early-%d" % number))) for number in range(3)]
    try:
        await until(lambda: producer.failing)
    finally:
        await asyncio.to_thread(own_kafka.restart, 1)
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*writing)
    await producer.close()
    assert {b"early-0", b"early-1", b"early-2"} <= set(await values(config))


async def test_who_waits_on_a_producer_that_another_s_failure_threw_away_tries_again(
    own_kafka: LocalKafka, config: Config
) -> None:
    producer = DurableProducer(config, client="test")
    seen: list[AIOKafkaProducer] = []

    async def waits_for_ever_at_first(given: AIOKafkaProducer) -> None:
        seen.append(given)
        if len(seen) == 1:
            await asyncio.Event().wait()

    async def fails(_: AIOKafkaProducer) -> None:
        raise KafkaError("no")

    waiting = asyncio.create_task(producer.durably(waits_for_ever_at_first))
    await until(lambda: len(seen) == 1)
    with pytest.raises(KafkaError, match="no"):
        await producer.once(fails)
    async with asyncio.timeout(LONG_S):
        await waiting
    assert seen[0] is not seen[1]
    await producer.close()


async def test_one_attempt_ends_within_its_bound_and_leaves_nothing_behind(
    own_kafka: LocalKafka, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = DurableProducer(config, client="test")
    await producer.start()
    async with frozen(own_kafka):
        with pytest.raises(TimeoutError):
            await producer.once(one(b"late"), within_s=0.2)
        assert producer.failing
        await producer.close()
        assert others() == set()


async def test_after_the_end_nobody_waits(own_kafka: LocalKafka, config: Config) -> None:
    producer = DurableProducer(config, client="test")
    await producer.start()
    async with frozen(own_kafka):
        writing = asyncio.create_task(producer.durably(one(b"after")))
        await until(lambda: producer.failing)
        await producer.close()
        with pytest.raises(KafkaError):
            await asyncio.wait_for(writing, LONG_S)


# close_within ----------------------------------------------------------------------------------------------------


async def test_what_does_not_close_is_cut_off_within_the_bound_and_no_task_of_it_goes_on(
    own_kafka: LocalKafka, config: Config
) -> None:
    producer, consumer = clients.producer(config, client="test"), _member(config, "cut")
    await producer.start()
    await consumer.start()
    listener = RebalanceListener(revoked=_nothing, assigned=_nothing)
    consumer.subscribe([TOPIC], listener=listener)
    await until(lambda: bool(consumer.assignment()))
    await producer.send_and_wait(TOPIC, value=b"known", partition=0)
    async with frozen(own_kafka):
        ack = await producer.send(TOPIC, value=b"cut", partition=0)
        began = time.monotonic()
        await close_within(producer, consumer, within_s=0.5)
        took_s = time.monotonic() - began
        await until(lambda: others() == set())
        assert took_s < 0.5 + closing.CUT_S_MAX + clients.GOODBYE_S_MAX
        ack.cancel()


async def test_one_that_fails_in_closing_keeps_no_other_from_it(own_kafka: LocalKafka, config: Config) -> None:
    class Failing:
        async def stop(self) -> None:
            raise IllegalStateError("no")

    producer = clients.producer(config, client="test")
    await producer.start()
    await close_within(Failing(), producer)
    assert others() == set()


# The group -------------------------------------------------------------------------------------------------------


def _member(config: Config, group: str) -> AIOKafkaConsumer:
    return clients.group_consumer(config, group=group, client="test", instance=None)


async def _nothing(_: set[AIOKafkaPartition]) -> None:
    return


async def test_what_a_change_of_partitions_fails_of_ends_who_reads(
    own_kafka: LocalKafka, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = _member(config, "failing")

    async def fails(_: set[AIOKafkaPartition]) -> None:
        raise KafkaError("reading back failed")

    async def read() -> None:
        while True:
            await consumer.getmany(timeout_ms=100)
            await asyncio.Event().wait()  # as a loop that waits for what the change was to bring

    listener = RebalanceListener(revoked=_nothing, assigned=fails)
    consumer.subscribe([TOPIC], listener=listener)
    await consumer.start()
    with caplog.at_level(logging.ERROR), pytest.raises(KafkaError, match="reading back failed"):
        await asyncio.wait_for(listener.guard(read()), LONG_S)
    await close_within(consumer)
    assert not [record for record in caplog.records if record.exc_info], "it is told where it is dealt with, once"


async def test_after_a_change_that_failed_none_is_handed_on() -> None:
    came: list[str] = []

    async def fails(_: set[AIOKafkaPartition]) -> None:
        came.append("revoked")
        raise KafkaError("no")

    async def assigned(_: set[AIOKafkaPartition]) -> None:
        came.append("assigned")

    listener = RebalanceListener(revoked=fails, assigned=assigned)
    await listener.on_partitions_revoked(set())
    await listener.on_partitions_assigned({PLACE})
    assert came == ["revoked"]
    with pytest.raises(KafkaError):
        await listener.guard(asyncio.sleep(LONG_S))


async def test_offsets_of_partitions_that_are_not_ours_are_left_out(own_kafka: LocalKafka, config: Config) -> None:
    consumer = _member(config, "owned")
    consumer.subscribe([TOPIC], listener=RebalanceListener(revoked=_nothing, assigned=_nothing))
    await consumer.start()
    try:
        await until(lambda: bool(consumer.assignment()))
        assert await commit_owned(consumer, {PLACE: 0, AIOKafkaPartition("another", 0): 7}) == {PLACE: 0}
        assert await commit_owned(consumer, {AIOKafkaPartition("another", 0): 7}) == {}
        async with frozen(own_kafka):
            assert await commit_owned(consumer, {PLACE: 1}, within_s=0.2) == {}
    finally:
        await close_within(consumer)


# DeadLetterWriter ------------------------------------------------------------------------------------------------


async def test_dead_letters_by_the_thousand_are_written_in_order_and_a_part_of_them_between_two_turns_of_the_loop(
    own_kafka: LocalKafka, config: Config
) -> None:
    await _make_topic(config, DEAD_LETTER)
    made, most = 0, 0

    class Reason(str):
        __slots__ = ()

        def encode(self, *_: str) -> bytes:
            nonlocal made
            made += 1
            return super().encode()

    async def look() -> None:
        nonlocal made, most
        while True:
            made, most = 0, max(most, made)
            await asyncio.sleep(0)

    large = b"x" * 100_000
    values = [large if number % 1_000 == 7 else b"%d" % number for number in range(5_000)]
    place = TopicPartition("events.sms", 3)
    letters = [DeadLetter(place, offset, b"key", value, Reason("why")) for offset, value in enumerate(values)]
    writer = DeadLetterWriter(config, client="test")
    looking = asyncio.create_task(look())
    await writer.write(letters)
    looking.cancel()
    await writer.stop()
    assert most <= 1_000
    read = await records(config, AIOKafkaPartition(DEAD_LETTER, 0))
    assert [one.value for one in read] == values
    assert {one.key for one in read} == {b"key"}
    assert [dict(one.headers)["offset"] for one in read] == [b"%d" % offset for offset in range(5_000)]
