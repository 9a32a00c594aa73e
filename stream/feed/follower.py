"""Keeps a registry in step with its topics: catch up once, then apply what comes, and know how fresh that is.

A follower reads `registry.*` from given offsets, outside any group. Records are decoded and applied a poll at a
time, without an await in between: so whoever decides batches on the same loop never sees half an update. A record
that cannot be used is handed out as a `BadRecord` and stops nothing.

Freshness: the broker is asked for its high watermarks now and then; once everything up to them is applied, the registry
is as fresh as the moment of asking. So staleness is known on idle topics too, and a transaction that hangs makes the
registry stale: what stands behind it cannot be read, and counts all the same (a reader of committed records sees the
last stable offsets as the ends, which hide it).

Records are applied only once it is vouched, after they were fetched, that they are of the topics that were followed
from the start: one that was recreated would be read on at the old one's offsets, and mixed with it.

Where the registry holds some partitions only, it follows those partitions of `registry.expressions` that the caller
adds by `take`, until it removes them by `drop`; both take effect between two polls. A partition taken is *loaded* once
all that the broker held when asked since is applied; until then it counts for no freshness, and nobody may decide by
it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.errors import OffsetOutOfRangeError

from bloom.base import Base
from bloom.bitmaps import Wills
from bloom.partitioned import HeldPartitions
from bloom.snapshot import TopicMark
from stream.clock import now_ms
from stream.feed import expression_reader
from stream.feed.expression_reader import NativeReader, Piece, PolledExpressions
from stream.kafka import clients
from stream.kafka.identity import TopicsChanged
from stream.kafka.reach import until_answered
from stream.kafka.seams.incoming import raw_batches, spare_consumer_records, take_raw
from stream.model.registry import FileRecord
from stream.model.topics import EXPRESSIONS, RECORD_KIND
from stream.registry.decoding import BadRecord, Misplaced, decode_all
from stream.registry.registry import Registry

NOT_HELD: Final = -1
"""In place of an offset: nothing of that partition is applied, for it is held by another worker."""


@dataclass(slots=True)
class Applied:
    """What one poll brought."""

    records: Counter[str] = field(default_factory=Counter)
    """topic → records applied"""
    bad: list[BadRecord] = field(default_factory=list)
    misplaced: Counter[str] = field(default_factory=Counter)
    """topic → records found in another partition than their subscriber's"""


BUSY_WAIT_MS: Final = 10
"""How long a poll waits while a partition is loading, since its events stand still until the ends are known and
reached, and while one is taken out."""


TRANSACTION_WAIT_S: Final = 2.0
"""How long a start waits for open transactions to end: those of a writer that is well end within milliseconds."""

FRESH_WAIT_MS: Final = 20
"""How long a poll waits meanwhile."""


class _Taken(NamedTuple):
    """A partition to be followed from the next poll on."""

    partition: int
    wills: Wills
    base: Base | None
    next_offset: int | None
    loaded: asyncio.Future[None]


class _Dropped(NamedTuple):
    """A partition to be dropped before the next poll."""

    partition: int


class _End(NamedTuple):
    """Where the committed records of a partition ended, and when that was asked."""

    asked_ms: int
    offset: int
    whole: bool
    """whether there was nothing behind it, in a transaction that is open"""


class _Ends(NamedTuple):
    """Where all partitions ended, and when that was asked."""

    asked_ms: int
    high: Mapping[AIOKafkaPartition, int]
    """with what stands in open transactions"""
    committed: Mapping[AIOKafkaPartition, int]
    """of those that are loading alone: up to the first open transaction, asked after `high`"""


@dataclass(slots=True)
class _Loading:
    """A partition that was taken and is not loaded yet."""

    loaded: asyncio.Future[None]
    end: _End | None = None


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
        reader: NativeReader | None = None,
        watermarks: AIOKafkaConsumer | None = None,
        vouch: Callable[[Collection[str]], Awaitable[bool]] | None = None,
    ) -> None:
        """With a `reader`, the consumer hands out whole record batches, and the native module reads expressions.

        `watermarks` reads uncommitted records, so that it can be asked for high watermarks; without it freshness is
        that of what is committed. `vouch` says whether topics are still those that were there at the start, False where
        that is not known now; it raises `TopicsChanged` where they are not.
        """
        self.registry = registry
        self.fresh_ms: int | None = None
        """the moment as of which everything is applied; None until the first catch-up"""
        self.changes = 0
        """how many polls changed the registry: what an epoch is named after"""
        self._consumer = consumer
        self._watermarks = watermarks
        self._vouch = vouch
        self._unvouched: Mapping[AIOKafkaPartition, Sequence[Piece]] = {}
        """fetched, and not applied: nobody could vouch for it yet"""
        self._partitions = partitions
        self._poll_records_max = poll_records_max
        self._ends_every_ms = ends_every_ms
        self._reader = reader
        self._held = registry.held
        self._places = [
            place
            for topic in RECORD_KIND
            if topic != EXPRESSIONS or self._held is None
            for place in clients.partitions(topic, partitions if topic == EXPRESSIONS else 1)
        ]
        self._next: dict[AIOKafkaPartition, int] = {}
        self._changes: list[_Taken | _Dropped] = []
        self._sweep: Iterator[int] = iter(())
        """takes what was dropped out of the wills, a step at each poll"""
        self._loading: dict[AIOKafkaPartition, _Loading] = {}
        self._asked: asyncio.Task[_Ends] | None = None
        self._target: tuple[int, Mapping[AIOKafkaPartition, int]] | None = None
        self._ask_again_ms = 0

    async def start(self, marks: Mapping[str, TopicMark]) -> None:
        """Take up every partition at its mark, or at its beginning where there is none."""
        self._consumer.assign(self._places)
        await until_answered(self._consumer.start)
        if self._watermarks is not None:
            await until_answered(self._watermarks.start)
        if self._reader is not None:
            take_raw(self._consumer)
        beginnings = await until_answered(self._consumer.beginning_offsets, self._places)
        for place in self._places:
            mark = marks.get(place.topic)
            self._next[place] = mark.offsets[place.partition] if mark else beginnings[place]
            self._consumer.seek(place, self._next[place])

    async def stop(self) -> None:
        """Read no more."""
        if self._asked is not None:
            self._asked.cancel()
        if self._watermarks is not None:
            await self._watermarks.stop()
        await self._consumer.stop()

    def take(
        self, partition: int, wills: Wills, next_offset: int | None, *, base: Base | None = None
    ) -> asyncio.Future[None]:
        """Follow a partition of expressions from the next poll on, where the registry holds some only.

        `wills` are those up to `next_offset` (exclusive; None: none, and the topic is read from its beginning), `base`
        may be the same for the native module. The future is done when the partition is loaded, cancelled when it is
        dropped before.
        """
        loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changes.append(_Taken(partition, wills, base, next_offset, loaded))
        return loaded

    def drop(self, partition: int) -> None:
        """Let go of a partition that was taken, before the next poll: its wills, and its part of the topic."""
        self._changes.append(_Dropped(partition))

    @property
    def offsets(self) -> dict[str, tuple[int, ...]]:
        """Topic → per partition the offset up to which (exclusive) records are applied, or `NOT_HELD`."""
        return {
            topic: tuple(
                self._next.get(place, NOT_HELD)
                for place in clients.partitions(topic, self._partitions if topic == EXPRESSIONS else 1)
            )
            for topic in RECORD_KIND
        }

    def staleness_ms(self, now: int) -> int | None:
        """Time since everything that the broker held was applied; None before the first time."""
        return None if self.fresh_ms is None else max(0, now - self.fresh_ms)

    @property
    def held_back(self) -> tuple[str, ...]:
        """Partitions, as `topic-partition`, of which no more can be read until a transaction in them ends."""
        ends = self._target[1] if self._target else {}
        return tuple(
            f"{place.topic}-{place.partition}"
            for place, end in ends.items()
            if self._next[place] < end and self._next[place] == self._consumer.last_stable_offset(place)
        )

    async def catch_up(self, note: Callable[[Applied, int], None]) -> None:
        """Apply everything that is committed now; `note` sees each poll and what is left to read.

        Where a transaction is open, that is not all that the broker holds: it is waited for a little, and then the
        registry has not been fresh yet.
        """
        committed = await until_answered(self._consumer.end_offsets, self._places)
        self._aim(await until_answered(self._ask))
        while left := self._left_to(committed):
            note(await self.poll(wait_ms=500), left)
        ends = await self._ask()
        self._aim(ends)
        self._note_freshness()
        until = time.monotonic() + TRANSACTION_WAIT_S
        while (self.fresh_ms or 0) < ends.asked_ms and time.monotonic() < until:
            note(await self.poll(wait_ms=FRESH_WAIT_MS), self._left())

    async def poll(self, *, wait_ms: int) -> Applied:
        """Apply what has come, waiting up to `wait_ms` for something. The registry changes in one step.

        Raises `TopicsChanged` where what comes can no longer be applied to what is there.
        """
        sweeping = self._take_out_some()
        await self._rearrange()
        self._keep_asking()
        if self._loading or sweeping:
            wait_ms = min(wait_ms, BUSY_WAIT_MS)
        fetched = self._unvouched or await self._fetch(wait_ms)
        applied = Applied()
        if fetched and self._vouch is not None and not await self._vouch({place.topic for place in fetched}):
            self._unvouched = fetched
            await asyncio.sleep(wait_ms / 1000)
            return applied
        self._unvouched = {}
        if fetched:
            self._apply(fetched, applied)
        await self._pass_over_empty_ends()
        self._note_freshness()
        return applied

    async def _pass_over_empty_ends(self) -> None:
        """Where the last offsets hold no record (an aborted transaction, its marker) nothing will come of them."""
        ends = dict(self._target[1]) if self._target else {}
        ends |= {place: loading.end.offset for place, loading in self._loading.items() if loading.end}
        for place, end in ends.items():
            if self._next[place] < end:
                self._next[place] = await self._consumer.position(place)

    def _left(self) -> int:
        """Offsets left to read up to the ends that were asked for."""
        return self._left_to(self._target[1] if self._target else {})

    def _left_to(self, ends: Mapping[AIOKafkaPartition, int]) -> int:
        return sum(max(0, end - self._next[place]) for place, end in ends.items())

    async def _fetch(self, wait_ms: int) -> Mapping[AIOKafkaPartition, Sequence[Piece]]:
        try:
            return await self._fetch_records(wait_ms)
        except OffsetOutOfRangeError as error:
            if self._vouch is None:
                raise
            place, offset = next(iter(error.args[0].items()))
            await self._vouch({place.topic})
            raise TopicsChanged(
                f"{place.topic}-{place.partition} has no offset {offset} any more: records were removed before they "
                "were read; keep retention and DeleteRecords away from registry topics"
            ) from error

    async def _fetch_records(self, wait_ms: int) -> Mapping[AIOKafkaPartition, Sequence[Piece]]:
        if self._reader is not None:
            return await raw_batches(self._consumer, timeout_ms=wait_ms, records_max=self._poll_records_max)
        spare_consumer_records(self._consumer)  # where aiokafka is another than we know, they cost more
        fetched: dict[AIOKafkaPartition, list[Piece]] = await self._consumer.getmany(
            *self._places, timeout_ms=wait_ms, max_records=self._poll_records_max
        )
        return fetched

    def _apply(self, fetched: Mapping[AIOKafkaPartition, Sequence[Piece]], applied: Applied) -> None:
        records: list[FileRecord] = []
        reading = PolledExpressions()
        for place, pieces in fetched.items():
            if place.topic == EXPRESSIONS:
                expression_reader.read(
                    self._reader,
                    place.partition,
                    pieces,
                    reading,
                    partitions=self._partitions,
                    misplaced=Misplaced.APPLY if self._held is None else Misplaced.REJECT,
                )
                continue
            found = expression_reader.records_of(pieces)
            decoded = decode_all(place.topic, place.partition, found)
            records += decoded.records
            applied.bad += decoded.bad
            applied.records[place.topic] += len(found)
        applied.bad += reading.bad
        if reading.records_count:
            applied.records[EXPRESSIONS] += reading.records_count
        if reading.misplaced_count:
            applied.misplaced[EXPRESSIONS] += reading.misplaced_count
        if records or len(reading.columns):
            self.registry.apply(records)
            self.registry.apply_columns(reading.columns)
            self.changes += 1
        for place, pieces in fetched.items():
            self._next[place] = expression_reader.next_offset(pieces)

    def _keep_asking(self) -> None:
        if self._asked is None and self._target is None and now_ms() >= self._ask_again_ms:
            self._asked = asyncio.create_task(self._ask())
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            self._ask_again_ms = now_ms() + self._ends_every_ms
            # A broker that does not answer leaves the registry as stale as it is, and that shows.
            if not asked.cancelled() and asked.exception() is None:
                self._aim(asked.result())

    def _aim(self, ends: _Ends) -> None:
        """Take note of where all ends: what is loading must come that far, and the rest makes for freshness."""
        for place, loading in self._loading.items():
            if place in ends.committed:
                committed = ends.committed[place]
                loading.end = _End(ends.asked_ms, committed, whole=committed >= ends.high[place])
        followed = self._next.keys() - self._loading.keys()
        self._target = ends.asked_ms, {place: end for place, end in ends.high.items() if place in followed}

    def _note_freshness(self) -> None:
        if self._target is not None and self._left() == 0:
            self.fresh_ms = max(self._target[0], self.fresh_ms or 0)
            self._target = None
        for place, loading in list(self._loading.items()):
            if loading.end is not None and self._next[place] >= loading.end.offset:
                del self._loading[place]
                # From now on the registry is only as fresh as this partition is. What was asked before knows nothing of
                # it; and how old that is which stands in an open transaction, nobody knows.
                fresh = self.fresh_ms is not None and loading.end.whole
                self.fresh_ms = min(loading.end.asked_ms, self.fresh_ms or 0) if fresh else None
                self._target = None
                self._ask_again_ms = 0
                if not loading.loaded.done():
                    loading.loaded.set_result(None)

    def _possible(self, held: HeldPartitions) -> list[_Taken | _Dropped]:
        """The changes that can be made now: what is being taken out cannot be taken up again before it is gone."""
        possible: list[_Taken | _Dropped] = []
        waiting: set[int] = set()
        leaving: set[int] = set()
        for change in self._changes:
            partition = change.partition
            gone = partition not in leaving and not held.is_leaving(partition)
            if partition in waiting or (isinstance(change, _Taken) and not gone):
                waiting.add(partition)
                continue
            possible.append(change)
            if isinstance(change, _Dropped):
                leaving.add(partition)
        return possible

    def _take_out_some(self) -> bool:
        """Take out some of what was dropped. False when all of it is gone."""
        if self._held is None:
            return False
        if next(self._sweep, None) is not None:
            return True
        self._sweep = self._held.sweep()
        return next(self._sweep, None) is not None

    async def _rearrange(self) -> None:
        """Let what was asked for by `take` and `drop` come into force: all at once, without an await in between."""
        if self._held is None or not (changes := self._possible(self._held)):
            return
        unknown = [
            AIOKafkaPartition(EXPRESSIONS, change.partition)
            for change in changes
            if isinstance(change, _Taken) and change.next_offset is None
        ]
        try:
            beginnings = await self._consumer.beginning_offsets(unknown) if unknown else {}
        except clients.KafkaError:
            return  # tried again at the next poll; the registry grows stale meanwhile, and that shows
        for change in changes:
            self._changes.remove(change)
            place = AIOKafkaPartition(EXPRESSIONS, change.partition)
            if isinstance(change, _Taken):
                self._held.hold(change.partition, change.wills, change.base)
                self._next[place] = beginnings[place] if change.next_offset is None else change.next_offset
                self._loading[place] = _Loading(change.loaded)
            else:
                self._held.drop(change.partition)
                del self._next[place]
                if (loading := self._loading.pop(place, None)) is not None:
                    loading.loaded.cancel()
        self.changes += 1
        self._places = list(self._next)
        self._consumer.assign(self._places)
        for place, offset in self._next.items():
            self._consumer.seek(place, offset)
        # An answer on its way knows nothing of the new places: ask again.
        if self._asked is not None:
            self._asked.cancel()
        self._asked = self._target = None
        self._unvouched = {}  # it is fetched again
        self._ask_again_ms = 0

    async def _ask(self) -> _Ends:
        asked = now_ms()
        high = await (self._watermarks or self._consumer).end_offsets(self._places)
        loading = list(self._loading)
        return _Ends(asked, high, await self._consumer.end_offsets(loading) if loading else {})
