"""`wurao watch`: consumes `activity`, applies the rules, and writes findings to `case-events` (Article 21).

Beside that, each in a group of its own: what the filter blocked as prohibited content opens its case (`blocked`), and
what holds name is copied before its topic forgets it (`holding`).

A loop in the filter's style: a batch at a time, no await between its records. It is not part of `wurao enforce`, whose
cases are few and whose rate is Faust's; it only sends findings to it, under the key of their party.

Life. A party's activity stands in one partition, and so at one instance. When a partition is assigned, the activity of
the last `watch.readback_ms` is read again to restore its parties; findings are written from the committed offset on.
Offsets are committed once the findings of the records before them are acknowledged. So a crash loses no finding, and
may raise one again, under the same id: it is counted once.

What is older than the read-back has faded to less than a thousandth by the policy's defaults, but for the usual rate,
which is then an average of the read-back alone. Where `activity` was recreated every party starts from nothing: its
records are all that parties are made of. A finding whose figure stood within that thousandth of its limit may
so come under another id after a restart; it then joins the case of the first.

Must never log who a party is: it may be a number.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import msgspec
from aiokafka import TopicPartition as AIOKafkaPartition

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients
from stream.kafka.brokers import Brokers
from stream.kafka.closing import close_within, work_until
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.describe import ClusterDescription
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.group import RebalanceListener, commit_owned, committed, stay_member
from stream.kafka.identity import ClusterIdentity
from stream.kafka.reach import reach
from stream.kafka.retry import Retry
from stream.kafka.rights import WATCH
from stream.metrics import WatchMetrics
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding, case_event_out
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Activity, Finding, Party, party_key
from stream.model.dead_letters import DeadLetter
from stream.model.fields import Channel
from stream.model.limits import NAME as NAME_LIMIT
from stream.model.topics import ACTIVITY, DECISIONS, HOLDS, TopicPartition
from stream.policy.settings import Policy
from stream.warning.blocked import RECORDS_MAX, BlockedContentFinder
from stream.warning.holding import HoldCopier
from stream.warning.member import TopicMember
from stream.warning.rules.parts import PartyTracker
from stream.warning.rules.senders import forgettable

log = logs.get(__name__)

NAME: Final = "wurao-watch"
ACTOR: Final = "early-warning"
FETCH_WAIT_MS: Final = 200
EXPIRE_EVERY_S: Final = 3_600.0

_decoder = msgspec.json.Decoder(Activity)


@dataclass(slots=True)
class _AssignedPartition:
    """An assigned partition: its parties, and its offsets (each the next after what it speaks of)."""

    live_from: int
    """findings are raised from here on"""
    next: int
    """the next to read"""
    acknowledged: int
    """findings of the records before this are acknowledged"""
    committed: int
    parties: dict[tuple[Party, Channel], PartyTracker] = field(default_factory=dict)


class Watcher:
    """One instance. Create it on its loop; `run` returns once `stop` was called and all is committed."""

    def __init__(self, config: Config, policy: Policy) -> None:
        self.metrics = WatchMetrics()
        self._config = config
        self._settings = policy.file.warning
        self._producer = DurableProducer(config, client=NAME)
        self._letters = DeadLetterWriter(config, client=NAME)
        self._brokers = Brokers(config, client=NAME)
        self._identity: ClusterIdentity | None = None
        """None until a broker has answered"""
        self._cluster: ClusterDescription | None = None
        self._assigned: dict[int, _AssignedPartition] = {}
        self._lock = asyncio.Lock()
        """held while a batch is judged and committed: a rebalance waits for it"""
        self._stopping = asyncio.Event()
        self._member = False
        """whether the group has assigned partitions, if only none"""
        self._throttle = logs.Throttle()
        self._assignment = object()
        """a new one after every rebalance: what was fetched before it may not be ours any more"""
        self._commit_at = self._expire_at = 0.0
        finder = BlockedContentFinder(config, policy, producer=self._producer, metrics=self.metrics, client=NAME)
        copier = HoldCopier(config, producer=self._producer, metrics=self.metrics, client=NAME)
        self._beside = (
            TopicMember(
                config,
                DECISIONS,
                group=f"{config.watch.group}.decisions",
                client=NAME,
                brokers=self._brokers,
                stopping=self._stopping,
                since_ms=config.watch.readback_ms,
                take=finder.take,
                end=finder.end,
                begin=finder.begin,
                lost=self.metrics.lost.labels(DECISIONS).inc,
                records_max=RECORDS_MAX,
                raw=True,
            ),
            TopicMember(
                config,
                HOLDS,
                group=f"{config.watch.group}.holds",
                client=NAME,
                brokers=self._brokers,
                stopping=self._stopping,
                since_ms=config.topics.retention_ms,
                take=copier.take,
                end=copier.end,
                begin=copier.begin,
                lost=self.metrics.lost.labels(HOLDS).inc,
                records_max=1,
            ),
        )
        self.metrics.ready.set_function(lambda: self.not_ready() is None)

    def stop(self) -> None:
        """Ask it to finish the batch in flight and end."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Why no findings are raised now, or None. An instance without partitions is ready to take some."""
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if self._identity is None:
            return "no broker has answered yet"
        if (wrong := self._identity.not_ready()) is not None:
            return wrong
        if not self._member:
            return "a rebalance is under way"
        for one in self._beside:
            if (why := one.not_ready()) is not None:
                return why
        left = sum(max(0, state.live_from - state.next) for state in self._assigned.values())
        return f"reading back the activity of senders: at most {left} records to go" if left else None

    async def run(self) -> None:
        """Judge until `stop`; while the broker fails, wait and start again.

        Raises `CannotStart` for what needs an operator.
        """
        try:
            async with self._brokers:
                await work_until(self._stopping, self._reach(), within_s=0)
                await self._keep_working()
        finally:
            await self._producer.close()
            await self._letters.stop()
            if self._identity is not None:
                await self._identity.stop()

    async def _reach(self) -> None:
        self._cluster = await reach(self._config, WATCH.topics)
        known = replace(self._cluster, topics={ACTIVITY: self._cluster.topics[ACTIVITY]})
        self._identity = ClusterIdentity(self._config, known, lasting=(ACTIVITY,))

    async def _keep_working(self) -> None:
        identity, cluster = self._identity, self._cluster
        if identity is None or cluster is None:
            return  # asked to end before a broker answered
        working = [asyncio.ensure_future(one.run(cluster)) for one in self._beside]
        working.append(asyncio.ensure_future(self._keep_judging(identity)))
        try:
            await asyncio.gather(*working)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _keep_judging(self, identity: ClusterIdentity) -> None:
        await stay_member(
            partial(self._be_member, identity),
            until=self._stopping,
            renew=identity.renew,
            is_serving=lambda: self._member,
            lapse=self._lapse,
            retry=Retry(log, "the broker fails; starting again"),
        )

    def _lapse(self) -> None:
        self._member = False

    async def _be_member(self, identity: ClusterIdentity) -> None:
        """Be a member of the group until `stop`; at the end commit what is judged, within a bound."""
        config = self._config
        consumer = clients.group_consumer(config, group=config.watch.group, client=NAME, instance=None)
        listener = RebalanceListener(
            revoked=partial(self._partitions_revoked, consumer), assigned=partial(self._partitions_assigned, consumer)
        )
        try:
            consumer.subscribe([ACTIVITY], listener=listener)
            await work_until(self._stopping, listener.guard(identity.guard(self._judge_all(consumer))))
        finally:
            try:
                await self._commit(consumer)
            finally:
                self._assigned.clear()
                await close_within(consumer)

    async def _judge_all(self, consumer: clients.AIOKafkaConsumer) -> None:
        await consumer.start()
        while not self._stopping.is_set():
            # Without the lock: during a rebalance aiokafka makes a fetch wait for it, the rebalance waits for our
            # listener, and the listener for the lock.
            assignment = self._assignment
            fetched = await consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=self._config.watch.batch_records_max)
            async with self._lock:
                if assignment is self._assignment:
                    await self._batch(consumer, fetched)
                else:
                    self._discard(consumer, fetched)
            await asyncio.sleep(0)  # a listener that waits for the lock has its turn

    async def _partitions_revoked(
        self, consumer: clients.AIOKafkaConsumer, revoked: Collection[AIOKafkaPartition]
    ) -> None:
        """Before a rebalance: commit what is acknowledged, and drop the partitions' parties."""
        async with self._lock:
            await self._commit(consumer)
            self._assignment = object()
            self._assigned.clear()
            self._member = False
        if revoked:
            log.info("partitions revoked", partitions_count=len(revoked))

    async def _partitions_assigned(
        self, consumer: clients.AIOKafkaConsumer, assigned: Collection[AIOKafkaPartition]
    ) -> None:
        """After a rebalance: begin far enough back to restore the parties."""
        async with self._lock:
            self._assignment = object()
            self._assigned = await self._begin(consumer, assigned)
            self._member = True
        log.info("partitions assigned", partitions_count=len(assigned), reading_back=self.not_ready())

    async def _begin(
        self, consumer: clients.AIOKafkaConsumer, assigned: Collection[AIOKafkaPartition]
    ) -> dict[int, _AssignedPartition]:
        """The state of these partitions; seeks the consumer to where their read-back begins."""
        states: dict[int, _AssignedPartition] = {}
        if not assigned:
            return states
        assert self._identity is not None, "a broker was reached"
        known = await committed(consumer, assigned, self._identity.marks)
        since = now_ms() - self._config.watch.readback_ms
        # The ends first: what a partition's first writer writes between the two questions then lies behind its end.
        ends = await consumer.end_offsets(list(assigned))
        begins = await consumer.offsets_for_times(dict.fromkeys(assigned, since))
        for partition in assigned:
            begin: int = begins[partition].offset if begins.get(partition) else ends[partition]
            live_from = known.get(partition, begin)
            first = min(begin, live_from)
            consumer.seek(partition, first)
            states[partition.partition] = _AssignedPartition(
                live_from=live_from, next=first, acknowledged=first, committed=live_from
            )
        return states

    def _discard(self, consumer: clients.AIOKafkaConsumer, fetched: Collection[AIOKafkaPartition]) -> None:
        """Discard what was fetched before a rebalance; what is still ours is fetched again."""
        assigned = consumer.assignment()
        for partition in fetched:
            state = self._assigned.get(partition.partition)
            if state is not None and partition in assigned:
                consumer.seek(partition, state.next)

    async def _batch(
        self, consumer: clients.AIOKafkaConsumer, fetched: Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]]
    ) -> None:
        """Judge a batch, raise its findings, commit when it is time. Waits for a broker."""
        findings: list[Finding] = []
        letters: list[DeadLetter] = []
        for partition, records in fetched.items():
            findings += self._judge(self._assigned[partition.partition], records, letters)
        await self._letters.write(letters)
        await self._raise(findings)
        for partition in fetched:
            state = self._assigned[partition.partition]
            state.acknowledged = state.next
        moment = time.monotonic()
        if moment >= self._commit_at:
            self._commit_at = moment + self._config.watch.commit_every_ms / 1000
            await self._commit(consumer)
            self._count()
        if moment >= self._expire_at:
            self._expire_at = moment + EXPIRE_EVERY_S
            self._expire(now_ms())

    def _judge(
        self, state: _AssignedPartition, records: Sequence[clients.ConsumerRecord], letters: list[DeadLetter]
    ) -> list[Finding]:
        """The findings of a partition's next records, and dead letters; none of those before `live_from`."""
        findings: list[Finding] = []
        newest = 0
        for record in records:
            try:
                part = _decoded(record.value)
            except Undecodable as error:
                self._log_undecodable(record, error)
                if record.offset >= state.live_from:
                    place = TopicPartition(ACTIVITY, record.partition)
                    letters.append(DeadLetter(place, record.offset, record.key, record.value, str(error)))
                continue
            who = part.party, part.channel
            tracker = state.parties.get(who)
            if tracker is None:
                tracker = state.parties[who] = PartyTracker(part.window)
            found = tracker.take(part, self._settings)
            newest = max(newest, part.window)
            if found and record.offset >= state.live_from:
                findings += found
        state.next = records[-1].offset + 1
        self.metrics.records.inc(len(records))
        if newest:
            self.metrics.lag_seconds.set(max(0.0, time.time() - newest / 1000))
        return findings

    async def _raise(self, findings: Sequence[Finding]) -> None:
        """Write findings to `case-events`; returns once all are acknowledged."""
        partitions = self._config.topics.partitions
        outs = [case_event_out(case_event(finding), partitions) for finding in findings]
        for place in await self._producer.write(
            [Produced(out.topic, out.key, out.value, out.partition) for out in outs]
        ):
            log.error("a finding is larger than `case-events` takes, and not raised", finding=findings[place].finding)
        for finding in findings:
            self.metrics.findings.labels(finding.grounds).inc()
            log.info("finding raised", finding=finding.finding, grounds=finding.grounds, channel=finding.channel)

    async def _commit(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Commit the offsets whose findings are acknowledged, within a bound; not while no broker answers."""
        judged = {
            AIOKafkaPartition(ACTIVITY, partition): state.acknowledged
            for partition, state in self._assigned.items()
            if state.acknowledged > state.committed
        }
        if judged and self._identity is not None and self._brokers.not_ready() is None:
            mark = self._identity.marks[ACTIVITY]
            offsets = {partition: (offset, mark) for partition, offset in judged.items()}
            for partition in await commit_owned(consumer, offsets, within_s=clients.GOODBYE_S_MAX):
                self._assigned[partition.partition].committed = judged[partition]

    def _expire(self, now: int) -> None:
        for state in self._assigned.values():
            faded = [who for who, one in state.parties.items() if forgettable(one.sums, now, self._settings)]
            for who in faded:
                del state.parties[who]

    def _count(self) -> None:
        self.metrics.parties.set(sum(len(state.parties) for state in self._assigned.values()))

    def _log_undecodable(self, record: clients.ConsumerRecord, error: Undecodable) -> None:
        self.metrics.undecodable.inc()
        if (held_back := self._throttle.now()) is not None:
            log.warning(
                "activity record cannot be decoded; it is in dead-letter",
                partition=record.partition,
                offset=record.offset,
                error=str(error),
                held_back=held_back,
            )


def _decoded(value: bytes | None) -> Activity:
    """A record of `activity`. Raises `Undecodable`: also for a party that is named by more than a name has.

    So a finding, which names its party twice, fits its topic, and parties take no more memory than their number says.
    """
    part = decode_as(_decoder, value or b"")
    named = part.party.sender or part.party.number or ""
    if len(named) > NAME_LIMIT.most:
        raise Undecodable(f"`party` has {len(named):,} {NAME_LIMIT.unit}, at most {NAME_LIMIT.most}")
    return part


def case_event(finding: Finding) -> CaseEvent:
    """A finding as an event for the escalation record of its party. The same finding gives the same event."""
    return CaseEvent(
        id=finding.finding,
        time=finding.time,
        case=party_key(finding.party),
        procedure=DOCKET,
        event=msgspec.Raw(encode(EscalationFinding(finding))),
        actor=ACTOR,
    )
