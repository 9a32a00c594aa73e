"""Records larger than anything that may be written: each becomes a dead letter that fits, and nothing stops for it."""

import asyncio
import random
from hashlib import sha256
from pathlib import Path

import orjson
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from bloom.partition import partition_of
from stream.kafka import clients
from stream.model.limits import BATCH
from stream.model.limits import DEAD_LETTER as KEPT
from stream.model.registry import Expression
from stream.model.topics import DEAD_LETTER, DECISIONS, EVENTS_SMS, EXPRESSIONS
from tests.enforce.harness import wait_until
from tests.filter import cases
from tests.filter.harness import PARTITIONS, Broker, FilterProcess, event
from tests.hostile import write_compressed

pytestmark = pytest.mark.kafka

HERE = partition_of(cases.WILLING, PARTITIONS)
GIANT = b"a" * (2 << 20)
GIANT_KEY = b"k" * 2_096_885
BOMB = bytes(BATCH.most)
LONG = random.Random(1).randbytes(5_000)
LAST = event("sms", 99, **{**cases.BANK, "to": cases.WILLING, "text": cases.GOOD_TEXT})


@pytest.mark.parametrize(
    ("delivery", "native"), [("at-least-once", "auto"), ("at-least-once", "off"), ("exactly-once", "auto")]
)
def test_whatever_its_size_a_record_becomes_a_dead_letter_that_fits_and_the_next_is_decided(
    broker: Broker, tmp_path: Path, delivery: str, native: str
) -> None:
    broker.write_registry(cases.registry())
    small = orjson.dumps(event("sms", 1, **{**cases.BANK, "to": cases.WILLING, "text": cases.GOOD_TEXT}))
    settings = {"WURAO_FILTER__DELIVERY": delivery, "WURAO_FILTER__NATIVE": native}
    with FilterProcess(broker, tmp_path, workers=1, **settings) as filter_:
        filter_.wait_ready()
        for compression in ("snappy", "zstd"):
            write_compressed(broker.bootstrap, [(EVENTS_SMS, HERE, None, GIANT)], compression=compression)
        for compression in ("gzip", "lz4", "zstd"):
            write_compressed(broker.bootstrap, [(EVENTS_SMS, HERE, b"k", BOMB)], compression=compression)
        write_compressed(
            broker.bootstrap,
            [
                (EVENTS_SMS, HERE, GIANT_KEY, small),
                (EVENTS_SMS, HERE, GIANT_KEY, b"["),
                (EVENTS_SMS, HERE, None, None),
                (EXPRESSIONS, HERE, GIANT_KEY, b"{}"),
            ],
        )
        broker.write_events([LAST])
        keys = {record.key for record in broker.read("decisions", until=2)}
        assert keys == {cases.WILLING.encode()}
        letters = broker.read(DEAD_LETTER, until=8)
        assert filter_.terminate() == 0
        assert "worker died" not in filter_.log
    assert len(letters) == 8
    by_offset = {(dict(one.headers)["topic"], int(dict(one.headers)["offset"])): one for one in letters}
    headers = [dict(one.headers) for one in letters]
    giants = [one for one in headers if one.get("value-bytes") == str(len(GIANT)).encode()]
    assert [one["value-sha256"].decode() for one in giants] == [sha256(GIANT).hexdigest()] * 2
    assert sum(b"unreadable batch" in one["error"] for one in headers) == 3
    assert sum(one.get("key-sha256") == sha256(GIANT_KEY).hexdigest().encode() for one in headers) == 2
    assert all(len(one.value or b"") <= KEPT.most for one in letters)
    assert len(by_offset) == 8


def test_a_broker_that_refuses_a_dead_letter_for_its_size_gets_a_shorter_one(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        take_at_most(broker, DEAD_LETTER, "2000")
        broker.write([(EVENTS_SMS, HERE, b"k", LONG), (EVENTS_SMS, HERE, b"k", b"[")])
        letters = broker.read(DEAD_LETTER, until=2)
        broker.write_events([LAST])
        broker.decisions(until=1)
        assert filter_.terminate() == 0
        assert "worker died" not in filter_.log
    values = {one.value: dict(one.headers) for one in letters}
    assert values.keys() == {None, b"["}
    assert values[None]["value-bytes"] == b"5000"
    assert values[None]["value-sha256"].decode() == sha256(LONG).hexdigest()


def take_at_most(broker: Broker, topic: str, message_bytes: str) -> None:
    async def alter() -> None:
        admin = clients.admin(broker.config)
        await admin.start()
        settings = {"cleanup.policy": "delete", "max.message.bytes": message_bytes}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=settings)])
        await admin.close()

    asyncio.run(alter())
    broker.wait_for(lambda cluster: cluster.topics[topic].settings["max.message.bytes"] == message_bytes)


def test_a_topic_that_refuses_a_batch_of_decisions_is_waited_for(broker: Broker, tmp_path: Path) -> None:
    broker.write_registry(cases.registry())
    with FilterProcess(broker, tmp_path) as filter_:
        filter_.wait_ready()
        take_at_most(broker, DECISIONS, "200")
        broker.write_events([LAST])
        wait_until(lambda: "a worker's batches would be refused" in filter_.log, what="the mend, in the log")
        take_at_most(broker, DECISIONS, str(2 << 20))
        broker.decisions(until=1)
        assert filter_.terminate() == 0
        assert filter_.log.count("worker died") == 1


@pytest.mark.parametrize("mode", ["replicated", "partitioned"])
def test_an_old_expression_with_names_beyond_any_limit_bars_no_start(broker: Broker, tmp_path: Path, mode: str) -> None:
    names = ("s" * 66_000, "s" * 1_000_000)
    old = [Expression(cases.WILLING, "sms", "refuse", 1_790_000_000_000, "form", name) for name in names]
    broker.write_registry([*cases.registry(), *old])
    for start in (1, 2):  # from the topics, and from the snapshot that was made then
        with FilterProcess(broker, tmp_path, WURAO_REGISTRY__MODE=mode) as filter_:
            filter_.wait_ready()
            broker.write_events([{**LAST, "id": f"start-{start}"}])
            assert broker.decisions(until=start)[-1]["verdict"] == "allow"
            wait_until(lambda: any((tmp_path / "snapshots").rglob("*.snapshot")), what="a snapshot")
            assert filter_.terminate() == 0
