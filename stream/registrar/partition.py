"""The one door to one partition of the registry: requests in, records and answers out, in transactions (decision 0021).

Life. Its transactional id is initialised first, which ends what a predecessor left open and shuts it out; then its
store is brought up to the ends of its topics, and only then the group's offsets are asked for: what was committed is in
the store, and what was not is admitted again. From there on each batch of requests is one transaction of its records,
its answers and its offsets (`opened`).

Whatever fails, it begins anew as long as its process is a member of the group that has the partition; one that is no
member (a zombie that woke up) leaves it alone, or it would shut out its successor.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

import numpy as np

from stream import logs
from stream.clock import now_ms
from stream.kafka.clients import AIOKafkaPartition, ConsumerRecord, KafkaError
from stream.kafka.retry import Retry
from stream.kafka.seams.membership import is_member
from stream.model.codec import Undecodable
from stream.model.dead_letters import DeadLetter
from stream.model.registry import Expression, FileRecord
from stream.model.requests import RegistryAnswer, decode_request
from stream.model.topics import BULK, REQUESTS, TopicPartition
from stream.registrar.known import StoredRegistry
from stream.registrar.lanes import LANE_OF, TOPIC_OF_LANE, Lane, Waiting
from stream.registrar.opened import OpenPartition, no_pause, opened
from stream.registrar.others import OtherRecords
from stream.registrar.reads import Reader
from stream.registrar.store import ANSWERS_KEPT_MS, StoreError
from stream.registrar.surroundings import Surroundings
from stream.registry.door import Admitted, AskedRequest, Door, evidence_over, lifts_of_expired, unreadable

log = logs.get(__name__)

LOOK_EVERY_S: Final = 1.0
"""How often it looks for consents that expire."""

CATCH_UP_EVERY_S: Final = 5.0
"""How often a store takes what others wrote, where no transaction of ours saw it."""

STORE_AGAIN_S: Final = 2.0
"""After a store failed: a disk that is full is so for longer."""

ANSWERS_FORGOTTEN_AT_ONCE: Final = 5_000

EXPIRED_AT_ONCE: Final = 500


class NotOurs(Exception):
    """The session of this process in its group has ended."""


class Partition:
    """One partition. `run` it while it is assigned."""

    def __init__(self, partition: int, around: Surroundings) -> None:
        self.partition = partition
        self.waiting = Waiting(around.turns)
        self.token = object()
        """a new one whenever it begins anew: what was fetched before is fetched again"""
        self.not_ready: str | None = None
        """why its requests are not answered now, or None"""
        self._around = around
        self._lanes = [AIOKafkaPartition(topic, partition) for topic in (REQUESTS, BULK)]
        self._door = Door(around.policy.numbering, partition=partition, partitions=around.config.topics.partitions)
        self._log = log.bind(partition=partition)
        self._stopping = False
        self._look_at = 0.0
        self._note("not begun")

    def stop(self) -> None:
        """Finish the transaction in hand, and end."""
        self._stopping = True
        self.waiting.arrived.set()

    async def run(self) -> None:
        """Serve until `stop`, or until the partition is not ours."""
        retry = Retry(self._log, "the broker fails; beginning anew")
        while not self._stopping:
            try:
                await self._serve()
            except NotOurs:
                break
            except StoreError as error:
                self._note(str(error))
                self._log.warning("the store failed: nothing is admitted until it can be used again", why=str(error))
                self._around.metrics.store_failures.inc()
                await asyncio.sleep(STORE_AGAIN_S)
            except (KafkaError, OSError) as error:
                if self.not_ready is None:
                    retry.begin_anew()  # it was serving: a new failure
                self._note(repr(error))
                if not await self._is_ours():
                    break
                await retry.after(error)
        self._note("it was left")

    async def _is_ours(self) -> bool:
        consumer = self._around.consumer
        return consumer.assignment().issuperset(self._lanes) and await is_member(consumer)

    def _note(self, why: str) -> None:
        self.not_ready = f"partition {self.partition}: {why}"

    # ---- a life

    async def _serve(self) -> None:
        """Begin, and answer requests until `stop` or a failure."""
        self._note("building its store")
        consumer = self._around.consumer
        consumer.pause(*consumer.assignment().intersection(self._lanes))
        self.waiting.clear()
        self.token = object()
        async with opened(self.partition, self._around) as here:
            await here.catch_up(lambda left: self._note(f"building its store, {left:,} records to go"))
            await here.verify()
            await self._begin_at_committed()
            self.not_ready = None
            self._log.info("partition is served", next_offset=here.store.progress.expressions)
            while not self._stopping:
                await self._next(here)

    async def _begin_at_committed(self) -> None:
        """Fetch from where the last transaction was committed."""
        if not await self._is_ours():
            raise NotOurs
        await self._around.offsets.begin([TopicPartition(*place) for place in self._lanes])
        for place in self._lanes:
            self.waiting.next_offsets[LANE_OF[place.topic]] = await self._around.consumer.position(place)
        self._around.consumer.resume(*self._lanes)

    async def _next(self, here: OpenPartition) -> None:
        """Answer the next batch, or wait for one; and look around now and then."""
        here.store.see_there()
        if time.monotonic() >= self._look_at:
            await self._look_around(here)
            self._look_at = time.monotonic() + LOOK_EVERY_S
        batch = self.waiting.next_batch()
        if batch is None:
            self.waiting.arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self.waiting.arrived.wait()
            return
        if batch[0] == "bulk":
            async with self._around.turns.bulk():
                await self._answer_next(here)
        else:
            await self._answer_next(here)

    async def _answer_next(self, here: OpenPartition) -> None:
        batch = self.waiting.next_batch()  # looked at again: a single request may have come
        if batch is not None:
            lane, records = batch
            await self._answer(here, lane, records)
            self.waiting.done(lane, len(records))

    async def _look_around(self, here: OpenPartition) -> None:
        if time.monotonic() > here.caught_up_at + CATCH_UP_EVERY_S:
            await here.catch_up()
            here.store.forget_answers(now_ms() - ANSWERS_KEPT_MS, most=ANSWERS_FORGOTTEN_AT_ONCE)
        await self._end_expired(here)

    async def _end_expired(self, here: OpenPartition) -> None:
        """Write a `lift` of the scope of each consent that has expired and is still the last of its key.

        And take what an erasure left as evidence, once it is kept no longer.
        """
        now = now_ms()
        due = [one for one, _ in zip(here.store.expiring(now), range(EXPIRED_AT_ONCE), strict=False)]
        if due:
            ended = [one.expression for one in due if one.expression.will == "consent"]
            records = lifts_of_expired(ended).records
            for lift in due:
                if lift.expression.will != "consent":
                    records += evidence_over(lift, here.store.standing(lift.expression.subscriber)).records
            who = {one.expression.subscriber for one in due}
            if await here.transact(Admitted(records), [], who, now=now, offsets={}) is not None:
                self._around.metrics.expired.inc(len(ended))

    # ---- requests

    async def _answer(self, here: OpenPartition, lane: Lane, records: Sequence[ConsumerRecord]) -> None:
        """Admit a batch, again until nobody wrote between; then it is committed."""
        asked, answers = await self._decoded(here, lane, records)
        subscribers = _subscribers_of(asked)
        offsets = {TopicPartition(TOPIC_OF_LANE[lane], self.partition): records[-1].offset + 1}
        pause = self._give_way if lane == "bulk" else no_pause
        given = None
        while given is None:
            await pause()
            others, kept = await _others_for(asked, here, self._around.others)
            admitted, now = await self._admitted(asked, here, others, may_refresh=kept is None)
            await pause()
            given = await here.transact(admitted, answers, subscribers, now=now, offsets=offsets, pause=pause)
            if given is None and kept is not None:
                others.begin_anew(kept)
        self._count(lane, given, records)

    async def _give_way(self) -> None:
        """Let single requests of other partitions go first; where one waits for this one, be done."""
        if not self.waiting.has_single:
            await self._around.turns.give_way()

    async def _admitted(
        self, asked: Sequence[AskedRequest], here: OpenPartition, others: OtherRecords, *, may_refresh: bool
    ) -> tuple[Admitted, int]:
        """What is admitted, and when. Where a name is not known, senders are read first: it may have come just now."""
        requests = {one.request.id for one in asked}
        while True:
            known = StoredRegistry(
                here.store, others, categories=self._around.policy.file.categories, requests=requests
            )
            now = now_ms()
            admitted = self._door.admit(asked, known, now)
            if not may_refresh or not any(map(_names_unknown, admitted.answers)):
                return admitted, now
            may_refresh = False
            await others.catch_up()

    async def _decoded(
        self, here: OpenPartition, lane: Lane, records: Sequence[ConsumerRecord]
    ) -> tuple[list[AskedRequest], list[RegistryAnswer]]:
        """The requests to be admitted; and the answers to those that only ask, or cannot be read."""
        asked: list[AskedRequest] = []
        reads: list[AskedRequest] = []
        answers: list[RegistryAnswer] = []
        for record in records:
            at, data = f"{lane}:{self.partition}:{record.offset}", record.value or b""
            try:
                one = AskedRequest(at, decode_request(data), of_file=lane == "bulk")
            except Undecodable as error:
                answer = unreadable(data, at, str(error), now_ms())
                if answer is not None:
                    answers.append(answer)
                else:
                    place = TopicPartition(record.topic, record.partition)
                    letter = DeadLetter(place, record.offset, record.key, record.value, str(error))
                    await self._around.letters.write([letter])
            else:
                (asked if one.request.ask is None else reads).append(one)
        if reads:
            await here.catch_up()
            reader = Reader(self._around.config, self._door, here.store, self._around.others)
            answers += [await reader.answer(one, now_ms()) for one in reads]
        return asked, answers

    def _count(self, lane: Lane, answers: Sequence[RegistryAnswer], records: Sequence[ConsumerRecord]) -> None:
        metrics = self._around.metrics
        metrics.requests.labels(lane).inc(len(records))
        took = now_ms() - np.array([record.timestamp for record in records], dtype=np.int64)
        metrics.latency.observe(np.maximum(took, 0), value=lane)
        metrics.records.labels("admitted").inc(sum(one.admitted - one.already for one in answers))
        metrics.records.labels("already").inc(sum(one.already for one in answers))
        for answer in answers:
            for refusal in answer.refusals:
                metrics.refusals.labels(refusal.code).inc()
            for further in answer.further:
                metrics.refusals.labels(further.code).inc(len(further.places))


async def _others_for(
    asked: Collection[AskedRequest], here: OpenPartition, shared: OtherRecords
) -> tuple[OtherRecords, Sequence[FileRecord] | None]:
    """Senders and the like for a batch: shared ones; or where it may write some, those as of now, and how they were."""
    own = here.own_others
    if own is None or all(type(one) is Expression for each in asked for one in each.request.records):
        return shared, None
    await own.catch_up()
    return own, own.kept()


def _subscribers_of(asked: Collection[AskedRequest]) -> set[str]:
    """Whom these are about."""
    found = {one.subscriber for each in asked for one in each.request.records if isinstance(one, Expression)}
    return found | {each.request.erase for each in asked if each.request.erase}


def _names_unknown(answer: RegistryAnswer) -> bool:
    """Whether a consent was refused for a name that nobody knows."""
    codes = [one.code for one in answer.refusals] + [one.code for one in answer.further]
    return "unknown-name" in codes
