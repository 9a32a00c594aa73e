"""Parts of a window, put together: however workers share the traffic, a violator is found once and the same."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.partition import partition_of
from stream.model.control import BLOCK_NUMBERS, Activity, Block, Party
from stream.warning.rules import parts as module
from stream.warning.rules.parts import PartyTracker, longest_run, merged
from stream.warning.rules.senders import WINDOW_MS, Evaluated, evaluate
from tests.warning.harness import SETTINGS, START, found_in, part

COUNTS = st.integers(0, 400)
PARTS = st.builds(
    part,
    st.integers(0, 5),
    consented=COUNTS,
    refused=COUNTS,
    refusals=st.integers(0, 10),
    worker=st.sampled_from(("a", "b", "c")),
    run=st.integers(0, 80),
)


@given(st.lists(PARTS, max_size=30, unique_by=lambda one: one.worker).map(lambda some: sorted(some, key=_by_window)))
def test_parts_one_by_one_leave_the_watch_that_whole_windows_would(parts: list[Activity]) -> None:
    standing = PartyTracker(parts[0].window if parts else START)
    by_window: dict[int, list[Activity]] = defaultdict(list)
    for one in parts:
        standing.take(one, SETTINGS)
        by_window[one.window].append(one)
    whole: Evaluated | None = None
    for of_window in by_window.values():
        whole = evaluate(whole.sums if whole else None, merged(of_window), SETTINGS)
    if whole is not None:
        for name in ("window", "events", "blocked", "delivered", "refusals", "recipients", "usual", "windows"):
            assert getattr(standing.sums, name) == getattr(whole.sums, name)


def _by_window(one: Activity) -> int:
    return one.window


@given(st.lists(PARTS, max_size=30))
def test_a_part_that_comes_again_soon_changes_nothing(parts: list[Activity]) -> None:
    ordered = sorted({one.worker: one for one in parts}.values(), key=_by_window)
    doubled: list[Activity] = []
    for place, one in enumerate(ordered):
        doubled += [one, one, *ordered[max(0, place - 1) : place]]
    once, twice = PartyTracker(START), PartyTracker(START)
    for one in ordered:
        once.take(one, SETTINGS)
    for one in doubled:
        twice.take(one, SETTINGS)
    assert once.sums == twice.sums
    assert [f.finding for f in found_in(ordered)] == [f.finding for f in found_in(doubled)]


def test_a_late_part_is_counted_before_the_newest_window() -> None:
    late = part(0, consented=50, worker="b")
    standing = PartyTracker(START)
    for one in (part(0, consented=100), part(1, consented=7, refused=3), late):
        standing.take(one, SETTINGS)
    assert standing.sums.window == START + WINDOW_MS
    assert standing.sums.events == pytest.approx(160, rel=0.01)
    assert standing.sums.blocked == 3


def test_what_is_late_makes_no_burst_of_the_newest_window() -> None:
    steady = [part(place, consented=60) for place in range(100)]
    late = part(99, consented=300, worker="b")
    assert found_in([*steady, part(100, consented=400), late]) == []
    together = part(100, consented=300, worker="b")
    assert [finding.grounds for finding in found_in([*steady, part(100, consented=400), together])] == ["burst"]


def test_a_violator_is_found_once_whoever_of_the_workers_saw_it() -> None:
    parts = [part(place, consented=20, refused=20, worker=worker) for place in range(30) for worker in ("a", "b", "c")]
    (finding,) = found_in(parts)
    assert (finding.grounds, finding.party.sender) == ("blocked-share", "ORG-9")
    assert finding.figures[0].value == pytest.approx(0.5)


def test_what_a_part_raised_is_not_raised_again_when_the_whole_window_is_within_the_limit() -> None:
    parts = [part(place, consented=100) for place in range(5)]
    parts += [part(5, refused=300, worker="a"), part(5, consented=600, worker="b")]
    parts += [part(6, refused=300, worker="a")]
    assert [finding.grounds for finding in found_in(parts)] == ["blocked-share"]


def test_a_sweep_is_seen_though_every_worker_saw_holes() -> None:
    numbers = range(8_613_800_138_013, 8_613_800_138_013 + 120)
    party = Party(sender="ORG-9")
    seen: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for number in numbers:
        worker = partition_of(f"+{number}", 12) % 4
        seen[worker][number - number % BLOCK_NUMBERS] |= 1 << number % BLOCK_NUMBERS
    parts = [
        part(0, consented=30, party=party, worker=str(worker), dense=tuple(Block(*block) for block in blocks.items()))
        for worker, blocks in seen.items()
    ]
    assert all(longest_run([one]) < 20 for one in parts)
    assert merged(parts).run == 120
    (finding,) = found_in(parts)
    assert (finding.grounds, finding.figures[0].limit) == ("sweep", SETTINGS.sweep_run_max)


@given(st.sets(st.integers(0, 400), max_size=200), st.integers(1, 4))
def test_the_longest_run_is_that_of_all_recipients_together(numbers: set[int], workers: int) -> None:
    shares: list[dict[int, int]] = [defaultdict(int) for _ in range(workers)]
    for number in numbers:
        shares[number * 7 % workers][number - number % BLOCK_NUMBERS] |= 1 << number % BLOCK_NUMBERS
    told = [part(0, dense=tuple(Block(*one) for one in share.items())) for share in shares]
    lengths: Counter[int] = Counter()
    for number in sorted(numbers):
        lengths[number] = lengths[number - 1] + 1
    assert longest_run(told) == max(lengths.values(), default=0)


def test_parts_without_end_are_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PARTS_MAX", 3)
    standing = PartyTracker(START)
    for number in range(10):
        standing.take(part(0, consented=10, worker=str(number)), SETTINGS)
    assert standing.sums.events == 100
    assert len(standing._parts) == 3
