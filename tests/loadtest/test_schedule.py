"""An open loop: every event has a moment at which it is due, and from which its delay counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.observer import delays_ns
from loadtest.schedule import NS_PER_S, Schedule, Step

steps = st.lists(
    st.builds(Step, st.integers(1, 5_000), st.floats(0.01, 3.0, allow_nan=False)).filter(
        lambda step: step.rate * step.seconds >= 1
    ),
    min_size=1,
    max_size=4,
)


@given(steps)
def test_an_event_is_due_from_its_intended_moment_on_and_not_before(some: list[Step]) -> None:
    schedule = Schedule(some)
    numbers = np.arange(schedule.count)
    moments = schedule.at_ns(numbers) / NS_PER_S
    for number in (0, schedule.count // 2, schedule.count - 1):
        assert schedule.due(moments[number] + 1e-6) >= number + 1
        assert schedule.due(moments[number] - 1e-6) <= number
    assert (np.diff(moments) >= 0).all()
    assert schedule.due(schedule.seconds) == schedule.count


@given(steps, st.floats(0, 10), st.floats(0, 10))
def test_what_is_due_never_falls(some: list[Step], one_s: float, other_s: float) -> None:
    schedule = Schedule(some)
    first, second = sorted((one_s, other_s))
    assert schedule.due(first) <= schedule.due(second)


def test_a_step_of_a_burst_begins_where_the_one_before_ends() -> None:
    schedule = Schedule((Step(100, 2.0), Step(1_000, 1.0), Step(100, 1.0)))
    assert [schedule.first_of(step) for step in range(4)] == [0, 200, 1_200, 1_300]
    assert schedule.at_ns(np.array([0, 200, 201, 1_200])).tolist() == [0, 2 * NS_PER_S, 2_001_000_000, 3 * NS_PER_S]


def test_a_step_without_a_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="each needs a rate"):
        Schedule((Step(0, 1.0),))


def test_a_stall_is_charged_to_every_event_that_was_due_meanwhile() -> None:
    schedule = Schedule((Step(1_000, 3.0),))
    intended = schedule.at_ns(np.arange(schedule.count))
    # Answered within a millisecond, but for one second in which nothing moves: also what was sent late counts from
    # the moment at which it was due.
    stalled = (intended >= NS_PER_S) & (intended < 2 * NS_PER_S)
    seen = np.where(stalled, 2 * NS_PER_S, intended + 1_000_000)
    delays, missing = delays_ns(seen, intended)
    assert missing == 0
    assert float(np.quantile(delays, 0.5)) == pytest.approx(1_000_000)
    assert float(np.quantile(delays, 0.9)) > 0.6 * NS_PER_S


def test_what_was_never_answered_has_no_delay_and_is_counted() -> None:
    delays, missing = delays_ns(np.array([0, 50, 0]), np.array([10, 20, 30]))
    assert delays.tolist() == [30]
    assert missing == 2
