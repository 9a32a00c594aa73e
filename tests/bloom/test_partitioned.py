"""Wills held apart by partition: the answers of one store about what is held, and none about what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.bitmaps import Wills
from bloom.number import Msisdn, to_text
from bloom.partition import partition_of
from bloom.partitioned import NotHeldError, PartitionedWills
from bloom.wills import CHANNELS, Channel, Expression, Verb

PARTITIONS = 4
NUMBERS = [Msisdn(8_613_800_138_000 + step) for step in range(12)]
SENDERS = [None, "ORG-A", "ORG-B"]
CATEGORIES = [None, "finance", "education"]


@st.composite
def _expressions(draw: st.DrawFn) -> Expression:
    verb: Verb = draw(st.sampled_from(("refuse", "consent", "lift")))
    named = verb == "consent"
    return Expression(
        draw(st.sampled_from(NUMBERS)),
        draw(st.sampled_from(CHANNELS)),
        verb,
        draw(st.sampled_from(SENDERS[named:])),
        draw(st.sampled_from(CATEGORIES[named:])),
    )


def _all_held() -> PartitionedWills:
    wills = PartitionedWills(PARTITIONS)
    for partition in range(PARTITIONS):
        wills.hold(partition, Wills())
    return wills


def _of(number: Msisdn) -> int:
    return partition_of(to_text(number), PARTITIONS)


@given(st.lists(st.lists(_expressions(), max_size=12), max_size=4))
def test_together_the_partitions_answer_as_one_store_does(batches: list[list[Expression]]) -> None:
    plain, apart = Wills(), _all_held()
    probes = {
        (channel, category): (plain.probe(channel, "ORG-A", category), apart.probe(channel, "ORG-A", category))
        for channel in CHANNELS
        for category in ("finance", "education")
    }
    for batch in batches:
        plain.apply(batch)
        apart.apply(batch)
        for number in NUMBERS:
            apart.turn(_of(number))
            for of_plain, of_apart in probes.values():
                assert of_apart.stance(number) == of_plain.stance(number)
    assert plain.state_equal(apart)
    assert apart.state_equal(plain)
    for channel in CHANNELS:
        assert apart.refusing_all_count(channel) == plain.refusing_all_count(channel)
        for number in NUMBERS:
            assert apart.expressions_of(channel, number) == plain.expressions_of(channel, number)
            assert apart.stance(channel, number, "ORG-B", "finance") == plain.stance(
                channel, number, "ORG-B", "finance"
            )


@pytest.mark.parametrize("channel", CHANNELS)
def test_what_is_not_held_is_an_error_and_never_silence(channel: Channel) -> None:
    apart = _all_held()
    number = NUMBERS[0]
    probe = apart.probe(channel, "ORG-A", "finance")
    with pytest.raises(LookupError, match="no partition was turned to"):
        probe.stance(number)
    apart.turn(_of(number))
    assert probe.stance(number) == "silent"
    apart.drop(_of(number))
    with pytest.raises(LookupError):
        probe.stance(number)
    with pytest.raises(NotHeldError, match=f"partition {_of(number)} is not held"):
        apart.turn(_of(number))
    with pytest.raises(NotHeldError):
        apart.stance(channel, number, "ORG-A", "finance")
    with pytest.raises(NotHeldError):
        apart.apply([Expression(number, channel, "refuse", None, None)])


def test_a_partition_that_comes_back_brings_its_own_wills_and_not_the_old_ones() -> None:
    apart = _all_held()
    number = NUMBERS[0]
    probe = apart.probe("sms", "ORG-A", "finance")
    apart.apply([Expression(number, "sms", "consent", "ORG-A", "finance")])
    apart.turn(_of(number))
    assert probe.stance(number) == "consented"
    apart.drop(_of(number))
    newer = Wills()
    newer.apply([Expression(number, "sms", "refuse", None, None)])
    apart.hold(_of(number), newer)
    apart.turn(_of(number))
    assert probe.stance(number) == "refused"


def test_a_batch_with_numbers_that_are_not_held_changes_nothing() -> None:
    apart = _all_held()
    elsewhere = next(number for number in NUMBERS if _of(number) != _of(NUMBERS[0]))
    apart.drop(_of(elsewhere))
    with pytest.raises(NotHeldError):
        apart.apply([Expression(number, "sms", "refuse", None, None) for number in (NUMBERS[0], elsewhere)])
    assert apart.refusing_all_count("sms") == 0


def test_two_halves_take_half_of_the_bytes_each_where_numbers_lie_apart() -> None:
    numbers = [Msisdn(8_613_000_000_000 + step * 99_991) for step in range(20_000)]
    refusals = [Expression(number, "sms", "refuse", None, None) for number in numbers]
    plain = Wills()
    plain.apply(refusals)
    halves = []
    for mine in (range(PARTITIONS // 2), range(PARTITIONS // 2, PARTITIONS)):
        half = PartitionedWills(PARTITIONS)
        for partition in mine:
            half.hold(partition, Wills())
        half.apply([refusal for refusal in refusals if _of(refusal.number) in mine])
        halves.append(half)
    whole = plain.stats()
    assert sum(half.stats().refusals_count for half in halves) == whole.refusals_count
    for half in halves:
        assert half.stats().serialised_bytes == pytest.approx(whole.serialised_bytes / 2, rel=0.1)
