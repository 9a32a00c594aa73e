"""Reads decisions, each with its event, its epoch and the registry state that it was made from.

Independent of the filter: it reads the registry topics, the epochs, the events and the decisions itself. It shares no
snapshot, no memory and no process with a worker.

Life. Decisions come by a consumer group, so instances share the partitions; each reads the registry whole. `take`
fetches a batch, reads the registry and the epochs on to their end offsets, finds the events, and sees that the topics
are still those it began with; the caller processes the batch; then `done` commits. So after a crash some decisions come
twice and none is skipped. Without a group it reads what is there from the beginning, and is then `finished`.

A topic that was recreated ends it (`TopicsChanged`): what it holds is of another topic's offsets. While one is missing
it waits, and says so. `successive_readers` makes the next one.

Must never write to a topic, and never give out what was read of two topics of one name.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError

from stream import logs
from stream.audit.backlog import MARGIN_MS, Backlog
from stream.audit.event_reader import EventReader
from stream.audit.histories import SKEW_MS, Histories
from stream.audit.registry_reader import RegistryReader
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.describe import ClusterDescription
from stream.kafka.group import RebalanceListener, commit_owned, committed
from stream.kafka.identity import ClusterIdentity
from stream.kafka.offsets import Offsets
from stream.kafka.reach import until_answered
from stream.model.codec import Undecodable, decode_decision
from stream.model.decision import Decision, Epoch
from stream.model.events import Event
from stream.model.topics import DECISIONS, EPOCHS, EVENT_KINDS, RECORD_KIND, TopicPartition

log = logs.get(__name__)

FETCH_WAIT_MS: Final = 200
EPOCH_WAIT_S: Final = 5.0
"""An epoch is sent together with the first decisions of it, and acknowledged a little later than some."""
EPOCH_PAUSE_S: Final = 0.1
ABSENT_MAX: Final = 10_000
"""Epochs known not to come, so that forged decisions do not wait for each; beyond, all are waited for again."""

SETTLE_EVERY_S: Final = 5.0
READ_AGAIN_KEPT: Final = 10
"""What was read again is kept for so many times as long as reading it took."""

READ: Final = (*RECORD_KIND, *EVENT_KINDS, EPOCHS, DECISIONS)
"""The topics that are read: none may be deleted and recreated while they are, or its old offsets would be used."""

PORTION: Final = 50
"""Decisions that block the loop at a time: some 5 ms, so that heartbeats and `/metrics` do not wait."""


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A decision where it stands, with its event and epoch where they can be had."""

    partition: int
    offset: int
    key: bytes | None
    decision: Decision
    event: Event | None
    epoch: Epoch | None


class DecisionReader:
    """One reader of decisions. Create it on its loop; `start`, then `take` and `done` in turn, then `stop`.

    While no broker answers, each of them waits until one does, and may be cancelled.
    """

    def __init__(self, config: Config, cluster: ClusterDescription, *, client: str, group: str | None) -> None:
        self.undecodable_count = 0
        """decisions skipped in the last `take`"""
        self.lost_count = 0
        """offsets of decisions that the last `take` passed over, since they were deleted before"""
        self.histories: Final = Histories(
            config.topics.partitions,
            cluster=cluster.id,
            topics={name: cluster.topics[name].id for name in RECORD_KIND},
        )
        read = {name: cluster.topics[name] for name in READ}
        self._identity = ClusterIdentity(config, replace(cluster, topics=read), lasting=READ)
        self._config = config
        self._client = client
        self._once = group is None
        self._compaction_lag_ms = min(
            int(cluster.topics[topic].settings.get("min.compaction.lag.ms", "0")) for topic in RECORD_KIND
        )
        self._consumer = (
            clients.follower(config, client=client)
            if group is None
            else clients.group_consumer(config, group=group, client=client, instance=None, offset_reset="none")
        )
        self._offsets = Offsets(
            self._consumer, member=self._consumer, marks=self._identity.marks, lost=self._note_lost, of="decisions"
        )
        self._listener = RebalanceListener(revoked=_nothing, assigned=self._begin_partitions)
        self._partitions = clients.partitions(DECISIONS, config.topics.partitions)
        self._events = EventReader(config)
        self._registry_reader = RegistryReader(config, self.histories)
        self._ends: Mapping[AIOKafkaPartition, int] = {}
        self._assigned_events: dict[int, int] = {}
        self._in_flight: list[tuple[int, Decision]] = []
        """(partition, decision) of the last `take`"""
        self._taken: dict[AIOKafkaPartition, int] = {}
        self._backlog = Backlog()
        self._absent: set[str] = set()
        self._records_left: int | None = None
        self._settle_at = 0.0
        self._throttle = logs.Throttle()

    @property
    def events_kept_count(self) -> int:
        """Events in memory."""
        return self._events.kept_count

    def not_ready(self) -> str | None:
        """Why no decisions are read now, or None."""
        if (wrong := self._identity.not_ready()) is not None:
            return wrong
        if self._records_left is None:
            return "starting: nothing of the registry is read yet"
        return f"reading the registry: at most {self._records_left} records to go" if self._records_left else None

    async def guard(self, work: Coroutine[object, object, None]) -> None:
        """Do this work with the reader, and watch what is under it meanwhile.

        Raises what the work raises, and `TopicsChanged` where a topic was deleted and recreated;
        `OffsetOutOfRangeError` where records of the registry were deleted before they were read.
        """
        try:
            await self._identity.guard(self._listener.guard(work))
        except OffsetOutOfRangeError:
            await self._identity.see_same()  # mostly a topic that was recreated, which says more
            raise

    async def start(self) -> None:
        """Find the oldest decision that waits, and read the registry. Waits for a broker."""
        if self._once:
            self._consumer.assign(self._partitions)
        else:
            self._consumer.subscribe([DECISIONS], listener=self._listener)
        for client in (self._consumer, self._events, self._registry_reader):
            await until_answered(client.start)
        await self._read_from_the_beginning(await until_answered(self._first_moment))
        log.info("registry loaded; judging decisions", client=self._client)

    async def finished(self) -> bool:
        """Without a group: whether the end offsets of the start are reached."""
        return self._once and all(
            [await self._consumer.position(partition) >= end for partition, end in self._ends.items()]
        )

    async def take(self) -> list[RecordedDecision]:
        """The next batch of decisions; empty where none come within `FETCH_WAIT_MS`. Waits for a broker.

        Raises `TopicsChanged` where a topic was deleted and recreated.
        """
        fetched = await self._fetch()
        decisions = self._decode(fetched)
        self._backlog.assign(partition.partition for partition in self._consumer.assignment())
        await self._read_on()
        if decisions:
            await self._see_past(decisions)
            await self._wait_for_epochs({decision.epoch for _, decision in decisions})
            await self._see_past(decisions)  # by epochs that came meanwhile
            await self._find_events(decisions)
            await self._identity.see_same()  # so all that was read until here is of these topics
        self._in_flight = [(record.partition, decision) for record, decision in decisions]
        for partition, records in fetched.items():
            self._backlog.took(partition.partition, records[-1].timestamp)
            self._taken[partition] = records[-1].offset + 1
        return [
            RecordedDecision(
                record.partition,
                record.offset,
                record.key,
                decision,
                self._events.of(record.partition, decision),
                self.histories.epoch(decision.epoch),
            )
            for record, decision in decisions
        ]

    async def portions(self, some: Sequence[RecordedDecision]) -> AsyncIterator[Sequence[RecordedDecision]]:
        """A batch in portions: between two of them the loop runs its other tasks."""
        for first in range(0, len(some), PORTION):
            yield some[first : first + PORTION]
            await asyncio.sleep(0)

    async def done(self) -> float:
        """The batch is processed: commit its offsets, and drop the past that no waiting decision needs.

        Returns the lag: the age in seconds of the oldest decision that waits behind those taken, 0 where none does.
        """
        if self._taken and not self._once:
            offsets = {TopicPartition(*place): offset for place, offset in self._taken.items()}
            await until_answered(lambda: commit_owned(self._consumer, self._offsets.named(offsets)))
        self._taken.clear()
        self._events.release(self._in_flight)
        self._in_flight.clear()
        await self._update_backlog()
        now = now_ms()
        if time.monotonic() >= self._settle_at:
            self._settle_at = time.monotonic() + SETTLE_EVERY_S
            # Without a group everything is kept from the first on, and nothing is gained by dropping it.
            if not self._once and (horizon_ms := self._backlog.horizon_ms(now)) is not None:
                self.histories.settle(horizon_ms)
        return self._backlog.lag_ms(now) / 1000

    async def stop(self) -> None:
        """Close the clients, within a bound."""
        await close_within(self._consumer, self._events, self._registry_reader, self._identity)

    async def _see_past(self, decisions: Sequence[tuple[clients.ConsumerRecord, Decision]]) -> None:
        """Have the past that these are verified by: where some of it was dropped, read the registry again.

        So what is found of a decision does not depend on when it came, or on what was fetched before it.
        """
        while (oldest_ms := self._dropped_ms(decisions)) is not None:
            log.info("decisions are older than what is kept: reading the registry again", oldest_ms=oldest_ms)
            began = time.monotonic()
            # Twice as far back, and kept for ten times as long as it takes: whoever writes decisions of ever older
            # moments costs a handful of readings, and whoever does so for ever a tenth of our time.
            await self._read_from_the_beginning(oldest_ms - (now_ms() - oldest_ms))
            self._settle_at = time.monotonic() + max(SETTLE_EVERY_S, READ_AGAIN_KEPT * (time.monotonic() - began))

    def _dropped_ms(self, decisions: Sequence[tuple[clients.ConsumerRecord, Decision]]) -> int | None:
        """The earliest moment (ms) of the past that was dropped, is asked about, and can be read again; or None."""
        # What was compacted since no reading brings back; and it would cost what is still kept from before then.
        exact_since_ms = now_ms() - self._compaction_lag_ms
        dropped = [moment for _, one in decisions if (moment := self.histories.dropped_ms(one)) is not None]
        return min((moment for moment in dropped if moment - SKEW_MS >= exact_since_ms), default=None)

    async def _begin_partitions(self, assigned: set[AIOKafkaPartition]) -> None:
        await until_answered(lambda: self._offsets.begin([TopicPartition(*place) for place in assigned]))

    async def _fetch(self) -> Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]]:
        self.lost_count = 0
        try:
            fetched: Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]] = await self._consumer.getmany(
                timeout_ms=FETCH_WAIT_MS, max_records=self._config.audit.batch_records_max
            )
        except OffsetOutOfRangeError as error:
            await self._identity.see_same()
            await until_answered(self._offsets.pass_over, error)
            return {}
        return fetched

    def _note_lost(self, _: str, count: int) -> None:
        self.lost_count += count

    async def _read_from_the_beginning(self, first_ms: int) -> None:
        """Read the registry for decisions from this moment (ms) on."""
        # Before this, compaction may have removed records; later ones are all there.
        exact_since_ms = now_ms() - self._compaction_lag_ms
        horizon_ms = max(exact_since_ms, first_ms - MARGIN_MS)
        self._records_left = None
        await until_answered(lambda: self._registry_reader.begin(exact_since_ms=exact_since_ms, horizon_ms=horizon_ms))
        await self._read_on()

    async def _read_on(self) -> None:
        await until_answered(lambda: self._registry_reader.read_on(self._note_records_left))

    async def _first_moment(self) -> int:
        """The timestamp of the oldest decision that the group has not committed; now, if there is none."""
        now = now_ms()
        starts = dict(await self._consumer.beginning_offsets(self._partitions))
        ends = await self._consumer.end_offsets(self._partitions)
        if self._once:
            self._ends = ends
            for partition in self._partitions:
                self._consumer.seek(partition, starts[partition])
        else:
            known = await committed(self._consumer, self._partitions, self._identity.marks)
            starts = {place: max(start, known.get(place, 0)) for place, start in starts.items()}
        waiting = {partition for partition in self._partitions if starts[partition] < ends[partition]}
        if not waiting:  # a consumer that has nothing to read does not stop well
            return now
        moments = [now]
        peek = clients.follower(self._config, client=f"{self._client}-peek")
        peek.assign(list(waiting))
        try:
            await peek.start()
            for partition in waiting:
                peek.seek(partition, starts[partition])
            while waiting:
                fetched = await peek.getmany(*waiting, timeout_ms=FETCH_WAIT_MS, max_records=1)
                moments += [records[0].timestamp for records in fetched.values()]
                waiting -= fetched.keys()
                waiting = {partition for partition in waiting if await peek.position(partition) < ends[partition]}
        finally:
            await close_within(peek)
        return min(moments)

    async def _update_backlog(self) -> None:
        for partition in self._consumer.assignment():
            try:
                end = self._consumer.highwater(partition)
                # Not the last record's offset: what is left may be a transaction's marker, which is no record.
                if end is not None and await self._consumer.position(partition) >= end:
                    self._backlog.drained(partition.partition, self._consumer.last_poll_timestamp(partition) or 0)
            except (IllegalStateError, AssertionError):
                continue  # it was revoked meanwhile

    def _decode(
        self, fetched: Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]]
    ) -> list[tuple[clients.ConsumerRecord, Decision]]:
        self.undecodable_count = 0
        decisions: list[tuple[clients.ConsumerRecord, Decision]] = []
        for records in fetched.values():
            for record in records:
                try:
                    decisions.append((record, decode_decision(record.value or b"")))
                except Undecodable:
                    self.undecodable_count += 1
        return decisions

    async def _wait_for_epochs(self, names: set[str]) -> None:
        deadline = time.monotonic() + EPOCH_WAIT_S
        while missing := {name for name in names - self._absent if self.histories.epoch(name) is None}:
            if time.monotonic() >= deadline:
                if len(self._absent) > ABSENT_MAX:
                    self._absent.clear()
                self._absent |= missing
                return
            await asyncio.sleep(EPOCH_PAUSE_S)
            await self._read_on()

    async def _find_events(self, decisions: Sequence[tuple[clients.ConsumerRecord, Decision]]) -> None:
        placed = [(record.partition, decision) for record, decision in decisions]
        new: dict[int, int] = {}
        for partition, decision in placed:
            if partition not in self._assigned_events:
                moment = min(decision.time, decision.decided)
                new[partition] = min(new.get(partition, moment), moment)
        if new:
            mine = {partition.partition for partition in self._consumer.assignment()} | new.keys()
            assigned = {one: since for one, since in (self._assigned_events | new).items() if one in mine}
            await until_answered(lambda: self._events.assign(assigned))
            self._assigned_events = assigned
        await until_answered(lambda: self._events.find(placed))

    def _note_records_left(self, records_left: int) -> None:
        self._records_left = records_left
        if records_left and (held_back := self._throttle.now()) is not None:
            log.info("reading the registry", records_left=records_left, held_back=held_back)


async def _nothing(_: set[AIOKafkaPartition]) -> None:
    """What is to be done when partitions go: a batch in hand is judged none the less, and not committed."""
