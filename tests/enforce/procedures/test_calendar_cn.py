"""Working days as China counts them, against the official calendar of 2026 and a model that counts day by day."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.procedures.calendar_cn import CalendarError, WorkingDays, midnight, ordinal_of, read_years
from tests.enforce.procedures.world import CALENDAR, at, shown

MOMENTS = st.integers(at("2024-01-01 00:00"), at("2031-12-31 23:59"))


def counted(now: int, days: int) -> date:
    day = date.fromordinal(ordinal_of(now))
    while days:
        day += timedelta(days=1)
        days -= CALENDAR.is_working(day)
    return day


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-09-19", False),  # a Saturday
        ("2026-09-20", True),  # a Sunday that is worked for the National Day
        ("2026-09-25", False),  # Mid-Autumn, a Friday
        ("2026-09-30", True),
        ("2026-10-01", False),
        ("2026-10-07", False),
        ("2026-10-08", True),
        ("2026-10-10", True),  # a Saturday that is worked
        ("2026-10-11", False),
    ],
)
def test_the_national_day_of_2026_is_counted_as_announced(day: str, works: bool) -> None:  # noqa: FBT001
    assert CALENDAR.is_working(date.fromisoformat(day)) is works


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-09-18 10:00", 1, "2026-09-21 00:00"),  # the Sunday is worked, and ends at its midnight
        ("2026-09-18 10:00", 3, "2026-09-23 00:00"),
        ("2026-09-18 10:00", 15, "2026-10-16 00:00"),
        ("2026-09-30 23:59", 1, "2026-10-09 00:00"),
        ("2026-10-03 12:00", 3, "2026-10-11 00:00"),  # 8, 9, and the worked Saturday
    ],
)
def test_a_term_over_the_national_day_ends_where_an_office_would_say(start: str, days: int, end: str) -> None:
    due = CALENDAR.after(at(start), days)
    assert shown(due.at) == end
    assert due.known


@given(MOMENTS, st.integers(1, 40))
def test_a_term_ends_with_its_last_working_day(now: int, days: int) -> None:
    due = CALENDAR.after(now, days)
    assert due.day == counted(now, days)
    assert due.at == midnight(due.day.toordinal() + 1)
    assert due.at > now


@given(MOMENTS, st.integers(2, 40))
def test_a_warning_lies_within_the_term_as_many_working_days_before_its_end(now: int, days: int) -> None:
    due = CALENDAR.after(now, days)
    warned = CALENDAR.before(due.at, days - 1)
    assert warned > now
    assert sum(
        CALENDAR.is_working(date.fromordinal(n)) for n in range(ordinal_of(warned) + 1, due.day.toordinal() + 1)
    ) == (days - 1)


@given(MOMENTS)
def test_days_are_those_of_shanghai(now: int) -> None:
    assert date.fromordinal(ordinal_of(now)) == datetime.fromtimestamp(now / 1000, ZoneInfo("Asia/Shanghai")).date()


def test_a_year_that_nobody_announced_has_its_statutory_days_and_says_that_the_rest_is_unknown() -> None:
    due = CALENDAR.after(at("2026-12-30 09:00"), 3)
    assert (due.day, due.known) == (date(2027, 1, 5), False), "New Year's Day is a Friday, whoever announces what"
    assert CALENDAR.after(at("2026-12-28 09:00"), 3).known
    assert not CALENDAR.knows(2027)


@pytest.mark.parametrize(
    ("year", "lunar"),
    [
        (2027, ["02-05", "02-06", "02-07", "02-08", "04-05", "06-09", "09-15"]),
        (2028, ["01-25", "01-26", "01-27", "01-28", "04-04", "05-28", "10-03"]),
        (2033, ["01-30", "01-31", "02-01", "02-02", "04-04", "06-01", "09-08"]),
    ],
)
def test_the_statutory_days_are_thirteen_and_no_others_are_off(year: int, lunar: list[str]) -> None:
    solar = ["01-01", "05-01", "05-02", "10-01", "10-02", "10-03"]
    off = {date.fromisoformat(f"{year}-{day}") for day in (*solar, *lunar)}
    for ordinal in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1):
        day = date.fromordinal(ordinal)
        assert CALENDAR.is_working(day) == (day.weekday() < 5 and day not in off), day


def test_a_calendar_file_teaches_a_year_and_overrides_a_known_one() -> None:
    text = """
        [[years]]
        year = 2027
        holidays = [2027-01-01]
        workdays = [2027-01-03]
        [[years]]
        year = 2026
        holidays = []
    """
    taught = WorkingDays(read_years(text, source="calendar.toml"))
    assert taught.after(at("2026-12-31 09:00"), 1) == (date(2027, 1, 3), at("2027-01-04 00:00"), True)
    assert taught.is_working(date(2026, 10, 5))
    assert not taught.is_working(date(2026, 10, 1)), "off by law, whatever the file forgets"
    assert not taught.is_working(date(2026, 9, 20))
    assert taught.is_working(date(2025, 9, 28)) == CALENDAR.is_working(date(2025, 9, 28))


def test_a_calendar_file_that_forgets_a_statutory_day_does_not_make_it_a_working_day() -> None:
    forgetful = WorkingDays(read_years("[[years]]\nyear = 2027\nholidays = []\n", source="c.toml"))
    assert forgetful.knows(2027)
    assert not forgetful.is_working(date(2027, 1, 1)), "a Friday, off by law"
    worked = "[[years]]\nyear = 2027\nholidays = []\nworkdays = [2027-01-01]\n"
    assert WorkingDays(read_years(worked, source="c.toml")).is_working(date(2027, 1, 1)), "where it says so"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[years]]", "year"),
        ("years = 1", "years: Expected a list, got `int`"),
        ("[[years]]\nyear = 2027\nholidays = ['1.1.']", "years[0].holidays[0]: not a date: write it as 2027-01-31"),
        ("[[years]]\nyear = 2027\nholidays = [1]", "years[0].holidays[0]: Expected a date such as 2027-01-31"),
        ("years = " + "[" * 100_000, "not TOML"),
        ("years = " + "1" * 5_000, "not TOML"),
        ("[[years]", "line 1"),
        ("[[years]]\nyear = 2027\nholidays = [2026-01-01]", "2026-01-01 is of another year"),
        ("[[years]]\nyear = 2099\nholidays = []", "only 2004 to 2060"),
        ("[[years]]\nyear = 2027\nholidays = []\n[[years]]\nyear = 2027\nholidays = []", "stands twice"),
        (
            "[[years]]\nyear = 2027\nholidays = [2027-01-04]\nworkdays = [2027-01-04]",
            "both a holiday and a working day",
        ),
        ("[[years]]\nyear = 2027\nholiday = []", "holiday"),
    ],
)
def test_a_bad_calendar_file_is_refused_with_its_place_and_the_mend(text: str, says: str) -> None:
    with pytest.raises(CalendarError, match=r"^calendar\.toml: ") as error:
        read_years(text, source="calendar.toml")
    assert says in str(error.value)


def test_far_years_are_guessed_and_never_crash() -> None:
    assert CALENDAR.is_working(date(2099, 1, 1))
    assert not CALENDAR.is_working(date(2099, 1, 3))
