"""The order rule on a batch of expressions: which are written, which stand there already, which come too
late.

A word that is older than one already received for an overlapping scope is skipped: to write it now would
undo the newer one, because the order of receipt is the order that counts (DESIGN section 3, *Order*).
Scopes overlap when some (sender, category) is covered by both. A word that stands in the topic as the
last of its scope is not written again, so that a second import of a file writes nothing. A word counts with the
earlier of its time and the moment at which it was, or is, written. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bloom.wills import EVERYTHING, Scope
from stream.model import limits
from stream.model.fields import TIME_MAX
from stream.model.registry import Expression
from stream.model.times import AHEAD_MAX_MS, counts_from
from stream.registry.order_index import Said, digest_of, scope_of


@dataclass(slots=True)
class Sifted:
    """Places in the batch, by what becomes of them."""

    write: list[int] = field(default_factory=list)
    digests: list[int] = field(default_factory=list)
    """of what is written"""
    already_count: int = 0
    """Said already, word for word, or said again by the very next word of that subscriber."""
    late: list[tuple[int, int]] = field(default_factory=list)
    """(place, moment of the newer word that it overlaps)"""
    too_many: list[int] = field(default_factory=list)
    """One scope more than a subscriber may have on a channel."""


def overlap(one: Scope, other: Scope) -> bool:
    """Whether some (sender, category) is covered by both."""
    senders_meet = one.sender is None or other.sender is None or one.sender == other.sender
    categories_meet = one.category is None or other.category is None or one.category == other.category
    return senders_meet and categories_meet


def sift(
    expressions: Sequence[Expression], rows: Sequence[int], said: dict[int, list[Said]], *, now: int = TIME_MAX
) -> Sifted:
    """Sort a batch, which stands in order of receipt and is written at `now`, by the order rule.

    `rows` has each expression's `Who.row`, `said` what was said there before; the words to be written are
    added to it. About a microsecond each.
    """
    repeated = _repeated(expressions, rows)
    sifted = Sifted()
    for place, (expression, row) in enumerate(zip(expressions, rows, strict=True)):
        scope, time = scope_of(expression), counts_from(expression.time, now)
        words = said.get(row)
        if words is None:
            words = said[row] = []
        newest, same, digest = -1, -1, digest_of(expression)
        for index, word in enumerate(words):
            if word.scope == scope:
                same = index
            if word.time > newest and overlap(word.scope, scope):
                newest = word.time
        if place in repeated or (same >= 0 and _is_last_word(words[same], expression, digest)):
            sifted.already_count += 1
        elif newest > time:
            sifted.late.append((place, newest))
        elif same < 0 and len(words) >= limits.SCOPES.most and scope != EVERYTHING:
            sifted.too_many.append(place)
        else:
            sifted.write.append(place)
            sifted.digests.append(digest)
            word = Said(scope, time, digest)
            if same >= 0:
                words[same] = word
            else:
                words.append(word)
    return sifted


def _is_last_word(word: Said, expression: Expression, digest: int) -> bool:
    """Whether the topic has just this as the last word of its scope.

    One that was dated ahead counts from when it was written, at most so much earlier.
    """
    return 0 <= expression.time - word.time <= AHEAD_MAX_MS and word.digest == digest


def _repeated(expressions: Sequence[Expression], rows: Sequence[int]) -> set[int]:
    """Places whose subscriber's very next word has the same scope and time: only that one counts."""
    following: dict[int, tuple[Scope, int]] = {}
    repeated: set[int] = set()
    if len(set(rows)) == len(rows):
        return repeated
    for place in range(len(rows) - 1, -1, -1):
        word = scope_of(expressions[place]), expressions[place].time
        if following.get(rows[place]) == word:
            repeated.add(place)
        following[rows[place]] = word
    return repeated
