"""Which records may be written: the rules that bind whoever writes the registry (DESIGN section 4).

The filter obeys every record in the topics; so these rules hold at the door, for the importer and for the
API alike. Pure: what is asked is the registry as the writer sees it, and the moment. A refusal is a
sentence for the person who wanted to write. Expressions have a rule of their own beside these (`order_rule`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from stream.model import limits
from stream.model.control import AT_ONCE_BASES
from stream.model.fields import Channel
from stream.model.registry import (
    Campaign,
    Expression,
    FileRecord,
    NumberEntry,
    Order,
    Sender,
    Tombstone,
    key_fault,
)
from stream.model.requests import RefusalCode
from stream.model.times import TERM_MAX_MS, iso_time, time_problem
from stream.registry import claims, emergency, prefixes
from stream.registry.claims import NOTHING_STATED, HandOver
from stream.registry.numbers import NumberKinds
from stream.registry.ownership import effective
from stream.registry.registry import Registry

OF_A_MEASURE: Final = "O-M-"
"""How the ids of orders begin that a measure's own case writes, which alone changes them."""


NO_PERSON: Final = (
    "`subscriber` is no person's number as it is registered: a mobile or fixed number with + and the country's code"
)


class Refused(NamedTuple):
    """Why something may not be written: the reason's name, and a sentence for whoever wanted to."""

    code: RefusalCode
    what: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The door of one writer: how it reads numbers, and what it states of other senders' numbers."""

    numbering: NumberKinds
    stated: HandOver = NOTHING_STATED

    def as_written(self, record: FileRecord) -> FileRecord:
        """The record with its numbers as read: those that are compared whole (orders'); prefixes are not read."""
        if isinstance(record, Order) and record.number:
            number = number_as_written(record.number, record.channel, self.numbering)
            return msgspec.structs.replace(record, number=number or record.number)
        return record

    def refused(self, record: FileRecord, registry: Registry, now: int) -> Refused | None:
        """Why this record, as written, may not be written at `now` (milliseconds since the epoch); None where it may.

        A record that is in the registry as it stands may always be written again. Cost: of a sender the orders on it,
        and 0.06 ms a prefix that is new.
        """
        if isinstance(record, Expression):
            return self.expression_refused(record, now)
        return next(self._refusals(record, registry, now), None)

    def giving_up(self, record: FileRecord, registry: Registry) -> list[Sender]:
        """What must be written before a record that is admitted: senders whose numbers it takes over, without them."""
        return claims.giving_up(record, registry, self.stated) if isinstance(record, Sender) else []

    def expression_refused(self, record: Expression, now: int) -> Refused | None:
        """The same of an expression, of which there are millions: some 3 µs."""
        if exceeded := limits.excess(record):
            return Refused("limit", "; ".join(map(str, exceeded)))
        if (record.sender or record.category) and (fault := key_fault(record)):
            return Refused("key", fault)
        if problem := time_problem(record.time, now):
            return Refused("time", problem)
        if self.numbering.registrable(record.subscriber) != record.subscriber:
            return Refused("number", NO_PERSON)
        if problem := expiry_problem(record, now):
            return Refused("expires", problem)
        return None

    def _refusals(self, record: FileRecord, registry: Registry, now: int) -> Iterator[Refused]:
        if isinstance(record, Tombstone):
            return
        if exceeded := limits.excess(record):
            yield Refused("limit", "; ".join(map(str, exceeded)))
        yield from _because("key", key_fault(record))
        match record:
            case Sender():
                yield from self._unfit_prefixes(record, registry)
                yield from _because("under-limit", _new_resources_under_limit(record, registry, now, self.numbering))
                yield from _because("claim", claims.refusal(record, registry, self.stated))
            case Order():
                yield from _outside_terms(record.from_, record.until, now)
                if record.number and number_as_written(record.number, record.channel, self.numbering) is None:
                    yield Refused(
                        "order-number",
                        f"the order {record.order} is on a `number` that is neither a person's nor 3 to 20 digits",
                    )
                yield from _because("notice", _suspension_without_notice(record))
                yield from _because("not-yours", taken(record, registry.orders.get(record.order)))
            case Campaign():
                yield from _because("not-yours", _taken_campaign(record, registry.campaigns.get(record.campaign)))
                yield from _outside_terms(record.from_, record.until, now)
                yield from _because("emergency", _no_emergency(record, registry, now))
                for prefix in record.numbers:
                    yield from _because("prefix", prefixes.campaign_problem(prefix, self.numbering))
            case _:
                pass

    def _unfit_prefixes(self, record: Sender, registry: Registry) -> Iterator[Refused]:
        before = registry.senders.get(record.sender)
        known = {(entry.channel, entry.prefix) for entry in before.numbers} if before else set()
        for channel, prefix in sorted({(entry.channel, entry.prefix) for entry in record.numbers} - known):
            problem = prefixes.problem(prefix, channel, self.numbering)
            if problem is not None:
                yield Refused("prefix", f"sender {record.sender}: {problem}")


def taken(record: Order, before: Order | None) -> str | None:
    """Why an order may not take the place of what stands under its id; None where it may.

    An id is its writer's: whoever else states it would end, or turn, a measure that is not theirs.
    """
    if before is None or before == record:
        return None
    if record.order.startswith(OF_A_MEASURE):
        return f"{record.order} is the order of a measure's case: lift it through that case"
    if before.actor == record.actor:
        return None
    return (
        f"the order {record.order} is not yours: {before.actor or 'somebody without a name'} wrote it, and alone "
        "changes it; write an order of your own, under another `order`"
    )


def _taken_campaign(record: Campaign, before: Campaign | None) -> str | None:
    if before is None or before.sender == record.sender:
        return None
    return f"the campaign {record.campaign} is {before.sender}'s: give {record.sender}'s an id of its own"


def _no_emergency(record: Campaign, registry: Registry, now: int) -> str | None:
    """Why a campaign may not go out first; None where it may, goes out no more, or stands as it is."""
    if not record.emergency or record.status != "approved" or record.until <= now:
        return None
    if registry.campaigns.get(record.campaign) == record:
        return None
    problem = emergency.window_problem(record.from_, record.until, now)
    if problem is not None:
        return f"the emergency campaign {record.campaign}: `until`: {problem}"
    problem = emergency.sender_problem(record.sender, registry.senders.get(record.sender))
    return (
        None if problem is None else f"the emergency campaign {record.campaign}: {problem}; name a public body's sender"
    )


def number_as_written(text: str, channel: object, numbering: NumberKinds) -> str | None:
    """A number that is sent from, as read, or the identifier of a service; None where the text is neither.

    `channel` is the one that it is about, or None for both, on which only the country's ports differ.
    """
    number = numbering.read_port(text) if channel == "sms" else numbering.read(text)
    if numbering.source(number, internet=False) not in ("malformed", "missing"):
        return number
    return text.strip() if prefixes.is_identifier(text.strip()) else None


def _because(code: RefusalCode, problem: str | None) -> Iterator[Refused]:
    if problem is not None:
        yield Refused(code, problem)


def _outside_terms(begin: int, until: int | None, now: int) -> Iterator[Refused]:
    for name, moment in (("from", begin), ("until", until)):
        problem = None if moment is None else time_problem(moment, now, ahead_max=TERM_MAX_MS)
        if problem is not None:
            yield Refused("time", f"`{name}`: {problem}")


def _new_resources_under_limit(record: Sender, registry: Registry, now: int, numbering: NumberKinds) -> str | None:
    """A `limit` on the sender, or on a number that a new prefix has to do with, refuses what is new.

    New is what the sender does not hold; of a record that a tombstone took, all that it held counts as held, so that
    it can be registered again as it was.
    """
    before = registry.senders.get(record.sender) or registry.removed_senders.get(record.sender)
    new = [(channel, prefix, what) for channel in registry.ownership for prefix, what in _new(record, before, channel)]
    if not new:
        return None
    for order in sorted(_limits(record.sender, registry, now), key=lambda order: order.order):
        refused = [
            f"{prefix} ({channel}{what})"
            for channel, prefix, what in new
            if order.channel in (None, channel) and (order.sender or _has_to_do(order, channel, prefix, numbering))
        ]
        if refused:
            return (
                f"sender {record.sender} gets no new numbers, purposes or categories while the order {order.order} "
                f"(limit) is in force: leave out {', '.join(refused)}, or end the order first"
            )
    return None


def _new(record: Sender, before: Sender | None, channel: Channel) -> Iterator[tuple[str, str]]:
    """Every prefix with which the record allows more than the one before, and what more, where it was held."""
    held = effective(before, channel) if before else {}
    for prefix, entry in sorted(effective(record, channel).items()):
        if prefix not in held:
            yield prefix, ""
        elif more := _more(entry, held[prefix]):
            yield prefix, f", {more}"


def _more(entry: NumberEntry, held: NumberEntry) -> str:
    """What an entry allows and the one before did not, in words."""
    purposes = sorted(set(entry.purposes) - set(held.purposes))
    more = [f"purpose {purpose}" for purpose in purposes]
    if held.categories:
        widened = sorted(set(entry.categories) - set(held.categories)) if entry.categories else ["every one"]
        more += [f"category {category}" for category in widened]
    if held.platform and not entry.platform:
        more.append("no platform any more")
    return ", ".join(more)


def _limits(sender: str, registry: Registry, now: int) -> Iterator[Order]:
    on_numbers = (order for order in registry.orders.values() if order.number)
    for order in (*registry.orders_on_sender(sender), *on_numbers):
        if order.measure == "limit" and order.in_force(now):
            yield order


def _has_to_do(order: Order, channel: Channel, prefix: str, numbering: NumberKinds) -> bool:
    """Whether an order's number lies inside a prefix, or the prefix inside it: compared as the channel reads it."""
    assert order.number is not None
    number = numbering.read_port(order.number) if channel == "sms" else numbering.read(order.number)
    return number.startswith(prefix) or prefix.startswith(number)


def expiry_problem(record: Expression, now: int) -> str | None:
    """Why an expression cannot bear its `expires` at `now`; None where it can, or has none."""
    expires = record.expires
    if expires is msgspec.UNSET:
        return None
    if record.will != "consent":
        return f"a {record.will} does not expire: only a consent bears `expires`"
    if expires <= max(record.time, now):
        return f"the consent expired at {iso_time(expires)}: it ends by itself, and nothing is to be written any more"
    problem = time_problem(expires, now, ahead_max=TERM_MAX_MS)
    return f"`expires`: {problem}" if problem else None


def _suspension_without_notice(record: Order) -> str | None:
    if record.measure != "suspend" or record.notice or record.basis in AT_ONCE_BASES:
        return None
    return (
        f"the order {record.order} suspends without a `notice`: tell the party first and name the notice; "
        f"only the bases {' and '.join(AT_ONCE_BASES)} need none"
    )


__all__ = ["NO_PERSON", "OF_A_MEASURE", "Admission", "Refused", "expiry_problem", "number_as_written", "taken"]
