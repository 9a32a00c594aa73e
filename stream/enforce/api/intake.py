"""From a request to the one record that it becomes: what each kind of request may state, and for whom.

Pure. Every function checks in the same order: is the body complete (400), may this caller act for that person (403), is
there such a case (404), would it take this (409). None writes or reads a topic; the server does.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from stream.enforce.api import jurisdiction, permissions, request_parsing
from stream.enforce.api.api_request import ApiRequest, Expressed, SendersWrite, Write
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_facts import case_of
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Accepted, Fault, Problem, Refusal, faulty, forbidden, wrong_state
from stream.enforce.api.search import owner_of
from stream.enforce.procedures import appeal, complaint, ids, messages, prohibited, regulator
from stream.enforce.procedures.dispute import WILL_ASK
from stream.enforce.procedures.forms import PERSON
from stream.enforce.procedures.listing import Punished
from stream.enforce.procedures.measure_case import MeasureState
from stream.model import topics
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding
from stream.model.control import (
    Appeal,
    Complaint,
    Direction,
    Dispute,
    Finding,
    Party,
    Punishment,
    party_key,
)
from stream.model.fields import Channel
from stream.model.registry import KEY_BAR, Expression, key_fault
from stream.model.requests import RegistryAnswer
from stream.registry.admission import expiry_problem
from stream.registry.known_names import near
from stream.registry.registry import Registry

BY_HAND: Final = ("prohibited-content", "inspection")
"""Grounds that people find; the rest are those of early warning and of other cases."""

INSPECTION_BASIS: Final = "measures"


# ---- complaints and disputes


def complain(request: ApiRequest) -> Write | SendersWrite:
    """A user's complaint. One that lacks something opens its case, and the answer lists what is missing."""
    record = request.record(Complaint, made={"complaint": request.id, "owner": None, **request.made})
    _for_subscriber(request.caller, record.subscriber)
    return _of_owner(request, record, record, complaint.missing(record))


def complete_complaint(request: ApiRequest) -> Write | SendersWrite:
    """What was missing in a complaint: what is stated is added to what is known."""
    view = request.view(request.case, "complaint")
    case = case_of(view)
    assert isinstance(case, complaint.ComplaintCase), "its procedure says so"
    assert case.complaint is not None, "a case that has a view has taken its first step"
    record = request.record(Complaint, made={"complaint": case.complaint.complaint, "owner": None, **request.made})
    if record.subscriber:
        _for_subscriber(request.caller, record.subscriber)
    more = complaint.Complained(record)
    request.would_take(view, more)
    known = complaint.supplemented(case.complaint, record)
    return _of_owner(request, record, known, complaint.missing(known, complaint.still_wrong(case.wrong, more)))


def _of_owner(
    request: ApiRequest, record: Complaint, known: Complaint, lacking: tuple[str, ...]
) -> Write | SendersWrite:
    """The complaint with whose number it is about, which the registry says, whatever the user calls the sender."""
    number, channel = known.from_, known.channel
    if not number or channel is None or not (record.from_ or record.channel):
        return _complaint(record, lacking)

    def resolve(registry: Registry) -> Write:
        owner = owner_of(request.terms.numbering, registry, channel, number)
        return _complaint(msgspec.structs.replace(record, owner=owner), lacking)

    return SendersWrite(resolve)


def _complaint(record: Complaint, lacking: tuple[str, ...]) -> Write:
    case = ids.complaint_case(record)
    answer = Accepted(record.complaint, case, request_parsing.missing(lacking, Complaint))
    return Write(topics.COMPLAINTS, case, case, record, answer)


def dispute(request: ApiRequest) -> Write | SendersWrite:
    """A user's dispute, over a complaint or without one. Party and subscriber are the complaint's, if it has them.

    Without a complaint, of a number that somebody owns it is about that owner.
    """
    about = request.stated.get("complaint")
    view = request.view(about, "complaint") if isinstance(about, str) else None
    complained = case_of(view) if view is not None else None
    known = complained.complaint if isinstance(complained, complaint.ComplaintCase) else None
    preset: Fields = {}
    if view is not None and view.party is not None:
        preset["party"] = msgspec.to_builtins(view.party)
    if known is not None and known.subscriber:
        preset["subscriber"] = known.subscriber
    record = request.record(Dispute, made={"dispute": request.id, **request.made}, preset=preset)
    if known is not None and known.subscriber and record.subscriber != known.subscriber:
        raise faulty(
            Fault("subscriber", "is not whose complaint it is", "leave it out, or dispute without `complaint`")
        )
    if view is not None and view.party not in (None, record.party):
        mend = "leave it out, or dispute without `complaint`"
        raise faulty(Fault("party", "is not whom the complaint is about", mend))
    if not record.subscriber:
        raise faulty(Fault("subscriber", "missing: the outcome goes there", f"state {PERSON}"))
    _for_subscriber(request.caller, record.subscriber)
    event = messages.Disputed(record)
    case = ids.dispute_case(record)
    if view is None:
        answer = Accepted(record.dispute, case, note=_WILL_ASK)
        number = record.party.number if record.party is not None else None
        if number is None:
            return case_event(request, case, "dispute", event, answer)
        return SendersWrite(
            lambda registry: case_event(
                request, case, "dispute", messages.Disputed(_about_its_owner(request, record, number, registry)), answer
            )
        )
    after = case_of(request.would_take(view, event))
    assert isinstance(after, complaint.ComplaintCase), "its procedure says so"
    answer = Accepted(record.dispute, case, note=_WILL_ASK if complaint.early(after) else None)
    return case_event(request, view.case, "complaint", event, answer)


def _about_its_owner(request: ApiRequest, record: Dispute, number: str, registry: Registry) -> Dispute:
    owner = _owner_on_any(request, registry, number, None)
    if owner is None:
        return record
    named = (*record.evidence, party_key(Party(number=number)))
    return msgspec.structs.replace(record, party=Party(sender=owner), evidence=named)


_WILL_ASK: Final = f"it is recorded; the appeals body will ask for {WILL_ASK}"


# ---- appeals


def file_appeal(request: ApiRequest) -> Write:
    """A party's appeal against a measure or listing. A sender appeals for itself alone.

    Who appeals evidently knows; what an office records for a party shows that of nobody, so before the notice reached
    the party an office records how it was served first (409). It names the party's letter in `evidence` (400): a party
    appeals once, and nobody uses that up but itself.
    """
    own = request.caller.scope[0] if len(request.caller.scope) == 1 else None
    preset = {"party": {"sender": own}} if own and request.caller.role == "sender" else {}
    record = request.record(Appeal, made={"appeal": request.id, **request.made}, preset=preset)
    if not request.caller.acts_for_sender(record.party.sender):
        raise forbidden("a sender appeals for itself alone, and `party` is none of the senders of this token")
    if request.caller.role != "sender" and not any(map(str.strip, record.evidence)):
        whose = "missing: this is for the party to do, and recorded with its letter"
        raise faulty(Fault("evidence", whose, "state the reference of its letter"))
    view = request.view(record.against)
    if request.caller.role != "sender" and view.state == MeasureState.TELLING:
        reason = (
            f"the notice of {view.case} has not reached the party, as far as is known: serve it and record that "
            "(`served`), or let the party appeal with its own token"
        )
        raise wrong_state(reason, permissions.possible(view, request.caller))
    request.would_take(view, messages.Appealed(record))
    case = ids.appeal_case(record)
    answer = Accepted(record.appeal, case, request_parsing.missing(appeal.missing(record), Appeal))
    return Write(topics.APPEALS, case, case, record, answer)


# ---- what offices find and order


def find(request: ApiRequest) -> Write | SendersWrite:
    """A violation that people found: prohibited content, or the outcome of an inspection.

    Of a number that somebody owns it is that owner's, as all its ports are. Another person seconds it (`seconded`).
    """
    grounds = request.stated.get("grounds")
    if grounds not in BY_HAND:
        reason = "missing" if grounds is None else "not found by people"
        raise faulty(Fault("grounds", reason, f"state one of {', '.join(BY_HAND)}"))
    basis = prohibited.BASIS if grounds == prohibited.BASIS else INSPECTION_BASIS
    record = request.record(Finding, made={"finding": request.id, "basis": basis, **request.made})
    number = record.party.number
    if number is None:
        return _of_registered(record.party.sender, _found(request, record))

    def resolve(registry: Registry) -> Write:
        owner = _owner_on_any(request, registry, number, record.channel)
        if owner is None:
            _check_stoppable(request, "party", number)
            return _found(request, record)
        named = (*record.evidence, party_key(record.party))
        return _found(request, msgspec.structs.replace(record, party=Party(sender=owner), evidence=named))

    return SendersWrite(resolve)


def _check_stoppable(request: ApiRequest, field: str, number: str) -> None:
    """Raises `Problem` 400 for a number of help or redress, which is nobody's to stop."""
    if (kind := request.terms.numbering.kind(number)) in ("help", "redress"):
        mend = "whoever sends under it forges it: state the sender, or the number, of the route by which it came"
        raise faulty(Fault(field, f"{number} is a number of {kind}, which nobody stops", mend))


def _owner_on_any(request: ApiRequest, registry: Registry, number: str, channel: Channel | None) -> str | None:
    """Whose number it is, on this channel or, where none is stated, on any."""
    channels: tuple[Channel, ...] = ("sms", "call") if channel is None else (channel,)
    owners = (owner_of(request.terms.numbering, registry, one, number) for one in channels)
    return next((one for one in owners if one), None)


def _found(request: ApiRequest, record: Finding) -> Write:
    if record.grounds == prohibited.BASIS:
        if not any(map(str.strip, record.evidence)):
            mend = "state ids of decisions, texts or documents that show it"
            raise faulty(Fault("evidence", "missing: nobody is suspended for prohibited content without it", mend))
        not_alone_again(request, record.party)
        case = ids.prohibited_case(record)
        event = prohibited.Discovered(record)
        return case_event(request, case, "prohibited-content", event, Accepted(record.finding, case))
    party = party_key(record.party)
    answer = Accepted(record.finding, note=_SECOND)
    return case_event(request, party, DOCKET, EscalationFinding(record), answer)


_SECOND: Final = "where it opens a measure's case, nothing follows before another person has seconded it (`seconded`)"


def not_alone_again(request: ApiRequest, party: Party) -> None:
    """Raises `Problem` 409 where nobody confirmed what this person found of the party before.

    One person's word suspends for an hour, not for one hour after another: until a finding about the party is
    confirmed, the next one is another person's.
    """
    views = (view for view in request.index.about(party_key(party)) if view.procedure == "prohibited-content")
    alone, since = "", -1
    confirmed = -1
    for view in views:
        case = case_of(view)
        assert isinstance(case, prohibited.ProhibitedCase), "its procedure says so"
        assert case.finding is not None, "a case that has a view has taken its first step"
        found = case.finding
        if case.seconded is not None or case.outcome == "confirmed":
            confirmed = max(confirmed, found.time)
        elif case.state == prohibited.ProhibitedState.UNCONFIRMED and found.actor == request.caller.actor:
            alone, since = max((alone, since), (view.case, found.time), key=lambda one: one[1])
    if since > confirmed:
        reason = (
            f"nobody confirmed in time what you found of this party ({alone}), and one person suspends nobody for one "
            "hour after another: let another person find it, and confirm it (`seconded`)"
        )
        raise Problem(409, Refusal("wrong-state", reason))


def direct(request: ApiRequest) -> Write | SendersWrite:
    """The regulator's order to take a measure, with the party notified first unless it states `at_once`."""
    return _direction(
        request, request.record(Direction, made={"direction": request.id, **jurisdiction.by_administration(request)})
    )


def complete_direction(request: ApiRequest) -> Write | SendersWrite:
    """What an order lacked: what is stated is added to what is known."""
    view = request.view(request.case, "regulator-order")
    case = case_of(view)
    assert isinstance(case, regulator.RegulatorCase), "its procedure says so"
    assert case.direction is not None, "a case that has a view has taken its first step"
    jurisdiction.check_authority(request, view, regulator.Directed(case.direction))
    made = {"direction": case.direction.direction, **jurisdiction.by_administration(request)}
    known: Fields = msgspec.to_builtins(case.direction)
    preset = {name: value for name, value in known.items() if name not in made and name != "kind"}
    record = request.record(Direction, made=made, preset=preset)
    request.would_take(view, regulator.Directed(record))
    return _direction(request, record)


def _direction(request: ApiRequest, record: Direction) -> Write | SendersWrite:
    if record.until is not None and record.until <= request.now:
        raise faulty(Fault("until", "it is over: nothing would come of it", "state a moment to come, or leave it out"))
    case = ids.direction_case(record)
    answer = Accepted(record.direction, case, request_parsing.missing(regulator.missing(record), Direction))
    write = case_event(request, case, "regulator-order", regulator.Directed(record), answer)
    return _of_registered(record.party.sender, write)


def punish(request: ApiRequest) -> Write | SendersWrite:
    """A penalty that an authority imposed: its operator is proposed for the bad-actor list."""
    record = request.record(Punishment, made={"punishment": request.id, **jurisdiction.by_administration(request)})
    case = ids.listing_case(record)
    write = case_event(request, case, "listing", Punished(record), Accepted(record.punishment, case))
    return _of_registered(record.party.sender, write)


# ---- a subscriber's expression


def express(request: ApiRequest) -> Expressed:
    """A subscriber's expression: refuse, consent or lift, at once.

    The registrar admits it. A consent names a category of the policy and a sender that is registered (400, with those
    that are like it). One that was given before what stands is too late (409); a refusal that is given now is always
    written. Where no registrar answers (503), ask again, under the same Idempotency-Key.
    """
    record = request.record(Expression, made={"actor": request.caller.actor}, preset={"time": request.now})
    if fault := key_fault(record):
        raise faulty(Fault("sender" if KEY_BAR in (record.sender or "") else "category", fault, "state a name without"))
    if problem := expiry_problem(record, request.now):
        raise faulty(Fault("expires", problem, "state a moment to come, of a consent, or leave it out"))
    _for_subscriber(request.caller, record.subscriber)
    return Expressed(record, Accepted(request.id))


def expressed(answer: RegistryAnswer, categories: Sequence[str]) -> None:
    """See that the registrar admitted it. Raises `Problem` with why it did not."""
    for refusal in answer.refusals:
        match refusal.code:
            case "late":
                raise Problem(409, Refusal("too-late", f"too late: {refusal.what}"))
            case "scopes":
                raise Problem(409, Refusal("too-many", refusal.what))
            case "unknown-name":
                mends = {
                    "category": f"state one of {', '.join(categories)}",
                    "sender": "state a sender that is registered, or register it first",
                }
                raise faulty(
                    *(
                        Fault(name, one.what, mend)
                        for name, mend in mends.items()
                        for one in answer.unknown
                        if one.what.startswith(name)
                    )
                )
            case _:
                raise faulty(Fault("", refusal.what, "see docs/admission.md"))


# ---- helpers


def _of_registered(sender: str | None, write: Write) -> Write | SendersWrite:
    """What is written against a sender, with a note where nobody of that name is registered: it may be misspelt, and
    then what is ordered stops nobody.
    """
    if sender is None:
        return write

    def resolve(registry: Registry) -> Write:
        if sender in registry.senders:
            return write
        like = near(sender, frozenset(registry.senders))
        meant = f"; did you mean {', '.join(like)}?" if like else ""
        note = f"no sender {sender} is registered: as long as none is, it stops no registered number{meant}"
        notes = f"{write.answer.note}; {note}" if write.answer.note else note
        return write._replace(answer=msgspec.structs.replace(write.answer, note=notes))

    return SendersWrite(resolve)


def _for_subscriber(caller: Caller, subscriber: str | None) -> None:
    if caller.acts_for_subscriber(subscriber):
        return
    if not subscriber:
        raise faulty(Fault("subscriber", "missing: an agent speaks for somebody", "state one of its subscribers"))
    raise forbidden("a subscriber's agent speaks for the subscribers of its scope, and `subscriber` is none")


def case_event(request: ApiRequest, case: str, procedure: str, event: msgspec.Struct, answer: Accepted) -> Write:
    """The event as a record, of the person that the token names."""
    happened = CaseEvent(
        id=request.event_id(procedure),
        time=request.now,
        case=case,
        procedure=procedure,
        event=msgspec.Raw(msgspec.json.encode(event)),
        actor=request.caller.actor,
        person=request.caller.actor,
    )
    return Write(topics.CASE_EVENTS, case, case, happened, answer)
