"""Notices that must reach somebody: what happens to one, and the rows of a procedure that waits for it.

Promise: **told means told.** A notice has reached its addressee when the connector delivered it, or when a person
served it: recorded when, how and to whom, and another person confirmed that by recording the same (`Served` is among a
procedure's `decisions`). A failure tells nobody but where it is the addressee's own (`measure`). While a case waits,
its clocks run on; where there is no address, people are asked to serve the notice.

A report to an office is told of likewise, and an office that acts on it has it. Every case remembers which of its
reports have arrived; where a state means that an office knows, it waits for that.

Times are milliseconds.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Act, Alert, ClearClock, SendNotice
from stream.enforce.procedures.engine import (
    TELL_OFFICE,
    C,
    Case,
    Condition,
    Done,
    E,
    ReportSent,
    RowBuilder,
    Transition,
    Turn,
    breach,
    fired,
)
from stream.model.control import NO_ADDRESS, Addressee, Delivery, Notice
from stream.model.fields import EventId, Name, Time
from stream.model.times import MINUTE_MS

SERVE: Final = "serve-notice"
SERVE_REPORT: Final = "serve-report"
"""What people are alerted to where a notice or report has no address."""


class Delivered(msgspec.Struct, frozen=True, tag_field="event", tag="delivered"):
    """The connector delivered a notice."""

    delivery: Delivery


class DeliveryFailed(msgspec.Struct, frozen=True, tag_field="event", tag="delivery-failed"):
    """The connector tried to deliver a notice and failed."""

    delivery: Delivery


class Served(msgspec.Struct, frozen=True, tag_field="event", tag="served"):
    """A person served a notice or report (`notice`): when (`at`), how (such as `registered mail`), who took it (`to`).

    It counts once another person has recorded the same, having seen what shows it, such as a receipt (`document`).
    """

    notice: EventId
    at: Time
    how: Name
    to: Name
    document: Name | None = None
    actor: Name | None = None


class WaitingCase(Case, frozen=True, kw_only=True):
    """A case that may wait for a notice to reach its addressee."""

    awaited: EventId | None = None
    """the notice that must reach its addressee before the case goes on"""
    sent_at: int | None = None
    """when the notice was made that it waits for, or has waited for last"""
    served: Served | None = None
    """how a person served it, where nobody could deliver it"""

    @property
    def waits_for(self) -> EventId | None:
        """The notice that the case waits for, if it waits for one."""
        return self.awaited


W = TypeVar("W", bound=WaitingCase)
Told = Delivered | Served
"""By which a report reaches its office."""


# ---- conditions


DELIVERED = Condition[WaitingCase, Delivered](
    "it is the notice that the case waits for", lambda turn: turn.event.delivery.notice == turn.case.waits_for
)
HAS_NO_ADDRESS = Condition[WaitingCase, DeliveryFailed](
    "it is the notice that the case waits for, and its addressee has no address",
    lambda turn: turn.event.delivery.notice == turn.case.waits_for and turn.event.delivery.via == NO_ADDRESS,
)
SERVED = Condition[WaitingCase, Served](
    "it is the notice that the case waits for, and was served since it was made",
    lambda turn: turn.event.notice == turn.case.waits_for and _is_since(turn, turn.case.sent_at),
)


def _is_since(turn: Turn[Case, Served], sent_at: int | None) -> bool:
    """Whether something was served between its making and now. People state the minute; nobody served the unwritten."""
    return (sent_at or 0) - MINUTE_MS <= turn.event.at <= turn.now


def _report_is_served(turn: Turn[Case, Served], to: Addressee | None = None) -> bool:
    found = (one for one in turn.case.reports if one.report == turn.event.notice and to in (None, one.to))
    return any(one.told is None and _is_since(turn, one.at) for one in found)


def _is_untold(case: Case, report: EventId, to: Addressee | None = None) -> bool:
    return any(one.report == report and one.told is None and to in (None, one.to) for one in case.reports)


def delivered_to(office: Addressee) -> Condition[Case, Delivered]:
    """The condition that a report reaches this office, which had not had it."""
    return Condition(
        f"it is the report to {office}, which had not reached it",
        lambda turn: _is_untold(turn.case, turn.event.delivery.notice, office),
    )


def served_to(office: Addressee) -> Condition[Case, Served]:
    """The same, where a person served it."""
    return Condition(
        f"it is the report to {office}, which had not reached it, and was served since it was made",
        lambda turn: _report_is_served(turn, office),
    )


REPORT_DELIVERED = Condition[Case, Delivered](
    "it is a report that had not reached its office",
    lambda turn: _is_untold(turn.case, turn.event.delivery.notice),
)
REPORT_SERVED = Condition[Case, Served](
    "it is a report that had not reached its office, and was served since it was made",
    _report_is_served,
)
REPORT_HAS_NO_ADDRESS = Condition[Case, DeliveryFailed](
    "it is a report that has not reached its office, for which there is no address",
    lambda turn: _is_untold(turn.case, turn.event.delivery.notice) and turn.event.delivery.via == NO_ADDRESS,
)


# ---- actions


def office_told(turn: Turn[C, Told]) -> Done[C]:
    """The office has the report."""
    event = turn.event
    report = event.notice if isinstance(event, Served) else event.delivery.notice
    how = f"{event.how}, to {event.to}" if isinstance(event, Served) else event.delivery.via
    at = event.at if isinstance(event, Served) else event.delivery.time
    return _with_told(turn, lambda one: one.report == report, at, how)


def serve_report_by_hand(turn: Turn[C, DeliveryFailed]) -> Done[C]:
    """People are asked to serve the report."""
    alerts = (Alert("decision", SERVE_REPORT),) if turn.event.delivery.attempt == 1 else ()
    return Done(turn.case, alerts)


def knowing(office: Addressee, action: Callable[[Turn[C, E]], Done[C]]) -> Callable[[Turn[C, E]], Done[C]]:
    """The action, by which an office shows that it has the reports that went to it."""

    def act(turn: Turn[C, E]) -> Done[C]:
        known = _with_told(turn, lambda one: one.to == office, turn.now, "it has acted on it")
        done = action(replace(turn, case=known.case))
        return Done(done.case, (*known.acts, *done.acts))

    act.__doc__ = action.__doc__
    return act


def _with_told(turn: Turn[C, msgspec.Struct], which: Callable[[ReportSent], bool], at: int, how: str) -> Done[C]:
    """The case with these reports told of which that was not known; once all are, nothing is waited for."""
    reports = tuple(
        msgspec.structs.replace(one, told=at, how=how) if one.told is None and which(one) else one
        for one in turn.case.reports
    )
    waits = any(one.told is None for one in reports)
    return Done(msgspec.structs.replace(turn.case, reports=reports), () if waits else over(turn, TELL_OFFICE))


def serve_by_hand(turn: Turn[W, DeliveryFailed]) -> Done[W]:
    """People are asked to serve the notice."""
    return Done(turn.case, asks_to_serve(turn.event.delivery))


# ---- what actions are made of


def asks_to_serve(failed: Delivery) -> tuple[Act, ...]:
    """People are asked once, at the first attempt."""
    return (Alert("decision", SERVE),) if failed.attempt == 1 else ()


def ask(turn: Turn[W, msgspec.Struct], case: W, notice: Notice, *, instead_of: str = "") -> Done[W]:
    """Send a notice and wait until it has reached its addressee; the clock `instead_of`, where it runs, is over."""
    waiting = msgspec.structs.replace(case, awaited=notice.notice, sent_at=notice.time, served=None)
    return Done(waiting, (*over(turn, instead_of), SendNotice(notice), turn.clock("tell")))


def reached(turn: Turn[W, msgspec.Struct], *acts: Act) -> Done[W]:
    """The notice has reached its addressee: nothing is waited for any more."""
    event = turn.event
    how = event if isinstance(event, Served) else turn.case.served
    return Done(msgspec.structs.replace(turn.case, awaited=None, served=how), (*over(turn, "tell"), *acts))


def begin_supplement(turn: Turn[W, msgspec.Struct]) -> Done[W]:
    """The addressee was reached: its time to give what is missing starts."""
    return reached(turn, turn.clock("supplement"))


def over(turn: Turn[C, msgspec.Struct], *clocks: str) -> tuple[Act, ...]:
    """The clocks of these names that run are not needed any more."""
    return tuple(ClearClock(clock.clock) for clock in turn.case.clocks if clock.clock in clocks)


# ---- rows


def report_rows(row: RowBuilder[C], states: tuple[StrEnum, ...]) -> tuple[Transition[C], ...]:
    """The rows of states in which a case may have sent reports. They come before its others."""
    return (
        row(states, Delivered, None, office_told, REPORT_DELIVERED),
        row(states, Served, None, office_told, REPORT_SERVED),
        row(states, DeliveryFailed, None, serve_report_by_hand, REPORT_HAS_NO_ADDRESS),
        row(states, ClockFired, None, breach, fired(TELL_OFFICE)),
    )


def waiting_rows(
    row: RowBuilder[W],
    states: StrEnum | tuple[StrEnum, ...],
    target: StrEnum | None,
    told: Callable[[Turn[W, msgspec.Struct]], Done[W]],
    *,
    no_address: Callable[[Turn[W, DeliveryFailed]], Done[W]] = serve_by_hand,
) -> tuple[Transition[W], ...]:
    """The rows of states in which a case waits for its notice: `told` once it has reached its addressee."""
    return (
        row(states, Delivered, target, told, DELIVERED),
        row(states, Served, target, told, SERVED),
        row(states, DeliveryFailed, None, no_address, HAS_NO_ADDRESS),
    )
