"""The base and the changes over it say of every number what the wills say."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloom.base import Base, BasedWills, BaseError
from bloom.bitmaps import Overlay, Wills
from bloom.number import Msisdn
from bloom.wills import CHANNELS, EVERYTHING, Expression, Scope
from tests.native.twins import needs_native

pytestmark = needs_native

NUMBERS = [Msisdn(8613800000000 + step) for step in (0, 1, 2, 255, 256, 65_535, 65_536, 10**9)]
SENDERS, CATEGORIES = ("A", "B"), ("finance", "travel")

scopes = st.builds(Scope, st.sampled_from((None, *SENDERS)), st.sampled_from((None, *CATEGORIES)))
against = st.builds(
    lambda number, channel, verb, scope: Expression(number, channel, verb, *scope),
    st.sampled_from(NUMBERS),
    st.sampled_from(CHANNELS),
    st.sampled_from(("refuse", "lift")),
    scopes,
)
consents = st.builds(
    Expression,
    st.sampled_from(NUMBERS),
    st.sampled_from(CHANNELS),
    st.just("consent"),
    st.sampled_from(SENDERS),
    st.sampled_from(CATEGORIES),
)
histories = st.lists(st.one_of(against, consents), max_size=30)


@given(histories, histories, st.sampled_from(("plain", "layered")))
def test_a_base_and_its_changes_answer_as_the_wills_do(
    before: list[Expression], after: list[Expression], form: str
) -> None:
    plain = Wills()
    plain.apply(before)
    wills = plain if form == "plain" else Overlay(plain)
    based = BasedWills.following(wills)
    for expression in after:
        wills.apply([expression])
    for number in NUMBERS:
        for channel in CHANNELS:
            for sender in (None, *SENDERS, "C"):
                for category in (*CATEGORIES, "other"):
                    assert based.stance(channel, number, sender, category) == wills.stance(
                        channel, number, sender, category
                    )


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
        with pytest.raises(BaseError, match=r"delete it, and it is made anew"):
            Base.mapped(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(BaseError, match="lengths"):
        Base.mapped(path)
    with pytest.raises(BaseError):
        Base.mapped(tmp_path / "none")
