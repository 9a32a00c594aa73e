"""Hostile events without end: what broken gateways and enemies put into `events.*`, from a seed.

They come in lots: record batches of all compressions, of one event or of hundreds, to every topic of events. What must
become of each says its kind (`hostile_kinds`). The same seed makes the same lots. Never I/O, never a clock.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bloom.partition import partitions_of
from stream.model.fields import EventKind
from stream.model.topics import EVENTS_CALL, EVENTS_REPLY, EVENTS_SMS, EVENTS_URGENT
from stream.testbed.hostile_kinds import CODECS, KINDS, Codec, Draft, Fields, Kind

TOPICS: Final[Mapping[str, tuple[float, EventKind]]] = {
    EVENTS_SMS: (0.75, "sms"),
    EVENTS_CALL: (0.15, "call"),
    EVENTS_REPLY: (0.07, "reply"),
    EVENTS_URGENT: (0.03, "sms"),
}
"""The share of each topic, and the kind that its events would be of."""

_SHARES: Final = tuple(share for share, _ in TOPICS.values())

RARE: Final = tuple(kind for kind in KINDS if kind.one_in)
_RARE_SHARES: Final = tuple(1 / kind.one_in for kind in RARE)
_RARE_SHARE: Final = sum(_RARE_SHARES)
COMMON: Final = {
    of: tuple(kind for kind in KINDS if not kind.one_in and of in kind.of) for of in ("sms", "call", "reply")
}

LOT_SIZES: Final = (1, 1, 5, 20, 50, 100, 200)
LOT_CODECS: Final[tuple[Codec, ...]] = ("gzip", *("none", "snappy", "lz4", "zstd") * 2)
"""To write gzip takes as long as all the rest."""
SUBSCRIBERS: Final = range(8613600000000, 8613600024000)
"""None of the sample's: what hostile replies express is theirs."""


class HostileRecord(NamedTuple):
    """A record to be written."""

    kind: Kind
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Lot:
    """A record batch of hostile events."""

    topic: str
    partition: int
    codec: Codec
    records: Sequence[HostileRecord]

    def batch(self) -> bytearray:
        """The batch as a producer without a name sends it (Kafka's message format 2)."""
        builder = DefaultRecordBatchBuilder(2, CODECS.index(self.codec), 0, -1, -1, -1, 1 << 30)
        offset = 0
        for record in self.records:
            for _ in range(record.kind.records):
                builder.append(offset, record.timestamp, record.key, record.value, [])
                offset += 1
        return bytearray(builder.build())

    def offsets(self) -> Iterator[tuple[int, HostileRecord]]:
        """Each event with its place behind the batch's first offset; one that is a whole batch stands at its end."""
        offset = -1
        for record in self.records:
            offset += record.kind.records
            yield offset, record


class HostileTraffic:
    """A source of lots. Events that must be decided are numbered from `first`, under ids `prefix-NUMBER…`."""

    def __init__(self, *, seed: int, prefix: str, first: int, partitions: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311  # the same every time, not secret
        self._prefix = prefix.encode()
        self._first = first
        self.decided_count = 0
        """events made so far that must be decided"""
        self._subscribers = _by_partition(partitions)
        self._opening = list(KINDS)

    def lots(self, count: int, *, now: Callable[[], int]) -> Iterator[Lot]:
        """Lots of `count` events in all, at the moments (milliseconds) that `now` tells. One of each kind is among the
        first that are asked for, at even distances.

        Some 20 µs an event.
        """
        opening, self._opening = self._opening[:count], self._opening[count:]
        others = count - len(opening)
        distance = others // (len(opening) or 1)
        for kind in opening:
            yield from self._others(distance, now)
            yield self.lot_of(kind, 1, now=now())
        yield from self._others(others - distance * len(opening), now)

    def _others(self, left: int, now: Callable[[], int]) -> Iterator[Lot]:
        """So many events, of kinds as they come."""
        rng = self._rng
        while left:
            (topic,) = rng.choices(tuple(TOPICS), weights=_SHARES)
            size = min(left, rng.choice(LOT_SIZES))
            rare = [kind for _ in range(size) if rng.random() < _RARE_SHARE for kind in rng.choices(RARE, _RARE_SHARES)]
            if size > len(rare):
                yield self._lot(topic, rng.choices(COMMON[TOPICS[topic][1]], k=size - len(rare)), now=now())
            left -= size - len(rare)
            for kind in rare:
                together = min(left, kind.together)
                yield self.lot_of(kind, together, now=now())
                left -= together

    def lot_of(self, kind: Kind, count: int, *, now: int) -> Lot:
        """A lot of one kind."""
        topics = [topic for topic, (_, of) in TOPICS.items() if of in kind.of]
        return self._lot(self._rng.choice(topics), [kind] * count, now=now)

    def _lot(self, topic: str, kinds: Sequence[Kind], *, now: int) -> Lot:
        partition = self._rng.randrange(len(self._subscribers))
        codec = self._rng.choice(LOT_CODECS if kinds[0].codecs == CODECS else kinds[0].codecs)
        return Lot(topic, partition, codec, [self._record(kind, TOPICS[topic][1], partition, now) for kind in kinds])

    def _record(self, kind: Kind, of: EventKind, partition: int, moment: int) -> HostileRecord:
        subscriber = self._rng.choice(self._subscribers[partition])
        made = kind.make(Draft(self._rng, of, self._fields(kind, of, subscriber, moment)))
        key = subscriber if made.key == "subscriber" else made.key
        return HostileRecord(kind, moment if made.timestamp is None else made.timestamp, key, made.value)

    def _fields(self, kind: Kind, of: EventKind, subscriber: bytes, moment: int) -> Fields:
        if kind.fate == "decision":
            id_ = b"%b-%010d" % (self._prefix, self._first + self.decided_count)
            self.decided_count += 1
        else:
            id_ = b"spoiled-%d" % self._rng.getrandbits(40)
        port = b'"1065%07d"' % self._rng.randrange(10**7)
        ends = (b'"%b"' % subscriber, port) if of == "reply" else (port, b'"%b"' % subscriber)
        fields = {b"kind": b'"%b"' % of.encode(), b"id": b'"%b"' % id_, b"time": b"%d" % moment, b"from": ends[0]}
        fields[b"to"] = ends[1]
        return fields


def _by_partition(partitions: int) -> list[list[bytes]]:
    texts = [f"+{number}" for number in SUBSCRIBERS]
    found: list[list[bytes]] = [[] for _ in range(partitions)]
    for text, partition in zip(texts, partitions_of(texts, partitions).tolist(), strict=True):
        found[partition].append(text.encode())
    return found
