"""One policy and registry twice: in the native module, and in Python, which says what is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from bloom.base import BasedWills
from bloom.bitmaps import Wills
from bloom.partition import partition_of
from bloom.partitioned import HeldPartitions
from stream.deciding.native import Compression, NativeBatches, NativeOutcome, why_unfit
from stream.model.codec import Undecodable, encode, event_decoder
from stream.model.registry import Expression, FileRecord
from stream.model.topics import EVENTS_URGENT
from stream.policy.decide import Decider
from stream.policy.settings import Policy
from stream.registry.registry import Registry, expression_row_of

needs_native = pytest.mark.skipif(why_unfit() is not None, reason=f"{why_unfit()}")

PARTITIONS = 12
CODECS: dict[Compression, int] = {"none": 0, "lz4": 3, "zstd": 4}
RECORD_MS = 1_795_400_000_000
"""The timestamp of the first record of a batch; each next one is a millisecond later."""


class Keyed(NamedTuple):
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Consumed:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Seen(NamedTuple):
    """What the native module did with a batch."""

    outcome: NativeOutcome
    decisions: list[Keyed]


def batch_of(records: Sequence[Keyed], *, compression: Compression = "none") -> bytes:
    """A batch as aiokafka's producer makes it."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[compression],
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 30,
    )
    for place, (key, value) in enumerate(records):
        builder.append(place, timestamp=RECORD_MS + place, key=key, value=value, headers=[])
    return bytes(builder.build())


def records_of(batch: bytearray) -> list[Keyed]:
    """The records of a finished batch, read by aiokafka once its producer's fields and checksum are in."""
    import wurao_native  # noqa: PLC0415  # there only where the module is built

    wurao_native.seal(batch, 7, 1, 100, False)
    read = MemoryRecords(bytes(batch)).next_batch()
    assert read.validate_crc()
    assert (read.producer_id, read.producer_epoch, read.base_sequence) == (7, 1, 100)
    return [Keyed(record.key, record.value) for record in read]


def partitioned_registry(records: Sequence[FileRecord]) -> Registry:
    """A registry that holds all partitions one by one: half of what is said comes with them, half afterwards."""
    held = HeldPartitions(PARTITIONS)
    held.follow()
    registry = Registry(held=held)
    said = [record for record in records if isinstance(record, Expression)]
    early, late = said[: len(said) // 2], said[len(said) // 2 :]
    for partition in range(PARTITIONS):
        wills = Wills()
        wills.apply(expression_row_of(word) for word in early if partition_of(word.subscriber, PARTITIONS) == partition)
        held.hold(partition, wills)
    registry.apply([*(record for record in records if not isinstance(record, Expression)), *late])
    return registry


class Twins:
    """A decider and its native twin."""

    def __init__(self, policy: Policy, registry: Registry, *, compression: Compression = "none") -> None:
        self.registry = registry
        self.decider = Decider(policy, registry)
        self.decider.settle(stale=False, epoch='run-"1"')
        held = registry.held
        self.wills = BasedWills.following(registry.wills) if held is None else held.follow()
        self.native = NativeBatches(self.decider, self.wills, partitions=PARTITIONS, compression=compression)

    def decide(
        self, raw: bytes | memoryview, *, now: int, topic: str = EVENTS_URGENT, partition: int = 0, start: int = 0
    ) -> Seen:
        """The batch decided natively."""
        outcome = self.native.decide(raw, topic=topic, partition=partition, base_offset_from=start, now=now)
        decisions = [record for batch, _ in outcome.batches for record in records_of(batch)]
        assert not outcome.misread_routes_count, "the native module takes a route for another"
        assert outcome.count == len(decisions) == len(outcome.acts.timestamps)
        return Seen(outcome, decisions)

    def agree(
        self, values: Sequence[bytes], *, now: int, topic: str = EVENTS_URGENT, partition: int = 0
    ) -> list[bytes]:
        """Decide the events both ways and demand the same decisions; returns the values that were left to Python.

        Where the registry holds some partitions, all that belongs to others must be left.
        """
        seen = self.decide(
            batch_of([Keyed(None, value) for value in values]), now=now, topic=topic, partition=partition
        )
        fallback = {offset: value for offset, _, _, value in seen.outcome.fallback}
        assert list(fallback.values()) == [values[offset] for offset in fallback]
        answered = [value for offset, value in enumerate(values) if offset not in fallback]
        decode = event_decoder(topic)
        for value, decision in zip(answered, seen.decisions, strict=True):
            try:
                event = decode(value)
            except Undecodable as error:
                raise AssertionError(f"answered what Python refuses ({error}): {value!r}") from error
            (subscriber,) = self.decider.read([event]).subscribers
            if self.registry.held is not None:
                assert partition_of(subscriber, PARTITIONS) == partition, f"{value!r}"
            right = encode(self.decider.decide(event, now))
            assert decision == Keyed(subscriber.encode(), right), f"{value!r}"
        return [value for value in fallback.values() if value is not None]
