"""`wurao filter --shadow`: what another policy, or another version of wurao, would have answered beside production.

Every decision of production is made anew: the same event, the registry as of its epoch, the same moment; only the
rules are the candidate's. So each difference is theirs, and none comes from time or from a registry that moved.
Differences go to `shadow-differences`, under the decision's key and in its partition; nothing else is written: no
decision, no expression, no activity. It may be stopped at any time; production does not know of it.

Must never write to another topic than `shadow-differences`.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from stream import logs
from stream.audit.following import DecisionReader, RecordedDecision
from stream.audit.judge import DecisionVerifier
from stream.audit.patience import until_stopped
from stream.config import Config
from stream.kafka import clients
from stream.kafka.brokers import Brokers
from stream.kafka.describe import ClusterDescription
from stream.kafka.durable import DurableProducer
from stream.metrics import ShadowMetrics
from stream.model.codec import encode
from stream.model.decision import Answer, Decision, Difference
from stream.model.topics import SHADOW_DIFFERENCES
from stream.policy.settings import Policy

log = logs.get(__name__)

NAME: Final = "wurao-shadow"
GROUP_SUFFIX: Final = "-shadow"


class Shadow:
    """One instance; as many as share the partitions. Create it on its loop; `run` returns when `stop` was asked for."""

    def __init__(self, config: Config, policy: Policy, cluster: ClusterDescription) -> None:
        self.metrics = ShadowMetrics()
        self._policy = policy
        self._following = DecisionReader(config, cluster, client=NAME, group=f"{config.filter.group}{GROUP_SUFFIX}")
        self._judge = DecisionVerifier(policy, self._following.histories)
        self._producer = DurableProducer(config, client=NAME)
        self._stopping = asyncio.Event()
        self._brokers = Brokers(config, client=NAME)

    def not_ready(self) -> str | None:
        """Why nothing is compared now, or None."""
        return self._brokers.not_ready() or self._following.not_ready()

    def stop(self) -> None:
        """Ask it to finish the batch at hand and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Compare until `stop`. Raises what made it impossible to go on; a restart then goes on where it ended."""
        try:
            async with self._brokers:
                await until_stopped(self._work(), self._stopping)
        finally:
            self.metrics.ready.set(0)
            await self._following.stop()
            await self._producer.close()

    async def _work(self) -> None:
        await self._producer.start()
        await self._following.start()
        while not self._stopping.is_set():
            self.metrics.ready.set(1)
            await self._tell(await self._following.take())
            self._following.histories.take_in_force_ms()  # the audit's business
            self.metrics.lag_seconds.set(await self._following.done())

    async def _tell(self, some: Sequence[RecordedDecision]) -> None:
        """Publish what differs, and wait until it is safe."""
        differing: list[tuple[RecordedDecision, bytes]] = []
        same = unknown = 0
        async for portion in self._following.portions(some):
            for seen in portion:
                again = self._judge.again(self._policy, seen.decision, seen.event, seen.epoch)
                if isinstance(again, str):
                    unknown += 1
                elif msgspec.structs.replace(again, policy=seen.decision.policy) == seen.decision:
                    same += 1
                else:
                    differing.append((seen, encode(difference(seen.decision, again))))
        if differing:
            await self._producer.durably(partial(_send, differing))
        for outcome, count in (("same", same), ("differs", len(differing)), ("unknown", unknown)):
            self.metrics.decisions.labels(outcome).inc(count)


async def _send(differing: Sequence[tuple[RecordedDecision, bytes]], producer: clients.AIOKafkaProducer) -> None:
    acks = [
        await producer.send(SHADOW_DIFFERENCES, value, key=seen.key, partition=seen.partition)
        for seen, value in differing
    ]
    await asyncio.gather(*acks)


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
