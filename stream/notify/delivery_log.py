"""The delivery log: per notice, whether it was delivered, or how often it failed and when. And offsets to commit.

No I/O. Both are rebuilt from the topics: attempts from `deliveries`, offsets from the consumer group.
"""

from typing import Final, NamedTuple

from stream.kafka.clients import AIOKafkaPartition
from stream.model.control import Delivery

DOUBLINGS_MAX: Final = 30
"""Beyond any pause that a configuration allows; keeps the power within an integer."""


class FailedAttempts(NamedTuple):
    """How many attempts failed, and the moment of the last, in milliseconds."""

    attempts: int
    last: int


class DeliveryLog:
    """The attempts of every notice, folded from `deliveries`. Some 100 bytes a notice."""

    def __init__(self) -> None:
        self._delivered: set[str] = set()
        self._failed: dict[str, FailedAttempts] = {}

    def record(self, attempt: Delivery) -> None:
        """Take in one attempt. The same one twice changes nothing, and after a delivery nothing does."""
        if attempt.outcome == "delivered":
            self._delivered.add(attempt.notice)
            self._failed.pop(attempt.notice, None)
        elif attempt.notice not in self._delivered:
            before = self._failed.get(attempt.notice, FailedAttempts(0, 0))
            self._failed[attempt.notice] = FailedAttempts(
                max(before.attempts, attempt.attempt), max(before.last, attempt.time)
            )

    def delivered(self, notice: str) -> bool:
        """Whether the notice was delivered."""
        return notice in self._delivered

    def failed(self, notice: str) -> FailedAttempts:
        """The attempts that failed so far."""
        return self._failed.get(notice, FailedAttempts(0, 0))


def pause_ms(failures: int, *, first_ms: int, most_ms: int) -> int:
    """How long to wait after this many failures: nothing after none, and then doubling up to `most_ms`."""
    if failures == 0:
        return 0
    return min(most_ms, first_ms << min(failures - 1, DOUBLINGS_MAX))


class NoticeOffsets:
    """Per partition, which records are not done yet: the offset to commit is that of the first of these."""

    def __init__(self) -> None:
        self._open: dict[AIOKafkaPartition, set[int]] = {}
        self._next: dict[AIOKafkaPartition, int] = {}
        self._committed: dict[AIOKafkaPartition, int] = {}

    def take(self, partition: AIOKafkaPartition, offset: int) -> None:
        """A record was fetched: it is not done yet."""
        self._open.setdefault(partition, set()).add(offset)
        self._next[partition] = offset + 1

    def finish(self, partition: AIOKafkaPartition, offset: int) -> None:
        """A record is done. Ignored for partitions that were revoked."""
        self._open.get(partition, set()).discard(offset)

    def drop(self, partition: AIOKafkaPartition) -> None:
        """The partition was revoked."""
        self._open.pop(partition, None)
        self._next.pop(partition, None)
        self._committed.pop(partition, None)

    def holds(self, partition: AIOKafkaPartition, offset: int) -> bool:
        """Whether this record's partition is ours, and it is not done yet."""
        return offset in self._open.get(partition, ())

    def to_commit(self) -> dict[AIOKafkaPartition, int]:
        """Per partition the next offset, where it has changed since the last `committed`."""
        reached = {partition: min(self._open[partition], default=end) for partition, end in self._next.items()}
        return {partition: offset for partition, offset in reached.items() if self._committed.get(partition) != offset}

    def committed(self, offsets: dict[AIOKafkaPartition, int]) -> None:
        """These offsets are committed."""
        self._committed.update(offsets)
