"""Applies the rules to `activity`, and writes findings to `case-events`: by batches, no await between their records.

A party's activity stands in one partition, and so at one instance. When a partition is assigned, the activity of the
last `watch.readback_ms` is read again to restore its parties; findings are written from the committed offset on, which
is committed once the findings of the records before it are acknowledged. So a crash loses no finding, and may raise one
again, under the same id: it is counted once.

What is older than the read-back has faded to less than a thousandth by the policy's defaults, but for the usual rate,
which is then an average of the read-back alone. Where `activity` was recreated every party starts from nothing: its
records are all that parties are made of. A finding whose figure stood within that thousandth of its limit may
so come under another id after a restart; it then joins the case of the first.

Must never log who a party is: it may be a number.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.seams.bounded import FetchedRecord
from stream.metrics import WatchMetrics
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding, case_event_out
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Activity, Finding, Party, party_key
from stream.model.dead_letters import DeadLetter
from stream.model.fields import Channel
from stream.model.limits import NAME as NAME_LIMIT
from stream.model.topics import ACTIVITY, TopicPartition
from stream.policy.settings import Policy
from stream.warning.member import Taken, records_of
from stream.warning.rules.parts import PartyTracker
from stream.warning.rules.senders import forgettable

log = logs.get(__name__)

ACTOR: Final = "early-warning"
EXPIRE_EVERY_S: Final = 3_600.0

_decoder = msgspec.json.Decoder(Activity)


@dataclass(slots=True)
class _AssignedPartition:
    """An assigned partition: its parties, and the next offset that is judged."""

    next: int
    live_from: int
    """findings are raised from here on"""
    parties: dict[tuple[Party, Channel], PartyTracker] = field(default_factory=dict)


class ActivityJudge:
    """What an instance does with its partitions of `activity`. It has no life of its own: a `TopicMember` feeds it."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        *,
        producer: DurableProducer,
        letters: DeadLetterWriter,
        metrics: WatchMetrics,
    ) -> None:
        self._partitions_count = config.topics.partitions
        self._settings = policy.file.warning
        self._producer = producer
        self._letters = letters
        self._metrics = metrics
        self._assigned: dict[int, _AssignedPartition] = {}
        self._expire_at = 0.0
        self._throttle = logs.Throttle()

    def not_ready(self) -> str | None:
        """How much is read back before findings are raised, or None."""
        left = sum(max(0, state.live_from - state.next) for state in self._assigned.values())
        return f"reading back the activity of senders: at most {left} records to go" if left else None

    def begin(self, partitions: Mapping[int, range]) -> None:
        """These partitions are ours from now on, and no others: their parties are restored from what is read back."""
        self._assigned = {one: _AssignedPartition(back.start, back.stop) for one, back in partitions.items()}
        log.info("partitions assigned", partitions_count=len(partitions), reading_back=self.not_ready())

    async def take(self, fetched: Mapping[int, Sequence[Taken]]) -> None:
        """Judge a batch; returns once its findings are acknowledged. Raises `KafkaError`."""
        findings: list[Finding] = []
        letters: list[DeadLetter] = []
        for partition, pieces in fetched.items():
            findings += self._judge(partition, [record for piece in pieces for record in records_of(piece)], letters)
        await self._letters.write(letters)
        await self._raise(findings)
        self._metrics.parties.set(sum(len(state.parties) for state in self._assigned.values()))
        moment = time.monotonic()
        if moment >= self._expire_at:
            self._expire_at = moment + EXPIRE_EVERY_S
            self._expire(now_ms())

    async def end(self) -> None:
        """Forget the parties: whoever gets their partitions restores them."""
        if self._assigned:
            log.info("partitions revoked", partitions_count=len(self._assigned))
        self._assigned.clear()

    def _judge(self, partition: int, records: Sequence[FetchedRecord], letters: list[DeadLetter]) -> list[Finding]:
        """The findings of a partition's next records, and dead letters; none of those that are read back."""
        state = self._assigned[partition]
        findings: list[Finding] = []
        newest = 0
        for record in records:
            try:
                part = _decoded(record.value)
            except Undecodable as error:
                self._log_undecodable(partition, record.offset, error)
                if record.offset >= state.live_from:
                    place = TopicPartition(ACTIVITY, partition)
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
        self._metrics.records.inc(len(records))
        if newest:
            self._metrics.lag_seconds.set(max(0.0, time.time() - newest / 1000))
        return findings

    async def _raise(self, findings: Sequence[Finding]) -> None:
        """Write findings to `case-events`; returns once all are acknowledged."""
        outs = [case_event_out(case_event(finding), self._partitions_count) for finding in findings]
        for place in await self._producer.write(
            [Produced(out.topic, out.key, out.value, out.partition) for out in outs]
        ):
            log.error("a finding is larger than `case-events` takes, and not raised", finding=findings[place].finding)
        for finding in findings:
            self._metrics.findings.labels(finding.grounds).inc()
            log.info("finding raised", finding=finding.finding, grounds=finding.grounds, channel=finding.channel)

    def _expire(self, now: int) -> None:
        for state in self._assigned.values():
            faded = [who for who, one in state.parties.items() if forgettable(one.sums, now, self._settings)]
            for who in faded:
                del state.parties[who]

    def _log_undecodable(self, partition: int, offset: int, error: Undecodable) -> None:
        self._metrics.undecodable.inc()
        if (held_back := self._throttle.now()) is not None:
            log.warning(
                "activity record cannot be decoded; it is in dead-letter",
                partition=partition,
                offset=offset,
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
