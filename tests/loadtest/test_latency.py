"""Delays as histograms: percentiles to three digits, and runs that add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.latency import added, curve, delays_of

delays_us = st.lists(st.integers(1, 60_000_000), min_size=1, max_size=300)


@given(delays_us)
def test_percentiles_are_those_of_a_sorted_list_to_three_digits(some: list[int]) -> None:
    found = delays_of(np.array(some, dtype=np.int64) * 1_000)
    exact = sorted(some)
    assert found.count == len(some)
    assert found.figures["max_ms"] == pytest.approx(exact[-1] / 1_000, rel=0.002)
    # The smallest value that so many percent do not exceed, as the histogram rounds it: half a count upwards.
    place = max(0, int(0.5 * len(some) + 0.5) - 1)
    assert found.figures["p50_ms"] == pytest.approx(exact[place] / 1_000, rel=0.002)


@given(st.lists(delays_us, min_size=1, max_size=3))
def test_runs_added_are_as_one_run_of_all_their_delays(runs: list[list[int]]) -> None:
    together = added(delays_of(np.array(run, dtype=np.int64) * 1_000) for run in runs)
    at_once = delays_of(np.array([one for run in runs for one in run], dtype=np.int64) * 1_000)
    assert together.count == at_once.count
    assert together.figures == at_once.figures


def test_no_delays_have_no_figures() -> None:
    assert delays_of(np.array([], dtype=np.int64)).figures == {}
    assert added([]).count == 0


def test_a_curve_rises_to_the_maximum() -> None:
    some = delays_of(np.arange(1, 1_001, dtype=np.int64) * 1_000_000)
    points = curve(some, (0.0, 0.5, 0.99, 1.0))
    assert points == sorted(points)
    assert points[-1] == pytest.approx(1_000, rel=0.002)
