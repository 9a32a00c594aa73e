"""The procedure for a regulator's order (Article 37) to take a measure of Article 22.

An order names its authority and its document, or it is not carried out: the desk is asked what is missing. It
goes the way of all measures, with the party notified first, unless the order itself says `at_once`. The regulator
gets a report when the measure is in force and when it ends, and may take the order back.
"""

from enum import StrEnum

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
    warn,
)
from stream.enforce.procedures.ids import measure_case
from stream.enforce.procedures.messages import Lift, MeasureChanged
from stream.enforce.procedures.telling import Delivered, DeliveryFailed, Served, knowing, report_rows
from stream.model.control import Direction, Finding

BASIS = "regulator-order"


class DirectionState(StrEnum):
    """Where an order of the regulator stands."""

    NEW = "new"
    INCOMPLETE = "incomplete"
    CARRYING_OUT = "carrying-out"
    CARRIED_OUT = "carried-out"
    ENDED = "ended"
    REVOKED = "revoked"


class RegulatorCase(Case, frozen=True, kw_only=True):
    """An order of the regulator. `direction` is absent only before the first step."""

    state: DirectionState = DirectionState.NEW
    direction: Direction | None = None
    finding: Finding | None = None
    """what it was made into for the measure procedure; its case is made from this"""


class Directed(msgspec.Struct, frozen=True, tag_field="event", tag="directed"):
    """The regulator orders a measure; or the order comes again, completed."""

    direction: Direction


class Revoked(msgspec.Struct, frozen=True, tag_field="event", tag="revoked"):
    """The regulator takes the order back."""

    reason: str
    actor: str | None = None


RegulatorEvent = Directed | Revoked | MeasureChanged | Delivered | DeliveryFailed | Served | ClockFired


def missing(direction: Direction) -> tuple[str, ...]:
    """What an order must still say before it can be carried out: whose it is, and where it is written."""
    lacks = (("authority", direction.authority), ("document", direction.document))
    return tuple(name for name, value in lacks if not value)


COMPLETE = Condition[RegulatorCase, Directed](
    "it names authority and document", lambda turn: not missing(turn.event.direction)
)
IN_FORCE = Condition[RegulatorCase, MeasureChanged](
    "the measure is in force", lambda turn: turn.event.change == "in-force"
)
OVER = Condition[RegulatorCase, MeasureChanged]("the measure is over", lambda turn: turn.event.change != "in-force")


def _carry_out(turn: Turn[RegulatorCase, Directed]) -> Done[RegulatorCase]:
    """The measure is begun, the order kept, and the clock to carry it out starts."""
    direction = turn.event.direction
    finding = Finding(
        finding=turn.name("F"),
        time=turn.now,
        party=direction.party,
        grounds="regulator-order",
        basis=BASIS,
        channel=direction.channel,
        evidence=tuple(name for name in (direction.document,) if name),
        actor=direction.actor,
    )
    case = msgspec.structs.replace(turn.case, direction=direction, finding=finding)
    kept = KeepRecord((direction.direction,), BASIS)
    return Done(case, (RaiseFinding(finding, turn.case.case, direction), kept, turn.clock("carry-out")))


def _ask(turn: Turn[RegulatorCase, Directed]) -> Done[RegulatorCase]:
    """The desk is asked for what is missing; nothing is done to the party."""
    lacking = ", ".join(missing(turn.event.direction))
    case = msgspec.structs.replace(turn.case, direction=turn.event.direction)
    return Done(case, (Alert("decision", f"missing: {lacking}"),))


def _report_done(turn: Turn[RegulatorCase, MeasureChanged]) -> Done[RegulatorCase]:
    """The regulator gets a report that the measure is in force."""
    return Done(turn.case, (ClearClock("carry-out"), _report(turn, "the measure is in force")))


def _report_end(turn: Turn[RegulatorCase, MeasureChanged]) -> Done[RegulatorCase]:
    """The regulator gets a report that the measure is over."""
    return Done(turn.case, (_report(turn, f"the measure is over: {turn.event.change}"),))


def _revoke(turn: Turn[RegulatorCase, Revoked]) -> Done[RegulatorCase]:
    """The measure is lifted, or never begins."""
    assert turn.case.finding is not None, f"{turn.case.case}: an order that is carried out has a finding"
    lift = Lift(turn.event.reason, annul=True, actor=turn.event.actor)
    return Done(turn.case, (NotifyCase(measure_case(turn.case.finding), lift),))


def _drop(turn: Turn[RegulatorCase, Revoked]) -> Done[RegulatorCase]:
    """Nothing was done, so nothing is to be undone."""
    return Done(turn.case)


def _nothing(turn: Turn[RegulatorCase, MeasureChanged]) -> Done[RegulatorCase]:
    """The measure was on its way while the order was taken back; its end is on its way too."""
    return Done(turn.case)


def _report(turn: Turn[RegulatorCase, msgspec.Struct], about: str) -> SendReport:
    assert turn.case.direction is not None, "every step but the first has an order"
    document = turn.case.direction.document
    return turn.report(to="regulator", about=about, basis=BASIS, evidence=(document,) if document else ())


# ---- the table

S = DirectionState
row = RowBuilder(RegulatorCase)

# fmt: off
TABLE = (
    *report_rows(row, (S.CARRYING_OUT, S.CARRIED_OUT, S.ENDED, S.REVOKED)),
    row((S.NEW, S.INCOMPLETE), Directed, S.CARRYING_OUT, _carry_out, COMPLETE),
    row((S.NEW, S.INCOMPLETE), Directed, S.INCOMPLETE,   _ask),
    row(S.INCOMPLETE,   Revoked,        S.REVOKED,     _drop),
    row(S.CARRYING_OUT, MeasureChanged, S.CARRIED_OUT, _report_done, IN_FORCE),
    row((S.CARRYING_OUT, S.CARRIED_OUT), MeasureChanged, S.ENDED,   _report_end, OVER),
    row((S.CARRYING_OUT, S.CARRIED_OUT), Revoked,        S.REVOKED, knowing("regulator", _revoke)),
    row(S.CARRYING_OUT, ClockFired,           None,          warn, ANY_WARNING),
    row(S.CARRYING_OUT, ClockFired,           None,          breach, ANY_DUE),
    row((S.REVOKED, S.ENDED), MeasureChanged, None,    _report_end, OVER),
    row(S.REVOKED,      MeasureChanged, None,          _nothing, IN_FORCE),
)
# fmt: on

PROCEDURE = Procedure[RegulatorCase](
    name="regulator-order",
    title="Orders of the regulator",
    articles="Article 37 (the term to carry one out is a setting)",
    theory=(
        "An order that names its authority and document becomes a measure, with the party notified first unless "
        "the order says that it holds at once. The regulator gets a report when it is in force, and when it is "
        "over."
    ),
    states={
        S.NEW: "nothing has happened",
        S.INCOMPLETE: "authority or document is missing; nothing is done to the party",
        S.CARRYING_OUT: "the measure is on its way",
        S.CARRIED_OUT: "the measure is in force",
        S.ENDED: "the measure is over",
        S.REVOKED: "the regulator took the order back",
    },
    ended=frozenset((S.ENDED, S.REVOKED)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Revoked, Served),
)
