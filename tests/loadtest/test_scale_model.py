"""The model of scale: linear where it says so, honest about what it lacks, and its document as the results have it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest import capacity, report
from loadtest.cluster import LoadtestError
from loadtest.scale_model import Assumptions, Measured, core_hours_per_billion, measured, need, slope

COST = Measured(
    worker_us=12.0,
    broker_us=4.0,
    event_bytes=309.0,
    decision_bytes=330.0,
    us_per_kilobyte=5.0,
    number_bytes=0.6,
    load_s_per_million=0.002,
    records_per_cpu_s=170_000.0,
)
ASSUMED = Assumptions()


@given(st.integers(1_000, 5_000_000))
def test_twice_the_events_take_twice_the_cores_and_bytes(rate: int) -> None:
    one, two = need(rate, COST, ASSUMED), need(2 * rate, COST, ASSUMED)
    assert two.worker_cores == pytest.approx(2 * one.worker_cores)
    assert two.broker_cores == pytest.approx(2 * one.broker_cores)
    assert two.gbit_out == pytest.approx(2 * one.gbit_out)
    assert two.workers <= 2 * one.workers


@given(st.integers(1, 20_000_000))
def test_there_is_a_partition_for_every_worker_and_a_broker_for_every_copy(rate: int) -> None:
    found = need(rate, COST, ASSUMED)
    assert found.partitions >= 2 * found.workers or found.partitions == 12
    assert found.partitions % 12 == 0
    assert found.brokers >= ASSUMED.replicas
    assert found.workers >= found.worker_cores / ASSUMED.used_share


def test_a_million_a_second_at_twelve_microseconds_is_twenty_workers() -> None:
    found = need(1_000_000, COST, ASSUMED)
    assert found.worker_cores == pytest.approx(12.0)
    assert (found.workers, found.hosts, found.partitions) == (20, 2, 48)


def test_longer_events_need_more_of_everything() -> None:
    plain, longer = need(1_000_000, COST, ASSUMED), need(1_000_000, COST, ASSUMED, text_bytes=1_000)
    assert longer.worker_cores == pytest.approx(plain.worker_cores + 5.0)
    assert longer.broker_cores > plain.broker_cores
    assert longer.gbit_out > plain.gbit_out


def test_the_bottleneck_is_what_is_needed_most() -> None:
    assert need(10_000, COST, ASSUMED).bottleneck == "none"
    assert need(10_000_000, COST, ASSUMED).bottleneck == "disks of brokers, by size"
    brief = Assumptions(broker_tb=10_000.0)
    assert need(10_000_000, COST, brief).bottleneck == "cores of filter hosts"
    assert need(10_000_000, COST, Assumptions(broker_tb=10_000.0, card_gbit_s=1.0)).bottleneck == "network of brokers"


def test_a_billion_decisions_cost_what_their_core_hours_do() -> None:
    of_filter, of_brokers = core_hours_per_billion(COST, ASSUMED)
    assert of_filter == pytest.approx(12e-6 * 1e9 / 0.6 / 3_600)
    assert of_brokers == pytest.approx(4e-6 * 1.8 * 1e9 / 0.6 / 3_600)


def test_a_slope_is_never_below_nothing() -> None:
    assert slope([(0.0, 1.0), (2.0, 5.0)]) == 2.0
    assert slope([(0.0, 5.0), (2.0, 1.0)]) == 0.0
    assert slope([(1.0, 5.0)]) == 0.0


def test_what_the_model_needs_and_lacks_is_named() -> None:
    with pytest.raises(LoadtestError, match="published results of throughput, sensitivity, cold-start, registry-churn"):
        measured({})


def test_the_document_is_as_the_published_results_make_it() -> None:
    made = capacity.document(report.published(), ASSUMED)
    assert capacity.DOCUMENT.read_text(encoding="utf-8") == made, "run `python -m loadtest capacity`"


def test_the_readmes_tables_are_as_the_published_results_make_them() -> None:
    text = report.README.read_text(encoding="utf-8")
    assert report.between(text, report.published_tables()) == text, "run `python -m loadtest report`"
