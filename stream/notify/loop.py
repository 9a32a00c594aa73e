"""The loop of `wurao notify`: notices and reports in, attempts out, recorded; at least once, never once recorded.

Order of events for one attempt: send, record in `deliveries` (acknowledged by all replicas), and only then may the
notice count as done. A notice waits for its next attempt in memory, and its offset is not committed until it is
delivered or given up: whoever is assigned the partition reads it again, and learns from `deliveries` what was tried
before. Newer notices overtake those that wait; the number of those is bounded (`connector.pending_max`).
"""

import asyncio
import heapq
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Final

from msgspec.structs import replace

from stream import letters, logs
from stream.clock import WallClock
from stream.config import Config, ConfigError
from stream.health import Health
from stream.kafka import clients
from stream.kafka.brokers import Brokers
from stream.kafka.clients import GOODBYE_S_MAX, AIOKafkaPartition
from stream.kafka.closing import close_within, work_until
from stream.kafka.group import RebalanceListener, commit_owned, committed, stay_member
from stream.kafka.identity import ClusterIdentity
from stream.kafka.reach import reach
from stream.kafka.rights import NOTIFY
from stream.metrics import NotifyMetrics
from stream.model.codec import Undecodable, decode_as
from stream.model.control import NO_ADDRESS, Delivery, Letter, Notice, Report, addressee, letter_id
from stream.model.topics import DELIVERIES, NOTICES, REPORTS
from stream.notify import contacts
from stream.notify.delivery_log import DeliveryLog, NoticeOffsets, pause_ms
from stream.notify.records import POLL_MS, AttemptWriter, DeliveryLogReader
from stream.notify.transports import Transports, Undelivered
from stream.reloading_file import reloading_file

log = logs.get(__name__)

LETTERS: Final = (NOTICES, REPORTS)
"""Whose records are delivered."""


@dataclass(frozen=True, slots=True)
class PendingNotice:
    """A notice or report that is not delivered yet, and its record's partition and offset."""

    notice: Letter
    partition: AIOKafkaPartition
    offset: int


class NoticeConnector:
    """One instance. Create it on its loop; `run` returns once `stop` was called and all attempts have ended."""

    def __init__(self, config: Config) -> None:
        if config.connector.contacts_file is None:
            raise ConfigError("connector.contacts_file: needed, to know where each party is reached")
        self._config = config
        self._settings = config.connector
        self._contacts = reloading_file(config.connector.contacts_file, contacts.read)
        self._transports = Transports(config.connector, letters.read(config.letters))
        self._writer = AttemptWriter(config)
        self._brokers = Brokers(config, client="wurao-notify")
        self._clock = WallClock(config.enforce.clock_offset_file)
        self._metrics = NotifyMetrics()
        self._log = DeliveryLog()
        self._offsets = NoticeOffsets()
        self._pending: dict[str, PendingNotice] = {}
        self._due: list[tuple[int, int, str]] = []
        """when (milliseconds), a counter so that equal moments keep their order, and the notice's id"""
        self._counter = itertools.count()
        self._attempts: dict[asyncio.Task[None], str] = {}
        self._caught_up = asyncio.Event()
        """set while all attempts are known that were recorded before our partitions were assigned"""
        self._identity: ClusterIdentity | None = None
        """None until a broker answered, and the topics exist with their settings"""
        self._stopping = asyncio.Event()
        self._health = Health(
            host=config.metrics.host,
            port=config.connector.port,
            setting="connector.port",
            http=config.http,
            metrics=self._metrics.registry,
            not_ready=self._not_ready,
        )

    def stop(self) -> None:
        """Stop: finish the attempts in flight, commit, leave the group."""
        self._stopping.set()

    async def run(self) -> None:
        """Deliver until stopped; while the broker fails, wait and start again.

        Raises `CannotStart` for what needs an operator, `OSError` where the port is taken.
        """
        address = await self._health.start()
        log.info("notify starts", endpoint=address)
        try:
            async with self._brokers:
                await work_until(self._stopping, self._reach(), within_s=0)
                await self._keep_serving()
        finally:
            await self._cancel_attempts()
            await self._transports.close()
            await self._writer.stop()
            if self._identity is not None:
                await self._identity.stop()
            await self._health.stop()
        log.info("notify ended")

    # ---- membership in the group

    async def _reach(self) -> None:
        self._identity = ClusterIdentity(
            self._config, await reach(self._config, NOTIFY.topics), lasting=(*LETTERS, DELIVERIES)
        )

    async def _keep_serving(self) -> None:
        identity = self._identity
        if identity is None:
            return  # asked to end before a broker answered
        await stay_member(
            partial(self._serve, identity),
            until=self._stopping,
            renew=partial(self._renew, identity),
            serving=self._caught_up,
            log=log,
        )

    async def _renew(self, identity: ClusterIdentity) -> None:
        """Topics were recreated: what is known of attempts stays known, and they are read from their beginnings.

        No attempt on the old topic may outlast this: by its offset it would mark another notice as done.
        """
        await identity.renew()
        await self._finish_attempts()
        await self._cancel_attempts()

    async def _serve(self, identity: ClusterIdentity) -> None:
        """Be a member of the group until `stop`; at the end let attempts in flight be recorded, within a bound."""
        log_reader = DeliveryLogReader(self._config, self._log)
        consumer = clients.group_consumer(
            self._config, group=self._settings.group, client="wurao-notify", instance=None
        )
        listener = RebalanceListener(
            revoked=partial(self._revoked, consumer), assigned=partial(self._assigned, consumer, log_reader)
        )

        async def deliver() -> None:
            await log_reader.start()
            await consumer.start()
            consumer.subscribe(list(LETTERS), listener=listener)
            while not self._stopping.is_set():
                await self._poll(consumer)

        try:
            await work_until(self._stopping, listener.guard(identity.guard(deliver())))
        finally:
            try:
                if self._stopping.is_set():
                    await self._finish_attempts()
                    await self._commit(consumer)
            finally:
                self._drop({one.partition for one in self._pending.values()})
                await close_within(consumer, log_reader)

    async def _poll(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Fetch, unless too many notices wait; begin the attempts that are due; commit what is done."""
        if len(self._pending) >= self._settings.pending_max:
            consumer.pause(*consumer.assignment())
        elif consumer.paused():
            consumer.resume(*consumer.paused())
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=self._settings.pending_max)
        if fetched:
            await self._caught_up.wait()
        for partition, records in fetched.items():
            for record in records:
                if partition in consumer.assignment():
                    await self._take(partition, record)
        self._collect_attempts()  # first: a notice is not attempted while an attempt of it is listed
        self._begin_attempts()
        self._metrics.pending.set(len(self._pending))
        await self._commit(consumer)

    async def _assigned(
        self,
        consumer: clients.AIOKafkaConsumer,
        log_reader: DeliveryLogReader,
        assigned: Collection[AIOKafkaPartition],
    ) -> None:
        """After a rebalance: read what other instances have recorded before anything is tried."""
        assert self._identity is not None, "a broker was reached"
        known = await committed(consumer, assigned, self._identity.marks)
        for partition, offset in known.items():
            consumer.seek(partition, offset)
        if new := assigned - known.keys():
            await consumer.seek_to_beginning(*new)
        await log_reader.catch_up()
        self._caught_up.set()

    async def _revoked(self, consumer: clients.AIOKafkaConsumer, partitions: Collection[AIOKafkaPartition]) -> None:
        """Before a rebalance: let the attempts in flight be recorded, as far as they keep their bound."""
        self._caught_up.clear()
        await self._finish_attempts()
        await self._commit(consumer)
        self._drop(partitions)

    async def _commit(self, consumer: clients.AIOKafkaConsumer) -> None:
        """Commit what is done. The rest is read again by the next owner, with its attempts from `deliveries`."""
        if self._identity is not None and self._brokers.not_ready() is None:
            reached, marks = self._offsets.to_commit(), self._identity.marks
            offsets = {partition: (offset, marks[partition.topic]) for partition, offset in reached.items()}
            safe = await commit_owned(consumer, offsets, within_s=GOODBYE_S_MAX)
            self._offsets.committed({partition: reached[partition] for partition in safe})

    def _drop(self, partitions: Collection[AIOKafkaPartition]) -> None:
        for partition in partitions:
            self._offsets.drop(partition)
        for notice in [name for name, one in self._pending.items() if one.partition in partitions]:
            del self._pending[notice]

    # ---- notices

    async def _take(self, partition: AIOKafkaPartition, record: clients.ConsumerRecord) -> None:
        self._offsets.take(partition, record.offset)
        try:
            value = record.value or b""
            letter: Letter = decode_as(Notice, value) if partition.topic == NOTICES else decode_as(Report, value)
        except Undecodable as error:
            await self._writer.dead_letter(record, str(error))
            self._metrics.dead_letters.inc()
            log.warning(
                "a notice or report cannot be decoded; it is in dead-letter",
                topic=partition.topic,
                offset=record.offset,
                error=str(error),
            )
            self._offsets.finish(partition, record.offset)
            return
        name = letter_id(letter)
        if self._log.delivered(name) or name in self._pending:
            self._metrics.repeats.inc()
            self._offsets.finish(partition, record.offset)
        elif self._log.failed(name).attempts >= self._settings.attempts_max:
            self._offsets.finish(partition, record.offset)
        else:
            self._pending[name] = PendingNotice(letter, partition, record.offset)
            self._schedule(name)

    def _schedule(self, name: str) -> None:
        failed = self._log.failed(name)
        pause = pause_ms(failed.attempts, first_ms=self._settings.pause_ms, most_ms=self._settings.pause_ms_max)
        heapq.heappush(self._due, (failed.last + pause, next(self._counter), name))

    def _begin_attempts(self) -> None:
        now = self._clock.now()
        while self._due and self._due[0][0] <= now and len(self._attempts) < self._settings.attempts_at_once_max:
            name = heapq.heappop(self._due)[2]
            pending = self._pending.get(name)
            # One in flight schedules the next itself.
            if pending is not None and name not in self._attempts.values():
                self._attempts[asyncio.create_task(self._attempt(pending))] = name

    def _collect_attempts(self) -> None:
        """Drop the tasks that have ended; a bug in one (an unexpected exception) ends the process."""
        for task in [task for task in self._attempts if task.done()]:
            del self._attempts[task]
            task.result()

    async def _finish_attempts(self) -> None:
        """Wait for attempts in flight; where no broker answers, and so none can be recorded, only `GOODBYE_S_MAX`."""
        if self._attempts:
            bound_s = self._settings.attempt_timeout_ms / 1000
            await asyncio.wait(self._attempts, timeout=bound_s if self._brokers.not_ready() is None else GOODBYE_S_MAX)

    async def _cancel_attempts(self) -> None:
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        self._attempts.clear()

    async def _attempt(self, pending: PendingNotice) -> None:
        """One attempt, recorded; then the notice is done, or waits for its next one."""
        attempt = await self._send(pending.notice)
        await self._writer.attempt(attempt)
        self._log.record(attempt)
        self._metrics.attempts.labels(attempt.via, attempt.outcome).inc()
        name = attempt.notice
        log.info("attempt", notice=name, via=attempt.via, outcome=attempt.outcome, attempt=attempt.attempt)
        if attempt.outcome == "failed" and attempt.attempt < self._settings.attempts_max:
            if self._offsets.holds(pending.partition, pending.offset):
                self._schedule(name)
            return
        if attempt.outcome == "failed":
            self._metrics.given_up.inc()
            log.warning("given up: serve the addressee by hand, and record it on its case", notice=name)
        self._pending.pop(name, None)
        self._offsets.finish(pending.partition, pending.offset)

    async def _send(self, letter: Letter) -> Delivery:
        """Send a notice or report; the outcome as the record of `deliveries`."""
        address = self._contacts.value().address(addressee(letter))
        made = Delivery(
            notice=letter_id(letter),
            case=letter.case,
            time=self._clock.now(),
            outcome="failed",
            attempt=self._log.failed(letter_id(letter)).attempts + 1,
            via=address.via if address else NO_ADDRESS,
            detail="the contacts file has no address for this addressee",
            address=address.masked if address else None,
        )
        if address is None:
            return made
        try:
            sent = await self._transports.deliver(letter, address)
        except Undelivered as error:
            now = self._clock.now()
            return replace(made, time=now, detail=str(error), at_addressee=error.at_addressee)
        return replace(made, time=self._clock.now(), outcome="delivered", detail=sent.reply, digest=sent.digest)

    def _not_ready(self) -> str | None:
        if self._stopping.is_set():
            return "it is stopping"
        if (silence := self._brokers.not_ready()) is not None:
            return silence
        if self._identity is None:
            return "no broker has answered yet"
        if (wrong := self._identity.not_ready()) is not None:
            return wrong
        return None if self._caught_up.is_set() else "reading the earlier attempts from `deliveries`"
