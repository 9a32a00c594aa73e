"""The casebook against a list that is sorted anew for every question: pure."""

from dataclasses import dataclass, replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.enforce.api.auth import Caller
from stream.enforce.api.case_index import DISPUTED_KEPT_MS, CaseIndex
from stream.enforce.api.indexed_case import IndexedCase, indexed, is_expired, next_due
from stream.enforce.api.search import CaseQuery
from stream.enforce.procedures.complaint import ComplaintCase, ComplaintState
from stream.enforce.procedures.dispute import DisputeCase
from stream.enforce.procedures.measure import MeasureCase, MeasureState
from stream.model.cases import CaseView, ClockDue
from stream.model.codec import encode
from stream.model.control import Complaint, Dispute, Finding, Party
from tests.work import instructions

DESK = Caller("desk", "desk:17")
SENDER = Caller("sender", "org-9", ("ORG-9",))
AGENT = Caller("subscriber-agent", "agent:5", ("+86138",))
OTHER_AGENT = Caller("subscriber-agent", "agent:6", ("+86139",))

KEPT_MS = 1_000
ENDED = ("answered", "disputed")
STATES = ("received", "forwarded", "answered")


@dataclass(frozen=True)
class Known:
    """What the obvious model keeps of a case."""

    case: str
    state: str
    due: int | None
    subscriber: str
    updated: int = 1


def complaint(known: Known) -> bytes:
    said = Complaint(known.case[2:], 1, subscriber=known.subscriber, sender="ORG-9")
    body = ComplaintCase(case=known.case, state=ComplaintState(known.state), complaint=said)
    clocks = () if known.due is None else (ClockDue("forward", known.due),)
    return encode(
        CaseView(
            case=known.case,
            procedure="complaint",
            state=known.state,
            step=1,
            updated=known.updated,
            body=msgspec.Raw(encode(body)),
            due=clocks,
            party=Party(sender="ORG-9"),
            ended=known.state in ENDED,
        )
    )


def measure(case: str, sender: str) -> bytes:
    finding = Finding(case[2:], 1, Party(sender=sender), "refusals", "early-warning")
    body = MeasureCase(case=case, state=MeasureState.WARNED, finding=finding)
    return encode(
        CaseView(
            case=case,
            procedure="measure",
            state="warned",
            step=1,
            updated=1,
            body=msgspec.Raw(encode(body)),
            due=(ClockDue("grace", 5),),
            party=finding.party,
        )
    )


knowns = st.builds(
    Known,
    case=st.integers(0, 30).map("C-{}".format),
    state=st.sampled_from(STATES),
    due=st.none() | st.integers(0, 5),
    subscriber=st.sampled_from(("+8613800138000", "+8613900139000")),
)


@given(
    changes=st.lists(knowns, max_size=40),
    loaded=st.integers(0, 40),
    dropped=st.sets(st.integers(0, 30).map("C-{}".format), max_size=5),
    limit=st.integers(1, 5),
    state=st.none() | st.sampled_from(STATES),
    due_before=st.none() | st.integers(0, 6),
    ended=st.booleans(),
    caller=st.sampled_from((DESK, AGENT, SENDER)),
    few_max=st.sampled_from((0, 5_000)),
)
def test_pages_put_together_are_what_sorting_everything_gives(
    *,
    changes: list[Known],
    loaded: int,
    dropped: set[str],
    limit: int,
    state: str | None,
    due_before: int | None,
    ended: bool,
    caller: Caller,
    few_max: int,
) -> None:
    index = CaseIndex(kept_ms=KEPT_MS, few_max=few_max)
    first = {one.case: one for one in changes[:loaded]}
    index.load(indexed(complaint(one)) for one in first.values())
    for one in changes[loaded:]:
        index.put(indexed(complaint(one)))
    model = {one.case: one for one in changes}  # a later picture stands for the earlier
    for case in dropped:
        index.drop(case)
        model.pop(case, None)

    wanted = [
        one
        for one in model.values()
        if state in (None, one.state)
        and (ended or one.state != "answered")
        and (due_before is None or (one.state != "answered" and one.due is not None and one.due < due_before))
        and (caller is DESK or (caller is AGENT and one.subscriber.startswith("+86138")))
    ]
    never = 1 << 60
    ordered = sorted((never if one.state == "answered" or one.due is None else one.due, one.case) for one in wanted)

    found, after = list[str](), None
    for _ in range(50):
        lines, after = index.page(
            CaseQuery(state=state, due_before=due_before, ended=ended, limit=limit, after=after), caller
        )
        found += [line.case for line in lines]
        assert len(lines) == limit or after is None
        if after is None:
            break
    assert found == [case for _, case in ordered]


def test_a_sender_sees_what_is_held_against_it_and_never_who_complained() -> None:
    index = CaseIndex(kept_ms=KEPT_MS)
    complained = Known("C-1", "received", 1, "+8613800138000")
    index.load(indexed(data) for data in (complaint(complained), measure("M-1", "ORG-9"), measure("M-2", "ORG-1")))
    assert [line.case for line in index.page(CaseQuery(), SENDER)[0]] == ["M-1"]
    assert [line.case for line in index.page(CaseQuery(), AGENT)[0]] == ["C-1"]
    assert len(index.page(CaseQuery(), DESK)[0]) == 3
    assert index.view("C-1", SENDER) is None
    assert index.view("M-1", AGENT) is None
    assert index.view("M-1", SENDER) is not None


@given(
    changes=st.lists(st.builds(lambda known, at: replace(known, updated=at), knowns, st.integers(1, 50)), max_size=40),
    loaded=st.integers(0, 40),
    now=st.integers(1_000, 1_060),
)
def test_what_has_ended_leaves_after_its_time_and_nothing_else_does(
    *, changes: list[Known], loaded: int, now: int
) -> None:
    index = CaseIndex(kept_ms=KEPT_MS)
    first = {one.case: one for one in changes[:loaded]}
    index.load(indexed(complaint(one)) for one in first.values())
    for one in changes[loaded:]:
        index.put(indexed(complaint(one)))
    index.remove_expired(now)
    kept = {one.case for one in {one.case: one for one in changes}.values() if not _over(one, now)}
    assert len(index) == len(kept)
    assert {line.case for line in index.page(CaseQuery(ended=True, limit=500), DESK)[0]} == kept
    assert all((index.view(one.case, DESK) is not None) == (one.case in kept) for one in changes)
    for one in changes:
        assert is_expired(complaint(one), by=now - KEPT_MS) == _over(one, now)


def _over(known: Known, now: int) -> bool:
    return known.state == "answered" and known.updated + KEPT_MS <= now


def test_a_complaint_is_kept_as_long_as_the_dispute_about_it() -> None:
    """Whose the dispute is, the complaint alone knows."""
    index = CaseIndex(kept_ms=KEPT_MS)
    complained = complaint(Known("C-1", "disputed", None, "+8613800138000"))
    index.load(indexed(data) for data in (complained, dispute("D-1", "C-1", ended=None)))
    assert not is_expired(complained, by=5_000), "it may be needed"
    index.remove_expired(5_000)
    assert index.view("D-1", AGENT) is not None

    index.put(indexed(dispute("D-1", "C-1", ended=6_000)))
    index.remove_expired(6_000 + KEPT_MS)
    assert (len(index), index.view("D-1", AGENT)) == (1, None)
    index.remove_expired(5_000 + DISPUTED_KEPT_MS)
    assert len(index) == 0


def dispute(case: str, about: str, *, ended: int | None) -> bytes:
    taken = Dispute(case[2:], 1, complaint=about, party=Party(sender="ORG-9"))
    body = DisputeCase(case=case, dispute=taken)
    updated = ended or 1
    picture = CaseView(case, "dispute", "received", 1, updated, msgspec.Raw(encode(body)), ended=ended is not None)
    return encode(picture)


def test_what_is_due_is_what_runs_and_else_what_was_missed_last() -> None:
    runs, missed, older = ClockDue("answer", 9), ClockDue("report", 5, breached=True), ClockDue("f", 3, breached=True)
    assert next_due((runs, missed)) == 9
    assert next_due((missed, older)) == 5
    assert next_due(()) > 1 << 52


def _works(about: int, *, by: Caller, **query: object) -> int:
    """What a caller's list takes where so many complaints stand about a sender, none of which it may see."""
    index = CaseIndex(kept_ms=KEPT_MS)
    own = (measure("M-1", "ORG-9"), complaint(Known("C-own", "received", 1, "+8613800138000")))
    others = (complaint(Known(f"C-{n}", STATES[n % 2], n, f"+86177{n:08}")) for n in range(about))
    index.load(
        indexed(data) for data in (*own, *others, *(dispute(f"D-{n}", f"C-{n}", ended=None) for n in range(about)))
    )
    wanted = msgspec.convert(query, CaseQuery)
    return instructions(lambda: index.page(wanted, by))


@pytest.mark.parametrize(
    "query", [{}, {"party": "sender|ORG-9"}, {"due_before": 10}, {"party": "number|+8617700000001"}]
)
@pytest.mark.parametrize("caller", [SENDER, AGENT, Caller("sender", "none", ("ORG-NONE",))])
def test_a_lists_work_tells_nobody_what_it_may_not_see(caller: Caller, query: dict[str, object]) -> None:
    assert _works(2_000, by=caller, **query) == _works(4, by=caller, **query)


class Watched(CaseIndex):
    """Counts the rows that it looks at."""

    looked_at = 0

    def _visible(self, row: IndexedCase, caller: Caller) -> bool:
        self.looked_at += 1
        return super()._visible(row, caller)


def test_a_page_of_20_000_open_cases_looks_at_no_more_rows_than_it_shows_and_one() -> None:
    """What that takes is measured: `python -m loadtest.listing`."""
    index = Watched(kept_ms=KEPT_MS)
    index.load(_many(20_000))
    for wanted in (
        CaseQuery(),
        CaseQuery(procedure="complaint", state="forwarded", limit=500),
        CaseQuery(due_before=900_000, after="500000.C-5"),
        CaseQuery(state="none"),
        CaseQuery(breached=True),
        CaseQuery(party="sender|NOBODY"),
    ):
        for caller in (DESK, AGENT, OTHER_AGENT):
            index.looked_at = 0
            lines, _ = index.page(wanted, caller)
            assert index.looked_at <= len(lines) + 1


def _many(count: int) -> list[IndexedCase]:
    return [
        indexed(complaint(Known(f"C-{n}", STATES[n % 2], n * 7919 % 1_000_000, f"+86138{n:08}"))) for n in range(count)
    ]


@settings(max_examples=20)
@given(st.text(max_size=20))
def test_a_page_begins_at_the_beginning_after_what_is_no_cursor(after: str) -> None:
    index = CaseIndex(kept_ms=KEPT_MS)
    index.load([indexed(complaint(Known("C-1", "received", 1, "+8613800138000")))])
    lines, _ = index.page(CaseQuery(after=after), DESK)
    assert len(lines) <= 1
