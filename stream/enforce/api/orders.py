"""Direct orders, of which there are no new ones: how an office ends one that it wrote into `registry.orders` before.

Pure. Every order comes from a procedure (docs/procedures.md) with a case, which notifies the party, sets an end or a
review and hears appeals: the desk's from a finding, the regulator's from a direction. Whoever wrote an order before
that was so has it end sooner. The bulk import is the operator's, and is held to `stream.registry.admission`.
"""

from typing import Final

import msgspec

from stream.enforce.api.api_request import ApiRequest, OrderWrite, Write
from stream.enforce.api.auth import Role
from stream.enforce.api.responses import Accepted, Fault, Problem, Refusal, faulty, forbidden
from stream.enforce.procedures import regulator
from stream.model import topics
from stream.model.fields import Name, Time
from stream.model.registry import Order, key_of
from stream.registry.admission import OF_A_MEASURE, taken

INSTEAD: Final[dict[Role, str]] = {
    "desk": "open a finding (POST /v1/findings): its case notifies the party and hears its appeal, and the measure "
    "follows",
    "regulator": "direct it (POST /v1/directions, with authority and document), or open a finding (POST /v1/findings)",
}
"""Where an order comes from, by who wants one."""


class OrderEnd(msgspec.Struct, frozen=True):
    """A new end of an order that stands: `until`, in milliseconds, not later than it would end."""

    order: Name
    until: Time


def end(request: ApiRequest) -> OrderWrite:
    """The end, or an earlier one, of a direct order that the caller wrote. There are no new ones (409).

    A measure begins with a finding (`/v1/findings`) or, of the regulator, a direction (`/v1/directions`), which open
    its case; the order of a measure's case is ended through that case.
    """
    instead = INSTEAD[request.caller.role]
    if "order" not in request.stated:
        raise _refused(f"nobody orders directly, without a case: {instead}")
    wanted = request.record(OrderEnd, made={})
    if wanted.order.startswith(OF_A_MEASURE):
        raise _refused(f"{wanted.order} is the order of a measure's case: lift it through that case")

    def resolve(before: Order | None) -> Write:
        if before is None:
            raise _refused(f"there is no order {wanted.order}, and nobody orders directly, without a case: {instead}")
        if before.basis == regulator.BASIS and request.caller.role != "regulator":
            raise forbidden("the regulator gave this order: the regulator alone ends it")
        record = msgspec.structs.replace(before, until=wanted.until, actor=request.caller.actor)
        if (reason := taken(record, before)) is not None:
            raise _refused(reason)
        if before.until is not None and wanted.until > before.until:
            raise _refused(f"a direct order is not made longer: {instead}")
        if wanted.until < before.from_:
            raise faulty(Fault("until", "it lies before the order's `from`", "state a later moment; now ends it"))
        return Write(topics.ORDERS, key_of(record), key_of(record), record, Accepted(record.order))

    return OrderWrite(wanted.order, resolve)


def _refused(reason: str) -> Problem:
    return Problem(409, Refusal("wrong-state", reason))
