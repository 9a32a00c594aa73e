"""The field types that the records share, each named once with its bounds and its reason.

The wire reads null and the empty string as absent (DESIGN section 4). Structs therefore carry optional texts
as `str | None`, and code asks whether they are truthy; `codec` sees to every other type.
"""

import re
from typing import Annotated, Literal

import msgspec

from bloom.wills import Channel, Verb
from stream.model import limits
from stream.model.nfkc import nfkc

RECORD_BYTES_MAX = limits.RECORD.most
ID_CHARACTERS_MAX = limits.EVENT_ID.most

TIME_MAX = (1 << 53) - 1
"""The largest integer that every JSON reader holds exactly (RFC 8259, section 6)."""

type_of_time = msgspec.Meta(ge=0, le=TIME_MAX, description="milliseconds since the epoch, UTC")

Time = Annotated[int, type_of_time]
Name = Annotated[str, msgspec.Meta(min_length=1)]
EventText = Annotated[str, msgspec.Meta(max_length=limits.EVENT_FIELD.most)]
EventNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.EVENT_FIELD.most)]
MessageText = Annotated[str, msgspec.Meta(max_length=limits.TEXT.most)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
SubscriberNumber = Annotated[
    str,
    msgspec.Meta(
        description="an E.164 number with its plus sign",
        extra_json_schema={"pattern": r"^\+[1-9][0-9]{6,14}$"},
    ),
]

EventKind = Literal["sms", "call", "reply"]
Network = Literal["telecom", "internet"]
Purpose = Literal["personal", "service", "commercial", "public", "emergency"]
EntryPurpose = Literal["personal", "service", "commercial", "public", "emergency", "number-protection"]
Verdict = Literal["allow", "block", "suspend"]
Measure = Literal["suspend", "limit", "stop"]
SenderStatus = Literal["active", "revoked"]
CampaignStatus = Literal["filed", "approved", "refused", "withdrawn"]

EVERYTHING = "*"
"""How a scope writes "any sender" or "any category"; absent means the same."""

CONTACT_DIGITS_MIN = 3
_LETTER_OR_NUMBER = re.compile(r"[^\W_]")


def digits_of(contact: str) -> str:
    """The ASCII digits of a contact, after compatibility normalisation (full-width digits count)."""
    return "".join(c for c in nfkc(contact) if c in "0123456789")


def has_letter_or_number(term: str) -> bool:
    """Whether anything is left of a term when all but Unicode categories L and N is taken away."""
    return _LETTER_OR_NUMBER.search(nfkc(term)) is not None


__all__ = ["Channel", "Verb"]  # the channels and verbs of wills are those of the wire
