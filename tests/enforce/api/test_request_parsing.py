"""Bodies and queries: every fault at once, with its mend: pure."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.api import request_parsing, search
from stream.enforce.api.auth import Caller
from stream.enforce.api.operations import WRITINGS, WriteOperation
from stream.enforce.api.responses import FAULTS_MAX, Fault, Problem, Refusal
from stream.enforce.api.search import CaseQuery
from stream.enforce.api.subscribers import Reasoned
from stream.enforce.procedures import forms
from stream.enforce.procedures.forms import NUMBER, PERSON, FormContext
from stream.model import limits
from stream.model.codec import encode
from stream.model.control import Appeal, Complaint, Filing
from stream.model.registry import Expression, Order
from tests.enforce.procedures.world import NOW, TERMS
from tests.work import instructions

DESK = Caller("desk", "desk:17")

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


def test_a_text_of_nothing_but_blanks_says_nothing() -> None:
    said = request_parsing.record(
        request_parsing.json_object('{"text":" \u3000\\n ","from":"106"}'.encode()),
        Complaint,
        made={**MADE, "complaint": "x"},
        reading=READING,
    )
    assert (said.text, said.from_) == (None, "106")
    with pytest.raises(Problem) as raised:  # as the query of a look at a person has it
        request_parsing.record({"reason": "  "}, Reasoned, made={}, reading=READING)
    assert [(one.field, one.reason) for one in raised.value.refusal.faults] == [("reason", "missing")]
    blank = encode(Filing("x", NOW, text="  "))
    filed = forms.read(Filing, blank, made=("filing",), reading=READING)
    assert (filed.record.text, filed.wrong) == (None, ())


def test_what_a_case_waits_for_is_told_with_what_it_must_have() -> None:
    mends = {one.field: one.mend for one in request_parsing.missing(("contact", "volume"), Filing)}
    assert mends == {
        "contact": "state `contact`: a phone with at least 3 digits",
        "volume": "state `volume`: how many messages, 1 or more",
    }


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
    query = search.asked({"party": f"number|{number}"}, TERMS, NOW, DESK)
    assert query.party == "number|+8613800138000"


def test_what_is_no_number_and_what_is_a_sender_is_asked_for_as_it_stands() -> None:
    for party in ("sender|13800138000", "number|1069012345", "number|x"):
        assert search.asked({"party": party}, TERMS, NOW, DESK).party == party


def test_a_question_that_nothing_can_answer_is_a_fault_and_no_empty_list() -> None:
    for stated, field, allowed in (
        ({"party": "ORG-9"}, "party", "sender|ORG-9"),
        ({"party": "number|"}, "party", "number|+86"),
        ({"state": "warnd"}, "state", "warned"),
        ({"state": "warned", "procedure": "complaint"}, "state", "received"),
    ):
        with pytest.raises(Problem) as raised:
            search.asked(stated, TERMS, NOW, DESK)
        (fault,) = raised.value.refusal.faults
        assert (fault.field, allowed in fault.mend) == (field, True)
    assert search.asked({"state": "warned", "procedure": "measure"}, TERMS, NOW, DESK).state == "warned"


def test_what_is_due_is_asked_for_by_milliseconds() -> None:
    assert search.asked({"due_before": str(NOW)}, TERMS, NOW, DESK).due_before == NOW
    with pytest.raises(Problem) as raised:
        search.asked({"due_before": str(NOW // 1000)}, TERMS, NOW, DESK)
    (fault,) = raised.value.refusal.faults
    assert (fault.field, str(NOW // 1000 * 1000) in fault.reason) == ("due_before", True)


LIMITED = [writing for writing in WRITINGS if writing.body is not None]


@pytest.mark.parametrize("writing", LIMITED, ids=lambda writing: writing.name)
def test_of_thousands_of_faults_some_are_named(writing: WriteOperation) -> None:
    """32,000 unknown fields took 4.8 s and an answer of 6.7 MB; each had its own list of all known ones."""
    assert writing.body is not None
    kind = writing.body

    def named(count: int) -> Refusal:
        with pytest.raises(Problem) as raised:
            request_parsing.record(
                {f"field-{n}": "x" for n in range(count)}, kind, made=dict.fromkeys(writing.made), reading=READING
            )
        return raised.value.refusal

    refusal = named(16_000)
    assert refusal.reason == f"the request has faults; `faults` lists the first {FAULTS_MAX} of {_count(refusal):,}"
    assert len(refusal.faults) == FAULTS_MAX
    assert len(encode(refusal)) < 16_384
    # What a field costs is a look at its name.
    more = instructions(lambda: named(32_000)) - instructions(lambda: named(16_000))
    assert more < 16_000 * 30


def _count(refusal: Refusal) -> int:
    return int(refusal.reason.rpartition(" ")[2].replace(",", ""))


LONG: dict[str, object] = {
    "letters": "a" * 250_000,
    "digits": "1" * 250_000,
    "marks": "a" + "\u0301" * 60_000 + "\u0316" * 60_000,
    "links": "http://a.b/" * 22_000,
    "list": ["a"] * 60_000,
    "a list of long ones": ["1" * 249_000],
    "party": {"number": "1" * 250_000},
    "unknown in a party": {"sender": "A", **{f"f{n}": 1 for n in range(10_000)}},
}


@pytest.mark.parametrize("writing", LIMITED, ids=lambda writing: writing.name)
def test_no_text_beyond_its_limit_is_read(writing: WriteOperation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contact of 120,000 digits made a pattern for 3.4 s, and 80 kB in one stopped the API."""
    assert writing.body is not None
    read: list[object] = []

    def fitted(*of: object) -> forms.Fitted:
        read.append(of[2])
        return forms.fitted(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(request_parsing, "fitted", fitted)
    for name in request_parsing.names(writing.body):
        if name in writing.made:
            continue
        for what, value in LONG.items():
            with pytest.raises(Problem) as raised:
                request_parsing.record({name: value}, writing.body, made=dict.fromkeys(writing.made), reading=READING)
            assert len(encode(raised.value.refusal)) < 16_384, (name, what)
    assert max(map(_longest, read), default=0) <= limits.TEXT.most


def _longest(value: object) -> int:
    match value:
        case str():
            return len(value)
        case dict():
            return max(map(_longest, value.values()), default=0)
        case list():
            return max(map(_longest, value), default=0)
        case _:
            return 0


@pytest.mark.parametrize("after", ["9" * 4301 + ".C-1", "\u0663.C-1", "\u00b2.C-1", "C-1", ".", "\udcff", "-1.C-1"])
def test_what_is_no_pages_after_is_a_fault(after: str) -> None:
    with pytest.raises(Problem) as raised:
        search.asked({"after": after}, TERMS, NOW, DESK)
    (fault,) = raised.value.refusal.faults
    assert fault.field == "after"


@pytest.mark.parametrize("inner", [b"[]", b"[[]]", b"{}", b'{"":[]}'])
def test_a_body_of_nothing_but_lists_and_objects_is_not_built(inner: bytes) -> None:
    """256 KiB of them took 50 to 100 ms, most of it Python's collector."""
    body = b'{"text":"%s","evidence":[%s]}'
    kept = request_parsing.json_object(body % (b"[" * limits.TEXT.most, b",".join([inner] * 1_000)))
    assert str(kept["text"]).startswith("[")
    with pytest.raises(Problem) as raised:
        request_parsing.json_object(body % (b"x", b",".join([inner] * limits.NESTED.most)))
    assert "lists and objects" in raised.value.refusal.faults[0].reason
