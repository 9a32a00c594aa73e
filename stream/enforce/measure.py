"""The measure procedure (Article 22): from a finding, by way of a notice, to a limit, a stop or a suspension.

Promise: **no party is suspended that was not told first.** A party *was told* when its notice was delivered, when it
appealed (who appeals knows), or when `attempts_min` deliveries failed over at least `attempts_span_ms`; then it has
the measure's grace to mend or object. The two exceptions are those of DESIGN section 4: prohibited content, and an
order of the regulator that says so. Then the notice goes out in the same step as the order. Every order names its
notice, and every suspension has an end, or a review date that is set anew until somebody ends it.

An appeal does not hold a measure up: otherwise every violator would appeal, and Articles 38 to 40 punish delay.

Never here: which measure follows from a finding (`docket`), what early warning finds (`warning`).
"""

from enum import StrEnum

import msgspec

from stream.enforce.clocks import Clock, Rang
from stream.enforce.effects import (
    Act,
    Alert,
    ClearClock,
    Effect,
    KeepRecord,
    LiftOrder,
    OpenCase,
    SendNotice,
    SetClock,
    TellCase,
    WriteOrder,
)
from stream.enforce.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    Found,
    Lift,
    MeasureChanged,
    Superseded,
)
from stream.enforce.procedure import (
    Case,
    Condition,
    Done,
    E,
    Procedure,
    Stepped,
    Transition,
    Turn,
    WrongState,
    advance,
    made_id,
    rang,
    row,
)
from stream.enforce.terms import Terms
from stream.model.control import CaseId, Delivery, Finding, Notice, NoticeSubject, party_key
from stream.model.fields import Measure
from stream.model.registry import Order


class State(StrEnum):
    """Where a measure stands."""

    NEW = "new"
    TELLING = "telling"
    WARNED = "warned"
    CONTESTED = "contested"
    IN_FORCE = "in-force"
    APPEALED = "appealed"
    APPEAL_WON = "appeal-won"
    EXPIRED = "expired"
    LIFTED = "lifted"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


ENDED = frozenset((State.APPEAL_WON, State.EXPIRED, State.LIFTED, State.WITHDRAWN, State.SUPERSEDED))
PENDING = (State.TELLING, State.WARNED, State.CONTESTED)
STANDING = (State.IN_FORCE, State.APPEALED)


class MeasureCase(Case, frozen=True, kw_only=True):
    """A measure against one party."""

    state: State = State.NEW
    finding: Finding | None = None
    measure: Measure = "limit"
    origin: CaseId | None = None
    replaces: tuple[CaseId, ...] = ()
    until: int | None = None
    """an end that an authority set"""
    notice: str | None = None
    told: int | None = None
    first_failure: int | None = None
    failures: int = 0
    order: Order | None = None
    appeal: CaseId | None = None
    joined: tuple[str, ...] = ()
    joined_count: int = 0


class Delivered(msgspec.Struct, frozen=True, tag_field="event", tag="delivered"):
    """The connector delivered a notice."""

    delivery: Delivery


class DeliveryFailed(msgspec.Struct, frozen=True, tag_field="event", tag="delivery-failed"):
    """The connector tried to deliver a notice and failed."""

    delivery: Delivery


class Reviewed(msgspec.Struct, frozen=True, tag_field="event", tag="reviewed"):
    """The desk has reviewed a measure without an end: `keep` it until the next review, or lift it."""

    keep: bool
    reason: str
    actor: str | None = None


Turned = Turn[MeasureCase, E]


# ---- conditions

AT_ONCE: Condition[MeasureCase, Found] = Condition(
    "it is prohibited content, or a regulator's order to act at once",
    lambda turn: turn.event.at_once
    and turn.event.finding.basis in ("prohibited-content", "regulator-order"),
)
OUR_NOTICE: Condition[MeasureCase, Delivered] = Condition(
    "the delivery is of this case's notice", lambda turn: turn.event.delivery.notice == turn.case.notice
)
OUR_FAILURE: Condition[MeasureCase, DeliveryFailed] = Condition(
    "the attempt was of this case's notice", lambda turn: turn.event.delivery.notice == turn.case.notice
)


def _tried_enough(turn: Turn[MeasureCase, DeliveryFailed]) -> bool:
    settings, first = turn.terms.settings, turn.case.first_failure
    return (
        OUR_FAILURE.holds(turn)
        and first is not None
        and turn.case.failures + 1 >= settings.attempts_min
        and turn.now - first >= settings.attempts_span_ms
    )


TRIED_ENOUGH = Condition("delivery of this case's notice failed often enough, over long enough", _tried_enough)
PARTY_WINS: Condition[MeasureCase, AppealDecided] = Condition(
    "it is this case's appeal, and the party wins",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "party",
)
MEASURE_STANDS: Condition[MeasureCase, AppealDecided] = Condition(
    "it is this case's appeal, and the measure stands",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "measure",
)
OUR_APPEAL: Condition[MeasureCase, AppealWithdrawn] = Condition(
    "it is this case's appeal", lambda turn: turn.event.appeal == turn.case.appeal
)
THEIR_OWN: Condition[MeasureCase, Appealed] = Condition(
    "the party of the measure appeals",
    lambda turn: turn.case.finding is not None and turn.event.appeal.party == turn.case.finding.party,
)
KEEP: Condition[MeasureCase, Reviewed] = Condition(
    "the measure is kept, and has no end of its own",
    lambda turn: turn.event.keep and turn.case.order is not None and turn.case.order.until is None,
)
END_IT: Condition[MeasureCase, Reviewed] = Condition("the measure is not kept", lambda turn: not turn.event.keep)


# ---- actions

def _tell(turn: Turn[MeasureCase, Found]) -> Done[MeasureCase]:
    """The party is told: measure, reason, evidence, grace, and where to appeal. The record is kept."""
    case = _case_of(turn)
    return Done(case, (*_notice_and_record(turn, case), turn.clock("tell")))


def _tell_and_act(turn: Turn[MeasureCase, Found]) -> Done[MeasureCase]:
    """The order is written and the party told, in one step."""
    case = msgspec.structs.replace(_case_of(turn), told=turn.now)
    enforced, acts = _enforce(turn, case)
    return Done(enforced, (*_notice_and_record(turn, case), *acts))


def _start_grace(turn: Turned[Delivered]) -> Done[MeasureCase]:
    """The grace period starts."""
    return _told(turn)


def _start_grace_untold(turn: Turned[DeliveryFailed]) -> Done[MeasureCase]:
    """The party is held to have been told; the grace period starts, and people are asked to look."""
    done = _told(turn)
    return Done(_failed(turn), ()) if False else Done(
        msgspec.structs.replace(done.case, failures=turn.case.failures + 1),
        (*done.acts, Alert("warning", "the party could not be reached")),
    )
