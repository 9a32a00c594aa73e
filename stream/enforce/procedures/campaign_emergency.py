"""Emergencies (Articles 25, 26): the rows of the campaign procedure for what goes out first.

One officer sends, and nothing holds it up but that it must say what it is, who says what, and until when, three days at
most. Then three things are owed, each with its clock: another person's word within the hour, the regulator's, and the
filing. What is not confirmed is alerted and told again, as long as the campaign may be sent, and is not stopped: that
is for the body and the regulator. It goes on by an act of two persons, which the regulator confirms anew.
"""

from typing import Final, Literal, TypeVar

import msgspec

from stream.enforce.procedures import fitness
from stream.enforce.procedures.campaign_acts import (
    INCOMPLETE,
    campaign_of,
    faults,
    filing_of,
    is_open,
    known,
    missing,
    notice,
    wrong,
)
from stream.enforce.procedures.campaign_case import (
    BEING_FILED,
    CampaignCase,
    CampaignState,
    Confirmed,
    Filed,
    Renewed,
    WithdrawCampaign,
)
from stream.enforce.procedures.clocks import Clock, ClockFired, start
from stream.enforce.procedures.effects import Act, Alert, ClearClock, SendNotice, SendReport, SetClock, WriteCampaign
from stream.enforce.procedures.engine import Condition, Done, RowBuilder, Turn, breach, fired
from stream.enforce.procedures.messages import Seconded
from stream.enforce.procedures.telling import knowing, over
from stream.enforce.procedures.terms import Terms
from stream.model.control import Filing
from stream.model.registry import Campaign
from stream.model.times import HOUR_MS, iso_time
from stream.registry import emergency

BASIS: Final = "emergency"

WINDOW_WARNING_MS: Final = 12 * HOUR_MS
"""So long before its end people are asked whether an emergency goes on: two of them must say so."""

FLAGS_MAX: Final = 20
"""Faults of an emergency that its case keeps: as many as an answer names."""

Owed = Literal["filing", "second", "confirm"]
"""What an emergency that was sent may owe: its filing, another person's word, the regulator's."""


def owed(case: CampaignCase) -> tuple[Owed, ...]:
    """What an emergency owes."""
    there: dict[Owed, bool] = {
        "filing": case.filed is not None,
        "second": case.seconded is not None or case.sent is None,
        "confirm": case.confirmed is not None or case.sent is None,
    }
    return tuple(name for name, done in there.items() if not done)


def as_sent(case: CampaignCase, more: Filing) -> Filing:
    """A filing that comes after an emergency was sent: who said what, and until when, stays as it was."""
    sent = filing_of(case)
    return msgspec.structs.replace(more, sender=sent.sender, text=sent.text, from_=sent.from_, until=sent.until)


def renewal_problem(case: CampaignCase, until: int, now: int, terms: Terms) -> str | None:
    """Why an emergency cannot go on until then; None where it can."""
    campaign = case.campaign
    if campaign is None or not is_open(case, now):
        return "its time is over, or it was taken back: file another"
    if until <= campaign.until:
        return f"{iso_time(until)} is no later than it ends already"
    most = terms.settings.campaign.emergency_window_ms_max
    return emergency.window_problem(campaign.from_, until, now, length_ms_max=most)


# ---- conditions


SENDABLE = Condition[CampaignCase, Filed](
    "it is an emergency, says what it is, who says what, from when until when (three days ahead at most), and nothing "
    "ill-formed of where or by which numbers",
    lambda turn: (
        known(turn).emergency and not fitness.missing_in_emergency(known(turn), wrong(turn)) and not faults(turn)
    ),
)
WHOLE = Condition[CampaignCase, Filed]("nothing is missing or ill-formed", lambda turn: not missing(turn))
SECOND = Condition[CampaignCase, Seconded](
    "it is another person than who sent it, and nobody has confirmed it yet",
    lambda turn: "second" in owed(turn.case) and _is_another(turn.case, turn.event.actor),
)
CONFIRM = Condition[CampaignCase, Confirmed](
    "it is another person than who sent it, and the regulator has not confirmed it yet",
    lambda turn: "confirm" in owed(turn.case) and _is_another(turn.case, turn.event.actor),
)
RENEWABLE = Condition[CampaignCase, Renewed](
    "it may still be sent, and ends later than it would, three days ahead at most; with a reason",
    lambda turn: bool(turn.event.reason) and renewal_problem(turn.case, turn.event.until, turn.now, turn.terms) is None,
)


def _is_another(case: CampaignCase, actor: str | None) -> bool:
    return actor is None or actor != case.sent_by


E = TypeVar("E", bound=msgspec.Struct)


def _last(duty: Owed, base: Condition[CampaignCase, E], *, once_over: bool) -> Condition[CampaignCase, E]:
    """The base, where nothing but this is owed; `once_over`: and it may be sent no more."""
    says = f"{base.says}; nothing else is owed" + (", and its time is over or it was taken back" if once_over else "")
    return Condition(
        says,
        lambda turn: (
            base.holds(turn) and set(owed(turn.case)) <= {duty} and not (once_over and is_open(turn.case, turn.now))
        ),
    )


# ---- actions


def _send_first(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The campaign is written; the regulator is told, people alerted, also to a link or advertisement; clocks start."""
    filing, whole = known(turn), not missing(turn)
    campaign = campaign_of(turn, filing, "approved")
    found = fitness.faults(filing, turn.now, turn.terms)[:FLAGS_MAX]
    flagged = tuple(str(fault) for fault in found if fault.kind in fitness.FLAGGED)
    case = msgspec.structs.replace(
        turn.case,
        filing=filing,
        wrong=wrong(turn),
        campaign=campaign,
        awaited=None,
        filed=turn.now if whole else None,
        sent=turn.now,
        sent_by=turn.event.filing.actor,
        flags=tuple(map(str, found)),
    )
    about = f"an emergency campaign was sent first, {'with its filing' if whole else 'and its filing is owed'}"
    acts: tuple[Act, ...] = (
        *over(turn, "supplement", "tell"),
        WriteCampaign(campaign),
        window(campaign, turn.now),
        _report(turn, "; ".join((about, *flagged))),
        Alert("decision", "emergency"),
        *((Alert("decision", "emergency-flagged"),) if flagged else ()),
        turn.clock("second"),
        turn.clock("confirm"),
    )
    return Done(case, acts if whole else (*acts, turn.clock("owed-filing")))


def _take(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The filing is there: the regulator gets it."""
    case, acts = _filed(turn)
    case = msgspec.structs.replace(case, filed=turn.now)
    return Done(case, (*over(turn, "owed-filing"), *acts, _report(turn, "filing of an emergency campaign")))


def _ask_owed(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The body is notified of what is still missing or ill-formed; the clock runs on."""
    asked = notice(turn, subject="missing", reason="incomplete", missing=missing(turn))
    case, acts = _filed(turn)
    return Done(case, (*acts, SendNotice(asked)))


def _second(turn: Turn[CampaignCase, Seconded]) -> Done[CampaignCase]:
    """Another person has confirmed it."""
    return Done(msgspec.structs.replace(turn.case, seconded=turn.event), over(turn, "second", again("second")))


def _confirm(turn: Turn[CampaignCase, Confirmed]) -> Done[CampaignCase]:
    """The regulator has confirmed it."""
    return Done(msgspec.structs.replace(turn.case, confirmed=turn.event), over(turn, "confirm", again("confirm")))


def _renew(turn: Turn[CampaignCase, Renewed]) -> Done[CampaignCase]:
    """The campaign is written with its new end; the regulator is told, and confirms it anew."""
    until = turn.event.until
    assert turn.case.campaign is not None, "what is renewed was written"
    campaign = msgspec.structs.replace(turn.case.campaign, until=until)
    filing = msgspec.structs.replace(filing_of(turn.case), until=until)
    case = msgspec.structs.replace(turn.case, campaign=campaign, filing=filing, confirmed=None)
    report = _report(turn, f"an emergency campaign was renewed: {turn.event.reason}")
    acts = (*over(turn, again("confirm")), WriteCampaign(campaign), window(campaign, turn.now), report)
    return Done(case, (*acts, turn.clock("confirm")))


def _unseconded(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """A breach, told to the regulator; while it may be sent people are alerted again. It is not stopped."""
    told = _report(turn, "an emergency campaign was sent, and no second person has confirmed it in time")
    return Done(turn.case, (*breach(turn).acts, told, *_again(turn, "second")))


def _second_again(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """People are alerted again, once a term while it may be sent."""
    return Done(turn.case, (Alert("decision", "second"), *_again(turn, "second")))


def _unconfirmed(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """A breach; the regulator is told again while it may be sent. It is not stopped."""
    return Done(turn.case, (*breach(turn).acts, _waits(turn), *_again(turn, "confirm")))


def _confirm_again(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """The regulator is told again and people are alerted, once a term while it may be sent."""
    return Done(turn.case, (Alert("decision", "confirm"), _waits(turn), *_again(turn, "confirm")))


def _owed_breach(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """The breach is recorded, and the regulator notified; the filing is still owed."""
    return Done(turn.case, (*breach(turn).acts, _report(turn, "the filing of an emergency campaign is overdue")))


def _stop_sending(turn: Turn[CampaignCase, WithdrawCampaign]) -> Done[CampaignCase]:
    """The campaign is written as withdrawn and the body notified; what is owed is owed still."""
    assert turn.case.campaign is not None, "what was sent was written"
    campaign = msgspec.structs.replace(turn.case.campaign, status="withdrawn")
    told = SendNotice(notice(turn, subject="decision", reason=turn.event.reason, outcome="withdrawn"))
    return Done(
        msgspec.structs.replace(turn.case, campaign=campaign), (ClearClock("window"), WriteCampaign(campaign), told)
    )


def _pass(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Its time is over; what is owed is owed still."""
    return Done(turn.case)


def _finish(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Its time is over."""
    return Done(turn.case)


# ---- what the actions are made of


def window(campaign: Campaign, now: int) -> SetClock:
    """The clock of an emergency's end, with a warning before it where there is time for one."""
    warn = campaign.until - WINDOW_WARNING_MS
    return SetClock(Clock("window", campaign.until, warn if warn > now else None))


def _filed(turn: Turn[CampaignCase, Filed]) -> tuple[CampaignCase, tuple[Act, ...]]:
    """The case with what a later filing adds; what that says of where and by which numbers holds at once."""
    filing = as_sent(turn.case, known(turn))
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=wrong(turn))
    if not is_open(turn.case, turn.now):
        return case, ()
    campaign = campaign_of(turn, filing, "approved")
    if campaign == turn.case.campaign:
        return case, ()
    return msgspec.structs.replace(case, campaign=campaign), (WriteCampaign(campaign),)


def again(duty: Literal["second", "confirm"]) -> str:
    """The clock by which what was missed is told again: no duty of its own, and so not one that can be kept."""
    return f"{duty}-again"


def _again(turn: Turn[CampaignCase, ClockFired], duty: Literal["second", "confirm"]) -> tuple[Act, ...]:
    if not is_open(turn.case, turn.now):
        return ()
    due = start(turn.terms.term(duty), turn.now, turn.terms.calendar).due
    return (SetClock(Clock(again(duty), due)),)


def _waits(turn: Turn[CampaignCase, ClockFired]) -> SendReport:
    return _report(turn, "an emergency campaign waits for the regulator's confirmation")


def _report(turn: Turn[CampaignCase, msgspec.Struct], about: str) -> SendReport:
    return turn.report(to="regulator", about=about, basis=BASIS)


# ---- the rows

S = CampaignState
row = RowBuilder(CampaignCase)
CONFIRMING = knowing("regulator", _confirm)

# fmt: off
SENDING = (
    row(BEING_FILED,  Filed,            S.SENT_FIRST, _send_first, SENDABLE),
)
SENT = (
    row(S.SENT_FIRST, Filed,            S.FINISHED,   _take, _last("filing", WHOLE, once_over=True)),
    row(S.SENT_FIRST, Filed,            S.SETTLED,    _take, _last("filing", WHOLE, once_over=False)),
    row(S.SENT_FIRST, Filed,            None,         _ask_owed, INCOMPLETE),
    row(S.SENT_FIRST, Filed,            None,         _take),
    row(S.SENT_FIRST, Seconded,         S.FINISHED,   _second, _last("second", SECOND, once_over=True)),
    row(S.SENT_FIRST, Seconded,         S.SETTLED,    _second, _last("second", SECOND, once_over=False)),
    row(S.SENT_FIRST, Seconded,         None,         _second, SECOND),
    row(S.SENT_FIRST, Confirmed,        S.FINISHED,   CONFIRMING, _last("confirm", CONFIRM, once_over=True)),
    row(S.SENT_FIRST, Confirmed,        S.SETTLED,    CONFIRMING, _last("confirm", CONFIRM, once_over=False)),
    row(S.SENT_FIRST, Confirmed,        None,         CONFIRMING, CONFIRM),
    row((S.SENT_FIRST, S.SETTLED), Renewed, S.SENT_FIRST, _renew, RENEWABLE),
    row(S.SENT_FIRST, ClockFired,       None,         _unseconded, fired("second")),
    row(S.SENT_FIRST, ClockFired,       None,         _second_again, fired(again("second"))),
    row(S.SENT_FIRST, ClockFired,       None,         _unconfirmed, fired("confirm")),
    row(S.SENT_FIRST, ClockFired,       None,         _confirm_again, fired(again("confirm"))),
    row(S.SENT_FIRST, ClockFired,       None,         _owed_breach, fired("owed-filing")),
    row(S.SENT_FIRST, ClockFired,       None,         _pass, fired("window")),
    row(S.SENT_FIRST, WithdrawCampaign, None,         _stop_sending),
    row(S.SETTLED,    ClockFired,       S.FINISHED,   _finish, fired("window")),
)
# fmt: on
