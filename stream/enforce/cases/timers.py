"""When which clock rings: an index by time over the clocks of all cases of this instance.

Pure but for its own memory. It promises that a clock that runs is rung once its time has come and, until the
ring is dealt with, again after a while under the same id. It decides nothing: a ring is an event like all
others, and a clock that does not run any more rings in vain.

Cost: some 2 µs to note a clock or to take the next, whatever the number of cases.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

import msgspec

from stream.enforce.procedures.clocks import Clock, ClockFired, Phase
from stream.model.cases import CaseEvent
from stream.model.codec import encode

REFIRE_MS: Final = 30_000
"""A ring that was not dealt with for this long was lost: the clock rings again."""


class Timer(NamedTuple):
    """A clock that should ring. `at` is first, so that the earliest comes first."""

    at: int
    key: str
    procedure: str
    clock: str
    due: int
    phase: Phase

    @property
    def id(self) -> str:
        """The id of its event: the same however often it rings."""
        return f"{self.key}!{self.clock}@{self.due}.{self.phase}"

    def event(self, now: int) -> CaseEvent:
        """The event that tells the case."""
        rang = msgspec.Raw(encode(ClockFired(self.clock, self.due, self.phase)))
        return CaseEvent(id=self.id, time=now, case=self.key, procedure=self.procedure, event=rang)


class _Fired(NamedTuple):
    """A ring that nobody has dealt with yet."""

    since: int
    """when it should have rung first"""
    again_at: int


class Timers:
    """The clocks to come."""

    def __init__(self) -> None:
        self._rings: list[Timer] = []
        self._clocks: dict[str, tuple[Clock, ...]] = {}
        self._outstanding: dict[str, _Fired] = {}
        """those that rang and were not dealt with, by id"""

    def __len__(self) -> int:
        return sum(map(len, self._clocks.values()))

    @property
    def outstanding(self) -> int:
        """Rings that were not dealt with yet."""
        return len(self._outstanding)

    def fill(self, entries: Iterable[tuple[str, str, tuple[Clock, ...]]]) -> None:
        """Begin anew with the clocks of these (key, procedure, clocks). Linear: 0.7 s for 100,000 cases."""
        self._clocks, self._outstanding, self._rings = {}, {}, []
        for key, procedure, clocks in entries:
            if clocks:
                self._clocks[key] = clocks
                self._rings += _timers_of(key, procedure, clocks)
        heapify(self._rings)

    def note(self, key: str, procedure: str, clocks: tuple[Clock, ...]) -> None:
        """These are the clocks of a case now."""
        before = self._clocks.get(key, ())
        for ring in _timers_of(key, procedure, tuple(clock for clock in clocks if clock not in before)):
            heappush(self._rings, ring)
        if clocks:
            self._clocks[key] = clocks
        else:
            self._clocks.pop(key, None)

    def dealt_with(self, event_id: str) -> None:
        """The event of a ring has been taken, or refused."""
        self._outstanding.pop(event_id, None)

    def ring(self, now: int, *, outstanding_max: int) -> list[Timer]:
        """The clocks whose time has come, the earliest first, as many as may be outstanding."""
        rung: list[Timer] = []
        while self._rings and self._rings[0].at <= now:
            first = self._rings[0]
            before = self._outstanding.get(first.id)
            if before is None and len(self._outstanding) >= outstanding_max:
                break
            heappop(self._rings)
            if not self._runs(first):
                self._outstanding.pop(first.id, None)
            elif before is None or before.again_at <= now:
                rung.append(first)
                self._outstanding[first.id] = _Fired(before.since if before else first.at, now + REFIRE_MS)
                heappush(self._rings, first._replace(at=now + REFIRE_MS))
        return rung

    def overdue_ms(self, now: int) -> int:
        """How long ago the oldest clock that has not been dealt with should have rung, whether or not it did."""
        oldest = min(
            [rung.since for rung in self._outstanding.values()] + [ring.at for ring in self._rings[:1]], default=now
        )
        return max(0, now - oldest)

    def _runs(self, ring: Timer) -> bool:
        return any(
            clock.clock == ring.clock and clock.due == ring.due and (ring.phase == "due" or clock.warn is not None)
            for clock in self._clocks.get(ring.key, ())
        )


def _timers_of(key: str, procedure: str, clocks: tuple[Clock, ...]) -> list[Timer]:
    rings = [Timer(clock.due, key, procedure, clock.clock, clock.due, "due") for clock in clocks]
    rings += [
        Timer(clock.warn, key, procedure, clock.clock, clock.due, "warning")
        for clock in clocks
        if clock.warn is not None
    ]
    return rings
