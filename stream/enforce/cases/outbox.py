"""Effects as the records that carry them out.

Pure. Every effect becomes at most one record, the same each time: its key, its value (but for the moment at which
something is asked of the registrar) and the effect's key in the header `effect` do not depend on when or how often it
is written. So an effect may be carried out again
after a crash: a compacted topic is none the worse for it, readers of `notices`, `reports` and `holds` drop a
repeat by its key, and a case ignores it by its id. What a subscriber said is asked of the registrar: the request's id
is the effect's key, and a request that comes again gets the answer that it got.
"""

from typing import Final

import msgspec

from bloom.partition import partition_of
from stream.enforce.cases.decoding import procedure_of
from stream.enforce.cases.store import Entry, view_of
from stream.enforce.procedures.effects import (
    Effect,
    KeepRecord,
    LiftOrder,
    NotifyCase,
    NotifyEscalation,
    OpenCase,
    RaiseFinding,
    SendNotice,
    SendReport,
    WriteCampaign,
    WriteExpression,
    WriteListing,
    WriteOrder,
)
from stream.enforce.procedures.ids import request_id
from stream.model import topics
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding, Hold, Out, case_event_out, out_of
from stream.model.codec import encode
from stream.model.control import party_key
from stream.model.registry import key_of
from stream.model.requests import RegistryRequest
from stream.registry.order_rule import digest_of

ASKER: Final = "enforce"
"""Who asks for what a user without an actor said."""


def records(key: str, entry: Entry, partitions: int, *, now: int) -> list[Out]:
    """The records of an entry's step, in order: its effects, and the view of the case last.

    Last, so that whoever sees a case in a state finds the effects carried out that go with it. `partitions` is the
    partition count of the topics with a case's key, `now` the machine's time, in milliseconds: a request says when it
    was asked. Raises `Undecodable` where an effect is for a case whose id no
    procedure has: no such step may be applied.
    """
    out = [one for effect in entry.outbox if (one := _record(key, effect, entry.updated, partitions, now)) is not None]
    view = view_of(key, entry)
    if view is not None:
        out.append(Out(topics.CASES, partition_of(key, partitions), key.encode(), encode(view)))
    return out


def _record(case: str, effect: Effect, updated: int, partitions: int, now: int) -> Out | None:
    """The record of one effect; None for what has none: clocks, and alerts, which are logged and counted."""
    key, act = effect.key, effect.act
    sent: CaseEvent | None = None
    out: Out | None = None
    match act:
        case WriteOrder() | LiftOrder():
            out = out_of(topics.ORDERS, key_of(act.order), act.order, key, 1)
        case WriteCampaign():
            out = out_of(topics.CAMPAIGNS, key_of(act.campaign), act.campaign, key, 1)
        case WriteExpression():
            actor, expression = act.expression.actor or ASKER, act.expression
            asked = RegistryRequest(request_id(key), now, actor, (expression,), content=digest_of(expression))
            partition = partition_of(act.expression.subscriber, partitions)
            out = Out(topics.REQUESTS, partition, asked.id.encode(), encode(asked), key)
        case WriteListing():
            out = out_of(topics.LISTINGS, act.listing.listing, act.listing, key, 1)
        case SendNotice():
            out = out_of(topics.NOTICES, act.notice.notice, act.notice, key, partitions)
        case SendReport():
            out = out_of(topics.REPORTS, act.report.report, act.report, key, partitions)
        case KeepRecord():
            out = out_of(topics.HOLDS, key, Hold(key, case, updated, act.evidence, act.basis), key, partitions)
        case RaiseFinding():
            finding = EscalationFinding(act.finding, act.origin, act.direction)
            sent = _case_event(party_key(act.finding.party), DOCKET, finding, effect, updated)
        case NotifyEscalation():
            sent = _case_event(party_key(act.party), DOCKET, act.change, effect, updated)
        case OpenCase():
            sent = _case_event(act.case, act.procedure, act.event, effect, updated)
        case NotifyCase():
            sent = _case_event(act.case, procedure_of(act.case), act.event, effect, updated)
        case _:
            pass
    return out if sent is None else case_event_out(sent, partitions)


def _case_event(case: str, procedure: str, event: msgspec.Struct, effect: Effect, now: int) -> CaseEvent:
    return CaseEvent(id=effect.key, time=now, case=case, procedure=procedure, event=msgspec.Raw(encode(event)))
