"""What the table comes to on one route: the rows that are still open, with the questions left to ask.

A route settles most of what a rule asks. `Compiler` evaluates the table as far as the route goes: it drops the rows
that the route rules out, ends with the first that it grants, and of the rest keeps only the questions that are about
one event. What the recipient wants is looked up once, at the first row that asks; the rows below stand ready for each
of the three answers. So this is the table itself, evaluated in part, and no second form of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

import msgspec

from bloom.wills import Stance, StanceProbe
from stream.model.events import Call, Event, Reply, Sms
from stream.model.fields import EventKind
from stream.model.limits import CONTACT, NAME
from stream.model.registry import Order
from stream.policy.facts import EventCase, Route, World
from stream.policy.predicates import (
    CONSENTED,
    IDENTIFIED,
    MAKES_EXPRESSION,
    OPT_OUT_SHOWN,
    PRESENTS_FOREIGN,
    PROHIBITED,
    QUIET,
    REFUSED,
    SILENT,
    VERSTAT_FAILED,
    Needs,
    Predicate,
)
from stream.policy.reading import TextReader
from stream.policy.rules import TABLE, Rule
from stream.policy.settings import within

STANCES: Final[tuple[Stance, ...]] = get_args(Stance)
STANCE_OF: Final[dict[Predicate, Stance]] = {CONSENTED: "consented", REFUSED: "refused", SILENT: "silent"}
"""Predicates that the recipient's stance decides, and the stance that makes each hold."""
_OF_TEXT: Final = frozenset({PROHIBITED, OPT_OUT_SHOWN, IDENTIFIED})
_KIND_OF: Final[dict[type[Event], EventKind]] = {Sms: "sms", Call: "call", Reply: "reply"}

OpenCondition = Callable[[Event, int], bool]
"""Asked of one event at one moment; True where the row's needs are met."""


OpenRow = tuple[Rule, tuple[Needs, ...]]
"""A row that a route leaves open, and the needs that are left to ask."""


class RuleOutcome:
    """What a row answers on a route, ready to be put into a decision."""

    __slots__ = (
        "appeal",
        "basis",
        "cites_order",
        "code",
        "kind",
        "policy",
        "reason",
        "route",
        "rule",
        "sender",
        "verdict",
    )

    def __init__(self, rule: Rule, route: Route) -> None:
        allowed = rule.verdict == "allow"
        self.rule = rule
        self.route = route
        self.kind = _KIND_OF[route.kind]
        self.sender = route.sender
        self.verdict = rule.verdict
        self.reason = rule.reason
        self.basis = rule.basis
        self.cites_order = rule.cites_order
        self.policy = route.policy.version
        self.code = msgspec.UNSET if allowed else route.policy.code(rule.reason, route.channel)
        self.appeal = msgspec.UNSET if allowed else route.policy.appeal


class Citation(NamedTuple):
    """What a decision says of the order that it rests on."""

    basis: str
    appeal: str | None


def cited(order: Order) -> Citation:
    """What a decision says of an order: no more of it than may be written, for one of before the limits may be a
    megabyte, and each of its sender's events would be answered with that.
    """
    return Citation(order.basis[: NAME.most], order.appeal[: CONTACT.most] if order.appeal else None)


class ProgramStep(NamedTuple):
    """A row that a route leaves open: its question (None: it holds), and its outcome."""

    condition: OpenCondition | None
    outcome: RuleOutcome


@dataclass(frozen=True, slots=True)
class RouteProgram:
    """The open rows of a route: those above the first that asks for the will, and for each will those below."""

    above: tuple[ProgramStep, ...]
    below: Mapping[Stance, tuple[ProgramStep, ...]]
    probe: StanceProbe | None


class Compiler:
    """Makes programs, for as long as the registry stays as it is.

    What routes have in common they share: bulk traffic runs through thousands of them, and what they hold together must
    stay in the processor's cache, or an event costs twice as much.
    """

    def __init__(self, reader: TextReader) -> None:
        self._read = reader.read
        self._outcomes: dict[tuple[Rule, EventKind, str | None], RuleOutcome] = {}
        self._conditions: dict[tuple[Needs, object], OpenCondition] = {}
        self._steps: dict[tuple[ProgramStep, ...], tuple[ProgramStep, ...]] = {}
        self._belows: dict[tuple[tuple[ProgramStep, ...], ...], Mapping[Stance, tuple[ProgramStep, ...]]] = {}

    def program(self, route: Route) -> RouteProgram:
        """What the table comes to on this route."""
        rows = open_rows(route, None)
        cut = first_asking_for_the_will(rows)
        above = self._steps_of(rows[:cut], route)
        if cut == len(rows):
            return RouteProgram(above, {}, None)
        probe = route.world.registry.wills.probe(route.channel, route.sender, route.category)
        below = tuple(self._steps_of(open_rows(route, stance)[cut:], route) for stance in STANCES)
        return RouteProgram(above, self._belows.setdefault(below, dict(zip(STANCES, below, strict=True))), probe)

    def _steps_of(self, rows: Sequence[OpenRow], route: Route) -> tuple[ProgramStep, ...]:
        steps = tuple(
            ProgramStep(_all_of([self._condition(need, route) for need in needs]), self._outcome(rule, route))
            for rule, needs in rows
        )
        return self._steps.setdefault(steps, steps)

    def _outcome(self, rule: Rule, route: Route) -> RuleOutcome:
        outcome = RuleOutcome(rule, route)
        # Which order is cited depends on the route.
        return outcome if rule.cites_order else self._outcomes.setdefault((rule, outcome.kind, route.sender), outcome)

    def _condition(self, need: Needs, route: Route) -> OpenCondition:
        """The quick form of a need. Texts and hours are remembered; the rest is asked as it stands."""
        if need.predicate in _OF_TEXT and route.kind is Sms:
            of_sender = route.sender if need.predicate is IDENTIFIED else None
            return self._conditions.setdefault((need, of_sender), self._of_text(need, route))
        if need.predicate is MAKES_EXPRESSION:
            return self._conditions.setdefault((need, None), _of_reply(route.world, holds=need.holds))
        if need.predicate is QUIET:
            return self._conditions.setdefault((need, route.hours), _at_moment(route, holds=need.holds))
        return _of_case(need, route)

    def _of_text(self, need: Needs, route: Route) -> OpenCondition:
        read, holds, identity = self._read, need.holds, route.identity
        if need.predicate is PROHIBITED:
            return lambda event, _: read(event.text or "").prohibited is holds  # type: ignore[union-attr]
        if need.predicate is OPT_OUT_SHOWN:
            return lambda event, _: read(event.text or "").opt_out is holds  # type: ignore[union-attr]
        if identity is None:  # a sender that is not registered stands in no text
            return lambda *_: not holds
        return lambda event, _: read(event.text or "").identifies(identity) is holds  # type: ignore[union-attr]


def first_asking_for_the_will(rows: Sequence[OpenRow]) -> int:
    """The place of the first row that asks what the recipient wants; the number of rows where none does."""
    asks = (place for place, (_, needs) in enumerate(rows) if any(need.predicate in STANCE_OF for need in needs))
    return next(asks, len(rows))


def open_rows(route: Route, stance: Stance | None) -> list[OpenRow]:
    """The rows that the route (and the recipient's will, once known) leaves open, with the needs left to ask.

    It ends with the first row that has none left: that one decides whatever the rows above have not.
    """
    rows: list[OpenRow] = []
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
    if predicate in STANCE_OF:
        return None if stance is None else STANCE_OF[predicate] == stance
    return False if predicate.idle is not None and predicate.idle(route) else None


def _all_of(conditions: list[OpenCondition]) -> OpenCondition | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return lambda event, now: all(condition(event, now) for condition in conditions)


def _of_case(need: Needs, route: Route) -> OpenCondition:
    predicate, holds = need.predicate, need.holds

    def ask(event: Event, now: int) -> bool:
        return predicate.ask(EventCase(event, route, None, now)) is holds

    # Most calls show their own number and carry no failed validation: no need to work out their facts.
    if predicate is VERSTAT_FAILED and holds:
        return lambda event, now: isinstance(event, Call) and event.verstat is not None and ask(event, now)
    if predicate is PRESENTS_FOREIGN and holds:
        return lambda event, now: isinstance(event, Call) and event.presented is not None and ask(event, now)
    return ask


def _of_reply(world: World, *, holds: bool) -> OpenCondition:
    return lambda event, _: (isinstance(event, Reply) and world.meaning_of(event).expression is not None) is holds


def _at_moment(route: Route, *, holds: bool) -> OpenCondition:
    windows = route.hours
    last, answer = -1, False

    def condition(_: Event, now: int) -> bool:
        nonlocal last, answer
        if now != last:  # the events of a batch share their moment
            last, answer = now, (not within(windows, now)) is holds
        return answer

    return condition
