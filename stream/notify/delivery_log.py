"""What is known of each notice: delivered, given up, or tried so often and when. And how far a partition is done.

Pure. Both are rebuilt from the topics: what was tried from `deliveries`, how far from the group's offsets.
"""

from typing import Final, NamedTuple

from stream.kafka.clients import TopicPartition
from stream.model.control import Delivery

DOUBLINGS_MAX: Final = 30
"""Beyond any pause that a configuration allows; keeps the power within an integer."""


class FailedAttempts(NamedTuple):
    """Attempts that failed, and the moment of the last, in milliseconds."""

    attempts: int
    last: int


class DeliveryLog:
    """Every notice's attempts, folded from `deliveries`. Some 100 bytes a notice."""

    def __init__(self) -> None:
        self._delivered: set[str] = set()
        self._tried: dict[str, FailedAttempts] = {}

    def record(self, attempt: Delivery) -> None:
        """Take in one attempt. The same one twice changes nothing, and after a delivery nothing does."""
        if attempt.outcome == "delivered":
            self._delivered.add(attempt.notice)
            self._tried.pop(attempt.notice, None)
        elif attempt.notice not in self._delivered:
            before = self._tried.get(attempt.notice, FailedAttempts(0, 0))
            self._tried[attempt.notice] = FailedAttempts(
                max(before.attempts, attempt.attempt), max(before.last, attempt.time)
            )

    def delivered(self, notice: str) -> bool:
        """Whether the notice was delivered."""
        return notice in self._delivered

    def tried(self, notice: str) -> FailedAttempts:
        """The attempts that failed so far."""
        return self._tried.get(notice, FailedAttempts(0, 0))


def pause_ms(failures: int, *, first_ms: int, most_ms: int) -> int:
    """How long to wait after this many failures: nothing after none, and then doubling up to `most_ms`."""
    if failures == 0:
        return 0
    return min(most_ms, first_ms << min(failures - 1, DOUBLINGS_MAX))


class NoticeOffsets:
    """Per partition, which records are still to be dealt with: what may be committed ends before the first."""

    def __init__(self) -> None:
        self._open: dict[TopicPartition, set[int]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def take(self, place: TopicPartition, offset: int) -> None:
        """A record was fetched."""
        self._open.setdefault(place, set()).add(offset)
        self._next[place] = offset + 1

    def finish(self, place: TopicPartition, offset: int) -> None:
        """A record needs nothing more. One of a partition that has gone to another is nobody's business here."""
        self._open.get(place, set()).discard(offset)

    def forget(self, place: TopicPartition) -> None:
        """The partition has gone to another."""
        self._open.pop(place, None)
        self._next.pop(place, None)
        self._committed.pop(place, None)

    def holds(self, place: TopicPartition, offset: int) -> bool:
        """Whether this record is ours, and still to be dealt with."""
        return offset in self._open.get(place, ())

    def to_commit(self) -> dict[TopicPartition, int]:
        """Offsets that have moved on since the last `committed`."""
        reached = {place: min(self._open[place], default=end) for place, end in self._next.items()}
        return {place: offset for place, offset in reached.items() if self._committed.get(place) != offset}

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        """These offsets are safe."""
        self._committed.update(offsets)
