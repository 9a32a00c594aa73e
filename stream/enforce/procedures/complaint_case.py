"""A complaint: what its case holds, what can happen to it, and when it is complete. The rules are `complaint`'s."""

from enum import StrEnum
from typing import Literal

import msgspec

from stream.enforce.procedures import forms
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.messages import Disputed
from stream.enforce.procedures.telling import Delivered, DeliveryFailed, Served, WaitingCase
from stream.model.control import CaseId, Complaint, Party
from stream.model.fields import Name, Time


class ComplaintState(StrEnum):
    """Where a complaint stands."""

    NEW = "new"
    INCOMPLETE = "incomplete"
    RECEIVED = "received"
    FORWARDED = "forwarded"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    ACTED = "acted"
    REPORTING = "reporting"
    REPORTED = "reported"
    ANSWERING = "answering"
    ANSWERED = "answered"
    DISPUTED = "disputed"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


OPEN = (
    ComplaintState.INCOMPLETE,
    ComplaintState.RECEIVED,
    ComplaintState.FORWARDED,
    ComplaintState.CONFIRMED,
    ComplaintState.UNCONFIRMED,
    ComplaintState.ACTED,
    ComplaintState.REPORTING,
    ComplaintState.REPORTED,
    ComplaintState.ANSWERING,
)
WITH_COMPANY = (ComplaintState.FORWARDED, ComplaintState.CONFIRMED, ComplaintState.UNCONFIRMED, ComplaintState.ACTED)


class ComplaintCase(WaitingCase, frozen=True, kw_only=True):
    """A user's complaint. `complaint` is absent only before the first step."""

    state: ComplaintState = ComplaintState.NEW
    complaint: Complaint | None = None
    wrong: tuple[Wrong, ...] = ()
    """what was stated and is ill-formed; nothing in its place yet"""
    party: Party | None = None
    """whom the verification found to have sent it"""
    confirmed: bool = False
    spoofed: bool = False
    """it was so, but the number was another's than who sent it"""
    outcome: str | None = None
    """what was found and done, as the user will read it"""
    dispute: CaseId | None = None


class Complained(msgspec.Struct, frozen=True, tag_field="event", tag="complained"):
    """A complaint came in, or what was missing in it: what it states is added to what is known.

    `wrong` is what it states that is ill-formed, which `complaint` leaves out.
    """

    complaint: Complaint
    wrong: tuple[Wrong, ...] = ()


class Forwarded(msgspec.Struct, frozen=True, tag_field="event", tag="forwarded"):
    """The centre has forwarded the complaint to the company."""

    to: str
    document: Name | None = None
    actor: str | None = None


class Verified(msgspec.Struct, frozen=True, tag_field="event", tag="verified"):
    """The company has verified: it was so, and by whom; or it could not be confirmed.

    `owner`, which the API finds: whose number it is by the registry; then it was they, unless it was `spoofed`, sent by
    somebody else under their number.
    `consented`, which the API finds: since when an expression stands that the user gave after the complaint, such as a
    consent. Then no refusal is written over it, unless `refuse` says that the user, asked again, refuses anyway.
    """

    result: Literal["confirmed", "unconfirmed"]
    detail: str
    party: Party | None = None
    spoofed: bool = False
    owner: Name | None = None
    refuse: Literal["anyway"] | None = None
    consented: Time | None = None
    actor: str | None = None


class ActedUpon(msgspec.Struct, frozen=True, tag_field="event", tag="acted-upon"):
    """The company has acted."""

    detail: str
    actor: str | None = None


class Reported(msgspec.Struct, frozen=True, tag_field="event", tag="reported"):
    """The company reports to the centre what it found and did."""

    detail: str
    actor: str | None = None


class Answered(msgspec.Struct, frozen=True, tag_field="event", tag="answered"):
    """The centre answers the user."""

    detail: str
    document: Name | None = None
    actor: str | None = None


class ComplaintWithdrawn(msgspec.Struct, frozen=True, tag_field="event", tag="withdrawn"):
    """The user takes the complaint back. A refusal that was written stays: it is an expression of its own."""

    actor: str | None = None


ComplaintEvent = (
    Complained
    | Forwarded
    | Verified
    | ActedUpon
    | Reported
    | Answered
    | ComplaintWithdrawn
    | Disputed
    | Delivered
    | DeliveryFailed
    | Served
    | ClockFired
)


def complaint_of(case: ComplaintCase) -> Complaint:
    """The complaint of a case that has taken its first step."""
    assert case.complaint is not None, f"{case.case}: every step but the first has a complaint"
    return case.complaint


def missing(complaint: Complaint, wrong: tuple[Wrong, ...] = ()) -> tuple[str, ...]:
    """What a complaint must still say before it can be forwarded (Article 30 speaks of complete ones).

    What is ill-formed comes as `field: what is wrong`; a choice of fields, as `one or other`.
    """
    lacks = (
        ("subscriber", not complaint.subscriber),
        ("channel", complaint.channel is None),
        ("from or sender", not (complaint.from_ or complaint.sender)),
        ("at", complaint.at is None),
        ("text or evidence", not (complaint.text or complaint.evidence)),
    )
    asked = {one.field for one in wrong}
    absent = (name for name, lacking in lacks if lacking and asked.isdisjoint(name.split(" or ")))
    return (*map(str, wrong), *absent)


def still_wrong(known: tuple[Wrong, ...], more: Complained) -> tuple[Wrong, ...]:
    """What is ill-formed once a supplement is taken in."""
    return forms.still_wrong(known, more.complaint, more.wrong)


def supplemented(known: Complaint | None, more: Complaint) -> Complaint:
    """What is known, with what a supplement adds or corrects. Id and time stay those of the first."""
    if known is None:
        return more
    stated = {
        name: value
        for name in more.__struct_fields__
        if (value := getattr(more, name)) and name not in ("complaint", "time")
    }
    if more.from_ or more.channel:
        stated["owner"] = more.owner  # of the number as it is known now
    return msgspec.structs.replace(known, **stated)


def accused(complaint: Complaint) -> Party | None:
    """Whom a complaint is about: the owner of the number, or else whom the user names, or else the number."""
    sender = complaint.owner or complaint.sender
    if sender:
        return Party(sender=sender)
    return Party(number=complaint.from_) if complaint.from_ else None
