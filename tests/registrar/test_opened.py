"""Transactions on one partition, on a genuine broker: what lies between two of them, what ends one, what is lost."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import rocksdict
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced

from bloom.partition import partition_of
from stream.kafka import clients
from stream.kafka.clients import KafkaError
from stream.kafka.closing import close_within
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.offsets import Offsets
from stream.kafka.transactional import initialised
from stream.metrics import RegistrarMetrics
from stream.model.codec import encode
from stream.model.registry import Expression, key_of
from stream.model.requests import RegistryAnswer
from stream.model.topics import ANSWERS, EXPRESSIONS, SENDERS
from stream.policy.loading import load
from stream.registrar.lanes import Turns
from stream.registrar.opened import OpenPartition, Pause, TransactionEnded, no_pause, opened
from stream.registrar.others import OtherRecords
from stream.registrar.surroundings import Surroundings
from stream.registrar.tail import Truncated
from stream.registry.batch_state import AdmittedRecord
from stream.registry.door import Admitted
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka

A, PARTITIONS = "+8613800138000", 4
PARTITION: Final = partition_of(A, PARTITIONS)
B: Final = next(
    number for number in (f"+86139001390{place:02}" for place in range(100)) if partition_of(number, 4) == PARTITION
)


@asynccontextmanager
async def partition(topics: Broker, directory: Path) -> AsyncIterator[OpenPartition]:
    """A's partition, its store at its topics' ends."""
    config = replace(topics, environment={"WURAO_REGISTRAR__DIRECTORY": str(directory)}).config
    consumer = clients.group_consumer(config, group="never-started", client="test", instance=None)
    watermarks = clients.follower(config, client="test-ends", committed=False)
    await watermarks.start()
    others = OtherRecords(config, client="test", watermarks=watermarks)
    around = Surroundings(
        config=config,
        policy=load(None),
        consumer=consumer,
        offsets=Offsets(consumer, member=consumer, marks={}, lost=lambda *_: None),
        watermarks=watermarks,
        others=others,
        letters=DeadLetterWriter(config, client="test"),
        turns=Turns(),
        metrics=RegistrarMetrics(),
        cache=rocksdict.Cache(1 << 20),
        topics="T1",
        verify_all=False,
    )
    try:
        async with opened(PARTITION, around) as here:
            await here.catch_up()
            yield here
    finally:
        await close_within(watermarks, consumer, others)


@pytest.fixture
async def foreign(topics: Broker) -> AsyncIterator[DurableProducer]:
    """Whoever writes beside the registrar, as the filter does."""
    producer = DurableProducer(topics.config, client="test")
    await producer.start()
    yield producer
    await producer.close()


async def producer_of(topics: Broker, name: str) -> AIOKafkaProducer:
    """One with this transactional id, which nobody else has from now on."""
    return await initialised(lambda named: clients.producer(topics.config, client="test", transactional_id=named), name)


def refusal(subscriber: str, time: int) -> Expression:
    return Expression(subscriber, "sms", "refuse", time, "test")


def written(expression: Expression) -> Produced:
    return Produced(EXPRESSIONS, key_of(expression).encode(), encode(expression), PARTITION)


async def write(
    here: OpenPartition, one: Expression, *, pause: Pause = no_pause, answers: Sequence[RegistryAnswer] = ()
) -> Sequence[RegistryAnswer] | None:
    """One expression as a batch of its own; with these answers to requests that asked for nothing."""
    admitted = Admitted([AdmittedRecord(EXPRESSIONS, key_of(one), one, encode(one), None)])
    return await here.transact(admitted, answers, {one.subscriber}, now=one.time, offsets={}, pause=pause)


def said(here: OpenPartition, subscriber: str) -> list[int]:
    return [one.expression.time for one in here.store.standing(subscriber)]


async def test_the_marker_between_two_transactions_is_nobodys_word_and_a_record_before_it_is(
    topics: Broker, tmp_path: Path, foreign: DurableProducer
) -> None:
    async with partition(topics, tmp_path) as here:
        assert await write(here, refusal(A, 1)) == []
        marker = here.store.progress.expressions
        assert await write(here, refusal(A, 2)) == []
        (second,) = here.store.standing(A)
        assert (second.offset, here.store.progress.expressions) == (marker + 1, marker + 2)

        pauses = 0

        async def beside() -> None:
            nonlocal pauses
            pauses += 1
            if pauses == 1:  # behind the records of the transaction, before its marker
                await foreign.write([written(refusal(B, 30))])

        assert await write(here, refusal(A, 3), pause=beside) == [], "what is behind them does not contradict them"
        assert said(here, B) == []
        assert await write(here, refusal(B, 4)) is None, "it was admitted without knowing what stands before it"
        assert said(here, B) == [30]
        assert await write(here, refusal(B, 5)) == []
        assert (said(here, A), said(here, B)) == ([3], [5])
        kept = {number: list(here.store.standing(number)) for number in (A, B)}
    async with partition(topics, tmp_path / "anew") as anew:
        assert {number: list(anew.store.standing(number)) for number in (A, B)} == kept


@pytest.mark.parametrize("noticed", [False, True])
async def test_a_transaction_that_a_successor_ends_is_said_to_be_and_nothing_of_it_stands(
    topics: Broker, tmp_path: Path, *, noticed: bool
) -> None:
    async with partition(topics, tmp_path) as here:
        before = said(here, A)

        async def shut_out() -> None:
            await close_within(await producer_of(topics, f"{topics.config.registrar.group}.{PARTITION}"))
            if noticed:  # by what goes on beside the call that comes next, which aiokafka then answers by an assertion
                with suppress(KafkaError):
                    await here._producer.send_and_wait(ANSWERS, b"", b"", partition=PARTITION)

        with pytest.raises(TransactionEnded if noticed else ProducerFenced):
            await write(here, refusal(A, 9), pause=shut_out, answers=[RegistryAnswer("R-9", "requests:0:9", 9, 9)])
        assert said(here, A) == before
    async with partition(topics, tmp_path) as again:
        assert said(again, A) == before


async def test_a_store_ahead_of_its_topics_high_watermark_is_built_anew_and_one_ahead_of_what_is_committed_is_not(
    topics: Broker, tmp_path: Path
) -> None:
    async with partition(topics, tmp_path) as here:
        assert await write(here, refusal(A, 11)) == []
        end = here.store.progress.expressions + 1
        open_one = await producer_of(topics, "test-open")
        await open_one.begin_transaction()
        one = written(refusal(B, 12))
        await open_one.send_and_wait(EXPRESSIONS, one.value, one.key, partition=PARTITION)
        here.store.take([], expressions=end + 1)
        await here.catch_up()
        assert here.store.progress.expressions == end + 1
        await open_one.abort_transaction()
        await close_within(open_one)

        progress = here.store.progress
        for ahead in ({"expressions": 3}, {"answers": 3}):
            here.store.take(
                [],
                expressions=progress.expressions + ahead.get("expressions", 0),
                next_answer=progress.answers + ahead.get("answers", 0),
            )
            with pytest.raises(Truncated, match="acknowledged records were lost"):
                await here.catch_up()
            assert said(here, A) == []
            await here.catch_up()
            assert said(here, A) == [11]

        others = here._around.others
        await others.start()
        others.next_offsets[SENDERS] += 3
        with pytest.raises(Truncated, match="senders ended at offset"):
            await others.catch_up()
