"""The registry's records: what subscribers want, who sends, which measures stand (DESIGN section 4).

All these topics are compacted, so a record's key is its identity: `key_of` is the only place that makes one,
and a record under another key is refused, because compaction would keep the wrong one.
"""

import msgspec

from bloom.number import parse
from stream.model.fields import (
    CONTACT_DIGITS_MIN,
    EVERYTHING,
    CampaignStatus,
    Channel,
    EntryPurpose,
    Measure,
    Name,
    SenderStatus,
    SubscriberNumber,
    Time,
    Verb,
    digits_of,
    has_letter_or_number,
)


class Expression(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="expression"):
    """An expression of a subscriber: a will, on a channel, about a scope (DESIGN section 3).

    `time` is when it was expressed, kept as evidence; the order of receipt is the order that counts.
    """

    subscriber: SubscriberNumber
    channel: Channel
    will: Verb
    time: Time
    source: Name
    sender: str | None = None
    category: str | None = None
    evidence: str | None = None
    actor: str | None = None
    expires: Time | msgspec.UnsetType = msgspec.UNSET
    """Of a consent for one transaction: when the registrar writes a `lift` of its scope, if it is still the last."""

    def __post_init__(self) -> None:
        if parse(self.subscriber) is None:
            raise ValueError("`subscriber` must be + and 7 to 15 digits, the first not 0")
        if self.will == "consent" and (scope_name(self.sender) is None or scope_name(self.category) is None):
            raise ValueError("a consent must name both its `sender` and its `category`")


class NumberEntry(msgspec.Struct, frozen=True):
    """A prefix that a sender may use, on one channel, for some purposes and categories (none listed: any)."""

    prefix: Name
    channel: Channel
    purposes: tuple[EntryPurpose, ...]
    categories: tuple[Name, ...] = ()
    platform: bool = False
    since: Time = 0


class Sender(msgspec.Struct, frozen=True, tag_field="kind", tag="sender"):
    """A licensed sender with its signatures, contact and numbers."""

    sender: Name
    name: Name
    contact: Name
    status: SenderStatus
    numbers: tuple[NumberEntry, ...]
    signatures: tuple[Name, ...] = ()
    licence: str | None = None

    def __post_init__(self) -> None:
        if len(digits_of(self.contact)) < CONTACT_DIGITS_MIN:
            raise ValueError(f"`contact` must have at least {CONTACT_DIGITS_MIN} digits")


class Order(msgspec.Struct, frozen=True, tag_field="kind", tag="order"):
    """A measure in force against a sender or a number, from `from_` (inclusive) to `until` (exclusive)."""

    order: Name
    measure: Measure
    from_: Time = msgspec.field(name="from")
    basis: Name
    sender: str | None = None
    number: str | None = None
    channel: Channel | None = None
    until: Time | None = None
    notice: str | None = None
    appeal: str | None = None
    actor: str | None = None

    def __post_init__(self) -> None:
        if bool(self.sender) == bool(self.number):
            raise ValueError("an order names exactly one of `sender` and `number`")

    def in_force(self, now: int) -> bool:
        """Whether the measure holds at `now` (milliseconds)."""
        return self.from_ <= now and (self.until is None or now < self.until)


class Campaign(msgspec.Struct, frozen=True, tag_field="kind", tag="campaign"):
    """A public-interest campaign as it was filed and weighed (Articles 25 to 27)."""

    campaign: Name
    status: CampaignStatus
    sender: Name
    from_: Time = msgspec.field(name="from")
    until: Time
    text: Name
    emergency: bool = False
    numbers: tuple[Name, ...] = ()
    contact: str | None = None
    regions: tuple[Name, ...] = ()
    exempt: str | None = None

    def open_at(self, now: int) -> bool:
        """Whether `now` (milliseconds) lies in the campaign's window."""
        return self.from_ <= now < self.until


class Wordlist(msgspec.Struct, frozen=True, tag_field="kind", tag="wordlist"):
    """Terms that the law prohibits in a message. Every list counts; `category` is for reports."""

    list: Name
    terms: tuple[Name, ...]
    category: str | None = None

    def __post_init__(self) -> None:
        for place, term in enumerate(self.terms):
            if not has_letter_or_number(term):
                raise ValueError(f"`terms[{place}]` must have at least one letter or digit")


class Tombstone(msgspec.Struct, frozen=True, tag_field="kind", tag="tombstone"):
    """In files, what a null value is in a topic: the record under `key` is gone. Not for expressions."""

    topic: Name
    key: Name


Record = Expression | Sender | Order | Campaign | Wordlist
"""What a registry topic holds."""

FileRecord = Record | Tombstone
"""What a line of a registry file holds."""


REPLY_SOURCE = "reply"
"""The source of what a subscriber said by reply: the filter writes it, beside the registrar."""

KEY_BAR = "|"
"""What stands between the parts of an expression's key."""


def scope_name(name: str | None) -> str | None:
    """A scope's sender or category with absent, empty and `*` all read as None: any."""
    return name if name and name != EVERYTHING else None


def key_of(record: Record) -> str:
    """The key under which a record stands in its topic."""
    match record:
        case Expression():
            sender, category = record.sender or EVERYTHING, record.category or EVERYTHING
            return f"{record.subscriber}{KEY_BAR}{record.channel}{KEY_BAR}{sender}{KEY_BAR}{category}"
        case Sender():
            return record.sender
        case Order():
            return record.order
        case Campaign():
            return record.campaign
        case Wordlist():
            return record.list


def key_fault(record: Record) -> str | None:
    """Why no key may be made of what a record names; None where one may. For writers: the fold takes what is there.

    The sender `a|b` and the category `c` would share a key with `a` and `b|c`, and compaction would keep one of them.
    """
    match record:
        case Expression():
            parts = {"sender": record.sender, "category": record.category}
        case Sender():
            parts = {"sender": record.sender}
        case _:
            return None
    for name, part in parts.items():
        if part and KEY_BAR in part:
            return f"`{name}` holds `{KEY_BAR}`, which stands between the parts of a key: name it without"
    return None
