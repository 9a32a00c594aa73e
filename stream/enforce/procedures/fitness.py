"""Whether a public-interest campaign may be sent: what a filing lacks, what is wrong with it, what it weighs.

Article 27 in three questions. *Missing*: reason, content, time, range and sending body must be stated.
*Faults*: filed too late, by a body that is none of the two kinds, for a sender that is no public body's, for its own
publicity, beyond its range, or with a text that is too long, holds a link, or does not name the body and its phone.
*Weight*: how much it asks of how many people, and what they have expressed before. An exemption may waive what the
article leaves to other rules of the state: length and links of a text, and that a body's own publicity is outside the
scheme; never the lead time, who may file, and that the body names itself.

An emergency goes out first (Article 26). What holds it up is its window, and that it does not say what it is, or who
says what; all else that is wrong with it is said at once, and people look at it.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final, Literal, NamedTuple

import msgspec

from stream.enforce.procedures.forms import Wrong
from stream.enforce.procedures.links import links
from stream.enforce.procedures.regions import COUNTRY, Region, region
from stream.enforce.procedures.terms import Terms
from stream.model.control import Count, Figure, Filing, Level
from stream.model.fields import CONTACT_DIGITS_MIN, digits_of
from stream.model.nfkc import nfkc
from stream.model.registry import Sender
from stream.model.times import DAY_MS
from stream.policy.text import SenderIdentity, fold
from stream.registry import emergency

FaultKind = Literal[
    "body",
    "sender",
    "region",
    "work-publicity",
    "outside-range",
    "window",
    "too-late",
    "too-long",
    "expands",
    "link",
    "body-not-named",
    "phone-not-named",
    "advertisement",
]


class FilingFault(NamedTuple):
    """One thing that is wrong with a filing."""

    kind: FaultKind
    field: str
    """of the filing, as on the wire"""
    what: str

    def __str__(self) -> str:
        return f"{self.field}: {self.what}"


WAIVABLE: Final[frozenset[FaultKind]] = frozenset(("work-publicity", "too-long", "link"))
"""What Article 27 forbids "unless the state rules otherwise"."""

FLAGGED: Final[frozenset[FaultKind]] = frozenset(("link", "advertisement", "work-publicity"))
"""What people are alerted to in an emergency that was sent."""

DEPARTMENTS_OF: Final[frozenset[Level]] = frozenset(("national", "province"))
"""The governments whose departments may file."""
THEMSELVES: Final[frozenset[Level]] = frozenset(("city-with-districts", "autonomous-prefecture"))
"""The governments that may file themselves."""
_GOVERNMENT: Final = "人民政府"
"""How the name of a people's government ends; departments have names of their own."""

EXPANSION_MAX: Final = 3
"""Times its length that a character may have under NFKC, which is what rule 13 compares: U+FDFA becomes eighteen."""

LOOKED_AT: Final = 1_000
"""Characters of a text that are searched for links: one that is longer is too long whatever it holds, and is not sent.
An emergency is."""

_ADVERTISING: Final = re.compile(
    "优惠|促销|打折|[0-9一二三四五六七八九]折|特价|秒杀|满减|红包|返现|返利|领券|下单|包邮|中奖|抽奖|充值|套餐|贷款|理财|加盟|代购"
    "|招商|开业|会员"
)
"""Words of advertising, in folded text. No warning needs them; whoever looks at it sees where one does."""

_NEEDED: Final = ("sender", "body", "text", "from", "until", "incident")
_NARROWING: Final = ("body_region", "regions", "numbers")


class CampaignRecord(msgspec.Struct, frozen=True):
    """What the weigher knows besides the filing, counted from archive and campaigns."""

    people: Count
    """subscribers in the filing's range"""
    planned: Count
    """messages of approved campaigns in that range, in the 30 days before its end"""
    body_campaigns: Count
    """the body's campaigns in the 90 days before"""
    sent: Count
    """messages of those campaigns"""
    refusals: Count
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
        ("incident", filing.incident or not filing.emergency),
    )
    asked = {one.field for one in wrong}
    return (*map(str, wrong), *(name for name, value in lacks if not value and name not in asked))


def missing_in_emergency(filing: Filing, wrong: tuple[Wrong, ...] = ()) -> tuple[str, ...]:
    """What even an emergency must state before it is sent: what it is, who says what, from when until when.

    Where and by which numbers it need not say, but what it says of that must be readable: without it, the campaign
    would reach further than its body meant.
    """
    unread = tuple(str(one) for one in wrong if one.field in (*_NEEDED, *_NARROWING))
    return (*unread, *(name for name in missing(filing) if name in _NEEDED))


def faults(filing: Filing, filed: int, terms: Terms) -> tuple[FilingFault, ...]:
    """What is wrong with a filing that was made at `filed`, exemptions left aside. What it does not state is no fault
    (`missing`).
    """
    in_time = _of_window if filing.emergency else _of_time
    return (*_of_body(filing), *_of_range(filing), *in_time(filing, filed, terms), *_of_text(filing, terms))


def waived(filing: Filing, found: tuple[FilingFault, ...]) -> tuple[FilingFault, ...]:
    """What is left of the faults where the filing states the basis of an exemption."""
    return tuple(fault for fault in found if not (filing.exempt and fault.kind in WAIVABLE))


def held_up_by(filing: Filing, found: tuple[FilingFault, ...]) -> tuple[FilingFault, ...]:
    """What of the faults holds a filing up: of an emergency its window alone, else what no exemption waives."""
    if filing.emergency:
        return tuple(fault for fault in found if fault.kind == "window")
    return waived(filing, found)


def _of_body(filing: Filing) -> Iterator[FilingFault]:
    level, body = filing.level, (filing.body or "").strip()
    if filing.sender_problem:
        yield FilingFault("sender", "sender", filing.sender_problem)
    if level is not None and body:
        is_government = body.endswith(_GOVERNMENT)
        if level in DEPARTMENTS_OF and is_government:
            yield FilingFault("body", "body", f"{body} is a government: of a {level} one, a department files")
        if level in THEMSELVES and not is_government:
            yield FilingFault("body", "body", f"{body} is a department: of this level, the people's government files")
    if level is not None and level not in DEPARTMENTS_OF | THEMSELVES:
        what = (
            f"{level}; only departments of a government of a province or above file, and the people's governments of "
            "cities with districts and of autonomous prefectures"
        )
        yield FilingFault("body", "level", what)
    if filing.subject == "work-publicity":
        what = "a body's own publicity is outside the scheme, unless the state rules otherwise"
        yield FilingFault("work-publicity", "subject", what)


def _of_range(filing: Filing) -> Iterator[FilingFault]:
    own = _known(filing.body_region)
    if filing.body_region and own is None:
        yield _unknown_region("body_region", filing.body_region)
    elif own is not None and filing.level in DEPARTMENTS_OF | THEMSELVES and own.level != filing.level:
        what = f"{own.code} ({own.name}) is of level {own.level}, not {filing.level}"
        yield FilingFault("region", "body_region", what)
    unknown = [code for code in filing.regions if region(code) is None]
    if unknown:
        yield _unknown_region("regions", unknown[0])
    if own is not None:
        outside = [code for code in filing.regions if not _significant(code).startswith(_significant(own.code))]
        if outside:
            yield FilingFault("outside-range", "regions", f"{outside[0]} is outside {own.code} ({own.name})")


def _unknown_region(field: str, code: str) -> FilingFault:
    return FilingFault("region", field, f"{code} is no region's code (GB/T 2260)")


def _known(code: str | None) -> Region | None:
    return region(code) if code else None


def _of_time(filing: Filing, filed: int, terms: Terms) -> Iterator[FilingFault]:
    limits = terms.settings.campaign
    if filing.from_ is None:
        return
    if filing.until is not None and not 0 < filing.until - filing.from_ <= limits.window_ms_max:
        days = limits.window_ms_max // DAY_MS
        yield FilingFault("window", "until", f"after `from`, and at most {days} days later")
    lead = terms.calendar.after(filed, limits.lead_working_days)
    if filing.from_ < lead.at:
        first = lead.day + timedelta(days=1)
        unknown = "" if lead.known else "; the make-up days of that year are not announced yet"
        what = f"{limits.lead_working_days} working days ahead is {first} or later (Shanghai){unknown}"
        yield FilingFault("too-late", "from", what)


def uncertain_lead(filing: Filing, filed: int, terms: Terms) -> str | None:
    """What to say of a filing whose days ahead reach into a year without an official calendar; else None."""
    days = terms.settings.campaign.lead_working_days
    if filing.emergency or terms.calendar.after(filed, days).known:
        return None
    return f"the {days} working days ahead reach into a year whose make-up days are not announced, and may end later"


def _of_window(filing: Filing, filed: int, terms: Terms) -> Iterator[FilingFault]:
    if filing.from_ is None or filing.until is None:
        return
    most = terms.settings.campaign.emergency_window_ms_max
    problem = emergency.window_problem(filing.from_, filing.until, filed, length_ms_max=most)
    if problem is not None:
        yield FilingFault("window", "until", problem)


def _of_text(filing: Filing, terms: Terms) -> Iterator[FilingFault]:
    text = (filing.text or "").strip()
    if not text:
        return
    units, units_max = utf16_units(text), terms.campaign_characters_max
    if units > units_max:
        yield FilingFault("too-long", "text", f"{units} characters of {units_max}")
    for character in sorted({one for one in text if len(nfkc(one)) > EXPANSION_MAX}):
        what = f"U+{ord(character):04X} becomes {len(nfkc(character))} characters (NFKC): write it out"
        yield FilingFault("expands", "text", what)
    folded, identity = fold(text), _identity(filing, terms)
    for link in links(text if filing.emergency else text[:LOOKED_AT]):
        yield FilingFault("link", "text", f"link {link}")
    if terms.link is not None and terms.link.search(folded):
        yield FilingFault("link", "text", "link, as the policy's texts.link has it")
    if filing.emergency:
        yield from _advertising(folded, terms)
    if filing.body and not identity.named_in(folded):
        yield FilingFault("body-not-named", "text", f"does not name {filing.body}")
    if _usable_contact(filing) and not identity.contact_in(folded):
        yield FilingFault("phone-not-named", "text", f"does not name the phone {filing.contact}")


def _advertising(folded: str, terms: Terms) -> Iterator[FilingFault]:
    """An emergency that advertises: it says how to refuse, as only advertising must, or has words of it."""
    said = terms.opt_out.found(folded) or ((word := _ADVERTISING.search(folded)) and word[0])
    if said:
        yield FilingFault("advertisement", "text", f"reads like an advertisement: {said}")


def utf16_units(text: str) -> int:
    """Characters as the network counts them: an emoji is two (3GPP TS 23.038, UCS-2)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


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
    return (filing.body_region,) if filing.body_region and filing.body_region != COUNTRY else ()


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
            # A sender has one. Where the filing has none that is of use, nobody looks for it.
            contact=filing.contact if filing.contact and _usable_contact(filing) else "0" * CONTACT_DIGITS_MIN,
            status="active",
            numbers=(),
        ),
        read=terms.numbering.read,
    )
