"""Reads the registry topics and the epochs into histories: independent of a filter, with which it shares nothing.

Promises that after `read_on` every record that the topics had when it was called is in the histories, in each
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
    """Keeps histories up to date. `start` once, `begin`, then `read_on` as often as the present state is needed."""

    def __init__(self, config: Config, histories: Histories) -> None:
        self._histories = histories
        self._consumer = clients.follower(config, client="wurao-audit-registry")
        self._partitions = [
            partition
            for topic in (*RECORD_KIND, EPOCHS)
            for partition in clients.partitions(topic, config.topics.partitions if topic == EXPRESSIONS else 1)
        ]
        self._next: dict[AIOKafkaPartition, int] = {}

    async def start(self) -> None:
        """Connect; nothing is read yet."""
        self._consumer.assign(self._partitions)
        await self._consumer.start()

    async def begin(self, *, exact_since_ms: int, horizon_ms: int) -> None:
        """Seek to the beginning of every topic, and empty the histories."""
        begins = dict(await self._consumer.beginning_offsets(self._partitions))
        self._histories.begin(exact_since_ms=exact_since_ms, horizon_ms=horizon_ms)
        self._next = begins
        for partition, offset in begins.items():
            self._consumer.seek(partition, offset)

    async def stop(self) -> None:
        """Read no more."""
        await self._consumer.stop()

    async def read_on(self, note: Callable[[int], None] = lambda _: None) -> None:
        """Read up to the end offsets as they are now; `note` is called with the count of records left."""
        ends = await self._consumer.end_offsets(self._partitions)
        while left := sum(max(0, end - self._next[partition]) for partition, end in ends.items()):
            note(left)
            behind = [partition for partition, end in ends.items() if self._next[partition] < end]
            fetched = await self._consumer.getmany(*behind, timeout_ms=POLL_WAIT_MS, max_records=POLL_RECORDS_MAX)
            self._take(fetched)
            for partition in behind:
                self._next[partition] = await self._consumer.position(partition)
            # A start reads years of expressions: they must not all be kept one by one.
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
