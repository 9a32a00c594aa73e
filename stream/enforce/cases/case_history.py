"""What an entry remembers of the steps before: clocks that were kept, when the case ended, what it told whom.

Pure. A clock is *kept* when its duty was done in time. Time that somebody else has (to supplement, to object), and the
course of a measure, is nobody's duty; and what was taken back, or gave way, kept nothing.
"""

from collections.abc import Iterable
from typing import Final

from stream.enforce.procedures.clocks import Clock, ClockFired
from stream.enforce.procedures.effects import Effect, SendNotice
from stream.enforce.procedures.terms import TERMS
from stream.model.cases import ClockKept
from stream.model.control import Notice

DUTIES: Final = frozenset(term.clock for term in TERMS) - {"supplement", "object", "listed"}
"""Clocks that somebody keeps or misses."""

GIVEN_UP: Final = frozenset(("withdrawn", "lapsed", "superseded", "revoked", "unconfirmed"))
"""Ends at which what was still owed is owed no more, without having been done."""


def kept(
    before: Iterable[Clock], after: Iterable[Clock], event: object, now: int, *, state: str, ended: bool
) -> tuple[ClockKept, ...]:
    """The clocks that a step kept: they ran before it, in time, and do not after it."""
    if isinstance(event, ClockFired) or (ended and state in GIVEN_UP):
        return ()
    running = {clock.clock for clock in after}
    gone = (clock for clock in before if clock.clock in DUTIES and clock.clock not in running and now < clock.due)
    return tuple(ClockKept(clock.clock, clock.due, now) for clock in gone)


def last_notices(before: tuple[Notice, ...], effects: Iterable[Effect]) -> tuple[Notice, ...]:
    """The last notice on each subject, the latest last."""
    last = {one.subject: one for one in before}
    for effect in effects:
        if isinstance(effect.act, SendNotice):
            notice = effect.act.notice
            last.pop(notice.subject, None)
            last[notice.subject] = notice
    return tuple(last.values())
