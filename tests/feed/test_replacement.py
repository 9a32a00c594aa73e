"""A full file of refusals of everything: who came, who left, and whom it leaves alone."""

from collections.abc import Iterable

from pyroaring import BitMap64

from bloom.number import Msisdn
from stream.feed.replacement import Register, RegisterDifference, difference
from stream.model.registry import Expression

ALWAYS = 1 << 50
"""A moment of writing by which `time` is the earlier."""


def compared(in_file: Iterable[int], words: Iterable[Expression], *, source: str = "platform") -> RegisterDifference:
    register = Register("call", source, 10)
    for word in words:
        register.take(word, ALWAYS)
    return difference(register, BitMap64(in_file))


def said(number: int, time: int, source: str = "platform", will: str = "refuse") -> Expression:
    return Expression(f"+{number}", "call", will, time, source)  # type: ignore[arg-type]


def test_the_difference_has_who_came_who_left_and_leaves_newer_words_alone() -> None:
    stays, leaves, newer, new = (8613800138000 + n for n in range(4))
    change = compared([stays, new], [said(stays, 1), said(leaves, 1), said(newer, 11)])
    assert (set(change.new), set(change.leaving)) == ({new}, {leaves})
    assert (change.staying_count, change.newer_count) == (1, 1)


def test_what_is_dated_ahead_counts_from_when_it_was_written() -> None:
    register = Register("call", "platform", 10)
    register.take(said(8613800138000, 20), 5)
    assert set(difference(register, BitMap64()).leaving) == {8613800138000}


def test_who_was_erased_is_not_registered() -> None:
    register = Register("call", "platform", 10)
    register.take(said(8613800138000, 1), 1)
    register.erase(Msisdn(8613800138000))
    assert not difference(register, BitMap64()).leaving


def test_a_refusal_by_another_source_is_neither_written_over_nor_lifted() -> None:
    letters, platform, new = (8613800138000 + n for n in range(3))
    words = [
        said(letters, 1, "letters"),
        said(platform, 1),
        said(new, 1, "letters"),
        said(new, 2, "letters", "lift"),
    ]
    both = compared([letters, platform, new], words)
    assert (set(both.new), set(both.leaving)) == ({new}, set())
    assert (both.staying_count, both.others_count, both.registered_count) == (2, 1, 1)
    without = compared([new], words)
    assert (set(without.leaving), without.others_count) == ({platform}, 0)
    first = compared([letters], words, source="first")
    assert (set(first.new), first.others_count) == (set(), 1)
