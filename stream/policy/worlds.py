"""A concrete event for every combination of answers that there can be.

The combinations are laid out by *axes*: one choice each about recipient, will, origin, entry, orders, campaign, text,
call and settings. One registry holds every sender, number, order and campaign that a choice may name, so that two
scenes differ only in their event, their moment and which of four worlds they are in.

Most rules ask little of most events: a service SMS is never asked about campaigns. For each kind and purpose, the
predicates that some open row asks about are *in play*. Axes about those are laid out in full; the others are drawn
from a fixed seed, so that their answers vary but do not multiply.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, NamedTuple

import msgspec

from bloom.wills import CHANNELS
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import EntryPurpose, EventKind, Measure, Network, Purpose, SenderStatus
from stream.model.registry import Campaign, Expression, NumberEntry, Order, Record, Sender, Wordlist
from stream.policy.axioms import KINDS, PURPOSES
from stream.policy.facts import World
from stream.policy.loading import load
from stream.policy.predicates import ALL, Predicate
from stream.policy.rules import TABLE
from stream.policy.settings import Policy
from stream.registry.registry import registry_of

NOON: Final = 1_795_492_800_000
"""2026-11-24T12:00:00+08:00, within the permitted hours."""
NIGHT: Final = NOON + 11 * 3_600_000
"""Eleven in the evening, outside of them."""
EVER: Final = NOON + 86_400_000

SCENES_COUNT_MIN: Final = 12_000
"""Scenes of one kind and purpose: where few axes are laid out, they are laid out again, the others drawn again."""

Option = str
Choice = Mapping[str, Option]
"""axis → option"""

AXES: Final[Mapping[str, tuple[Option, ...]]] = {
    "to": ("help", "redress", "short", "person", "other"),
    "will": ("consented", "refused", "silent"),
    "from": ("missing", "malformed", "port", "person"),
    "owner": ("nobody", "the sender", "another"),
    "stated": ("yes", "no"),
    "network": ("telecom", "internet"),
    "standing": ("active", "revoked", "unregistered"),
    "permitted": ("yes", "no"),
    "emergencies": ("yes", "no"),
    "category": ("permitted", "not"),
    "platform": ("no", "event's", "entry's"),
    "order": ("none", "suspend", "stop", "both"),
    "campaign": ("approved", "filed", "none"),
    "campaign of": ("another", "the sender"),
    "campaign emergency": ("yes", "no"),
    "campaign window": ("open", "over"),
    "campaign region": ("covered", "not"),
    "campaign text": ("same", "other"),
    "prohibited": ("yes", "no"),
    "identified": ("yes", "no"),
    "opt-out": ("yes", "no"),
    "verstat": ("passed", "failed"),
    "presented": ("own", "foreign"),
    "reply": ("expression", "chat"),
    "silence": ("refuse", "allow"),
    "freshness": ("fresh", "stale"),
    "hour": ("noon", "night"),
}
"""Every choice that a scene is made of."""

ASKED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "to": ("to_help", "to_redress", "to_short", "to_person"),
    "will": ("consented", "refused", "silent"),
    "from": ("from_given", "from_well_formed", "from_person"),
    "owner": ("from_owned", "has_entry"),
    "stated": ("sender_stated",),
    "network": ("on_internet",),
    "standing": ("licensed", "emergency_entry"),
    "permitted": ("purpose_permitted",),
    "emergencies": ("emergency_entry",),
    "category": ("category_permitted",),
    "platform": ("from_platform",),
    "order": ("suspended", "stopped"),
    "campaign": ("campaign_known", "emergency_campaign"),
    "campaign of": ("emergency_campaign",),
    "campaign emergency": ("emergency_campaign",),
    "campaign window": ("campaign_open", "emergency_campaign"),
    "campaign region": ("campaign_covers",),
    "campaign text": ("campaign_text",),
    "prohibited": ("prohibited",),
    "identified": ("identified",),
    "opt-out": ("opt_out_shown",),
    "verstat": ("verstat_failed",),
    "presented": ("presents_foreign",),
    "reply": ("makes_expression",),
    "silence": ("silence_refuses",),
    "freshness": ("stale",),
    "hour": ("quiet",),
}
"""Which predicates each axis is there for."""

TO: Final = {"help": "110", "redress": "12321", "short": "95588", "other": "20001"}
RECIPIENT: Final = {"consented": "+8613800000001", "refused": "+8613800000002", "silent": "+8613800000003"}
STEM: Final = {"malformed": "x", "port": "1069", "person": "+86170"}
WORDS: Final = {"prohibited": "赌场", "identified": "某某公司95588", "opt-out": "退订"}


CAMPAIGN_AXES: Final = ("campaign", "campaign of", "campaign emergency", "campaign window", "campaign text", *WORDS)
"""What a campaign is made of, besides the sender that it may be of."""


class Scene(NamedTuple):
    """One event, in one world, at one moment."""

    event: Event
    world: World
    now: int


@dataclass(frozen=True, slots=True)
class Play:
    """A kind and a purpose, and the predicates that matter to such events."""

    kind: EventKind
    purpose: Purpose
    given: frozenset[Predicate]
    """the predicates that kind and purpose settle"""
    asked: tuple[Predicate, ...]
    """the others that a row asks about, if no row above it is sure to decide"""


def plays() -> tuple[Play, ...]:
    """Every kind and purpose. A reply's purpose is never asked for, so it is left at personal."""
    kinds: tuple[EventKind, ...] = ("sms", "call", "reply")
    purposes: tuple[Purpose, ...] = ("personal", "service", "commercial", "public", "emergency")
    return tuple(
        _play(kind, purpose) for kind, purpose in product(kinds, purposes) if kind != "reply" or purpose == "personal"
    )


def _play(kind: EventKind, purpose: Purpose) -> Play:
    settled = {*KINDS, *PURPOSES}
    given = frozenset(predicate for predicate in settled if predicate.name in (kind, purpose))
    asked: dict[Predicate, None] = {}
    for rule in TABLE:
        if any(need.predicate in settled and (need.predicate in given) is not need.holds for need in rule.needs):
            continue
        left = [need.predicate for need in rule.needs if need.predicate not in settled]
        asked.update(dict.fromkeys(left))
        if not left:
            break
    return Play(kind, purpose, given, tuple(predicate for predicate in ALL if predicate in asked))


def scenes(play: Play, *, seed: int = 1) -> Iterator[Scene]:
    """Scenes that show, between them, every combination of the predicates in play. Always in the same order."""
    draw = random.Random(seed)  # noqa: S311 - it draws variety, no secret
    asked = {predicate.name for predicate in play.asked}
    laid_out = [axis for axis in AXES if asked.intersection(ASKED_BY[axis])]
    drawn = [axis for axis in AXES if axis not in laid_out]
    every = list(product(*(AXES[axis] for axis in laid_out)))
    for _ in range(-(-SCENES_COUNT_MIN // len(every))):
        for options in every:
            choice = dict(zip(laid_out, options, strict=True)) | {axis: draw.choice(AXES[axis]) for axis in drawn}
            if play.kind == "reply" or _possible(choice, drawn):
                yield _STAGE.scene(play, choice)


def _possible(choice: dict[str, Option], drawn: list[str]) -> bool:
    """Whether the choice can be staged; choices that were only drawn are mended."""
    _mend(choice, drawn, "network", "telecom")  # or else no number is malformed
    if choice["from"] == "missing":
        _mend(choice, drawn, "owner", "nobody")
        if choice["owner"] != "nobody":
            return False
    if choice["owner"] == "the sender":
        _mend(choice, drawn, "standing", "active")
        return choice["standing"] != "unregistered"
    wanted = "yes" if choice["owner"] == "another" or choice["standing"] != "unregistered" else choice["stated"]
    _mend(choice, drawn, "stated", wanted)
    if choice["to"] != "person":
        _mend(choice, drawn, "will", "silent")
    return choice["stated"] == wanted and (choice["to"] == "person" or choice["will"] == "silent")


def _mend(choice: dict[str, Option], drawn: list[str], axis: str, option: Option) -> None:
    if axis in drawn:
        choice[axis] = option


class _Stage:
    """The one registry, and the four worlds on it."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], str] = {}
        self._records: list[Record] = [Wordlist(list="L", terms=(WORDS["prohibited"],))]
        self._senders()
        self._campaigns()
        registry = registry_of(self._records)
        self._worlds = {
            (silence, freshness): World(_policy(silence), registry, stale=freshness == "stale")
            for silence, freshness in product(AXES["silence"], AXES["freshness"])
        }

    def scene(self, play: Play, choice: Choice) -> Scene:
        """The scene of a choice."""
        now = NOON if choice["hour"] == "noon" else NIGHT
        if play.kind == "reply":
            return Scene(_reply(choice, now), self._world(choice), now)
        from_ = self._from(play, choice)
        to = RECIPIENT[choice["will"]] if choice["to"] == "person" else TO[choice["to"]]
        sender = f"{choice['standing']}/{choice['order']}" if choice["stated"] == "yes" else None
        network: Network = "internet" if choice["network"] == "internet" else "telecom"
        event: Event
        if play.kind == "sms":
            region = "110101" if choice["campaign region"] == "covered" else "310000"
            text, campaign = _text(choice), _campaign_of(choice)
            event = Sms("e", now, to, sender, from_, play.purpose, "finance", text, campaign, region, network)
        else:
            verstat = "TN-Validation-Failed" if choice["verstat"] == "failed" else None
            presented = "+861099900000" if choice["presented"] == "foreign" else None
            platform = choice["platform"] == "event's"
            event = Call(
                "e", now, to, sender, from_, play.purpose, "finance", platform, presented, verstat, None, network
            )
        return Scene(event, self._world(choice), now)

    def _world(self, choice: Choice) -> World:
        return self._worlds[choice["silence"], choice["freshness"]]

    def _from(self, play: Play, choice: Choice) -> str | None:
        if choice["from"] == "missing":
            return None
        if choice["owner"] == "nobody":
            return self._numbers[choice["from"], "nobody", choice["order"]]
        if choice["owner"] == "another":
            return self._numbers[choice["from"], "another", choice["order"]]
        purposes = _purposes(play.purpose, choice["permitted"], choice["emergencies"])
        platform = "entry's" if choice["platform"] == "entry's" else "no"
        sender = f"{choice['standing']}/{choice['order']}"
        return self._numbers[choice["from"], sender, " ".join(purposes), choice["category"], platform]

    def _senders(self) -> None:
        for standing, order in product(("active", "revoked", "unregistered"), AXES["order"]):
            sender = f"{standing}/{order}"
            self._order(order, sender=sender)
            self._consents(sender)
            if standing == "active":
                self._sender(sender, self._entries(sender))
            elif standing == "revoked":
                self._sender(sender, self._entries(sender), revoked=True)
        entries = []
        for stem, order in product(STEM, AXES["order"]):
            owned = self._number(stem, "another", order)
            unowned = self._number(stem, "nobody", order)
            for number in (owned, unowned):
                self._order(order, number=number)
            entries += _on_both(owned, ("commercial",))
        self._sender("another", entries)
        self._records += (
            Expression(subscriber=RECIPIENT["refused"], channel=channel, will="refuse", time=NOON, source="prove")
            for channel in CHANNELS
        )

    def _entries(self, sender: str) -> list[NumberEntry]:
        purposes: tuple[Purpose, ...] = ("personal", "service", "commercial", "public", "emergency")
        sets = {_purposes(purpose, *bits) for purpose in purposes for bits in product(("yes", "no"), repeat=2)}
        entries: list[NumberEntry] = []
        for stem, held, category, platform in product(STEM, sorted(sets), AXES["category"], ("no", "entry's")):
            number = self._number(stem, sender, " ".join(held), category, platform)
            categories = () if category == "permitted" else ("travel",)
            entries += _on_both(number, held, categories, platform=platform != "no")
        return entries

    def _number(self, stem: str, *what: str) -> str:
        number = f"{STEM[stem]}{len(self._numbers):08}"
        self._numbers[stem, *what] = number
        return number

    def _sender(self, sender: str, entries: list[NumberEntry], *, revoked: bool = False) -> None:
        status: SenderStatus = "revoked" if revoked else "active"
        self._records.append(
            Sender(sender=sender, name="某某公司", contact="95588", status=status, numbers=tuple(entries))
        )

    def _order(self, order: Option, *, sender: str | None = None, number: str | None = None) -> None:
        measures: tuple[Measure, ...] = ("suspend", "stop")
        for measure in measures:
            if order in (measure, "both"):
                self._records.append(
                    Order(
                        order=f"{measure} {sender or number}",
                        measure=measure,
                        from_=0,
                        basis="measures",
                        sender=sender,
                        number=number,
                    )
                )

    def _consents(self, sender: str) -> None:
        for channel in CHANNELS:
            self._records.append(
                Expression(
                    subscriber=RECIPIENT["consented"],
                    channel=channel,
                    will="consent",
                    time=NOON,
                    source="prove",
                    sender=sender,
                    category="finance",
                )
            )

    def _campaigns(self) -> None:
        axes = ("standing", "order", *CAMPAIGN_AXES)
        for options in product(*(AXES[axis] for axis in axes)):
            choice = dict(zip(axes, options, strict=True))
            name = _campaign_of(choice)
            if name is None:
                continue
            self._records.append(
                Campaign(
                    campaign=name,
                    status="approved" if choice["campaign"] == "approved" else "filed",
                    sender=_sender_of(choice),
                    from_=0,
                    until=EVER if choice["campaign window"] == "open" else 1,
                    text=_text(choice) if choice["campaign text"] == "same" else "别的",
                    emergency=choice["campaign emergency"] == "yes",
                    numbers=tuple(STEM.values()),
                    regions=("110000",),
                )
            )


def _reply(choice: Choice, now: int) -> Reply:
    return Reply("e", now, RECIPIENT["silent"], "10086", "KTFSR" if choice["reply"] == "expression" else "你好")


def _on_both(
    prefix: str, purposes: tuple[EntryPurpose, ...], categories: tuple[str, ...] = (), *, platform: bool = False
) -> list[NumberEntry]:
    return [
        NumberEntry(prefix, "sms", purposes, categories, platform),
        NumberEntry(prefix, "call", purposes, categories, platform),
    ]


def _purposes(purpose: Purpose, permitted: Option, emergencies: Option) -> tuple[Purpose, ...]:
    """The purposes of an entry; whether it permits an emergency follows from whether it is for them."""
    held: set[Purpose] = {purpose} if permitted == "yes" else set()
    if emergencies == "yes" and purpose != "emergency":
        held.add("emergency")
    return tuple(sorted(held))


def _campaign_of(choice: Choice) -> str | None:
    if choice["campaign"] == "none":
        return None
    return "/".join((_sender_of(choice), *(choice[axis] for axis in CAMPAIGN_AXES)))


def _sender_of(choice: Choice) -> str:
    """The sender of the campaign that a choice names."""
    return "another" if choice["campaign of"] == "another" else f"{choice['standing']}/{choice['order']}"


def _text(choice: Choice) -> str:
    return "你好" + ",".join(words for axis, words in WORDS.items() if choice[axis] == "yes")


def _policy(silence: Option) -> Policy:
    """cn-2020 with hours, and with silence as chosen."""
    file, hours = load().file, load("opt-out").file.hours
    consent = msgspec.structs.replace(file.consent, silence=silence)
    return Policy(msgspec.structs.replace(file, consent=consent, hours=hours), text=silence)


_STAGE: Final = _Stage()
