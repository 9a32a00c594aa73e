"""Counts, rate and latencies of decisions; metrics as they are scraped; a process's memory and CPU time."""

import os
import socket

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.demo.tally import LATENCY_MS_MAX, WINDOW_S, OutcomeKey, RunTally
from stream.metrics import FilterMetrics
from stream.model.decision import Decision
from stream.testbed.processes import Scrape, free_ports, quantile_of, usage


def decision(time: int, reason: str = "service") -> Decision:
    return Decision("e", "sms", time, time, "+8613800138000", None, None, "allow", reason, None, "p", "e")


def tally_of(latencies: list[int], *, at_s: float = 10.0) -> RunTally:
    tally = RunTally()
    tally.add([decision(1_000) for _ in latencies], [1_000 + latency for latency in latencies], at_s=at_s)
    return tally


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_of_the_whole_is_the_least_latency_that_such_a_part_does_not_exceed(
    latencies: list[int], quantile: float
) -> None:
    exact = int(np.quantile(latencies, quantile, method="inverted_cdf"))
    assert tally_of(latencies).whole_ms(quantile) == exact


def test_the_window_forgets_and_the_whole_does_not() -> None:
    tally = tally_of([5, 7], at_s=10.0)
    assert tally.rate(10.0) == pytest.approx(2 / WINDOW_S)
    assert tally.recent_ms(10.0, 1.0) == (7.0,)
    assert tally.rate(10.0 + WINDOW_S + 0.1) == 0
    assert tally.recent_ms(10.0 + WINDOW_S + 0.1, 0.5, 1.0) == (0.0, 0.0)
    assert tally.decided == 2
    assert tally.whole_ms(1.0) == 7


def test_clocks_that_disagree_and_endless_waits_are_counted_at_the_ends() -> None:
    tally = tally_of([-5, LATENCY_MS_MAX + 1])
    assert (tally.whole_ms(0.5), tally.whole_ms(1.0)) == (0, LATENCY_MS_MAX)


def test_decisions_are_counted_by_verdict_and_reason() -> None:
    tally = RunTally()
    tally.add([decision(0), decision(0, "reply"), decision(0)], [1, 1, 1], at_s=0.0)
    assert tally.outcomes == {OutcomeKey("allow", "service"): 2, OutcomeKey("allow", "reply"): 1}


def test_an_empty_batch_and_an_empty_tally_are_nothing() -> None:
    tally = RunTally()
    tally.add([], [], at_s=0.0)
    assert (tally.decided, tally.whole_ms(0.5), tally.rate(0.0)) == (0, 0, 0.0)


def test_metrics_are_read_back_as_the_filter_writes_them() -> None:
    from prometheus_client import generate_latest  # noqa: PLC0415

    metrics = FilterMetrics()
    metrics.numbers.labels("sms").set(600_000)
    metrics.latency.observe(np.array([3, 4], dtype=np.int64), value="bulk")
    metrics.latency.observe(np.array([40], dtype=np.int64), value="urgent")
    scrape = Scrape.of(generate_latest(metrics.registry).decode())
    assert scrape.total("wurao_registry_numbers", channel="sms") == 600_000
    assert scrape.total("wurao_registry_numbers", channel="call") == 0
    assert quantile_of(scrape.buckets("wurao_decision_latency_seconds"), 0.5) == 0.004
    assert quantile_of(scrape.buckets("wurao_decision_latency_seconds", lane="urgent"), 0.5) == 0.05
    assert quantile_of(scrape.buckets("wurao_decision_latency_seconds"), 0.99) == 0.05


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile_of({}, 0.5) is None
    assert quantile_of({0.1: 0.0, float("inf"): 0.0}, 0.5) is None


def test_the_free_ports_are_neighbours_that_nobody_holds() -> None:
    first = free_ports(3)
    for port in range(first, first + 3):
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_process_has_memory_and_time_and_one_that_is_gone_has_none() -> None:
    mine = usage(os.getpid())
    assert mine is not None
    assert mine.rss_mib >= mine.pss_mib > 1
    assert mine.cpu_s > 0
    assert usage(2**22 + 1) is None
