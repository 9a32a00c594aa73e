"""The measure procedure (Article 22): from a finding, by way of a notice, to a limit, a stop or a suspension.

Promise: **no party is suspended that was not notified first.** A party *was notified* when its notice was delivered,
when it appealed (who appeals knows), or when `attempts_min` deliveries failed over at least
`attempts_span_ms`; then it has the measure's grace to mend or object. The two exceptions are those of DESIGN
section 4: prohibited content, and an order of the regulator that says so. Then the notice goes out in the
same step as the order. Every order names its notice, and every suspension has an end, or a review date that
is set again until somebody ends it.

An appeal does not hold a measure up: otherwise every violator would appeal, and Articles 38 to 40 punish
delay.

Never here: which measure follows from a finding (`escalation`), what early warning finds (`stream.warning.rules`).
"""

import msgspec

from stream.enforce.procedures.clocks import Clock, ClockFired
from stream.enforce.procedures.effects import (
    Act,
    Alert,
    ClearClock,
    KeepRecord,
    LiftOrder,
    NotifyCase,
    NotifyEscalation,
    OpenCase,
    SendNotice,
    SetClock,
    WriteOrder,
)
from stream.enforce.procedures.engine import (
    Condition,
    Done,
    Procedure,
    RowBuilder,
    Turn,
    breach,
    fired,
)
from stream.enforce.procedures.ids import appeal_case, made_id
from stream.enforce.procedures.measure_case import (
    ENDED,
    PENDING,
    STANDING,
    Delivered,
    DeliveryFailed,
    MeasureCase,
    MeasureEvent,
    MeasureState,
    Reviewed,
)
from stream.enforce.procedures.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    Change,
    FindingRouted,
    Lift,
    MeasureChanged,
    Superseded,
)
from stream.model.control import AT_ONCE_BASES, Finding, Notice, NoticeSubject, party_key
from stream.model.registry import Order

# ---- conditions


def _tried_enough(turn: Turn[MeasureCase, DeliveryFailed]) -> bool:
    settings, first = turn.terms.settings, turn.case.failed_first
    return (
        OUR_FAILURE.holds(turn)
        and first is not None
        and turn.case.failures_count + 1 >= settings.attempts_min
        and turn.now - first >= settings.attempts_span_ms
    )


AT_ONCE = Condition[MeasureCase, FindingRouted](
    "it is prohibited content, or a regulator's order to act at once",
    lambda turn: turn.event.at_once and turn.event.finding.basis in AT_ONCE_BASES,
)
OUR_NOTICE = Condition[MeasureCase, Delivered](
    "it is this case's notice", lambda turn: turn.event.delivery.notice == turn.case.notice
)
OUR_FAILURE = Condition[MeasureCase, DeliveryFailed](
    "it is this case's notice", lambda turn: turn.event.delivery.notice == turn.case.notice
)
TRIED_ENOUGH = Condition[MeasureCase, DeliveryFailed](
    "its delivery failed often enough, over long enough", _tried_enough
)
PARTY_WINS = Condition[MeasureCase, AppealDecided](
    "it is this case's appeal, and the party wins",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "party",
)
MEASURE_STANDS = Condition[MeasureCase, AppealDecided](
    "it is this case's appeal, and the measure stands",
    lambda turn: turn.event.appeal == turn.case.appeal and turn.event.winner == "measure",
)
OUR_APPEAL = Condition[MeasureCase, AppealWithdrawn](
    "it is this case's appeal", lambda turn: turn.event.appeal == turn.case.appeal
)
FIRST_APPEAL = Condition[MeasureCase, Appealed](
    "the party of the measure appeals, for the first time",
    lambda turn: turn.case.appeal is None and turn.event.appeal.party == _finding(turn.case).party,
)
NEVER_BEGUN = Condition[MeasureCase, FindingRouted](
    "it was taken back before it came", lambda turn: turn.case.finding is None
)
KEPT = Condition[MeasureCase, Reviewed]("the measure is kept", lambda turn: turn.event.keep)
NOT_KEPT = Condition[MeasureCase, Reviewed]("the measure is not kept", lambda turn: not turn.event.keep)


# ---- actions


def _notify(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The party is notified of measure, reason, evidence, grace and where to appeal; the record is kept."""
    case = _opened(turn)
    return Done(case, (*_first_acts(turn, case), turn.clock("tell")))


def _enforce_and_notify(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The order is written and the party notified, in one step; the record is kept."""
    case = msgspec.structs.replace(_opened(turn), notified=turn.now)
    done = _in_force(turn, case)
    return Done(done.case, (*_first_acts(turn, case), *done.acts))


def _start_grace(turn: Turn[MeasureCase, Delivered]) -> Done[MeasureCase]:
    """The grace period starts."""
    return _grace(turn)


def _deem_notified(turn: Turn[MeasureCase, DeliveryFailed]) -> Done[MeasureCase]:
    """The party counts as notified: the grace period starts, and people should look."""
    done = _grace(turn)
    return Done(done.case, (*done.acts, Alert("decision", "party-not-reached")))


def _failed(turn: Turn[MeasureCase, DeliveryFailed]) -> Done[MeasureCase]:
    """The attempt is counted."""
    case = turn.case
    first = turn.now if case.failed_first is None else case.failed_first
    return Done(msgspec.structs.replace(case, failed_first=first, failures_count=case.failures_count + 1))


def _enforce(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """The order is written, and the lighter measures that it replaces are ended."""
    return _in_force(turn, turn.case)


def _join(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The finding joins the case; its record is kept."""
    case, finding = turn.case, turn.event.finding
    if finding.finding in case.joined or finding == case.finding:
        return Done(case)
    joined = (*case.joined, finding.finding)[: turn.terms.settings.joined_max]
    kept = KeepRecord(finding.evidence or (finding.finding,), finding.basis)
    return Done(msgspec.structs.replace(case, joined=joined, joined_count=case.joined_count + 1), (kept,))


def _open_appeal(turn: Turn[MeasureCase, Appealed]) -> Done[MeasureCase]:
    """The appeal's own case is opened."""
    appeal = appeal_case(turn.event.appeal)
    return Done(msgspec.structs.replace(turn.case, appeal=appeal), (OpenCase("appeal", appeal, turn.event),))


def _open_appeal_unnotified(turn: Turn[MeasureCase, Appealed]) -> Done[MeasureCase]:
    """The appeal's own case is opened; the party evidently knows, so the grace period starts."""
    opened = _open_appeal(turn)
    case = msgspec.structs.replace(opened.case, notified=turn.now)
    return Done(case, (*opened.acts, *_grace_acts(turn, case)))


def _appeal_over(turn: Turn[MeasureCase, AppealDecided | AppealWithdrawn]) -> Done[MeasureCase]:
    """The measure takes its course."""
    return Done(turn.case)


def _won(turn: Turn[MeasureCase, AppealDecided]) -> Done[MeasureCase]:
    """The measure ends, or never begins; the finding counts for nothing; the party is notified."""
    return _end(turn, change="annulled", reason=turn.event.reason)


def _won_late(turn: Turn[MeasureCase, AppealDecided]) -> Done[MeasureCase]:
    """The measure has ended already; the finding counts for nothing from now on."""
    return Done(turn.case, _changed(turn.case, "annulled"))


def _expire(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """The order has come to its end; the party is notified."""
    return _end(turn, change="ended", reason="the measure has come to its end")


def _lift(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """The order is lifted; the party is notified."""
    return _end(turn, change="annulled" if turn.event.annul else "ended", reason=turn.event.reason)


def _withdraw(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """The measure never begins; the party is notified."""
    return _end(turn, change="annulled", reason=turn.event.reason)


def _never(turn: Turn[MeasureCase, Lift]) -> Done[MeasureCase]:
    """Nothing was done, so nothing is to be undone."""
    return Done(turn.case)


def _too_late(turn: Turn[MeasureCase, FindingRouted]) -> Done[MeasureCase]:
    """The finding comes to nothing."""
    case = _opened(turn)
    return Done(case, _changed(case, "annulled"))


def _lift_on_review(turn: Turn[MeasureCase, Reviewed]) -> Done[MeasureCase]:
    """The order is lifted; the party is notified."""
    return _end(turn, change="ended", reason=turn.event.reason)


def _supersede(turn: Turn[MeasureCase, Superseded]) -> Done[MeasureCase]:
    """The order, if there is one, gives way to the heavier one."""
    return Done(turn.case, (*_lifted(turn), *_changed(turn.case, "ended")))


def _keep(turn: Turn[MeasureCase, Reviewed]) -> Done[MeasureCase]:
    """The next review is set, if the order has no end of its own."""
    order = turn.case.order
    return Done(turn.case, (_review(turn),) if order is not None and order.until is None else ())


def _ask_review(turn: Turn[MeasureCase, ClockFired]) -> Done[MeasureCase]:
    """People are asked whether the measure is still needed; the next review is set, whatever they do."""
    return Done(turn.case, (Alert("decision", "review"), _review(turn)))


# ---- what the actions are made of


def _finding(case: MeasureCase) -> Finding:
    assert case.finding is not None, f"{case.case}: every step but the first has a finding"
    return case.finding


def _opened(turn: Turn[MeasureCase, FindingRouted]) -> MeasureCase:
    found = turn.event
    return msgspec.structs.replace(
        turn.case,
        finding=found.finding,
        measure=found.measure,
        origin=found.origin,
        replaces=found.replaces,
        until=found.until,
        notice=turn.name("N"),
    )


def _first_acts(turn: Turn[MeasureCase, FindingRouted], case: MeasureCase) -> tuple[Act, ...]:
    finding = _finding(case)
    return (
        KeepRecord(finding.evidence or (finding.finding,), finding.basis),
        SendNotice(_notice(turn, case, subject="measure", reason=finding.grounds)),
    )


def _notice(
    turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase, *, subject: NoticeSubject, reason: str
) -> Notice:
    finding = _finding(case)
    begins = subject == "measure"
    return Notice(
        notice=case.notice if begins and case.notice else turn.name("N"),
        case=case.case,
        time=turn.now,
        to=party_key(finding.party),
        subject=subject,
        reason=reason,
        basis=finding.basis,
        measure=case.measure,
        grace_ms=turn.terms.measure(case.measure).grace_ms if begins and case.notified is None else None,
        appeal=turn.terms.appeal,
        evidence=finding.evidence,
        figures=finding.figures,
    )


def _grace(turn: Turn[MeasureCase, msgspec.Struct]) -> Done[MeasureCase]:
    case = msgspec.structs.replace(turn.case, notified=turn.now)
    return Done(case, _grace_acts(turn, case))


def _grace_acts(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase) -> tuple[Act, ...]:
    grace = Clock("grace", turn.now + turn.terms.measure(case.measure).grace_ms)
    return ClearClock("tell"), SetClock(grace)


def _in_force(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase) -> Done[MeasureCase]:
    finding = _finding(case)
    order = Order(
        order=made_id("O", case.case),
        measure=case.measure,
        from_=turn.now,
        basis=finding.basis,
        sender=finding.party.sender,
        number=finding.party.number,
        channel=finding.channel,
        until=_end_of(turn, case),
        notice=case.notice,
        appeal=turn.terms.appeal,
        actor=finding.actor,
    )
    clock = _review(turn) if order.until is None else SetClock(Clock("end", order.until))
    replaced = (NotifyCase(lighter, Superseded(case.case)) for lighter in case.replaces)
    after = msgspec.structs.replace(case, order=order)
    return Done(after, (WriteOrder(order), clock, *_changed(after, "in-force"), *replaced))


def _end_of(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase) -> int | None:
    """The order's end: an authority's own, none for what an authority or prohibited content began, else the
    term.
    """
    if case.until is not None:
        return max(case.until, turn.now)
    if _finding(case).basis in AT_ONCE_BASES:
        return None
    return turn.now + turn.terms.measure(case.measure).length_ms


def _review(turn: Turn[MeasureCase, msgspec.Struct]) -> SetClock:
    return SetClock(Clock("review", turn.now + turn.terms.settings.review_ms))


def _end(turn: Turn[MeasureCase, msgspec.Struct], *, change: Change, reason: str) -> Done[MeasureCase]:
    notice = SendNotice(_notice(turn, turn.case, subject="measure-ended", reason=reason))
    return Done(turn.case, (*_lifted(turn), *_changed(turn.case, change), notice))


def _lifted(turn: Turn[MeasureCase, msgspec.Struct]) -> tuple[Act, ...]:
    order = turn.case.order
    if order is None or not order.in_force(turn.now):
        return ()
    return (LiftOrder(msgspec.structs.replace(order, until=turn.now)),)


def _changed(case: MeasureCase, change: Change) -> tuple[Act, ...]:
    changed = MeasureChanged(case.case, case.measure, change)
    escalation = NotifyEscalation(_finding(case).party, changed)
    return (escalation, NotifyCase(case.origin, changed)) if case.origin else (escalation,)


# ---- the table

S = MeasureState
row = RowBuilder(MeasureCase)

# fmt: off
TABLE = (
    row(S.NEW,       FindingRouted,           S.IN_FORCE,   _enforce_and_notify, AT_ONCE),
    row(S.NEW,       FindingRouted,           S.TELLING,    _notify),
    # Taken back before it came: messages of different cases may overtake each other.
    row(S.NEW,       Lift,            S.WITHDRAWN,  _never),
    row(S.WITHDRAWN, FindingRouted,           None,         _too_late, NEVER_BEGUN),
    # The party is notified, and has its grace.
    row(S.TELLING,   Delivered,       S.WARNED,     _start_grace, OUR_NOTICE),
    row(S.TELLING,   DeliveryFailed,  S.WARNED,     _deem_notified, TRIED_ENOUGH),
    row(S.TELLING,   DeliveryFailed,  None,         _failed, OUR_FAILURE),
    row(S.TELLING,   Appealed,        S.CONTESTED,  _open_appeal_unnotified, FIRST_APPEAL),
    row(S.TELLING,   ClockFired,            None,         breach, fired("tell")),
    row(S.WARNED,    Appealed,        S.CONTESTED,  _open_appeal, FIRST_APPEAL),
    row(S.WARNED,    ClockFired,            S.IN_FORCE,   _enforce, fired("grace")),
    row(S.CONTESTED, ClockFired,            S.APPEALED,   _enforce, fired("grace")),
    row(PENDING,     Lift,            S.WITHDRAWN,  _withdraw),
    # In force.
    row(S.IN_FORCE,  Appealed,        S.APPEALED,   _open_appeal, FIRST_APPEAL),
    row(STANDING,    ClockFired,            S.EXPIRED,    _expire, fired("end")),
    row(STANDING,    ClockFired,            None,         _ask_review, fired("review")),
    row(STANDING,    Reviewed,        None,         _keep, KEPT),
    row(STANDING,    Reviewed,        S.LIFTED,     _lift_on_review, NOT_KEPT),
    row(STANDING,    Lift,            S.LIFTED,     _lift),
    # An appeal comes to its end.
    row((S.CONTESTED, S.APPEALED), AppealDecided, S.APPEAL_WON, _won, PARTY_WINS),
    row(S.CONTESTED, AppealDecided,   S.WARNED,     _appeal_over, MEASURE_STANDS),
    row(S.APPEALED,  AppealDecided,   S.IN_FORCE,   _appeal_over, MEASURE_STANDS),
    row(S.CONTESTED, AppealWithdrawn, S.WARNED,     _appeal_over, OUR_APPEAL),
    row(S.APPEALED,  AppealWithdrawn, S.IN_FORCE,   _appeal_over, OUR_APPEAL),
    # What comes later, or beside.
    row((*PENDING, *STANDING), FindingRouted,      None,         _join),
    row((*PENDING, *STANDING), Superseded, S.SUPERSEDED, _supersede),
    row(ENDED,       AppealDecided,   None,         _won_late, PARTY_WINS),
    row(ENDED,       AppealDecided,   None,         _appeal_over, MEASURE_STANDS),
    row(ENDED,       AppealWithdrawn, None,         _appeal_over, OUR_APPEAL),
)
# fmt: on

PROCEDURE = Procedure[MeasureCase](
    name="measure",
    title="Measures against a violator",
    articles="Article 22; what Articles 15, 32 and 37 lead to comes here too",
    theory=(
        "No party is suspended that was not notified first: a measure comes into force when the grace of its "
        "notice has passed. The exceptions, prohibited content and an order of the regulator that says so, "
        "notify the party in the same step (our reading of Article 22). An appeal does not hold the measure up."
    ),
    states={
        S.NEW: "nothing has happened",
        S.TELLING: "the notice is on its way",
        S.WARNED: "the party was notified; its grace runs",
        S.CONTESTED: "its grace runs, and it has appealed",
        S.IN_FORCE: "the order is in force",
        S.APPEALED: "the order is in force, and the party has appealed",
        S.APPEAL_WON: "the party won its appeal: the order is lifted, or was never written",
        S.EXPIRED: "the order came to its end",
        S.LIFTED: "whoever ordered it, or a review, ended it early",
        S.WITHDRAWN: "the measure never began",
        S.SUPERSEDED: "a heavier measure took its place",
    },
    ended=frozenset(ENDED),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Reviewed, Lift),
)


__all__ = [
    "ENDED",
    "PENDING",
    "PROCEDURE",
    "STANDING",
    "TABLE",
    "Delivered",
    "DeliveryFailed",
    "MeasureCase",
    "MeasureEvent",
    "MeasureState",
    "Reviewed",
]
