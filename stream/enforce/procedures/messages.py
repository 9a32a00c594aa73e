"""Messages between cases, what opens a case, and acts that several procedures have: all that procedures share.

They are events like all others; they stand here because procedures do not import each other.
"""

from typing import Literal

import msgspec

from stream.enforce.procedures.forms import Wrong
from stream.model.cases import Discovered
from stream.model.control import Appeal as AppealRecord
from stream.model.control import CaseId, Dispute, Finding
from stream.model.fields import Channel, Measure

Side = Literal["party", "measure"]
"""Who wins an appeal: the party that appealed (the measure ends), or the measure (it stands)."""

Change = Literal["in-force", "ended", "annulled", "resumed"]
"""What became of a measure.

`annulled`: it should not have been (appeal won, finding wrong), and counts for nothing. `resumed`: it had given way to
a heavier one, which was annulled, and goes on where it stood, not yet in force.
"""


class FindingRouted(msgspec.Struct, frozen=True, tag_field="event", tag="found"):
    """A finding for the measure procedure.

    `measure` is what follows from it (`escalation` or an authority decides), `at_once` whether the party is notified
    at the same time instead of before, `replaces` the cases of lighter measures that this one takes the place
    of, `origin` the case to report to.
    """

    finding: Finding
    measure: Measure
    at_once: bool = False
    replaces: tuple[CaseId, ...] = ()
    origin: CaseId | None = None
    until: int | None = None


class Appealed(msgspec.Struct, frozen=True, tag_field="event", tag="appealed"):
    """A party appeals. `wrong` names what of it was ill-formed, and is asked for."""

    appeal: AppealRecord
    wrong: tuple[Wrong, ...] = ()


class AppealDecided(msgspec.Struct, frozen=True, tag_field="event", tag="appeal-decided"):
    """An appeal was decided for one side, with the reason that both are given."""

    appeal: CaseId
    winner: Side
    reason: str


class AppealWithdrawn(msgspec.Struct, frozen=True, tag_field="event", tag="appeal-withdrawn"):
    """The party gave its appeal up: nobody has won."""

    appeal: CaseId


class Lift(msgspec.Struct, frozen=True, tag_field="event", tag="lift"):
    """Whoever ordered a measure, or the desk, takes it back.

    `annul`: the finding was wrong and counts for nothing.
    """

    reason: str
    annul: bool = False
    actor: str | None = None


class Superseded(msgspec.Struct, frozen=True, tag_field="event", tag="superseded"):
    """A heavier measure's case has taken this one's place."""

    by: CaseId


class Restored(msgspec.Struct, frozen=True, tag_field="event", tag="restored"):
    """The heavier measure that had taken this one's place was annulled."""

    by: CaseId


class MeasureChanged(msgspec.Struct, frozen=True, tag_field="event", tag="measure-changed"):
    """A measure came into force or ended: for the escalation record of its party and the case that it came from.

    `channel` is the measure's, None for both.
    """

    measure_case: CaseId
    measure: Measure
    change: Change
    channel: Channel | None = None


class Disputed(msgspec.Struct, frozen=True, tag_field="event", tag="disputed"):
    """A user takes a dispute to the appeals body. `early`: a complaint stands that was neither answered nor is late."""

    dispute: Dispute
    early: bool = False


class Seconded(msgspec.Struct, frozen=True, tag_field="event", tag="seconded"):
    """A person has looked at what a machine found, or another at what one did alone for its urgency: confirmed."""

    detail: str | None = None
    actor: str | None = None


Opening = FindingRouted | Appealed | Disputed | Discovered
"""What opens a case of another procedure."""

Message = (
    FindingRouted
    | Appealed
    | AppealDecided
    | AppealWithdrawn
    | Lift
    | Superseded
    | Restored
    | MeasureChanged
    | Disputed
)
"""What one case can send to another."""
