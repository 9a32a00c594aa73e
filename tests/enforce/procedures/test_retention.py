"""What has ended leaves the table after its time, and nothing that is owed ever does."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.enforce.api import permissions
from stream.enforce.cases import store
from stream.enforce.cases.decoding import Arrival
from stream.enforce.cases.store import Entry, Rejected, Updated
from stream.enforce.procedures import escalation
from stream.enforce.procedures.complaint import Complained, ComplaintCase, ComplaintState, ComplaintWithdrawn, Forwarded
from stream.enforce.procedures.effects import ClearClock, Effect
from stream.enforce.procedures.messages import Disputed, MeasureChanged
from stream.enforce.procedures.retention import Retention
from stream.enforce.procedures.terms import Settings
from stream.model.cases import DOCKET, CaseView, EscalationFinding
from stream.model.codec import encode
from tests.enforce.procedures import pools
from tests.enforce.procedures.test_procedures import CHOICES, SUBJECTS, Subject
from tests.enforce.procedures.world import DAY, NOW, TERMS, finding

KEPT = TERMS.settings.ended_kept_ms
ROWS = st.sampled_from("abcdef")


def ended(state: ComplaintState = ComplaintState.ANSWERED) -> Entry:
    case = ComplaintCase(case="C-1", state=state, step=6, complaint=pools.COMPLAINT)
    return Entry("complaint", msgspec.Raw(encode(case)), NOW)


def arrival(event: msgspec.Struct, name: str = "new", *, key: str = "C-1", procedure: str = "complaint") -> Arrival:
    return Arrival(key, procedure, event, name, NOW)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
@given(choices=CHOICES)
@settings(max_examples=20, deadline=None)
def test_a_case_leaves_if_and_only_if_it_has_ended_and_then_no_clock_of_it_runs(
    subject: Subject, choices: list[int]
) -> None:
    case = subject.walk(choices)
    entry = Entry(subject.name, msgspec.Raw(encode(case)), NOW)
    seen = store.view_of(case.case, entry)
    assert seen is not None
    assert store.removable_at(entry, TERMS) == (NOW + KEPT if seen.ended else None)
    if seen.ended:
        assert store.clocks(entry) == ()


def test_what_is_still_to_be_carried_out_stays() -> None:
    owing = msgspec.structs.replace(ended(), outbox=(Effect("C-1#6.0", ClearClock("report")),))
    assert store.removable_at(owing, TERMS) is None


@given(st.integers(0, 2 * KEPT))
def test_an_ended_case_takes_what_it_would_until_its_time_is_over_and_nothing_after(later: int) -> None:
    outcome = store.apply("C-1", ended(), arrival(Disputed(pools.DISPUTE)), NOW + later, TERMS)
    assert isinstance(outcome, Updated) == (later < KEPT)


def test_the_api_says_beforehand_that_a_case_takes_nothing_more() -> None:
    seen = store.view_of("C-1", ended())
    assert seen is not None
    assert isinstance(permissions.tried(seen, Disputed(pools.DISPUTE), NOW + KEPT - 1, TERMS), CaseView)
    late = permissions.tried(seen, Disputed(pools.DISPUTE), NOW + KEPT, TERMS)
    assert isinstance(late, Rejected)
    assert "longer ago than `ended_kept_ms`" in late.reason


def test_a_case_that_goes_on_never_leaves_however_long_it_takes() -> None:
    entry: Entry | None = None
    for place, event in enumerate((Complained(pools.COMPLAINT), Forwarded("ORG-9"), ComplaintWithdrawn())):
        outcome = store.apply("C-1", entry, arrival(event, str(place)), NOW + place * KEPT, TERMS)
        assert isinstance(outcome, Updated)
        entry = store.without_outbox(outcome.entry)
        assert store.removable_at(entry, TERMS) == (NOW + 3 * KEPT if place == 2 else None)


def test_a_docket_leaves_once_nothing_is_open_and_all_that_it_remembers_weighs_nothing() -> None:
    heard = arrival(EscalationFinding(finding()), "F-1", key="sender|ORG-9", procedure=DOCKET)
    outcome = store.apply("sender|ORG-9", None, heard, NOW, TERMS)
    assert isinstance(outcome, Updated)
    entry = store.without_outbox(outcome.entry)
    assert store.removable_at(entry, TERMS) is None, "its case is open"
    for at, change in ((NOW + DAY, "in-force"), (NOW + 2 * DAY, "ended")):
        event = MeasureChanged("M-F-1", "limit", change)  # type: ignore[arg-type]
        heard = arrival(event, change, key="sender|ORG-9", procedure=DOCKET)
        outcome = store.apply("sender|ORG-9", entry, heard, at, TERMS)
        assert isinstance(outcome, Updated)
        entry = store.without_outbox(outcome.entry)
    leaves = store.removable_at(entry, TERMS)
    assert leaves == NOW + 2 * DAY + max(KEPT, TERMS.settings.memory_ms)
    remembered = msgspec.json.decode(entry.body, type=escalation.PartyRecord)
    again = finding("F-2")
    assert escalation.next_measure(remembered, again, leaves, TERMS) == escalation.next_measure(
        escalation.PartyRecord(), again, leaves, TERMS
    )


def test_nothing_leaves_before_a_crash_can_no_longer_repeat_it() -> None:
    with pytest.raises(ValueError, match="ended_kept_ms"):
        Settings(ended_kept_ms=DAY - 1)


@given(
    st.lists(st.tuples(ROWS, st.none() | st.integers(0, 20))),
    st.lists(st.tuples(ROWS, st.none() | st.integers(0, 20))),
    st.integers(0, 20),
    st.integers(1, 7),
)
def test_the_index_says_what_a_plain_look_at_all_rows_would(
    first: list[tuple[str, int | None]], then: list[tuple[str, int | None]], now: int, most: int
) -> None:
    plain = dict(first)
    index = Retention()
    index.load(plain.items())
    for key, at in then:
        plain[key] = at
        index.set(key, at)
        index.due(now, rows_max=most)
    due = sorted((at, key) for key, at in plain.items() if at is not None and at <= now)
    for _ in range(2):
        assert index.due(now, rows_max=most) == [key for _, key in due[:most]], "due until it is dealt with"
    for key in index.due(now, rows_max=most):
        index.set(key, None)
    assert index.due(now, rows_max=7) == [key for _, key in due[most:]]
    assert len(index) == sum(at is not None for at in plain.values()) - len(due[:most])


def test_a_refusal_is_not_mistaken_for_a_ring_that_came_late() -> None:
    outcome = store.apply("C-1", ended(), arrival(Disputed(pools.DISPUTE)), NOW + KEPT, TERMS)
    assert isinstance(outcome, Rejected)
    assert not outcome.stale
