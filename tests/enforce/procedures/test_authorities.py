"""Prohibited content (Articles 15, 32), the regulator's orders (37), the bad-actor list (36), appeals and disputes."""

import msgspec
import pytest

from stream.enforce.cases import decoding
from stream.enforce.procedures import appeal, dispute, forms, listing, measure, prohibited, regulator
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import (
    Alert,
    KeepRecord,
    NotifyCase,
    NotifyEscalation,
    OpenCase,
    RaiseFinding,
    SendNotice,
    SendReport,
    WriteListing,
    WriteOrder,
)
from stream.enforce.procedures.engine import Stepped, advance
from stream.enforce.procedures.escalation import PartyRecord, route
from stream.enforce.procedures.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    Disputed,
    FindingRouted,
    Lift,
    MeasureChanged,
    Seconded,
    Side,
)
from stream.enforce.procedures.telling import Delivered
from stream.model.cases import BlockedContent
from stream.model.codec import Undecodable
from stream.model.control import Appeal, Punishment
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    PARTY,
    TERMS,
    act,
    acts,
    delivery,
    finding,
    refused,
    served,
    took,
    unaddressed,
)

PROHIBITED = msgspec.structs.replace(finding(basis="prohibited-content", grounds="prohibited-content"), actor="desk:17")


def followed(raised: RaiseFinding) -> Stepped[measure.MeasureCase]:
    """The measure that a raised finding leads to, by way of an empty record."""
    routed = route(PartyRecord(), raised.finding, NOW, TERMS, origin=raised.origin, direction=raised.direction)
    opened = act(routed.effects, OpenCase)
    assert isinstance(opened.event, FindingRouted)
    return took(advance(measure.PROCEDURE, measure.MeasureCase(case=opened.case), opened.event, NOW, TERMS))


def test_prohibited_content_is_stopped_kept_and_reported_at_once() -> None:
    case, effects = took(
        advance(
            prohibited.PROCEDURE, prohibited.ProhibitedCase(case="X-1"), prohibited.Discovered(PROHIBITED), NOW, TERMS
        )
    )
    assert [report.report.to for report in acts(effects, SendReport)] == ["state-organs", "regulator"]
    assert len({report.report.report for report in acts(effects, SendReport)}) == 2
    assert act(effects, KeepRecord).basis == "prohibited-content"
    stopped, orders = followed(act(effects, RaiseFinding))
    assert act(orders, WriteOrder).order.measure == "suspend"
    assert act(orders, NotifyCase).case == case.case
    assert stopped.state == measure.MeasureState.IN_FORCE


def test_a_stop_for_prohibited_content_stands_on_two_persons_word_and_on_evidence() -> None:
    new = prohibited.ProhibitedCase(case="X-1")
    unshown = prohibited.Discovered(msgspec.structs.replace(PROHIBITED, evidence=()))
    refused(advance(prohibited.PROCEDURE, new, unshown, NOW, TERMS))
    case, effects = took(advance(prohibited.PROCEDURE, new, prohibited.Discovered(PROHIBITED), NOW, TERMS))
    stopped = followed(act(effects, RaiseFinding)).case
    own = refused(advance(prohibited.PROCEDURE, case, Seconded(actor="desk:17"), NOW + MINUTE, TERMS))
    assert "another person than whoever found it" in own.reason
    second = Seconded(actor="desk:18")
    confirmed = took(advance(prohibited.PROCEDURE, case, second, NOW + HOUR - 1, TERMS)).case
    assert (confirmed.state, {one.clock for one in confirmed.clocks}) == (
        "under-investigation",
        {"investigate", "tell-office"},
    )
    late, effects = took(advance(prohibited.PROCEDURE, case, ClockFired("second", NOW + HOUR), NOW + HOUR, TERMS))
    assert (late.state, late.breached, late.clocks) == ("unconfirmed", ("second",), ())
    assert [report.report.to for report in acts(effects, SendReport)] == ["regulator", "state-organs"]
    lift = act(effects, NotifyCase)
    assert lift.case == stopped.case
    assert isinstance(lift.event, Lift)
    ended, effects = took(advance(measure.PROCEDURE, stopped, lift.event, NOW + HOUR, TERMS))
    assert ended.state == "lifted"
    assert act(effects, NotifyEscalation).change.change == "annulled", "it counts for nothing"


def test_what_the_filter_blocked_is_kept_and_reported_and_suspends_nobody_before_a_person_has_looked() -> None:
    def on(
        case: prohibited.ProhibitedCase, event: prohibited.ProhibitedEvent, now: int = NOW
    ) -> Stepped[prohibited.ProhibitedCase]:
        return took(advance(prohibited.PROCEDURE, case, event, now, TERMS))

    by_machine = msgspec.structs.replace(PROHIBITED, actor=None)
    found = prohibited.Discovered(by_machine, BlockedContent(3, 10, 12, 2))
    case, effects = on(prohibited.ProhibitedCase(case="X-1"), found)
    assert (case.state, case.blocked_count) == ("flagged", 2)
    assert [report.report.to for report in acts(effects, SendReport)] == ["state-organs", "regulator"]
    assert act(effects, KeepRecord).evidence == PROHIBITED.evidence
    assert act(effects, Alert) == Alert("decision", "second")
    assert acts(effects, RaiseFinding) == []

    more = msgspec.structs.replace(by_machine, evidence=("W-1", "W-2"))
    case, effects = on(case, prohibited.Discovered(more, BlockedContent(3, 13, 20, 5)))
    assert (case.state, case.blocked_count, act(effects, KeepRecord).evidence) == ("flagged", 7, ("W-2",))
    other = msgspec.structs.replace(by_machine, finding="F-2")
    refused(advance(prohibited.PROCEDURE, case, prohibited.Discovered(other, BlockedContent(3, 21, 21, 1)), NOW, TERMS))

    late, _ = on(case, ClockFired("second", NOW + HOUR), NOW + HOUR)
    assert (late.state, late.breached) == ("flagged", ("second",)), "nothing was done to anybody, and looking is owed"
    cleared, effects = on(late, prohibited.Investigated("cleared", "a namesake"), NOW + DAY)
    assert (cleared.state, acts(effects, NotifyCase)) == ("reporting", []), "there is no measure to annul"
    again, effects = on(cleared, prohibited.Discovered(more, BlockedContent(4, 1, 1, 1)), NOW + DAY)
    assert (again.state, again.blocked_count, effects) == ("reporting", 8, ())

    suspended, effects = on(case, Seconded(actor="desk:17"), NOW + MINUTE)
    raised = act(effects, RaiseFinding)
    assert (suspended.state, raised.finding.actor) == ("found", "desk:17")
    assert followed(raised).case.state == measure.MeasureState.IN_FORCE
    refused(advance(prohibited.PROCEDURE, suspended, Seconded(actor="desk:17"), NOW + 2 * MINUTE, TERMS))
    assert on(suspended, Seconded(actor="desk:18"), NOW + 2 * MINUTE).case.state == "under-investigation"


def test_the_outcome_counts_as_reported_once_every_report_has_reached_its_office() -> None:
    def on(
        case: prohibited.ProhibitedCase, event: prohibited.ProhibitedEvent, **of: str
    ) -> Stepped[prohibited.ProhibitedCase]:
        return took(advance(prohibited.PROCEDURE, case, event, NOW + DAY, TERMS, **of))

    found = took(
        advance(
            prohibited.PROCEDURE, prohibited.ProhibitedCase(case="X-1"), prohibited.Discovered(PROHIBITED), NOW, TERMS
        )
    ).case
    assert [(one.to, one.told) for one in found.reports] == [("state-organs", None), ("regulator", None)]
    organs, regulators = (one.report for one in found.reports)
    asked, effects = on(found, unaddressed(organs))
    assert act(effects, Alert) == Alert("decision", "serve-report")
    assert on(asked, unaddressed(organs, attempt=2)).effects == (), "people are asked once"
    late, effects = on(asked, ClockFired("tell-office", NOW + DAY))
    assert (act(effects, Alert), late.breached) == (Alert("breach", "tell-office"), ("tell-office",))

    told, _ = on(late, Delivered(delivery(regulators)))
    decided, _ = on(told, prohibited.Investigated("confirmed", "as found"))
    (_, _, outcome) = decided.reports
    one_left, _ = on(decided, Delivered(delivery(outcome.report)))
    assert (one_left.state, {one.clock for one in one_left.clocks}) == ("reporting", {"investigate", "tell-office"})
    refused(advance(prohibited.PROCEDURE, one_left, Delivered(delivery("R-none")), NOW + DAY, TERMS))
    by_hand = served(organs, at=NOW + HOUR)
    proposed = on(one_left, by_hand, person="desk:17").case
    assert proposed.state == "reporting", "one person's word is none"
    ended = on(proposed, by_hand, person="desk:18").case
    assert (ended.state, ended.clocks) == ("confirmed", ())
    assert ended.reports[0].how == "by courier, to its legal department"
    assert all(one.told is not None for one in ended.reports)


def test_a_body_that_acts_on_a_report_has_it() -> None:
    submitted = took(
        advance(dispute.PROCEDURE, dispute.DisputeCase(case="D-1"), Disputed(pools.DISPUTE), NOW, TERMS)
    ).case
    accepted = took(advance(dispute.PROCEDURE, submitted, dispute.DisputeAccepted(), NOW + HOUR, TERMS)).case
    assert [(one.to, one.told, one.how) for one in accepted.reports] == [
        ("appeals-body", NOW + HOUR, "it has acted on it"),
        ("company", None, None),
    ]
    assert "tell-office" in {one.clock for one in accepted.clocks}


def test_the_outcome_is_reported_and_a_party_that_is_cleared_is_free() -> None:
    case, effects = took(
        advance(
            prohibited.PROCEDURE, prohibited.ProhibitedCase(case="X-1"), prohibited.Discovered(PROHIBITED), NOW, TERMS
        )
    )
    stopped = followed(act(effects, RaiseFinding)).case
    cleared = prohibited.Investigated("cleared", "a namesake")
    _, effects = took(advance(prohibited.PROCEDURE, case, cleared, NOW + DAY, TERMS))
    assert [report.report.to for report in acts(effects, SendReport)] == ["regulator", "state-organs"]
    told = act(effects, NotifyCase)
    assert told.case == stopped.case
    assert isinstance(told.event, Lift)
    assert (
        took(advance(measure.PROCEDURE, stopped, told.event, NOW + DAY, TERMS)).case.state
        == measure.MeasureState.LIFTED
    )
    confirmed = prohibited.Investigated("confirmed", "as found")
    _, effects = took(advance(prohibited.PROCEDURE, case, confirmed, NOW + DAY, TERMS))
    assert act(effects, SendReport).report.to == "regulator"
    assert not acts(effects, NotifyCase)


@pytest.mark.parametrize(("at_once", "state"), [(True, "in-force"), (False, "telling")])
def test_an_order_of_the_regulator_holds_at_once_only_if_it_says_so(at_once: bool, state: str) -> None:  # noqa: FBT001
    directed = regulator.Directed(msgspec.structs.replace(pools.DIRECTION, at_once=at_once))
    _, effects = took(advance(regulator.PROCEDURE, regulator.RegulatorCase(case="G-1"), directed, NOW, TERMS))
    assert followed(act(effects, RaiseFinding)).case.state == state


def test_an_order_without_its_document_is_not_carried_out() -> None:
    directed = regulator.Directed(msgspec.structs.replace(pools.DIRECTION, document=None))
    case, effects = took(advance(regulator.PROCEDURE, regulator.RegulatorCase(case="G-1"), directed, NOW, TERMS))
    assert case.state == regulator.DirectionState.INCOMPLETE
    assert [effect.act for effect in effects] == [Alert("decision", "missing: document")]


def test_the_regulator_hears_when_its_measure_holds_and_may_take_it_back() -> None:
    directed = regulator.Directed(msgspec.structs.replace(pools.DIRECTION, at_once=True))
    case, effects = took(advance(regulator.PROCEDURE, regulator.RegulatorCase(case="G-1"), directed, NOW, TERMS))
    holds = followed(act(effects, RaiseFinding))
    told = act(holds.effects, NotifyCase)
    assert told.case == "G-1"
    assert isinstance(told.event, MeasureChanged)
    case, effects = took(advance(regulator.PROCEDURE, case, told.event, NOW + MINUTE, TERMS))
    assert act(effects, SendReport).report.about == "the measure is in force"
    case, effects = took(advance(regulator.PROCEDURE, case, regulator.Revoked("an error"), NOW + HOUR, TERMS))
    assert act(effects, NotifyCase) == NotifyCase(holds.case.case, Lift("an error", annul=True))


PUNISHED = listing.Punished(Punishment(punishment="B-1", time=NOW, party=PARTY, authority="MIIT", document="2026-78"))
OBJECTION = Appealed(msgspec.structs.replace(pools.APPEAL, against="L-1"))


def test_nobody_is_listed_before_being_told_and_heard() -> None:
    case, effects = took(advance(listing.PROCEDURE, listing.ListingCase(case="L-1"), PUNISHED, NOW, TERMS))
    notice = act(effects, SendNotice).notice
    assert (case.state, notice.subject) == (listing.ListingState.TELLING, "listing")
    late = took(advance(listing.PROCEDURE, case, ClockFired("tell", case.clocks[0].due), NOW + 30 * DAY, TERMS)).case
    assert late.state == listing.ListingState.TELLING, "its time to object has not begun"
    case = took(advance(listing.PROCEDURE, late, Delivered(delivery(notice.notice)), NOW + 31 * DAY, TERMS)).case
    (clock,) = case.clocks
    contested = took(advance(listing.PROCEDURE, case, OBJECTION, NOW + 32 * DAY, TERMS)).case
    contested = took(advance(listing.PROCEDURE, contested, ClockFired("object", clock.due), clock.due, TERMS)).case
    assert contested.state == listing.ListingState.CONTESTED
    dropped, effects = took(
        advance(listing.PROCEDURE, contested, AppealDecided("A-1", "party", "an error"), clock.due + DAY, TERMS)
    )
    assert dropped.state == listing.ListingState.DROPPED
    assert not acts(effects, WriteListing)


def proposed() -> listing.ListingCase:
    """A listing whose party was reached."""
    case = took(advance(listing.PROCEDURE, listing.ListingCase(case="L-1"), PUNISHED, NOW, TERMS)).case
    return took(advance(listing.PROCEDURE, case, Delivered(delivery(case.awaited or "")), NOW, TERMS)).case


def test_an_objection_that_was_withdrawn_may_be_made_anew_in_its_time() -> None:
    contested = took(advance(listing.PROCEDURE, proposed(), OBJECTION, NOW + HOUR, TERMS)).case
    again = took(advance(listing.PROCEDURE, contested, AppealWithdrawn("A-1"), NOW + DAY, TERMS)).case
    assert again.state == listing.ListingState.PROPOSED
    anew = Appealed(msgspec.structs.replace(OBJECTION.appeal, appeal="2"))
    contested = took(advance(listing.PROCEDURE, again, anew, NOW + 2 * DAY, TERMS)).case
    (clock,) = contested.clocks
    late = took(advance(listing.PROCEDURE, contested, ClockFired("object", clock.due), clock.due, TERMS)).case
    listed = took(advance(listing.PROCEDURE, late, AppealWithdrawn("A-2"), clock.due + DAY, TERMS)).case
    assert listed.state == listing.ListingState.LISTED


def test_an_entry_has_an_end_and_may_end_early() -> None:
    case = proposed()
    due = case.clocks[0].due
    listed, effects = took(advance(listing.PROCEDURE, case, ClockFired("object", due), due, TERMS))
    entry = act(effects, WriteListing).listing
    assert (entry.from_, entry.until) == (due, listed.clocks[0].due)
    _, effects = took(advance(listing.PROCEDURE, listed, Lift("an error"), due + DAY, TERMS))
    assert act(effects, WriteListing).listing == msgspec.structs.replace(entry, until=due + DAY)


@pytest.mark.parametrize(("winner", "state"), [("party", "decided-for-party"), ("measure", "decided-for-measure")])
def test_an_appeal_is_decided_for_one_side_and_both_hear_of_it(winner: Side, state: str) -> None:
    case = took(advance(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), Appealed(pools.APPEAL), NOW, TERMS)).case
    decided, effects = took(advance(appeal.PROCEDURE, case, appeal.Decided(winner, "as shown"), NOW + DAY, TERMS))
    assert decided.state == state
    assert act(effects, NotifyCase) == NotifyCase("M-1", AppealDecided("A-1", winner, "as shown"))
    assert act(effects, SendNotice).notice.reason == "as shown"


def test_an_appeal_without_grounds_is_asked_for_them_and_lapses_without() -> None:
    bare = Appealed(msgspec.structs.replace(pools.APPEAL, grounds=None))
    case, effects = took(advance(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), bare, NOW, TERMS))
    assert act(effects, SendNotice).notice.missing == ("grounds",)
    case = took(advance(appeal.PROCEDURE, case, Delivered(delivery(case.awaited or "")), NOW + DAY, TERMS)).case
    (clock,) = case.clocks
    due = clock.due
    lapsed, effects = took(advance(appeal.PROCEDURE, case, ClockFired("supplement", due), due, TERMS))
    assert lapsed.state == appeal.AppealState.WITHDRAWN
    assert act(effects, NotifyCase).event == AppealWithdrawn("A-1")


@pytest.mark.parametrize(
    ("ill", "asked"),
    [({"evidence": "E-1"}, "evidence: not a list, each a text"), ({"grounds": 7}, "grounds: not a text")],
)
def test_an_appeal_that_is_ill_formed_is_asked_for_what_it_must_be(ill: dict[str, object], asked: str) -> None:
    value = msgspec.json.encode({**msgspec.to_builtins(pools.APPEAL), **ill})
    appealed = Appealed(*forms.read(Appeal, value, made=decoding.MADE, reading=forms.FormContext(TERMS.numbering, NOW)))
    case, effects = took(advance(appeal.PROCEDURE, appeal.AppealCase(case="A-1"), appealed, NOW, TERMS))
    assert act(effects, SendNotice).notice.missing == (asked,)
    case = took(advance(appeal.PROCEDURE, case, appeal.Supplemented("not us", ("E-1",)), NOW + HOUR, TERMS)).case
    assert case.state is appeal.AppealState.PENDING
    assert case.appeal is not None
    assert case.appeal.evidence == (*appealed.appeal.evidence, "E-1")


@pytest.mark.parametrize("ours", [{"against": 7}, {"party": "BANK"}, {"appeal": None}, {"time": "now"}])
def test_whom_an_appeal_is_of_and_against_what_is_never_guessed(ours: dict[str, object]) -> None:
    with pytest.raises(Undecodable):
        forms.read(
            Appeal,
            msgspec.json.encode({**msgspec.to_builtins(pools.APPEAL), **ours}),
            made=decoding.MADE,
            reading=forms.FormContext(TERMS.numbering, NOW),
        )


def test_a_company_that_does_not_answer_a_dispute_is_in_breach_and_cannot_hold_it_up() -> None:
    case = took(advance(dispute.PROCEDURE, dispute.DisputeCase(case="D-1"), Disputed(pools.DISPUTE), NOW, TERMS)).case
    case = took(advance(dispute.PROCEDURE, case, dispute.DisputeAccepted(), NOW + HOUR, TERMS)).case
    due = case.clocks[0].due
    heard = took(advance(dispute.PROCEDURE, case, ClockFired("company-answer", due), due, TERMS)).case
    assert (heard.state, heard.breached) == (dispute.DisputeState.HEARD, ("company-answer",))
    assert {clock.clock for clock in heard.clocks} == {"decide-dispute", "tell-office"}
    won, effects = took(
        advance(dispute.PROCEDURE, heard, dispute.DisputeDecided("user", "no answer"), due + DAY, TERMS)
    )
    assert won.state == dispute.DisputeState.DECIDED_FOR_USER
    assert act(effects, RaiseFinding).finding.grounds == "dispute"
    assert act(effects, SendNotice).notice.subject == "decision"


def test_a_dispute_without_a_complaint_is_recorded_and_its_user_told_what_will_be_asked_for() -> None:
    bare = msgspec.structs.replace(pools.DISPUTE, complaint=None, party=None, subscriber=pools.SUBSCRIBER)
    start = dispute.DisputeCase(case="D-1")
    case, effects = took(advance(dispute.PROCEDURE, start, Disputed(bare), NOW, TERMS))
    assert case.state == dispute.DisputeState.SUBMITTED
    told = act(effects, SendNotice).notice
    assert (told.to, told.missing) == (f"subscriber|{pools.SUBSCRIBER}", (dispute.WILL_ASK,))
    ripe = msgspec.structs.replace(pools.DISPUTE, subscriber=pools.SUBSCRIBER)
    assert not acts(took(advance(dispute.PROCEDURE, start, Disputed(ripe), NOW, TERMS)).effects, SendNotice)
    assert acts(took(advance(dispute.PROCEDURE, start, Disputed(ripe, early=True), NOW, TERMS)).effects, SendNotice)

    # Its outcome goes to the user; nobody is found to have sent what nobody knows the sender of.
    case = took(advance(dispute.PROCEDURE, case, dispute.DisputeAccepted(), NOW + HOUR, TERMS)).case
    case = took(advance(dispute.PROCEDURE, case, dispute.CompanyAnswered("none of ours"), NOW + HOUR, TERMS)).case
    won, effects = took(advance(dispute.PROCEDURE, case, dispute.DisputeDecided("user", "so"), NOW + DAY, TERMS))
    assert won.state == dispute.DisputeState.DECIDED_FOR_USER
    assert act(effects, SendNotice).notice.to == f"subscriber|{pools.SUBSCRIBER}"
    assert not acts(effects, RaiseFinding)
