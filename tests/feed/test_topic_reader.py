"""Topics read once: everything from the given offsets to the end, and an end even where no record stands there."""

import asyncio

import pytest

from stream.feed.topic_reader import PolledBatch, read
from stream.kafka import clients
from stream.model.registry import Order
from stream.model.topics import ORDERS
from tests.filter.harness import Broker
from tests.patience import LONG_S

pytestmark = pytest.mark.kafka


def _read(broker: Broker, start: int = 0) -> list[PolledBatch]:
    async def whole() -> list[PolledBatch]:
        (place,) = clients.partitions(ORDERS, 1)
        return [batch async for batch in read(broker.config, [place], start={place: start}, client="test")]

    async def bounded() -> list[PolledBatch]:
        return await asyncio.wait_for(whole(), timeout=LONG_S)

    return asyncio.run(bounded())


def _orders(count: int) -> list[Order]:
    return [Order(f"O-{place}", "stop", 0, "b", sender="S") for place in range(count)]


def test_it_reads_from_the_given_offset_to_the_end(broker: Broker) -> None:
    broker.write_registry(_orders(5))
    batches = _read(broker, start=2)
    assert [raw.offset for batch in batches for raw in batch.records] == [2, 3, 4]
    assert (batches[-1].left_count, list(batches[-1].next_offsets.values())) == (0, [5])


def test_an_empty_topic_ends_at_once(broker: Broker) -> None:
    assert [(batch.records, batch.left_count) for batch in _read(broker)] == [((), 0)]


def test_it_ends_where_the_last_offset_holds_no_record(broker: Broker) -> None:
    broker.write_registry(_orders(1))

    async def abort() -> None:
        producer = clients.producer(broker.config, client="test", transactional_id="test-holes")
        await producer.start()
        try:
            await producer.begin_transaction()
            await producer.send_and_wait(ORDERS, b"{}", key=b"O-9", partition=0)
            await producer.abort_transaction()
        finally:
            await producer.stop()
        # The word of the abort reaches the topic a little after the producer has it.
        (place,) = clients.partitions(ORDERS, 1)
        asking = clients.follower(broker.config, client="test")
        asking.assign([place])
        await asking.start()
        try:
            async with asyncio.timeout(LONG_S):
                while (await asking.end_offsets([place]))[place] < 3:  # noqa: ASYNC110  # no event tells it
                    await asyncio.sleep(0.05)
        finally:
            await asking.stop()

    asyncio.run(abort())
    batches = _read(broker)
    assert [raw.offset for batch in batches for raw in batch.records] == [0]
    assert list(batches[-1].next_offsets.values()) == [3], "the record that was aborted, and the word that it was"
