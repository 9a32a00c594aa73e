"""What is counted of a month, against a plain count over the views that the procedures gave: pure."""

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.api.auth import Caller, Jurisdiction
from stream.enforce.api.case_facts import case_of
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.indexed_case import indexed
from stream.enforce.api.statistics import MonthStatistics
from stream.enforce.cases import store
from stream.enforce.cases.decoding import Arrival
from stream.enforce.procedures import appeal, campaign, complaint, measure
from stream.enforce.procedures.case_work import Noted
from stream.enforce.procedures.clocks import ClockFired
from stream.enforce.procedures.complaint import Answered, Complained, ComplaintWithdrawn, Forwarded, Reported, Verified
from stream.enforce.procedures.messages import Appealed, FindingRouted
from stream.enforce.procedures.telling import Delivered
from stream.model.cases import CaseView
from stream.model.codec import encode
from stream.model.control import Filing
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import DAY, HOUR, TERMS, at, delivery, finding

DESK, CENTRE, AUDITOR = Caller("desk", "desk:17"), Caller("centre", "centre:2"), Caller("read-only", "auditor:1")
BEIJING = Caller("regulator", "regulator:3", (), Jurisdiction("province", "110000"))
SHANGHAI = Caller("regulator", "regulator:4", (), Jurisdiction("province", "310000"))
KEPT_MS = 180 * DAY
SENT = Complained(pools.COMPLAINT)


class Story:
    """A case that happens: each event at its moment, clocks firing when they are due."""

    def __init__(self, case: str, procedure: str) -> None:
        self.case, self.procedure = case, procedure
        self.entry: store.Entry | None = None
        self.views: list[bytes] = []

    def then(self, event: msgspec.Struct, when: int) -> "Story":
        arrival = Arrival(self.case, self.procedure, event, f"{len(self.views)}", when)
        after = store.apply(self.case, self.entry, arrival, when, TERMS)
        assert isinstance(after, store.Updated), after
        self.entry = store.without_outbox(after.entry)
        view = store.view_of(self.case, self.entry)
        assert view is not None
        self.views.append(encode(view))
        return self

    def until(self, when: int) -> "Story":
        """Every clock that is due by then fires."""
        assert self.entry is not None
        while due := sorted((one.due, one.clock) for one in store.clocks(self.entry) if one.due <= when):
            self.then(ClockFired(due[0][1], due[0][0]), due[0][0])
        return self

    def last_notice(self) -> str:
        assert self.entry is not None
        return self.entry.notices[-1].notice


def complained(name: str, when: int, **stated: object) -> Story:
    told = msgspec.structs.replace(pools.COMPLAINT, complaint=name, time=when, **stated)
    return Story(f"C-{name}", "complaint").then(Complained(told), when)


def answered(name: str, when: int, *, late_ms: int = 0) -> Story:
    """A complaint that goes its whole way, each step an hour after the last, or late by so much."""
    story = complained(name, when)
    for event in (Forwarded("CARRIER"), Verified("unconfirmed", "so"), Reported("nothing"), Answered("nothing")):
        when += HOUR + late_ms
        story.until(when).then(event, when)
    return story.then(Delivered(delivery(story.last_notice())), when + HOUR)


def stories() -> list[Story]:
    """What happened around the turn of a month, one o'clock in the night of Shanghai, when in London it was October."""
    turn = at("2026-11-01 01:00")
    measured = Story("M-F-1", "measure").then(FindingRouted(finding("F-1"), "stop"), at("2026-11-05 10:00"))
    measured.then(Delivered(delivery(measured.last_notice())), at("2026-11-05 11:00")).until(at("2026-11-06 11:00"))
    appealed = msgspec.structs.replace(pools.APPEAL, against="M-F-1", time=at("2026-11-07 10:00"))
    won = Story(f"A-{appealed.appeal}", "appeal").then(Appealed(appealed), at("2026-11-07 10:00"))
    filed = Filing("1", at("2026-11-03 10:00"), sender="GOV-1", body_region="110100", subject="public-good")
    noted = answered("4", turn).then(Noted("filed away", "desk"), at("2026-12-24 10:00"))
    return [
        complained("1", turn - 2 * HOUR),
        complained("2", turn, about="prohibited-content", channel="call"),
        complained("3", turn).then(ComplaintWithdrawn(), turn + HOUR),
        noted,
        answered("5", at("2026-10-20 10:00"), late_ms=6 * DAY),
        measured,
        won.then(appeal.Decided("party", "shown"), at("2026-12-01 10:00")),
        Story("P-1", "campaign").then(campaign.Filed(filed), filed.time),
    ]


def plain_count(views: list[bytes], month: str) -> Counter[tuple[str, str, str]]:
    """By the case's own words and Python's own calendar."""
    zone = ZoneInfo("Asia/Shanghai")
    found: Counter[tuple[str, str, str]] = Counter()

    def tally(moment: int, what: str, procedure: str, name: str) -> None:
        found[what, procedure, name] += datetime.fromtimestamp(moment / 1000, zone).strftime("%Y-%m") == month

    for data in views:
        view = msgspec.json.decode(data, type=CaseView)
        match case_of(view):
            case complaint.ComplaintCase(complaint=told) if told is not None:
                tally(told.time, "received", "complaint", told.about or "commercial")
            case measure.MeasureCase(finding=of, order=order) if of is not None and order is not None:
                tally(of.time, "received", "measure", of.grounds)
                tally(order.from_, "in-force", "measure", order.measure)
            case appeal.AppealCase(appeal=by) if by is not None:
                tally(by.time, "received", "appeal", "measure")
            case campaign.CampaignCase(filing=filed) if filed is not None:
                tally(filed.time, "received", "campaign", filed.subject or "")
        if view.ended_at is not None:
            tally(view.ended_at, "ended", view.procedure, view.state)
        for clock in view.due:
            if clock.breached:
                tally(clock.due, "clock-missed", view.procedure, clock.clock)
        for kept in view.kept:
            tally(kept.done, "clock-kept", view.procedure, kept.clock)
    return +found


def summed(month: MonthStatistics) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for row in month.rows:
        found[row.what, row.procedure, row.name] += row.count
    return found


@given(order=st.permutations(range(8)), loaded=st.integers(0, 8), dropped=st.sets(st.integers(0, 7), max_size=3))
def test_a_month_is_what_a_plain_count_over_all_views_gives(order: list[int], loaded: int, dropped: set[int]) -> None:
    index = CaseIndex(kept_ms=KEPT_MS)
    index.load(indexed(STORIES[place].views[-1]) for place in order[:loaded])
    for place in order[loaded:]:
        for data in STORIES[place].views:
            index.put(indexed(data))
    for place in dropped:
        index.drop(STORIES[place].case)
    left = [story.views[-1] for place, story in enumerate(STORIES) if place not in dropped]
    for month in ("2026-10", "2026-11", "2026-12"):
        assert summed(index.statistics(month, DESK, at("2027-01-05 10:00"))) == plain_count(left, month)


STORIES = stories()


def test_november_by_hand() -> None:
    index = CaseIndex(kept_ms=KEPT_MS)
    index.load(indexed(story.views[-1]) for story in STORIES)
    found = summed(index.statistics("2026-11", AUDITOR, at("2027-01-05 10:00")))
    assert found["received", "complaint", "commercial"] == 2, "the first came on the last of October"
    assert found["received", "complaint", "prohibited-content"] == 1
    assert found["ended", "complaint", "answered"] == 2, "a note afterwards moves no end"
    assert found["ended", "complaint", "withdrawn"] == 1
    assert found["clock-kept", "complaint", "forward"] == 1, "what was withdrawn kept nothing"
    assert found["in-force", "measure", "stop"] == 1
    december = summed(index.statistics("2026-12", DESK, at("2027-01-05 10:00")))
    assert december["ended", "appeal", "decided-for-party"] == 1


def test_who_is_told_what_of_a_month_and_whether_it_is_whole() -> None:
    index = CaseIndex(kept_ms=KEPT_MS)
    index.load(indexed(story.views[-1]) for story in STORIES)
    later = at("2027-01-05 10:00")

    def procedures(caller: Caller) -> set[str]:
        return {row.procedure for row in index.statistics("2026-11", caller, later).rows}

    assert procedures(CENTRE) == {"complaint"}
    assert procedures(BEIJING) - procedures(SHANGHAI) == {"campaign"}, "a filing of Beijing's"
    assert index.statistics("2026-11", DESK, later).whole
    assert not index.statistics("2026-11", DESK, at("2026-11-30 23:59")).whole, "it is not over"
    assert not index.statistics("2026-11", DESK, later + KEPT_MS).whole, "cases of it are gone"
    assert index.statistics("2031-01", DESK, later).rows == ()


@pytest.mark.parametrize("time", [0, (1 << 53) - 1])
def test_what_no_calendar_has_is_not_counted(time: int) -> None:
    told = complained("1", at("2026-11-01 10:00"), at=1)
    view = msgspec.json.decode(told.views[-1], type=CaseView)
    case = msgspec.structs.replace(case_of(view), complaint=msgspec.structs.replace(pools.COMPLAINT, time=time))
    counted = indexed(encode(msgspec.structs.replace(view, body=msgspec.Raw(encode(case))))).counted
    assert [one.month for one in counted] == (["1970-01"] if time == 0 else [])
