"""Bombs: whatever a batch would become, no reader takes more than its bound, and each goes on behind it."""

import tracemalloc

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from stream.config import Config
from stream.kafka import clients
from stream.kafka.seams.bounded import BoundedRecords, holds, records_in
from stream.model.codec import UNREADABLE, Undecodable, decode_record, event_decoder
from stream.model.limits import BATCH, BATCH_RECORDS
from stream.model.topics import EVENTS_SMS, SENDERS

CODECS = {
    "gzip": DefaultRecordBatch.CODEC_GZIP,
    "snappy": DefaultRecordBatch.CODEC_SNAPPY,
    "lz4": DefaultRecordBatch.CODEC_LZ4,
    "zstd": DefaultRecordBatch.CODEC_ZSTD,
}


def batch(codec: str, value: bytes, *, records: int = 1) -> bytes:
    """A record batch as a producer makes it, at offset 0."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, 0, 1 << 30)
    for offset in range(records):
        assert builder.append(offset, 1_790_000_000_000, b"key", value, []) is not None
    return bytes(builder.build())


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_within_the_bound_is_read_as_it_is(codec: str) -> None:
    found = records_in(batch(codec, b"value" * 1_000, records=3))
    assert [(one.offset, one.key, one.value) for one in found] == [(n, b"key", b"value" * 1_000) for n in range(3)]


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_are_found_in_batches_without_their_records_and_perhaps_in_a_bomb(codec: str) -> None:
    batches = batch(codec, b"other" * 1_000) + batch(codec, b"value")
    assert holds(memoryview(batches), b"value")
    assert not holds(memoryview(batches), b"valued")
    assert holds(memoryview(batch(codec, bytes(BATCH.most // 4), records=8)), b"value"), (
        "whoever asks on gets one record"
    )


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_comes_as_one_record_that_says_what_it_was_and_the_next_batch_follows(codec: str) -> None:
    bomb = batch(codec, bytes(BATCH.most // 4), records=8)
    tracemalloc.start()
    bad, good = records_in(bomb + batch(codec, b"good"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * BATCH.most + (4 << 20), "zlib grows its answer by copying it"
    assert (bad.offset, bad.key, bad.timestamp) == (7, None, 1_790_000_000_000)
    assert bad.value is not None
    assert bad.value.startswith(UNREADABLE + b"8 records at offsets 0 to 7")
    assert good.value == b"good"


@pytest.mark.parametrize("compression", [0, *CODECS.values()])
def test_a_batch_of_more_records_than_memory_is_meant_for_is_read_by_nobody(compression: int) -> None:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, 0, 1 << 30)
    for offset in range(BATCH_RECORDS.most + 1):
        builder.append(offset, 1, None, None, [])
    (bad,) = records_in(bytes(builder.build()))
    assert bad.offset == BATCH_RECORDS.most
    assert bad.value is not None
    assert bad.value.startswith(UNREADABLE)


async def test_every_consumer_of_a_process_reads_so() -> None:
    consumer = clients.follower(Config(), client="test")
    assert fetcher.MemoryRecords is BoundedRecords
    await consumer.stop()


def test_what_stands_for_a_bomb_is_undecodable_and_says_why() -> None:
    (bad,) = records_in(batch("zstd", bytes(BATCH.most)))
    with pytest.raises(Undecodable, match="unreadable batch: 1 records at offsets 0 to 0"):
        event_decoder(EVENTS_SMS)(bad.value)
    with pytest.raises(Undecodable, match="unreadable batch"):
        decode_record(SENDERS, bad.key, bad.value)
