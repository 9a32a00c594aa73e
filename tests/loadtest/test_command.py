"""The command: what is wrong is said in a sentence with its mend, before anything is measured."""

import argparse
from pathlib import Path

import pytest

from loadtest.__main__ import main, run_options
from loadtest.cluster import LoadtestError
from loadtest.report import BEGIN, END, between
from loadtest.scenarios import SCENARIOS


def told(**options: object) -> argparse.Namespace:
    return argparse.Namespace(**{"quick": False, **options})


def test_every_scenario_is_listed_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for scenario in SCENARIOS.values():
        assert scenario.name in printed
        assert scenario.what in printed


def test_a_scenario_that_there_is_not_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "troughput"]) == 2
    said = capsys.readouterr().err
    assert "'troughput'" in said
    assert "throughput, latency" in said


def test_a_broker_that_does_not_answer_is_named_with_the_mend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "burst", "--quick", "--bootstrap", "127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert "no broker answers at 127.0.0.1:1" in said
    assert "--bootstrap" in said


def test_a_report_without_results_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--out", str(tmp_path)]) == 1
    assert "holds no result" in capsys.readouterr().err


def test_what_is_not_told_stays_as_the_scenario_has_it() -> None:
    latency = SCENARIOS["latency"]
    assert run_options(latency, told()) == latency.whole
    assert run_options(latency, told(quick=True)) == latency.quick
    options = run_options(latency, told(seconds=5.0, rates=(7,), repeat=2))
    assert (options.seconds, options.rates, options.repeat) == (5.0, (7,), 2)
    assert options.refusals_count == latency.whole.refusals_count


def test_the_options_of_a_soak_are_minutes_and_a_rate() -> None:
    options = run_options(SCENARIOS["soak"], told(minutes=2.0, rate=500))
    assert (options.seconds, options.rates) == (120.0, (500,))


def test_several_rates_are_refused_where_a_scenario_takes_one() -> None:
    with pytest.raises(LoadtestError, match="--rates: burst takes one, and 2 were given"):
        run_options(SCENARIOS["burst"], told(rates=(1, 2)))


def test_a_document_that_lost_its_marks_is_not_written_over() -> None:
    assert between(f"a\n{BEGIN}\nold\n{END}\nz", "new") == f"a\n{BEGIN}\n\nnew\n\n{END}\nz"
    with pytest.raises(LoadtestError, match="has lost its marks"):
        between("no marks", "new")
