"""What an office does with a case besides acting on it: notes, attachments, and who has it.

The same for every procedure, in every state, also once a case has ended: it changes no state, starts and ends no clock,
and is no step, so it neither stands in the way of an act nor keeps a case that has ended any longer. Each is a case
event all the same, with its person and moment. An attachment is its digest and where it lies; its content stays where
it is. Each office has its own: what one notes is not another's business, and a case is in one person's hands in each.

How much of it a case holds is bounded, so that no note ever keeps a statutory step out (`store.ENTRY_BYTES_MAX`).
"""

from typing import Annotated, Final, Literal

import msgspec

from stream.model.fields import Name

Office = Literal["desk", "centre", "appeals-body", "regulator"]
"""Bodies whose people work with cases, each in the role of its name."""

NOTE_CHARACTERS_MAX: Final = 2_000
"""A page: more belongs in a document."""
NAME_CHARACTERS_MAX: Final = 256
NOTES_MAX: Final = 100
ATTACHMENTS_MAX: Final = 100
ASSIGNMENTS_MAX: Final = 100
"""Hand-overs that a case shows, the latest; all stand in `case-events`."""

NoteText = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=NOTE_CHARACTERS_MAX, description=f"1 to {NOTE_CHARACTERS_MAX:,} characters"),
]
ShortText = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX, description=f"1 to {NAME_CHARACTERS_MAX} characters"),
]
Sha256 = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="a SHA-256 in 64 lower-case hexadecimal digits")
]
ByteCount = Annotated[int, msgspec.Meta(ge=0, le=1 << 50, description="a count of bytes")]


class Noted(msgspec.Struct, frozen=True, tag_field="event", tag="noted"):
    """A note, for the people of one's own office."""

    text: NoteText
    office: Office
    actor: Name | None = None


class Attached(msgspec.Struct, frozen=True, tag_field="event", tag="attached"):
    """A document that belongs to the case: its name, its digest and size in bytes, and where it lies."""

    name: ShortText
    sha256: Sha256
    size_bytes: ByteCount
    office: Office
    reference: ShortText | None = None
    actor: Name | None = None


class Assigned(msgspec.Struct, frozen=True, tag_field="event", tag="assigned"):
    """The case is in this person's hands from now on; without `to` in nobody's. `reason` is what a hand-over says."""

    office: Office
    to: ShortText | None = None
    reason: NoteText | None = None
    actor: Name | None = None


WorkEvent = Noted | Attached | Assigned
WORK: Final = (Noted, Attached, Assigned)
"""Events that every case takes in every state but before its first step."""


class Note(msgspec.Struct, frozen=True):
    """A note as the case keeps it: when (milliseconds), by whom, of which office."""

    at: int
    office: Office
    text: str
    by: str | None = None


class Attachment(msgspec.Struct, frozen=True):
    """An attachment as the case keeps it."""

    at: int
    office: Office
    name: str
    sha256: str
    size_bytes: int
    reference: str | None = None
    by: str | None = None


class Assignment(msgspec.Struct, frozen=True):
    """A hand-over: into whose hands, or into nobody's."""

    at: int
    office: Office
    to: str | None = None
    reason: str | None = None
    by: str | None = None


class CaseWork(msgspec.Struct, frozen=True):
    """What the offices did with a case, the oldest first."""

    notes: tuple[Note, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    assignments: tuple[Assignment, ...] = ()

    def of(self, office: str) -> "CaseWork":
        """What one office did."""
        return CaseWork(
            tuple(one for one in self.notes if one.office == office),
            tuple(one for one in self.attachments if one.office == office),
            tuple(one for one in self.assignments if one.office == office),
        )

    @property
    def holders(self) -> dict[Office, str]:
        """Who has the case, by office."""
        last = {one.office: one.to for one in self.assignments}
        return {office: person for office, person in last.items() if person is not None}


def why_full(work: CaseWork | None, event: WorkEvent) -> str | None:
    """Why a case takes no more of this, or None."""
    known = work or CaseWork()
    if isinstance(event, Noted) and len(known.notes) >= NOTES_MAX:
        return f"it has {NOTES_MAX} notes, and takes no more: attach a document"
    if isinstance(event, Attached) and len(known.attachments) >= ATTACHMENTS_MAX:
        return f"it has {ATTACHMENTS_MAX} attachments, and takes no more: attach an index of them"
    return None


def with_work(work: CaseWork | None, event: WorkEvent, now: int) -> CaseWork:
    """The work on a case with this."""
    known, by = work or CaseWork(), event.actor
    match event:
        case Noted():
            note = Note(now, event.office, event.text, by)
            return msgspec.structs.replace(known, notes=(*known.notes, note))
        case Attached():
            attached = Attachment(now, event.office, event.name, event.sha256, event.size_bytes, event.reference, by)
            return msgspec.structs.replace(known, attachments=(*known.attachments, attached))
        case Assigned():
            to = Assignment(now, event.office, event.to, event.reason, by)
            return msgspec.structs.replace(known, assignments=(*known.assignments, to)[-ASSIGNMENTS_MAX:])
