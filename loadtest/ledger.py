"""Which events were sent and how often each was decided: what a run must account for. Pure.

Events are counted by a serial number from 1. An event that was sent must be decided at least once; delivery
is at-least-once, so some are decided twice after a crash, and those are counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

COUNT_MAX: Final = 255
EXAMPLES_MAX: Final = 10
GROWTH: Final = 65_536


@dataclass(frozen=True, slots=True)
class Account:
    """The result."""

    sent: int
    missing: int
    missing_examples: tuple[int, ...]
    duplicates: int
    """decisions beyond an event's first"""
    decided_twice_or_more: int
    strangers: int
    """decisions on events that were not sent"""


class Ledger:
    """Decisions by event, a byte each."""

    def __init__(self) -> None:
        self._decided = bytearray()
        self._duplicates = 0

    def decided(self, serials: Iterable[int]) -> None:
        """These were decided."""
        for serial in serials:
            if serial >= len(self._decided):
                self._decided.extend(bytes(serial + GROWTH - len(self._decided)))
            if self._decided[serial]:
                self._duplicates += 1
            if self._decided[serial] < COUNT_MAX:
                self._decided[serial] += 1

    def first_missing(self, sent: int) -> int | None:
        """The first serial up to `sent` without a decision."""
        place = self._decided.find(0, 1, sent + 1)
        if place >= 0:
            return place
        first_unknown = max(1, len(self._decided))
        return first_unknown if first_unknown <= sent else None

    def account(self, sent: int) -> Account:
        """The account of the events 1 to `sent`."""
        known = self._decided[1 : sent + 1].ljust(sent, b"\0")
        others = self._decided[sent + 1 :]
        missing = known.count(0)
        examples = (place for place, count in enumerate(known, start=1) if not count)
        return Account(
            sent=sent,
            missing=missing,
            missing_examples=tuple(islice(examples, min(missing, EXAMPLES_MAX))),
            duplicates=self._duplicates,
            decided_twice_or_more=len(known) - missing - known.count(1),
            strangers=len(others) - others.count(0),
        )
