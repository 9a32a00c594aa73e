"""Erasing what is kept of one subscriber, as far as no duty keeps it (DESIGN section 3, null values). Pure.

On each channel a lift of everything ends all that the subscriber said, at once. Then null values take the keys, the
lift's own last: before it is gone nothing may be left behind that it ended, or compaction would bring that back. What
a duty keeps is the evidence of consents: messages went out on them, and it is kept five months from their end
(Article 17). Until then those consents and the lift stand, and mean nothing any more; when the time is over the
registrar takes them too, by itself: it knows the lift by its source, and nobody else has to remember whom.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from stream.model.registry import Expression, key_of, scope_name
from stream.model.times import DAY_MS
from stream.registry.known import StandingRecord
from stream.registry.order_rule import scope_of
from stream.registry.standing import holding

ERASED: Final = "erased"
"""The source of the lift that comes before an erasure."""

EVIDENCE_KEPT_MS: Final = 153 * DAY_MS
"""Five months, of which no five have more days."""


class Evidence(NamedTuple):
    """The consents of one subscriber and channel that an erasure leaves, and until when (milliseconds)."""

    consents: tuple[Expression, ...]
    until: int


def kept_as_evidence(standing: Sequence[StandingRecord], now: int) -> Evidence | None:
    """What an erasure at `now` leaves of what stands of one subscriber and channel, in order of receipt; or None.

    Consents that hold, and so end now, and those that ended less than five months ago. All go together, five months
    from the erasure: what would tell when each one ended is erased.
    """
    if has_erased(standing):
        until = standing[-1].written + EVIDENCE_KEPT_MS
        consents = tuple(one.expression for one in standing if one.expression.will == "consent")
        return Evidence(consents, until) if consents and now < until else None
    held = set(map(key_of, holding([one.expression for one in standing])))
    consents = tuple(
        one.expression
        for place, one in enumerate(standing)
        if one.expression.will == "consent"
        and (key_of(one.expression) in held or _owed_until(one.expression, standing[place + 1 :], now) > now)
    )
    return Evidence(consents, now + EVIDENCE_KEPT_MS) if consents else None


def _owed_until(consent: Expression, later: Sequence[StandingRecord], now: int) -> int:
    """Until when its evidence is kept: five months from when the first that ended it, of what stands, was written."""
    covers = (
        one.written
        for one in later
        if one.expression.will != "consent" and scope_of(one.expression).covers(scope_of(consent))
    )
    return next(covers, now) + EVIDENCE_KEPT_MS


def is_erasing(expression: Expression) -> bool:
    """Whether this is the lift of an erasure."""
    everything = scope_name(expression.sender) is None and scope_name(expression.category) is None
    return expression.will == "lift" and expression.source == ERASED and everything


def has_erased(standing: Sequence[StandingRecord]) -> bool:
    """Whether the last that stands of a subscriber and channel is an erasure's lift: nothing was said since."""
    return bool(standing) and is_erasing(standing[-1].expression)


def evidence_over(lift: StandingRecord, standing: Collection[StandingRecord]) -> list[str]:
    """The keys that go when the evidence behind an erasure's lift is kept no longer: all before it, and then its own.

    What the subscriber said since stays.
    """
    before = [
        key_of(one.expression)
        for one in standing
        if one.expression.channel == lift.expression.channel and one.offset < lift.offset
    ]
    return [*before, key_of(lift.expression)]


__all__ = ["ERASED", "EVIDENCE_KEPT_MS", "Evidence", "evidence_over", "has_erased", "is_erasing", "kept_as_evidence"]
