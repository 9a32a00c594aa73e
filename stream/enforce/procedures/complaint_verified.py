"""What follows from a verified complaint: a finding against the sender, and the user's refusal of it.

Whose number it came from the registry says, whatever the user calls the sender: all ports of an owner are one party.
Who was impersonated is no violator: such a message is a finding on the route by which it came. The rows are
`complaint`'s.
"""

from typing import Final

import msgspec

from stream.enforce.procedures.complaint_case import ComplaintCase, Verified, accused, complaint_of
from stream.enforce.procedures.effects import Act, Alert, KeepRecord, OpenCase, RaiseFinding, WriteExpression
from stream.enforce.procedures.engine import Condition, Done, Turn
from stream.enforce.procedures.ids import prohibited_case
from stream.model.cases import Discovered
from stream.model.control import Complaint, Finding, Grounds, Party
from stream.model.registry import Expression

PROHIBITED_CONTENT: Final = "prohibited-content"
"""What a complaint of Article 31 is about, and grounds and basis of what is found then."""

SOURCE: Final = "complaint"
"""The source that the refusal of a complaint carries."""

SPOOFED_ROUTE: Final = "a spoofed number: find and close the route by which it came"

# ---- conditions


def _confirmed(turn: Turn[ComplaintCase, Verified]) -> bool:
    return turn.event.result == "confirmed" and _party_of(turn.case, turn.event) is not None


CONFIRMED = Condition[ComplaintCase, Verified]("it is confirmed, and the sender is known", _confirmed)
SPOOFED = Condition[ComplaintCase, Verified](
    "it is confirmed, but the number was spoofed",
    lambda turn: turn.event.result == "confirmed" and turn.event.spoofed,
)
UNCONFIRMED = Condition[ComplaintCase, Verified]("it is not confirmed", lambda turn: turn.event.result == "unconfirmed")
PROHIBITED = Condition[ComplaintCase, Verified](
    "it is confirmed, the sender is known, and it is about prohibited content",
    lambda turn: _confirmed(turn) and complaint_of(turn.case).about == PROHIBITED_CONTENT,
)


# ---- actions


def confirm(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """A finding against the sender is raised, and the user's refusal of it is written, but not over a newer consent."""
    finding = _finding(turn, "complaint", "complaints")
    return _confirmed_by(turn, finding.party, RaiseFinding(finding))


def confirm_prohibited(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """The case of Article 32 is opened, with the evidence under hold; the user's refusal is written as for others."""
    complaint = complaint_of(turn.case)
    finding = _finding(turn, PROHIBITED_CONTENT, PROHIBITED_CONTENT)
    opened = OpenCase("prohibited-content", prohibited_case(finding), Discovered(finding))
    kept = KeepRecord((complaint.complaint, *complaint.evidence), PROHIBITED_CONTENT)
    return _confirmed_by(turn, finding.party, opened, kept)


def confirm_spoofed(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """Nothing is held against whose number it is: the route by which it came is to be found, and people are alerted."""
    case = msgspec.structs.replace(turn.case, confirmed=True, spoofed=True, outcome=turn.event.detail)
    evidence = (complaint_of(case).complaint, *complaint_of(case).evidence)
    route = turn.report(to="company", about=SPOOFED_ROUTE, basis="number-use", evidence=evidence)
    refusal = refusal_of(turn.case, turn.event)
    written = () if refusal is None else (WriteExpression(msgspec.structs.replace(refusal, time=turn.now)),)
    return Done(case, (Alert("decision", "spoofed-route"), route, KeepRecord(evidence, "number-use"), *written))


def not_confirm(turn: Turn[ComplaintCase, Verified]) -> Done[ComplaintCase]:
    """Nothing is held against the sender."""
    return Done(msgspec.structs.replace(turn.case, outcome=turn.event.detail))


# ---- what the actions are made of


def _finding(turn: Turn[ComplaintCase, Verified], grounds: Grounds, basis: str) -> Finding:
    complaint, party = complaint_of(turn.case), _party_of(turn.case, turn.event)
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
    complaint = complaint_of(turn.case)
    case = msgspec.structs.replace(turn.case, party=party, confirmed=True, outcome=turn.event.detail)
    if turn.event.refuse == "anyway":
        return Done(case, (*acts, *writes_refusal(turn.case, complaint, party.sender, turn.now)))
    if turn.event.consented is not None:
        return Done(case, acts)
    return Done(case, (*acts, *writes_refusal(turn.case, complaint, party.sender, complaint.time)))


def _party_of(case: ComplaintCase, event: Verified) -> Party | None:
    """Whose number it is, or else whom the verification names, or else whom the complaint is about."""
    if event.owner is not None:
        return Party(sender=event.owner)
    return event.party or accused(complaint_of(case))


def refusal_of(case: ComplaintCase, event: Verified) -> Expression | None:
    """The refusal that a verification leads to, dated as the complaint is; None where it leads to none.

    Of whose number was spoofed only where the user says so.
    """
    leads = event.result == "confirmed" and (event.refuse == "anyway" or not event.spoofed)
    party = _party_of(case, event) if leads else None
    complaint = complaint_of(case)
    acts = writes_refusal(case, complaint, party.sender, complaint.time) if party is not None else ()
    return acts[0].expression if acts else None


def writes_refusal(
    case: ComplaintCase, complaint: Complaint, sender: str | None, time: int
) -> tuple[WriteExpression, ...]:
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
