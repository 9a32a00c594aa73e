"""The order rule (DESIGN section 3, *Order*): for one expression that somebody is about to write, and for whole files.

The order of receipt is the order that counts, so an older expression that arrives after another about an overlapping
scope would undo the newer one. Each counts with the earlier of its `time` and the moment at which it was written, so
that one dated ahead gains nothing by it. A refusal that is given now is always written. Scopes overlap when some
(sender, category) is covered by both. In a file, an expression that stands in the topic as the last of its scope is not
written again, so that a second import writes nothing. Pure: what the topic has of the subscriber is given, and the
moment.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from bloom.number import Msisdn
from bloom.wills import Scope
from stream.model import limits
from stream.model.codec import encode
from stream.model.fields import EVERYTHING, TIME_MAX, Channel
from stream.model.registry import Expression, scope_name
from stream.model.times import AHEAD_MAX_MS, counts_from, iso_time

NOW_WITHIN_MS: Final = 60_000
"""A refusal whose `time` lies no longer ago is given now: it took a minute to fill in, or two clocks differ."""

FEW_SCOPES: Final = 16
"""So many are gone through one by one, which is quicker than an index of them; most subscribers have one or two."""

_WHATEVER: Final = 0
"""Any sender, or any category, one that says `*` too."""

_Name = str | int | None
"""A sender or category of a scope, or `_WHATEVER`."""


class Received(NamedTuple):
    """An expression that the topic has, and when it was written (milliseconds since the epoch)."""

    expression: Expression
    written: int

    @property
    def counts(self) -> int:
        """The moment with which it counts."""
        return counts_from(self.expression.time, self.written)


def given_now(expression: Expression, now: int) -> bool:
    """Whether this is a refusal that is given now, and so written whatever stands already."""
    return expression.will == "refuse" and expression.time >= now - NOW_WITHIN_MS


def newer(expression: Expression, received: Iterable[Received], now: int) -> Received | None:
    """The newest expression about an overlapping scope that is newer than this one, which is written at `now`; or None.

    `received` is what the topic has of the subscriber, in any order.
    """
    counts, scope = counts_from(expression.time, now), scope_of(expression)
    later = (
        one
        for one in received
        if one.expression.channel == expression.channel
        and one.counts > counts
        and overlap(scope_of(one.expression), scope)
    )
    return max(later, key=lambda one: one.counts, default=None)


def refusal(expression: Expression, received: Sequence[Received], now: int) -> str | None:
    """Why this expression may not be written at `now`, in words for whoever wanted to; None where it may."""
    if given_now(expression, now):
        return None
    later = newer(expression, received, now)
    if later is not None:
        return f"too late: older than the expression that stands, {sentence(later)}"
    scope, scopes = scope_of(expression), set[Scope]()
    for earlier in (one.expression for one in received if one.expression.channel == expression.channel):
        about = Scope(scope_name(earlier.sender), scope_name(earlier.category))
        if about == scope:
            return None
        if len(scopes) < limits.SCOPES.most:
            scopes.add(about)
    if len(scopes) < limits.SCOPES.most:
        return None
    return (
        f"this subscriber has expressions about {limits.SCOPES.most:,} {limits.SCOPES.unit} on {expression.channel}, "
        "and no more are taken: write about a broader one"
    )


def sentence(received: Received) -> str:
    """Will, scope, channel, time and source of an expression: without the number."""
    one = received.expression
    sender, category = scope_name(one.sender) or EVERYTHING, scope_name(one.category) or EVERYTHING
    return f"{one.will} ({sender}, {category}) on {one.channel}, of {iso_time(received.counts)}, source {one.source}"


class SubscriberChannel(NamedTuple):
    """A subscriber on one channel: whoever a will belongs to."""

    number: Msisdn
    channel: Channel

    @property
    def row(self) -> int:
        """As the index has it: the subscriber's two channels lie side by side."""
        return self.number * 2 + (self.channel == "call")


class IndexedExpression(NamedTuple):
    """What the index knows of one subscriber, channel and scope."""

    scope: Scope
    time: int
    """the newest moment with which it counts, milliseconds since the epoch"""
    digest: int
    """of the last record"""


@dataclass(slots=True)
class OrderRuleResult:
    """Places in the batch, by what becomes of them."""

    write: list[int] = field(default_factory=list)
    already_count: int = 0
    """In the topic already, the same in every field, or repeated by the very next expression of that subscriber."""
    late: list[tuple[int, int]] = field(default_factory=list)
    """(place, moment of the newer expression that it overlaps)"""
    too_many: list[int] = field(default_factory=list)
    """One scope more than a subscriber may have on a channel."""


def overlap(one: Scope, other: Scope) -> bool:
    """Whether some (sender, category) is covered by both."""
    senders_meet = one.sender is None or other.sender is None or one.sender == other.sender
    categories_meet = one.category is None or other.category is None or one.category == other.category
    return senders_meet and categories_meet


def apply_order_rule(
    expressions: Sequence[Expression],
    rows: Sequence[int],
    digests: Sequence[int],
    indexed: dict[int, list[IndexedExpression]],
    *,
    now: int = TIME_MAX,
    of_file: bool = False,
) -> OrderRuleResult:
    """Sort a batch, which stands in order of receipt and is written at `now`, by the order rule.

    Refusals `of_file` are never given now: a file says what was said before, and comes again.
    `rows` and `digests` have each expression's `SubscriberChannel.row` and `digest_of`, `indexed` what the topic has
    there already; what is to be written is added to it, unless nothing else of the batch is of that subscriber and
    channel. About two microseconds each, and a tenth of that for those of whom nothing else is known.
    """
    occurrences = Counter(rows)
    repeated = _repeated(expressions, rows) if len(occurrences) < len(rows) else frozenset[int]()
    sifted = OrderRuleResult()
    for place, row in enumerate(rows):
        standing = indexed.get(row)
        if standing is None and occurrences[row] == 1:
            sifted.write.append(place)  # nothing that it could be older than, or repeat
            continue
        if not isinstance(standing, _Standing):
            standing = indexed[row] = _Standing(standing or ())  # kept for those that come after
        expression, digest = expressions[place], digests[place]
        scope, time = scope_of(expression), counts_from(expression.time, now)
        newest, same = standing.newest(scope), standing.last(scope)
        if place in repeated or (same is not None and _is_last_expression(same, expression, digest)):
            sifted.already_count += 1
        elif newest > time and (of_file or not given_now(expression, now)):
            sifted.late.append((place, newest))
        elif (
            same is None
            and len(standing) >= limits.SCOPES.most
            and scope != Scope(None, None)
            and (of_file or not given_now(expression, now))
        ):
            sifted.too_many.append(place)
        else:
            sifted.write.append(place)
            standing.put(IndexedExpression(scope, time, digest))
    return sifted


class _Standing(list[IndexedExpression]):
    """What stands of one subscriber and channel, a scope each, with an index of it: a look takes the same time however
    many there are. Whoever else appends to it is seen.
    """

    __slots__ = ("_newest", "_noted_count", "_places")

    def __init__(self, known: Iterable[IndexedExpression]) -> None:
        super().__init__(known)
        self._places: dict[Scope, int] = {}
        self._newest: dict[tuple[_Name, _Name], int] = {}
        """(sender, category) → newest moment, also under `_WHATEVER` for either or both; made where there are many"""
        self._noted_count = 0

    def last(self, scope: Scope) -> IndexedExpression | None:
        """The last expression of this very scope."""
        for new in range(len(self._places), len(self)):
            self._places[self[new].scope] = new
        place = self._places.get(scope)
        return None if place is None else self[place]

    def newest(self, scope: Scope) -> int:
        """The newest moment of the expressions about overlapping scopes; -1 where there is none."""
        if len(self) <= FEW_SCOPES:
            return max((one.time for one in self if overlap(one.scope, scope)), default=-1)
        for new in range(self._noted_count, len(self)):
            self._note(self[new])
        self._noted_count = len(self)
        senders: tuple[_Name, ...] = (_WHATEVER,) if scope.sender is None else (scope.sender, None)
        categories: tuple[_Name, ...] = (_WHATEVER,) if scope.category is None else (scope.category, None)
        return max(self._newest.get((sender, category), -1) for sender in senders for category in categories)

    def put(self, one: IndexedExpression) -> None:
        """Note what is written about a scope. Of a refusal that is given now its moment counts from then on, even where
        it is older than what it replaces: compaction forgets that, and to forget it only then would be another rule.
        """
        before = self.last(one.scope)
        if before is None:
            self.append(one)
            return
        self[self._places[one.scope]] = one
        if before.time > one.time:
            self._newest.clear()
            self._noted_count = 0
        elif self._noted_count:
            self._note(one)

    def _note(self, one: IndexedExpression) -> None:
        for sender in (one.scope.sender, _WHATEVER):
            for category in (one.scope.category, _WHATEVER):
                self._newest[sender, category] = max(self._newest.get((sender, category), -1), one.time)


def _is_last_expression(one: IndexedExpression, expression: Expression, digest: int) -> bool:
    """Whether the topic has just this as the last expression of its scope.

    One that was dated ahead counts from when it was written, at most so much earlier.
    """
    return 0 <= expression.time - one.time <= AHEAD_MAX_MS and one.digest == digest


def _repeated(expressions: Sequence[Expression], rows: Sequence[int]) -> set[int]:
    """Places whose subscriber's very next expression has the same scope and time: only that one counts."""
    following: dict[int, tuple[Scope, int]] = {}
    repeated: set[int] = set()
    for place in range(len(rows) - 1, -1, -1):
        one = scope_of(expressions[place]), expressions[place].time
        if following.get(rows[place]) == one:
            repeated.add(place)
        following[rows[place]] = one
    return repeated


def rows_of(expressions: Iterable[Expression]) -> list[int]:
    """`SubscriberChannel.row` of whom each expression is of. The struct admits subscriber numbers alone."""
    return [int(expression.subscriber) * 2 + (expression.channel == "call") for expression in expressions]


def scope_of(expression: Expression) -> Scope:
    """What an expression is about."""
    return _scope(expression.sender, expression.category)


@lru_cache(maxsize=10_000)  # some 10 MiB, were all names as long as they may be
def _scope(sender: str | None, category: str | None) -> Scope:
    return Scope(scope_name(sender), scope_name(category))


def digest_of(expression: Expression) -> int:
    """A checksum of the whole expression: what tells, of expressions about one scope at one time, the same from
    another.
    """
    return digest_of_encoded(encode(expression))


digest_of_encoded: Final = zlib.crc32
"""The same of an expression as `encode` gives it."""
