"""What people may do, against the tables of the procedures: pure."""

import dataclasses
from typing import get_args

import msgspec
import pytest

from stream.enforce.api import acts, filings, intake, operations, permissions
from stream.enforce.api.api_request import ApiRequest, SendersWrite, Write
from stream.enforce.api.auth import Caller, Jurisdiction, Role
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.indexed_case import indexed
from stream.enforce.api.permissions import ACTS, ADDED
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Problem
from stream.enforce.cases.decoding import EVENTS
from stream.enforce.procedures import prohibited
from stream.enforce.procedures.engine import Outline
from stream.enforce.procedures.messages import Seconded
from stream.enforce.procedures.outlines import OUTLINES
from stream.model.cases import CaseView
from stream.model.codec import encode
from stream.model.control import Filing
from stream.registry.registry import Registry, registry_of
from tests.enforce.procedures.world import DAY, HOUR, NOW, TERMS, finding

BY_MACHINES = {
    "clock",
    "delivered",
    "delivery-failed",
    "found",
    "superseded",
    "restored",
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
        assert not act.recorders or "document" in act.event.__struct_fields__
        assert {*act.roles}.isdisjoint(act.recorders)
        assert "read-only" not in act.roles


@pytest.mark.parametrize("outline", OUTLINES, ids=lambda outline: str(outline.name))
def test_in_every_state_that_waits_for_people_somebody_can_act(outline: Outline) -> None:
    for state in outline.states:
        here = [line for line in outline.lines if state in line.sources]
        picture = CaseView("X-1", outline.name, state.value, 1, 1, msgspec.Raw(b"{}"))
        can = {name for role in get_args(Role) for name in permissions.possible(picture, Caller(role, "somebody"))}
        assert can == {line.event for line in here} & {act.name for act in ACTS[outline.name]}


def test_each_body_acts_on_its_own_clocks_alone() -> None:
    """And only the user takes back what the user said: neither company nor centre ends a complaint or dispute."""
    whose = {(procedure, act.name): act.roles for procedure, acts in ACTS.items() for act in acts}
    assert {name for (procedure, name), roles in whose.items() if "centre" in roles} == {
        "forwarded", "answered", "served",
    }  # fmt: skip
    assert {name for (_, name), roles in whose.items() if "appeals-body" in roles} == {
        "accepted", "declined", "settled", "dispute-decided",
    }  # fmt: skip
    assert all(len(roles) == 1 for (procedure, _), roles in whose.items() if procedure in ("complaint", "dispute"))
    for procedure in ("complaint", "dispute"):
        withdrawn = permissions.act(procedure, "withdrawn")
        assert withdrawn is not None
        assert (withdrawn.roles, withdrawn.recorders) == (("subscriber-agent",), ())


def test_work_with_a_case_is_for_every_office_and_nobody_else() -> None:
    assert {act.roles for act in permissions.WORK} == {("desk", "centre", "appeals-body", "regulator")}
    for act in permissions.WORK:
        assert permissions.act("complaint", act.name) == act
        assert act.made == ("actor", "office")


def test_a_public_bodys_filing_is_of_the_level_and_region_of_its_token() -> None:
    body = Caller("sender", "gov-7", ("GOV-1",), Jurisdiction("province", "110000"))

    def filed(**stated: object) -> msgspec.Struct:
        request = ApiRequest(body, stated, 1_795_500_000_000, "form-1", "", CaseIndex(kept_ms=1), TERMS)
        write = filings.file_campaign(request)
        assert isinstance(write, SendersWrite)
        resolved = write.resolve(registry_of([]))
        assert isinstance(resolved, Write)
        return resolved.record

    own = filed(body="北京市卫健委")
    assert isinstance(own, Filing)
    assert (own.sender, own.level, own.body_region) == ("GOV-1", "province", "110000")
    assert filed(level="province", body_region="110000") == filed()
    for other in ({"level": "national"}, {"body_region": "310000"}, {"body_region": "110100", "level": "other"}):
        with pytest.raises(Problem, match=r"body is province:110000") as refused:
            filed(**other)
        assert refused.value.status == 403
    body = Caller("sender", "org-9", ("ORG-9",))
    with pytest.raises(Problem, match="this token states no level and region") as refused:
        filed(body="北京市卫健委", level="national", body_region="000000")
    assert refused.value.status == 403


def test_what_is_added_as_a_record_has_a_resource() -> None:
    paths = {writing.path for writing in operations.WRITINGS}
    assert {f"/v1/{resource}" for resource in ADDED.values()} <= paths


def test_what_the_api_sets_is_a_field_of_the_record() -> None:
    assert any(writing.body is not None for writing in operations.WRITINGS)
    for writing in operations.WRITINGS:
        if writing.body is not None:
            named = {field.encode_name for field in msgspec.structs.fields(writing.body)}
            assert {*writing.made, *writing.preset} <= named, writing.name


def test_one_persons_word_suspends_for_an_hour_and_not_for_one_hour_after_another() -> None:
    found = msgspec.structs.replace(finding(basis=prohibited.BASIS, grounds="prohibited-content"), actor="desk:17")
    case = prohibited.ProhibitedCase(case="X-1", step=1, finding=found, state=prohibited.ProhibitedState.UNCONFIRMED)
    later = msgspec.structs.replace(found, time=NOW + 1, actor="desk:18")
    confirmed = msgspec.structs.replace(
        case, case="X-2", finding=later, seconded=Seconded("desk:17"), state=prohibited.ProhibitedState.INVESTIGATED
    )
    flagged = msgspec.structs.replace(
        case, case="X-3", finding=msgspec.structs.replace(found, actor=None), state=prohibited.ProhibitedState.FLAGGED
    )

    def status(by: str, *cases: prohibited.ProhibitedCase, seconding: bool = False) -> int:
        index = CaseIndex(kept_ms=DAY)
        for one in cases:
            ended = one.state in prohibited.PROCEDURE.ended
            body = msgspec.Raw(encode(one))
            view = CaseView(
                one.case, "prohibited-content", one.state.value, 1, NOW, body, party=found.party, ended=ended
            )
            index.put(indexed(encode(view)))
        stated: Fields = {"party": {"sender": "ORG-9"}, "grounds": "prohibited-content", "evidence": ["sha256:1"]}
        asked = ApiRequest(Caller("desk", by), stated, NOW + HOUR, "bcdf", "", index, TERMS)
        try:
            if seconding:
                acts.decide(dataclasses.replace(asked, stated={"event": "seconded"}, case="X-3"))
            else:
                intake.find(asked)
        except Problem as problem:
            return problem.status
        return 202

    assert (status("desk:17"), status("desk:18", case)) == (202, 202)
    assert status("desk:17", case) == 409, "what one person found alone stands for an hour, once"
    assert status("desk:17", case, confirmed) == 202, "since then a finding was confirmed"
    assert status("desk:17", msgspec.structs.replace(case, state=prohibited.ProhibitedState.CLEARED)) == 202
    assert status("desk:17", case, flagged, seconding=True) == 409, "whoever takes up a flag suspends as well"
    assert status("desk:18", case, flagged, seconding=True) == 202


@pytest.mark.parametrize("number", ["110", "+86110", "12300", "12321"])
def test_a_number_of_help_or_redress_is_nobodys_to_stop(number: str) -> None:
    found: Fields = {"party": {"number": number}, "grounds": "prohibited-content", "evidence": ["sha256:1"]}
    write = intake.find(ApiRequest(Caller("desk", "desk:17"), found, NOW, "bcdf", "", CaseIndex(kept_ms=DAY), TERMS))
    assert isinstance(write, SendersWrite), "whose it is, the registry says"
    with pytest.raises(Problem) as refused:
        write.resolve(Registry())
    assert [one.field for one in refused.value.refusal.faults] == ["party"]
