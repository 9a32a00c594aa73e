"""The runtime around the procedures: takes one record after the other, keeps the state, carries out the effects.

It promises this order, and rests all its guarantees on it:

1. the entry with its effects (the outbox) is acknowledged by the table's topic;
2. the effects are acknowledged, each under its key;
3. the record counts as processed;
4. (nobody waits for it) the entry is written without its effects, and after it the partition's offsets.

A process that dies before 1 has done nothing. One that dies after 1 has all it owes in the table: the record comes
again, is recognised by its id, and effects that may not have been carried out are carried out, under the keys that they
had. So no order of events loses a case or notifies anybody twice under two names.

It must never take two records at once: `reader` ensures that. Broker errors are retried here until they pass; any other
exception outside a step is a bug, and the caller ends the process.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from bloom.partition import partition_of
from stream import logs
from stream.clock import WallClock, now_ms
from stream.config import Config
from stream.enforce.cases import decoding, outbox, store
from stream.enforce.cases.decoding import Arrival, Forward, RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.enforce.cases.reckoning import Reckoning
from stream.enforce.cases.recovery import RecoveredRows, Table
from stream.enforce.cases.store import Duplicate, Entry, Rejected, Updated
from stream.enforce.cases.timers import Timers
from stream.enforce.procedures.calendar_cn import WorkingDays
from stream.enforce.procedures.effects import Alert, SetClock
from stream.enforce.procedures.retention import Retention
from stream.enforce.procedures.terms import Terms
from stream.kafka.clients import AIOKafkaProducer
from stream.kafka.dead_letters import DeadLetterWriter
from stream.kafka.durable import DurableProducer, Produced
from stream.metrics import EnforceMetrics
from stream.model.cases import EFFECT_HEADER, Out, case_event_out
from stream.model.codec import Undecodable, encode
from stream.model.dead_letters import NO_OFFSET, DeadLetter
from stream.model.limits import RECORD
from stream.model.topics import ENFORCE_TABLE, TopicPartition

log = logs.get(__name__)

REMOVED_ROWS_MAX: Final = 100
"""Rows that are removed from the table at a time: some milliseconds, in which no record is taken."""


class CaseRuntime:
    """What one instance does to its table and topics. Create it on its loop; `start` before the first record, `stop`
    after the last.

    Every coroutine here but `stop` waits, without a bound, for a broker that does not answer.
    """

    def __init__(
        self,
        config: Config,
        *,
        table: Table,
        offsets: IntakeOffsets,
        terms: Terms,
        clock: WallClock,
        metrics: EnforceMetrics,
    ) -> None:
        self._config = config
        self._table = table
        self._offsets = offsets
        self._partitions = config.topics.partitions
        self._terms = terms
        self._clock = clock
        self._metrics = metrics
        self._producer = DurableProducer(config, client="wurao-enforce-effects")
        self._letters = DeadLetterWriter(config, client="wurao-enforce")
        self.timers = Timers()
        self.retention = Retention()
        self._reckoning = Reckoning()
        # Computed when it is scraped, not when clocks fire: while the broker does not answer, none does.
        metrics.overdue.set_function(lambda: self.timers.overdue_ms(clock.now()) / 1000)

    async def start(self) -> None:
        """Connect the producer. Waits for a broker."""
        await self._producer.start()

    async def stop(self) -> None:
        """Close the producer; records in flight are flushed, within a bound."""
        await self._producer.close()
        await self._letters.stop()

    async def flush(self) -> None:
        """Wait until all records in flight are acknowledged."""
        await self._producer.flush()

    @property
    def broker_fails(self) -> bool:
        """Whether what is written now is not acknowledged."""
        return self._producer.failing

    async def process(self, position: RecordPosition, key: bytes | None, value: bytes | None) -> None:
        """Process one record, whole; called by the reader, one at a time. Returns when it counts as processed."""
        began = time.monotonic()
        outcome = await self._process(position, key, value)
        row = self._offsets.advance(position)
        self._table[row.key] = row.value
        await self._send_unacknowledged(position.partition, row.key, row.value)
        self._metrics.arrivals.labels(position.topic, outcome).inc()
        self._metrics.step_seconds.inc(time.monotonic() - began)

    async def fire_timers(self) -> int:
        """Write the events of the clocks whose time has come; how many."""
        now = self._clock.now()
        timers = self.timers.fire(now, outstanding_max=self._config.enforce.rings_outstanding_max)
        if timers:
            await self._write([case_event_out(timer.event(now), self._partitions) for timer in timers])
        self._metrics.clocks.set(len(self.timers))
        return len(timers)

    def use_calendar(self, calendar: WorkingDays) -> None:
        """Count working days by this calendar from now on; where it is another, running clocks are reckoned anew."""
        if calendar is not self._terms.calendar:
            self._terms.calendar = calendar
            self._reckoning.begin(self.timers.cases())

    async def reckon_clocks(self) -> None:
        """Write the next events of clocks that the calendar has otherwise than when they were set."""
        if not self._reckoning.cases_count:
            return
        most = self._config.enforce.rings_outstanding_max
        now, calendar = self._clock.now(), self._terms.calendar
        events = self._reckoning.events(self.timers, self._entry, calendar, now, outstanding_max=most)
        if events:
            log.info("another calendar: clocks are reckoned anew", clocks_count=len(events))
            await self._write([case_event_out(event, self._partitions) for event in events])
        if not self._reckoning.cases_count and (left_count := self._reckoning.left_count):
            log.warning(
                "clocks that a version before set over a year whose calendar was not known keep no beginning, and stay "
                "as they are: `wurao case show` names them",
                clocks_count=left_count,
            )

    def _entry(self, key: str) -> Entry | None:
        row = self._table.get(key.encode())
        return None if row is None else store.decode(row)

    def removable(self) -> list[str]:
        """The keys of rows that may be removed from the table now, at most `REMOVED_ROWS_MAX`."""
        return self.retention.due(self._clock.now(), rows_max=REMOVED_ROWS_MAX)

    async def remove_rows(self) -> None:
        """Remove those rows from the table's topic, and then from memory. Only while no record is processed."""
        keys = self.removable()

        async def send(producer: AIOKafkaProducer) -> None:
            acks = [
                await producer.send(ENFORCE_TABLE, key=key.encode(), partition=partition_of(key, self._partitions))
                for key in keys
            ]
            await asyncio.gather(*acks)

        await self._producer.durably(send)
        for key in keys:
            self._table.pop(key.encode(), None)
            self.retention.set(key, None)
        self._metrics.cases.dec(len(keys))
        self._metrics.left.inc(len(keys))

    async def resume(self, rows: RecoveredRows) -> int:
        """Go on from the rows of our partitions: load the clocks, carry out what is in outboxes. The entries' count."""
        self._offsets.load(rows.offsets)
        entries = [(key, store.decode(value)) for key, value in rows.entries.items()]
        self.timers.load((key.decode(), entry.procedure, store.clocks(entry)) for key, entry in entries)
        self.retention.load((key.decode(), store.removable_at(entry, self._terms)) for key, entry in entries)
        self._reckoning.begin(self.timers.cases())  # the calendar may be another than when they were set
        for key, entry in entries:
            if entry.outbox:  # its record comes again too, but perhaps late, behind others
                await self._carry_out(key, entry, rows.partition[key])
        self._metrics.cases.set(len(entries))
        return len(entries)

    async def _process(self, position: RecordPosition, key: bytes | None, value: bytes | None) -> str:
        """What became of a record, as the metric's label `outcome`."""
        try:
            ahead_ms = self._clock.offset()
            found = decoding.read(position, key, value, self._partitions, self._terms.numbering, ahead_ms=ahead_ms)
        except Undecodable as error:
            await self._dead_letter(position, key, value, str(error))
            return "undecodable"
        match found:
            case Forward():
                out = case_event_out(found.event, self._partitions)
                if (reason := _too_large([out])) is not None:
                    await self._dead_letter(position, key, value, reason)
                    return "refused"
                await self._write([out])
                return "forwarded"
            case Arrival():
                outcome = await self._apply(position, found, value)
                self.timers.acknowledge(found.id)
                self._reckoning.acknowledge(found.id)
                return outcome

    async def _apply(self, position: RecordPosition, arrival: Arrival, value: bytes | None) -> str:
        key = arrival.key.encode()
        stored = self._table.get(key)
        entry = store.decode(stored) if stored else None
        if entry is not None and entry.outbox:
            await self._carry_out(key, entry, position.partition)
            entry = store.without_outbox(entry)
        outcome = self._step(entry, arrival)
        match outcome:
            case Duplicate():
                return "repeated"
            case Rejected(reason, stale):
                if stale:
                    return "stale"
                log.warning(
                    "event rejected; its record goes to dead-letter",
                    topic=position.topic,
                    procedure=arrival.procedure,
                    reason=reason,
                )
                await self._dead_letter(position, key, value, reason)
                return "refused"
            case Updated(after):
                written = encode(after)
                if await self._producer.write([Produced(ENFORCE_TABLE, key, written, position.partition)]):
                    reason = f"its case has {len(written)} bytes, more than {ENFORCE_TABLE} takes"
                    await self._dead_letter(position, key, value, reason)
                    return "refused"
                if stored is None:
                    self._metrics.cases.inc()
                self._table[key] = written
                self.timers.set(arrival.key, after.procedure, store.clocks(after))
                self._log_alerts(arrival.key, after)
                await self._carry_out(key, after, position.partition)
                return "taken"

    async def _carry_out(self, key: bytes, entry: Entry, partition: int) -> None:
        """Write what an entry has in its outbox, and then empty the outbox."""
        await self._write(outbox.records(key.decode(), entry, self._partitions, now=now_ms()))
        emptied = store.without_outbox(entry)
        written = encode(emptied)
        self._table[key] = written
        self.retention.set(key.decode(), store.removable_at(emptied, self._terms))
        await self._send_unacknowledged(partition, key, written)

    def _step(self, entry: Entry | None, arrival: Arrival) -> Updated | Duplicate | Rejected:
        """The pure step. A fault in it must not stop the stream: pure means that nothing was done yet."""
        now = max(self._clock.at(arrival.at), entry.updated if entry else 0)
        try:
            outcome = store.apply(arrival.key, entry, arrival, now, self._terms)
            if isinstance(outcome, Updated):
                # Or it could never be carried out.
                outs = outbox.records(arrival.key, outcome.entry, self._partitions, now=now_ms())
                if (reason := _too_large(outs)) is not None:
                    return Rejected(reason)
        except Undecodable as error:
            return Rejected(str(error))
        except Exception as error:
            self._metrics.failures.inc()
            event = str(arrival.event.__struct_config__.tag)
            log.exception("a step failed; its record goes to dead-letter", procedure=arrival.procedure, event_=event)
            return Rejected(f"the step failed: {type(error).__name__}")
        return outcome

    def _log_alerts(self, key: str, entry: Entry) -> None:
        """Log and count what people must know: alerts, and clocks set over years whose calendar is not known."""
        for effect in entry.outbox:
            match effect.act:
                case Alert(level=level, about=about):
                    self._metrics.alerts.labels(level, about).inc()
                    log.warning(level, about=about, case=key, procedure=entry.procedure)
                case SetClock(clock=clock) if not clock.known:
                    self._metrics.unknown_years.inc()
                    log.error(
                        "the official calendar of a year is not known; Monday to Friday were counted: "
                        "give the year in the file of enforce.calendar",
                        clock=clock.clock,
                        case=key,
                    )
                case _:
                    pass

    async def _dead_letter(self, position: RecordPosition, key: bytes | None, value: bytes | None, why: str) -> None:
        place = TopicPartition(position.topic, position.partition)
        await self._letters.write([DeadLetter(place, position.offset, key, value, why)])

    async def _write(self, out: Sequence[Out]) -> None:
        """Write records in their order; returns when all are acknowledged.

        One that its topic does not take for its size goes to `dead-letter` in its place: whatever else waits goes on.
        """
        refused = await self._producer.write([_produced(one) for one in out])
        for place in refused:
            one = out[place]
            log.error("a record is larger than its topic takes; it is in dead-letter", topic=one.topic)
            reason = "larger than its topic takes: raise max.message.bytes of the topic, and write it again"
            where = TopicPartition(one.topic, one.partition)
            await self._letters.write([DeadLetter(where, NO_OFFSET, one.key, one.value, reason)])
        for place, one in enumerate(out):
            if one.topic != ENFORCE_TABLE and place not in refused:
                self._metrics.effects.labels(one.topic).inc()

    async def _send_unacknowledged(self, partition: int, key: bytes, value: bytes) -> None:
        """Write a row that only spares work. If it is lost, effects are carried out, or records read, once more."""

        async def send(producer: AIOKafkaProducer) -> None:
            ack = await producer.send(ENFORCE_TABLE, value=value, key=key, partition=partition)
            ack.add_done_callback(lambda done: done.cancelled() or done.exception())

        await self._producer.unwatched(send)


def _too_large(outs: Sequence[Out]) -> str | None:
    """Why these may not be written, or None: a record is at most 1 MiB, and whoever reads it counts on that."""
    for one in outs:
        if (size := len(one.key) + len(one.value)) > RECORD.most:
            return f"what follows from it for {one.topic} would have {size} bytes, at most {RECORD.most}"
    return None


def _produced(one: Out) -> Produced:
    headers = [(EFFECT_HEADER, one.effect.encode())] if one.effect else []
    return Produced(one.topic, one.key, one.value, one.partition, headers)
