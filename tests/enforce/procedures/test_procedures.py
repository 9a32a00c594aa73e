"""All procedures at once: every state can be reached, every row can be taken, every walk keeps the engine's
promises.
"""

import ast
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.enforce.procedures import (
    appeal,
    campaign,
    complaint,
    dispute,
    listing,
    measure,
    outlines,
    prohibited,
    regulator,
)
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.engine import C, Case, Outline, Procedure, Stepped, WrongState, advance
from stream.enforce.procedures.messages import Appealed
from stream.enforce.procedures.outlines import OUTLINES
from stream.warning.rules import senders
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import MINUTE, NOW, TERMS, explore, finding, refused, rings, took, walk

CHOICES = st.lists(st.integers(0, 60), max_size=25)


class Subject:
    """A procedure with a start and a pool, its kind of case closed over."""

    def __init__(self, procedure: Procedure[C], start: C, pool: Callable[[C], Sequence[msgspec.Struct]]) -> None:
        self.name = procedure.name
        self.states = set(procedure.states)
        self.explore: Callable[[], tuple[set[StrEnum], list[str]]] = lambda: explore(procedure, start, pool)
        self.walk: Callable[[list[int]], Case] = lambda choices: walk(procedure, start, choices, pool)

        def worked(choices: list[int], event: msgspec.Struct) -> tuple[Case, Stepped[Case] | WrongState]:
            case = walk(procedure, start, choices, pool)
            result = advance(procedure, case, event, NOW, TERMS)
            return case, result if isinstance(result, WrongState) else Stepped(result.case, result.effects)

        self.worked = worked
        """a case after a walk, and what then comes of an event"""


SUBJECTS = [
    Subject(measure.PROCEDURE, measure.MeasureCase(case="M-1"), pools.of_measure),
    Subject(complaint.PROCEDURE, complaint.ComplaintCase(case="C-1"), pools.of_complaint),
    Subject(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), pools.of_appeal),
    Subject(dispute.PROCEDURE, dispute.DisputeCase(case="D-1"), pools.of_dispute),
    Subject(campaign.PROCEDURE, campaign.CampaignCase(case="P-1"), pools.of_campaign),
    Subject(prohibited.PROCEDURE, prohibited.ProhibitedCase(case="X-1"), pools.of_prohibited),
    Subject(regulator.PROCEDURE, regulator.RegulatorCase(case="G-1"), pools.of_regulator),
    Subject(listing.PROCEDURE, listing.ListingCase(case="L-1"), pools.of_listing),
]


def test_every_procedure_is_among_the_subjects() -> None:
    assert [subject.name for subject in SUBJECTS] == [one.name for one in OUTLINES]


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_every_state_can_be_reached_and_every_row_taken(subject: Subject) -> None:
    reached, missed = subject.explore()
    assert reached == subject.states
    assert missed == []


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(choices=CHOICES)
@settings(max_examples=40, deadline=None)
def test_any_walk_keeps_the_promises_and_replays_the_same(subject: Subject, choices: list[int]) -> None:
    assert subject.walk(choices) == subject.walk(choices)


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: outline.name)
def test_what_has_not_ended_can_still_end_and_every_state_has_its_meaning(outline: Outline) -> None:
    ends = set(outline.ended)
    grows = True
    while grows:
        more = {source for line in outline.lines if line.target in ends for source in line.sources} - ends
        grows = bool(more)
        ends |= more
    assert ends == set(outline.states)
    assert all(outline.states.values())
    assert all(line.does for line in outline.lines)


def test_a_wrong_event_is_answered_with_what_would_be_possible() -> None:
    start = appeal.AppealCase(case="A-1")
    wrong = refused(advance(appeal.PROCEDURE, start, appeal.Decided("party", "shown"), NOW, TERMS))
    assert wrong.possible == ("appealed",)
    assert str(wrong) == (
        "appeal A-1 is new: decided is not possible (this state does not take it); possible: appealed"
    )
    discovered = prohibited.Discovered(finding())
    unmet = refused(advance(prohibited.PROCEDURE, prohibited.ProhibitedCase(case="X-1"), discovered, NOW, TERMS))
    assert unmet.reason.endswith("or that the finding is of prohibited content, and bears evidence")


def test_what_another_proposes_takes_the_place_of_what_was_proposed_and_a_new_state_ends_it() -> None:
    pending = took(advance(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), Appealed(pools.APPEAL), NOW, TERMS)).case
    for_party, for_measure = appeal.Decided("party", "shown"), appeal.Decided("measure", "not shown")

    def says(case: appeal.AppealCase, person: str, event: msgspec.Struct) -> appeal.AppealCase:
        return took(advance(appeal.PROCEDURE, case, event, NOW + MINUTE, TERMS, person=person)).case

    case = says(pending, "desk:17", for_party)
    assert case.proposed is not None
    assert case.proposed.person == "desk:17"
    case = says(case, "desk:18", for_measure)
    assert (case.state, case.proposed and case.proposed.person) == (appeal.AppealState.PENDING, "desk:18")
    decided = says(case, "desk:17", msgspec.structs.replace(for_measure, actor="desk:17"))
    assert (decided.state, decided.proposed) == (appeal.AppealState.DECIDED_FOR_MEASURE, None)
    assert says(case, "org-9", appeal.WithdrawAppeal()).proposed is None


def test_a_clock_that_is_early_unknown_or_used_up_does_nothing() -> None:
    case = took(advance(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), Appealed(pools.APPEAL), NOW, TERMS)).case
    (clock,) = case.clocks
    assert clock.warn is not None
    assert (
        "fires at"
        in refused(advance(appeal.PROCEDURE, case, ClockFired(clock.clock, clock.due), clock.due - 1, TERMS)).reason
    )
    assert (
        "fires at"
        in refused(
            advance(appeal.PROCEDURE, case, ClockFired(clock.clock, clock.due, "warning"), clock.warn - 1, TERMS)
        ).reason
    )
    assert (
        "no clock"
        in refused(advance(appeal.PROCEDURE, case, ClockFired(clock.clock, clock.due + 1), clock.due + 1, TERMS)).reason
    )
    assert (
        "no clock" in refused(advance(appeal.PROCEDURE, case, ClockFired("grace", clock.due), clock.due, TERMS)).reason
    )
    warned = took(
        advance(appeal.PROCEDURE, case, ClockFired(clock.clock, clock.due, "warning"), clock.warn, TERMS)
    ).case
    assert (
        "nothing to warn"
        in refused(
            advance(appeal.PROCEDURE, warned, ClockFired(clock.clock, clock.due, "warning"), clock.warn + MINUTE, TERMS)
        ).reason
    )
    late = took(advance(appeal.PROCEDURE, warned, ClockFired(clock.clock, clock.due), clock.due, TERMS)).case
    assert late.breached == ("decide-appeal",)
    assert rings(late) == []
    assert (
        "no clock"
        in refused(advance(appeal.PROCEDURE, late, ClockFired(clock.clock, clock.due), clock.due, TERMS)).reason
    )
    assert took(advance(appeal.PROCEDURE, late, appeal.Decided("party", "late, but right"), clock.due, TERMS))


IMPURE = {"aiohttp", "aiokafka", "asyncio", "faust", "random", "secrets", "socket", "time", "uuid"}


ROOMS = [Path(str(room.__file__)).parent for room in (outlines, senders)]
PURE = sorted(path for room in ROOMS for path in room.glob("*.py") if path.stem != "__init__")
"""Every module of the two pure folders, `enforce/procedures` and `warning/rules`."""


@pytest.mark.parametrize("module", PURE, ids=lambda path: path.stem)
def test_no_procedure_reaches_for_a_clock_a_client_or_chance(module: Path) -> None:
    source = module.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(source)))
    names = {name.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for name in node.names}
    names |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not names & IMPURE
