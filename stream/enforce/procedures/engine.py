"""The engine: a procedure is a table of transitions, and `advance` runs it.

It promises that a case changes only by a row, that the state which a row names is the one the case then has,
that clocks and breaches of a case are exactly what its acts state, that an ended case has no running clock,
that what a procedure names among its `decisions` is done by no person alone, and that an event which no row takes is
answered, never raised. What offices do with a case besides acting on it (`case_work`) every case takes, in one place.

A decision takes two persons: the first one's act is kept as proposed, and the same act of another carries it out. Two
are enough for every act: whoever found something may propose. What machines and other cases send has no person behind
it, or had two already, and is taken at once.

One thing happens to the cases of all procedures and stands in no table: a clock is reckoned anew by another calendar.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from stream.enforce.procedures.case_work import CaseWork, WorkEvent, why_full, with_work
from stream.enforce.procedures.clocks import (
    Clock,
    ClockFired,
    ClockReckoned,
    Phase,
    after_firing,
    start,
    why_not_fired,
    why_not_reckoned,
    with_clock,
    without_clock,
)
from stream.enforce.procedures.effects import Act, Alert, ClearClock, Effect, ProcedureName, SendReport, SetClock, keyed
from stream.enforce.procedures.ids import made_id
from stream.enforce.procedures.terms import Terms
from stream.model.control import Addressee, CaseId, Report
from stream.model.fields import EventId

C = TypeVar("C", bound="Case")
E = TypeVar("E", bound=msgspec.Struct)
C_co = TypeVar("C_co", bound="Case", covariant=True)
E_co = TypeVar("E_co", bound=msgspec.Struct, covariant=True)
C_contra = TypeVar("C_contra", bound="Case", contravariant=True)
E_contra = TypeVar("E_contra", bound=msgspec.Struct, contravariant=True)


TELL_OFFICE: Final = "tell-office"
"""The clock that runs while a report has not reached its office."""

REPORTS_MAX: Final = 32
"""Reports that a case remembers: more than a procedure has steps that send any."""


class Proposal(msgspec.Struct, frozen=True):
    """A decision that one person proposed (when, in milliseconds), and that another has still to make."""

    person: str
    at: int
    event: msgspec.Raw
    """without what tells one person's act from another's"""


class ReportSent(msgspec.Struct, frozen=True):
    """A report that a case has sent (`at`, milliseconds), and when and how it reached its office, once it has."""

    report: EventId
    to: Addressee
    at: int
    told: int | None = None
    how: str | None = None


class Case(msgspec.Struct, frozen=True):
    """What every case has. `step` counts the rows taken, and proposals; `breached` names the clocks that ran out."""

    case: CaseId
    step: int = 0
    clocks: tuple[Clock, ...] = ()
    breached: tuple[str, ...] = ()
    proposed: Proposal | None = None
    work: CaseWork | None = None
    """what offices do with it besides acting on it"""
    reports: tuple[ReportSent, ...] = ()
    """the last `REPORTS_MAX` that it has sent"""


@dataclass(frozen=True, slots=True)
class Turn(Generic[C_co, E_co]):
    """One event on one case at one moment: all that a row's condition and action may know."""

    case: C_co
    event: E_co
    now: int
    terms: Terms

    def name(self, letter: str) -> str:
        """An id for what this step makes, the same whenever the step is repeated."""
        return made_id(letter, f"{self.case.case}-{self.case.step + 1}")

    def clock(self, clock: str) -> SetClock:
        """Start the clock of this name, by the term that the settings have for it."""
        return SetClock(start(self.terms.term(clock), self.now, self.terms.calendar))

    def report(
        self, *, to: Addressee, about: str, basis: str, evidence: tuple[str, ...] = (), letter: str = "R"
    ) -> SendReport:
        """Report to an authority or a company; `letter` begins the report's id, where a step makes several."""
        return SendReport(Report(self.name(letter), self.case.case, self.now, to, about, basis, evidence))


class Done(NamedTuple, Generic[C]):
    """What an action gives: the case with its new knowledge, and what to do. The row sets the state."""

    case: C
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True)
class Condition(Generic[C_contra, E_contra]):
    """A named question about a turn."""

    says: str
    holds: Callable[[Turn[C_contra, E_contra]], bool]


class Line(NamedTuple):
    """A row as it can be read. `target` None: the case stays where it is."""

    sources: tuple[StrEnum, ...]
    event: str
    condition: str
    target: StrEnum | None
    does: str


@dataclass(frozen=True, eq=False)
class Transition(Generic[C]):
    """A row: as it can be read, and as it runs."""

    line: Line
    tries: Callable[[C, msgspec.Struct, int, Terms], Callable[[], Done[C]] | None]
    """the action ready to run, if the event is of this row's kind and its condition holds"""


class RowBuilder(Generic[C]):
    """Writes the rows of one kind of case."""

    def __init__(self, case: type[C]) -> None:
        self.case = case

    def __call__(
        self,
        sources: StrEnum | tuple[StrEnum, ...],
        event: type[E],
        target: StrEnum | None,
        action: Callable[[Turn[C, E]], Done[C]],
        when: Condition[C, E] | None = None,
    ) -> Transition[C]:
        """A row: in these states, this event, if the condition holds, leads to the target and does this."""

        def tries(case: C, happened: msgspec.Struct, now: int, terms: Terms) -> Callable[[], Done[C]] | None:
            if not isinstance(happened, event):
                return None
            turn = Turn(case, happened, now, terms)
            if when is not None and not when.holds(turn):
                return None
            return lambda: action(turn)

        line = Line(
            sources if isinstance(sources, tuple) else (sources,),
            str(event.__struct_config__.tag),
            when.says if when else "",
            target,
            (action.__doc__ or "").strip().splitlines()[0],
        )
        return Transition(line, tries)


def fired(clock: str, phase: Phase = "due") -> Condition[Case, ClockFired]:
    """The condition that this clock fired for this phase."""
    says = f"`{clock}` is due" if phase == "due" else f"`{clock}` warns"
    return Condition(says, lambda turn: turn.event.clock == clock and turn.event.phase == phase)


ANY_WARNING: Condition[Case, ClockFired] = Condition("a term ends soon", lambda turn: turn.event.phase == "warning")
ANY_DUE: Condition[Case, ClockFired] = Condition("a term was missed", lambda turn: turn.event.phase == "due")


def warn(turn: Turn[C, ClockFired]) -> Done[C]:
    """People are warned that the term ends soon."""
    return Done(turn.case, (Alert("warning", turn.event.clock),))


def breach(turn: Turn[C, ClockFired]) -> Done[C]:
    """The breach is recorded and people are alerted; the duty stays."""
    return Done(turn.case, (Alert("breach", turn.event.clock),))


@dataclass(frozen=True, eq=False)
class Procedure(Generic[C]):
    """A procedure: its states with their meaning, and its table."""

    name: ProcedureName
    title: str
    articles: str
    theory: str
    states: dict[StrEnum, str]
    ended: frozenset[StrEnum]
    """states in which nothing is owed any more: entering one clears every clock"""
    state_of: Callable[[C], StrEnum]
    table: tuple[Transition[C], ...]
    decisions: tuple[type[msgspec.Struct], ...] = ()
    """events that two persons bring about: one proposes, another decides"""


class Outline(NamedTuple):
    """A procedure as it can be read, whatever its cases are."""

    name: ProcedureName
    title: str
    articles: str
    theory: str
    states: dict[StrEnum, str]
    ended: frozenset[StrEnum]
    lines: tuple[Line, ...]
    decisions: tuple[str, ...]


def outline(procedure: Procedure[C]) -> Outline:
    """The readable side of a procedure."""
    lines = tuple(transition.line for transition in procedure.table)
    return Outline(
        procedure.name,
        procedure.title,
        procedure.articles,
        procedure.theory,
        procedure.states,
        procedure.ended,
        lines,
        tuple(str(event.__struct_config__.tag) for event in procedure.decisions),
    )


class Stepped(NamedTuple, Generic[C]):
    """A case after a step, and what to do."""

    case: C
    effects: tuple[Effect, ...]


class WrongState(msgspec.Struct, frozen=True):
    """No row takes this event now.

    `possible` is what the state takes; `reason` says what spoke against it.
    """

    procedure: str
    case: CaseId
    state: str
    event: str
    possible: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.procedure} {self.case} is {self.state}: {self.event} is not possible ({self.reason}); "
            f"possible: {', '.join(self.possible) or 'nothing, the case has ended'}"
        )


def advance(
    procedure: Procedure[C], case: C, event: msgspec.Struct, now: int, terms: Terms, *, person: str | None = None
) -> Stepped[C] | WrongState:
    """The case after an event, and the effects; the first row that takes it decides. Linear in the table.

    `person`: whose act it is, by the token; None for what machines and other cases send.
    """
    state = procedure.state_of(case)
    here = [transition for transition in procedure.table if state in transition.line.sources]
    if isinstance(event, ClockFired) and (why := why_not_fired(case.clocks, event, now)):
        return _wrong(procedure, case, here, event, why)
    if isinstance(event, ClockReckoned | WorkEvent):
        return _beside_the_table(procedure, case, here, event, now)
    for transition in here:
        action = transition.tries(case, event, now, terms)
        if action is None:
            continue
        if person is not None and isinstance(event, procedure.decisions):
            if case.proposed is None or case.proposed.event != _said(event):
                return _proposed(case, event, now, person)
            if case.proposed.person == person:
                return _wrong(procedure, case, here, event, "the same person proposed it: another decides")
        return _taken(procedure, transition, case, event, action(), telling=_telling(now, terms))
    return _wrong(procedure, case, here, event, _unmet(here, event))


def _telling(now: int, terms: Terms) -> SetClock:
    """The clock by which a report is to have reached its office."""
    return SetClock(start(terms.term(TELL_OFFICE), now, terms.calendar))


def _taken(
    procedure: Procedure[C],
    transition: Transition[C],
    before: C,
    event: msgspec.Struct,
    done: Done[C],
    *,
    telling: SetClock,
) -> Stepped[C]:
    state = procedure.state_of(before) if transition.line.target is None else transition.line.target
    clocks = after_firing(before.clocks, event) if isinstance(event, ClockFired) else before.clocks
    breached, acts, reports = before.breached, done.acts, done.case.reports
    for act in acts:
        match act:
            case SetClock():
                clocks = with_clock(clocks, act.clock)
            case ClearClock():
                clocks = without_clock(clocks, act.clock)
            case Alert(level="breach"):
                breached = (*breached, act.about)
            case SendReport(report=sent):
                reports = (*reports, ReportSent(sent.report, sent.to, sent.time))
            case _:
                pass
    sent_any = len(reports) > len(done.case.reports)
    if sent_any and state not in procedure.ended and all(clock.clock != TELL_OFFICE for clock in clocks):
        acts, clocks = (*acts, telling), with_clock(clocks, telling.clock)
    if state in procedure.ended:
        acts = (*acts, *(ClearClock(clock.clock) for clock in clocks))
        clocks = ()
    step = before.step + 1
    stays = state == procedure.state_of(before) and not isinstance(event, procedure.decisions)
    case = msgspec.structs.replace(
        done.case,
        state=state,
        step=step,
        clocks=clocks,
        breached=breached,
        reports=reports[-REPORTS_MAX:],
        proposed=before.proposed if stays else None,
    )
    return Stepped(case, keyed(case.case, step, acts))


def _reckoned(before: C, event: ClockReckoned) -> Stepped[C]:
    """The case with the clock as it is now; all else stays, what is proposed too."""
    step = before.step + 1
    case = msgspec.structs.replace(before, step=step, clocks=with_clock(before.clocks, event.clock))
    return Stepped(case, keyed(case.case, step, (SetClock(event.clock),)))


def _beside_the_table(
    procedure: Procedure[C], case: C, here: list[Transition[C]], event: ClockReckoned | WorkEvent, now: int
) -> Stepped[C] | WrongState:
    """What every case takes: a clock reckoned anew; what an office did with it, which is no step and has no effects."""
    if isinstance(event, ClockReckoned):
        unmet = why_not_reckoned(case.clocks, event)
        return _reckoned(case, event) if unmet is None else _wrong(procedure, case, here, event, unmet)
    reason = why_full(case.work, event) if case.step else "there is no such case yet"
    if reason is not None:
        return _wrong(procedure, case, here, event, reason)
    return Stepped(msgspec.structs.replace(case, work=with_work(case.work, event, now)), ())


def _proposed(before: C, event: msgspec.Struct, now: int, person: str) -> Stepped[C]:
    """The case with what one person proposes, in the place of what anybody proposed before; people are alerted."""
    step = before.step + 1
    case = msgspec.structs.replace(before, step=step, proposed=Proposal(person, now, _said(event)))
    alert = Alert("decision", f"proposed: {event.__struct_config__.tag}")
    return Stepped(case, keyed(case.case, step, (alert,)))


_OF_ONE_PERSON = ("actor", "consented")
"""Fields in which two acts differ though they decide the same: who did it, and what was found at that moment."""


def _said(event: msgspec.Struct) -> msgspec.Raw:
    names = event.__struct_fields__
    bare = msgspec.structs.replace(event, **dict.fromkeys((one for one in _OF_ONE_PERSON if one in names), None))
    return msgspec.Raw(msgspec.json.encode(bare))


def _unmet(here: list[Transition[C]], event: msgspec.Struct) -> str:
    name = str(event.__struct_config__.tag)
    conditions = [row.line.condition for row in here if row.line.event == name and row.line.condition]
    return "needs that " + ", or that ".join(conditions) if conditions else "this state does not take it"


def _wrong(
    procedure: Procedure[C], case: C, here: list[Transition[C]], event: msgspec.Struct, reason: str
) -> WrongState:
    return WrongState(
        procedure.name,
        case.case,
        procedure.state_of(case).value,
        str(event.__struct_config__.tag),
        tuple(dict.fromkeys(row.line.event for row in here)),
        reason,
    )
