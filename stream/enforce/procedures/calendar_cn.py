"""Working days as China counts them: public holidays off, make-up days worked (REGULATION.md, last section).

The package `chinesecalendar` knows the years whose official notice was out when it was made; a calendar file
adds or overrides whole years. Of a year that neither knows the thirteen statutory days are off (the State Council's
Decree 795, since 2025; the lunar ones as the package `holidays` reckons them), and the rest counts Monday to Friday:
which days are made up for, and when, is announced only in the autumn before. Every answer that rests on such a year
says so (`known` is False), so that callers can warn.

Days are those of Shanghai.
"""

import tomllib
from bisect import bisect_right
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

import chinese_calendar
import msgspec
from holidays import country_holidays

from stream.model.schema_fault import schema_fault
from stream.model.times import DAY_MS, SHANGHAI_MS, day_of

YEAR_FIRST: Final = 2004
"""The first year that the package knows; no case is older."""
YEAR_LAST: Final = 2060
"""A limit on what is precomputed; far beyond any term that starts now."""

_EPOCH: Final = date(1970, 1, 1).toordinal()

SATURDAY: Final = 5


class CalendarError(Exception):
    """A calendar file that cannot be used: what is wrong, where, and the mend."""


class CalendarYear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One year of the file: weekdays that are off, and weekend days that are worked.

    It replaces the package's. The statutory days are off by law, whether it names them or not; only as `workdays` they
    are not.
    """

    year: int
    holidays: tuple[date, ...]
    workdays: tuple[date, ...] = ()
    source: str | None = None


class CalendarFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: `[[years]]`, each with `year`, `holidays`, `workdays` and, for the reader, `source`."""

    years: tuple[CalendarYear, ...]


class Due(NamedTuple):
    """When a term ends."""

    day: date
    """its last working day"""
    at: int
    """the midnight in Shanghai that ends that day, in milliseconds; in time means before it"""
    known: bool
    """whether the official calendar of every year that the term touches was known"""


def read_years(text: str, *, source: str) -> tuple[CalendarYear, ...]:
    """The years of a calendar file. Raises `CalendarError`."""
    try:
        file = msgspec.convert(tomllib.loads(text), CalendarFile)
    except (ValueError, RecursionError) as error:  # msgspec's, and tomllib's, which are not all its own
        fault = (
            schema_fault(error, CalendarFile) if isinstance(error, msgspec.ValidationError) else f"not TOML: {error}"
        )
        raise CalendarError(f"{source}: {fault}; see docs/procedures.md for the form of a year") from error
    seen = set[int]()
    for year in file.years:
        where = f"{source}: year {year.year}"
        if not YEAR_FIRST <= year.year <= YEAR_LAST:
            raise CalendarError(f"{where}: only {YEAR_FIRST} to {YEAR_LAST} can be given")
        if year.year in seen:
            raise CalendarError(f"{where} stands twice: keep one")
        seen.add(year.year)
        for day in (*year.holidays, *year.workdays):
            if day.year != year.year:
                raise CalendarError(f"{where}: {day} is of another year: move it there")
        if both := set(year.holidays) & set(year.workdays):
            raise CalendarError(f"{where}: {min(both)} is both a holiday and a working day: keep one")
    return file.years


class WorkingDays:
    """The working days from 2004 to 2060, laid out once, so that adding any number of them is one
    bisection.
    """

    def __init__(self, years: Iterable[CalendarYear] = ()) -> None:
        given = {year.year: year for year in years}
        self._known = frozenset(year for year in range(YEAR_FIRST, YEAR_LAST + 1) if year in given or _packaged(year))
        unknown = set(range(YEAR_FIRST, YEAR_LAST + 1)) - self._known
        by_law = country_holidays("CN", years=unknown | given.keys(), observed=False, expand=False)
        statutory = frozenset(by_law).difference(*(year.workdays for year in given.values()))
        self._days = [
            day.toordinal()
            for year in range(YEAR_FIRST, YEAR_LAST + 1)
            for day in _days_of(year)
            if _is_working(day, given.get(year), packaged=year in self._known) and day not in statutory
        ]
        self._set = frozenset(self._days)

    def is_working(self, day: date) -> bool:
        """Whether people work on this day. Beyond the precomputed years: Monday to Friday."""
        if YEAR_FIRST <= day.year <= YEAR_LAST:
            return day.toordinal() in self._set
        return day.weekday() < SATURDAY

    def knows(self, year: int) -> bool:
        """Whether the official calendar of the year is known."""
        return year in self._known

    def after(self, now: int, working_days: int) -> Due:
        """The end of the n-th working day after the day of `now`, which itself does not count. About 1 µs.

        Raises ValueError for a negative count, or a moment outside 2004 to 2060: a programmer's error.
        """
        start = ordinal_of(now)
        place = bisect_right(self._days, start) + working_days - 1
        if working_days < 1 or start < self._days[0] - 7 or place >= len(self._days):
            raise ValueError(f"a term of {working_days} working days from {date.fromordinal(start)}")
        return self._due(date.fromordinal(start), self._days[place])

    def before(self, at: int, working_days: int) -> int:
        """The midnight that begins the n-th working day before the day that ends at `at`: when to warn."""
        last = ordinal_of(at - 1)
        place = max(0, bisect_right(self._days, last) - 1 - working_days)
        return midnight(self._days[place])

    def _due(self, start: date, last: int) -> Due:
        day = date.fromordinal(last)
        known = all(year in self._known for year in range(start.year, day.year + 1))
        return Due(day, midnight(last + 1), known)


def ordinal_of(at: int) -> int:
    """The day in Shanghai of a moment, as a proleptic ordinal."""
    return day_of(at) + _EPOCH


def month_of(at: int) -> str | None:
    """The month of Shanghai that a moment (milliseconds) is in, such as 2026-11; None beyond the calendar."""
    try:
        return date.fromordinal(ordinal_of(at)).isoformat()[: len("2026-11")]
    except (ValueError, OverflowError):
        return None


def months_begin(month: str) -> tuple[int, int]:
    """When a month such as 2026-11 begins, and when the next one does (milliseconds)."""
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=31)).replace(day=1)
    return midnight(first.toordinal()), midnight(following.toordinal())


def midnight(ordinal: int) -> int:
    """The moment at which a day in Shanghai begins."""
    return (ordinal - _EPOCH) * DAY_MS - SHANGHAI_MS


def _packaged(year: int) -> bool:
    try:
        chinese_calendar.is_workday(date(year, 6, 1))
    except NotImplementedError:
        return False
    return True


def _days_of(year: int) -> list[date]:
    first = date(year, 1, 1)
    return [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


def _is_working(day: date, given: CalendarYear | None, *, packaged: bool) -> bool:
    if given is not None:
        return day in given.workdays or (day.weekday() < SATURDAY and day not in given.holidays)
    if packaged:
        return bool(chinese_calendar.is_workday(day))
    return day.weekday() < SATURDAY
