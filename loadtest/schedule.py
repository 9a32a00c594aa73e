"""When each event of a load is due: rates in steps, and from them the intended moment of every event. Pure.

An open loop sends what is due, whatever the answers do, and a delay is counted from the moment at which an event was
due and not from the moment at which it was sent. So a system that stalls is charged for everything that waited
meanwhile, also for what a stalled generator sent late: nothing is omitted by coordination (G. Tene, *How NOT to
Measure Latency*). Generator and observer compute the same moments from the same schedule, so nothing else is shared.
"""

from collections.abc import Sequence
from math import floor
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

NS_PER_S: Final = 1_000_000_000


class Step(NamedTuple):
    """So many events a second, evenly spaced, for so long."""

    rate: int
    seconds: float


class Schedule:
    """Steps one after the other. Events count from 0; times count from the start of the first step."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Raises `ValueError` for a step without length or rate."""
        if not steps or any(step.rate < 1 or step.seconds <= 0 for step in steps):
            raise ValueError(f"steps are {list(steps)}: each needs a rate of at least 1 a second and a length")
        self.steps = tuple(steps)
        self._counts = [int(step.rate * step.seconds) for step in self.steps]
        self._firsts = np.concatenate(([0], np.cumsum(self._counts)))
        self._starts_s = np.concatenate(([0.0], np.cumsum([step.seconds for step in self.steps])))

    @property
    def count(self) -> int:
        """How many events in all."""
        return int(self._firsts[-1])

    @property
    def seconds(self) -> float:
        """How long it takes in all."""
        return float(self._starts_s[-1])

    def first_of(self, step: int) -> int:
        """The first event of a step (steps count from 0); that of the step after the last is the count of all."""
        return int(self._firsts[step])

    def due(self, elapsed_s: float) -> int:
        """How many events are due once so much time has passed. Never falls as time goes on."""
        for place, step in enumerate(self.steps):
            into = elapsed_s - float(self._starts_s[place])
            if into < step.seconds:
                return int(self._firsts[place]) + min(max(0, floor(into * step.rate) + 1), self._counts[place])
        return self.count

    def at_ns(self, events: NDArray[np.int64]) -> NDArray[np.int64]:
        """The intended moments of these events, nanoseconds from the start."""
        steps = np.searchsorted(self._firsts, events, side="right") - 1
        rates = np.array([step.rate for step in self.steps])
        within_s = (events - self._firsts[steps]) / rates[steps]
        found: NDArray[np.int64] = ((self._starts_s[steps] + within_s) * NS_PER_S).astype(np.int64)
        return found
