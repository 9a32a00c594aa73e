"""Another calendar arrives: what runs ends on the day that it has, each clock moved once, the same when read again."""

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.enforce.cases import decoding, store
from stream.enforce.cases.decoding import Arrival, RecordPosition
from stream.enforce.cases.reckoning import Reckoning
from stream.enforce.cases.store import Duplicate, Entry, Rejected, Updated
from stream.enforce.cases.timers import Timers
from stream.enforce.procedures import complaint
from stream.enforce.procedures.calendar_cn import CalendarYear, WorkingDays, read_years
from stream.enforce.procedures.clocks import Clock, ClockFired, ClockReckoned, Term, after_firing, reckoned, start
from stream.enforce.procedures.terms import Terms
from stream.model.cases import CaseEvent, case_event_out
from stream.model.codec import encode
from stream.policy.loading import load
from tests.enforce.procedures import pools
from tests.enforce.procedures.test_procedures import CHOICES, SUBJECTS, Subject
from tests.enforce.procedures.world import CALENDAR, DAY, NOW, TERMS, at

ANNOUNCED = WorkingDays(
    read_years(
        """
        [[years]]
        year = 2040
        holidays = []
        [[years]]
        year = 2041
        holidays = [2041-01-01, 2041-01-02, 2041-01-03, 2041-01-04]
        workdays = [2041-01-05]
        """,
        source="calendar.toml",
    )
)
"""Of a year that nobody has announced in earnest: 4 January is a Friday, 5 January a Saturday."""

BEGIN = at("2040-12-31 10:00")
TERM = Term("forward", "Art. 29-31", working_days=3, warning_days=1)
MOMENTS = st.integers(at("2040-11-01 00:00"), at("2041-01-20 00:00"))


@given(begin=MOMENTS, days=st.integers(1, 40), warning=st.integers(0, 39), later=st.integers(0, 60 * DAY))
def test_a_clock_reckoned_anew_is_the_one_that_the_other_calendar_would_have_set(
    begin: int, days: int, warning: int, later: int
) -> None:
    term = Term("forward", "setting", working_days=days, warning_days=min(warning, days - 1))
    for first, second in ((CALENDAR, ANNOUNCED), (ANNOUNCED, CALENDAR)):
        clock = start(term, begin, first)
        anew = reckoned(clock, second, begin + later)
        assert anew == start(term, begin, second)
        assert reckoned(anew, second, begin + later + DAY) == anew, "once"
        assert reckoned(anew, first, begin) == clock


def test_a_day_off_that_is_announced_moves_due_date_and_warning_and_the_year_is_known_then() -> None:
    clock = start(TERM, BEGIN, CALENDAR)
    assert (clock.due, clock.known) == (at("2041-01-05 00:00"), False)
    anew = reckoned(clock, ANNOUNCED, BEGIN)
    assert (anew.due, anew.warn, anew.known) == (at("2041-01-09 00:00"), at("2041-01-07 00:00"), True)


def test_a_warning_is_given_again_only_where_the_term_ends_on_another_day_and_that_is_to_come() -> None:
    clock = start(TERM, BEGIN, CALENDAR)
    (warned,) = after_firing((clock,), ClockFired(clock.clock, clock.due, "warning"))
    assert reckoned(warned, ANNOUNCED, BEGIN + 4 * DAY).warn == at("2041-01-07 00:00")
    assert reckoned(warned, ANNOUNCED, at("2041-01-07 00:00")).warn is None
    assert reckoned(warned, CALENDAR, BEGIN) == warned


def test_what_no_calendar_counts_and_what_a_version_before_has_set_stay_as_they_are() -> None:
    for clock in (Clock("grace", NOW + DAY), Clock("forward", at("2041-01-05 00:00"), known=False)):
        assert reckoned(clock, ANNOUNCED, NOW) == clock


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(choices=CHOICES)
@settings(max_examples=20, deadline=None)
def test_every_case_takes_it_for_a_clock_that_runs_and_nothing_else_of_it_changes(
    subject: Subject, choices: list[int]
) -> None:
    case = subject.walk(choices)
    entry = Entry(subject.name, msgspec.Raw(encode(case)), NOW)
    for clock in case.clocks:
        moved = ClockReckoned(msgspec.structs.replace(clock, due=clock.due + DAY), clock.due)
        outcome = store.apply(case.case, entry, _arrival(case.case, subject.name, moved), NOW, TERMS)
        assert isinstance(outcome, Updated)
        after = msgspec.json.decode(bytes(outcome.entry.body), type=type(case))
        assert {one.clock: one for one in after.clocks} == {one.clock: one for one in case.clocks} | {
            clock.clock: moved.clock
        }
        assert msgspec.structs.replace(after, clocks=case.clocks, step=case.step) == case
    gone = ClockReckoned(Clock("forward", NOW), NOW - 1)
    refused = store.apply(case.case, entry, _arrival(case.case, subject.name, gone), NOW, TERMS)
    assert isinstance(refused, Rejected)
    assert refused.stale


class _Cases:
    """Complaints that wait to be forwarded over New Year's Day, as an instance has them."""

    def __init__(self, count: int) -> None:
        self.entries: dict[str, Entry] = {}
        for number in range(count):
            key = f"C-{number}"
            outcome = store.apply(
                key, None, _arrival(key, "complaint", complaint.Complained(pools.COMPLAINT)), BEGIN, TERMS
            )
            assert isinstance(outcome, Updated)
            self.entries[key] = store.without_outbox(outcome.entry)
        self.timers, self.reckoning = Timers(), Reckoning()

    def restart(self) -> None:
        self.timers.load((key, one.procedure, store.clocks(one)) for key, one in self.entries.items())
        self.reckoning.begin(self.timers.cases())

    def asked(self, *, most: int = 64) -> list[CaseEvent]:
        return self.reckoning.events(self.timers, self.entries.get, ANNOUNCED, BEGIN, outstanding_max=most)

    def take(self, events: Iterable[CaseEvent], terms: Terms = TERMS) -> set[type]:
        """By the wire, as the runtime has them."""
        outcomes = set[type]()
        for event in events:
            out = case_event_out(event, 12)
            place = RecordPosition(out.topic, out.partition, 0, BEGIN)
            arrival = decoding.read(place, out.key, out.value, 12, TERMS.numbering)
            assert isinstance(arrival, Arrival)
            outcome = store.apply(event.case, self.entries[event.case], arrival, BEGIN, terms)
            if isinstance(outcome, Updated):
                self.entries[event.case] = store.without_outbox(outcome.entry)
                self.timers.set(event.case, "complaint", store.clocks(outcome.entry))
            self.reckoning.acknowledge(event.id)
            outcomes.add(type(outcome))
        return outcomes

    def due(self) -> set[int]:
        return {clock.due for entry in self.entries.values() for clock in store.clocks(entry)}


def test_every_case_is_moved_once_whatever_restarts_between() -> None:
    cases = _Cases(5)
    cases.restart()
    first = cases.asked()
    assert len(first) == 5
    cases.restart()
    again = cases.asked()
    assert again == first, "not taken yet: the same events under the same ids"
    assert cases.take(first) == {Updated}
    assert cases.due() == {at("2041-01-09 00:00")}
    assert cases.take(again) == {Duplicate}
    cases.restart()
    assert cases.asked() == []


def test_a_case_that_is_read_again_under_any_calendar_comes_to_the_same() -> None:
    one, other = _Cases(1), _Cases(1)
    one.restart()
    events = one.asked()
    one.take(events)
    later = Terms(settings=TERMS.settings, calendar=WorkingDays([CalendarYear(2041, ())]), policy=load(None))
    other.take(events, later)
    assert other.entries == one.entries


def test_no_more_are_under_way_than_may_be_and_the_rest_follow() -> None:
    cases = _Cases(7)
    cases.restart()
    seen = list[CaseEvent]()
    while cases.reckoning.cases_count:
        events = cases.asked(most=3)
        assert 0 < len(events) <= 3
        assert cases.asked(most=3) == []
        cases.take(events)
        seen += events
    assert len({event.case for event in seen}) == len(seen) == 7


def test_clocks_of_a_version_before_over_an_unknown_year_are_counted_and_left() -> None:
    cases = _Cases(2)
    cases.timers.load([("C-0", "complaint", (Clock("forward", BEGIN, known=False), Clock("tell", BEGIN)))])
    cases.reckoning.begin(cases.timers.cases())
    assert cases.asked() == []
    assert cases.reckoning.left_count == 1


def _arrival(key: str, procedure: str, event: msgspec.Struct) -> Arrival:
    return Arrival(key, procedure, event, f"{key}-{type(event).__name__}", BEGIN)
