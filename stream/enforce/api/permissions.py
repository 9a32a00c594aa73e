"""What people may do to a case: which event of its procedure, in which role, in which state.

Pure. `ACTS` is the table. Events that only cases and clocks send (a delivery, a measure that came into force)
are not in it, and what is added to a complaint, filing or order comes as that record again, not as an act.
Whether a case takes an act is not decided here a second time: the view is stepped as the control plane would.
"""

from typing import Final, NamedTuple

import msgspec

from stream.enforce.api.auth import Caller, Role
from stream.enforce.cases import store
from stream.enforce.cases.decoding import Arrival
from stream.enforce.procedures import appeal, campaign, complaint, dispute, measure, messages, prohibited, regulator
from stream.enforce.procedures.engine import Outline
from stream.enforce.procedures.outlines import OUTLINES
from stream.enforce.procedures.terms import Terms
from stream.model.cases import CaseView

_DESK: Final[tuple[Role, ...]] = ("desk",)
_REGULATOR: Final[tuple[Role, ...]] = ("regulator",)
_OFFICE: Final[tuple[Role, ...]] = ("desk", "regulator")
_USER: Final[tuple[Role, ...]] = ("desk", "subscriber-agent")
_PARTY: Final[tuple[Role, ...]] = ("desk", "sender")


class Act(NamedTuple):
    """An event that people may raise, and who."""

    event: type[msgspec.Struct]
    roles: tuple[Role, ...]

    @property
    def name(self) -> str:
        """The event's tag, by which a request names it."""
        return str(self.event.__struct_config__.tag)

    @property
    def made(self) -> tuple[str, ...]:
        """The fields that the API alone sets."""
        return ("actor", "consented") if self.event is complaint.Verified else ("actor",)


ACTS: Final[dict[str, tuple[Act, ...]]] = {
    "measure": (
        Act(measure.Reviewed, _OFFICE),
        Act(messages.Lift, _OFFICE),
    ),
    "complaint": (
        Act(complaint.Forwarded, _DESK),
        Act(complaint.Verified, _DESK),
        Act(complaint.ActedUpon, _DESK),
        Act(complaint.Reported, _DESK),
        Act(complaint.Answered, _DESK),
        Act(complaint.ComplaintWithdrawn, _USER),
    ),
    "appeal": (
        Act(appeal.Supplemented, _PARTY),
        Act(appeal.Decided, _OFFICE),
        Act(appeal.WithdrawAppeal, _PARTY),
    ),
    "dispute": (
        Act(dispute.DisputeAccepted, _OFFICE),
        Act(dispute.Declined, _OFFICE),
        Act(dispute.CompanyAnswered, _OFFICE),
        Act(dispute.Settled, _OFFICE),
        Act(dispute.DisputeDecided, _OFFICE),
        Act(dispute.DisputeWithdrawn, _USER),
    ),
    "campaign": (
        Act(campaign.Weighed, _REGULATOR),
        Act(campaign.WithdrawCampaign, ("desk", "regulator", "sender")),
    ),
    "prohibited-content": (Act(prohibited.Investigated, _OFFICE),),
    "regulator-order": (Act(regulator.Revoked, _REGULATOR),),
    "listing": (Act(messages.Lift, _REGULATOR),),
}

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
    return next((one for one in ACTS.get(procedure, ()) if one.name == name), None)


def possible(view: CaseView, caller: Caller) -> tuple[str, ...]:
    """The acts of this caller that the case's state takes, some of them under conditions."""
    here = {
        line.event
        for line in _STATES[view.procedure].lines
        if any(source.value == view.state for source in line.sources)
    }
    return tuple(one.name for one in ACTS.get(view.procedure, ()) if one.name in here and caller.role in one.roles)


def refused(view: CaseView, event: msgspec.Struct, now: int, terms: Terms) -> str | None:
    """Why the case, by its last view, does not take this event; None where it does. Nothing is changed."""
    entry = store.Entry(view.procedure, view.body, view.updated)
    arrival = Arrival(view.case, view.procedure, event, "asked", now)
    outcome = store.apply(view.case, entry, arrival, now, terms)
    return outcome.reason if isinstance(outcome, store.Rejected) else None
