"""`wurao enforce`: the Faust application around the shell.

Faust shares the cases' partitions among instances, brings an instance's table back from its topic, and hands
over the records of the intake topics one by one. It promises nothing that a case depends on: what is durable,
and when an offset may be committed, is the shell's (decision 0010 lists the defects that this avoids). So the
agent has concurrency 1, acknowledges a record when the shell has dealt with it, and an exception in it ends
the process before Faust can count the record as done.

The watch over stalls is for what no discipline of ours mends: records that Faust took from the broker and lost
on the way (its issue 596). They are not committed, so a restart brings them back.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final

import faust
from aiokafka.admin import AIOKafkaAdminClient
from faust.types import EventT, StreamT

from bloom.partition import partition_of
from stream import logs
from stream.config import Config, Kafka, secret
from stream.enforce import book, settings
from stream.enforce.inbox import Spot
from stream.enforce.now import WallClock
from stream.enforce.shell import Shell, Table
from stream.health import Health
from stream.kafka import clients, topics
from stream.kafka.describe import describe_topics
from stream.metrics import EnforceMetrics
from stream.model.topics import ENFORCE_TABLE, INTAKE
from stream.policy.settings import Policy

log = logs.get(__name__)

APP: Final = "wurao-enforce"
TABLE: Final = "cases"
"""Of these two Faust makes the name of the table's topic, and of the first the consumer group's."""

COMMIT_EVERY_S: Final = 1.0
BUFFER_RECORDS_MAX: Final = 512
"""Records that Faust may hold ready: a few seconds of work."""

LOOK_EVERY_S: Final = 5.0
BROKER_PAUSE_S: Final = 0.5
BROKER_PAUSE_S_MAX: Final = 10.0

EXIT_FAULT: Final = 70
EXIT_STALLED: Final = 75
"""Exit codes of a process that ends itself so as to be started anew: a fault of the program, and a lost record."""


class CannotStart(Exception):
    """Something that no restart mends: what, where, and the mend."""


class Enforce:
    """One instance. Create it on its loop; `run` returns when it was asked to end and all has ended."""

    def __init__(self, config: Config, policy: Policy) -> None:
        self._config = config
        self._metrics = EnforceMetrics()
        self._clock = WallClock(config.enforce.clock_offset_file)
        self._shell = Shell(config, terms=settings.terms(config, policy), clock=self._clock, metrics=self._metrics)
        self._app = _application(config)
        self._table = self._app.Table(
            TABLE,
            partitions=config.topics.partitions,
            key_type=bytes,
            value_type=bytes,
            on_recover=self._recovered,
            help="cases and dockets",
        )
        assert self._table.changelog_topic_name == ENFORCE_TABLE, self._table.changelog_topic_name
        self._app.agent(
            self._app.topic(*INTAKE, key_type=bytes, value_type=bytes, acks=True), concurrency=1, name="intake"
        )(self._intake)
        self._app.on_partitions_revoked.connect(self._revoked)
        self._stopping = asyncio.Event()
        self._at_work = False
        self._began = time.monotonic()
        self._health = Health(
            host=config.metrics.host,
            port=config.enforce.port,
            metrics=self._metrics.registry,
            not_ready=self._not_ready,
        )

    def stop(self) -> None:
        """End, in order."""
        self._stopping.set()

    async def run(self) -> None:
        """Start, deal with cases, end in order. Raises `CannotStart` for what needs an operator."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self.stop)
        address = await self._health.start()
        log.info("enforce starts", endpoint=address)
        try:
            work = asyncio.ensure_future(self._work())
            stopping = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if work.done():
                work.result()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        finally:
            await self._end()
            await self._health.stop()

    # ---- while it runs

    async def _work(self) -> None:
        await self._reach_cluster()
        await self._shell.start()
        self._app.finalize()
        await self._app.start()
        tasks = (self._forever(self._tick, self._config.enforce.tick_ms / 1000), self._watch())
        await asyncio.gather(*tasks)

    async def _intake(self, stream: "StreamT[bytes]") -> None:
        async for event in stream.events():
            await self._guarded(self._deal_with(event))

    async def _deal_with(self, event: "EventT[bytes]") -> None:
        message = event.message
        spot = Spot(message.topic, message.partition, message.offset, int(message.timestamp * 1000))
        await self._shell.take(self._entries, spot, message.key, message.value)

    async def _tick(self) -> None:
        if self._at_work:
            await self._guarded(self._shell.ring())

    async def _guarded(self, work: Awaitable[object]) -> None:
        """Do it, or end the process at once: an exception that Faust sees makes it commit what was not done."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException:
            log.exception("a fault of the program; this process ends, to be started anew")
            os._exit(EXIT_FAULT)

    @staticmethod
    async def _forever(work: Callable[[], Awaitable[None]], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            await work()

    @property
    def _entries(self) -> Table:
        table: Table = self._table.data
        return table

    # ---- partitions come and go

    async def _revoked(self, *_: object, **__: object) -> None:
        """Partitions may go to others: ring nothing, and let all that was handed over arrive first."""
        self._at_work = False
        self._began = time.monotonic()
        await self._shell.flush()

    async def _recovered(self) -> None:
        """The table holds what its topic holds: find the clocks of our partitions, and finish what was begun."""
        ours = {place.partition for place in self._app.assignor.assigned_actives() if place.topic == ENFORCE_TABLE}
        entries = {
            key: book.decode(value)
            for key, value in self._entries.items()
            if partition_of(key.decode(), self._config.topics.partitions) in ours
        }
        self._shell.diary.fill((key.decode(), entry.procedure, book.clocks(entry)) for key, entry in entries.items())
        for key, entry in entries.items():
            if entry.outbox:
                partition = partition_of(key.decode(), self._config.topics.partitions)
                await self._guarded(self._shell.carry_out(self._entries, key, entry, partition))
        self._metrics.cases.set(len(entries))
        self._metrics.partitions.set(len(ours))
        took = time.monotonic() - self._began
        self._metrics.recovery_seconds.set(took)
        self._at_work = True
        log.info("at work", partitions_count=len(ours), entries_count=len(entries), seconds=round(took, 3))

    async def _watch(self) -> None:
        """End the process where records wait that nobody is dealing with: only a restart brings them back."""
        admin = clients.admin(self._config)
        await admin.start()
        seen: dict[clients.TopicPartition, int] = {}
        since = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._metrics.ready.set(self._not_ready() is None)
            try:
                waiting = await self._waiting(admin)
            except (clients.KafkaError, OSError) as error:
                log.warning("cannot see how far the records are", error=repr(error))
                continue
            if not waiting or waiting != seen or not self._at_work or self._shell.busy or self._shell.broker_fails:
                seen, since = waiting, time.monotonic()
            elif time.monotonic() - since > self._config.enforce.stall_ms / 1000:
                log.error(
                    "records wait that the stream has lost; this process ends, to be started anew",
                    places=sorted(f"{place.topic}/{place.partition}@{offset}" for place, offset in waiting.items()),
                )
                os._exit(EXIT_STALLED)

    async def _waiting(self, admin: AIOKafkaAdminClient) -> dict[clients.TopicPartition, int]:
        """Of our intake partitions, those that hold more than is committed, and the offset that is."""
        consumer = self._app.consumer
        ours = [place for place in consumer.assignment() if place.topic in INTAKE]
        ends = await consumer.highwaters(*ours) if ours else {}
        committed = await admin.list_consumer_group_offsets(APP)
        waiting: dict[clients.TopicPartition, int] = {}
        for place in ours:
            here = clients.TopicPartition(place.topic, place.partition)
            done = committed[here].offset if here in committed else 0
            if (ends.get(place) or 0) > max(done, 0):
                waiting[here] = done
        return waiting

    # ---- beginning and end

    def _not_ready(self) -> str | None:
        if self._stopping.is_set():
            return "it is ending"
        if self._shell.broker_fails:
            return "the broker does not acknowledge"
        return None if self._at_work else "the table is being brought back, or partitions are being shared out"

    async def _reach_cluster(self) -> None:
        """Wait for a broker; its topics must be as they should."""
        pause = BROKER_PAUSE_S
        while True:
            try:
                cluster = await describe_topics(self._config, tuple(topics.EXPECTED))
            except (clients.KafkaError, OSError) as error:
                log.warning("no broker answers; trying again", error=repr(error), pause_s=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, BROKER_PAUSE_S_MAX)
                continue
            found = topics.differences(cluster, self._config.topics)
            for difference in found:
                log.warning("topic is not as it should be", difference=difference)
            if broken := [difference for difference in found if topics.breaks_guarantees(difference)]:
                raise CannotStart("\n".join(broken))
            return

    async def _end(self) -> None:
        """Stop fetching, finish the record at hand, commit, leave the group; all within a bound."""
        self._stopping.set()
        self._at_work = False
        bound = self._config.enforce.drain_timeout_ms / 1000
        try:
            async with asyncio.timeout(bound):
                if self._app.started:
                    await self._app.stop()
                await self._shell.stop()
        except TimeoutError:
            log.error("it did not end in time; what was not finished is done after the next start", bound_s=bound)
            os._exit(0)
        log.info("enforce ended")


def _application(config: Config) -> faust.App:
    enforce = config.enforce
    kafka = config.kafka
    return faust.App(
        APP,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka),
        broker_session_timeout=enforce.session_timeout_ms / 1000,
        broker_heartbeat_interval=enforce.session_timeout_ms / 5000,
        broker_request_timeout=max(kafka.request_timeout_ms, 2 * enforce.session_timeout_ms) / 1000,
        broker_commit_interval=COMMIT_EVERY_S,
        consumer_auto_offset_reset="earliest",  # a new group deals with what is there
        consumer_group_instance_id=enforce.instance,
        processing_guarantee="at_least_once",  # exactly-once has open issues, and would hold orders back (0010)
        store="memory://",
        table_standby_replicas=enforce.standbys,
        topic_partitions=config.topics.partitions,
        topic_replication_factor=config.topics.replication,
        topic_allow_declare=False,  # `wurao topics create` makes topics, with the settings that they need
        topic_disable_leader=True,
        stream_buffer_maxsize=BUFFER_RECORDS_MAX,
        stream_wait_empty=True,  # the record at hand is finished before its partition goes to another
        web_enabled=False,
        autodiscover=False,
        reply_create_topic=False,
    )


def _credentials(kafka: Kafka) -> faust.types.auth.CredentialsT | None:
    context = clients.ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        password = secret(kafka.sasl_password, kafka.sasl_password_file)
        return faust.SASLCredentials(
            username=kafka.sasl_username, password=password, mechanism=kafka.sasl_mechanism, ssl_context=context
        )
    return faust.SSLCredentials(context) if context is not None else None
