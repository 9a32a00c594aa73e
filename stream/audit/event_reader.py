"""Reads the events behind decisions, from their topics, just as far as a batch of decisions needs.

An event precedes its decision, and both stand in the same partition, so the events of each (topic, partition) are read
on until the wanted ones are found or the topic ends. Events that were read and not asked for yet are kept, within a
bound per partition; those whose decision was verified move into one cache for all partitions, because a worker's
successor may decide its last batches again after a crash. So memory follows what is in flight, not the partition count;
and what was evicted is read again, when a decision asks for it.

Must never commit or join a group.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from aiokafka.errors import OffsetOutOfRangeError

from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition
from stream.model.codec import Undecodable, event_decoder
from stream.model.decision import Decision
from stream.model.events import Event
from stream.model.topics import EVENT_KINDS, EVENTS_URGENT

AHEAD_MAX: Final = 10_000
"""Events of each topic and partition that are read ahead of their decisions: some polls of them."""

BEHIND_MAX: Final = 5_000
"""How many offsets behind the last event verified in its partition one may stand and still be decided: a batch holds at
most a fetch's worth of a partition (3,000 events, `clients.FETCH_BYTES_MAX`), and within it order is not sure. What is
further behind was decided before the audit started, or hardly ever will be."""

VERIFIED_MAX: Final = 20_000
"""Events kept after their decision was verified, of all partitions together: what five workers may have in flight (four
batches of 1,000 each). Some 1 kB each."""

READ_BACK_MS: Final = 60_000
"""An event's `time` is its producer's, its record may be stamped by another clock, and the decision by a third: begin a
minute earlier, and end a minute later."""

POLL_RECORDS_MAX: Final = 2_000
POLL_WAIT_MS: Final = 200


PlacedDecision = tuple[int, Decision]
"""The partition, and a decision that stands there."""


class _EventRecord(NamedTuple):
    """An event where it stands."""

    offset: int
    event: Event


class EventReader:
    """The events of the partitions that decisions come from."""

    def __init__(self, config: Config) -> None:
        self._consumer = clients.follower(config, client="wurao-audit-events")
        self._next: dict[AIOKafkaPartition, int] = {}
        self._ahead: dict[AIOKafkaPartition, OrderedDict[str, _EventRecord]] = {}
        """by id, in the order of the topic"""
        self._verified: OrderedDict[tuple[AIOKafkaPartition, str], Event] = OrderedDict()
        self._verified_to: dict[AIOKafkaPartition, int] = {}
        self._fetched_again: dict[tuple[AIOKafkaPartition, str], Event] = {}
        """what `find` had to look back for, until its next call"""
        self._decoders = {topic: event_decoder(topic) for topic in EVENT_KINDS}

    @property
    def kept_count(self) -> int:
        """How many events are in memory."""
        return len(self._verified) + sum(map(len, self._ahead.values()))

    async def start(self) -> None:
        """Connect; nothing is read yet."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Read no more."""
        await self._consumer.stop()

    async def assign(self, partitions: Mapping[int, int]) -> None:
        """Read exactly these partitions: partition → the moment (milliseconds) that its first event may bear."""
        places = {AIOKafkaPartition(topic, one): since for one, since in partitions.items() for topic in EVENT_KINDS}
        new = {place: max(0, since - READ_BACK_MS) for place, since in places.items() if place not in self._next}
        self._next = {place: offset for place, offset in self._next.items() if place in places}
        self._ahead = {place: self._ahead.get(place, OrderedDict()) for place in places}
        self._verified_to = {place: offset for place, offset in self._verified_to.items() if place in places}
        self._consumer.assign(list(places))
        if new:
            # The end offsets first: what is written between the two requests then lies behind them.
            ends = await self._consumer.end_offsets(list(new))
            begins = await self._consumer.offsets_for_times(new)
            self._next |= {place: begins[place].offset if begins.get(place) else ends[place] for place in new}
        for place, offset in self._next.items():
            self._consumer.seek(place, offset)

    async def find(self, decisions: Iterable[PlacedDecision]) -> None:
        """Read on until each (partition, decision) has its event, or its topics end, or all that comes is much later.

        Then look back for those that are still missing: what was evicted is in the topic none the less. So it
        depends on the topics alone whether an event is found, and not on earlier calls.
        """
        self._fetched_again.clear()
        if missing := [one for one in decisions if self.of(*one) is None]:
            await self._read_on(missing)
        if missing := [one for one in missing if self.of(*one) is None]:
            await self._look_back(missing)

    async def _read_on(self, missing: Sequence[PlacedDecision]) -> None:
        ends = await self._consumer.end_offsets(list(_bounds(missing)))
        async for place, records in self._until_found(missing, ends):
            self._keep(place, records)
            self._next[place] = max(self._next[place], records[-1].offset + 1)
        for place in ends:
            self._next[place] = await self._consumer.position(place)  # past transaction markers

    async def _look_back(self, missing: Sequence[PlacedDecision]) -> None:
        since: dict[AIOKafkaPartition, int] = {}
        for partition, one in missing:
            moment = max(0, min(one.time, one.decided) - READ_BACK_MS)
            since |= {place: min(since.get(place, moment), moment) for place in _places(partition, one)}
        begins = await self._consumer.offsets_for_times(since)
        again = {place: found.offset for place, found in begins.items() if found and found.offset < self._next[place]}
        wanted = {one.event for _, one in missing}
        try:
            for place, offset in again.items():
                self._consumer.seek(place, offset)
            async for place, records in self._until_found(missing, {place: self._next[place] for place in again}):
                events = self._events_of(place, records)
                self._fetched_again |= {(place, event.id): event for _, event in events if event.id in wanted}
        finally:
            for place in again:
                self._consumer.seek(place, self._next[place])

    async def _until_found(
        self, missing: Sequence[PlacedDecision], ends: Mapping[AIOKafkaPartition, int]
    ) -> AsyncIterator[tuple[AIOKafkaPartition, Sequence[clients.ConsumerRecord]]]:
        """Records of the places where these decisions' events may stand; the caller keeps them, so that they are found.

        A place is read up to its end, or until so many records in a row are later than all its decisions by a minute
        and none was sought: an event precedes its decision.
        """
        bounds = _bounds(missing)
        late_count = dict.fromkeys(bounds, 0)
        while wanted := [
            place
            for place in bounds.keys() & ends.keys()
            if late_count[place] <= BEHIND_MAX and await self._consumer.position(place) < ends[place]
        ]:
            for place, records in (await self._fetch(wanted)).items():
                yield place, records
                for record in records:
                    late_count[place] = late_count[place] + 1 if record.timestamp > bounds[place] else 0
            found = [one for one in missing if self.of(*one) is not None]
            late_count |= dict.fromkeys(_bounds(found), 0)
            missing = [one for one in missing if self.of(*one) is None]
            bounds = _bounds(missing)

    async def _fetch(
        self, places: Sequence[AIOKafkaPartition]
    ) -> Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]]:
        try:
            fetched: Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]] = await self._consumer.getmany(
                *places, timeout_ms=POLL_WAIT_MS, max_records=POLL_RECORDS_MAX
            )
        except OffsetOutOfRangeError as error:
            wanted: Mapping[AIOKafkaPartition, int] = error.args[0]
            begins = await self._consumer.beginning_offsets(list(wanted))
            if any(begins[place] <= offset for place, offset in wanted.items()):
                raise  # beyond the end: it is another topic
            for place in wanted:  # retention has deleted what comes next: the decisions about it stay unknown
                self._consumer.seek(place, begins[place])
            return {}
        return fetched

    def of(self, partition: int, decision: Decision) -> Event | None:
        """The event that a decision of this partition is about, if it was found."""
        for place in _places(partition, decision):
            read = self._ahead[place].get(decision.event)
            event = read.event if read else self._verified.get((place, decision.event))
            event = event or self._fetched_again.get((place, decision.event))
            if event is not None:
                return event
        return None

    def release(self, decisions: Iterable[PlacedDecision]) -> None:
        """These (partition, decision) are verified: evict what hardly any decision can be about any more."""
        touched: set[AIOKafkaPartition] = set()
        for partition, decision in decisions:
            for place in _places(partition, decision):
                read = self._ahead[place].pop(decision.event, None)
                if read is not None:
                    self._verified[place, decision.event] = read.event
                    self._verified_to[place] = max(self._verified_to.get(place, 0), read.offset)
                    touched.add(place)
        while len(self._verified) > VERIFIED_MAX:
            self._verified.popitem(last=False)
        for place in touched:
            ahead, passed = self._ahead[place], self._verified_to[place] - BEHIND_MAX
            while ahead and next(iter(ahead.values())).offset < passed:
                ahead.popitem(last=False)

    def _keep(self, place: AIOKafkaPartition, records: Iterable[clients.ConsumerRecord]) -> None:
        ahead = self._ahead[place]
        for offset, event in self._events_of(place, records):
            ahead[event.id] = _EventRecord(offset, event)
        while len(ahead) > AHEAD_MAX:
            ahead.popitem(last=False)

    def _events_of(
        self, place: AIOKafkaPartition, records: Iterable[clients.ConsumerRecord]
    ) -> Iterator[tuple[int, Event]]:
        decode = self._decoders[place.topic]
        for record in records:
            try:
                yield record.offset, decode(record.value)
            except Undecodable:
                continue  # it has no decision


def _bounds(decisions: Iterable[PlacedDecision]) -> dict[AIOKafkaPartition, int]:
    """Where the events of these may stand → the moment (milliseconds) that all of those precede."""
    bounds: dict[AIOKafkaPartition, int] = {}
    for partition, one in decisions:
        for place in _places(partition, one):
            bounds[place] = max(bounds.get(place, 0), max(one.time, one.decided) + READ_BACK_MS)
    return bounds


def _places(partition: int, decision: Decision) -> tuple[AIOKafkaPartition, AIOKafkaPartition]:
    """Where a decision's event may stand."""
    return AIOKafkaPartition(f"events.{decision.of}", partition), AIOKafkaPartition(EVENTS_URGENT, partition)
