"""Taking one scope back: a lift of everything, and then again the narrower wishes that stand."""

from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap64

from bloom.bitmaps import Wills
from bloom.number import Msisdn
from bloom.wills import EVERYTHING, Scope
from stream.feed.order_index import OrderIndex
from stream.feed.replacement import difference, standing_of
from stream.model.registry import Expression
from stream.registry.registry import expression_row_of

NUMBER = "+8613800138000"


@st.composite
def _expressions(draw: st.DrawFn) -> Expression:
    sender, category = draw(st.sampled_from([None, "S1", "S2"])), draw(st.sampled_from([None, "c1", "c2"]))
    wills = ["refuse", "lift"] if sender is None or category is None else ["refuse", "lift", "consent"]
    will = draw(st.sampled_from(wills))
    return Expression(NUMBER, "sms", will, draw(st.integers(0, 99)), "test", sender, category)  # type: ignore[arg-type]


def _state(words: list[Expression]) -> tuple[list[Scope], list[Scope]]:
    wills = Wills()
    wills.apply([expression_row_of(word) for word in words])
    return wills.expressions_of("sms", Msisdn(8613800138000))


@given(words=st.lists(_expressions(), min_size=1, max_size=12))
def test_the_state_stays_but_for_its_refusal_of_everything(words: list[Expression]) -> None:
    standing = standing_of(words)
    lift = Expression(NUMBER, "sms", "lift", 100, "platform")
    refusals, consents = _state(words)
    assert _state([*words, lift, *standing]) == ([scope for scope in refusals if scope != EVERYTHING], consents)


@given(words=st.lists(_expressions(), min_size=1, max_size=12))
def test_what_is_written_again_is_word_for_word_what_was_said(words: list[Expression]) -> None:
    assert set(standing_of(words)) <= set(words)


def test_the_difference_has_who_came_who_left_and_leaves_newer_words_alone() -> None:
    def said(number: int, time: int, source: str = "platform") -> Expression:
        return Expression(f"+{number}", "call", "refuse", time, source)

    stays, leaves, newer, other, new = (8613800138000 + n for n in range(5))
    with OrderIndex(None) as index:
        index.take([said(stays, 1), said(leaves, 1), said(newer, 11), said(other, 1, "reply")], {})
        change = difference(index, BitMap64([stays, new]), channel="call", source="platform", time=10)
    assert (set(change.new), set(change.leaving)) == ({new}, {leaves})
    assert (change.staying_count, change.newer_count) == (1, 1)


def test_a_refusal_by_another_source_is_neither_written_over_nor_lifted() -> None:
    letters, platform, new = (8613800138000 + n for n in range(3))
    words = [
        Expression(f"+{letters}", "call", "refuse", 1, "letters"),
        Expression(f"+{letters}", "sms", "refuse", 1, "platform"),
        Expression(f"+{platform}", "call", "refuse", 1, "platform"),
        Expression(f"+{new}", "call", "refuse", 1, "letters"),
        Expression(f"+{new}", "call", "lift", 2, "letters"),
        Expression(f"+{new}", "call", "refuse", 3, "letters", "S"),
    ]
    with OrderIndex(None) as index:
        for word in words:
            index.take([word], {})
        both = difference(index, BitMap64([letters, platform, new]), channel="call", source="platform", time=10)
        assert (set(both.new), set(both.leaving)) == ({new}, set())
        assert (both.staying_count, both.others_count, both.registered_count) == (2, 1, 1)
        without = difference(index, BitMap64([new]), channel="call", source="platform", time=10)
        assert (set(without.leaving), without.others_count) == ({platform}, 0)
        first = difference(index, BitMap64([letters]), channel="call", source="first", time=10)
        assert (set(first.new), first.others_count) == (set(), 1)
