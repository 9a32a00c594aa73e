"""The order rule: no word undoes a newer one, and nothing is written twice."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.feed.offline_index import OfflineIndex
from stream.model.fields import TIME_MAX
from stream.model.registry import Expression
from stream.registry import order_rule
from stream.registry.order_rule import OrderRuleResult, apply_order_rule, digest_of, overlap, rows_of, scope_of
from tests.work import instructions

SENDERS = (None, "S1", "S2")
CATEGORIES = (None, "c1", "c2")


def _expression(
    time: int, *, will: str = "refuse", sender: str | None = None, category: str | None = None
) -> Expression:
    return Expression(
        subscriber="+8613800138000",
        channel="sms",
        will=will,  # type: ignore[arg-type]
        time=time,
        source="test",
        sender=sender,
        category=category,
    )


@st.composite
def _expressions(draw: st.DrawFn) -> Expression:
    sender, category = draw(st.sampled_from(SENDERS)), draw(st.sampled_from(CATEGORIES))
    time = draw(st.integers(0, 5))
    wills = ["refuse", "lift"] if sender is None or category is None else ["refuse", "lift", "consent"]
    return Expression(
        subscriber=draw(st.sampled_from(["+8613800138000", "+8613900139000"])),
        channel=draw(st.sampled_from(["sms", "call"])),
        will=wills[time % len(wills)],  # type: ignore[arg-type]  # one word per scope and moment
        time=time,
        source="test",
        sender=sender,
        category=category,
    )


def _take(index: OfflineIndex, words: Sequence[Expression]) -> None:
    index.take(words, TIME_MAX, list(map(digest_of, words)))


def _sifted(words: Sequence[Expression], index: OfflineIndex) -> OrderRuleResult:
    rows, digests = rows_of(words), list(map(digest_of, words))
    sifted = apply_order_rule(words, rows, digests, index.indexed(set(rows)))
    _take(index, [words[place] for place in sifted.write])
    return sifted


@given(
    before=st.lists(_expressions(), max_size=12),
    batch=st.lists(_expressions(), max_size=12),
    few=st.sampled_from((0, order_rule.FEW_SCOPES)),
)
def test_what_is_written_is_never_older_than_a_word_that_it_overlaps(
    before: list[Expression], batch: list[Expression], few: int
) -> None:
    index = OfflineIndex()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(order_rule, "FEW_SCOPES", few)
        _take(index, before)
        sifted = _sifted(batch, index)
    received = list({(*rows_of([word]), scope_of(word)): word for word in before}.values())
    for place, word in enumerate(batch):
        overlapping = [
            other.time
            for other in received
            if rows_of([other]) == rows_of([word]) and overlap(scope_of(other), scope_of(word))
        ]
        newest = max(overlapping, default=-1)
        if place in sifted.write:
            assert newest <= word.time
            received.append(word)
        elif (late := dict(sifted.late).get(place)) is not None:
            assert late == newest > word.time


@given(batch=st.lists(_expressions(), max_size=20))
def test_a_second_import_of_the_same_words_writes_nothing(batch: list[Expression]) -> None:
    index = OfflineIndex()
    _sifted(batch, index)
    again = _sifted(batch, index)
    assert again.write == []


@given(batch=st.lists(_expressions(), max_size=16), cut=st.integers(0, 16))
def test_words_in_two_batches_are_written_as_in_one(batch: list[Expression], cut: int) -> None:
    index = OfflineIndex()
    together = _sifted(batch, index)
    index = OfflineIndex()
    first, second = _sifted(batch[:cut], index), _sifted(batch[cut:], index)
    apart = {batch[place] for place in first.write} | {batch[cut + place] for place in second.write}
    assert {batch[place] for place in together.write} == apart


def test_a_late_consent_does_not_undo_a_newer_refusal_of_everything() -> None:
    index = OfflineIndex()
    _take(index, [_expression(10)])
    assert _sifted([_expression(9, will="consent", sender="S1", category="c1")], index).late == [(0, 10)]


def test_a_late_refusal_of_everything_does_not_undo_a_newer_consent() -> None:
    index = OfflineIndex()
    _take(index, [_expression(10, will="consent", sender="S1", category="c1")])
    assert _sifted([_expression(9)], index).late == [(0, 10)]


def test_words_about_other_senders_do_not_make_each_other_late() -> None:
    index = OfflineIndex()
    _take(index, [_expression(10, sender="S1")])
    assert _sifted([_expression(9, sender="S2")], index).write == [0]


def test_a_sender_and_a_category_overlap_where_both_can_be_meant() -> None:
    index = OfflineIndex()
    _take(index, [_expression(10, sender="S1")])
    assert _sifted([_expression(9, category="c1")], index).late == [(0, 10)]


def test_of_two_words_at_one_moment_about_one_scope_the_later_line_counts_and_stays() -> None:
    words = [_expression(5, will="refuse"), _expression(5, will="lift")]
    index = OfflineIndex()
    assert _sifted(words, index).write == [1]
    assert _sifted(words, index).write == []


@pytest.mark.parametrize("few", [0, order_rule.FEW_SCOPES])
def test_after_a_refusal_that_is_given_now_its_own_moment_counts_in_a_batch_as_after_it(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it replaced was newer, and is in no topic once that was compacted."""
    monkeypatch.setattr(order_rule, "FEW_SCOPES", few)
    now = 1_795_500_000_000
    about = {"sender": "S1", "category": "c1"}
    words = [
        _expression(now - 1_000, will="lift", **about),
        _expression(now - 3_000, will="refuse", **about),
        _expression(now - 2_000, will="consent", **about),
    ]
    sifted = apply_order_rule(words, rows_of(words), list(map(digest_of, words)), {}, now=now)
    assert (sifted.write, sifted.late) == ([0, 1, 2], [])


def test_an_expression_takes_no_longer_where_many_stand() -> None:
    standing = [_expression(1, will="consent", sender=f"S{n}", category="c1") for n in range(2_000)]

    def work(count: int) -> int:
        batch = [_expression(9, sender=f"S{n}") for n in range(count)]
        rows, digests = rows_of(batch), list(map(digest_of, batch))
        indexed = index.indexed(set(rows))
        return instructions(lambda: results.append(apply_order_rule(batch, rows, digests, indexed)))

    results: list[OrderRuleResult] = []
    index = OfflineIndex()
    _take(index, standing)
    assert (work(101) - work(1)) / 100 < 1_000
    assert [len(one.too_many) for one in results] == [101, 1]
