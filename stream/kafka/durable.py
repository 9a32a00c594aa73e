"""A producer for whoever must not lose a record: what it is given is written until it is acknowledged.

Promises. A producer is seen by nobody before it has started: `send` on one that has not waits for ever. One whose
record failed is thrown away, since an idempotent producer may then not know what it has sent; whoever else waits on it
gets an error, and tries again with the next, which is made when the old one has closed. So a record that is written
again comes after all that was written before it, as far as our producers go: a broker may still take in what it
had received of the old one.

A record that is too large is no fault of the broker's: it is not tried again, and whoever wrote it hears of it.

A record may be written twice. Many may write at once; each one's records keep their order, those of different ones
have none.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple, TypeVar

from aiokafka.errors import MessageSizeTooLargeError, ProducerClosed, RecordListTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaProducer, KafkaConnectionError, KafkaError
from stream.kafka.closing import close_within
from stream.kafka.retry import Retry

log = logs.get(__name__)

T = TypeVar("T")
Send = Callable[[AIOKafkaProducer], Awaitable[T]]
"""Hands records to a producer, and waits for what it must wait for. It may be called again after it failed."""

SLOW_S: Final = 3.0
"""An acknowledgement that takes longer says that the broker does not answer: an idempotent producer tells of none."""


TOGETHER_BYTES_MAX: Final = 1 << 16
"""A larger record goes by itself, so that aiokafka looks whether it may be sent at all."""

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What aiokafka or a broker answers to a record that no repetition makes smaller: a fault of the record's."""


class Produced(NamedTuple):
    """A record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    """None: that of its key"""
    headers: Sequence[tuple[str, bytes]] = ()


class _Live:
    """A producer that has started, and whether it was thrown away since."""

    __slots__ = ("producer", "thrown_away")

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.thrown_away = asyncio.Event()


class DurableProducer:
    """Create it on its loop; `close` at the end."""

    def __init__(self, config: Config, *, client: str) -> None:
        self._config = config
        self._client = client
        self._live: _Live | None = None
        self._making = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()
        self._retry = Retry(log.bind(client=client), "no acknowledgement; trying again until there is one")
        self._ended = False
        self._failed = False
        self._attempts: dict[int, float] = {}
        """those under way, and since when"""
        self._attempts_count = 0

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed, or one that is under way has waited for long."""
        return self._failed or (bool(self._attempts) and time.monotonic() - min(self._attempts.values()) > SLOW_S)

    async def start(self) -> None:
        """Be able to write. Waits for a broker."""
        await self.durably(_nothing)

    async def durably(self, send: Send[T]) -> T:
        """Do it, and again until it is done: a broker that does not answer is waited for. Returns what `send` does.

        Raises after `close`, and one of `TOO_LARGE` where a record is.
        """
        while True:
            try:
                done = await self.once(send)
            except TOO_LARGE:
                raise
            except (KafkaError, OSError) as error:
                if self._ended:
                    raise
                await self._retry.after(error)
            else:
                self._retry.begin_anew()
                return done

    async def write(self, records: Sequence[Produced]) -> list[int]:
        """Write records in their order; returns when they are acknowledged, however long no broker answers.

        Returns the places of those that are too large for their topic, which are not written; some of the others may
        then be written twice. Raises after `close` alone.
        """
        if not records:
            return []
        try:
            await self.durably(partial(_send_all, records))
        except TOO_LARGE:
            if len(records) == 1:
                return [0]
            # One by one: a broker refuses a whole batch, and does not say for which of its records.
            return [place for place, one in enumerate(records) if await self.write([one])]
        return []

    async def once(self, send: Send[T], *, within_s: float | None = None) -> T:
        """One attempt. Raises `KafkaError`, `OSError` or `TimeoutError` where it failed; it may have been written."""
        attempt = self._attempts_count = self._attempts_count + 1
        self._attempts[attempt] = time.monotonic()
        live: _Live | None = None
        try:
            async with asyncio.timeout(within_s):
                live = await self._ready()
                done = await _unless_thrown_away(live, send)
        except (KafkaError, OSError) as error:  # a TimeoutError is an OSError
            self._failed = not isinstance(error, TOO_LARGE)
            if live is not None:
                self._throw_away(live)
            raise
        finally:
            del self._attempts[attempt]
        self._failed = False
        return done

    async def unwatched(self, send: Send[object]) -> None:
        """Hand over what harms nobody where it is lost, with the producer that there is; nothing without one.

        `send` is not to wait for acknowledgements.
        """
        if self._live is not None:
            try:
                await _unless_thrown_away(self._live, send)
            except (KafkaError, OSError):
                return

    async def flush(self) -> None:
        """Wait until all that was handed over is acknowledged, or its producer thrown away."""
        await self.unwatched(lambda producer: producer.flush())

    async def close(self) -> None:
        """Write no more; what was handed over is flushed, within a bound. Who still waits gets an error."""
        self._ended = True
        if self._live is not None:
            self._throw_away(self._live)
        await self._closed()

    async def _ready(self) -> _Live:
        async with self._making:
            await self._closed()
            if self._live is None:
                self._see_not_ended()
                made = clients.producer(self._config, client=self._client)
                try:
                    await made.start()
                    self._see_not_ended()
                except BaseException:
                    await close_within(made)
                    raise
                self._live = _Live(made)
            return self._live

    def _see_not_ended(self) -> None:
        if self._ended:
            raise ProducerClosed

    def _throw_away(self, live: _Live) -> None:
        """Others may wait on it: they get an error. It closes by itself, and the next is made after that."""
        if live.thrown_away.is_set():
            return
        live.thrown_away.set()
        if self._live is live:
            self._live = None
        closing = asyncio.create_task(close_within(live.producer))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _closed(self) -> None:
        if self._closing:
            await asyncio.wait(self._closing)


async def _unless_thrown_away(live: _Live, send: Send[T]) -> T:
    """What `send` comes to; raises where its producer is thrown away meanwhile: nobody would answer it any more."""
    work = asyncio.ensure_future(send(live.producer))
    thrown_away = asyncio.ensure_future(live.thrown_away.wait())
    try:
        await asyncio.wait({work, thrown_away}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise KafkaConnectionError("its producer was thrown away, for another record had failed")
        return work.result()
    finally:
        for task in (work, thrown_away):
            task.cancel()
        await asyncio.gather(work, thrown_away, return_exceptions=True)


async def _send_all(records: Sequence[Produced], producer: AIOKafkaProducer) -> None:
    acks: list[asyncio.Future[RecordMetadata]] = []
    try:
        for (topic, partition), some in groupby(records, key=lambda one: (one.topic, one.partition)):
            if partition is None:
                await _hand_over_each(list(some), producer, acks)
            else:
                await _hand_over(topic, partition, list(some), producer, acks)
        await asyncio.gather(*acks)
    finally:
        for ack in acks:
            if not ack.cancel() and not ack.cancelled():
                ack.exception()  # nobody else asks what became of it


async def _hand_over_each(
    records: Sequence[Produced], producer: AIOKafkaProducer, acks: list[asyncio.Future[RecordMetadata]]
) -> None:
    for one in records:
        headers = list(one.headers)
        ack = await producer.send(one.topic, one.value, one.key, partition=one.partition, headers=headers)
        acks.append(ack)  # one by one: those before one that fails are looked after


async def _hand_over(
    topic: str,
    partition: int,
    records: Sequence[Produced],
    producer: AIOKafkaProducer,
    acks: list[asyncio.Future[RecordMetadata]],
) -> None:
    """Hand over records of one partition, small ones in batches: 4 µs for one, where `send` takes 20."""
    batch: BatchBuilder | None = None
    for one in records:
        is_small = len(one.key or b"") + len(one.value or b"") <= TOGETHER_BYTES_MAX
        if batch is not None and not (is_small and _taken(batch, one)):
            acks.append(await producer.send_batch(batch, topic, partition=partition))
            batch = None
        elif batch is not None:
            continue
        if is_small:
            batch = producer.create_batch()
            _taken(batch, one)
        else:
            await _hand_over_each([one], producer, acks)
    if batch is not None:
        acks.append(await producer.send_batch(batch, topic, partition=partition))


def _taken(batch: BatchBuilder, one: Produced) -> bool:
    """Put a record into a batch; false where there is no room. A small one always fits into a new batch."""
    return batch.append(timestamp=now_ms(), key=one.key, value=one.value, headers=list(one.headers)) is not None


async def _nothing(_: AIOKafkaProducer) -> None:
    return
