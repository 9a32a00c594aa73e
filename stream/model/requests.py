"""Requests to the registry's one door, and its answers (DESIGN section 14).

Whoever wants something written to `registry.expressions`, `.senders` or `.wordlists` asks in `registry.requests`
(`registry.bulk` for files) and reads in `registry.answers` what came of it. A request is about one partition: its
expressions are of subscribers of that partition; senders and word lists are partition 0's.
"""

import zlib
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from stream.model import limits
from stream.model.codec import Undecodable, decode_as, encode
from stream.model.fields import Channel, EventId, Name, SubscriberNumber, Time
from stream.model.registry import Expression, FileRecord, Sender

NO_VERSION: Final = -1
"""The version of what is not there."""

REFUSALS_IN_FULL_MAX: Final = 20
"""Refusals of one answer that are sentences; of the rest it has code and place."""

Version = Annotated[int, msgspec.Meta(ge=NO_VERSION)]

RefusalCode = Literal[
    # of a request as a whole
    "unreadable",
    "request-time",
    "id-taken",
    "wrong-partition",
    "subject",
    "version",
    # of one record
    "topic",
    "limit",
    "key",
    "number",
    "time",
    "expires",
    "late",
    "changed",
    "scopes",
    "unknown-name",
    "prefix",
    "claim",
    "under-limit",
    "emergency",
    "order-number",
    "notice",
    "not-yours",
]
"""Why something is not written; `stream.registry.refusals` says what each means, and the mend."""


class Statements(msgspec.Struct, frozen=True, omit_defaults=True):
    """What whoever asks states beside the records: that what would be refused, or do more, is meant."""

    take_over: tuple[Name, ...] = ()
    """senders whose numbers these become: their own records give them up"""
    sub_port_of: tuple[Name, ...] = ()
    """senders of whose ranges these numbers are a part"""
    unregistered: bool = False
    """consents to senders and categories that nobody knows are meant"""
    narrower_stay: bool = False
    """a lift takes its own scope back: what stands of narrower ones is written again after it (DESIGN section 3)"""
    read_to: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """the offset up to which whoever asks has read `registry.expressions` of this partition: an expression is refused
    where another one about its very scope stands from there on (compare-and-set for many subscribers at once)"""


class AskSubscriber(msgspec.Struct, frozen=True, tag_field="of", tag="subscriber"):
    """What did this subscriber say, and which of it counts?"""

    subscriber: SubscriberNumber


class AskOwner(msgspec.Struct, frozen=True, tag_field="of", tag="owner"):
    """Who owned this number on the channel at that moment (absent: now)?"""

    number: Name
    channel: Channel
    at: Time | None = None


class AskSender(msgspec.Struct, frozen=True, tag_field="of", tag="sender"):
    """Which records did this sender have, one after another?"""

    sender: Name


Ask = AskSubscriber | AskOwner | AskSender


class RegistryRequest(msgspec.Struct, frozen=True, tag_field="kind", tag="request"):
    """One request: records to write, or a subscriber to erase, or something to read. Exactly one of the three."""

    id: EventId
    """made by whoever asks; the same again is the same request"""
    time: Time
    """when it was asked, milliseconds since the epoch"""
    actor: Name
    """who asks, for the audit"""
    records: Annotated[tuple[FileRecord, ...], msgspec.Meta(max_length=limits.ENTRIES.most)] = ()
    if_version: Version | None = None
    """write only if this is the version of the one subscriber, sender or word list that it is about"""
    stated: Statements = Statements()
    erase: SubscriberNumber | None = None
    ask: Ask | None = None
    content: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """what was asked of whoever asks here, as a checksum: by it alone a repeat is known, where the same request would
    bear another moment each time"""

    def __post_init__(self) -> None:
        if bool(self.records) + bool(self.erase) + (self.ask is not None) != 1:
            raise ValueError("a request has exactly one of `records`, `erase` and `ask`")


class RecordRefusal(msgspec.Struct, frozen=True):
    """Why a record was not written."""

    code: RefusalCode
    what: str
    """what is wrong, where, and the mend; without numbers of subscribers"""
    place: int | None = None
    """of the record in the request; absent: the request as a whole"""


class FurtherRefusals(msgspec.Struct, frozen=True):
    """Refusals for one reason beyond those that an answer has in full."""

    code: RefusalCode
    places: tuple[int, ...]


class UnknownName(msgspec.Struct, frozen=True):
    """A sender or category that nobody knows, in so many of the request's expressions, written or not."""

    what: str
    count: int


class KeptConsent(msgspec.Struct, frozen=True):
    """A consent that an erasure left because its evidence is kept; it means nothing any more."""

    channel: Channel
    sender: str | None
    category: str | None


class KeptExpression(msgspec.Struct, frozen=True):
    """An expression as the registry has it: the last of its scope."""

    expression: Expression
    written: Time
    """its record's timestamp"""
    offset: int
    counts: bool
    """Whether it is a refusal or consent that holds: nothing that came later ended it."""


class SubscriberRecord(msgspec.Struct, frozen=True, tag_field="of", tag="subscriber"):
    """What a subscriber said, in order of receipt."""

    expressions: tuple[KeptExpression, ...]


class OwnerRecord(msgspec.Struct, frozen=True, tag_field="of", tag="owner"):
    """Who owned a number, by which prefix; absent where nobody did."""

    sender: str | None = None
    prefix: str | None = None


class SenderVersion(msgspec.Struct, frozen=True):
    """A sender's record from one moment on; absent where a tombstone took it."""

    offset: int
    written: Time
    record: Sender | None = None


class SenderHistory(msgspec.Struct, frozen=True, tag_field="of", tag="sender"):
    """A sender's records in order of receipt, as far as the topic has them."""

    versions: tuple[SenderVersion, ...]


ReadResult = SubscriberRecord | OwnerRecord | SenderHistory
ReadKind = TypeVar("ReadKind", SubscriberRecord, OwnerRecord, SenderHistory)
"""Which of them a question has as its answer."""


class RegistryAnswer(msgspec.Struct, frozen=True, tag_field="kind", tag="answer", omit_defaults=True):
    """What came of a request. A repeat of the request gets the same."""

    request: Name
    at: Name
    """where the request stood: lane, partition, offset, such as `requests:3:1234`"""
    digest: int
    """a checksum of the request: by it a repeat is told from another request under the same id"""
    decided: Time
    admitted: int = 0
    """records of the request that stand now; of an erasure, the keys that are gone"""
    already: int = 0
    """of these, those that were not written: they stood, or a later record of the request takes their place"""
    written: int = 0
    """records that were written for it, also such as it did not name: what a hand-over or a lift brings with it"""
    refused: int = 0
    refusals: tuple[RecordRefusal, ...] = ()
    """the first of them, in full"""
    further: tuple[FurtherRefusals, ...] = ()
    """the rest of them"""
    unknown: tuple[UnknownName, ...] = ()
    version: Version = NO_VERSION
    """the last record written for it; where none was, of what it is about, if that is one subscriber, sender or list"""
    kept: tuple[KeptConsent, ...] = ()
    """of an erasure: consents that are kept as evidence, the first of them"""
    kept_count: int = 0
    kept_until: Time | None = None
    """when they go too"""
    result: ReadResult | None = None


def digest_of_request(request: RegistryRequest) -> int:
    """A checksum of the whole request, or the one that it states: tells a repeat from another one under its id."""
    return zlib.crc32(encode(request)) if request.content is None else request.content


_requests: Final = msgspec.json.Decoder(RegistryRequest)
_answers: Final = msgspec.json.Decoder(RegistryAnswer)


class _OfId(msgspec.Struct):
    id: EventId


_of_id: Final = msgspec.json.Decoder(_OfId)


def decode_request(data: bytes) -> RegistryRequest:
    """A request. Raises `Undecodable`. Half a microsecond, and one for each expression."""
    return decode_as(_requests, data)


def decode_answer(data: bytes) -> RegistryAnswer:
    """An answer. Raises `Undecodable`."""
    return decode_as(_answers, data)


def takes_its_id(answer: RegistryAnswer) -> bool:
    """Whether a request that got this answer has its id from then on: whoever remembers answers, remembers this one."""
    return not any(refusal.code in ("unreadable", "id-taken") for refusal in answer.refusals[:1])


def id_of(data: bytes) -> str | None:
    """The id of a request that cannot be decoded, so that it can be answered; None where that cannot be read either."""
    try:
        return decode_as(_of_id, data).id
    except Undecodable:
        return None
