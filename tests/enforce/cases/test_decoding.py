"""What may come in: under the right key, in the right partition, of the right procedure."""

import msgspec
import pytest

from bloom.partition import partition_of
from stream.enforce.cases import decoding
from stream.enforce.cases.decoding import Arrival, Forward, RecordPosition
from stream.enforce.procedures import ids
from stream.enforce.procedures.complaint import Complained
from stream.model import topics
from stream.model.cases import CaseEvent
from stream.model.codec import Undecodable, encode
from stream.model.control import Appeal, Complaint, Party
from stream.model.times import DAY_MS
from stream.policy.loading import load
from tests.enforce.harness import NOW, Record, intake_record
from tests.filter.harness import PARTITIONS

NUMBERING = load(None).numbering
COMPLAINT = intake_record(Complaint("one", NOW))
APPEAL = Appeal("one", NOW, "M-1", Party(sender="ORG-1"))


def _read(record: Record) -> Arrival | Forward | None:
    topic, partition, key, value = record
    return decoding.read(RecordPosition(topic, partition, 0, NOW), key, value, PARTITIONS, NUMBERING)


def _event(procedure: str, case: str, event: bytes) -> Record:
    one = CaseEvent("e-1", NOW, case, procedure, msgspec.Raw(event))
    place = partition_of(case, PARTITIONS)
    return topics.CASE_EVENTS, place, case.encode(), encode(one)


def test_an_appeal_is_first_heard_by_the_case_that_it_is_against() -> None:
    forward = _read(intake_record(APPEAL))
    assert isinstance(forward, Forward)
    assert (forward.event.case, forward.event.procedure) == ("M-1", "measure")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ((COMPLAINT[0], COMPLAINT[1], b"C-other", COMPLAINT[3]), "wrong key"),
        ((COMPLAINT[0], (COMPLAINT[1] + 1) % PARTITIONS, COMPLAINT[2], COMPLAINT[3]), "wrong partition"),
        ((COMPLAINT[0], COMPLAINT[1], COMPLAINT[2], b"{"), "truncated"),
        (_event("measure", "C-1", b'{"event":"lift","reason":"x"}'), "another letter"),
        (_event("gossip", "M-1", b"{}"), "no such procedure"),
        (_event("measure", "M-1", b'{"event":"lift"}'), "reason"),
        (_event("measure", "1", b'{"event":"lift","reason":"x"}'), "begins with none of"),
        (_event("docket", "sender|ORG-1", b'{"event":"lift","reason":"x"}'), "lift"),
    ],
)
def test_a_record_that_does_not_keep_the_contract_is_refused_with_the_reason(record: Record, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        _read(record)


@pytest.mark.parametrize(("ahead_ms", "ill_formed"), [(0, ["at"]), (30 * DAY_MS, [])])
def test_in_a_drill_whose_clock_is_ahead_people_may_state_a_time_as_late(ahead_ms: int, ill_formed: list[str]) -> None:
    topic, partition, key, value = intake_record(Complaint("one", NOW, at=NOW + 29 * DAY_MS))
    position = RecordPosition(topic, partition, 0, NOW)
    arrival = decoding.read(position, key, value, PARTITIONS, NUMBERING, ahead_ms=ahead_ms)
    assert isinstance(arrival, Arrival)
    assert isinstance(arrival.event, Complained)
    assert [one.field for one in arrival.event.wrong] == ill_formed


def test_null_and_the_empty_text_are_absent_inside_an_event_too() -> None:
    arrival = _read(_event("measure", "M-1", b'{"event":"lift","reason":"x","actor":null}'))
    assert isinstance(arrival, Arrival)


def test_the_letters_of_ids_name_their_procedures() -> None:
    assert decoding.procedure_of(ids.appeal_case(APPEAL)) == "appeal"
    assert decoding.procedure_of(ids.complaint_case(Complaint("x", NOW))) == "complaint"
