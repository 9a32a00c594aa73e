"""What a measurement works with: topics, a sample registry, events that wait, filters in groups of their own.

One rig serves all turns of a scenario, so that they share broker, events and registry. Everything is ended and
removed with it.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import msgspec
from aiokafka import AIOKafkaProducer

from loadtest.cluster import Ground, standing
from loadtest.pool import Pool
from stream import config as configuration
from stream.clock import now_ms
from stream.config import Config
from stream.kafka import clients
from stream.model.events import Call, Event
from stream.model.topics import EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT
from stream.testbed import texts
from stream.testbed.feed import Ack, send, send_part, write_registry
from stream.testbed.processes import FilterProcess, environment_with
from stream.testbed.sample import Sample, sample
from stream.testbed.traffic import Traffic, place

PARTITIONS: Final = 12
CHUNK: Final = 20_000
UNACKNOWLEDGED_MAX: Final = 500
SESSION_TIMEOUT_MS: Final = 6_000


LANES: Final = {"bulk": (EVENTS_SMS, EVENTS_CALL, EVENTS_REPLY), "urgent": (EVENTS_URGENT,)}
"""The two groups of a filter, by the end of their names, and what each reads."""


@dataclass(slots=True)
class Rig:
    """A cluster that is ready to be measured on; make one with `rigging`."""

    ground: Ground
    pin: bool = False
    """workers on the first cores of this process, everything else on the rest"""
    groups_count: int = 0
    run: str = field(default_factory=lambda: f"{time.time_ns() // 1_000_000:x}")
    """in the names of groups and ids, so that runs on one cluster do not meet"""

    @property
    def directory(self) -> Path:
        """Where logs and snapshots are kept meanwhile."""
        return self.ground.directory

    @property
    def partitions(self) -> int:
        """Of all partitioned topics."""
        return self.ground.partitions

    @property
    def settings(self) -> dict[str, str]:
        """The settings of all programs, as variables."""
        return {
            **self.ground.settings,
            "WURAO_REGISTRY__SNAPSHOTS": str(self.directory / "snapshots"),
            "WURAO_FILTER__SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
        }

    @property
    def config(self) -> Config:
        """The same, read."""
        return configuration.load(None, self.settings)

    @property
    def snapshot(self) -> Path:
        """The newest snapshot that a filter has made."""
        return max((self.directory / "snapshots").glob("registry-*.snapshot"))

    def group(self) -> str:
        """A group that has read nothing yet."""
        self.groups_count += 1
        return f"loadtest-{self.run}-{self.groups_count}"

    def filter(
        self,
        *,
        workers: int = 1,
        name: str = "filter",
        group: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> FilterProcess:
        """`wurao filter`, in a group of its own unless one is given, so that it begins with the first event.

        `settings` are variables over the rig's; what `WURAO_*` the caller's environment has is left out.
        """
        variables = {**self.settings, "WURAO_FILTER__GROUP": group or self.group(), **(settings or {})}
        return FilterProcess(environment_with(variables), workers=workers, log=self.directory / f"{name}.log")

    def pin_workers(self, pids: Sequence[int]) -> None:
        """Give each worker a core of its own, where pinning is asked for and cores are there."""
        cores = sorted(os.sched_getaffinity(0))
        if not self.pin or len(pids) >= len(cores):
            return
        for core, pid in zip(cores, pids, strict=False):
            os.sched_setaffinity(pid, {core})
        for pid in self.ground.broker_pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), set(cores[len(pids) :]))

    @property
    def generator_core(self) -> int | None:
        """Where a generator is pinned: the last core, which workers leave to it."""
        return max(os.sched_getaffinity(0)) if self.pin else None

    @asynccontextmanager
    async def producer(self) -> AsyncIterator[AIOKafkaProducer]:
        """A producer like the filter's."""
        producer = clients.producer(self.config, client="loadtest")
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def make_topics(self, extra: Sequence[str] = ()) -> None:
        """Make the topics of wurao, and some of a measurement's own, partitioned alike."""
        await self.ground.make(self.config, extra)

    async def write_sample(self, *, refusals_count: int) -> Sample:
        """A sample registry, in its topics."""
        registry = sample(now=now_ms(), refusals_count=refusals_count)
        async with self.producer() as producer:
            await write_registry(producer, registry, partitions=self.partitions, note=lambda _: None)
        note(f"a registry of {registry.expressions_count:,} expressions is written")
        return registry

    async def write_events(self, registry: Sample, *, count: int, text_times: int = 1) -> float:
        """`count` SMS of the sample's traffic in `events.sms`, no two alike; returns their mean size in bytes.

        Each text stands `text_times` times in its event. About 12 µs an event.
        """
        traffic = Traffic(registry, texts.own(), seed=1, prefix="bench")
        acks: list[Ack] = []
        size = written = 0
        async with self.producer() as producer:
            while written < count:
                placed = [
                    one
                    for one in place(
                        [lengthened(event, text_times) for event in traffic.events(CHUNK, now=now_ms())],
                        partitions=self.partitions,
                    )
                    if one.place.topic == EVENTS_SMS
                ][: count - written]
                acks += await send(producer, placed, timestamp=now_ms())
                written += len(placed)
                size += sum(len(one.record.value) for one in placed)
            await asyncio.gather(*acks)
        note(f"{count:,} events of {size / count:.0f} bytes are written, to wait")
        return size / count

    async def write_pool(self, events: Pool, *, count: int) -> None:
        """`count` events of a pool, as fast as it goes: some 2 µs each. Returns when all are acknowledged."""
        acks: list[Ack] = []
        async with self.producer() as producer:
            for first in range(0, count, CHUNK):
                parts: dict[tuple[str, int], list[tuple[bytes, bytes]]] = {}
                for number in range(first, min(first + CHUNK, count)):
                    shot = events.shot(number)
                    parts.setdefault((shot.topic, shot.partition), []).append((shot.key, shot.value(number)))
                for (topic, partition), records in parts.items():
                    acks += await send_part(producer, topic, partition, records, timestamp=now_ms())
                while len(acks) > UNACKNOWLEDGED_MAX:
                    await acks.pop(0)
            await asyncio.gather(*acks)

    async def mean_bytes(self, topic: str) -> float:
        """The mean length of the values of a topic's first records; 0 where it has none."""
        consumer = clients.follower(self.config, client="loadtest-look")
        consumer.assign(clients.partitions(topic, self.partitions)[:1])
        await consumer.start()
        try:
            await consumer.seek_to_beginning()
            fetched = await consumer.getmany(timeout_ms=2_000, max_records=1_000)
            sizes = [len(record.value or b"") for records in fetched.values() for record in records]
        finally:
            await consumer.stop()
        return sum(sizes) / len(sizes) if sizes else 0.0

    async def skip_to_ends(self, group: str) -> None:
        """Let a filter's group begin with what comes from now on: nobody may be a member of it yet."""
        for lane, sources in LANES.items():
            consumer = clients.group_consumer(
                self.config, group=f"{group}.{lane}", client="loadtest-skip", instance=None
            )
            places = [place for topic in sources for place in clients.partitions(topic, self.partitions)]
            consumer.assign(places)
            await consumer.start()
            try:
                await consumer.commit(await consumer.end_offsets(places))
            finally:
                await consumer.stop()


@asynccontextmanager
async def rigging(bootstrap: str | None, *, partitions: int = PARTITIONS, pin: bool = False) -> AsyncIterator[Rig]:
    """A rig on the cluster at `bootstrap` (None: one of our own), for as long as the block lasts."""
    async with standing(bootstrap, partitions=partitions) as ground:
        yield Rig(ground, pin)


class Offsets:
    """How many records stand in a topic: what programs have put out, in open transactions too, seen from outside."""

    def __init__(self, config: Config, topic: str, *, partitions: int | None = None) -> None:
        self._consumer = clients.follower(config, client="loadtest-offsets", committed=False)
        self._places = clients.partitions(topic, partitions or config.topics.partitions)
        self.before = 0
        """where the count begins"""

    async def __aenter__(self) -> Self:
        """Begin to count from here."""
        await self._consumer.start()
        self.before = await self.count()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Count no more."""
        await self._consumer.stop()

    async def count(self) -> int:
        """Records put out since the beginning of the count."""
        ends: dict[clients.AIOKafkaPartition, int] = await self._consumer.end_offsets(self._places)
        return sum(ends.values()) - self.before


def lengthened(event: Event, times: int) -> Event:
    """An event whose text is so many times as long; calls and what has no text stay as they are."""
    if times == 1 or isinstance(event, Call) or event.text is None:
        return event
    return msgspec.structs.replace(event, text=event.text * times)


def note(text: str) -> None:
    """Progress, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
