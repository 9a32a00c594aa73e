"""Senders, orders, campaigns and word lists as their topics hold them, with the offset of each record that stands.

Who writes some of them (the registrar of partition 0) has one of these of its own, which it leads on by what it writes;
another is shared by all partitions of a process and follows.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition, ConsumerRecord
from stream.model.codec import Undecodable, decode_record
from stream.model.registry import FileRecord, Tombstone, key_of
from stream.model.requests import NO_VERSION
from stream.model.topics import EXPRESSIONS, RECORD_KIND, SENDERS
from stream.registrar.tail import Tail, see_whole
from stream.registry.known import Subject
from stream.registry.registry import Registry

OTHERS: Final = tuple(topic for topic in RECORD_KIND if topic != EXPRESSIONS)

FOLLOW_EVERY_S: Final = 0.1


class OtherRecords:
    """Folded up to `next_offsets`. `start` it, `stop` it."""

    def __init__(self, config: Config, *, client: str, watermarks: AIOKafkaConsumer) -> None:
        """`watermarks` says where topics end, as in `Surroundings`."""
        self.registry = Registry()
        self.versions: dict[Subject, int] = {}
        self.next_offsets: dict[str, int] = {}
        """topic → the offset up to which (exclusive) it is known"""
        self._places = [place for topic in OTHERS for place in clients.partitions(topic, 1)]
        self._tail = Tail(config, self._places, client=client)
        self._watermarks = watermarks
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Read everything. Raises `KafkaError`."""
        await self._tail.start()
        self.next_offsets = {place.topic: offset for place, offset in (await self._tail.beginnings()).items()}
        await self.catch_up()

    async def stop(self) -> None:
        """Let go of the broker."""
        await self._tail.stop()

    async def catch_up(self) -> None:
        """Know everything that was committed when this was called. Raises `Truncated`, `KafkaError`."""
        async with self._one_at_a_time:
            await see_whole(self._watermarks, {place: self.next_offsets[place.topic] for place in self._places})
            ends = await self._tail.ends()
            for place, end in ends.items():
                await self._read(place, end)

    async def follow(self) -> None:
        """Stay near the ends, for ever. Raises `KafkaError`."""
        while True:
            await self.catch_up()
            await asyncio.sleep(FOLLOW_EVERY_S)

    async def read_to(self, topic: str, end: int) -> int:
        """Know the topic up to `end` (exclusive); returns how many records that were. Raises `KafkaError`."""
        async with self._one_at_a_time:
            return await self._read(AIOKafkaPartition(topic, 0), end)

    def version(self, subject: Subject) -> int:
        """The offset of the record that stands under this name, or `NO_VERSION`."""
        return self.versions.get(subject, NO_VERSION)

    def note(self, topic: str, offset: int, key: str, record: object | None) -> None:
        """A record that we wrote ourselves, and applied: where it stands."""
        if record is None:
            self.versions.pop(Subject(topic, key), None)
        else:
            self.versions[Subject(topic, key)] = offset
        self.next_offsets[topic] = max(self.next_offsets[topic], offset + 1)

    def kept(self) -> Sequence[FileRecord]:
        """Its records, for `begin_anew`."""
        registry = self.registry
        removed = [Tombstone(topic=SENDERS, key=name) for name in registry.removed_senders]
        return [
            *registry.removed_senders.values(),
            *removed,
            *registry.senders.values(),
            *registry.orders.values(),
            *registry.campaigns.values(),
            *registry.wordlists.values(),
        ]

    def begin_anew(self, records: Sequence[FileRecord]) -> None:
        """Forget what was applied since `kept`: it is not written."""
        self.registry = Registry()
        self.registry.apply(records)

    async def _read(self, place: AIOKafkaPartition, end: int) -> int:
        count = 0
        async for some in self._tail.read(place, self.next_offsets[place.topic], end):
            count += len(some.records)
            self._apply(some.records)
            self.next_offsets[place.topic] = max(self.next_offsets[place.topic], some.next_offset)
        return count

    def _apply(self, records: Sequence[ConsumerRecord]) -> None:
        for raw in records:
            if raw.offset < self.next_offsets[raw.topic]:
                continue  # our own, noted while it was fetched
            try:
                record = decode_record(raw.topic, raw.key, raw.value)
            except Undecodable:
                continue  # it is in force nowhere
            self.registry.apply([record])
            if isinstance(record, Tombstone):
                self.versions.pop(Subject(raw.topic, record.key), None)
            else:
                self.versions[Subject(raw.topic, key_of(record))] = raw.offset
