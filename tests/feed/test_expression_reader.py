"""Expressions in columns: what is read of a stretch is what its records say one by one, on both paths."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from bloom.number import Msisdn
from bloom.partition import partition_of
from bloom.snapshot import SnapshotMeta
from bloom.wills import ExpressionColumns
from stream.feed import expression_reader, snapshots
from stream.feed.expression_reader import NativeReader, Piece, PolledExpressions, native_reader, next_offset, read
from stream.kafka import clients
from stream.kafka.seams.incoming import RawBatch
from stream.model.codec import Undecodable, decode_record, encode
from stream.model.fields import RECORD_BYTES_MAX
from stream.model.registry import Expression, Order, key_of
from stream.model.topics import EXPRESSIONS
from stream.registry.decoding import Misplaced, wrong_partition
from stream.registry.registry import Registry
from stream.testbed.local import Cluster
from tests.deciding.twins import needs_native
from tests.filter.harness import Broker

PARTITIONS = 12
PARTITION = 8
FIRST_OFFSET = 100
OWN = ("+8613800138000", "+8613800138021", "+8613800138042")
SUBSCRIBERS = (*(one for one in OWN if partition_of(one, PARTITIONS) == PARTITION), "+8613900139000", "+1234567")
SENDERS = (None, "", "*", "ORG-1", "ORG-2", "机构|", "a|b", "b")
CATEGORIES = (None, "", "*", "finance", "b|c", "c")
ODD: dict[str, tuple[object, ...]] = {
    "kind": ("expression", "sender", "tombstone", None, 1),
    "subscriber": ("+86138001380001234", "8613800138000", "+0613800138000", "+861380013800٠", "", None, 7),
    "channel": ("sms", "call", "mms", None, ""),
    "will": ("refuse", "consent", "lift", "withdraw", None),
    "time": (0, (1 << 53) - 1, 1 << 53, -1, 1.0, 1.5, "1", None, True, 10**30),
    "source": ("web-form", "é", 'a"b', "a\u0000", "", None, 1),
    "sender": (*SENDERS, "a\nb", 'a"b', "a\\u002a", 1, [], {}),
    "category": (*CATEGORIES, "\u2028", 1.5, True),
    "evidence": (None, "", "sha256:00", "a/b", "\\", 1, []),
    "actor": (None, "", "desk:17", {}, False),
    "expires": (None, "", 0, (1 << 53) - 1, 1 << 53, -1, 1.0, 1.5, "1", True, 10**30),
    "other": (None, 1, -1, 1e30, 12345678901234567890, [], {"a": [1]}, "x", "\\", True),
}


class Kept(NamedTuple):
    key: bytes | None
    value: bytes | None


class Batch(NamedTuple):
    records: Sequence[Kept]
    codec: int


class Draw(random.Random):
    """Records of the vocabulary, most of them sound, and spoilt ones among them."""

    def record(self) -> Kept:
        raw: dict[str, object] = {
            "kind": "expression",
            "subscriber": self.choice(SUBSCRIBERS),
            "channel": self.choice(("sms", "call")),
            "will": self.choice(("refuse", "refuse", "consent", "lift")),
            "time": 1_795_400_000_000,
            "source": "web-form",
            "sender": self.choice(SENDERS),
            "category": self.choice(CATEGORIES),
        }
        own = self._key(raw)
        if self.random() < 0.3:
            name = self.choice(tuple(ODD))
            raw[name] = self.choice(ODD[name])
        if self.random() < 0.05:
            del raw[self.choice(tuple(raw))]
        names = list(raw)
        if self.random() < 0.3:
            self.shuffle(names)
        separators = self.choice(((",", ":"), (",", ":"), (", ", ": "), (" ,\n", "\t:\r ")))
        text = json.dumps({name: raw[name] for name in names}, ensure_ascii=self.random() < 0.2, separators=separators)
        value = text.encode("utf-8", "surrogatepass")
        if self.random() < 0.1:
            value = self._spoilt(value)
        key = own if self.random() < 0.5 else self._key(raw)
        if self.random() < 0.05:
            key = self.choice((b"", b"|", key + b"|", key[:-1], b"x", key.replace(b"sms", b"call")))
        return Kept(None if self.random() < 0.02 else key, None if self.random() < 0.03 else value)

    def _key(self, raw: dict[str, object]) -> bytes:
        names = (raw.get(name) or "*" for name in ("sender", "category"))
        return "|".join(map(str, (raw.get("subscriber"), raw.get("channel"), *names))).encode("utf-8", "replace")

    def _spoilt(self, value: bytes) -> bytes:
        at = self.randrange(len(value))
        return self.choice(
            (
                value[:at] + bytes([self.randrange(256)]) + value[at + 1 :],
                value[:at] + value[at + 1 :],
                value[:at],
                value[:-1] + b',"will":"lift"}',
                value[:-1] + b',"other":1,"other":2}',
                b" " * RECORD_BYTES_MAX + value,
                b"\xef\xbb\xbf" + value,
                value + b"\n ",
                value.replace(b"sms", b"\\u0073ms"),
            )
        )

    def batches(self, count: int) -> list[Batch]:
        records = [self.record() for _ in range(count)]
        found = []
        while records:
            length = self.choice((1, 2, 7, 40, 200))
            found.append(Batch(records[:length], self.choice((0, 0, 3, 4, 1, 2))))
            records = records[length:]
        return found


def written(batches: Sequence[Batch]) -> list[RawBatch]:
    """The batches as one answer of a broker holds them, each with a gap of one offset behind it."""
    pieces, buffer, offset = [], bytearray(), FIRST_OFFSET
    for records, codec in batches:
        builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 30)
        for place, (key, value) in enumerate(records):
            builder.append(place, 0, key, value, [])
        data = bytearray(builder.build())
        data[:8] = offset.to_bytes(8, "big")
        pieces.append((len(buffer), len(buffer) + len(data), offset, len(records), codec))
        buffer += data
        offset += len(records) + 1
    return [
        RawBatch(bytes_, start, stop, first, first + count, count, codec in (0, 3, 4))
        for bytes_ in [bytes(buffer)]
        for start, stop, first, count, codec in pieces
    ]


class Said(NamedTuple):
    registry: Registry
    bad: list[tuple[int, bytes | None, bytes | None, str]]
    misplaced_count: int
    records_count: int


def one_by_one(pieces: Sequence[Piece], *, misplaced: Misplaced) -> Said:
    """What the records say, each taken alone: obviously right, and slow."""
    registry, bad, misplaced_count = Registry(), [], 0
    records = expression_reader.records_of(pieces)
    for one in records:
        try:
            record = decode_record(EXPRESSIONS, one.key, one.value)
        except Undecodable as error:
            bad.append((one.offset, one.key, one.value, str(error)))
            continue
        assert isinstance(record, Expression)
        right = partition_of(record.subscriber, PARTITIONS)
        misplaced_count += right != PARTITION
        if right != PARTITION and misplaced is Misplaced.REJECT:
            bad.append((one.offset, one.key, one.value, wrong_partition(PARTITION, right)))
        else:
            registry.apply([record])
    return Said(registry, bad, misplaced_count, len(records))


def in_columns(pieces: Sequence[Piece], reader: NativeReader | None, *, misplaced: Misplaced, polls: int = 1) -> Said:
    registry, bad, misplaced_count, records_count = Registry(), [], 0, 0
    size = -(-len(pieces) // polls)
    for start in range(0, len(pieces), size):
        reading = PolledExpressions()
        read(reader, PARTITION, pieces[start : start + size], reading, partitions=PARTITIONS, misplaced=misplaced)
        registry.apply_columns(reading.columns)
        bad += [(one.offset, one.key, one.value, one.error) for one in reading.bad]
        misplaced_count += reading.misplaced_count
        records_count += reading.records_count
    return Said(registry, sorted(bad, key=lambda one: one[0]), misplaced_count, records_count)


def agree(pieces: Sequence[Piece], reader: NativeReader | None, *, misplaced: Misplaced, polls: int = 1) -> None:
    expected, found = (
        one_by_one(pieces, misplaced=misplaced),
        in_columns(pieces, reader, misplaced=misplaced, polls=polls),
    )
    assert found.registry.wills.state_equal(expected.registry.wills)
    assert found[1:] == expected[1:]


readers = pytest.mark.parametrize(
    "make", [pytest.param(lambda: None, id="python"), pytest.param(NativeReader, id="native", marks=needs_native)]
)


@readers
@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(1, 60),
    polls=st.integers(1, 4),
    misplaced=st.sampled_from(Misplaced),
)
def test_what_is_read_is_what_the_records_say_one_by_one(
    make: type[NativeReader],
    seed: int,
    count: int,
    polls: int,
    misplaced: Misplaced,
) -> None:
    agree(written(Draw(seed).batches(count)), make(), misplaced=misplaced, polls=polls)


@readers
def test_so_it_is_for_many_and_with_one_reader_for_all(make: type[NativeReader]) -> None:
    draw, reader = Draw(11), make()
    for turn in range(12):
        misplaced = Misplaced.REJECT if turn % 2 == 0 else Misplaced.APPLY
        agree(written(draw.batches(1_000)), reader, misplaced=misplaced, polls=draw.choice((1, 3)))


@readers
def test_a_fetch_may_begin_within_a_batch_and_records_may_come_by_themselves(make: type[NativeReader]) -> None:
    draw = Draw(5)
    whole = written([Batch([draw.record() for _ in range(30)], codec) for codec in (4, 0, 3, 1, 4)])
    cut = replace(whole[0], first=whole[0].first + 9)
    mixed: list[Piece] = [cut, whole[1], *whole[2].records(), *whole[3:]]
    agree(mixed, make(), misplaced=Misplaced.APPLY)
    assert next_offset(mixed) == whole[-1].next_offset
    records = whole[0].records()
    assert next_offset(records) == records[-1].offset + 1


@needs_native
def test_the_native_reader_leaves_no_plain_record() -> None:
    """It would be slow, and no other test would see it."""
    word = Expression(OWN[0], "sms", "refuse", 1, "web-form", sender="ORG-1", evidence="sha256:00")
    reader = NativeReader()
    (piece,) = written([Batch([Kept(key_of(word).encode(), encode(word))] * 50, 4)])
    assert reader._native is not None
    _, content_ids, contents, fallback, _ = reader._native.read(
        piece.data, from_offset=0, partition=PARTITION, partitions=PARTITIONS, reject_misplaced=True
    )
    assert (len(content_ids), contents, fallback) == (4 * 50, [(0, 0, "ORG-1", None)], [])


@needs_native
@given(seed=st.integers(0, 1 << 32), codec=st.sampled_from([0, 3, 4]), flips=st.integers(1, 6))
def test_bytes_that_are_spoilt_bring_no_native_reader_down(seed: int, codec: int, flips: int) -> None:
    """Checksums are looked at before; this is for what a checksum lets pass."""
    draw, reader = Draw(seed), NativeReader()
    (piece,) = written([Batch([draw.record() for _ in range(8)], codec)])
    spoilt = bytearray(piece.buffer)
    for _ in range(flips):
        spoilt[draw.randrange(len(spoilt))] = draw.choice((0, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    reading = PolledExpressions()
    reader.read(
        replace(piece, buffer=bytes(spoilt)), PARTITION, reading, partitions=PARTITIONS, misplaced=Misplaced.REJECT
    )
    assert reader._native is not None
    assert len(reading.columns) + len(reading.bad) == reading.records_count


@needs_native
def test_a_native_reader_that_panics_is_left_out_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Panics:
        def read(self, *_: object, **__: object) -> object:
            raise BaseException("as a panic in Rust comes")  # noqa: TRY002

    reader = NativeReader()
    monkeypatch.setattr(reader, "_native", Panics())
    agree(written(Draw(3).batches(100)), reader, misplaced=Misplaced.APPLY)
    assert reader._native is None


def test_columns_put_together_say_the_same_as_their_parts() -> None:
    reading = PolledExpressions()
    read(None, PARTITION, written(Draw(2).batches(40)), reading, partitions=PARTITIONS, misplaced=Misplaced.APPLY)
    part, contents = reading.columns, list(reading.columns.contents)
    by_row, by_column = ExpressionColumns(), ExpressionColumns()
    for reordered in (contents, contents[::-1]):
        places = np.array([reordered.index(contents[place]) for place in part.content_ids], np.uint32)
        by_column.extend(np.array(part.numbers, np.uint64), places, reordered)
        for number, place in zip(part.numbers, part.content_ids, strict=True):
            by_row.add(Msisdn(number), contents[place])
    assert [contents[place] for place in part.content_ids] == [
        list(by_row.contents)[place] for place in by_row.content_ids[: len(part)]
    ]
    for one in (by_row, by_column):
        assert one.numbers == part.numbers + part.numbers
        assert [list(one.contents)[place] for place in one.content_ids] == [
            contents[place] for place in part.content_ids
        ] * 2


# On a genuine Kafka --------------------------------------------------------------------------------------------------


async def _send(producer: AIOKafkaProducer, partition: int, records: Sequence[Kept]) -> None:
    sent = [await producer.send(EXPRESSIONS, value, key=key, partition=partition) for key, value in records]
    await producer.flush()
    for one in sent:
        await one


def others(one: Kept) -> Kept:
    """The same, said by others: between the partitions of one subscriber no order would hold."""

    def exchanged(part: bytes | None) -> bytes | None:
        return part and part.replace(b"+86", b"+87").replace(b"+1234567", b"+7654321")

    return Kept(exchanged(one.key), exchanged(one.value))


async def _write(broker: Broker, draw: Draw) -> None:
    """Good and bad records in every codec, and a transaction that is aborted between them."""
    for codec in ("none", "lz4", "zstd", "gzip"):
        settings = msgspec.structs.replace(broker.config.filter, compression=codec)
        config = msgspec.structs.replace(broker.config, filter=settings)
        producer = clients.producer(config, client="test")
        await producer.start()
        for partition in (PARTITION, 3):
            # What a broker refuses for such a topic cannot come: a record without a key, one of more than 1 MiB.
            some = [draw.record() for _ in range(150)]
            if partition != PARTITION:
                some = [others(one) for one in some]
            await _send(
                producer, partition, [one for one in some if one.key is not None and len(one.value or b"") < 10_000]
            )
        await producer.stop()
    aborting = clients.producer(broker.config, client="test", transactional_id="test-columns")
    await aborting.start()
    await aborting.begin_transaction()
    lost = Expression(OWN[0], "call", "refuse", 1, "aborted")
    await aborting.send_and_wait(EXPRESSIONS, encode(lost), key=key_of(lost).encode(), partition=PARTITION)
    await aborting.abort_transaction()
    await aborting.stop()


@pytest.mark.kafka
@needs_native
def test_a_registry_built_natively_is_the_one_that_python_builds(kafka: Cluster) -> None:
    broker = Broker(kafka.bootstrap)
    broker.delete_topics()
    broker.create_topics()
    broker.write_registry([Order("O-1", "stop", 0, "b", sender="S")])
    asyncio.run(_write(broker, Draw(23)))
    built: dict[str, tuple[Registry, SnapshotMeta]] = {}
    told: dict[str, tuple[list[tuple[int, int, str]], int, int]] = {}
    for native in ("off", "auto"):
        config = msgspec.structs.replace(
            broker.config, filter=msgspec.structs.replace(broker.config.filter, native=native)
        )
        assert (native_reader(config) is None) == (native == "off")
        seen: list[snapshots.BuildProgress] = []
        built[native] = asyncio.run(snapshots.build(config, progress=seen.append))
        bad = sorted((one.partition, one.offset, one.error) for some in seen for one in some.bad)
        told[native] = bad, sum(some.misplaced_count for some in seen), seen[-1].read_count
    (by_python, marks), (natively, native_marks) = built["off"], built["auto"]
    assert natively.wills.state_equal(by_python.wills)
    assert not by_python.wills.state_equal(Registry().wills)
    assert natively.orders == by_python.orders
    assert native_marks.topics == marks.topics
    assert told["auto"] == told["off"]
    assert len(told["off"][0]) > 50, "bad records were among them"
