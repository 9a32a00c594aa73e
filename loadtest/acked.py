"""Event due → decision acknowledged, as the worker that got the acknowledgement counts it.

A load's records bear the moment at which each event was due (`batches`), and a worker counts, batch by batch, from
there to the acknowledgement (`wurao_decision_latency_seconds`): each event once, whatever it waited for, to the
millisecond. What is read here is the growth of that histogram between two looks. A percentile within a bucket is
interpolated; whether a goal is met is exact, since each goal is an edge.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from stream.testbed.processes import FilterProcess, Scrape

LATENCY: Final = "wurao_decision_latency_seconds"
PERCENTILES: Final[Mapping[str, float]] = {"acked_p50_ms": 0.5, "acked_p99_ms": 0.99, "acked_p999_ms": 0.999}

Buckets = Mapping[float, float]
"""Upper edge in seconds → how many were not above it."""


async def acknowledged(process: FilterProcess, *, lane: str) -> Buckets:
    """What all workers have counted by now in a lane. Each look costs a worker some milliseconds."""
    scrapes = [await asyncio.to_thread(process.scrape, worker=worker + 1) for worker in range(process.workers)]
    return total([scrape for scrape in scrapes if scrape is not None], lane=lane)


def total(scrapes: Sequence[Scrape], *, lane: str) -> Buckets:
    """The sum of these workers' histograms."""
    found: dict[float, float] = {}
    for scrape in scrapes:
        for edge, count in scrape.buckets(LATENCY, lane=lane).items():
            found[edge] = found.get(edge, 0.0) + count
    return found


def grown(before: Buckets, after: Buckets) -> Buckets:
    """What was counted between two looks."""
    return {edge: count - before.get(edge, 0.0) for edge, count in after.items()}


def figures(buckets: Buckets) -> dict[str, float]:
    """The percentiles of a histogram; none where nothing was counted."""
    if not max(buckets.values(), default=0.0):
        return {}
    return {name: 1_000 * _quantile_s(buckets, q) for name, q in PERCENTILES.items()}


def _quantile_s(buckets: Buckets, q: float) -> float:
    """Interpolated as Prometheus does it; what lies beyond the last edge counts as that edge."""
    wanted = q * buckets[float("inf")]
    below_edge, below = 0.0, 0.0
    for edge, count in sorted(buckets.items()):
        if count >= wanted and count > below:
            return (
                below_edge if edge == float("inf") else _between(below_edge, edge, (wanted - below) / (count - below))
            )
        below_edge, below = edge, count
    raise AssertionError("the last bucket holds all")


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
