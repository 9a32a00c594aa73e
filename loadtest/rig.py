"""What a measurement stands on: a genuine broker of its own, topics, a sample registry, events that wait.

One rig serves all measurements of a run, so that they share broker, events and registry. Everything is
ended and removed with it.
"""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from stream import config as configuration
from stream.config import Config
from stream.demo import texts
from stream.demo.feed import Ack, now_ms, send, write_registry
from stream.demo.processes import FilterProcess
from stream.demo.sample import Sample, sample
from stream.demo.traffic import Traffic, place
from stream.kafka import clients, topics
from stream.kafka.local import LocalKafka
from stream.model.topics import EVENTS_SMS

PARTITIONS: Final = 12
CHUNK: Final = 20_000
HEAP_MB: Final = 1_024
SESSION_TIMEOUT_MS: Final = 6_000


@dataclass(slots=True)
class Rig:
    """A broker and a directory; make one with `rigged`."""

    kafka: LocalKafka
    directory: Path
    groups_count: int = 0

    @property
    def settings(self) -> dict[str, str]:
        """The settings of all programs, as variables."""
        return {
            "WURAO_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(PARTITIONS),
            "WURAO_REGISTRY__SNAPSHOTS": str(self.directory / "snapshots"),
            "WURAO_FILTER__SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
        }

    @property
    def config(self) -> Config:
        """The same, read."""
        return configuration.load(None, self.settings)

    def group(self) -> str:
        """A group that has read nothing yet."""
        self.groups_count += 1
        return f"bench-{self.groups_count}"

    def filter(self, environment: Mapping[str, str], *, workers: int = 1, name: str = "filter") -> FilterProcess:
        """`wurao filter` in a group of its own, so that it begins with the first event."""
        variables = {
            name: value for name, value in environment.items() if not name.startswith(configuration.ENVIRONMENT_PREFIX)
        }
        variables |= {**self.settings, "WURAO_FILTER__GROUP": self.group()}
        return FilterProcess(variables, workers=workers, log=self.directory / f"{name}.log")

    @property
    def snapshot(self) -> Path:
        """The newest snapshot that a filter has made."""
        return max((self.directory / "snapshots").glob("registry-*.snapshot"))

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
        admin = clients.admin(self.config)
        await admin.start()
        try:
            await topics.create(admin, self.config.topics)
            if extra:
                await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in extra])
        finally:
            await admin.close()

    async def write_sample(self, *, refusals_count: int) -> Sample:
        """A sample registry, in its topics."""
        registry = sample(now=now_ms(), refusals_count=refusals_count)
        async with self.producer() as producer:
            await write_registry(producer, registry, partitions=PARTITIONS, note=lambda _: None)
        return registry

    async def write_events(self, registry: Sample, *, count: int) -> float:
        """`count` SMS of the sample's traffic in `events.sms`; returns their mean size in bytes."""
        traffic = Traffic(registry, texts.own(), seed=1, prefix="bench")
        acks: list[Ack] = []
        size = written = 0
        async with self.producer() as producer:
            while written < count:
                placed = [
                    one
                    for one in place(traffic.events(CHUNK, now=now_ms()), partitions=PARTITIONS)
                    if one.place.topic == EVENTS_SMS
                ][: count - written]
                acks += await send(producer, placed, timestamp=now_ms())
                written += len(placed)
                size += sum(len(one.record.value) for one in placed)
            for ack in acks:
                await ack
        return size / count


@contextmanager
def rigged() -> Iterator[Rig]:
    """A rig, for as long as the block lasts."""
    directory = Path(tempfile.mkdtemp(prefix="wurao-loadtest-"))
    try:
        with LocalKafka(profile="bench", heap_mb=HEAP_MB) as kafka:
            yield Rig(kafka, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Offsets:
    """How many records stand in a topic: what programs have put out, seen from outside."""

    def __init__(self, config: Config, topic: str, *, partitions: int = PARTITIONS) -> None:
        self._consumer = clients.follower(config, client="loadtest-offsets")
        self._places = clients.partitions(topic, partitions)
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
        ends: dict[clients.TopicPartition, int] = await self._consumer.end_offsets(self._places)
        return sum(ends.values()) - self.before


def note(text: str) -> None:
    """Progress, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
