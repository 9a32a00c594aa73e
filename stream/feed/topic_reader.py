"""The registry topics read once, from given offsets to the ends they have at the start: for commands.

Promises every record between, in each partition's order, perhaps a few that came meanwhile, and an end even
where the last offsets hold no record (compaction and transactions leave such holes). Must never join a
group, commit, or wait for records to come.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition
from stream.kafka.closing import close_within
from stream.model.codec import Undecodable, decode_as, decode_record
from stream.model.control import Listing
from stream.model.registry import Order, Record, Tombstone
from stream.model.topics import EXPRESSIONS, LISTINGS, ORDERS, RECORD_KIND, SENDERS
from stream.registry.registry import Registry

POLL_RECORDS_MAX: Final = 20_000
POLL_WAIT_MS: Final = 500
SLICE_RECORDS: Final = 500
"""Senders that are folded at a time, in some milliseconds."""


class TopicRecord(NamedTuple):
    """A record as it stands in its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    """milliseconds; when its producer made it"""


@dataclass(frozen=True, slots=True)
class PolledBatch:
    """What one poll brought."""

    records: Sequence[TopicRecord]
    next_offsets: Mapping[AIOKafkaPartition, int]
    """For every partition read, the next offset once these records are taken."""
    left_count: int
    """Offsets still to read."""


async def read(
    config: Config,
    places: Sequence[AIOKafkaPartition],
    *,
    start: Mapping[AIOKafkaPartition, int] | None = None,
    client: str,
) -> AsyncGenerator[PolledBatch, None]:
    """The records of these partitions in batches; the last batch, which may be empty, leaves nothing to read.

    `start` has the offset to begin at, for those partitions that do not begin at their beginning. Raises
    `OffsetOutOfRangeError` where a partition no longer has the offset, `KafkaError` where no broker answers.
    """
    consumer = clients.follower(config, client=client)
    consumer.assign(list(places))
    try:
        await consumer.start()
        ends = await consumer.end_offsets(places)
        position = await consumer.beginning_offsets(places)
        position.update(start or {})
        for place in places:
            consumer.seek(place, position[place])
        if all(position[place] >= end for place, end in ends.items()):
            yield PolledBatch((), dict(position), 0)  # and no wait for a poll that can bring nothing
            return
        while True:
            fetched = await consumer.getmany(*places, timeout_ms=POLL_WAIT_MS, max_records=POLL_RECORDS_MAX)
            for place in places:
                # Not from the last record: a batch may end in offsets that hold none.
                position[place] = await consumer.position(place)
            records = [
                TopicRecord(place.topic, place.partition, record.offset, record.key, record.value, record.timestamp)
                for place, batch in fetched.items()
                for record in batch
            ]
            left = sum(max(0, end - position[place]) for place, end in ends.items())
            yield PolledBatch(records, dict(position), left)
            if left == 0:
                return
    finally:
        await close_within(consumer)


async def all_but_wills(config: Config, *, client: str) -> Registry:
    """Senders, orders, campaigns and word lists as their topics hold them. Raises `KafkaError`."""
    registry = Registry()
    places = [place for topic in RECORD_KIND if topic != EXPRESSIONS for place in clients.partitions(topic, 1)]
    async for batch in read(config, places, client=client):
        registry.apply(_good(batch.records))
    return registry


async def registered_senders(config: Config, *, client: str) -> Registry:
    """A registry of the senders alone, with whose their numbers are. Raises `KafkaError` where no broker answers.

    Some 20 µs a sender, in slices between which others have their turn.
    """
    registry = Registry()
    async for batch in read(config, clients.partitions(SENDERS, 1), client=client):
        for start in range(0, len(batch.records), SLICE_RECORDS):
            registry.apply(_good(batch.records[start : start + SLICE_RECORDS]))
            await asyncio.sleep(0)
    return registry


def _good(records: Sequence[TopicRecord]) -> Iterator[Record | Tombstone]:
    for raw in records:
        try:
            yield decode_record(raw.topic, raw.key, raw.value)
        except Undecodable:
            continue  # it is in force nowhere


async def listings(config: Config, *, client: str) -> list[Listing]:
    """The entries of the bad-actor list, as they stand. Raises `KafkaError` where no broker answers."""
    last: dict[bytes | None, bytes | None] = {}
    async for batch in read(config, clients.partitions(LISTINGS, 1), client=client):
        last |= {raw.key: raw.value for raw in batch.records}
    found = []
    for value in last.values():
        with suppress(Undecodable):
            found.append(decode_as(_listings, value or b""))
    return found


_listings: Final = msgspec.json.Decoder(Listing)


async def order_named(config: Config, order: str, *, client: str) -> Order | None:
    """The order that stands under this id, if one does. Raises `KafkaError` where no broker answers."""
    key, last = order.encode(), None
    async for batch in read(config, clients.partitions(ORDERS, 1), client=client):
        for raw in batch.records:
            if raw.key == key:
                last = raw
    if last is None:
        return None
    try:
        record = decode_record(ORDERS, last.key, last.value)
    except Undecodable:
        return None  # it is in force nowhere
    return record if isinstance(record, Order) else None
