"""What callers are shown of a case: pure."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.enforce.api.auth import Caller, Role
from stream.enforce.api.case_index import CaseIndex, line_of
from stream.enforce.api.indexed_case import indexed
from stream.enforce.api.search import CaseQuery
from stream.enforce.api.shown import shown
from stream.enforce.procedures.case_work import Assigned, Noted
from stream.enforce.procedures.complaint import PROCEDURE, Complained, ComplaintCase, Forwarded, Verified
from stream.enforce.procedures.effects import RaiseFinding, SendNotice
from stream.enforce.procedures.engine import Proposal, advance
from stream.enforce.procedures.escalation import PartyRecord, route
from stream.enforce.procedures.measure import PROCEDURE as MEASURE
from stream.enforce.procedures.measure import MeasureCase
from stream.enforce.procedures.messages import FindingRouted
from stream.model.cases import CaseView
from stream.model.codec import encode
from stream.model.control import Party
from tests.enforce.api.spoken import digits, strings
from tests.enforce.procedures import pools
from tests.enforce.procedures.pools import SUBSCRIBER
from tests.enforce.procedures.test_procedures import CHOICES, SUBJECTS, Subject
from tests.enforce.procedures.world import NOW, TERMS, act, took

AUDITOR, ACCUSED = Caller("read-only", "auditor:1"), Caller("sender", "org-9", ("ORG-9",))
BILL = "photo of the bill of +8613800138000"
COMPLAINT = msgspec.structs.replace(
    pools.COMPLAINT, from_="+8613700137000", sender=None, text="call 137 0013 7000 now", evidence=(BILL,)
)


def view_of(case: msgspec.Struct, name: str, procedure: str, party: Party) -> CaseView:
    return CaseView(name, procedure, "any", 1, NOW, msgspec.Raw(encode(case)), party=party)


def test_who_only_reads_sees_no_number_whole_wherever_it_stands() -> None:
    case = took(advance(PROCEDURE, ComplaintCase(case="C-1"), Complained(COMPLAINT), NOW, TERMS)).case
    seen = view_of(case, "C-1", "complaint", Party(number="+8613700137000"))
    told = encode(shown(seen, AUDITOR))
    for number in (b"13800138000", b"13700137000", b"137 0013 7000"):
        assert number in encode(seen)
        assert number not in told
    assert b"+86138****8000" in told
    assert b'"state":"received"' in told
    index = CaseIndex(kept_ms=1)
    index.load([indexed(encode(seen))])
    ((line,), _) = index.page(CaseQuery(), AUDITOR)
    assert line.party == Party(number="+86137****7000")
    ((line,), _) = index.page(CaseQuery(), Caller("desk", "desk:17"))
    assert line.party == Party(number="+8613700137000")


def test_what_an_office_notes_is_shown_to_it_and_to_who_supervises_alone() -> None:
    noted = Noted("call +8613700137000 back", "desk", "desk:17")
    case: ComplaintCase | None = None
    for event in (Complained(COMPLAINT), noted, Assigned("centre", "centre:2", None, "centre:1")):
        case = took(advance(PROCEDURE, case or ComplaintCase(case="C-1"), event, NOW, TERMS)).case
    seen = view_of(case or ComplaintCase(case="C-1"), "C-1", "complaint", Party(sender="ORG-9"))
    body = {role: encode(shown(seen, Caller(role, "somebody"))) for role in get_args(Role)}
    assert {role for role in body if b"back" in body[role]} == {"desk", "regulator", "read-only"}
    assert {role for role in body if b"centre:2" in body[role]} == {"centre", "regulator", "read-only"}
    assert b"13700137000" not in body["read-only"]
    assert line_of(seen, Caller("desk", "desk:17")).assigned == {}
    assert line_of(seen, Caller("centre", "centre:1")).assigned == {"centre": "centre:2"}
    assert line_of(seen, ACCUSED).assigned == {}


def test_the_accused_learns_neither_who_complained_nor_with_what_evidence() -> None:
    case = ComplaintCase(case="C-1")
    for event in (Complained(msgspec.structs.replace(COMPLAINT, sender="ORG-9")), Forwarded("CARRIER")):
        case = took(advance(PROCEDURE, case, event, NOW, TERMS)).case
    _, effects = took(advance(PROCEDURE, case, Verified("confirmed", "so"), NOW, TERMS))
    found = act(effects, RaiseFinding).finding
    (effect,) = route(PartyRecord(), found, NOW, TERMS).effects
    routed = effect.act.event  # type: ignore[union-attr]
    assert isinstance(routed, FindingRouted)
    measured = took(advance(MEASURE, MeasureCase(case="M-1"), routed, NOW, TERMS))
    own = Party(sender="ORG-9")
    for told in (
        encode(shown(view_of(measured.case, "M-1", "measure", own), ACCUSED)),
        encode(act(measured.effects, SendNotice).notice),
    ):
        assert b"photo" not in told
        assert b"138" not in told
        assert pools.COMPLAINT.complaint.encode() in told

    # A finding of versions before bears it all: it is not shown.
    before = msgspec.structs.replace(found, evidence=(pools.COMPLAINT.complaint, BILL))
    seen = view_of(msgspec.structs.replace(measured.case, finding=before), "M-1", "measure", own)
    assert b"photo" not in encode(shown(seen, ACCUSED))
    assert b"photo" in encode(shown(seen, Caller("desk", "desk:17")))


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(
    choices=CHOICES,
    text=st.sampled_from((SUBSCRIBER, f"number|{SUBSCRIBER}", "ring 138 0013 8000", "８６138-0013-8000")),
)
@settings(max_examples=20, deadline=None)
def test_whatever_text_of_a_case_holds_a_number_who_only_reads_does_not_see_it(
    subject: Subject, choices: list[int], text: str
) -> None:
    case = subject.walk(choices)
    body = msgspec.json.encode(_everywhere(msgspec.json.decode(encode(case)), text))
    seen = CaseView(case.case, subject.name, "any", 1, NOW, msgspec.Raw(body), party=Party(number=SUBSCRIBER))
    told = shown(seen, AUDITOR)
    assert told.party == Party(number="+86138****8000")
    for one in strings(msgspec.json.decode(bytes(told.body))):
        assert "13800138000" not in digits(one)


def test_what_one_officer_proposes_is_no_partys_business() -> None:
    proposed = MeasureCase(case="M-1", proposed=Proposal("desk:17", NOW, msgspec.Raw(b'{"reason":"of 13800138000"}')))
    seen = view_of(proposed, "M-1", "measure", Party(sender="ORG-9"))
    assert b"desk:17" in encode(shown(seen, Caller("desk", "desk:18")))
    assert b"desk:17" not in encode(shown(seen, ACCUSED))


def _everywhere(value: object, text: str) -> object:
    """The same with this text in every text."""
    match value:
        case str():
            return text
        case dict():
            return {name: _everywhere(inner, text) for name, inner in value.items()}
        case list():
            return [_everywhere(inner, text) for inner in value]
        case _:
            return value
