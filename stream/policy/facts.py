"""The facts that predicates ask about, in three layers that change ever more often.

* a **source**: what the number says that an event comes from: its kind, its owner, the orders on it;
* a **route**: a source together with the kind of recipient and what the event states about sender, purpose
  and category. Bulk traffic has few routes, so what depends on a route alone is worked out once for each;
* a **case**: one event on its route at one moment: the recipient's will, the text, the clock.

Each fact is worked out when it is first asked for and kept. A fact of a route cannot see the event: so
nothing that was worked out for one event can leak into the decision of another.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple

from bloom.number import Msisdn
from bloom.wills import Stance
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Channel, Purpose
from stream.model.registry import Campaign, NumberEntry, Order, Sender
from stream.policy.numbering import FromKind, ToKind
from stream.policy.settings import Hours, Policy, Wish
from stream.policy.text import Identity, Prohibited, fold
from stream.registry.ownership import Holding
from stream.registry.registry import Registry

STRICTEST_FIRST: tuple[Purpose, ...] = ("commercial", "public", "service", "emergency", "personal")
"""Where an event does not state its purpose it has the first of these that its entry allows (section 4)."""

CATEGORY_UNSTATED = "general"

ReplyOutcome = Literal["expression", "unheard", "other", "author_unknown", "port_unknown"]
"""What came of a reply: an expression; nothing, though it went to an owner's port; nothing, at a service number; or its
numbers are of no use, `from` (no person's) or `to` (neither an owner's nor a service number)."""
USELESS: Final[frozenset[ReplyOutcome]] = frozenset({"author_unknown", "port_unknown"})


@dataclass(slots=True, eq=False)
class World:
    """What a decision depends on besides event and moment. It does not change while a batch is decided."""

    policy: Policy
    registry: Registry
    stale: bool = False
    """Whether the registry is staler than the policy's limit (rule 27)."""
    _prohibited: Prohibited | None = field(default=None, init=False, repr=False)
    _prohibited_of: int = field(default=-1, init=False, repr=False)

    def prohibited(self) -> Prohibited:
        """The terms of every word list, compiled once for each generation of the registry."""
        if self._prohibited is None or self._prohibited_of != self.registry.generation:
            self._prohibited_of = self.registry.generation
            self._prohibited = Prohibited(
                term for wordlist in self.registry.wordlists.values() for term in wordlist.terms
            )
        return self._prohibited


class Stated(NamedTuple):
    """What an event says of itself that its route depends on."""

    sender: str | None
    purpose: Purpose | None
    category: str | None
    platform: bool


class Source:
    """Where an event comes from.

    Numbers with the same kind and owner, and the same orders on them, are alike to every rule, so that one
    source stands for millions of subscribers' numbers.
    """

    __slots__ = ("channel", "kind", "orders", "owner")

    def __init__(self, world: World, channel: Channel, from_: str | None, *, internet: bool) -> None:
        self.channel: Channel = channel
        self.kind: FromKind = world.policy.numbering.source(from_, internet=internet)
        self.owner: Holding | None = world.registry.ownership[channel].owner(from_) if from_ else None
        self.orders: tuple[Order, ...] = tuple(world.registry.orders_on_number(from_)) if from_ else ()

    @property
    def identity(self) -> tuple[object, ...]:
        """Sources with the same identity are the same to every rule."""
        return self.channel, self.kind, self.owner, tuple(order.order for order in self.orders)


class Route:
    """A source, a kind of recipient, and what the event states: all that many events share."""

    def __init__(self, world: World, kind: type[Event], source: Source, to_kind: ToKind, stated: Stated) -> None:
        self.world = world
        self.kind = kind
        self.source = source
        self.to_kind = to_kind
        self.stated = stated

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        return self.world.policy

    @property
    def channel(self) -> Channel:
        """The channel of wills, orders and ownership: a reply is an SMS."""
        return self.source.channel

    @cached_property
    def sender(self) -> str | None:
        """The event's sender: the stated one, or else the owner of `from`."""
        return self.stated.sender or (self.source.owner.sender if self.source.owner else None)

    @cached_property
    def sender_record(self) -> Sender | None:
        """The sender's record, if it is registered."""
        return self.world.registry.senders.get(self.sender) if self.sender else None

    @cached_property
    def entry(self) -> NumberEntry | None:
        """*The entry*: the owner's longest matching prefix, if the owner is the event's sender."""
        owner = self.source.owner
        return owner.entry if owner is not None and owner.sender == self.sender else None

    @cached_property
    def purpose(self) -> Purpose:
        """The stated purpose, or the strictest that the entry has, or `personal`."""
        if self.stated.purpose:
            return self.stated.purpose
        held = self.entry.purposes if self.entry else ()
        return next((purpose for purpose in STRICTEST_FIRST if purpose in held), "personal")

    @cached_property
    def category(self) -> str:
        """The stated category, or the entry's only one, or `general`."""
        if self.stated.category:
            return self.stated.category
        held = self.entry.categories if self.entry else ()
        return held[0] if len(held) == 1 else CATEGORY_UNSTATED

    @cached_property
    def hours(self) -> tuple[Hours, ...]:
        """The windows in which such traffic may arrive; none: it is not limited."""
        return self.policy.hours(self.channel, self.category)

    @cached_property
    def suspensions(self) -> tuple[Order, ...]:
        """Orders to suspend the event's sender, the owner of `from`, or `from`, whenever in force; by id."""
        senders = {self.sender, self.source.owner.sender if self.source.owner else None}
        return self._orders("suspend", senders)

    @cached_property
    def stops(self) -> tuple[Order, ...]:
        """Orders to stop commercial traffic of the event's sender or of `from`, whenever in force; by id."""
        return self._orders("stop", {self.sender})

    @cached_property
    def identity(self) -> Identity | None:
        """How the sender makes itself known in a text; None for a sender that is not registered."""
        return Identity(self.sender_record) if self.sender_record else None

    def _orders(self, measure: str, senders: set[str | None]) -> tuple[Order, ...]:
        registry = self.world.registry
        named = (order for sender in senders if sender for order in registry.orders_on_sender(sender))
        orders = (
            order
            for order in (*named, *self.source.orders)
            if order.measure == measure and order.channel in (None, self.channel)
        )
        return tuple(sorted(orders, key=lambda order: order.order))


class Case:
    """One event on its route, at one moment."""

    def __init__(self, event: Event, route: Route, number: Msisdn | None, now: int) -> None:
        self.event = event
        self.route = route
        self.number = number
        self.now = now

    @property
    def world(self) -> World:
        """The policy and the registry."""
        return self.route.world

    @cached_property
    def suspension(self) -> Order | None:
        """The order to suspend that is in force; of several the one with the smallest id."""
        return next((order for order in self.route.suspensions if order.in_force(self.now)), None)

    @cached_property
    def stop(self) -> Order | None:
        """The order to stop commercial traffic that is in force; of several the one with the smallest id."""
        return next((order for order in self.route.stops if order.in_force(self.now)), None)

    @cached_property
    def stance(self) -> Stance:
        """The recipient's will toward the event's sender and category. A number without wills is silent."""
        if self.number is None:
            return "silent"
        route = self.route
        return self.world.registry.wills.stance(route.channel, self.number, route.sender, route.category)

    @cached_property
    def folded(self) -> str:
        """The text as rules read it; an absent text is empty."""
        return fold(self.text)

    @property
    def text(self) -> str:
        """The text as it was sent. Calls have none."""
        return "" if isinstance(self.event, Call) else self.event.text or ""

    @cached_property
    def campaign(self) -> Campaign | None:
        """The campaign that the event names."""
        if not isinstance(self.event, Sms) or not self.event.campaign:
            return None
        return self.world.registry.campaigns.get(self.event.campaign)

    @cached_property
    def carried_campaign(self) -> Campaign | None:
        """The approved campaign that the event names and to which `from` belongs."""
        campaign = self.campaign
        if campaign is None or campaign.status != "approved" or not self._belongs(campaign):
            return None
        return campaign

    @cached_property
    def wish(self) -> Wish | None:
        """What a reply's author wants by the policy's reply table, if it says anything there."""
        event = self.event
        if not isinstance(event, Reply) or not self.world.policy.numbering.is_subscriber(event.from_):
            return None
        owner = self._port_owner
        return self.world.policy.wish(event.to, event.text or "", owner.sender if owner else None)

    @cached_property
    def came_of(self) -> ReplyOutcome:
        """What came of a reply, as replies are counted."""
        event, policy = self.event, self.world.policy
        assert isinstance(event, Reply), "asked of replies alone"
        if self.wish is not None:
            return "expression"
        if not policy.numbering.is_subscriber(event.from_):
            return "author_unknown"
        if self._port_owner is not None:
            return "unheard"
        return "other" if policy.replies.listed(event.to) else "port_unknown"

    @property
    def _port_owner(self) -> Holding | None:
        """The owner of the number that a reply goes to."""
        return self.world.registry.ownership["sms"].owner(self.event.to)

    def _belongs(self, campaign: Campaign) -> bool:
        from_, owner, senders = self.event.from_ or "", self.route.source.owner, self.world.registry.senders
        owned = owner is not None and owner.sender == campaign.sender
        if not owned and not any(from_.startswith(prefix) for prefix in campaign.numbers):
            return False
        parties = {campaign.sender, owner.sender if owner else campaign.sender}
        return not any(senders[party].status == "revoked" for party in parties if party in senders)
