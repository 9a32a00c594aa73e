"""The record of a party: repeat findings cost more, and one violation is one case."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.procedures.effects import NotifyCase, OpenCase
from stream.enforce.procedures.escalation import WEIGHT, PartyRecord, changed, route
from stream.enforce.procedures.messages import Change, FindingRouted, MeasureChanged
from stream.model.control import Finding, Grounds
from stream.model.fields import Measure
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import DAY, MINUTE, NOW, TERMS, act, acts, finding


def opened(record: PartyRecord, one: Finding, now: int = NOW) -> tuple[PartyRecord, FindingRouted, str]:
    after, effects = route(record, one, now, TERMS)
    case = act(effects, OpenCase)
    assert isinstance(case.event, FindingRouted)
    return after, case.event, case.case


def sustained(
    record: PartyRecord, case: str, measure: Measure, change: Change = "in-force", now: int = NOW
) -> PartyRecord:
    return changed(record, MeasureChanged(case, measure, change), now)


def test_repeat_findings_climb_the_ladder_and_replace_what_is_lighter() -> None:
    record, cases = PartyRecord(), list[str]()
    for count, expected in enumerate(("limit", "stop", "suspend")):
        record, found, case = opened(record, finding(f"F-{count}"))
        assert (found.measure, found.replaces) == (expected, tuple(cases))
        record = sustained(record, case, found.measure)
        cases.append(case)


def test_at_the_top_of_the_ladder_a_finding_joins_the_case_that_stands() -> None:
    record, found, case = opened(PartyRecord(), finding(grounds="personal-as-platform"))
    assert found.measure == "suspend"
    record = sustained(record, case, "suspend")
    _, effects = route(record, finding("F-2"), NOW, TERMS)
    assert act(effects, NotifyCase).case == case


def test_a_finding_joins_a_case_whose_party_is_still_being_told() -> None:
    record, _, case = opened(PartyRecord(), finding())
    after, effects = route(record, finding("F-2"), NOW + MINUTE, TERMS)
    assert act(effects, NotifyCase).case == case
    assert after.open == record.open


def test_a_finding_raised_twice_counts_once() -> None:
    record, _, _ = opened(PartyRecord(), finding())
    assert route(record, finding(), NOW, TERMS) == (record, ())


def test_a_measure_that_stands_again_is_open_again() -> None:
    """It had given way to a heavier one, which was annulled: the next finding joins it, or replaces it."""
    record, _, lighter = opened(PartyRecord(), finding())
    gone = sustained(sustained(record, lighter, "limit"), lighter, "limit", "ended")
    assert gone.open == ()
    pending = sustained(gone, lighter, "limit", "resumed")
    assert act(route(pending, finding("F-3"), NOW, TERMS).effects, NotifyCase).case == lighter
    for standing in (sustained(gone, lighter, "limit"), sustained(pending, lighter, "limit")):
        assert [(one.case, one.in_force) for one in standing.open] == [(lighter, True)]
        _, found, _ = opened(standing, finding("F-3"))
        assert (found.measure, found.replaces) == ("stop", (lighter,))


def test_a_measure_that_was_annulled_was_no_repeat() -> None:
    record, found, case = opened(PartyRecord(), finding())
    record = sustained(record, case, found.measure)
    assert opened(sustained(record, case, "limit", "ended"), finding("F-2"))[1].measure == "stop"
    assert opened(sustained(record, case, "limit", "annulled"), finding("F-2"))[1].measure == "limit"
    late = sustained(sustained(record, case, "limit", "ended"), case, "limit", "annulled")
    assert opened(late, finding("F-2"))[1].measure == "limit"


def test_old_measures_are_forgotten() -> None:
    record, found, case = opened(PartyRecord(), finding())
    record = sustained(sustained(record, case, found.measure), case, found.measure, "ended")
    assert opened(record, finding("F-2"), NOW + 179 * DAY)[1].measure == "stop"
    assert opened(record, finding("F-2"), NOW + 180 * DAY)[1].measure == "limit"


def test_a_burst_alone_never_costs_traffic() -> None:
    record = PartyRecord()
    for count in range(4):
        record, found, case = opened(record, finding(f"F-{count}", grounds="burst"))
        assert found.measure == "limit"
        record = sustained(sustained(record, case, "limit"), case, "limit", "ended")


def test_prohibited_content_and_the_regulator_open_their_own_case() -> None:
    record, _, _ = opened(PartyRecord(), finding())
    _, found, _ = opened(record, finding("F-2", basis="prohibited-content", grounds="prohibited-content"))
    assert (found.measure, found.at_once) == ("suspend", True)
    until = msgspec.structs.replace(pools.DIRECTION, measure="stop", until=NOW + DAY)
    routed = route(record, finding("F-3", basis="regulator-order"), NOW, TERMS, direction=until, origin="G-1")
    event = act(routed.effects, OpenCase).event
    assert isinstance(event, FindingRouted)
    assert (event.measure, event.at_once, event.until, event.origin) == ("stop", False, NOW + DAY, "G-1")


def test_what_happens_on_calls_does_not_end_what_holds_on_sms_and_calls_both() -> None:
    record, found, case = opened(PartyRecord(), finding())
    record = sustained(record, case, found.measure)
    on_calls = msgspec.structs.replace(finding("F-2"), channel="call")
    assert opened(record, on_calls)[1].replaces == ()


def test_a_finding_on_calls_does_not_hide_in_a_case_about_sms() -> None:
    record, _, _ = opened(PartyRecord(), msgspec.structs.replace(finding(), channel="sms"))
    assert opened(record, msgspec.structs.replace(finding("F-2"), channel="call"))[1].measure == "limit"


GROUNDS: list[Grounds] = ["refusals", "burst", "complaint", "personal-as-platform"]


@given(st.lists(st.tuples(st.sampled_from(GROUNDS), st.sampled_from(["in-force", "ended", "annulled"])), max_size=12))
def test_every_finding_goes_to_exactly_one_place_and_nothing_heavier_is_replaced(
    history: list[tuple[Grounds, Change]],
) -> None:
    record, measures = PartyRecord(), dict[str, Measure]()
    for count, (grounds, change) in enumerate(history):
        record, effects = route(record, finding(f"F-{count}", grounds=grounds), NOW + count, TERMS)
        assert len(effects) == 1
        for case in acts(effects, OpenCase):
            assert isinstance(case.event, FindingRouted)
            measures[case.case] = case.event.measure
            assert all(WEIGHT[measures[old]] < WEIGHT[case.event.measure] for old in case.event.replaces)
        for open_ in record.open[:1]:
            record = sustained(record, open_.case, open_.measure, change, NOW + count)
