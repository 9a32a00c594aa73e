"""When clocks fire: each in its time, once until it is acknowledged, and never one that has stopped."""

from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.cases.timers import REFIRE_MS, Timers
from stream.enforce.procedures.clocks import Clock

CLOCK = Clock("forward", due=100, warn=50)


def _fired(timers: Timers, now: int, most: int = 64) -> list[tuple[str, str]]:
    return [(timer.key, timer.phase) for timer in timers.fire(now, outstanding_max=most)]


def test_a_clock_warns_and_is_due_in_its_time() -> None:
    timers = Timers()
    timers.set("C-1", "complaint", (CLOCK,))
    assert _fired(timers, 49) == []
    assert _fired(timers, 50) == [("C-1", "warning")]
    assert _fired(timers, 51) == [], "it is outstanding"
    timers.acknowledge("C-1!forward@100.warning")
    timers.set("C-1", "complaint", (Clock("forward", due=100),))
    assert _fired(timers, 100) == [("C-1", "due")]


def test_an_event_that_is_not_acknowledged_is_fired_again_under_the_same_id() -> None:
    timers = Timers()
    timers.set("C-1", "complaint", (Clock("forward", due=100),))
    (first,) = timers.fire(100, outstanding_max=64)
    (again,) = timers.fire(100 + REFIRE_MS, outstanding_max=64)
    assert first.id == again.id


def test_a_clock_that_was_cleared_or_set_anew_does_not_fire_as_it_was() -> None:
    timers = Timers()
    timers.set("C-1", "complaint", (Clock("forward", due=100),))
    timers.set("C-1", "complaint", (Clock("forward", due=300),))
    assert _fired(timers, 200) == []
    assert _fired(timers, 300) == [("C-1", "due")]
    timers.set("C-1", "complaint", ())
    assert _fired(timers, 300 + REFIRE_MS) == []
    assert timers.outstanding == 0


def test_no_more_fire_than_may_be_outstanding_and_the_rest_once_those_are_acknowledged() -> None:
    timers = Timers()
    timers.load((f"C-{n}", "complaint", (Clock("forward", due=100 + n),)) for n in range(10))
    assert _fired(timers, 200, most=3) == [("C-0", "due"), ("C-1", "due"), ("C-2", "due")]
    assert _fired(timers, 200, most=3) == []
    timers.acknowledge("C-0!forward@100.due")
    assert _fired(timers, 200, most=3) == [("C-3", "due")]


def test_a_clock_is_overdue_until_it_is_acknowledged_whether_or_not_it_fired() -> None:
    timers = Timers()
    timers.load((f"C-{n}", "complaint", (Clock("forward", due=100 + n),)) for n in range(2))
    assert timers.overdue_ms(99) == 0
    assert timers.overdue_ms(150) == 50
    assert len(timers.fire(150, outstanding_max=1)) == 1
    assert timers.overdue_ms(160) == 60, "it fired, and is not acknowledged"
    timers.fire(150 + REFIRE_MS, outstanding_max=1)
    assert timers.overdue_ms(150 + REFIRE_MS) == 50 + REFIRE_MS, "it fired again"
    timers.acknowledge("C-0!forward@100.due")
    assert timers.overdue_ms(160) == 59, "the other waits since 101"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=30), st.integers(0, 60))
def test_what_fires_is_what_runs_and_is_due(notes: list[tuple[int, int]], now: int) -> None:
    timers = Timers()
    runs: dict[str, int] = {}
    for case, due in notes:
        runs[f"C-{case}"] = due
        timers.set(f"C-{case}", "complaint", (Clock("forward", due=due),))
    fired = [timer.key for timer in timers.fire(now, outstanding_max=64)]
    assert sorted(fired) == sorted(case for case, due in runs.items() if due <= now)
