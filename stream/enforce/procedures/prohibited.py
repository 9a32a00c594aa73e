"""The procedure for prohibited content (Articles 15, 32): stop at once, keep the record, report, investigate.

The finding raised here carries the basis `prohibited-content`, on which the measure procedure suspends and
notifies the party in the same step. The state organs and the regulator get a report at once, and the regulator one of
the outcome. Where the investigation clears the party, the measure is annulled.

Nobody is suspended on one person's word for long: a finding bears its evidence, and a person other than whoever found
it confirms the suspension within the hour, or it is annulled and reported as such.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Alert, ClearClock, KeepRecord, NotifyCase, RaiseFinding, SendReport
from stream.enforce.procedures.engine import (
    ANY_DUE,
    ANY_WARNING,
    Case,
    Condition,
    Done,
    Procedure,
    RowBuilder,
    Turn,
    breach,
    fired,
    warn,
)
from stream.enforce.procedures.ids import measure_case
from stream.enforce.procedures.messages import Change, Discovered, Lift, MeasureChanged, Seconded
from stream.model.control import Addressee, Finding

BASIS = "prohibited-content"


class ProhibitedState(StrEnum):
    """Where such a case stands."""

    NEW = "new"
    FOUND = "found"
    INVESTIGATED = "under-investigation"
    CONFIRMED = "confirmed"
    CLEARED = "cleared"
    UNCONFIRMED = "unconfirmed"


class ProhibitedCase(Case, frozen=True, kw_only=True):
    """One discovery of prohibited content. `finding` is absent only before the first step."""

    state: ProhibitedState = ProhibitedState.NEW
    finding: Finding | None = None
    measure: Change | None = None
    """the last change of the measure"""
    seconded: Seconded | None = None
    """who confirmed the suspension"""


class Investigated(msgspec.Struct, frozen=True, tag_field="event", tag="investigated"):
    """The investigation has come to an outcome."""

    outcome: Literal["confirmed", "cleared"]
    detail: str
    actor: str | None = None


ProhibitedEvent = Discovered | Seconded | Investigated | MeasureChanged | ClockFired

IS_PROHIBITED = Condition[ProhibitedCase, Discovered](
    "the finding is of prohibited content, and bears evidence",
    lambda turn: turn.event.finding.basis == BASIS and bool(turn.event.finding.evidence),
)
BY_ANOTHER = Condition[ProhibitedCase, Seconded](
    "it is another person than whoever found it",
    lambda turn: turn.event.actor is None or turn.event.actor != _finding(turn.case).actor,
)
CONFIRMED = Condition[ProhibitedCase, Investigated]("it is confirmed", lambda turn: turn.event.outcome == "confirmed")
CLEARED = Condition[ProhibitedCase, Investigated]("the party is cleared", lambda turn: turn.event.outcome == "cleared")


def _discover(turn: Turn[ProhibitedCase, Discovered]) -> Done[ProhibitedCase]:
    """The party is suspended at once; the record is kept; state organs and regulator get reports; people confirm it."""
    finding = turn.event.finding
    case = msgspec.structs.replace(turn.case, finding=finding)
    acts = (
        RaiseFinding(finding, origin=turn.case.case),
        KeepRecord(finding.evidence or (finding.finding,), BASIS),
        _report(turn, finding, "state-organs", "prohibited content found and stopped"),
        _report(turn, finding, "regulator", "prohibited content found and stopped"),
        turn.clock("investigate"),
        turn.clock("second"),
        Alert("decision", "second"),
    )
    return Done(case, acts)


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
    """The outcome is reported to the regulator; the measure stands until it is reviewed."""
    return Done(turn.case, (_report(turn, _finding(turn.case), "regulator", turn.event.detail),))


def _clear(turn: Turn[ProhibitedCase, Investigated]) -> Done[ProhibitedCase]:
    """The outcome is reported to the regulator and the state organs; the measure is annulled."""
    finding, detail = _finding(turn.case), turn.event.detail
    reports = (_report(turn, finding, "regulator", detail), _report(turn, finding, "state-organs", detail))
    return Done(turn.case, (*reports, NotifyCase(measure_case(finding), Lift(detail, annul=True))))


def _finding(case: ProhibitedCase) -> Finding:
    assert case.finding is not None, f"{case.case}: every step but the first has a finding"
    return case.finding


def _report(turn: Turn[ProhibitedCase, msgspec.Struct], finding: Finding, to: Addressee, about: str) -> SendReport:
    letter = "R" if to == "regulator" else "R-organs"
    return turn.report(to=to, about=about, basis=BASIS, evidence=finding.evidence, letter=letter)


# ---- the table

S = ProhibitedState
row = RowBuilder(ProhibitedCase)

# fmt: off
TABLE = (
    row(S.NEW,          Discovered,     S.FOUND,        _discover, IS_PROHIBITED),
    row(S.FOUND,        Seconded,       S.INVESTIGATED, _second, BY_ANOTHER),
    row(S.FOUND,        ClockFired,     S.UNCONFIRMED,  _unconfirmed, fired("second")),
    row((S.FOUND, S.INVESTIGATED), Investigated, S.CONFIRMED, _confirm, CONFIRMED),
    row((S.FOUND, S.INVESTIGATED), Investigated, S.CLEARED,   _clear, CLEARED),
    row((S.FOUND, S.INVESTIGATED), ClockFired,   None,        warn, ANY_WARNING),
    row((S.FOUND, S.INVESTIGATED), ClockFired,   None,        breach, ANY_DUE),
    row((S.FOUND, S.INVESTIGATED, S.CONFIRMED, S.CLEARED, S.UNCONFIRMED), MeasureChanged, None, _note),
)
# fmt: on

PROCEDURE = Procedure[ProhibitedCase](
    name="prohibited-content",
    title="Prohibited content",
    articles="Articles 15, 32 (the term to investigate is a setting)",
    theory=(
        "Stopped at once, and the party notified at the same time; the record is kept; state organs and regulator "
        "get a report, and later the outcome. A second person confirms the suspension within the hour (our reading of "
        "Article 22, for no party was told before), or it is annulled."
    ),
    states={
        S.NEW: "nothing has happened",
        S.FOUND: "stopped and reported; a second person is to confirm it",
        S.INVESTIGATED: "confirmed by a second person; the outcome is owed",
        S.CONFIRMED: "the outcome was reported: it was prohibited",
        S.UNCONFIRMED: "no second person confirmed it in time; the measure is annulled",
        S.CLEARED: "the outcome was reported: it was not; the measure is annulled",
    },
    ended=frozenset((S.CONFIRMED, S.CLEARED, S.UNCONFIRMED)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Investigated,),
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
