"""Filings of campaigns: applications, and emergencies, which go out before anybody weighs them.

Pure, and in the order of `intake`. Of an application, that its sender is no public body's is a fault like others, by
the sender's record as it is now. An emergency is refused for what makes it none: such a sender, and an end beyond three
days. All else that is wrong with it, and what the record of its sender lacks, is said in the
answer, and holds nothing up; neither does what comes of registering that record.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from stream.enforce.api import jurisdiction, request_parsing
from stream.enforce.api.api_request import ApiRequest, Registration, SendersWrite, Write
from stream.enforce.api.case_facts import case_of
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import FAULTS_MAX, Accepted, Fault, faulty, forbidden
from stream.enforce.procedures import campaign, campaign_emergency, fitness, ids
from stream.enforce.procedures.campaign import CampaignCase
from stream.enforce.procedures.campaign_acts import is_open
from stream.enforce.procedures.clocks import start
from stream.enforce.procedures.fitness import FilingFault
from stream.model import topics
from stream.model.control import Filing
from stream.model.fields import CONTACT_DIGITS_MIN, digits_of
from stream.model.registry import Sender
from stream.model.times import iso_time
from stream.registry import emergency
from stream.registry.admission import Admission
from stream.registry.registry import Registry

MEND: Final = "mend it, and state it for this case: POST /v1/filings/{case}, or `wurao case file campaign --case CASE`"
MEND_SENT: Final = "it is sent all the same: look at it; the body or the regulator takes it back (`withdraw`)"
REGISTER: Final = "state `register`: true for this case, and `numbers` that nobody has become its own"


def file_campaign(request: ApiRequest) -> Write | SendersWrite:
    """An application for a public-interest campaign, or an emergency, which is sent at once.

    An emergency goes out before anybody weighs it, so only an office may file one: of a public body's sender, of one of
    the four kinds of Article 26 (`incident`), for 72 hours at most (400). What else is wrong with it, and what its
    sender's record lacks, is in `faults`; with `register` the same act has that registered. Another person confirms it
    (`seconded`), and so does the regulator (`confirmed`).
    """
    record = _filing(request, request.id)
    jurisdiction.check_jurisdiction(request.caller, record)
    if not request.caller.acts_for_sender(record.sender):
        raise forbidden("a sender files for itself alone, and `sender` is none of the senders of this token")
    return _filed(request, CampaignCase(case=ids.campaign_case(record)), campaign.Filed(record))


def complete_campaign(request: ApiRequest) -> Write | SendersWrite:
    """What a filing lacked, what is mended in it, or the filing that an emergency owes.

    Who said what in an emergency that was sent, and until when, stays as it was (400).
    """
    view = request.view(request.case, "campaign")
    case = case_of(view)
    assert isinstance(case, CampaignCase), "its procedure says so"
    assert case.filing is not None, "a case that has a view has taken its first step"
    record = _filing(request, case.filing.filing)
    if record.sender and not request.caller.acts_for_sender(record.sender):
        raise forbidden("a sender files for itself alone, and `sender` is none of the senders of this token")
    more = campaign.Filed(record)
    request.would_take(view, more)
    jurisdiction.check_jurisdiction(request.caller, campaign.supplemented(case.filing, record), case.filing)
    return _filed(request, case, more)


def _filing(request: ApiRequest, name: str) -> Filing:
    own = request.caller.scope[0] if len(request.caller.scope) == 1 else None
    preset: Fields = {"sender": own} if own and request.caller.role == "sender" else {}
    if request.caller.role == "sender" and request.caller.jurisdiction is not None:
        preset |= {"level": request.caller.jurisdiction.level, "body_region": request.caller.jurisdiction.region}
    return request.record(Filing, made={"filing": name, "sender_problem": None, **request.made}, preset=preset)


def _filed(request: ApiRequest, case: CampaignCase, more: campaign.Filed) -> Write | SendersWrite:
    known = campaign.supplemented(case.filing, more.filing)
    sent = case.state not in campaign.BEING_FILED
    if request.caller.role == "sender":
        _of_a_body(case, more.filing, known, sent=sent)
    if not known.emergency:
        if known.register:
            raise faulty(Fault("register", "of emergencies alone, which wait for nobody", "leave it out"))
        if sent:  # what is weighed already stays as it was found: a repeat states nothing new
            return _application(request, case, more, None)
        return SendersWrite(lambda registry: _application(request, case, more, _sender_problem(known, registry)))
    if sent:
        _stays_as_sent(case, more.filing)
        known = campaign_emergency.as_sent(case, known)
    return SendersWrite(lambda registry: _emergency(request, case, more, known, registry), fresh=more.filing.register)


def _application(request: ApiRequest, case: CampaignCase, more: campaign.Filed, problem: str | None) -> Write:
    """An application whose sender, by its record, is no public body's for this reason, if any."""
    record = msgspec.structs.replace(more.filing, sender_problem=problem)
    known = campaign.supplemented(case.filing, record)
    lacking = fitness.missing(known, campaign.still_wrong(case.wrong, more))
    found = fitness.waived(known, fitness.faults(known, request.now, request.terms))
    note = fitness.uncertain_lead(known, request.now, request.terms)
    return _write(record, _answer(record, lacking, found, MEND, note))


def _sender_problem(known: Filing, registry: Registry) -> str | None:
    return emergency.sender_problem(known.sender, registry.senders.get(known.sender)) if known.sender else None


def _of_a_body(case: CampaignCase, more: Filing, known: Filing, *, sent: bool) -> None:
    """What a public body may do of an emergency: file what it owes. Raises `Problem` 403."""
    if known.emergency and not sent:
        raise forbidden("an emergency goes out before it is weighed: the desk or the regulator enters it")
    if sent and case.filing is not None:
        before = case.filing
        if more.register or known.regions != before.regions or known.numbers != before.numbers:
            raise forbidden("where an emergency goes, and by which numbers, the desk or the regulator states")


def _stays_as_sent(case: CampaignCase, more: Filing) -> None:
    """Raises `Problem` 400 where a filing states something else than was sent."""
    sent = case.filing
    assert sent is not None, "what was sent was filed"
    mends = {
        "sender": "leave it out, or take the campaign back (`withdraw`) and file another",
        "text": "leave it out, or take the campaign back (`withdraw`) and file another",
        "from": "leave it out",
        "until": "leave it out; it goes on by an act of two persons on the case (`renewed`)",
    }
    fields = {"sender": "sender", "text": "text", "from": "from_", "until": "until"}
    faults = [
        Fault(name, "it was sent as it is", mend)
        for name, mend in mends.items()
        if (stated := getattr(more, fields[name])) and stated != getattr(sent, fields[name])
    ]
    if faults:
        raise faulty(*faults)


# ---- emergencies


def _emergency(
    request: ApiRequest, case: CampaignCase, more: campaign.Filed, known: Filing, registry: Registry
) -> Write:
    """An emergency, or what it owed, as its sender's record allows it. Raises `Problem` 400."""
    wrong = campaign.still_wrong(case.wrong, more)
    found = fitness.faults(known, request.now, request.terms)
    held_by: tuple[str, ...] = ()
    note = None
    if case.state in campaign.BEING_FILED:
        _refuse(request, known, found, registry)
        held_by = fitness.missing_in_emergency(known, wrong)
        note = _not_sent(held_by) if held_by else _sent(request, known)
    flagged = tuple(fault for fault in found if fault.kind != "window")[:FAULTS_MAX]
    answer = _answer(more.filing, fitness.missing(known, wrong), flagged, MEND if held_by else MEND_SENT, note)
    if held_by or request.caller.role == "sender":
        return _write(more.filing, answer)
    record = registry.senders.get(known.sender or "")
    registered, fault = _registration(request, known, registry) if more.filing.register else (None, None)

    def answered(record: Sender | None, *faults: Fault) -> Accepted:
        return msgspec.structs.replace(answer, faults=(*answer.faults, *faults, *_lacks(known, record, registry)))

    if registered is None:
        return _write(more.filing, answered(record, *((fault,) if fault else ())))
    beside = Registration(registered, lambda why: answered(record, _unregistered(why)))
    return _write(more.filing, answered(registered))._replace(register=beside)


def _refuse(request: ApiRequest, known: Filing, found: tuple[FilingFault, ...], registry: Registry) -> None:
    """Raises `Problem` 400 for what is no emergency: too long a window, a sender that is no public body's."""
    most = request.terms.settings.campaign.emergency_window_ms_max
    latest = f"state a moment to come, at most {iso_time(request.now + most)}; it goes on by `renewed`"
    faults = [Fault(one.field, one.what, latest) for one in found if one.kind == "window"]
    if known.sender:
        record = registry.senders.get(known.sender)
        free = known.register and bool(emergency.unowned(known.numbers, registry.ownership["sms"]))
        problem = emergency.sender_problem(known.sender, record, registering=free)
        if problem is not None:
            mend = (
                "state the sender of a public body, whose record has numbers for public or emergency traffic and none "
                "for commercial traffic; for one that has none yet, a name of its own"
            )
            if emergency.sender_problem(known.sender, record, registering=True) is None:
                mend = f"{mend}; or, if it is one, `numbers` of its own that nobody has, and `register`: true"
            faults.append(Fault("sender", problem, mend))
    if faults:
        raise faulty(*faults)


def _not_sent(held_by: tuple[str, ...]) -> str:
    return f"not sent yet: it must still say {', '.join(one.partition(':')[0] for one in held_by)}"


def _sent(request: ApiRequest, known: Filing) -> str:
    second, confirm = (
        iso_time(start(request.terms.term(clock), request.now, request.terms.calendar).due)
        for clock in ("second", "confirm")
    )
    assert known.until is not None, "what is sent has an end"
    return (
        f"sent: another person confirms it (`seconded`) before {second}, the regulator (`confirmed`) before {confirm}; "
        f"it ends at {iso_time(known.until)}, unless two persons renew it (`renewed`)"
    )


def _lacks(known: Filing, record: Sender | None, registry: Registry) -> Iterator[Fault]:
    """What the record of an emergency's sender lacks."""
    assert known.sender, "what is sent has a sender"
    for lack in emergency.lacks(
        known.sender, record, registry.ownership["sms"], body=known.body, numbers=known.numbers
    ):
        yield Fault("sender", lack, REGISTER)


def _registration(request: ApiRequest, known: Filing, registry: Registry) -> tuple[Sender | None, Fault | None]:
    """The record to register, or why there is none."""
    assert known.sender, "what is sent has a sender"
    before = registry.senders.get(known.sender)
    if before is None and len(digits_of(known.contact or "")) < CONTACT_DIGITS_MIN:
        return None, _unregistered("a record needs the `contact` of the body")
    record = emergency.registration(
        known.sender,
        before,
        registry.ownership["sms"],
        body=known.body or "",
        contact=known.contact or "",
        numbers=known.numbers,
    )
    if record == before:
        return None, None
    refused = Admission(request.terms.numbering).refused(record, registry, request.now)
    return (record, None) if refused is None else (None, _unregistered(refused.what))


def _unregistered(why: str) -> Fault:
    mend = "the campaign is sent all the same; mend it, and state `register` for this case"
    return Fault("register", f"nothing was registered: {why}", mend)


def check_renewal(request: ApiRequest, case: CampaignCase, event: campaign.Renewed) -> None:
    """Raises `Problem` 400 where an emergency that may still be sent cannot go on until then."""
    if not is_open(case, request.now):
        return  # which its case answers
    problem = campaign_emergency.renewal_problem(case, event.until, request.now, request.terms)
    if problem is not None:
        assert case.campaign is not None, "what may be sent was written"
        most = request.now + request.terms.settings.campaign.emergency_window_ms_max
        mend = f"state a moment after {iso_time(case.campaign.until)}, at most {iso_time(most)}; then again"
        raise faulty(Fault("until", problem, mend))


# ---- helpers


def _answer(
    record: Filing, lacking: tuple[str, ...], found: tuple[FilingFault, ...], mend: str, note: str | None
) -> Accepted:
    return Accepted(
        record.filing,
        ids.campaign_case(record),
        request_parsing.missing(lacking, Filing),
        faults=tuple(Fault(one.field, one.what, mend) for one in found),
        note=note,
    )


def _write(record: Filing, answer: Accepted) -> Write:
    case = ids.campaign_case(record)
    return Write(topics.FILINGS, case, case, record, answer)
