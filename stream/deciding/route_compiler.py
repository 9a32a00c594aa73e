"""What the native module is given: the registry as it reads it, and each route's rows with their answers encoded.

The tuples here are the module's own (native/src/convert.rs reads their fields by name). Decisions are encoded by
`codec.encode` and taken apart where an event's own values go, so that there is one encoder. Promises that what is one
route to the module is one route here: the module passes the number kinds and the owner that it has found, and they are
checked here. Where they differ from Python's, the route falls back to Python.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bloom.base import BasedWills, NativeProbe
from stream.deciding.activity import CLAIMED
from stream.deciding.batch import SERVICE
from stream.deciding.windows import AnsweredEvent
from stream.model.codec import encode
from stream.model.decision import Decision
from stream.model.events import Call, Sms
from stream.model.fields import EventKind, Purpose
from stream.model.registry import Campaign, Order, Sender
from stream.policy.facts import Route, Source, Stated, World
from stream.policy.masks import MaskedRow, masked
from stream.policy.numbering import FromKind, ToKind
from stream.policy.predicates import NUMBER_PROTECTION, Predicate, region_prefix
from stream.policy.program import RuleOutcome, cited
from stream.policy.rules import Rule
from stream.policy.settings import Hours, within
from stream.policy.text import SenderIdentity

_TO_KINDS: Final[tuple[ToKind, ...]] = ("help", "redress", "short", "person", "other")
_FROM_KINDS: Final[tuple[FromKind, ...]] = ("missing", "person", "port", "identifier", "malformed")
_KINDS: Final[tuple[type[Sms | Call], ...]] = (Sms, Call)
_SMS, _CALL, _INTERNET = range(3)
"""Where numbers stand. All of these in the native module's order."""

_SUSPENSION, _STOP, _FALLBACK = -1, -2, -3
"""Answers that are no outcome of their own: that of an order, or a fallback to Python."""

_FOR_GOOD: Final = (1 << 63) - 1

_EVENT, _TO, _FROM, _SENDER, _EPOCH, _ORIGIN = (f"\ue000{place}\ue001" for place in range(6))
"""What a sample decision holds where an event's own values go."""

RowParts = tuple[int, int, int]
"""The masks of what a row needs and forbids, and its answer."""

MeasureParts = tuple[int, int, int]
"""From when, until when, and the template that cites the order that is in force then."""


class Template(NamedTuple):
    """What decisions have in common after the sender's name, and after `origin`."""

    middle: bytes
    tail: bytes
    service: bool
    claim: bool
    """whether the sender that it names is a mere claim, so that activity counts the number"""


class Below(NamedTuple):
    """The probe for the stance, and the rows below it for each stance."""

    channel: int
    consent: int
    refusals: tuple[int, int, int]
    consented: list[RowParts]
    refused: list[RowParts]
    silent: list[RowParts]


class Program(NamedTuple):
    """The open rows of a route, and what their predicates look at."""

    above: list[RowParts]
    below: Below | None
    suspensions: list[MeasureParts]
    stops: list[MeasureParts]
    hours: int | None
    name: int
    sender: int | None
    owner: int | None


class CompiledRoute(NamedTuple):
    """A route's program, and what is new since the last."""

    program: Program
    templates: list[Template]
    names: list[bytes]
    quiet: list[bool]


class SenderFacts(NamedTuple):
    """A registered sender."""

    revoked: bool
    names: tuple[str, ...]
    contacts: tuple[str, ...]


class CampaignFacts(NamedTuple):
    """A campaign."""

    campaign: str
    approved: bool
    emergency: bool
    from_: int
    until: int
    sender: int | None
    prefixes: list[str]
    regions: list[str]
    text: str


class Facts(NamedTuple):
    """The registry without refusals and consents."""

    prefixes: list[tuple[int, str, int, bool]]
    """channel, prefix, the place of its owner, and whether it protects the numbers of others; the order is that of the
    holdings"""
    ordered: list[tuple[int, str]]
    """where it stands, and a number as it is read there that an order names"""
    senders: list[SenderFacts]
    campaigns: list[CampaignFacts]
    terms: list[str]


class _Places:
    """What programs and outcomes refer to by place, and what of it the module does not have yet."""

    def __init__(self) -> None:
        self.answers: list[AnsweredEvent] = []
        """by outcome"""
        self.tallied: list[tuple[str, str, str]] = []
        """what is counted: kind, verdict, reason"""
        self.tallies: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        """by outcome: its place among what is counted"""
        self._templates: dict[tuple[str, EventKind, str | None, bool], int] = {}
        self._outcomes: list[tuple[RuleOutcome, bool]] = []
        """by template: one of its outcomes, whose sender does not count, and whether that is a mere claim"""
        self._names: dict[str | None, int] = {}
        self._senders: list[str | None] = []
        """by name"""
        self._new_templates: list[Template] = []
        self._new_names: list[bytes] = []

    def template(self, rule: Rule, route: Route, order: Order | None) -> int:
        """The place of what a row answers, where it cites this order if any."""
        outcome = RuleOutcome(rule, route)
        claim = rule.reason in CLAIMED and _is_mere_claim(route)
        key = rule.id, outcome.kind, order.order if order else None, claim
        place = self._templates.get(key)
        if place is None:
            place = self._templates[key] = len(self._templates)
            self._outcomes.append((outcome, claim))
            self._new_templates.append(_template_of(outcome, order, claim=claim))
        return place

    def name(self, sender: str | None) -> int:
        """The place of a sender's name as decisions write it."""
        place = self._names.get(sender)
        if place is None:
            place = self._names[sender] = len(self._names)
            self._senders.append(sender)
            self._new_names.append(msgspec.json.encode(sender))
        return place

    def new(self) -> tuple[list[Template], list[bytes]]:
        """What is new since the last call."""
        new = self._new_templates, self._new_names
        self._new_templates, self._new_names = [], []
        return new

    def add_outcomes(self, outcomes: Sequence[tuple[int, int]]) -> None:
        """Give these outcomes, pairs of a name and a template, the next places."""
        tallies: list[int] = []
        for name, template in outcomes:
            outcome, claim = self._outcomes[template]
            sender = None if claim else self._senders[name]
            self.answers.append(AnsweredEvent(outcome.kind, sender, outcome.verdict, outcome.reason))
            tally = outcome.kind, outcome.verdict, outcome.reason
            if tally not in self.tallied:  # there are some eighty
                self.tallied.append(tally)
            tallies.append(self.tallied.index(tally))
        if tallies:
            self.tallies = np.append(self.tallies, np.array(tallies, dtype=np.int32))


class RouteCompiler:
    """Compiles routes for the native module, of one decider's policy and registry."""

    def __init__(self, world: World, wills: BasedWills, bits: Mapping[Predicate, int]) -> None:
        self._world = world
        self._wills = wills
        self._bits = bits
        self._hours: list[tuple[Hours, ...]] = []
        self._places: dict[str, int] = {}
        self._holdings: list[str] = []
        self._senders: dict[str, tuple[Sender, SenderFacts]] = {}
        self._refers = _Places()
        self.misread_count = 0
        """routes that the module took for another: their events fall back to Python"""
        self.now = 0
        """the moment of the batch at hand"""

    @property
    def answers(self) -> list[AnsweredEvent]:
        """What each outcome is counted as, by place."""
        return self._refers.answers

    def add_outcomes(self, outcomes: Sequence[tuple[int, int]]) -> None:
        """Add outcomes that the module has answered with for the first time: pairs of a name and a template."""
        self._refers.add_outcomes(outcomes)

    def counts(self, outcomes: NDArray[np.int32]) -> list[tuple[str, str, str, int]]:
        """How often each kind, verdict and reason stands among these outcomes."""
        counted = np.bincount(self._refers.tallies[outcomes])
        return [(*self._refers.tallied[tally], int(counted[tally])) for tally in np.flatnonzero(counted).tolist()]

    def quiet(self) -> list[bool]:
        """Of each set of hours that a route has, whether the moment lies outside of it."""
        return [not within(hours, self.now) for hours in self._hours]

    def clear_routes(self) -> None:
        """Drop what programs refer to: the module has dropped its routes."""
        self._refers = _Places()

    def facts(self) -> Facts:
        """The registry as it stands."""
        registry = self._world.registry
        self._places = {sender: place for place, sender in enumerate(registry.senders)}
        prefixes = [
            (number, prefix, self._places[holding.sender], NUMBER_PROTECTION in holding.entry.purposes)
            for number, ownership in enumerate((registry.ownership["sms"], registry.ownership["call"]))
            for prefix, holding in ownership.owners()
        ]
        self._holdings = [prefix for _, prefix, *_ in prefixes]
        return Facts(
            prefixes,
            self._ordered(),
            self._senders_of(registry.senders),
            [self._campaign_of(record) for record in registry.campaigns.values()],
            self._world.prohibited().terms,
        )

    def compile(
        self,
        kind: int,
        numbers: tuple[str | None, bool, str],
        stated: tuple[str | None, Purpose | None, str | None, bool],
        kinds: tuple[int, int],
        owned: tuple[int | None, bool],
    ) -> CompiledRoute:
        """The program of a route that has none yet, by one of its events. Some 50 µs.

        The native module passes the kinds that it has found for `from` and `to`, the owner of `from`, and whether an
        order names it.
        """
        from_, internet, to = numbers
        holding, ordered = owned
        number = self._world.origin(_KINDS[kind], from_, internet=internet)
        source = Source(self._world, "call" if kind else "sms", number, internet=internet)
        to_kind, _ = self._world.policy.numbering.recipient(to)
        route = Route(self._world, _KINDS[kind], source, to_kind, Stated(*stated))
        owner = source.owner
        found = source.kind, route.to_kind, owner.entry.prefix if owner else None, bool(source.orders)
        prefix = None if holding is None else self._holdings[holding]
        by_module = _FROM_KINDS[kinds[0]], _TO_KINDS[kinds[1]], prefix, ordered
        if found == by_module:
            program = self._program(route)
        else:  # the module reads this policy's numbers otherwise, which its trial did not show
            self.misread_count += 1
            program = self._fallback()
        return CompiledRoute(program, *self._refers.new(), self.quiet())

    def _fallback(self) -> Program:
        """All events that the module takes for this route fall back to Python."""
        return Program([(0, 0, _FALLBACK)], None, [], [], None, self._refers.name(None), None, None)

    def _program(self, route: Route) -> Program:
        above, below = masked(route, self._bits)
        rules = {row.rule for rows in (above, *(below or {}).values()) for row in rows if row.rule.cites_order}
        return Program(
            self._rows(above, route),
            None
            if below is None
            else Below(
                *self._probe(route),
                *(self._rows(below[stance], route) for stance in ("consented", "refused", "silent")),
            ),
            self._measures(rules, "suspended", route.suspensions, route),
            self._measures(rules, "stopped", route.stops, route),
            self._hours_of(route),
            self._refers.name(route.sender),
            self._places.get(route.sender) if route.sender else None,
            self._places[route.source.owner.sender] if route.source.owner else None,
        )

    def _probe(self, route: Route) -> NativeProbe:
        return self._wills.probe(route.channel, route.sender, route.category)

    def _rows(self, rows: tuple[MaskedRow, ...], route: Route) -> list[RowParts]:
        return [(row.needs, row.forbids, self._answer(row, route)) for row in rows]

    def _answer(self, row: MaskedRow, route: Route) -> int:
        if not row.sure:
            return _FALLBACK
        if row.rule.cites_order:
            return _SUSPENSION if row.rule.reason == "suspended" else _STOP
        return self._refers.template(row.rule, route, None)

    def _measures(self, rules: set[Rule], reason: str, orders: tuple[Order, ...], route: Route) -> list[MeasureParts]:
        return [
            (
                order.from_,
                _FOR_GOOD if order.until is None else order.until,
                self._refers.template(rule, route, order),
            )
            for rule in rules
            if rule.reason == reason
            for order in orders
        ]

    def _hours_of(self, route: Route) -> int | None:
        if not route.hours:
            return None
        if route.hours not in self._hours:
            self._hours.append(route.hours)
        return self._hours.index(route.hours)

    def _ordered(self) -> list[tuple[int, str]]:
        """The numbers that orders name, read as events are; on the internet as they are written as well."""
        ordered = self._world.numbers_ordered()
        named = {order.number for order in self._world.registry.orders.values() if order.number}
        named.update(number for _, number in ordered)
        read = ((_CALL if channel == "call" else _SMS, number) for channel, number in ordered)
        return [*read, *((_INTERNET, number) for number in sorted(named))]

    def _senders_of(self, senders: Mapping[str, Sender]) -> list[SenderFacts]:
        """Their facts; those of records that have not changed since the last time are kept."""
        known = self._senders
        self._senders = {
            name: kept
            if (kept := known.get(name)) is not None and kept[0] is record
            else (record, self._sender(record))
            for name, record in senders.items()
        }
        return [facts for _, facts in self._senders.values()]

    def _sender(self, record: Sender) -> SenderFacts:
        identity = SenderIdentity(record, read=self._world.policy.numbering.read)
        return SenderFacts(record.status == "revoked", identity.names, identity.contacts)

    def _campaign_of(self, record: Campaign) -> CampaignFacts:
        return CampaignFacts(
            record.campaign,
            record.status == "approved",
            record.emergency,
            record.from_,
            record.until,
            self._places.get(record.sender),
            list(record.numbers),
            [region_prefix(region) for region in record.regions],
            record.text,
        )


def _is_mere_claim(route: Route) -> bool:
    """Whether an event states a sender that its number does not bear out: activity then counts it for the number."""
    owner = route.source.owner
    return route.sender is not None and (owner is None or owner.sender != route.sender)


def _template_of(outcome: RuleOutcome, order: Order | None, *, claim: bool) -> Template:
    """A sample decision, encoded and taken apart where an event's own values go."""
    citation = cited(order) if order else None
    sample = Decision(
        event=_EVENT,
        of=outcome.kind,
        time=0,
        decided=0,
        to=_TO,
        from_=_FROM,
        sender=_SENDER,
        verdict=outcome.verdict,
        reason=outcome.reason,
        basis=citation.basis if citation else outcome.basis,
        policy=outcome.policy,
        epoch=_EPOCH,
        origin=_ORIGIN,
        code=outcome.code,
        appeal=(citation.appeal if citation else None) or outcome.appeal,
    )
    _, _, after_sender = encode(sample).partition(f'"{_SENDER}"'.encode())
    middle, _, after_epoch = after_sender.partition(_EPOCH.encode())
    between, _, tail = after_epoch.partition(f'"{_ORIGIN}"'.encode())
    assert between == b'","origin":', "a decision's last fields are epoch, origin, code and appeal"
    return Template(middle, tail, outcome.reason == SERVICE, claim)
