"""A registrar for the tests of commands that ask one: one for a module, on topics that its tests share.

What a test finds in the topics is what came since it began; it takes numbers and names that no other has.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from stream.kafka import clients, topics
from stream.model.topics import RECORD_KIND
from stream.testbed.local import Cluster
from tests.filter.harness import Broker
from tests.registrar.harness import RegistrarProcess


@dataclass
class SharedBroker(Broker):
    """A broker of whose registry topics only the newest records are a test's own."""

    began: dict[clients.AIOKafkaPartition, int] = field(default_factory=dict)

    def begin(self) -> None:
        """What stands from here on is the test's."""

        async def ends() -> dict[clients.AIOKafkaPartition, int]:
            consumer = clients.follower(self.config, client="test")
            places = [
                place
                for topic in RECORD_KIND
                for place in clients.partitions(topic, topics.EXPECTED[topic].partitions(self.config.topics))
            ]
            consumer.assign(places)
            await consumer.start()
            try:
                found: dict[clients.AIOKafkaPartition, int] = await consumer.end_offsets(places)
                return found
            finally:
                await consumer.stop()

        self.began = asyncio.run(ends())

    def read(self, topic: str, *, until: int = 0, within_s: float = 60.0) -> list[clients.ConsumerRecord]:
        """See `Broker`."""
        found = super().read(topic, until=until, within_s=within_s)
        return [
            one for one in found if one.offset >= self.began.get(clients.AIOKafkaPartition(topic, one.partition), 0)
        ]


@pytest.fixture(scope="module")
def shared(kafka: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedBroker]:
    """Topics made anew for the module, and a registrar that is ready."""
    broker = SharedBroker(kafka.bootstrap)
    broker.delete_topics()
    broker.create_topics()
    with RegistrarProcess(broker, tmp_path_factory.mktemp("registrar")) as process:
        process.wait_ready()
        yield broker
        assert process.stop() == 0


@pytest.fixture
def registry(shared: SharedBroker) -> Broker:
    """That broker, for one test."""
    shared.begin()
    return shared
