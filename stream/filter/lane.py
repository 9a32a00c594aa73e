"""A lane: one consumer group's partitions, decided batch by batch.

A worker has two, each with its own consumer: `urgent` for what must not wait, `bulk` for everything else. Bulk takes
a batch only while urgent has nothing in hand or, for a moment, on its way, and a batch is short: an emergency waits for
one or two batches.

Both fetch records, or, on the native path, record batches as the broker sent them. How much is taken at a time is bound
by the time that it takes to decide: the share that falls back to Python counts for what it costs.

The life of a batch, and what may block: wait for the lane that goes first, and for room in the delivery
(back-pressure); fetch, up to `fetch_wait_ms`; decide, without an await but between parts of one that takes long; hand
over. From fetch to hand-over the batch
is *in hand*. When partitions are revoked the listener waits for that and for the acknowledgements, within a bound, so
that the next owner starts where we ended; what is not acknowledged by then is not committed, and decided again there.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from stream import logs
from stream.config import FilterConfig
from stream.deciding.batch import Outputs, Record
from stream.deciding.native_batch import Taken
from stream.filter.delivery import AtLeastOnceDelivery, BatchDelivery, WritesLetters
from stream.filter.lane_state import LaneState
from stream.filter.pacing import Pacing
from stream.filter.transactions import ExactlyOnceDelivery
from stream.kafka import clients
from stream.kafka.group import commit_owned
from stream.kafka.offsets import Offsets
from stream.kafka.reach import until_answered
from stream.kafka.seams.incoming import RawBatch, joined, raw_batches, spare_consumer_records, take_raw
from stream.kafka.seams.membership import InstanceTaken, keep_out, see_not_taken
from stream.kafka.transactional import MakeProducer
from stream.model.topics import TopicPartition

log = logs.get(__name__)

YIELD_S_MAX: Final = 0.02
"""How long bulk stands back for acknowledgements: beyond, the broker is slow, and a flood of emergencies would stop all
other traffic."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """What one lane is, and its bounds; fixed for its life."""

    name: str
    topics: tuple[str, ...]
    group: str
    """its consumer group, and the beginning of its transactional ids"""
    is_raw: bool
    """whether record batches are taken as the broker sent them, for the native module"""
    batch_records_max: int
    batches_in_flight_max: int
    fetch_wait_ms: int
    drain_timeout_ms: int
    """how long a rebalance or the end waits for acknowledgements"""

    @classmethod
    def of(cls, config: FilterConfig, name: str, topics: Sequence[str], *, is_raw: bool) -> "LaneSettings":
        """Those that the configuration gives a lane."""
        return cls(
            name,
            tuple(topics),
            f"{config.group}.{name}",
            is_raw,
            batch_records_max=config.batch_records_max,
            batches_in_flight_max=config.batches_in_flight_max,
            fetch_wait_ms=config.fetch_wait_ms,
            drain_timeout_ms=config.drain_timeout_ms,
        )


class DecidesBatches(Protocol):
    """What decides a lane's batches. Neither method waits; both are called on the lane's loop."""

    def decide(self, lane: str, batches: Mapping[TopicPartition, Taken], /) -> Outputs:
        """Decide a batch at this moment. The lane calls it, between fetch and hand-over."""

    def acknowledged(self, lane: str, outputs: Outputs, /) -> None:
        """Take note that the broker has everything of a batch. The delivery calls it, before it commits."""


class Lane(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """One lane of a worker. Create it on the worker's loop; `start`, then `run` until `stop`."""

    def __init__(
        self,
        settings: LaneSettings,
        *,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        letters: WritesLetters,
        decider: DecidesBatches,
        after: "Lane | None" = None,
        marks: Mapping[str, str],
        lost: Callable[[str, int], None],
        member: AIOKafkaConsumer | None = None,
        transactional: MakeProducer | None = None,
    ) -> None:
        """`marks` names topics as commits do, `lost` is called with topic and count of offsets that were skipped
        (`offsets`).

        `transactional` makes the producers of exactly-once delivery; without it, delivery is at least once.
        """
        self._settings = settings
        self.consumer = consumer
        self._member = member or consumer
        """the member of the group, which commits: another one where partitions are assigned by hand"""
        self.offsets = Offsets(consumer, member=self._member, marks=marks, lost=lost)
        self._open: frozenset[int] | None = None
        acknowledged = partial(decider.acknowledged, settings.name)
        self.delivery: BatchDelivery = (
            AtLeastOnceDelivery(
                producer,
                letters=letters,
                begin=self.offsets.begin,
                commit=self._commit,
                in_flight_max=settings.batches_in_flight_max,
                acknowledged=acknowledged,
            )
            if transactional is None
            else ExactlyOnceDelivery(
                producer,
                letters=letters,
                consumer=consumer,
                offsets=self.offsets,
                group=settings.group,
                transactional=transactional,
                in_flight_max=settings.batches_in_flight_max,
                acknowledged=acknowledged,
            )
        )
        self._decider = decider
        self._after = after
        self._state = LaneState()
        self.pacing: Pacing = Pacing(
            consumer,
            batch_records_max=settings.batch_records_max,
            fetch_wait_ms=settings.fetch_wait_ms,
            urgent=after.pacing if after is not None else None,
        )
        self._is_spared = True
        """whether the consumer is still believed to make no records of its own (`spare_consumer_records`)"""

    async def start(self, *, listener: ConsumerRebalanceListener | None = None, also: Sequence[str] = ()) -> None:
        """Join the group, with what else the member should be given; `listener`, if any, is called on rebalances."""
        self.consumer.subscribe((*self._settings.topics, *also), listener=listener or self)
        await self.start_by_hand()

    async def start_by_hand(self) -> None:
        """Begin with no partitions: they are assigned to the consumer later."""
        await until_answered(self.consumer.start)
        keep_out(self.consumer)
        if self._settings.is_raw:
            take_raw(self.consumer)

    async def run(self) -> None:
        """Decide batches until `stop`. Raises what made delivery impossible."""
        while self._state.may_take:
            if self._after is not None:
                await self._after.drained()
            await self.delivery.room()
            taken = self._of_open(await self._take())
            self.pacing.taken(taken)
            if not taken or not self._state.take():
                # What comes when the end was asked for already is for the next owner: nobody would commit it here.
                self.delivery.release_room()
                continue
            try:
                for portion in self.delivery.portions(taken):
                    outputs = await self._decided(portion)
                    if self._settings.is_raw:
                        self.pacing.decided(outputs)
                    await self.delivery.hand_over(outputs)
            finally:
                self._state.handed_over()

    async def _decided(self, portion: Mapping[TopicPartition, Taken]) -> Outputs:
        """What comes of a portion. One that takes long is decided in parts, between which the loop turns and the lane
        that goes first has its turn; it is handed over whole.
        """
        outputs = self._decider.decide(self._settings.name, portion)
        while outputs.rest:
            await asyncio.sleep(0)
            if self._after is not None:
                await self._after.drained()
            rest = {place: Taken([], records, records[-1].offset + 1) for place, records in outputs.rest.items()}
            outputs.add(self._decider.decide(self._settings.name, rest))
        return outputs

    async def until_failure(self) -> None:
        """Raises what makes delivery impossible, as soon as it does, whatever the lane waits for at that moment."""
        await asyncio.shield(self.delivery.failed)

    async def see_instance(self) -> None:
        """Raise `InstanceTaken` where another process has joined as this worker's instance, if brokers say so now."""
        try:
            async with asyncio.timeout(clients.GOODBYE_S_MAX):
                await see_not_taken(self._member)
        except InstanceTaken:
            raise
        except (clients.KafkaError, TimeoutError):
            return

    async def _take(self) -> dict[TopicPartition, Taken]:
        try:
            return await (self._take_raw() if self._settings.is_raw else self._take_records())
        except NoOffsetForPartitionError:
            return {}  # assigned just now: it is being set to where it begins
        except OffsetOutOfRangeError as error:
            await self.offsets.pass_over(error)
            return {}

    async def _take_records(self) -> dict[TopicPartition, Taken]:
        if self._is_spared and not spare_consumer_records(self.consumer):
            self._is_spared = False
            log.warning(
                "this version of aiokafka is not one that stream.kafka.seams knows: batches cost more CPU time",
                lane=self._settings.name,
            )
        fetched = await self.consumer.getmany(timeout_ms=self.pacing.wait_ms, max_records=self.pacing.records_max)
        return {
            TopicPartition(*place): Taken([], records, records[-1].offset + 1) for place, records in fetched.items()
        }

    async def _take_raw(self) -> dict[TopicPartition, Taken]:
        fetched = await raw_batches(
            self.consumer,
            timeout_ms=self.pacing.wait_ms,
            records_max=self.pacing.raw_records_max,
        )
        return {TopicPartition(*place): _taken(pieces) for place, pieces in fetched.items()}

    def shut(self) -> None:
        """Take nothing of any partition until it is opened; what was fetched meanwhile is fetched again."""
        self._open = frozenset()
        self.consumer.pause(*self.consumer.assignment())

    def open(self, partition: int) -> None:
        """Take what comes in a partition of our topics, where it is assigned. For who has `shut` all before."""
        self._open = (self._open or frozenset()) | {partition}
        places = {AIOKafkaPartition(topic, partition) for topic in self._settings.topics}
        self.consumer.resume(*places & self.consumer.assignment())

    def _of_open(self, taken: dict[TopicPartition, Taken]) -> dict[TopicPartition, Taken]:
        """Without what was on its way to us when its partition was shut: the consumer is set back before it."""
        if self._open is None or all(place.partition in self._open for place in taken):
            return taken
        assigned = self.consumer.assignment()
        for place in [place for place in taken if place.partition not in self._open]:
            if AIOKafkaPartition(*place) in assigned:
                self.consumer.seek(AIOKafkaPartition(*place), taken[place].first_offset)
            del taken[place]
        return taken

    async def drained(self) -> None:
        """Wait until nothing of this lane is in hand, and, for `YIELD_S_MAX` at most, until it is acknowledged.

        Between hand-over and acknowledgement the loop turns several times; a batch of bulk in each of these turns would
        make an emergency wait for all of them.
        """
        await self._state.until_empty_handed()
        if self.delivery.in_flight:
            with suppress(TimeoutError):
                async with asyncio.timeout(YIELD_S_MAX):
                    await self.delivery.settled()

    async def stop(self) -> None:
        """Take no more; wait for what is on its way, within the bound. Then the group may be left.

        Raises what made delivery impossible.
        """
        self._state.drain()
        await self.settle("stop")
        await self.delivery.stop()
        self._state.stop()
        if self.delivery.failed.done():
            self.delivery.failed.result()

    async def on_partitions_revoked(self, revoked: set[AIOKafkaPartition]) -> None:
        """Let everything taken be acknowledged and committed before another worker takes over (aiokafka calls this)."""
        if revoked:
            await self.settle("revoked")
            await self.delivery.revoked([TopicPartition(*place) for place in revoked])
            log.info("partitions revoked", lane=self._settings.name, partitions_count=len(revoked))

    async def on_partitions_assigned(self, assigned: set[AIOKafkaPartition]) -> None:
        """Set partitions to where they begin (aiokafka calls this; meanwhile nothing is fetched of them)."""
        self.consumer.pause(*assigned)
        await self.delivery.assigned([TopicPartition(*place) for place in assigned])
        if self.delivery.failed.done():
            return
        self.consumer.resume(*assigned)
        log.info("partitions assigned", lane=self._settings.name, partitions_count=len(assigned))

    async def settle(self, why: str) -> None:
        """Wait until everything taken is acknowledged and committed, within the bound.

        Returns where delivery has failed, too: that ends the worker, and whoever calls us in a rebalance (aiokafka)
        would only swallow it.
        """
        try:
            async with asyncio.timeout(self._settings.drain_timeout_ms / 1000):
                await self._state.until_empty_handed()
                with suppress(Exception):
                    await self.delivery.drain()
        except TimeoutError:
            log.warning(
                "batches abandoned: not acknowledged in time, so not committed; they are decided again",
                lane=self._settings.name,
                why=why,
                batches_count=self.delivery.in_flight,
            )

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        await commit_owned(self._member, self.offsets.named(offsets))


def _taken(pieces: Sequence[RawBatch | Record]) -> Taken:
    last = pieces[-1]
    return Taken(
        joined([piece for piece in pieces if isinstance(piece, RawBatch)]),
        [piece for piece in pieces if not isinstance(piece, RawBatch)],
        last.next_offset if isinstance(last, RawBatch) else last.offset + 1,
    )
