"""From outputs to transactions, exactly once (DESIGN section 6, KIP-98).

Every partition that a lane reads has a producer of its own, whose transactional id is the partition's. What a batch
puts out for a partition, and the offset it stands for, are one transaction: readers of `decisions` that read committed
records see each event decided once, whoever dies when. There may be one transaction a partition at a time; what is
decided meanwhile goes into the next, so that transactions grow with the load.

An id is initialised once its partition is assigned: that ends what a predecessor left open, and shuts out a predecessor
that still lives, whatever generation of the group it believes in (aiokafka does not tell the broker). Only then is the
committed offset asked for, since the predecessor's last transaction may move it; until then the partition is paused.

Wills from replies, epochs and dead letters go out beside the transactions, and are acknowledged before the transaction
ends: a reader of the registry must never wait for a dead worker's open transaction to see a refusal,
and a repeat of a will does no harm.

Brokers forget an id that was idle for long (`transactional.id.expiration.ms`, seven days), and end a transaction that
lasts too long, as one does over an outage. A worker that still is a member of its group then initialises the id again
and sends the transaction again, unless the committed offset is another than it knows: then somebody else has decided.
One that is a member no more, after a silence that outlasted its session, leaves the partition alone: the group revokes
it, and whoever is assigned it decides again what was not committed.

When a transaction cannot be ended, the worker ends: whoever is next begins where the last one was committed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.structs import RecordMetadata

from stream import logs
from stream.deciding.batch import Outputs
from stream.deciding.native_batch import Taken
from stream.filter.delivery import Ack, WritesLetters, send_beside, send_decided
from stream.kafka.closing import close_within
from stream.kafka.offsets import Offsets
from stream.kafka.seams.membership import is_member
from stream.kafka.seams.outgoing import why_ended
from stream.kafka.transactional import INITIALISED_S_MAX, MakeProducer, initialised, is_lost
from stream.model.topics import TopicPartition

log = logs.get(__name__)

ATTEMPTS_MAX: Final = 3
"""How often a transaction is tried: an id is lost once an outage, not each time."""


class _NoMember(Exception):
    """The session of the worker in its group has ended."""


@dataclass(slots=True, eq=False)
class _Batch:
    """A batch of the lane, until none of its portions waits."""

    portions_open: int


@dataclass(slots=True, eq=False)
class _Partition:
    """A partition that this worker has: its producer, and what waits for its next transaction."""

    place: TopicPartition
    producer: AIOKafkaProducer
    committed: int | None
    """the offset that the group stands at, as far as we know"""
    waiting: deque[tuple[Outputs, _Batch]] = field(default_factory=deque)
    beside: list[Ack] = field(default_factory=list)
    """what goes out beside the transaction, and must be acknowledged before it ends"""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class ExactlyOnceDelivery:
    """Delivery of one worker's lane, exactly once. `failed` is set when nothing more can be delivered: the worker then
    ends.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        *,
        letters: WritesLetters,
        consumer: AIOKafkaConsumer,
        offsets: Offsets,
        group: str,
        transactional: MakeProducer,
        in_flight_max: int,
        acknowledged: Callable[[Outputs], None],
    ) -> None:
        self._producer = producer
        self._letters = letters
        self._consumer = consumer
        self._offsets = offsets
        self._group = group
        self._transactional = transactional
        self._in_flight_max = in_flight_max
        self._acknowledged = acknowledged
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._fewer = asyncio.Condition()
        """notified when something was committed or given up"""
        self._open = 0
        """batches handed over of which a portion is not committed"""
        self._batch = _Batch(0)
        """the one that is being handed over"""
        self._closing: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def in_flight(self) -> int:
        """Batches handed over and not yet committed whole."""
        return self._open

    def portions(self, taken: Mapping[TopicPartition, Taken]) -> list[Mapping[TopicPartition, Taken]]:
        """Each partition by itself, so that its decisions can be committed by themselves."""
        found: list[Mapping[TopicPartition, Taken]] = [
            {place: portion} for place, portion in taken.items() if place in self._partitions
        ]
        self._batch = _Batch(len(found))
        self._open += bool(found)
        return found

    async def room(self) -> None:
        """Wait until one more batch may be handed over."""
        await self._until(lambda: self._open < self._in_flight_max)
        self._raise_failure()

    def release_room(self) -> None:
        """Nothing to do: room is counted by what was handed over."""

    async def hand_over(self, outputs: Outputs) -> None:
        """Send what one portion puts out. Call after `room`, in the order of the batches."""
        (place,) = outputs.next_offsets
        partition = self._partitions.get(place)
        sent = await send_beside(self._producer, self._letters, outputs) if partition is not None else []
        if partition is None or self._partitions.get(place) is not partition:
            self._done_with(self._batch)  # revoked meanwhile: its next owner decides it
            return
        partition.beside += sent
        partition.waiting.append((outputs, self._batch))
        partition.arrived.set()

    async def settled(self) -> None:
        """Wait until everything handed over is committed."""
        await self._until(lambda: self._open == 0)
        self._raise_failure()

    async def drain(self) -> None:
        """Wait until everything handed over is committed. Raises what made that impossible."""
        await self._until(lambda: self._open == 0)
        self._raise_failure()

    async def stop(self) -> None:
        """Leave everything: what is not committed by now is decided again by whoever comes next."""
        await self._give_up(list(self._partitions))

    async def assigned(self, places: Collection[TopicPartition]) -> None:
        """Take partitions on: shut others out, and begin where the last committed transaction ended.

        A failure is set in `failed`: aiokafka, which calls us, would swallow it.
        """
        parts = [AIOKafkaPartition(*place) for place in places]
        self._consumer.pause(*parts)
        try:
            async with asyncio.timeout(INITIALISED_S_MAX):
                await asyncio.gather(*(self._take_on(place) for place in places))
        except TimeoutError:
            message = f"no transaction could be begun within {INITIALISED_S_MAX:.0f} s; look at the brokers' log"
            self._fail(TimeoutError(message))
        except Exception as error:  # noqa: BLE001  # whatever it is, the worker must end and say so
            self._fail(error)
        else:
            self._consumer.resume(*parts)

    async def revoked(self, places: Collection[TopicPartition]) -> None:
        """Give partitions up, with what of theirs is not committed."""
        await self._give_up([place for place in places if place in self._partitions])

    async def _take_on(self, place: TopicPartition) -> None:
        producer = await self._initialised(place)
        tp = AIOKafkaPartition(*place)
        partition = self._partitions[place] = _Partition(place, producer, await self._consumer.committed(tp))
        await self._offsets.begin([place])
        if tp in self._consumer.assignment():
            partition.task = asyncio.create_task(self._keep_committing(partition))

    async def _initialised(self, place: TopicPartition) -> AIOKafkaProducer:
        """A producer with the partition's id, which nobody else has from now on."""
        return await initialised(self._transactional, f"{self._group}.{place.topic}.{place.partition}")

    async def _give_up(self, places: Collection[TopicPartition]) -> None:
        gone = [self._partitions.pop(place) for place in places]
        for partition in gone:
            if partition.task is not None:
                partition.task.cancel()
        await asyncio.gather(*(partition.task for partition in gone if partition.task), return_exceptions=True)
        for partition in gone:
            for _, batch in partition.waiting:
                self._done_with(batch)
        # A transaction that is left open ends when its id is initialised again.
        await asyncio.gather(close_within(*(partition.producer for partition in gone)), *self._closing)
        async with self._fewer:
            self._fewer.notify_all()

    async def _keep_committing(self, partition: _Partition) -> None:
        """One transaction after the other, as long as the partition is ours."""
        try:
            while True:
                await partition.arrived.wait()
                partition.arrived.clear()
                if partition.waiting:
                    await self._commit(partition)
        except asyncio.CancelledError:
            raise
        except _NoMember:
            await self._leave_alone(partition)
        except Exception as error:  # noqa: BLE001  # whatever it is, the worker must end and say so
            self._fail(error)

    async def _leave_alone(self, partition: _Partition) -> None:
        """Hand nothing over any more: the partition is about to be revoked."""
        del self._partitions[partition.place]
        for _, batch in partition.waiting:
            self._done_with(batch)
        self._close_aside(partition.producer)
        async with self._fewer:
            self._fewer.notify_all()

    async def _commit(self, partition: _Partition) -> None:
        """One transaction with all that waits."""
        portions, beside = list(partition.waiting), partition.beside
        partition.beside = []
        await asyncio.gather(*beside)
        next_offset = portions[-1][0].next_offsets[partition.place]
        for attempt in range(1, ATTEMPTS_MAX + 1):
            try:
                await self._transact(partition, [outputs for outputs, _ in portions], next_offset)
                break
            except Exception as error:
                if attempt == ATTEMPTS_MAX or not is_lost(partition.producer, error):
                    raise
                if await self._begin_anew(partition, error, until=next_offset):
                    break
        partition.committed = next_offset
        for outputs, batch in portions:
            partition.waiting.popleft()
            self._done_with(batch)
            self._acknowledged(outputs)
        async with self._fewer:
            self._fewer.notify_all()

    async def _transact(self, partition: _Partition, portions: Sequence[Outputs], next_offset: int) -> None:
        """Send what these put out, and the offset, as one transaction."""
        producer = partition.producer
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            await producer.begin_transaction()
            for outputs in portions:
                sent += await send_decided(producer, outputs)
            await producer.send_offsets_to_transaction(self._offsets.named({partition.place: next_offset}), self._group)
            await asyncio.gather(*sent)
            await producer.commit_transaction()
        except BaseException:
            for ack in sent:
                if not ack.cancel() and not ack.cancelled():
                    ack.exception()  # nobody else asks what became of it
            raise

    async def _begin_anew(self, partition: _Partition, error: Exception, *, until: int) -> bool:
        """Initialise a partition's id that the brokers have lost. True where its transaction was committed after all.

        Raises `_NoMember`, or `error`, where the partition is another worker's by now: that must not be shut out by us.
        """
        place = partition.place
        if not await is_member(self._consumer):
            raise _NoMember from error
        why = why_ended(partition.producer) or error
        self._close_aside(partition.producer)
        partition.producer = await self._initialised(place)
        offset = await self._consumer.committed(AIOKafkaPartition(*place))
        if offset not in (partition.committed, until):
            raise error
        log.info(
            "transactional id initialised again",
            topic=place.topic,
            partition=place.partition,
            why=repr(why.__cause__ or why),
        )
        return bool(offset == until)

    def _close_aside(self, producer: AIOKafkaProducer) -> None:
        """Close a producer while something else is done: it is fenced as soon as its id is initialised again."""
        closing = asyncio.create_task(close_within(producer))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _done_with(self, batch: _Batch) -> None:
        """One portion of it is committed, or left to another worker."""
        batch.portions_open -= 1
        self._open -= not batch.portions_open

    async def _until(self, reached: Callable[[], bool]) -> None:
        """Wait for less to be under way, or for a failure."""

        async def wait() -> None:
            async with self._fewer:
                await self._fewer.wait_for(reached)

        if not reached() and not self.failed.done():
            waiting = asyncio.create_task(wait())
            waited: set[asyncio.Future[None]] = {waiting, self.failed}
            try:
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()

    def _raise_failure(self) -> None:
        if self.failed.done():
            self.failed.result()

    def _fail(self, error: Exception) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)
