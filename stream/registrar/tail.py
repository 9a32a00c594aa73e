"""Partitions read on demand, from where they are known up to: what others wrote beside us, and what a start missed.

Reads committed records alone. Within a transaction of our own it reads what lies before its first record, since a
broker gives out committed records up to the first open transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, NamedTuple

from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaConsumer, AIOKafkaPartition, ConsumerRecord, KafkaError
from stream.kafka.closing import close_within

POLL_MS: Final = 200
POLL_RECORDS_MAX: Final = 1_000
"""Some 15 ms of work: whoever shares the loop waits no longer than that."""

STUCK_S_MAX: Final = 15.0
"""How long a piece of a partition may take: brokers end a transaction that hangs after ten seconds."""


class Stuck(KafkaError):  # type: ignore[misc]  # aiokafka is not typed
    """A partition gives out nothing: a foreign transaction is open in it."""


class Truncated(KafkaError):  # type: ignore[misc]  # aiokafka is not typed
    """A topic ends before what was known of it: records that were acknowledged are gone (an unclean election)."""

    def __init__(self, topic: str, *, known: int, end: int) -> None:
        super().__init__(f"{topic} ended at offset {end}, and {known} was known of it: acknowledged records were lost")
        self.topic = topic


async def see_whole(watermarks: AIOKafkaConsumer, known: Mapping[AIOKafkaPartition, int]) -> None:
    """Raise `Truncated` where one of these ends before what is known of it (the next offset).

    By its high watermark: what is committed may end before that, as long as the marker of our last transaction is not
    there. So `watermarks` reads uncommitted records. Raises `KafkaError`.
    """
    ends: Mapping[AIOKafkaPartition, int] = await watermarks.end_offsets(list(known))
    for place, offset in known.items():
        if ends[place] < offset:
            raise Truncated(place.topic, known=offset, end=ends[place])


class TailRecords(NamedTuple):
    """What one poll brought of one partition."""

    records: Sequence[ConsumerRecord]
    next_offset: int


class Tail:
    """A consumer outside any group. `start` it, `stop` it; for one reader at a time."""

    def __init__(self, config: Config, places: Sequence[AIOKafkaPartition], *, client: str) -> None:
        self._places = list(places)
        self._consumer = clients.follower(config, client=client)
        self._consumer.assign(self._places)

    async def start(self) -> None:
        """Be able to read. Raises `KafkaError` where no broker answers."""
        self._consumer.pause(*self._places)  # nothing is fetched before it is asked for
        await self._consumer.start()
        for place in self._places:
            self._consumer.seek(place, 0)

    async def stop(self) -> None:
        """Read no more."""
        await close_within(self._consumer)

    async def beginnings(self) -> Mapping[AIOKafkaPartition, int]:
        """The earliest offsets. Raises `KafkaError`."""
        found: Mapping[AIOKafkaPartition, int] = await self._consumer.beginning_offsets(self._places)
        return found

    async def ends(self, *places: AIOKafkaPartition) -> Mapping[AIOKafkaPartition, int]:
        """The offsets up to which these, or all, hold committed records now. Raises `KafkaError`."""
        found: Mapping[AIOKafkaPartition, int] = await self._consumer.end_offsets(list(places or self._places))
        return found

    async def read(self, place: AIOKafkaPartition, first: int, end: int) -> AsyncIterator[TailRecords]:
        """The records from `first` up to `end` (exclusive), some at a time; in the last the next offset is `end`.

        Raises `Stuck`, `OffsetOutOfRangeError` where `first` is no more there, `KafkaError`.
        """
        position = first
        if position >= end:
            return
        self._consumer.seek(place, first)
        self._consumer.resume(place)
        try:
            while position < end:
                async with asyncio.timeout(STUCK_S_MAX):
                    reached, records = await self._poll(place, position)
                position = min(reached, end)
                yield TailRecords([one for one in records if one.offset < end], position)
        except TimeoutError as error:
            raise Stuck(f"{place.topic}[{place.partition}]: nothing can be read from offset {position} on") from error
        finally:
            self._consumer.pause(place)

    async def _poll(self, place: AIOKafkaPartition, position: int) -> tuple[int, Sequence[ConsumerRecord]]:
        while True:
            fetched = await self._consumer.getmany(place, timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
            # Not from the last record: what follows it may be offsets that hold none.
            reached = await self._consumer.position(place)
            if reached > position:
                return reached, fetched.get(place, ())
