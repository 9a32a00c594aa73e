"""The measure procedure (Article 22): nobody is suspended who was not told first, and every suspension has an end."""

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.effects import (
    Alert,
    Effect,
    KeepRecord,
    LiftOrder,
    NotifyCase,
    NotifyEscalation,
    OpenCase,
    SendNotice,
    SetClock,
    WriteOrder,
)
from stream.enforce.procedures.engine import Stepped, WrongState, advance
from stream.enforce.procedures.measure import (
    PROCEDURE,
    MeasureCase,
    MeasureEvent,
    MeasureState,
    Reviewed,
)
from stream.enforce.procedures.messages import (
    AppealDecided,
    Appealed,
    AppealWithdrawn,
    FindingRouted,
    Lift,
    MeasureChanged,
    Restored,
    Seconded,
    Superseded,
)
from stream.enforce.procedures.telling import Delivered, DeliveryFailed, Served
from stream.model.control import Notice
from stream.model.fields import Measure
from stream.model.registry import Order
from stream.registry.admission import OF_A_MEASURE
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
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

NEW = MeasureCase(case="M-1")


def step(case: MeasureCase, event: MeasureEvent, now: int = NOW) -> Stepped[MeasureCase]:
    return took(advance(PROCEDURE, case, event, now, TERMS))


def told(measure: Measure = "suspend", *, replaces: tuple[str, ...] = ()) -> MeasureCase:
    """A case whose party was told a minute after NOW."""
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), measure, replaces=replaces), NOW, TERMS)).case
    return took(advance(PROCEDURE, case, Delivered(delivery(case.notice or "")), NOW + MINUTE, TERMS)).case


def after_grace(case: MeasureCase) -> Stepped[MeasureCase]:
    (grace,) = (clock for clock in case.clocks if clock.clock == "grace")
    return took(advance(PROCEDURE, case, ClockFired("grace", grace.due), grace.due, TERMS))


def test_a_notice_tells_measure_reason_evidence_grace_and_where_to_appeal() -> None:
    case, effects = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS))
    notice = act(effects, SendNotice).notice
    assert case.state == MeasureState.TELLING
    assert notice == Notice(
        notice="N-M-1-1",
        case="M-1",
        time=NOW,
        to="sender|ORG-9",
        subject="measure",
        reason="refusals",
        basis="early-warning",
        measure="suspend",
        grace_ms=DAY,
        appeal="tel:12300;phone-context=+86",
        evidence=("W-1",),
        at=finding().time,
        lasts_ms=TERMS.measure("suspend").length_ms,
    )
    assert act(effects, KeepRecord).evidence == ("W-1",)
    assert not acts(effects, WriteOrder)


def test_a_suspension_begins_when_the_grace_of_its_delivered_notice_is_over() -> None:
    case, effects = after_grace(told())
    order = act(effects, WriteOrder).order
    assert case.state == MeasureState.IN_FORCE
    assert order == Order(
        order="O-M-1",
        measure="suspend",
        from_=NOW + MINUTE + DAY,
        until=NOW + MINUTE + DAY + 30 * DAY,
        basis="early-warning",
        sender="ORG-9",
        notice="N-M-1-1",
        appeal="tel:12300;phone-context=+86",
    )
    assert act(effects, SetClock).clock.due == order.until


@pytest.mark.parametrize(("measure", "grace"), [("limit", 0), ("stop", 4 * HOUR), ("suspend", DAY)])
def test_each_measure_has_its_grace(measure: Measure, grace: int) -> None:
    _, effects = after_grace(told(measure))
    assert act(effects, WriteOrder).order.from_ == NOW + MINUTE + grace


@pytest.mark.parametrize("basis", ["prohibited-content", "regulator-order"])
def test_what_must_be_stopped_at_once_is_told_in_the_same_step(basis: str) -> None:
    found = FindingRouted(finding(basis=basis), "suspend", at_once=True, origin="X-1")
    case, effects = took(advance(PROCEDURE, NEW, found, NOW, TERMS))
    order, notice = act(effects, WriteOrder).order, act(effects, SendNotice).notice
    assert (case.state, order.from_, order.notice, order.basis) == (MeasureState.IN_FORCE, NOW, notice.notice, basis)
    assert order.until is None
    assert [one.clock.clock for one in acts(effects, SetClock)] == ["review", "tell"], (
        "it is owed a notice all the same"
    )
    assert case.notified is None
    assert took(advance(PROCEDURE, case, Delivered(delivery(notice.notice)), NOW + 1, TERMS)).case.notified == NOW + 1
    assert act(effects, NotifyCase) == NotifyCase("X-1", MeasureChanged("M-1", "suspend", "in-force"))


def test_no_other_basis_may_act_at_once() -> None:
    case, _ = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend", at_once=True), NOW, TERMS))
    assert case.state == MeasureState.TELLING


def test_a_party_that_cannot_be_reached_is_held_told_after_three_attempts_over_four_hours() -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS)).case
    failed = DeliveryFailed(delivery(case.notice or "", failed=True))
    for when in (NOW, NOW + MINUTE, NOW + 2 * MINUTE, NOW + 4 * HOUR - 1):
        case = took(advance(PROCEDURE, case, failed, when, TERMS)).case
        assert case.state == MeasureState.TELLING
    case, effects = took(advance(PROCEDURE, case, failed, NOW + 4 * HOUR, TERMS))
    assert case.state == MeasureState.WARNED
    assert act(effects, Alert).about == "party-not-reached"
    assert after_grace(case).case.state == MeasureState.IN_FORCE


def test_the_delivery_of_another_notice_tells_nobody() -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS)).case
    refused(advance(PROCEDURE, case, Delivered(delivery("N-another")), NOW + MINUTE, TERMS))
    refused(advance(PROCEDURE, case, DeliveryFailed(delivery("N-another", failed=True)), NOW + MINUTE, TERMS))


@pytest.mark.parametrize(("measure", "meanwhile"), [("limit", "limit"), ("stop", "stop"), ("suspend", "stop")])
def test_want_of_an_address_tells_nobody_and_commercial_traffic_stops_until_the_notice_is_served(
    measure: Measure, meanwhile: Measure
) -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), measure), NOW, TERMS)).case
    case, effects = took(advance(PROCEDURE, case, unaddressed("N-M-1-1"), NOW + MINUTE, TERMS))
    assert act(effects, Alert).about == "serve-notice"
    order = act(effects, WriteOrder).order
    assert (order.measure, order.order, order.notice) == (meanwhile, "O-M-1", "N-M-1-1")
    for attempt in range(2, 12):
        again = unaddressed("N-M-1-1", attempt=attempt)
        case, effects = took(advance(PROCEDURE, case, again, NOW + attempt * HOUR, TERMS))
        assert effects == (), "people are asked once, and the order stands"
    assert case.state == MeasureState.TELLING, "nobody was told"
    case = took(advance(PROCEDURE, case, served("N-M-1-1"), NOW + 2 * DAY, TERMS)).case
    assert (case.state, case.notified) == (MeasureState.WARNED, NOW + 2 * DAY)
    case, effects = after_grace(case)
    order = act(effects, WriteOrder).order
    assert (order.measure, order.order) == (measure, "O-M-1"), "under the same id: what stood meanwhile is replaced"
    assert order.from_ == NOW + 2 * DAY + TERMS.measure(measure).grace_ms


def test_a_service_is_confirmed_by_another_person_who_records_the_same() -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS)).case

    def records(before: MeasureCase, event: Served, person: str) -> Stepped[MeasureCase] | WrongState:
        return advance(PROCEDURE, before, event, NOW + MINUTE, TERMS, person=person)

    refused(records(case, served("N-another"), "desk:17"))
    refused(records(case, served("N-M-1-1", at=NOW + HOUR), "desk:17"))
    refused(records(case, served("N-M-1-1", at=NOW - HOUR), "desk:17"))  # before there was a notice
    case, effects = took(records(case, served("N-M-1-1"), "desk:17"))
    assert (case.state, act(effects, Alert).about) == (MeasureState.TELLING, "proposed: served")
    assert "another decides" in refused(records(case, served("N-M-1-1"), "desk:17")).reason
    other = took(records(case, served("N-M-1-1", at=NOW + 1), "desk:18")).case
    assert other.state == MeasureState.TELLING, "it is another service, and the first person may confirm it"
    done = took(records(other, served("N-M-1-1", at=NOW + 1), "desk:17")).case
    assert (done.state, done.served) == (MeasureState.WARNED, served("N-M-1-1", at=NOW + 1))


def test_failures_that_are_ours_tell_nobody_however_many_they_are() -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS)).case
    ours = DeliveryFailed(msgspec.structs.replace(delivery("N-M-1-1", failed=True), at_addressee=False))
    refused(advance(PROCEDURE, case, ours, NOW + 10 * DAY, TERMS))
    (tell,) = case.clocks
    case, effects = took(advance(PROCEDURE, case, ClockFired("tell", tell.due), tell.due, TERMS))
    assert (case.state, case.breached) == (MeasureState.TELLING, ("tell",))
    assert act(effects, WriteOrder).order.measure == "stop", "a day later what needs no telling stands"
    lifted, effects = took(advance(PROCEDURE, case, Lift("mended"), NOW + 2 * DAY, TERMS))
    assert (lifted.state, act(effects, LiftOrder).order.until) == (MeasureState.WITHDRAWN, NOW + 2 * DAY)


def test_two_attempts_are_not_enough_however_long_they_took() -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS)).case
    failed = DeliveryFailed(delivery(case.notice or "", failed=True))
    for when in (NOW, NOW + 10 * DAY):
        case = took(advance(PROCEDURE, case, failed, when, TERMS)).case
    assert case.state == MeasureState.TELLING


def test_who_appeals_before_the_notice_arrived_evidently_knows() -> None:
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend"), NOW, TERMS)).case
    case, effects = took(advance(PROCEDURE, case, Appealed(pools.APPEAL), NOW + MINUTE, TERMS))
    assert (case.state, case.notified) == (MeasureState.CONTESTED, NOW + MINUTE)
    assert act(effects, OpenCase).case == "A-1"


def test_an_appeal_does_not_hold_the_measure_up() -> None:
    case = took(advance(PROCEDURE, told(), Appealed(pools.APPEAL), NOW + HOUR, TERMS)).case
    case, effects = after_grace(case)
    assert case.state == MeasureState.APPEALED
    assert act(effects, WriteOrder).order.in_force(NOW + MINUTE + DAY)


def test_a_party_that_wins_its_appeal_is_free_at_once_and_the_finding_counts_for_nothing() -> None:
    case = after_grace(told()).case
    case = took(advance(PROCEDURE, case, Appealed(pools.APPEAL), NOW + 2 * DAY, TERMS)).case
    won, effects = took(
        advance(PROCEDURE, case, AppealDecided("A-1", "party", "consent was shown"), NOW + 3 * DAY, TERMS)
    )
    order = act(effects, LiftOrder).order
    assert won.state == MeasureState.APPEAL_WON
    assert order.order == f"{OF_A_MEASURE}1", "by which the API and the import know it"
    assert not order.in_force(NOW + 3 * DAY)
    assert act(effects, NotifyEscalation).change.change == "annulled"
    assert act(effects, SendNotice).notice.reason == "consent was shown"


def test_a_party_that_wins_within_its_grace_is_never_touched() -> None:
    case = took(advance(PROCEDURE, told(), Appealed(pools.APPEAL), NOW + HOUR, TERMS)).case
    won, effects = took(
        advance(PROCEDURE, case, AppealDecided("A-1", "party", "consent was shown"), NOW + 2 * HOUR, TERMS)
    )
    assert won.state == MeasureState.APPEAL_WON
    assert won.clocks == ()
    assert not acts(effects, LiftOrder)


def test_a_party_appeals_once() -> None:
    case = took(advance(PROCEDURE, told(), Appealed(pools.APPEAL), NOW + HOUR, TERMS)).case
    case = took(advance(PROCEDURE, case, AppealDecided("A-1", "measure", "not shown"), NOW + 2 * HOUR, TERMS)).case
    assert case.state == MeasureState.WARNED
    again = refused(advance(PROCEDURE, case, Appealed(pools.APPEAL), NOW + 3 * HOUR, TERMS))
    assert "no appeal of it is pending or was decided" in again.reason


def test_an_appeal_that_was_withdrawn_may_be_made_anew() -> None:
    case = took(advance(PROCEDURE, told(), Appealed(pools.APPEAL), NOW + HOUR, TERMS)).case
    case = took(advance(PROCEDURE, case, AppealWithdrawn("A-1"), NOW + 2 * HOUR, TERMS)).case
    anew = Appealed(msgspec.structs.replace(pools.APPEAL, appeal="2"))
    case, effects = took(advance(PROCEDURE, case, anew, NOW + 3 * HOUR, TERMS))
    assert (case.state, act(effects, OpenCase).case) == (MeasureState.CONTESTED, "A-2")
    refused(advance(PROCEDURE, case, AppealDecided("A-1", "party", "shown"), NOW + 4 * HOUR, TERMS))


def test_a_heavier_measure_takes_the_place_of_the_lighter_one() -> None:
    _, effects = after_grace(told("suspend", replaces=("M-0",)))
    assert NotifyCase("M-0", Superseded("M-1")) in acts(effects, NotifyCase)
    lighter = after_grace(told("limit")).case
    ended, effects = took(advance(PROCEDURE, lighter, Superseded("M-2"), NOW + DAY, TERMS))
    assert ended.state == MeasureState.SUPERSEDED
    assert not act(effects, LiftOrder).order.in_force(NOW + DAY)


def after_winning(*events: MeasureEvent) -> tuple[Restored, ...]:
    """What a heavier measure of M-2 says to the lighter M-1 once these have happened to it."""
    case = took(advance(PROCEDURE, NEW, FindingRouted(finding(), "suspend", replaces=("M-1",)), NOW, TERMS)).case
    case = after_grace(took(advance(PROCEDURE, case, Delivered(delivery("N-M-1-1")), NOW, TERMS)).case).case
    said: list[Restored] = []
    for event in events:
        case, effects = took(advance(PROCEDURE, case, event, NOW + 2 * DAY, TERMS))
        said += [one.event for one in acts(effects, NotifyCase) if isinstance(one.event, Restored)]
    return tuple(said)


def test_only_a_heavier_measure_that_should_not_have_been_gives_its_place_back() -> None:
    lost = AppealDecided("A-1", "measure", "not shown")
    won = AppealDecided("A-1", "party", "consent was shown")
    back = (Restored("M-1"),)
    assert after_winning(Appealed(pools.APPEAL), won) == back
    assert after_winning(Appealed(pools.APPEAL), Lift("mended"), won) == back, "it had ended before"
    assert after_winning(Lift("an error", annul=True)) == back
    assert after_winning(Appealed(pools.APPEAL), lost, Lift("mended")) == ()


def test_a_lighter_measure_stands_again_for_what_is_left_of_it() -> None:
    lighter = after_grace(told("limit")).case
    before = lighter.order
    assert before is not None
    assert before.until is not None
    gone = took(advance(PROCEDURE, lighter, Superseded("M-2"), NOW + DAY, TERMS)).case
    case, effects = took(advance(PROCEDURE, gone, Restored("M-2"), NOW + 9 * DAY, TERMS))
    order = act(effects, WriteOrder).order
    assert case.state == MeasureState.IN_FORCE
    assert order == msgspec.structs.replace(before, from_=NOW + 9 * DAY), "under its own id, until its own end"
    assert act(effects, SetClock).clock.due == before.until
    assert act(effects, NotifyEscalation).change.change == "in-force"
    assert "stands again" in act(effects, SendNotice).notice.reason
    late = took(advance(PROCEDURE, gone, Restored("M-2"), before.until, TERMS))
    assert (late.case.state, late.effects) == (MeasureState.SUPERSEDED, ()), "its own end has come"
    other = took(advance(PROCEDURE, gone, Restored("M-3"), NOW + 9 * DAY, TERMS))
    assert other.case.state == MeasureState.SUPERSEDED, "it gave way to another"


def test_a_lighter_measure_goes_on_where_it_stood() -> None:
    pending = took(advance(PROCEDURE, told("stop"), Superseded("M-2"), NOW + HOUR, TERMS)).case
    case, effects = took(advance(PROCEDURE, pending, Restored("M-2"), NOW + 9 * DAY, TERMS))
    assert (case.state, act(effects, SetClock).clock.due) == (MeasureState.WARNED, NOW + MINUTE + 4 * HOUR)
    assert act(effects, NotifyEscalation).change.change == "resumed"
    contested = took(advance(PROCEDURE, told("stop"), Appealed(pools.APPEAL), NOW + HOUR, TERMS)).case
    contested = took(advance(PROCEDURE, contested, Superseded("M-2"), NOW + HOUR, TERMS)).case
    lost = took(advance(PROCEDURE, contested, AppealDecided("A-1", "measure", "no"), NOW + 2 * HOUR, TERMS)).case
    assert took(advance(PROCEDURE, lost, Restored("M-2"), NOW + 9 * DAY, TERMS)).case.state == MeasureState.WARNED
    won = took(advance(PROCEDURE, contested, AppealDecided("A-1", "party", "yes"), NOW + 2 * HOUR, TERMS)).case
    assert took(advance(PROCEDURE, won, Restored("M-2"), NOW + 9 * DAY, TERMS)).case.state == MeasureState.APPEAL_WON


def test_what_an_authority_ordered_gives_way_to_nothing() -> None:
    found = FindingRouted(finding(basis="regulator-order"), "stop", at_once=True, until=NOW + 300 * DAY)
    case = took(advance(PROCEDURE, NEW, found, NOW, TERMS)).case
    case, effects = took(advance(PROCEDURE, case, Superseded("M-2"), NOW + DAY, TERMS))
    assert (case.state, effects) == (MeasureState.IN_FORCE, ())


def test_what_one_person_found_begins_nothing_before_another_has_seconded_it() -> None:
    found = step(NEW, FindingRouted(pools.INSPECTED, "stop"))
    assert (found.case.state, act(found.effects, Alert).about) == (MeasureState.FOUND, "second")
    assert len(found.effects) == 1, "nobody is told, and no order is written"
    assert "another person" in refused(advance(PROCEDURE, found.case, Seconded(actor="desk:17"), NOW, TERMS)).reason
    assert step(found.case, FindingRouted(pools.AGAIN, "stop")).case.state == MeasureState.FOUND, "the same person's"
    others = msgspec.structs.replace(pools.AGAIN, actor="desk:18")
    for event in (Seconded(actor="desk:18"), FindingRouted(others, "stop"), FindingRouted(finding("F-5"), "limit")):
        told = step(found.case, event, NOW + DAY)
        assert (told.case.state, told.case.sent_at) == (MeasureState.TELLING, NOW + DAY)
        assert act(told.effects, SendNotice).notice.notice == told.case.notice
    dropped = step(found.case, Lift("it was a mistake"))
    change = act(dropped.effects, NotifyEscalation).change
    assert (dropped.case.state, change.change) == (MeasureState.WITHDRAWN, "annulled")
    assert not acts(dropped.effects, SendNotice), "it was never told"


def test_later_findings_join_and_are_kept_and_counted_once() -> None:
    joined, effects = took(advance(PROCEDURE, told(), FindingRouted(finding("F-2"), "suspend"), NOW + HOUR, TERMS))
    again, nothing = took(advance(PROCEDURE, joined, FindingRouted(finding("F-2"), "suspend"), NOW + HOUR, TERMS))
    assert act(effects, KeepRecord).evidence == ("W-1",)
    assert (again.joined, again.joined_count) == (("F-2",), 1)
    assert nothing == ()


def test_a_measure_without_an_end_is_reviewed_until_somebody_ends_it() -> None:
    found = FindingRouted(finding(basis="prohibited-content"), "suspend", at_once=True)
    case = took(advance(PROCEDURE, NEW, found, NOW, TERMS)).case
    case = took(advance(PROCEDURE, case, Delivered(delivery("N-M-1-1")), NOW, TERMS)).case
    for _ in range(3):
        (review,) = case.clocks
        case, effects = took(advance(PROCEDURE, case, ClockFired("review", review.due), review.due, TERMS))
        assert act(effects, Alert).about == "review"
    kept = took(advance(PROCEDURE, case, Reviewed(keep=True, reason="needed"), NOW + 200 * DAY, TERMS)).case
    assert kept.clocks[0].due == NOW + 230 * DAY
    lifted, effects = took(advance(PROCEDURE, kept, Reviewed(keep=False, reason="mended"), NOW + 210 * DAY, TERMS))
    assert lifted.state == MeasureState.LIFTED
    assert act(effects, NotifyEscalation).change.change == "ended"


def test_a_measure_taken_back_before_it_came_never_begins() -> None:
    case = took(advance(PROCEDURE, NEW, Lift("an error", annul=True), NOW, TERMS)).case
    case, effects = took(advance(PROCEDURE, case, FindingRouted(finding(), "suspend", at_once=True), NOW, TERMS))
    assert case.state == MeasureState.WITHDRAWN
    assert act(effects, NotifyEscalation).change.change == "annulled"


class ToldBeforeSuspended(RuleBasedStateMachine):
    """The invariant, against a witness that watches effects and deliveries and knows no table."""

    def __init__(self) -> None:
        super().__init__()
        self.case, self.now = NEW, NOW
        self.sent: dict[str, int] = {}
        self.told: dict[str, int] = {}
        self.failures: dict[str, list[int]] = {}
        self.orders: dict[str, Order] = {}
        self.at_once = False

    def happens(self, event: MeasureEvent, *, later: int = MINUTE) -> tuple[Effect, ...]:
        self.now += later
        result = advance(PROCEDURE, self.case, event, self.now, TERMS)
        if not isinstance(result, Stepped):
            return ()
        self.case, effects = result
        for notice in acts(effects, SendNotice):
            self.sent[notice.notice.notice] = self.now
        for written in acts(effects, WriteOrder):
            if written.order.measure == "suspend" or self.case.order == written.order:
                self.check(written.order, {one.notice.notice for one in acts(effects, SendNotice)})
            self.orders[written.order.order] = written.order
        for lifted in acts(effects, LiftOrder):
            self.orders[lifted.order.order] = lifted.order
        return effects

    def check(self, order: Order, told_now: set[str]) -> None:
        assert order.notice in self.sent, "an order names a notice that was sent"
        if order.notice in told_now:
            assert order.basis in ("prohibited-content", "regulator-order")
            assert self.at_once
            return
        before = self.orders.get(order.order)
        if before is not None and self.at_once and before.basis in ("prohibited-content", "regulator-order"):
            return  # it stands again as it stood
        failures = self.failures.get(order.notice, [])
        tried = (when for count, when in enumerate(failures, 1) if count >= 3 and when - failures[0] >= 4 * HOUR)
        known = [when for when in (self.told.get(order.notice), next(tried, None)) if when is not None]
        assert known, "the party was told, or tried for long enough"
        assert order.from_ >= min(known) + TERMS.measure(order.measure).grace_ms, "the grace is over"

    @rule(
        measure=st.sampled_from(["limit", "stop", "suspend"]),
        basis=st.sampled_from(["early-warning", "prohibited-content", "regulator-order"]),
        at_once=st.booleans(),
    )
    def is_found(self, measure: Measure, basis: str, *, at_once: bool) -> None:
        self.at_once = at_once or self.at_once
        self.happens(FindingRouted(finding(basis=basis), measure, at_once=at_once))

    @precondition(lambda self: self.case.notice)
    @rule(notice=st.sampled_from(["ours", "another"]))
    def is_delivered(self, notice: str) -> None:
        name = (self.case.notice or "") if notice == "ours" else "N-another"
        if name in self.sent:
            self.told.setdefault(name, self.now + MINUTE)
        self.happens(Delivered(delivery(name)))

    @precondition(lambda self: self.case.notice)
    @rule(later=st.sampled_from([MINUTE, HOUR, 5 * HOUR]))
    def fails_to_be_delivered(self, later: int) -> None:
        self.failures.setdefault(self.case.notice or "", []).append(self.now + later)
        self.happens(DeliveryFailed(delivery(self.case.notice or "", failed=True)), later=later)

    @precondition(lambda self: self.case.notice)
    @rule(attempt=st.integers(1, 3))
    def has_no_address(self, attempt: int) -> None:
        self.happens(unaddressed(self.case.notice or "", attempt=attempt))

    @precondition(lambda self: self.case.notice)
    @rule()
    def is_served(self) -> None:
        self.told.setdefault(self.case.notice or "", self.now + MINUTE)
        self.happens(served(self.case.notice or ""))

    @rule()
    def is_appealed(self) -> None:
        if self.case.state == MeasureState.TELLING and self.case.notice and self.case.appeal is None:
            self.told.setdefault(self.case.notice, self.now + MINUTE)
        self.happens(Appealed(pools.APPEAL))

    @rule(event=st.sampled_from(["party", "measure", "withdrawn"]))
    def ends_its_appeal(self, event: str) -> None:
        ours = self.case.appeal or "A-none"
        match event:
            case "party" | "measure":
                self.happens(AppealDecided(ours, "party" if event == "party" else "measure", "shown"))
            case _:
                self.happens(AppealWithdrawn(ours))

    @rule(
        event=st.sampled_from(
            [
                Lift("mended"),
                Superseded("M-2"),
                Restored("M-2"),
                Reviewed(keep=True, reason="needed"),
            ]
        )
    )
    def is_taken_back_or_kept(self, event: Lift | Superseded | Restored | Reviewed) -> None:
        self.happens(event)

    @precondition(lambda self: self.case.clocks)
    @rule(place=st.integers(0, 3), early=st.booleans())
    def hears_a_clock(self, place: int, *, early: bool) -> None:
        clock = self.case.clocks[place % len(self.case.clocks)]
        later = 0 if early else max(0, clock.due - self.now)
        self.happens(ClockFired(clock.clock, clock.due), later=later)

    @invariant()
    def a_suspension_in_force_has_an_end_or_a_review(self) -> None:
        for order in self.orders.values():
            if order.in_force(self.now) and order.until is None:
                assert any(clock.clock == "review" for clock in self.case.clocks)

    @invariant()
    def traffic_flows_again_once_the_case_has_ended(self) -> None:
        if self.case.state in ("appeal-won", "lifted", "withdrawn", "superseded", "expired"):
            assert not any(order.in_force(self.now) for order in self.orders.values())


TestToldBeforeSuspended = ToldBeforeSuspended.TestCase
TestToldBeforeSuspended.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def test_an_id_that_would_be_too_long_stays_an_id_and_stays_its_own() -> None:
    long = msgspec.structs.replace(NEW, case="M-" + "x" * 126)
    first, effects = took(advance(PROCEDURE, long, FindingRouted(finding(), "suspend"), NOW, TERMS))
    assert len(act(effects, SendNotice).notice.notice) <= 128
    second = took(
        advance(PROCEDURE, msgspec.structs.replace(long, step=7), FindingRouted(finding(), "suspend"), NOW, TERMS)
    ).case
    assert first.notice != second.notice
