"""The campaign procedure (Articles 25 to 27): filed, checked, weighed, approved or refused, sent, finished.

Ordinary campaigns are checked by `fitness` when they are filed and weighed by people, with its figures beside
them. A refusal comes with its reason. An approval writes the campaign with its text and the numbers that
may carry it; the filter then holds senders to it. An emergency goes out first and its filing is owed, with a
clock of its own: nobody waits for a form while the water rises.
"""

import msgspec

from stream.enforce.procedures import fitness
from stream.enforce.procedures.campaign_case import (
    ASKED,
    BEING_FILED,
    FILED,
    CampaignCase,
    CampaignEvent,
    CampaignState,
    Filed,
    Weighed,
    WithdrawCampaign,
    still_wrong,
    supplemented,
)
from stream.enforce.procedures.clocks import Clock, ClockFired
from stream.enforce.procedures.effects import Alert, ClearClock, SendNotice, SendReport, SetClock, WriteCampaign
from stream.enforce.procedures.engine import (
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
from stream.enforce.procedures.fitness import FilingFault
from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.telling import Served, ask, begin_supplement, over, waiting_rows
from stream.model.control import Figure, Filing, Notice, NoticeSubject
from stream.model.fields import CampaignStatus
from stream.model.registry import Campaign

BASIS = "public-interest"


# ---- conditions


def _known(turn: Turn[CampaignCase, Filed]) -> Filing:
    return supplemented(turn.case.filing, turn.event.filing)


def _wrong(turn: Turn[CampaignCase, Filed]) -> tuple[Wrong, ...]:
    return still_wrong(turn.case.wrong, turn.event)


def _missing(turn: Turn[CampaignCase, Filed]) -> tuple[str, ...]:
    return fitness.missing(_known(turn), _wrong(turn))


def _approvable(turn: Turn[CampaignCase, Weighed]) -> bool:
    event, filing = turn.event, _filing(turn.case)
    assert turn.case.filed is not None, "what is weighed was filed"
    assert filing.until is not None, "what is weighed is complete"
    heavy = fitness.too_heavy(fitness.weigh(filing, event.standing, turn.terms))
    faulty = fitness.faults(filing, turn.case.filed, turn.terms)
    return (
        event.outcome == "approve"
        and turn.now < filing.until
        and (not heavy or bool(event.override))
        and (not faulty or event.exempts)
    )


def _states_nothing_new(turn: Turn[CampaignCase, Filed]) -> bool:
    known, event = turn.case.filing, turn.event
    if known is None or event.wrong:
        return False
    same_words = msgspec.structs.replace(_known(turn), actor=known.actor) == known
    return same_words and _wrong(turn) == turn.case.wrong


EMERGENCY = Condition[CampaignCase, Filed](
    "it is an emergency, says who says what, from when until when, and nothing ill-formed of where or by which numbers",
    lambda turn: _known(turn).emergency and not fitness.missing_in_emergency(_known(turn), _wrong(turn)),
)
EMERGENCY_FILED = Condition[CampaignCase, Filed](
    "it is an emergency, and nothing is missing or ill-formed",
    lambda turn: _known(turn).emergency and not _missing(turn),
)
NOTHING_NEW = Condition[CampaignCase, Filed]("it states nothing new", _states_nothing_new)
INCOMPLETE = Condition[CampaignCase, Filed]("something is missing or ill-formed", lambda turn: bool(_missing(turn)))
FAULTY = Condition[CampaignCase, Filed](
    "something is wrong that no exemption waives",
    lambda turn: bool(_faults(turn, _known(turn))),
)
OVER = Condition[CampaignCase, Filed](
    "nothing is missing or ill-formed, and its time is over or it was taken back",
    lambda turn: not _missing(turn) and not _open(turn),
)
APPROVABLE = Condition[CampaignCase, Weighed](
    "it is approved; its time is not over; any figure over its limit is overridden, any exemption granted",
    _approvable,
)
REFUSED = Condition[CampaignCase, Weighed](
    "it is refused, with a reason", lambda turn: turn.event.outcome == "refuse" and bool(turn.event.reason)
)


# ---- actions


def _send_first(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The campaign is written at once; the clock of the owed filing starts; people are alerted."""
    sent = _sent(turn)
    return Done(sent.case, (*sent.acts, turn.clock("owed-filing")))


def _send_settled(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The campaign is written at once; the regulator gets the filing; people are alerted."""
    sent = _sent(turn)
    case = msgspec.structs.replace(sent.case, filed=turn.now)
    return Done(case, (*sent.acts, _report(turn, "filing of an emergency campaign")))


def _ask(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The body is notified of what is missing or ill-formed, and once it was reached, has time to give it."""
    filing = _known(turn)
    notice = _notice(turn, subject="missing", reason="incomplete", missing=_missing(turn))
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=_wrong(turn))
    return ask(turn, case, notice, instead_of="supplement")


def _return(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The body is notified of all that is wrong, and once it was reached, has time to correct it."""
    filing = _known(turn)
    notice = _notice(turn, subject="decision", reason="faults", missing=tuple(map(str, _faults(turn, filing))))
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=())
    return ask(turn, case, notice, instead_of="supplement")


def _take(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The campaign is written as filed, and the clock to decide starts."""
    filing = _known(turn)
    campaign = _campaign(turn, filing, "filed")
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=(), filed=turn.now, campaign=campaign, awaited=None)
    return Done(case, (*over(turn, "supplement", "tell"), WriteCampaign(campaign), turn.clock("decide-filing")))


def _approve(turn: Turn[CampaignCase, Weighed]) -> Done[CampaignCase]:
    """The campaign is written as approved, with its numbers; the body is notified, with the figures."""
    event, filing = turn.event, _filing(turn.case)
    campaign = msgspec.structs.replace(
        _campaign(turn, filing, "approved"),
        numbers=event.numbers or filing.numbers,
        exempt=filing.exempt if event.exempts else None,
    )
    acts = (ClearClock("decide-filing"), WriteCampaign(campaign), _window(campaign))
    return Done(msgspec.structs.replace(turn.case, campaign=campaign), (*acts, _decision(turn)))


def _refuse(turn: Turn[CampaignCase, Weighed]) -> Done[CampaignCase]:
    """The campaign is written as refused; the body is notified of the reason, with the figures."""
    return _ended(turn, "refused", _decision(turn))


def _withdraw(turn: Turn[CampaignCase, WithdrawCampaign]) -> Done[CampaignCase]:
    """The campaign, if it was written, is written as withdrawn; the body is notified."""
    notice = SendNotice(_notice(turn, subject="decision", reason=turn.event.reason))
    return _ended(turn, "withdrawn", notice)


def _stop_sending(turn: Turn[CampaignCase, WithdrawCampaign]) -> Done[CampaignCase]:
    """The campaign is written as withdrawn and the body notified; the filing is still owed."""
    done = _withdraw(turn)
    return Done(done.case, (ClearClock("window"), *done.acts))


def _ignore_repeat(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """Nothing: whoever gets no answer in time files the same again."""
    return Done(turn.case)


def _settle(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The owed filing is there: the regulator gets it."""
    case = msgspec.structs.replace(turn.case, filing=_known(turn), wrong=(), filed=turn.now)
    return Done(case, (ClearClock("owed-filing"), _report(turn, "filing of an emergency campaign")))


def _ask_owed(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The body is notified of what is still missing or ill-formed; the clock runs on."""
    filing = _known(turn)
    notice = _notice(turn, subject="missing", reason="incomplete", missing=_missing(turn))
    return Done(msgspec.structs.replace(turn.case, filing=filing, wrong=_wrong(turn)), (SendNotice(notice),))


def _owed_breach(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """The breach is recorded, and the regulator notified; the filing is still owed."""
    done = breach(turn)
    return Done(done.case, (*done.acts, _report(turn, "the filing of an emergency campaign is overdue")))


def _pass(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Its time is over; the filing is still owed."""
    return Done(turn.case)


def _finish(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Its time is over."""
    return Done(turn.case)


def _lapse(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Nobody gave what was asked for; the body is notified, and may file again."""
    return Done(turn.case, (SendNotice(_notice(turn, subject="decision", reason="lapsed")),))


# ---- what the actions are made of


def _filing(case: CampaignCase) -> Filing:
    assert case.filing is not None, f"{case.case}: every step but the first has a filing"
    return case.filing


def _sent(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    filing = _known(turn)
    campaign = _campaign(turn, filing, "approved")
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=_wrong(turn), campaign=campaign, awaited=None)
    acts = (WriteCampaign(campaign), _window(campaign), Alert("decision", "emergency"))
    return Done(case, (*over(turn, "supplement", "tell"), *acts))


def _faults(turn: Turn[CampaignCase, Filed], filing: Filing) -> tuple[FilingFault, ...]:
    return fitness.waived(filing, fitness.faults(filing, turn.now, turn.terms))


def _open(turn: Turn[CampaignCase, Filed]) -> bool:
    campaign = turn.case.campaign
    return campaign is not None and campaign.status == "approved" and turn.now < campaign.until


def _campaign(turn: Turn[CampaignCase, msgspec.Struct], filing: Filing, status: CampaignStatus) -> Campaign:
    assert filing.from_ is not None, "what is written has a beginning"
    assert filing.until is not None, "what is written has an end"
    return Campaign(
        campaign=turn.case.case,
        status=status,
        sender=filing.sender or "",
        from_=filing.from_,
        until=filing.until,
        text=filing.text or "",
        emergency=filing.emergency,
        numbers=filing.numbers,
        contact=filing.contact,
        regions=fitness.regions_of(filing),
    )


def _ended(turn: Turn[CampaignCase, msgspec.Struct], status: CampaignStatus, notice: SendNotice) -> Done[CampaignCase]:
    before = turn.case.campaign
    if before is None:
        return Done(turn.case, (notice,))
    campaign = msgspec.structs.replace(before, status=status)
    return Done(msgspec.structs.replace(turn.case, campaign=campaign), (WriteCampaign(campaign), notice))


def _window(campaign: Campaign) -> SetClock:
    return SetClock(Clock("window", campaign.until))


def _decision(turn: Turn[CampaignCase, Weighed]) -> SendNotice:
    figures = fitness.weigh(_filing(turn.case), turn.event.standing, turn.terms)
    return SendNotice(_notice(turn, subject="decision", reason=turn.event.reason, figures=figures))


def _notice(
    turn: Turn[CampaignCase, msgspec.Struct],
    *,
    subject: NoticeSubject,
    reason: str,
    missing: tuple[str, ...] = (),
    figures: tuple[Figure, ...] = (),
) -> Notice:
    return Notice(
        notice=turn.name("N"),
        case=turn.case.case,
        time=turn.now,
        to=f"campaign|{turn.case.case}",
        subject=subject,
        reason=reason or subject,
        basis=BASIS,
        appeal=turn.terms.appeal,
        figures=figures,
        missing=missing,
    )


def _report(turn: Turn[CampaignCase, msgspec.Struct], about: str) -> SendReport:
    return turn.report(to="regulator", about=about, basis="emergency")


# ---- the table

S = CampaignState
row = RowBuilder(CampaignCase)

# fmt: off
TABLE = (
    row(FILED,        Filed,    None,         _ignore_repeat, NOTHING_NEW),
    row(BEING_FILED,  Filed,    S.SETTLED,    _send_settled, EMERGENCY_FILED),
    row(BEING_FILED,  Filed,    S.SENT_FIRST, _send_first, EMERGENCY),
    row(BEING_FILED,  Filed,    S.INCOMPLETE, _ask, INCOMPLETE),
    row(BEING_FILED,  Filed,    S.RETURNED,   _return, FAULTY),
    row(BEING_FILED,  Filed,    S.WEIGHING,   _take),
    *waiting_rows(row, ASKED, None, begin_supplement),
    row(ASKED,        ClockFired,     None,         breach, fired("tell")),
    row(ASKED,        ClockFired,     S.LAPSED,     _lapse, fired("supplement")),
    row(S.WEIGHING,   Weighed,  S.APPROVED,   _approve, APPROVABLE),
    row(S.WEIGHING,   Weighed,  S.REFUSED,    _refuse, REFUSED),
    row(S.WEIGHING,   ClockFired,     None,         breach, fired("decide-filing")),
    row(S.APPROVED,   ClockFired,     S.FINISHED,   _finish, fired("window")),
    # An emergency: sent first, the filing owed.
    row(S.SENT_FIRST, Filed,    S.FINISHED,   _settle, OVER),
    row(S.SENT_FIRST, Filed,    None,         _ask_owed, INCOMPLETE),
    row(S.SENT_FIRST, Filed,    S.SETTLED,    _settle),
    row(S.SENT_FIRST, ClockFired,     None,         _owed_breach, fired("owed-filing")),
    row(S.SENT_FIRST, ClockFired,     None,         _pass, fired("window")),
    row(S.SENT_FIRST, WithdrawCampaign, None,         _stop_sending),
    row(S.SETTLED,    ClockFired,     S.FINISHED,   _finish, fired("window")),
    row((*ASKED, S.WEIGHING, S.APPROVED, S.SETTLED), WithdrawCampaign, S.WITHDRAWN, _withdraw),
    row((*ASKED, S.WEIGHING, S.SENT_FIRST),          ClockFired,     None,        warn, ANY_WARNING),
)
# fmt: on

PROCEDURE = Procedure[CampaignCase](
    name="campaign",
    title="Public-interest campaigns",
    articles="Articles 25 to 27 (the terms to decide, to mend and to file afterwards are settings)",
    theory=(
        "Filed, checked, weighed, decided with a reason. An emergency is sent first, and its filing is owed, whether "
        "or not its time is over or it was taken back."
    ),
    states={
        S.NEW: "nothing has happened",
        S.INCOMPLETE: "the body is notified of what is missing or ill-formed, and has time once it was reached",
        S.RETURNED: "the body is notified of what is wrong, and has time once it was reached",
        S.WEIGHING: "complete and without fault; to be weighed and decided",
        S.APPROVED: "may be sent in its time, region and text",
        S.REFUSED: "refused, with its reason in the notice",
        S.SENT_FIRST: "an emergency: may be sent; the filing is owed",
        S.SETTLED: "an emergency whose filing is there; may be sent in its time",
        S.WITHDRAWN: "taken back",
        S.FINISHED: "its time is over, and nothing is owed",
        S.LAPSED: "what was asked for never came",
    },
    ended=frozenset((S.REFUSED, S.WITHDRAWN, S.FINISHED, S.LAPSED)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Weighed, Served),
)


__all__ = [
    "ASKED",
    "BEING_FILED",
    "FILED",
    "PROCEDURE",
    "TABLE",
    "CampaignCase",
    "CampaignEvent",
    "CampaignState",
    "Filed",
    "Weighed",
    "WithdrawCampaign",
    "still_wrong",
    "supplemented",
]
