"""`wurao enforce`: the Faust application around the runtime of cases.

Faust assigns the cases' partitions to instances and delivers the records of the intake topics. Nothing that a case
depends on rests on it: it was seen to lose records (decision 0010). The runtime alone says what is durable, the reader
which record comes next, and the table is recovered from its topic by us (`recovery`) before a case is touched. Every
other instance is a standby.

An exception in the agent ends the process: Faust would count the record as processed and go on.

Topics may be deleted and recreated under it. An intake topic is then read from its beginning, and what was processed
before is recognised by its id. Where it is the table's topic the cases are lost that it had, and nothing is processed
any more until an operator has decided how to go on.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import faust
from faust.types import EventT, StreamT

from stream import logs
from stream.clock import WallClock
from stream.config import Config, KafkaConfig
from stream.enforce.api import ApiServer
from stream.enforce.cases import faust_store, recovery
from stream.enforce.cases.calendar_file import calendar_file
from stream.enforce.cases.decoding import RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.enforce.cases.reader import IntakeReader
from stream.enforce.cases.recovery import Table
from stream.enforce.cases.runtime import CaseRuntime
from stream.enforce.procedures import settings
from stream.enforce.procedures.calendar_cn import WorkingDays
from stream.enforce.procedures.terms import Terms
from stream.health import Health
from stream.kafka import clients, credentials
from stream.kafka.brokers import Brokers
from stream.kafka.clients import AIOKafkaPartition
from stream.kafka.closing import close_within, work_beside
from stream.kafka.describe import ClusterDescription
from stream.kafka.identity import ClusterIdentity, TopicsChanged
from stream.kafka.reach import reach
from stream.kafka.retry import Retry
from stream.kafka.rights import ENFORCE
from stream.metrics import EnforceMetrics
from stream.model.topics import ENFORCE_GROUP, ENFORCE_TABLE, INTAKE
from stream.policy.settings import Policy

log = logs.get(__name__)

APP: Final = ENFORCE_GROUP
TABLE: Final = "cases"
"""From these two Faust makes the name of the table's topic, and from the first the consumer group's."""

COMMIT_EVERY_S: Final = 1.0
BUFFER_RECORDS_MAX: Final = 512
"""Records that Faust may prefetch: a few seconds of work."""

END_OFFSETS_EVERY_S: Final = 1.0
"""How often end offsets are asked for: a record that Faust skipped waits two or three of these."""

END_OFFSETS_S_MAX: Final = 5.0
"""How long a broker may take to answer that, before it is asked again."""

NO_ENVIRONMENT: Final[dict[str, str]] = {}
"""What Faust may see of the environment: variables such as PRODUCER_ACKS or CONSUMER_AUTO_OFFSET_RESET would silently
override what is set here, and with it the guarantees."""

LASTING: Final = (*INTAKE, ENFORCE_TABLE)
"""Topics whose offsets mean something here."""

TABLE_LOST: Final = (
    f"{ENFORCE_TABLE} was recreated, or another cluster answers: the cases and clocks that this process kept there are "
    "lost, and it processes nothing. See docs/runbooks/WuraoEnforceDown.md: restore the topic from a copy, or restart "
    "every `wurao enforce` to build all cases again from the intake topics, which writes orders and notices again"
)

EXIT_FAULT: Final = 70
"""Exit code of a process that ends itself at a fault of the program, so that its supervisor restarts it."""


class EnforceProcess:
    """One instance, with the API beside it where there is a file of tokens (DESIGN section 1).

    `run` returns when it was asked to end and all has ended. Raises `ConfigError` for settings that cannot be used.
    """

    def __init__(self, config: Config, policy: Policy) -> None:
        self._config = config
        self._terms = settings.terms(config, policy)
        self._calendar = calendar_file(config)
        self._metrics = EnforceMetrics()
        self._stopping = asyncio.Event()
        self._work: CaseWorker | None = None
        self._identity: ClusterIdentity | None = None
        self._table_lost = False
        self._brokers = Brokers(config, client="wurao-enforce")
        self._api = ApiServer(config) if config.api.tokens_file is not None else None
        self._health = Health(
            host=config.metrics.host,
            port=config.enforce.port,
            setting="enforce.port",
            http=config.http,
            metrics=self._metrics.registry,
            not_ready=self._not_ready,
        )
        self._metrics.ready.set_function(lambda: self._not_ready() is None)

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain. Raises `CannotStart` for what needs an operator."""
        loop = asyncio.get_running_loop()
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self._stopping.set)
        address = await self._health.start()
        log.info("enforce started", endpoint=address)
        try:
            if self._api is not None:
                await self._api.start()
        except BaseException:
            await self._health.stop()
            raise
        async with self._brokers:
            await self._until_stopping()

    async def _until_stopping(self) -> None:
        working = asyncio.ensure_future(self._serve())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            self._stopping.set()
            stopping.cancel()
            failed = working.done() and working.exception() is not None
            working.cancel()
            await self._within_bound(self._end(working), code=1 if failed else 0)

    async def _serve(self) -> None:
        cluster = await reach(self._config, ENFORCE.topics)
        watched = replace(cluster, topics={name: cluster.topics[name] for name in LASTING})
        self._identity = ClusterIdentity(self._config, watched, lasting=LASTING)
        offsets = IntakeOffsets(_intake_ids(watched), table_id=watched.topics[ENFORCE_TABLE].id)
        self._work = CaseWorker(
            self._config, terms=self._terms, calendar=self._calendar, metrics=self._metrics, offsets=offsets
        )
        try:
            await work_beside(self._work.run(), self._watch_topics(self._identity, self._work))
        except TopicsChanged:
            self._table_lost = True
            log.error("the table of cases is lost; nothing is processed", mend=TABLE_LOST)  # noqa: TRY400
            await self._work.stop()
            await self._stopping.wait()

    async def _watch_topics(self, identity: ClusterIdentity, work: "CaseWorker") -> None:
        """Have intake topics that were recreated read again. Raises `TopicsChanged` where the table is another."""
        known = identity.known
        while True:
            try:
                await identity.watch()
            except TopicsChanged:
                if _is_another_table(known, identity.seen) or _is_another_table(known, await identity.renew()):
                    raise
                known = identity.known
                await work.renew(_intake_ids(known))

    def _not_ready(self) -> str | None:
        if self._stopping.is_set():
            return "it is stopping"
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if self._table_lost:
            return TABLE_LOST
        if self._identity is None or self._work is None:
            return "no broker has answered yet"
        return self._identity.not_ready() or self._work.not_ready()

    async def _end(self, working: asyncio.Future[None]) -> None:
        """Finish the record in flight, answer the requests in flight, leave the group."""
        await asyncio.gather(working, return_exceptions=True)
        if self._api is not None:
            await self._api.stop()
        if self._work is not None:
            await self._work.stop()
        if self._identity is not None:
            await self._identity.stop()
        await self._health.stop()
        log.info("enforce ended")

    async def _within_bound(self, end: Coroutine[object, object, None], *, code: int) -> None:
        """Wait for the end at most `enforce.drain_timeout_ms`, then exit with this code.

        Without a broker Faust's own stop waits for ever. Not by a timeout that cancels: services of Faust go on when
        they are cancelled.
        """
        bound = self._config.enforce.drain_timeout_ms / 1000
        ending = asyncio.ensure_future(end)
        await asyncio.wait({ending}, timeout=bound)
        if not ending.done():
            log.warning("enforce did not end in time; unfinished work is done after the next start", bound_s=bound)
            os._exit(code)
        ending.result()


class CaseWorker:
    """One instance once a cluster is reached: Faust, the reader and the runtime of cases put together."""

    def __init__(
        self,
        config: Config,
        *,
        terms: Terms,
        calendar: Callable[[], WorkingDays],
        metrics: EnforceMetrics,
        offsets: IntakeOffsets,
    ) -> None:
        self._config = config
        self._calendar = calendar
        self._metrics = metrics
        self._app = _application(config)
        table = self._app.Table(
            TABLE,
            partitions=config.topics.partitions,
            key_type=bytes,
            value_type=bytes,
            on_recover=self._recovered,
            help="cases and escalation records",
        )
        named = table.changelog_topic.get_topic_name()
        assert named == ENFORCE_TABLE, (
            f"Faust names the table's topic {named}, and the topics are made as {ENFORCE_TABLE}"
        )
        self._table: Table = table.data
        self._runtime = CaseRuntime(
            config,
            table=self._table,
            offsets=offsets,
            terms=terms,
            clock=WallClock(config.enforce.clock_offset_file),
            metrics=metrics,
        )
        self._reader = IntakeReader(config, offsets=offsets, process=self._runtime.process, metrics=metrics)
        intake = self._app.topic(*INTAKE, key_type=bytes, value_type=bytes)
        self._app.agent(intake, concurrency=1, name="intake")(self._agent)
        self._app.on_partitions_revoked.connect(self._revoked)
        self._started = False
        self._ready = False
        self._began = time.monotonic()

    async def run(self) -> None:
        """Process cases until cancelled."""
        await self._runtime.start()
        self._app.finalize()
        await self._app.start()
        self._started = True
        await asyncio.gather(self._tick(), self._watch_ends())

    async def stop(self) -> None:
        """Finish the record in flight, and leave the group. Without a broker this may wait for ever."""
        self._ready = False
        await self._reader.pause()
        if self._app.started:
            await self._app.stop()
        await self._runtime.stop()

    async def renew(self, topic_ids: Mapping[str, str]) -> None:
        """Intake topics were recreated: read those from their beginning."""
        await self._reader.renew(topic_ids)

    def not_ready(self) -> str | None:
        """Why it does not process cases now, or None if it does.

        Partitions are ours before Faust's start is over, which waits for brokers once more: until then no timer fires.
        """
        if self._runtime.broker_fails:
            return "the broker does not acknowledge what is written"
        if not self._ready:
            return "a rebalance is under way, or the table is being recovered"
        return None if self._started else "Faust has not started yet"

    async def _agent(self, stream: "StreamT[bytes]") -> None:
        async for event in stream.events():
            await _guarded(self._deliver(event))

    async def _deliver(self, event: "EventT[bytes]") -> None:
        message = event.message
        position = RecordPosition(message.topic, message.partition, message.offset, round(message.timestamp * 1000))
        await self._reader.deliver(position, message.key, message.value)

    async def _tick(self) -> None:
        """Every `enforce.tick_ms`: fire timers, reckon clocks by another calendar, and remove rows of cases that ended
        long ago.
        """
        while True:
            await asyncio.sleep(self._config.enforce.tick_ms / 1000)
            if self._ready:
                self._runtime.use_calendar(self._calendar())
                await _guarded(self._runtime.fire_timers())
                await _guarded(self._runtime.reckon_clocks())
            if self._ready and self._runtime.removable():
                await _guarded(self._reader.between(self._runtime.remove_rows))

    async def _watch_ends(self) -> None:
        """Ask for the intake topics' end offsets, and fetch what Faust has skipped."""
        retry = Retry(log, "the end offsets of the intake topics cannot be read; asking again")
        while True:
            consumer = clients.follower(self._config, client="wurao-enforce-ends")
            try:
                await consumer.start()
                while True:
                    await asyncio.sleep(END_OFFSETS_EVERY_S)
                    await self._fetch_missing(consumer)
                    retry.begin_anew()
            except (clients.KafkaError, OSError) as error:
                await retry.after(error)
            finally:
                await close_within(consumer)

    async def _fetch_missing(self, consumer: clients.AIOKafkaConsumer) -> None:
        partitions = [one for topic in INTAKE for one in clients.partitions(topic, self._config.topics.partitions)]
        async with asyncio.timeout(END_OFFSETS_S_MAX):
            ends = await consumer.end_offsets(partitions)
        if self._ready:
            await _guarded(self._reader.fetch_missing(ends))

    # ---- rebalances

    async def _revoked(self, *_: object, **__: object) -> None:
        """A rebalance begins: fire no timers, finish the record in flight, flush what is in flight."""
        self._ready = False
        self._began = time.monotonic()
        await _guarded(self._reader.pause())
        await _guarded(self._runtime.flush())

    async def _recovered(self) -> None:
        """A rebalance is over: recover the table of our partitions, load its clocks, finish what was begun, go on."""
        assigned = self._app.assignor.assigned_actives()
        ours = sorted({one.partition for one in assigned if one.topic == ENFORCE_TABLE})
        await _guarded(self._resume(ours))

    async def _resume(self, ours: list[int]) -> None:
        rows = await recovery.recover(self._config, self._table, ours)
        entries_count = await self._runtime.resume(rows)
        await self._reader.resume(AIOKafkaPartition(topic, partition) for topic in INTAKE for partition in ours)
        took = time.monotonic() - self._began
        self._metrics.partitions.set(len(ours))
        self._metrics.recovery_seconds.set(took)
        self._ready = True
        log.info(
            "partitions assigned, table recovered",
            partitions_count=len(ours),
            entries_count=entries_count,
            seconds=round(took, 3),
        )


def _is_another_table(known: ClusterDescription, now: ClusterDescription) -> bool:
    table = now.topics.get(ENFORCE_TABLE)
    return now.id != known.id or (table is not None and table.id != known.topics[ENFORCE_TABLE].id)


def _intake_ids(cluster: ClusterDescription) -> dict[str, str]:
    return {topic: cluster.topics[topic].id for topic in INTAKE}


async def _guarded(work: Awaitable[object]) -> None:
    """Do it, or end the process at once: Faust would go on after an exception as if the record were processed."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except BaseException:
        log.exception("unexpected exception; this process ends, to be restarted")
        os._exit(EXIT_FAULT)


def _application(config: Config) -> faust.App:
    enforce = config.enforce
    kafka = config.kafka
    return faust.App(
        APP,
        env=NO_ENVIRONMENT,
        broker=[f"kafka://{server.strip()}" for server in kafka.bootstrap.split(",")],
        broker_credentials=_credentials(kafka),
        broker_session_timeout=enforce.session_timeout_ms / 1000,
        broker_heartbeat_interval=enforce.session_timeout_ms / 5000,
        broker_request_timeout=max(kafka.request_timeout_ms, 2 * enforce.session_timeout_ms) / 1000,
        broker_commit_interval=COMMIT_EVERY_S,
        producer_acks=-1,  # all in-sync replicas
        consumer_auto_offset_reset="earliest",  # a new group begins with what is there
        consumer_group_instance_id=enforce.instance,
        processing_guarantee="at_least_once",  # exactly-once has open issues, and would delay orders (0010)
        store=faust_store.URL,
        datadir=Path(tempfile.gettempdir()) / f"{APP}-{os.getuid()}",  # made at every start; nothing is kept in it
        table_standby_replicas=0,  # recovering a table costs less than keeping it twice
        recovery_consistency_check=False,  # the store has more than the topic, by its own account
        topic_partitions=config.topics.partitions,
        topic_replication_factor=config.topics.replication,
        topic_allow_declare=False,  # `wurao topics create` makes topics, with the settings that they need
        topic_disable_leader=True,
        stream_buffer_maxsize=BUFFER_RECORDS_MAX,
        stream_wait_empty=True,  # the record in flight is finished before its partition is revoked
        web_enabled=False,
        autodiscover=False,
        reply_create_topic=False,
    )


def _credentials(kafka: KafkaConfig) -> faust.types.auth.CredentialsT | None:
    context = credentials.ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL"):
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=credentials.password(kafka),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
