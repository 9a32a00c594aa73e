"""`wurao watch`: early warning. A process that is a member of three groups, each on a topic of its own.

What filters tell of senders is judged by the rules (`judge`, Article 21), what the filter blocked as prohibited content
opens its case (`blocked`), and what holds name is copied before its topic forgets it (`holding`).

It is not part of `wurao enforce`, whose cases are few and whose rate is Faust's; it only sends findings to it, under
the key of their party.
"""

import asyncio
from functools import partial
from typing import Final

from stream.config import Config
from stream.kafka.brokers import Brokers
from stream.kafka.closing import work_until
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.describe import ClusterDescription
from stream.kafka.durable import DurableProducer
from stream.kafka.reach import reach
from stream.kafka.rights import WATCH
from stream.metrics import WatchMetrics
from stream.model.topics import ACTIVITY, DECISIONS, HOLDS
from stream.policy.settings import Policy
from stream.warning.blocked import RECORDS_MAX, BlockedContentFinder
from stream.warning.holding import HoldCopier
from stream.warning.judge import ActivityJudge
from stream.warning.member import TopicMember

NAME: Final = "wurao-watch"


class Watcher:
    """One instance. Create it on its loop; `run` returns once `stop` was called and all is committed."""

    def __init__(self, config: Config, policy: Policy) -> None:
        self.metrics = WatchMetrics()
        self._config = config
        self._producer = DurableProducer(config, client=NAME)
        self._letters = DeadLetterWriter(config, client=NAME)
        self._brokers = Brokers(config, client=NAME)
        self._cluster: ClusterDescription | None = None
        """None until a broker has answered"""
        self._stopping = asyncio.Event()
        self._judge = ActivityJudge(
            config, policy, producer=self._producer, letters=self._letters, metrics=self.metrics
        )
        member = partial(TopicMember, config, client=NAME, brokers=self._brokers, stopping=self._stopping)
        self._members = (
            member(
                ACTIVITY,
                group=config.watch.group,
                since_ms=config.watch.readback_ms,
                reads_back=True,
                taker=self._judge,
                lost=None,
                records_max=config.watch.batch_records_max,
            ),
            member(
                DECISIONS,
                group=f"{config.watch.group}.decisions",
                since_ms=config.watch.readback_ms,
                taker=BlockedContentFinder(config, policy, producer=self._producer, metrics=self.metrics, client=NAME),
                lost=self.metrics.lost.labels(DECISIONS).inc,
                records_max=RECORDS_MAX,
                raw=True,
            ),
            member(
                HOLDS,
                group=f"{config.watch.group}.holds",
                since_ms=config.topics.retention_ms,
                taker=HoldCopier(config, producer=self._producer, metrics=self.metrics, client=NAME),
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
        if self._cluster is None:
            return "no broker has answered yet"
        for one in self._members:
            if (why := one.not_ready()) is not None:
                return why
        return self._judge.not_ready()

    async def run(self) -> None:
        """Judge until `stop`; while the broker fails, wait and start again.

        Raises `CannotStart` for what needs an operator.
        """
        try:
            async with self._brokers:
                await work_until(self._stopping, self._reach(), within_s=0)
                if self._cluster is not None:  # else asked to end before a broker answered
                    await self._keep_working(self._cluster)
        finally:
            await self._producer.close()
            await self._letters.stop()

    async def _reach(self) -> None:
        self._cluster = await reach(self._config, WATCH.topics)

    async def _keep_working(self, cluster: ClusterDescription) -> None:
        working = [asyncio.ensure_future(one.run(cluster)) for one in self._members]
        try:
            await asyncio.gather(*working)
        finally:
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
