"""A death between any two writes of a step: each place in turn, on genuine Kafka.

The process tests kill at random; here a fuse in front of the real producer ends one life of the runtime after so many
records, and a second life begins from what the topics hold, with another clock.
"""

import asyncio
from collections import defaultdict
from itertools import count
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata
from msgspec.structs import replace

from stream.clock import WallClock
from stream.enforce.cases import recovery
from stream.enforce.cases.decoding import RecordPosition
from stream.enforce.cases.offsets import IntakeOffsets
from stream.enforce.cases.recovery import RecoveredRows
from stream.enforce.cases.runtime import CaseRuntime
from stream.enforce.procedures import ids, settings
from stream.enforce.procedures.complaint import Forwarded, Verified
from stream.kafka.clients import AIOKafkaPartition
from stream.metrics import EnforceMetrics
from stream.model import topics
from stream.model.codec import encode
from stream.model.control import Complaint
from stream.model.requests import decode_request
from stream.policy.loading import load as load_policy
from tests.enforce.harness import NOW, Pure, Record, case_event, effects, intake_record, views
from tests.filter.harness import PARTITIONS, Broker

pytestmark = pytest.mark.kafka

TOPIC_IDS = {topic: f"id-{topic}" for topic in topics.INTAKE}
DRILL_MS = 3_600_000


class Died(BaseException):
    """The end of a life. No `Exception`: nothing may survive it."""


class Fuse:
    """A genuine producer that goes after so many hand-overs: of a record, or of a batch of small ones at once."""

    def __init__(self, producer: AIOKafkaProducer, records: int) -> None:
        self._producer = producer
        self.left = records

    async def send(self, *parts: object, **more: object) -> "asyncio.Future[RecordMetadata]":
        await self._burn()
        ack: asyncio.Future[RecordMetadata] = await self._producer.send(*parts, **more)
        return ack

    def create_batch(self) -> BatchBuilder:
        return self._producer.create_batch()

    async def send_batch(self, *parts: object, **more: object) -> "asyncio.Future[RecordMetadata]":
        await self._burn()
        ack: asyncio.Future[RecordMetadata] = await self._producer.send_batch(*parts, **more)
        return ack

    async def _burn(self) -> None:
        if self.left == 0:
            await self._producer.flush()  # what was handed over before arrives: the harder case
            raise Died
        self.left -= 1

    async def flush(self) -> None:
        await self._producer.flush()

    async def stop(self) -> None:
        await self._producer.stop()


def _words(name: str) -> list[Record]:
    complaint = Complaint(
        name, NOW, subscriber="+8613800138000", channel="sms", sender=f"ORG-{name}", at=NOW, text="。", refusal=True
    )
    case = ids.complaint_case(complaint)
    return [
        intake_record(complaint),
        case_event(case, Forwarded("carrier"), name=f"{case}-forwarded"),
        case_event(case, Verified("confirmed", "so it was"), name=f"{case}-verified"),
    ]


async def _life(
    broker: Broker, rows: RecoveredRows, words: list[Record], *, records: int | None, clock: WallClock
) -> bool:
    """One life from these rows on; whether it came to the end of the words."""
    offsets = IntakeOffsets(TOPIC_IDS, table_id="table")
    config = broker.config
    runtime = CaseRuntime(
        config,
        table=dict(rows.entries),
        offsets=offsets,
        terms=settings.terms(config, load_policy(config.policy.file)),
        clock=clock,
        metrics=EnforceMetrics(),
    )
    await runtime.start()
    live = runtime._producer._live
    assert live is not None
    if records is not None:
        live.producer = Fuse(live.producer, records)
    try:
        await runtime.resume(rows)
        ends: defaultdict[AIOKafkaPartition, count[int]] = defaultdict(count)
        for topic, number, key, value in words:
            partition = AIOKafkaPartition(topic, number)
            position = RecordPosition(topic, number, next(ends[partition]), NOW)
            if position.offset >= offsets[partition]:
                await runtime.process(position, key, value)
        await runtime.flush()
    except Died:
        return False
    finally:
        await runtime.stop()
    return True


def test_a_death_after_any_record_leaves_each_effect_once_by_name_and_always_the_same(
    broker: Broker, tmp_path: Path
) -> None:
    drill = tmp_path / "offset-ms"
    drill.write_text(str(DRILL_MS))
    pure = Pure(broker.config)

    async def lives() -> int:
        for records in count():
            words = _words(f"cut-{records}")
            pure.take(words)
            own = {key for _, _, key, _ in words}
            ended = await _life(broker, RecoveredRows({}, {}, []), words, records=records, clock=WallClock(None))
            if ended:
                return records
            held = await recovery.recover(broker.config, {}, range(PARTITIONS))
            entries = {key: value for key, value in held.entries.items() if key in own}
            rows = RecoveredRows(entries, held.partition, [])
            assert await _life(broker, rows, words, records=None, clock=WallClock(str(drill)))
        raise AssertionError("never")

    deaths = asyncio.run(lives())
    assert deaths > 15, "as many places as three steps write records"
    seen = defaultdict(set)
    for one in effects(broker):
        value = one.record.value
        if one.topic == topics.REQUESTS:  # it says when it was asked, and by `content` is the same all the same
            value = encode(replace(decode_request(value), time=NOW))
        seen[one.effect].add((one.topic, one.record.key, value))
    complaints = {effect for effect in pure.effects if effect.startswith("C-")}
    assert set(seen) == complaints, "no effect is missing, and none has another name"
    assert all(len(records) == 1 for records in seen.values()), "and it says the same, whatever the clock is now"
    states = {key: seen.state for key, seen in views(broker).items()}
    assert states == {key: state for key, (state, _) in pure.states().items() if key.startswith("C-")}
