"""The facts that predicates ask about, in three layers that change ever more often.

* a **source**: what the number says that an event comes from: its kind, its owner, the orders on it;
* a **route**: a source together with the kind of recipient and what the event states about sender, purpose
  and category. Bulk traffic has few routes, so what depends on a route alone is worked out once for each;
* a **case**: one event on its route at one moment: the recipient's will, the text, the clock.

Each fact is worked out when it is first asked for and kept. A fact of a route cannot see the event: so
nothing that was worked out for one event can leak into the decision of another.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple, get_args

from bloom.number import Msisdn
from bloom.wills import Stance
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Channel, Purpose
from stream.model.registry import Campaign, NumberEntry, Order, Sender
from stream.policy.numbering import PORTS_MAX, FromKind, ToKind
from stream.policy.settings import Hours, Policy, ReplyExpression
from stream.policy.text import ProhibitedTerms, SenderIdentity, fold, normal
from stream.registry.ownership import OwnedPrefix, owned_form
from stream.registry.registry import Registry

STRICTEST_FIRST: tuple[Purpose, ...] = ("commercial", "public", "service", "emergency", "personal")
"""Where an event does not state its purpose it has the first of these that its entry allows (section 4)."""

CATEGORY_UNSTATED = "general"

ReplyOutcome = Literal["expression", "unheard", "other", "author_unknown", "port_unknown"]
"""What came of a reply: an expression; nothing, though it went to an owner's port; nothing, at a service number; or its
numbers are of no use, `from` (no person's) or `to` (neither an owner's nor a service number)."""
USELESS: Final[frozenset[ReplyOutcome]] = frozenset({"author_unknown", "port_unknown"})
DIGITS: Final = frozenset("0123456789")
PRESENTED_DIGITS_MIN: Final = 3
"""With fewer, what a call shows is no number: `anonymous`, `Restricted` (3GPP TS 24.607)."""
SAME_DIGITS_MIN: Final = 7
"""So many last digits of its own number a call may show alone: a subscriber's number within its area has seven."""


class ReplyMeaning(NamedTuple):
    """What comes of a reply, and the expression where it makes one."""

    outcome: ReplyOutcome
    expression: ReplyExpression | None


_AUTHOR_UNKNOWN: Final = ReplyMeaning("author_unknown", None)


class _Port(NamedTuple):
    """Where replies go: a number as the rules see it, and what comes of one there that says nothing."""

    number: str
    owner: str | None
    silence: ReplyMeaning


@dataclass(slots=True, eq=False)
class World:
    """What a decision depends on besides event and moment. It does not change while a batch is decided."""

    policy: Policy
    registry: Registry
    stale: bool = False
    """Whether the registry is staler than the policy's limit (rule 27)."""
    _prohibited: ProhibitedTerms | None = field(default=None, init=False, repr=False)
    _prohibited_of: int = field(default=-1, init=False, repr=False)
    _ordered: Mapping[tuple[Channel, str], tuple[Order, ...]] = field(default_factory=dict, init=False, repr=False)
    _ordered_of: int = field(default=-1, init=False, repr=False)
    _ports: dict[str, _Port] = field(default_factory=dict, init=False, repr=False)
    _ports_of: int = field(default=-1, init=False, repr=False)

    def prohibited(self) -> ProhibitedTerms:
        """The terms of every word list, compiled once for each generation of the registry."""
        if self._prohibited is None or self._prohibited_of != self.registry.generation:
            self._prohibited_of = self.registry.generation
            self._prohibited = ProhibitedTerms(
                term for wordlist in self.registry.wordlists.values() for term in wordlist.terms
            )
        return self._prohibited

    def origin(self, kind: type[Event], text: str | None, *, internet: bool = False) -> str | None:
        """The number that an event comes from as the rules see it; None: there is none. Not read on the internet."""
        if internet or not text:
            return text or None
        numbering, of_sms = self.policy.numbering, kind is Sms
        if numbering.is_canonical(text, of_sms=of_sms):
            return text
        number = numbering.read_port(text) if of_sms else numbering.read(text)
        return self.owned_form("call" if kind is Call else "sms", number) or None

    def port(self, text: str) -> str:
        """The number that a reply goes to as the rules see it."""
        return self.owned_form("sms", self.policy.numbering.read_port(text)) or text

    def meaning_of(self, reply: Reply) -> ReplyMeaning:
        """What comes of a reply by the policy's reply table (section 5): a microsecond where it says what others did.

        Where it goes is remembered by the number as it came: replies go to few.
        """
        policy = self.policy
        if policy.numbering.person(reply.from_) is None:
            return _AUTHOR_UNKNOWN
        if self._ports_of != self.registry.generation or len(self._ports) >= PORTS_MAX:
            self._ports, self._ports_of = {}, self.registry.generation
        port = self._ports.get(reply.to) or self._ports.setdefault(reply.to, self._port(reply.to))
        expression = policy.reply_expression(port.number, reply.text or "", port.owner)
        return port.silence if expression is None else ReplyMeaning("expression", expression)

    def _port(self, text: str) -> _Port:
        number = self.port(text)
        owner = self.registry.ownership["sms"].owner(number)
        if owner is not None:
            return _Port(number, owner.sender, ReplyMeaning("unheard", None))
        listed = self.policy.replies.listed(number)
        return _Port(number, None, ReplyMeaning("other" if listed else "port_unknown", None))

    def owned_form(self, channel: Channel, number: str) -> str:
        """A number as read, or what a gateway put a plus before, where only that is somebody's (section 4, step 5)."""
        if not number.startswith("+") or self.policy.numbering.is_person(number):
            return number
        return owned_form(self.registry.ownership[channel], number, self.policy.numbering.plus_country)

    def orders_on(self, channel: Channel, number: str, *, internet: bool = False) -> Collection[Order]:
        """Every order that names this number, which is compared whole, as the channel's events are read.

        What comes by the internet is not read: there an order names what it says, as it says it or as it is read.
        """
        if self._ordered_of != self.registry.generation:
            self._ordered, self._ordered_of = self._orders_by_number(), self.registry.generation
        if not internet:
            return self._ordered.get((channel, number), ())
        named = [*self.registry.orders_on_number(number), *self._ordered.get(("sms", number), ())]
        return {order.order: order for order in (*named, *self._ordered.get(("call", number), ()))}.values()

    def numbers_ordered(self) -> list[tuple[Channel, str]]:
        """Every number that an order names, as each channel's events are read."""
        self.orders_on("sms", "")
        return sorted(self._ordered)

    def _orders_by_number(self) -> Mapping[tuple[Channel, str], tuple[Order, ...]]:
        numbering = self.policy.numbering
        found: dict[tuple[Channel, str], tuple[Order, ...]] = {}
        for order in self.registry.orders.values():
            for channel in get_args(Channel) if order.number and order.channel is None else (order.channel,):
                if order.number and channel is not None:
                    number = (numbering.read_port if channel == "sms" else numbering.read)(order.number)
                    found[channel, number] = (*found.get((channel, number), ()), order)
        return found


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

    __slots__ = ("channel", "internet", "kind", "orders", "owner")

    def __init__(self, world: World, channel: Channel, number: str | None, *, internet: bool) -> None:
        """`number` is as `World.origin` gives it."""
        self.channel: Channel = channel
        self.internet = internet
        self.kind: FromKind = world.policy.numbering.source(number, internet=internet)
        self.owner: OwnedPrefix | None = world.registry.ownership[channel].owner(number) if number else None
        self.orders: tuple[Order, ...] = tuple(world.orders_on(channel, number, internet=internet)) if number else ()

    @property
    def identity(self) -> tuple[object, ...]:
        """Sources with the same identity are the same to every rule."""
        return self.channel, self.internet, self.kind, self.owner, tuple(order.order for order in self.orders)


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
    def suspensions_of_origin(self) -> tuple[Order, ...]:
        """Those on the owner of `from` and on `from`, whatever sender the event states."""
        return self._orders("suspend", {self.source.owner.sender if self.source.owner else None})

    @cached_property
    def stops(self) -> tuple[Order, ...]:
        """Orders to stop commercial traffic of the event's sender or of `from`, whenever in force; by id."""
        return self._orders("stop", {self.sender})

    @cached_property
    def identity(self) -> SenderIdentity | None:
        """How the sender makes itself known in a text; None for a sender that is not registered."""
        record = self.sender_record
        return SenderIdentity(record, read=self.policy.numbering.read) if record else None

    def _orders(self, measure: str, senders: set[str | None]) -> tuple[Order, ...]:
        registry = self.world.registry
        named = (order for sender in senders if sender for order in registry.orders_on_sender(sender))
        orders = (
            order
            for order in (*named, *self.source.orders)
            if order.measure == measure and order.channel in (None, self.channel)
        )
        return tuple(sorted(orders, key=lambda order: order.order))


class EventCase:
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
    def to(self) -> str:
        """The recipient's number as read; where a reply goes, as the rules see it."""
        if isinstance(self.event, Reply):
            return self.world.port(self.event.to)
        return self.world.policy.numbering.recipient(self.event.to)[1]

    @cached_property
    def from_(self) -> str | None:
        """The number that it comes from, as the rules see it."""
        return self.world.origin(type(self.event), self.event.from_, internet=on_internet(self.event))

    @cached_property
    def presented(self) -> str | None:
        """The number that a call shows, as the rules see it; None where it shows none of three digits (section 5)."""
        shown = self.world.origin(Call, self.event.presented) if isinstance(self.event, Call) else None
        return shown if shown and sum(c in DIGITS for c in shown) >= PRESENTED_DIGITS_MIN else None

    @cached_property
    def presented_owner(self) -> OwnedPrefix | None:
        """The owner of the number that a call shows; what is no number has none."""
        shown = self.presented
        if shown is None or self.world.policy.numbering.source(shown, internet=False) == "malformed":
            return None
        return self.world.registry.ownership["call"].owner(shown)

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
    def emergency_campaign(self) -> Campaign | None:
        """The open emergency campaign that carries this (rule 6).

        A number that is not the campaign's own sender's bears it only where no order suspends that number or its owner,
        and with no other text than the approved one.
        """
        campaign = self.carried_campaign
        if campaign is None or not campaign.emergency or not campaign.open_at(self.now):
            return None
        owner = self.route.source.owner
        if owner is not None and owner.sender == campaign.sender:
            return campaign
        suspended = any(order.in_force(self.now) for order in self.route.suspensions_of_origin)
        return None if suspended or (self.text and normal(self.text) != normal(campaign.text)) else campaign

    @property
    def reply_expression(self) -> ReplyExpression | None:
        """What a reply's author wants by the policy's reply table, if it says anything there."""
        return self.world.meaning_of(self.event).expression if isinstance(self.event, Reply) else None

    def _belongs(self, campaign: Campaign) -> bool:
        from_, owner, senders = self.from_ or "", self.route.source.owner, self.world.registry.senders
        owned = owner is not None and owner.sender == campaign.sender
        forms = (from_, from_.removeprefix(self.world.policy.numbering.plus_country))
        if not owned and not any(form.startswith(prefix) for form in forms for prefix in campaign.numbers):
            return False
        parties = {campaign.sender, owner.sender if owner else campaign.sender}
        return not any(senders[party].status == "revoked" for party in parties if party in senders)


def on_internet(event: Event) -> bool:
    """Whether an event is an internet message, whose `from` is an identifier and no number."""
    return not isinstance(event, Reply) and event.network == "internet"
