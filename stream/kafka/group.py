"""Membership in a consumer group: kept while brokers fail, offsets committed of what is ours, and changes of partitions
that may fail.

A commit may name, beside the offset, the topic that it is of, by the ids of cluster and topic (`identity.mark`). Who
begins at an offset of another topic of this cluster begins at that topic's beginning instead: one that was deleted and
recreated has other records at the same offsets, and those before would be skipped. Offsets that name another cluster
were translated by whoever mirrors it, and those that name nothing are of before: both are taken as they are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import TypeVar

from aiokafka.errors import CommitFailedError, IllegalStateError

from stream import logs
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition, ConsumerRebalanceListener, KafkaError
from stream.kafka.closing import work_beside, work_until
from stream.kafka.identity import TopicsChanged
from stream.kafka.retry import Retry

log = logs.get(__name__)

T = TypeVar("T")
At = TypeVar("At", int, tuple[int, str])
"""An offset, or one with what is committed beside it."""
Change = Callable[[set[AIOKafkaPartition]], Awaitable[None]]
"""Called with the partitions that are assigned or revoked; the rebalance waits for it."""


async def stay_member(
    be_member: Callable[[], Coroutine[object, object, None]],
    *,
    until: asyncio.Event,
    renew: Callable[[], Coroutine[object, object, object]],
    serving: asyncio.Event,
    log: logs.Log,
) -> None:
    """Be a member until the event is set: while the broker fails, pause, and begin again by `be_member`.

    `renew` is awaited where topics were recreated. `be_member` sets `serving` once it got so far that what fails then
    is a new failure; it is cleared here whenever it is no member any more. Raises what else `be_member` does.
    """
    retry = Retry(log, "the broker fails; starting again")
    while not until.is_set():
        try:
            await be_member()
        except TopicsChanged:
            serving.clear()
            await work_until(until, renew(), within_s=0)
        except (KafkaError, OSError) as error:
            if serving.is_set():
                retry.begin_anew()
            serving.clear()
            await work_until(until, retry.after(error), within_s=0)


async def commit_owned(
    consumer: AIOKafkaConsumer, offsets: Mapping[AIOKafkaPartition, At], *, within_s: float | None = None
) -> dict[AIOKafkaPartition, At]:
    """Commit those of these offsets whose partitions are assigned to us now; returns those that are safe.

    Partitions that have gone to another member meanwhile are none of ours: it begins where we had committed before, and
    does again what we did, which harms nobody. A broker that does not answer is waited for, `within_s` seconds or for
    ever. Raises `KafkaError` for what no waiting mends, as a group that we may not commit to.
    """
    assigned = consumer.assignment()
    owned = {place: offset for place, offset in offsets.items() if place in assigned}
    if not owned:
        return {}
    try:
        async with asyncio.timeout(within_s):
            await consumer.commit(owned)
    except (CommitFailedError, IllegalStateError) as error:
        log.warning("commit refused: partitions went to another member", error=type(error).__name__)
    except TimeoutError:
        log.warning("offsets not committed in time; their records are processed again", bound_s=within_s)
    else:
        return owned
    return {}


async def committed(
    member: AIOKafkaConsumer, places: Collection[AIOKafkaPartition], marks: Mapping[str, str]
) -> dict[AIOKafkaPartition, int]:
    """Where the group stands in these partitions. `marks` has what names each topic (`identity.ClusterIdentity`).

    Left out are those without a commit, and, with a log line, those whose commit is of another topic of this cluster.
    Raises `KafkaError`.
    """
    # aiokafka's own `committed` leaves out what is committed beside the offset.
    found = await member._coordinator.fetch_committed_offsets(list(places))  # noqa: SLF001
    offsets: dict[AIOKafkaPartition, int] = {}
    for place, at in found.items():
        if not _is_of_another(marks[place.topic], at.metadata):
            offsets[place] = at.offset
            continue
        log.warning(
            "topic was recreated: committed offsets belong to the old one; starting at its beginning",
            topic=place.topic,
            partition=place.partition,
            committed=at.offset,
        )
    return offsets


def _is_of_another(mark: str, metadata: str) -> bool:
    cluster, of, _ = metadata.partition("/")
    return bool(of) and cluster == mark.partition("/")[0] and metadata != mark


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """Hands a group's changes on, and what fails in that to whoever runs within `guard`. Create it on its loop.

    After a failure no change is handed on: what should have been done for the one before is missing.
    """

    def __init__(self, *, revoked: Change, assigned: Change) -> None:
        self._revoked, self._assigned = revoked, assigned
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_partitions_revoked(self, revoked: set[AIOKafkaPartition]) -> None:
        """Partitions go (aiokafka calls this, at the first assignment with none)."""
        await self._hand_on(self._revoked, revoked)

    async def on_partitions_assigned(self, assigned: set[AIOKafkaPartition]) -> None:
        """Partitions are ours now (aiokafka calls this before it fetches anything of them)."""
        await self._hand_on(self._assigned, assigned)

    async def guard(self, work: Coroutine[object, object, T]) -> T:
        """Do this work, and where a change of partitions fails, end it and raise that."""
        return await work_beside(work, self._watch())

    async def _watch(self) -> None:
        await asyncio.shield(self._failed)

    async def _hand_on(self, change: Change, places: set[AIOKafkaPartition]) -> None:
        if self._failed.done():
            return
        try:
            await change(places)
        except Exception as error:  # noqa: BLE001  # `guard` raises it: aiokafka would log it, and go on
            if not self._failed.done():
                self._failed.set_exception(error)
                self._failed.exception()  # whether or not anybody runs within `guard` now
