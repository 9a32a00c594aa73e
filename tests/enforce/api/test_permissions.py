"""What people may do, against the tables of the procedures: pure."""

from typing import get_args

import msgspec
import pytest

from stream.enforce.api import operations, permissions
from stream.enforce.api.auth import Caller, Role
from stream.enforce.api.permissions import ACTS, ADDED
from stream.enforce.cases.decoding import EVENTS
from stream.enforce.procedures.engine import Outline
from stream.enforce.procedures.outlines import OUTLINES
from stream.model.cases import CaseView

BY_MACHINES = {
    "clock",
    "delivered",
    "delivery-failed",
    "found",
    "superseded",
    "measure-changed",
    "appeal-decided",
    "appeal-withdrawn",
    "discovered",
    "punished",
}
"""Events of clocks, of the connector, of other cases, and those that open a case by a resource of its own."""


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: str(outline.name))
def test_every_event_of_a_procedure_is_a_persons_act_or_a_record_or_a_machines(outline: Outline) -> None:
    people = {act.name for act in ACTS[outline.name]}
    events = {line.event for line in outline.lines}
    assert people <= events
    assert events - people <= BY_MACHINES | ADDED.keys()


@pytest.mark.parametrize("procedure", ACTS)
def test_every_act_is_an_event_that_the_inbox_reads_and_names_who_did_it(procedure: str) -> None:
    assert ACTS[procedure]
    for act in ACTS[procedure]:
        assert "actor" in act.event.__struct_fields__
        assert act.event in get_args(EVENTS[procedure].type)
        assert "read-only" not in act.roles


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: str(outline.name))
def test_in_every_state_that_waits_for_people_somebody_can_act(outline: Outline) -> None:
    for state in outline.states:
        here = [line for line in outline.lines if state in line.sources]
        picture = CaseView("X-1", outline.name, state.value, 1, 1, msgspec.Raw(b"{}"))
        can = {name for role in get_args(Role) for name in permissions.possible(picture, Caller(role, "somebody"))}
        assert can == {line.event for line in here} & {act.name for act in ACTS[outline.name]}


def test_what_is_added_as_a_record_has_a_resource() -> None:
    paths = {writing.path for writing in operations.WRITINGS}
    assert {f"/v1/{resource}" for resource in ADDED.values()} <= paths


def test_what_the_api_sets_is_a_field_of_the_record() -> None:
    assert any(writing.body is not None for writing in operations.WRITINGS)
    for writing in operations.WRITINGS:
        if writing.body is not None:
            named = {field.encode_name for field in msgspec.structs.fields(writing.body)}
            assert {*writing.made, *writing.preset} <= named, writing.name
