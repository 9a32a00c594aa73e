"""Keeps the casebook in step with `cases`: read whole once, then followed; what ended long ago leaves it by itself.

Promises that a book is only handed out once it holds everything that stood in the topic at the start of its
reading. A broker that fails, or a hole in the topic, ends in a new book from the beginning; until that is
whole, the old one answers on, and says how stale it is.
"""

from typing import Final

import msgspec

from stream import logs
from stream.clock import WallClock
from stream.config import Config
from stream.enforce.api.case_index import CaseIndex, IndexedCase, indexed, is_expired
from stream.kafka import clients
from stream.kafka.closing import close_within
from stream.kafka.retry import Retry
from stream.model.topics import CASES

log = logs.get(__name__)

POLL_MS: Final = 100
POLL_RECORDS_MAX: Final = 2_000
"""A poll's share of the loop: at some 20 µs a picture, 40 ms."""


class CaseFeed:
    """The follower of `cases`. `book` is None until the first book is whole.

    `kept_ms`: how long a case that has ended is shown.
    """

    def __init__(self, config: Config, *, clock: WallClock, kept_ms: int) -> None:
        self._config = config
        self._clock = clock
        self._kept_ms = kept_ms
        self._quiet = logs.Throttle()
        self.book: CaseIndex | None = None

    async def run(self) -> None:
        """Read and follow until cancelled."""
        retry = Retry(log, "cases cannot be read; reading them anew")
        while True:
            consumer = clients.follower(self._config, client="wurao-api")
            read = self.book
            try:
                await self._follow(consumer)
            except (clients.KafkaError, OSError) as error:
                if self.book is not read:
                    retry.begin_anew()  # it had been reading: a new trouble, not the old one
                await retry.after(error)
            finally:
                await close_within(consumer)

    async def _follow(self, consumer: clients.AIOKafkaConsumer) -> None:
        places = clients.partitions(CASES, self._config.topics.partitions)
        consumer.assign(places)
        await consumer.start()
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        last: dict[bytes, bytes] = {}
        while not await _reached(consumer, ends):
            over = self._clock.now() - self._kept_ms
            for records in (await consumer.getmany(*places, timeout_ms=POLL_MS)).values():
                for record in records:
                    if _is_kept(record, over):
                        last[record.key] = record.value
                    else:
                        last.pop(record.key, None)
        book = CaseIndex(kept_ms=self._kept_ms)
        book.load(row for value in last.values() if (row := self._row(value)))
        last.clear()
        self.book = book
        log.info("cases are read", cases_count=len(book))
        while True:
            fetched = await consumer.getmany(*places, timeout_ms=POLL_MS, max_records=POLL_RECORDS_MAX)
            for records in fetched.values():
                for record in records:
                    self._take(book, record)
            book.let_leave(self._clock.now())

    def _take(self, book: CaseIndex, record: clients.ConsumerRecord) -> None:
        if record.value is None:
            book.drop((record.key or b"").decode("utf-8", "replace"))
        elif row := self._row(record.value):
            book.put(row)

    def _row(self, value: bytes) -> IndexedCase | None:
        try:
            return indexed(value)
        except (msgspec.MsgspecError, KeyError) as error:
            held_back = self._quiet.now()
            if held_back is not None:
                log.warning("a record of `cases` cannot be decoded", error=type(error).__name__, more_count=held_back)
            return None


def _is_kept(record: clients.ConsumerRecord, over: int) -> bool:
    """Whether a picture is worth keeping while the rest is read: one that cannot be read is, so that it is told of."""
    try:
        return record.value is not None and not is_expired(record.value, by=over)
    except msgspec.MsgspecError:
        return True


async def _reached(consumer: clients.AIOKafkaConsumer, ends: dict[clients.TopicPartition, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(place) < end:
            return False
    return True
