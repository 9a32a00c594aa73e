"""`decide`: the table run on one event, and its quick form for whole batches.

`first_match` is the plain meaning: ask the rows in order. `Decider` gives the same answers from the same rows, faster:
it keeps, for each route that traffic takes, what the table comes to there (`program`). Bulk traffic so costs, per
event, the recipient's kind, two dict look-ups, one look-up of a will, and the few questions left.

Nothing is logged, counted or awaited here.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from bloom.number import Msisdn
from bloom.wills import Stance
from stream.model.decision import Decision
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Channel, Purpose
from stream.policy.facts import EventCase, Route, Source, Stated, World, on_internet
from stream.policy.numbering import FromKind, ToKind
from stream.policy.program import Compiler, RouteProgram, RuleOutcome, cited
from stream.policy.reading import TextReader
from stream.policy.rules import TABLE, Rule
from stream.policy.settings import Policy
from stream.registry.registry import Registry

EPOCH_OF_FILES: Final = "file"
"""The epoch of decisions that `wurao decide` makes: their registry is a file, not a state of the topics."""

KEPT_BYTES_MAX: Final = 16 << 20
"""What sources and routes may take, by the estimate below; beyond, all are forgotten and compiled again: odd traffic
cannot fill the memory. Bulk traffic runs through some thousands."""

ROUTE_BYTES: Final = 768
"""What a source or route takes, about, but for the names in it, of which each character may take four bytes."""

_READ_WITH_TERMS: Final = frozenset({"commercial", "service"})
_READ_WITHOUT: Final = frozenset({"commercial"})
"""Stated purposes whose texts some rule reads (15 while there are terms, 28), so that they may be read ahead; the few
others that are read are read when a rule asks. Personal ones are not among either."""

_Statement = tuple[type[Event], ToKind, str | None, Purpose | None, str | None, bool | None]
"""What a route adds to its source: kind, recipient's kind, sender, purpose, category, platform."""


def case_of(event: Event, world: World, now: int) -> EventCase:
    """The facts of one event, worked out from nothing. `now` in milliseconds since the epoch."""
    internet = on_internet(event)
    from_ = world.origin(type(event), event.from_, internet=internet)
    source = Source(world, _channel_of(event), from_, internet=internet)
    to_kind: ToKind = "other"
    number: Msisdn | None = None
    if not isinstance(event, Reply):  # no rule asks what kind of number a reply goes to
        to_kind, to = world.policy.numbering.recipient(event.to)
        number = Msisdn(int(to)) if to_kind == "person" else None
    return EventCase(event, Route(world, type(event), source, to_kind, _stated_by(event)), number, now)


def first_match(case: EventCase) -> Rule:
    """The first row whose needs the case meets: the meaning that every quicker way must agree with."""
    return next(rule for rule in TABLE if all(need.met_by(case) for need in rule.needs))


def decide(event: Event, world: World, now: int, *, epoch: str = EPOCH_OF_FILES) -> Decision:
    """The decision on one event by the plain table. Total and deterministic; some tens of microseconds."""
    case = case_of(event, world, now)
    return _decision(event, now, RuleOutcome(first_match(case), case.route), epoch)


class Readings(NamedTuple):
    """The numbers of some events as read, a row each."""

    kinds: list[ToKind]
    """of their recipients; a reply's is `other`, for no rule asks"""
    subscribers: list[str]
    """whom they concern: their recipients, and the authors of replies"""
    origins: list[str | None]
    """what they come from, as the rules see it"""


def _decision(event: Event, now: int, outcome: RuleOutcome, epoch: str) -> Decision:
    basis, appeal = outcome.basis, outcome.appeal
    if outcome.cites_order:
        case = EventCase(event, outcome.route, None, now)
        order = case.suspension if outcome.reason == "suspended" else case.stop
        assert order is not None, "a row that cites an order needs one in force"
        citation = cited(order)
        basis, appeal = citation.basis, citation.appeal or appeal
    return Decision(
        event.id,
        outcome.kind,
        event.time,
        now,
        event.to,
        event.from_ or None,
        outcome.sender,
        outcome.verdict,
        outcome.reason,
        basis,
        outcome.policy,
        epoch,
        event.origin or None,
        outcome.code,
        appeal,
    )


class _Origin(NamedTuple):
    """A source and the programs of its routes so far."""

    source: Source
    programs: dict[_Statement, RouteProgram]


class Decider:
    """Decides batches against one policy and one registry. Between batches, and only then, call `settle`."""

    def __init__(self, policy: Policy, registry: Registry) -> None:
        self.world = World(policy, registry)
        self.epoch = EPOCH_OF_FILES
        self._canonical, self._recipient = policy.numbering.canonical, policy.numbering.recipient
        self._forget()

    def settle(self, *, stale: bool, epoch: str) -> None:
        """Take note of what changed since the last batch: the registry, its staleness, the epoch's name."""
        self.epoch = epoch
        if self._generation != self.world.registry.generation or self.world.stale != stale:
            self.world.stale = stale
            self._forget()

    def decide(self, event: Event, now: int) -> Decision:
        """The decision on one event; `now` in milliseconds. Total. Some microseconds on a known route."""
        return _decision(event, now, self._outcome_of(event, now), self.epoch)

    def read(self, events: Sequence[Event]) -> Readings:
        """The numbers of a batch's events as read."""
        readings = Readings([], [], [])
        add_kind, add_subscriber = readings.kinds.append, readings.subscribers.append
        add_origin = readings.origins.append
        canonical, recipient, (sms, calls) = self._canonical, self._recipient, (self._read_sms, self._read_calls)
        for event in events:
            if isinstance(event, Reply):
                add_kind("other")
                add_subscriber(recipient(event.from_)[1])
                add_origin(self._read_origin(event))
                continue
            if canonical(event.to):
                add_kind("person")
                add_subscriber(event.to)
            else:
                kind, number = recipient(event.to)
                add_kind(kind)
                add_subscriber(number)
            known = (sms if type(event) is Sms else calls).get(event.from_) if event.network != "internet" else None
            add_origin(known or self._read_origin(event))
        return readings

    def decide_all(self, events: Sequence[Event], now: int | None, readings: Readings | None = None) -> list[Decision]:
        """The decisions on a batch, in order: those of `decide`, quicker, since texts are read ahead.

        `now` in milliseconds; None: each event at its own time. `readings` are those of `read`, where it was asked.
        """
        read = _READ_WITH_TERMS if self.world.prohibited() else _READ_WITHOUT
        self._reader.read_ahead(
            [event.text for event in events if type(event) is Sms and event.purpose in read and event.text]
        )
        outcome, epoch = self._outcome, self.epoch
        rows = zip(events, *(readings or self.read(events)), strict=True)
        if now is None:
            return [
                _decision(event, event.time, outcome(event, event.time, kind, subscriber, from_), epoch)
                for event, kind, subscriber, from_ in rows
            ]
        return [
            _decision(event, now, outcome(event, now, kind, subscriber, from_), epoch)
            for event, kind, subscriber, from_ in rows
        ]

    def match(self, event: Event, now: int) -> Rule:
        """The row that decides, by the quick way: what the proof compares with `first_match`."""
        return self._outcome_of(event, now).rule

    def _forget(self) -> None:
        world = self.world
        self._generation = world.registry.generation
        self._reader = TextReader(prohibited=world.prohibited(), opt_out=world.policy.opt_out)
        self._compiler = Compiler(self._reader)
        self._sms: dict[str | None, _Origin] = {}
        self._calls: dict[str | None, _Origin] = {}
        self._read_sms: dict[str | None, str] = {}
        self._read_calls: dict[str | None, str] = {}
        """as it came → as read, of numbers that are remembered"""
        self._owned: dict[tuple[object, ...], _Origin] = {}
        self._unowned: dict[tuple[Channel, FromKind, bool], _Origin] = {}
        self._kept_bytes = 0

    def _read_origin(self, event: Event) -> str | None:
        """The number that an event comes from; of one whose origin is remembered so is the spelling."""
        internet, text = on_internet(event), event.from_
        number = self.world.origin(type(event), text, internet=internet)
        origins, read = (self._calls, self._read_calls) if isinstance(event, Call) else (self._sms, self._read_sms)
        if number is not None and number in origins and not internet:
            self._make_room(text)
            read[text] = number
        return number

    def _outcome_of(self, event: Event, now: int) -> RuleOutcome:
        (row,) = zip(*self.read([event]), strict=True)
        return self._outcome(event, now, *row)

    def _outcome(self, event: Event, now: int, to_kind: ToKind, subscriber: str, from_: str | None) -> RuleOutcome:
        origin: _Origin | None = None
        statement: _Statement
        if isinstance(event, Sms):
            if event.network != "internet":
                origin = self._sms.get(from_)
            statement = (Sms, to_kind, event.sender, event.purpose, event.category, None)
        elif isinstance(event, Call):
            if event.network != "internet":
                origin = self._calls.get(from_)
            statement = (Call, to_kind, event.sender, event.purpose, event.category, event.platform)
        else:
            statement = (Reply, to_kind, None, None, None, None)
        if origin is None:
            origin = self._origin(event, from_)
        program = origin.programs.get(statement)
        if program is None:
            program = self._program(event, origin, to_kind, statement)
        for condition, outcome in program.above:
            if condition is None or condition(event, now):
                return outcome
        assert program.probe is not None, "the table is total"
        stance: Stance = "silent" if to_kind != "person" else program.probe.stance(Msisdn(int(subscriber)))
        for condition, outcome in program.below[stance]:
            if condition is None or condition(event, now):
                return outcome
        raise AssertionError("the table is total")

    def _origin(self, event: Event, from_: str | None) -> _Origin:
        """The origin of an event that is not remembered by its number.

        Numbers that nobody owns and no order names are too many to remember one by one, and all alike: there is one
        origin for each kind of them, which is found before anything is made.
        """
        channel, internet = _channel_of(event), on_internet(event)
        owner = self.world.registry.ownership[channel].owner
        if not from_ or (owner(from_) is None and not self.world.orders_on(channel, from_, internet=internet)):
            kind = self.world.policy.numbering.source(from_, internet=internet)
            unowned = self._unowned.get((channel, kind, internet))
            if unowned is None:
                unowned = _Origin(Source(self.world, channel, from_, internet=internet), {})
                self._unowned[channel, kind, internet] = unowned
            return unowned
        self._make_room(from_)
        source = Source(self.world, channel, from_, internet=internet)
        origin = self._owned.setdefault(source.identity, _Origin(source, {}))
        if not internet and not isinstance(event, Reply):
            (self._calls if channel == "call" else self._sms)[from_] = origin
        return origin

    def _program(self, event: Event, origin: _Origin, to_kind: ToKind, statement: _Statement) -> RouteProgram:
        self._make_room(event.sender if not isinstance(event, Reply) else None, statement[4])
        route = Route(self.world, type(event), origin.source, to_kind, _stated_by(event))
        program = origin.programs[statement] = self._compiler.program(route)
        return program

    def _make_room(self, *names: str | None) -> None:
        """Account for one more source or route with these names in it."""
        if self._kept_bytes >= KEPT_BYTES_MAX:
            self._forget()
        self._kept_bytes += ROUTE_BYTES + 4 * sum(len(name) for name in names if name)


def _channel_of(event: Event) -> Channel:
    return "call" if isinstance(event, Call) else "sms"


def _stated_by(event: Event) -> Stated:
    if isinstance(event, Reply):
        return Stated(None, None, None, False)
    platform = isinstance(event, Call) and bool(event.platform)
    return Stated(event.sender or None, event.purpose, event.category or None, platform)
