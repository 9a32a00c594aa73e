"""`wurao filter --shadow`: what another policy, or another version of wurao, would have answered beside production.

Every decision of production is made again: the same event, the registry as of its epoch, the same moment; only the
rules are the candidate's. So each difference is theirs, and none comes from time or from a registry that moved.
Differences go to `shadow-differences`, under the decision's key and in its partition; nothing else is written: no
decision, no expression, no activity. It may be stopped at any time; production does not depend on it.

Must never write to another topic than `shadow-differences`.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from stream import logs
from stream.audit.decision_reader import DecisionReader, RecordedDecision
from stream.audit.histories import Histories
from stream.audit.successive_readers import SuccessiveReaders
from stream.audit.verification import DecisionVerifier
from stream.config import Config
from stream.kafka.brokers import Brokers
from stream.kafka.closing import work_until
from stream.kafka.describe import ClusterDescription
from stream.kafka.durable import DurableProducer, Produced
from stream.metrics import ShadowMetrics
from stream.model.codec import encode
from stream.model.decision import Answer, Decision, Difference
from stream.model.topics import SHADOW_DIFFERENCES
from stream.policy.settings import Policy

log = logs.get(__name__)

NAME: Final = "wurao-shadow"
GROUP_SUFFIX: Final = "-shadow"


class Shadow:
    """One instance of the consumer group. Create it on its loop; `run` returns once `stop` was called."""

    def __init__(self, config: Config, policy: Policy, cluster: ClusterDescription) -> None:
        self.metrics = ShadowMetrics()
        self._policy = policy
        self._readers = SuccessiveReaders(config, cluster, client=NAME, group=f"{config.filter.group}{GROUP_SUFFIX}")
        self._verifier = DecisionVerifier(policy, Histories(config.topics.partitions))
        self._producer = DurableProducer(config, client=NAME)
        self._stopping = asyncio.Event()
        self._brokers = Brokers(config, client=NAME)
        self.metrics.ready.set_function(lambda: self.not_ready() is None)

    def not_ready(self) -> str | None:
        """Why nothing is compared now, or None."""
        return self._brokers.not_ready() or self._readers.not_ready()

    def stop(self) -> None:
        """Ask it to finish the batch in flight and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Compare until `stop`. Raises what made it impossible to go on; a restart resumes at the committed offsets."""
        try:
            async with self._brokers:
                await work_until(self._stopping, self._work())
        finally:
            await self._producer.close()

    async def _work(self) -> None:
        await self._producer.start()
        await self._readers.each(self._compare_all)

    async def _compare_all(self, reader: DecisionReader) -> None:
        await reader.start()
        self._verifier.rest_on(reader.histories)
        while not self._stopping.is_set():
            await self._compare(reader, await reader.take())
            reader.histories.take_in_force_ms()  # measured by the audit
            self.metrics.lag_seconds.set(await reader.done())

    async def _compare(self, reader: DecisionReader, some: Sequence[RecordedDecision]) -> None:
        """Write what differs to `shadow-differences`; returns once it is acknowledged."""
        differing: list[tuple[RecordedDecision, bytes]] = []
        same = unknown = 0
        async for portion in reader.portions(some):
            for recorded in portion:
                again = self._verifier.redecide(self._policy, recorded.decision, recorded.event, recorded.epoch)
                if isinstance(again, str):
                    unknown += 1
                elif msgspec.structs.replace(again, policy=recorded.decision.policy) == recorded.decision:
                    same += 1
                else:
                    differing.append((recorded, encode(difference(recorded.decision, again))))
        if differing:
            records = [
                Produced(SHADOW_DIFFERENCES, recorded.key, value, recorded.partition) for recorded, value in differing
            ]
            if refused := await self._producer.write(records):
                log.error("differences are larger than their topic takes, and not written", records_count=len(refused))
        for outcome, count in (("same", same), ("differs", len(differing)), ("unknown", unknown)):
            self.metrics.decisions.labels(outcome).inc(count)


def difference(made: Decision, again: Decision) -> Difference:
    """What production decided, and what the candidate would have."""
    return Difference(
        event=made.event,
        of=made.of,
        time=made.time,
        decided=made.decided,
        sender=made.sender,
        made=_answer(made),
        shadow=_answer(again),
        epoch=made.epoch,
    )


def _answer(decision: Decision) -> Answer:
    return Answer(decision.verdict, decision.reason, decision.basis, decision.policy)
