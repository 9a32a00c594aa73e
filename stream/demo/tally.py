"""What the decisions say: counts, rate, latencies. Pure; the caller hands it each batch with its time."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.model.decision import Decision
from stream.model.fields import Verdict

LATENCY_MS_MAX: Final = 60_000
"""Longer ones are counted as this."""

WINDOW_S: Final = 3.0
"""Over how long a rate and the quantiles of the moment are taken."""


class OutcomeKey(NamedTuple):
    """What decisions are counted by."""

    verdict: Verdict
    reason: str


class _Lot(NamedTuple):
    at_s: float
    size: int
    latencies_ms: NDArray[np.int64]


class RunTally:
    """The decisions of one run."""

    def __init__(self) -> None:
        self.outcomes: Counter[OutcomeKey] = Counter()
        self.decided = 0
        self._latencies = np.zeros(LATENCY_MS_MAX + 1, dtype=np.int64)
        """how many decisions took so many milliseconds"""
        self._recent: deque[_Lot] = deque()

    def add(self, decisions: Sequence[Decision], timestamps: Sequence[int], *, at_s: float) -> None:
        """Count a batch that came at `at_s`; `timestamps` are those of the decisions' records, milliseconds."""
        if not decisions:
            return
        self.decided += len(decisions)
        self.outcomes.update(OutcomeKey(decision.verdict, decision.reason) for decision in decisions)
        sent = np.fromiter((decision.time for decision in decisions), dtype=np.int64, count=len(decisions))
        latencies = np.clip(np.asarray(timestamps, dtype=np.int64) - sent, 0, LATENCY_MS_MAX)
        self._latencies += np.bincount(latencies, minlength=LATENCY_MS_MAX + 1)
        self._recent.append(_Lot(at_s, len(decisions), latencies))

    def rate(self, now_s: float) -> float:
        """Decisions a second, over the window that ends at `now_s`."""
        self._expire(now_s)
        return sum(lot.size for lot in self._recent) / WINDOW_S

    def recent_ms(self, now_s: float, *quantiles: float) -> tuple[float, ...]:
        """Quantiles of the latencies in the window; zeros where it is empty."""
        self._expire(now_s)
        if not self._recent:
            return (0.0,) * len(quantiles)
        latencies = np.concatenate([lot.latencies_ms for lot in self._recent])
        return tuple(float(q) for q in np.quantile(latencies, quantiles))

    def whole_ms(self, quantile: float) -> int:
        """A quantile of all latencies so far, milliseconds."""
        return int(np.searchsorted(np.cumsum(self._latencies), quantile * self.decided)) if self.decided else 0

    def share(self, verdict: Verdict) -> float:
        """The part of all decisions that has this verdict."""
        counted = sum(count for outcome, count in self.outcomes.items() if outcome.verdict == verdict)
        return counted / self.decided if self.decided else 0.0

    def _expire(self, now_s: float) -> None:
        while self._recent and self._recent[0].at_s < now_s - WINDOW_S:
            self._recent.popleft()
