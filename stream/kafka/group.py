"""Membership in a consumer group: offsets committed of what is ours, and changes of partitions that may fail."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TypeVar

from aiokafka.errors import CommitFailedError, IllegalStateError

from stream import logs
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition, ConsumerRebalanceListener

log = logs.get(__name__)

T = TypeVar("T")
At = TypeVar("At", int, tuple[int, str])
"""An offset, or one with what is committed beside it."""
Change = Callable[[set[AIOKafkaPartition]], Awaitable[None]]
"""Told of partitions that come or go; the group waits for it."""


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
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._failed), return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            return await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _hand_on(self, change: Change, places: set[AIOKafkaPartition]) -> None:
        if self._failed.done():
            return
        try:
            await change(places)
        except Exception as error:  # noqa: BLE001  # `guard` raises it: aiokafka would log it, and go on
            if not self._failed.done():
                self._failed.set_exception(error)
                self._failed.exception()  # whether or not anybody runs within `guard` now
