"""Emergencies (Articles 25, 26): one person sends, nothing else holds it up, what is owed is told until it is done."""

import msgspec
import pytest

from stream.enforce.cases import case_history
from stream.enforce.procedures import fitness
from stream.enforce.procedures.campaign import (
    PROCEDURE,
    CampaignCase,
    CampaignEvent,
    CampaignState,
    Confirmed,
    Filed,
    Renewed,
    WithdrawCampaign,
)
from stream.enforce.procedures.campaign_emergency import owed
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import Alert, SendNotice, SendReport, WriteCampaign
from stream.enforce.procedures.engine import TELL_OFFICE, Stepped, advance
from stream.enforce.procedures.messages import Seconded
from stream.model.control import Filing
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import HOUR, MINUTE, NOW, TERMS, act, acts, refused, took

NEW = CampaignCase(case="P-1")
SENT = Filed(pools.EMERGENCY)
WHOLE = Filed(msgspec.structs.replace(pools.EMERGENCY, reason="a flood"))
SECONDED = Seconded(actor="desk:18")
CONFIRMED = Confirmed(actor="regulator:3")


def after(*events: CampaignEvent) -> Stepped[CampaignCase]:
    """The last step of these events, a minute apart."""
    done = Stepped(NEW, ())
    for count, event in enumerate(events):
        done = took(advance(PROCEDURE, done.case, event, NOW + count * MINUTE, TERMS))
    return done


def but(**changes: object) -> Filing:
    return msgspec.structs.replace(pools.EMERGENCY, **changes)


def due(case: CampaignCase, clock: str) -> Stepped[CampaignCase]:
    """The step of a clock that is due."""
    (at,) = [one.due for one in case.clocks if one.clock == clock]
    return took(advance(PROCEDURE, case, ClockFired(clock, at), at, TERMS))


def running(case: CampaignCase) -> set[str]:
    """The clocks of duties: reports that have not arrived have one of their own."""
    return {clock.clock for clock in case.clocks} - {TELL_OFFICE}


def test_one_person_sends_and_the_regulator_is_told_in_the_same_step() -> None:
    case, effects = took(advance(PROCEDURE, NEW, SENT, NOW, TERMS, person="desk:17"))
    written = act(effects, WriteCampaign).campaign
    assert (case.state, written.status, written.emergency) == (CampaignState.SENT_FIRST, "approved", True)
    assert act(effects, Alert) == Alert("decision", "emergency")
    report = act(effects, SendReport).report
    assert (report.to, report.about) == (
        "regulator",
        "an emergency campaign was sent first, and its filing is owed",
    )
    assert running(case) == {"window", "second", "confirm", "owed-filing"}
    assert owed(case) == ("filing", "second", "confirm")


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"incident": None}, "incident"),
        ({"text": None}, "text"),
        ({"until": NOW + 72 * HOUR + 1}, "until: 2026-09-21T02:00:00.001Z is more than 72 hours ahead"),
        ({"until": NOW + 87_600 * HOUR}, "until: 2036-"),
        ({"until": NOW}, "until: 2026-09-18T02:00:00Z is over, or not after `from`"),
        ({"from_": NOW + 3 * HOUR}, "until: 2026-09-18T04:00:00Z is over, or not after `from`"),
    ],
)
@pytest.mark.parametrize("reason", [None, "a flood"])
def test_what_holds_an_emergency_up_is_asked_for_and_that_alone(
    changes: dict[str, object], asked: str, reason: str | None
) -> None:
    case, effects = after(Filed(but(**changes, reason=reason)))
    assert case.state in (CampaignState.INCOMPLETE, CampaignState.RETURNED)
    assert not acts(effects, WriteCampaign)
    lacks = [one for one in act(effects, SendNotice).notice.missing if one != "reason"]
    assert len(lacks) == 1
    assert lacks[0].startswith(asked)
    sent = took(advance(PROCEDURE, case, SENT, NOW + MINUTE, TERMS)).case
    assert (sent.state, sent.sent, sent.sent_by) == (CampaignState.SENT_FIRST, NOW + MINUTE, "desk:17")


def test_three_days_ahead_are_enough() -> None:
    case, _ = after(Filed(but(until=NOW + 72 * HOUR)))
    assert case.state == CampaignState.SENT_FIRST
    (window,) = [clock for clock in case.clocks if clock.clock == "window"]
    assert (window.due, window.warn) == (NOW + 72 * HOUR, NOW + 60 * HOUR)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("【北京市卫生健康委】暴雨,详见abc.cn,咨询12320", "link", "link abc.cn"),
        ("【北京市卫生健康委】暴雨,咨询12320" + "字" * 2_000 + " https://x", "link", "link https://"),
        ("【北京市卫生健康委】暴雨,雨具全场八折,咨询12320", "advertisement", "reads like an advertisement: 八折"),
        ("【北京市卫生健康委】暴雨,咨询12320,退订回T", "advertisement", "reads like an advertisement: 退订"),
    ],
)
def test_a_link_or_advertisement_is_flagged_at_once_and_goes_out(text: str, kind: str, said: str) -> None:
    filing = but(text=text)
    assert said in [fault.what for fault in fitness.faults(filing, NOW, TERMS) if fault.kind == kind]
    case, effects = after(Filed(filing))
    assert act(effects, WriteCampaign).campaign.text == text
    assert f"text: {said}" in case.flags
    assert [alert.about for alert in acts(effects, Alert)] == ["emergency", "emergency-flagged"]
    assert act(effects, SendReport).report.about.endswith(f"; text: {said}")


@pytest.mark.parametrize(
    "text", ["【北京市卫生健康委】今夜9点有暴雨,水位1.2 元,请勿外出,谨防借机诈骗,咨询12320", pools.EMERGENCY.text or ""]
)
def test_a_plain_warning_is_not_flagged(text: str) -> None:
    assert fitness.faults(but(text=text), NOW, TERMS) == ()


@pytest.mark.parametrize(
    ("one", "two"), [(SECONDED, CONFIRMED), (CONFIRMED, SECONDED)], ids=["second first", "regulator first"]
)
def test_nothing_is_owed_any_more_once_a_second_person_the_regulator_and_the_filing_are_there(
    one: CampaignEvent, two: CampaignEvent
) -> None:
    case = after(SENT, one).case
    assert case.state == CampaignState.SENT_FIRST
    case = took(advance(PROCEDURE, case, two, NOW + 2 * MINUTE, TERMS)).case
    assert (case.state, owed(case), running(case)) == (CampaignState.SENT_FIRST, ("filing",), {"window", "owed-filing"})
    case, effects = took(advance(PROCEDURE, case, WHOLE, NOW + 3 * MINUTE, TERMS))
    assert act(effects, SendReport).report.about == "filing of an emergency campaign"
    assert (case.state, running(case)) == (CampaignState.SETTLED, {"window"})
    assert due(case, "window").case.state == CampaignState.FINISHED


def test_an_emergency_that_is_filed_whole_owes_two_words_alone() -> None:
    case, effects = after(WHOLE)
    assert (case.state, owed(case)) == (CampaignState.SENT_FIRST, ("second", "confirm"))
    assert act(effects, SendReport).report.about == "an emergency campaign was sent first, with its filing"
    assert after(WHOLE, CONFIRMED, SECONDED).case.state == CampaignState.SETTLED


def test_the_person_who_sent_it_confirms_it_for_nobody() -> None:
    case = after(SENT).case
    for event in (Seconded(actor="desk:17"), Confirmed(document="2026-7", actor="desk:17")):
        why = refused(advance(PROCEDURE, case, event, NOW + MINUTE, TERMS)).reason
        assert "it is another person than who sent it" in why
    again = refused(advance(PROCEDURE, after(SENT, SECONDED).case, Seconded(actor="desk:19"), NOW + HOUR, TERMS))
    assert "nobody has confirmed it yet" in again.reason


def test_who_completed_it_sent_it_and_not_who_began() -> None:
    began = Filed(but(text=None, actor="desk:18"))
    case = after(began, SENT).case
    assert case.sent_by == "desk:17"
    assert took(advance(PROCEDURE, case, SECONDED, NOW + HOUR, TERMS)).case.seconded == SECONDED


def test_what_nobody_confirms_is_alerted_and_told_again_and_not_stopped() -> None:
    case = after(WHOLE).case
    case, effects = due(case, "second")
    assert case.breached == ("second",)
    assert act(effects, Alert) == Alert("breach", "second")
    assert "no second person has confirmed it" in act(effects, SendReport).report.about
    case, effects = due(case, "second-again")  # once an hour, as long as it may be sent
    assert (case.breached, act(effects, Alert)) == (("second",), Alert("decision", "second"))
    assert not acts(effects, SendReport)
    assert not acts(effects, WriteCampaign)
    over = due(case, "window").case
    assert (over.state, running(over)) == (CampaignState.SENT_FIRST, {"confirm"}), "the hour was over with its time"
    late, effects = due(over, "confirm")
    assert act(effects, SendReport).report.about == "an emergency campaign waits for the regulator's confirmation"
    assert (late.breached, running(late)) == (("second", "confirm"), set())
    late = took(advance(PROCEDURE, late, CONFIRMED, NOW + 99 * HOUR, TERMS)).case
    assert took(advance(PROCEDURE, late, SECONDED, NOW + 99 * HOUR, TERMS)).case.state == CampaignState.FINISHED


def test_the_regulator_is_told_once_a_day_while_it_may_be_sent() -> None:
    case = after(Filed(but(until=NOW + 72 * HOUR))).case
    for clock in ("confirm", "confirm-again", "confirm-again"):
        case, effects = due(case, clock)
        assert acts(effects, SendReport)
    assert case.breached == ("confirm",)
    assert "confirm-again" not in running(case), "its three days are over"


def test_a_word_that_comes_late_keeps_no_term() -> None:
    case = due(after(Filed(but(until=NOW + 72 * HOUR))).case, "second").case
    late = took(advance(PROCEDURE, case, SECONDED, NOW + 90 * MINUTE, TERMS)).case
    assert "second-again" in running(case) - running(late)
    assert not case_history.kept(
        case.clocks, late.clocks, SECONDED, NOW + 90 * MINUTE, state=late.state.value, ended=False
    )


def test_an_owed_filing_that_is_late_is_a_breach_and_owed_still() -> None:
    case, effects = due(after(SENT).case, "owed-filing")
    assert (case.state, case.breached) == (CampaignState.SENT_FIRST, ("owed-filing",))
    assert act(effects, SendReport).report.to == "regulator"


def test_it_goes_on_by_an_act_of_two_persons_three_days_at_a_time_and_is_confirmed_anew() -> None:
    settled = after(WHOLE, SECONDED, CONFIRMED).case
    now, renewed = NOW + HOUR, Renewed(NOW + HOUR + 72 * HOUR, "the water still rises")
    first = took(advance(PROCEDURE, settled, renewed, now, TERMS, person="desk:17")).case
    assert first.campaign == settled.campaign, "one person proposes"
    case, effects = took(advance(PROCEDURE, first, renewed, now, TERMS, person="desk:18"))
    assert act(effects, WriteCampaign).campaign.until == renewed.until
    assert act(effects, SendReport).report.about == "an emergency campaign was renewed: the water still rises"
    assert (case.state, owed(case), running(case)) == (CampaignState.SENT_FIRST, ("confirm",), {"window", "confirm"})
    for until in (renewed.until + 1, pools.EMERGENCY.until or 0):
        refused(advance(PROCEDURE, settled, Renewed(until, "for long"), now, TERMS))
    refused(advance(PROCEDURE, settled, Renewed(now + 9 * HOUR, ""), now, TERMS))
    refused(advance(PROCEDURE, settled, renewed, pools.EMERGENCY.until or 0, TERMS))


def test_its_end_is_warned_of_so_that_two_persons_can_renew_it() -> None:
    case = after(Filed(but(until=NOW + 72 * HOUR, reason="a flood")), SECONDED, CONFIRMED).case
    warning = ClockFired("window", NOW + 72 * HOUR, "warning")
    assert act(took(advance(PROCEDURE, case, warning, NOW + 60 * HOUR, TERMS)).effects, Alert).about == "window"


def test_what_was_sent_stays_as_it_was_and_its_numbers_may_be_added() -> None:
    more = Filed(but(text="another", until=NOW + 9 * HOUR, sender="ORG-9", numbers=("106900",)))
    case, effects = after(SENT, more)
    assert act(effects, WriteCampaign).campaign == msgspec.structs.replace(
        act(after(SENT).effects, WriteCampaign).campaign, numbers=("106900",)
    )
    assert case.filing is not None
    assert (case.filing.text, case.filing.until) == (pools.EMERGENCY.text, pools.EMERGENCY.until)
    withdrawn = after(SENT, WithdrawCampaign("the river fell"), more)
    assert not acts(withdrawn.effects, WriteCampaign), "what was taken back is not written again"


def test_an_emergency_that_is_taken_back_still_owes_what_it_owed() -> None:
    case, effects = after(SENT, WithdrawCampaign("the river fell"))
    assert case.state == CampaignState.SENT_FIRST
    assert act(effects, WriteCampaign).campaign.status == "withdrawn"
    assert running(case) == {"second", "confirm", "owed-filing"}
    assert "second-again" not in running(due(case, "second").case), "nobody is told again of what is over"
    assert after(WHOLE, WithdrawCampaign("the river fell"), SECONDED, CONFIRMED).case.state == CampaignState.FINISHED


def test_a_case_of_before_owes_its_filing_alone() -> None:
    before = msgspec.structs.replace(after(SENT).case, sent=None, clocks=())
    assert owed(before) == ("filing",)
    assert took(advance(PROCEDURE, before, WHOLE, NOW + HOUR, TERMS)).case.state == CampaignState.SETTLED


def test_a_filing_that_is_said_again_is_neither_sent_nor_told_twice() -> None:
    case, effects = after(SENT, Filed(but(time=7, actor="agent:6")))
    assert (effects, case.filing) == ((), pools.EMERGENCY)
