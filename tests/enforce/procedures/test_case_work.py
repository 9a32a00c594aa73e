"""What an office does with a case besides acting on it: the same in every procedure and state."""

import msgspec
import pytest
from hypothesis import given, settings

from stream.enforce.cases import store
from stream.enforce.cases.decoding import EVENTS, Arrival
from stream.enforce.procedures import case_work, complaint
from stream.enforce.procedures.case_work import ASSIGNMENTS_MAX, NOTES_MAX, Assigned, Attached, CaseWork, Noted
from stream.enforce.procedures.complaint import Complained, ComplaintCase, ComplaintWithdrawn
from stream.enforce.procedures.engine import advance
from stream.model.codec import encode
from tests.enforce.procedures import pools
from tests.enforce.procedures.test_procedures import CHOICES, SUBJECTS, Subject
from tests.enforce.procedures.world import DAY, NOW, TERMS, refused, took

NOTE = Noted("the user rang again", "desk", "desk:17")
RECEIPT = Attached("receipt.pdf", "0" * 64, 17, "desk", "shelf 12", "desk:17")
HANDED_OVER = Assigned("desk", "desk:18", "on leave", "desk:17")


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(choices=CHOICES)
@settings(max_examples=15, deadline=None)
def test_work_changes_nothing_of_a_case_but_the_work_on_it(subject: Subject, choices: list[int]) -> None:
    for event in (NOTE, RECEIPT, HANDED_OVER):
        assert EVENTS[subject.name].decode(encode(event)) == event, "every case reads it"
        case, result = subject.worked(choices, event)
        if not case.step:
            assert refused(result).reason == "there is no such case yet"
            continue
        after, effects = took(result)
        assert effects == ()
        assert after.work is not None
        assert msgspec.structs.replace(after, work=None) == case


def test_each_office_has_a_case_in_its_own_hands_and_the_last_hand_over_counts() -> None:
    work: CaseWork | None = None
    for event in (
        HANDED_OVER,
        Assigned("centre", "centre:2"),
        Assigned("desk", "desk:17"),
        Assigned("centre"),
    ):
        work = case_work.with_work(work, event, NOW)
    assert work is not None
    assert work.holders == {"desk": "desk:17"}
    assert [one.to for one in work.of("centre").assignments] == ["centre:2", None]


def test_the_work_that_a_case_holds_is_bounded_and_keeps_no_step_out() -> None:
    case = took(advance(complaint.PROCEDURE, ComplaintCase(case="C-1"), Complained(pools.COMPLAINT), NOW, TERMS)).case
    entry = store.Entry("complaint", msgspec.Raw(encode(case)), NOW)

    def arrives(entry: store.Entry, event: msgspec.Struct, name: str, at: int = NOW) -> object:
        return store.apply("C-1", entry, Arrival("C-1", "complaint", event, name, at), at, TERMS)

    longest = Noted("字" * case_work.NOTE_CHARACTERS_MAX, "desk", "d" * 256)
    filed = Attached("名" * 256, "0" * 64, 1, "desk", "处" * 256, "d" * 256)
    handed = Assigned("desk", "d" * 256, None, "d" * 256)
    for count in range(max(NOTES_MAX, ASSIGNMENTS_MAX)):
        for event in (longest, filed, handed):
            after = arrives(entry, event, f"{count}-{event.__struct_config__.tag}", NOW + DAY)
            assert isinstance(after, store.Updated)
            entry = after.entry
    assert entry.updated == NOW, "it is no step"
    assert arrives(entry, handed, "one more", NOW) != entry
    full = arrives(entry, NOTE, "too many")
    assert isinstance(full, store.Rejected)
    assert "takes no more: attach a document" in full.reason
    assert isinstance(arrives(entry, ComplaintWithdrawn(), "withdrawn"), store.Updated)
