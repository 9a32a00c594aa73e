"""Copies what holds name to `held`, before its topic forgets it: reads `holds`, and the records by their places.

A decision's event is looked for beside it: in the topics and the partition where it stands, from a minute before either
was made, by the bytes of its id. What is gone already, or was never there, is said.

Promises. A hold's offset is committed once all its copies are acknowledged; after a crash they are written again, the
same but for `time`. Bounded: an event names how far it is looked for (`LOOKED_THROUGH_MAX`), a hold its pieces of
evidence. Must never log what is copied.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import msgspec
from aiokafka.errors import OffsetOutOfRangeError

from stream import logs
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients, seams
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition
from stream.kafka.closing import close_within
from stream.kafka.durable import DurableProducer, Produced
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import RawBatch, take_raw
from stream.metrics import WatchMetrics
from stream.model.cases import Hold, out_of
from stream.model.codec import Undecodable, decode_as, decode_decision, event_decoder
from stream.model.decision import Decision
from stream.model.events import Event, Reply
from stream.model.held import FORGETTING, FoundRecord, Held, HeldOutcome, copied
from stream.model.places import RecordPlace, place_named
from stream.model.topics import DECISIONS, EVENT_KINDS, EVENTS_URGENT, HELD
from stream.warning.member import Taken, records_of

log = logs.get(__name__)

READ_WAIT_MS: Final = 500
PERSONAL: Final = "personal"
"""A purpose, and the reason of decisions about it: of such messages nothing is kept, not even a digest."""

AROUND_MS: Final = 60_000
"""An event's record and its decision may say moments that lie so far apart, by two clocks."""

LOOKED_THROUGH_MAX: Final = 1_000_000
"""Records that are looked through for an event: a minute of a large partition, at 0.4 µs each."""


class HoldCopier:
    """What an instance does with its partitions of `holds`. It has no life of its own: a `TopicMember` feeds it."""

    def __init__(self, config: Config, *, producer: DurableProducer, metrics: WatchMetrics, client: str) -> None:
        self._config = config
        self._producer = producer
        self._metrics = metrics
        self._client = client

    def begin(self, partitions: Mapping[int, range]) -> None:
        """These partitions are ours from now on: nothing is remembered of any."""

    async def take(self, fetched: Mapping[int, Sequence[Taken]]) -> None:
        """Copy what these holds name; returns once the copies are acknowledged. Raises `KafkaError`."""
        for partition, pieces in fetched.items():
            for piece in pieces:
                for record in records_of(piece):
                    try:
                        hold = decode_as(Hold, record.value or b"")
                    except Undecodable as error:
                        log.warning(
                            "hold cannot be decoded: nothing is copied",
                            partition=partition,
                            offset=record.offset,
                            error=str(error),
                        )
                        continue
                    await self._keep(hold)

    async def end(self) -> None:
        """Nothing is left to be done: what was taken is copied."""

    async def _keep(self, hold: Hold) -> None:
        named = [place for one in hold.evidence if (place := place_named(one)) is not None]
        places = [place for place in named if place.topic in FORGETTING]
        if not places:
            return
        reader = PlaceReader(self._config, client=f"{self._client}-held")
        try:
            await reader.start()
            helds = [held for place in places for held in await self._copies(reader, hold, place)]
        finally:
            await close_within(reader)
        outs = [out_of(HELD, hold.case, held, "", self._config.topics.partitions) for held in helds]
        refused = await self._producer.write([Produced(one.topic, one.key, one.value, one.partition) for one in outs])
        for one in refused:
            log.error("a copy is larger than `held` takes, and not kept", case=hold.case, place=helds[one].place)
        for held in helds:
            self._metrics.held.labels(held.outcome).inc()
        missing = sum(held.digest is None for held in helds)
        log.info("hold copied", case=hold.case, records_count=len(helds) - missing, missing_count=missing)

    async def _copies(self, reader: "PlaceReader", hold: Hold, place: RecordPlace) -> list[Held]:
        """The copy of a record, and where it is a decision, of its event's."""
        named, now = str(place), now_ms()
        found = await reader.at(place)
        if isinstance(found, FoundRecord) and place.topic in EVENT_KINDS and is_private(found):
            found = "withheld"
        if not isinstance(found, FoundRecord):
            return [Held(hold.hold, hold.case, now, named, found, place=str(place._replace(digest=None)))]
        helds = [copied(hold.hold, hold.case, now, named=named, record=found, digest=place.digest)]
        if place.topic == DECISIONS:
            try:
                decision = decode_decision(found.value or b"")
            except Undecodable:
                return helds
            if decision.reason == PERSONAL:
                return [*helds, Held(hold.hold, hold.case, now, named, "withheld")]
            event = await reader.event_of(place.partition, decision)
            helds.append(
                Held(hold.hold, hold.case, now, named, "absent")
                if event is None
                else copied(hold.hold, hold.case, now, named=named, record=event)
            )
        return helds


def is_private(found: FoundRecord) -> bool:
    """Whether an event may be personal: who named it by its decision knows, by itself it may not say."""
    try:
        event = event_decoder(found.place.topic)(found.value)
    except Undecodable:
        return True
    return not isinstance(event, Reply) and event.purpose in (None, PERSONAL)


class PlaceReader:
    """Reads records by place. `start` first, `stop` at the end."""

    def __init__(self, config: Config, *, client: str) -> None:
        self._partitions_count = config.topics.partitions
        self._consumer: AIOKafkaConsumer = clients.group_consumer(
            config, group=None, client=client, instance=None, offset_reset="none"
        )

    async def start(self) -> None:
        """Connect."""
        await self._consumer.start()
        if seams.misfit() is None:
            take_raw(self._consumer)

    async def stop(self) -> None:
        """Read no more."""
        await self._consumer.stop()

    async def at(self, place: RecordPlace) -> FoundRecord | HeldOutcome:
        """The record that stands there, or why there is none: `gone`, `absent`."""
        partition = AIOKafkaPartition(place.topic, place.partition)
        if place.partition >= self._partitions_count:
            return "absent"
        begin = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        if not begin <= place.offset < end:
            return "gone" if place.offset < begin else "absent"
        try:
            async for piece in self._from(partition, place.offset, end):
                for record in records_of(piece):
                    if record.offset >= place.offset:
                        return _found(partition, record) if record.offset == place.offset else "absent"
        except OffsetOutOfRangeError:
            return "gone"  # since
        return "absent"

    async def event_of(self, partition: int, decision: Decision) -> FoundRecord | None:
        """The event that a decision of this partition is about, if it is found near it."""
        since = max(0, min(decision.time, decision.decided) - AROUND_MS)
        until = max(decision.time, decision.decided) + AROUND_MS
        for topic in (f"events.{decision.of}", EVENTS_URGENT):
            try:
                found = await self._event_in(AIOKafkaPartition(topic, partition), decision.event, since, until)
            except OffsetOutOfRangeError:
                continue  # what was sought stood there, and is gone since
            if found is not None:
                return found
        return None

    async def _event_in(self, partition: AIOKafkaPartition, event: str, since: int, until: int) -> FoundRecord | None:
        end = (await self._consumer.end_offsets([partition]))[partition]
        begin = (await self._consumer.offsets_for_times({partition: since}))[partition]
        if begin is None:
            return None
        needle, decode, looked_through = msgspec.json.encode(event), event_decoder(partition.topic), 0
        async for piece in self._from(partition, begin.offset, end):
            looked_through += piece.count if isinstance(piece, RawBatch) else 1
            if not isinstance(piece, RawBatch) or piece.holds(needle):
                for record in records_of(piece):
                    if needle in (record.value or b"") and _is(decode, record, event):
                        return _found(partition, record)
            newest = piece.newest if isinstance(piece, RawBatch) else piece.timestamp
            if newest > until or looked_through > LOOKED_THROUGH_MAX:
                return None
        return None

    async def _from(self, partition: AIOKafkaPartition, offset: int, end: int) -> AsyncIterator[Taken]:
        """What stands from this offset to the end. Waits for a broker."""
        self._consumer.assign([partition])
        self._consumer.seek(partition, offset)
        while await self._consumer.position(partition) < end:
            for pieces in (await self._consumer.getmany(partition, timeout_ms=READ_WAIT_MS)).values():
                for piece in pieces:
                    yield piece


def _found(partition: AIOKafkaPartition, record: FetchedRecord) -> FoundRecord:
    place = RecordPlace(partition.topic, partition.partition, record.offset)
    return FoundRecord(place, record.timestamp, record.key, record.value)


def _is(decode: Callable[[bytes | None], Event], record: FetchedRecord, event: str) -> bool:
    try:
        return decode(record.value).id == event
    except Undecodable:
        return False
