"""Registry records written to their topics: whole batches, each record in its partition, all acknowledged.

Promises that a group of records lands in one batch of one partition, so that all of it is written or
none, also when the writer is killed (a broker appends a batch whole); and that `write` returns only when
every replica that is in sync has everything. Must never split a group: a lift without the narrower expressions
that follow it would lose them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from aiokafka.producer.message_accumulator import BatchBuilder

from bloom.partition import partitions_of
from stream.clock import now_ms
from stream.kafka.clients import BATCH_BYTES_MAX, AIOKafkaProducer
from stream.kafka.seams.outgoing import fill
from stream.model.codec import encode
from stream.model.registry import Expression, FileRecord, Tombstone, key_of
from stream.model.topics import EXPRESSIONS, TOPIC_OF

RECORD_OVERHEAD_BYTES_MAX: Final = 64
"""What a batch adds to a record's key and value, at most: lengths, deltas, timestamps."""

Group = tuple[FileRecord, ...]
"""Records of one topic and one subscriber, written together or not at all."""


class Landed(NamedTuple):
    """Where a batch was appended."""

    topic: str
    partition: int
    first_offset: int
    records_count: int


class GroupTooLarge(Exception):
    """A group that no batch can hold."""


class RegistryWriter(Protocol):
    """A place that takes registry records: the topics, or a file.

    Whoever writes waits in it for as long as the broker takes, or the disk.
    """

    async def write(self, groups: Iterable[Group]) -> list[Landed]:
        """Write the groups in their order; return when they are safe, and where they landed."""

    async def write_each(self, expressions: Sequence[Expression], encoded: Sequence[bytes], /) -> list[Landed]:
        """The same for many expressions, each a group by itself, that are encoded already."""


def topic_of(record: FileRecord) -> str:
    """The topic that a record, or what a tombstone removes, stands in."""
    return record.topic if isinstance(record, Tombstone) else TOPIC_OF[type(record)]


class TopicWriter:
    """Writes to the topics by an idempotent producer (KIP-98), which the caller starts and stops."""

    def __init__(self, producer: AIOKafkaProducer, *, partitions: int) -> None:
        self._producer = producer
        self._partitions = partitions

    async def write(self, groups: Iterable[Group]) -> list[Landed]:
        """See `RegistryWriter`. Some 3 µs a record. Raises `KafkaError` where a batch is not acknowledged."""
        open_batches: dict[tuple[str, int], BatchBuilder] = {}
        full: list[tuple[tuple[str, int], BatchBuilder]] = []
        for place, encoded in self._placed(list(groups)):
            size = sum(len(key) + len(value or b"") for key, value in encoded)
            size += RECORD_OVERHEAD_BYTES_MAX * len(encoded)
            if size > BATCH_BYTES_MAX and len(encoded) > 1:
                raise GroupTooLarge(
                    f"{len(encoded)} records of one subscriber take {size} bytes and must be written "
                    f"together; a batch holds {BATCH_BYTES_MAX}"
                )
            batch = open_batches.get(place)
            if batch is not None and batch.size() + size > BATCH_BYTES_MAX:
                full.append((place, batch))
                batch = None
            if batch is None:
                batch = open_batches[place] = self._producer.create_batch()
            for key, value in encoded:
                taken = batch.append(key=key, value=value, timestamp=None)
                assert taken is not None, "the size was checked before"
        return await self._send([*full, *open_batches.items()])

    async def write_each(self, expressions: Sequence[Expression], encoded: Sequence[bytes], /) -> list[Landed]:
        """See `RegistryWriter`. Less than 1 µs a record. Raises `KafkaError` where a batch is not acknowledged."""
        records: list[list[tuple[bytes, bytes]]] = [[] for _ in range(self._partitions)]
        partitions = partitions_of([expression.subscriber for expression in expressions], self._partitions).tolist()
        keys = [key_of(expression).encode() for expression in expressions]
        for partition, record in zip(partitions, zip(keys, encoded, strict=True), strict=True):
            records[partition].append(record)
        batches: list[tuple[tuple[str, int], BatchBuilder]] = []
        now = now_ms()
        for partition, placed in enumerate(records):
            start = 0
            while start < len(placed):
                batch = self._producer.create_batch()
                end = fill(batch, placed, start=start, timestamp=now)
                assert end > start, "an expression is smaller than a batch"
                batches.append(((EXPRESSIONS, partition), batch))
                start = end
        return await self._send(batches)

    def _placed(self, groups: list[Group]) -> Iterable[tuple[tuple[str, int], list[tuple[bytes, bytes | None]]]]:
        subscribers = [first.subscriber for first, *_ in groups if type(first) is Expression]
        partitions = iter(partitions_of(subscribers, self._partitions).tolist())
        for group in groups:
            topic = topic_of(group[0])
            yield (
                (topic, next(partitions) if topic == EXPRESSIONS else 0),
                [_encoded(record) for record in group],
            )

    async def _send(self, batches: list[tuple[tuple[str, int], BatchBuilder]]) -> list[Landed]:
        sent = []
        for (topic, partition), batch in batches:
            batch.close()
            future = await self._producer.send_batch(batch, topic, partition=partition)
            sent.append((topic, partition, batch.record_count(), future))
        # All are awaited even when one fails: so no failure is lost.
        answers = await asyncio.gather(*(future for *_, future in sent), return_exceptions=True)
        landed = []
        for (topic, partition, count, _), answer in zip(sent, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            landed.append(Landed(topic, partition, answer.offset, count))
        return landed


def _encoded(record: FileRecord) -> tuple[bytes, bytes | None]:
    if isinstance(record, Tombstone):
        return record.key.encode(), None
    return key_of(record).encode(), encode(record)
