"""What a filter sees of the topics under it: whether they are the same ones, all there, and readable to their ends.

Looks every second. Topics that are others end the worker (`TopicsChanged`): its supervisor starts it again. One that is
gone makes it not ready and stops nothing else: what was read still stands, and traffic of other topics goes on. A
transaction that hangs in the registry is named once the registry is stale by it.
"""

import asyncio
from dataclasses import replace
from typing import Final

from stream import logs
from stream.clock import now_ms
from stream.feed.follower import Follower
from stream.kafka.describe import ClusterDescription
from stream.kafka.identity import LOOK_EVERY_S, ClusterIdentity
from stream.model.topics import DEAD_LETTER, DECISIONS, EPOCHS, EVENT_KINDS, RECORD_KIND

log = logs.get(__name__)

LASTING: Final = (*RECORD_KIND, *EVENT_KINDS, EPOCHS)
"""Topics whose offsets mean something to a worker, or whose records: in another topic of the name `epochs` the epoch
that it decides from is not announced."""

HUNG_AFTER_MS: Final = 5_000
"""A transaction that keeps the registry back for so long is named: those of a writer that is well last milliseconds."""

ABORT: Final = "find its producer (`kafka-transactions.sh find-hanging`) and end it (`kafka-transactions.sh abort`)"


def watched(cluster: ClusterDescription) -> ClusterDescription:
    """As much of it as a worker looks at: what it reads, and where it puts what became of events."""
    return replace(cluster, topics={name: cluster.topics[name] for name in (*LASTING, DECISIONS, DEAD_LETTER)})


class TopicWatch:
    """Watches for one worker; `logs_for_host` where it is the one of its host that logs for all."""

    def __init__(self, identity: ClusterIdentity, follower: Follower, *, logs_for_host: bool) -> None:
        self._identity = identity
        self._follower = follower
        self._logs_for_host = logs_for_host
        self._hung: tuple[str, ...] = ()

    async def begin(self) -> None:
        """Return when it is known that the topics are the same ones; waits for an answer. Raises `TopicsChanged`."""
        await self._identity.see_same()

    async def run(self) -> None:
        """Look as long as the worker runs. Raises `TopicsChanged`."""
        while True:
            await self._identity.look()
            self._note_hung()
            await asyncio.sleep(LOOK_EVERY_S)

    def stale_why(self) -> str:
        """What to do about a registry that is stale."""
        held_back = self._follower.held_back
        return f"a transaction is open in {', '.join(held_back)}: {ABORT}" if held_back else "look at the broker"

    def _note_hung(self) -> None:
        staleness = self._follower.staleness_ms(now_ms())
        stale = staleness is None or staleness > HUNG_AFTER_MS
        before, self._hung = self._hung, self._follower.held_back if stale else ()
        if self._hung and not before and self._logs_for_host:
            log.error(
                "hanging transaction in a registry topic: records after it cannot be read, and the registry "
                "becomes stale",
                partitions=self._hung,
                mend=ABORT,
            )
