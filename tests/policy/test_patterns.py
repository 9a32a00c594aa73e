"""Patterns of a policy run on what strangers write, so whatever the pattern, the work is linear in the text."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from stream.policy.patterns import OPT_OUT, PROGRAM_MAX, PatternError, compile_linear
from tests.policy import model_texts


def test_a_pattern_is_found_in_a_text_and_matches_a_whole_one() -> None:
    pattern = compile_linear(r"退订|回[复覆]?(td|t)([^a-z0-9]|$)")
    assert [pattern.search(text) for text in ("拒绝请回复td。", "退订", "回复tds")] == [True, True, False]
    assert [pattern.fullmatch(text) for text in ("回复td", "请回复td")] == [True, False]


@given(st.lists(st.sampled_from((*"退订拒收回复覆tdrn9x \n_。", "é", "\u0301", "t。")), max_size=12).map("".join))
def test_the_hint_how_to_refuse_is_found_by_either_engine(text: str) -> None:
    assert compile_linear(OPT_OUT).search(text) == (re2.search(OPT_OUT, text) is not None)
    assert compile_linear(OPT_OUT).search(text) == (model_texts.OPT_OUT.search(text) is not None)


def test_of_several_patterns_the_first_that_matches_the_whole_text_is_told() -> None:
    kinds = compile_linear("11[0-9]", "1[0-9]{2,4}", r"\+[1-9][0-9]{6,14}")
    assert [kinds.first(text) for text in ("110", "12345", "+8613800138000", "12", "")] == [0, 1, 2, None, None]


# Each takes the usual engine longer than anyone lives, on forty characters.
@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(a*)*b", r"(.*a){20}$", r"([a-z]+)*\d"])
def test_work_is_linear_however_the_pattern_is_written(pattern: str) -> None:
    assert not compile_linear(pattern).search("a" * 40_000 + "!")


def test_half_a_surrogate_pair_is_no_letter_and_ends_nothing() -> None:
    assert compile_linear(r"回[^\pL\pN]td").search("回\ud83dtd")
    assert not compile_linear(r"\pL").fullmatch("\udc00")


@pytest.mark.parametrize(
    ("pattern", "mend"),
    [
        ("t(?![a-z])", r"no look-around; write what may stand there as a part of the pattern"),
        ("t(?=x)", "no look-around"),
        ("(?<=x)t", "no look-around"),
        ("(?<!x)t", "no look-around"),
        (r"(a)\1", "no back references; write out what repeats itself"),
        ("(?P<a>a)(?P=a)", "no back references"),
        ("[", r"not a regular expression of RE2 .*missing \]"),
        ("\\Z", "not a regular expression of RE2"),
        ("\ud800", "not a regular expression of RE2"),
        (r"\pL{100}", f"more than {PROGRAM_MAX:,} instructions"),
        (r"(x|\pL\pN){300}", f"more than {PROGRAM_MAX:,} instructions"),
        (r"\pL{1000}", "too large"),
    ],
)
def test_a_pattern_that_the_engine_does_not_run_is_refused_with_the_mend(pattern: str, mend: str) -> None:
    with pytest.raises(PatternError, match=mend):
        compile_linear(pattern)
