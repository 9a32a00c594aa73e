"""The bounds of times, their text, and the moment with which a word counts (DESIGN sections 3 and 4)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.model.times import AHEAD_MAX_MS, TERM_MAX_MS, TIME_MIN_MS, counts_from, iso_time, read_time, time_problem

NOW = 1_795_500_000_000


@pytest.mark.parametrize("time", [TIME_MIN_MS, NOW, NOW + AHEAD_MAX_MS])
def test_a_time_between_2000_and_a_day_from_now_can_be_meant(time: int) -> None:
    assert time_problem(time, NOW) is None


@pytest.mark.parametrize(
    ("time", "mend"),
    [
        (1_793_491_200, "seconds: write milliseconds since the epoch, here 1793491200000"),
        (1_793_491_200_000_000, "microseconds: write milliseconds since the epoch, here 1793491200000"),
        (1_793_491_200_000_000_000, "nanoseconds"),
        (TIME_MIN_MS - 1, "before 2000"),
        (20_261_101, "before 2000"),
        (NOW + AHEAD_MAX_MS + 1, "more than a day from now"),
        ((1 << 53) - 1, "more than a day from now"),
        (1 << 80, "more than a day from now"),
        (-1, "before 2000"),
    ],
)
def test_any_other_is_told_with_the_mend(time: int, mend: str) -> None:
    assert mend in (time_problem(time, NOW) or "")


def test_orders_and_campaigns_may_begin_and_end_within_ten_years() -> None:
    assert time_problem(NOW + TERM_MAX_MS, NOW, ahead_max=TERM_MAX_MS) is None
    assert "ten" in (time_problem(NOW + TERM_MAX_MS + 1, NOW, ahead_max=TERM_MAX_MS) or "").replace("10 years", "ten")


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1795500000000", 1_795_500_000_000),
        ("2026-11-25T08:00:00+08:00", 1_795_564_800_000),
        ("2026-11-25T00:00:00Z", 1_795_564_800_000),
        ("20261125T000000Z", 1_795_564_800_000),
        ("9999-12-31T23:59:59.999-23:59", 253_402_387_139_999),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
    ],
)
def test_milliseconds_and_iso_8601_are_read(text: str, time: int) -> None:
    assert read_time(text) == time


@pytest.mark.parametrize(
    "text", ["20261101", "2026-11-01", "2026-11-01T08:00:00", "yesterday", "", "１７９5500000000", "9" * 5000]
)
def test_no_other_text_is_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="2026-11-25T08:00:00"):
        read_time(text)


@given(st.integers(-(1 << 70), 1 << 70))
def test_telling_a_moment_never_fails(time: int) -> None:
    assert iso_time(time)


def test_a_word_dated_ahead_counts_from_when_it_was_written() -> None:
    assert counts_from(NOW + 3_600_000, NOW) == NOW
    assert counts_from(NOW - 3_600_000, NOW) == NOW - 3_600_000
