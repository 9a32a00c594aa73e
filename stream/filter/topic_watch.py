"""What a filter sees of the topics under it: whether they are the same ones, all there, and readable to their ends.

Looks every second. Topics that are others end the worker (`TopicsChanged`): its supervisor begins anew. One that is
gone makes it not ready and stops nothing else: what was read still stands, and traffic of other topics goes on. A
transaction that hangs in the registry is named once the registry is stale by it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.feed.follower import Follower
from stream.kafka import clients, topics
from stream.kafka.describe import ClusterDescription, describe_topics
from stream.kafka.identity import ClusterIdentity, changes
from stream.model.topics import DECISIONS, EVENT_KINDS, RECORD_KIND

log = logs.get(__name__)

LASTING: Final = (*RECORD_KIND, *EVENT_KINDS)
"""Topics whose offsets mean something to a worker: another one of the same name is another topic."""

LOOK_EVERY_S: Final = 1.0

HUNG_AFTER_MS: Final = 5_000
"""A transaction that keeps the registry back for so long is named: those of a writer that is well last milliseconds."""

CREATE: Final = "run `wurao topics create`, or let this user describe them"
ABORT: Final = "find its producer (`kafka-transactions.sh find-hanging`) and end it (`kafka-transactions.sh abort`)"


def watched(cluster: ClusterDescription) -> ClusterDescription:
    """As much of it as a worker looks at: what it reads, and where it puts decisions, by partitions."""
    return replace(cluster, topics={name: cluster.topics[name] for name in (*LASTING, DECISIONS)})


async def right_topics(
    config: Config, before: ClusterDescription, note: Callable[[str | None], None]
) -> ClusterDescription:
    """The cluster, when its topics are as they must be; waits for that, and `note` is told why it waits.

    What changed since `before` and what is to be mended is logged: once, and again when it is another.
    """
    told: list[str] = []
    while True:
        try:
            cluster = await describe_topics(config, tuple(topics.EXPECTED))
        except (OSError, clients.KafkaError) as error:
            note(f"no broker answers: {error}")
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        found = changes(before, cluster, lasting=LASTING)
        wrong = list(filter(topics.breaks_guarantees, topics.differences(cluster, config.topics)))
        if [*found, *wrong] != told:
            told = [*found, *wrong]
            log.error(
                "topics were recreated, or another cluster answers: nothing is decided until they have been read again",
                changed=found,
                mend=wrong or "none needed: it begins anew by itself",
            )
        if not wrong:
            note(None)
            return cluster
        note("; ".join(wrong))
        await asyncio.sleep(LOOK_EVERY_S)


class TopicWatch:
    """Watches for one worker; `tells` where it is the one of its host that logs for all."""

    def __init__(self, identity: ClusterIdentity, follower: Follower, *, tells: bool) -> None:
        self._identity = identity
        self._follower = follower
        self._tells = tells
        self._missing: tuple[str, ...] = ()
        self._hung: tuple[str, ...] = ()

    async def begin(self) -> None:
        """Return when it is known that the topics are the same ones; waits for an answer. Raises `TopicsChanged`."""
        while not await self._identity.look():  # noqa: ASYNC110  # nothing tells when a broker answers again
            await asyncio.sleep(LOOK_EVERY_S)

    async def run(self) -> None:
        """Look as long as the worker runs. Raises `TopicsChanged`."""
        while True:
            await self._identity.look()
            self._note_missing()
            self._note_hung()
            await asyncio.sleep(LOOK_EVERY_S)

    def missing(self) -> str | None:
        """Which topics are gone, with the mend, or None."""
        return f"{', '.join(self._identity.missing)}: not there; {CREATE}" if self._identity.missing else None

    def stale_why(self) -> str:
        """What to do about a registry that is stale."""
        held_back = self._follower.held_back
        return f"a transaction is open in {', '.join(held_back)}: {ABORT}" if held_back else "look at the broker"

    def _note_missing(self) -> None:
        before, self._missing = self._missing, self._identity.missing
        if self._missing == before or not self._tells:
            return
        if self._missing:
            log.error("topics are missing; events of the others are still decided", topics=self._missing, mend=CREATE)
        else:
            log.info("missing topics are back", topics=before)

    def _note_hung(self) -> None:
        staleness = self._follower.staleness_ms(now_ms())
        stale = staleness is None or staleness > HUNG_AFTER_MS
        before, self._hung = self._hung, self._follower.held_back if stale else ()
        if self._hung and not before and self._tells:
            log.error(
                "hanging transaction in a registry topic: records after it cannot be read, and the registry "
                "becomes stale",
                partitions=self._hung,
                mend=ABORT,
            )
