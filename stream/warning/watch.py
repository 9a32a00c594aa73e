"""`wurao watch`: reads `activity`, judges it, and raises findings at the dockets of their parties (Article 21).

A loop in the filter's style: a batch at a time, no await between its records. It is not part of `wurao enforce`, whose
cases are few and whose rate is Faust's; it only hands findings to it, as records of `case-events`.

Life. A party's activity stands in one partition, and so at one instance. When a partition is assigned, the activity of
the last `watch.readback_ms` is read again to know its parties, silently up to what was committed, aloud from there.
Offsets are committed once the findings of the records before them are acknowledged. So a crash loses no finding, and
may raise one again, under the same id: a docket takes it once.

What is older than the read-back has faded to less than a thousandth by the policy's defaults, but for the usual rate,
which is then an average of the read-back alone. A finding whose figure stood within that thousandth of its limit may
so come under another id after a restart; it then joins the case of the first.

Must never log who a party is: it may be a number.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
from aiokafka import TopicPartition

from stream import logs
from stream.config import Config
from stream.kafka import clients
from stream.kafka.brokers import Brokers
from stream.kafka.closing import close_within, work_until
from stream.kafka.durable import DurableProducer
from stream.kafka.group import RebalanceListener, commit_owned
from stream.kafka.reach import reach
from stream.kafka.retry import Retry
from stream.metrics import WatchMetrics
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding, case_event_out
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Activity, Finding, Party, party_key
from stream.model.fields import Channel
from stream.model.topics import ACTIVITY, CASE_EVENTS
from stream.policy.settings import Policy
from stream.warning.rules.parts import PartyTracker
from stream.warning.rules.senders import forgettable

log = logs.get(__name__)

NAME: Final = "wurao-watch"
ACTOR: Final = "early-warning"
FETCH_WAIT_MS: Final = 200
FORGET_EVERY_S: Final = 3_600.0

_decoder = msgspec.json.Decoder(Activity)


@dataclass(slots=True)
class _AssignedPartition:
    """A partition of this instance: its parties, how far it is read, and from where on findings are raised."""

    live_from: int
    next: int
    safe: int
    """up to here findings are acknowledged"""
    committed: int
    standings: dict[tuple[Party, Channel], PartyTracker] = field(default_factory=dict)


class Watcher:
    """One instance. Create it on its loop; `run` returns when `stop` was asked for and all is settled."""

    def __init__(self, config: Config, policy: Policy) -> None:
        self.metrics = WatchMetrics()
        self._config = config
        self._settings = policy.file.warning
        self._producer = DurableProducer(config, client=NAME)
        self._brokers = Brokers(config, client=NAME)
        self._shares: dict[int, _AssignedPartition] = {}
        self._between = asyncio.Lock()
        """held while a batch is fetched, judged and committed: partitions come and go between two batches"""
        self._stopping = asyncio.Event()
        self._member = False
        """whether the group has given partitions, if only none"""
        self._seldom = logs.Throttle()
        self._assignment = object()
        """another one after every change of partitions: what was fetched before it is not ours any more"""
        self._commit_at = self._forget_at = 0.0
        self.metrics.ready.set_function(lambda: self.not_ready() is None)

    def stop(self) -> None:
        """Ask it to finish the batch at hand and end."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Why no findings are raised now, or None. An instance without partitions is ready to take some."""
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if not self._member:
            return "partitions are being shared out"
        left = sum(max(0, share.live_from - share.next) for share in self._shares.values())
        return f"reading back what senders did: {left} records left at most" if left else None

    async def run(self) -> None:
        """Judge until `stop`; a broker that fails is waited for. Raises `CannotStart` for what needs an operator."""
        try:
            async with self._brokers:
                await work_until(self._stopping, self._reach(), within_s=0)
                await self._keep_judging()
        finally:
            await self._producer.close()

    async def _reach(self) -> None:
        await reach(self._config, (ACTIVITY, CASE_EVENTS))

    async def _keep_judging(self) -> None:
        retry = Retry(log, "the broker fails; starting anew")
        while not self._stopping.is_set():
            try:
                await self._be_member()
            except (clients.KafkaError, OSError) as error:
                if self._member:
                    retry.begin_anew()  # it had been judging: a new trouble
                self._member = False
                await work_until(self._stopping, retry.after(error), within_s=0)

    async def _be_member(self) -> None:
        """Be a member of the group until `stop`; at the end commit what is judged, within a bound."""
        config = self._config
        consumer = clients.group_consumer(config, group=config.watch.group, client=NAME, instance=None)
        listener = RebalanceListener(
            revoked=partial(self._partitions_revoked, consumer), assigned=partial(self._partitions_assigned, consumer)
        )
        try:
            consumer.subscribe([ACTIVITY], listener=listener)
            await work_until(self._stopping, listener.guard(self._judge_all(consumer)))
        finally:
            try:
                await self._commit(consumer)
            finally:
                self._shares.clear()
                await close_within(consumer)

    async def _judge_all(self, consumer: clients.AIOKafkaConsumer) -> None:
        await consumer.start()
        while not self._stopping.is_set():
            # Not between two batches: while partitions change hands aiokafka makes a fetch wait for that, and that
            # waits for our listener, which waits until it is between two batches.
            assignment = self._assignment
            fetched = await consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=self._config.watch.batch_records_max)
            async with self._between:
                if assignment is self._assignment:
                    await self._batch(consumer, fetched)
                else:
                    self._go_back(consumer, fetched)
            await asyncio.sleep(0)  # whoever waits between two batches has its turn

    async def _partitions_revoked(
        self, consumer: clients.AIOKafkaConsumer, revoked: Collection[TopicPartition]
    ) -> None:
        """Commit what is judged, and forget its parties."""
        async with self._between:
            await self._commit(consumer)
            self._assignment = object()
            self._shares.clear()
            self._member = False
        if revoked:
            log.info("partitions revoked", partitions_count=len(revoked))

    async def _partitions_assigned(
        self, consumer: clients.AIOKafkaConsumer, assigned: Collection[TopicPartition]
    ) -> None:
        """Begin far enough back to know the parties."""
        async with self._between:
            self._assignment = object()
            self._shares = await self._begin(consumer, assigned)
            self._member = True
        log.info("partitions assigned", partitions_count=len(assigned), reading_back=self.not_ready())

    async def _begin(
        self, consumer: clients.AIOKafkaConsumer, assigned: Collection[TopicPartition]
    ) -> dict[int, _AssignedPartition]:
        """The shares of these partitions, and the consumer where their read-back begins."""
        shares: dict[int, _AssignedPartition] = {}
        if not assigned:
            return shares
        since = time.time_ns() // 1_000_000 - self._config.watch.readback_ms
        # The ends first: what a partition's first writer writes between the two questions then lies behind its end.
        ends = await consumer.end_offsets(list(assigned))
        begins = await consumer.offsets_for_times(dict.fromkeys(assigned, since))
        for place in assigned:
            begin: int = begins[place].offset if begins.get(place) else ends[place]
            committed: int | None = await consumer.committed(place)
            live_from = begin if committed is None else committed
            first = min(begin, live_from)
            consumer.seek(place, first)
            shares[place.partition] = _AssignedPartition(
                live_from=live_from, next=first, safe=first, committed=live_from
            )
        return shares

    def _go_back(self, consumer: clients.AIOKafkaConsumer, fetched: Collection[TopicPartition]) -> None:
        """Leave what was fetched while partitions changed hands; what came after the change is fetched again."""
        assigned = consumer.assignment()
        for place in fetched:
            share = self._shares.get(place.partition)
            if share is not None and place in assigned:
                consumer.seek(place, share.next)

    async def _batch(
        self, consumer: clients.AIOKafkaConsumer, fetched: Mapping[TopicPartition, Sequence[clients.ConsumerRecord]]
    ) -> None:
        """Judge, raise, commit."""
        findings: list[Finding] = []
        for place, records in fetched.items():
            findings += self._judge(self._shares[place.partition], records)
        await self._raise(findings)
        for place in fetched:
            share = self._shares[place.partition]
            share.safe = share.next
        moment = time.monotonic()
        if moment >= self._commit_at:
            self._commit_at = moment + self._config.watch.commit_every_ms / 1000
            await self._commit(consumer)
            self._count()
        if moment >= self._forget_at:
            self._forget_at = moment + FORGET_EVERY_S
            self._forget(time.time_ns() // 1_000_000)

    def _judge(self, share: _AssignedPartition, records: Sequence[clients.ConsumerRecord]) -> list[Finding]:
        """The findings of a partition's next records; of what was judged before the start, none."""
        findings: list[Finding] = []
        newest = 0
        for record in records:
            try:
                part = decode_as(_decoder, record.value or b"")
            except Undecodable as error:
                self._tell_undecodable(record, error)
                continue
            who = part.party, part.channel
            standing = share.standings.get(who)
            if standing is None:
                standing = share.standings[who] = PartyTracker(part.window)
            found = standing.take(part, self._settings)
            newest = max(newest, part.window)
            if found and record.offset >= share.live_from:
                findings += found
        share.next = records[-1].offset + 1
        self.metrics.records.inc(len(records))
        if newest:
            self.metrics.lag_seconds.set(max(0.0, time.time() - newest / 1000))
        return findings

    async def _raise(self, findings: Sequence[Finding]) -> None:
        """Put findings to the dockets of their parties, and wait until they are safe."""
        partitions = self._config.topics.partitions
        outs = [case_event_out(case_event(finding), partitions) for finding in findings]

        async def send(producer: clients.AIOKafkaProducer) -> None:
            acks = [
                await producer.send(out.topic, value=out.value, key=out.key, partition=out.partition) for out in outs
            ]
            await asyncio.gather(*acks)

        if outs:
            await self._producer.durably(send)
        for finding in findings:
            self.metrics.findings.labels(finding.grounds).inc()
            log.info("finding raised", finding=finding.finding, grounds=finding.grounds, channel=finding.channel)

    async def _commit(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Commit what is judged and safe."""
        judged = {
            TopicPartition(ACTIVITY, partition): share.safe
            for partition, share in self._shares.items()
            if share.safe > share.committed
        }
        if judged and self._brokers.not_ready() is None:
            for place, offset in (await commit_owned(consumer, judged, within_s=clients.GOODBYE_S_MAX)).items():
                self._shares[place.partition].committed = offset

    def _forget(self, now: int) -> None:
        for share in self._shares.values():
            faded = [who for who, one in share.standings.items() if forgettable(one.watch, now, self._settings)]
            for who in faded:
                del share.standings[who]

    def _count(self) -> None:
        self.metrics.parties.set(sum(len(share.standings) for share in self._shares.values()))

    def _tell_undecodable(self, record: clients.ConsumerRecord, error: Undecodable) -> None:
        self.metrics.undecodable.inc()
        if (held_back := self._seldom.now()) is not None:
            log.warning(
                "activity record cannot be decoded; skipped",
                partition=record.partition,
                offset=record.offset,
                error=str(error),
                held_back=held_back,
            )


def case_event(finding: Finding) -> CaseEvent:
    """A finding as it comes to the docket of its party. The same finding gives the same event."""
    return CaseEvent(
        id=finding.finding,
        time=finding.time,
        case=party_key(finding.party),
        procedure=DOCKET,
        event=msgspec.Raw(encode(EscalationFinding(finding))),
        actor=ACTOR,
    )
