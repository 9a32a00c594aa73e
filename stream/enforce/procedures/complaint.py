"""The complaint procedure (Articles 29 to 31): received, forwarded, verified, acted upon, reported, answered.

Each duty has its clock: 3 working days to forward a complete complaint, 15 to verify, act and report, 3 more
to answer the user. A clock warns before it is due; a duty that misses it is a breach, recorded and
alerted, and is still owed.

A complaint that lacks something, or in which a field is ill-formed, waits for its author, who is asked.

A verified complaint becomes a finding against the sender, and the user's refusal of that sender, but no refusal over a
consent that the user gave since, unless the user says so (DESIGN section 3, *Order*). Whose number it came from the
registry says, whatever the user calls the sender: all ports of an owner are one party. Who was impersonated is no
violator: such a message is a finding on the route by which it came. Where intake has made sure that
the subscriber asks for no more (`refusal`), the refusal is written at once: it is theirs to say, and needs nobody's
verification.
"""

from typing import Final

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
    missing,
    still_wrong,
    supplemented,
)
from stream.enforce.procedures.effects import (
    Act,
    Alert,
    ClearClock,
    KeepRecord,
    OpenCase,
    RaiseFinding,
    SendNotice,
    SendReport,
    WriteExpression,
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
from stream.enforce.procedures.ids import dispute_case, prohibited_case
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
from stream.model.cases import Discovered
from stream.model.control import Addressee, Complaint, Finding, Grounds, Notice, NoticeOutcome, NoticeSubject, Party
from stream.model.registry import Expression

PROHIBITED_CONTENT: Final = "prohibited-content"
"""What a complaint of Article 31 is about, and grounds and basis of what is found then."""

SOURCE = "complaint"
"""The source that the refusal of a complaint carries."""


# ---- conditions


def _complete(turn: Turn[ComplaintCase, Complained]) -> bool:
    return not missing(
        supplemented(turn.case.complaint, turn.event.complaint), still_wrong(turn.case.wrong, turn.event)
    )


def _confirmed(turn: Turn[ComplaintCase, Verified]) -> bool:
    return turn.event.result == "confirmed" and _found_party(turn) is not None


def _states_nothing_new(turn: Turn[ComplaintCase, Complained]) -> bool:
    case, event = turn.case, turn.event
    if case.complaint is None or event.wrong:
        return False
    after = supplemented(case.complaint, event.complaint)
    same_words = msgspec.structs.replace(after, actor=case.complaint.actor) == case.complaint
    return same_words and still_wrong(case.wrong, event) == case.wrong


COMPLETE = Condition[ComplaintCase, Complained]("nothing is missing or ill-formed", _complete)
NOTHING_NEW = Condition[ComplaintCase, Complained]("it states nothing new", _states_nothing_new)
CONFIRMED = Condition[ComplaintCase, Verified]("it is confirmed, and the sender is known", _confirmed)
SPOOFED = Condition[ComplaintCase, Verified](
    "it is confirmed, but the number was spoofed",
    lambda turn: turn.event.result == "confirmed" and turn.event.spoofed,
)
UNCONFIRMED = Condition[ComplaintCase, Verified]("it is not confirmed", lambda turn: turn.event.result == "unconfirmed")
PROHIBITED = Condition[ComplaintCase, Verified](
    "it is confirmed, the sender is known, and it is about prohibited content",
    lambda turn: _confirmed(turn) and _complaint(turn.case).about == PROHIBITED_CONTENT,
)
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
    refusal = _refusal(case, complaint, sender, complaint.time) if complaint.refusal else ()
    kept = KeepRecord(complaint.evidence or (complaint.complaint,), "complaints")
    return Done(case, (*over(turn, "supplement", "tell"), turn.clock("forward"), kept, *refusal))


def _ignore_repeat(turn: Turn[ComplaintCase, Complained]) -> Done[ComplaintCase]:
    """Nothing: whoever gets no answer in time says the same again."""
    return Done(turn.case)


def _forward(turn: Turn[ComplaintCase, Forwarded]) -> Done[ComplaintCase]:
    """The company gets it, and the clock to verify, act and report starts."""
    report = _report(turn, to="company", about=f"complaint forwarded to {turn.event.to}")
    return Done(turn.case, (ClearClock("forward"), turn.clock("report"), report))


def _confirm(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """A finding against the sender is raised, and the user's refusal of it is written, but not over a newer consent."""
    finding = _finding(turn, "complaint", "complaints")
    return _confirmed_by(turn, finding.party, RaiseFinding(finding))


def _confirm_prohibited(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """The case of Article 32 is opened, with the evidence under hold; the user's refusal is written as for others."""
    complaint = _complaint(turn.case)
    finding = _finding(turn, PROHIBITED_CONTENT, PROHIBITED_CONTENT)
    opened = OpenCase("prohibited-content", prohibited_case(finding), Discovered(finding))
    kept = KeepRecord((complaint.complaint, *complaint.evidence), PROHIBITED_CONTENT)
    return _confirmed_by(turn, finding.party, opened, kept)


def _finding(turn: Turn[ComplaintCase, Verified], grounds: Grounds, basis: str) -> Finding:
    complaint, party = _complaint(turn.case), _found_party(turn)
    assert party is not None, "the conditions of both rows ask for it"
    return Finding(
        finding=turn.name("F"),
        time=turn.now,
        party=party,
        grounds=grounds,
        basis=basis,
        channel=complaint.channel,
        evidence=(complaint.complaint,),  # the party is shown it, and what is the user's is none of its business
        actor=turn.event.actor,
    )


def _confirmed_by(turn: Turn[ComplaintCase, Verified], party: Party, *acts: Act) -> Done[ComplaintCase]:
    complaint = _complaint(turn.case)
    case = msgspec.structs.replace(turn.case, party=party, confirmed=True, outcome=turn.event.detail)
    if turn.event.refuse == "anyway":
        return Done(case, (*acts, *_refusal(turn.case, complaint, party.sender, turn.now)))
    if turn.event.consented is not None:
        return Done(case, acts)
    return Done(case, (*acts, *_refusal(turn.case, complaint, party.sender, complaint.time)))


def _confirm_spoofed(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """Nothing is held against whose number it is: the route by which it came is to be found, and people are alerted."""
    case = msgspec.structs.replace(turn.case, confirmed=True, spoofed=True, outcome=turn.event.detail)
    evidence = (_complaint(case).complaint, *_complaint(case).evidence)
    route = turn.report(to="company", about=SPOOFED_ROUTE, basis="number-use", evidence=evidence)
    refusal = refusal_of(turn.case, turn.event)
    written = () if refusal is None else (WriteExpression(msgspec.structs.replace(refusal, time=turn.now)),)
    return Done(case, (Alert("decision", "spoofed-route"), route, KeepRecord(evidence, "number-use"), *written))


SPOOFED_ROUTE: Final = "a spoofed number: find and close the route by which it came"


def _not_confirm(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """Nothing is held against the sender."""
    return Done(msgspec.structs.replace(turn.case, outcome=turn.event.detail))


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
    answer = _notice(turn, _complaint(turn.case), subject="answer", reason=turn.event.detail)
    notice = msgspec.structs.replace(answer, outcome="spoofed" if turn.case.spoofed else found)
    return ask(turn, turn.case, notice)


def _answered(turn: Turn[ComplaintCase, msgspec.Struct]) -> Done[ComplaintCase]:
    """The user was reached: the complaint is answered."""
    return reached(turn)


def _lapse(turn: Turn[ComplaintCase, ClockFired]) -> Done[ComplaintCase]:
    """Nobody gave what was missing; the user is notified, and may complain again."""
    return Done(
        turn.case,
        (SendNotice(_notice(turn, _complaint(turn.case), subject="answer", reason="incomplete")),),
    )


def _withdraw(turn: Turn[ComplaintCase, ComplaintWithdrawn]) -> Done[ComplaintCase]:
    """Nothing more is owed to the user."""
    return Done(turn.case)


def _dispute(turn: Turn[ComplaintCase, Disputed]) -> Done[ComplaintCase]:
    """The dispute's own case is opened."""
    stated, complaint = turn.event.dispute, _complaint(turn.case)
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


def _complaint(case: ComplaintCase) -> Complaint:
    assert case.complaint is not None, f"{case.case}: every step but the first has a complaint"
    return case.complaint


def _found_party(turn: Turn[ComplaintCase, Verified]) -> Party | None:
    return _party_of(turn.case, turn.event)


def _party_of(case: ComplaintCase, event: Verified) -> Party | None:
    """Whose number it is, or else whom the verification names, or else whom the complaint is about."""
    if event.owner is not None:
        return Party(sender=event.owner)
    return event.party or accused(_complaint(case))


def refusal_of(case: ComplaintCase, event: Verified) -> Expression | None:
    """The refusal that a verification leads to, dated as the complaint is; None where it leads to none.

    Of whose number was spoofed only where the user says so.
    """
    leads = event.result == "confirmed" and (event.refuse == "anyway" or not event.spoofed)
    party = _party_of(case, event) if leads else None
    complaint = _complaint(case)
    acts = _refusal(case, complaint, party.sender, complaint.time) if party is not None else ()
    return acts[0].expression if acts else None


def _refusal(case: ComplaintCase, complaint: Complaint, sender: str | None, time: int) -> tuple[WriteExpression, ...]:
    """The refusal of a sender; of a number that nobody owns there can be none (DESIGN section 3)."""
    if not sender or not complaint.subscriber or complaint.channel is None:
        return ()
    expression = Expression(
        subscriber=complaint.subscriber,
        channel=complaint.channel,
        will="refuse",
        time=time,
        source=SOURCE,
        sender=sender,
        evidence=case.case,
        actor=complaint.actor,
    )
    return (WriteExpression(expression),)


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
    return turn.report(to=to, about=about, basis="complaints", evidence=_complaint(turn.case).evidence)


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
    row(S.FORWARDED,   Verified,   S.CONFIRMED,   knowing("company", _confirm_spoofed), SPOOFED),
    row(S.FORWARDED,   Verified,   S.CONFIRMED,   knowing("company", _confirm_prohibited), PROHIBITED),
    row(S.FORWARDED,   Verified,   S.CONFIRMED,   knowing("company", _confirm), CONFIRMED),
    row(S.FORWARDED,   Verified,   S.UNCONFIRMED, knowing("company", _not_confirm), UNCONFIRMED),
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
    "refusal_of",
    "still_wrong",
    "supplemented",
]
