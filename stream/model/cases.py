"""Cases as the world sees them: what happens to a case comes in as `CaseEvent`, where it stands goes out as
`CaseView`.

Both stand in topics under the key that a case's records share, and in the partition which that key has
(`bloom.partition.partition_of`), so that all that happens to one case is in one order. A case's own event and
its body differ from procedure to procedure and stand here as the JSON they are; `stream.enforce.cases.decoding` reads
them by the procedure that is named beside them.
"""

from typing import Annotated, Final, NamedTuple

import msgspec

from bloom.partition import partition_of
from stream.model.codec import encode
from stream.model.control import CaseId, Count, Direction, Finding, Notice, Party
from stream.model.fields import EventId, Name, Time
from stream.model.topics import CASE_EVENTS

EFFECT_KEY_CHARACTERS_MAX: Final = 192
"""An effect's key is a case id (128) with its step and place; a message's id is the key of the effect that sent it."""

EffectKey = Annotated[str, msgspec.Meta(min_length=1, max_length=EFFECT_KEY_CHARACTERS_MAX)]


class CaseEvent(msgspec.Struct, frozen=True, tag_field="kind", tag="case-event"):
    """Something that happened to a case, or to the escalation record of a party: the record of `case-events`.

    `id` is the same for a repeat of the same event, which is then taken once. `case` is the record's key: a
    case id, or for an escalation record the party's key (`control.party_key`), with `docket` as its `procedure`.
    `event` is the tagged struct of that procedure as JSON. `actor` is who did it (Article 41). `person`, which the API
    alone writes: whose token it was, by which a decision of two persons is told from one of one; without it, as from
    another case or from a version before, an event is taken at once.
    """

    id: EffectKey
    time: Time
    case: Name
    procedure: Name
    event: msgspec.Raw
    actor: str | None = None
    person: str | None = None


class ClockDue(msgspec.Struct, frozen=True):
    """A clock of a case. `due` is exclusive: in time means before it. `warn`: when a warning comes first."""

    clock: Name
    due: Time
    breached: bool = False
    warn: Time | None = None
    known: bool = True
    """False: the official calendar of a year that the term touches is not known; it is reckoned with statutory days
    alone, and anew once that calendar arrives"""
    since: Time | None = None
    """when a term in working days began; absent for others, and where a version before set it, which stays as it is"""
    working_days: Count = 0
    """how many it has"""


class ClockKept(msgspec.Struct, frozen=True):
    """A clock whose duty was done in time: when it was due, and when it was done."""

    clock: Name
    due: Time
    done: Time


class CaseView(msgspec.Struct, frozen=True, tag_field="kind", tag="case"):
    """Where a case stands after a step: the record of `cases`, compacted, under the case id.

    `due` holds the clocks that run, the earliest first, and then those that have run out (`breached`, with
    the `due` that was missed). `updated` is the moment of the step in milliseconds. `body` is the whole case
    struct of its procedure as JSON; it may hold numbers of subscribers.
    """

    case: Name
    procedure: Name
    state: Name
    step: Count
    updated: Time
    body: msgspec.Raw
    due: tuple[ClockDue, ...] = ()
    party: Party | None = None
    ended: bool = False
    """nothing is owed any more"""
    ended_at: Time | None = None
    """since when; an end that follows on an end keeps the first one's. Absent in views of before 0.2"""
    kept: tuple[ClockKept, ...] = ()
    """the clocks that were kept, as those that were missed stand in `due`"""
    notices: tuple[Notice, ...] = ()
    """the last notice that the case sent on each subject, the latest last"""
    taken: EffectKey | None = None
    """the id of the event that was taken last. Absent in views of before 0.2"""


class Hold(msgspec.Struct, frozen=True, tag_field="kind", tag="hold"):
    """Evidence that must outlive its ordinary retention (Articles 15, 22, 32): the record of `holds`.

    `hold` is its key; `evidence` names events, decisions or documents; `basis` the duty that asks for it.
    """

    hold: EffectKey
    case: Name
    time: Time
    evidence: tuple[Name, ...]
    basis: Name


__all__ = ["EFFECT_KEY_CHARACTERS_MAX", "CaseEvent", "CaseView", "ClockDue", "ClockKept", "EffectKey", "Hold"]


DOCKET: Final = "docket"
"""The `procedure` of a `CaseEvent` for a party's escalation record, as the wire has it."""


class EscalationFinding(msgspec.Struct, frozen=True, tag_field="event", tag="finding"):
    """A violation was found: for the escalation record of its party, by which the measure is chosen.

    `origin` is the case to report to; `direction` the regulator's order behind it.
    """

    finding: Finding
    origin: CaseId | None = None
    direction: Direction | None = None


class BlockedContent(msgspec.Struct, frozen=True):
    """How much prohibited content of one party's the filter blocked, in one partition of `decisions`.

    `count` decisions from offset `first` to `last`; what comes again, after a crash, says the same or begins earlier.
    """

    partition: Count
    first: Count
    last: Count
    count: Count


class Discovered(msgspec.Struct, frozen=True, tag_field="event", tag="discovered"):
    """Prohibited content was found. The finding's evidence names the decisions and texts that were kept.

    `blocked`: the filter found it, and nobody has looked at it yet. More of it comes as the same finding.
    """

    finding: Finding
    blocked: BlockedContent | None = None


def filter_case(finding: EventId) -> CaseId:
    """The case of what the filter found: that of the finding, as `enforce` has it."""
    return f"X-{finding}"


EFFECT_HEADER: Final = "effect"
"""The header under which a record carries the key of its effect."""


class Out(NamedTuple):
    """A record to be written: where, and what."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    effect: str = ""


def out_of(topic: str, key: str, record: msgspec.Struct, effect: str, partitions: int) -> Out:
    """A record in the partition of its key."""
    return Out(topic, partition_of(key, partitions), key.encode(), encode(record), effect)


def case_event_out(event: CaseEvent, partitions: int) -> Out:
    """An event for a case or escalation record, as the record of `case-events`."""
    return out_of(CASE_EVENTS, event.case, event, event.id, partitions)
