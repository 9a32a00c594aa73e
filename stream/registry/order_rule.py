"""The order rule for one expression that somebody is about to write (DESIGN section 3, *Order*).

The order of receipt is the order that counts, so an expression that was said before another about an overlapping scope
would undo the newer one. Each counts with the earlier of its `time` and the moment at which it was written, so that one
dated ahead gains nothing by it. A refusal that is given now is always written. `sifting` has the same rule for whole
files. Pure: what the topic has of the subscriber is given (`one_subscriber`), and the moment.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from stream.model import limits
from stream.model.fields import EVERYTHING
from stream.model.registry import Expression, scope_name
from stream.model.times import counts_from, told
from stream.registry.order_index import scope_of
from stream.registry.sifting import overlap

NOW_WITHIN_MS: Final = 60_000
"""A refusal whose `time` lies no longer ago is given now: it took a minute to fill in, or two clocks differ."""


class Received(NamedTuple):
    """An expression that the topic has, and when it was written (milliseconds since the epoch)."""

    expression: Expression
    written: int

    @property
    def counts(self) -> int:
        """The moment with which it counts."""
        return counts_from(self.expression.time, self.written)


def given_now(expression: Expression, now: int) -> bool:
    """Whether this is a refusal that is given now, and so written whatever was said before."""
    return expression.will == "refuse" and expression.time >= now - NOW_WITHIN_MS


def newer(expression: Expression, received: Iterable[Received], now: int) -> Received | None:
    """The newest that was said after this one, which is written at `now`, about an overlapping scope; None: none was.

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
        return f"too late: said before what stands, {sentence(later)}"
    scopes = {scope_of(one.expression) for one in received if one.expression.channel == expression.channel}
    if scope_of(expression) in scopes or len(scopes) < limits.SCOPES.most:
        return None
    return (
        f"this subscriber has said something about {len(scopes):,} {limits.SCOPES.unit} on {expression.channel}, at "
        f"most {limits.SCOPES.most:,}: write about a broader one"
    )


def sentence(received: Received) -> str:
    """What was said, about which scope and when: without the number."""
    one = received.expression
    sender, category = scope_name(one.sender) or EVERYTHING, scope_name(one.category) or EVERYTHING
    return f"{one.will} ({sender}, {category}) on {one.channel}, said {told(received.counts)}, source {one.source}"


__all__ = ["Received", "given_now", "newer", "refusal", "sentence"]
