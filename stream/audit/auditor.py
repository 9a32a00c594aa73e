"""`wurao audit`: verifies every decision and counts the results.

What it reads and when it commits: `decision_reader`; what is verified: `verification`. Must never write to a topic, and
never log whose number it is: an event's id, partition and offset are enough to look it up.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from stream import logs
from stream.audit.decision_reader import DecisionReader, RecordedDecision
from stream.audit.histories import Histories
from stream.audit.successive_readers import SuccessiveReaders
from stream.audit.verification import DecisionVerifier, Outcome, Verification
from stream.config import Config
from stream.kafka.brokers import Brokers
from stream.kafka.closing import work_until
from stream.kafka.describe import ClusterDescription
from stream.metrics import AuditMetrics
from stream.policy.settings import Policy

log = logs.get(__name__)

NAME: Final = "wurao-audit"
VIOLATIONS_LISTED_MAX: Final = 100
UNDECODABLE: Final = Verification("unknown", why="it cannot be decoded")
LOST: Final = Verification("unknown", why="it was deleted before it was read")


@dataclass(frozen=True, slots=True)
class Violation:
    """A decision that let traffic through to somebody who had refused it: where it stands, and the sender."""

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
    """what differed or was missing → how often"""
    violations_count: int = 0
    violations: list[Violation] = field(default_factory=list)
    """the first `VIOLATIONS_LISTED_MAX` of them"""
    in_force_ms: list[int] = field(default_factory=list)
    """the propagation of refusals; only filled with `once`"""


class Auditor:
    """One instance. Create it on its loop; `run` returns once `stop` was called, or with `once` at the end offsets."""

    def __init__(self, config: Config, policy: Policy, cluster: ClusterDescription, *, once: bool = False) -> None:
        self.metrics = AuditMetrics()
        self.report = AuditReport()
        self._once = once
        self._readers = SuccessiveReaders(config, cluster, client=NAME, group=None if once else config.audit.group)
        self._verifier = DecisionVerifier(policy, Histories(config.topics.partitions))
        self._counted: Counter[Outcome] = Counter()
        self._stopping = asyncio.Event()
        self._throttles: Mapping[Outcome, logs.Throttle] = {"differs": logs.Throttle(1.0), "unknown": logs.Throttle()}
        self._brokers = Brokers(config, client=NAME)
        self.metrics.ready.set_function(lambda: self.not_ready() is None)

    def not_ready(self) -> str | None:
        """Why nothing is verified now, or None."""
        return self._brokers.not_ready() or self._readers.not_ready()

    def stop(self) -> None:
        """Ask it to finish the batch in flight and end."""
        self._stopping.set()

    def adopt(self, policy: Policy) -> None:
        """Verify decisions of another policy as well; earlier ones stay known."""
        self._verifier.adopt(policy)
        log.info("policy reloaded", policy=policy.version, policy_hash=policy.digest[:12])

    async def run(self) -> AuditReport:
        """Verify until `stop`. Raises what made it impossible to go on; a restart resumes at the committed offsets.

        Topics that are recreated meanwhile are read again; with `once` they end it (`TopicsChanged`).
        """
        async with self._brokers:
            await work_until(self._stopping, self._readers.each(self._work))
        return self.report

    async def _work(self, reader: DecisionReader) -> None:
        await reader.start()
        self._verifier.rest_on(reader.histories)
        while not self._stopping.is_set() and not await reader.finished():
            await self._verify_all(reader, await reader.take())
            self._measure(reader)
            self.metrics.lag_seconds.set(await reader.done())
            self.metrics.events_kept.set(reader.events_kept_count)

    async def _verify_all(self, reader: DecisionReader, some: Sequence[RecordedDecision]) -> None:
        for _ in range(reader.undecodable_count):
            self._count(None, UNDECODABLE)
        for _ in range(reader.lost_count):
            self._count(None, LOST)
        async for portion in reader.portions(some):
            for recorded in portion:
                self._count(recorded, self._verifier.verify(recorded.decision, recorded.event, recorded.epoch))

    def _count(self, recorded: RecordedDecision | None, found: Verification) -> None:
        self.report.outcomes[found.outcome] += 1
        if found.why:
            self.report.whys[found.why] += 1
        if recorded is None:
            return
        if found.violation:
            self._log_violation(recorded)
        elif found.outcome != "agrees" and (held_back := self._throttles[found.outcome].now()) is not None:
            log.warning(
                "decision differs from the one made again from its registry state"
                if found.outcome == "differs"
                else "decision cannot be made again",
                partition=recorded.partition,
                offset=recorded.offset,
                event_id=recorded.decision.event,
                why=found.why,
                held_back=held_back,
            )

    def _log_violation(self, recorded: RecordedDecision) -> None:
        decision = recorded.decision
        self.report.violations_count += 1
        self.metrics.violations.inc()
        if len(self.report.violations) < VIOLATIONS_LISTED_MAX:
            self.report.violations.append(
                Violation(
                    decision.event,
                    recorded.partition,
                    recorded.offset,
                    decision.sender,
                    decision.reason,
                    decision.epoch,
                )
            )
        log.error(
            "allowed to a subscriber who had refused it",
            event_id=decision.event,
            partition=recorded.partition,
            offset=recorded.offset,
            sender=decision.sender,
            reason=decision.reason,
            epoch=decision.epoch,
        )

    def _measure(self, reader: DecisionReader) -> None:
        """Add the batch's figures to the metrics, once."""
        for outcome, count in self.report.outcomes.items():
            self.metrics.decisions.labels(outcome).inc(count - self._counted[outcome])
        self._counted = self.report.outcomes.copy()
        measured = reader.histories.take_in_force_ms()
        if measured:
            self.metrics.in_force.observe(np.array(measured, dtype=np.int64))
            if self._once:
                self.report.in_force_ms += measured
