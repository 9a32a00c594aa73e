"""What a measure's steps are made of: its order and notices, what stands meanwhile, and what it says to other cases."""

from typing import Final

import msgspec

from stream.enforce.procedures.clocks import Clock
from stream.enforce.procedures.effects import (
    Act,
    KeepRecord,
    LiftOrder,
    NotifyCase,
    NotifyEscalation,
    SendNotice,
    SetClock,
    WriteOrder,
)
from stream.enforce.procedures.engine import Done, Turn
from stream.enforce.procedures.ids import made_id
from stream.enforce.procedures.measure_case import MeasureCase
from stream.enforce.procedures.messages import Change, MeasureChanged, Restored, Superseded
from stream.model.control import AT_ONCE_BASES, Finding, Notice, NoticeSubject, party_key
from stream.model.fields import Measure
from stream.model.registry import Order

MEANWHILE: Final[dict[Measure, Measure]] = {"limit": "limit", "stop": "stop", "suspend": "stop"}
"""What stands while the notice of a measure waits to be served: only a suspension needs prior telling."""


def finding_of(case: MeasureCase) -> Finding:
    """The finding that opened the case."""
    assert case.finding is not None, f"{case.case}: every step but the first has a finding"
    return case.finding


def first_acts(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase, *, at_once: bool) -> tuple[Act, ...]:
    """The record is kept and the party notified; of its grace, unless the measure holds at once."""
    finding = finding_of(case)
    notice = _notice(turn, case, subject="measure", reason=finding.grounds)
    terms = turn.terms.measure(case.measure)
    grace = None if at_once else terms.grace_ms
    ends = case.until is not None or finding.basis in AT_ONCE_BASES
    named = msgspec.structs.replace(
        notice,
        notice=case.notice or notice.notice,
        grace_ms=grace,
        until=case.until,
        lasts_ms=None if ends else terms.length_ms,
    )
    return (
        KeepRecord(finding.evidence or (finding.finding,), finding.basis),
        SendNotice(named),
    )


def in_force(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase) -> Done[MeasureCase]:
    """The order is written, in the place of what stood meanwhile; lighter measures give way."""
    order = _order(turn, case, case.measure, until=_end_of(turn, case))
    replaced = (NotifyCase(lighter, Superseded(case.case)) for lighter in case.replaces)
    after = msgspec.structs.replace(case, order=order, interim=None)
    return Done(after, (WriteOrder(order), end_or_review(turn, order), *changed(after, "in-force"), *replaced))


def meanwhile(turn: Turn[MeasureCase, msgspec.Struct]) -> Done[MeasureCase]:
    """What stands until the party is notified, if it does not stand already."""
    case = turn.case
    if case.interim is not None:
        return Done(case)
    measure = MEANWHILE[case.measure]
    order = _order(turn, case, measure, until=turn.now + turn.terms.measure(measure).length_ms)
    return Done(msgspec.structs.replace(case, interim=order), (WriteOrder(order),))


def review(turn: Turn[MeasureCase, msgspec.Struct]) -> SetClock:
    """The next review of a measure without an end."""
    return SetClock(Clock("review", turn.now + turn.terms.settings.review_ms))


def end_or_review(turn: Turn[MeasureCase, msgspec.Struct], order: Order) -> SetClock:
    """The end of an order, or the next review of one without an end."""
    return review(turn) if order.until is None else SetClock(Clock("end", order.until))


def grace(turn: Turn[MeasureCase, msgspec.Struct], since: int) -> SetClock:
    """The end of the grace that began when the party was notified (`since`, milliseconds)."""
    return SetClock(Clock("grace", since + turn.terms.measure(turn.case.measure).grace_ms))


def end(turn: Turn[MeasureCase, msgspec.Struct], *, change: Change, reason: str) -> Done[MeasureCase]:
    """The measure ends, and the party is notified; if it should not have been, lighter measures stand again."""
    notice = SendNotice(_notice(turn, turn.case, subject="measure-ended", reason=reason))
    again = restored(turn) if change == "annulled" else ()
    return Done(turn.case, (*lifted(turn), *changed(turn.case, change), *again, notice))


def lifted(turn: Turn[MeasureCase, msgspec.Struct]) -> tuple[Act, ...]:
    """The order, or what stands meanwhile, ends now."""
    order = turn.case.order or turn.case.interim
    if order is None or not order.in_force(turn.now):
        return ()
    return (LiftOrder(msgspec.structs.replace(order, until=turn.now)),)


def restored(turn: Turn[MeasureCase, msgspec.Struct]) -> tuple[Act, ...]:
    """The lighter measures that gave way to this one stand again."""
    case = turn.case
    return tuple(NotifyCase(one, Restored(case.case)) for one in case.replaces) if case.order is not None else ()


def changed(case: MeasureCase, change: Change) -> tuple[Act, ...]:
    """The escalation record, and the case that it came from, learn what became of it."""
    finding = finding_of(case)
    event = MeasureChanged(case.case, case.measure, change, finding.channel)
    escalation = NotifyEscalation(finding.party, event)
    return (escalation, NotifyCase(case.origin, event)) if case.origin and change != "resumed" else (escalation,)


def notify_of_restoration(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase) -> SendNotice:
    """The party is notified that the measure stands again."""
    reason = "the heavier measure that had taken its place was annulled: this one stands again"
    notice = _notice(turn, case, subject="measure", reason=reason)
    return SendNotice(msgspec.structs.replace(notice, until=case.order.until if case.order is not None else case.until))


def _order(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase, measure: Measure, *, until: int | None) -> Order:
    finding = finding_of(case)
    return Order(
        order=made_id("O", case.case),
        measure=measure,
        from_=turn.now,
        basis=finding.basis,
        sender=finding.party.sender,
        number=finding.party.number,
        channel=finding.channel,
        until=until,
        notice=case.notice,
        appeal=turn.terms.appeal,
        actor=finding.actor,
    )


def _end_of(turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase) -> int | None:
    """The order's end: an authority's own, none for what an authority or prohibited content began, else the
    term.
    """
    if case.until is not None:
        return max(case.until, turn.now)
    if finding_of(case).basis in AT_ONCE_BASES:
        return None
    return turn.now + turn.terms.measure(case.measure).length_ms


def _notice(
    turn: Turn[MeasureCase, msgspec.Struct], case: MeasureCase, *, subject: NoticeSubject, reason: str
) -> Notice:
    finding = finding_of(case)
    return Notice(
        notice=turn.name("N"),
        case=case.case,
        time=turn.now,
        to=party_key(finding.party),
        subject=subject,
        reason=reason,
        basis=finding.basis,
        measure=case.measure,
        appeal=turn.terms.appeal,
        evidence=finding.evidence,
        figures=finding.figures,
        channel=finding.channel,
        at=finding.time,
    )
