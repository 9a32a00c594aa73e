"""Acts of people on a case: whose each is, what else it needs, and whether it is done now or only proposed.

Pure, and in the order of `intake`: is it complete (400), may this caller do it (403), would the case take it (409).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from stream.enforce.api import filings, jurisdiction, permissions
from stream.enforce.api.api_request import ApiRequest, ConditionalWrite, SendersWrite, Write
from stream.enforce.api.case_facts import case_of
from stream.enforce.api.intake import case_event, not_alone_again
from stream.enforce.api.responses import Accepted, Fault, faulty, forbidden
from stream.enforce.api.search import owner_of
from stream.enforce.procedures import campaign, complaint, complaint_verified, fitness, prohibited
from stream.enforce.procedures.case_work import Assigned
from stream.enforce.procedures.messages import Seconded
from stream.model.cases import CaseView
from stream.model.control import Filing, Party
from stream.registry import order_rule
from stream.registry.order_rule import Received


def decide(request: ApiRequest) -> Write | ConditionalWrite | SendersWrite:
    """An act of a person on a case, named by `event`."""
    view = request.view(request.case)
    name = request.stated.get("event")
    act = permissions.act(view.procedure, name) if isinstance(name, str) else None
    if act is None:
        raise faulty(_no_act(view, name))
    role, others = request.caller.role, tuple(f"{one} (with their `document`)" for one in act.recorders)
    if role not in (*act.roles, *act.recorders):
        raise forbidden(f"`{act.name}` on a case of {view.procedure} is for {' or '.join((*act.roles, *others))}")
    stated = {field: value for field, value in request.stated.items() if field != "event"}
    made: dict[str, object] = {**dict.fromkeys(act.made), "actor": request.caller.actor}
    if "office" in made:
        made["office"] = role
    event = request.record(act.event, made=made, stated=stated)
    if isinstance(event, Assigned) and event.to is not None and event.to not in request.colleagues:
        people = ", ".join(sorted(request.colleagues)[:PEOPLE_NAMED_MAX])
        raise faulty(Fault("to", "nobody of your office has a token as that", f"state one of {people}"))
    if role not in act.roles and not getattr(event, "document", None):
        whose = f"missing: this is for {' or '.join(act.roles)} to do, and recorded with their document"
        raise faulty(Fault("document", whose, "state the reference of their letter, ruling or file"))
    jurisdiction.check_authority(request, view, event)
    case = case_of(view)
    if isinstance(event, campaign.Renewed) and isinstance(case, campaign.CampaignCase):
        filings.check_renewal(request, case, event)
    if isinstance(event, Seconded) and view.state == prohibited.ProhibitedState.FLAGGED and view.party is not None:
        not_alone_again(request, view.party)  # who takes up what was flagged suspends, too
    if isinstance(event, complaint.Verified):
        _check_spoofed(event)
    if isinstance(event, campaign.Weighed) and isinstance(case, campaign.CampaignCase) and case.filing and case.filed:
        _check_weighed(request, case.filing, case.filed, event)
    if isinstance(event, complaint.Verified) and isinstance(case, complaint.ComplaintCase) and case.complaint:
        number, channel = case.complaint.from_, case.complaint.channel
        if number and channel is not None:
            verified = event
            return SendersWrite(
                lambda registry: _decided(
                    request, view, _of_its_owner(verified, owner_of(request.terms.numbering, registry, channel, number))
                )
            )
    return _decided(request, view, event)


def _check_spoofed(event: complaint.Verified) -> None:
    """Raises `Problem` 400 for a spoofed number with a party, or of what was not confirmed."""
    if event.spoofed and event.party is not None:
        raise faulty(Fault("party", "of a spoofed number there is none", "leave it out: what is found is the route"))
    if event.spoofed and event.result != "confirmed":
        mend = "leave it out, or state `result` confirmed: that it came, under a spoofed number"
        raise faulty(Fault("spoofed", "of what is confirmed alone", mend))


def _check_weighed(request: ApiRequest, filing: Filing, filed: int, event: campaign.Weighed) -> None:
    """Raises `Problem` 400 for an approval that lacks the reason for a figure over its limit, or an exemption."""
    if event.outcome != "approve":
        return
    faults = [
        Fault(
            "override", f"missing: {one.name} is {one.value:g}, over {one.limit:g}", "state why all the same, or refuse"
        )
        for one in fitness.weigh(filing, event.standing, request.terms)
        if not event.override and one.limit is not None and one.value > one.limit
    ]
    wrong = fitness.faults(filing, filed, request.terms)
    if wrong and not event.exempts:
        faults.append(Fault("exempts", f"missing: {wrong[0]}", "state true, which grants the exemption, or refuse"))
    if faults:
        raise faulty(*faults)


def _of_its_owner(event: complaint.Verified, owner: str | None) -> complaint.Verified:
    """The verification with whose number it is about. Raises `Problem` 400 where it names somebody else."""
    if owner is not None and event.party not in (None, Party(sender=owner)) and event.result == "confirmed":
        mend = "leave it out, or state `spoofed` where somebody else sent it under their number"
        raise faulty(Fault("party", f"the registry has the number as {owner}'s", mend))
    return msgspec.structs.replace(event, owner=owner)


def _decided(request: ApiRequest, view: CaseView, event: msgspec.Struct) -> Write | ConditionalWrite:
    """An act whose event is whole: proposed, or done."""
    proposed = case_of(request.would_take(view, event)).proposed
    if proposed is not None and proposed != case_of(view).proposed:
        before = case_of(view).proposed
        replaced = f"; it takes the place of what {before.person} had proposed" if before is not None else ""
        answer = Accepted(request.id, request.case, note=f"{_PROPOSED}{replaced}")
        return case_event(request, request.case, view.procedure, event, answer)
    if isinstance(event, complaint.Verified):
        return _verified(request, view, event)
    return case_event(request, request.case, view.procedure, event, Accepted(request.id, request.case))


PEOPLE_NAMED_MAX: Final = 50
"""Of an office's people, in the answer to a name that is none of theirs."""

_PROPOSED: Final = "proposed: it is done once another person sends the same act, with the same fields"


def _verified(request: ApiRequest, view: CaseView, event: complaint.Verified) -> Write | ConditionalWrite:
    """A verified complaint; where its user has consented since, no refusal is written over that."""
    plain = case_event(request, request.case, view.procedure, event, Accepted(request.id, request.case))
    case = case_of(view)
    assert isinstance(case, complaint.ComplaintCase), "its procedure says so"
    expression = complaint_verified.refusal_of(case, event)
    if expression is None or event.refuse == "anyway":
        return plain

    def resolve(received: Sequence[Received]) -> Write:
        others = [one for one in received if one.expression.will != "refuse"]
        later = order_rule.newer(expression, others, request.now)
        if later is None:
            return plain
        known = msgspec.structs.replace(event, consented=later.counts)
        note = (
            f"no refusal is written: it would come too late for {order_rule.sentence(later)}; if the user refuses all "
            'the same, file an expression, which counts at once (or state `refuse`: "anyway" where this is record)'
        )
        answer = Accepted(request.id, request.case, note=note)
        return case_event(request, request.case, view.procedure, known, answer)

    return ConditionalWrite(expression.subscriber, resolve)


def _no_act(view: CaseView, name: object) -> Fault:
    if isinstance(name, str) and name in permissions.ADDED:
        return Fault("event", "this comes as a record of its own", f"send it to /v1/{permissions.ADDED[name]}")
    known = ", ".join(one.name for one in (*permissions.ACTS[view.procedure], *permissions.WORK))
    reason = "missing" if name is None else f"no act on a case of {view.procedure}"
    return Fault("event", reason, f"state one of {known}")
