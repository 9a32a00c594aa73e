"""Texts read together are read as they are alone."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.policy.characters import END, PLANE, characters, codes_of, text_of
from stream.policy.reading import READINGS_MAX, REMEMBERED_CHARACTERS_MAX, TOGETHER_MIN, Reader
from stream.policy.text import Prohibited, fold, strip

TERMS = ("赌场", "dǔ", "ab", "ﬁn", "Σας", "가")
# What is folded by what stands around it, what folds to several characters or none, and what separates.
AWKWARD = "ΣσςϹİıßẞŉﬁ㍿㈱①Ⅷ가각ᄀ\u1161\u11a8e\u0301\u0323\u00adÅ\u212b゙が〜ｶﾞ\u200d\ufe0f👍🏽\U0002f81a\x1e\x00"
pieces = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=4), st.sampled_from((*AWKWARD, *TERMS, "赌 场", "馬", "Ａ"))
)
texts = st.lists(pieces, max_size=6).map("".join)


def reader() -> Reader:
    return Reader(prohibited=Prohibited(TERMS), opt_out=re.compile("退订|t$"))


@given(st.lists(texts, min_size=TOGETHER_MIN, max_size=30))
def test_a_text_is_read_ahead_as_it_is_read_alone(batch: list[str]) -> None:
    together, alone = reader(), reader()
    together.read_ahead(batch)
    for text in batch:
        ahead, later = together.read(text), alone.read(text)
        assert (ahead.folded, ahead.prohibited, ahead.opt_out) == (later.folded, later.prohibited, later.opt_out)


def test_ordinary_texts_are_read_together_and_odd_ones_left() -> None:
    some = reader()
    ordinary = [f"【某行】{number} 元，拒收回Ｔ" for number in range(TOGETHER_MIN)]
    some.read_ahead([*ordinary, "e\u0301", "x" * (REMEMBERED_CHARACTERS_MAX + 1)])
    assert set(some._readings) == set(ordinary)


def test_a_text_with_the_separator_spoils_nothing() -> None:
    some = reader()
    some.read_ahead([f"{number} 赌{END}场" for number in range(TOGETHER_MIN)])
    assert some._readings == {}
    assert some.read(f"赌{END}场").prohibited


def test_a_term_is_not_found_across_two_texts() -> None:
    some = reader()
    batch = [f"{number}场 ... {number}赌" for number in range(TOGETHER_MIN)]
    some.read_ahead(batch)
    assert not any(some.read(text).prohibited for text in batch)


def test_no_more_is_remembered_than_the_limit() -> None:
    some = reader()
    for begin in range(0, 3 * READINGS_MAX, READINGS_MAX // 3):
        some.read_ahead(str(number) for number in range(begin, begin + READINGS_MAX // 3))
        assert len(some._readings) <= READINGS_MAX


@pytest.mark.parametrize(("before", "after"), [("α", ""), ("가", "한"), ("e\u0301が", "Αa")])
def test_every_lone_character_folds_alone_whatever_stands_around_it(before: str, after: str) -> None:
    table = characters()
    lone = [chr(int(code)) for code in np.flatnonzero(table.lone)]
    for character in lone:
        alone = text_of(table.folded[codes_of(character)])
        assert fold(before + character + after) == fold(before) + alone + fold(after), hex(ord(character))
        assert bool(table.kept[ord(character)]) == bool(strip(character)) or character == END
    assert PLANE // 2 < len(lone) < PLANE, "most characters, and not all"
