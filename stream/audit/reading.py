"""The registry topics and the epochs, read into histories: the audit's own reading, which shares nothing with a filter.

Promises that after `read_on` everything that stood in those topics when it was called is in the histories, in each
partition's order; where no broker answers it raises, and goes on from there when it is called again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from stream.audit.histories import Histories
from stream.config import Config
from stream.kafka import clients
from stream.kafka.clients import AIOKafkaPartition
from stream.model.topics import EPOCHS, EXPRESSIONS, RECORD_KIND

POLL_RECORDS_MAX: Final = 20_000
POLL_WAIT_MS: Final = 500


class RegistryReader:
    """What keeps histories up. `start` once, `begin`, then `read_on` as often as the present is wanted."""

    def __init__(self, config: Config, histories: Histories) -> None:
        self._histories = histories
        self._consumer = clients.follower(config, client="wurao-audit-registry")
        self._places = [
            place
            for topic in (*RECORD_KIND, EPOCHS)
            for place in clients.partitions(topic, config.topics.partitions if topic == EXPRESSIONS else 1)
        ]
        self._next: dict[AIOKafkaPartition, int] = {}

    async def start(self) -> None:
        """Connect; nothing is read yet."""
        self._consumer.assign(self._places)
        await self._consumer.start()

    async def begin(self, *, exact_since_ms: int, horizon_ms: int) -> None:
        """Stand at the beginning of every topic, with histories that know nothing (any more)."""
        begins = dict(await self._consumer.beginning_offsets(self._places))
        self._histories.begin(exact_since_ms=exact_since_ms, horizon_ms=horizon_ms)
        self._next = begins
        for place, offset in begins.items():
            self._consumer.seek(place, offset)

    async def stop(self) -> None:
        """Read no more."""
        await self._consumer.stop()

    async def read_on(self, note: Callable[[int], None] = lambda _: None) -> None:
        """Read up to the ends as they are now; `note` is told what is left."""
        ends = await self._consumer.end_offsets(self._places)
        while left := sum(max(0, end - self._next[place]) for place, end in ends.items()):
            note(left)
            behind = [place for place, end in ends.items() if self._next[place] < end]
            fetched = await self._consumer.getmany(*behind, timeout_ms=POLL_WAIT_MS, max_records=POLL_RECORDS_MAX)
            self._take(fetched)
            for place in behind:
                self._next[place] = await self._consumer.position(place)
            # A start reads years of expressions: they must not all be kept apart.
            self._histories.wills.settle(self._histories.horizon_ms)
        self._histories.measure()  # an epoch may be read before the expressions that it includes
        note(0)

    def _take(self, fetched: Mapping[AIOKafkaPartition, Sequence[clients.ConsumerRecord]]) -> None:
        for (topic, partition), records in fetched.items():
            for raw in records:
                if topic == EPOCHS:
                    self._histories.take_epoch(raw.offset, raw.value)
                else:
                    self._histories.take_registry(
                        topic, partition, raw.offset, raw.timestamp, key=raw.key, value=raw.value
                    )
