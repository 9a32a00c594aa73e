"""A lane: one consumer group's partitions, decided batch by batch.

A worker has two, each with its own consumer: `urgent` for what must not wait, `bulk` for everything else. Bulk takes
a batch only while urgent has nothing in hand or, for a moment, on its way, and a batch is short: an emergency waits for
one or two batches.

Both fetch records, or, on the native path, record batches as the broker sent them. How much is taken at a time is bound
by the time that it takes to decide: the share that is left to Python counts for what it costs.

The life of a batch, and what may block: wait for the lane that goes first, and for room in the delivery
(back-pressure); fetch, up to `fetch_wait_ms`; decide, without an await; hand over. From fetch to hand-over the batch
is *in hand*. When partitions are revoked the listener waits for that and for the acknowledgements, within a bound, so
that the next owner starts where we ended; what is not acknowledged by then is not committed, and decided again there.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from stream import logs
from stream.config import FilterConfig
from stream.deciding.batch import Outputs, Place, Record
from stream.deciding.native_batch import Taken
from stream.filter.delivery import Delivery, WayOut
from stream.filter.offsets import Offsets
from stream.filter.transactions import MakeProducer, Transactions
from stream.kafka import clients
from stream.kafka.group import commit_owned
from stream.kafka.reach import until_answered
from stream.kafka.seams.incoming import RawBatch, gather, joined, raw_batches, spare_consumer_records, take_raw
from stream.kafka.seams.membership import InstanceTaken, keep_out, see_not_taken

log = logs.get(__name__)

YIELD_S_MAX: Final = 0.02
"""How long bulk stands back for acknowledgements: beyond, the broker is slow, and a flood of emergencies would stop all
other traffic."""

GATHER_MS: Final = 2
GATHER_BYTES: Final = 1 << 16
"""While events come, the broker holds a fetch of bulk for so long, or until it has so much. A round of fetch, decision
and delivery costs a worker and its broker as much for a few events as for hundreds, and a broker that answers at the
first event gives out in pieces what a producer sends at a time."""

QUIET_MS: Final = 5
"""When nothing has come for so long, it is answered at the first event again: to gather what comes seldom would be to
ask in vain."""

LATELY_S: Final = 5.0
URGENT_TIMES: Final = 4
"""While urgent events come, a batch of bulk is smaller by so much: one of them waits for a batch."""

Decide = Callable[[str, Mapping[Place, Taken]], Outputs]
"""Decides a batch of a lane (its name first) at this moment."""

NATIVE_PACE: Final = 8
"""How many events the native path answers, at least, in the time that Python takes for one."""


class Lane(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """One lane of a worker. Create it on the worker's loop; `start`, then `run` until `stop`."""

    def __init__(
        self,
        name: str,
        *,
        topics: Sequence[str],
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        limits: FilterConfig,
        decide: Decide,
        raw: bool,
        acknowledged: Callable[[Outputs], None],
        after: "Lane | None" = None,
        marks: Mapping[str, str],
        lost: Callable[[str, int], None],
        member: AIOKafkaConsumer | None = None,
        transactional: MakeProducer | None = None,
    ) -> None:
        """`marks` names topics as commits do, `lost` is told what was passed over of which (`offsets`).

        `transactional` makes the producers of exactly-once delivery; without it, delivery is at least once.
        """
        self.name = name
        self.consumer = consumer
        self._member = member or consumer
        """the member of the group, which commits: another one where partitions are assigned by hand"""
        self.offsets = Offsets(consumer, member=self._member, marks=marks, lost=lost)
        self._open: frozenset[int] | None = None
        in_flight_max = limits.batches_in_flight_max
        self.delivery: WayOut = (
            Delivery(
                producer,
                begin=self.offsets.begin,
                commit=self._commit,
                in_flight_max=in_flight_max,
                acknowledged=acknowledged,
            )
            if transactional is None
            else Transactions(
                producer,
                consumer=consumer,
                offsets=self.offsets,
                group=f"{limits.group}.{name}",
                transactional=transactional,
                in_flight_max=in_flight_max,
                acknowledged=acknowledged,
            )
        )
        self._topics = topics
        self._limits = limits
        self._decide = decide
        self._after = after
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._spare = True
        self._raw = raw
        self._gathering = False
        self._taken_at_s = -inf
        """the monotonic moment at which something was last taken"""
        self._cost = 1.0
        """the work of a record of the last batch, in those that Python decides"""

    async def start(self, *, listener: ConsumerRebalanceListener | None = None, also: Sequence[str] = ()) -> None:
        """Join the group, with what else the member should be given; `listener` hears of rebalances instead of us."""
        self.consumer.subscribe((*self._topics, *also), listener=listener or self)
        await self.start_by_hand()

    async def start_by_hand(self) -> None:
        """Begin with no partitions: they are assigned to the consumer later."""
        await until_answered(self.consumer.start)
        keep_out(self.consumer)
        if self._raw:
            take_raw(self.consumer)

    async def run(self) -> None:
        """Decide batches until `stop`. Raises what made delivery impossible."""
        while not self._stopping:
            if self._after is not None:
                await self._after.drained()
            await self.delivery.room()
            taken = self._of_open(await self._take())
            self._note_taken(taken)
            if not taken or self._stopping:
                # What comes when the end was asked for already is left to the next owner: nobody would commit it here.
                self.delivery.give_back()
                continue
            self._idle.clear()
            try:
                for portion in self.delivery.portions(taken):
                    outputs = self._decide(self.name, portion)
                    if self._raw:
                        self._learn(outputs)
                    await self.delivery.hand_over(outputs)
            finally:
                self._idle.set()

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

    def _note_taken(self, taken: Mapping[Place, Taken]) -> None:
        """Let fetches of bulk be held while one batch follows the other; urgent ones never are."""
        moment_s = time.monotonic()
        follows = bool(taken) and moment_s - self._taken_at_s < QUIET_MS / 1000
        if taken:
            self._taken_at_s = moment_s
        if self._after is None or follows == self._gathering:
            return
        self._gathering = follows
        if follows:
            gather(self.consumer, wait_ms=GATHER_MS, bytes_min=GATHER_BYTES)
        else:
            gather(self.consumer, wait_ms=clients.FETCH_WAIT_MS, bytes_min=1)

    @property
    def is_about(self) -> bool:
        """Whether something was taken lately."""
        return time.monotonic() - self._taken_at_s < LATELY_S

    @property
    def _wait_ms(self) -> int:
        return QUIET_MS if self._gathering else self._limits.fetch_wait_ms

    @property
    def _records_max(self) -> int:
        """Of a batch, in those that Python decides."""
        stands_back = self._after is not None and self._after.is_about
        return max(1, self._limits.batch_records_max // (URGENT_TIMES if stands_back else 1))

    async def _take(self) -> dict[Place, Taken]:
        try:
            return await (self._take_raw() if self._raw else self._take_records())
        except NoOffsetForPartitionError:
            return {}  # assigned just now: it is being set to where it begins
        except OffsetOutOfRangeError as error:
            await self.offsets.pass_over(error)
            return {}

    async def _take_records(self) -> dict[Place, Taken]:
        if self._spare and not spare_consumer_records(self.consumer):
            self._spare = False
            log.warning(
                "this version of aiokafka is not one that stream.kafka.seams knows: batches cost more CPU time",
                lane=self.name,
            )
        fetched = await self.consumer.getmany(timeout_ms=self._wait_ms, max_records=self._records_max)
        return {Place(*place): Taken([], records, records[-1].offset + 1) for place, records in fetched.items()}

    async def _take_raw(self) -> dict[Place, Taken]:
        fetched = await raw_batches(
            self.consumer,
            timeout_ms=self._wait_ms,
            records_max=self._records_max / self._cost,
        )
        return {Place(*place): _taken(pieces) for place, pieces in fetched.items()}

    def _learn(self, outputs: Outputs) -> None:
        """How much work a record is, by these: what was left to Python counts whole."""
        answered = sum(batch.count for batch in outputs.finished)
        if total := outputs.left_count + answered:
            self._cost = (outputs.left_count + answered / NATIVE_PACE) / total

    def shut(self) -> None:
        """Take nothing of any partition until it is opened; what was fetched meanwhile is fetched again."""
        self._open = frozenset()
        self.consumer.pause(*self.consumer.assignment())

    def open(self, partition: int) -> None:
        """Take what comes in a partition of our topics, where it is assigned. For who has `shut` all before."""
        self._open = (self._open or frozenset()) | {partition}
        places = {TopicPartition(topic, partition) for topic in self._topics}
        self.consumer.resume(*places & self.consumer.assignment())

    def _of_open(self, taken: dict[Place, Taken]) -> dict[Place, Taken]:
        """Without what was on its way to us when its partition was shut: the consumer is set back before it."""
        if self._open is None or all(place.partition in self._open for place in taken):
            return taken
        assigned = self.consumer.assignment()
        for place in [place for place in taken if place.partition not in self._open]:
            if TopicPartition(*place) in assigned:
                self.consumer.seek(TopicPartition(*place), taken[place].first_offset)
            del taken[place]
        return taken

    async def drained(self) -> None:
        """Wait until nothing of this lane is in hand, and, for `YIELD_S_MAX` at most, until it is acknowledged.

        Between hand-over and acknowledgement the loop turns several times; a batch of bulk in each of these turns would
        make an emergency wait for all of them.
        """
        while not self._idle.is_set():  # asked anew: between waking and running it may have taken the next batch
            await self._idle.wait()
        if self.delivery.in_flight:
            with suppress(TimeoutError):
                async with asyncio.timeout(YIELD_S_MAX):
                    await self.delivery.settled()

    async def stop(self) -> None:
        """Take no more; wait for what is on its way, within the bound. Then the group may be left.

        Raises what made delivery impossible.
        """
        self._stopping = True
        await self.settle("stop")
        await self.delivery.stop()
        if self.delivery.failed.done():
            self.delivery.failed.result()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let everything taken be acknowledged and committed before another worker takes over (aiokafka calls this)."""
        if revoked:
            await self.settle("revoked")
            await self.delivery.revoked([Place(*place) for place in revoked])
            log.info("partitions revoked", lane=self.name, partitions_count=len(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Set partitions to where they begin (aiokafka calls this; meanwhile nothing is fetched of them)."""
        self.consumer.pause(*assigned)
        await self.delivery.assigned([Place(*place) for place in assigned])
        if self.delivery.failed.done():
            return
        self.consumer.resume(*assigned)
        log.info("partitions assigned", lane=self.name, partitions_count=len(assigned))

    async def settle(self, why: str) -> None:
        """Wait until everything taken is acknowledged and committed, within the bound.

        Returns where delivery has failed, too: that ends the worker, and whoever calls us in a rebalance (aiokafka)
        would only swallow it.
        """
        try:
            async with asyncio.timeout(self._limits.drain_timeout_ms / 1000):
                await self._idle.wait()
                with suppress(Exception):
                    await self.delivery.drain()
        except TimeoutError:
            log.warning(
                "batches abandoned: not acknowledged in time, so not committed; they are decided again",
                lane=self.name,
                why=why,
                batches_count=self.delivery.in_flight,
            )

    async def _commit(self, offsets: Mapping[Place, int]) -> None:
        await commit_owned(self._member, self.offsets.named(offsets))


def _taken(pieces: Sequence[RawBatch | Record]) -> Taken:
    last = pieces[-1]
    return Taken(
        joined([piece for piece in pieces if isinstance(piece, RawBatch)]),
        [piece for piece in pieces if not isinstance(piece, RawBatch)],
        last.next_offset if isinstance(last, RawBatch) else last.offset + 1,
    )
