"""Batches that are finished go out through aiokafka's producer, and sequence numbers that last.

`FinishedBatch` has the methods of aiokafka's `BatchBuilder`, which is all that `send_batch` asks for. The producer
numbers it as it numbers its own (KIP-98): its id, its epoch and the batch's first sequence number are known when it is
about to be sent, and only then can the CRC, which covers them, be made: that is sealing. It happens once; a repeat
after a broker's error sends the same bytes, so that the broker can tell that it has them already.

`fill` puts records into a builder of the producer's, by the builder's compiled half alone: 0.11 µs a record, not 0.25.

`wrap_sequences` mends what aiokafka does after 2³¹ records in one partition: it goes on with negative numbers, which a
broker refuses; Kafka's own clients begin again with 0. At a million events a second, that is after some hours.
"""

import asyncio
import struct
from collections.abc import Sequence
from types import MethodType
from typing import Final, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from stream.kafka.seams import layout

SEQUENCES: Final = 1 << 31
"""How many sequence numbers there are; after the last comes 0."""

_PRODUCER: Final = struct.Struct(">qhi")
_UINT32: Final = struct.Struct(">I")
_UINT16: Final = struct.Struct(">H")
_NO_HEADERS: Final[list[tuple[str, bytes]]] = []


def seal(batch: bytearray, *, producer_id: int, epoch: int, base_sequence: int, transactional: bool) -> None:
    """Set a batch's producer fields and its CRC-32C, in place. Some 0.5 ns a byte."""
    _PRODUCER.pack_into(batch, layout.PRODUCER_AT, producer_id, epoch, base_sequence)
    if transactional:
        (attributes,) = _UINT16.unpack_from(batch, layout.ATTRIBUTES_AT)
        _UINT16.pack_into(batch, layout.ATTRIBUTES_AT, attributes | layout.TRANSACTIONAL)
    _UINT32.pack_into(batch, layout.CRC_AT, calc_crc32c(memoryview(batch)[layout.ATTRIBUTES_AT :]))


class FinishedBatch:
    """A record batch that needs nothing but its seal. It takes no more records, and is sent as it is."""

    def __init__(self, data: bytes | bytearray, count: int, *, transactional: bool) -> None:
        self._data = bytearray(data)
        self._count = count
        self._transactional = transactional
        self._sealed = False

    def append(self, **_: object) -> None:
        """It is full: None says so, and whoever asks begins another."""

    def close(self) -> None:
        """It is closed."""

    def closed(self) -> bool:
        """Whether it takes no more records."""
        return True

    def size(self) -> int:
        """Its bytes."""
        return len(self._data)

    def record_count(self) -> int:
        """Its records: so many sequence numbers it takes."""
        return self._count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        assert not self._sealed, "a batch that was sent keeps its numbers, or a repeat would be a second batch"
        seal(
            self._data,
            producer_id=producer_id,
            epoch=producer_epoch,
            base_sequence=base_sequence,
            transactional=self._transactional,
        )
        self._sealed = True

    def _build(self) -> bytearray:
        if not self._sealed:  # a producer that is not idempotent numbers nothing
            self._set_producer_state(-1, -1, -1)
        return self._data


def finished(producer: AIOKafkaProducer, data: bytes | bytearray, count: int) -> FinishedBatch:
    """A finished batch for this producer's `send_batch`."""
    manager = producer._txn_manager  # noqa: SLF001
    transactional = manager is not None and manager.transactional_id is not None
    return FinishedBatch(data, count, transactional=transactional)


def records_of(data: bytes | bytearray) -> list[tuple[bytes, bytes]]:
    """Keys and values of a finished batch: for one that is too large to go out whole. Its CRC is not looked at."""
    memory = MemoryRecords(bytes(data))
    found: list[tuple[bytes, bytes]] = []
    while memory.has_next():
        found += [(record.key, record.value) for record in memory.next_batch()]
    return found


def batch_of(records: Sequence[tuple[bytes, bytes]], *, timestamp: int) -> bytes:
    """One record batch of these records, uncompressed and of no producer."""
    builder = BatchBuilder(sum(len(key) + len(value) for key, value in records) + 64 * len(records), 0)
    fill(builder, records, start=0, timestamp=timestamp)
    return bytes(builder._build())  # noqa: SLF001


class _Half(Protocol):
    """The compiled half of a `BatchBuilder`."""

    def append(
        self, offset: int, timestamp: int, key: bytes, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> object | None: ...


def fill(builder: BatchBuilder, records: Sequence[tuple[bytes, bytes | None]], *, start: int, timestamp: int) -> int:
    """Put records from `start` on into a new builder, all stamped alike (milliseconds). Returns where it was full."""
    half: _Half = builder._builder  # noqa: SLF001
    append = half.append
    end = len(records)
    for place in range(start, end):
        key, value = records[place]
        if append(place - start, timestamp, key, value, _NO_HEADERS) is None:
            end = place
            break
    builder._relative_offset = end - start  # noqa: SLF001
    builder.close()
    return end


class _Manager(Protocol):
    """Who numbers a producer's records."""

    _sequence_numbers: dict[AIOKafkaPartition, int]


def _increment(manager: _Manager, place: AIOKafkaPartition, increment: int) -> None:
    numbers = manager._sequence_numbers  # noqa: SLF001
    numbers[place] = (numbers[place] + increment) % SEQUENCES


def wrap_sequences(producer: AIOKafkaProducer) -> None:
    """Let an idempotent producer begin again with sequence number 0 where they end, as Kafka's own clients do."""
    manager = producer._txn_manager  # noqa: SLF001
    if manager is not None:
        manager.increment_sequence_number = MethodType(_increment, manager)


def why_ended(producer: AIOKafkaProducer) -> BaseException | None:
    """What ended a producer for good, or None: what it raises then is a copy that has lost its cause."""
    task = producer._sender.sender_task  # noqa: SLF001
    if task is None or not task.done() or task.cancelled():
        return None
    error: BaseException | None = task.exception()
    return error


def what_failed(producer: AIOKafkaProducer) -> BaseException | None:
    """What ended the transaction that was begun, or its producer; None where nothing did."""
    waiter: asyncio.Future[None] | None = producer._txn_manager._transaction_waiter  # noqa: SLF001
    if waiter is not None and waiter.done() and not waiter.cancelled() and waiter.exception() is not None:
        return waiter.exception()
    return why_ended(producer)


def misfit() -> str | None:
    """Why finished batches cannot go out through this aiokafka, or None: it must ask for nothing we do not have."""
    asked = {name for name in vars(BatchBuilder) if not name.startswith("__")}
    known = {name for name in vars(FinishedBatch) if not name.startswith("__")} | {"_serialize"}
    if unknown := asked - known:
        return f"aiokafka's BatchBuilder has {', '.join(sorted(unknown))}, which we do not know"
    if not hasattr(MessageAccumulator, "add_batch") or not hasattr(TransactionManager, "increment_sequence_number"):
        return "aiokafka's producer is built otherwise"
    return None
