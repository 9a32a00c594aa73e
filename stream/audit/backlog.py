"""The backlog: per partition, since when decisions wait; it bounds how much of the past must be kept.

A partition that was assigned and not fetched yet may hold decisions of any age. So nothing may be forgotten until each
was fetched: with some of twelve partitions fetched, the oldest of *those* says nothing.

Pure: no client, no loop, no clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MARGIN_MS: Final = 600_000
"""Registry states are kept for decisions this much older than the oldest that waits: clocks differ, a worker's registry
may stand still for a while, and decisions of one partition are not quite in the order of their moments. For what is
older still the registry is read again (`Histories.dropped_ms`)."""


@dataclass(frozen=True, slots=True)
class _Reached:
    since_ms: int
    waits: bool
    """whether a decision of that moment waits, or none does up to it"""


class Backlog:
    """The partitions of one reader, each with the moment before which none of its decisions waits, if it is known."""

    def __init__(self) -> None:
        self._known: dict[int, _Reached | None] = {}

    def assign(self, partitions: Iterable[int]) -> None:
        """These are assigned now. Of one that was not before, nothing is known."""
        self._known = {partition: self._known.get(partition) for partition in partitions}

    def took(self, partition: int, timestamp: int) -> None:
        """Its decisions up to this moment (ms) are done; more may wait."""
        self._known[partition] = _Reached(timestamp, waits=True)

    def drained(self, partition: int, moment_ms: int) -> None:
        """At this moment nothing waited there: its end offset was reached."""
        self._known[partition] = _Reached(moment_ms, waits=False)

    def horizon_ms(self, now_ms: int) -> int | None:
        """The moment before which no state of the registry will be asked about; None where that is not known yet."""
        known = [one.since_ms for one in self._known.values() if one]
        if len(known) < len(self._known):
            return None
        return min(known, default=now_ms) - MARGIN_MS

    def lag_ms(self, now_ms: int) -> int:
        """The age of the oldest decision that is known to wait; 0 where none is."""
        return max((max(0, now_ms - one.since_ms) for one in self._known.values() if one and one.waits), default=0)
