"""Partitions that come and go in one store: everything about those held, nothing left of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.bitmaps import Wills
from bloom.number import Msisdn, to_text
from bloom.partition import partition_of
from bloom.partitioned import SLICE_NUMBERS, HeldPartitions, NotHeldError
from bloom.wills import CHANNELS, ExpressionRow, Stance, Verb

PARTITIONS = 4
NUMBERS = [Msisdn(8_613_800_138_000 + step) for step in range(12)]
SENDERS = [None, "ORG-A", "ORG-B"]
CATEGORIES = [None, "finance", "education"]


@st.composite
def _expressions(draw: st.DrawFn) -> ExpressionRow:
    verb: Verb = draw(st.sampled_from(("refuse", "consent", "lift")))
    named = verb == "consent"
    return ExpressionRow(
        draw(st.sampled_from(NUMBERS)),
        draw(st.sampled_from(CHANNELS)),
        verb,
        draw(st.sampled_from(SENDERS[named:])),
        draw(st.sampled_from(CATEGORIES[named:])),
    )


def _all_held() -> HeldPartitions:
    wills = HeldPartitions(PARTITIONS)
    for partition in range(PARTITIONS):
        wills.hold(partition, Wills())
    return wills


def _stances(wills: Wills) -> list[Stance]:
    return [wills.stance("sms", number, "ORG-A", "finance") for number in NUMBERS]


def _of(number: Msisdn) -> int:
    return partition_of(to_text(number), PARTITIONS)


@given(
    st.lists(_expressions(), max_size=30),
    st.lists(_expressions(), max_size=30),
    st.sets(st.sampled_from(range(PARTITIONS))),
    st.data(),
)
def test_what_is_dropped_is_gone_what_stays_is_as_it_was_and_what_returns_brings_its_own(
    early: list[ExpressionRow], late: list[ExpressionRow], dropped: set[int], data: st.DataObject
) -> None:
    """Words of those who stay may come at any moment of a sweep."""
    apart, expected = _all_held(), Wills()
    apart.store.apply(early)
    expected.apply([word for word in early if _of(word.number) not in dropped])
    staying = [word for word in late if _of(word.number) not in dropped]
    expected.apply(staying)
    for partition in dropped:
        apart.drop(partition)
    for _ in apart.sweep():
        some = data.draw(st.integers(0, len(staying)))
        apart.store.apply(staying[:some])
        staying = staying[some:]
    apart.store.apply(staying)
    assert apart.numbers() == [partition for partition in range(PARTITIONS) if partition not in dropped]
    assert expected.state_equal(apart.store)

    probe = apart.store.probe("sms", "ORG-A", "finance")
    assert [probe.stance(number) for number in NUMBERS] == _stances(expected)
    for partition in dropped:
        returning = Wills()
        returning.apply([word for word in late if _of(word.number) == partition])
        apart.hold(partition, returning)
    expected.apply([word for word in late if _of(word.number) in dropped])
    assert expected.state_equal(apart.store)
    assert [probe.stance(number) for number in NUMBERS] == _stances(expected), "a probe sees what was merged"
    for channel in CHANNELS:
        assert [apart.store.expressions_of(channel, number) for number in NUMBERS] == [
            expected.expressions_of(channel, number) for number in NUMBERS
        ]


def test_a_partition_that_is_not_held_is_an_error_to_whoever_asks_before_deciding() -> None:
    apart = _all_held()
    apart.require(2)
    apart.drop(2)
    with pytest.raises(NotHeldError, match="partition 2 is not held"):
        apart.require(2)
    with pytest.raises(NotHeldError):
        apart.drop(2)
    assert apart.numbers() == [0, 1, 3]


def test_a_sweep_goes_in_slices_and_further_partitions_may_be_dropped_meanwhile() -> None:
    numbers = [Msisdn(8_613_000_000_000 + step) for step in range(3 * SLICE_NUMBERS)]
    apart = _all_held()
    apart.store.apply([ExpressionRow(number, "sms", "refuse", None, None) for number in numbers])
    apart.drop(0)
    sweep = apart.sweep()
    assert next(sweep) == SLICE_NUMBERS
    assert apart.is_leaving(0)
    apart.drop(1)
    assert max(sweep) <= SLICE_NUMBERS
    assert not apart.is_leaving(0)
    assert not apart.is_leaving(1)
    assert apart.store.refusing_all_count("sms") == sum(_of(number) not in (0, 1) for number in numbers)


def test_two_halves_take_half_of_the_bytes_each_where_numbers_lie_apart() -> None:
    numbers = [Msisdn(8_613_000_000_000 + step * 99_991) for step in range(20_000)]
    refusals = [ExpressionRow(number, "sms", "refuse", None, None) for number in numbers]
    plain = Wills()
    plain.apply(refusals)
    halves = []
    for mine in (range(PARTITIONS // 2), range(PARTITIONS // 2, PARTITIONS)):
        half = HeldPartitions(PARTITIONS)
        for partition in mine:
            part = Wills()
            part.apply([refusal for refusal in refusals if _of(refusal.number) == partition])
            half.hold(partition, part)
        halves.append(half)
    whole = plain.stats()
    assert sum(half.store.stats().refusals_count for half in halves) == whole.refusals_count
    for half in halves:
        assert half.store.stats().serialised_bytes == pytest.approx(whole.serialised_bytes / 2, rel=0.1)
