"""The campaign procedure (Articles 25 to 27): filed, checked, weighed, approved or refused, sent, finished.

Ordinary campaigns are checked by `fitness` when they are filed and weighed by people, with its figures beside
them. A refusal comes with its reason. An approval writes the campaign with its text and the numbers that
may carry it; the filter then holds senders to it. An emergency goes out first, by rows of its own
(`campaign_emergency`): nobody waits for a form while the water rises.
"""

import msgspec

from stream.enforce.procedures import fitness
from stream.enforce.procedures.campaign_acts import (
    INCOMPLETE,
    campaign_of,
    faults,
    filing_of,
    known,
    missing,
    notice,
    wrong,
)
from stream.enforce.procedures.campaign_case import (
    ASKED,
    BEING_FILED,
    FILED,
    CampaignCase,
    CampaignEvent,
    CampaignState,
    Confirmed,
    Filed,
    Renewed,
    Weighed,
    WithdrawCampaign,
    still_wrong,
    supplemented,
)
from stream.enforce.procedures.campaign_emergency import SENDING, SENT
from stream.enforce.procedures.clocks import Clock, ClockFired
from stream.enforce.procedures.effects import ClearClock, SendNotice, SetClock, WriteCampaign
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
from stream.enforce.procedures.telling import Served, ask, begin_supplement, over, report_rows, waiting_rows
from stream.model.control import NoticeOutcome
from stream.model.fields import CampaignStatus

# ---- conditions


def _approvable(turn: Turn[CampaignCase, Weighed]) -> bool:
    event, filing = turn.event, filing_of(turn.case)
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
    before, event = turn.case.filing, turn.event
    if before is None or event.wrong:
        return False
    same_words = msgspec.structs.replace(known(turn), actor=before.actor) == before
    return same_words and wrong(turn) == turn.case.wrong


NOTHING_NEW = Condition[CampaignCase, Filed]("it states nothing new", _states_nothing_new)
FAULTY = Condition[CampaignCase, Filed](
    "something is wrong that holds it up: in an emergency its window, else what no exemption waives",
    lambda turn: bool(faults(turn)),
)
APPROVABLE = Condition[CampaignCase, Weighed](
    "it is approved; its time is not over; any figure over its limit is overridden, any exemption granted",
    _approvable,
)
REFUSED = Condition[CampaignCase, Weighed](
    "it is refused, with a reason", lambda turn: turn.event.outcome == "refuse" and bool(turn.event.reason)
)


# ---- actions


def _ask(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The body is notified of what is missing or ill-formed, and once it was reached, has time to give it."""
    filing = known(turn)
    too_long = map(str, faults(turn)) if filing.emergency else ()  # of the window: nobody has time to be asked twice
    asked = notice(turn, subject="missing", reason="incomplete", missing=(*missing(turn), *too_long))
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=wrong(turn))
    return ask(turn, case, asked, instead_of="supplement")


def _return(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The body is notified of all that is wrong, and once it was reached, has time to correct it."""
    filing = known(turn)
    asked = notice(turn, subject="decision", reason="faults", missing=tuple(map(str, faults(turn))))
    case = msgspec.structs.replace(turn.case, filing=filing, wrong=())
    return ask(turn, case, asked, instead_of="supplement")


def _take(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """The campaign is written as filed, and the clock to decide starts."""
    filing = known(turn)
    campaign = campaign_of(turn, filing, "filed")
    case = msgspec.structs.replace(
        turn.case,
        filing=filing,
        wrong=(),
        filed=turn.now,
        campaign=campaign,
        awaited=None,
    )
    return Done(case, (*over(turn, "supplement", "tell"), WriteCampaign(campaign), turn.clock("decide-filing")))


def _approve(turn: Turn[CampaignCase, Weighed]) -> Done[CampaignCase]:
    """The campaign is written as approved, with its numbers; the body is notified, with the figures."""
    event, filing = turn.event, filing_of(turn.case)
    campaign = msgspec.structs.replace(
        campaign_of(turn, filing, "approved"),
        numbers=event.numbers or filing.numbers,
        exempt=filing.exempt if event.exempts else None,
    )
    acts = (ClearClock("decide-filing"), WriteCampaign(campaign), SetClock(Clock("window", campaign.until)))
    return Done(msgspec.structs.replace(turn.case, campaign=campaign), (*acts, _decision(turn)))


def _refuse(turn: Turn[CampaignCase, Weighed]) -> Done[CampaignCase]:
    """The campaign is written as refused; the body is notified of the reason, with the figures."""
    return _ended(turn, "refused", _decision(turn))


def _withdraw(turn: Turn[CampaignCase, WithdrawCampaign]) -> Done[CampaignCase]:
    """The campaign, if it was written, is written as withdrawn; the body is notified."""
    return _ended(
        turn, "withdrawn", SendNotice(notice(turn, subject="decision", reason=turn.event.reason, outcome="withdrawn"))
    )


def _ignore_repeat(turn: Turn[CampaignCase, Filed]) -> Done[CampaignCase]:
    """Nothing: whoever gets no answer in time files the same again."""
    return Done(turn.case)


def _finish(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Its time is over."""
    return Done(turn.case)


def _lapse(turn: Turn[CampaignCase, ClockFired]) -> Done[CampaignCase]:
    """Nobody gave what was asked for; the body is notified, and may file again."""
    return Done(turn.case, (SendNotice(notice(turn, subject="decision", reason="lapsed")),))


# ---- what the actions are made of


def _ended(turn: Turn[CampaignCase, msgspec.Struct], status: CampaignStatus, told: SendNotice) -> Done[CampaignCase]:
    before = turn.case.campaign
    if before is None:
        return Done(turn.case, (told,))
    campaign = msgspec.structs.replace(before, status=status)
    return Done(msgspec.structs.replace(turn.case, campaign=campaign), (WriteCampaign(campaign), told))


def _decision(turn: Turn[CampaignCase, Weighed]) -> SendNotice:
    figures = fitness.weigh(filing_of(turn.case), turn.event.standing, turn.terms)
    outcome: NoticeOutcome = "approved" if turn.event.outcome == "approve" else "refused"
    return SendNotice(notice(turn, subject="decision", reason=turn.event.reason, figures=figures, outcome=outcome))


# ---- the table

S = CampaignState
row = RowBuilder(CampaignCase)

# fmt: off
TABLE = (
    *report_rows(row, (S.SENT_FIRST, S.SETTLED, S.FINISHED, S.WITHDRAWN)),
    row(FILED,        Filed,    None,         _ignore_repeat, NOTHING_NEW),
    *SENDING,
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
    *SENT,
    row((*ASKED, S.WEIGHING, S.APPROVED, S.SETTLED), WithdrawCampaign, S.WITHDRAWN, _withdraw),
    row((*ASKED, S.WEIGHING, S.SENT_FIRST, S.SETTLED), ClockFired,   None,        warn, ANY_WARNING),
)
# fmt: on

PROCEDURE = Procedure[CampaignCase](
    name="campaign",
    title="Public-interest campaigns",
    articles="Articles 25 to 27 (the terms to decide, to mend, to confirm and to file afterwards are settings)",
    theory=(
        "Filed, checked, weighed, decided with a reason. An emergency is a public body's, of one of the four kinds of "
        "Article 26, and ends in three days at most; a commercial sender's or a longer one is refused. Nothing else "
        "holds it up: one officer sends it, and the regulator is told at once. Then another person's word is owed "
        "within the hour, the regulator's within a day, and the filing, whether or not its time is over or it was "
        "taken back. What is not confirmed is alerted and told again, not stopped: that is for the body and the "
        "regulator. A link, an advertisement, and what the record of its sender lacks are said at once. It goes on by "
        "an act of two persons (`renewed`), three days at a time."
    ),
    states={
        S.NEW: "nothing has happened",
        S.INCOMPLETE: "the body is notified of what is missing or ill-formed, and has time once it was reached",
        S.RETURNED: "the body is notified of what is wrong, and has time once it was reached",
        S.WEIGHING: "complete and without fault; to be weighed and decided",
        S.APPROVED: "may be sent in its time, region and text",
        S.REFUSED: "refused, with its reason in the notice",
        S.SENT_FIRST: "an emergency: may be sent in its time; filing, another person's or the regulator's word is owed",
        S.SETTLED: "an emergency that owes nothing; may be sent in its time",
        S.WITHDRAWN: "taken back",
        S.FINISHED: "its time is over, and nothing is owed",
        S.LAPSED: "what was asked for never came",
    },
    ended=frozenset((S.REFUSED, S.WITHDRAWN, S.FINISHED, S.LAPSED)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Weighed, Served, Renewed),
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
    "Confirmed",
    "Filed",
    "Renewed",
    "Weighed",
    "WithdrawCampaign",
    "still_wrong",
    "supplemented",
]
