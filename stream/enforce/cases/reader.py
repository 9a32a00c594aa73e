"""The way in: every record of the intake topics once, in its partition's order, whatever the stream does.

Faust hands records over. It may also leave some out: what its fetcher read before a table was recovered is
thrown away, counted as a gap of compaction and committed (decision 0010: measured, 175 of 600 records lost over
six kills). So nothing here rests on what it says. Each record is compared with the table's own position: one
from before it is dropped, one from beyond it shows a gap, and a gap is read here from the topic itself. Where
records wait that the stream has not brought for a while, they are fetched likewise.

It must never let two records be dealt with at once.
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
from stream.kafka.clients import TopicPartition
from stream.kafka.closing import close_within
from stream.metrics import EnforceMetrics

log = logs.get(__name__)

Take = Callable[[RecordPosition, bytes | None, bytes | None], Awaitable[None]]

QUIET_S: Final = 2.0
"""A record that the stream has not brought this long after others stopped coming is fetched."""

FETCH_RECORDS_MAX: Final = 500
"""Fetched at a time: two or three seconds of work, so that a rebalance need not wait for more."""

CLIENT: Final = "wurao-enforce-gaps"


class IntakeReader:
    """One instance's way in."""

    def __init__(self, config: Config, *, positions: IntakeOffsets, take: Take, metrics: EnforceMetrics) -> None:
        self._config = config
        self._positions = positions
        self._take = take
        self._metrics = metrics
        self._ours: frozenset[TopicPartition] = frozenset()
        self._one_at_a_time = asyncio.Lock()
        self._came = -QUIET_S
        self._seldom = logs.Throttle()

    async def begin(self, ours: Iterable[TopicPartition]) -> None:
        """These are our partitions from now on; what waits in them is dealt with from their positions."""
        async with self._one_at_a_time:
            self._ours = frozenset(ours)
            self._came = -QUIET_S  # what waits is not waited for

    async def pause(self) -> None:
        """Partitions may go to others: returns when the record at hand is finished, and takes no more."""
        self._ours = frozenset()
        async with self._one_at_a_time:
            return

    async def between(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something to our rows while no record is at hand; nothing while they may be others'."""
        async with self._one_at_a_time:
            if self._ours:
                await work()

    async def deliver(self, spot: RecordPosition, key: bytes | None, value: bytes | None) -> None:
        """A record that the stream brought."""
        place = TopicPartition(spot.topic, spot.partition)
        async with self._one_at_a_time:
            self._came = time.monotonic()
            if place not in self._ours:
                return  # a remainder from before a rebalance; whoever has the partition reads it
            if spot.offset > self._positions[place]:
                await self._fetch([place])
            if spot.offset == self._positions[place]:
                await self._take(spot, key, value)

    async def fetch_missing(self, ends: Mapping[TopicPartition, int]) -> None:
        """Deal with what stands before these end offsets, where the stream is quiet and has not brought it."""
        if time.monotonic() - self._came < QUIET_S or self._one_at_a_time.locked():
            return
        async with self._one_at_a_time:
            behind = [place for place in self._ours if ends.get(place, 0) > self._positions[place]]
            if behind:
                await self._fetch(behind)

    async def _fetch(self, places: list[TopicPartition]) -> None:
        """Read these places from their positions to their ends, and deal with what is there."""
        began, fetched = time.monotonic(), 0
        try:
            try:
                fetched = await self._fetch_some(places)
            except OffsetOutOfRangeError:
                await self._begin_where_records_begin(places)
        except (clients.KafkaError, OSError) as error:
            log.warning("records that the stream skipped cannot be fetched; trying again", error=repr(error))
        self._metrics.fetched.inc(fetched)
        held_back = self._seldom.now() if fetched else None
        if held_back is not None:
            log.warning(
                "records that the stream skipped were fetched and processed",
                count=fetched,
                seconds=round(time.monotonic() - began, 3),
                like_this_before=held_back,
            )

    async def _fetch_some(self, places: list[TopicPartition]) -> int:
        fetched = 0
        start = {TopicPartition(*place): self._positions[place] for place in places}
        async for batch in topic_reader.read(self._config, list(start), start=start, client=CLIENT):
            for raw in batch.records:
                if TopicPartition(raw.topic, raw.partition) not in self._ours or fetched == FETCH_RECORDS_MAX:
                    return fetched
                fetched += 1
                await self._take(
                    RecordPosition(raw.topic, raw.partition, raw.offset, raw.timestamp), raw.key, raw.value
                )
            for place, offset in batch.next_offsets.items():
                # Not from the last record: offsets at the end may hold none.
                self._positions.skip_to(TopicPartition(place.topic, place.partition), offset)
        return fetched

    async def _begin_where_records_begin(self, places: list[TopicPartition]) -> None:
        consumer = clients.follower(self._config, client=CLIENT)
        try:
            await consumer.start()
            first = await consumer.beginning_offsets([TopicPartition(*place) for place in places])
        finally:
            await close_within(consumer)
        for place, offset in first.items():
            here = TopicPartition(place.topic, place.partition)
            if offset > self._positions[here]:
                log.error(
                    "records were deleted before they were processed: set retention.ms of the topic to -1",
                    topic=here.topic,
                    partition=here.partition,
                    first=self._positions[here],
                    until=offset,
                )
                self._positions.skip_to(here, offset)
