"""Whether a public-interest campaign may be sent: what a filing lacks, what is wrong with it, what it weighs.

Article 27 in three questions. *Missing*: reason, content, time, range and sending body must be stated.
*Faults*: filed too late, by a body of too low a level, for its own publicity, beyond its range, or with a
text that is too long, holds a link, or does not name the body and its phone. *Weight*: how much it asks of
how many people, and what they have expressed before. An exemption may waive the limits on lead time, length and
links; never who may file, for what, and that the body names itself.
"""

from typing import Final, Literal

import msgspec

from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.terms import Terms
from stream.model.control import Figure, Filing, Level
from stream.model.fields import CONTACT_DIGITS_MIN, digits_of
from stream.model.registry import Sender
from stream.policy.text import SenderIdentity, fold

FilingFault = Literal[
    "level",
    "work-publicity",
    "outside-range",
    "window",
    "too-late",
    "too-long",
    "link",
    "body-not-named",
    "phone-not-named",
]

WAIVABLE: Final[frozenset[FilingFault]] = frozenset(("too-late", "too-long", "link"))
"""The limits of Article 27 that an exemption can waive."""

LEVELS: Final[frozenset[Level]] = frozenset(("national", "province", "city-with-districts"))
"""The bodies that may file: a province, or a city with districts, upward."""

EVERYWHERE: Final = "000000"

_NEEDED: Final = ("sender", "body", "text", "from", "until")
_NARROWING: Final = ("body_region", "regions", "numbers")


class CampaignRecord(msgspec.Struct, frozen=True):
    """What the weigher knows besides the filing, counted from archive and campaigns."""

    people: int
    """subscribers in the filing's range"""
    planned: int
    """messages of approved campaigns in that range, in the 30 days before its end"""
    body_campaigns: int
    """the body's campaigns in the 90 days before"""
    sent: int
    """messages of those campaigns"""
    refusals: int
    """replies to them that refuse"""


def missing(filing: Filing, wrong: tuple[Wrong, ...] = ()) -> tuple[str, ...]:
    """What a filing must still state before it can be checked. What is ill-formed comes as `field: what is wrong`."""
    lacks = (
        ("sender", filing.sender),
        ("body", filing.body),
        ("body_region", filing.body_region),
        ("level", filing.level),
        ("subject", filing.subject),
        ("reason", filing.reason),
        ("text", filing.text),
        ("contact", _usable_contact(filing)),
        ("from", filing.from_ is not None),
        ("until", filing.until is not None),
        ("volume", filing.volume),
    )
    asked = {one.field for one in wrong}
    return (*map(str, wrong), *(name for name, value in lacks if not value and name not in asked))


def missing_in_emergency(filing: Filing, wrong: tuple[Wrong, ...] = ()) -> tuple[str, ...]:
    """What even an emergency must state before it is sent: who says what, from when until when.

    Where and by which numbers it need not say, but what it says of that must be readable: without it, the campaign
    would reach further than its body meant.
    """
    unread = tuple(str(one) for one in wrong if one.field in (*_NEEDED, *_NARROWING))
    return (*unread, *(name for name in missing(filing) if name in _NEEDED))


def faults(filing: Filing, filed: int, terms: Terms) -> tuple[FilingFault, ...]:
    """What is wrong with a complete filing that was made at `filed`, exemptions left aside."""
    assert filing.from_ is not None, "a complete filing has a beginning"
    assert filing.until is not None, "a complete filing has an end"
    limits = terms.settings.campaign
    lead = terms.calendar.after(filed, limits.lead_working_days)
    text, folded = filing.text or "", fold(filing.text or "")
    identity = _identity(filing, terms)
    found: tuple[tuple[FilingFault, bool], ...] = (
        ("level", filing.level not in LEVELS),
        ("work-publicity", filing.subject == "work-publicity"),
        ("outside-range", not _within_range(filing)),
        ("window", not 0 < filing.until - filing.from_ <= limits.window_ms_max),
        ("too-late", filing.from_ < lead.at),
        ("too-long", len(text.strip()) > terms.campaign_characters_max),
        ("link", terms.link.search(folded)),
        ("body-not-named", not identity.named_in(folded)),
        ("phone-not-named", not identity.contact_in(folded)),
    )
    return tuple(fault for fault, holds in found if holds)


def waived(filing: Filing, found: tuple[FilingFault, ...]) -> tuple[FilingFault, ...]:
    """What is left of the faults where the filing states the basis of an exemption."""
    return tuple(fault for fault in found if not (filing.exempt and fault in WAIVABLE))


def weigh(filing: Filing, standing: CampaignRecord, terms: Terms) -> tuple[Figure, ...]:
    """What Article 27 wants weighed, each figure beside its limit: volume on people, frequency, refusals."""
    limits = terms.settings.campaign
    messages = standing.planned + (filing.volume or 0)
    return (
        Figure("messages_per_person", messages / max(1, standing.people), limits.messages_per_person_max),
        Figure("body_campaigns", standing.body_campaigns + 1, limits.body_campaigns_max),
        Figure(
            "refusals_per_thousand",
            1_000 * standing.refusals / max(1, standing.sent),
            limits.refusals_per_thousand_max,
        ),
    )


def too_heavy(figures: tuple[Figure, ...]) -> tuple[str, ...]:
    """The figures that are over their limit."""
    return tuple(one.name for one in figures if one.limit is not None and one.value > one.limit)


def regions_of(filing: Filing) -> tuple[str, ...]:
    """Where the campaign goes: where it says, or else all that the body governs; none is the whole country."""
    if filing.regions:
        return filing.regions
    return (filing.body_region,) if filing.body_region and filing.body_region != EVERYWHERE else ()


def _within_range(filing: Filing) -> bool:
    own = _significant(filing.body_region or "")
    regions = regions_of(filing)
    if not regions:
        return own == ""
    return all(_significant(region).startswith(own) for region in regions)


def _significant(region: str) -> str:
    """A region's code without trailing 00 pairs, as rule 12 compares them: 110000 covers 110101."""
    while region.endswith("00"):
        region = region[:-2]
    return region


def _usable_contact(filing: Filing) -> bool:
    return len(digits_of(filing.contact or "")) >= CONTACT_DIGITS_MIN


def _identity(filing: Filing, terms: Terms) -> SenderIdentity:
    """The body as a sender makes itself known in a text: by its name and its contact."""
    return SenderIdentity(
        Sender(
            sender=filing.sender or "",
            name=filing.body or "",
            contact=filing.contact or "",
            status="active",
            numbers=(),
        ),
        read=terms.numbering.read,
    )
