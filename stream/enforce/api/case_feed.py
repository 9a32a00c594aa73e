"""Keeps the case index up to date with `cases`: read whole once, then followed; what ended long ago is removed.

Promises that an index is only used once it holds everything that stood in the topic when its reading began. A broker
that fails, a hole in the topic, or another topic of its name ends in a new index from the beginning; until that is
complete, requests are answered from the old one.
"""

from typing import Final

import msgspec
from aiokafka.errors import UnknownTopicOrPartitionError

from stream import logs
from stream.clock import WallClock
from stream.config import Config
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.indexed_case import IndexedCase, indexed, is_expired
from stream.enforce.api.recent import RecentActs
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.describe import describe_topics
from stream.kafka.identity import CREATE, ClusterIdentity, TopicsChanged
from stream.kafka.retry import Retry
from stream.model.topics import CASES

log = logs.get(__name__)

POLL_MS: Final = 100
POLL_RECORDS_MAX: Final = 2_000
"""How long a batch may block the loop: at some 20 µs a view, 40 ms."""


class CaseFeed:
    """The follower of `cases`. `index` is None until the first index is complete.

    `kept_ms`: how long a case that has ended is shown. `acts` learns which were taken, as their views come.
    """

    def __init__(self, config: Config, *, clock: WallClock, kept_ms: int, acts: RecentActs) -> None:
        self._config = config
        self._clock = clock
        self._kept_ms = kept_ms
        self._acts = acts
        self._throttle = logs.Throttle()
        self._identity: ClusterIdentity | None = None
        self.index: CaseIndex | None = None

    def not_ready(self) -> str | None:
        """Why requests cannot be answered from `cases` as it is now, or None."""
        if self.index is None:
            return "the cases are being read"
        return self._identity.not_ready() if self._identity is not None else None

    async def run(self) -> None:
        """Read and follow until cancelled."""
        retry = Retry(log, "cases cannot be read; reading them from the beginning again")
        while True:
            consumer = clients.follower(self._config, client="wurao-api")
            before = self.index
            try:
                await self._identified(consumer)
            except TopicsChanged as changed:
                log.warning("topic was recreated; reading it from the beginning", changed=str(changed))
            except (clients.KafkaError, OSError) as error:
                if self.index is not before:
                    retry.begin_anew()  # it had caught up since: a new failure, not the old one
                await retry.after(error)
            finally:
                await close_within(consumer)

    async def _identified(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Follow the topic as long as it is the same one. Raises `TopicsChanged` when it is not, and `KafkaError`."""
        cluster = await describe_topics(self._config, (CASES,))
        if CASES not in cluster.topics:
            raise UnknownTopicOrPartitionError(f"{CASES}: {CREATE}")
        self._identity = ClusterIdentity(self._config, cluster, lasting=(CASES,))
        try:
            await self._identity.guard(self._follow(consumer))
        finally:
            await self._identity.stop()

    async def _follow(self, consumer: clients.AIOKafkaConsumer) -> None:
        partitions = clients.partitions(CASES, self._config.topics.partitions)
        consumer.assign(partitions)
        await consumer.start()
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        last: dict[bytes, bytes] = {}
        while not await _reached(consumer, ends):
            ended_by = self._clock.now() - self._kept_ms
            for records in (await consumer.getmany(*partitions, timeout_ms=POLL_MS)).values():
                for record in records:
                    if _is_kept(record, ended_by):
                        last[record.key] = record.value
                    else:
                        last.pop(record.key, None)
        index = CaseIndex(kept_ms=self._kept_ms)
        index.load(row for value in last.values() if (row := self._row(value)))
        last.clear()
        self.index = index
        log.info("cases read", cases_count=len(index))
        while True:
            fetched = await consumer.getmany(*partitions, timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
            for records in fetched.values():
                for record in records:
                    self._apply(index, record)
            index.remove_expired(self._clock.now())

    def _apply(self, index: CaseIndex, record: clients.ConsumerRecord) -> None:
        if record.value is None:
            index.drop((record.key or b"").decode("utf-8", "replace"))
        elif row := self._row(record.value):
            index.put(row)
            self._acts.taken(row.key[1], row.taken)

    def _row(self, value: bytes) -> IndexedCase | None:
        try:
            return indexed(value)
        except (msgspec.MsgspecError, KeyError) as error:
            held_back = self._throttle.now()
            if held_back is not None:
                log.warning("a record of `cases` cannot be decoded", error=type(error).__name__, more_count=held_back)
            return None


def _is_kept(record: clients.ConsumerRecord, ended_by: int) -> bool:
    """Whether a view is kept while the rest is read: one that cannot be decoded is, so that it is logged."""
    try:
        return record.value is not None and not is_expired(record.value, by=ended_by)
    except msgspec.MsgspecError:
        return True


async def _reached(consumer: clients.AIOKafkaConsumer, ends: dict[clients.AIOKafkaPartition, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True
