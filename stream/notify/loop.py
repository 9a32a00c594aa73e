"""The connector's loop: notices in, attempts out, each recorded; at least once, and never again once recorded.

Order of events for one attempt: send, record in `deliveries` (acknowledged by all replicas), and only then may
the notice count as dealt with. A notice waits for its next attempt in memory, and its offset is not committed
until it is delivered or given up: whoever takes the partition over reads it again, and learns from
`deliveries` what was tried before. Newer notices pass those that wait; their number is bounded.
"""

import asyncio
import heapq
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

from stream import logs
from stream.clock import WallClock
from stream.config import Config, ConfigError
from stream.health import Health
from stream.kafka import clients
from stream.kafka.brokers import Brokers
from stream.kafka.clients import GOODBYE_S_MAX, TopicPartition
from stream.kafka.closing import close_within, work_until
from stream.kafka.group import RebalanceListener, commit_owned
from stream.kafka.reach import reach
from stream.kafka.retry import Retry
from stream.metrics import NotifyMetrics
from stream.model.codec import Undecodable, decode_as
from stream.model.control import Delivery, DeliveryOutcome, Notice
from stream.model.topics import DEAD_LETTER, DELIVERIES, NOTICES
from stream.notify import contacts
from stream.notify.delivery_log import DeliveryLog, NoticeOffsets, pause_ms
from stream.notify.records import POLL_MS, AttemptWriter, DeliveryLogReader
from stream.notify.transports import Transports, Undelivered
from stream.reloading_file import ReloadingFile

log = logs.get(__name__)

NEEDED: Final = (NOTICES, DELIVERIES, DEAD_LETTER)
"""The topics that must be as they ought before a notice is sent: a delivery that is not kept is no proof."""

NO_TRANSPORT: Final = "contacts"
"""The way that a delivery names when the contacts file has no address."""


@dataclass(frozen=True, slots=True)
class PendingNotice:
    """A notice that is still to be delivered, and where it stands."""

    notice: Notice
    place: TopicPartition
    offset: int


class NoticeConnector:
    """One instance. Create it on its loop; `run` returns when `stop` was called and all attempts have ended."""

    def __init__(self, config: Config) -> None:
        if config.connector.contacts_file is None:
            raise ConfigError("connector.contacts_file: needed, to know where each party is reached")
        self._config = config
        self._settings = config.connector
        self._contacts = ReloadingFile(config.connector.contacts_file, contacts.read)
        self._couriers = Transports(config.connector)
        self._records = AttemptWriter(config)
        self._brokers = Brokers(config, client="wurao-notify")
        self._clock = WallClock(config.enforce.clock_offset_file)
        self._metrics = NotifyMetrics()
        self._told = DeliveryLog()
        self._progress = NoticeOffsets()
        self._pending: dict[str, PendingNotice] = {}
        self._due: list[tuple[int, int, str]] = []
        """when, a counter so that equal moments keep their order, and which notice"""
        self._counter = itertools.count()
        self._attempts: dict[asyncio.Task[None], str] = {}
        self._informed = asyncio.Event()
        """set while all that was tried before our partitions became ours is known"""
        self._looked = False
        """whether the topics were seen to be as they must be"""
        self._stopping = asyncio.Event()
        self._health = Health(
            host=config.metrics.host,
            port=config.connector.port,
            setting="connector.port",
            metrics=self._metrics.registry,
            not_ready=self._not_ready,
        )

    def stop(self) -> None:
        """End, in order."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver until stopped; a broker that fails is waited for.

        Raises `CannotStart` for what needs an operator, `OSError` where the port is taken.
        """
        address = await self._health.start()
        log.info("notify starts", endpoint=address)
        try:
            async with self._brokers:
                await work_until(self._stopping, self._reach(), within_s=0)
                await self._keep_serving()
        finally:
            for attempt in self._attempts:
                attempt.cancel()
            await asyncio.gather(*self._attempts, return_exceptions=True)
            await self._couriers.close()
            await self._records.stop()
            await self._health.stop()
        log.info("notify ended")

    # ---- one membership in the group

    async def _reach(self) -> None:
        await reach(self._config, NEEDED)
        self._looked = True

    async def _keep_serving(self) -> None:
        retry = Retry(log, "the broker fails; starting anew")
        while not self._stopping.is_set():
            try:
                await self._serve()
            except (clients.KafkaError, OSError) as error:
                if self._informed.is_set():
                    retry.begin_anew()  # it had been serving: a new trouble
                self._informed.clear()
                await work_until(self._stopping, retry.after(error), within_s=0)

    async def _serve(self) -> None:
        """Be a member of the group until `stop`; at the end let what is under way be recorded, within a bound."""
        memory = DeliveryLogReader(self._config, self._told)
        consumer = clients.group_consumer(
            self._config, group=self._settings.group, client="wurao-notify", instance=None
        )
        listener = RebalanceListener(revoked=partial(self._revoked, consumer), assigned=partial(self._assigned, memory))

        async def deliver() -> None:
            await memory.start()
            await consumer.start()
            consumer.subscribe([NOTICES], listener=listener)
            while not self._stopping.is_set():
                await self._turn(consumer)

        try:
            await work_until(self._stopping, listener.guard(deliver()))
        finally:
            try:
                if self._stopping.is_set():
                    await self._finish_attempts()
                    await self._commit(consumer)
            finally:
                self._let_go({one.place for one in self._pending.values()})
                await close_within(consumer, memory)

    async def _turn(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Fetch, unless too many wait; attempt what is due; commit what is done."""
        if len(self._pending) >= self._settings.pending_max:
            consumer.pause(*consumer.assignment())
        elif consumer.paused():
            consumer.resume(*consumer.paused())
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._settings.pending_max)
        if fetched:
            await self._informed.wait()
        for place, records in fetched.items():
            for record in records:
                if place in consumer.assignment():
                    await self._take(place, record)
        self._collect_attempts()  # first: a notice is not attempted while an attempt of it stands here
        self._begin_attempts()
        self._metrics.pending.set(len(self._pending))
        await self._commit(consumer)

    async def _assigned(self, memory: DeliveryLogReader, _: Collection[TopicPartition]) -> None:
        """Partitions have become ours: know what others have tried before anything is tried."""
        await memory.catch_up()
        self._informed.set()

    async def _revoked(self, consumer: clients.AIOKafkaConsumer, places: Collection[TopicPartition]) -> None:
        """Partitions go to others: let the attempts under way be recorded first, as far as they keep their bound."""
        self._informed.clear()
        await self._finish_attempts()
        await self._commit(consumer)
        self._let_go(places)

    async def _commit(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Commit what is dealt with. What is not: whoever has the partition learns from `deliveries` what was done."""
        if self._brokers.not_ready() is None:
            committed = await commit_owned(consumer, self._progress.to_commit(), within_s=GOODBYE_S_MAX)
            self._progress.committed(committed)

    def _let_go(self, places: Collection[TopicPartition]) -> None:
        for place in places:
            self._progress.forget(place)
        for notice in [name for name, one in self._pending.items() if one.place in places]:
            del self._pending[notice]

    # ---- notices

    async def _take(self, place: TopicPartition, record: clients.ConsumerRecord) -> None:
        self._progress.take(place, record.offset)
        try:
            notice = decode_as(Notice, record.value or b"")
        except Undecodable as error:
            await self._records.bury(record, str(error))
            self._metrics.dead_letters.inc()
            log.warning(
                "a record of `notices` cannot be decoded; it is in dead-letter", offset=record.offset, error=str(error)
            )
            self._progress.finish(place, record.offset)
            return
        name = notice.notice
        if self._told.delivered(name) or name in self._pending:
            self._metrics.repeats.inc()
            self._progress.finish(place, record.offset)
        elif self._told.tried(name).attempts >= self._settings.attempts_max:
            self._progress.finish(place, record.offset)
        else:
            self._pending[name] = PendingNotice(notice, place, record.offset)
            self._schedule(name)

    def _schedule(self, name: str) -> None:
        tried = self._told.tried(name)
        pause = pause_ms(tried.attempts, first_ms=self._settings.pause_ms, most_ms=self._settings.pause_ms_max)
        heapq.heappush(self._due, (tried.last + pause, next(self._counter), name))

    def _begin_attempts(self) -> None:
        now = self._clock.now()
        while self._due and self._due[0][0] <= now and len(self._attempts) < self._settings.attempts_at_once_max:
            name = heapq.heappop(self._due)[2]
            pending = self._pending.get(name)
            # One that is under way schedules the next itself.
            if pending is not None and name not in self._attempts.values():
                self._attempts[asyncio.create_task(self._attempt(pending))] = name

    def _collect_attempts(self) -> None:
        """Forget what has ended; a fault of the program in one ends the process."""
        for task in [task for task in self._attempts if task.done()]:
            del self._attempts[task]
            task.result()

    async def _finish_attempts(self) -> None:
        """Wait for those under way; where no broker answers, and so none can be recorded, only for a little."""
        if self._attempts:
            bound_s = self._settings.attempt_timeout_ms / 1000
            await asyncio.wait(self._attempts, timeout=bound_s if self._brokers.not_ready() is None else GOODBYE_S_MAX)

    async def _attempt(self, pending: PendingNotice) -> None:
        """One attempt, recorded; then the notice is done with, or waits for its next one."""
        attempt = await self._tried(pending.notice)
        await self._records.attempt(attempt)
        self._told.record(attempt)
        self._metrics.attempts.labels(attempt.via, attempt.outcome).inc()
        name = attempt.notice
        log.info("attempt", notice=name, via=attempt.via, outcome=attempt.outcome, attempt=attempt.attempt)
        if attempt.outcome == "failed" and attempt.attempt < self._settings.attempts_max:
            if self._progress.holds(pending.place, pending.offset):
                self._schedule(name)
            return
        if attempt.outcome == "failed":
            self._metrics.given_up.inc()
            log.warning("notice given up: notify the addressee by other means", notice=name)
        self._pending.pop(name, None)
        self._progress.finish(pending.place, pending.offset)

    async def _tried(self, notice: Notice) -> Delivery:
        """Send it, and say how that went."""
        number = self._told.tried(notice.notice).attempts + 1
        address = self._contacts.value().address(notice.to)
        outcome: DeliveryOutcome = "failed"
        if address is None:
            detail = "the contacts file has no address for this addressee"
        else:
            try:
                detail = await self._couriers.deliver(notice, address)
                outcome = "delivered"
            except Undelivered as error:
                detail = str(error)
        return Delivery(
            notice=notice.notice,
            case=notice.case,
            time=self._clock.now(),
            outcome=outcome,
            attempt=number,
            via=address.via if address else NO_TRANSPORT,
            detail=detail,
        )

    def _not_ready(self) -> str | None:
        if self._stopping.is_set():
            return "it is ending"
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if not self._looked:
            return "no broker has answered yet"
        return None if self._informed.is_set() else "what was tried before is being read"
