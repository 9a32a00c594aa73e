"""What a step wants done, as data. The runtime does it; a procedure only names it.

Each effect carries a key made from its case and step: the same step gives the same effect under the same key,
so that whoever carries effects out does each key once, however often a crash makes the step repeat.
"""

from typing import Literal

import msgspec

from stream.enforce.procedures.clocks import Clock
from stream.enforce.procedures.messages import MeasureChanged, Message, Opening
from stream.model import control
from stream.model.control import CaseId, Direction, Finding, Party
from stream.model.registry import Campaign, Expression, Order

ProcedureName = Literal[
    "measure",
    "complaint",
    "appeal",
    "dispute",
    "campaign",
    "prohibited-content",
    "regulator-order",
    "listing",
]


class _Act(msgspec.Struct, frozen=True, tag_field="act"):
    """Base of all acts: the runtime stores them beside the case until they are done, so they have tags."""


class WriteOrder(_Act, frozen=True, tag="write-order"):
    """A measure comes into force: to `registry.orders`."""

    order: Order


class LiftOrder(_Act, frozen=True, tag="lift-order"):
    """A measure ends now: the same order with its `until`, so that the topic still shows that it was."""

    order: Order


class WriteCampaign(_Act, frozen=True, tag="write-campaign"):
    """A campaign's state: to `registry.campaigns`."""

    campaign: Campaign


class WriteExpression(_Act, frozen=True, tag="write-expression"):
    """A subscriber's expression: asked of the registrar, in `registry.requests`."""

    expression: Expression


class WriteListing(_Act, frozen=True, tag="write-listing"):
    """An entry of the bad-actor list, or its end."""

    listing: control.Listing


class SendNotice(_Act, frozen=True, tag="send-notice"):
    """Notify somebody: to `notices`, from where `wurao notify` delivers it."""

    notice: control.Notice


class SendReport(_Act, frozen=True, tag="report"):
    """Report to an authority or a company: to `reports`."""

    report: control.Report


class KeepRecord(_Act, frozen=True, tag="keep-record"):
    """Evidence that must outlive its ordinary retention (Articles 15, 22, 32)."""

    evidence: tuple[str, ...]
    basis: str


class SetClock(_Act, frozen=True, tag="set-clock"):
    """Start a clock, in the place of one of the same name."""

    clock: Clock


class ClearClock(_Act, frozen=True, tag="clear-clock"):
    """A clock is not needed any more."""

    clock: str


class Alert(_Act, frozen=True, tag="alert"):
    """People must act: a term ends soon, a term was missed, or a decision is theirs. To log and metrics."""

    level: Literal["warning", "breach", "decision"]
    about: str


class RaiseFinding(_Act, frozen=True, tag="raise-finding"):
    """A violation, for the escalation record of its party, which has the earlier ones."""

    finding: Finding
    origin: CaseId | None = None
    direction: Direction | None = None
    """the regulator's order behind it, which says what measure follows"""


class NotifyEscalation(_Act, frozen=True, tag="tell-docket"):
    """A measure came into force or ended: for the escalation record of its party."""

    party: Party
    change: MeasureChanged


class OpenCase(_Act, frozen=True, tag="open-case"):
    """Open a case of another procedure with this event."""

    procedure: ProcedureName
    case: CaseId
    event: Opening


class NotifyCase(_Act, frozen=True, tag="tell-case"):
    """Send a message to another case."""

    case: CaseId
    event: Message


Act = (
    WriteOrder
    | LiftOrder
    | WriteCampaign
    | WriteExpression
    | WriteListing
    | SendNotice
    | SendReport
    | KeepRecord
    | SetClock
    | ClearClock
    | Alert
    | RaiseFinding
    | NotifyEscalation
    | OpenCase
    | NotifyCase
)


class Effect(msgspec.Struct, frozen=True):
    """An act under its key."""

    key: str
    act: Act


def keyed(case: CaseId, step: int, acts: tuple[Act, ...]) -> tuple[Effect, ...]:
    """The acts of one step under their keys: case, step, place in the step."""
    return tuple(Effect(f"{case}#{step}.{place}", act) for place, act in enumerate(acts))
