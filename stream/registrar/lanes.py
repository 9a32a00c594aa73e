"""What waits for a partition's registrar: requests in two lanes, of which bulk waits for the single ones.

A process has one loop for all its partitions, so bulk of any of them waits while a single request of any other is under
way, and no longer than `BULK_WAITS_S_MAX`: it goes on slowly under whatever load of single ones.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

from stream.kafka.clients import ConsumerRecord
from stream.model.topics import BULK, REQUESTS

Lane = Literal["requests", "bulk"]

LANE_OF: Final[dict[str, Lane]] = {REQUESTS: "requests", BULK: "bulk"}
TOPIC_OF_LANE: Final[dict[Lane, str]] = {lane: topic for topic, lane in LANE_OF.items()}

WAITING_BYTES_MAX: Final = 4 << 20
"""Of one lane of a partition: beyond that it is not fetched."""

BATCH_BYTES_MAX: Final = 256 << 10
"""Requests of one transaction, unless a single one is larger: a thousand expressions, some 20 ms of work, for which a
single request of that partition waits. The transaction itself takes some 5 ms, whatever it holds."""

BATCH_REQUESTS_MAX: Final = 1_000

BULK_WAITS_S_MAX: Final = 0.2

GIVES_WAY_S_MAX: Final = 0.05

BULK_AT_ONCE: Final = 2
"""Batches of bulk under way in a process: while one waits for its broker the other is worked on. A single request waits
for the work of these, not of all partitions'."""


class Turns:
    """Whose turn it is, among the partitions of a process."""

    def __init__(self) -> None:
        self._singles = 0
        self._none = asyncio.Event()
        self._none.set()
        self._bulk = asyncio.Semaphore(BULK_AT_ONCE)

    def single_came(self, count: int) -> None:
        """So many single requests wait from now on."""
        self._singles += count
        if self._singles:
            self._none.clear()

    def single_done(self, count: int) -> None:
        """So many are answered, or not ours any more."""
        self._singles -= count
        if not self._singles:
            self._none.set()

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """A batch of bulk, when it may begin."""
        async with self._bulk:
            with suppress(TimeoutError):
                async with asyncio.timeout(BULK_WAITS_S_MAX):
                    await self._none.wait()
            yield

    async def give_way(self) -> None:
        """In the midst of a batch of bulk: let single requests of other partitions go before the next piece of work."""
        if not self._none.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(GIVES_WAY_S_MAX):
                    await self._none.wait()


class Waiting:
    """The requests that wait for one partition."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._lanes: dict[Lane, deque[ConsumerRecord]] = {"requests": deque(), "bulk": deque()}
        self._bytes: dict[Lane, int] = {"requests": 0, "bulk": 0}
        self.arrived = asyncio.Event()
        self.next_offsets: dict[Lane, int] = {}
        """the offset of the next request that is to be put here; none before it is known"""

    def put(self, lane: Lane, records: Sequence[ConsumerRecord]) -> None:
        """These were fetched."""
        self._lanes[lane].extend(records)
        self._bytes[lane] += sum(map(_size, records))
        self.next_offsets[lane] = records[-1].offset + 1
        if lane == "requests":
            self._turns.single_came(len(records))
        self.arrived.set()

    @property
    def has_single(self) -> bool:
        """Whether a single request waits for this partition."""
        return bool(self._lanes["requests"])

    def is_full(self, lane: Lane) -> bool:
        """Whether no more is to be fetched."""
        return self._bytes[lane] >= WAITING_BYTES_MAX

    def next_batch(self) -> tuple[Lane, Sequence[ConsumerRecord]] | None:
        """What goes into the next transaction, single ones first; it waits until `done`."""
        for lane in ("requests", "bulk"):
            if self._lanes[lane]:
                return lane, self._portion(self._lanes[lane])
        return None

    def done(self, lane: Lane, count: int) -> None:
        """The first so many are answered."""
        for _ in range(count):
            self._bytes[lane] -= _size(self._lanes[lane].popleft())
        if lane == "requests":
            self._turns.single_done(count)

    def clear(self) -> None:
        """Nothing that was fetched is to be answered by us, or it is fetched again."""
        for lane, waiting in self._lanes.items():
            self.done(lane, len(waiting))
        self.next_offsets.clear()

    @staticmethod
    def _portion(waiting: deque[ConsumerRecord]) -> list[ConsumerRecord]:
        portion: list[ConsumerRecord] = []
        size = 0
        for record in waiting:
            size += _size(record)
            if portion and (size > BATCH_BYTES_MAX or len(portion) == BATCH_REQUESTS_MAX):
                break
            portion.append(record)
        return portion


def _size(record: ConsumerRecord) -> int:
    return len(record.value or b"")
