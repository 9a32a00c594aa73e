"""`wurao registrar`: a member of a consumer group, and a `Partition` for each partition that it has.

The same partition numbers of both lanes go to one member (`assignor.SamePartitions`). A partition that comes back after
a rebalance begins anew; its store is there. One whose store is being built holds up no other.

Must never answer for a partition that the group gave to another: each transaction is fenced by the partition's
transactional id (see `partition`).
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

import rocksdict
from aiokafka.errors import OffsetOutOfRangeError

from stream import logs
from stream.config import Config
from stream.kafka import clients
from stream.kafka.assignor import SamePartitions
from stream.kafka.brokers import Brokers
from stream.kafka.clients import GOODBYE_S_MAX, AIOKafkaPartition, ConsumerRecord
from stream.kafka.closing import close_within, work_beside, work_until
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.group import RebalanceListener, stay_member
from stream.kafka.identity import ClusterIdentity
from stream.kafka.offsets import Offsets
from stream.kafka.reach import reach
from stream.metrics import RegistrarMetrics
from stream.model.topics import ANSWERS, BULK, DEAD_LETTER, EXPRESSIONS, REQUESTS
from stream.policy.settings import Policy
from stream.registrar.lanes import LANE_OF, Turns
from stream.registrar.opened import NAME
from stream.registrar.others import OTHERS, OtherRecords
from stream.registrar.partition import Partition
from stream.registrar.surroundings import Surroundings

log = logs.get(__name__)

LASTING: Final = (REQUESTS, BULK, ANSWERS, EXPRESSIONS, *OTHERS)
"""Topics of whose offsets something is kept."""

FETCH_WAIT_MS: Final = 200
FETCH_RECORDS_MAX: Final = 1_000


class Registrar:
    """One instance. Create it on its loop; `run` returns once `stop` was called and all is committed."""

    def __init__(self, config: Config, policy: Policy, *, verify_all: bool = False) -> None:
        """With `verify_all`, stores are compared with the whole of their topics before they serve."""
        self.metrics = RegistrarMetrics()
        self._config = config
        self._policy = policy
        self._verify_all = verify_all
        self._brokers = Brokers(config, client=NAME)
        self._letters = DeadLetterWriter(config, client=NAME)
        self._cache = rocksdict.Cache(config.registrar.cache_mib << 20)
        self._turns = Turns()
        self._identity: ClusterIdentity | None = None
        """None until a broker has answered"""
        self._partitions: dict[int, Partition] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._around: Surroundings | None = None
        self._member = asyncio.Event()
        """set while the group has assigned partitions, if only none"""
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        """set when tasks came: whoever watches them looks again"""
        self.metrics.ready.set_function(lambda: self.not_ready() is None)

    def stop(self) -> None:
        """Ask it to finish the transactions in hand and end."""
        self._stopping.set()

    def not_ready(self) -> str | None:
        """Why some requests are not answered now, or None. An instance without partitions is ready to take some."""
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if self._identity is None:
            return "no broker has answered yet"
        if (wrong := self._identity.not_ready()) is not None:
            return wrong
        if not self._member.is_set():
            return "a rebalance is under way"
        whys = [partition.not_ready for partition in self._partitions.values() if partition.not_ready is not None]
        return "; ".join(whys) or None

    async def run(self) -> None:
        """Serve until `stop`; while the broker fails, wait and begin again.

        Raises `CannotStart` for what needs an operator.
        """
        try:
            async with self._brokers:
                await work_until(self._stopping, self._reach(), within_s=0)
                await self._keep_serving()
        finally:
            await self._letters.stop()
            if self._identity is not None:
                await self._identity.stop()

    async def _reach(self) -> None:
        cluster = await reach(self._config, (*LASTING, DEAD_LETTER))
        self._identity = ClusterIdentity(self._config, cluster, lasting=LASTING)

    async def _keep_serving(self) -> None:
        identity = self._identity
        if identity is None:
            return  # asked to end before a broker answered
        await stay_member(
            partial(self._be_member, identity),
            until=self._stopping,
            renew=identity.renew,
            serving=self._member,
            log=log,
        )

    async def _be_member(self, identity: ClusterIdentity) -> None:
        """Be a member of the group until `stop`; at the end let transactions be committed, within a bound."""
        consumer = clients.group_consumer(
            self._config,
            group=self._config.registrar.group,
            client=NAME,
            instance=None,
            assignor=SamePartitions(),
        )
        watermarks = clients.follower(self._config, client=f"{NAME}-ends", committed=False)
        others = OtherRecords(self._config, client=NAME, watermarks=watermarks)
        self._around = Surroundings(
            config=self._config,
            policy=self._policy,
            consumer=consumer,
            offsets=Offsets(consumer, member=consumer, marks=identity.marks, lost=self._count_lost, of="requests"),
            watermarks=watermarks,
            others=others,
            letters=self._letters,
            turns=self._turns,
            metrics=self.metrics,
            cache=self._cache,
            topics=" ".join(identity.marks[topic] for topic in (EXPRESSIONS, ANSWERS)),
            verify_all=self._verify_all,
        )
        listener = RebalanceListener(revoked=self._revoked, assigned=self._assigned)

        async def serve() -> None:
            await watermarks.start()
            await others.start()
            consumer.subscribe([REQUESTS, BULK], listener=listener)
            await consumer.start()
            await work_beside(work_beside(self._fetch(consumer), others.follow()), self._watch_partitions())

        try:
            await work_until(self._stopping, listener.guard(identity.guard(serve())))
        finally:
            try:
                await self._end_partitions()
            finally:
                await close_within(consumer, others, watermarks)

    # ---- partitions

    async def _assigned(self, assigned: Collection[AIOKafkaPartition]) -> None:
        """Begin with each; nothing is fetched of it until it is ready."""
        assert self._around is not None, "it is a member"
        self._around.consumer.pause(*assigned)
        for number in sorted({place.partition for place in assigned}):
            partition = self._partitions[number] = Partition(number, self._around)
            self._tasks[number] = asyncio.create_task(partition.run())
        self._changed.set()
        self._member.set()
        self.metrics.partitions.set(len(self._partitions))
        log.info("partitions assigned", partitions_count=len(self._partitions))

    async def _revoked(self, revoked: Collection[AIOKafkaPartition]) -> None:
        """Let transactions in hand be committed, and leave the partitions."""
        self._member.clear()
        await self._end_partitions()
        if revoked:
            log.info("partitions revoked", partitions_count=len({place.partition for place in revoked}))

    async def _end_partitions(self) -> None:
        tasks = list(self._tasks.values())
        for number, partition in self._partitions.items():
            partition.stop()
            if partition.not_ready is not None and number in self._tasks:
                self._tasks[number].cancel()  # it has nothing in hand
        if tasks:
            await asyncio.wait(tasks, timeout=GOODBYE_S_MAX)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for partition in self._partitions.values():
            partition.waiting.clear()
        self._tasks.clear()
        self._partitions.clear()

    async def _watch_partitions(self) -> None:
        """For ever; raises what ended a partition, which is a bug."""
        while True:
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({changed, *self._tasks.values()}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()
            for number, task in list(self._tasks.items()):
                if task.done() and not task.cancelled():
                    task.result()
                    self._tasks.pop(number, None)

    # ---- requests

    async def _fetch(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Fetch requests until `stop`, of partitions that have room for more."""
        while not self._stopping.is_set():
            tokens = {number: partition.token for number, partition in self._partitions.items()}
            try:
                fetched = await consumer.getmany(timeout_ms=FETCH_WAIT_MS, max_records=FETCH_RECORDS_MAX)
            except OffsetOutOfRangeError as error:
                assert self._around is not None, "it is a member"
                await self._around.offsets.pass_over(error)
                continue
            self._hand_on(consumer, fetched, tokens)
            self._pause_full(consumer)
            await asyncio.sleep(0)

    def _hand_on(
        self,
        consumer: clients.AIOKafkaConsumer,
        fetched: Mapping[AIOKafkaPartition, Sequence[ConsumerRecord]],
        tokens: Mapping[int, object],
    ) -> None:
        for place, records in fetched.items():
            partition, lane = self._partitions.get(place.partition), LANE_OF[place.topic]
            if partition is None:
                continue
            next_offset = partition.waiting.next_offsets.get(lane)
            if next_offset is None:
                continue  # it has begun anew, and will seek to the committed offset
            if tokens.get(place.partition) is partition.token:
                partition.waiting.put(lane, records)
            elif place in consumer.assignment():
                consumer.seek(place, next_offset)  # it did so while this was fetched

    def _pause_full(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Pause lanes that have enough, and go on with those that have room again."""
        assigned, paused = consumer.assignment(), consumer.paused()
        for number, partition in self._partitions.items():
            for topic, lane in LANE_OF.items():
                place = AIOKafkaPartition(topic, number)
                if place not in assigned or partition.not_ready is not None:
                    continue
                if partition.waiting.is_full(lane):
                    consumer.pause(place)
                elif place in paused:
                    consumer.resume(place)

    def _count_lost(self, topic: str, count: int) -> None:
        self.metrics.lost.labels(topic).inc(count)
