"""What a hold keeps: a copy of each record that it names by place, or why there is none. The record of `held`.

A hold stops no topic's retention: what it names is copied before its topic forgets it (DESIGN section 6). Of a
decision its event is copied as well, though the hold does not name it. Nothing of a personal message is kept. Pure.
"""

from typing import Final, Literal

import msgspec

from stream.model.control import CaseId, Count
from stream.model.fields import Name, Time
from stream.model.limits import DEAD_LETTER, RECORD
from stream.model.places import RecordPlace, digest_of
from stream.model.topics import DECISIONS, EVENT_KINDS

FORGETTING: Final = (*EVENT_KINDS, DECISIONS)
"""Topics whose records a hold keeps: the others that evidence may name forget nothing by themselves."""

HeldOutcome = Literal["copied", "differs", "shortened", "gone", "absent", "withheld"]


class Held(msgspec.Struct, frozen=True, tag_field="kind", tag="held"):
    """A record that a hold names, or that a decision which it names is about.

    `outcome`: `copied`; `differs`: copied, but its digest is not the one that was named; `shortened`: it is larger than
    a record may be, and its first 64 KiB are copied; `gone`: its topic had forgotten it; `absent`: there is none;
    `withheld`: it is personal, or an event that does not say what it is (name its decision). `place` is where it stood,
    `named` the evidence that led to it. `digest` is the SHA-256 of its whole value; `key` and `value` are its bytes in
    base64, `written` its timestamp.
    """

    hold: Name
    case: CaseId
    time: Time
    named: Name
    outcome: HeldOutcome
    place: Name | None = None
    written: int | None = None
    digest: Name | None = None
    bytes_count: Count = 0
    key: bytes | None = None
    value: bytes | None = None


class FoundRecord(msgspec.Struct, frozen=True):
    """A record where it stands."""

    place: RecordPlace
    timestamp: int
    key: bytes | None
    value: bytes | None


def copied(hold: str, case: CaseId, now: int, *, named: str, record: FoundRecord, digest: str | None = None) -> Held:
    """The copy of a record; `digest`: what whoever named it had seen."""
    found = digest_of(record.value)
    size = len(record.value or b"")
    fits = size + len(record.key or b"") <= RECORD.most
    outcome: HeldOutcome = "copied" if digest in (None, found) else "differs"
    return Held(
        hold=hold,
        case=case,
        time=now,
        named=named,
        outcome=outcome if fits else "shortened",
        place=str(record.place._replace(digest=None)),
        written=record.timestamp,
        digest=found,
        bytes_count=size,
        key=record.key if fits else None,
        value=record.value if fits else (record.value or b"")[: DEAD_LETTER.most],
    )
