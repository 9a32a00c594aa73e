"""The semantics of wills: how expressions become refusals and consents, and what they say about an event.

House rules
-----------
* Everything that decides what a subscriber wants lives in this file. `bitmaps` only keeps sets.
* The fold is written once, `settle`, over the four verbs of `Store`. The plain store, the overlay on a shared
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
*silent*. So the newest word about a pair wins over broader, older ones, and a broader, newer word over all.

Compaction. A topic keyed by subscriber, channel and scope keeps, for each key, its last record only, in its
own place. fold(compact(log)) = fold(log), because an expression at X writes the membership of every Y ⊆ X in
both sets, writes nothing else, and reads nothing: a consent settles (s,c), which covers itself alone; a
refusal or a lift settles all that X covers. What an earlier expression at X wrote, a later one at X
therefore writes over whole, and nothing between the two can have depended on it.

This is why there is no tombstone and no word that takes back one refusal while it leaves the rest: it would
be the last record of its key, compaction would drop the refusal that had ended narrower consents, and keep
those consents' own records. They would come back to life, against the subscriber's word.

Bulk. Expressions of different (subscriber, channel) touch different state, so they commute. The k-th
expressions of all subscribers can therefore be done together, grouped by verb and scope: `plan` makes those
groups, and leaves out what a later refusal or lift of everything supersedes.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol

from bloom.number import Msisdn

Channel = Literal["sms", "call"]
CHANNELS: Final[tuple[Channel, ...]] = ("sms", "call")

Verb = Literal["refuse", "consent", "lift"]

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
"""Words whose meaning is remembered from batch to batch: verb and scope, some thousands of senders with three verbs."""


class Expression(NamedTuple):
    """As much of one expression as the fold needs. A consent names both its sender and its category."""

    number: Msisdn
    channel: Channel
    verb: Verb
    sender: str | None
    category: str | None


class Step(NamedTuple):
    """One verb at one scope for many subscribers of a channel, none of them twice."""

    channel: Channel
    verb: Verb
    scope: Scope
    numbers: list[Msisdn]


class Store(Protocol):
    """What the fold asks of a place that keeps refusals and consents, for all `numbers` alike."""

    def add(self, channel: Channel, kind: Kind, scope: Scope, numbers: list[Msisdn]) -> None:
        """`scope` joins that set of each number."""

    def remove(self, channel: Channel, kind: Kind, scope: Scope, numbers: list[Msisdn]) -> None:
        """`scope`, exactly this one, leaves that set of each number, where it is there."""

    def remove_within(self, channel: Channel, scope: Scope, numbers: list[Msisdn]) -> None:
        """Every scope that `scope` covers leaves both sets of each number."""


class Probe(Protocol):
    """A question kept ready: what is a number's will toward one sender and category on one channel?"""

    def stance(self, number: Msisdn) -> Stance:
        """The will of `number` as the store holds it now."""


def settle(store: Store, step: Step) -> None:
    """Do one step: the table at the head of this file."""
    channel, verb, scope, numbers = step
    if verb == "consent":
        store.add(channel, "consent", scope, numbers)
        store.remove(channel, "refusal", scope, numbers)
        return
    store.remove_within(channel, scope, numbers)
    if verb == "refuse":
        store.add(channel, "refusal", scope, numbers)


def plan(expressions: Sequence[Expression]) -> list[Step]:
    """The steps that do in few strokes what the expressions do one by one.

    Raises ValueError for a consent that does not name both its sender and its category, before anything is
    done. Costs about half a microsecond for each expression.
    """
    words: dict[tuple[Verb, str | None, str | None], int] = {}
    meanings: list[tuple[Verb, Scope]] = []
    # Most numbers stand once in a batch: only those that do not get a list for what follows their first word.
    first: dict[Channel, dict[Msisdn, int]] = {channel: {} for channel in CHANNELS}
    later: dict[Channel, dict[Msisdn, list[int]]] = {channel: {} for channel in CHANNELS}
    for number, channel, verb, sender, category in expressions:
        word = words.get((verb, sender, category))
        if word is None:
            word = words[verb, sender, category] = len(meanings)
            meanings.append(_meaning(verb, sender, category))
        if sender is None and category is None:
            first[channel][number] = word
            if later[channel]:
                later[channel].pop(number, None)
        elif number in first[channel]:
            later[channel].setdefault(number, []).append(word)
        else:
            first[channel][number] = word

    steps: list[Step] = []
    for channel in CHANNELS:
        rounds_count = 1 + max(map(len, later[channel].values()), default=0)
        rounds: list[defaultdict[int, list[Msisdn]]] = [defaultdict(list) for _ in range(rounds_count)]
        for number, word in first[channel].items():
            rounds[0][word].append(number)
        for number, words_after in later[channel].items():
            for turn, word in enumerate(words_after, start=1):
                rounds[turn][word].append(number)
        steps.extend(Step(channel, *meanings[word], numbers) for groups in rounds for word, numbers in groups.items())
    return steps


@lru_cache(MEANINGS_MAX)
def _meaning(verb: Verb, sender: str | None, category: str | None) -> tuple[Verb, Scope]:
    if verb == "consent" and None in (sender, category):
        raise ValueError(
            f"consent to sender {sender or '*'}, category {category or '*'}: "
            "a consent names both; refuse or lift may leave one open"
        )
    return verb, Scope(sender, category)


def fold(store: Store, expressions: Sequence[Expression], *followers: Store) -> None:
    """Apply the expressions, which stand in order of receipt, to a store and to others that hold the same."""
    for step in plan(expressions):
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
