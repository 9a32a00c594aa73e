"""What the tests of the procedures share: terms, parties, records, and two ways to walk a table.

`explore` visits what can be reached with a pool of events and says which rows were taken; `walk` follows any
sequence of events and holds every step to the promises of the engine.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import TypeVar

import msgspec

from stream.enforce.procedures.calendar_cn import WorkingDays
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Alert, ClearClock, Effect, SetClock
from stream.enforce.procedures.engine import C, Case, Procedure, Stepped, Transition, WrongState, advance
from stream.enforce.procedures.telling import DeliveryFailed, Served
from stream.enforce.procedures.terms import Settings, Terms
from stream.model.control import NO_ADDRESS, Delivery, DeliveryOutcome, Finding, Grounds, Party
from stream.policy.loading import load

CALENDAR = WorkingDays()
TERMS = Terms(settings=Settings(), calendar=CALENDAR, policy=load(None))
SHANGHAI = timezone(timedelta(hours=8))
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

PARTY = Party(sender="ORG-9")
OTHER = Party(sender="ORG-1")


def at(text: str) -> int:
    """A moment in Shanghai, `2026-09-18 10:00`, in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def shown(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1000, UTC).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


NOW = at("2026-09-18 10:00")


def finding(
    name: str = "F-1", *, basis: str = "early-warning", grounds: Grounds = "refusals", party: Party = PARTY
) -> Finding:
    return Finding(finding=name, time=NOW, party=party, grounds=grounds, basis=basis, evidence=("W-1",))


def delivery(notice: str, *, attempt: int = 1, failed: bool = False, via: str = "smtp") -> Delivery:
    """An attempt; one that failed failed at the addressee's end, unless there was no address."""
    outcome: DeliveryOutcome = "failed" if failed else "delivered"
    theirs = failed and via != NO_ADDRESS
    return Delivery(notice=notice, case="M-1", time=NOW, outcome=outcome, attempt=attempt, via=via, at_addressee=theirs)


def unaddressed(notice: str, *, attempt: int = 1) -> DeliveryFailed:
    """An attempt for which there was no address."""
    return DeliveryFailed(delivery(notice, attempt=attempt, failed=True, via=NO_ADDRESS))


def served(notice: str, *, at: int = 0) -> Served:
    """A notice served by hand."""
    return Served(notice, at or NOW, "by courier", "its legal department")


A = TypeVar("A")


def acts(effects: Sequence[Effect], kind: type[A]) -> list[A]:
    """The acts of one kind."""
    return [effect.act for effect in effects if isinstance(effect.act, kind)]


def act(effects: Sequence[Effect], kind: type[A]) -> A:
    """The only act of its kind."""
    (found,) = acts(effects, kind)
    return found


def took(result: Stepped[C] | WrongState) -> Stepped[C]:
    assert isinstance(result, Stepped), str(result)
    return result


def refused(result: Stepped[C] | WrongState) -> WrongState:
    assert isinstance(result, WrongState), f"it was taken, and the case went on: {result}"
    return result


def rings(case: Case) -> list[tuple[ClockFired, int]]:
    """Every ring that the case's clocks can give, with its moment."""
    due = [(ClockFired(clock.clock, clock.due), clock.due) for clock in case.clocks]
    warned = [
        (ClockFired(clock.clock, clock.due, "warning"), clock.warn) for clock in case.clocks if clock.warn is not None
    ]
    return due + warned


def row_of(procedure: Procedure[C], case: C, event: msgspec.Struct, now: int) -> Transition[C] | None:
    """The row that takes an event, by looking rather than by stepping."""
    here = [one for one in procedure.table if procedure.state_of(case) in one.line.sources]
    return next((one for one in here if one.tries(case, event, now, TERMS)), None)


VISITS_MAX = 4_000


def explore(
    procedure: Procedure[C], start: C, pool: Callable[[C], Sequence[msgspec.Struct]]
) -> tuple[set[StrEnum], list[str]]:
    """The states that can be reached, and the lines that no event took, breadth first from the start.

    Ends once there is nothing more to find: what a step promises, the walks hold it to.
    """
    seen, queue = {_shape(start)}, deque([(start, NOW)])
    reached, taken = {procedure.state_of(start)}, set[int]()
    everything = len(procedure.states), len(procedure.table)
    while queue and len(seen) < VISITS_MAX and (len(reached), len(taken)) != everything:
        case, now = queue.popleft()
        events: list[tuple[msgspec.Struct, int]] = [(event, now + MINUTE) for event in pool(case)]
        for event, when in (*events, *((rang, max(now, moment)) for rang, moment in rings(case))):
            row = row_of(procedure, case, event, when)
            result = advance(procedure, case, event, when, TERMS)
            if row is None or isinstance(result, WrongState):
                assert isinstance(result, WrongState)
                continue
            keeps_its_promises(procedure, case, event, when, result)
            takes_two_persons(procedure, case, event, when, result)
            taken.add(procedure.table.index(row))
            reached.add(procedure.state_of(result.case))
            if _shape(result.case) not in seen:
                seen.add(_shape(result.case))
                queue.append((result.case, when))
    missed = [str(one.line) for place, one in enumerate(procedure.table) if place not in taken]
    return reached, missed


def _shape(case: C) -> bytes:
    """A case without what merely counts or dates, so that exploring comes to an end."""
    bare = msgspec.structs.replace(case, step=0, breached=tuple(sorted(set(case.breached))))
    names = ",".join(f"{clock.clock}{clock.warn is None}" for clock in case.clocks)
    return (
        re.sub(
            rb'"sent_at":(?:null|[0-9]+)|[0-9]{13}|-[0-9]+',
            b"",
            msgspec.json.encode(msgspec.structs.replace(bare, clocks=())),
        )
        + names.encode()
    )


def walk(procedure: Procedure[C], start: C, choose: Sequence[int], pool: Callable[[C], Sequence[msgspec.Struct]]) -> C:
    """Any sequence of events, possible or not, each a minute after the last or when its clock rings."""
    case, now = start, NOW
    for choice in choose:
        events: list[tuple[msgspec.Struct, int]] = [(event, now + MINUTE) for event in pool(case)]
        offered = [*events, *((rang, max(now, moment)) for rang, moment in rings(case))]
        event, when = offered[choice % len(offered)]
        result = advance(procedure, case, event, when, TERMS)
        if isinstance(result, WrongState):
            assert result.state == procedure.state_of(case)
            assert result.reason
            continue
        keeps_its_promises(procedure, case, event, when, result)
        case, now = result.case, when
    return case


def takes_two_persons(procedure: Procedure[C], before: C, event: msgspec.Struct, now: int, alone: Stepped[C]) -> None:
    """A decision is nobody's alone: one proposes, and then only another makes it; all else one person does."""
    first = took(advance(procedure, before, event, now, TERMS, person="desk:17"))
    if not isinstance(event, procedure.decisions):
        assert first == alone
        return
    assert first.case == msgspec.structs.replace(before, step=before.step + 1, proposed=first.case.proposed)
    assert act(first.effects, Alert).level == "decision"
    again = refused(advance(procedure, first.case, event, now, TERMS, person="desk:17"))
    assert again.reason == "the same person proposed it: another decides"
    second = took(advance(procedure, first.case, event, now, TERMS, person="desk:18"))
    assert second.case == took(advance(procedure, first.case, event, now, TERMS)).case
    assert procedure.state_of(second.case) == procedure.state_of(alone.case)
    assert second.case.proposed is None


def keeps_its_promises(procedure: Procedure[C], before: C, event: msgspec.Struct, now: int, result: Stepped[C]) -> None:
    """What every step of every procedure promises."""
    case, effects = result
    assert advance(procedure, before, event, now, TERMS) == result, "the same step gives the same effects"
    keys = [effect.key for effect in effects]
    assert keys == [f"{case.case}#{before.step + 1}.{place}" for place in range(len(keys))]
    assert case.step == before.step + 1
    state = procedure.state_of(case)
    assert state in procedure.states
    if state in procedure.ended:
        assert not case.clocks, "an ended case has no running clock"
    running = {clock.clock for clock in before.clocks}
    if isinstance(event, ClockFired) and event.phase == "due":
        running -= {event.clock}
    for one in effects:
        if isinstance(one.act, SetClock):
            running.add(one.act.clock.clock)
        elif isinstance(one.act, ClearClock):
            running.discard(one.act.clock)
    assert {clock.clock for clock in case.clocks} == running, "what the shell times is what the case believes"
    for encoded in (msgspec.json.encode(effects), msgspec.json.encode(case)):
        assert b"+86" not in re.sub(rb'"(number|subscriber|to|from|appeal|key|party)":"[^"]*"', b"", encoded)
    assert msgspec.json.decode(msgspec.json.encode(case), type=type(case)) == case, "a case can be kept in a table"
    assert msgspec.json.decode(msgspec.json.encode(effects), type=tuple[Effect, ...]) == effects
