"""Exports the registry's topics: the latest record of each key, as lines that an import reads.

Promises an order in which they may be applied: records of one key in one place, expressions of one
subscriber in their order of receipt, each at the place of its key's last record, as compaction leaves
them. Two passes over the topics: the first notes where each key was last written, the second takes what
stands there, so that memory holds one number per key and no record. Whoever takes the lines may stop at any
time (`aclosing`): the consumer is then closed as at the end.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from stream.config import Config
from stream.feed.snapshots import describe_registry
from stream.feed.topic_reader import TopicRecord, read
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.registry import Tombstone
from stream.model.topics import EXPRESSIONS, RECORD_KIND

KEY_BYTES: Final = 12
"""Keys are held as digests: among a billion keys two are alike with a chance of one in 10¹⁰."""


@dataclass(frozen=True, slots=True)
class Exported:
    """Some lines of an export."""

    lines: list[bytes]
    bad: list[str]
    """records that cannot be used: partition, offset and reason of each"""
    read_count: int


async def export(config: Config, *, progress: Callable[[int], None]) -> AsyncGenerator[Exported, None]:
    """Every current record, senders first and expressions last. `progress` is called with the first pass'
    records.

    Raises `KafkaError` where no broker answers, `SnapshotsError` where topics are missing.
    """
    cluster = await describe_registry(config)
    topics = [*(topic for topic in RECORD_KIND if topic != EXPRESSIONS), EXPRESSIONS]
    for topic in topics:
        for place in clients.partitions(topic, cluster.topics[topic].partitions):
            last = await _last_places(config, place, progress)
            async with aclosing(_standing(config, place, last)) as standing:
                async for exported in standing:
                    yield exported


async def _last_places(config: Config, place: AIOKafkaPartition, progress: Callable[[int], None]) -> dict[bytes, int]:
    last: dict[bytes, int] = {}
    async for batch in read(config, [place], client="wurao-export"):
        for raw in batch.records:
            last[_digest(raw)] = raw.offset
        progress(len(batch.records))
    return last


async def _standing(config: Config, place: AIOKafkaPartition, last: dict[bytes, int]) -> AsyncGenerator[Exported, None]:
    async with aclosing(read(config, [place], client="wurao-export")) as batches:
        async for batch in batches:
            lines: list[bytes] = []
            bad: list[str] = []
            for raw in batch.records:
                if last.get(_digest(raw)) != raw.offset:
                    continue
                try:
                    record = decode_record(raw.topic, raw.key, raw.value)
                except Undecodable as error:
                    bad.append(f"{raw.topic}, partition {raw.partition}, offset {raw.offset}: {error}")
                    continue
                if not isinstance(record, Tombstone):
                    lines.append(encode(record))
            yield Exported(lines, bad, len(batch.records))


def _digest(raw: TopicRecord) -> bytes:
    return blake2b(raw.key or b"", digest_size=KEY_BYTES).digest()
