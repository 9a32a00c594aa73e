"""Direct orders: what an office may write into `registry.orders` without a case of its own, and how it ends that.

Pure. The law's measures come from procedures (docs/procedures.md), which notify the party, set an end or a review, and
hear appeals. So a direct order limits or stops, for no longer than its measure lasts; it suspends only a party that was
notified of a suspension which stands, and for no longer. What rests on prohibited content or on the regulator's word
begins with a finding or a direction. The names of new orders are ours, so that nobody states another's; whoever wrote
one changes its end, and nothing else of it. The bulk import is the operator's, and is held to
`stream.registry.admission`.
"""

from typing import Final

import msgspec

from stream.enforce.api.api_request import ApiRequest, OrderWrite, SendersWrite, Write
from stream.enforce.api.case_facts import case_of
from stream.enforce.api.intake import check_stoppable, of_registered
from stream.enforce.api.responses import Accepted, Fault, Problem, Refusal, faulty, forbidden
from stream.enforce.procedures import prohibited, regulator
from stream.enforce.procedures.measure import STANDING, MeasureCase
from stream.model import topics
from stream.model.control import Party, party_key
from stream.model.registry import Order, key_of
from stream.model.times import iso_time
from stream.registry.admission import OF_A_MEASURE, Admission, taken
from stream.registry.registry import Registry

A_FINDING: Final = (
    "open a finding (POST /v1/findings), or, as the regulator, a direction (POST /v1/directions): the party is "
    "notified first, and the suspension follows"
)


def order(request: ApiRequest) -> Write | OrderWrite | SendersWrite:
    """A limit or stop for a time, written directly; or, with the `order` of one that the caller wrote, its new end.

    A suspension follows its procedure (409 with what to do instead), unless the party was notified of it by the
    `notice` of a measure that is in force. Prohibited content is found (`/v1/findings`), and the regulator directs
    (`/v1/directions`). A new order's id is made here; it ends when its measure's terms say, or sooner.
    """
    return _change(request) if request.stated.get("order") else _new(request)


def _new(request: ApiRequest) -> Write | SendersWrite:
    made = {"order": f"O-{request.id}", "actor": request.caller.actor}
    preset = {"from": request.now, "appeal": request.terms.appeal}
    stated = {name: value for name, value in request.stated.items() if name != "order"}
    record = request.record(Order, made=made, preset=preset, stated=stated)
    _through_its_procedure(request, record)
    if record.number is not None:
        check_stoppable(request, "number", record.number)
    if record.until is None:
        record = msgspec.structs.replace(record, until=_ends_at_most(request, record))
    if record.until is not None and record.until <= request.now:
        raise faulty(
            Fault("until", f"{iso_time(record.until)} is over: the order would stop nothing", "state a later one")
        )
    record = _notified_of(request, record) if record.measure == "suspend" else record
    return of_registered(record.sender, _admitted(request, record))


def _change(request: ApiRequest) -> OrderWrite:
    name, caller = request.stated["order"], request.caller
    if not isinstance(name, str):
        raise faulty(Fault("order", "not the id of an order", "leave it out for a new one, whose id is made here"))
    if name.startswith(OF_A_MEASURE):
        raise _refused(f"{name} is the order of a measure's case: lift it through that case")
    if request.stated.get("until") is None:
        raise faulty(Fault("until", "missing: an order that stands changes its end alone", "state when it ends"))

    def resolve(before: Order | None) -> Write:
        if before is None:
            raise _refused(f"there is no order {name}: leave `order` out, and a new one gets an id of ours")
        if before.basis == regulator.BASIS and caller.role != "regulator":
            raise forbidden("the regulator gave this order: the regulator alone ends it")
        known = {field: value for field, value in msgspec.to_builtins(before).items() if field not in ("kind", "actor")}
        record = request.record(Order, made={"actor": caller.actor}, preset=known)
        if (reason := taken(record, before)) is not None:
            raise _refused(reason)
        if msgspec.structs.replace(record, until=before.until) != before:
            raise _refused(f"an order that stands changes its end alone: state `order` and `until` of {name}")
        longer = before.until is not None and (record.until is None or record.until > before.until)
        if before.measure == "suspend" and longer:
            raise _refused(f"a suspension is not made longer by an order: {A_FINDING}")
        return _admitted(request, record)

    return OrderWrite(name, resolve)


def _admitted(request: ApiRequest, record: Order) -> Write:
    if record.until is not None and record.until < record.from_:
        raise faulty(Fault("until", "it lies before `from`", "state a later moment; now ends an order"))
    most = _ends_at_most(request, record)
    if record.until is not None and record.until > most:
        what = f"a {record.measure} without a case lasts no longer than its measure does, here until {iso_time(most)}"
        raise faulty(Fault("until", what, f"state that moment or an earlier one; for longer, {A_FINDING}"))
    refused = Admission(request.terms.numbering).refused(record, Registry(), request.now)
    if refused is not None:
        raise faulty(Fault("notice", refused.what, "state the id of the notice by which the party was notified"))
    return Write(topics.ORDERS, key_of(record), key_of(record), record, Accepted(record.order))


def _ends_at_most(request: ApiRequest, record: Order) -> int:
    """When an order ends at the latest that one officer wrote and no procedure looks after."""
    return record.from_ + request.terms.measure(record.measure).length_ms


def _through_its_procedure(request: ApiRequest, record: Order) -> None:
    """What has a procedure of its own begins with that. Raises `Problem` 403 or 409."""
    if record.basis == regulator.BASIS:
        if request.caller.role != "regulator":
            raise forbidden(f"only the regulator orders on the basis {regulator.BASIS}, by a direction")
        raise _refused("the regulator orders by a direction, which names its document: POST /v1/directions")
    if record.basis == prohibited.BASIS:
        raise _refused(
            "prohibited content is stopped by its procedure, which keeps the record and reports it: POST /v1/findings "
            f"with `grounds` {prohibited.BASIS} and the evidence"
        )


def _notified_of(request: ApiRequest, record: Order) -> Order:
    """A suspension of which the party was notified, within what its measure allows. Raises `Problem` 400, 409."""
    if not record.notice:
        return record  # which `_admitted` refuses, and says so
    party = party_key(Party(sender=record.sender, number=record.number))
    known = (case_of(view) for view in request.index.about(party) if view.procedure == "measure")
    case = next((one for one in known if isinstance(one, MeasureCase) and one.notice == record.notice), None)
    if case is None or case.finding is None:
        raise _refused(f"no measure has notified this party by {record.notice}: {A_FINDING}")
    if case.measure != "suspend":
        raise _refused(f"{record.notice} notifies of a {case.measure}, no suspension: {A_FINDING}")
    if case.notified is None:
        raise _refused(
            f"{record.notice} has not reached the party: {case.case} waits for its delivery, or for whoever serves it "
            "(`served`)"
        )
    ends = case.notified + request.terms.measure("suspend").grace_ms
    if case.state not in STANDING or case.order is None:
        grace = f"its grace ends at {iso_time(ends)}, and then it suspends by itself"
        raise _refused(f"{case.case} is {case.state}: {grace if request.now < ends else A_FINDING}")
    if case.finding.channel not in (None, record.channel):
        raise _refused(f"{record.notice} is about the channel {case.finding.channel} alone: {A_FINDING}")
    if case.order.until is None:
        return record
    if "until" in request.stated and record.until is not None and record.until > case.order.until:
        raise _refused(f"{case.case} ends at {iso_time(case.order.until)}: state `until` no later, or {A_FINDING}")
    return msgspec.structs.replace(record, until=min(record.until or case.order.until, case.order.until))


def _refused(reason: str) -> Problem:
    return Problem(409, Refusal("wrong-state", reason))
