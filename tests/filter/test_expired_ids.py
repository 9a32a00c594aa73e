"""Brokers forget producers that were idle for long: the first event after that is decided at once, and nobody dies.

They do so after seven days (`transactional.id.expiration.ms`) and after one (`producer.id.expiration.ms`); here after
some seconds.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerIdMapping, KafkaError

from stream.kafka import clients
from stream.testbed.local import LocalKafka
from tests.filter import cases
from tests.filter.harness import Broker, FilterProcess, event

pytestmark = pytest.mark.kafka

EXPIRATION_MS = 3_000
CANARIES = 40


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Broker]:
    """A broker that soon forgets producers."""
    properties = {
        "transactional.id.expiration.ms": str(EXPIRATION_MS),
        "transaction.remove.expired.transaction.cleanup.interval.ms": "200",
        "producer.id.expiration.ms": str(EXPIRATION_MS),
        "producer.id.expiration.check.interval.ms": "200",
    }
    with LocalKafka(properties=properties) as local:
        yield Broker(local.bootstrap)


async def is_forgotten(producer: AIOKafkaProducer) -> bool:
    """Whether the broker has forgotten the producer's id; if not, it remembers it anew."""
    await producer.begin_transaction()
    (await producer.send("dead-letter", value=b"canary")).add_done_callback(lambda sent: sent.exception())
    try:
        await producer.commit_transaction()
    except KafkaError as error:
        if isinstance(error.__cause__, InvalidProducerIdMapping):
            return True
        raise
    return False


async def until_forgotten(broker: Broker) -> None:
    """Wait until an id that is younger than those of the filter is forgotten: each canary is asked once."""
    async with AsyncExitStack() as ends:
        canaries = [
            await ends.enter_async_context(
                clients.producer(broker.config, client="test", transactional_id=f"canary-{time.monotonic_ns()}")
            )
            for _ in range(CANARIES)
        ]
        for canary in canaries:
            if await is_forgotten(canary):  # on a machine that is slow
                return
        for canary in canaries:
            await asyncio.sleep(EXPIRATION_MS / 4_000)
            if await is_forgotten(canary):
                return
    raise AssertionError("the broker has forgotten no producer")


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_the_first_emergency_after_a_quiet_week_is_decided_at_once_and_no_worker_dies(
    forgetful: Broker, tmp_path: Path, delivery: str
) -> None:
    broker = forgetful
    broker.create_topics()
    broker.delete_topics()
    broker.create_topics()
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path, WURAO_FILTER__DELIVERY=delivery) as filter_:
        filter_.wait_ready()
        workers = filter_.worker_pids()
        for round_ in range(3):
            first = 100 * round_
            number = f"+86138{round_:08d}"
            broker.write_events(
                [event("sms", first + one, to=number, text=cases.GOOD_TEXT, **cases.BANK) for one in range(3)]
            )
            broker.decisions(until=4 * round_ + 3)
            asyncio.run(until_forgotten(broker))
            broker.write_events([event("sms", first + 50, to=number, text="x", **cases.BANK)])
            broker.decisions(until=4 * round_ + 4)
        assert filter_.worker_pids() == workers
        assert filter_.metric("wurao_worker_restarts_total", worker=0) == 0
        decided = [one["event"] for one in broker.decisions()]
        assert len(decided) == len(set(decided)) == 12
        assert ("transactional id initialised again" in filter_.log) == (delivery == "exactly-once")
        assert filter_.terminate() == 0
