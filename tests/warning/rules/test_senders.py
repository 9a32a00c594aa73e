"""Early warning (Article 21): each rule finds its violator, leaves the innocent alone, and says it once."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.model.control import Activity, Finding, Grounds, Party, Tally
from stream.warning.rules.senders import WINDOW_MS, ActivitySums, Evaluated, WarningSettings, evaluate, forgettable
from tests.enforce.procedures.world import DAY, HOUR, NOW

SETTINGS = WarningSettings()
NOBODY = Party(number="+8613900139000")


def window(
    place: int,
    *,
    consented: int = 0,
    service: int = 0,
    refused: int = 0,
    stale: int = 0,
    party: Party | None = None,
    refusals: int = 0,
    hints: int = 0,
    recipients: int = 0,
    run: int = 0,
) -> Activity:
    return Activity(
        window=NOW + place * WINDOW_MS,
        party=party or Party(sender="ORG-9"),
        channel="sms",
        tallies=(
            Tally("allow", "consented", consented),
            Tally("allow", "service", service),
            Tally("block", "refused", refused),
            Tally("block", "registry_stale", stale),
        ),
        recipients=recipients,
        refusals=refusals,
        opt_out_hints=hints,
        run=run,
    )


def watched(windows: Iterable[Activity]) -> tuple[ActivitySums, list[Finding]]:
    watch, findings = None, list[Finding]()
    for activity in windows:
        watch, found = evaluate(watch, activity, SETTINGS)
        findings += found
    assert watch is not None
    return watch, findings


VIOLATORS: list[tuple[Grounds, list[Activity]]] = [
    ("blocked-share", [window(n, consented=20, refused=20) for n in range(30)]),
    ("burst", [*(window(n, consented=10) for n in range(100)), window(100, consented=600)]),
    ("refusals", [window(n, consented=100, refusals=1) for n in range(30)]),
    ("sweep", [window(n, consented=60, run=60) for n in range(3)]),
    ("personal-as-platform", [window(n, consented=30, recipients=30, party=NOBODY) for n in range(20)]),
    ("disguised-as-service", [window(n, service=30, hints=2) for n in range(30)]),
]


@pytest.mark.parametrize(("grounds", "windows"), VIOLATORS, ids=[grounds for grounds, _ in VIOLATORS])
def test_each_rule_finds_its_violator_once_with_the_figures_that_made_it(
    grounds: Grounds, windows: list[Activity]
) -> None:
    _, findings = watched(windows)
    (found,) = findings
    figure = found.figures[0]
    assert (found.grounds, figure.name) == (grounds, grounds)
    assert figure.limit is not None
    assert figure.value > figure.limit
    assert found.finding.startswith("W-")
    assert "139" not in found.finding


INNOCENT = [
    [window(n, consented=100, refused=5) for n in range(100)],
    [window(n, consented=10, stale=90) for n in range(100)],
    [*(window(n, consented=100) for n in range(100)), window(101, consented=900)],
    [window(n, consented=1_000, refusals=4) for n in range(100)],
    [window(n, consented=100, run=3, recipients=100) for n in range(100)],
    [window(n, consented=1, recipients=1, party=NOBODY) for n in range(100)],
    [window(n, consented=100, hints=0, service=100) for n in range(100)],
    [window(0, refused=50)],
]


@pytest.mark.parametrize("windows", INNOCENT)
def test_the_innocent_are_left_alone(windows: list[Activity]) -> None:
    assert watched(windows)[1] == []


def test_what_goes_on_for_days_is_raised_once_a_day() -> None:
    _, findings = watched(window(n * 60, consented=200, refused=200) for n in range(3 * 24 * 6))
    assert [found.time - NOW for found in findings] == [0, DAY, 2 * DAY]
    assert len({found.finding for found in findings}) == 3


def test_a_sweep_that_comes_and_goes_is_one_finding_and_after_half_an_hour_of_peace_another() -> None:
    on_and_off = [window(n, consented=10, run=60 if n % 2 else 2) for n in range(40)]
    calm = [window(40 + n, consented=10, run=2) for n in range(200)]
    again = [window(250, consented=60, run=60)]
    assert len(watched(on_and_off)[1]) == 1
    assert len(watched([*on_and_off, *calm, *again])[1]) == 2


def test_a_burst_is_against_the_partys_own_usual_rate() -> None:
    big = [*(window(n, consented=600) for n in range(100)), window(100, consented=650)]
    assert watched(big)[1] == []


def test_long_silence_lowers_the_usual_rate() -> None:
    watch, _ = watched(window(n, consented=100) for n in range(100))
    later = evaluate(watch, window(100 + 24 * 360, consented=100), SETTINGS).sums
    assert later.usual < watch.usual * 0.6


def test_a_watch_fades_and_can_be_forgotten() -> None:
    watch, _ = watched(window(n, consented=100) for n in range(10))
    assert not forgettable(watch, watch.window + HOUR, SETTINGS)
    assert forgettable(watch, watch.window + 11 * DAY, SETTINGS)
    half = evaluate(watch, window(9 + 180), SETTINGS).sums
    assert half.events == pytest.approx(watch.events / 2)


ACTIVITY = st.builds(
    window,
    st.integers(0, 100_000),
    consented=st.integers(0, 2_000),
    refused=st.integers(0, 2_000),
    service=st.integers(0, 500),
    stale=st.integers(0, 500),
    refusals=st.integers(0, 50),
    hints=st.integers(0, 50),
    recipients=st.integers(0, 2_000),
    run=st.integers(0, 200),
    party=st.sampled_from([None, NOBODY]),
)


@given(st.lists(ACTIVITY, max_size=30))
def test_any_windows_in_any_order_are_judged_and_judged_the_same(windows: list[Activity]) -> None:
    first = watch = None
    for activity in windows:
        first, watch = watch, evaluate(watch.sums if watch else None, activity, SETTINGS)
        assert watch == evaluate(first.sums if first else None, activity, SETTINGS)
        assert isinstance(watch, Evaluated)
        values = [getattr(watch.sums, name) for name in ("events", "blocked", "delivered", "usual", "recipients")]
        assert all(value >= 0 for value in values)
        assert watch.sums.window >= (first.sums.window if first else 0)
        assert msgspec.json.decode(msgspec.json.encode(watch.sums), type=ActivitySums) == watch.sums


def test_the_usual_rate_is_that_before_the_burst() -> None:
    steady = [window(n, consented=60) for n in range(100)]
    assert watched([*steady, window(100, consented=590)])[1] == []
    assert len(watched([*steady, window(100, consented=620)])[1]) == 1
