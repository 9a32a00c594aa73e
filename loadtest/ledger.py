"""Which events were sent and how often each was decided: what a run must account for. Pure.

Events are counted by a serial number from 1. An event that was sent must be decided at least once; delivery
is at-least-once, so some are decided twice after a crash, and those are counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

COUNT_MAX: Final = 255
EXAMPLES_MAX: Final = 10


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
                self._decided.extend(bytes(serial + 1_000_000 - len(self._decided)))
            if self._decided[serial]:
                self._duplicates += 1
            if self._decided[serial] < COUNT_MAX:
                self._decided[serial] += 1

    def first_missing(self, sent: int) -> int | None:
        """The first serial up to `sent` without a decision."""
        place = self._decided.find(0, 1, sent + 1)
        if place >= 0:
            return place
        return len(self._decided) if len(self._decided) <= sent else None

    def account(self, sent: int) -> Account:
        """The account of the events 1 to `sent`."""
        known = self._decided[1 : sent + 1].ljust(sent, b"\0")
        missing = [place + 1 for place, count in enumerate(known) if not count] if 0 in known else []
        return Account(
            sent=sent,
            missing=len(missing),
            missing_examples=tuple(missing[:EXAMPLES_MAX]),
            duplicates=self._duplicates,
            decided_twice_or_more=sum(count > 1 for count in known),
            strangers=sum(count > 0 for count in self._decided[sent + 1 :]),
        )
