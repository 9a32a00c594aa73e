"""What an audit finds does not depend on how decisions are fetched: in which order, how many at a time, by whom."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from bloom.partition import partition_of
from stream.kafka import clients
from stream.kafka.describe import describe_topics
from stream.model.codec import decode_event, encode
from stream.model.decision import Epoch
from stream.model.registry import Expression, FileRecord, Record, key_of
from stream.model.topics import EPOCHS, EXPRESSIONS, RECORD_KIND, TOPIC_OF
from stream.policy.decide import decide
from stream.policy.facts import World
from stream.policy.loading import load
from stream.registry.registry import registry_of
from tests.audit.test_audit import AuditProcess, audit
from tests.filter import cases
from tests.filter.harness import PARTITIONS, Broker, event

POLICY = load()

PER_PARTITION: Final = 40
TICK_MS: Final = 10


class Written(NamedTuple):
    """A record to be written, as if at a moment."""

    topic: str
    partition: int
    timestamp: int
    key: bytes
    value: bytes


def _write(broker: Broker, records: Sequence[Written]) -> None:
    async def send() -> None:
        producer = clients.producer(broker.config, client="test")
        await producer.start()
        acks = [
            await producer.send(one.topic, one.value, key=one.key, partition=one.partition, timestamp_ms=one.timestamp)
            for one in records
        ]
        await asyncio.gather(*acks)
        await producer.stop()

    asyncio.run(send())


def _subscribers() -> list[str]:
    """One subscriber of each partition; the one of the last agreed, and will refuse."""
    found: dict[int, str] = {}
    number = 13_800_000_000
    while len(found) < PARTITIONS:
        text = f"+86{number}"
        found.setdefault(partition_of(text, PARTITIONS), text)
        number += 1
    return [found[one] for one in range(PARTITIONS)]


def _history(begin_ms: int, cluster: str) -> list[Written]:
    """An hour ago: everybody had agreed; messages go out, the last subscriber refuses 3 s later, more messages."""
    subscribers = _subscribers()
    refuses = subscribers[-1]
    consents = [
        Expression(
            subscriber=one, channel="sms", will="consent", sender="ORG-BANK", category="finance", time=1, source="test"
        )
        for one in subscribers
    ]
    said: list[FileRecord] = [record for record in cases.registry() if not isinstance(record, Expression)]
    said += consents
    written: list[Written] = []
    ends = {topic: [0] * (PARTITIONS if topic == EXPRESSIONS else 1) for topic in RECORD_KIND}

    def say(record: FileRecord, moment: int) -> None:
        assert isinstance(record, Record)
        topic, key = TOPIC_OF[type(record)], key_of(record)
        partition = partition_of(key.split("|")[0], PARTITIONS) if topic == EXPRESSIONS else 0
        written.append(Written(topic, partition, moment, key.encode(), encode(record)))
        ends[topic][partition] += 1

    def announce(name: str, moment: int) -> None:
        offsets = {topic: tuple(some) for topic, some in ends.items()}
        epoch = Epoch(name, moment, POLICY.version, POLICY.digest, False, 0, cluster, offsets)
        written.append(Written(EPOCHS, 0, moment, name.encode(), encode(epoch)))

    def message(number: int, to: str, moment: int, epoch: str) -> None:
        raw = encode_event(number, to, moment)
        decision = decide(decode_event(raw), World(POLICY, registry_of(said)), moment, epoch=epoch)
        partition = partition_of(to, PARTITIONS)
        written.append(Written("events.sms", partition, moment, to.encode(), raw))
        written.append(Written("decisions", partition, moment, to.encode(), encode(decision)))

    for record in said:
        say(record, begin_ms - 3_600_000)
    announce("run-1", begin_ms)
    for tick in range(PER_PARTITION // 2):
        for to in subscribers:
            message(tick, to, begin_ms + TICK_MS * tick, "run-1")
    refusal = Expression(subscriber=refuses, channel="sms", will="refuse", time=2, source="test")
    said.append(refusal)
    say(refusal, begin_ms + 3_000)
    announce("run-2", begin_ms + 3_100)
    for tick in range(PER_PARTITION // 2):
        for to in subscribers:
            message(PER_PARTITION + tick, to, begin_ms + 3_100 + TICK_MS * tick, "run-2")
    return written


def encode_event(number: int, to: str, moment: int) -> bytes:
    one = {
        **event("sms", number, to=to, text=cases.GOOD_TEXT, **cases.BANK),
        "time": moment,
        "id": f"{to[-4:]}-{number}",
    }
    return msgspec.json.encode(one)


def an_old_backlog(broker: Broker) -> None:
    """Write all that, as if an hour ago."""
    cluster = asyncio.run(describe_topics(broker.config, (EPOCHS,)))
    _write(broker, _history(int(time.time() * 1000) - 3_600_000, cluster.id))


@pytest.mark.kafka
@pytest.mark.parametrize("batch", [PER_PARTITION, 7, 100_000])
def test_an_old_backlog_is_judged_alike_in_batches_of_any_size(broker: Broker, tmp_path: Path, batch: int) -> None:
    an_old_backlog(broker)
    bound = {"WURAO_AUDIT__BATCH_RECORDS_MAX": str(batch)}
    code, found = audit(broker, **bound)
    assert (code, found.agrees, found.whys, found.violations) == (0, PARTITIONS * PER_PARTITION, {}, [])
    with AuditProcess(broker, tmp_path, **bound) as process:
        agrees = f'wurao_audit_decisions_total{{outcome="agrees"}} {float(PARTITIONS * PER_PARTITION)}'
        shown = process.metrics_with(agrees)
        assert "wurao_audit_violations_total 0.0" in shown
        assert process.terminate() == 0
