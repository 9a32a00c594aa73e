"""What the filter blocked as prohibited content: whose it is, and how often its case is told of it."""

import msgspec

from stream.enforce.cases import store
from stream.enforce.cases.decoding import Arrival
from stream.enforce.procedures.ids import prohibited_case
from stream.enforce.procedures.prohibited import EVIDENCE_MAX, ProhibitedCase
from stream.model.cases import CaseEvent, Discovered
from stream.model.codec import decode_as, encode
from stream.model.control import Party
from stream.model.decision import Decision
from stream.model.events import Sms
from stream.model.times import day_of
from stream.policy.decide import Decider
from stream.policy.loading import load
from stream.registry.registry import Registry
from stream.warning.rules.blocked import NEEDLE, BlockedEvent, BlockedTallies, finding_id, party_of
from tests.enforce.procedures.world import TERMS, at
from tests.filter import cases
from tests.filter.harness import NOW as EVENT_NOW

NOW = at("2026-11-30 18:00")
BANK, NOBODY = Party(sender="ORG-BANK"), Party(number="+8613911112222")
NUMBERING = load(None).numbering


def registry() -> Registry:
    made = Registry()
    made.apply(cases.registry())
    return made


def decision(from_: str | None = cases.PORT, *, sender: str | None = "ORG-BANK", decided: int = NOW) -> Decision:
    return Decision(
        event="e-1",
        of="sms",
        time=decided,
        decided=decided,
        to=cases.WILLING,
        from_=from_,
        sender=sender,
        verdict="block",
        reason="prohibited_content",
        basis="prohibited-content",
        policy="cn-2020.1",
        epoch="k-1",
    )


def blocked(offset: int, *, decided: int = NOW) -> BlockedEvent:
    return BlockedEvent(decision(decided=decided), offset, f"decisions:3:{offset}")


def case_made_of(events: list[CaseEvent]) -> tuple[ProhibitedCase, list[str]]:
    """The one case that these events make, whatever comes twice, and what it keeps."""
    (case,) = {event.case for event in events}
    entry: store.Entry | None = None
    kept: list[str] = []
    for event in events:
        arrival = Arrival(case, event.procedure, decode_as(Discovered, bytes(event.event)), event.id, NOW)
        outcome = store.apply(case, entry, arrival, NOW, TERMS)
        assert not isinstance(outcome, store.Rejected), outcome.reason
        if isinstance(outcome, store.Updated):
            for effect in outcome.entry.outbox:
                kept += getattr(effect.act, "evidence", ())
            entry = store.without_outbox(outcome.entry)
    assert entry is not None
    return decode_as(ProhibitedCase, bytes(entry.body)), kept


def test_what_is_sought_stands_in_the_bytes_of_every_such_decision_and_of_no_other() -> None:
    decider = Decider(load(None), registry())
    decider.settle(stale=False, epoch="k-1")
    bearing = {
        cases.EXPECTED[str(one["id"])]
        for one in cases.EVENTS
        if one["kind"] == "sms" and NEEDLE in encode(decider.decide(msgspec.convert(one, Sms), EVENT_NOW))
    }
    assert bearing == {"prohibited_content"}


def test_it_is_the_owners_of_the_number_whatever_the_event_says_and_nobodys_without_one() -> None:
    known = registry()
    assert party_of(decision("+86 1069012345", sender="ORG-9"), known, NUMBERING) == BANK
    assert party_of(decision("13911112222", sender="ORG-BANK"), known, NUMBERING) == NOBODY
    assert party_of(decision(None, sender="ORG-BANK"), known, NUMBERING) is None


def test_a_party_and_day_of_shanghai_have_one_finding_and_its_case_is_the_control_planes() -> None:
    midnight = at("2026-12-01 00:00")
    assert day_of(midnight) == day_of(midnight - 1) + 1
    tallies = BlockedTallies(3)
    tallies.add([(BANK, blocked(1)), (BANK, blocked(2, decided=midnight)), (NOBODY, blocked(3))])
    events = tallies.due()
    assert len({event.case for event in events}) == 3
    finding = decode_as(Discovered, bytes(events[0].event)).finding
    assert finding.finding == finding_id(BANK, day_of(NOW))
    assert events[0].case == prohibited_case(finding)
    assert "139" not in "".join(event.case + event.id for event in events)


def test_the_first_are_told_as_evidence_and_of_the_rest_the_count_as_it_doubles() -> None:
    tallies, events = BlockedTallies(3), []
    for offset in range(10_000):
        tallies.add([(BANK, blocked(offset))])
        events += tallies.due()
    assert len(events) < EVIDENCE_MAX + 12
    assert tallies.due() == []
    events += tallies.due(all_of_it=True)
    case, kept = case_made_of(events)
    assert case.blocked_count == 10_000
    assert case.finding is not None
    assert list(case.finding.evidence) == kept[: len(case.finding.evidence)] == [f"decisions:3:{n}" for n in range(30)]


def test_whoever_begins_again_where_another_had_committed_makes_no_second_case_and_counts_nothing_twice() -> None:
    first, again, other = BlockedTallies(3), BlockedTallies(3), BlockedTallies(4)
    events = []
    for offset in range(20):
        first.add([(BANK, blocked(offset))])
        events += first.due()
    again.add((BANK, blocked(offset)) for offset in range(10, 40))  # the last commit was of 10
    events += again.due()
    other.add([(BANK, blocked(7))])
    events += [*other.due(), *events[:5]]
    case, _ = case_made_of(events)
    assert 21 <= case.blocked_count <= 41, "at least so many"
    assert case.finding is not None
    assert len(case.finding.evidence) == EVIDENCE_MAX
