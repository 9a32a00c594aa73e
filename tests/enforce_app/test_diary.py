"""When clocks ring: each in its time, once while nobody has dealt with it, and never one that has stopped."""

from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.cases.timers import REFIRE_MS, Timers
from stream.enforce.procedures.clocks import Clock

CLOCK = Clock("forward", due=100, warn=50)


def _rung(diary: Timers, now: int, most: int = 64) -> list[tuple[str, str]]:
    return [(ring.key, ring.phase) for ring in diary.ring(now, outstanding_max=most)]


def test_a_clock_warns_and_is_due_in_its_time() -> None:
    diary = Timers()
    diary.note("C-1", "complaint", (CLOCK,))
    assert _rung(diary, 49) == []
    assert _rung(diary, 50) == [("C-1", "warning")]
    assert _rung(diary, 51) == [], "it is being dealt with"
    diary.dealt_with("C-1!forward@100.warning")
    diary.note("C-1", "complaint", (Clock("forward", due=100),))
    assert _rung(diary, 100) == [("C-1", "due")]


def test_a_ring_that_nobody_dealt_with_comes_again_under_the_same_id() -> None:
    diary = Timers()
    diary.note("C-1", "complaint", (Clock("forward", due=100),))
    (first,) = diary.ring(100, outstanding_max=64)
    (again,) = diary.ring(100 + REFIRE_MS, outstanding_max=64)
    assert first.id == again.id


def test_a_clock_that_was_cleared_or_set_anew_does_not_ring_as_it_was() -> None:
    diary = Timers()
    diary.note("C-1", "complaint", (Clock("forward", due=100),))
    diary.note("C-1", "complaint", (Clock("forward", due=300),))
    assert _rung(diary, 200) == []
    assert _rung(diary, 300) == [("C-1", "due")]
    diary.note("C-1", "complaint", ())
    assert _rung(diary, 300 + REFIRE_MS) == []
    assert diary.outstanding == 0


def test_no_more_ring_than_may_be_outstanding_and_the_rest_when_those_are_dealt_with() -> None:
    diary = Timers()
    diary.fill((f"C-{n}", "complaint", (Clock("forward", due=100 + n),)) for n in range(10))
    assert _rung(diary, 200, most=3) == [("C-0", "due"), ("C-1", "due"), ("C-2", "due")]
    assert _rung(diary, 200, most=3) == []
    diary.dealt_with("C-0!forward@100.due")
    assert _rung(diary, 200, most=3) == [("C-3", "due")]


def test_a_clock_is_overdue_until_it_was_dealt_with_whether_or_not_it_rang() -> None:
    diary = Timers()
    diary.fill((f"C-{n}", "complaint", (Clock("forward", due=100 + n),)) for n in range(2))
    assert diary.overdue_ms(99) == 0
    assert diary.overdue_ms(150) == 50
    assert len(diary.ring(150, outstanding_max=1)) == 1
    assert diary.overdue_ms(160) == 60, "it rang, and nobody has dealt with it"
    diary.ring(150 + REFIRE_MS, outstanding_max=1)
    assert diary.overdue_ms(150 + REFIRE_MS) == 50 + REFIRE_MS, "it rang again"
    diary.dealt_with("C-0!forward@100.due")
    assert diary.overdue_ms(160) == 59, "the other waits since 101"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=30), st.integers(0, 60))
def test_what_rings_is_what_runs_and_is_due(notes: list[tuple[int, int]], now: int) -> None:
    diary = Timers()
    runs: dict[str, int] = {}
    for case, due in notes:
        runs[f"C-{case}"] = due
        diary.note(f"C-{case}", "complaint", (Clock("forward", due=due),))
    rung = [ring.key for ring in diary.ring(now, outstanding_max=64)]
    assert sorted(rung) == sorted(case for case, due in runs.items() if due <= now)
