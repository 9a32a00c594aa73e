"""Whether what is under a process is still what it began with: its cluster, and its topics, by their ids.

A topic that was deleted and made anew has the same name and other records: offsets of the old one mean nothing in it,
and a client goes on reading at them without a word. So whoever keeps something by offsets asks here, as often as it
likes: a look is one small request.

Never: take silence for an answer. Where no broker answers, nothing is known, and `look` says so.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient

from stream.config import Config
from stream.kafka import clients
from stream.kafka.describe import ClusterDescription, identify

ANSWER_S_MAX: Final = 2.0
"""How long a look may take; who looks has other things to do."""


class TopicsChanged(Exception):
    """What was read no longer belongs to what is there: each change, one a line."""


def changes(known: ClusterDescription, now: ClusterDescription, *, lasting: Collection[str]) -> list[str]:
    """What makes another cluster of `now`, one sentence each; empty where only what may change has changed.

    Of the topics in `lasting` the ids count, of all that are in both the numbers of partitions. One that is gone is no
    change yet: what was read of it still stands.
    """
    if now.id != known.id:
        return [f"this is cluster {now.id}, where {known.id} was before"]
    found = []
    for name, before in known.topics.items():
        topic = now.topics.get(name)
        if topic is None:
            continue
        if name in lasting and topic.id != before.id:
            found.append(f"{name} was recreated (id {topic.id}, before {before.id})")
        if topic.partitions != before.partitions:
            found.append(f"{name} has {topic.partitions} partitions now, where it had {before.partitions}")
    return found


class ClusterIdentity:
    """Looks whether the cluster is still the known one. Create it on its loop; `stop` it in the end."""

    def __init__(self, config: Config, known: ClusterDescription, *, lasting: Collection[str]) -> None:
        """`known` has the topics to look at; of those in `lasting` the ids count."""
        self._config = config
        self._known = known
        self._lasting = lasting
        self._admin: AIOKafkaAdminClient | None = None
        self._one_at_a_time = asyncio.Lock()
        self.missing: tuple[str, ...] = ()
        """topics that were not there when last looked"""

    @property
    def marks(self) -> Mapping[str, str]:
        """Topic → what names it and no other topic of any cluster."""
        return {name: mark(self._known.id, topic.id) for name, topic in self._known.topics.items()}

    async def look(self, of: Collection[str] = ()) -> bool:
        """Whether it is, at a moment after this was called; False where no broker answers in time.

        With `of`, looks at these topics alone. Raises `TopicsChanged` where it is not.
        """
        names = tuple(of or self._known.topics)
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(ANSWER_S_MAX):
                    now = await self._ask(names)
            except (OSError, clients.KafkaError):  # a timeout is an OSError
                await self._forget()  # the next client finds its way by the configured address again
                return False
        if not of:
            self.missing = tuple(name for name in names if name not in now.topics)
        if found := changes(self._known, now, lasting=self._lasting):
            raise TopicsChanged("\n".join(found))
        return True

    async def stop(self) -> None:
        """Let go of the client."""
        await self._forget()

    async def _ask(self, names: tuple[str, ...]) -> ClusterDescription:
        if self._admin is None:
            admin = clients.admin(self._config)
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self._admin = admin
        return await identify(self._admin, names)

    async def _forget(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()


def mark(cluster: str, topic: str) -> str:
    """A topic's name for ever, by the ids of its cluster and its own; and the parts of one: `cluster/topic`."""
    return f"{cluster}/{topic}"
