"""`wurao audit`: judges every decision again and counts what it finds.

What it reads and when it commits is told in `following`; what a judgement is, in `judge`. Must never write to a topic,
and never log whose number it is: an event's id and place are enough to look it up.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stream import logs
from stream.audit.following import DecisionReader, RecordedDecision
from stream.audit.judge import DecisionVerifier, Outcome, Verification
from stream.audit.patience import until_stopped
from stream.config import Config
from stream.kafka.brokers import Brokers
from stream.kafka.describe import ClusterDescription
from stream.metrics import AuditMetrics
from stream.policy.settings import Policy

log = logs.get(__name__)

NAME: Final = "wurao-audit"
VIOLATIONS_TOLD_MAX: Final = 100
UNDECODABLE: Final = Verification("unknown", why="it cannot be decoded")


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
class AuditReport:
    """What an audit has found so far."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    whys: Counter[str] = field(default_factory=Counter)
    """what differed or was missing, and how often"""
    violations_count: int = 0
    violations: list[Violation] = field(default_factory=list)
    """the first of them"""
    in_force_ms: list[int] = field(default_factory=list)
    """how long refusals took to be in force; only filled where it ends by itself"""


class Auditor:
    """One instance. Create it on its loop; `run` returns when `stop` was asked for, or with `once` at the ends."""

    def __init__(self, config: Config, policy: Policy, cluster: ClusterDescription, *, once: bool = False) -> None:
        self.metrics = AuditMetrics()
        self.report = AuditReport()
        self._once = once
        self._following = DecisionReader(config, cluster, client=NAME, group=None if once else config.audit.group)
        self._judge = DecisionVerifier(policy, self._following.histories)
        self._counted: Counter[Outcome] = Counter()
        self._stopping = asyncio.Event()
        self._seldom = logs.Throttle(1.0)
        self._brokers = Brokers(config, client=NAME)

    def not_ready(self) -> str | None:
        """Why nothing is judged now, or None."""
        return self._brokers.not_ready() or self._following.not_ready()

    def stop(self) -> None:
        """Ask it to finish the batch at hand and end."""
        self._stopping.set()

    def adopt(self, policy: Policy) -> None:
        """Judge what another policy decided as well; earlier ones stay known."""
        self._judge.adopt(policy)
        log.info("policy reloaded", policy=policy.version, policy_hash=policy.digest[:12])

    async def run(self) -> AuditReport:
        """Judge until `stop`. Raises what made it impossible to go on; a restart then goes on where it ended."""
        try:
            async with self._brokers:
                await until_stopped(self._work(), self._stopping)
            return self.report
        finally:
            self.metrics.ready.set(0)
            await self._following.stop()

    async def _work(self) -> None:
        await self._following.start()
        while not self._stopping.is_set() and not await self._following.finished():
            self.metrics.ready.set(1)
            await self._judge_all(await self._following.take())
            self._measure()
            self.metrics.lag_seconds.set(await self._following.done())
            self.metrics.events_kept.set(self._following.events_kept_count)

    async def _judge_all(self, some: Sequence[RecordedDecision]) -> None:
        for _ in range(self._following.undecodable_count):
            self._count(None, UNDECODABLE)
        async for portion in self._following.portions(some):
            for seen in portion:
                self._count(seen, self._judge.judge(seen.decision, seen.event, seen.epoch))

    def _count(self, seen: RecordedDecision | None, found: Verification) -> None:
        self.report.outcomes[found.outcome] += 1
        if found.why:
            self.report.whys[found.why] += 1
        if seen is None:
            return
        if found.violation:
            self._tell_violation(seen)
        elif found.outcome == "differs" and (held_back := self._seldom.now()) is not None:
            log.warning(
                "decision differs from the one made again from its registry state",
                partition=seen.partition,
                offset=seen.offset,
                event_id=seen.decision.event,
                why=found.why,
                held_back=held_back,
            )

    def _tell_violation(self, seen: RecordedDecision) -> None:
        decision = seen.decision
        self.report.violations_count += 1
        self.metrics.violations.inc()
        if len(self.report.violations) < VIOLATIONS_TOLD_MAX:
            self.report.violations.append(
                Violation(decision.event, seen.partition, seen.offset, decision.sender, decision.reason, decision.epoch)
            )
        log.error(
            "allowed to a subscriber who had refused it",
            event_id=decision.event,
            partition=seen.partition,
            offset=seen.offset,
            sender=decision.sender,
            reason=decision.reason,
            epoch=decision.epoch,
        )

    def _measure(self) -> None:
        """Hand the batch's figures to the metrics, once."""
        for outcome, count in self.report.outcomes.items():
            self.metrics.decisions.labels(outcome).inc(count - self._counted[outcome])
        self._counted = self.report.outcomes.copy()
        measured = self._following.histories.take_in_force_ms()
        if measured:
            self.metrics.in_force.observe(np.array(measured, dtype=np.int64))
            if self._once:
                self.report.in_force_ms += measured
