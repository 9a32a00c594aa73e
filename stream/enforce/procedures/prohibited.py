"""The procedure for prohibited content (Articles 15, 32): stop at once, keep the record, report, investigate.

The finding raised here carries the basis `prohibited-content`, on which the measure procedure suspends and
notifies the party in the same step. The state organs and the regulator get a report at once, and the regulator one of
the outcome. Where the investigation clears the party, the measure is annulled.
"""

from enum import StrEnum
from typing import Literal

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import KeepRecord, NotifyCase, RaiseFinding, SendReport
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
    warn,
)
from stream.enforce.procedures.ids import measure_case
from stream.enforce.procedures.messages import Change, Discovered, Lift, MeasureChanged
from stream.model.control import Addressee, Finding

BASIS = "prohibited-content"


class ProhibitedState(StrEnum):
    """Where such a case stands."""

    NEW = "new"
    INVESTIGATED = "under-investigation"
    CONFIRMED = "confirmed"
    CLEARED = "cleared"


class ProhibitedCase(Case, frozen=True, kw_only=True):
    """One discovery of prohibited content. `finding` is absent only before the first step."""

    state: ProhibitedState = ProhibitedState.NEW
    finding: Finding | None = None
    measure: Change | None = None
    """the last change of the measure"""


class Investigated(msgspec.Struct, frozen=True, tag_field="event", tag="investigated"):
    """The investigation has come to an outcome."""

    outcome: Literal["confirmed", "cleared"]
    detail: str
    actor: str | None = None


ProhibitedEvent = Discovered | Investigated | MeasureChanged | ClockFired

IS_PROHIBITED = Condition[ProhibitedCase, Discovered](
    "the finding is of prohibited content", lambda turn: turn.event.finding.basis == BASIS
)
CONFIRMED = Condition[ProhibitedCase, Investigated]("it is confirmed", lambda turn: turn.event.outcome == "confirmed")
CLEARED = Condition[ProhibitedCase, Investigated]("the party is cleared", lambda turn: turn.event.outcome == "cleared")


def _discover(turn: Turn[ProhibitedCase, Discovered]) -> Done[ProhibitedCase]:
    """The party is suspended at once; the record is kept; reports go to state organs and regulator."""
    finding = turn.event.finding
    case = msgspec.structs.replace(turn.case, finding=finding)
    acts = (
        RaiseFinding(finding, origin=turn.case.case),
        KeepRecord(finding.evidence or (finding.finding,), BASIS),
        _report(turn, finding, "state-organs", "prohibited content found and stopped"),
        _report(turn, finding, "regulator", "prohibited content found and stopped"),
        turn.clock("investigate"),
    )
    return Done(case, acts)


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
    row(S.NEW,          Discovered,     S.INVESTIGATED, _discover, IS_PROHIBITED),
    row(S.INVESTIGATED, Investigated,   S.CONFIRMED,    _confirm, CONFIRMED),
    row(S.INVESTIGATED, Investigated,   S.CLEARED,      _clear, CLEARED),
    row(S.INVESTIGATED, ClockFired,           None,           warn, ANY_WARNING),
    row(S.INVESTIGATED, ClockFired,           None,           breach, ANY_DUE),
    row((S.INVESTIGATED, S.CONFIRMED, S.CLEARED), MeasureChanged, None, _note),
)
# fmt: on

PROCEDURE = Procedure[ProhibitedCase](
    name="prohibited-content",
    title="Prohibited content",
    articles="Articles 15, 32 (the term to investigate is a setting)",
    theory=(
        "Stopped at once, and the party notified at the same time; the record is kept; state organs and regulator "
        "get a report, and later the outcome."
    ),
    states={
        S.NEW: "nothing has happened",
        S.INVESTIGATED: "stopped and reported; the outcome is owed",
        S.CONFIRMED: "the outcome was reported: it was prohibited",
        S.CLEARED: "the outcome was reported: it was not; the measure is annulled",
    },
    ended=frozenset((S.CONFIRMED, S.CLEARED)),
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
