"""A load as record batches that are ready to be sent, whole: what an open loop puts out at each of its ticks. Pure.

What a generator does for each event while it sends, it takes from the worker that it measures, where they share a
machine. So a load is cut into lots beforehand, one for each tick, and each lot's batches are made by a few calls of
numpy: a pool's events stand encoded one behind the other, those of a partition together, so the events of a lot that go
to one partition are one stretch of bytes, into which numbers and times are set.

A record's timestamp is the moment at which its event was due, to the millisecond: what the filter counts from it
(`wurao_decision_latency_seconds`) leaves nothing out, also where the generator was late itself. Offset and time within
a batch are varints of three bytes, where fewer would do: so they stand at the same place in every record, and every
reader takes them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from aiokafka.record.util import calc_crc32c, encode_varint
from numpy.typing import NDArray

from loadtest.pool import DIGITS, Pool, Shot
from loadtest.schedule import NS_PER_S, Schedule
from stream.kafka.seams import layout

NS_PER_MS: Final = 1_000_000
DELTA_BYTES: Final = 3
DELTAS: Final = 1 << 16
"""More than a lot has records, or milliseconds."""

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_TIMES: Final = struct.Struct(">qq")
_UINT32: Final = struct.Struct(">I")
_FIRST_TIMESTAMP_AT: Final = 27
_MAGIC: Final = 2
_POWERS: Final = 10 ** np.arange(DIGITS - 1, -1, -1, dtype=np.int64)

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """A record batch that lacks the moment of the load's beginning, and the checksum that covers it."""

    topic: str
    partition: int
    data: bytearray
    base_ms: int
    last_ms: int

    def stamped(self, begin_ms: int) -> bytearray:
        """The batch of a load that began at that moment (milliseconds since the epoch): what is sent. In place."""
        _TIMES.pack_into(self.data, _FIRST_TIMESTAMP_AT, begin_ms + self.base_ms, begin_ms + self.last_ms)
        _UINT32.pack_into(self.data, layout.CRC_AT, calc_crc32c(memoryview(self.data)[layout.ATTRIBUTES_AT :]))
        return self.data


class Lot(NamedTuple):
    """The events that fall due in one tick."""

    at_ns: int
    """from the start of the load: the moment to send it, when the last of them is due"""
    first: int
    stop: int
    batches: list[Batch]
    bytes_count: int


def lots(events: Pool, schedule: Schedule, *, tick_ns: int, phase_ns: int = 0) -> Iterator[Lot]:
    """All lots of a load, which begins `phase_ns` behind a whole millisecond of the wall clock."""
    encoded = _Encoded(events)
    first, at_ns = 0, 0
    while first < schedule.count:
        stop = schedule.due(at_ns / NS_PER_S)
        while first < stop:
            some = min(stop, first + encoded.lot_max)
            batches, size = encoded.batches(first, some, schedule, phase_ns)
            yield Lot(at_ns, first, some, batches, size)
            first = some
        at_ns += tick_ns


class _Encoded:
    """A pool's events as records of Kafka's format 2, those of a partition together."""

    def __init__(self, events: Pool) -> None:
        shots = events.shots
        self.places = sorted({(shot.topic, shot.partition) for shot in shots})
        ordinal = {place: number for number, place in enumerate(self.places)}
        of_shot = np.array([ordinal[shot.topic, shot.partition] for shot in shots])
        order = np.argsort(of_shot, kind="stable")
        records = [_record(shots[number]) for number in order.tolist()]
        self.lot_max = min(len(shots), DELTAS // 2)
        self._rank = np.empty(len(shots), dtype=np.int64)
        self._rank[order] = np.arange(len(shots))
        """the place of each shot among the records"""
        self._of_rank = of_shot[order]
        self._data = np.frombuffer(b"".join(record for record, _, _ in records), dtype=np.uint8)
        self._starts = np.concatenate(([0], np.cumsum([len(record) for record, _, _ in records])))
        self._deltas_at = np.array([at for _, at, _ in records])
        self._digits_at = np.array([at for _, _, at in records])

    def batches(self, first: int, stop: int, schedule: Schedule, phase_ns: int) -> tuple[list[Batch], int]:
        """The record batches of events `first` to `stop`, and how many bytes they are."""
        numbers = np.arange(first, stop)
        ranks = self._rank[numbers % len(self._rank)]
        order = np.argsort(
            ranks
        )  # by partition, and there in stretches; all different, since a lot is no longer than a pool
        numbers, ranks = numbers[order], ranks[order]
        at_ms = (schedule.at_ns(numbers) + phase_ns) // NS_PER_MS
        of_place = self._of_rank[ranks]
        heads = np.flatnonzero(np.diff(of_place, prepend=-1))
        """the first event of each batch"""
        which = np.cumsum(np.bincount(heads, minlength=len(ranks))) - 1
        """the batch of each event"""
        lengths = self._starts[ranks + 1] - self._starts[ranks]
        places = np.cumsum(lengths) - lengths + (which + 1) * layout.HEADER_BYTES
        """where each record begins"""
        buffer = self._joined(ranks, heads)
        base_ms = np.minimum.reduceat(at_ms, heads)
        last_ms = np.maximum.reduceat(at_ms, heads)
        deltas = np.hstack((_VARINTS[at_ms - base_ms[which]], _VARINTS[np.arange(len(ranks)) - heads[which]]))
        _put(buffer, places + self._deltas_at[ranks], deltas)
        _put(buffer, places + self._digits_at[ranks], (numbers[:, None] // _POWERS % 10 + ord("0")).astype(np.uint8))
        begins = (places[heads] - layout.HEADER_BYTES).tolist()
        ends = [*begins[1:], len(buffer)]
        counts = np.diff(heads, append=len(ranks)).tolist()
        data = buffer.tobytes()
        found = []
        for number, head in enumerate(heads.tolist()):
            raw = bytearray(data[begins[number] : ends[number]])
            count = counts[number]
            # Of no producer (-1), so that a repeat would be a second batch: none is repeated.
            _HEADER.pack_into(
                raw, 0, 0, len(raw) - layout.LOG_OVERHEAD, -1, _MAGIC, 0, 0, count - 1, 0, 0, -1, -1, -1, count
            )
            topic, partition = self.places[of_place[head]]
            found.append(Batch(topic, partition, raw, int(base_ms[number]), int(last_ms[number])))
        return found, len(data)

    def _joined(self, ranks: Integers, heads: Integers) -> Bytes:
        """The records of these ranks, with room for a header before each batch."""
        breaks = np.flatnonzero(np.diff(ranks, prepend=-2) != 1)
        cuts = np.union1d(breaks, heads)
        stretches = zip(self._starts[ranks[cuts]].tolist(), self._ends(ranks, cuts), strict=True)
        new = np.isin(cuts, heads).tolist()
        room = np.zeros(layout.HEADER_BYTES, dtype=np.uint8)
        pieces = []
        for is_new, (begin, end) in zip(new, stretches, strict=True):
            pieces += [room, self._data[begin:end]] if is_new else [self._data[begin:end]]
        return np.concatenate(pieces)

    def _ends(self, ranks: Integers, cuts: Integers) -> list[int]:
        last = np.append(cuts[1:], len(ranks)) - 1
        ends: list[int] = self._starts[ranks[last] + 1].tolist()
        return ends


def _varints() -> Bytes:
    values = 2 * np.arange(DELTAS, dtype=np.int64)  # zigzag
    return np.stack((values & 0x7F | 0x80, values >> 7 & 0x7F | 0x80, values >> 14), axis=1).astype(np.uint8)


_VARINTS: Final = _varints()


def _put(buffer: Bytes, places: Integers, rows: Bytes) -> None:
    buffer[places[:, None] + np.arange(rows.shape[1])] = rows


def _record(shot: Shot) -> tuple[bytes, int, int]:
    """A shot as a record, and where in it deltas and digits stand."""
    body = bytearray(1 + 2 * DELTA_BYTES)  # attributes, and room
    encode_varint(len(shot.key), body.append)
    body += shot.key
    value = shot.value(0)
    encode_varint(len(value), body.append)
    digits_at = len(body) + len(shot.head)
    body += value
    encode_varint(0, body.append)  # no headers
    length = bytearray()
    encode_varint(len(body), length.append)
    return bytes(length + body), len(length) + 1, len(length) + digits_at
