"""The dispute procedure (Article 33): a user takes a dispute to the appeals body.

The body accepts it or not, asks the company for its view, and the dispute is settled or decided. The article opens the
way and sets no terms; ours are settings. A dispute decided for the user is a finding against the party.

No step of a complaint has to come first: every dispute is recorded, and only the appeals body declines one. But the
Ministry's rules on user appeals ask for a complaint to the company first, or 15 days without an answer; a user who has
neither is told so at once.
"""

from enum import StrEnum
from typing import Final, Literal

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Act, ClearClock, KeepRecord, RaiseFinding, SendNotice, SendReport
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
from stream.enforce.procedures.messages import Disputed
from stream.enforce.procedures.telling import Delivered, DeliveryFailed, Served, knowing, report_rows
from stream.model.control import Addressee, Dispute, Finding, Notice, NoticeOutcome, NoticeSubject
from stream.model.fields import Name


class DisputeState(StrEnum):
    """Where a dispute stands."""

    NEW = "new"
    SUBMITTED = "submitted"
    WITH_COMPANY = "with-company"
    HEARD = "heard"
    DECLINED = "declined"
    SETTLED = "settled"
    DECIDED_FOR_USER = "decided-for-user"
    DECIDED_FOR_COMPANY = "decided-for-company"
    WITHDRAWN = "withdrawn"


OPEN = (DisputeState.SUBMITTED, DisputeState.WITH_COMPANY, DisputeState.HEARD)


class DisputeCase(Case, frozen=True, kw_only=True):
    """A user's dispute. `dispute` is absent only before the first step."""

    state: DisputeState = DisputeState.NEW
    dispute: Dispute | None = None


class DisputeAccepted(msgspec.Struct, frozen=True, tag_field="event", tag="accepted"):
    """The appeals body takes the dispute."""

    document: Name | None = None
    actor: str | None = None


class Declined(msgspec.Struct, frozen=True, tag_field="event", tag="declined"):
    """The appeals body does not take the dispute, and says why."""

    reason: str
    document: Name | None = None
    actor: str | None = None


class CompanyAnswered(msgspec.Struct, frozen=True, tag_field="event", tag="company-answered"):
    """The company has stated its view."""

    detail: str
    actor: str | None = None


class Settled(msgspec.Struct, frozen=True, tag_field="event", tag="settled"):
    """Both sides have agreed."""

    detail: str
    document: Name | None = None
    actor: str | None = None


class DisputeDecided(msgspec.Struct, frozen=True, tag_field="event", tag="dispute-decided"):
    """The appeals body has decided, and says why."""

    winner: Literal["user", "company"]
    reason: str
    document: Name | None = None
    actor: str | None = None


class DisputeWithdrawn(msgspec.Struct, frozen=True, tag_field="event", tag="withdrawn"):
    """The user takes the dispute back."""

    actor: str | None = None


WILL_ASK: Final = (
    "a complaint to the company first, or 15 days without its answer (the Ministry's rules on user appeals)"
)
"""What the appeals body will ask for."""

DisputeEvent = (
    Disputed
    | DisputeAccepted
    | Declined
    | CompanyAnswered
    | Settled
    | DisputeDecided
    | DisputeWithdrawn
    | Delivered
    | DeliveryFailed
    | Served
    | ClockFired
)

FOR_USER = Condition[DisputeCase, DisputeDecided]("the user wins", lambda turn: turn.event.winner == "user")
ASKED_FOR_MORE = Condition[DisputeCase, Disputed](
    "no complaint came before it, or one that was neither answered nor is late",
    lambda turn: turn.event.early or turn.event.dispute.complaint is None,
)
FOR_COMPANY = Condition[DisputeCase, DisputeDecided]("the company wins", lambda turn: turn.event.winner == "company")


# ---- actions


def _submit(turn: Turn[DisputeCase, Disputed]) -> Done[DisputeCase]:
    """The appeals body gets it with the evidence, which is kept; the clock to accept it starts."""
    dispute = turn.event.dispute
    case = msgspec.structs.replace(turn.case, dispute=dispute)
    kept = KeepRecord(dispute.evidence or (dispute.dispute,), "disputes")
    acts = (_report(turn, dispute, "appeals-body", "dispute submitted"), kept, turn.clock("accept-dispute"))
    return Done(case, acts)


def _submit_early(turn: Turn[DisputeCase, Disputed]) -> Done[DisputeCase]:
    """The same; the user is told what the appeals body will ask for: a complaint first, or 15 days without answer."""
    done = _submit(turn)
    (told,) = _notify_user(turn, turn.event.dispute, reason="incomplete", subject="missing", missing=(WILL_ASK,))
    return Done(done.case, (*done.acts, told))


def _accept(turn: Turn[DisputeCase, DisputeAccepted]) -> Done[DisputeCase]:
    """The company is asked for its view, and the clock for its answer starts."""
    asked = _report(turn, _dispute(turn.case), "company", "dispute accepted: state your view")
    return Done(turn.case, (ClearClock("accept-dispute"), turn.clock("company-answer"), asked))


def _decline(turn: Turn[DisputeCase, Declined]) -> Done[DisputeCase]:
    """The user is notified of the reason."""
    return Done(turn.case, _notify_user(turn, _dispute(turn.case), turn.event.reason, outcome="declined"))


def _hear(turn: Turn[DisputeCase, CompanyAnswered]) -> Done[DisputeCase]:
    """The appeals body gets the company's view, and the clock to decide starts."""
    view = _report(turn, _dispute(turn.case), "appeals-body", turn.event.detail)
    return Done(turn.case, (ClearClock("company-answer"), turn.clock("decide-dispute"), view))


def _default(turn: Turn[DisputeCase, ClockFired]) -> Done[DisputeCase]:
    """The company missed its term, which is a breach; the dispute is decided without its view."""
    done = breach(turn)
    return Done(done.case, (*done.acts, turn.clock("decide-dispute")))


def _settle(turn: Turn[DisputeCase, Settled]) -> Done[DisputeCase]:
    """The user is notified of what was agreed."""
    return Done(turn.case, _notify_user(turn, _dispute(turn.case), turn.event.detail, outcome="settled"))


def _for_user(turn: Turn[DisputeCase, DisputeDecided]) -> Done[DisputeCase]:
    """The user and the company are notified, and a finding against the party, if it is known, is raised."""
    dispute = _dispute(turn.case)
    if dispute.party is None:
        return Done(turn.case, _notify_both(turn, turn.event.reason, "for-user"))
    finding = Finding(
        finding=turn.name("F"),
        time=turn.now,
        party=dispute.party,
        grounds="dispute",
        basis="disputes",
        evidence=(dispute.dispute,),  # the party is shown it
        actor=turn.event.actor,
    )
    return Done(turn.case, (*_notify_both(turn, turn.event.reason, "for-user"), RaiseFinding(finding)))


def _for_company(turn: Turn[DisputeCase, DisputeDecided]) -> Done[DisputeCase]:
    """The user and the company are notified."""
    return Done(turn.case, _notify_both(turn, turn.event.reason, "for-company"))


def _withdraw(turn: Turn[DisputeCase, DisputeWithdrawn]) -> Done[DisputeCase]:
    """The appeals body is notified that nothing is left to decide."""
    return Done(turn.case, (_report(turn, _dispute(turn.case), "appeals-body", "dispute withdrawn"),))


def _dispute(case: DisputeCase) -> Dispute:
    assert case.dispute is not None, f"{case.case}: every step but the first has a dispute"
    return case.dispute


def _notify_user(
    turn: Turn[DisputeCase, msgspec.Struct],
    dispute: Dispute,
    reason: str,
    *,
    subject: NoticeSubject = "decision",
    missing: tuple[str, ...] = (),
    outcome: NoticeOutcome | None = None,
) -> tuple[Act, ...]:
    notice = Notice(
        notice=turn.name("N"),
        case=turn.case.case,
        time=turn.now,
        # Of versions before, a dispute names its user by the complaint alone.
        to=f"subscriber|{dispute.subscriber}" if dispute.subscriber else f"complaint|{dispute.complaint}",
        subject=subject,
        reason=reason,
        basis="disputes",
        missing=missing,
        outcome=outcome,
    )
    return (SendNotice(notice),)


def _notify_both(turn: Turn[DisputeCase, msgspec.Struct], reason: str, outcome: NoticeOutcome) -> tuple[Act, ...]:
    return (
        *_notify_user(turn, _dispute(turn.case), reason, outcome=outcome),
        _report(turn, _dispute(turn.case), "company", reason),
    )


def _report(turn: Turn[DisputeCase, msgspec.Struct], dispute: Dispute, to: Addressee, about: str) -> SendReport:
    return turn.report(to=to, about=about, basis="disputes", evidence=dispute.evidence)


# ---- the table

S = DisputeState
row = RowBuilder(DisputeCase)

# fmt: off
TABLE = (
    *report_rows(row, tuple(one for one in S if one != S.NEW)),
    row(S.NEW,          Disputed,        S.SUBMITTED,           _submit_early, ASKED_FOR_MORE),
    row(S.NEW,          Disputed,        S.SUBMITTED,           _submit),
    row(S.SUBMITTED,    DisputeAccepted,        S.WITH_COMPANY,        knowing("appeals-body", _accept)),
    row(S.SUBMITTED,    Declined,        S.DECLINED,            knowing("appeals-body", _decline)),
    row(S.WITH_COMPANY, CompanyAnswered, S.HEARD,               knowing("company", _hear)),
    row(OPEN,           ClockFired,            None,                  warn, ANY_WARNING),
    row(S.WITH_COMPANY, ClockFired,            S.HEARD,               _default, ANY_DUE),
    row((S.WITH_COMPANY, S.HEARD), Settled, S.SETTLED,          knowing("appeals-body", _settle)),
    row(S.HEARD,        DisputeDecided,  S.DECIDED_FOR_USER,    knowing("appeals-body", _for_user), FOR_USER),
    row(S.HEARD,        DisputeDecided,  S.DECIDED_FOR_COMPANY, knowing("appeals-body", _for_company), FOR_COMPANY),
    row(OPEN,           DisputeWithdrawn,       S.WITHDRAWN,           _withdraw),
    row((S.SUBMITTED, S.HEARD), ClockFired,    None,                  breach, ANY_DUE),
)
# fmt: on

PROCEDURE = Procedure[DisputeCase](
    name="dispute",
    title="Disputes of users",
    articles="Article 33 (all terms are settings)",
    theory=(
        "A dispute ends for the user or for the company, settled, declined or withdrawn. It is recorded whether or not "
        "a complaint came first; only the appeals body declines one, and only the user withdraws one."
    ),
    states={
        S.NEW: "nothing has happened",
        S.SUBMITTED: "with the appeals body, which accepts it or not",
        S.WITH_COMPANY: "accepted; the company is to state its view",
        S.HEARD: "to be decided",
        S.DECLINED: "the appeals body did not take it",
        S.SETTLED: "both sides agreed",
        S.DECIDED_FOR_USER: "the user won: a finding against the party",
        S.DECIDED_FOR_COMPANY: "the company won",
        S.WITHDRAWN: "the user took it back",
    },
    ended=frozenset((S.DECLINED, S.SETTLED, S.DECIDED_FOR_USER, S.DECIDED_FOR_COMPANY, S.WITHDRAWN)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Declined, Settled, DisputeDecided, Served),
)
