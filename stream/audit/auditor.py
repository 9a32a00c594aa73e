"""`wurao audit`: reads every decision again and asks whether it follows, and whether it reached somebody who refused.

Independent: it reads the registry topics, the epochs, the events and the decisions itself, folds them itself, and
decides by the plain table. It shares no snapshot, no memory and no process with a filter.

Life. Decisions come by a consumer group, so instances share the partitions; each reads the registry whole. A batch is
taken; the registry and the epochs are read on to their ends; the events of the batch are found; each decision is
judged; then its offsets are committed. A crash judges some decisions twice and skips none. `once` reads what is there
from the beginning, in no group, and ends.

Must never write to a topic, and never log whose number it is: an event's id and place are enough to look it up.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from stream import logs
from stream.audit.joining import Events
from stream.audit.judge import Judge, Judgement, Outcome
from stream.audit.reading import Histories
from stream.config import Config
from stream.kafka import clients
from stream.kafka.describe import Cluster
from stream.metrics import AuditMetrics
from stream.model.codec import Undecodable, decode_decision
from stream.model.decision import Decision
from stream.model.topics import DECISIONS, RECORD_KIND
from stream.policy.settings import Policy

log = logs.get(__name__)

NAME: Final = "wurao-audit"
FETCH_WAIT_MS: Final = 200
EPOCH_WAIT_S: Final = 5.0
"""An epoch is sent together with the first decisions of it, and acknowledged a little later than some."""
EPOCH_PAUSE_S: Final = 0.1
ABSENT_MAX: Final = 10_000
"""Epochs known not to come, so that a stream of forgeries does not wait for each; beyond, all are asked for anew."""

MARGIN_MS: Final = 600_000
"""Registry states are kept for decisions this much older than the oldest that waits to be judged."""

SETTLE_EVERY_S: Final = 5.0
VIOLATIONS_TOLD_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Violation:
    """A decision that reached somebody whose will forbade it: where it stands, and whose traffic it was."""

    event: str
    partition: int
    offset: int
    sender: str | None
    reason: str
    epoch: str


@dataclass(slots=True)
class Report:
    """What an audit has found so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    whys: Counter[str] = field(default_factory=Counter)
    """what differed or was missing, and how often"""
    violations_count: int = 0
    violations: list[Violation] = field(default_factory=list)
    """the first of them"""
    in_force_ms: list[int] = field(default_factory=list)
    """only filled by `once`"""


class Auditor:
    """One instance. Create it on its loop; `run` returns when `stop` was asked for, or with `once` at the ends."""

    def __init__(self, config: Config, policy: Policy, cluster: Cluster, *, once: bool = False) -> None:
        self.metrics = AuditMetrics()
        self.report = Report()
        self._config = config
        self._policy = policy
        self._once = once
        self._compaction_lag_ms = min(
            int(cluster.topics[topic].settings.get("min.compaction.lag.ms", "0")) for topic in RECORD_KIND
        )
        self._consumer = (
            clients.follower(config, client=NAME)
            if once
            else clients.group_consumer(config, group=config.audit.group, client=NAME, instance=None)
        )
        self._events = Events(config)
        self._histories: Histories | None = None
        self._judge: Judge | None = None
        self._seated: dict[int, int] = {}
        self._judged_to: dict[int, int] = {}
        """partition → the timestamp of the last decision judged"""
        self._counted: Counter[Outcome] = Counter()
        self._absent: set[str] = set()
        self._stopping = False
        self._left: int | None = None
        self._settle_at = 0.0
        self._seldom = logs.Seldom(1.0)

    def stop(self) -> None:
        """Ask it to finish the batch at hand and end."""
        self._stopping = True

    def not_ready(self) -> str | None:
        """Why nothing is judged now, or None."""
        if self._left is None:
            return "starting: nothing of the registry is read yet"
        return f"reading the registry: {self._left} records left at most" if self._left else None

    async def run(self) -> Report:
        """Judge until `stop`. Raises what made it impossible to go on; a restart then goes on where it ended."""
        try:
            await self._start()
            ends = await self._consumer.end_offsets(self._places) if self._once else {}
            while not self._stopping and not await self._at(ends):
                fetched = await self._consumer.getmany(
                    timeout_ms=FETCH_WAIT_MS, max_records=self._config.audit.batch_records_max
                )
                await self._batch(fetched)
            return self.report
        finally:
            await self._leave()

    @property
    def _places(self) -> list[TopicPartition]:
        return clients.partitions(DECISIONS, self._config.topics.partitions)

    async def _start(self) -> None:
        started_ms = time.time_ns() // 1_000_000
        # What compaction may have taken before this is read is not to be had again; what comes from now on is kept.
        exact_since_ms = started_ms - self._compaction_lag_ms
        if self._once:
            self._consumer.assign(self._places)
        else:
            self._consumer.subscribe([DECISIONS])
        await self._consumer.start()
        await self._events.start()
        first = await self._first_moment(started_ms)
        histories = self._histories = Histories(
            self._config, horizon_ms=max(exact_since_ms - MARGIN_MS, first - MARGIN_MS)
        )
        self._judge = Judge(self._policy, histories.wills, histories.standing, exact_since_ms=exact_since_ms)
        await histories.start()
        await histories.read_on(self._note_left)
        self._left = 0
        self.metrics.ready.set(1)
        log.info("registry read; decisions are judged", once=self._once)

    async def _first_moment(self, now: int) -> int:
        """The timestamp of the oldest decision that waits to be judged, by anybody of the group; now, if none does."""
        beginnings = await self._consumer.beginning_offsets(self._places)
        ends = await self._consumer.end_offsets(self._places)
        starts = dict(beginnings)
        if not self._once:
            for place in self._places:
                starts[place] = max(starts[place], await self._consumer.committed(place) or 0)
        waiting = {place for place in self._places if starts[place] < ends[place]}
        moments = [now]
        peek = clients.follower(self._config, client=f"{NAME}-peek")
        peek.assign(list(waiting))
        await peek.start()
        try:
            for place in waiting:
                peek.seek(place, starts[place])
            while waiting:
                fetched = await peek.getmany(*waiting, timeout_ms=FETCH_WAIT_MS, max_records=1)
                moments += [records[0].timestamp for records in fetched.values()]
                waiting -= fetched.keys()
                waiting = {place for place in waiting if await peek.position(place) < ends[place]}
        finally:
            await peek.stop()
        if self._once:
            for place, offset in starts.items():
                self._consumer.seek(place, offset)
        return min(moments)

    async def _at(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether everything before these ends was taken."""
        if not ends:
            return self._once
        return all([await self._consumer.position(place) >= end for place, end in ends.items()])

    async def _batch(self, fetched: Mapping[TopicPartition, Sequence[clients.ConsumerRecord]]) -> None:
        """Judge what was fetched; commit; keep no more of the past than is still asked about."""
        assert self._histories is not None, "the histories are made at the start"
        decisions: list[tuple[clients.ConsumerRecord, Decision]] = []
        for records in fetched.values():
            for record in records:
                try:
                    decisions.append((record, decode_decision(record.value or b"")))
                except Undecodable as error:
                    self._count(record, None, Judgement("unknown", why=f"undecodable: {error}"))
        await self._histories.read_on()
        if decisions:
            await self._wait_for_epochs({decision.epoch for _, decision in decisions})
            await self._find_events(decisions)
            await self._judge_all(decisions)
        self._measure()
        for place, records in fetched.items():
            self._judged_to[place.partition] = records[-1].timestamp
        await self._settle()
        if fetched and not self._once:
            await self._commit({place: records[-1].offset + 1 for place, records in fetched.items()})

    async def _wait_for_epochs(self, names: set[str]) -> None:
        assert self._histories is not None
        deadline = time.monotonic() + EPOCH_WAIT_S
        while missing := {name for name in names - self._absent if self._histories.epoch(name) is None}:
            if time.monotonic() >= deadline:
                if len(self._absent) > ABSENT_MAX:
                    self._absent.clear()
                self._absent |= missing
                return
            await asyncio.sleep(EPOCH_PAUSE_S)
            await self._histories.read_on()

    async def _find_events(self, decisions: Sequence[tuple[clients.ConsumerRecord, Decision]]) -> None:
        placed = [(record.partition, decision) for record, decision in decisions]
        new: dict[int, int] = {}
        for partition, decision in placed:
            if partition not in self._seated:
                new[partition] = min(new.get(partition, decision.time), decision.time)
        if new:
            mine = {place.partition for place in self._consumer.assignment()} | new.keys()
            self._seated = {one: since for one, since in (self._seated | new).items() if one in mine}
            await self._events.seat(self._seated)
        await self._events.find(placed)

    async def _judge_all(self, decisions: Sequence[tuple[clients.ConsumerRecord, Decision]]) -> None:
        assert self._histories is not None
        assert self._judge is not None
        for record, decision in decisions:
            event = self._events.of(record.partition, decision)
            self._count(record, decision, self._judge.judge(decision, event, self._histories.epoch(decision.epoch)))
        await asyncio.sleep(0)

    def _count(self, record: clients.ConsumerRecord, decision: Decision | None, found: Judgement) -> None:
        self.report.outcomes[found.outcome] += 1
        if found.why:
            self.report.whys[found.why] += 1
        if found.violation and decision is not None:
            self._tell_violation(record, decision)
        elif found.outcome == "differs" and (held_back := self._seldom.now()) is not None:
            log.warning(
                "a decision does not follow from its registry",
                partition=record.partition,
                offset=record.offset,
                event_id=decision.event if decision else None,
                why=found.why,
                held_back=held_back,
            )

    def _tell_violation(self, record: clients.ConsumerRecord, decision: Decision) -> None:
        self.report.violations_count += 1
        self.metrics.violations.inc()
        violation = Violation(
            decision.event, record.partition, record.offset, decision.sender, decision.reason, decision.epoch
        )
        if len(self.report.violations) < VIOLATIONS_TOLD_MAX:
            self.report.violations.append(violation)
        log.error(
            "let through to a subscriber whose will forbids it",
            event_id=violation.event,
            partition=violation.partition,
            offset=violation.offset,
            sender=violation.sender,
            reason=violation.reason,
            epoch=violation.epoch,
        )

    def _measure(self) -> None:
        """Hand the batch's figures to the metrics, once."""
        assert self._histories is not None
        for outcome, count in self.report.outcomes.items():
            counter = self.metrics.decisions.labels(outcome)
            counter.inc(count - self._counted[outcome])
        self._counted = self.report.outcomes.copy()
        measured, self._histories.in_force_ms = self._histories.in_force_ms, []
        if measured:
            self.metrics.in_force.observe(np.array(measured, dtype=np.int64))
            if self._once:
                self.report.in_force_ms += measured

    async def _settle(self) -> None:
        """Let go of the past that nobody waits for."""
        assert self._histories is not None
        now = time.time_ns() // 1_000_000
        behind = [
            self._judged_to[place.partition]
            for place in self._consumer.assignment()
            # Not the last record's offset: what is left may be a transaction's marker, which is no record.
            if place.partition in self._judged_to
            and await self._consumer.position(place) < (self._consumer.highwater(place) or 0)
        ]
        self.metrics.lag_seconds.set(max(0, now - min(behind)) / 1000 if behind else 0)
        if time.monotonic() >= self._settle_at:
            self._settle_at = time.monotonic() + SETTLE_EVERY_S
            self._histories.settle(min(behind, default=now) - MARGIN_MS)

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        mine = {place: offset for place, offset in offsets.items() if place in self._consumer.assignment()}
        if not mine:
            return
        try:
            await self._consumer.commit(mine)
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions went to another instance, which judges these decisions again.
            log.warning("commit refused", error=type(error).__name__)

    def _note_left(self, left: int) -> None:
        self._left = left
        if (held_back := self._seldom.now()) is not None:
            log.info("reading the registry", records_left=left, held_back=held_back)

    async def _leave(self) -> None:
        """Close the clients, each within a bound."""
        self.metrics.ready.set(0)
        histories = [self._histories] if self._histories is not None else []
        for client in (self._consumer, self._events, *histories):
            try:
                async with asyncio.timeout(clients.GOODBYE_S_MAX):
                    await client.stop()
            except Exception as error:  # noqa: BLE001  # one client's trouble must not keep the others from closing
                log.warning("a client did not close cleanly", error=repr(error))
