"""The entry that is kept of one case or escalation record, and how an arrival changes it.

Pure, and the same for every procedure. It promises that an arrival is applied once however often it comes, that
the effects of a step stand beside the case that made them until they are carried out, and that a case is read
back exactly as it was written; and that a case which ended long enough ago takes nothing more, whether its row has been
removed from the table yet or not. It must never carry anything out.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import msgspec

from stream.enforce.cases import case_history
from stream.enforce.cases.decoding import Arrival
from stream.enforce.procedures import (
    appeal,
    campaign,
    complaint,
    dispute,
    escalation,
    listing,
    measure,
    prohibited,
    regulator,
)
from stream.enforce.procedures.case_work import WORK
from stream.enforce.procedures.clocks import Clock, ClockFired, ClockReckoned
from stream.enforce.procedures.effects import Alert, Effect
from stream.enforce.procedures.engine import Case, Procedure, WrongState, advance
from stream.enforce.procedures.messages import MeasureChanged, Restored
from stream.enforce.procedures.telling import Delivered, DeliveryFailed
from stream.enforce.procedures.terms import Terms
from stream.model.cases import DOCKET, CaseView, ClockDue, ClockKept, EscalationFinding
from stream.model.codec import encode
from stream.model.control import Notice, Party

C = TypeVar("C", bound=Case)

IDS_MAX: Final = 128
"""Ids of arrivals kept per entry: many times what a case sees between two writes of the offsets."""

ENTRY_BYTES_MAX: Final = 1_500_000
"""An entry must fit into its topic (2 MiB) with room for headers; a step that would outgrow it is refused."""


class Entry(msgspec.Struct, frozen=True):
    """One row of the table. `outbox` holds the effects that may not have been carried out yet."""

    procedure: str
    body: msgspec.Raw
    updated: int
    ids: tuple[str, ...] = ()
    outbox: tuple[Effect, ...] = ()
    missed: tuple[ClockDue, ...] = ()
    """clocks that expired, as they were"""
    kept: tuple[ClockKept, ...] = ()
    ended_at: int | None = None
    notices: tuple[Notice, ...] = ()


class Updated(NamedTuple):
    """The entry after an arrival, its effects in its outbox."""

    entry: Entry


class Duplicate(NamedTuple):
    """The arrival was applied before."""


class Rejected(NamedTuple):
    """Nothing changed; `reason` says why, without numbers. `stale`: it comes late by nobody's fault, such as a clock
    that runs no more.
    """

    reason: str
    stale: bool = False


_LATE: Final = (ClockFired, ClockReckoned, Delivered, DeliveryFailed, Restored)
"""Events that nobody answers for when they come to a case which does not wait for them any more: a clock fired or
was reckoned anew, a notice was delivered once more or one that nothing hangs on, a heavier measure was annulled after
the lighter one's row went.
"""


class _Stepped(NamedTuple):
    body: bytes
    effects: tuple[Effect, ...]


class _ErasedProcedure(NamedTuple):
    """A procedure with its types erased."""

    step: Callable[[str, bytes | None, Arrival, int, Terms], _Stepped | WrongState]
    read: Callable[[bytes], tuple[Case, str, bool]]
    """the case, its state, and whether that is an end"""
    ended: frozenset[str]
    """the states that are an end"""


_entries: Final = msgspec.json.Decoder(Entry)


def decode(data: bytes) -> Entry:
    """An entry as the table holds it. Raises `msgspec.MsgspecError` for a table that another program wrote."""
    return _entries.decode(data)


def apply(key: str, entry: Entry | None, arrival: Arrival, now: int, terms: Terms) -> Updated | Duplicate | Rejected:
    """Apply an arrival to an entry (None: there is none yet) at `now` (milliseconds)."""
    if entry is not None:
        if arrival.id in entry.ids:
            return Duplicate()
        if entry.procedure != arrival.procedure:
            return Rejected(f"the case is of the procedure {entry.procedure}, the event of {arrival.procedure}")
        assert not entry.outbox, "effects are carried out before the next arrival is applied"
        removable = removable_at(entry, terms)
        if entry.procedure != DOCKET and removable is not None and now >= removable:
            reason = "the case ended longer ago than `ended_kept_ms` of the settings, and takes no more events"
            return Rejected(reason, stale=isinstance(arrival.event, _LATE))
    body = None if entry is None else bytes(entry.body)
    stepped = (
        _escalation_step(body, arrival.event, now, terms)
        if arrival.procedure == DOCKET
        else _PROCEDURES[arrival.procedure].step(key, body, arrival, now, terms)
    )
    if isinstance(stepped, WrongState):
        return Rejected(str(stepped), stale=isinstance(arrival.event, _LATE))
    before = entry or Entry(arrival.procedure, msgspec.Raw(stepped.body), now)
    after = Entry(
        procedure=arrival.procedure,
        body=msgspec.Raw(stepped.body),
        # No step, and so neither a date of its own nor longer kept for it.
        updated=before.updated if isinstance(arrival.event, WORK) else now,
        ids=(*before.ids, arrival.id)[-IDS_MAX:],
        outbox=stepped.effects,
        missed=(*before.missed, *_missed(arrival.event, stepped.effects)),
    )
    after = _remembering(entry, after, arrival, now)
    size = len(encode(after))
    if size > ENTRY_BYTES_MAX:
        return Rejected(f"the case would grow to {size} bytes; at most {ENTRY_BYTES_MAX} are kept")
    return Updated(after)


def _remembering(entry: Entry | None, after: Entry, arrival: Arrival, now: int) -> Entry:
    """The entry with what it remembers of this step; an escalation record remembers nothing."""
    if after.procedure == DOCKET:
        return after
    ends, state = _PROCEDURES[after.procedure].ended, _stated.decode(after.body).state
    was_ended = entry is not None and _stated.decode(entry.body).state in ends
    since = entry.ended_at or entry.updated if entry is not None and was_ended else now
    known = entry or after
    done = case_history.kept(
        clocks(known) if entry is not None else (), clocks(after), arrival.event, now, state=state, ended=state in ends
    )
    return msgspec.structs.replace(
        after,
        kept=(*known.kept, *done),
        ended_at=since if state in ends else None,
        notices=case_history.last_notices(known.notices, after.outbox),
    )


def without_outbox(entry: Entry) -> Entry:
    """The entry once its effects are carried out."""
    return msgspec.structs.replace(entry, outbox=())


def clocks(entry: Entry) -> tuple[Clock, ...]:
    """The clocks that run. An escalation record has none."""
    return () if entry.procedure == DOCKET else _clocked.decode(entry.body).clocks


def removable_at(entry: Entry, terms: Terms) -> int | None:
    """From when on the row may be removed from the table (milliseconds); None while anything is owed or in the outbox.

    An escalation record goes once no case of its party is open and all measures in it are too old to count.
    """
    if entry.outbox:
        return None
    settings = terms.settings
    if entry.procedure == DOCKET:
        idle = not _opened.decode(entry.body).open
        return entry.updated + max(settings.ended_kept_ms, settings.memory_ms) if idle else None
    ended = _stated.decode(entry.body).state in _PROCEDURES[entry.procedure].ended
    return entry.updated + settings.ended_kept_ms if ended else None


def view_of(key: str, entry: Entry) -> CaseView | None:
    """The case as the topic `cases` shows it; None for an escalation record, which is internal."""
    if entry.procedure == DOCKET:
        return None
    case, state, ended = _PROCEDURES[entry.procedure].read(bytes(entry.body))
    running = (
        ClockDue(one.clock, one.due, warn=one.warn, known=one.known, since=one.since, working_days=one.working_days)
        for one in case.clocks
    )
    return CaseView(
        case=key,
        procedure=entry.procedure,
        state=state,
        step=case.step,
        updated=entry.updated,
        body=entry.body,
        due=(*sorted(running, key=lambda one: one.due), *entry.missed),
        party=party_of(case),
        ended=ended,
        ended_at=entry.ended_at,
        kept=entry.kept,
        notices=entry.notices,
        taken=entry.ids[-1] if entry.ids else None,
    )


def party_of(case: Case) -> Party | None:
    """The party that a case is about, where that is known."""
    party: Party | None = None
    match case:
        case measure.MeasureCase(finding=found) | prohibited.ProhibitedCase(finding=found) if found is not None:
            party = found.party
        case complaint.ComplaintCase():
            about = case.complaint
            party = case.party if about is None or case.party or case.spoofed else complaint.accused(about)
        case appeal.AppealCase(appeal=appealed) if appealed is not None:
            party = appealed.party
        case dispute.DisputeCase(dispute=submitted) if submitted is not None:
            party = submitted.party
        case regulator.RegulatorCase(direction=order) if order is not None:
            party = order.party
        case listing.ListingCase(punishment=punished) if punished is not None:
            party = punished.party
        case campaign.CampaignCase(filing=filed) if filed is not None and filed.sender:
            party = Party(sender=filed.sender)
        case _:
            pass
    return party


class _Clocked(msgspec.Struct, frozen=True):
    """Of a case's body, the clocks alone: an index over 100,000 of them must not build the rest."""

    clocks: tuple[Clock, ...] = ()


class _Stated(msgspec.Struct, frozen=True):
    """Of a case's body, the state alone."""

    state: str


class _Opened(msgspec.Struct, frozen=True):
    """Of an escalation record, its open cases alone, not decoded."""

    open: tuple[msgspec.Raw, ...] = ()


_clocked: Final = msgspec.json.Decoder(_Clocked)
_stated: Final = msgspec.json.Decoder(_Stated)
_opened: Final = msgspec.json.Decoder(_Opened)
_party_records: Final = msgspec.json.Decoder(escalation.PartyRecord)


def _escalation_step(body: bytes | None, event: msgspec.Struct, now: int, terms: Terms) -> _Stepped:
    before = escalation.PartyRecord() if body is None else _party_records.decode(body)
    match event:
        case EscalationFinding():
            routed = escalation.route(before, event.finding, now, terms, origin=event.origin, direction=event.direction)
            return _Stepped(encode(routed.record), routed.effects)
        case MeasureChanged():
            return _Stepped(encode(escalation.changed(before, event, now)), ())
        case _:
            raise TypeError(f"an escalation record takes no {type(event).__name__}: `decoding` reads only what it does")


def _missed(event: msgspec.Struct, effects: tuple[Effect, ...]) -> tuple[ClockDue, ...]:
    if not isinstance(event, ClockFired):
        return ()
    alerts = (effect.act for effect in effects if isinstance(effect.act, Alert))
    return tuple(ClockDue(alert.about, event.due, breached=True) for alert in alerts if alert.level == "breach")


def _erased(procedure: Procedure[C], case_type: type[C]) -> _ErasedProcedure:
    decoder = msgspec.json.Decoder(case_type)

    def step(key: str, body: bytes | None, arrival: Arrival, now: int, terms: Terms) -> _Stepped | WrongState:
        before = case_type(case=key) if body is None else decoder.decode(body)
        after = advance(procedure, before, arrival.event, now, terms, person=arrival.person)
        return after if isinstance(after, WrongState) else _Stepped(encode(after.case), after.effects)

    def read(body: bytes) -> tuple[Case, str, bool]:
        case = decoder.decode(body)
        state = procedure.state_of(case)
        return case, state.value, state in procedure.ended

    return _ErasedProcedure(step, read, frozenset(state.value for state in procedure.ended))


_PROCEDURES: Final[dict[str, _ErasedProcedure]] = {
    "measure": _erased(measure.PROCEDURE, measure.MeasureCase),
    "complaint": _erased(complaint.PROCEDURE, complaint.ComplaintCase),
    "appeal": _erased(appeal.PROCEDURE, appeal.AppealCase),
    "dispute": _erased(dispute.PROCEDURE, dispute.DisputeCase),
    "campaign": _erased(campaign.PROCEDURE, campaign.CampaignCase),
    "prohibited-content": _erased(prohibited.PROCEDURE, prohibited.ProhibitedCase),
    "regulator-order": _erased(regulator.PROCEDURE, regulator.RegulatorCase),
    "listing": _erased(listing.PROCEDURE, listing.ListingCase),
}
