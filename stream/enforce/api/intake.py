"""From a request to the one record that it becomes: what each kind of request may say, and for whom.

Pure. Every function checks in the same order: is the body whole (400), may this caller speak for that person
(403), is there such a case (404), would it take this (409). None writes or reads a topic; the server does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import msgspec

from stream.enforce.api import permissions, request_parsing
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_index import CaseIndex, case_of
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Accepted, Fault, Problem, Refusal, faulty, forbidden, unknown, wrong_state
from stream.enforce.procedures import appeal, campaign, complaint, fitness, ids, messages, prohibited, regulator
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.forms import FormContext
from stream.enforce.procedures.listing import Punished
from stream.enforce.procedures.measure import MeasureCase
from stream.enforce.procedures.terms import Terms
from stream.model import topics
from stream.model.cases import DOCKET, CaseEvent, CaseView, EscalationFinding
from stream.model.control import (
    Appeal,
    CaseId,
    Complaint,
    Direction,
    Dispute,
    Filing,
    Finding,
    Punishment,
    party_key,
)
from stream.model.registry import Expression, Order, key_of
from stream.registry import order_rule
from stream.registry.admission import Admission
from stream.registry.order_rule import Received
from stream.registry.registry import Registry

T = TypeVar("T", bound=msgspec.Struct)

BY_HAND: Final = ("prohibited-content", "inspection")
"""Grounds that people find; the rest are those of early warning and of other cases."""

INSPECTION_BASIS: Final = "measures"
OF_A_MEASURE: Final = ids.made_id("O", ids.made_id("M", ""))
"""How the ids of orders begin that a measure's own case writes."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request: who, what, when, about which case. `id` names what it makes; a repeat has the same."""

    caller: Caller
    stated: Fields
    now: int
    id: str
    case: CaseId
    book: CaseIndex
    terms: Terms

    @property
    def made(self) -> dict[str, object]:
        """What the API alone says of every record."""
        return {"time": self.now, "actor": self.caller.actor}

    def record(
        self,
        kind: type[T],
        *,
        made: Mapping[str, object],
        preset: Mapping[str, object] | None = None,
        stated: Fields | None = None,
    ) -> T:
        """What the request states, as the record that it becomes. Raises `Problem` 400 with all its faults."""
        return request_parsing.record(
            self.stated if stated is None else stated,
            kind,
            made=made,
            preset=preset,
            reading=FormContext(self.terms.numbering, self.now),
        )

    def seen(self, case: CaseId, procedure: ProcedureName | None = None) -> CaseView:
        """The case, if this caller may see it. Raises `Problem` 404, also for one of another procedure."""
        picture = self.book.picture(case, self.caller)
        if picture is None or procedure not in (None, picture.procedure):
            raise unknown(case)
        return picture

    def would_take(self, picture: CaseView, event: msgspec.Struct) -> None:
        """Raises `Problem` 409 where the case does not take this event now."""
        reason = permissions.refused(picture, event, self.now, self.terms)
        if reason is not None:
            raise wrong_state(reason, permissions.possible(picture, self.caller))


class Write(NamedTuple):
    """The record to write, under its key, in the partition that `place` has; and the answer once it is safe."""

    topic: str
    key: str
    place: str
    record: msgspec.Struct
    answer: Accepted


class ConditionalWrite(NamedTuple):
    """What is written depends on what the topic has of a subscriber: `judged` says it, or raises `Problem` 409."""

    subscriber: str
    judged: Callable[[Sequence[Received]], Write]


# ---- complaints and disputes


def complain(asked: ApiRequest) -> Write:
    """A user's complaint. One that lacks something opens its case, and the answer lists what is missing."""
    said = asked.record(Complaint, made={"complaint": asked.id, **asked.made})
    _for_subscriber(asked.caller, said.subscriber)
    return _complaint(said, complaint.missing(said))


def complete_complaint(asked: ApiRequest) -> Write:
    """What was missing in a complaint: what is stated is added to what is known."""
    picture = asked.seen(asked.case, "complaint")
    case = case_of(picture)
    assert isinstance(case, complaint.ComplaintCase), "its procedure says so"
    assert case.complaint is not None, "a case that has a picture has taken its first step"
    said = asked.record(Complaint, made={"complaint": case.complaint.complaint, **asked.made})
    if said.subscriber:
        _for_subscriber(asked.caller, said.subscriber)
    more = complaint.Complained(said)
    asked.would_take(picture, more)
    known = complaint.supplemented(case.complaint, said)
    return _complaint(said, complaint.missing(known, complaint.still_wrong(case.wrong, more)))


def _complaint(said: Complaint, lacking: tuple[str, ...]) -> Write:
    case = ids.complaint_case(said)
    answer = Accepted(said.complaint, case, request_parsing.missing(lacking, Complaint))
    return Write(topics.COMPLAINTS, case, case, said, answer)


def dispute(asked: ApiRequest) -> Write:
    """A user's dispute over an answered complaint. The party is the complaint's, where none is stated."""
    stated = asked.stated
    about = stated.get("complaint")
    picture = asked.seen(about, "complaint") if isinstance(about, str) else None
    known = picture.party if picture is not None else None
    preset = {"party": msgspec.to_builtins(known)} if known is not None else {}
    said = asked.record(Dispute, made={"dispute": asked.id, **asked.made}, preset=preset)
    picture = asked.seen(said.complaint, "complaint")
    event = messages.Disputed(said)
    asked.would_take(picture, event)
    answer = Accepted(said.dispute, ids.dispute_case(said))
    return _case_event(asked, said.complaint, "complaint", event, answer)


# ---- appeals


def file_appeal(asked: ApiRequest) -> Write:
    """A party's appeal against a measure or listing. A sender appeals for itself alone."""
    own = asked.caller.scope[0] if len(asked.caller.scope) == 1 else None
    preset = {"party": {"sender": own}} if own and asked.caller.role == "sender" else {}
    said = asked.record(Appeal, made={"appeal": asked.id, **asked.made}, preset=preset)
    if not asked.caller.acts_for_sender(said.party.sender):
        raise forbidden("a sender appeals for itself alone, and `party` is none of the senders of this token")
    picture = asked.seen(said.against)
    asked.would_take(picture, messages.Appealed(said))
    case = ids.appeal_case(said)
    answer = Accepted(said.appeal, case, request_parsing.missing(appeal.missing(said), Appeal))
    return Write(topics.APPEALS, case, case, said, answer)


# ---- campaigns


def file_campaign(asked: ApiRequest) -> Write:
    """An application for a public-interest campaign.

    An emergency goes out before anybody weighs it, so only an office may enter one.
    """
    said = _filing(asked, asked.id)
    if not asked.caller.acts_for_sender(said.sender):
        raise forbidden("a sender files for itself alone, and `sender` is none of the senders of this token")
    return _campaign(said, fitness.missing(said))


def complete_campaign(asked: ApiRequest) -> Write:
    """What a filing lacked, what is mended in it, or the filing that an emergency owes."""
    picture = asked.seen(asked.case, "campaign")
    case = case_of(picture)
    assert isinstance(case, campaign.CampaignCase), "its procedure says so"
    assert case.filing is not None, "a case that has a picture has taken its first step"
    said = _filing(asked, case.filing.filing)
    if said.sender and not asked.caller.acts_for_sender(said.sender):
        raise forbidden("a sender files for itself alone, and `sender` is none of the senders of this token")
    more = campaign.Filed(said)
    asked.would_take(picture, more)
    known = campaign.supplemented(case.filing, said)
    return _campaign(said, fitness.missing(known, campaign.still_wrong(case.wrong, more)))


def _filing(asked: ApiRequest, name: str) -> Filing:
    own = asked.caller.scope[0] if len(asked.caller.scope) == 1 else None
    preset = {"sender": own} if own and asked.caller.role == "sender" else {}
    said = asked.record(Filing, made={"filing": name, **asked.made}, preset=preset)
    if said.emergency and asked.caller.role == "sender":
        raise forbidden("an emergency goes out before it is weighed: the desk or the regulator enters it")
    return said


def _campaign(said: Filing, lacking: tuple[str, ...]) -> Write:
    case = ids.campaign_case(said)
    answer = Accepted(said.filing, case, request_parsing.missing(lacking, Filing))
    return Write(topics.FILINGS, case, case, said, answer)


# ---- what offices find and order


def find(asked: ApiRequest) -> Write:
    """A violation that people found: prohibited content, or the outcome of an inspection."""
    grounds = asked.stated.get("grounds")
    if grounds is not None and grounds not in BY_HAND:
        raise faulty(Fault("grounds", "not found by people", f"state one of {', '.join(BY_HAND)}"))
    basis = prohibited.BASIS if grounds == prohibited.BASIS else INSPECTION_BASIS
    said = asked.record(Finding, made={"finding": asked.id, "basis": basis, **asked.made})
    if said.grounds == prohibited.BASIS:
        case = ids.prohibited_case(said)
        event = prohibited.Discovered(said)
        return _case_event(asked, case, "prohibited-content", event, Accepted(said.finding, case))
    docket = party_key(said.party)
    return _case_event(asked, docket, DOCKET, EscalationFinding(said), Accepted(said.finding))


def direct(asked: ApiRequest) -> Write:
    """The regulator's order to take a measure, with the party told first unless it says `at_once`."""
    return _direction(asked, asked.record(Direction, made={"direction": asked.id, **asked.made}))


def complete_direction(asked: ApiRequest) -> Write:
    """What an order lacked: what is stated is added to what is known."""
    picture = asked.seen(asked.case, "regulator-order")
    case = case_of(picture)
    assert isinstance(case, regulator.RegulatorCase), "its procedure says so"
    assert case.direction is not None, "a case that has a picture has taken its first step"
    made = {"direction": case.direction.direction, **asked.made}
    known: Fields = msgspec.to_builtins(case.direction)
    preset = {name: value for name, value in known.items() if name not in made and name != "kind"}
    said = asked.record(Direction, made=made, preset=preset)
    asked.would_take(picture, regulator.Directed(said))
    return _direction(asked, said)


def _direction(asked: ApiRequest, said: Direction) -> Write:
    case = ids.direction_case(said)
    answer = Accepted(said.direction, case, request_parsing.missing(regulator.missing(said), Direction))
    return _case_event(asked, case, "regulator-order", regulator.Directed(said), answer)


def punish(asked: ApiRequest) -> Write:
    """A penalty that an authority imposed: its operator is proposed for the bad-actor list."""
    said = asked.record(Punishment, made={"punishment": asked.id, **asked.made})
    case = ids.listing_case(said)
    return _case_event(asked, case, "listing", Punished(said), Accepted(said.punishment, case))


def order(asked: ApiRequest) -> Write:
    """An order written directly, past the procedures: it must pass the rules of admission.

    The same `order` again, with an `until`, ends it. What a measure's case wrote ends through that case.
    """
    preset = {"order": f"O-{asked.id}", "from": asked.now, "appeal": asked.terms.appeal}
    said = asked.record(Order, made={"actor": asked.caller.actor}, preset=preset)
    if said.until is not None and said.until < said.from_:
        raise faulty(Fault("until", "it lies before `from`", "state a later moment; now ends an order"))
    if said.basis == regulator.BASIS and asked.caller.role != "regulator":
        raise forbidden(f"only the regulator's own token gives an order on the basis {regulator.BASIS}")
    if said.order.startswith(OF_A_MEASURE):
        raise Problem(
            409,
            Refusal("wrong-state", f"{said.order} is the order of a measure's case: lift it through that case"),
        )
    refused = Admission(asked.terms.numbering).refusal(said, Registry(), asked.now)
    if refused is not None:
        raise faulty(Fault("notice", refused, "state the id of the notice by which the party was told"))
    return Write(topics.ORDERS, key_of(said), key_of(said), said, Accepted(said.order))


# ---- a subscriber's word


def express(asked: ApiRequest) -> Write | ConditionalWrite:
    """A subscriber's expression: refuse, consent or lift, at once.

    One that was said before what stands is too late (409, which tells what stands); a refusal that is given now is
    always written.
    """
    said = asked.record(Expression, made={"actor": asked.caller.actor}, preset={"time": asked.now})
    _for_subscriber(asked.caller, said.subscriber)
    plain = Write(topics.EXPRESSIONS, key_of(said), said.subscriber, said, Accepted(asked.id))
    if order_rule.given_now(said, asked.now):
        return plain

    def judged(received: Sequence[Received]) -> Write:
        refused = order_rule.refusal(said, received, asked.now)
        if refused is not None:
            raise Problem(409, Refusal("too-late", refused))
        return plain

    return ConditionalWrite(said.subscriber, judged)


# ---- acts on a case


def decide(asked: ApiRequest) -> Write | ConditionalWrite:
    """An act of a person on a case, named by `event`."""
    picture = asked.seen(asked.case)
    name = asked.stated.get("event")
    act = permissions.act(picture.procedure, name) if isinstance(name, str) else None
    if act is None:
        raise faulty(_no_act(picture, name))
    if asked.caller.role not in act.roles:
        raise forbidden(f"`{act.name}` on a case of {picture.procedure} is for {' or '.join(act.roles)}")
    stated = {field: value for field, value in asked.stated.items() if field != "event"}
    event = asked.record(act.event, made=dict.fromkeys(act.made) | {"actor": asked.caller.actor}, stated=stated)
    _authority(asked.caller, picture, event)
    asked.would_take(picture, event)
    if isinstance(event, complaint.Verified):
        return _verified(asked, picture, event)
    return _case_event(asked, asked.case, picture.procedure, event, Accepted(asked.id, asked.case))


def _verified(asked: ApiRequest, picture: CaseView, event: complaint.Verified) -> Write | ConditionalWrite:
    """A verified complaint, after a look whether its user has consented since: then no refusal is written over it."""
    plain = _case_event(asked, asked.case, picture.procedure, event, Accepted(asked.id, asked.case))
    case = case_of(picture)
    assert isinstance(case, complaint.ComplaintCase), "its procedure says so"
    expression = complaint.refusal_of(case, event)
    if expression is None or event.refuse == "anyway":
        return plain

    def judged(received: Sequence[Received]) -> Write:
        others = [one for one in received if one.expression.will != "refuse"]
        later = order_rule.newer(expression, others, asked.now)
        if later is None:
            return plain
        known = msgspec.structs.replace(event, consented=later.counts)
        note = (
            f"no refusal is written: it would come too late for {order_rule.sentence(later)}; if the user refuses all "
            'the same, file an expression, which counts at once (or state `refuse`: "anyway" where this is said)'
        )
        answer = Accepted(asked.id, asked.case, note=note)
        return _case_event(asked, asked.case, picture.procedure, known, answer)

    return ConditionalWrite(expression.subscriber, judged)


def _no_act(picture: CaseView, name: object) -> Fault:
    if isinstance(name, str) and name in permissions.ADDED:
        return Fault("event", "this comes as a record of its own", f"send it to /v1/{permissions.ADDED[name]}")
    known = ", ".join(one.name for one in permissions.ACTS[picture.procedure])
    reason = "missing" if name is None else f"no act on a case of {picture.procedure}"
    return Fault("event", reason, f"state one of {known}")


def _authority(caller: Caller, picture: CaseView, event: msgspec.Struct) -> None:
    """What the regulator ordered, the regulator takes back."""
    if not isinstance(event, messages.Lift) or caller.role == "regulator":
        return
    case = case_of(picture)
    if isinstance(case, MeasureCase) and case.finding is not None and case.finding.basis == regulator.BASIS:
        raise forbidden("the regulator ordered this measure: the regulator lifts it, or revokes the order")


# ---- what these are made of


def _for_subscriber(caller: Caller, subscriber: str | None) -> None:
    if caller.acts_for_subscriber(subscriber):
        return
    if not subscriber:
        raise faulty(Fault("subscriber", "missing: an agent speaks for somebody", "state one of its subscribers"))
    raise forbidden("a subscriber's agent speaks for the subscribers of its scope, and `subscriber` is none")


def _case_event(asked: ApiRequest, case: str, procedure: str, event: msgspec.Struct, answer: Accepted) -> Write:
    happened = CaseEvent(
        id=f"{asked.id}@{procedure}",
        time=asked.now,
        case=case,
        procedure=procedure,
        event=msgspec.Raw(msgspec.json.encode(event)),
        actor=asked.caller.actor,
    )
    return Write(topics.CASE_EVENTS, case, case, happened, answer)
