"""Groups of records are written whole or not at all: no batch ends in the middle of one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from bloom.partition import partition_of
from stream.feed.topic_writer import Group, GroupTooLarge, Landed, TopicWriter
from stream.kafka import clients
from stream.kafka.clients import BATCH_BYTES_MAX
from stream.model.codec import decode_record, encode
from stream.model.registry import Expression, Order, Tombstone
from stream.model.topics import EXPRESSIONS
from tests.filter.harness import Broker

pytestmark = pytest.mark.kafka

NUMBER = "+8613800138000"


def _group(size: int) -> Group:
    return tuple(
        Expression(NUMBER, "sms", "refuse", 1, "t", sender=f"S{place}", evidence="x" * size) for place in range(3)
    )


def _written(broker: Broker, write: Callable[[TopicWriter], Awaitable[list[Landed]]]) -> list[Landed]:
    async def written() -> list[Landed]:
        producer = clients.producer(broker.config, client="test")
        await producer.start()
        try:
            return await write(TopicWriter(producer, partitions=broker.partitions))
        finally:
            await producer.stop()

    return asyncio.run(written())


def _write(broker: Broker, groups: list[Group]) -> list[Landed]:
    return _written(broker, lambda writer: writer.write(groups))


def test_no_batch_ends_in_the_middle_of_a_group(broker: Broker) -> None:
    landed = _write(broker, [_group(1_000) for _ in range(1_000)])
    assert len(landed) > 1, "more than one batch, or this test shows nothing"
    assert [batch.records_count % 3 for batch in landed] == [0] * len(landed)
    assert [batch.first_offset for batch in landed] == [
        sum(earlier.records_count for earlier in landed[:place]) for place in range(len(landed))
    ]
    assert {(batch.topic, batch.partition) for batch in landed} == {("registry.expressions", 8)}


def test_a_group_that_no_batch_holds_is_refused(broker: Broker) -> None:
    with pytest.raises(GroupTooLarge, match="3 records of one subscriber"):
        _write(broker, [_group(BATCH_BYTES_MAX // 2)])


def test_many_expressions_go_each_to_its_subscribers_partition_in_their_order(broker: Broker) -> None:
    expressions = [
        Expression(f"+86138001380{place % 50:02d}", "sms", "refuse", place, "t", evidence="x" * 1_000)
        for place in range(10_000)
    ]
    landed = _written(broker, lambda writer: writer.write_each(expressions, list(map(encode, expressions))))
    assert len(landed) > broker.partitions, "more than one batch a partition, or this test shows nothing"
    assert sum(batch.records_count for batch in landed) == len(expressions)
    found: dict[int, list[Expression]] = {}
    for record in sorted(broker.read(EXPRESSIONS, until=len(expressions)), key=lambda one: one.offset):
        expression = decode_record(EXPRESSIONS, record.key, record.value)
        assert isinstance(expression, Expression)
        found.setdefault(record.partition, []).append(expression)
    expected: dict[int, list[Expression]] = {}
    for expression in expressions:
        expected.setdefault(partition_of(expression.subscriber, broker.partitions), []).append(expression)
    assert found == expected
    for batch in landed:
        assert batch.first_offset + batch.records_count <= len(expected[batch.partition])


def test_each_record_goes_to_its_topic_and_a_tombstone_is_a_null_value(broker: Broker) -> None:
    order = Order("O-1", "stop", 0, "b", sender="S")
    _write(broker, [(order,), (Tombstone("registry.senders", "ORG-1"),)])
    (kept,) = broker.read("registry.orders")
    (gone,) = broker.read("registry.senders")
    assert (kept.key, gone.key, gone.value) == (b"O-1", b"ORG-1", None)
