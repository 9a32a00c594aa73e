"""The complaint procedure (Articles 29 to 31): 3, 15 and 3 working days, over the National Day of 2026."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.cases import store
from stream.enforce.procedures import prohibited
from stream.enforce.procedures.clocks import Clock, ClockFired
from stream.enforce.procedures.complaint import (
    PROCEDURE,
    ActedUpon,
    Answered,
    Complained,
    ComplaintCase,
    ComplaintEvent,
    ComplaintState,
    ComplaintWithdrawn,
    Forwarded,
    Reported,
    Verified,
    missing,
    supplemented,
)
from stream.enforce.procedures.complaint_verified import refusal_of
from stream.enforce.procedures.effects import (
    Alert,
    ClearClock,
    Effect,
    KeepRecord,
    OpenCase,
    RaiseFinding,
    SendNotice,
    SendReport,
    SetClock,
    WriteExpression,
)
from stream.enforce.procedures.engine import TELL_OFFICE, Stepped, advance
from stream.enforce.procedures.ids import prohibited_case
from stream.enforce.procedures.messages import Disputed
from stream.enforce.procedures.telling import Delivered
from stream.model.cases import Discovered
from stream.model.control import Complaint, Party
from stream.model.registry import Expression
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import (
    CALENDAR,
    TERMS,
    act,
    acts,
    at,
    delivery,
    refused,
    served,
    shown,
    took,
    unaddressed,
)

NEW = ComplaintCase(case="C-1")
COMPLAINED = Complained(pools.COMPLAINT)


def delivered(case: ComplaintCase) -> Delivered:
    """The notice that it waits for."""
    return Delivered(delivery(case.awaited or ""))


def after(*events: tuple[str, ComplaintEvent]) -> Stepped[ComplaintCase]:
    """The last step of a history of (moment in Shanghai, event)."""
    done = Stepped(NEW, ())
    for when, event in events:
        done = took(advance(PROCEDURE, done.case, event, at(when), TERMS))
    return done


RECEIVED = ("2026-09-18 10:00", COMPLAINED)
FORWARDED = ("2026-09-21 09:00", Forwarded("ORG-9"))
CONFIRMED = ("2026-09-22 09:00", Verified("confirmed", "it was so"))
ACTED = ("2026-09-23 09:00", ActedUpon("the list was cleaned"))
REPORTED = ("2026-09-30 09:00", Reported("found and cleaned"))
ARRIVED = ("2026-09-30 09:00", Delivered(delivery("R-C-1-5")))


def clock(case: ComplaintCase) -> Clock:
    (only,) = (one for one in case.clocks if one.clock != TELL_OFFICE)
    return only


@pytest.mark.parametrize(
    ("history", "name", "due", "warns"),
    [
        ([RECEIVED], "forward", "2026-09-23 00:00", "2026-09-21 00:00"),
        ([RECEIVED, FORWARDED], "report", "2026-10-20 00:00", "2026-10-14 00:00"),
        ([RECEIVED, FORWARDED, CONFIRMED, ACTED, REPORTED, ARRIVED], "answer", "2026-10-11 00:00", "2026-10-09 00:00"),
    ],
    ids=["3 working days to forward", "15 to verify, act and report", "3 more to answer"],
)
def test_each_duty_has_its_clock(history: list[tuple[str, ComplaintEvent]], name: str, due: str, warns: str) -> None:
    running = clock(after(*history).case)
    assert (running.clock, shown(running.due), shown(running.warn or 0), running.known) == (name, due, warns, True)


@given(st.integers(at("2026-01-01 00:00"), at("2027-12-31 00:00")))
def test_no_clock_is_due_before_the_calendar_says(now: int) -> None:
    case = took(advance(PROCEDURE, NEW, COMPLAINED, now, TERMS)).case
    due = CALENDAR.after(now, 3)
    assert (clock(case).due, clock(case).known) == (due.at, due.known)
    assert not isinstance(advance(PROCEDURE, case, ClockFired("forward", due.at), due.at - 1, TERMS), Stepped)


def test_a_missed_term_is_a_breach_and_the_duty_is_still_owed() -> None:
    case = after(RECEIVED).case
    warned, effects = took(
        advance(PROCEDURE, case, ClockFired("forward", clock(case).due, "warning"), at("2026-09-22 00:00"), TERMS)
    )
    assert act(effects, Alert) == Alert("warning", "forward")
    late, effects = took(
        advance(PROCEDURE, warned, ClockFired("forward", clock(case).due), at("2026-09-23 00:00"), TERMS)
    )
    assert act(effects, Alert) == Alert("breach", "forward")
    assert (late.state, late.breached) == (ComplaintState.RECEIVED, ("forward",))
    assert (
        took(advance(PROCEDURE, late, Forwarded("ORG-9"), at("2026-09-23 09:00"), TERMS)).case.state
        == ComplaintState.FORWARDED
    )


def test_an_incomplete_complaint_is_asked_for_what_is_missing_and_started_by_what_completes_it() -> None:
    bare = Complaint(complaint="C-1", time=at("2026-09-18 10:00"), channel="sms")
    case, effects = took(advance(PROCEDURE, NEW, Complained(bare), at("2026-09-18 10:00"), TERMS))
    assert case.state == ComplaintState.INCOMPLETE
    assert act(effects, SendNotice).notice.missing == ("subscriber", "from or sender", "at", "text or evidence")
    assert clock(case).clock == "tell", "it has time from when it was reached"
    reached = took(advance(PROCEDURE, case, delivered(case), at("2026-09-21 10:00"), TERMS)).case
    assert shown(clock(reached).due) == "2026-10-20 00:00"
    refused(advance(PROCEDURE, reached, delivered(case), at("2026-09-21 11:00"), TERMS))
    more = msgspec.structs.replace(pools.COMPLAINT, channel=None, time=at("2026-09-28 10:00"))
    case = took(advance(PROCEDURE, case, Complained(more), at("2026-09-28 10:00"), TERMS)).case
    assert case.state == ComplaintState.RECEIVED
    assert case.complaint == msgspec.structs.replace(pools.COMPLAINT, time=bare.time)
    assert shown(clock(case).due) == "2026-10-09 00:00"


def test_whoever_says_the_same_again_is_neither_asked_twice_nor_refused() -> None:
    bare = Complaint(complaint="C-1", time=0, channel="sms", actor="agent:5")
    later = Complained(msgspec.structs.replace(bare, time=7, actor="agent:6"))
    case = took(advance(PROCEDURE, NEW, Complained(bare), at("2026-09-18 10:00"), TERMS)).case
    again = took(advance(PROCEDURE, case, later, at("2026-09-19 10:00"), TERMS))
    assert (again.effects, again.case.complaint, again.case.clocks) == ((), case.complaint, case.clocks)
    case = after(RECEIVED, FORWARDED).case
    assert took(advance(PROCEDURE, case, COMPLAINED, at("2026-09-22 09:00"), TERMS)).effects == ()
    refused(
        advance(
            PROCEDURE,
            case,
            Complained(msgspec.structs.replace(pools.COMPLAINT, text="more")),
            at("2026-09-22 09:00"),
            TERMS,
        )
    )


def test_what_never_comes_lets_the_complaint_lapse_and_the_user_is_told() -> None:
    case = took(
        advance(PROCEDURE, NEW, Complained(Complaint(complaint="C-1", time=0)), at("2026-09-18 10:00"), TERMS)
    ).case
    late = took(advance(PROCEDURE, case, ClockFired("tell", clock(case).due), clock(case).due, TERMS)).case
    assert (late.state, late.breached, late.clocks) == (ComplaintState.INCOMPLETE, ("tell",), ()), "nobody was asked"
    case = took(advance(PROCEDURE, late, served(late.awaited or ""), at("2026-09-30 10:00"), TERMS)).case
    lapsed, effects = took(advance(PROCEDURE, case, ClockFired("supplement", clock(case).due), clock(case).due, TERMS))
    assert lapsed.state == ComplaintState.LAPSED
    assert act(effects, SendNotice).notice.subject == "answer"


def test_a_verified_complaint_is_a_finding_and_the_users_refusal() -> None:
    _, effects = after(RECEIVED, FORWARDED, CONFIRMED)
    finding = act(effects, RaiseFinding).finding
    assert (finding.party, finding.grounds, finding.channel) == (Party(sender="ORG-9"), "complaint", "sms")
    assert act(effects, WriteExpression).expression == Expression(
        subscriber=pools.SUBSCRIBER,
        channel="sms",
        will="refuse",
        time=pools.COMPLAINT.time,
        source="complaint",
        sender="ORG-9",
        evidence="C-1",
    )


def test_a_verified_complaint_is_no_refusal_over_a_newer_consent_unless_the_user_says_so() -> None:
    since = at("2026-09-21 12:00")
    found = Verified("confirmed", "it was so", consented=since)
    _, effects = after(RECEIVED, FORWARDED, ("2026-09-22 09:00", found))
    assert act(effects, RaiseFinding).finding.party == Party(sender="ORG-9")
    assert not acts(effects, WriteExpression)
    anyway = Verified("confirmed", "it was so", refuse="anyway", consented=since)
    _, effects = after(RECEIVED, FORWARDED, ("2026-09-22 09:00", anyway))
    refusal = act(effects, WriteExpression).expression
    assert (refusal.will, refusal.time) == ("refuse", at("2026-09-22 09:00")), "it is said now"


def test_the_refusal_that_a_verification_leads_to_is_known_before_it() -> None:
    case, event = after(RECEIVED, FORWARDED).case, CONFIRMED[1]
    assert isinstance(event, Verified)
    assert refusal_of(case, event) == act(after(RECEIVED, FORWARDED, CONFIRMED).effects, WriteExpression).expression
    assert refusal_of(case, Verified("unconfirmed", "no trace")) is None
    assert refusal_of(case, Verified("confirmed", "x", Party(number="+8613900139000"))) is None


def test_a_refusal_that_the_subscriber_asks_for_waits_for_nobody() -> None:
    asked = Complained(msgspec.structs.replace(pools.COMPLAINT, refusal=True))
    assert act(after(("2026-09-18 10:00", asked)).effects, WriteExpression).expression.will == "refuse"
    assert not acts(after(RECEIVED).effects, WriteExpression)


def test_verification_may_name_another_sender_and_a_number_that_nobody_owns_can_not_be_refused() -> None:
    other = Verified("confirmed", "it was another", Party(sender="ORG-1"))
    _, effects = after(RECEIVED, FORWARDED, ("2026-09-22 09:00", other))
    assert act(effects, RaiseFinding).finding.party == Party(sender="ORG-1")
    assert act(effects, WriteExpression).expression.sender == "ORG-1"
    nobody = Verified("confirmed", "a private number", Party(number="+8613900139000"))
    _, effects = after(RECEIVED, FORWARDED, ("2026-09-22 09:00", nobody))
    assert act(effects, RaiseFinding).finding.party == Party(number="+8613900139000")
    assert not acts(effects, WriteExpression)


def test_an_unconfirmed_complaint_holds_nothing_against_the_sender_and_is_reported_and_answered() -> None:
    unconfirmed = ("2026-09-22 09:00", Verified("unconfirmed", "no trace of it"))
    case, effects = after(RECEIVED, FORWARDED, unconfirmed)
    assert {type(effect.act) for effect in effects} == {ClearClock}, "the company evidently has the complaint"
    reported = took(advance(PROCEDURE, case, Reported("no trace of it"), at("2026-09-23 09:00"), TERMS))
    assert act(reported.effects, SendReport).report.to == "complaint-centre"
    answered = took(advance(PROCEDURE, reported.case, Answered("no trace of it"), at("2026-09-24 09:00"), TERMS))
    assert act(answered.effects, SendNotice).notice.to == f"subscriber|{pools.SUBSCRIBER}"
    assert answered.case.state == ComplaintState.ANSWERING, "nobody is answered who was not reached"


OWNED = msgspec.structs.replace(pools.COMPLAINT, from_="1069099901", sender="ORG-9", owner="ORG-7", refusal=True)


def test_a_complaint_about_a_number_is_one_about_its_owner_whatever_the_user_calls_the_sender() -> None:
    received = after(("2026-09-18 10:00", Complained(OWNED)))
    assert act(received.effects, WriteExpression).expression.sender == "ORG-7"
    assert store.party_of(received.case) == Party(sender="ORG-7")
    # Numbers move: what the registry says when it is verified counts, and the ports of one owner are one party.
    for owner in ("ORG-7", "ORG-8"):
        verified = Verified("confirmed", "it was so", owner=owner)
        case, effects = after(("2026-09-18 10:00", Complained(OWNED)), FORWARDED, ("2026-09-22 09:00", verified))
        assert act(effects, RaiseFinding).finding.party == case.party == Party(sender=owner)
        assert act(effects, WriteExpression).expression.sender == owner


def test_an_impersonated_owner_is_held_nothing_against_and_the_route_is_to_be_found() -> None:
    history = (("2026-09-18 10:00", Complained(OWNED)), FORWARDED)
    spoofed = Verified("confirmed", "sent by another gateway", spoofed=True, owner="ORG-7")
    case, effects = after(*history, ("2026-09-22 09:00", spoofed))
    assert (case.state, case.confirmed, case.party) == (ComplaintState.CONFIRMED, True, None)
    assert store.party_of(case) is None
    assert act(effects, SendReport).report.basis == "number-use"
    assert act(effects, Alert) == Alert("decision", "spoofed-route")
    assert not acts(effects, RaiseFinding)
    assert not acts(effects, WriteExpression), "they did not send it"
    anyway = msgspec.structs.replace(spoofed, refuse="anyway")
    written = act(after(*history, ("2026-09-22 09:00", anyway)).effects, WriteExpression).expression
    assert (written.sender, written.time) == ("ORG-7", at("2026-09-22 09:00"))


def test_a_complaint_about_prohibited_content_that_is_confirmed_opens_the_case_of_article_32() -> None:
    seen = msgspec.structs.replace(pools.COMPLAINT, about="prohibited-content", evidence=("photo",))
    case, effects = after(("2026-09-18 10:00", Complained(seen)), FORWARDED, CONFIRMED)
    opened = act(effects, OpenCase)
    assert isinstance(opened.event, Discovered)
    assert opened.case == prohibited_case(opened.event.finding)
    assert opened.event.finding.evidence == (seen.complaint,), "the party is shown that, and no more"
    assert act(effects, KeepRecord).evidence == (seen.complaint, "photo")
    assert act(effects, WriteExpression).expression.sender == "ORG-9"
    assert not acts(effects, RaiseFinding), "that case raises it"
    start = prohibited.ProhibitedCase(case=opened.case)
    found = took(advance(prohibited.PROCEDURE, start, opened.event, at("2026-09-22 09:00"), TERMS))
    assert act(found.effects, RaiseFinding).finding.party == case.party == Party(sender="ORG-9")


def test_another_number_in_a_supplement_is_another_owners() -> None:
    moved = supplemented(OWNED, Complaint(complaint="C-1", time=1, from_="1069000001"))
    assert (moved.from_, moved.owner) == ("1069000001", None)
    assert supplemented(OWNED, Complaint(complaint="C-1", time=1, text="more")).owner == "ORG-7"


def test_the_clock_of_an_answer_runs_on_until_the_user_was_reached() -> None:
    case = after(RECEIVED, FORWARDED, CONFIRMED, ACTED, REPORTED, ("2026-10-08 09:00", Answered("done"))).case
    answer = next(one for one in case.clocks if one.clock == "answer")
    unsent, effects = took(advance(PROCEDURE, case, unaddressed(case.awaited or ""), at("2026-10-08 10:00"), TERMS))
    assert act(effects, Alert).about == "serve-notice"
    late = took(advance(PROCEDURE, unsent, ClockFired("answer", answer.due), answer.due, TERMS)).case
    assert (late.state, late.breached) == (ComplaintState.ANSWERING, ("answer",))
    refused(advance(PROCEDURE, late, served(late.awaited or ""), answer.due + 1, TERMS))  # before there was an answer
    for told in (delivered(late), served(late.awaited or "", at=answer.due)):
        done = took(advance(PROCEDURE, late, told, answer.due + 1, TERMS)).case
        assert (done.state, done.clocks) == (ComplaintState.ANSWERED, ())


HISTORY = (
    *(RECEIVED, FORWARDED, CONFIRMED, ACTED, REPORTED, ("2026-10-08 09:00", Answered("done"))),
    ("2026-10-08 10:00", Delivered(delivery("N-C-1-6"))),
)


def opened_by(effects: tuple[Effect, ...]) -> Disputed:
    event = act(effects, OpenCase).event
    assert isinstance(event, Disputed)
    return event


@pytest.mark.parametrize("steps", range(1, len(HISTORY) + 1))
def test_a_user_may_take_a_dispute_whatever_step_the_complaint_is_at_and_is_owed_as_much(steps: int) -> None:
    before = after(*HISTORY[:steps]).case
    case, effects = took(advance(PROCEDURE, before, Disputed(pools.DISPUTE), at("2026-10-09 09:00"), TERMS))
    assert act(effects, OpenCase).case == case.dispute == "D-1"
    opened = opened_by(effects)
    answered = steps == len(HISTORY)
    assert (opened.early, opened.dispute.subscriber) == (not answered, pools.SUBSCRIBER)
    assert case.clocks == before.clocks
    assert case.state == (ComplaintState.DISPUTED if answered else before.state)
    refused(advance(PROCEDURE, case, Disputed(pools.DISPUTE), at("2026-10-09 10:00"), TERMS))
    again = msgspec.structs.replace(pools.DISPUTE, dispute="2")
    assert took(advance(PROCEDURE, case, Disputed(again), at("2026-10-12 10:00"), TERMS)).case.dispute == "D-2"


def test_from_the_first_missed_clock_on_a_dispute_is_not_early() -> None:
    due = clock(after(RECEIVED).case).due
    late = took(advance(PROCEDURE, after(RECEIVED).case, ClockFired("forward", due), due, TERMS)).case
    assert not opened_by(took(advance(PROCEDURE, late, Disputed(pools.DISPUTE), due + 1, TERMS)).effects).early


def test_what_was_withdrawn_can_be_disputed_and_stays_withdrawn() -> None:
    gone = after(RECEIVED, ("2026-09-21 09:00", ComplaintWithdrawn())).case
    case, effects = took(advance(PROCEDURE, gone, Disputed(pools.DISPUTE), at("2026-09-22 09:00"), TERMS))
    assert (case.state, opened_by(effects).early) == (ComplaintState.WITHDRAWN, True)


def test_nothing_is_reported_before_it_was_verified_and_acted_upon() -> None:
    for history in ([RECEIVED], [RECEIVED, FORWARDED], [RECEIVED, FORWARDED, CONFIRMED]):
        refused(advance(PROCEDURE, after(*history).case, Reported("done"), at("2026-09-24 09:00"), TERMS))


def test_a_complete_complaint_lacks_nothing() -> None:
    assert missing(pools.COMPLAINT) == ()
    assert missing(msgspec.structs.replace(pools.COMPLAINT, sender=None, from_="1069012345")) == ()


def test_a_step_sets_at_most_one_clock_per_duty() -> None:
    for history in ([RECEIVED], [RECEIVED, FORWARDED]):
        assert sum(one.clock.clock != TELL_OFFICE for one in acts(after(*history).effects, SetClock)) == 1
