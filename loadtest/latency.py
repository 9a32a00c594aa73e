"""Delays as a histogram: what percentiles are read from, and what runs are added up by. Pure.

High dynamic range (HdrHistogram): three significant digits from a microsecond to ten minutes, in a few kilobytes, so
that a result keeps every delay of a run and percentiles of several runs are those of all their delays together.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

MIN_US: Final = 1
MAX_US: Final = 600_000_000
DIGITS: Final = 3

PERCENTILES: Final[Mapping[str, float]] = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9}


class _Histogram(Protocol):
    """As much of the library, which has no types, as is used here."""

    def record_value(self, value: int, count: int) -> bool: ...
    def get_value_at_percentile(self, percentile: float) -> int: ...
    def get_max_value(self) -> int: ...
    def get_total_count(self) -> int: ...
    def encode(self) -> bytes: ...
    def decode_and_add(self, encoded: bytes) -> None: ...


class Delays(msgspec.Struct, frozen=True):
    """The delays of a run. `encoded` is the library's own compressed form, base64 (HdrHistogram V2)."""

    count: int
    figures: dict[str, float]
    """`p50_ms` to `p999_ms` and `max_ms`"""
    encoded: str


def delays_of(delays_ns: NDArray[np.int64]) -> Delays:
    """These delays, nanoseconds; one below a microsecond counts as one, one above ten minutes as ten minutes."""
    histogram = _empty()
    values, counts = np.unique(np.clip(delays_ns // 1_000, MIN_US, MAX_US), return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        histogram.record_value(value, count)
    return _read(histogram)


def added(some: Iterable[Delays]) -> Delays:
    """All of these together."""
    histogram = _empty()
    for one in some:
        if one.count:
            histogram.decode_and_add(one.encoded.encode())
    return _read(histogram)


def curve(delays: Delays, shares: Iterable[float]) -> list[float]:
    """The delay (ms) that each of these shares (0 to 1) of events did not exceed."""
    histogram = _empty()
    histogram.decode_and_add(delays.encoded.encode())
    return [histogram.get_value_at_percentile(100 * share) / 1_000 for share in shares]


def _empty() -> _Histogram:
    histogram: _Histogram = HdrHistogram(MIN_US, MAX_US, DIGITS)
    return histogram


def _read(histogram: _Histogram) -> Delays:
    count = histogram.get_total_count()
    if not count:
        return Delays(0, {}, "")
    figures = {name: histogram.get_value_at_percentile(share) / 1_000 for name, share in PERCENTILES.items()}
    figures["max_ms"] = histogram.get_max_value() / 1_000
    return Delays(count, figures, histogram.encode().decode())
