"""Direct orders: there are no new ones, and one of before is its writer's, who ends it sooner. Pure."""

import msgspec
import pytest

from stream.enforce.api import orders
from stream.enforce.api.api_request import ApiRequest
from stream.enforce.api.auth import Caller
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.request_parsing import Fields
from stream.enforce.api.responses import Problem
from stream.model.registry import Order
from tests.enforce.procedures.world import DAY, NOW, TERMS

DESK, OTHER, REGULATOR = Caller("desk", "desk:17"), Caller("desk", "desk:18"), Caller("regulator", "regulator:3")
STOP: Fields = {"measure": "stop", "basis": "measures", "sender": "ORG-9"}
BEFORE = Order("O-bcdf", "stop", NOW - DAY, "measures", sender="ORG-9", until=NOW + 89 * DAY, actor="desk:17")


def written(stated: Fields, *, by: Caller = DESK, before: Order | None = BEFORE) -> Order:
    """The order that a request makes, where this one stands under its id."""
    record = orders.end(ApiRequest(by, stated, NOW, "bcdf", "", CaseIndex(kept_ms=DAY), TERMS)).resolve(before).record
    assert isinstance(record, Order)
    return record


def refused(stated: Fields, *, by: Caller = DESK, before: Order | None = BEFORE) -> str:
    """Its status and reason."""
    with pytest.raises(Problem) as raised:
        written(stated, by=by, before=before)
    faults = "; ".join(f"{one.field}: {one.reason}" for one in raised.value.refusal.faults)
    return f"{raised.value.status} {raised.value.refusal.reason} {faults}"


@pytest.mark.parametrize("measure", ["limit", "stop", "suspend"])
@pytest.mark.parametrize("basis", ["measures", "prohibited-content", "regulator-order", "zzz"])
def test_nobody_orders_without_a_case(measure: str, basis: str) -> None:
    wanted: Fields = {**STOP, "measure": measure, "basis": basis, "notice": "N-M-1-1", "appeal": "javascript:1"}
    assert refused(wanted).startswith("409 nobody orders directly, without a case: open a finding (POST /v1/findings)")
    assert "409 nobody orders directly, without a case: direct it (POST /v1/di" in refused(wanted, by=REGULATOR)
    assert refused({**wanted, "order": "O-17"}, before=None).startswith("400"), "of what stands its end alone is stated"
    unknown: Fields = {"order": "O-17", "until": NOW + DAY}
    assert "409 there is no order O-17, and nobody orders directly" in refused(unknown, before=None)


def test_a_direct_order_of_before_is_its_writers_who_ends_it_sooner() -> None:
    change: Fields = {"order": "O-bcdf", "until": NOW}
    assert written(change) == msgspec.structs.replace(BEFORE, until=NOW), "and it began when it did"
    endless = msgspec.structs.replace(BEFORE, until=None, measure="suspend", notice="N-1")
    assert written(change, before=endless) == msgspec.structs.replace(endless, until=NOW)
    assert "409 the order O-bcdf is not yours: desk:17 wrote it" in refused(change, by=OTHER)
    assert "409 a direct order is not made longer: open a finding" in refused({**change, "until": NOW + 90 * DAY})
    assert "until: it lies before the order's `from`" in refused({**change, "until": NOW - 2 * DAY})
    assert "until: missing" in refused({"order": "O-bcdf"})
    assert "measure: there is no such field" in refused({**change, "measure": "limit"})
    assert "409 O-M-F-1 is the order of a measure's case" in refused({"order": "O-M-F-1", "until": NOW})
    for actor in ("desk:17", None):
        ordered = msgspec.structs.replace(BEFORE, basis="regulator-order", actor=actor)
        assert refused(change, before=ordered).startswith("403"), "the desk never ends what the regulator ordered"
