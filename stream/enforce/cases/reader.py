"""The reader of the intake topics: every record once, in its partition's order, whatever Faust delivers.

Faust delivers records. It may also skip some: what its fetcher read before a table was recovered is discarded, counted
as a gap of compaction and committed (decision 0010: measured, 175 of 600 records lost over six kills). So nothing
here rests on what it delivers or commits. Each record's offset is compared with the table's own: one from before it is
dropped, one from beyond it shows a gap, and a gap is read here from the topic itself. Where Faust has not delivered
waiting records for a while, they are fetched likewise.

It must never let two records be processed at once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from aiokafka.errors import OffsetOutOfRangeError

from stream import logs
from stream.config import Config
from stream.enforce.cases.decoding import RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.feed import topic_reader
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition
from stream.kafka.closing import close_within
from stream.metrics import EnforceMetrics

log = logs.get(__name__)

Process = Callable[[RecordPosition, bytes | None, bytes | None], Awaitable[None]]
"""Processes one record (position, key, value), whole, and advances the offsets; may wait for a broker unboundedly."""

QUIET_S: Final = 2.0
"""A record that Faust has not delivered this long after it delivered its last is fetched."""

FETCH_RECORDS_MAX: Final = 500
"""Fetched at a time: two or three seconds of work, so that a rebalance need not wait for more."""

CLIENT: Final = "wurao-enforce-gaps"


class IntakeReader:
    """One instance's reader. All its coroutines share one lock: each waits until the record being processed is done."""

    def __init__(self, config: Config, *, offsets: IntakeOffsets, process: Process, metrics: EnforceMetrics) -> None:
        self._config = config
        self._offsets = offsets
        self._process = process
        self._metrics = metrics
        self._assigned: frozenset[AIOKafkaPartition] = frozenset()
        self._lock = asyncio.Lock()
        self._delivered_at = -QUIET_S
        self._throttle = logs.Throttle()

    async def resume(self, assigned: Iterable[AIOKafkaPartition]) -> None:
        """After a rebalance: these are our partitions from now on, read from the table's offsets."""
        async with self._lock:
            self._assigned = frozenset(assigned)
            self._delivered_at = -QUIET_S  # records that wait already are fetched at once

    async def pause(self) -> None:
        """Before a rebalance: take no more records; returns once the one being processed is done."""
        self._assigned = frozenset()
        async with self._lock:
            return

    async def between(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run `work` on our rows while no record is processed; not at all while no partition is assigned."""
        async with self._lock:
            if self._assigned:
                await work()

    async def renew(self, topic_ids: Mapping[str, str]) -> None:
        """Topics were recreated: while no record is processed, have those read from their beginning."""
        async with self._lock:
            self._offsets.renew(topic_ids)

    async def deliver(self, position: RecordPosition, key: bytes | None, value: bytes | None) -> None:
        """Faust delivered a record; called by its agent. A gap before the record is fetched first."""
        partition = AIOKafkaPartition(position.topic, position.partition)
        async with self._lock:
            self._delivered_at = time.monotonic()
            if partition not in self._assigned:
                return  # a remainder from before a rebalance; whoever has the partition reads it
            if position.offset > self._offsets[partition]:
                await self._fetch([partition])
            if position.offset == self._offsets[partition]:
                await self._process(position, key, value)

    async def fetch_missing(self, ends: Mapping[AIOKafkaPartition, int]) -> None:
        """Process what stands before these end offsets, where Faust is quiet and has not delivered it."""
        if time.monotonic() - self._delivered_at < QUIET_S or self._lock.locked():
            return
        async with self._lock:
            behind = [one for one in self._assigned if ends.get(one, 0) > self._offsets[one]]
            if behind:
                await self._fetch(behind)

    async def _fetch(self, partitions: list[AIOKafkaPartition]) -> None:
        """Read these partitions from our offsets to their ends, and process what is there."""
        began, fetched = time.monotonic(), 0
        try:
            try:
                fetched = await self._fetch_some(partitions)
            except OffsetOutOfRangeError:
                await self._skip_deleted(partitions)
        except (clients.KafkaError, OSError) as error:
            log.warning("records that the stream skipped cannot be fetched; trying again", error=repr(error))
        self._metrics.fetched.inc(fetched)
        held_back = self._throttle.now() if fetched else None
        if held_back is not None:
            log.warning(
                "records that the stream skipped were fetched and processed",
                count=fetched,
                seconds=round(time.monotonic() - began, 3),
                like_this_before=held_back,
            )

    async def _fetch_some(self, partitions: list[AIOKafkaPartition]) -> int:
        """At most `FETCH_RECORDS_MAX` records; ends early where a partition is taken from us. How many."""
        fetched = 0
        start = {one: self._offsets[one] for one in partitions}
        async for batch in topic_reader.read(self._config, list(start), start=start, client=CLIENT):
            for raw in batch.records:
                if AIOKafkaPartition(raw.topic, raw.partition) not in self._assigned or fetched == FETCH_RECORDS_MAX:
                    return fetched
                fetched += 1
                position = RecordPosition(raw.topic, raw.partition, raw.offset, raw.timestamp)
                await self._process(position, raw.key, raw.value)
            for partition, offset in batch.next_offsets.items():
                # Not from the last record: offsets at the end may hold none.
                self._offsets.skip_to(partition, offset)
        return fetched

    async def _skip_deleted(self, partitions: list[AIOKafkaPartition]) -> None:
        """Our offset is before the log's start: skip to it, and say which records were never processed."""
        consumer = clients.follower(self._config, client=CLIENT)
        try:
            await consumer.start()
            first = await consumer.beginning_offsets(partitions)
        finally:
            await close_within(consumer)
        for partition, offset in first.items():
            if offset > self._offsets[partition]:
                log.error(
                    "records were deleted before they were processed: set retention.ms of the topic to -1",
                    topic=partition.topic,
                    partition=partition.partition,
                    first=self._offsets[partition],
                    until=offset,
                )
                self._offsets.skip_to(partition, offset)
