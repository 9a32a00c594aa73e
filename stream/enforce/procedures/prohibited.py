"""The procedure for prohibited content (Articles 15, 32): stop at once, keep the record, report, investigate.

The finding raised here carries the basis `prohibited-content`, on which the measure procedure suspends and
notifies the party in the same step. The state organs and the regulator get a report at once, and the regulator one of
the outcome. Where the investigation clears the party, the measure is annulled.

Nobody is suspended on one person's word for long: a finding bears its evidence, and a person other than whoever found
it confirms the suspension within the hour, or it is annulled and reported as such.

What the filter blocks opens a case by itself, once a party and day: that content was stopped as it came, so it is kept
and reported, and a person asked to look at it within the hour. Nobody is suspended on a machine's word: the first
person who confirms what it found is its finder from then on (decision 0024).
"""

from enum import StrEnum
from typing import Final, Literal

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Act, Alert, ClearClock, KeepRecord, NotifyCase, RaiseFinding, SendReport
from stream.enforce.procedures.engine import (
    ANY_DUE,
    ANY_WARNING,
    Case,
    Condition,
    Done,
    E,
    Procedure,
    RowBuilder,
    Turn,
    breach,
    fired,
    warn,
)
from stream.enforce.procedures.ids import measure_case
from stream.enforce.procedures.messages import Change, Lift, MeasureChanged, Seconded
from stream.enforce.procedures.telling import (
    REPORT_DELIVERED,
    REPORT_SERVED,
    Delivered,
    DeliveryFailed,
    Served,
    office_told,
    over,
    report_rows,
)
from stream.model.cases import BlockedContent, Discovered
from stream.model.control import Addressee, Finding

BASIS = "prohibited-content"

EVIDENCE_MAX: Final = 30
"""Blocked events that a case names, and keeps: enough to judge by. Of the rest it has the count."""


class ProhibitedState(StrEnum):
    """Where such a case stands."""

    NEW = "new"
    FLAGGED = "flagged"
    FOUND = "found"
    INVESTIGATED = "under-investigation"
    REPORTING = "reporting"
    CONFIRMED = "confirmed"
    CLEARED = "cleared"
    UNCONFIRMED = "unconfirmed"


Outcome = Literal["confirmed", "cleared"]


class CountedTo(msgspec.Struct, frozen=True):
    """Up to which offset of a partition of `decisions` blocked events are counted."""

    partition: int
    last: int


class ProhibitedCase(Case, frozen=True, kw_only=True):
    """One discovery of prohibited content. `finding` is absent only before the first step."""

    state: ProhibitedState = ProhibitedState.NEW
    finding: Finding | None = None
    measure: Change | None = None
    """the last change of the measure"""
    seconded: Seconded | None = None
    """who confirmed the suspension"""
    blocked_count: int = 0
    """events that the filter blocked, at least"""
    counted: tuple[CountedTo, ...] = ()
    outcome: Outcome | None = None
    """of the investigation"""


class Investigated(msgspec.Struct, frozen=True, tag_field="event", tag="investigated"):
    """The investigation has come to an outcome."""

    outcome: Outcome
    detail: str
    actor: str | None = None


ProhibitedEvent = (
    Discovered | Seconded | Investigated | MeasureChanged | Delivered | DeliveryFailed | Served | ClockFired
)

IS_PROHIBITED = Condition[ProhibitedCase, Discovered](
    "the finding is of prohibited content, and bears evidence",
    lambda turn: turn.event.finding.basis == BASIS and bool(turn.event.finding.evidence),
)
BY_FILTER = Condition[ProhibitedCase, Discovered](
    "the filter found and blocked it, with evidence",
    lambda turn: IS_PROHIBITED.holds(turn) and turn.event.blocked is not None,
)
MORE = Condition[ProhibitedCase, Discovered](
    "the filter has blocked more of the same finding's",
    lambda turn: turn.event.blocked is not None and turn.event.finding.finding == _finding(turn.case).finding,
)
BY_ANOTHER = Condition[ProhibitedCase, Seconded](
    "it is another person than whoever found it",
    lambda turn: turn.event.actor is None or turn.event.actor != _finding(turn.case).actor,
)
CONFIRMED = Condition[ProhibitedCase, Investigated]("it is confirmed", lambda turn: turn.event.outcome == "confirmed")
CLEARED = Condition[ProhibitedCase, Investigated]("the party is cleared", lambda turn: turn.event.outcome == "cleared")


def _last(told: Condition[Case, E], outcome: Outcome) -> Condition[ProhibitedCase, E]:
    """The condition that with this the last report has arrived, and that the investigation came to this outcome."""
    return Condition(
        f"{told.says}, the last; the outcome is `{outcome}`",
        lambda turn: (
            told.holds(turn)
            and turn.case.outcome == outcome
            and sum(one.told is None for one in turn.case.reports) == 1
        ),
    )


def _discover(turn: Turn[ProhibitedCase, Discovered]) -> Done[ProhibitedCase]:
    """The party is suspended at once; the record is kept; state organs and regulator get reports; people confirm it."""
    finding = turn.event.finding
    case = msgspec.structs.replace(turn.case, finding=finding)
    return Done(case, (RaiseFinding(finding, origin=turn.case.case), *_begin(turn, finding)))


def _flag(turn: Turn[ProhibitedCase, Discovered]) -> Done[ProhibitedCase]:
    """It was stopped as it came; the record is kept; state organs and regulator get reports; a person looks at it."""
    finding = turn.event.finding
    case = _counted(msgspec.structs.replace(turn.case, finding=finding), turn.event.blocked)
    return Done(case, _begin(turn, finding))


def _add(turn: Turn[ProhibitedCase, Discovered]) -> Done[ProhibitedCase]:
    """It is counted; the first of it are added to the evidence, and kept."""
    finding = _finding(turn.case)
    room = max(0, EVIDENCE_MAX - len(finding.evidence))
    new = tuple(one for one in turn.event.finding.evidence if one not in finding.evidence)[:room]
    known = msgspec.structs.replace(finding, evidence=(*finding.evidence, *new))
    case = _counted(msgspec.structs.replace(turn.case, finding=known), turn.event.blocked)
    return Done(case, (KeepRecord(new, BASIS),) if new else ())


def _take_up(turn: Turn[ProhibitedCase, Seconded]) -> Done[ProhibitedCase]:
    """The party is suspended at once, as found by whoever looked; another person confirms it."""
    finding = msgspec.structs.replace(_finding(turn.case), actor=turn.event.actor)
    case = msgspec.structs.replace(turn.case, finding=finding)
    return Done(case, (RaiseFinding(finding, origin=turn.case.case), turn.clock("second"), Alert("decision", "second")))


def _second(turn: Turn[ProhibitedCase, Seconded]) -> Done[ProhibitedCase]:
    """The suspension is confirmed; the investigation goes on."""
    return Done(msgspec.structs.replace(turn.case, seconded=turn.event), (ClearClock("second"),))


def _unconfirmed(turn: Turn[ProhibitedCase, ClockFired]) -> Done[ProhibitedCase]:
    """The breach is recorded; the measure is annulled; state organs and regulator learn that nobody confirmed it."""
    finding, detail = _finding(turn.case), "no second person has confirmed the finding in time: the stop has ended"
    reports = (_report(turn, finding, "regulator", detail), _report(turn, finding, "state-organs", detail))
    annulled = NotifyCase(measure_case(finding), Lift(detail, annul=True))
    return Done(turn.case, (*breach(turn).acts, *reports, annulled))


def _note(turn: Turn[ProhibitedCase, MeasureChanged]) -> Done[ProhibitedCase]:
    """What became of the measure is remembered."""
    return Done(msgspec.structs.replace(turn.case, measure=turn.event.change))


def _confirm(turn: Turn[ProhibitedCase, Investigated]) -> Done[ProhibitedCase]:
    """The outcome is reported to the regulator; until it arrives, the clock runs on. The measure stands."""
    case = msgspec.structs.replace(turn.case, outcome="confirmed")
    return Done(case, (*over(turn, "second"), _report(turn, _finding(turn.case), "regulator", turn.event.detail)))


def _clear(turn: Turn[ProhibitedCase, Investigated]) -> Done[ProhibitedCase]:
    """The outcome is reported to the regulator and the state organs; the measure, if there is one, is annulled."""
    finding, detail = _finding(turn.case), turn.event.detail
    reports = (_report(turn, finding, "regulator", detail), _report(turn, finding, "state-organs", detail))
    case, acts = msgspec.structs.replace(turn.case, outcome="cleared"), (*over(turn, "second"), *reports)
    if turn.case.state == ProhibitedState.FLAGGED:
        return Done(case, acts)
    return Done(case, (*acts, NotifyCase(measure_case(finding), Lift(detail, annul=True))))


def _begin(turn: Turn[ProhibitedCase, Discovered], finding: Finding) -> tuple[Act, ...]:
    return (
        KeepRecord(finding.evidence or (finding.finding,), BASIS),
        _report(turn, finding, "state-organs", "prohibited content found and stopped"),
        _report(turn, finding, "regulator", "prohibited content found and stopped"),
        turn.clock("investigate"),
        turn.clock("second"),
        Alert("decision", "second"),
    )


def _counted(case: ProhibitedCase, blocked: BlockedContent | None) -> ProhibitedCase:
    """With what was blocked counted, but for what may have been counted before: at least so much was blocked."""
    if blocked is None:
        return case
    before = next((one.last for one in case.counted if one.partition == blocked.partition), -1)
    others = tuple(one for one in case.counted if one.partition != blocked.partition)
    return msgspec.structs.replace(
        case,
        blocked_count=case.blocked_count + (blocked.count if blocked.first > before else 0),
        counted=(*others, CountedTo(blocked.partition, max(before, blocked.last))),
    )


def _finding(case: ProhibitedCase) -> Finding:
    assert case.finding is not None, f"{case.case}: every step but the first has a finding"
    return case.finding


def _report(turn: Turn[ProhibitedCase, msgspec.Struct], finding: Finding, to: Addressee, about: str) -> SendReport:
    letter = "R" if to == "regulator" else "R-organs"
    return turn.report(to=to, about=about, basis=BASIS, evidence=finding.evidence, letter=letter)


# ---- the table

S = ProhibitedState
OPEN = (S.FLAGGED, S.FOUND, S.INVESTIGATED)
ENDED = (S.CONFIRMED, S.CLEARED, S.UNCONFIRMED)
row = RowBuilder(ProhibitedCase)

# fmt: off
TABLE = (
    row(S.REPORTING,    Delivered,      S.CONFIRMED,    office_told, _last(REPORT_DELIVERED, "confirmed")),
    row(S.REPORTING,    Delivered,      S.CLEARED,      office_told, _last(REPORT_DELIVERED, "cleared")),
    row(S.REPORTING,    Served,         S.CONFIRMED,    office_told, _last(REPORT_SERVED, "confirmed")),
    row(S.REPORTING,    Served,         S.CLEARED,      office_told, _last(REPORT_SERVED, "cleared")),
    *report_rows(row, (*OPEN, S.REPORTING, *ENDED)),
    row(S.NEW,          Discovered,     S.FLAGGED,      _flag, BY_FILTER),
    row(S.NEW,          Discovered,     S.FOUND,        _discover, IS_PROHIBITED),
    row((*OPEN, S.REPORTING, *ENDED), Discovered, None, _add, MORE),
    row(S.FLAGGED,      Seconded,       S.FOUND,        _take_up),
    row(S.FOUND,        Seconded,       S.INVESTIGATED, _second, BY_ANOTHER),
    row(S.FOUND,        ClockFired,     S.UNCONFIRMED,  _unconfirmed, fired("second")),
    row(OPEN,           Investigated,   S.REPORTING,    _confirm, CONFIRMED),
    row(OPEN,           Investigated,   S.REPORTING,    _clear, CLEARED),
    row((*OPEN, S.REPORTING), ClockFired, None,         warn, ANY_WARNING),
    row((*OPEN, S.REPORTING), ClockFired, None,         breach, ANY_DUE),
    row((*OPEN, S.REPORTING, *ENDED), MeasureChanged, None, _note),
)
# fmt: on

PROCEDURE = Procedure[ProhibitedCase](
    name="prohibited-content",
    title="Prohibited content",
    articles="Articles 15, 32 (the term to investigate is a setting)",
    theory=(
        "Stopped at once, and the party notified at the same time; the record is kept; state organs and regulator "
        "get a report, and later the outcome. A second person confirms the suspension within the hour (our reading of "
        "Article 22, for no party was told before), or it is annulled. What the filter blocks opens a case once a "
        "party and day; it was stopped as it came, and nobody is suspended for it before a person has looked at it."
    ),
    states={
        S.NEW: "nothing has happened",
        S.FLAGGED: "the filter blocked it, and it is reported; a person is to look at it",
        S.FOUND: "stopped and reported; a second person is to confirm it",
        S.INVESTIGATED: "confirmed by a second person; the outcome is owed",
        S.REPORTING: "the outcome is decided, and its report on its way",
        S.CONFIRMED: "the outcome was reported: it was prohibited",
        S.UNCONFIRMED: "no second person confirmed it in time; the measure is annulled",
        S.CLEARED: "the outcome was reported: it was not; the measure is annulled",
    },
    ended=frozenset(ENDED),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Investigated, Served),
)


__all__ = [
    "BASIS",
    "PROCEDURE",
    "TABLE",
    "Discovered",
    "Investigated",
    "ProhibitedCase",
    "ProhibitedEvent",
    "ProhibitedState",
]
