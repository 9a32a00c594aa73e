"""The shell around the procedures: takes one record after the other, keeps the state, carries out the effects.

It promises this order, and rests all its guarantees on it:

1. the entry with its effects is acknowledged by the table's topic;
2. the effects are acknowledged, each under its key;
3. the record counts as dealt with;
4. (waited for by nobody) the entry is written without its effects, and after it the partition's position.

A process that dies before 1 has done nothing. One that dies after 1 has all it owes in the table: the record
comes again, is known by its id, and what may not have been carried out is carried out, under the keys that it
had. So no order of events loses a case or tells anybody twice under two names.

It must never take two records at once. Broker errors are waited out here; whatever else goes wrong outside a
step is a fault of the program, and whoever calls ends the process.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka.structs import RecordMetadata

from bloom.partition import partition_of
from stream import logs
from stream.clock import WallClock
from stream.config import Config
from stream.enforce.cases import decoding, outbox, store
from stream.enforce.cases.decoding import Arrival, Forward, RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.enforce.cases.recovery import RecoveredRows, Table
from stream.enforce.cases.store import Duplicate, Entry, Rejected, Updated
from stream.enforce.cases.timers import Timers
from stream.enforce.procedures.effects import Alert, SetClock
from stream.enforce.procedures.retention import Retention
from stream.enforce.procedures.terms import Terms
from stream.kafka.clients import AIOKafkaProducer
from stream.kafka.durable import DurableProducer
from stream.metrics import EnforceMetrics
from stream.model.cases import EFFECT_HEADER, Out, case_event_out
from stream.model.codec import Undecodable, encode
from stream.model.topics import DEAD_LETTER, ENFORCE_TABLE

log = logs.get(__name__)

LEAVING_ROWS_MAX: Final = 100
"""Rows that leave at a time: some milliseconds, for which no record is taken."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that came to nothing, and why."""

    spot: RecordPosition
    key: bytes | None
    value: bytes | None
    reason: str


class CaseRuntime:
    """One instance's hands. Create it on its loop; `start` before the first record, `stop` after the last."""

    def __init__(
        self,
        config: Config,
        *,
        table: Table,
        positions: IntakeOffsets,
        terms: Terms,
        clock: WallClock,
        metrics: EnforceMetrics,
    ) -> None:
        self._config = config
        self._table = table
        self._positions = positions
        self._partitions = config.topics.partitions
        self._terms = terms
        self._clock = clock
        self._metrics = metrics
        self._producer = DurableProducer(config, client="wurao-enforce-effects")
        self.diary = Timers()
        self.retention = Retention()
        # When it is asked for, not when clocks ring: while the broker does not answer, none does.
        metrics.overdue.set_function(lambda: self.diary.overdue_ms(clock.now()) / 1000)

    async def start(self) -> None:
        """Be able to write. Waits for a broker."""
        await self._producer.start()

    async def stop(self) -> None:
        """Write no more; what was handed over is flushed, within a bound."""
        await self._producer.close()

    async def flush(self) -> None:
        """Wait until all that was handed over is acknowledged."""
        await self._producer.flush()

    @property
    def broker_fails(self) -> bool:
        """Whether what is written now is not acknowledged."""
        return self._producer.failing

    async def take(self, spot: RecordPosition, key: bytes | None, value: bytes | None) -> None:
        """Deal with one record, whole. Returns when it may be counted as dealt with."""
        began = time.monotonic()
        outcome = await self._take(spot, key, value)
        row = self._positions.pass_(spot)
        self._table[row.key] = row.value
        await self._send_unwatched(spot.partition, row.key, row.value)
        self._metrics.arrivals.labels(spot.topic, outcome).inc()
        self._metrics.step_seconds.inc(time.monotonic() - began)

    async def ring(self) -> int:
        """Ring the clocks whose time has come; how many did."""
        now = self._clock.now()
        rings = self.diary.ring(now, outstanding_max=self._config.enforce.rings_outstanding_max)
        if rings:
            await self._write([case_event_out(ring.event(now), self._partitions) for ring in rings])
        self._metrics.clocks.set(len(self.diary))
        return len(rings)

    def leaving(self) -> list[str]:
        """The rows that may leave the table now, as many as are taken at a time."""
        return self.retention.due(self._clock.now(), rows_max=LEAVING_ROWS_MAX)

    async def let_leave(self) -> None:
        """Take those rows out of the table, and then out of memory. Only while no record is at hand."""
        keys = self.leaving()

        async def send(producer: AIOKafkaProducer) -> None:
            acks = [
                await producer.send(ENFORCE_TABLE, key=key.encode(), partition=partition_of(key, self._partitions))
                for key in keys
            ]
            await asyncio.gather(*acks)

        await self._producer.durably(send)
        for key in keys:
            self._table.pop(key.encode(), None)
            self.retention.note(key, None)
        self._metrics.cases.dec(len(keys))
        self._metrics.left.inc(len(keys))

    async def resume(self, rows: RecoveredRows) -> int:
        """Go on from the rows of our partitions: find the clocks, finish what was begun. How many entries there are."""
        self._positions.load(rows.positions)
        entries = [(key, store.decode(value)) for key, value in rows.entries.items()]
        self.diary.fill((key.decode(), entry.procedure, store.clocks(entry)) for key, entry in entries)
        self.retention.fill((key.decode(), store.removable_at(entry, self._terms)) for key, entry in entries)
        for key, entry in entries:
            if entry.outbox:  # its record comes again too, but perhaps late, behind others
                await self._carry_out(key, entry, rows.partition[key])
        self._metrics.cases.set(len(entries))
        return len(entries)

    async def _take(self, spot: RecordPosition, key: bytes | None, value: bytes | None) -> str:
        try:
            found = decoding.read(spot, key, value, self._partitions, self._terms.numbering)
        except Undecodable as error:
            await self._bury(RejectedRecord(spot, key, value, str(error)))
            return "undecodable"
        match found:
            case None:
                return "ignored"
            case Forward():
                await self._write([case_event_out(found.event, self._partitions)])
                return "forwarded"
            case Arrival():
                outcome = await self._arrive(spot, found, value)
                self.diary.dealt_with(found.id)
                return outcome

    async def _arrive(self, spot: RecordPosition, arrival: Arrival, value: bytes | None) -> str:
        key = arrival.key.encode()
        stored = self._table.get(key)
        entry = store.decode(stored) if stored else None
        if entry is not None and entry.outbox:
            await self._carry_out(key, entry, spot.partition)
            entry = store.settled(entry)
        outcome = self._step(entry, arrival)
        match outcome:
            case Duplicate():
                return "repeated"
            case Rejected(reason, stale):
                if stale:
                    return "stale"
                log.warning("refused", topic=spot.topic, procedure=arrival.procedure, reason=reason)
                await self._bury(RejectedRecord(spot, key, value, reason))
                return "refused"
            case Updated(after):
                written = encode(after)
                await self._write([Out(ENFORCE_TABLE, spot.partition, key, written)])
                if stored is None:
                    self._metrics.cases.inc()
                self._table[key] = written
                self.diary.note(arrival.key, after.procedure, store.clocks(after))
                self._tell(arrival.key, after)
                await self._carry_out(key, after, spot.partition)
                return "taken"

    async def _carry_out(self, key: bytes, entry: Entry, partition: int) -> None:
        """Do what an entry has in its outbox, and then take it out."""
        await self._write(outbox.records(key.decode(), entry, self._partitions))
        settled = store.settled(entry)
        done = encode(settled)
        self._table[key] = done
        self.retention.note(key.decode(), store.removable_at(settled, self._terms))
        await self._send_unwatched(partition, key, done)

    def _step(self, entry: Entry | None, arrival: Arrival) -> Updated | Duplicate | Rejected:
        """The pure step. A fault in it must not stop the stream: pure means that nothing was done yet."""
        now = max(self._clock.at(arrival.at), entry.updated if entry else 0)
        try:
            outcome = store.take(arrival.key, entry, arrival, now, self._terms)
            if isinstance(outcome, Updated):
                outbox.records(arrival.key, outcome.entry, self._partitions)  # or it could never be carried out
        except Undecodable as error:
            return Rejected(str(error))
        except Exception as error:
            self._metrics.failures.inc()
            event = str(arrival.event.__struct_config__.tag)
            log.exception("a step failed; its record goes to dead-letter", procedure=arrival.procedure, event_=event)
            return Rejected(f"the step failed: {type(error).__name__}")
        return outcome

    def _tell(self, key: str, entry: Entry) -> None:
        """To people, by log and metrics: alerts, and clocks set over years that nobody knows."""
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

    async def _bury(self, letter: RejectedRecord) -> None:
        spot = letter.spot
        headers = [
            ("error", letter.reason.encode()),
            ("topic", spot.topic.encode()),
            ("partition", str(spot.partition).encode()),
            ("offset", str(spot.offset).encode()),
        ]

        async def send(producer: AIOKafkaProducer) -> None:
            await producer.send_and_wait(DEAD_LETTER, value=letter.value, key=letter.key, headers=headers)

        await self._producer.durably(send)

    async def _write(self, out: Sequence[Out]) -> None:
        """Write records in their order; returns when all are acknowledged."""

        async def send(producer: AIOKafkaProducer) -> None:
            acks = [await _send(producer, one) for one in out]
            await asyncio.gather(*acks)

        await self._producer.durably(send)
        for one in out:
            if one.topic != ENFORCE_TABLE:
                self._metrics.effects.labels(one.topic).inc()

    async def _send_unwatched(self, partition: int, key: bytes, value: bytes) -> None:
        """Write what only spares work. If it is lost, effects are carried out once more, or records read again."""

        async def send(producer: AIOKafkaProducer) -> None:
            ack = await _send(producer, Out(ENFORCE_TABLE, partition, key, value))
            ack.add_done_callback(lambda done: done.cancelled() or done.exception())

        await self._producer.unwatched(send)


async def _send(producer: AIOKafkaProducer, one: Out) -> asyncio.Future[RecordMetadata]:
    headers = [(EFFECT_HEADER, one.effect.encode())] if one.effect else None
    ack: asyncio.Future[RecordMetadata] = await producer.send(
        one.topic, value=one.value, key=one.key, partition=one.partition, headers=headers
    )
    return ack
