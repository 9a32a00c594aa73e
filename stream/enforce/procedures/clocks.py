"""The clocks of cases: how long a duty may take, when to warn, and what it means that a clock fired.

A clock is data. A row starts one (`SetClock`), the runtime keeps the time and returns `ClockFired`, first to warn
and then when due. A clock that has fired for its due date is used up. Terms in working days follow the
official calendar; terms in milliseconds are for what cannot wait for an office day (grace, attempts to
deliver).

A clock in working days keeps its beginning and their number, so that it can be reckoned anew once the calendar of a
year is announced (`reckoned`).
"""

from typing import Literal

import msgspec

from stream.enforce.procedures.calendar_cn import WorkingDays

Phase = Literal["warning", "due"]


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long something may take.

    Exactly one of the two lengths; `warning_days` before the end, a warning.
    """

    clock: str
    basis: str
    """the article that sets the length, or `setting` where none does"""
    working_days: int = 0
    length_ms: int = 0
    warning_days: int = 0

    def __post_init__(self) -> None:
        if (self.working_days > 0) == (self.length_ms > 0) and (self.working_days or self.length_ms):
            raise ValueError(f"term {self.clock!r}: give `working_days` or `length_ms`, not both")
        if self.warning_days >= max(1, self.working_days):
            raise ValueError(f"term {self.clock!r}: `warning_days` must be fewer than `working_days`")


class Clock(msgspec.Struct, frozen=True):
    """A clock that runs. `due` is exclusive; `warn` is None when there is nothing (more) to warn of.

    `known` is False if the term touches a year whose official calendar was not known when it was set: the
    runtime logs an error and counts it. `since` is when a term in working days began (milliseconds), and is None for
    every other, and for those that versions before have set.
    """

    clock: str
    due: int
    warn: int | None = None
    known: bool = True
    since: int | None = None
    working_days: int = 0
    warning_days: int = 0


class ClockFired(msgspec.Struct, frozen=True, tag_field="event", tag="clock"):
    """A clock fired. `due` is that of the clock that was set, so that one set again is not mistaken for it."""

    clock: str
    due: int
    phase: Phase = "due"


class ClockReckoned(msgspec.Struct, frozen=True, tag_field="event", tag="clock-reckoned"):
    """Another calendar came: the clock that was due at `was` is now this one.

    It says what was reckoned, so that a case that is read again comes to the same, whatever calendar there is then.
    """

    clock: Clock
    was: int


def start(term: Term, now: int, calendar: WorkingDays) -> Clock:
    """The clock of a term that begins now."""
    if not term.working_days:
        return Clock(term.clock, now + term.length_ms)
    return _reckon(Clock(term.clock, 0, None, True, now, term.working_days, term.warning_days), now, calendar)


def reckoned(clock: Clock, calendar: WorkingDays, now: int) -> Clock:
    """The clock as this calendar has it, from its own beginning; the same clock where that changes nothing.

    A warning that was given is given again only where the term ends on another day, and is to be warned of later.
    """
    if clock.since is None:
        return clock
    anew = _reckon(clock, clock.since, calendar)
    warned = clock.warn is None
    if warned and anew.warn is not None and (anew.due == clock.due or anew.warn <= now):
        return msgspec.structs.replace(anew, warn=None)
    return anew


def _reckon(clock: Clock, since: int, calendar: WorkingDays) -> Clock:
    due = calendar.after(since, clock.working_days)
    warn = max(since, calendar.before(due.at, clock.warning_days)) if clock.warning_days else None
    return msgspec.structs.replace(clock, due=due.at, warn=warn, known=due.known)


def why_not_reckoned(clocks: tuple[Clock, ...], event: ClockReckoned) -> str | None:
    """Why a clock is not reckoned anew, or None: the one that is meant runs."""
    if any(clock.clock == event.clock.clock and clock.due == event.was for clock in clocks):
        return None
    return f"no clock {event.clock.clock!r} with that due time is running"


def why_not_fired(clocks: tuple[Clock, ...], fired: ClockFired, now: int) -> str | None:
    """Why a clock cannot have fired, or None if it has: it runs, it is that one, and it is time."""
    clock = next((clock for clock in clocks if clock.clock == fired.clock and clock.due == fired.due), None)
    if clock is None:
        return f"no clock {fired.clock!r} with that due time is running"
    at = clock.due if fired.phase == "due" else clock.warn
    if at is None:
        return f"the clock {fired.clock!r} has nothing to warn of"
    return None if now >= at else f"the clock {fired.clock!r} fires at {at}, not at {now}"


def after_firing(clocks: tuple[Clock, ...], fired: ClockFired) -> tuple[Clock, ...]:
    """The clocks once this one has fired: after its warning it still runs, after its due date it does not."""
    kept = (clock for clock in clocks if clock.clock != fired.clock or fired.phase == "warning")
    return tuple(msgspec.structs.replace(clock, warn=None) if clock.clock == fired.clock else clock for clock in kept)


def with_clock(clocks: tuple[Clock, ...], clock: Clock) -> tuple[Clock, ...]:
    """The clocks with this one, in the place of one of the same name."""
    return (*without_clock(clocks, clock.clock), clock)


def without_clock(clocks: tuple[Clock, ...], name: str) -> tuple[Clock, ...]:
    """The clocks without the one of this name."""
    return tuple(clock for clock in clocks if clock.clock != name)
