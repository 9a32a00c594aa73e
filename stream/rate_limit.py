"""So many a second, in the mean of some seconds, for each of those who ask. Pure but for the clock that it is given."""

import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 10.0
"""As much as this long allows may come at once: a page that loads, a batch of forms."""

KNOWN_MAX: Final = 10_000
"""Of whom an account is kept; those who asked longest ago are forgotten."""


class RateLimit:
    """Each who asks has an account of its own: the moment (s) up to which what it asked for uses up its rate."""

    def __init__(self, per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._each_s = 1 / per_s
        self._clock = clock
        self._until: dict[str, float] = {}

    def wait_s(self, who: str) -> float:
        """0 where it may, which counts; else how long (seconds) until it may."""
        now = self._clock()
        until = max(now, self._until.pop(who, now))
        wait = until + self._each_s - now - BURST_S
        self._until[who] = until if wait > 0 else until + self._each_s
        if len(self._until) > KNOWN_MAX:
            del self._until[next(iter(self._until))]
        return max(wait, 0.0)
