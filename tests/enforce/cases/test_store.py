"""What is kept of a case: taken once, carried out under its keys, read back as it was written."""

from hypothesis import given
from hypothesis import strategies as st

from bloom.partition import partition_of
from stream import config as configuration
from stream.enforce.cases import decoding, outbox, store
from stream.enforce.cases.decoding import Arrival, RecordPosition
from stream.enforce.cases.store import Duplicate, Entry, Rejected, Updated
from stream.enforce.procedures import ids, settings
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.complaint import Answered, Forwarded
from stream.enforce.procedures.terms import Terms
from stream.model import topics
from stream.model.codec import encode
from stream.model.control import Complaint, Delivery, Finding, Party
from stream.model.registry import Expression
from stream.model.requests import decode_request
from stream.policy.loading import load as load_policy
from tests.enforce.harness import NOW, Pure, Record, case_event, finding_event, intake_record
from tests.filter.harness import PARTITIONS

CONFIG = configuration.load(None, {})
TERMS: Terms = settings.terms(CONFIG, load_policy(CONFIG.policy.file))

COMPLAINT = Complaint(
    "one", NOW, subscriber="+8613800138000", channel="sms", sender="ORG-1", at=NOW, text="。", refusal=True
)
CASE = ids.complaint_case(COMPLAINT)


def _arrival(record: Record, offset: int = 0) -> Arrival:
    topic, partition, key, value = record
    arrival = decoding.read(RecordPosition(topic, partition, offset, NOW), key, value, PARTITIONS, TERMS.numbering)
    assert isinstance(arrival, Arrival)
    return arrival


def _taken(entry: Entry | None, arrival: Arrival) -> Entry:
    outcome = store.apply(arrival.key, entry, arrival, NOW, TERMS)
    assert isinstance(outcome, Updated), outcome
    return outcome.entry


def test_an_arrival_that_comes_again_is_not_taken_again() -> None:
    entry = store.without_outbox(_taken(None, _arrival(intake_record(COMPLAINT))))
    assert store.apply(CASE, entry, _arrival(intake_record(COMPLAINT)), NOW, TERMS) == Duplicate()


def test_a_supplement_is_another_arrival_although_it_bears_the_same_complaint_id() -> None:
    incomplete = Complaint("one", NOW, subscriber="+8613800138000")
    entry = store.without_outbox(_taken(None, _arrival(intake_record(incomplete))))
    seen = store.view_of(CASE, store.without_outbox(_taken(entry, _arrival(intake_record(COMPLAINT), offset=1))))
    assert seen is not None
    assert seen.state == "received"


def test_an_entry_is_read_back_as_it_was_written() -> None:
    entry = _taken(None, _arrival(intake_record(COMPLAINT)))
    again = store.decode(encode(entry))
    assert encode(again) == encode(entry)
    assert outbox.records(CASE, again, PARTITIONS, now=NOW) == outbox.records(CASE, entry, PARTITIONS, now=NOW)


def test_what_no_row_takes_is_refused_and_says_what_would_be_possible() -> None:
    entry = store.without_outbox(_taken(None, _arrival(intake_record(COMPLAINT))))
    outcome = store.apply(CASE, entry, _arrival(case_event(CASE, Answered("。"), name="early")), NOW, TERMS)
    assert isinstance(outcome, Rejected)
    assert "forwarded" in outcome.reason.partition("; possible: ")[2]
    assert not outcome.stale


def test_a_clock_that_runs_no_more_rings_in_vain() -> None:
    entry = store.without_outbox(_taken(None, _arrival(intake_record(COMPLAINT))))
    outcome = store.apply(CASE, entry, _arrival(case_event(CASE, ClockFired("report", NOW), name="ring")), NOW, TERMS)
    assert isinstance(outcome, Rejected)
    assert outcome.stale


def test_a_missed_term_stands_in_the_picture_with_the_due_time_that_was_missed() -> None:
    entry = store.without_outbox(_taken(None, _arrival(intake_record(COMPLAINT))))
    (clock,) = store.clocks(entry)
    ring = _arrival(case_event(CASE, ClockFired("forward", clock.due), name="ring"))
    outcome = store.apply(CASE, entry, ring, clock.due, TERMS)
    assert isinstance(outcome, Updated)
    seen = store.view_of(CASE, store.without_outbox(outcome.entry))
    assert seen is not None
    assert [(one.clock, one.due, one.breached) for one in seen.due] == [("forward", clock.due, True)]
    assert seen.state == "received"


def test_effects_go_where_their_readers_look_for_them() -> None:
    records = outbox.records(CASE, _taken(None, _arrival(intake_record(COMPLAINT))), PARTITIONS, now=NOW)
    places = {(record.topic, record.partition) for record in records}
    assert (topics.REQUESTS, partition_of("+8613800138000", PARTITIONS)) in places, "with its subscriber"
    assert records[-1].topic == topics.CASES, "the picture comes last"
    assert len({record.effect for record in records}) == len(records)


def test_what_one_case_tells_another_is_read_as_what_it_was() -> None:
    finding = Finding("W-1", NOW, Party(sender="ORG-1"), "refusals", "early-warning")
    pure = Pure(CONFIG).take([finding_event(finding)])
    assert pure.states() == {"M-W-1": ("telling", 1)}
    assert {out.topic for out in pure.effects.values()} == {topics.CASE_EVENTS, topics.HOLDS, topics.NOTICES}


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=6))
def test_repeats_in_any_order_leave_the_state_of_one_run(order: list[int], repeats: list[int]) -> None:
    """Whatever a crash makes come again, once each step is taken it changes nothing."""
    words = [
        intake_record(COMPLAINT),
        case_event(CASE, Forwarded("carrier"), name="forwarded"),
        case_event(CASE, Forwarded("carrier"), name="forwarded again"),
        intake_record(Complaint("one", NOW, text="more")),
    ]
    entry: Entry | None = None
    for place in range(4):
        outcome = store.apply(CASE, entry, _arrival(words[place], place), NOW, TERMS)
        entry = store.without_outbox(outcome.entry) if isinstance(outcome, Updated) else entry
    assert entry is not None
    before = encode(entry)
    for place in (*order, *repeats):
        outcome = store.apply(CASE, entry, _arrival(words[place], place), NOW, TERMS)
        assert not isinstance(outcome, Updated)
    assert encode(entry) == before


def test_a_refusal_is_asked_of_the_registrar_under_the_key_of_its_effect() -> None:
    pure = Pure(CONFIG).take([intake_record(COMPLAINT)])
    (out,) = (out for out in pure.effects.values() if out.topic == topics.REQUESTS)
    asked = decode_request(out.value)
    assert (asked.id.encode(), asked.id) == (out.key, f"E-{out.effect}"), "so that a repeat is known"
    refusal = Expression("+8613800138000", "sms", "refuse", NOW, "complaint", sender="ORG-1", evidence=CASE)
    assert asked.records == (refusal,)


def test_a_delivery_that_nothing_hangs_on_is_no_dead_letter() -> None:
    """Such as one that comes twice, or of the notice that a case has ended."""
    known = Pure(CONFIG).take([intake_record(COMPLAINT)]).entries[CASE]
    for entry in (None, known):
        arrival = _arrival(intake_record(Delivery("N-1", CASE, NOW, "delivered", 1, "webhook")), offset=1)
        outcome = store.apply(CASE, entry, arrival, NOW, TERMS)
        assert isinstance(outcome, Rejected)
        assert outcome.stale
