"""What stands under an open partition: its store, its topics, and transactions on them.

The filter writes subscribers' replies beside us, and Kafka has no compare-and-set. So a transaction looks, before it is
committed, at the offsets that the broker gave its records: where they do not follow what the store knew, somebody wrote
between, and that is read. If it is about a subscriber of the batch the transaction is aborted, to be admitted anew: no
answer is contradicted by what stands before its records in the topic. What is written behind them is newer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation

from stream import logs
from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition, KafkaError
from stream.kafka.closing import close_within
from stream.kafka.seams.outgoing import what_failed
from stream.kafka.transactional import INITIALISED_S_MAX, initialised
from stream.model.codec import Undecodable
from stream.model.registry import KEY_BAR, Expression
from stream.model.requests import RegistryAnswer, decode_answer
from stream.model.topics import ANSWERS, EXPRESSIONS, TopicPartition
from stream.registrar.decoding import logged_of
from stream.registrar.others import OtherRecords
from stream.registrar.store import LoggedExpression, PartitionStore
from stream.registrar.surroundings import Surroundings
from stream.registrar.tail import Tail, Truncated, see_whole
from stream.registrar.verification import fault_of_all, fault_of_sample
from stream.registrar.writing import Landed, answer_records, by_topic, end_of, has_gap, offsets_of, produce
from stream.registry.door import Admitted

log = logs.get(__name__)

NAME: Final = "wurao-registrar"

RECORD_BATCH_BYTES_MAX: Final = 3 << 19
"""A record of 1 MiB fits with its key, and the topics take it."""

OnLeft = Callable[[int], None]
"""Called with how many offsets are left to read."""

Pause = Callable[[], Awaitable[None]]
"""Lets others of the process go first."""


async def no_pause() -> None:
    """Nobody goes first."""


class TransactionEnded(KafkaError):  # type: ignore[misc]  # aiokafka is not typed
    """A transaction was ended by a broker while it was made: its producer was shut out, or it took too long."""


class OpenPartition:
    """Everything of one partition that is open; see `opened`. For one task."""

    def __init__(
        self,
        partition: int,
        around: Surroundings,
        *,
        store: PartitionStore,
        producer: AIOKafkaProducer,
        tail: Tail,
        own_others: OtherRecords | None,
    ) -> None:
        self.store = store
        self.own_others = own_others
        """senders and the like as of now, where this partition writes some"""
        self.caught_up_at = 0.0
        """when it last took what others wrote (monotonic seconds)"""
        self._partition = partition
        self._around = around
        self._producer, self._tail = producer, tail
        self._expressions = AIOKafkaPartition(EXPRESSIONS, partition)
        self._answers = AIOKafkaPartition(ANSWERS, partition)
        self._markers: Mapping[str, int] = {}
        """topic → where the marker of our last transaction stands, which nobody need read"""

    async def verify(self) -> None:
        """See that the store has what its topic has: a sample, or all. One that differs is built anew."""
        beginning = (await self._tail.beginnings())[self._expressions]
        judge = fault_of_all if self._around.verify_all else fault_of_sample
        fault = await judge(self.store, self._tail, self._expressions, beginning)
        if fault is None:
            return
        log.error("the store differs from its topic and is built anew", partition=self._partition, fault=fault)
        self._around.metrics.rebuilt.inc()
        self.store.empty(fault)
        await self.catch_up()

    async def catch_up(self, on_left: OnLeft = lambda _: None) -> None:
        """Take what stands in the topics now and is not known. Raises `KafkaError`, `StoreError`.

        Raises `Truncated` where they end before what is known of them; the store was emptied.
        """
        progress = self.store.progress
        try:
            await see_whole(
                self._around.watermarks, {self._expressions: progress.expressions, self._answers: progress.answers}
            )
        except Truncated as lost:
            self._forget(lost)
            raise
        ends, beginnings = await self._tail.ends(), await self._tail.beginnings()
        first = max(progress.expressions, beginnings[self._expressions])
        await self._take_expressions(first, ends[self._expressions], on_left)
        await self._take_answers(max(progress.answers, beginnings[self._answers]), ends[self._answers])
        self.caught_up_at = time.monotonic()

    async def transact(
        self,
        admitted: Admitted,
        answers: Sequence[RegistryAnswer],
        subscribers: Collection[str],
        *,
        now: int,
        offsets: Mapping[TopicPartition, int],
        pause: Pause = no_pause,
    ) -> Sequence[RegistryAnswer] | None:
        """Write records, answers (given ones, and what was admitted) and the requests' offsets; returns the answers.

        None where somebody wrote about one of the subscribers meanwhile: it was aborted, and must be admitted anew.
        `pause` is awaited between pieces of work. Raises `KafkaError`; then nobody knows whether it was committed.
        """
        try:
            return await self._transacted(admitted, answers, subscribers, now=now, offsets=offsets, pause=pause)
        except (AssertionError, IllegalOperation) as error:
            # What aiokafka says to whoever uses a producer whose transaction has failed meanwhile.
            if (failed := what_failed(self._producer)) is None:
                raise
            raise TransactionEnded(f"the transaction was ended while it was made: {failed!r}") from error

    async def _transacted(
        self,
        admitted: Admitted,
        answers: Sequence[RegistryAnswer],
        subscribers: Collection[str],
        *,
        now: int,
        offsets: Mapping[TopicPartition, int],
        pause: Pause,
    ) -> Sequence[RegistryAnswer] | None:
        await self._producer.begin_transaction()
        # Beside the records, to spare round trips: whatever comes of them, offsets count only with the commit.
        sending = asyncio.ensure_future(self._send_offsets(offsets))
        try:
            landed = await produce(self._producer, by_topic(admitted.records), partition=self._partition, now=now)
            contradicted = await self._contradicted(landed, subscribers)
            await pause()
            given = [*answers, *admitted.answered(offsets_of(admitted.records, landed))]
            answered_at: Mapping[str, Sequence[Landed]] = {}
            if not contradicted:
                records = answer_records(given)
                answered_at = await produce(self._producer, records, partition=self._partition, now=now)
            await sending
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        if contradicted:
            await self._producer.abort_transaction()
            self._around.metrics.transactions.labels("aborted").inc()
            return None
        await self._producer.commit_transaction()
        await pause()
        self._around.metrics.transactions.labels("committed").inc()
        self._lead_on(admitted, given, landed, answered_at, now)
        return given

    async def _send_offsets(self, offsets: Mapping[TopicPartition, int]) -> None:
        if offsets:
            named = self._around.offsets.named(offsets)
            await self._producer.send_offsets_to_transaction(named, self._around.config.registrar.group)

    async def _take_expressions(self, first: int, end: int, on_left: OnLeft = lambda _: None) -> set[str]:
        """Take `registry.expressions` up to `end` (exclusive); returns whose records that were."""
        subscribers: set[str] = set()
        async for some in self._tail.read(self._expressions, first, end):
            logged = logged_of(some.records)
            self.store.take(logged, expressions=some.next_offset)
            subscribers.update(one.key.partition(KEY_BAR)[0] for one in logged)
            self._around.metrics.beside.inc(len(logged))
            self._around.metrics.left.labels(str(self._partition)).set(end - some.next_offset)
            on_left(end - some.next_offset)
            await asyncio.sleep(0)  # the others of this process have their turn
        return subscribers

    async def _take_answers(self, first: int, end: int) -> None:
        async for some in self._tail.read(self._answers, first, end):
            answers: list[RegistryAnswer] = []
            for raw in some.records:
                try:
                    answers.append(decode_answer(raw.value or b""))
                except Undecodable:
                    continue  # none of ours
            self.store.take([], answers=answers, next_answer=some.next_offset)
            await asyncio.sleep(0)

    async def _contradicted(self, landed: Mapping[str, Sequence[Landed]], subscribers: Collection[str]) -> bool:
        """Whether somebody wrote, before our records, what they may contradict. What was written is taken."""
        found = False
        for topic, batches in landed.items():
            known, first = self._known(topic), batches[0].first_offset
            if first < known:
                raise self._forget(Truncated(topic, known=known, end=first))
            if first != known and not (first == known + 1 and known == self._markers.get(topic)):
                if topic == EXPRESSIONS:
                    found = not (await self._take_expressions(known, first)).isdisjoint(subscribers) or found
                else:
                    found = bool(await self._writing_others().read_to(topic, first)) or found
            found = found or has_gap(batches)  # what is in it is read when this is admitted anew
        return found

    def _lead_on(
        self,
        admitted: Admitted,
        answers: Sequence[RegistryAnswer],
        landed: Mapping[str, Sequence[Landed]],
        answered_at: Mapping[str, Sequence[Landed]],
        now: int,
    ) -> None:
        """Take what was committed."""
        logged: list[LoggedExpression] = []
        for record, offset in zip(admitted.records, offsets_of(admitted.records, landed), strict=True):
            if record.topic == EXPRESSIONS:
                expression = record.record if isinstance(record.record, Expression) else None
                logged.append(LoggedExpression(offset, now, record.key, expression, record.value))
            else:
                self._writing_others().note(record.topic, offset, record.key, record.record)
        self._markers = {topic: end_of(batches, 0) for topic, batches in (*landed.items(), *answered_at.items())}
        before = self.store.progress
        self.store.take(
            logged,
            expressions=end_of(landed.get(EXPRESSIONS), before.expressions),
            answers=answers,
            next_answer=end_of(answered_at.get(ANSWERS), before.answers),
        )

    def _forget(self, lost: Truncated) -> Truncated:
        """What is known of records that are gone counts no more; the store is built as the partition begins anew."""
        if lost.topic in (EXPRESSIONS, ANSWERS):
            log.error("the store has what its topic lost, and is built anew", partition=self._partition, why=str(lost))
            self._around.metrics.rebuilt.inc()
            self.store.empty(str(lost))
        return lost

    def _known(self, topic: str) -> int:
        return self.store.progress.expressions if topic == EXPRESSIONS else self._writing_others().next_offsets[topic]

    def _writing_others(self) -> OtherRecords:
        assert self.own_others is not None, "partition 0 alone writes senders and word lists"
        return self.own_others


@asynccontextmanager
async def opened(partition: int, around: Surroundings) -> AsyncIterator[OpenPartition]:
    """The partition's store, and its transactional id, which nobody else has from now on.

    Raises `StoreError`, `KafkaError`, `TimeoutError`.
    """
    config = around.config
    async with AsyncExitStack() as stack:
        path = Path(config.registrar.directory) / f"partition-{partition}"
        store = PartitionStore(path, topics=around.topics, cache=around.cache)
        stack.callback(store.close)
        if store.emptied is not None:
            log.warning("the store is built anew", partition=partition, why=store.emptied)
            around.metrics.rebuilt.inc()
        async with asyncio.timeout(INITIALISED_S_MAX):
            producer = await initialised(
                lambda transactional_id: _producer(config, transactional_id), f"{config.registrar.group}.{partition}"
            )
        stack.push_async_callback(close_within, producer)
        tail = Tail(config, [AIOKafkaPartition(topic, partition) for topic in (EXPRESSIONS, ANSWERS)], client=NAME)
        stack.push_async_callback(tail.stop)
        await tail.start()
        own_others = None
        if partition == 0:  # it writes senders and word lists
            own_others = OtherRecords(config, client=NAME, watermarks=around.watermarks)
            stack.push_async_callback(own_others.stop)
            await own_others.start()
        yield OpenPartition(partition, around, store=store, producer=producer, tail=tail, own_others=own_others)


def _producer(config: Config, transactional_id: str) -> AIOKafkaProducer:
    return clients.producer(
        config, client=NAME, transactional_id=transactional_id, batch_bytes_max=RECORD_BATCH_BYTES_MAX
    )
