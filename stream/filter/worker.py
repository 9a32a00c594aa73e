"""One filter worker: its life from an inherited registry to the last commit.

Start: producer, follower; read the registry topics up to their ends; only then join the groups and take events.
Run: three tasks on one loop, the registry's follower and two lanes. Each changes or uses the registry without an await
in between, so a batch is decided on one state, which the worker identifies by an epoch.
End: on `stop`, lanes finish what they hold, commit and leave; on a failure the worker raises it, and its supervisor
starts another.
"""

import asyncio
import gc
import secrets
import socket
import sys
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Final

from bloom.snapshot import SnapshotMeta
from stream import logs, tracing
from stream.clock import now_ms
from stream.config import Config, ConfigError
from stream.deciding.batch_decider import BatchDecider, RegistrySource
from stream.deciding.native_batch import MakeNative
from stream.feed.expression_reader import native_reader
from stream.feed.follower import Applied, Follower
from stream.filter import gauges
from stream.filter.activity_publisher import ActivityPublisher
from stream.filter.delivery import letter_of, send
from stream.filter.lane import Lane, LaneSettings
from stream.filter.lane_decider import LaneDecider
from stream.filter.partition_assignment import URGENT, PartitionAssignment
from stream.filter.topic_watch import LASTING, TopicWatch, watched
from stream.health import Health
from stream.kafka import clients
from stream.kafka.assignor import SamePartitions
from stream.kafka.brokers import Brokers
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaProducer, RoundRobinPartitionAssignor
from stream.kafka.closing import close_within
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.describe import ClusterDescription
from stream.kafka.identity import ClusterIdentity, TopicsChanged
from stream.kafka.reach import until_answered
from stream.kafka.seams.membership import InstanceTaken
from stream.metrics import FilterMetrics
from stream.model.topics import (
    DEAD_LETTER,
    DECISIONS,
    EPOCHS,
    EVENTS_CALL,
    EVENTS_REPLY,
    EVENTS_SMS,
    EXPRESSIONS,
    RECORD_KIND,
)
from stream.policy.settings import Policy
from stream.policy.toml import PolicyError
from stream.registry.decoding import BadRecord
from stream.registry.registry import Registry

log = logs.get(__name__)

BULK: Final = (EVENTS_SMS, EVENTS_CALL, EVENTS_REPLY)

FOLLOW_WAIT_MS: Final = 100
COLLECT_AFTER_ALLOCATIONS: Final = 50_000
"""A batch leaves no cycles behind, but thousands of objects that live for its length: the collector's usual threshold
of 700 would walk them every hundred events."""

INTERPRETER_HELD_S_MAX: Final = 0.001
"""How long the thread that counts activity may keep the interpreter from the loop; Python's own 5 ms are a batch."""

READY_LOOK_EVERY_S: Final = 0.25

ANNOUNCE_EVERY_S: Final = 0.25

SETTLE_S_MAX: Final = 2.0
"""How long a worker whose topics were recreated waits for acknowledgements before it ends."""


class Worker:
    """One worker. `index` counts from 1 on its host; `run` returns when `stop` was asked for and all is settled."""

    def __init__(
        self,
        config: Config,
        *,
        index: int,
        policy: Policy,
        registry: Registry,
        meta: SnapshotMeta,
        cluster: ClusterDescription,
        native: MakeNative | None = None,
    ) -> None:
        """`cluster` describes the topics when the supervisor started: the worker ends when they are recreated."""
        self._config = config
        self._index = index
        self._name = f"wurao-filter-{index}"
        self._meta = meta
        self._cluster = cluster
        self._metrics = FilterMetrics()
        self._run = secrets.token_urlsafe(4)
        self._began_ms = now_ms()
        self._ready = False
        self._stop = asyncio.Event()
        self._throttle: defaultdict[str, logs.Throttle] = defaultdict(logs.Throttle)
        """message → its own limit, so that one fault does not silence another"""
        self._brokers = Brokers(config, client=self._name)
        self._producer = clients.producer(config, client=self._name)
        self._letters = DeadLetterWriter(config, client=self._name)
        self._identity = ClusterIdentity(config, watched(cluster), lasting=LASTING, logs_missing=index == 1)
        self._follower = Follower(
            clients.follower(config, client=f"{self._name}-registry"),
            registry,
            partitions=config.topics.partitions,
            poll_records_max=config.registry.poll_records_max,
            ends_every_ms=config.registry.ends_every_ms,
            reader=native_reader(config),
            watermarks=clients.follower(config, client=f"{self._name}-ends", committed=False),
            vouch=self._identity.look,
        )
        self._topics = TopicWatch(self._identity, self._follower, logs_for_host=index == 1)
        self._lanes: list[Lane] = []
        self._holding: PartitionAssignment | None = None
        self._bad: list[BadRecord] = []
        self._batches = BatchDecider(
            policy,
            registry,
            progress=self._follower,
            source=RegistrySource(self._run, meta.cluster, {topic: cluster.topics[topic].id for topic in RECORD_KIND}),
            partitions=config.topics.partitions,
            make_native=native,
        )
        self._decider = LaneDecider(self._batches, self._metrics, worker=index)
        self._publisher = ActivityPublisher(
            self._batches.activity,
            self._producer,
            partitions=config.topics.partitions,
            floor=lambda: self._batches.policy.file.warning.unowned_events_min,
        )
        self._metrics.in_flight.set_function(lambda: sum(lane.delivery.in_flight for lane in self._lanes))

    def stop(self) -> None:
        """Ask the worker to finish what it holds and end."""
        self._stop.set()

    def adopt(self, policy: Policy) -> None:
        """Decide by another policy from the next batch on; its epochs and decisions say so. Not within a batch."""
        self._decider.adopt(policy)

    def refuse(self, problem: PolicyError | ConfigError) -> None:
        """Stay with the policy in force: the file that was to take its place cannot be used."""
        self._metrics.policy_refused.set(1)
        log.warning("policy refused; the current one stays in use", worker=self._index, problem=str(problem))

    def not_ready(self) -> str | None:
        """Why the worker does not decide now, or None."""
        if not self._ready:
            return "the registry is not loaded yet"
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if self._holding is not None and (waiting_count := self._holding.waiting_count):
            return f"{waiting_count} partitions are loading"
        if (missing := self._identity.not_ready()) is not None:
            return missing
        staleness = self._follower.staleness_ms(now_ms())
        if self._batches.is_stale(staleness):
            limit = self._batches.policy.staleness_limit_ms
            age = "not known yet" if staleness is None else f"{staleness} ms"
            return f"the registry is stale: {age}, the policy's limit is {limit} ms; {self._topics.stale_why()}"
        return None

    async def run(self, report_ready: Callable[[bool], None]) -> None:
        """The worker's life. Raises what made it impossible to go on.

        `report_ready` is called when it takes events, and each time that it is ready no more or again.
        """
        port = self._config.metrics.port
        health = Health(
            host=self._config.metrics.host,
            port=port + self._index if port else 0,
            setting="metrics.port",
            http=self._config.http,
            metrics=self._metrics.registry,
            not_ready=self.not_ready,
        )
        address = await health.start()
        self._decider.tracer = tracing.start(
            self._config.trace, service="wurao-filter", instance=f"{socket.gethostname()}-{self._index}"
        )
        try:
            async with self._brokers:
                if await self._unless_stopped(self._begin(address, report_ready)):
                    await self._work(report_ready)
        finally:
            await self._leave(health)

    async def _unless_stopped(self, beginning: Coroutine[object, object, None]) -> bool:
        """Begin, which may wait for a broker as long as it takes. False where the end was asked for before."""
        began = asyncio.create_task(beginning)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({began, stop}, return_when=asyncio.FIRST_COMPLETED)
            if began.done():
                began.result()
            return began.done()
        finally:
            for task in (began, stop):
                task.cancel()
            await asyncio.gather(began, stop, return_exceptions=True)

    async def _begin(self, address: str, report_ready: Callable[[bool], None]) -> None:
        """Read the registry up to its ends, and only then join the groups."""
        await until_answered(self._producer.start)
        for topic in (DECISIONS, DEAD_LETTER, EPOCHS, EXPRESSIONS):
            await until_answered(self._producer.partitions_for, topic)  # not when the first event waits for it
        await self._follower.start(self._meta.topics)
        await self._follower.catch_up(self._note_catching_up)
        await self._topics.begin()  # where nothing was left to read nobody has looked yet
        await self._send_bad()
        _rest_collector()
        sys.setswitchinterval(INTERPRETER_HELD_S_MAX)
        path = "native" if self._batches.is_native else "python"
        self._metrics.native_info.labels(path).set(1)
        log.info("registry loaded", worker=self._index, endpoint=address, epoch_run=self._run, path=path)
        await self._join(report_ready)

    async def _join(self, report_ready: Callable[[bool], None]) -> None:
        """Join the groups. `report_ready` is called when the first events may be decided."""

        def ready() -> None:
            self._ready = True
            gauges.show_registry(self._metrics, self._batches.registry)
            self._metrics.ready.set(self.not_ready() is None)
            report_ready(True)

        if self._config.registry.mode == "partitioned":
            await self._join_partitioned(ready)
            return
        urgent = self._lane("urgent", URGENT, after=None, consumer=self._consumer("urgent"))
        self._lanes = [urgent, self._lane("bulk", BULK, after=urgent, consumer=self._consumer("bulk"))]
        await asyncio.gather(*(lane.start() for lane in self._lanes))
        ready()

    async def _join_partitioned(self, ready: Callable[[], None]) -> None:
        """Join one group for both lanes, and hold no more than what it gives (`partition_assignment`)."""
        member = self._consumer("bulk", assignor=SamePartitions(room=self._config.registry.partitions_max))
        by_hand = clients.group_consumer(
            self._config, group=None, client=f"{self._name}-urgent", instance=None, offset_reset="none"
        )
        urgent = self._lane("urgent", URGENT, after=None, consumer=by_hand, member=member)
        bulk = self._lane("bulk", BULK, after=urgent, consumer=member)
        self._lanes = [urgent, bulk]
        self._holding = PartitionAssignment(
            self._config,
            cluster=self._cluster,
            follower=self._follower,
            urgent=urgent,
            bulk=bulk,
            metrics=self._metrics,
            settled=ready,
        )
        await self._holding.start()

    def _consumer(
        self, lane: str, *, assignor: SamePartitions | type[RoundRobinPartitionAssignor] = RoundRobinPartitionAssignor
    ) -> AIOKafkaConsumer:
        config = self._config.filter
        return clients.group_consumer(
            self._config,
            group=f"{config.group}.{lane}",
            client=f"{self._name}-{lane}",
            instance=f"{config.instance}-{self._index}" if config.instance else None,
            assignor=assignor,
            offset_reset="none",  # the lane seeks: it knows what an offset is of, and counts what is passed over
        )

    def _lane(
        self,
        name: str,
        topics: Sequence[str],
        *,
        after: Lane | None,
        consumer: AIOKafkaConsumer,
        member: AIOKafkaConsumer | None = None,
    ) -> Lane:
        return Lane(
            LaneSettings.of(self._config.filter, name, topics, is_raw=self._batches.is_native),
            consumer=consumer,
            producer=self._producer,
            letters=self._letters,
            decider=self._decider,
            after=after,
            marks=self._identity.marks,
            lost=self._note_lost,
            member=member,
            transactional=self._transactional if self._config.filter.delivery == "exactly-once" else None,
        )

    def _transactional(self, transactional_id: str) -> AIOKafkaProducer:
        return clients.producer(self._config, client=f"{self._name}-transactions", transactional_id=transactional_id)

    async def _work(self, report_ready: Callable[[bool], None]) -> None:
        """Run until asked to stop or until one task fails."""
        stop = asyncio.create_task(self._stop.wait())
        jobs: list[Coroutine[object, object, object]] = [lane.run() for lane in self._lanes]
        jobs += [lane.until_failure() for lane in self._lanes]
        if self._holding is not None:
            jobs.append(self._holding.run())
        tasks = [
            asyncio.create_task(job)
            for job in (
                *jobs,
                self._follow(),
                self._topics.run(),
                self._announce_changes(),
                self._watch_readiness(report_ready),
                gauges.keep_loop_lag_shown(self._metrics),
                gauges.keep_registry_shown(self._metrics, self._batches.registry),
                self._publisher.run(),
            )
        ]
        try:
            done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            try:
                for ended in done - {stop}:
                    ended.result()  # raises its exception
            except clients.KafkaError as error:
                if not isinstance(error, InstanceTaken):  # its new owner may have fenced us before we learned of it
                    await asyncio.gather(*(lane.see_instance() for lane in self._lanes))
                raise
            await asyncio.gather(*(lane.stop() for lane in self._lanes))
            await self._publisher.finish()
        except TopicsChanged:
            with suppress(Exception):  # it ends anyway; what is not committed is decided again
                async with asyncio.timeout(SETTLE_S_MAX):
                    await asyncio.gather(*(lane.stop() for lane in self._lanes))
            raise
        finally:
            for task in (stop, *tasks):
                task.cancel()
            await asyncio.gather(stop, *tasks, return_exceptions=True)

    async def _leave(self, health: Health) -> None:
        """Close every client, each within a bound, so that a hanging broker cannot keep the worker."""
        self._ready = False
        await close_within(
            *(lane.consumer for lane in self._lanes), self._follower, self._producer, self._letters, self._identity
        )
        await close_within(health)
        if self._decider.tracer is not None:
            await asyncio.to_thread(self._decider.tracer.stop)

    async def _follow(self) -> None:
        """Apply what the registry topics bring, as long as the worker runs."""
        while True:
            applied = await self._follower.poll(wait_ms=FOLLOW_WAIT_MS)
            self._note(applied)
            now = now_ms()
            staleness = self._follower.staleness_ms(now)
            # Not fresh yet, by a transaction that hangs: as old, at least, as this worker.
            self._metrics.staleness.set((now - self._began_ms if staleness is None else staleness) / 1000)
            await self._send_bad()
            await asyncio.sleep(0)  # `getmany` returns at once while there is more: let the lanes have their turn

    def _note_lost(self, topic: str, count: int) -> None:
        self._metrics.lost.labels(topic).inc(count)

    def _note(self, applied: Applied) -> None:
        for topic, count in applied.records.items():
            self._metrics.records.labels(topic).inc(count)
        self._bad += applied.bad
        for record in applied.bad:
            self._metrics.dead_letters.labels(record.topic).inc()
            if (held_back := self._throttle["bad"].now()) is not None:
                log.warning(
                    "registry record cannot be decoded; skipped",
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    error=record.error,
                    held_back=held_back,
                )
        self._decider.count_misplaced(applied.misplaced)

    def _note_catching_up(self, applied: Applied, remaining: int) -> None:
        self._note(applied)
        if (held_back := self._throttle["reading"].now()) is not None:
            log.info("reading the registry", worker=self._index, records_left=remaining, held_back=held_back)

    async def _send_bad(self) -> None:
        """Send bad registry records to `dead-letter`. One worker of a host does it for all."""
        bad, self._bad = self._bad, []
        await self._letters.write(
            [
                letter_of(record)
                for record in bad
                if self._index == 1 or (self._holding is not None and record.topic == EXPRESSIONS)
            ]
        )

    async def _watch_readiness(self, report_ready: Callable[[bool], None]) -> None:
        """Report when the worker is ready no more, and when again; `/readyz` gives the reason."""
        reported: bool | None = None
        while True:
            is_ready = self.not_ready() is None
            if self._ready and is_ready != reported:
                reported = is_ready
                report_ready(is_ready)
                self._metrics.ready.set(is_ready)
            await asyncio.sleep(READY_LOOK_EVERY_S)

    async def _announce_changes(self) -> None:
        """Announce a changed registry's epoch also without events: else an idle worker would seem to have missed it."""
        while True:
            await asyncio.sleep(ANNOUNCE_EVERY_S)
            if self._batches.has_changed and (announced := self._decider.settle(now_ms())) is not None:
                await asyncio.gather(*await send(self._producer, EPOCHS, 0, [announced], now=now_ms()))


def _rest_collector() -> None:
    """Freeze what is loaded: the garbage collector need not traverse it, and runs less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_ALLOCATIONS, 10, 10)
