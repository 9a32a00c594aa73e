"""The semantics of wills: how expressions become refusals and consents, and what they say about an event.

House rules
-----------
* Everything that decides what a subscriber wants lives in this file. `bitmaps` only keeps sets.
* The fold is written once, `settle`, over the verbs of `Store`. The plain store, the overlay on a shared
  base and the bulk path all run it; a single expression is a batch of one.
* No I/O, no clock, no log. The order that counts is the order in which expressions are given.

Theory (DESIGN section 3)
-------------------------
A scope is a pair (sender or *, category or *). Y ⊆ X: X covers Y, where * covers anything. Per subscriber and
channel there is a set of consents C, whose scopes name both parts, and a set of refusals R:

    consent (s,c)    C += (s,c);  R -= (s,c)
    refuse X         R -= every Y ⊆ X;  R += X;  C -= every (s,c) ⊆ X
    lift X           R -= every Y ⊆ X;           C -= every (s,c) ⊆ X

The will toward (s,c) is *consented* if (s,c) ∈ C, else *refused* if R holds any scope that covers (s,c), else
*silent*. So the newest expression about a pair wins over broader, older ones, and a broader, newer one over all.

Compaction. A topic keyed by subscriber, channel and scope keeps, for each key, its last record only, in its
own place. fold(compact(log)) = fold(log), because an expression at X writes the membership of every Y ⊆ X in
both sets, writes nothing else, and reads nothing: a consent settles (s,c), which covers itself alone; a
refusal or a lift settles all that X covers. What an earlier expression at X wrote, a later one at X
therefore writes over whole, and nothing between the two can have depended on it.

This is why there is no tombstone and no expression that takes back one refusal while it leaves the rest: it would
be the last record of its key, compaction would drop the refusal that had ended narrower consents, and keep
those consents' own records. They would come back to life, against the subscriber's last expression.

Bulk. Expressions of different (subscriber, channel) touch different state, so they commute. The k-th
expressions of all subscribers can therefore be done together, grouped by verb and scope: `plan` makes those
groups, and leaves out what a later refusal or lift of everything supersedes.
"""

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from bloom.number import Msisdn

Channel = Literal["sms", "call"]
CHANNELS: Final[tuple[Channel, ...]] = ("sms", "call")

Verb = Literal["refuse", "consent", "lift"]
VERBS: Final[tuple[Verb, ...]] = get_args(Verb)

Kind = Literal["refusal", "consent"]
"""The two sets of a subscriber and channel: R and C."""
KINDS: Final[tuple[Kind, ...]] = ("refusal", "consent")

Stance = Literal["consented", "refused", "silent"]
"""The will of a number toward a sender and category. Plain texts: constants to Python, words to a reader."""


class Scope(NamedTuple):
    """What an expression is about; None stands for `*`, any."""

    sender: str | None
    category: str | None

    def covers(self, other: "Scope") -> bool:
        """Whether `other` ⊆ this scope."""
        return self.sender in (None, other.sender) and self.category in (None, other.category)


EVERYTHING: Final = Scope(None, None)

MEANINGS_MAX: Final = 1 << 15
"""Contents whose meaning is kept from batch to batch: verb and scope, some thousands of senders with three verbs."""


class ExpressionRow(NamedTuple):
    """As much of one expression as the fold needs. A consent names both its sender and its category."""

    number: Msisdn
    channel: Channel
    verb: Verb
    sender: str | None
    category: str | None


ExpressionContent = tuple[Channel, Verb, str | None, str | None]
"""What an expression says, whoever says it: channel, verb, sender, category."""


class ExpressionColumns:
    """Expression rows in order of receipt, as columns: the subscribers' numbers, and of each row its content's id."""

    __slots__ = ("content_ids", "contents", "numbers")

    def __init__(self) -> None:
        self.numbers: Final = array("Q")
        self.content_ids: Final = array("I")
        self.contents: Final[dict[ExpressionContent, int]] = {}
        """every content that occurs → its id, which counts from 0"""

    @classmethod
    def of(cls, expressions: Iterable[ExpressionRow]) -> "ExpressionColumns":
        """The same expressions."""
        columns = cls()
        for number, channel, verb, sender, category in expressions:
            columns.add(number, (channel, verb, sender, category))
        return columns

    def add(self, number: Msisdn, content: ExpressionContent) -> None:
        """One more."""
        self.numbers.append(number)
        self.content_ids.append(self.contents.setdefault(content, len(self.contents)))

    def extend(
        self, numbers: NDArray[np.uint64], content_ids: NDArray[np.uint32], contents: Sequence[ExpressionContent]
    ) -> None:
        """Many more, in columns of their own: `content_ids` are those among `contents`."""
        own = np.fromiter(
            (self.contents.setdefault(content, len(self.contents)) for content in contents), np.uint32, len(contents)
        )
        self.numbers.frombytes(numbers.astype(np.uint64, copy=False).tobytes())
        self.content_ids.frombytes(own[content_ids].tobytes())

    def __len__(self) -> int:
        return len(self.numbers)


class FoldStep(NamedTuple):
    """One verb at one scope for many subscribers of a channel, in order, none of them twice."""

    channel: Channel
    verb: Verb
    scope: Scope
    numbers: Sequence[int]
    """an `array` of them, which the sets take in one stroke"""


class Store(Protocol):
    """What the fold asks of a place that keeps refusals and consents, for all `numbers` alike.

    `settle` alone calls it; nothing here waits.
    """

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """`scope` joins that set of each number."""

    def remove(self, channel: Channel, kind: Kind, scope: Scope, numbers: Sequence[int]) -> None:
        """`scope`, exactly this one, leaves that set of each number, where it is there."""

    def remove_within(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """Every scope that `scope` covers leaves both sets of each number."""

    def refuse(self, channel: Channel, scope: Scope, numbers: Sequence[int]) -> None:
        """The same, and then `scope` joins the refusals of each number: in one, for most of them refuse everything."""


class StanceProbe(Protocol):
    """A question kept ready: what is a number's stance toward one sender and category on one channel?

    Deciders ask it, for events whose answer depends on it; it answers from memory.
    """

    def stance(self, number: Msisdn) -> Stance:
        """The stance of `number` as the store holds it now."""


def settle(store: Store, step: FoldStep) -> None:
    """Do one step: the table at the head of this file."""
    channel, verb, scope, numbers = step
    if verb == "consent":
        store.add(channel, "consent", scope, numbers)
        store.remove(channel, "refusal", scope, numbers)
    elif verb == "refuse":
        store.refuse(channel, scope, numbers)
    else:
        store.remove_within(channel, scope, numbers)


def plan(columns: ExpressionColumns) -> list[FoldStep]:
    """The steps that do in few strokes what the expressions do one by one.

    Raises ValueError for a consent that does not name both its sender and its category, before anything is
    done. Costs some 0.1 µs for each expression, and 50 µs for the first.
    """
    if not len(columns):
        return []
    meanings = [_meaning(*content) for content in columns.contents]
    numbers = np.frombuffer(columns.numbers, dtype=np.uint64)
    content_ids = np.frombuffer(columns.content_ids, dtype=np.uint32)
    of_call = np.fromiter((channel == "call" for channel, _, _ in meanings), np.uint64, len(meanings))
    who = numbers << np.uint64(1) | of_call[content_ids]
    # In order, numbers come to a bitmap's parts one after the other: at the size of a country, where these are out of
    # the cache, refusals of everything so take two thirds of the time.
    order = np.argsort(who)
    again = _again(who[order])
    rounds = None
    if again.any():
        order = np.argsort(who, kind="stable")  # expressions of one subscriber keep their order
        of_everything = np.fromiter((scope == EVERYTHING for _, _, scope in meanings), np.bool_, len(meanings))
        rounds = _rounds(again, of_everything[content_ids[order]])
        order, rounds = order[rounds >= 0], rounds[rounds >= 0]
    return _steps(numbers[order], content_ids[order].astype(np.int64), rounds, meanings)


def _again(who: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Of rows in order, whether each is of the same subscriber and channel as the one before."""
    again = np.zeros(len(who), dtype=np.bool_)
    np.equal(who[1:], who[:-1], out=again[1:])
    return again


def _rounds(again: NDArray[np.bool_], of_everything: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Which turn each row has among its subscriber's; below 0 where a later expression on everything supersedes it."""
    rows = np.arange(len(again))
    begins = rows[~again]
    subscriber = np.cumsum(~again) - 1
    np.maximum.at(begins, subscriber[of_everything], rows[of_everything])
    turns: NDArray[np.int64] = rows - begins[subscriber]
    return turns


def _steps(
    numbers: NDArray[np.uint64],
    content_ids: NDArray[np.int64],
    rounds: NDArray[np.int64] | None,
    meanings: Sequence[tuple[Channel, Verb, Scope]],
) -> list[FoldStep]:
    """Rows in the order of their numbers, parted by round and then by content."""
    group = content_ids if rounds is None else rounds * len(meanings) + content_ids
    if len(meanings) > 1 or rounds is not None:
        order = np.argsort(group, kind="stable")
        numbers, group = numbers[order], group[order]
    (changes,) = np.nonzero(np.diff(group))
    begins = [0, *(changes + 1).tolist()]
    column = array("Q")
    column.frombytes(np.ascontiguousarray(numbers).tobytes())
    steps: list[FoldStep] = []
    for begin, end, place in zip(begins, [*begins[1:], len(column)], group[begins].tolist(), strict=True):
        channel, verb, scope = meanings[place % len(meanings)]
        steps.append(FoldStep(channel, verb, scope, column[begin:end]))
    return steps


@lru_cache(MEANINGS_MAX)
def _meaning(channel: Channel, verb: Verb, sender: str | None, category: str | None) -> tuple[Channel, Verb, Scope]:
    if verb == "consent" and None in (sender, category):
        raise ValueError(
            f"consent to sender {sender or '*'}, category {category or '*'}: "
            "a consent names both; refuse or lift may leave one open"
        )
    return channel, verb, Scope(sender, category)


def fold(store: Store, columns: ExpressionColumns, *followers: Store) -> None:
    """Apply expressions to a store and to others that hold the same."""
    for step in plan(columns):
        settle(store, step)
        for follower in followers:
            settle(follower, step)


def refusals_covering(sender: str | None, category: str) -> tuple[Scope, ...]:
    """The scopes at which a refusal covers an event, broadest first: the broadest are the most common.

    Of an event without a sender only a refusal that names none can speak.
    """
    if sender is None:
        return EVERYTHING, Scope(None, category)
    return EVERYTHING, Scope(sender, None), Scope(None, category), Scope(sender, category)
