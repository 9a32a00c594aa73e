"""The complaint procedure (Articles 29 to 31): received, forwarded, verified, acted upon, reported, answered.

Each duty has its clock: 3 working days to forward a complete complaint, 15 to verify, act and report, 3 more
to answer the user. A clock warns before it is due; a duty that misses it is a breach, recorded and
alerted, and is still owed.

A complaint that lacks something, or in which a field is ill-formed, waits for its author, who is asked.

A verified complaint becomes a finding against the sender, and the user's refusal of that sender, but no refusal over a
consent that the user gave since, unless the user says so (DESIGN section 3, *Order*): `complaint_verified`. Where
intake has made sure that the subscriber asks for no more (`refusal`), the refusal is written at once: it is theirs to
say, and needs nobody's verification.
"""

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.complaint_case import (
    OPEN,
    WITH_COMPANY,
    ActedUpon,
    Answered,
    Complained,
    ComplaintCase,
    ComplaintEvent,
    ComplaintState,
    ComplaintWithdrawn,
    Forwarded,
    Reported,
    Verified,
    accused,
    complaint_of,
    missing,
    still_wrong,
    supplemented,
)
from stream.enforce.procedures.complaint_verified import (
    CONFIRMED,
    PROHIBITED,
    SPOOFED,
    UNCONFIRMED,
    confirm,
    confirm_prohibited,
    confirm_spoofed,
    not_confirm,
    writes_refusal,
)
from stream.enforce.procedures.effects import (
    ClearClock,
    KeepRecord,
    OpenCase,
    SendNotice,
    SendReport,
)
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
from stream.enforce.procedures.ids import dispute_case
from stream.enforce.procedures.messages import Disputed
from stream.enforce.procedures.telling import (
    Delivered,
    Served,
    Told,
    ask,
    begin_supplement,
    delivered_to,
    knowing,
    office_told,
    over,
    reached,
    report_rows,
    served_to,
    waiting_rows,
)
from stream.model.control import Addressee, Complaint, Notice, NoticeOutcome, NoticeSubject

# ---- conditions


def _complete(turn: Turn[ComplaintCase, Complained]) -> bool:
    return not missing(
        supplemented(turn.case.complaint, turn.event.complaint), still_wrong(turn.case.wrong, turn.event)
    )


def _states_nothing_new(turn: Turn[ComplaintCase, Complained]) -> bool:
    case, event = turn.case, turn.event
    if case.complaint is None or event.wrong:
        return False
    after = supplemented(case.complaint, event.complaint)
    same_words = msgspec.structs.replace(after, actor=case.complaint.actor) == case.complaint
    return same_words and still_wrong(case.wrong, event) == case.wrong


COMPLETE = Condition[ComplaintCase, Complained]("nothing is missing or ill-formed", _complete)
NOTHING_NEW = Condition[ComplaintCase, Complained]("it states nothing new", _states_nothing_new)
SAME_PERSON = Condition[ComplaintCase, Disputed](
    "the dispute is about this complaint, and another than the last",
    lambda turn: (
        turn.event.dispute.complaint == turn.case.case and dispute_case(turn.event.dispute) != turn.case.dispute
    ),
)


# ---- actions


def _ask(turn: Turn[ComplaintCase, Complained]) -> Done[ComplaintCase]:
    """The user is asked for what is missing or ill-formed, and once it was reached, has time to give it."""
    complaint = supplemented(turn.case.complaint, turn.event.complaint)
    wrong = still_wrong(turn.case.wrong, turn.event)
    asked = _notice(turn, complaint, subject="missing", reason="incomplete")
    notice = msgspec.structs.replace(asked, missing=missing(complaint, wrong))
    case = msgspec.structs.replace(turn.case, complaint=complaint, wrong=wrong)
    return ask(turn, case, notice, instead_of="supplement")


def _receive(turn: Turn[ComplaintCase, Complained]) -> Done[ComplaintCase]:
    """The clock to forward it starts; the evidence is kept; a refusal that the user asked for is written."""
    complaint = supplemented(turn.case.complaint, turn.event.complaint)
    case = msgspec.structs.replace(turn.case, complaint=complaint, wrong=(), awaited=None)
    party = accused(complaint)
    sender = party.sender if party is not None else None
    refusal = writes_refusal(case, complaint, sender, complaint.time) if complaint.refusal else ()
    kept = KeepRecord(complaint.evidence or (complaint.complaint,), "complaints")
    return Done(case, (*over(turn, "supplement", "tell"), turn.clock("forward"), kept, *refusal))


def _ignore_repeat(turn: Turn[ComplaintCase, Complained]) -> Done[ComplaintCase]:
    """Nothing: whoever gets no answer in time says the same again."""
    return Done(turn.case)


def _forward(turn: Turn[ComplaintCase, Forwarded]) -> Done[ComplaintCase]:
    """The company gets it, and the clock to verify, act and report starts."""
    report = _report(turn, to="company", about=f"complaint forwarded to {turn.event.to}")
    return Done(turn.case, (ClearClock("forward"), turn.clock("report"), report))


def _act(turn: Turn[ComplaintCase, ActedUpon]) -> Done[ComplaintCase]:
    """What was done is kept for the answer."""
    return Done(msgspec.structs.replace(turn.case, outcome=turn.event.detail))


def _send_report(turn: Turn[ComplaintCase, Reported]) -> Done[ComplaintCase]:
    """The centre gets the report; until it has it, the clock to report runs on."""
    return Done(turn.case, (_report(turn, to="complaint-centre", about=turn.event.detail),))


def _reported(turn: Turn[ComplaintCase, Told]) -> Done[ComplaintCase]:
    """The centre has the report, and the clock to answer the user starts."""
    told = office_told(turn)
    return Done(told.case, (*told.acts, *over(turn, "report"), turn.clock("answer")))


def _answer_reporting(turn: Turn[ComplaintCase, Answered]) -> Done[ComplaintCase]:
    """The same; the centre evidently has the report."""
    asked = _answer(turn)
    return Done(asked.case, (*over(turn, "report"), turn.clock("answer"), *asked.acts))


def _answer(turn: Turn[ComplaintCase, Answered]) -> Done[ComplaintCase]:
    """The answer goes out, and says where a dispute can be taken; until the user was reached, the clock runs on."""
    found: NoticeOutcome = "confirmed" if turn.case.confirmed else "unconfirmed"
    answer = _notice(turn, complaint_of(turn.case), subject="answer", reason=turn.event.detail)
    notice = msgspec.structs.replace(answer, outcome="spoofed" if turn.case.spoofed else found)
    return ask(turn, turn.case, notice)


def _answered(turn: Turn[ComplaintCase, msgspec.Struct]) -> Done[ComplaintCase]:
    """The user was reached: the complaint is answered."""
    return reached(turn)


def _lapse(turn: Turn[ComplaintCase, ClockFired]) -> Done[ComplaintCase]:
    """Nobody gave what was missing; the user is notified, and may complain again."""
    return Done(
        turn.case,
        (SendNotice(_notice(turn, complaint_of(turn.case), subject="answer", reason="incomplete")),),
    )


def _withdraw(turn: Turn[ComplaintCase, ComplaintWithdrawn]) -> Done[ComplaintCase]:
    """Nothing more is owed to the user."""
    return Done(turn.case)


def _dispute(turn: Turn[ComplaintCase, Disputed]) -> Done[ComplaintCase]:
    """The dispute's own case is opened."""
    stated, complaint = turn.event.dispute, complaint_of(turn.case)
    dispute = msgspec.structs.replace(stated, subscriber=stated.subscriber or complaint.subscriber)
    case = msgspec.structs.replace(turn.case, dispute=dispute_case(dispute))
    return Done(case, (OpenCase("dispute", dispute_case(dispute), Disputed(dispute, early(turn.case))),))


def _dispute_meanwhile(turn: Turn[ComplaintCase, Disputed]) -> Done[ComplaintCase]:
    """The dispute's own case is opened; what is owed to the user is still owed."""
    return _dispute(turn)


# ---- what the actions are made of


def early(case: ComplaintCase) -> bool:
    """Whether the appeals body will ask a user who disputes now for a complaint that was answered, or is late.

    That a notice was not delivered yet is no term of the law's.
    """
    late = any(clock != "tell" for clock in case.breached)
    return case.state not in (ComplaintState.ANSWERED, ComplaintState.DISPUTED) and not late


def _notice(
    turn: Turn[ComplaintCase, msgspec.Struct], complaint: Complaint, *, subject: NoticeSubject, reason: str
) -> Notice:
    return Notice(
        notice=turn.name("N"),
        case=turn.case.case,
        time=turn.now,
        to=f"subscriber|{complaint.subscriber}" if complaint.subscriber else f"complaint|{turn.case.case}",
        subject=subject,
        reason=reason,
        basis="complaints",
        appeal=turn.terms.appeal,
        channel=complaint.channel,
        at=complaint.at,
        number=complaint.from_ or complaint.sender,
    )


def _report(turn: Turn[ComplaintCase, msgspec.Struct], *, to: Addressee, about: str) -> SendReport:
    return turn.report(to=to, about=about, basis="complaints", evidence=complaint_of(turn.case).evidence)


# ---- the table

S = ComplaintState
row = RowBuilder(ComplaintCase)

# fmt: off
TABLE = (
    row(S.REPORTING,   Delivered,  S.REPORTED,    _reported, delivered_to("complaint-centre")),
    row(S.REPORTING,   Served,     S.REPORTED,    _reported, served_to("complaint-centre")),
    *report_rows(row, (*WITH_COMPANY, S.REPORTING, S.REPORTED, S.ANSWERING, S.ANSWERED, S.DISPUTED, S.WITHDRAWN)),
    row(S.NEW,         Complained, S.RECEIVED,    _receive, COMPLETE),
    row(S.NEW,         Complained, S.INCOMPLETE,  _ask),
    row(OPEN,          Complained, None,          _ignore_repeat, NOTHING_NEW),
    row(S.INCOMPLETE,  Complained, S.RECEIVED,    _receive, COMPLETE),
    row(S.INCOMPLETE,  Complained, None,          _ask),
    *waiting_rows(row, S.INCOMPLETE, None, begin_supplement),
    row(S.INCOMPLETE,  ClockFired,       None,          breach, fired("tell")),
    row(S.INCOMPLETE,  ClockFired,       S.LAPSED,      _lapse, fired("supplement")),
    row(S.RECEIVED,    Forwarded,  S.FORWARDED,   _forward),
    row(S.FORWARDED,   Verified,   S.CONFIRMED,   knowing("company", confirm_spoofed), SPOOFED),
    row(S.FORWARDED,   Verified,   S.CONFIRMED,   knowing("company", confirm_prohibited), PROHIBITED),
    row(S.FORWARDED,   Verified,   S.CONFIRMED,   knowing("company", confirm), CONFIRMED),
    row(S.FORWARDED,   Verified,   S.UNCONFIRMED, knowing("company", not_confirm), UNCONFIRMED),
    row(S.CONFIRMED,   ActedUpon,  S.ACTED,       _act),
    row((S.ACTED, S.UNCONFIRMED), Reported, S.REPORTING, _send_report),
    row(S.REPORTING,   Answered,   S.ANSWERING,   knowing("complaint-centre", _answer_reporting)),
    row(S.REPORTED,    Answered,   S.ANSWERING,   _answer),
    *waiting_rows(row, S.ANSWERING, S.ANSWERED, _answered),
    row((S.ANSWERED, S.DISPUTED), Disputed, S.DISPUTED, _dispute, SAME_PERSON),
    row((*OPEN, S.LAPSED, S.WITHDRAWN), Disputed, None, _dispute_meanwhile, SAME_PERSON),
    row(OPEN,          ComplaintWithdrawn,  S.WITHDRAWN,   _withdraw),
    row(OPEN,          ClockFired,       None,          warn, ANY_WARNING),
    row((S.RECEIVED, *WITH_COMPANY, S.REPORTING, S.REPORTED, S.ANSWERING), ClockFired, None, breach, ANY_DUE),
)
# fmt: on

PROCEDURE = Procedure[ComplaintCase](
    name="complaint",
    title="Complaints of users",
    articles="Articles 29 to 31",
    theory=(
        "3 working days to forward a complete complaint, 15 to verify, act and report, 3 more to answer. A "
        "missed term is a breach, and the duty is still owed. A dispute can be taken to the appeals body at any time, "
        "and takes nothing off the complaint's own duties. Nobody is asked or answered who was not reached."
    ),
    states={
        S.NEW: "nothing has happened",
        S.INCOMPLETE: "the user is asked for what is missing or ill-formed, and has time once it was reached",
        S.RECEIVED: "complete; to be forwarded within 3 working days",
        S.FORWARDED: "with the company, which has 15 working days",
        S.CONFIRMED: "verified: it was so; to be acted upon",
        S.UNCONFIRMED: "verified: it could not be confirmed; to be reported",
        S.ACTED: "acted upon; to be reported",
        S.REPORTING: "the report is on its way to the centre; the clock runs on until the centre has it",
        S.REPORTED: "the centre has the report; the user is to be answered within 3 working days",
        S.ANSWERING: "the answer is on its way; the clock runs on until the user was reached",
        S.ANSWERED: "the user was answered",
        S.DISPUTED: "the user was answered, and has taken a dispute to the appeals body",
        S.LAPSED: "what was missing never came",
        S.WITHDRAWN: "the user took it back",
    },
    ended=frozenset((S.ANSWERED, S.DISPUTED, S.LAPSED, S.WITHDRAWN)),
    state_of=lambda case: case.state,
    table=TABLE,
    decisions=(Verified, Served),
)


__all__ = [
    "OPEN",
    "PROCEDURE",
    "TABLE",
    "WITH_COMPANY",
    "ActedUpon",
    "Answered",
    "Complained",
    "ComplaintCase",
    "ComplaintEvent",
    "ComplaintState",
    "ComplaintWithdrawn",
    "Forwarded",
    "Reported",
    "Verified",
    "accused",
    "early",
    "missing",
    "still_wrong",
    "supplemented",
]
