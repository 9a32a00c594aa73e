"""Notices that must reach somebody: what happens to one, and the rows of a procedure that waits for it.

Promise: **told means told.** A notice has reached its addressee when the connector delivered it, or when a person
served it: recorded when, how and to whom, and another person confirmed that by recording the same (`Served` is among a
procedure's `decisions`). A failure tells nobody but where it is the addressee's own (`measure`). While a case waits,
its clocks run on; where there is no address, people are asked to serve the notice.

Times are milliseconds.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from stream.enforce.procedures.effects import Act, Alert, ClearClock, SendNotice
from stream.enforce.procedures.engine import Case, Condition, Done, RowBuilder, Transition, Turn
from stream.model.control import NO_ADDRESS, Delivery, Notice
from stream.model.fields import EventId, Name, Time

SERVE: Final = "serve-notice"
"""What people are alerted to where a notice has no address."""


class Delivered(msgspec.Struct, frozen=True, tag_field="event", tag="delivered"):
    """The connector delivered a notice."""

    delivery: Delivery


class DeliveryFailed(msgspec.Struct, frozen=True, tag_field="event", tag="delivery-failed"):
    """The connector tried to deliver a notice and failed."""

    delivery: Delivery


class Served(msgspec.Struct, frozen=True, tag_field="event", tag="served"):
    """A person served a notice: when (`at`), how (such as `registered mail`), and who took it (`to`).

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
    served: Served | None = None
    """how a person served it, where nobody could deliver it"""

    @property
    def waits_for(self) -> EventId | None:
        """The notice that the case waits for, if it waits for one."""
        return self.awaited


W = TypeVar("W", bound=WaitingCase)


# ---- conditions


DELIVERED = Condition[WaitingCase, Delivered](
    "it is the notice that the case waits for", lambda turn: turn.event.delivery.notice == turn.case.waits_for
)
HAS_NO_ADDRESS = Condition[WaitingCase, DeliveryFailed](
    "it is the notice that the case waits for, and its addressee has no address",
    lambda turn: turn.event.delivery.notice == turn.case.waits_for and turn.event.delivery.via == NO_ADDRESS,
)
SERVED = Condition[WaitingCase, Served](
    "it is the notice that the case waits for, and was served by now",
    lambda turn: turn.event.notice == turn.case.waits_for and turn.event.at <= turn.now,
)


# ---- actions


def serve_by_hand(turn: Turn[W, DeliveryFailed]) -> Done[W]:
    """People are asked to serve the notice."""
    return Done(turn.case, asks_to_serve(turn.event.delivery))


# ---- what actions are made of


def asks_to_serve(failed: Delivery) -> tuple[Act, ...]:
    """People are asked once, at the first attempt."""
    return (Alert("decision", SERVE),) if failed.attempt == 1 else ()


def ask(turn: Turn[W, msgspec.Struct], case: W, notice: Notice, *, instead_of: str = "") -> Done[W]:
    """Send a notice and wait until it has reached its addressee; the clock `instead_of`, where it runs, is over."""
    waiting = msgspec.structs.replace(case, awaited=notice.notice, served=None)
    return Done(waiting, (*over(turn, instead_of), SendNotice(notice), turn.clock("tell")))


def reached(turn: Turn[W, msgspec.Struct], *acts: Act) -> Done[W]:
    """The notice has reached its addressee: nothing is waited for any more."""
    event = turn.event
    how = event if isinstance(event, Served) else turn.case.served
    return Done(msgspec.structs.replace(turn.case, awaited=None, served=how), (*over(turn, "tell"), *acts))


def begin_supplement(turn: Turn[W, msgspec.Struct]) -> Done[W]:
    """The addressee was reached: its time to give what is missing starts."""
    return reached(turn, turn.clock("supplement"))


def over(turn: Turn[W, msgspec.Struct], *clocks: str) -> tuple[Act, ...]:
    """The clocks of these names that run are not needed any more."""
    return tuple(ClearClock(clock.clock) for clock in turn.case.clocks if clock.clock in clocks)


# ---- rows


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
