"""How much a record batch may hold once it is decompressed: aiokafka's readers set no bound.

8 kB of zstd become 256 MiB, and a topic takes whatever passed its broker compressed. So the decoders that aiokafka's
record reader calls are replaced, for all consumers of the process, by ones that end at `BATCH.most`, and a batch that
goes beyond it comes as one record in place of all of its own, at the batch's last offset, under no key. Its value says
in words what was there (`UNREADABLE`, size, digest): every reader finds it undecodable, names it in dead letters and
logs as it does any other bad record, and goes on behind the batch.
"""

import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

import cramjam
import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.record import default_records, legacy_records
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords

from stream.kafka.seams import layout
from stream.model.codec import UNREADABLE
from stream.model.limits import BATCH, BATCH_RECORDS

_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEAD_BYTES: Final = 16
_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")
_INT64: Final = struct.Struct(">q")

Buffer = bytes | bytearray | memoryview


class FetchedRecord(Protocol):
    """A record, whichever class it is of."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class TooLarge(Exception):
    """A batch holds more than `BATCH` allows, or its compressed bytes are none of its codec."""


def _filled_by(decompress_into: Callable[[Buffer, memoryview], int]) -> Callable[[Buffer], memoryview]:
    """A decoder into room of the bound's size: pages that nothing is written to cost nothing.

    What it gives is no copy: its caller makes one.
    """

    def decode(payload: Buffer) -> memoryview:
        room = np.empty(BATCH.most, dtype=np.uint8)
        try:
            count = decompress_into(payload, room.data)
        except cramjam.DecompressionError as error:
            raise TooLarge(str(error)) from error
        return room.data[:count]

    return decode


def _snappy(payload: Buffer) -> bytes:
    """Blocks in Xerial's frame, or one without; each names its size first, which is added up before any is read."""
    data = memoryview(payload)
    blocks = [data]
    if bytes(data[: len(_XERIAL)]) == _XERIAL:
        blocks, at = [], _XERIAL_HEAD_BYTES
        while at < len(data):
            (size,) = _INT32.unpack_from(data, at)
            blocks.append(data[at + _INT32.size : at + _INT32.size + size])
            at += _INT32.size + max(size, 0)
    try:
        if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > BATCH.most:
            raise TooLarge("snappy")
        return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)
    except cramjam.DecompressionError as error:
        raise TooLarge(str(error)) from error


_DECODERS: Final = {
    "gzip_decode": _filled_by(cramjam.gzip.decompress_into),  # a tenth of what Python's zlib takes
    "snappy_decode": _snappy,
    "lz4_decode": _filled_by(cramjam.lz4.decompress_into),
    "zstd_decode": _filled_by(cramjam.zstd.decompress_into),
}


_BY_CODEC: Final = dict(enumerate(_DECODERS.values(), start=1))
"""gzip, snappy, lz4, zstd: their numbers in a batch's attributes (KIP-98, KIP-110)"""
_CODEC_MASK: Final = 0x07


@dataclass(slots=True)
class UnreadableBatch:
    """The one record that stands for a batch which is not read, with what aiokafka asks of a record."""

    offset: int
    timestamp: int
    value: bytes | None
    key: bytes | None = None
    timestamp_type: int = 0
    checksum: None = None
    headers: tuple[()] = ()


class _BoundedBatch:
    """A record batch as aiokafka has it, but for one that goes beyond the bound."""

    def __init__(self, batch: DefaultRecordBatch, data: memoryview) -> None:
        self._batch = batch
        self._data = data
        self.base_offset = batch.base_offset
        self.next_offset = batch.next_offset
        self.producer_id = batch.producer_id
        self.is_control_batch = False
        self.is_transactional = batch.is_transactional
        self.validate_crc = batch.validate_crc

    def __iter__(self) -> Iterator[FetchedRecord]:
        if _count(self._data) <= BATCH_RECORDS.most:
            with suppress(TooLarge):
                yield from self._batch
                return
        (timestamp,) = _INT64.unpack_from(self._data, layout.MAX_TIMESTAMP_AT)
        yield UnreadableBatch(self.next_offset - 1, timestamp, self._described())

    def _described(self) -> bytes:
        described = (
            f"{_count(self._data)} records at offsets {self.base_offset} to {self.next_offset - 1}, {len(self._data)}"
            f" bytes as they came (sha256 {sha256(self._data).hexdigest()}), are more than {BATCH_RECORDS.most} records"
            f" or {BATCH.most} bytes once decompressed, or cannot be"
        )
        return UNREADABLE + described.encode()


class BoundedRecords:
    """In the place of `MemoryRecords`."""

    def __init__(self, buffer: bytes) -> None:
        self._memory = MemoryRecords(buffer)
        self._buffer = memoryview(buffer)
        self._at = 0
        self.has_next = self._memory.has_next
        self.size_in_bytes = self._memory.size_in_bytes

    def next_batch(self) -> Iterable[FetchedRecord]:
        """The next batch, of one of aiokafka's classes or ours. Its records are decompressed as it is iterated."""
        batch = self._memory.next_batch()
        (length,) = _INT32.unpack_from(self._buffer, self._at + layout.LENGTH_AT)
        start, self._at = self._at, self._at + layout.LOG_OVERHEAD + length
        if type(batch) is not DefaultRecordBatch or batch.is_control_batch or self._is_plain(batch, start):
            plain: Iterable[FetchedRecord] = batch
            return plain
        return _BoundedBatch(batch, self._buffer[start : self._at])

    def _is_plain(self, batch: DefaultRecordBatch, start: int) -> bool:
        return not batch.compression_type and _count(self._buffer[start:]) <= BATCH_RECORDS.most


def records_in(data: bytes) -> list[FetchedRecord]:
    """All records of some record batches. Raises `CorruptRecordException` as aiokafka's reader does."""
    records = BoundedRecords(data)
    found: list[FetchedRecord] = []
    while records.has_next():
        found += records.next_batch()
    return found


def holds(data: memoryview, needle: bytes) -> bool:
    """Whether these bytes stand in the records of some record batches, which are not made of them: 1 ns a byte at most.

    True for a batch beyond the bound as well: whoever asks for its records gets the one that stands for it.
    """
    at = 0
    while at < len(data):
        (length,) = _INT32.unpack_from(data, at + layout.LENGTH_AT)
        end = at + layout.LOG_OVERHEAD + length
        (attributes,) = _INT16.unpack_from(data, at + layout.ATTRIBUTES_AT)
        records = data[at + layout.HEADER_BYTES : end]
        decoder = _BY_CODEC.get(attributes & _CODEC_MASK)
        try:
            if bytes(decoder(records) if decoder else records).find(needle) >= 0:
                return True
        except TooLarge:
            return True
        at = end
    return False


def _count(batch: memoryview) -> int:
    """The records of a batch, by its head."""
    count: int = _INT32.unpack_from(batch, layout.COUNT_AT)[0]
    return count


def install() -> None:
    """Let every consumer of this process read within the bound. Once is enough; again does no harm."""
    for module in (default_records, legacy_records, *_compiled()):
        for name, decode in _DECODERS.items():
            if hasattr(module, name):
                setattr(module, name, decode)
    fetcher.MemoryRecords = BoundedRecords


def _compiled() -> list[object]:
    """Aiokafka's compiled readers, where it was built with them: they have the decoders under the same names."""
    return [
        module
        for name in ("default_records", "legacy_records")
        if (module := sys.modules.get(f"aiokafka.record._crecords.{name}")) is not None
    ]
