"""The control plane's records on the wire: what is required, what is refused, under which key they stand."""

import msgspec
import pytest

from stream.model import control
from stream.model.control import (
    Activity,
    Complaint,
    ControlRecord,
    Filing,
    Listing,
    Notice,
    Party,
    Punishment,
    Report,
    Tally,
    key_of_control,
)
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import NOW, PARTY, delivery, finding

DECODER = msgspec.json.Decoder(ControlRecord)

RECORDS: list[tuple[ControlRecord, str]] = [
    (finding(), "sender|ORG-9"),
    (Notice(notice="N-1", case="M-1", time=NOW, to="sender|ORG-9", subject="measure", reason="refusals"), "M-1"),
    (delivery("N-1"), "M-1"),
    (pools.COMPLAINT, "C-1"),
    (pools.APPEAL, "1"),
    (pools.DISPUTE, "1"),
    (pools.FILING, "P-1"),
    (pools.DIRECTION, "G-1"),
    (Punishment(punishment="B-1", time=NOW, party=PARTY, authority="MIIT", document="2026-78"), "B-1"),
    (Listing(listing="B-L", party=PARTY, from_=NOW, until=NOW + 1, punishment="B-1", document="2026-78"), "B-L"),
    (Report(report="R-1", case="M-1", time=NOW, to="regulator", about="done", basis="measures"), "M-1"),
    (
        Activity(window=NOW, party=Party(number="10690"), channel="sms", tallies=(Tally("allow", "service", 1),)),
        "number|10690",
    ),
]


@pytest.mark.parametrize(("record", "key"), RECORDS, ids=lambda value: type(value).__name__)
def test_a_record_stands_under_its_key_and_comes_back_as_it_was(record: ControlRecord, key: str) -> None:
    assert key_of_control(record) == key
    assert DECODER.decode(msgspec.json.encode(record)) == record


def test_every_kind_of_record_is_among_the_examples() -> None:
    assert {type(record) for record, _ in RECORDS} == set(ControlRecord.__args__)


def test_what_people_file_may_be_incomplete() -> None:
    assert DECODER.decode(b'{"kind":"complaint","complaint":"C-1","time":1}') == Complaint(complaint="C-1", time=1)
    assert DECODER.decode(b'{"kind":"filing","filing":"P-1","time":1}') == Filing(filing="P-1", time=1)


@pytest.mark.parametrize("party", [b"{}", b'{"sender":"ORG-1","number":"10690"}'])
def test_a_party_is_a_sender_or_a_number_and_not_both(party: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match="exactly one"):
        msgspec.json.decode(party, type=Party)


def test_a_sender_and_a_number_that_look_alike_have_different_keys() -> None:
    assert control.party_key(Party(sender="10690")) != control.party_key(Party(number="10690"))
