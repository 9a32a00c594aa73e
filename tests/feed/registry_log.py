"""A registry's topics that a test holds in its hands, and consumers that read them as aiokafka's do."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from aiokafka import TopicPartition as AIOKafkaPartition
from aiokafka.errors import OffsetOutOfRangeError

from bloom.partition import partition_of
from stream.model.codec import encode
from stream.model.registry import Expression, Sender, key_of
from stream.model.topics import EXPRESSIONS, SENDERS

PARTITIONS = 4
"""of the topic of expressions"""


def place_of(record: Expression | Sender) -> AIOKafkaPartition:
    """Where a record belongs."""
    if isinstance(record, Expression):
        return AIOKafkaPartition(EXPRESSIONS, partition_of(record.subscriber, PARTITIONS))
    return AIOKafkaPartition(SENDERS, 0)


@dataclass
class Record:
    """As a consumer hands it out."""

    offset: int
    key: bytes
    value: bytes
    timestamp: int = 0


@dataclass
class Log:
    """What a broker holds: records of each partition, and how many of them are in transactions that are open."""

    records: defaultdict[AIOKafkaPartition, list[tuple[bytes, bytes]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    open: defaultdict[AIOKafkaPartition, int] = field(default_factory=lambda: defaultdict(int))

    def write(self, record: Expression | Sender, *, hangs: bool = False) -> None:
        """Write a record, behind or in an open transaction where one hangs."""
        place = place_of(record)
        self.records[place].append((key_of(record).encode(), encode(record)))
        self.open[place] += hangs


class LogConsumer:
    """Reads a `Log`, committed records alone or all of them."""

    def __init__(self, log: Log, *, committed: bool) -> None:
        self._log = log
        self._committed = committed
        self._at: dict[AIOKafkaPartition, int] = {}
        self.lost_before = 0

    def assign(self, places: Collection[AIOKafkaPartition]) -> None:
        self._at = {place: self._at.get(place, 0) for place in places}

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def seek(self, place: AIOKafkaPartition, offset: int) -> None:
        self._at[place] = offset

    async def position(self, place: AIOKafkaPartition) -> int:
        return self._at[place]

    def last_stable_offset(self, place: AIOKafkaPartition) -> int:
        return self._end(place)

    async def beginning_offsets(self, places: Collection[AIOKafkaPartition]) -> Mapping[AIOKafkaPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: Collection[AIOKafkaPartition]) -> Mapping[AIOKafkaPartition, int]:
        return {place: self._end(place) for place in places}

    async def getmany(
        self, *_: AIOKafkaPartition, timeout_ms: int, max_records: int
    ) -> Mapping[AIOKafkaPartition, list[Record]]:
        found: dict[AIOKafkaPartition, list[Record]] = {}
        for place, at in self._at.items():
            if at < self.lost_before:
                raise OffsetOutOfRangeError({place: at})
            end = min(self._end(place), at + max_records)
            if at < end:
                found[place] = [Record(one, *self._log.records[place][one]) for one in range(at, end)]
                self._at[place] = end
        await asyncio.sleep(0 if found else timeout_ms / 1000)
        return found

    def _end(self, place: AIOKafkaPartition) -> int:
        return len(self._log.records[place]) - (self._log.open[place] if self._committed else 0)
