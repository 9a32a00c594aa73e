"""What the filter's tests share: a genuine broker's topics, `wurao filter` as a real process, and an honest reader."""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiokafka.admin import AIOKafkaAdminClient

from bloom.partition import partition_of
from stream import config as configuration
from stream.config import Config
from stream.kafka import clients, topics
from stream.kafka.describe import ClusterDescription, describe_topics
from stream.model.codec import encode
from stream.model.registry import FileRecord, Record, key_of
from stream.model.topics import EXPRESSIONS, TOPIC_OF
from stream.testbed.processes import WuraoProcess, environment_with, free_ports
from tests.patience import LONG_S

__all__ = ["Broker", "FilterProcess", "event"]

PARTITIONS = 12
NOW = 1_795_500_000_000


def event(kind: str, number: int, **fields: object) -> dict[str, object]:
    """An event with an id of its own and what a test cares about."""
    return {"kind": kind, "id": f"{kind}-{number}", "time": NOW, **fields}


async def write(config: Config, records: Iterable[tuple[str, int, bytes | None, bytes | None]]) -> None:
    """Records to their topics: (topic, partition, key, value), all acknowledged."""
    producer = clients.producer(config, client="test")
    await producer.start()
    try:
        acks = [
            await producer.send(topic, value=value, key=key, partition=partition)
            for topic, partition, key, value in records
        ]
        await asyncio.gather(*acks)
    finally:
        await producer.stop()


@dataclass
class Broker:
    """A cluster with wurao's topics, and simple ways to write to and read from it."""

    bootstrap: str
    partitions: int = PARTITIONS
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Config:
        """The configuration that points at this cluster."""
        return configuration.load(
            None,
            {
                "WURAO_KAFKA__BOOTSTRAP": self.bootstrap,
                "WURAO_TOPICS__PARTITIONS": str(self.partitions),
                **self.environment,
            },
        )

    def create_topics(self) -> None:
        """Make the topics that are missing."""

        async def create() -> None:
            admin = clients.admin(self.config)
            await admin.start()
            try:
                await topics.create(admin, self.config.topics)
            finally:
                await admin.close()

        asyncio.run(create())

    def delete_topics(self, names: Collection[str] = tuple(topics.EXPECTED)) -> None:
        """Delete these of wurao's topics: all, so that the next test finds none of this one's records."""

        async def delete(admin: AIOKafkaAdminClient) -> None:
            there = set(await admin.list_topics()) & set(names)
            await admin.delete_topics(sorted(there))

        self.ask(delete)
        self.wait_for(lambda cluster: not cluster.topics.keys() & set(names))

    def ask(self, work: Callable[[AIOKafkaAdminClient], Awaitable[object]]) -> None:
        """Do this with an admin client."""

        async def ask() -> None:
            admin = clients.admin(self.config)
            await admin.start()
            try:
                await work(admin)
            finally:
                await admin.close()

        asyncio.run(ask())

    def wait_for(self, seen: Callable[[ClusterDescription], bool], *, within_s: float = LONG_S) -> None:
        """Wait until the brokers show what the controller has acknowledged."""
        deadline = time.monotonic() + within_s
        while not seen(asyncio.run(describe_topics(self.config, tuple(topics.EXPECTED)))):
            assert time.monotonic() < deadline, f"the cluster does not show it after {within_s} s"
            time.sleep(0.05)

    def write(self, records: Iterable[tuple[str, int, bytes | None, bytes | None]]) -> None:
        """Write (topic, partition, key, value) records, all acknowledged."""
        asyncio.run(write(self.config, records))

    def write_events(self, events: Iterable[dict[str, object]], *, topic: str | None = None) -> None:
        """Write events to the topics of their kinds, or all to one."""

        def placed() -> Iterable[tuple[str, int, bytes | None, bytes | None]]:
            for one in events:
                subscriber = str(one["from"] if one["kind"] == "reply" else one["to"])
                partition = partition_of(subscriber, self.partitions)
                yield topic or f"events.{one['kind']}", partition, subscriber.encode(), orjson.dumps(one)

        self.write(placed())

    def write_registry(self, records: Iterable[FileRecord]) -> None:
        """Write registry records to their topics."""

        def placed() -> Iterable[tuple[str, int, bytes | None, bytes | None]]:
            for record in records:
                assert isinstance(record, Record)
                topic = TOPIC_OF[type(record)]
                key = key_of(record)
                partition = partition_of(key.split("|")[0], self.partitions) if topic == EXPRESSIONS else 0
                yield topic, partition, key.encode(), encode(record)

        self.write(placed())

    def read(self, topic: str, *, until: int = 0, within_s: float = LONG_S) -> list[clients.ConsumerRecord]:
        """Every record of a topic so far; waits until there are `until` of them. Fails when they do not come."""

        async def consume() -> list[clients.ConsumerRecord]:
            consumer = clients.follower(self.config, client="test")
            places = clients.partitions(topic, topics.EXPECTED[topic].partitions(self.config.topics))
            consumer.assign(places)
            await consumer.start()
            found: list[clients.ConsumerRecord] = []
            try:
                for place in places:
                    consumer.seek(place, 0)
                ends = await consumer.end_offsets(places)
                deadline = time.monotonic() + within_s
                while time.monotonic() < deadline:
                    for records in (await consumer.getmany(timeout_ms=200)).values():
                        found += records
                    read_all = [await consumer.position(place) >= ends[place] for place in places]
                    if all(read_all) and len(found) >= until:
                        return found
                raise AssertionError(f"{topic}: {len(found)} records after {within_s} s, {until} expected")
            finally:
                await consumer.stop()

        return asyncio.run(consume())

    def decisions(self, *, until: int = 0, within_s: float = LONG_S) -> list[dict[str, object]]:
        """Every decision so far, at least `until` of them."""
        return [orjson.loads(record.value) for record in self.read("decisions", until=until, within_s=within_s)]

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """What a group has committed, by topic and partition."""

        async def ask() -> dict[tuple[str, int], int]:
            admin = clients.admin(self.config)
            await admin.start()
            try:
                offsets = await admin.list_consumer_group_offsets(group)
                return {(place.topic, place.partition): meta.offset for place, meta in offsets.items()}
            finally:
                await admin.close()

        return asyncio.run(ask())


class FilterProcess(WuraoProcess):
    """`wurao filter` as an operator runs it: a process of its own, steered by signals and read by its endpoints."""

    def __init__(
        self,
        broker: Broker,
        directory: Path,
        *,
        workers: int = 1,
        program: Sequence[str] = ("stream.cli.main", "filter"),
        **settings: str,
    ) -> None:
        port = free_ports(workers + 1)
        variables = {
            "WURAO_KAFKA__BOOTSTRAP": broker.bootstrap,
            "WURAO_TOPICS__PARTITIONS": str(broker.partitions),
            "WURAO_REGISTRY__SNAPSHOTS": str(directory / "snapshots"),
            "WURAO_METRICS__PORT": str(port),
            "WURAO_FILTER__WORKERS": str(workers),
            "WURAO_FILTER__SESSION_TIMEOUT_MS": "6000",
            **settings,
        }
        super().__init__(
            [sys.executable, "-m", *program],
            environment=environment_with(variables),
            port=port,
            workers=workers,
            log=directory / f"filter-{port}.log",
        )


def verdicts(decisions: Iterable[dict[str, object]]) -> Counter[str]:
    """How many decisions there are of each reason."""
    return Counter(str(decision["reason"]) for decision in decisions)
