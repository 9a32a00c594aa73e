"""The base and the changes over it say of every number what the wills say."""

from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bloom.base
from bloom.base import Base, BasedWills, BaseError
from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn, to_text
from bloom.partition import partition_of
from bloom.partitioned import HeldPartitions
from bloom.wills import CHANNELS, EVERYTHING, ExpressionColumns, ExpressionRow, Scope
from tests.deciding.twins import needs_native

pytestmark = needs_native

NUMBERS = [Msisdn(8613800000000 + step) for step in (0, 1, 2, 255, 256, 65_535, 65_536, 10**9)]
PARTITIONS = 3
SENDERS, CATEGORIES = ("A", "B"), ("finance", "travel")

scopes = st.builds(Scope, st.sampled_from((None, *SENDERS)), st.sampled_from((None, *CATEGORIES)))
against = st.builds(
    lambda number, channel, verb, scope: ExpressionRow(number, channel, verb, *scope),
    st.sampled_from(NUMBERS),
    st.sampled_from(CHANNELS),
    st.sampled_from(("refuse", "lift")),
    scopes,
)
consents = st.builds(
    ExpressionRow,
    st.sampled_from(NUMBERS),
    st.sampled_from(CHANNELS),
    st.just("consent"),
    st.sampled_from(SENDERS),
    st.sampled_from(CATEGORIES),
)
histories = st.lists(st.one_of(against, consents), max_size=30)


@given(histories, histories, st.sampled_from(("plain", "layered")))
def test_a_base_and_its_changes_answer_as_the_wills_do(
    before: list[ExpressionRow], after: list[ExpressionRow], form: str
) -> None:
    plain = Wills()
    plain.apply(before)
    wills = plain if form == "plain" else Overlay(plain)
    based = BasedWills.following(wills)
    for expression in after:
        wills.apply([expression])
    _agree(based, wills, NUMBERS)


def _agree(based: BasedWills, wills: Wills | Overlay, numbers: list[Msisdn]) -> None:
    for asked in product(CHANNELS, numbers, (None, *SENDERS, "C"), (*CATEGORIES, "other")):
        assert based.stance(*asked) == wills.stance(*asked), asked


def _partition(number: Msisdn, partitions: int = PARTITIONS) -> int:
    return partition_of(to_text(number), partitions)


class Drop(NamedTuple):
    partition: int


class Hold(NamedTuple):
    partition: int
    before: list[ExpressionRow]


Fold = Literal["begin", "end"]

partitions = st.integers(0, PARTITIONS - 1)
folds: st.SearchStrategy[Fold] = st.sampled_from(("begin", "end"))
acts = st.one_of(against, consents, st.builds(Drop, partitions), st.builds(Hold, partitions, histories), folds)


@given(st.lists(acts, max_size=60))
def test_partitions_that_come_and_go_answer_as_the_wills_do_whenever_their_changes_are_folded(
    history: list[ExpressionRow | Drop | Hold | Fold],
) -> None:
    held, folding = HeldPartitions(PARTITIONS), None
    based = held.follow()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bloom.base, "CHANGED_MIN", 1)
        for act in history:
            match act:
                case "begin":
                    folding = folding or based.begin_fold(settled=True)
                case "end":
                    if folding is not None:
                        based.end_fold(folding, folding.base())
                    folding = None
                case Drop(partition):
                    _drop(held, partition)
                case Hold(partition, before):
                    _hold(held, partition, before)
                case ExpressionRow():
                    held.store.apply([act] * (_partition(act.number) in held.numbers()))
            _agree(based, held.store, [number for number in NUMBERS if _partition(number) in held.numbers()])


def _drop(held: HeldPartitions, partition: int) -> None:
    if partition in held.numbers():
        held.drop(partition)
        for _ in held.sweep():
            pass


def _hold(held: HeldPartitions, partition: int, before: list[ExpressionRow]) -> None:
    if partition not in held.numbers():
        wills = Wills()
        wills.apply([word for word in before if _partition(word.number, held.partitions) == partition])
        held.hold(partition, wills)


of_one = histories.map(lambda words: [word._replace(number=NUMBERS[0], channel="sms") for word in words])


@given(of_one, of_one, of_one, of_one)
def test_what_a_number_said_before_and_after_its_changes_were_set_aside_stays_said(
    before: list[ExpressionRow], early: list[ExpressionRow], late: list[ExpressionRow], after: list[ExpressionRow]
) -> None:
    held = HeldPartitions(1)
    based = held.follow()
    _hold(held, 0, before)
    held.store.apply(early)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bloom.base, "CHANGED_MIN", 0)
        folding = based.begin_fold(settled=False)
    assert folding is not None
    held.store.apply(late)
    _agree(based, held.store, NUMBERS[:1])
    based.end_fold(folding, folding.base())
    _agree(based, held.store, NUMBERS[:1])
    held.store.apply(after)
    _agree(based, held.store, NUMBERS[:1])


def _refusals(numbers: list[Msisdn]) -> list[ExpressionRow]:
    return [ExpressionRow(number, "sms", "refuse", None, None) for number in numbers]


def test_changes_are_folded_when_they_have_grown_and_what_comes_meanwhile_lies_over_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bloom.base, "CHANGED_MIN", 1_000)
    held = HeldPartitions(1)
    based = held.follow()
    held.hold(0, Wills())
    numbers = [Msisdn(8613800000000 + step) for step in range(10_000)]
    held.store.apply(_refusals(numbers[:999]))
    assert based.begin_fold(settled=True) is None
    held.store.apply(_refusals(numbers[999:]))
    folding = based.begin_fold(settled=False)
    assert folding is not None
    held.store.apply([ExpressionRow(number, "sms", "lift", None, None) for number in numbers[:1_100]])
    base = folding.base()
    assert base.numbers_count == len(numbers)
    based.end_fold(folding, base)
    _agree(based, held.store, numbers[::500])
    assert based.changed_count == 1_100
    assert based.begin_fold(settled=True) is None, "an eighth of the base has not changed"


def test_partitions_that_came_and_went_are_folded_into_one_base_once_all_is_settled() -> None:
    numbers = [Msisdn(8613800000000 + step) for step in range(3_000)]
    others = [number for number in numbers if _partition(number) != 1]
    held = HeldPartitions(PARTITIONS)
    based = held.follow()

    def fold(refusing: list[Msisdn]) -> None:
        assert based.begin_fold(settled=False) is None
        folding = based.begin_fold(settled=True)
        assert folding is not None
        base = folding.base()
        based.end_fold(folding, base)
        assert base.numbers_count == len(refusing)
        assert based.begin_fold(settled=True) is None
        _agree(based, held.store, [number for number in numbers[::100] if _partition(number) in held.numbers()])

    for partition in range(PARTITIONS):
        _hold(held, partition, _refusals(numbers))
    fold(numbers)
    _drop(held, 1)
    _hold(held, 1, _refusals(numbers[:50]))
    fold([number for number in numbers if number in {*others, *numbers[:50]}])
    _drop(held, 1)
    fold(others)


def test_a_partition_that_is_dropped_while_it_is_folded_does_not_come_back_with_the_base(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bloom.base, "CHANGED_MIN", 1)
    held = HeldPartitions(1)
    based = held.follow()
    held.hold(0, Wills())
    held.store.apply(_refusals(NUMBERS[:1]))
    folding = based.begin_fold(settled=True)
    assert folding is not None
    _drop(held, 0)
    base = folding.base()
    based.end_fold(folding, base)
    with pytest.raises(LookupError):
        based.stance("sms", NUMBERS[0], "A", "finance")
    _hold(held, 0, [])
    based.end_fold(folding, base)
    assert based.stance("sms", NUMBERS[0], "A", "finance") == "silent"


def dense(seed: int) -> Wills:
    """Numbers of many densities, in several hundred blocks."""
    draw = np.random.default_rng(seed)
    arrays = []
    for place, (channel, kind, scope) in enumerate(
        (
            ("sms", "refusal", EVERYTHING),
            ("call", "refusal", EVERYTHING),
            ("sms", "refusal", Scope(None, "finance")),
            ("sms", "consent", Scope("A", "finance")),
            ("call", "consent", Scope("A", "travel")),
        )
    ):
        numbers = draw.integers(8613800000000, 8613800000000 + 10 ** (6 + place % 3), 200_000, dtype=np.uint64)
        arrays.append((channel, kind, scope, np.unique(numbers)))
    return Wills.of_arrays(arrays)  # type: ignore[arg-type]  # the literals are the channels and kinds


def test_a_base_of_a_million_numbers_is_right_about_each_and_about_others() -> None:
    wills = dense(1)
    based = BasedWills(Base.of(wills))
    held = np.unique(np.concatenate([np.fromiter(entry.bitmap, dtype=np.uint64) for entry in wills.scopes()]))
    draw = np.random.default_rng(2)
    asked = [*draw.choice(held, 5_000).tolist(), *draw.integers(8613800000000, 8613810000000, 5_000).tolist()]
    for number in map(Msisdn, asked):
        for channel, category in (("sms", "finance"), ("call", "travel")):
            assert based.stance(channel, number, "A", category) == wills.stance(channel, number, "A", category)  # type: ignore[arg-type]


def test_a_base_that_was_written_is_mapped_again(tmp_path: Path) -> None:
    wills, path = dense(3), tmp_path / "base"
    base = Base.of(wills)
    base.write(path)
    mapped = Base.mapped(path)
    assert (mapped.numbers_count, mapped.bytes_count) == (base.numbers_count, base.bytes_count)
    assert path.stat().st_mode & 0o077 == 0, "it holds subscribers' numbers"
    based = BasedWills(mapped)
    for entry in wills.scopes():
        asked = entry.channel, Msisdn(entry.bitmap[0]), "A", "finance"
        assert based.stance(*asked) == wills.stance(*asked)


def test_a_base_is_kept_until_it_is_of_something_else(tmp_path: Path) -> None:
    wills, path = dense(5), tmp_path / "base"
    origin, other = bytes(32), b"o" * 32
    made = Base.kept(path, wills, origin=origin)
    written = path.stat().st_mtime_ns
    assert Base.kept(path, Wills(), origin=origin).numbers_count == made.numbers_count
    assert path.stat().st_mtime_ns == written
    assert Base.kept(path, Wills(), origin=other).numbers_count == 0
    path.write_bytes(b"rubbish")
    assert Base.kept(path, wills, origin=origin).numbers_count == made.numbers_count
    assert Base.kept(tmp_path / "none" / "base", wills, origin=origin).numbers_count == made.numbers_count


def test_a_damaged_base_is_refused_with_the_mend(tmp_path: Path) -> None:
    path = tmp_path / "base"
    Base.of(dense(4)).write(path)
    whole = path.read_bytes()
    for at in (0, 9, 20, 130, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(BaseError, match=r"delete it, and it is recreated"):
            Base.mapped(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(BaseError, match="lengths"):
        Base.mapped(path)
    with pytest.raises(BaseError):
        Base.mapped(tmp_path / "none")


def test_whom_events_name_makes_no_scope_and_a_scope_that_comes_to_be_held_is_seen() -> None:
    wills = Wills()
    based = BasedWills.following(wills)
    before = len(based._scopes)
    for number in range(1_000):
        based.probe("sms", f"STRANGER-{number}", "finance")
    assert len(based._scopes) == before
    assert based.missed_made_count == 0
    number = Msisdn(8613800138000)
    wills.apply_columns(ExpressionColumns.of([ExpressionRow(number, "sms", "consent", "STRANGER-7", "finance")]))
    assert based.missed_made_count > 0, "whoever keeps probes must drop them"
    assert based.stance("sms", number, "STRANGER-7", "finance") == "consented"
    based.forget_missed()
    assert not based._missed
