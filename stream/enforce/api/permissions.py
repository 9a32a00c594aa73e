"""What people may do to a case: which event of its procedure, in which role, in which state.

Pure. `ACTS` is the table. Each body does what is its own (Articles 29 to 31, 33); what one that does not log in has
done, the desk records with that body's document. To take back what the user said is the user's alone: nobody else
records it. Events that only cases and clocks send (a delivery, a measure that came into force)
are not in it, and what is added to a complaint, filing or order comes as that record again, not as an act.
Whether a case takes an act is not decided here a second time: the view is stepped as the control plane would.
"""

from typing import Final, NamedTuple

import msgspec

from stream.enforce.api.auth import OFFICES, Caller, Role
from stream.enforce.cases import store
from stream.enforce.cases.decoding import Arrival
from stream.enforce.procedures import (
    appeal,
    campaign,
    case_work,
    complaint,
    dispute,
    measure,
    messages,
    prohibited,
    regulator,
    telling,
)
from stream.enforce.procedures.engine import Outline
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import Terms
from stream.model.cases import CaseView

_CENTRE: Final[tuple[Role, ...]] = ("centre",)
_DESK: Final[tuple[Role, ...]] = ("desk",)
_APPEALS: Final[tuple[Role, ...]] = ("appeals-body",)
_REGULATOR: Final[tuple[Role, ...]] = ("regulator",)
_OFFICE: Final[tuple[Role, ...]] = ("desk", "regulator")
_USER: Final[tuple[Role, ...]] = ("subscriber-agent",)
_PARTY: Final[tuple[Role, ...]] = ("sender",)


class Act(NamedTuple):
    """An event that people may raise: whose it is, and who may record that it was done elsewhere, with a document."""

    event: type[msgspec.Struct]
    roles: tuple[Role, ...]
    recorders: tuple[Role, ...] = ()

    @property
    def name(self) -> str:
        """The event's tag, by which a request names it."""
        return str(self.event.__struct_config__.tag)

    @property
    def made(self) -> tuple[str, ...]:
        """The fields that the API alone sets."""
        found = ("consented", "owner") if self.event is complaint.Verified else ()
        return ("actor", *found, *(("office",) if self.event in case_work.WORK else ()))


ACTS: Final[dict[str, tuple[Act, ...]]] = {
    "measure": (
        Act(messages.Seconded, _OFFICE),
        Act(telling.Served, _OFFICE),
        Act(measure.Reviewed, _OFFICE),
        Act(messages.Lift, _OFFICE),
    ),
    "complaint": (
        Act(complaint.Forwarded, _CENTRE, _DESK),
        Act(complaint.Verified, _DESK),
        Act(complaint.ActedUpon, _DESK),
        Act(complaint.Reported, _DESK),
        Act(complaint.Answered, _CENTRE, _DESK),
        Act(telling.Served, _CENTRE, _DESK),
        Act(complaint.ComplaintWithdrawn, _USER),
    ),
    "appeal": (
        Act(telling.Served, _OFFICE),
        Act(appeal.Supplemented, _PARTY, _DESK),
        Act(appeal.Decided, _OFFICE),
        Act(appeal.WithdrawAppeal, _PARTY, _DESK),
    ),
    "dispute": (
        Act(telling.Served, _DESK),
        Act(dispute.DisputeAccepted, _APPEALS, _DESK),
        Act(dispute.Declined, _APPEALS, _DESK),
        Act(dispute.CompanyAnswered, _DESK),
        Act(dispute.Settled, _APPEALS, _DESK),
        Act(dispute.DisputeDecided, _APPEALS, _DESK),
        Act(dispute.DisputeWithdrawn, _USER),
    ),
    "campaign": (
        Act(telling.Served, _OFFICE),
        Act(campaign.Weighed, _REGULATOR),
        Act(campaign.WithdrawCampaign, ("regulator", "sender"), _DESK),
        Act(messages.Seconded, _OFFICE),
        Act(campaign.Confirmed, _REGULATOR, _DESK),
        Act(campaign.Renewed, _OFFICE),
    ),
    "prohibited-content": (
        Act(telling.Served, _DESK),
        Act(messages.Seconded, _DESK),
        Act(prohibited.Investigated, _DESK),
    ),
    "regulator-order": (Act(telling.Served, _OFFICE), Act(regulator.Revoked, _REGULATOR)),
    "listing": (Act(telling.Served, _OFFICE), Act(messages.Lift, _REGULATOR)),
}

WORK: Final = tuple(Act(event, OFFICES) for event in case_work.WORK)
"""What every office may do with every case that it sees, whatever its state."""

_STATES: Final[dict[str, Outline]] = {outline.name: outline for outline in OUTLINES}

ADDED: Final[dict[str, str]] = {
    "complained": "complaints",
    "filed": "filings",
    "directed": "directions",
    "appealed": "appeals",
    "disputed": "disputes",
}
"""Events that come as records of their own, by the resource that takes them."""


def act(procedure: str, name: str) -> Act | None:
    """The act of this name, if people may raise one on a case of this procedure."""
    return next((one for one in (*ACTS.get(procedure, ()), *WORK) if one.name == name), None)


def possible(view: CaseView, caller: Caller) -> tuple[str, ...]:
    """The acts of its procedure that the case's state takes of this caller, some of them under conditions."""
    here = {
        line.event
        for line in _STATES[view.procedure].lines
        if any(source.value == view.state for source in line.sources)
    }
    acts = ACTS.get(view.procedure, ())
    return tuple(one.name for one in acts if one.name in here and caller.role in (*one.roles, *one.recorders))


def tried(
    view: CaseView, event: msgspec.Struct, now: int, terms: Terms, person: str | None = None
) -> CaseView | store.Rejected:
    """The case after this event of this person, by its last view, or why it does not take it. Nothing is changed."""
    entry = store.Entry(view.procedure, view.body, view.updated)
    arrival = Arrival(view.case, view.procedure, event, "asked", now, person)
    outcome = store.apply(view.case, entry, arrival, now, terms)
    if isinstance(outcome, store.Rejected):
        return outcome
    assert isinstance(outcome, store.Updated), "an entry without ids knows no repeat"
    after = store.view_of(view.case, outcome.entry)
    assert after is not None, "what has a view is no escalation record"
    return after
