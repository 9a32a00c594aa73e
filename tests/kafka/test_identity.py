"""Which changes make a topic another one than the process started with (recreated, other cluster), and which do not."""

import asyncio
from dataclasses import replace

import pytest

from stream.kafka import clients
from stream.kafka.describe import ClusterDescription, TopicDescription, describe_topics
from stream.kafka.identity import ClusterIdentity, TopicsChanged, changes
from stream.model.topics import DECISIONS, EVENTS_SMS, ORDERS
from stream.testbed.local import Cluster as Kafka
from tests.filter.harness import Broker

KNOWN = ClusterDescription(
    "C",
    {
        EVENTS_SMS: TopicDescription("s", 12, {}),
        ORDERS: TopicDescription("o", 1, {}),
        DECISIONS: TopicDescription("d", 12, {}),
    },
)
LASTING = (EVENTS_SMS, ORDERS)


def _with(name: str, topic: TopicDescription) -> ClusterDescription:
    return replace(KNOWN, topics={**KNOWN.topics, name: topic})


@pytest.mark.parametrize(
    ("now", "told"),
    [
        pytest.param(KNOWN, [], id="the same"),
        pytest.param(replace(KNOWN, id="D"), ["this is cluster D, where C was before"], id="another cluster"),
        pytest.param(
            _with(ORDERS, TopicDescription("p", 1, {})),
            ["registry.orders was recreated (id p, before o)"],
            id="made anew",
        ),
        pytest.param(
            _with(EVENTS_SMS, TopicDescription("s", 24, {})),
            ["events.sms has 24 partitions now, where it had 12"],
            id="partitions added",
        ),
        pytest.param(
            _with(DECISIONS, TopicDescription("e", 12, {})), [], id="one that is only written to may be another"
        ),
        pytest.param(replace(KNOWN, topics={}), [], id="what is gone is no other"),
    ],
)
def test_what_makes_other_topics(now: ClusterDescription, told: list[str]) -> None:
    assert changes(KNOWN, now, lasting=LASTING) == told


@pytest.mark.kafka
def test_a_look_tells_what_is_gone_what_is_another_and_that_nobody_answers(kafka: Kafka) -> None:
    broker = Broker(kafka.bootstrap)
    broker.create_topics()

    async def look() -> None:
        config = broker.config
        known = await describe_topics(config, LASTING)
        identity = ClusterIdentity(config, known, lasting=LASTING)
        nobody = ClusterIdentity(Broker("127.0.0.1:1").config, known, lasting=LASTING)
        admin = clients.admin(config)
        await admin.start()
        try:
            assert not await nobody.look()
            assert await identity.look()
            await admin.delete_topics([ORDERS])
            while not identity.missing:
                await identity.look()
            assert identity.missing == (ORDERS,)
            await asyncio.to_thread(broker.create_topics)
            with pytest.raises(TopicsChanged, match=r"registry\.orders was recreated"):
                await identity.look()
        finally:
            await admin.close()
            await identity.stop()
            await nobody.stop()

    asyncio.run(look())
