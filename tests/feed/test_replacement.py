"""A full file of refusals of everything: who came, who left, and whom it leaves alone."""

from pyroaring import BitMap64

from stream.feed.order_index import OrderIndex
from stream.feed.replacement import difference
from stream.model.registry import Expression


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
