"""Percentiles of what workers counted until the acknowledgement."""

import numpy as np
import pytest
from prometheus_client import generate_latest

from loadtest.acked import figures, grown, total
from loadtest.goals import GOALS
from stream.metrics import LATENCY_BUCKETS_S, FilterMetrics
from stream.testbed.processes import Scrape

INF = float("inf")


def _scraped(metrics: FilterMetrics) -> Scrape:
    return Scrape.of(generate_latest(metrics.registry).decode())


def test_what_was_counted_before_and_in_the_other_lane_is_left_out() -> None:
    workers = FilterMetrics(), FilterMetrics()
    workers[0].latency.observe(np.full(1_000, 400), value="bulk")
    before = total([_scraped(worker) for worker in workers], lane="bulk")
    workers[0].latency.observe(np.full(50, 3), value="bulk")
    workers[1].latency.observe(np.full(50, 5), value="bulk")
    workers[1].latency.observe(np.full(9_000, 900), value="urgent")
    after = total([_scraped(worker) for worker in workers], lane="bulk")
    found = grown(before, after)
    assert found[INF] == 100
    assert figures(found)["acked_p50_ms"] == pytest.approx(3.0)
    assert 4.0 < figures(found)["acked_p99_ms"] <= 5.0


def test_a_percentile_is_not_above_an_edge_just_where_so_many_are_not() -> None:
    at_edge = {0.005: 99.0, 0.0075: 100.0, INF: 100.0}
    assert figures(at_edge)["acked_p99_ms"] == pytest.approx(5.0)
    assert figures({**at_edge, 0.005: 98.0})["acked_p99_ms"] > 5.0


def test_what_lies_beyond_the_last_edge_counts_as_that_edge_and_nothing_has_no_percentile() -> None:
    assert figures({60.0: 0.0, INF: 10.0})["acked_p50_ms"] == pytest.approx(60_000.0)
    assert figures({60.0: 0.0, INF: 0.0}) == {}


def test_every_goal_for_an_acknowledgement_is_an_edge_so_whether_it_is_met_is_exact() -> None:
    bounds = [goal.at_most for goal in GOALS if goal.figure.startswith("acked_")]
    assert bounds
    assert all(bound is not None and bound / 1_000 in LATENCY_BUCKETS_S for bound in bounds)
