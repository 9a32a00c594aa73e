"""Keeps a registry in step with its topics: catch up once, then apply what comes, and know how fresh that is.

A follower reads every partition of `registry.*` from given offsets, outside any group. Records are decoded and
applied a poll at a time, without an await in between: so whoever decides batches on the same loop never sees half
an update. A record that cannot be used is handed out as a `BadRecord` and stops nothing.

Freshness: the broker is asked for its end offsets now and then; once everything up to them is applied, the
registry is as fresh as the moment of asking. So staleness is known on idle topics too.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from bloom.partition import partitions_of
from bloom.snapshot import TopicMark
from stream.kafka import clients
from stream.model.codec import Undecodable, decode_record
from stream.model.registry import Expression, FileRecord
from stream.model.topics import EXPRESSIONS, RECORD_KIND
from stream.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A registry record that cannot be used: where it stands, its bytes, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    error: str


@dataclass(slots=True)
class Applied:
    """What one poll brought."""

    records: Counter[str] = field(default_factory=Counter)
    """topic → records applied"""
    bad: list[BadRecord] = field(default_factory=list)
    misplaced: Counter[str] = field(default_factory=Counter)
    """topic → records found in another partition than their subscriber's"""


def now_ms() -> int:
    """The wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Follower:
    """One registry and the consumer that feeds it. Not for two tasks at once."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        registry: Registry,
        *,
        partitions: int,
        poll_records_max: int,
        ends_every_ms: int,
    ) -> None:
        self.registry = registry
        self.fresh_ms: int | None = None
        """the moment as of which everything is applied; None until the first catch-up"""
        self.changes = 0
        """how many polls changed the registry: what an epoch is named after"""
        self._consumer = consumer
        self._partitions = partitions
        self._poll_records_max = poll_records_max
        self._ends_every_ms = ends_every_ms
        self._places = [
            place
            for topic in RECORD_KIND
            for place in clients.partitions(topic, partitions if topic == EXPRESSIONS else 1)
        ]
        self._next: dict[TopicPartition, int] = {}
        self._asked: asyncio.Task[tuple[int, Mapping[TopicPartition, int]]] | None = None
        self._target: tuple[int, Mapping[TopicPartition, int]] | None = None
        self._ask_again_ms = 0

    async def start(self, marks: Mapping[str, TopicMark]) -> None:
        """Take up every partition at its mark, or at its beginning where there is none."""
        self._consumer.assign(self._places)
        await self._consumer.start()
        beginnings = await self._consumer.beginning_offsets(self._places)
        for place in self._places:
            mark = marks.get(place.topic)
            self._next[place] = mark.offsets[place.partition] if mark else beginnings[place]
            self._consumer.seek(place, self._next[place])

    async def stop(self) -> None:
        """Read no more."""
        if self._asked is not None:
            self._asked.cancel()
        await self._consumer.stop()

    @property
    def offsets(self) -> dict[str, tuple[int, ...]]:
        """Topic → per partition the offset up to which (exclusive) records are applied."""
        found: dict[str, list[int]] = {}
        for place in self._places:
            found.setdefault(place.topic, []).append(self._next[place])
        return {topic: tuple(offsets) for topic, offsets in found.items()}

    def staleness_ms(self, now: int) -> int | None:
        """Time since everything that the broker held was applied; None before the first time."""
        return None if self.fresh_ms is None else max(0, now - self.fresh_ms)

    async def catch_up(self, note: Callable[[Applied, int], None]) -> None:
        """Apply everything up to the end offsets as they are now; `note` sees each poll and what is left to read."""
        self._target = await self._ask()
        self._note_freshness()
        while left := self._left():
            note(await self.poll(wait_ms=500), left)

    async def poll(self, *, wait_ms: int) -> Applied:
        """Apply what has come, waiting up to `wait_ms` for something. The registry changes in one step."""
        self._keep_asking()
        fetched = await self._consumer.getmany(*self._places, timeout_ms=wait_ms, max_records=self._poll_records_max)
        applied = Applied()
        if fetched:
            self._apply(fetched, applied)
        await self._pass_over_empty_ends()
        self._note_freshness()
        return applied

    async def _pass_over_empty_ends(self) -> None:
        """Where the last offsets hold no record (an aborted transaction, its marker) nothing will come of them."""
        for place, end in self._target[1].items() if self._target else ():
            if self._next[place] < end:
                self._next[place] = await self._consumer.position(place)

    def _left(self) -> int:
        """Offsets left to read up to the ends that were asked for."""
        ends = self._target[1] if self._target else {}
        return sum(max(0, end - self._next[place]) for place, end in ends.items())

    def _apply(self, fetched: Mapping[TopicPartition, Sequence[clients.ConsumerRecord]], applied: Applied) -> None:
        records: list[FileRecord] = []
        for place, batch in fetched.items():
            subscribers: list[str] = []
            for fetched_record in batch:
                try:
                    record = decode_record(place.topic, fetched_record.key, fetched_record.value)
                except Undecodable as error:
                    applied.bad.append(
                        BadRecord(
                            place.topic,
                            place.partition,
                            fetched_record.offset,
                            fetched_record.key,
                            fetched_record.value,
                            str(error),
                        )
                    )
                    continue
                records.append(record)
                if type(record) is Expression:
                    subscribers.append(record.subscriber)
            applied.records[place.topic] += len(batch)
            if subscribers:
                wrong = partitions_of(subscribers, self._partitions) != place.partition
                applied.misplaced[place.topic] += int(wrong.sum())
        if records:
            self.registry.apply(records)
            self.changes += 1
        for place, batch in fetched.items():
            self._next[place] = batch[-1].offset + 1

    def _keep_asking(self) -> None:
        if self._asked is None and self._target is None and now_ms() >= self._ask_again_ms:
            self._asked = asyncio.create_task(self._ask())
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            self._ask_again_ms = now_ms() + self._ends_every_ms
            # A broker that does not answer leaves the registry as stale as it is, and that shows.
            if not asked.cancelled() and asked.exception() is None:
                self._target = asked.result()

    def _note_freshness(self) -> None:
        if self._target is None:
            return
        if self._left() == 0:
            self.fresh_ms = max(self._target[0], self.fresh_ms or 0)
            self._target = None

    async def _ask(self) -> tuple[int, Mapping[TopicPartition, int]]:
        asked = now_ms()
        return asked, await self._consumer.end_offsets(self._places)
