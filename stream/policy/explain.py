"""Why an event is decided as it is: every rule tried in order, what it needed, and what was seen.

The table is run as `first_match` runs it: a row's needs are asked until one is not met, so what the decision did not
look at (the text of a personal message above all) is not looked at here either. Pure. What was seen may hold numbers
and words of the text: it is an answer to whoever asked, and must never be logged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from bloom.wills import Scope, refusals_covering
from stream.model.decision import Decision
from stream.model.events import Call, Event, Reply, Sms
from stream.model.registry import NumberEntry, Order
from stream.model.times import iso_time
from stream.policy import predicates as p
from stream.policy.decide import case_of, decide
from stream.policy.facts import STRICTEST_FIRST, EventCase, World
from stream.policy.predicates import Predicate
from stream.policy.rules import TABLE
from stream.policy.settings import clock_moment
from stream.policy.text import normal


@dataclass(frozen=True, slots=True)
class CheckedNeed:
    """One need of a rule: in words, whether it was met, and what was seen."""

    need: str
    met: bool
    saw: str


@dataclass(frozen=True, slots=True)
class CheckedRule:
    """One rule: what was asked for it, in order, up to the first need that was not met."""

    rule: str
    asked: tuple[CheckedNeed, ...]
    decided: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, and every rule tried down to the one that made it."""

    decision: Decision
    tried: tuple[CheckedRule, ...]


def explain(event: Event, world: World, now: int) -> Explanation:
    """Why this event is decided as it is at `now` (milliseconds). Some milliseconds: every fact is put into words."""
    case = case_of(event, world, now)
    tried: list[CheckedRule] = []
    for rule in TABLE:
        asked: list[CheckedNeed] = []
        for need in rule.needs:
            asked.append(CheckedNeed(need.sentence, need.met_by(case), SAW[need.predicate](case)))
            if not asked[-1].met:
                break
        decided = all(one.met for one in asked)
        tried.append(CheckedRule(rule.id, tuple(asked), decided))
        if decided:
            break
    return Explanation(decide(event, world, now), tuple(tried))


def _kind(case: EventCase) -> str:
    return case.route.kind.__name__.lower()


def _network(case: EventCase) -> str:
    return "network: internet" if case.route.source.internet else "network: telecom"


def _to(case: EventCase) -> str:
    kind = {"person": "a person's", "other": "another"}.get(case.route.to_kind, f"a {case.route.to_kind}")
    return f"{_as_read(case.event.to, case.to)}: {kind} number"


def _from(case: EventCase) -> str:
    return f"{_as_read(case.event.from_ or 'nothing', case.from_ or 'nothing')}: {case.route.source.kind}"


def _as_read(came: str, read: str) -> str:
    return came if came == read else f"{came}, read as {read}"


def _purpose(case: EventCase) -> str:
    route = case.route
    if route.stated.purpose:
        return f"{route.purpose}, as stated"
    if route.entry and set(route.entry.purposes).intersection(STRICTEST_FIRST):
        return f"{route.purpose}, the strictest that the entry {route.entry.prefix} has"
    return f"{route.purpose}: nothing is stated, and no entry says more"


def _category(case: EventCase) -> str:
    route = case.route
    if route.stated.category:
        return f"{route.category}, as stated"
    only = route.entry is not None and len(route.entry.categories) == 1
    return f"{route.category}, {'the only one of its entry' if only else 'for none is stated'}"


def _platform(case: EventCase) -> str:
    by_entry = case.route.entry is not None and case.route.entry.platform
    sources = [name for name, says in (("event", case.route.stated.platform), ("entry", by_entry)) if says]
    return f"the {' and the '.join(sources)} says so" if sources else "neither event nor entry says so"


def _owner(case: EventCase) -> str:
    owner = case.route.source.owner
    if owner is None:
        return "nobody holds a prefix of it"
    return f"{owner.sender} holds {owner.entry.prefix} since {owner.entry.since}"


def _sender(case: EventCase) -> str:
    route = case.route
    if route.sender is None:
        return "no sender"
    record = route.sender_record
    known = f"{record.name}, {record.status}" if record else "not registered"
    return f"{route.sender} ({'stated' if route.stated.sender else 'owner of `from`'}): {known}"


def _entry(case: EventCase) -> str:
    entry = case.route.entry
    if entry is None:
        return f"sender {case.route.sender or 'none'}; {_owner(case)}"
    return f"{case.route.sender}: {_describe_entry(entry)}"


def _describe_entry(entry: NumberEntry) -> str:
    categories = f"; {', '.join(entry.categories)}" if entry.categories else ""
    return f"{entry.prefix} for {', '.join(entry.purposes) or 'nothing'}{categories}"


def _purpose_and_entry(case: EventCase) -> str:
    return f"{_purpose(case)}; {_entry(case)}"


def _category_and_entry(case: EventCase) -> str:
    return f"{_category(case)}; {_entry(case)}"


def _verstat(case: EventCase) -> str:
    return (case.event.verstat if isinstance(case.event, Call) else None) or "no verdict"


def _presented(case: EventCase) -> str:
    came = case.event.presented if isinstance(case.event, Call) else None
    if not came or case.presented is None:
        return f"{came}, which is no number" if came else "no other number"
    owner = case.presented_owner
    whose = f"of {owner.sender} ({_describe_entry(owner.entry)})" if owner else "which nobody holds"
    return f"{_as_read(came, case.presented)}, {whose}"


def _suspension(case: EventCase) -> str:
    return _describe_order(case.suspension, case.route.suspensions)


def _stop(case: EventCase) -> str:
    return _describe_order(case.stop, case.route.stops)


def _describe_order(order: Order | None, others: tuple[Order, ...]) -> str:
    if order is None:
        return f"none in force of {', '.join(other.order for other in others)}" if others else "none"
    until = iso_time(order.until) if order.until is not None else "further notice"
    return f"{order.order} on {order.sender or order.number}, {iso_time(order.from_)} to {until}: {order.basis}"


def _campaign(case: EventCase) -> str:
    named = case.event.campaign if isinstance(case.event, Sms) else None
    if not named:
        return "names no campaign"
    campaign = case.campaign
    if campaign is None:
        return f"{named} is not registered"
    kind = "emergency, " if campaign.emergency else ""
    belongs = "" if case.carried_campaign or campaign.status != "approved" else "; `from` does not belong to it"
    window = f"{iso_time(campaign.from_)} to {iso_time(campaign.until)}"
    return f"{named} of {campaign.sender}: {kind}{campaign.status}, {window}{belongs}"


def _region(case: EventCase) -> str:
    region = case.event.region if isinstance(case.event, Sms) else None
    regions = case.campaign.regions if case.campaign else ()
    return f"recipient in {region or 'no known region'}; campaign in {', '.join(regions) or 'all regions'}"


def _campaign_text(case: EventCase) -> str:
    if case.campaign is None:
        return "no campaign"
    here, approved = normal(case.text), normal(case.campaign.text)
    if here == approved:
        return f"{len(here)} characters, all the same"
    same = next(
        (n for n, (a, b) in enumerate(zip(here, approved, strict=False)) if a != b), min(len(here), len(approved))
    )
    return f"{len(here)} characters against {len(approved)}, different from character {same + 1}"


def _prohibited(case: EventCase) -> str:
    found = case.world.prohibited().found(case.folded)
    return f"the term {found}" if found else "none of the word lists' terms"


def _identity(case: EventCase) -> str:
    identity = case.route.identity
    if identity is None:
        return "no registered sender"
    named, reached = identity.named_in(case.folded), identity.contact_in(case.folded)
    return f"the sender {'stands' if named else 'is not'} there, its contact {'stands' if reached else 'is not'} there"


def _opt_out(case: EventCase) -> str:
    found = case.route.policy.opt_out.found(case.folded)
    return f"the hint {found}" if found else "no hint"


def _reply_expression(case: EventCase) -> str:
    event, reply_expression = case.event, case.reply_expression
    if not isinstance(event, Reply):
        return "no reply"
    reply = f"{event.text or ''!r} to {event.to}"
    if reply_expression is None:
        return reply
    return f"{reply} means {reply_expression.will} ({reply_expression.sender or '*'}, *) on {reply_expression.channel}"


def _will(case: EventCase) -> str:
    route = case.route
    toward = f"{case.stance} toward ({route.sender or '-'}, {route.category}) on {route.channel}"
    if case.number is None:
        return f"{toward}: no person's number, so no will"
    refusals, consents = case.world.registry.wills.expressions_of(route.channel, case.number)
    if case.stance == "consented":
        reasons = [scope for scope in consents if scope == Scope(route.sender, route.category)]
    else:
        covering = refusals_covering(route.sender, route.category)
        reasons = [scope for scope in refusals if scope in covering]
    because = ", ".join(f"({scope.sender or '*'}, {scope.category or '*'})" for scope in reasons)
    return f"{toward}{f', by {because}' if because else ''}"


def _silence(case: EventCase) -> str:
    policy = case.route.policy
    return f"{policy.version}: silence = {'refuse' if policy.silence_refuses else 'allow'}"


def _freshness(case: EventCase) -> str:
    policy = case.route.policy
    fail = "closed" if policy.fails_closed else "open"
    return f"{'stale' if case.world.stale else 'fresh'}, limit {policy.staleness_limit_ms} ms; fail = {fail}"


def _hours(case: EventCase) -> str:
    windows = case.route.hours
    if not windows:
        return "no hours are set"
    moment = clock_moment(case.now)
    return "; ".join(
        f"{moment.astimezone(ZoneInfo(window.zone)):%H:%M} in {window.zone}, permitted {window.from_} to {window.to}"
        for window in windows
    )


SAW: Final[dict[Predicate, Callable[[EventCase], str]]] = {
    **dict.fromkeys((p.SMS, p.CALL, p.REPLY), _kind),
    p.ON_INTERNET: _network,
    **dict.fromkeys((p.TO_HELP, p.TO_REDRESS, p.TO_SHORT, p.TO_PERSON), _to),
    **dict.fromkeys((p.PERSONAL, p.SERVICE, p.COMMERCIAL, p.PUBLIC, p.EMERGENCY), _purpose),
    **dict.fromkeys((p.FROM_GIVEN, p.FROM_WELL_FORMED, p.FROM_PERSON), _from),
    **dict.fromkeys((p.CONSENTED, p.REFUSED, p.SILENT), _will),
    **dict.fromkeys((p.EMERGENCY_CAMPAIGN, p.CAMPAIGN_KNOWN, p.CAMPAIGN_OPEN), _campaign),
    **dict.fromkeys((p.SENDER_STATED, p.LICENSED), _sender),
    **dict.fromkeys((p.HAS_ENTRY, p.EMERGENCY_ENTRY), _entry),
    p.MAKES_EXPRESSION: _reply_expression,
    p.FROM_PLATFORM: _platform,
    p.FROM_OWNED: _owner,
    p.PURPOSE_PERMITTED: _purpose_and_entry,
    p.CATEGORY_PERMITTED: _category_and_entry,
    p.VERSTAT_FAILED: _verstat,
    p.PRESENTS_FOREIGN: _presented,
    p.SUSPENDED: _suspension,
    p.STOPPED: _stop,
    p.CAMPAIGN_COVERS: _region,
    p.CAMPAIGN_TEXT: _campaign_text,
    p.PROHIBITED: _prohibited,
    p.IDENTIFIED: _identity,
    p.OPT_OUT_SHOWN: _opt_out,
    p.SILENCE_REFUSES: _silence,
    p.STALE: _freshness,
    p.QUIET: _hours,
}
"""What was seen when a predicate was asked, in words. Every predicate has one."""
