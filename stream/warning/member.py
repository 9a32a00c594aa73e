"""A member of a consumer group on one topic: takes batches, and commits once they are dealt with.

So a crash loses nothing, and has some taken again. A partition that the group has never committed begins where its
records are `since_ms` old; one of a topic that was recreated at its beginning. Records that were deleted before they
were taken are passed over, counted and logged.

A member that `reads_back` begins there in every partition that it is assigned: its taker has the records up to the
committed offset once more, to know what they left behind. What is read back is not committed.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from aiokafka.errors import OffsetOutOfRangeError

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients, seams
from stream.kafka.brokers import Brokers
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition
from stream.kafka.closing import close_within, work_until
from stream.kafka.describe import ClusterDescription
from stream.kafka.group import RebalanceListener, commit_owned, committed, stay_member
from stream.kafka.identity import ClusterIdentity
from stream.kafka.offsets import Offsets
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import RawBatch, raw_batches, take_raw

log = logs.get(__name__)

FETCH_WAIT_MS: Final = 200

Taken = RawBatch | FetchedRecord


class Taker(Protocol):
    """What an instance does with its partitions of a topic: a `TopicMember` calls it, one call at a time."""

    def begin(self, partitions: Mapping[int, range]) -> None:
        """These partitions are ours from now on, and no others; each with the offsets that are read back, if any."""

    async def take(self, fetched: Mapping[int, Sequence[Taken]]) -> None:
        """Deal with what a fetch brought, by partition, if only nothing; returns once nothing of it can be lost.

        Raises `KafkaError`.
        """

    async def end(self) -> None:
        """Deal with what is left: called before the partitions go, and at the end. Returns, and raises, as `take`."""


class TopicMember:
    """One member. `run` returns once `stopping` is set and all that was taken is committed."""

    def __init__(
        self,
        config: Config,
        topic: str,
        *,
        group: str,
        client: str,
        brokers: Brokers,
        stopping: asyncio.Event,
        since_ms: int,
        taker: Taker,
        lost: Callable[[int], None] | None,
        records_max: int,
        reads_back: bool = False,
        raw: bool = False,
    ) -> None:
        """`lost` is called with how many offsets were passed over; with None these are neither counted nor logged.
        `raw`: whole record batches are taken, where the client can give them.
        """
        self._config = config
        self._topic = topic
        self._group, self._client = group, client
        self._brokers = brokers
        self._stopping = stopping
        self._since_ms = since_ms
        self._taker, self._lost = taker, lost
        self._records_max = records_max
        self._reads_back = reads_back
        self._raw = raw and seams.misfit() is None
        self._lock = asyncio.Lock()
        """held while a batch is dealt with: a rebalance waits for it"""
        self._assignment = object()
        """a new one after every rebalance: what was fetched before it may not be ours any more"""
        self._read_back: dict[int, range] = {}
        self._next: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._commit_at = 0.0
        self._member = asyncio.Event()
        """set while the group has assigned partitions, if only none"""
        self._identity: ClusterIdentity | None = None

    def not_ready(self) -> str | None:
        """Why nothing is taken now, or None."""
        if self._identity is not None and (wrong := self._identity.not_ready()) is not None:
            return wrong
        return None if self._member.is_set() else f"{self._topic}: a rebalance is under way"

    async def run(self, cluster: ClusterDescription) -> None:
        """Take until told to stop; while the broker fails, wait and start again."""
        known = replace(cluster, topics={self._topic: cluster.topics[self._topic]})
        identity = self._identity = ClusterIdentity(self._config, known, lasting=(self._topic,))
        try:
            await stay_member(
                partial(self._be_member, identity),
                until=self._stopping,
                renew=identity.renew,
                serving=self._member,
                log=log.bind(topic=self._topic),
            )
        finally:
            await identity.stop()

    def _count_lost(self, _: str, count: int) -> None:
        if self._lost is not None:
            self._lost(count)

    async def _be_member(self, identity: ClusterIdentity) -> None:
        consumer = clients.group_consumer(
            self._config,
            group=self._group,
            client=self._client,
            instance=None,
            offset_reset="earliest" if self._lost is None else "none",
        )
        offsets = Offsets(consumer, member=consumer, marks=identity.marks, lost=self._count_lost, of=self._topic)
        listener = RebalanceListener(
            revoked=partial(self._revoked, consumer, identity), assigned=partial(self._assigned, consumer, identity)
        )
        try:
            consumer.subscribe([self._topic], listener=listener)
            await work_until(self._stopping, listener.guard(identity.guard(self._work(consumer, identity, offsets))))
        finally:
            try:
                await self._commit(consumer, identity)
            finally:
                self._next.clear()
                await close_within(consumer)

    async def _work(self, consumer: AIOKafkaConsumer, identity: ClusterIdentity, offsets: Offsets) -> None:
        await consumer.start()
        if self._raw:
            take_raw(consumer)
        while not self._stopping.is_set():
            # Without the lock: a fetch waits for a rebalance, which waits for our listener, which waits for the lock.
            assignment = self._assignment
            try:
                fetched = await self._fetch(consumer)
            except OffsetOutOfRangeError as error:
                await identity.see_same()  # mostly a topic that was recreated, which says more
                await offsets.pass_over(error)
                continue
            async with self._lock:
                if assignment is self._assignment:
                    await self._deal_with(consumer, identity, fetched)
                else:
                    self._discard(consumer, fetched)
            await asyncio.sleep(0)  # a listener that waits for the lock has its turn
        async with self._lock:
            await self._taker.end()

    async def _fetch(self, consumer: AIOKafkaConsumer) -> Mapping[AIOKafkaPartition, Sequence[Taken]]:
        most = self._records_max
        if self._raw:
            return await raw_batches(consumer, timeout_ms=FETCH_WAIT_MS, records_max=most)
        fetched: Mapping[AIOKafkaPartition, Sequence[Taken]] = await consumer.getmany(
            timeout_ms=FETCH_WAIT_MS, max_records=most
        )
        return fetched

    async def _deal_with(
        self,
        consumer: AIOKafkaConsumer,
        identity: ClusterIdentity,
        fetched: Mapping[AIOKafkaPartition, Sequence[Taken]],
    ) -> None:
        await self._taker.take({place.partition: pieces for place, pieces in fetched.items()})
        for place, pieces in fetched.items():
            self._next[place.partition] = next_offset(pieces[-1])
        moment = time.monotonic()
        if moment >= self._commit_at:
            self._commit_at = moment + self._config.watch.commit_every_ms / 1000
            await self._commit(consumer, identity)

    def _discard(self, consumer: AIOKafkaConsumer, fetched: Mapping[AIOKafkaPartition, Sequence[Taken]]) -> None:
        """Discard what was fetched before a rebalance; what is still ours is fetched again."""
        assigned = consumer.assignment()
        for place in fetched:
            if place in assigned and place.partition in self._next:
                consumer.seek(place, self._next[place.partition])

    async def _revoked(
        self, consumer: AIOKafkaConsumer, identity: ClusterIdentity, _: Collection[AIOKafkaPartition]
    ) -> None:
        async with self._lock:
            if self._next:
                await self._taker.end()
            await self._commit(consumer, identity)
            self._assignment = object()
            self._next.clear()
            self._member.clear()

    async def _assigned(
        self, consumer: AIOKafkaConsumer, identity: ClusterIdentity, assigned: set[AIOKafkaPartition]
    ) -> None:
        async with self._lock:
            self._assignment = object()
            known = await committed(consumer, assigned, identity.marks) if assigned else {}
            starts = await self._starts(consumer, assigned if self._reads_back else assigned - known.keys())
            self._committed = {place.partition: offset for place, offset in known.items()}
            self._read_back = {
                place.partition: range(min(offset, starts.get(place, offset)), offset)
                for place, offset in (starts | known).items()
            }
            self._next = {one: offsets.start for one, offsets in self._read_back.items()}
            for place in assigned:
                consumer.seek(place, self._next[place.partition])
            self._taker.begin(self._read_back)
            self._member.set()

    async def _starts(
        self, consumer: AIOKafkaConsumer, places: Collection[AIOKafkaPartition]
    ) -> dict[AIOKafkaPartition, int]:
        """Where the records of each are `since_ms` old."""
        if not places:
            return {}
        # The ends first: what a partition's first writer writes between the two questions then lies behind its end.
        ends = await consumer.end_offsets(list(places))
        begins = await consumer.offsets_for_times(dict.fromkeys(places, now_ms() - self._since_ms))
        return {one: begins[one].offset if begins.get(one) else ends[one] for one in places}

    async def _commit(self, consumer: AIOKafkaConsumer, identity: ClusterIdentity) -> None:
        """Commit what is dealt with, within a bound; not while no broker answers."""
        done = {
            one: offset
            for one, offset in self._next.items()
            if offset != self._committed.get(one) and offset not in self._read_back[one]
        }
        if done and self._brokers.not_ready() is None:
            mark = identity.marks[self._topic]
            offsets = {AIOKafkaPartition(self._topic, one): (offset, mark) for one, offset in done.items()}
            for place in await commit_owned(consumer, offsets, within_s=clients.GOODBYE_S_MAX):
                self._committed[place.partition] = done[place.partition]


def next_offset(taken: Taken) -> int:
    """The offset behind what was taken."""
    return taken.next_offset if isinstance(taken, RawBatch) else taken.offset + 1


def records_of(taken: Taken) -> Sequence[FetchedRecord]:
    """The records of what was taken."""
    return taken.records() if isinstance(taken, RawBatch) else (taken,)
