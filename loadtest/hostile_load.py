"""The process that sends hostile events and accounts for their dead letters: `python -m loadtest.hostile_load`.

A child as `loadtest.child` has it. All batches are made before it says that it is ready, and `dead-letter` is read when
all are sent, so that it takes little of the cores that it shares with the filter. It sends what is due, or, without a
rate, as fast as the brokers take it. A broker's answer tells where each batch stands; a dead letter tells the place of
the record that it is for. So the account is by place: each event that must become a dead letter has one, with its
reason and its own bytes, and nobody else has any (`HostileAccount`). Decisions are the observer's to count.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.protocol.produce import ProduceRequest

from loadtest.child import NS_PER_MS, Lines, run
from loadtest.cluster import LoadtestError
from loadtest.schedule import NS_PER_S
from stream import config as configuration
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients
from stream.model.topics import DEAD_LETTER
from stream.testbed.hostile import TOPICS, HostileRecord, HostileTraffic, Lot
from stream.testbed.hostile_kinds import UNREADABLE_BATCH, Kind

ACKS_OF_ALL: Final = -1
UNANSWERED_MAX: Final = 16
"""Lots on their way to a broker: beyond, the next waits."""
LETTERS_S_MAX: Final = 60.0
"""So long without a further dead letter, and the rest is missing."""
AFTER_S: Final = 1.0
"""What is written twice, and what nobody expects, is looked for so much longer."""
WHOLE_FOR_CERTAIN: Final = 1 << 16
"""The dead letter of what has no more bytes bears all of them."""
POLL_MS: Final = 100

Place = tuple[str, int, int]
"""Topic, partition, offset."""


class HostileJob(msgspec.Struct, frozen=True):
    """What to send. Events that must be decided are numbered from `first`."""

    prefix: str
    seed: int
    first: int
    count: int
    rate: int
    """events a second; 0: as fast as it goes"""
    partitions: int


class KindAccount(msgspec.Struct):
    """What became of one kind of event."""

    sent: int = 0
    letters: int = 0
    """that have at least one dead letter"""
    missing: int = 0
    """that must have one and have none"""
    repeated: int = 0
    """dead letters beyond an event's first"""
    unexplained: int = 0
    """dead letters without the reason that the kind must have, or not of the event's bytes"""
    needless: int = 0
    """that have one and must be decided"""


class HostileAccount(msgspec.Struct, frozen=True):
    """What was sent, and what its dead letters say."""

    kinds: dict[str, KindAccount]
    decided_count: int
    """events that must be decided"""
    strangers_count: int
    """dead letters for records that are none of these"""
    bytes_count: int
    """of the batches"""
    sent_s: float
    """from the beginning to the last answer of a broker"""
    wall_s: float
    """from the beginning to the last dead letter, by its timestamp"""
    cpu_s: float
    """of sending"""

    def total(self, figure: str) -> int:
        """The sum of one figure over all kinds."""
        return sum(getattr(kind, figure) for kind in self.kinds.values())


class Letters:
    """The dead letters that have come, by the place of what they are for."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.seen: dict[Place, tuple[str, int | bytes]] = {}
        """the reason, and what tells the original's bytes: their checksum, or the digest that the letter names"""
        self.repeated: Counter[Place] = Counter()
        self.written_ms = 0
        """when the last of them was written, by its writer's clock"""

    async def read(self, wanted: Collection[Place]) -> None:
        """Read until each of these has its letter, or none has come for so long; and then a little longer."""
        missing = set(wanted)
        until_s = time.monotonic() + (LETTERS_S_MAX if missing else AFTER_S)
        while time.monotonic() < until_s:
            for records in (await self._consumer.getmany(timeout_ms=POLL_MS)).values():
                missing.difference_update([self._note(record) for record in records])
                until_s = time.monotonic() + (LETTERS_S_MAX if missing else AFTER_S)

    def _note(self, letter: clients.ConsumerRecord) -> Place:
        headers: dict[str, bytes] = dict(letter.headers)
        place = headers["topic"].decode(), int(headers["partition"]), int(headers["offset"])
        self.written_ms = max(self.written_ms, letter.timestamp)
        if place in self.seen:
            self.repeated[place] += 1
        else:
            self.seen[place] = headers["error"].decode(), headers.get("value-sha256") or crc32(letter.value or b"")
        return place


class Sent(NamedTuple):
    """An event that stands in its topic, without its bytes."""

    kind: Kind
    marks: tuple[int, bytes]
    """checksum and digest of its value: its dead letter bears the value, or names the digest where it is large"""


class Ready(NamedTuple):
    """A lot as it is sent."""

    topic: str
    partition: int
    batch: bytearray
    events: tuple[tuple[int, Sent], ...]
    """each with its place behind the batch's first offset"""

    @classmethod
    def of(cls, lot: Lot) -> "Ready":
        """A lot's batch, and of its events what is needed to know them again."""
        events = ((offset, Sent(record.kind, _marks(record))) for offset, record in lot.offsets())
        return cls(lot.topic, lot.partition, lot.batch(), tuple(events))


class HostileSender:
    """Sends lots, and keeps where each event came to stand."""

    def __init__(self, producer: AIOKafkaProducer, *, timeout_ms: int) -> None:
        self._client = producer.client
        self._timeout_ms = timeout_ms
        self.places: dict[Place, Sent] = {}
        self.bytes_count = 0

    async def send(self, lot: Ready) -> None:
        """Send one, and wait for its answer. Raises `LoadtestError` where a broker refuses it."""
        self.bytes_count += len(lot.batch)
        node = self._client.cluster.leader_for_partition(clients.AIOKafkaPartition(lot.topic, lot.partition))
        request = ProduceRequest(None, ACKS_OF_ALL, self._timeout_ms, [(lot.topic, [(lot.partition, lot.batch)])])
        answer = await self._client.send(node, request)
        _, error, base, *_ = answer.topics[0][1][0]
        if error == MessageSizeTooLargeError.errno:
            return  # the broker keeps it out: a bomb that is packed badly
        if error:
            kinds = ", ".join(sorted({sent.kind.name for _, sent in lot.events}))
            raise LoadtestError(f"a broker refused {lot.topic}-{lot.partition}, {kinds}: error {error}")
        for offset, sent in lot.events:
            self.places[lot.topic, lot.partition, base + offset] = sent


def _marks(record: HostileRecord) -> tuple[int, bytes]:
    value = record.value or b""
    is_large = len(record.key or b"") + len(value) > WHOLE_FOR_CERTAIN
    return crc32(value), sha256(value).hexdigest().encode() if is_large else b""


def by_kind(
    places: Mapping[Place, Sent], seen: Mapping[Place, tuple[str, int | bytes]], repeated: Mapping[Place, int]
) -> dict[str, KindAccount]:
    """What became of each kind: where its events stand, and what dead letters have come, by the same places."""
    kinds: dict[str, KindAccount] = {}
    for place, sent in places.items():
        kind, letter = kinds.setdefault(sent.kind.name, KindAccount()), seen.get(place)
        kind.sent += 1
        kind.letters += letter is not None
        kind.repeated += repeated.get(place, 0)
        if sent.kind.reason is None:
            kind.needless += letter is not None
        elif letter is None:
            kind.missing += 1
        else:
            kind.unexplained += not _explains(sent, *letter)
    return kinds


def _explains(sent: Sent, reason: str, mark: int | bytes) -> bool:
    """Whether a dead letter has the reason that it must have, and the event's own bytes or their digest."""
    is_whole_batch = sent.kind.reason == UNREADABLE_BATCH
    return bool(reason) and (sent.kind.reason or "") in reason and (is_whole_batch or mark in sent.marks)


def prepared(job: HostileJob) -> list[Ready]:
    """A job's lots, in the order in which they are sent: some 80 µs and 600 bytes an event."""
    traffic = HostileTraffic(seed=job.seed, prefix=job.prefix, first=job.first, partitions=job.partitions)
    return [Ready.of(lot) for lot in traffic.lots(job.count, now=now_ms)]


async def send(
    lots: Sequence[Ready], sender: HostileSender, letters: Letters, *, rate: int, begin_ns: int
) -> HostileAccount:
    """Send all, read what becomes of it, and account for it. `rate` is in events a second; 0: as fast as it goes."""
    await asyncio.sleep(max(0.0, (begin_ns - time.monotonic_ns()) / NS_PER_S))
    cpu_s = time.process_time()
    room = asyncio.Semaphore(UNANSWERED_MAX)
    sent = 0

    async def one(lot: Ready) -> None:
        try:
            await sender.send(lot)
        finally:
            room.release()

    async with asyncio.TaskGroup() as answers:
        for lot in lots:
            due_ns = begin_ns + (sent * NS_PER_S // rate if rate else 0)
            await asyncio.sleep(max(0.0, (due_ns - time.monotonic_ns()) / NS_PER_S))
            await room.acquire()
            answers.create_task(one(lot))
            sent += len(lot.events)
    sent_ns = time.monotonic_ns()
    cpu_s = time.process_time() - cpu_s
    wanted = {place for place, one in sender.places.items() if one.kind.reason is not None}
    await letters.read(wanted)
    written_ns = letters.written_ms * NS_PER_MS - time.time_ns() + time.monotonic_ns()
    return HostileAccount(
        kinds=by_kind(sender.places, letters.seen, letters.repeated),
        decided_count=len(sender.places) - len(wanted),
        strangers_count=len(letters.seen.keys() - sender.places.keys()),
        bytes_count=sender.bytes_count,
        sent_s=(sent_ns - begin_ns) / NS_PER_S,
        wall_s=(max(sent_ns, written_ns) - begin_ns) / NS_PER_S,
        cpu_s=cpu_s,
    )


@asynccontextmanager
async def connected(config: Config) -> AsyncIterator[tuple[AIOKafkaProducer, AIOKafkaConsumer]]:
    """A producer that knows who leads the topics of events, and a reader of dead letters from now on."""
    producer = clients.producer(config, client="loadtest-hostile")
    consumer = clients.follower(config, client="loadtest-letters")
    places = clients.partitions(DEAD_LETTER, 1)
    consumer.assign(places)
    try:
        await producer.start()
        await consumer.start()
        for topic in TOPICS:
            await producer.partitions_for(topic)
        for place, end in (await consumer.end_offsets(places)).items():
            consumer.seek(place, end)
        yield producer, consumer
    finally:
        await producer.stop()
        await consumer.stop()


async def work(lines: Lines) -> None:
    """One job, from its line to the report."""
    job = await lines.job(HostileJob)
    config = configuration.load(None, os.environ)
    lots = prepared(job)
    async with connected(config) as (producer, consumer):
        begin_ns = await lines.begin()
        if begin_ns is None:
            return
        sender = HostileSender(producer, timeout_ms=config.kafka.request_timeout_ms)
        lines.report(await send(lots, sender, Letters(consumer), rate=job.rate, begin_ns=begin_ns))


if __name__ == "__main__":
    run(work)
