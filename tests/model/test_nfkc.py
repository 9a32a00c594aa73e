"""NFKC of bounded marks: what the standard makes of the text, in linear time, whoever wrote it."""

import re
import sys
import time
from pathlib import Path
from unicodedata import category, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from stream.model import nfkc as module
from stream.model.fields import digits_of, has_letter_or_number
from stream.model.limits import TEXT
from stream.model.nfkc import bounded, is_bounded, nfkc
from tests.policy.model_texts import few_marks

MARKS = "\u0301\u0327\u3099\u0344\u0f73\u20e3\ufe0f\U0001d165\U000e0100"
runs = st.builds(
    str.__mul__, st.sampled_from((*MARKS, "\uff9e", "\uff9f", *"a가か한\u1161\u11a8ﷺ\U0001f469")), st.integers(1, 40)
)


@given(st.lists(runs, max_size=8).map("".join))
def test_of_a_run_of_marks_thirty_are_read_and_the_rest_is_as_the_standard_says(text: str) -> None:
    assert nfkc(text) == normalize("NFKC", few_marks(text))
    assert bounded(text) == text or not is_bounded(text)


@pytest.mark.parametrize("text", ["", "a", "退订" * 40, "क्षेत्र" * 40, "é" * 100, "\u0301" * 30, "🏳️‍🌈" * 40])
def test_what_people_write_is_bounded_already(text: str) -> None:
    assert bounded(text) == text


def test_every_mark_is_known() -> None:
    marks = {character for character in map(chr, range(sys.maxunicode + 1)) if category(character)[0] == "M"}
    assert set(module._MARKS) == marks


# NFKC alone takes 1.4 s for each, and four times that for twice the length.
@pytest.mark.parametrize(
    "text", ["a" + "\u0301\u0327" * 20_000, "\u0301\uff9e" * 20_000, "\uff9e\u0323\uff9f\u0301" * 10_000]
)
def test_a_text_made_to_be_slow_takes_no_longer_than_it_is_long(text: str) -> None:
    def took(text: str) -> float:
        began = time.process_time()
        nfkc(text)
        return time.process_time() - began

    assert len(text) <= TEXT.most + 1
    assert took(text * 8) < 40 * max(took(text), 0.001), "eight times the length would be sixty-four times the work"


def test_contacts_and_terms_are_read_so_too() -> None:
    assert digits_of("９" + "\u0301" * 40_000 + "5588") == "95588"
    assert not has_letter_or_number("\u0301\uff9e" * 20_000)


def test_nobody_else_normalizes_what_strangers_write() -> None:
    """A header of a table did: one of 32,000 marks took half a minute."""
    source = Path(stream.__file__).parent
    by = {path.name for path in source.rglob("*.py") if re.search(r"\bnormalize\(", path.read_text(encoding="utf-8"))}
    assert by == {"nfkc.py", "text.py", "characters.py", "hiding.py", "links.py"}, "the last three by letters"
