"""The questions that rules ask, each named once.

A predicate is a sentence about a case with two endings, for when it holds and when it does not; rules,
documentation, `explain` and the proof all use these names. It belongs to a *layer*: `route` if source,
recipient's kind and statements settle it, else `case`. A case predicate may be *idle* on a route: settled
there after all (no order names this sender, no word list is loaded), which spares every event on that route
the question.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from stream.model.events import Call, Reply, Sms
from stream.policy.facts import DIGITS, SAME_DIGITS_MIN, EventCase, Route
from stream.policy.settings import within
from stream.policy.text import normal

FAILED_VERSTAT = "tn-validation-failed"
"""3GPP TS 24.229, 7.2A.20, in lower case."""
NUMBER_PROTECTION = "number-protection"


@dataclass(frozen=True, slots=True, eq=False)
class Predicate:
    """A named question. `~predicate` is its negation, as rules write it."""

    name: str
    holds: str
    """the sentence when it holds"""
    fails: str
    """the sentence when it does not"""
    of_route: Callable[[Route], bool] | None = None
    """the answer from the route alone"""
    of_case: Callable[[EventCase], bool] | None = None
    """the answer from the case"""
    idle: Callable[[Route], bool] | None = None
    """of a case predicate: whether it cannot hold for any case on this route"""

    def __invert__(self) -> "Needs":
        return Needs(self, holds=False)

    def ask(self, case: EventCase) -> bool:
        """The answer for one case: the plain meaning, which every quicker way must agree with."""
        if self.of_route is not None:
            return self.of_route(case.route)
        assert self.of_case is not None
        return self.of_case(case)


@dataclass(frozen=True, slots=True)
class Needs:
    """A predicate as a rule needs it: holding, or not."""

    predicate: Predicate
    holds: bool = field(kw_only=True)

    @property
    def sentence(self) -> str:
        """The need in words."""
        return self.predicate.holds if self.holds else self.predicate.fails

    def met_by(self, case: EventCase) -> bool:
        """Whether the case is as the rule needs it."""
        return self.predicate.ask(case) is self.holds


def _route(name: str, holds: str, fails: str, of_route: Callable[[Route], bool]) -> Predicate:
    return Predicate(name, holds, fails, of_route=of_route)


def _case(
    name: str,
    holds: str,
    fails: str,
    of_case: Callable[[EventCase], bool],
    *,
    idle: Callable[[Route], bool] | None = None,
) -> Predicate:
    return Predicate(name, holds, fails, of_case=of_case, idle=idle)


# What kind of event it is, and to whom.
SMS = _route("sms", "it is an SMS", "it is no SMS", lambda r: r.kind is Sms)
CALL = _route("call", "it is a call", "it is no call", lambda r: r.kind is Call)
REPLY = _route("reply", "it is a reply", "it is no reply", lambda r: r.kind is Reply)
TO_HELP = _route("to_help", "`to` is a help number", "`to` is no help number", lambda r: r.to_kind == "help")
TO_REDRESS = _route(
    "to_redress", "`to` is a redress number", "`to` is no redress number", lambda r: r.to_kind == "redress"
)
TO_SHORT = _route("to_short", "`to` is a short number", "`to` is no short number", lambda r: r.to_kind == "short")
TO_PERSON = _route(
    "to_person", "`to` is a person's number", "`to` is no person's number", lambda r: r.to_kind == "person"
)
MAKES_EXPRESSION = _case(
    "makes_expression",
    "a subscriber sends what the reply table has for this number",
    "the reply table has nothing for it, or its author is no person",
    lambda c: c.reply_expression is not None,
)

# Why it is sent.
PERSONAL = _route("personal", "it is personal", "it is not personal", lambda r: r.purpose == "personal")
SERVICE = _route("service", "it is service traffic", "it is not service traffic", lambda r: r.purpose == "service")
COMMERCIAL = _route("commercial", "it is commercial", "it is not commercial", lambda r: r.purpose == "commercial")
PUBLIC = _route("public", "it is public-interest", "it is not public-interest", lambda r: r.purpose == "public")
EMERGENCY = _route("emergency", "it is an emergency", "it is no emergency", lambda r: r.purpose == "emergency")
FROM_PLATFORM = _route(
    "from_platform",
    "it comes from a platform",
    "it comes from no platform",
    lambda r: r.stated.platform or (r.entry is not None and r.entry.platform),
)

# From which number, and whose that is.
FROM_GIVEN = _route("from_given", "`from` is given", "`from` is missing", lambda r: r.source.kind != "missing")
FROM_WELL_FORMED = _route(
    "from_well_formed",
    "`from` is a subscriber number, 3 to 20 digits, or an internet identifier",
    "`from` is neither a subscriber number nor 3 to 20 digits",
    lambda r: r.source.kind not in ("missing", "malformed"),
)
FROM_PERSON = _route(
    "from_person", "`from` is a person's number", "`from` is no person's number", lambda r: r.source.kind == "person"
)
ON_INTERNET = _route(
    "on_internet", "it is an internet message", "it is no internet message", lambda r: r.source.internet
)
FROM_OWNED = _route("from_owned", "`from` has an owner", "`from` has no owner", lambda r: r.source.owner is not None)
SENDER_STATED = _route(
    "sender_stated",
    "the event states its sender",
    "the event states no sender",
    lambda r: bool(r.stated.sender),
)
LICENSED = _route(
    "licensed",
    "the sender is registered and active",
    "there is no sender, or it is not registered, or revoked",
    lambda r: r.sender_record is not None and r.sender_record.status == "active",
)
HAS_ENTRY = _route(
    "has_entry",
    "the sender owns `from`",
    "the owner of `from` is not the event's sender",
    lambda r: r.entry is not None,
)
PURPOSE_PERMITTED = _route(
    "purpose_permitted",
    "the purpose is among the entry's",
    "the purpose is not among the entry's",
    lambda r: r.entry is not None and r.purpose in r.entry.purposes,
)
CATEGORY_PERMITTED = _route(
    "category_permitted",
    "the category is among the entry's, or it lists none",
    "the category is not among the entry's",
    lambda r: r.entry is None or not r.entry.categories or r.category in r.entry.categories,
)
VERSTAT_FAILED = _case(
    "verstat_failed",
    "the network's validation of `from` has failed",
    "no validation of `from` has failed",
    lambda c: isinstance(c.event, Call) and (c.event.verstat or "").strip().lower().startswith(FAILED_VERSTAT),
    idle=lambda r: r.kind is not Call,
)


def _presents_foreign(case: EventCase) -> bool:
    shown, owner = case.presented, case.presented_owner
    if shown is None or shown == case.from_:
        return False
    senders = {None if whose is None else whose.sender for whose in (owner, case.route.source.owner)}
    if (owner is None or len(senders) == 1) and _own_digits(shown, case.from_ or ""):
        return False
    return owner is None or (owner.sender != case.route.sender and NUMBER_PROTECTION not in owner.entry.purposes)


def _own_digits(shown: str, from_: str) -> bool:
    """Whether a call shows the last digits of its own number, without country or area."""
    return len(shown) >= SAME_DIGITS_MIN and DIGITS.issuperset(shown) and from_.endswith(shown)


PRESENTS_FOREIGN = _case(
    "presents_foreign",
    "it shows another number, which neither is the sender's nor protects numbers",
    "it shows its own number, or one that is the sender's or protects numbers",
    _presents_foreign,
    idle=lambda r: r.kind is not Call,
)

# Which measures stand.
SUSPENDED = _case(
    "suspended",
    "an order to suspend is in force on the sender, the owner of `from`, or `from`",
    "no order to suspend is in force",
    lambda c: c.suspension is not None,
    idle=lambda r: not r.suspensions,
)
STOPPED = _case(
    "stopped",
    "an order to stop commercial traffic is in force on the sender or on `from`",
    "no order to stop is in force",
    lambda c: c.stop is not None,
    idle=lambda r: not r.stops,
)

# Emergencies and campaigns.
EMERGENCY_ENTRY = _route(
    "emergency_entry",
    "the sender is active and its entry has purpose emergency",
    "the sender is not active or its entry has no purpose emergency",
    lambda r: (
        LICENSED.of_route is not None
        and LICENSED.of_route(r)
        and r.entry is not None
        and "emergency" in r.entry.purposes
    ),
)
EMERGENCY_CAMPAIGN = _case(
    "emergency_campaign",
    "an approved emergency campaign that is open carries it",
    "no open emergency campaign carries it",
    lambda c: c.emergency_campaign is not None,
)
CAMPAIGN_KNOWN = _case(
    "campaign_known",
    "an approved campaign of that id has `from`",
    "no approved campaign of that id has `from`",
    lambda c: c.carried_campaign is not None,
)
CAMPAIGN_OPEN = _case(
    "campaign_open",
    "the campaign is open",
    "the campaign is not open",
    lambda c: c.campaign is not None and c.campaign.open_at(c.now),
)


def _covered(case: EventCase) -> bool:
    region = (case.event.region if isinstance(case.event, Sms) else None) or ""
    if case.campaign is None or not case.campaign.regions or not _is_region(region):
        return True
    return any(region.startswith(region_prefix(covered)) for covered in case.campaign.regions)


def _is_region(region: str) -> bool:
    return len(region) == 6 and region.isascii() and region.isdigit()


def region_prefix(region: str) -> str:
    """What the codes of all regions within this one begin with: its own without trailing pairs of noughts."""
    while len(region) % 2 == 0 and region.endswith("00"):
        region = region[:-2]
    return region


CAMPAIGN_COVERS = _case(
    "campaign_covers",
    "the campaign covers the recipient's region, or that is unknown",
    "the campaign has regions and does not cover the recipient's",
    _covered,
)
CAMPAIGN_TEXT = _case(
    "campaign_text",
    "the text is the approved one",
    "the text differs from the approved one",
    lambda c: c.campaign is not None and normal(c.text) == normal(c.campaign.text),
)

# What the text says.
PROHIBITED = _case(
    "prohibited",
    "the text contains a prohibited term",
    "the text contains no prohibited term",
    lambda c: c.world.prohibited().found(c.folded) is not None,
    idle=lambda r: not any(wordlist.terms for wordlist in r.world.registry.wordlists.values()),
)
IDENTIFIED = _case(
    "identified",
    "the text names the sender and its contact",
    "the text lacks the sender or its contact",
    lambda c: (
        c.route.identity is not None and c.route.identity.named_in(c.folded) and c.route.identity.contact_in(c.folded)
    ),
)
OPT_OUT_SHOWN = _case(
    "opt_out_shown",
    "the text tells how to refuse",
    "the text does not tell how to refuse",
    lambda c: c.route.policy.opt_out.search(c.folded),
)

# What the recipient wants, and what silence means.
CONSENTED = _case(
    "consented",
    "the recipient has consented",
    "the recipient has not consented",
    lambda c: c.stance == "consented",
)
REFUSED = _case(
    "refused", "the recipient has refused", "the recipient has not refused", lambda c: c.stance == "refused"
)
SILENT = _case("silent", "the recipient is silent", "the recipient is not silent", lambda c: c.stance == "silent")
SILENCE_REFUSES = _route(
    "silence_refuses", "silence is refusal", "silence is no refusal", lambda r: r.policy.silence_refuses
)
STALE = _route(
    "stale",
    "the registry is staler than the limit, and the policy fails closed",
    "the registry is fresh enough, or the policy fails open",
    lambda r: r.world.stale and r.policy.fails_closed,
)
QUIET = _case(
    "quiet",
    "the moment is outside the permitted hours",
    "the moment is permitted, or the policy sets no hours",
    lambda c: bool(c.route.hours) and not within(c.route.hours, c.now),
    idle=lambda r: not r.hours,
)

ALL = tuple(thing for thing in globals().values() if isinstance(thing, Predicate))
"""Every predicate, in the order of this file."""
