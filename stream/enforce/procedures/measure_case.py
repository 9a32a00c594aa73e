"""A measure against a violator: what its case holds, and what can happen to it. The rules are `measure`'s."""

from enum import StrEnum

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    FindingRouted,
    Lift,
    Restored,
    Seconded,
    Superseded,
)
from stream.enforce.procedures.telling import Delivered, DeliveryFailed, Served, WaitingCase
from stream.model.control import CaseId, Finding
from stream.model.fields import Measure
from stream.model.registry import Order


class MeasureState(StrEnum):
    """Where a measure stands."""

    NEW = "new"
    FOUND = "found"
    TELLING = "telling"
    WARNED = "warned"
    CONTESTED = "contested"
    IN_FORCE = "in-force"
    APPEALED = "appealed"
    APPEAL_WON = "appeal-won"
    EXPIRED = "expired"
    LIFTED = "lifted"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


PENDING = (MeasureState.TELLING, MeasureState.WARNED, MeasureState.CONTESTED)
STANDING = (MeasureState.IN_FORCE, MeasureState.APPEALED)
ENDED = (
    MeasureState.APPEAL_WON,
    MeasureState.EXPIRED,
    MeasureState.LIFTED,
    MeasureState.WITHDRAWN,
    MeasureState.SUPERSEDED,
)


class MeasureCase(WaitingCase, frozen=True, kw_only=True):
    """A measure against one party. `finding` is absent only before the first step."""

    state: MeasureState = MeasureState.NEW
    finding: Finding | None = None
    measure: Measure = "limit"
    origin: CaseId | None = None
    replaces: tuple[CaseId, ...] = ()
    until: int | None = None
    """an end that an authority set"""
    seconded: Seconded | None = None
    """another person's word on what one person found"""
    notice: str | None = None
    notified: int | None = msgspec.field(default=None, name="told")
    """when the party was notified, or counts as notified (milliseconds)"""
    failed_first: int | None = None
    failures_count: int = 0
    """attempts that failed at the addressee's end"""
    interim: Order | None = None
    """what stands while the notice waits to be served; the order takes its place under the same id"""
    order: Order | None = None
    appeal: CaseId | None = None
    joined: tuple[str, ...] = ()
    """later findings that came to the same; the oldest `joined_max`"""
    joined_count: int = 0
    gave_way: MeasureState | None = None
    """where it stood when a heavier measure took its place"""
    gave_way_to: CaseId | None = None

    @property
    def waits_for(self) -> str | None:
        """Its notice, until the party was notified."""
        return self.notice if self.notified is None else None


class Reviewed(msgspec.Struct, frozen=True, tag_field="event", tag="reviewed"):
    """The desk has reviewed a measure: keep it until the next review, or lift it."""

    keep: bool
    reason: str
    actor: str | None = None


MeasureEvent = (
    FindingRouted
    | Seconded
    | Delivered
    | DeliveryFailed
    | Served
    | Reviewed
    | Appealed
    | AppealDecided
    | AppealWithdrawn
    | Lift
    | Superseded
    | Restored
    | ClockFired
)
