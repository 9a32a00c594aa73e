"""Whether what is under a process is still what it began with: its cluster, and its topics, by their ids.

A topic that was deleted and recreated has the same name and other records: offsets of the old one mean nothing in it,
and a client goes on reading at them without a word. So whoever keeps something by offsets asks here, as often as it
likes: a look is one small request.

One that is gone makes its process not ready and ends nothing. One that is another ends the work that rests on the old
one (`TopicsChanged`); whose work it is starts again once the topics are right (`right_topics`), or says why it cannot.

Never: take silence for an answer. Where no broker answers, nothing is known, and `look` says so.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient

from stream import logs
from stream.config import Config
from stream.kafka import clients, topics
from stream.kafka.closing import work_beside
from stream.kafka.describe import ClusterDescription, describe_topics, identify

log = logs.get(__name__)

T = TypeVar("T")

LOOK_EVERY_S: Final = 1.0
ANSWER_S_MAX: Final = 2.0
"""How long a look may take; who looks has other things to do."""

CREATE: Final = "run `wurao topics create`, or let this user describe them"


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


async def right_topics(
    config: Config, before: ClusterDescription, *, lasting: Collection[str], note: Callable[[str | None], None]
) -> ClusterDescription:
    """The cluster with the topics of `before`, when they are as they must be; waits for that.

    `note` is called with the reason while it waits. What changed since `before` and what is to be mended is logged:
    once, and again when it has changed.
    """
    names = tuple(before.topics)
    logged: list[str] = []
    while True:
        try:
            cluster = await describe_topics(config, names)
        except (OSError, clients.KafkaError) as error:
            note(f"no broker answers: {error}")
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        found = changes(before, cluster, lasting=lasting)
        wrong = list(filter(topics.breaks_guarantees, topics.differences(cluster, config.topics, names)))
        if [*found, *wrong] != logged:
            logged = [*found, *wrong]
            log.error(
                "topics were recreated, or another cluster answers: nothing is processed until they have been read "
                "again",
                changed=found,
                mend=wrong or "none needed: it starts again by itself",
            )
        if not wrong:
            note(None)
            return cluster
        note("; ".join(wrong))
        await asyncio.sleep(LOOK_EVERY_S)


class ClusterIdentity:
    """Looks whether the cluster is still the known one. Create it on its loop; `stop` it in the end."""

    def __init__(
        self, config: Config, known: ClusterDescription, *, lasting: Collection[str], logs_missing: bool = True
    ) -> None:
        """`known` has the topics to look at; of those in `lasting` the ids count. `logs_missing`: it logs them where
        they are gone.
        """
        self._config = config
        self._known = known
        self._lasting = lasting
        self._logs_missing = logs_missing
        self._admin: AIOKafkaAdminClient | None = None
        self._one_at_a_time = asyncio.Lock()
        self._wrong: str | None = None
        """why `renew` waits"""
        self.missing: tuple[str, ...] = ()
        """topics that were not there when last looked"""
        self.seen = known
        """what was there when last looked, of what was looked at"""

    @property
    def known(self) -> ClusterDescription:
        """What it compares with."""
        return self._known

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
                await self._drop_client()  # the next client finds its way by the configured address again
                return False
        self.seen = now
        if not of:
            self._note_missing(tuple(name for name in names if name not in now.topics))
        if found := changes(self._known, now, lasting=self._lasting):
            raise TopicsChanged("\n".join(found))
        return True

    async def see_same(self) -> None:
        """Return when it is known that it is, as of a moment after this was called; waits for an answer.

        Raises `TopicsChanged` where it is not.
        """
        while not await self.look():  # noqa: ASYNC110  # nothing tells when a broker answers again
            await asyncio.sleep(LOOK_EVERY_S)

    def not_ready(self) -> str | None:
        """Which topics are gone or wrong, with the mend, or None."""
        if self._wrong is not None:
            return self._wrong
        return f"{', '.join(self.missing)}: not there; {CREATE}" if self.missing else None

    async def watch(self) -> None:
        """Look every second, for ever. Raises `TopicsChanged`."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def guard(self, work: Coroutine[object, object, T]) -> T:
        """Do this work while the topics are the known ones; where they are others, end it. Raises `TopicsChanged`."""
        return await work_beside(work, self.watch())

    async def renew(self) -> ClusterDescription:
        """Know the topics as they are from now on, when they are right. Waits for that; `not_ready` says why."""
        self._known = await right_topics(self._config, self._known, lasting=self._lasting, note=self._note_wrong)
        self.missing = ()
        return self._known

    async def stop(self) -> None:
        """Let go of the client."""
        await self._drop_client()

    def _note_wrong(self, wrong: str | None) -> None:
        self._wrong = wrong

    def _note_missing(self, missing: tuple[str, ...]) -> None:
        before, self.missing = self.missing, missing
        if missing == before or not self._logs_missing:
            return
        if missing:
            log.error("topics are missing: what needs them waits, all else goes on", topics=missing, mend=CREATE)
        else:
            log.info("missing topics are back", topics=before)

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

    async def _drop_client(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()


def mark(cluster: str, topic: str) -> str:
    """A topic's name for ever, by the ids of its cluster and its own; and the parts of one: `cluster/topic`."""
    return f"{cluster}/{topic}"
