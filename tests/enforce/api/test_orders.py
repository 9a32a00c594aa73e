"""Direct orders: no suspension but of a party that was notified of one which stands, no word of the regulator's, no id
of somebody else's. Pure.
"""

import msgspec
import pytest

from stream.enforce.api import orders
from stream.enforce.api.api_request import ApiRequest, OrderWrite, SendersWrite, Write
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.indexed_case import indexed
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Problem
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.engine import advance
from stream.enforce.procedures.measure import PROCEDURE, MeasureCase
from stream.enforce.procedures.messages import FindingRouted, Lift
from stream.enforce.procedures.telling import Delivered
from stream.model.cases import CaseView
from stream.model.codec import encode
from stream.model.control import Party
from stream.model.registry import Order, Sender
from stream.registry.registry import Registry
from tests.enforce.procedures.world import DAY, HOUR, NOW, TERMS, delivery, finding, took, unaddressed

DESK, OTHER, REGULATOR = Caller("desk", "desk:17"), Caller("desk", "desk:18"), Caller("regulator", "regulator:3")
SUSPEND: Fields = {"measure": "suspend", "basis": "measures", "sender": "ORG-9", "notice": "N-M-1-1"}
STOP: Fields = {"measure": "stop", "basis": "measures", "sender": "ORG-9"}


def notified(measure: str = "suspend", *, sender: str = "ORG-9") -> list[MeasureCase]:
    """A measure's case: its notice on its way, without an address, delivered, in force, and lifted."""
    found = FindingRouted(finding(party=Party(sender=sender)), measure)  # type: ignore[arg-type]
    telling = took(advance(PROCEDURE, MeasureCase(case="M-1"), found, NOW - 3 * DAY, TERMS)).case
    unserved = took(advance(PROCEDURE, telling, unaddressed("N-M-1-1"), NOW - 3 * DAY, TERMS)).case
    warned = took(advance(PROCEDURE, unserved, Delivered(delivery("N-M-1-1")), NOW - 2 * DAY, TERMS)).case
    (grace,) = warned.clocks
    in_force = took(advance(PROCEDURE, warned, ClockFired("grace", grace.due), grace.due, TERMS)).case
    lifted = took(advance(PROCEDURE, in_force, Lift("mended"), NOW - HOUR, TERMS)).case
    return [telling, unserved, warned, in_force, lifted]


def written(
    stated: Fields, case: MeasureCase | None = None, *, by: Caller = DESK, before: Order | None = None
) -> Order:
    """The order that a request makes, where this case is about the party."""
    index = CaseIndex(kept_ms=DAY)
    if case is not None:
        assert case.finding is not None
        ended = case.state in PROCEDURE.ended
        party, body = case.finding.party, msgspec.Raw(encode(case))
        view = CaseView(case.case, "measure", case.state.value, case.step, NOW, body, party=party, ended=ended)
        index.put(indexed(encode(view)))
    write = orders.order(ApiRequest(by, stated, NOW, "bcdf", "", index, TERMS))
    if isinstance(write, OrderWrite):
        whole: object = write.resolve(before)
    else:
        whole = write.resolve(Registry()) if isinstance(write, SendersWrite) else write
    assert isinstance(whole, Write)
    assert isinstance(whole.record, Order)
    return whole.record


def refused(stated: Fields, case: MeasureCase | None = None, *, by: Caller = DESK, before: Order | None = None) -> str:
    """Its status and reason."""
    with pytest.raises(Problem) as raised:
        written(stated, case, by=by, before=before)
    faults = "; ".join(f"{one.field}: {one.reason}" for one in raised.value.refusal.faults)
    return f"{raised.value.status} {raised.value.refusal.reason} {faults}"


def test_a_suspension_asks_its_notice_to_that_party_and_the_measure_that_stands() -> None:
    telling, unserved, warned, in_force, lifted = notified()
    assert refused({**SUSPEND, "notice": None}).startswith("400")
    assert "409 no measure has notified this party by N-M-1-1: open a finding (POST" in refused(SUSPEND)
    assert "has not reached the party" in refused(SUSPEND, telling)
    assert "has not reached the party" in refused(SUSPEND, unserved)
    assert "409 M-1 is warned: " in refused(SUSPEND, warned)
    assert "409 M-1 is lifted: open a finding" in refused(SUSPEND, lifted)
    assert "no measure has notified this party" in refused({**SUSPEND, "sender": "ORG-1"}, in_force), "another's notice"
    assert "notifies of a stop, no suspension" in refused(SUSPEND, notified("stop")[3])
    order = written(SUSPEND, in_force)
    assert in_force.order is not None
    assert (order.order, order.until) == ("O-bcdf", in_force.order.until), "it ends with the measure"
    late = in_force.order.until or 0
    assert "state `until` no later" in refused({**SUSPEND, "until": late + 1}, in_force)


def test_prohibited_content_and_the_regulators_word_have_procedures_of_their_own() -> None:
    for measure in ("limit", "stop", "suspend"):
        prohibited = {**STOP, "measure": measure, "basis": "prohibited-content"}
        assert "409" in refused(prohibited)
        assert "POST /v1/findings" in refused(prohibited, by=REGULATOR)
        ordered = {**STOP, "measure": measure, "basis": "regulator-order"}
        assert refused(ordered).startswith("403")
        assert "409" in (reason := refused(ordered, by=REGULATOR))
        assert "POST /v1/directions" in reason


@pytest.mark.parametrize(("measure", "days"), [("limit", 90), ("stop", 90)])
def test_every_direct_order_ends_and_has_an_appeal(measure: str, days: int) -> None:
    order = written({**STOP, "measure": measure})
    assert (order.from_, order.until, order.actor) == (NOW, NOW + days * DAY, "desk:17")
    assert order.appeal == TERMS.appeal
    longest = NOW + days * DAY
    assert written({**STOP, "measure": measure, "until": longest}).until == longest
    assert "400" in refused({**STOP, "measure": measure, "until": longest + 1}), (
        "nobody is stopped for ten years by one"
    )
    assert f"{measure} without a case" in refused({"order": "O-bcdf", "until": longest + 1}, before=order)
    assert "would stop nothing" in refused({**STOP, "measure": measure, "from": NOW - 2 * days * DAY})


def test_an_order_on_a_name_that_nobody_registered_says_so_and_what_was_meant() -> None:
    write = orders.order(ApiRequest(DESK, STOP, NOW, "bcdf", "", CaseIndex(kept_ms=DAY), TERMS))
    assert isinstance(write, SendersWrite)
    unknown, known = Registry(), Registry()
    for registry, sender in ((unknown, "ORG-99"), (known, "ORG-9")):
        registry.apply([Sender(sender, "-", "95588", "active", ())])
    answers = [write.resolve(registry) for registry in (unknown, known)]
    notes = [one.answer.note for one in answers if isinstance(one, Write)]
    assert notes[1] is None
    assert "no sender ORG-9 is registered" in (notes[0] or "")
    assert "did you mean ORG-99?" in (notes[0] or "")


def test_an_order_that_stands_is_its_writers_who_changes_its_end_alone() -> None:
    before = msgspec.structs.replace(written(STOP), from_=NOW - DAY)
    change: Fields = {"order": "O-bcdf", "until": NOW}
    assert written(change, before=before) == msgspec.structs.replace(before, until=NOW), "and began when it did"
    assert "409 there is no order O-bcdf: leave `order` out" in refused(change)
    assert "409 the order O-bcdf is not yours: desk:17 wrote it" in refused(change, by=OTHER, before=before)
    assert "changes its end alone" in refused({**change, "measure": "suspend", "notice": "N-M-1-1"}, before=before)
    assert "until: missing" in refused({"order": "O-bcdf"}, before=before)
    assert "409 O-M-F-1 is the order of a measure's case" in refused({"order": "O-M-F-1", "until": NOW})
    suspended = msgspec.structs.replace(before, measure="suspend", notice="N-1")
    assert written(change, before=suspended).until == NOW
    assert "not made longer" in refused({"order": "O-bcdf", "until": NOW + 300 * DAY}, before=suspended)
    for actor in ("desk:17", None):
        ordered = msgspec.structs.replace(before, basis="regulator-order", actor=actor)
        assert refused(change, before=ordered).startswith("403"), "the desk never ends what the regulator ordered"
