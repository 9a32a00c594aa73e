"""The seams to aiokafka: what passes them is what its public way gives, byte for byte, on genuine Kafka and in all
orders of batches that a broker may send."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count, pairwise
from typing import NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, RequestTimedOutError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from stream import config as configuration
from stream.deciding.batch import Finished
from stream.filter.delivery import send, send_finished
from stream.kafka import clients, seams
from stream.kafka.seams import incoming, layout, outgoing
from stream.kafka.seams.bounded import FetchedRecord
from stream.kafka.seams.incoming import (
    RawBatch,
    _KeptRecords,
    _RawPartition,
    joined,
    raw_batches,
    take_raw,
)
from stream.kafka.seams.outgoing import FinishedBatch, fill, finished, records_of, seal
from stream.testbed.local import Cluster
from tests.patience import LONG_S

Seen = tuple[int, int, bytes | None, bytes | None]
"""Offset, timestamp, key, value."""

PLACE = AIOKafkaPartition("any", 0)
NOW = 1_795_500_000_000
_names = count()


# What a broker may send, without a broker ---------------------------------------------------------------------------


class Piece(NamedTuple):
    """A record batch as a broker might send it."""

    records: int
    gap: int
    """offsets at its end whose records compaction has removed"""
    codec: int
    kind: str
    producer: int


def pieces() -> st.SearchStrategy[list[Piece]]:
    return st.lists(
        st.builds(
            Piece,
            st.integers(0, 4),
            st.integers(0, 3),
            st.sampled_from([0, 1, 2, 3, 4]),
            st.sampled_from(["plain", "plain", "transactional", "abort", "commit"]),
            st.integers(1, 2),
        ),
        min_size=1,
        max_size=12,
    )


def _written(batches: Sequence[Piece]) -> tuple[bytes, list[tuple[int, int]]]:
    """The bytes of a fetch's answer, and its list of aborted transactions: producer and first offset."""
    written, aborted, offset = bytearray(), [], 100
    begun: dict[int, int] = {}
    for piece in batches:
        control = piece.kind in ("abort", "commit")
        records = 0 if control else piece.records
        builder = DefaultRecordBatchBuilder(
            2, piece.codec if records else 0, int(piece.kind != "plain"), piece.producer, 0, 0, 1 << 20
        )
        if control:
            builder.append(0, NOW, struct.pack(">hh", 0, 0 if piece.kind == "abort" else 1), b"", [])
            first = begun.pop(piece.producer, None)
            if piece.kind == "abort" and first is not None:
                aborted.append((piece.producer, first))
        elif piece.kind == "transactional":
            begun.setdefault(piece.producer, offset)
        for number in range(records):
            builder.append(number, NOW + number, b"k%d" % (offset + number), b"v" * number, [])
        data = bytearray(builder.build())
        last = max(0, (1 if control else records) - 1 + piece.gap)
        struct.pack_into(">q", data, layout.BASE_OFFSET_AT, offset)
        struct.pack_into(">i", data, layout.ATTRIBUTES_AT + 2, last)
        if control:
            struct.pack_into(">h", data, layout.ATTRIBUTES_AT, 0x30)
        seal(data, producer_id=piece.producer, epoch=0, base_sequence=0, transactional=False)
        written += data
        offset += last + 1
    return bytes(written), aborted


def _by_aiokafka(data: bytes, aborted: list[tuple[int, int]], first: int) -> tuple[list[Seen], int]:
    read = fetcher.PartitionRecords(
        PLACE, fetcher.MemoryRecords(data), aborted, first, None, None, True, fetcher.READ_COMMITTED
    )
    return [(record.offset, record.timestamp, record.key, record.value) for record in read], read.next_fetch_offset


def _by_seam(data: bytes, aborted: list[tuple[int, int]], first: int) -> tuple[list[RawBatch], int]:
    read = _RawPartition(PLACE, _KeptRecords(data), aborted, first, None, None, True, fetcher.READ_COMMITTED)
    return list(read), read.next_fetch_offset


def _seen(batches: Sequence[RawBatch]) -> list[Seen]:
    return [
        (record.offset, record.timestamp, record.key, record.value) for batch in batches for record in batch.records()
    ]


@given(pieces(), st.integers(0, 30))
def test_raw_batches_hold_the_records_that_aiokafka_would_have_made(batches: list[Piece], later: int) -> None:
    data, aborted = _written(batches)
    records, position = _by_aiokafka(data, list(aborted), 100 + later)
    raw, raw_position = _by_seam(data, list(aborted), 100 + later)
    assert _seen(raw) == records
    assert raw_position == position
    assert all(one.count for one in raw)
    assert all(one.readable == (data[one.start + layout.ATTRIBUTES_AT + 1] & 7 in (0, 3, 4)) for one in raw)


@given(pieces(), st.integers(0, 30))
def test_neighbours_become_one_piece_and_hold_the_same(batches: list[Piece], later: int) -> None:
    data, aborted = _written(batches)
    raw, _ = _by_seam(data, aborted, 100 + later)
    together = joined(raw)
    assert _seen(together) == _seen(raw)
    for readable in (True, False):
        counts = [[one.count for one in some if one.readable == readable] for some in (together, raw)]
        assert sum(counts[0]) == sum(counts[1])
    assert [one.next_offset for one in together][-1:] == [one.next_offset for one in raw][-1:]
    for one, other in pairwise(together):
        assert one.stop != other.start or one.readable != other.readable


@given(pieces(), st.data())
def test_a_flipped_bit_is_refused_as_aiokafka_refuses_it(batches: list[Piece], draw: st.DataObject) -> None:
    data, aborted = _written(batches)
    bad = bytearray(data)
    bad[draw.draw(st.integers(layout.CRC_AT, struct.unpack_from(">i", data, 8)[0] + 11))] ^= 1
    with pytest.raises(CorruptRecordException) as theirs:
        _by_aiokafka(bytes(bad), list(aborted), 100)
    for crc_holds in (None, incoming.crc_holds):  # aiokafka's checksum, and the native module's where it is built
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(incoming, "crc_holds", crc_holds)
            with pytest.raises(CorruptRecordException) as ours:
                _by_seam(bytes(bad), list(aborted), 100)
        assert str(ours.value) == str(theirs.value)


def _filled(records: Sequence[tuple[bytes, bytes]], *, size: int = 1 << 20, codec: int = 0) -> BatchBuilder:
    builder = BatchBuilder(size, codec)
    fill(builder, records, start=0, timestamp=NOW)
    return builder


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=90)), min_size=1),
    st.integers(70, 500),
    st.integers(0, 5),
)
def test_filling_a_builder_is_appending_to_it_record_by_record(
    records: list[tuple[bytes, bytes]], size: int, start: int
) -> None:
    start %= len(records)
    plain = BatchBuilder(size, 0)
    end = start
    for key, value in records[start:]:
        if plain.append(timestamp=NOW, key=key, value=value) is None:
            break
        end += 1
    quick = BatchBuilder(size, 0)
    assert fill(quick, records, start=start, timestamp=NOW) == end > start
    assert quick.record_count() == plain.record_count()
    assert bytes(quick._build()) == bytes(plain._build())


def test_a_finished_batch_is_sealed_once_and_repeated_as_it_was() -> None:
    data = bytes(_filled([(b"k", b"v")])._build())
    batch = FinishedBatch(data, 1, transactional=False)
    batch._set_producer_state(7, 1, 42)
    sent = bytes(batch._build())
    assert bytes(batch._build()) == sent
    assert records_of(sent) == [(b"k", b"v")]
    expected = BatchBuilder(1 << 20, 0)
    fill(expected, [(b"k", b"v")], start=0, timestamp=NOW)
    expected._set_producer_state(7, 1, 42)
    assert sent == bytes(expected._build())
    with pytest.raises(AssertionError, match="keeps its numbers"):
        batch._set_producer_state(7, 1, 43)


def test_an_aiokafka_of_another_shape_is_not_reached_into(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seams.misfit() is None
    with monkeypatch.context() as patch:
        patch.setattr(fetcher.Fetcher, "_proc_fetch_request", fetcher.Fetcher.close)
        assert "does not name MemoryRecords, PartitionRecords" in (seams.misfit() or "")
    with monkeypatch.context() as patch:
        patch.setattr(BatchBuilder, "_flush", object(), raising=False)
        assert "BatchBuilder has _flush" in (seams.misfit() or "")
    monkeypatch.setattr(seams, "AIOKAFKA", "0.13.0")
    assert "the seams were made for 0.13.0" in (seams.misfit() or "")


# On genuine Kafka ---------------------------------------------------------------------------------------------------


def _config(kafka: Cluster, compression: str = "zstd") -> configuration.Config:
    return configuration.load(
        None, {"WURAO_KAFKA__BOOTSTRAP": kafka.bootstrap, "WURAO_FILTER__COMPRESSION": compression}
    )


@pytest.fixture
def topic(kafka: Cluster) -> Iterator[str]:
    """A topic of one partition that nobody else uses."""
    name = f"seams-{next(_names)}"

    async def make() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, 1, 1)])
        await admin.close()

    async def remove() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        await admin.delete_topics([name])
        await admin.close()

    asyncio.run(make())
    yield name
    asyncio.run(remove())


@asynccontextmanager
async def _producing(
    kafka: Cluster, *, compression: str = "zstd", transactional_id: str | None = None
) -> AsyncIterator[AIOKafkaProducer]:
    producer = clients.producer(_config(kafka, compression), client="seams", transactional_id=transactional_id)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _consuming(kafka: Cluster, topic: str, *, raw: bool, first: int = 0) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = clients.follower(_config(kafka), client="seams")
    place = AIOKafkaPartition(topic, 0)
    consumer.assign([place])
    await consumer.start()
    if raw:
        take_raw(consumer)
    consumer.seek(place, first)
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _read(kafka: Cluster, topic: str, *, raw: bool, first: int = 0) -> tuple[list[Seen], int]:
    """All records of a topic up to its end, and the consumer's position there."""
    place = AIOKafkaPartition(topic, 0)
    async with _consuming(kafka, topic, raw=raw, first=first) as consumer:
        end = (await consumer.end_offsets([place]))[place]
        seen: list[Seen] = []
        async with asyncio.timeout(LONG_S):
            while await consumer.position(place) < end:
                if raw:
                    pieces = (await raw_batches(consumer, timeout_ms=100, records_max=60)).get(place, [])
                    seen += _seen([one for one in pieces if isinstance(one, RawBatch)])
                else:
                    records = (await consumer.getmany(timeout_ms=100)).get(place, [])
                    seen += [(one.offset, one.timestamp, one.key, one.value) for one in records]
        return seen, await consumer.position(place)


def _records(name: str, many: int) -> list[tuple[bytes, bytes]]:
    return [(b"%s-%d" % (name.encode(), number), b"value of %d" % number) for number in range(many)]


@pytest.mark.kafka
@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "zstd"])
async def test_every_compression_reads_the_same_whole_and_from_within_a_batch(
    kafka: Cluster, topic: str, compression: str
) -> None:
    async with _producing(kafka, compression=compression) as producer:
        for name in ("a", "b", "c"):
            await asyncio.gather(*await send(producer, topic, 0, _records(name, 50), now=NOW))
    for first in (0, 49, 50, 73):
        public = await _read(kafka, topic, raw=False, first=first)
        assert await _read(kafka, topic, raw=True, first=first) == public
        assert len(public[0]) == 150 - first


@pytest.mark.kafka
async def test_what_was_aborted_is_not_seen_and_the_position_moves_past_it(kafka: Cluster, topic: str) -> None:
    async with _producing(kafka, transactional_id=f"tx-{topic}") as producer:
        for name, keep in (("kept", True), ("aborted", False), ("also kept", True), ("aborted last", False)):
            await producer.begin_transaction()
            await asyncio.gather(*await send(producer, topic, 0, _records(name, 20), now=NOW))
            await (producer.commit_transaction() if keep else producer.abort_transaction())
    seen, position = await _read(kafka, topic, raw=True)
    assert [key for _, _, key, _ in seen] == [key for key, _ in _records("kept", 20) + _records("also kept", 20)]
    assert position == 84, "eighty records and four markers"
    assert (seen, position) == await _read(kafka, topic, raw=False)


@pytest.mark.kafka
async def test_a_paused_partition_keeps_its_batches_until_it_is_resumed(kafka: Cluster, topic: str) -> None:
    place = AIOKafkaPartition(topic, 0)
    async with _producing(kafka) as producer:
        await asyncio.gather(*await send(producer, topic, 0, _records("a", 10), now=NOW))
    async with _consuming(kafka, topic, raw=True) as consumer:
        if place not in consumer._fetcher._records:
            await consumer._fetcher._create_fetch_waiter()
        consumer.pause(place)
        assert await raw_batches(consumer, timeout_ms=300, records_max=5) == {}
        assert await consumer.position(place) == 0
        consumer.resume(place)
        found: list[RawBatch | FetchedRecord] = []
        async with asyncio.timeout(LONG_S):
            while not found:
                found = (await raw_batches(consumer, timeout_ms=200, records_max=5)).get(place, [])
        assert len(_seen([one for one in found if isinstance(one, RawBatch)])) == 10


@pytest.mark.kafka
async def test_as_many_batches_are_taken_at_a_time_as_hold_the_records_asked_for(kafka: Cluster, topic: str) -> None:
    place = AIOKafkaPartition(topic, 0)
    async with _producing(kafka) as producer:
        for number in range(100):
            await asyncio.gather(*await send(producer, topic, 0, _records(str(number), 3), now=NOW))
    async with _consuming(kafka, topic, raw=True) as consumer:
        turns: list[int] = []
        async with asyncio.timeout(LONG_S):
            while sum(turns) < 300:
                pieces = (await raw_batches(consumer, timeout_ms=200, records_max=45)).get(place, [])
                turns.append(sum(piece.count for piece in pieces if isinstance(piece, RawBatch)))
    assert turns[0] == 45, "1, 2, 4 and 8 batches of 3 are 45 records"
    assert max(turns) < 2 * 45 + 3


@pytest.mark.kafka
async def test_finished_batches_and_others_take_turns_in_one_sequence(kafka: Cluster, topic: str) -> None:
    expected: list[tuple[bytes, bytes]] = []
    async with _producing(kafka) as producer:
        for turn in range(4):
            for name in ("own", "finished", "single"):
                records = _records(f"{name}{turn}", 1 if name == "single" else 30)
                expected += records
                if name == "own":
                    acks = await send(producer, topic, 0, records, now=NOW)
                elif name == "finished":
                    data = bytes(_filled(records, codec=4)._build())
                    acks = [await producer.send_batch(finished(producer, data, len(records)), topic, partition=0)]
                else:
                    acks = [await producer.send(topic, key=records[0][0], value=records[0][1], partition=0)]
                await asyncio.gather(*acks)
    seen, _ = await _read(kafka, topic, raw=True)
    assert [(key, value) for _, _, key, value in seen] == expected


@pytest.mark.kafka
async def test_an_answer_that_was_lost_makes_no_second_batch(kafka: Cluster, topic: str) -> None:
    sent: list[bytes] = []
    async with _producing(kafka) as producer:
        plain_send = producer.client.send

        async def lose_the_first_answers(node: int, request: object, **options: object) -> object:
            answer = await plain_send(node, request, **options)
            if isinstance(request, ProduceRequest):
                ((_, ((_, data),)),) = request._topics
                sent.append(bytes(data))
                if len(sent) in (1, 2, 4):
                    raise RequestTimedOutError
            return answer

        producer.client.send = lose_the_first_answers
        for name in ("a", "b"):
            data = bytes(_filled(_records(name, 5))._build())
            await (await producer.send_batch(finished(producer, data, 5), topic, partition=0))
    assert sent[0] == sent[1] == sent[2] != sent[3] == sent[4]
    seen, _ = await _read(kafka, topic, raw=False)
    assert [(key, value) for _, _, key, value in seen] == _records("a", 5) + _records("b", 5)


@pytest.mark.kafka
async def test_sequence_numbers_begin_again_where_they_end(kafka: Cluster, topic: str) -> None:
    async with _producing(kafka) as producer:
        await producer.client._wait_on_metadata(topic)
        producer._txn_manager._sequence_numbers[AIOKafkaPartition(topic, 0)] = outgoing.SEQUENCES - 7
        for name in ("a", "b", "c"):
            await asyncio.gather(*await send(producer, topic, 0, _records(name, 5), now=NOW))
            data = bytes(_filled(_records(name, 5))._build())
            await (await producer.send_batch(finished(producer, data, 5), topic, partition=0))
    seen, _ = await _read(kafka, topic, raw=False)
    assert len(seen) == 30


@pytest.mark.kafka
async def test_a_finished_batch_belongs_to_its_producers_transaction(kafka: Cluster, topic: str) -> None:
    async with _producing(kafka, transactional_id=f"tx-{topic}") as producer:
        for name, keep in (("aborted", False), ("kept", True)):
            await producer.begin_transaction()
            data = bytes(_filled(_records(name, 5))._build())
            await (await producer.send_batch(finished(producer, data, 5), topic, partition=0))
            await (producer.commit_transaction() if keep else producer.abort_transaction())
    seen, _ = await _read(kafka, topic, raw=False)
    assert [(key, value) for _, _, key, value in seen] == _records("kept", 5)


@pytest.mark.kafka
async def test_a_finished_batch_that_is_too_large_goes_out_in_several(kafka: Cluster, topic: str) -> None:
    records = [(b"%d" % number, bytes(1000)) for number in range(2_500)]
    data = bytes(_filled(records, size=4 << 20)._build())
    assert len(data) > 2 * clients.BATCH_BYTES_MAX
    async with _producing(kafka) as producer:
        acks = await send_finished(producer, topic, Finished(0, data, len(records)), now=NOW)
        assert len(acks) == 3
        await asyncio.gather(*acks)
    seen, _ = await _read(kafka, topic, raw=False)
    assert [(key, value) for _, _, key, value in seen] == records
