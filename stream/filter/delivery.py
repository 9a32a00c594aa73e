"""From outputs to acknowledgements to commits, at least once.

A batch's outputs are handed to the producer as complete record batches, one per partition, and are queued. One task
awaits the acknowledgement of the oldest, and makes room for another; a second commits the offsets of what is
acknowledged, every `COMMIT_EVERY_S`. So an offset is never committed before its decisions are acknowledged, whatever
crashes when; after a crash some events are decided twice, and none is skipped. The queue is bounded: when it is full,
the lane does not fetch. No batch waits for a commit.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import RecordMetadata

from stream.clock import now_ms
from stream.deciding.batch import Finished, Outputs
from stream.deciding.native_batch import Taken
from stream.kafka import clients
from stream.kafka.seams.outgoing import fill, finished, records_of
from stream.model.dead_letters import DeadLetter
from stream.model.topics import DECISIONS, EPOCHS, EXPRESSIONS, TopicPartition
from stream.registry.decoding import BadRecord

Settled = asyncio.Task[Literal[True]]
Begin = Callable[[Collection[TopicPartition]], Awaitable[None]]
Commit = Callable[[Mapping[TopicPartition, int]], Awaitable[None]]

COMMIT_EVERY_S: Final = 0.1
"""Between two commits: after a crash, events of that time are decided twice. At a low rate batches are small and many,
and a commit for each would cost the worker and the broker more than the batch does."""


Ack = asyncio.Future[RecordMetadata] | asyncio.Task[None]
"""Done when what was sent is acknowledged."""


class WritesLetters(Protocol):
    """Writes dead letters."""

    async def write(self, letters: Sequence[DeadLetter], /) -> None:
        """Returns when all are acknowledged, however long no broker answers."""


class BatchDelivery(Protocol):
    """From outcomes to commits, for one lane. All of it runs on the worker's loop.

    For each batch the lane's task calls, in this order: `room`, `portions`, `hand_over` once for each portion; or
    `release_room` instead of the last two where nothing was fetched. Beside that, aiokafka's coordinator task calls
    `assigned` and `revoked` by way of the lane, and whoever ends or rebalances the lane `drain` and `stop`.

    Nothing is raised into a rebalance, since aiokafka would swallow it: failures that end the worker are set in
    `failed`, which the worker awaits.
    """

    failed: asyncio.Future[None]
    """set, once, to what makes further delivery impossible: the worker then ends"""

    @property
    def in_flight(self) -> int:
        """Batches handed over and not yet acknowledged (exactly once: not yet committed). Never blocks."""

    def portions(self, taken: Mapping[TopicPartition, Taken]) -> Sequence[Mapping[TopicPartition, Taken]]:
        """What of a batch is decided and handed over by itself, so that it can be committed by itself.

        The lane's task calls it after `room`, and must hand over every portion. Never blocks.
        """

    async def room(self) -> None:
        """Wait until one more batch may be handed over: the back-pressure of the whole worker.

        The lane's task calls it before each fetch. Waits for as long as the broker acknowledges nothing. Raises
        what has made delivery impossible.
        """

    def release_room(self) -> None:
        """Give the room back that `room` waited for: the fetch brought nothing to decide. Never blocks."""

    async def hand_over(self, outputs: Outputs) -> None:
        """Send everything that a portion puts out.

        The lane's task calls it, in the order of the batches. Waits until the producer has taken everything, which
        may take as long as no broker answers; never for an acknowledgement.
        """

    async def settled(self) -> None:
        """Wait until the decisions of everything handed over are acknowledged, and not for their commit.

        The bulk lane's task calls it on the urgent lane's delivery, within `YIELD_S_MAX`.
        """

    async def drain(self) -> None:
        """Wait until everything handed over is acknowledged and its offsets are committed; raises why it cannot be.

        Called at the end and when partitions are revoked, within `drain_timeout_ms`: it sets no bound of its own.
        """

    async def stop(self) -> None:
        """Commit no more. What is not committed by now will be decided again by whoever comes next.

        The worker calls it once, by way of the lane, after `drain` or as much of it as there was time for. Waits for
        tasks that were cancelled and for clients that close within a bound, for no broker otherwise.
        """

    async def assigned(self, places: Collection[TopicPartition]) -> None:
        """The group has given partitions: set them to where they begin.

        aiokafka's coordinator calls it, by way of the lane, before anything is fetched of them. Waits for the broker
        (committed offsets, transactional ids); the rebalance waits with it. Raises nothing: see `failed`.
        """

    async def revoked(self, places: Collection[TopicPartition]) -> None:
        """The group takes partitions away.

        aiokafka's coordinator calls it, by way of the lane, after `drain` or as much of it as there was time for.
        Waits for no broker but for clients that close within a bound.
        """


@dataclass(frozen=True, slots=True)
class InFlight:
    """A batch in flight: its pending acknowledgements, and its outputs."""

    acks: Sequence[Ack]
    outputs: Outputs


class AtLeastOnceDelivery:
    """Delivery of one worker's lane, at least once."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        *,
        letters: WritesLetters,
        begin: Begin,
        commit: Commit,
        in_flight_max: int,
        acknowledged: Callable[[Outputs], None],
    ) -> None:
        self._producer = producer
        self._letters = letters
        self._begin = begin
        self._commit = commit
        self._acknowledged = acknowledged
        self._queue: deque[InFlight] = deque()
        self._room = asyncio.Semaphore(in_flight_max)
        self._arrived = asyncio.Event()
        self._safe: dict[TopicPartition, int] = {}
        """acknowledged and not committed yet"""
        self._to_commit = asyncio.Event()
        self._hurry = asyncio.Event()
        """set while somebody waits for the last commit"""
        self._settled = asyncio.Event()
        self._settled.set()
        """nothing waits for an acknowledgement"""
        self._empty = asyncio.Event()
        self._empty.set()
        """nor for a commit"""
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks = [asyncio.create_task(self._until_failure(job)) for job in (self._settle, self._keep_committing)]

    @property
    def in_flight(self) -> int:
        """Batches handed over and not yet acknowledged."""
        return len(self._queue)

    def portions(self, taken: Mapping[TopicPartition, Taken]) -> Sequence[Mapping[TopicPartition, Taken]]:
        """A batch is decided whole."""
        return (taken,)

    async def assigned(self, places: Collection[TopicPartition]) -> None:
        """Events begin where the group has committed. A failure is set in `failed`: aiokafka would swallow it."""
        try:
            await self._begin(places)
        except Exception as error:  # noqa: BLE001  # whatever it is, the worker must end and say so
            if not self.failed.done():
                self.failed.set_exception(error)

    async def revoked(self, places: Collection[TopicPartition]) -> None:
        """What is not acknowledged yet is still sent; the broker will reject its commit."""

    async def room(self) -> None:
        """Wait until one more batch may be handed over: the back-pressure of the whole worker."""
        acquired = asyncio.ensure_future(self._room.acquire())
        await _either(acquired, self.failed)
        if self.failed.done():  # also where there is room: what is handed over now would never be committed
            acquired.cancel()
            self.failed.result()

    def release_room(self) -> None:
        """Give the room back: the fetch brought nothing to decide."""
        self._room.release()

    async def hand_over(self, outputs: Outputs) -> None:
        """Send everything a batch puts out. Call after `room`, in the order of the batches."""
        sent = await send_beside(self._producer, self._letters, outputs)
        sent += await send_decided(self._producer, outputs)
        self._empty.clear()
        self._settled.clear()
        self._queue.append(InFlight(sent, outputs))
        self._arrived.set()

    async def settled(self) -> None:
        """Wait until everything handed over is acknowledged, whatever its commits do."""
        await self._settled.wait()

    async def drain(self) -> None:
        """Wait until everything handed over is acknowledged and committed. Raises what made that impossible."""
        self._hurry.set()
        emptied = asyncio.ensure_future(self._empty.wait())
        try:
            await _either(emptied, self.failed)
        finally:
            emptied.cancel()
            self._hurry.clear()
        if self.failed.done():
            self.failed.result()

    async def stop(self) -> None:
        """Commit no more. What is not acknowledged by now will be decided again by whoever comes next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _until_failure(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the worker must end and say so: it can deliver nothing more
            if not self.failed.done():
                self.failed.set_exception(error)

    async def _settle(self) -> None:
        """Await batch after batch, in order, and make room for another."""
        while True:
            while not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
            batch = self._queue[0]
            await asyncio.gather(*batch.acks)
            self._acknowledged(batch.outputs)
            self._safe.update(batch.outputs.next_offsets)
            self._queue.popleft()
            self._room.release()
            self._to_commit.set()
            if not self._queue:
                self._settled.set()

    async def _keep_committing(self) -> None:
        """Commit what is acknowledged, and then wait a little, unless somebody waits for the last commit."""
        while True:
            await self._to_commit.wait()
            self._to_commit.clear()
            safe, self._safe = self._safe, {}
            if safe:
                await self._commit(safe)
            if not self._queue and not self._safe:
                self._empty.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_EVERY_S):
                    await self._hurry.wait()


async def send_beside(producer: AIOKafkaProducer, letters: WritesLetters, outputs: Outputs) -> list[Ack]:
    """Send what may be repeated: expressions from replies, the epoch a batch was decided on, and dead letters.

    Dead letters have a producer of their own: where a broker refuses one, no decision fails with it.
    """
    now = now_ms()
    sent: list[Ack] = []
    for partition, records in outputs.expressions.items():
        sent += await send(producer, EXPRESSIONS, partition, records, now=now)
    sent += await send(producer, EPOCHS, 0, outputs.epochs, now=now)
    if outputs.dead_letters:
        sent.append(asyncio.create_task(letters.write(outputs.dead_letters)))
    return sent


async def send_decided(producer: AIOKafkaProducer, outputs: Outputs) -> list[asyncio.Future[RecordMetadata]]:
    """Send a batch's decisions."""
    now = now_ms()
    sent: list[asyncio.Future[RecordMetadata]] = []
    for partition, records in outputs.decisions.items():
        sent += await send(producer, DECISIONS, partition, records, now=now)
    for batch in in_rounds(outputs.finished):
        sent += await send_finished(producer, DECISIONS, batch, now=now)
    return sent


async def send(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]], *, now: int
) -> list[asyncio.Future[RecordMetadata]]:
    """Send records as finished batches, stamped `now` (milliseconds); a future each, done when it is acknowledged."""
    sent: list[asyncio.Future[RecordMetadata]] = []
    taken = 0
    while taken < len(records):
        builder = producer.create_batch()
        taken = fill(builder, records, start=taken, timestamp=now)
        sent.append(await accepted(partial(producer.send_batch, builder, topic, partition=partition)))
    return sent


async def accepted(send: Callable[[], Awaitable[asyncio.Future[RecordMetadata]]]) -> asyncio.Future[RecordMetadata]:
    """What the producer returns once it accepts a record or a batch, however long no broker answers.

    While the batch before it is on its way, aiokafka waits for `kafka.request_timeout_ms` and gives up; it has taken
    nothing then. To give up as well would end a worker for an outage that is a little longer.
    """
    while True:
        with suppress(KafkaTimeoutError):
            return await send()


async def send_finished(
    producer: AIOKafkaProducer, topic: str, batch: Finished, *, now: int
) -> list[asyncio.Future[RecordMetadata]]:
    """Send a finished batch as it is; one that is larger than a broker takes goes out in several."""
    if len(batch.data) > clients.BATCH_BYTES_MAX:
        return await send(producer, topic, batch.partition, records_of(batch.data), now=now)
    whole = finished(producer, batch.data, batch.count)
    return [await accepted(partial(producer.send_batch, whole, topic, partition=batch.partition))]


def in_rounds(batches: Sequence[Finished]) -> list[Finished]:
    """The first of every partition, then the second of each, and so on.

    The producer takes a second batch of a partition when the first is under way: so one wait serves all of them.
    """
    seen: Counter[int] = Counter()
    rounds: list[list[Finished]] = []
    for batch in batches:
        place = seen[batch.partition]
        seen[batch.partition] += 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(batch)
    return [batch for some in rounds for batch in some]


async def _either(one: Settled, other: asyncio.Future[None]) -> None:
    """Wait until one of two is done."""
    waiting: set[Settled | asyncio.Future[None]] = {one, other}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


def letter_of(record: BadRecord) -> DeadLetter:
    """A bad registry record as a dead letter."""
    return DeadLetter(
        TopicPartition(record.topic, record.partition), record.offset, record.key, record.value, record.error
    )
