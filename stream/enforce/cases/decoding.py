"""Records of the intake topics, decoded: as arrivals at a case or at the escalation record of a party.

Pure. It promises that a record is read only under the key, and so in the partition, that its case has, and
that an event is decoded by the procedure it is for. What it cannot read it refuses with `Undecodable`; it never
guesses. In a complaint or filing, what a person filled in wrongly is passed to the case, which asks for it (`forms`).

An appeal is filed under its own case but goes first to the case that it is against, which opens the appeal's
own: it is decoded to a `Forward`. A case id says by its first letter which procedure's it is (`ids`), so that a
message can find a case that has not been opened yet.
"""

from typing import Final, NamedTuple

import msgspec

from bloom.partition import partition_of
from stream.enforce.procedures import (
    appeal,
    campaign,
    complaint,
    dispute,
    forms,
    ids,
    listing,
    measure,
    prohibited,
    regulator,
    telling,
)
from stream.enforce.procedures.case_work import WorkEvent
from stream.enforce.procedures.clocks import ClockReckoned
from stream.enforce.procedures.effects import ProcedureName
from stream.enforce.procedures.messages import Appealed, MeasureChanged
from stream.model import topics
from stream.model.cases import DOCKET, CaseEvent, EscalationFinding
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.control import Appeal, CaseId, Complaint, Delivery, Filing
from stream.policy.numbering import Numbering

_SET_BY_THE_API: Final = ("refusal", "owner", "sender_problem", "actor")
MADE: Final = ("kind", "complaint", "filing", "appeal", "against", "party", "time", *_SET_BY_THE_API)
"""Fields of a complaint, filing or appeal that no person fills in: where these are wrong, a program is."""

EscalationEvent = EscalationFinding | MeasureChanged

EveryCaseEvent = ClockReckoned | WorkEvent
"""What a case of any procedure takes."""

EVENTS: Final[dict[str, msgspec.json.Decoder[msgspec.Struct]]] = {
    "measure": msgspec.json.Decoder(measure.MeasureEvent | EveryCaseEvent),
    "complaint": msgspec.json.Decoder(complaint.ComplaintEvent | EveryCaseEvent),
    "appeal": msgspec.json.Decoder(appeal.AppealEvent | EveryCaseEvent),
    "dispute": msgspec.json.Decoder(dispute.DisputeEvent | EveryCaseEvent),
    "campaign": msgspec.json.Decoder(campaign.CampaignEvent | EveryCaseEvent),
    "prohibited-content": msgspec.json.Decoder(prohibited.ProhibitedEvent | EveryCaseEvent),
    "regulator-order": msgspec.json.Decoder(regulator.RegulatorEvent | EveryCaseEvent),
    "listing": msgspec.json.Decoder(listing.ListingEvent | EveryCaseEvent),
    DOCKET: msgspec.json.Decoder(EscalationEvent),
}
"""How the event of a `CaseEvent` is read, by its procedure."""

PROCEDURE_BY_LETTER: Final[dict[str, ProcedureName]] = {
    "M": "measure",
    "C": "complaint",
    "A": "appeal",
    "D": "dispute",
    "P": "campaign",
    "X": "prohibited-content",
    "G": "regulator-order",
    "L": "listing",
}
"""The procedure of a case by the letter that its id begins with (`ids`)."""


class Arrival(NamedTuple):
    """An event for a case or escalation record. `id` is the same for a repeat; `at` is the record's timestamp (ms);
    `person` whose act it is, if it is one.
    """

    key: str
    procedure: str
    event: msgspec.Struct
    id: str
    at: int
    person: str | None = None


class Forward(NamedTuple):
    """A record that must go to another case first: its own case's key, and the event that goes there instead."""

    key: str
    event: CaseEvent


class RecordPosition(NamedTuple):
    """Where a record stands, and `at`, its timestamp in milliseconds."""

    topic: str
    partition: int
    offset: int
    at: int


def procedure_of(case: CaseId) -> ProcedureName:
    """The procedure of a case. Raises `Undecodable` for an id that none of ours begins like."""
    letter, dash, _ = case.partition("-")
    procedure = PROCEDURE_BY_LETTER.get(letter) if dash else None
    if procedure is None:
        raise Undecodable(f"the case id begins with none of {_LETTERS}")
    return procedure


_LETTERS: Final = ", ".join(f"{letter}-" for letter in PROCEDURE_BY_LETTER)


def read(
    position: RecordPosition,
    key: bytes | None,
    value: bytes | None,
    partitions: int,
    numbering: Numbering,
    *,
    ahead_ms: int = 0,
) -> Arrival | Forward:
    """A record of an intake topic. `partitions` is the partition count of all intake topics. `ahead_ms`: by how much
    our clock is ahead of that of timestamps, as in a drill: what people filled in may be as late. Raises `Undecodable`.
    """
    if value is None:
        raise Undecodable(f"null value: a record of {position.topic} needs one")
    found = _read(position, value, forms.FormContext(numbering, position.at + ahead_ms))
    if key != found.key.encode():
        raise Undecodable(f"wrong key: the key of a record of {position.topic} is the id of its case")
    if partition_of(found.key, partitions) != position.partition:
        raise Undecodable("wrong partition: its key belongs to another (murmur2 of the key, as the Java client has it)")
    return found


def _read(position: RecordPosition, value: bytes, reading: forms.FormContext) -> Arrival | Forward:
    match position.topic:
        case topics.CASE_EVENTS:
            one = decode_as(CaseEvent, value)
            return Arrival(one.case, one.procedure, _event(one), one.id, position.at, one.person)
        case topics.COMPLAINTS:
            complained = complaint.Complained(*forms.read(Complaint, value, made=MADE, reading=reading))
            return _arrival(position, ids.complaint_case(complained.complaint), "complaint", complained)
        case topics.FILINGS:
            filed = campaign.Filed(*forms.read(Filing, value, made=MADE, reading=reading))
            return _arrival(position, ids.campaign_case(filed.filing), "campaign", filed)
        case topics.DELIVERIES:
            delivery = decode_as(Delivery, value)
            event = telling.Delivered(delivery) if delivery.outcome == "delivered" else telling.DeliveryFailed(delivery)
            return _arrival(position, delivery.case, procedure_of(delivery.case), event)
        case topics.APPEALS:
            appealed = Appealed(*forms.read(Appeal, value, made=MADE, reading=reading))
            return Forward(ids.appeal_case(appealed.appeal), _forwarded(appealed))
        case topic:
            raise Undecodable(f"{topic} is not an intake topic")


def _arrival(position: RecordPosition, key: str, procedure: ProcedureName, event: msgspec.Struct) -> Arrival:
    """An arrival of a record that has no id of its own: its position and timestamp name it."""
    return Arrival(
        key, procedure, event, f"{position.topic}/{position.partition}/{position.offset}@{position.at}", position.at
    )


def _event(one: CaseEvent) -> msgspec.Struct:
    decoder = EVENTS.get(one.procedure)
    if decoder is None:
        raise Undecodable(f"no such procedure; there are {', '.join(EVENTS)}")
    if one.procedure != DOCKET and procedure_of(one.case) != one.procedure:
        raise Undecodable(f"the case is not of the procedure {one.procedure}: its id begins with another letter")
    return decode_as(decoder, bytes(one.event))


def _forwarded(appealed: Appealed) -> CaseEvent:
    appeal_ = appealed.appeal
    return CaseEvent(
        id=f"{ids.appeal_case(appeal_)}#filed",
        time=appeal_.time,
        case=appeal_.against,
        procedure=procedure_of(appeal_.against),
        event=msgspec.Raw(encode(appealed)),
        actor=appeal_.actor,
    )
