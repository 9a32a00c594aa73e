"""Bodies and queries: every fault at once, with its mend: pure."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.api import intake, request_parsing
from stream.enforce.api.case_index import CaseQuery
from stream.enforce.api.responses import Fault, Problem
from stream.enforce.procedures.forms import NUMBER, PERSON, FormContext
from stream.model.control import Appeal, Complaint, Filing
from stream.model.registry import Expression, Order
from tests.enforce.procedures.world import NOW, TERMS

MADE = {"time": NOW, "actor": "desk:17"}
READING = FormContext(TERMS.numbering, NOW)


def faults(body: bytes, kind: type[msgspec.Struct] = Complaint) -> tuple[Fault, ...]:
    with pytest.raises(Problem) as raised:
        request_parsing.record(
            request_parsing.json_object(body),
            kind,
            made={**MADE, str(kind.__struct_config__.tag): "x"},
            reading=READING,
        )
    assert raised.value.status == 400
    return raised.value.refusal.faults


def test_null_and_the_empty_text_are_absent() -> None:
    said = request_parsing.record(
        request_parsing.json_object(b'{"sender":null,"text":"","from":"106"}'),
        Complaint,
        made={**MADE, "complaint": "x"},
        reading=READING,
    )
    assert (said.sender, said.text, said.from_) == (None, None, "106")


def test_a_fault_names_the_place_within_a_field_and_the_form_it_must_have() -> None:
    (fault,) = faults(b'{"evidence":["a",7]}')
    assert fault == Fault("evidence[1]", "Expected `str`, got `int`", "state a list, each a text")
    (fault,) = faults(b'{"channel":"fax"}')
    assert fault.mend == "state one of call, sms"
    (fault,) = faults(b'{"at":"x"}')
    assert fault.mend == "state milliseconds since the epoch, UTC"


def test_what_must_be_stated_is_asked_for_in_its_form() -> None:
    found = {fault.field: fault.mend for fault in faults(b"{}", Appeal)}
    assert found["party"] == "state an object with `sender`, `number`"
    assert faults(b'{"party":{"sender":"a","number":"b"},"against":"M-1"}', Appeal)[0].field == "party"


def test_a_list_of_missing_fields_tells_their_form() -> None:
    (choice, level) = request_parsing.missing(("from or sender", "level"), Filing)
    assert choice.mend == "state `from`: milliseconds since the epoch, UTC or `sender`: a text"
    assert level.mend.startswith("state `level`: one of ")


def test_numbers_are_taken_as_read() -> None:
    said = request_parsing.record(
        request_parsing.json_object(b'{"subscriber":"138 0013 8000","from":"+86 106 9012345","channel":"sms"}'),
        Complaint,
        made={**MADE, "complaint": "x"},
        reading=READING,
    )
    assert (said.subscriber, said.from_) == ("+8613800138000", "1069012345")
    order = {"number": "0086-95588", "measure": "stop", "basis": "measures", "order": "O-1", "from": NOW}
    assert request_parsing.record(order, Order, made={"actor": "desk:17"}, reading=READING).number == "95588"


@pytest.mark.parametrize("number", ["+8613800138004.0", "+13800138000", "95588"])
def test_what_is_no_persons_number_is_a_fault_that_says_what_one_is(number: str) -> None:
    (fault,) = faults(msgspec.json.encode({"subscriber": number}))
    assert fault == Fault("subscriber", f"not {PERSON}", f"state {PERSON}")


def test_a_party_has_a_number_that_something_can_come_from() -> None:
    (fault,) = faults(b'{"party":{"number":"12"},"against":"M-1"}', Appeal)
    assert (fault.field, fault.reason) == ("party", f"not a party whose `number` is {NUMBER}")


@pytest.mark.parametrize("at", [NOW // 1000, NOW * 1000, NOW + 86_400_001])
def test_a_time_in_another_unit_or_too_far_ahead_is_a_fault(at: int) -> None:
    (fault,) = faults(msgspec.json.encode({"at": at}))
    assert (fault.field, "2000-01-01 to a day from now" in fault.mend) == ("at", True)


def test_what_exceeds_a_limit_is_a_fault_that_names_the_limit() -> None:
    (fault,) = faults(msgspec.json.encode({"evidence": ["e", "e" * 4_001]}))
    assert fault == Fault("evidence[1]", "4,001 characters", "keep within its limit of 4,000 characters")


def test_a_query_is_read_from_text_and_its_faults_are_told() -> None:
    assert request_parsing.query({"limit": "7", "ended": "true", "state": ""}, CaseQuery) == CaseQuery(
        limit=7, ended=True
    )
    with pytest.raises(Problem) as raised:
        request_parsing.query({"limit": "501", "ended": "perhaps", "colour": "red"}, CaseQuery)
    assert [fault.field for fault in raised.value.refusal.faults] == ["colour", "ended", "limit"]


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
fields = st.dictionaries(st.sampled_from([*request_parsing.names(Expression), "colour"]), json)


@given(fields)
def test_any_body_is_a_record_or_is_refused_with_faults(body: dict[str, object]) -> None:
    said = _read(
        lambda: request_parsing.record(
            request_parsing.json_object(msgspec.json.encode(body)), Expression, made=ACTOR, reading=READING
        )
    )
    if isinstance(said, Problem):
        assert said.status == 400
        assert said.refusal.faults
        assert all(fault.reason and fault.mend for fault in said.refusal.faults)
    else:
        assert said.actor == "desk:17"


@given(st.binary(max_size=40))
def test_any_bytes_are_an_object_or_a_400(body: bytes) -> None:
    said = _read(lambda: request_parsing.json_object(body))
    assert not isinstance(said, Problem) or said.status == 400


ACTOR = {"actor": "desk:17"}
T = TypeVar("T")


def _read(reading: Callable[[], T]) -> T | Problem:
    try:
        return reading()
    except Problem as problem:
        return problem


@pytest.mark.parametrize("number", ["13800138000", "+86 138 0013 8000", "+8613800138000", "\u202a013800138000"])
def test_a_party_is_asked_for_by_its_number_as_read(number: str) -> None:
    query = intake.query({"party": f"number|{number}"}, TERMS, NOW)
    assert query.party == "number|+8613800138000"


def test_what_is_no_number_and_what_is_a_sender_is_asked_for_as_it_stands() -> None:
    for party in ("sender|13800138000", "number|1069012345", "number|x", "number|", "13800138000"):
        assert intake.query({"party": party}, TERMS, NOW).party == party


def test_what_is_due_is_asked_for_by_milliseconds() -> None:
    assert intake.query({"due_before": str(NOW)}, TERMS, NOW).due_before == NOW
    with pytest.raises(Problem) as raised:
        intake.query({"due_before": str(NOW // 1000)}, TERMS, NOW)
    (fault,) = raised.value.refusal.faults
    assert (fault.field, str(NOW // 1000 * 1000) in fault.reason) == ("due_before", True)
