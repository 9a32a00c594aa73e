"""What the regulator is told of a month: how many cases were received and ended, which clocks were kept and missed.

Pure. Each view says what it counts for (`counted_of`), and the index adds and subtracts that as views come and go: so a
month is read from a table of some hundred rows, however many cases there are, and is what a plain count over all views
would give. Months are those of Shanghai.

What is counted, and by which moment:

* `received`: by when what opened the case was made; `name` is its kind (what a complaint is about, the grounds of a
  measure, the subject of a filing, what an appeal is against, the measure of a regulator's order)
* `ended`: by when the case ended; `name` is the state that it is in now (an appeal won is `decided-for-party`)
* `clock-kept` by when its duty was done, `clock-missed` by when it was due; `name` is the clock
* `in-force`: measures, by when the order came into force, or stood again after a heavier one; `name` is the measure
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Annotated, Final, Literal, NamedTuple

import msgspec

from stream.enforce.api.auth import Caller
from stream.enforce.api.case_facts import CaseFacts
from stream.enforce.procedures.calendar_cn import month_of, months_begin
from stream.enforce.procedures.engine import Case
from stream.enforce.procedures.measure_case import MeasureCase
from stream.enforce.procedures.regions import COUNTRY
from stream.model.cases import CaseView
from stream.model.control import Count
from stream.model.fields import Time

Counts = Literal["received", "ended", "clock-kept", "clock-missed", "in-force"]

KNOWN_MAX: Final = 100_000
"""Different things that are counted and kept once: a month has some hundred."""

MonthText = Annotated[
    str, msgspec.Meta(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$", description="a month of Shanghai, such as 2026-11")
]


class MonthQuery(msgspec.Struct, frozen=True):
    """Which month is asked for."""

    month: MonthText


class StatisticsRow(msgspec.Struct, frozen=True):
    """How many of something there were. `channel` and `region` are empty where the case has none, or does not say."""

    what: Counts
    procedure: str
    name: str
    channel: str
    region: str
    count: Count


class MonthStatistics(msgspec.Struct, frozen=True):
    """A month's figures, as they stood when they were counted.

    `whole`: the month is over, and no case that counts for it has been removed since (`ended_kept_ms` of the settings);
    else the archive has the rest.
    """

    month: MonthText
    counted: Time
    whole: bool
    rows: tuple[StatisticsRow, ...]


class Counted(NamedTuple):
    """One thing that a case counts for, and the month of it."""

    month: str
    what: Counts
    procedure: str
    name: str
    channel: str
    region: str


@lru_cache(KNOWN_MAX)
def _known(one: Counted) -> Counted:
    """The same object for the same thing: every view counts for some five."""
    return one


def counted_of(view: CaseView, case: Case, facts: CaseFacts) -> tuple[Counted, ...]:
    """What a view counts for; nothing at moments that no calendar has."""
    return tuple(
        _known(Counted(month, what, view.procedure, name, facts.channel, facts.region))
        for what, name, at in _moments(view, case, facts)
        if (month := month_of(at)) is not None
    )


def _moments(view: CaseView, case: Case, facts: CaseFacts) -> Iterator[tuple[Counts, str, int]]:
    yield "received", facts.kind, facts.received
    if view.ended:
        yield "ended", view.state, view.updated if view.ended_at is None else view.ended_at
    for kept in view.kept:
        yield "clock-kept", kept.clock, kept.done
    for clock in view.due:
        if clock.breached:
            yield "clock-missed", clock.clock, clock.due
    if isinstance(case, MeasureCase) and case.order is not None:
        yield "in-force", case.order.measure, case.order.from_


class MonthlyCounts:
    """Sums by month. An addition costs a look-up."""

    def __init__(self) -> None:
        self._months: dict[str, Counter[Counted]] = {}

    def add(self, counted: Iterable[Counted]) -> None:
        """These are there."""
        for one in counted:
            self._months.setdefault(one.month, Counter())[one] += 1

    def subtract(self, counted: Iterable[Counted]) -> None:
        """They are there no more."""
        for one in counted:
            month = self._months[one.month]
            month[one] -= 1
            if not month[one]:
                del month[one]

    def statistics(self, month: str, caller: Caller, *, now: int, kept_ms: int) -> MonthStatistics:
        """A month's rows that are this caller's business, in order: of its procedures, and for a province's
        administration its own region's and those of no region.
        """
        own = caller.jurisdiction.region if caller.role == "regulator" and caller.jurisdiction else COUNTRY
        rows = [
            StatisticsRow(one.what, one.procedure, one.name, one.channel, one.region, count)
            for one, count in self._months.get(month, Counter[Counted]()).items()
            if caller.sees_procedure(one.procedure) and (own == COUNTRY or one.region in ("", own))
        ]
        begins, ends = months_begin(month)
        whole = now >= ends and begins > now - kept_ms
        return MonthStatistics(month, now, whole, tuple(sorted(rows, key=_order)))


_WHAT: Final[tuple[Counts, ...]] = ("received", "ended", "clock-kept", "clock-missed", "in-force")


def _order(row: StatisticsRow) -> tuple[int, str, str, str, str]:
    return _WHAT.index(row.what), row.procedure, row.name, row.channel, row.region
