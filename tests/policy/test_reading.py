"""Texts read together are read as they are alone."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.policy.characters import END, PLANE, characters, codes_of, text_of
from stream.policy.patterns import compile_linear
from stream.policy.reading import (
    READINGS_CHARACTERS_MAX,
    READINGS_MAX,
    REMEMBERED_CHARACTERS_MAX,
    TOGETHER_MIN,
    TextReader,
)
from stream.policy.text import ProhibitedTerms, fold, strip
from tests.policy import model_texts

TERMS = ("赌场", "dǔ", "ab", "ﬁn", "Σας", "가", "a", "64", "6贷", "b-6")
# What is folded by what stands around it, what folds to several characters or none, and what separates.
AWKWARD = "ΣσςϹİıßẞŉﬁ㍿㈱①Ⅷ가각ᄀ\u1161\u11a8e\u0301\u0323\u00adÅ\u212b゙が〜ｶﾞ\u200d\ufe0f👍🏽\U0002f81a\x1e\x00"
MANY_MARKS = tuple(
    mark * count for mark in ("\u0301", "\ufe0f", "\u0903", "\uff9e", "\u0301\uff9e") for count in (30, 31, 40)
)
pieces = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=4),
    st.sampled_from((*AWKWARD, *MANY_MARKS, *TERMS, "赌 场", "馬", "Ａ")),
)
latin = st.lists(st.sampled_from((*"ab64", "ab", *" .,。、é", "  ", "赌", "场")), max_size=12).map("".join)
texts = st.one_of(st.lists(pieces, max_size=6).map("".join), latin)


def reader() -> TextReader:
    return TextReader(prohibited=ProhibitedTerms(TERMS), opt_out=compile_linear("退订|t$"))


@given(st.lists(texts, min_size=TOGETHER_MIN, max_size=30))
def test_a_text_is_read_ahead_as_it_is_read_alone(batch: list[str]) -> None:
    together, alone = reader(), reader()
    together.read_ahead(batch)
    for text in batch:
        ahead, later = together.read(text), alone.read(text)
        assert (ahead.folded, ahead.prohibited, ahead.opt_out) == (later.folded, later.prohibited, later.opt_out)


@given(st.lists(texts, min_size=TOGETHER_MIN, max_size=30))
def test_texts_are_read_as_the_design_says(batch: list[str]) -> None:
    some = reader()
    some.read_ahead(batch)
    for text in batch:
        assert some.read(text).folded == model_texts.folded(text)
        assert some.read(text).prohibited == model_texts.prohibited(text, TERMS)


@given(latin, st.lists(latin, min_size=1, max_size=4))
def test_a_term_of_latin_letters_and_digits_counts_as_a_word_of_its_own(text: str, terms: list[str]) -> None:
    named = [term for term in terms if strip(fold(term))]
    assert (ProhibitedTerms(terms).found(fold(text)) is not None) == model_texts.prohibited(text, named)


@pytest.mark.parametrize("text", ["AV资源", "看a.v。", "a v", "a-v", "【AV】", "9、av"])
def test_a_word_is_found_whatever_single_character_is_put_between_its_letters(text: str) -> None:
    assert ProhibitedTerms(["av"]).found(fold(text)) == "av"


@pytest.mark.parametrize("text", ["have", "A,V领", "a--v", "av1", "1av", "a一v", "á v", "a..v", "ａｖｅ"])
def test_a_word_is_not_found_within_another_nor_across_a_comma_or_a_gap(text: str) -> None:
    assert ProhibitedTerms(["av"]).found(fold(text)) is None


def test_a_number_is_found_in_one_piece_alone() -> None:
    some = ProhibitedTerms(["64", "6贷"])
    assert [some.found(text) for text in ("64年", "6.4", "164", "6 4", "6. 贷")] == ["64", None, None, None, "6贷"]


@pytest.mark.parametrize("piece", ["a", "a ", "ab", "a,", "6.", "a--"])
def test_to_look_for_words_takes_no_longer_than_the_text_is_long(piece: str) -> None:
    some = ProhibitedTerms(["a" * count + "b" for count in range(1, 64)])

    def took(characters: int) -> float:
        text = piece * (characters // len(piece))
        began = time.process_time()
        some.found(text)
        return time.process_time() - began

    assert took(320_000) < 40 * max(took(40_000), 0.001), "eight times the length would be sixty-four times the work"


def test_a_number_goes_on_into_a_word() -> None:
    assert ProhibitedTerms(["64", "64a"]).found("6.4.a") == "64a"


def test_a_term_that_overlaps_a_word_is_still_found() -> None:
    assert ProhibitedTerms(["av", "av女", "ve"]).found("have ve") == "ve"
    assert ProhibitedTerms(["av", "xav女"]).found("xav女") == "xav女"


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


def test_what_is_remembered_is_bounded_in_characters_whatever_texts_become() -> None:
    """U+FDFA becomes eighteen characters: four thousand texts of a thousand took 300 MiB."""
    some = reader()
    for number in range(200):
        some.read(f"{number}" + "\ufdfa" * 1_000)
    held = sum(len(text) + len(reading.folded) for text, reading in some._readings.items())
    assert held == some._characters_kept
    assert held <= READINGS_CHARACTERS_MAX + 19 * REMEMBERED_CHARACTERS_MAX
