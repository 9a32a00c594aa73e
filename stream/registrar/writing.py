"""Records into a transaction, each topic's in their order, and where they landed."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from stream.kafka.seams.outgoing import fill
from stream.model.codec import encode
from stream.model.requests import RegistryAnswer
from stream.model.topics import ANSWERS, EXPRESSIONS
from stream.registry.door import AdmittedRecord

PARTITIONED: Final = frozenset({EXPRESSIONS, ANSWERS})


class Landed(NamedTuple):
    """Where a batch was appended."""

    topic: str
    partition: int
    first_offset: int
    records_count: int


class Unplaced(KafkaError):  # type: ignore[misc]  # aiokafka is not typed
    """A broker took records and did not say where."""


def answer_records(answers: Iterable[RegistryAnswer]) -> dict[str, list[tuple[bytes, bytes | None]]]:
    """Answers as `registry.answers` takes them: under the id of the request."""
    return {ANSWERS: [(answer.request.encode(), encode(answer)) for answer in answers]}


def by_topic(records: Iterable[AdmittedRecord]) -> dict[str, list[tuple[bytes, bytes | None]]]:
    """What is to be written, key and value, by topic."""
    found: dict[str, list[tuple[bytes, bytes | None]]] = {}
    for one in records:
        found.setdefault(one.topic, []).append((one.key.encode(), one.value))
    return found


async def produce(
    producer: AIOKafkaProducer, records: Mapping[str, Sequence[tuple[bytes, bytes | None]]], *, partition: int, now: int
) -> dict[str, list[Landed]]:
    """Write records by topic, all stamped `now`, in the transaction that is open; returns when they are acknowledged.

    Of the topics that are not partitioned it is their one partition. Raises `KafkaError`.
    """
    sent: list[tuple[str, int, int, asyncio.Future[RecordMetadata]]] = []
    try:
        for topic, some in records.items():
            place = partition if topic in PARTITIONED else 0
            start = 0
            while start < len(some):
                batch = producer.create_batch()
                end = fill(batch, some, start=start, timestamp=now)
                assert end > start, "a record is smaller than a batch"
                ack = await producer.send_batch(batch, topic, partition=place)
                sent.append((topic, place, end - start, ack))
                start = end
        await asyncio.gather(*(ack for *_, ack in sent))
    finally:
        for *_, ack in sent:
            if not ack.cancel() and not ack.cancelled():
                ack.exception()  # nobody else asks what became of it
    landed: dict[str, list[Landed]] = {}
    for topic, place, count, ack in sent:
        first = ack.result().offset
        if first < 0:
            raise Unplaced(f"{topic}[{place}]: the broker had these records already, and does not say where")
        landed.setdefault(topic, []).append(Landed(topic, place, first, count))
    return landed


def offsets_of(records: Sequence[AdmittedRecord], landed: Mapping[str, Sequence[Landed]]) -> list[int]:
    """The offset of each record."""
    offsets = {
        topic: iter(
            [offset for one in batches for offset in range(one.first_offset, one.first_offset + one.records_count)]
        )
        for topic, batches in landed.items()
    }
    return [next(offsets[record.topic]) for record in records]


def end_of(batches: Sequence[Landed] | None, otherwise: int) -> int:
    """The offset behind them."""
    return batches[-1].first_offset + batches[-1].records_count if batches else otherwise


def has_gap(batches: Sequence[Landed]) -> bool:
    """Whether somebody wrote between two of them."""
    return any(one.first_offset + one.records_count != after.first_offset for one, after in pairwise(batches))
