"""Numbers: only a whole E.164 text is one, and no mask shows more than it may."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bloom.number import MSISDN_END, MSISDN_MIN, SUBSCRIBER_PATTERN, Msisdn, masked, parse, to_text

numbers = st.integers(MSISDN_MIN, MSISDN_END - 1).map(Msisdn)


@given(numbers)
def test_text_and_number_are_inverse(number: Msisdn) -> None:
    assert re.fullmatch(SUBSCRIBER_PATTERN, to_text(number))
    assert parse(to_text(number)) == number


@given(st.text() | st.text(alphabet="+0123456789_ \n٣３", max_size=18))
def test_a_text_is_a_number_exactly_if_the_pattern_matches_all_of_it(text: str) -> None:
    number = parse(text)
    if number is None:
        assert not re.fullmatch(SUBSCRIBER_PATTERN, text)
    else:
        assert to_text(number) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "13800138000",
        "+0138001380",
        "+123456",
        "+1234567890123456",
        "+8613800138000\n",
        " +8613800138000",
        "+86_13800138000",
        "++8613800138000",
        "-8613800138000",
        "+8613800138００0",
        "+٨٦١٣٨٠٠١٣٨٠٠٠",
        "1069012345",
        "*",
    ],
)
def test_what_only_resembles_a_number_is_none(text: str) -> None:
    assert parse(text) is None


def test_a_mask_shows_country_operator_and_the_last_four() -> None:
    assert masked("+8613800138000") == "+86138****8000"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("137 777 666 65", "13777****65"),
        ("+86-137-7776-6665", "+86137****6665"),
        ("(137)7776.6665", "13777****65"),
        ("137\u200b7776\u200b6665", "13777****65"),
        ("1'377'7766665", "13777****65"),
        ("１３７７７７６６６６５", "１３７７７****６５"),
    ],
)
def test_a_mask_counts_no_separator_among_what_it_leaves_out(text: str, shown: str) -> None:
    assert masked(text) == shown


@given(st.text(max_size=256))
@example("")
@example("+8613800")
def test_a_mask_shows_at_most_six_and_four_characters_and_leaves_out_at_least_four(text: str) -> None:
    head, tail = masked(text).split("****")
    text = "".join(c for c in text if c.isalnum() or c == "+")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) <= 6
    assert len(tail) <= 4
    assert len(head) + len(tail) <= max(0, len(text) - 4)
