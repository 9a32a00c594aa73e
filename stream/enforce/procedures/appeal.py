"""The appeal procedure (Article 22): a party says that a measure, or a listing, should not be.

Who wins is named plainly: `decided-for-party` (the measure ends) or `decided-for-measure` (it stands). The
appeal does not hold the measure up; its own clock holds the desk to a decision.
"""

from enum import StrEnum

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import KeepRecord, NotifyCase, SendNotice
from stream.enforce.procedures.engine import (
    ANY_DUE,
    ANY_WARNING,
    Condition,
    Done,
    Procedure,
    RowBuilder,
    Turn,
    breach,
    fired,
    warn,
)
from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.messages import AppealDecided, Appealed, AppealWithdrawn, Side
from stream.enforce.procedures.telling import (
    Delivered,
    DeliveryFailed,
    Served,
    WaitingCase,
    ask,
    begin_supplement,
    over,
    waiting_rows,
)
from stream.model.control import Appeal, Notice, NoticeOutcome, NoticeSubject, party_key
from stream.model.fields import Name


class AppealState(StrEnum):
    """Where an appeal stands."""

    NEW = "new"
    INCOMPLETE = "incomplete"
    PENDING = "pending"
    DECIDED_FOR_PARTY = "decided-for-party"
    DECIDED_FOR_MEASURE = "decided-for-measure"
    WITHDRAWN = "withdrawn"


class AppealCase(WaitingCase, frozen=True, kw_only=True):
    """A party's appeal. `appeal` is absent only before the first step."""

    state: AppealState = AppealState.NEW
    appeal: Appeal | None = None


class Supplemented(msgspec.Struct, frozen=True, tag_field="event", tag="supplemented"):
    """The party gives the grounds that were missing."""

    grounds: str
    evidence: tuple[str, ...] = ()
    document: Name | None = None
    actor: str | None = None


class Decided(msgspec.Struct, frozen=True, tag_field="event", tag="decided"):
    """The desk, or who stands above it, has decided for one side, and says why."""

    winner: Side
    reason: str
    actor: str | None = None


class WithdrawAppeal(msgspec.Struct, frozen=True, tag_field="event", tag="withdraw"):
    """The party gives the appeal up."""

    document: Name | None = None
    actor: str | None = None


AppealEvent = Appealed | Supplemented | Decided | WithdrawAppeal | Delivered | DeliveryFailed | Served | ClockFired


# ---- conditions

GROUNDED = Condition[AppealCase, Appealed](
    "it states its grounds, and nothing is ill-formed",
    lambda turn: bool(turn.event.appeal.grounds) and not turn.event.wrong,
)
GROUNDS_GIVEN = Condition[AppealCase, Supplemented]("it states its grounds", lambda turn: bool(turn.event.grounds))
FOR_PARTY = Condition[AppealCase, Decided]("the party wins", lambda turn: turn.event.winner == "party")
FOR_MEASURE = Condition[AppealCase, Decided]("the measure stands", lambda turn: turn.event.winner == "measure")


# ---- actions


def _take(turn: Turn[AppealCase, Appealed]) -> Done[AppealCase]:
    """The clock to decide starts; the evidence is kept."""
    appeal = turn.event.appeal
    kept = KeepRecord(appeal.evidence or (appeal.appeal,), "measures")
    return Done(msgspec.structs.replace(turn.case, appeal=appeal), (turn.clock("decide-appeal"), kept))


def _ask(turn: Turn[AppealCase, Appealed]) -> Done[AppealCase]:
    """The party is asked for its grounds, or for what is ill-formed, and once it was reached, has time to give it."""
    case = msgspec.structs.replace(turn.case, appeal=turn.event.appeal)
    notice = _notice(turn, turn.event.appeal, subject="missing", reason="incomplete")
    asked = msgspec.structs.replace(notice, missing=missing(turn.event.appeal, turn.event.wrong))
    return ask(turn, case, asked)


def _supplement(turn: Turn[AppealCase, Supplemented]) -> Done[AppealCase]:
    """The clock to decide starts; the evidence is kept."""
    before = _appeal(turn.case)
    appeal = msgspec.structs.replace(
        before, grounds=turn.event.grounds, evidence=(*before.evidence, *turn.event.evidence)
    )
    kept = KeepRecord(appeal.evidence or (appeal.appeal,), "measures")
    acts = (*over(turn, "supplement", "tell"), turn.clock("decide-appeal"), kept)
    return Done(msgspec.structs.replace(turn.case, appeal=appeal, awaited=None), acts)


def _decide(turn: Turn[AppealCase, Decided]) -> Done[AppealCase]:
    """The party is notified of the reason, and so is the case that it appealed against."""
    appeal = _appeal(turn.case)
    decided = AppealDecided(turn.case.case, turn.event.winner, turn.event.reason)
    outcome: NoticeOutcome = "for-party" if turn.event.winner == "party" else "for-measure"
    decision = _notice(turn, appeal, subject="decision", reason=turn.event.reason)
    notice = msgspec.structs.replace(decision, outcome=outcome)
    return Done(turn.case, (NotifyCase(appeal.against, decided), SendNotice(notice)))


def _withdraw(turn: Turn[AppealCase, WithdrawAppeal]) -> Done[AppealCase]:
    """The case that it was against takes its course."""
    return Done(turn.case, (NotifyCase(_appeal(turn.case).against, AppealWithdrawn(turn.case.case)),))


def _lapse(turn: Turn[AppealCase, ClockFired]) -> Done[AppealCase]:
    """An appeal whose grounds never came counts as withdrawn."""
    return Done(turn.case, (NotifyCase(_appeal(turn.case).against, AppealWithdrawn(turn.case.case)),))


def missing(appeal: Appeal, wrong: tuple[Wrong, ...] = ()) -> tuple[str, ...]:
    """What an appeal must still say before it can be decided. What is ill-formed comes as `field: not its form`."""
    absent = not appeal.grounds and all(one.field != "grounds" for one in wrong)
    return (*map(str, wrong), *(("grounds",) if absent else ()))


def _appeal(case: AppealCase) -> Appeal:
    assert case.appeal is not None, f"{case.case}: every step but the first has an appeal"
    return case.appeal


def _notice(turn: Turn[AppealCase, msgspec.Struct], appeal: Appeal, *, subject: NoticeSubject, reason: str) -> Notice:
    return Notice(
        notice=turn.name("N"),
        case=turn.case.case,
        time=turn.now,
        to=party_key(appeal.party),
        subject=subject,
        reason=reason,
        basis="measures",
    )


# ---- the table

S = AppealState
row = RowBuilder(AppealCase)

# fmt: off
TABLE = (
    row(S.NEW,        Appealed,     S.PENDING,             _take, GROUNDED),
    row(S.NEW,        Appealed,     S.INCOMPLETE,          _ask),
    row(S.INCOMPLETE, Supplemented, S.PENDING,             _supplement, GROUNDS_GIVEN),
    *waiting_rows(row, S.INCOMPLETE, None, begin_supplement),
    row(S.INCOMPLETE, ClockFired,         None,                  breach, fired("tell")),
    row(S.INCOMPLETE, ClockFired,         S.WITHDRAWN,           _lapse, fired("supplement")),
    row(S.PENDING,    Decided,      S.DECIDED_FOR_PARTY,   _decide, FOR_PARTY),
    row(S.PENDING,    Decided,      S.DECIDED_FOR_MEASURE, _decide, FOR_MEASURE),
    row((S.INCOMPLETE, S.PENDING), WithdrawAppeal, S.WITHDRAWN,  _withdraw),
    row((S.INCOMPLETE, S.PENDING), ClockFired,     None,         warn, ANY_WARNING),
    row(S.PENDING,    ClockFired,         None,                  breach, ANY_DUE),
)
# fmt: on

PROCEDURE = Procedure[AppealCase](
    name="appeal",
    title="Appeals of parties",
    articles="Article 22 (the term to decide is a setting)",
    theory="An appeal ends for the party or for the measure, and the case that it is against learns which.",
    states={
        S.NEW: "nothing has happened",
        S.INCOMPLETE: "the party is asked for its grounds, or for what is ill-formed, and has time once it was reached",
        S.PENDING: "to be decided",
        S.DECIDED_FOR_PARTY: "the party won: the measure ends",
        S.DECIDED_FOR_MEASURE: "the party lost: the measure stands",
        S.WITHDRAWN: "the party gave it up, or never gave grounds",
    },
    ended=frozenset((S.DECIDED_FOR_PARTY, S.DECIDED_FOR_MEASURE, S.WITHDRAWN)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Decided, Served),
)
