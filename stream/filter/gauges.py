"""Gauges of a worker's loop and registry, refreshed beside its batches for as long as the worker runs."""

import asyncio
import time
from collections import deque
from typing import Final

from bloom.bitmaps import Overlay
from bloom.wills import CHANNELS
from stream.metrics import FilterMetrics
from stream.registry.registry import Registry

LOOP_LAG_EVERY_S: Final = 0.25
LOOP_LAG_KEPT_S: Final = 60.0
"""The maximum of so long is shown: a stall between two scrapes of Prometheus would not be seen otherwise."""

REGISTRY_EVERY_S: Final = 5.0


async def keep_loop_lag_shown(metrics: FilterMetrics) -> None:
    """Measure how late the loop wakes: heartbeats are as late."""
    lags: deque[float] = deque(maxlen=int(LOOP_LAG_KEPT_S / LOOP_LAG_EVERY_S))
    while True:
        due = time.monotonic() + LOOP_LAG_EVERY_S
        await asyncio.sleep(LOOP_LAG_EVERY_S)
        lags.append(max(0.0, time.monotonic() - due))
        metrics.loop_lag.set(max(lags))


def show_registry(metrics: FilterMetrics, registry: Registry) -> None:
    """Refresh the gauges of the registry, which costs more than a batch may."""
    for channel in CHANNELS:
        metrics.numbers.labels(channel).set(registry.wills.refusing_all_count(channel))
    if isinstance(registry.wills, Overlay):
        metrics.overlay_numbers.set(registry.wills.touched_count())
    metrics.senders.set(len(registry.senders))
    metrics.clashes.set(sum(ownership.clashes for ownership in registry.ownership.values()))


async def keep_registry_shown(metrics: FilterMetrics, registry: Registry) -> None:
    """Do so time and again."""
    while True:
        show_registry(metrics, registry)
        await asyncio.sleep(REGISTRY_EVERY_S)
