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
from typing import Final

import msgspec
from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError

from stream import logs
from stream.config import Config
from stream.enforce import outbox
from stream.enforce.inbox import DOCKET, DocketFinding
from stream.enforce.parts import Standing
from stream.enforce.warning import forgettable
from stream.kafka import clients
from stream.metrics import WatchMetrics
from stream.model.cases import CaseEvent
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Activity, Finding, Party, party_key
from stream.model.fields import Channel
from stream.model.topics import ACTIVITY
from stream.policy.settings import Policy

log = logs.get(__name__)

NAME: Final = "wurao-watch"
ACTOR: Final = "early-warning"
FETCH_WAIT_MS: Final = 200
FORGET_EVERY_S: Final = 3_600.0

_decoder = msgspec.json.Decoder(Activity)


@dataclass(slots=True)
class _Share:
    """A partition of this instance: its parties, how far it is read, and from where on findings are raised."""

    live_from: int
    next: int
    committed: int
    standings: dict[tuple[Party, Channel], Standing] = field(default_factory=dict)


class Watch(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """One instance. Create it on its loop; `run` returns when `stop` was asked for and all is settled."""

    def __init__(self, config: Config, policy: Policy) -> None:
        self.metrics = WatchMetrics()
        self._config = config
        self._settings = policy.file.warning
        self._producer = clients.producer(config, client=NAME)
        self._consumer = clients.group_consumer(config, group=config.watch.group, client=NAME, instance=None)
        self._shares: dict[int, _Share] = {}
        self._between = asyncio.Lock()
        """held while a batch is fetched, judged and committed: partitions come and go between two batches"""
        self._stopping = False
        self._failed: clients.KafkaError | None = None
        self._seldom = logs.Seldom()
        self._assignment = object()
        """another one after every change of partitions: what was fetched before it is not ours any more"""
        self._commit_at = self._forget_at = 0.0

    def stop(self) -> None:
        """Ask it to finish the batch at hand and end."""
        self._stopping = True

    def not_ready(self) -> str | None:
        """Why no findings are raised now, or None. An instance without partitions is ready to take some."""
        left = sum(max(0, share.live_from - share.next) for share in self._shares.values())
        return f"reading back what senders did: {left} records left at most" if left else None

    async def run(self) -> None:
        """Judge until `stop`. Raises what made it impossible to go on; a restart then goes on where it ended."""
        try:
            await self._producer.start()
            self._consumer.subscribe([ACTIVITY], listener=self)
            await self._consumer.start()
            while not self._stopping:
                if self._failed is not None:
                    raise self._failed
                # Not between two batches: while partitions change hands aiokafka makes a fetch wait for that, and that
                # waits for our listener, which waits until it is between two batches.
                assignment = self._assignment
                fetched = await self._consumer.getmany(
                    timeout_ms=FETCH_WAIT_MS, max_records=self._config.watch.batch_records_max
                )
                async with self._between:
                    if assignment is self._assignment:
                        await self._batch(fetched)
                    else:
                        self._go_back(fetched)
                await asyncio.sleep(0)  # whoever waits between two batches has its turn
            async with self._between:
                await self._commit()
        finally:
            await self._leave()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Commit what is judged, and forget its parties (aiokafka calls this)."""
        async with self._between:
            await self._commit()
            self._assignment = object()
            self._shares.clear()
        if revoked:
            log.info("partitions revoked", partitions_count=len(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin far enough back to know the parties (aiokafka calls this)."""
        async with self._between:
            self._assignment = object()
            try:
                self._shares = await self._begin(assigned)
            except clients.KafkaError as error:
                # aiokafka would log it and go on, and these partitions would be nobody's: `run` raises it instead.
                self._failed = error
                return
        log.info("partitions assigned", partitions_count=len(assigned), reading_back=self.not_ready())

    async def _begin(self, assigned: Collection[TopicPartition]) -> dict[int, _Share]:
        """The shares of these partitions, and the consumer where their read-back begins."""
        shares: dict[int, _Share] = {}
        if not assigned:
            return shares
        since = time.time_ns() // 1_000_000 - self._config.watch.readback_ms
        # The ends first: what a partition's first writer writes between the two questions then lies behind its end.
        ends = await self._consumer.end_offsets(list(assigned))
        begins = await self._consumer.offsets_for_times(dict.fromkeys(assigned, since))
        for place in assigned:
            begin: int = begins[place].offset if begins.get(place) else ends[place]
            committed: int | None = await self._consumer.committed(place)
            live_from = begin if committed is None else committed
            first = min(begin, live_from)
            self._consumer.seek(place, first)
            shares[place.partition] = _Share(live_from=live_from, next=first, committed=live_from)
        return shares

    def _go_back(self, fetched: Collection[TopicPartition]) -> None:
        """Leave what was fetched while partitions changed hands; what came after the change is fetched again."""
        assigned = self._consumer.assignment()
        for place in fetched:
            share = self._shares.get(place.partition)
            if share is not None and place in assigned:
                self._consumer.seek(place, share.next)

    async def _batch(self, fetched: Mapping[TopicPartition, Sequence[clients.ConsumerRecord]]) -> None:
        """Judge, raise, commit."""
        findings: list[Finding] = []
        for place, records in fetched.items():
            findings += self._judge(self._shares[place.partition], records)
        await self._raise(findings)
        moment = time.monotonic()
        if moment >= self._commit_at:
            self._commit_at = moment + self._config.watch.commit_every_ms / 1000
            await self._commit()
            self._count()
        if moment >= self._forget_at:
            self._forget_at = moment + FORGET_EVERY_S
            self._forget(time.time_ns() // 1_000_000)

    def _judge(self, share: _Share, records: Sequence[clients.ConsumerRecord]) -> list[Finding]:
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
                standing = share.standings[who] = Standing(part.window)
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
        acks: list[asyncio.Future[object]] = []
        for finding in findings:
            out = outbox.case_event(case_event(finding), partitions)
            acks.append(await self._producer.send(out.topic, value=out.value, key=out.key, partition=out.partition))
        await asyncio.gather(*acks)
        for finding in findings:
            self.metrics.findings.labels(finding.grounds).inc()
            log.info("finding raised", finding=finding.finding, grounds=finding.grounds, channel=finding.channel)

    async def _commit(self) -> None:
        """Commit what is judged, for findings before it are acknowledged by now."""
        judged = {partition: share.next for partition, share in self._shares.items() if share.next > share.committed}
        if not judged:
            return
        try:
            await self._consumer.commit({TopicPartition(ACTIVITY, one): offset for one, offset in judged.items()})
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another instance, which judges these records again and finds the same.
            log.warning("commit refused", error=type(error).__name__)
            return
        for partition, offset in judged.items():
            self._shares[partition].committed = offset

    def _forget(self, now: int) -> None:
        for share in self._shares.values():
            faded = [who for who, one in share.standings.items() if forgettable(one.watch, now, self._settings)]
            for who in faded:
                del share.standings[who]

    def _count(self) -> None:
        self.metrics.parties.set(sum(len(share.standings) for share in self._shares.values()))
        self.metrics.ready.set(self.not_ready() is None)

    def _tell_undecodable(self, record: clients.ConsumerRecord, error: Undecodable) -> None:
        self.metrics.undecodable.inc()
        if (held_back := self._seldom.now()) is not None:
            log.warning(
                "activity left out",
                partition=record.partition,
                offset=record.offset,
                error=str(error),
                held_back=held_back,
            )

    async def _leave(self) -> None:
        """Close the clients, each within a bound."""
        for client in (self._consumer, self._producer):
            try:
                async with asyncio.timeout(clients.GOODBYE_S_MAX):
                    await client.stop()
            except Exception as error:  # noqa: BLE001  # one client's trouble must not keep the other from closing
                log.warning("a client did not close cleanly", error=repr(error))


def case_event(finding: Finding) -> CaseEvent:
    """A finding as it comes to the docket of its party. The same finding gives the same event."""
    return CaseEvent(
        id=finding.finding,
        time=finding.time,
        case=party_key(finding.party),
        procedure=DOCKET,
        event=msgspec.Raw(encode(DocketFinding(finding))),
        actor=ACTOR,
    )
