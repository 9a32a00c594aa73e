"""The control plane's records: findings, notices, complaints, appeals, filings, orders and reports.

Topics hold them as JSON like every other record (DESIGN section 4): one `kind` each, times in milliseconds,
absent for null and empty. What people file may be incomplete, and an incomplete complaint or filing is
answered with what is missing, not thrown away: so such records require only their id and time, and the
procedures of `stream.enforce` say what else they need.

Numbers stand here in full because measures and answers need them. They never become part of an id.
"""

from typing import Annotated, Final, Literal

import msgspec

from stream.model.fields import Channel, EventId, Measure, Name, SubscriberNumber, Time, Verdict

CaseId = EventId
Count = Annotated[int, msgspec.Meta(ge=0)]

Grounds = Literal[
    "blocked-share",
    "burst",
    "refusals",
    "sweep",
    "personal-as-platform",
    "disguised-as-service",
    "complaint",
    "dispute",
    "prohibited-content",
    "regulator-order",
    "inspection",
]
"""What a finding rests on: a rule of early warning, a person's word, or an authority's."""

AT_ONCE_BASES = ("prohibited-content", "regulator-order")
"""The bases on which an order may come before its notice was delivered (DESIGN section 4)."""

Addressee = Literal["regulator", "state-organs", "complaint-centre", "appeals-body", "company"]
"""To whom reports go; `complaint-centre` is 12321, `company` the carrier or provider that must act."""

NoticeSubject = Literal["measure", "measure-ended", "missing", "answer", "decision", "listing"]
NoticeOutcome = Literal[
    "for-party",
    "for-measure",
    "for-user",
    "for-company",
    "declined",
    "settled",
    "confirmed",
    "spoofed",
    "unconfirmed",
    "approved",
    "refused",
    "withdrawn",
]
"""How what a notice tells of came out: an appeal, a dispute, a complaint, a filing."""

DeliveryOutcome = Literal["delivered", "failed"]
Level = Literal["national", "province", "city-with-districts", "autonomous-prefecture", "county", "township", "other"]
"""The level of government of a body that files a campaign. Article 27 admits the first four."""

ComplaintSubject = Literal["commercial", "prohibited-content"]
"""What a complaint is about (Articles 29, 31)."""

CampaignSubject = Literal["public-good", "disaster-warning", "emergency-handling", "work-publicity"]

Incident = Literal["natural-disaster", "accident-disaster", "public-health", "public-security"]
"""What an emergency is about (Article 26): 自然灾害, 事故灾难, 公共卫生事件, 社会安全事件."""


class Party(msgspec.Struct, frozen=True):
    """Whom a finding or measure is about: a registered sender, or a number that nobody owns. Exactly one."""

    sender: str | None = None
    number: str | None = None

    def __post_init__(self) -> None:
        if bool(self.sender) == bool(self.number):
            raise ValueError("a party is exactly one of `sender` and `number`")


class Figure(msgspec.Struct, frozen=True):
    """One number behind a finding, with the limit that it passed."""

    name: Name
    value: float
    limit: float | None = None


class Finding(msgspec.Struct, frozen=True, tag_field="kind", tag="finding"):
    """A violation that was found, with the figures and records that show it (Articles 21, 22)."""

    finding: EventId
    time: Time
    party: Party
    grounds: Grounds
    basis: Name
    channel: Channel | None = None
    figures: tuple[Figure, ...] = ()
    evidence: tuple[Name, ...] = ()
    actor: str | None = None


class Notice(msgspec.Struct, frozen=True, tag_field="kind", tag="notice"):
    """A notice: to a party before a measure, to an applicant about a decision, a user about a
    complaint.

    `to` names the addressee as the connector knows it. A notice of a measure states measure, reason,
    evidence, the address for appeals, and how long the party has (`grace_ms`, counted from when it was notified; absent
    where the measure is in force already). `channel` is that of the measure, or of what a user complains of, None for
    both; `at` when what was found was found, or what is complained of came; `number` the number or sender that a user
    complains of. A measure ends at `until`, or lasts so long (`lasts_ms`), or has no end yet. `addressee`: its name,
    where the case knows it. `outcome`: how it came out, where something was decided.
    """

    notice: EventId
    case: CaseId
    time: Time
    to: Name
    subject: NoticeSubject
    reason: Name
    basis: str | None = None
    measure: Measure | None = None
    grace_ms: Count | None = None
    appeal: str | None = None
    evidence: tuple[Name, ...] = ()
    figures: tuple[Figure, ...] = ()
    missing: tuple[Name, ...] = ()
    channel: Channel | None = None
    at: Time | None = None
    number: Name | None = None
    until: Time | None = None
    lasts_ms: Count | None = None
    addressee: Name | None = None
    outcome: NoticeOutcome | None = None


NO_ADDRESS: Final = "contacts"
"""The `via` of a delivery where the contacts file has no address for the addressee."""


class Delivery(msgspec.Struct, frozen=True, tag_field="kind", tag="delivery"):
    """One attempt to deliver a notice or report, kept because "was notified" must be provable.

    `notice` is the id of either. `address` is where it went, masked; `digest` the SHA-256 of the bytes that were sent.
    `at_addressee`: it failed at the addressee's end, whose server or mailbox was there and did not take it; no other
    failure tells anybody.
    """

    notice: EventId
    case: CaseId
    time: Time
    outcome: DeliveryOutcome
    attempt: Annotated[int, msgspec.Meta(ge=1)]
    via: Name
    detail: str | None = None
    address: Name | None = None
    digest: Name | None = None
    at_addressee: bool = False


class Complaint(msgspec.Struct, frozen=True, tag_field="kind", tag="complaint"):
    """A user's complaint about a message or call (Articles 29 to 31).

    `at` is when it came; `refusal`: the user asks for no more of it, and intake has made sure who asks. `owner`: the
    sender whose number `from` is by the registry, which intake finds, whatever the user calls the sender. `about` is
    `commercial` where it is not stated. What a person filled in wrongly is asked for like what is missing (`notices`,
    with the form that it must have).
    """

    complaint: EventId
    time: Time
    subscriber: SubscriberNumber | None = None
    channel: Channel | None = None
    about: ComplaintSubject | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    sender: str | None = None
    at: Time | None = None
    text: str | None = None
    evidence: tuple[Name, ...] = ()
    refusal: bool = False
    owner: Name | None = None
    actor: str | None = None


class Appeal(msgspec.Struct, frozen=True, tag_field="kind", tag="appeal"):
    """A party's appeal against a measure (Article 22) or a listing (Article 36); `against` is that case."""

    appeal: EventId
    time: Time
    against: CaseId
    party: Party
    grounds: str | None = None
    evidence: tuple[Name, ...] = ()
    actor: str | None = None


class Dispute(msgspec.Struct, frozen=True, tag_field="kind", tag="dispute"):
    """A user's dispute taken to the appeals body (Article 33): over how `complaint` was dealt with, if there was one.

    `party` is who sent what it is about, where that is known.
    """

    dispute: EventId
    time: Time
    complaint: CaseId | None = None
    party: Party | None = None
    subscriber: SubscriberNumber | None = None
    grounds: str | None = None
    evidence: tuple[Name, ...] = ()
    actor: str | None = None


class Filing(msgspec.Struct, frozen=True, tag_field="kind", tag="filing"):
    """A government body's application for a public-interest campaign (Articles 25 to 27).

    `body` is the body's name as the text gives it, `contact` its phone, `body_region` the six-digit code of
    what it governs (`000000` the whole country), `volume` how many messages it means to send. Of an emergency
    `incident` says what it is; `register`: what its sender's record lacks is registered by the same act, which the API
    sees to. `sender_problem`, which the API finds: why the sender is no public body's, by its record as it is now.
    """

    filing: EventId
    time: Time
    sender: str | None = None
    body: str | None = None
    body_region: str | None = None
    level: Level | None = None
    subject: CampaignSubject | None = None
    reason: str | None = None
    text: str | None = None
    contact: str | None = None
    from_: Time | None = msgspec.field(name="from", default=None)
    until: Time | None = None
    regions: tuple[Name, ...] = ()
    numbers: tuple[Name, ...] = ()
    volume: Count | None = None
    emergency: bool = False
    incident: Incident | None = None
    register: bool = False
    exempt: str | None = None
    sender_problem: str | None = None
    actor: str | None = None


class Direction(msgspec.Struct, frozen=True, tag_field="kind", tag="direction"):
    """A regulator's order to take a measure of Article 22 (Article 37).

    `document` is its reference. `at_once`: the order itself says that the party need not be notified first. `region`:
    of the telecom administration whose order it is.
    """

    direction: EventId
    time: Time
    party: Party
    measure: Measure
    authority: str | None = None
    document: str | None = None
    channel: Channel | None = None
    until: Time | None = None
    at_once: bool = False
    region: Name | None = None
    actor: str | None = None


class Punishment(msgspec.Struct, frozen=True, tag_field="kind", tag="punishment"):
    """A penalty that an authority imposed on an operator: the ground for the bad-actor list (Article 36).

    `region`: of the telecom administration that proposes it for the list.
    """

    punishment: EventId
    time: Time
    party: Party
    authority: Name
    document: Name
    region: Name | None = None
    actor: str | None = None


class Listing(msgspec.Struct, frozen=True, tag_field="kind", tag="listing"):
    """An entry of the bad-actor list, in force from `from_` (inclusive) to `until` (exclusive)."""

    listing: EventId
    party: Party
    from_: Time = msgspec.field(name="from")
    until: Time
    punishment: EventId
    document: Name


class Report(msgspec.Struct, frozen=True, tag_field="kind", tag="report"):
    """What a case tells an authority or a company, and on which duty that rests."""

    report: EventId
    case: CaseId
    time: Time
    to: Addressee
    about: Name
    basis: Name
    evidence: tuple[Name, ...] = ()


Letter = Notice | Report
"""What `wurao notify` delivers."""


def letter_id(letter: Letter) -> EventId:
    """A letter's id, by which a repeat is recognised. Those of notices begin with N, those of reports with R."""
    return letter.notice if isinstance(letter, Notice) else letter.report


def addressee(letter: Letter) -> str:
    """To whom it goes, as the contacts file names addressees: a report to an office, such as `office|regulator`."""
    return letter.to if isinstance(letter, Notice) else f"office|{letter.to}"


class Tally(msgspec.Struct, frozen=True, gc=False):
    """How many events of a window were answered so."""

    verdict: Verdict
    reason: Name
    count: Count


WINDOW_MS = 10_000
"""The length of a window of activity (DESIGN section 1)."""

BLOCK_NUMBERS = 50
"""Numbers in a block of recipients: as many bits as every JSON reader holds exactly, and a round figure."""


class Block(msgspec.Struct, frozen=True, gc=False):
    """Recipients that lie close together: bit i of `bits` is set where `first` + i is one.

    `first` is a multiple of `BLOCK_NUMBERS`. Every partition, and so every worker, sees its own part of a sweep
    through consecutive numbers: only blocks of all workers put together show the run.
    """

    first: Count
    bits: Annotated[int, msgspec.Meta(ge=1, lt=1 << BLOCK_NUMBERS)]


class Activity(msgspec.Struct, frozen=True, tag_field="kind", tag="activity"):
    """What one sender, or one number behind which no sender stands, did on a channel in one window (Article 21).

    An event counts against the sender that it names only if the number it came from is that sender's; else against
    the number, or against nobody where that was forged.

    `window` is its start. `recipients` counts distinct ones, `refusals` replies that refuse, `opt_out_hints`
    service texts that tell how to refuse (service has no need to), `run` the longest run of recipients whose
    numbers follow one another, `dense` the blocks in which several of them lie. `worker` names the part of a
    worker's run that counted: parts of a window add up, and the same part again says the same.
    """

    window: Time
    party: Party
    channel: Channel
    tallies: tuple[Tally, ...]
    recipients: Count = 0
    refusals: Count = 0
    opt_out_hints: Count = 0
    run: Count = 0
    dense: tuple[Block, ...] = ()
    worker: str | None = None


ControlRecord = (
    Finding
    | Notice
    | Delivery
    | Complaint
    | Appeal
    | Dispute
    | Filing
    | Direction
    | Punishment
    | Listing
    | Report
    | Activity
)
"""Every record of the control plane that is not a registry record."""


def key_of_control(record: ControlRecord) -> str:
    """The key under which a record stands: that of the case or party whose records must stay in order."""
    match record:
        case Finding() | Activity():
            key = party_key(record.party)
        case Notice() | Delivery() | Report():
            key = record.case
        case Complaint():
            key = record.complaint
        case Appeal():
            key = record.appeal
        case Dispute():
            key = record.dispute
        case Filing():
            key = record.filing
        case Direction():
            key = record.direction
        case Punishment():
            key = record.punishment
        case _:
            key = record.listing
    return key


def party_key(party: Party) -> str:
    """A party as a key: a sender and a number that look alike stay apart."""
    return f"sender|{party.sender}" if party.sender else f"number|{party.number}"
