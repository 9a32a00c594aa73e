"""Which partitions a worker of partitioned mode holds: loaded before an event of theirs is decided, dropped when lost.

One member of one group speaks for both lanes. The bulk lane's consumer subscribes to the urgent topics as well, keeps
them paused, and commits for both; the urgent lane has a consumer outside any group, to which the same partition
numbers are assigned by hand. So the two cannot disagree about what the worker needs (docs/decisions/0011).

A rebalance: both lanes shut, and what they hold is acknowledged and committed. Then, with the new assignment: what is
lost is dropped, the urgent lane is set to what is committed, partitions that were held before open at once, and those
gained open one by one as they are loaded; the others do not wait for them. What may block: reading a snapshot does not,
nor making the native module's form of it (threads do it), and the follower gives the loop away between polls.

Never: open a partition whose wills are not applied up to the end that its topic had after the assignment; otherwise
somebody who had refused could be sent to.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.abc import ConsumerRebalanceListener

from bloom.base import Base
from bloom.bitmaps import Wills
from stream import logs
from stream.config import Config
from stream.deciding.native_batch import NativeFailed
from stream.feed import partition_snapshots
from stream.feed.follower import Follower
from stream.filter import malloc
from stream.filter.lane import Lane
from stream.kafka.describe import ClusterDescription
from stream.metrics import FilterMetrics
from stream.model.topics import EVENTS_URGENT, TopicPartition

log = logs.get(__name__)

URGENT: Final = (EVENTS_URGENT,)

FOLD_LOOK_EVERY_S: Final = 1.0
"""Between two looks at how much has changed in the native module: some hundred thousand records, at most."""

GIVE_BACK_AFTER_S: Final = 3.0
"""After the last partition is loaded: most of what was lost is taken out by then, too."""


class PartitionAssignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """One worker's partitions. `start`, then `run` beside the lanes and the follower, on their loop."""

    def __init__(
        self,
        config: Config,
        *,
        cluster: ClusterDescription,
        follower: Follower,
        urgent: Lane,
        bulk: Lane,
        metrics: FilterMetrics,
        settled: Callable[[], None],
    ) -> None:
        self._config = config
        self._cluster = cluster
        self._follower = follower
        held = follower.registry.held
        self._based = held.based if held is not None else None
        """what is held, in the native module, where the worker takes that path"""
        self._urgent = urgent
        self._bulk = bulk
        self._metrics = metrics
        self._settled: Callable[[], None] | None = settled
        self._assigned: frozenset[int] = frozenset()
        self._given_places: list[TopicPartition] = []
        """the same, with the topics"""
        self._given = time.monotonic()
        """when the assignment came"""
        self._held: dict[int, asyncio.Future[None]] = {}
        """partition → done when it is loaded"""
        self._arranged = False
        """whether lanes stand as the newest assignment wants; between two assignments nothing is opened"""
        self._turn = 0
        """counts revocations and assignments: what was begun before one is not finished after it"""
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Join the group. Nothing is taken before `run`."""
        await self._urgent.start_by_hand()
        await self._bulk.start(listener=self, also=URGENT)

    @property
    def waiting_count(self) -> int:
        """Partitions that this worker was given and does not decide yet."""
        loaded = sum(self._held[partition].done() for partition in self._assigned & self._held.keys())
        return len(self._assigned) - loaded

    async def on_partitions_revoked(self, revoked: set[AIOKafkaPartition]) -> None:
        """Shut both lanes; let what they hold be committed before another worker takes over (aiokafka calls this)."""
        self._turn += 1
        self._arranged = False
        for lane in (self._urgent, self._bulk):
            lane.shut()
        await asyncio.gather(self._urgent.settle("revoked"), self._bulk.settle("revoked"))
        if revoked:
            log.info("partitions revoked", partitions_count=len({place.partition for place in revoked}))

    async def on_partitions_assigned(self, assigned: set[AIOKafkaPartition]) -> None:
        """Note what this worker has now (aiokafka calls this, before it fetches anything)."""
        self._turn += 1
        self._arranged = False
        self._bulk.shut()
        self._given_places = [TopicPartition(*place) for place in assigned]
        self._assigned = frozenset(place.partition for place in assigned)
        self._given = time.monotonic()
        self._changed.set()

    async def run(self) -> None:
        """Follow assignments as long as the worker runs. Raises what makes that impossible."""
        await asyncio.gather(self._follow_assignments(), self._fold())

    async def _follow_assignments(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._arrange()

    async def _arrange(self) -> None:
        """Let go of what is lost, open what is held, load what is gained; leave it when a newer assignment comes."""
        turn = self._turn
        lost = self._held.keys() - self._assigned
        for partition in lost:
            del self._held[partition]
            self._follower.drop(partition)
        self._assign_urgent()
        urgent, bulk = self._urgent.offsets, self._bulk.offsets
        await asyncio.gather(urgent.begin(self._urgent_places), bulk.begin(self._given_places))
        if turn != self._turn:
            return
        self._arranged = True
        gained = sorted(self._assigned - self._held.keys())
        log.info(
            "partitions assigned",
            partitions=sorted(self._assigned),
            gained_count=len(gained),
            lost_count=len(lost),
        )
        for partition, loaded in self._held.items():
            if loaded.done():
                self._open(partition)
        self._see_whether_settled()
        for partition in gained:
            part = await asyncio.to_thread(
                partition_snapshots.newest_good, self._config, self._cluster, partition, partition_snapshots.log_unused
            )
            base = await self._base_of(part.wills)
            if turn != self._turn:
                return
            loaded = self._held[partition] = self._follower.take(partition, part.wills, part.next_offset, base=base)
            loaded.add_done_callback(partial(self._loaded, partition, part, self._given))

    async def _base_of(self, wills: Wills) -> Base | None:
        """The wills in the native module's form, where the worker takes the native path: a thread makes it."""
        if self._based is None:
            return None
        return await native_base(partial(Base.of, wills, places=self._based.places(wills)))

    async def _fold(self) -> None:
        """Fold what the native module holds into one base, when it has changed enough; a thread makes it."""
        while self._based is not None:
            await asyncio.sleep(FOLD_LOOK_EVERY_S)
            folding = self._based.begin_fold(settled=self._arranged and not self.waiting_count)
            if folding is not None:
                began = time.monotonic()
                base = await native_base(folding.base)
                self._based.end_fold(folding, base)
                seconds = round(time.monotonic() - began, 3)
                log.info("native base renewed", numbers_count=base.numbers_count, seconds=seconds)

    @property
    def _urgent_places(self) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic in URGENT for partition in sorted(self._assigned)]

    def _assign_urgent(self) -> None:
        consumer, places = self._urgent.consumer, self._urgent_places
        if not places and not consumer.assignment():
            return
        consumer.assign([AIOKafkaPartition(*place) for place in places])
        self._urgent.shut()

    def _loaded(
        self, partition: int, part: partition_snapshots.Part, given: float, loaded: asyncio.Future[None]
    ) -> None:
        if loaded.cancelled():
            return
        pause_s = time.monotonic() - given
        self._metrics.partition_pause.set(pause_s)
        log.info("partition loaded", partition=partition, from_snapshot=part.from_snapshot, pause_s=round(pause_s, 3))
        if self._arranged and partition in self._assigned:
            self._open(partition)
        self._see_whether_settled()

    def _open(self, partition: int) -> None:
        for lane in (self._urgent, self._bulk):
            lane.open(partition)

    def _see_whether_settled(self) -> None:
        self._metrics.partitions_held.set(len(self._held))
        self._metrics.partitions_loading.set(self.waiting_count)
        if not self._arranged or self.waiting_count:
            return
        asyncio.get_running_loop().call_later(GIVE_BACK_AFTER_S, malloc.give_back)
        if self._settled is not None:
            settled, self._settled = self._settled, None
            settled()


async def native_base(make: Callable[[], Base]) -> Base:
    """What a thread makes. Raises `NativeFailed` for whatever the module raises: its worker goes on without."""
    try:
        return await asyncio.to_thread(make)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # a panic in Rust is no `Exception`
        raise NativeFailed(f"a base could not be made: {error!r}") from error
