"""`decide`: the table run on one event, and its quick form for whole batches.

`first_match` is the plain meaning: ask the rows in order. `Decider` gives the same answers from the same
rows, faster. For each route it drops the rows that the route already rules out, stops at the first that the
route already grants, and of the rest keeps only the questions that are about this event. What the recipient
wants is looked up once, at the first row that asks; the rows below it stand ready for each of the three
answers.

So bulk traffic costs, per event, two dict look-ups, the recipient's kind, one look-up of its will and the few
questions left. Nothing is logged, counted or awaited here.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, get_args

import msgspec

from bloom.wills import Probe, Stance
from stream.model.decision import Decision
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import Channel, EventKind, Network, Purpose
from stream.policy.facts import Case, Route, Source, Stated, World
from stream.policy.numbering import ToKind
from stream.policy.predicates import (
    CONSENTED,
    IDENTIFIED,
    OPT_OUT_SHOWN,
    PROHIBITED,
    QUIET,
    REFUSED,
    SILENT,
    Needs,
    Predicate,
)
from stream.policy.rules import TABLE, Rule
from stream.policy.settings import Policy, Wish, within
from stream.policy.text import Reader
from stream.registry.registry import Registry

EPOCH_OF_FILES: Final = "file"
"""The epoch of decisions that `wurao decide` makes: their registry is a file, not a state of the topics."""

ROUTES_MAX: Final = 65_536
"""Sources and routes kept; beyond, all are forgotten and made anew: odd traffic cannot fill the memory."""

STANCES: Final[tuple[Stance, ...]] = get_args(Stance)
_STANCE_OF: Final[dict[Predicate, Stance]] = {CONSENTED: "consented", REFUSED: "refused", SILENT: "silent"}
_KIND_OF: Final[dict[type[Event], EventKind]] = {Sms: "sms", Call: "call", Reply: "reply"}

Question = Callable[[Event, int], bool]
"""Asked of one event at one moment; True where the row's needs are met."""

_Origin = tuple[type[Event], Network | None, str | None]
"""What a source follows from: kind, network and `from`."""
_Statement = tuple[type[Event], ToKind, str | None, Purpose | None, str | None, bool | None]
"""What a route adds to its source: kind, recipient's kind, sender, purpose, category, platform."""


def case_of(event: Event, world: World, now: int) -> Case:
    """The facts of one event, worked out from nothing. `now` in milliseconds since the epoch."""
    source = Source(world, _channel_of(event), event.from_, internet=_on_internet(event))
    to_kind, number = world.policy.numbering.recipient(event.to)
    return Case(event, Route(world, type(event), source, to_kind, _stated_by(event)), number, now)


def first_match(case: Case) -> Rule:
    """The first row whose needs the case meets: the meaning that every quicker way must agree with."""
    return next(rule for rule in TABLE if all(need.met_by(case) for need in rule.needs))


def decide(event: Event, world: World, now: int, *, epoch: str = EPOCH_OF_FILES) -> Decision:
    """The decision on one event by the plain table. Total and deterministic; some tens of microseconds."""
    case = case_of(event, world, now)
    return _decision(event, now, _Outcome(first_match(case), case.route), epoch)


class _Outcome:
    """What a row answers on a route."""

    __slots__ = ("appeal", "code", "policy", "route", "rule")

    def __init__(self, rule: Rule, route: Route) -> None:
        allowed = rule.verdict == "allow"
        self.rule = rule
        self.route = route
        self.policy = route.policy.version
        self.code = msgspec.UNSET if allowed else route.policy.code(rule.reason, route.channel)
        self.appeal = msgspec.UNSET if allowed else route.policy.appeal


def _decision(event: Event, now: int, outcome: _Outcome, epoch: str) -> Decision:
    rule, route = outcome.rule, outcome.route
    basis, appeal = rule.basis, outcome.appeal
    if rule.cites_order:
        case = Case(event, route, None, now)
        order = case.suspension if rule.reason == "suspended" else case.stop
        assert order is not None, "a row that cites an order needs one in force"
        basis, appeal = order.basis, order.appeal or appeal
    return Decision(
        event.id,
        _KIND_OF[type(event)],
        event.time,
        now,
        event.to,
        event.from_ or None,
        route.sender,
        rule.verdict,
        rule.reason,
        basis,
        outcome.policy,
        epoch,
        event.origin or None,
        outcome.code,
        appeal,
    )


class _Step(NamedTuple):
    """A row that a route leaves open: its question (None: it holds), and its outcome."""

    question: Question | None
    outcome: _Outcome


class _Program:
    """The rows that a route leaves open: those above the first that asks for the will, and those below."""

    __slots__ = ("above", "below", "probe")

    def __init__(self, route: Route, reader: Reader) -> None:
        rows = _open_rows(route, None)
        asks = (place for place, (_, needs) in enumerate(rows) if any(n.predicate in _STANCE_OF for n in needs))
        cut = next(asks, len(rows))
        self.above = _steps(rows[:cut], route, reader)
        self.below: dict[Stance, tuple[_Step, ...]] = {}
        self.probe: Probe | None = None
        if cut < len(rows):
            self.probe = route.world.registry.wills.probe(route.channel, route.sender, route.category)
            self.below = {stance: _steps(_open_rows(route, stance)[cut:], route, reader) for stance in STANCES}


class Decider:
    """Decides batches against one policy and one registry. Between batches, and only then, call `settle`."""

    def __init__(self, policy: Policy, registry: Registry) -> None:
        self.world = World(policy, registry)
        self.epoch = EPOCH_OF_FILES
        self._forget()

    def settle(self, *, stale: bool, epoch: str) -> None:
        """Take note of what changed since the last batch: the registry, its staleness, the epoch's name."""
        self.epoch = epoch
        if self._generation != self.world.registry.generation or self.world.stale != stale:
            self.world.stale = stale
            self._forget()

    def decide(self, event: Event, now: int) -> Decision:
        """The decision on one event; `now` in milliseconds. Total. About a microsecond on a known route."""
        return _decision(event, now, self._outcome(event, now), self.epoch)

    def wish(self, reply: Reply) -> Wish | None:
        """What a reply's author wants by the policy's reply table (rule 3)."""
        return case_of(reply, self.world, reply.time).wish

    def match(self, event: Event, now: int) -> Rule:
        """The row that decides, by the quick way: what the proof compares with `first_match`."""
        return self._outcome(event, now).rule

    def _forget(self) -> None:
        world = self.world
        self._generation = world.registry.generation
        self._recipient = world.policy.numbering.recipient
        self._reader = Reader(prohibited=world.prohibited(), opt_out=world.policy.opt_out)
        self._sources: dict[_Origin, _SourceRoutes] = {}
        self._shared: dict[tuple[object, ...], _SourceRoutes] = {}
        self._routes_count = 0

    def _outcome(self, event: Event, now: int) -> _Outcome:
        to_kind, number = self._recipient(event.to)
        routes = self._sources.get(_origin(event)) or self._source(event)
        statement = _statement(event, to_kind)
        program = routes.programs.get(statement) or self._program(event, routes, to_kind, statement)
        for question, outcome in program.above:
            if question is None or question(event, now):
                return outcome
        assert program.probe is not None, "the table is total"
        stance: Stance = "silent" if number is None else program.probe.stance(number)
        for question, outcome in program.below[stance]:
            if question is None or question(event, now):
                return outcome
        raise AssertionError("the table is total")

    def _source(self, event: Event) -> "_SourceRoutes":
        source = Source(self.world, _channel_of(event), event.from_, internet=_on_internet(event))
        routes = self._shared.get(source.identity)
        if routes is None:
            routes = self._shared[source.identity] = _SourceRoutes(source)
        if source.owner is not None or source.orders:
            # Numbers that nobody owns are too many to remember one by one.
            self._make_room()
            self._sources[_origin(event)] = routes
            self._routes_count += 1
        return routes

    def _program(self, event: Event, routes: "_SourceRoutes", to_kind: ToKind, statement: _Statement) -> _Program:
        self._make_room()
        route = Route(self.world, type(event), routes.source, to_kind, _stated_by(event))
        program = routes.programs[statement] = _Program(route, self._reader)
        self._routes_count += 1
        return program

    def _make_room(self) -> None:
        if self._routes_count >= ROUTES_MAX:
            self._forget()


class _SourceRoutes:
    """A source and the programs of its routes so far."""

    __slots__ = ("programs", "source")

    def __init__(self, source: Source) -> None:
        self.source = source
        self.programs: dict[_Statement, _Program] = {}


def _open_rows(route: Route, stance: Stance | None) -> list[tuple[Rule, tuple[Needs, ...]]]:
    """The rows that the route (and the recipient's will, once known) leaves open, with the needs left to ask.

    It ends with the first row that has none left: that one decides whatever the rows above have not.
    """
    rows: list[tuple[Rule, tuple[Needs, ...]]] = []
    for rule in TABLE:
        left: list[Needs] = []
        for need in rule.needs:
            known = _known(need.predicate, route, stance)
            if known is None:
                left.append(need)
            elif known is not need.holds:
                break
        else:
            rows.append((rule, tuple(left)))
            if not left:
                return rows
    raise AssertionError("the table is total")


def _known(predicate: Predicate, route: Route, stance: Stance | None) -> bool | None:
    if predicate.of_route is not None:
        return predicate.of_route(route)
    if predicate in _STANCE_OF:
        return None if stance is None else _STANCE_OF[predicate] == stance
    return False if predicate.idle is not None and predicate.idle(route) else None


def _steps(rows: list[tuple[Rule, tuple[Needs, ...]]], route: Route, reader: Reader) -> tuple[_Step, ...]:
    return tuple(
        _Step(_all_of([_question(need, route, reader) for need in needs]), _Outcome(rule, route))
        for rule, needs in rows
    )


def _all_of(questions: list[Question]) -> Question | None:
    if len(questions) < 2:
        return questions[0] if questions else None
    return lambda event, now: all(question(event, now) for question in questions)


def _question(need: Needs, route: Route, reader: Reader) -> Question:
    """The quick form of a need. Texts and hours are remembered; the rest is asked as it stands."""
    predicate, holds, identity, read = need.predicate, need.holds, route.identity, reader.read
    if predicate is PROHIBITED:
        return lambda event, _: read(_text(event)).prohibited is holds
    if predicate is OPT_OUT_SHOWN:
        return lambda event, _: read(_text(event)).opt_out is holds
    if predicate is IDENTIFIED and identity is not None:
        return lambda event, _: read(_text(event)).identifies(identity) is holds
    if predicate is QUIET:
        return _at_moment(route, holds=holds)
    return lambda event, now: predicate.ask(Case(event, route, None, now)) is holds


def _at_moment(route: Route, *, holds: bool) -> Question:
    windows = route.hours
    last, answer = -1, False

    def question(_: Event, now: int) -> bool:
        nonlocal last, answer
        if now != last:  # the events of a batch share their moment
            last, answer = now, (not within(windows, now)) is holds
        return answer

    return question


def _text(event: Event) -> str | None:
    return None if isinstance(event, Call) else event.text


def _channel_of(event: Event) -> Channel:
    return "call" if type(event) is Call else "sms"


def _on_internet(event: Event) -> bool:
    return not isinstance(event, Reply) and event.network == "internet"


def _origin(event: Event) -> _Origin:
    return type(event), None if isinstance(event, Reply) else event.network, event.from_


def _statement(event: Event, to_kind: ToKind) -> _Statement:
    if isinstance(event, Sms):
        return Sms, to_kind, event.sender, event.purpose, event.category, None
    if isinstance(event, Call):
        return Call, to_kind, event.sender, event.purpose, event.category, event.platform
    return Reply, to_kind, None, None, None, None


def _stated_by(event: Event) -> Stated:
    if isinstance(event, Reply):
        return Stated(None, None, None, False)
    platform = isinstance(event, Call) and bool(event.platform)
    return Stated(event.sender or None, event.purpose, event.category or None, platform)
