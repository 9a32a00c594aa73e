"""Record batches as the broker sent them, and records as aiokafka's own reader makes them.

`take_raw` lets one consumer hand out whole record batches. Everything that a consumer owes stays with aiokafka's
code, which runs unchanged: it checks the CRC, leaves out control batches and aborted transactions (read committed),
moves the position past what compaction removed, drops what was fetched before a rebalance, and raises what a broker
answered. It only finds, where it expects the records of a batch, one thing: the batch itself, which stands at its
last offset. So a position always lies behind a whole batch.

How: `Fetcher` makes a `MemoryRecords` and a `PartitionRecords` of each partition's answer. This consumer's fetcher is
given its method with two other classes under these names; other consumers of the process know nothing of it.

`spare_consumer_records` is the lesser seam, for who wants records: aiokafka builds a `ConsumerRecord` of each in
Python, which costs more than to decide it. A batch looks at offset, timestamp, key and value only, and those the
reader's records have.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Final, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from stream.kafka.seams import layout
from stream.kafka.seams.bounded import FetchedRecord, holds, records_in

if TYPE_CHECKING or find_spec("wurao_native") is not None:
    from wurao_native import crc_holds as native_crc_holds
else:
    native_crc_holds = None

crc_holds: Callable[[bytes], bool] | None = native_crc_holds
"""The native module's checksum, where it is built: 0.04 ns a byte, where aiokafka's own takes 0.5."""

READABLE: Final = (DefaultRecordBatch.CODEC_NONE, DefaultRecordBatch.CODEC_LZ4, DefaultRecordBatch.CODEC_ZSTD)
"""How a batch may be compressed for a native reader; gzip and snappy are read by aiokafka."""

STEP_MAX: Final = 64
"""Batches that are asked for at once, at most."""

_METHOD: Final = "_proc_fetch_request"
_NAMED: Final = {"MemoryRecords", "PartitionRecords", "_fetch_max_wait_ms", "_fetch_min_bytes"}
_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")
_INT64: Final = struct.Struct(">q")


class _RecordBatch(Protocol):
    """As much of aiokafka's record batch as we call."""

    base_offset: int
    next_offset: int
    producer_id: int
    is_control_batch: bool
    is_transactional: bool
    compression_type: int

    def validate_crc(self) -> bool: ...


class _Fetched(Protocol):
    """What aiokafka has fetched of one partition, as far as we reach."""

    _partition_records: object


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A record batch, or several that stand back to back: `buffer[start:stop]`, checked, not decompressed.

    None is a control batch or of an aborted transaction. Keeps the whole answer of a fetch alive.
    """

    buffer: bytes
    start: int
    stop: int
    first: int
    """the first offset that is wanted: a fetch may begin within a batch"""
    next_offset: int
    """the consumer's position behind it"""
    count: int
    """records in it, those before `first` among them"""
    readable: bool
    """whether all of it is compressed in a way that a native reader knows"""

    @property
    def data(self) -> memoryview:
        """The bytes."""
        return memoryview(self.buffer)[self.start : self.stop]

    @property
    def newest(self) -> int:
        """The timestamp (milliseconds) that its head says none of its records is newer than."""
        found: int = _INT64.unpack_from(self.buffer, self.start + layout.MAX_TIMESTAMP_AT)[0]
        return found

    def holds(self, needle: bytes) -> bool:
        """Whether these bytes stand in it, decompressed; no record is made for that."""
        return holds(self.data, needle)

    @property
    def is_transactional(self) -> bool:
        """Whether a transaction wrote it: the first, of several."""
        attributes: int = _INT16.unpack_from(self.buffer, self.start + layout.ATTRIBUTES_AT)[0]
        return bool(attributes & layout.TRANSACTIONAL)

    def records(self) -> list[FetchedRecord]:
        """Its records from `first` on, by aiokafka's reader. Raises `CorruptRecordException` as that does."""
        return [record for record in records_in(bytes(self.data)) if record.offset >= self.first]


def joined(batches: list[RawBatch]) -> list[RawBatch]:
    """The same bytes in as few pieces as can be: neighbours become one, so that what is small need not stay so."""
    pieces: list[RawBatch] = []
    for batch in batches:
        last = pieces[-1] if pieces else None
        if last and last.buffer is batch.buffer and last.stop == batch.start and last.readable == batch.readable:
            pieces[-1] = RawBatch(
                last.buffer,
                last.start,
                batch.stop,
                last.first,
                batch.next_offset,
                last.count + batch.count,
                last.readable,
            )
        else:
            pieces.append(batch)
    return pieces


class _Whole:
    """A batch in the place of its own records: aiokafka finds one, which stands at the last offset."""

    def __init__(self, batch: _RecordBatch, buffer: bytes, start: int, stop: int) -> None:
        self.base_offset = batch.base_offset
        self.next_offset = batch.next_offset
        self.producer_id = batch.producer_id
        self.is_control_batch = False
        self.is_transactional = batch.is_transactional
        self._batch = batch
        self.offset = batch.next_offset - 1
        self.readable = batch.compression_type in READABLE
        self.buffer, self.start, self.stop = buffer, start, stop
        self.count: int = _INT32.unpack_from(buffer, start + layout.COUNT_AT)[0]

    def validate_crc(self) -> bool:
        """Whether the checksum is right: asked before it is iterated."""
        if crc_holds is None:
            return self._batch.validate_crc()
        return crc_holds(self.buffer[self.start : self.stop])

    def __iter__(self) -> "Iterator[_Whole]":
        if self.count:  # compaction may have left none; the position moves past it all the same
            yield self


class _KeptRecords:
    """In the place of `MemoryRecords`: gives batches whole, and control batches and old formats as that does."""

    def __init__(self, buffer: bytes) -> None:
        self._memory = MemoryRecords(buffer)
        self._buffer = buffer
        self._at = 0
        self.has_next = self._memory.has_next
        self.size_in_bytes = self._memory.size_in_bytes

    def next_batch(self) -> object:
        batch = self._memory.next_batch()
        start = self._at
        length: int = _INT32.unpack_from(self._buffer, start + layout.LENGTH_AT)[0]
        self._at = start + layout.LOG_OVERHEAD + length
        if type(batch) is not DefaultRecordBatch or batch.is_control_batch:
            return batch
        return _Whole(batch, self._buffer, start, self._at)


class _RawPartition(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka is not typed
    """In the place of `PartitionRecords`: hands out whole batches, and records of old formats as they are."""

    def _consumer_record(self, _: object, record: object) -> object:
        if not isinstance(record, _Whole):
            return record
        return RawBatch(
            record.buffer,
            record.start,
            record.stop,
            max(record.base_offset, self.next_fetch_offset),
            record.next_offset,
            record.count,
            record.readable,
        )


def take_raw(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer that has started hand out `RawBatch`es; take them by `raw_batches`.

    What was on its way already comes as records; so does what stands in a format older than 2. Ask `misfit` first.
    """
    its = consumer._fetcher  # noqa: SLF001
    method = getattr(fetcher.Fetcher, _METHOD)
    names = {**vars(fetcher), "MemoryRecords": _KeptRecords, "PartitionRecords": _RawPartition}
    setattr(its, _METHOD, MethodType(FunctionType(method.__code__, names, _METHOD), its))


async def raw_batches(
    consumer: AIOKafkaConsumer, *, timeout_ms: int, records_max: float
) -> dict[AIOKafkaPartition, list[RawBatch | FetchedRecord]]:
    """What a consumer of `take_raw` has fetched, until some `records_max` are together; waits up to `timeout_ms`.

    aiokafka counts what it hands out, which are batches, of one record or of thousands. So it is asked for ever more
    of them, but for no more than were taken already, until there are enough: the bound is passed by one step at most.
    No step follows once a rebalance has begun: it would wait for its end, with records in hand that others get then.
    """
    taken: dict[AIOKafkaPartition, list[RawBatch | FetchedRecord]] = {}
    records, step = 0, 1
    while records < records_max:
        try:
            fetched = await consumer.getmany(timeout_ms=0 if taken else timeout_ms, max_records=step)
        except OffsetOutOfRangeError:
            if not taken:
                raise
            break  # what is in hand must not be lost; the next fetch of that partition raises it again
        for place, pieces in fetched.items():
            taken.setdefault(place, []).extend(pieces)
            records += sum(piece.count if isinstance(piece, RawBatch) else 1 for piece in pieces)
        if not fetched or consumer._subscription.reassignment_in_progress:  # noqa: SLF001
            break
        step = min(2 * step, STEP_MAX)
    return taken


def gather(consumer: AIOKafkaConsumer, *, wait_ms: int, bytes_min: int) -> None:
    """Let the broker hold a consumer's fetches, from the next one on, until it has `bytes_min`, `wait_ms` at most.

    aiokafka takes both when the consumer is made; what suits a consumer depends on what comes.
    """
    its = consumer._fetcher  # noqa: SLF001
    its._fetch_max_wait_ms, its._fetch_min_bytes = wait_ms, bytes_min  # noqa: SLF001


def misfit() -> str | None:
    """Why `take_raw` cannot work with this aiokafka, or None: the names are looked for, and a batch is passed."""
    try:
        if not isinstance(SubscriptionState.reassignment_in_progress, property):
            return "aiokafka's SubscriptionState does not tell of a rebalance"
        code = getattr(fetcher.Fetcher, _METHOD).__code__
        named = {*code.co_names, *fetcher.Fetcher._get_actions_per_node.__code__.co_names}  # noqa: SLF001
        if missing := _NAMED - named:
            return f"aiokafka's fetcher does not name {', '.join(sorted(missing))}"
        if code.co_freevars:
            return f"aiokafka's {_METHOD} is a closure"
        builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 10)
        builder.append(0, 1, b"key", b"value", [])
        raw = bytes(builder.build())
        place = AIOKafkaPartition("", 0)
        passed = _RawPartition(place, _KeptRecords(raw), None, 0, None, None, True, fetcher.READ_COMMITTED)
        if list(passed) != [RawBatch(raw, 0, len(raw), 0, 1, 1, True)] or passed.next_fetch_offset != 1:
            return "aiokafka does not hand out a batch as we gave it"
    except (AttributeError, TypeError) as error:
        return f"aiokafka is built otherwise: {error}"
    return None


def spare_consumer_records(consumer: AIOKafkaConsumer) -> bool:
    """Do so for all that the consumer has fetched and not yet handed out. False where aiokafka is another than we know.

    Cheap: a look at each partition that has something. Call it before `getmany`.
    """
    try:
        fetched: dict[object, _Fetched] = consumer._fetcher._records  # noqa: SLF001
        for result in fetched.values():
            # An error stands there as well, without records; it is for `getmany` to raise.
            records = getattr(result, "_partition_records", None)
            if records is not None and "_consumer_record" not in vars(records):
                records._consumer_record = _as_it_is  # noqa: SLF001
    except (AttributeError, TypeError):
        return False
    return True


def _as_it_is(_: object, record: object) -> object:
    return record
