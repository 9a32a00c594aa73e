"""What a list is searched by, against a plain filter over every case; and what a search tells nobody: pure."""

from collections.abc import Mapping
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.api import case_index, search
from stream.enforce.api.auth import Caller, Jurisdiction, Role
from stream.enforce.api.case_index import CaseIndex
from stream.enforce.api.indexed_case import indexed
from stream.enforce.api.number_index import NumberIndex
from stream.enforce.api.responses import Problem
from stream.enforce.api.search import CaseQuery
from stream.enforce.procedures.campaign import CampaignCase
from stream.enforce.procedures.case_work import Assigned, Noted, with_work
from stream.enforce.procedures.complaint import ComplaintCase
from stream.enforce.procedures.engine import Case
from stream.enforce.procedures.measure import MeasureCase
from stream.model.cases import CaseView, ClockDue
from stream.model.codec import encode
from stream.model.control import Complaint, Filing, Finding, Party
from stream.model.fields import Channel
from stream.model.registry import NumberEntry, Sender
from stream.registry.registry import Registry
from tests.enforce.procedures.world import NOW, TERMS
from tests.work import instructions

DESK, CENTRE = Caller("desk", "desk:17"), Caller("centre", "centre:2")
AGENT = Caller("subscriber-agent", "agent:5", ("+86138",))
SENDER, AUDITOR = Caller("sender", "org-9", ("ORG-9",)), Caller("read-only", "auditor:1")
BEIJING = Caller("regulator", "regulator:3", (), Jurisdiction("province", "110000"))
SHANGHAI = Caller("regulator", "regulator:4", (), Jurisdiction("province", "310000"))
COUNTRY = Caller("regulator", "regulator:5", (), Jurisdiction("national", "000000"))

USERS = ("+8613800138000", "+8613800138001", "+8613900139000")
PORTS = ("1069012345", "106901", "+8613700137000")
TEXTS = ("贷款", "Loan now", '"', "loan\\now")


def row(case: Case, procedure: str, *, party: Party | None = None, due: tuple[ClockDue, ...] = ()) -> bytes:
    return encode(CaseView(case.case, procedure, "any", 1, NOW, msgspec.Raw(encode(case)), due, party))


def complaint(
    name: str, user: str = USERS[0], port: str = PORTS[0], text: str = TEXTS[0], *, at: int = 1, to: str | None = None
) -> bytes:
    stated = Complaint(name, at, subscriber=user, channel="sms", from_=port, text=text)
    work = None if to is None else with_work(None, Assigned("desk", to), NOW)
    case = ComplaintCase(case=f"C-{name}", complaint=stated, work=work)
    return row(case, "complaint", party=Party(number=port))


def measure(name: str, number: str = PORTS[0]) -> bytes:
    found = Finding(name, 1, Party(number=number), "refusals", "early-warning")
    case = MeasureCase(case=f"M-{name}", finding=found)
    return row(case, "measure", party=found.party, due=(ClockDue("grace", 5),))


def filing(name: str, region: str) -> bytes:
    return row(
        CampaignCase(case=f"P-{name}", filing=Filing(name, 1, body_region=region, numbers=("106901",))), "campaign"
    )


def index_of(*rows: bytes) -> CaseIndex:
    index = CaseIndex(kept_ms=1_000)
    index.load(map(indexed, rows))
    return index


def pages(index: CaseIndex, caller: Caller, registry: Registry | None = None, **stated: str) -> list[str]:
    """All pages of what is asked for, put together."""
    cases, after = list[str](), ""
    while True:
        query = search.asked({**stated, "after": after, "limit": stated.get("limit", "2")}, TERMS, NOW, caller)
        lines, more = index.page(query, caller, search.found(query, TERMS.numbering, registry))
        cases += [line.case for line in lines]
        if more is None:
            return cases
        after = more


def refused(caller: Caller, **stated: str) -> str:
    with pytest.raises(Problem) as raised:
        search.asked(stated, TERMS, NOW, caller)
    faults = [fault.field for fault in raised.value.refusal.faults]
    return f"{raised.value.status} {' '.join(faults) or raised.value.refusal.reason}"


KNOWN = st.tuples(
    st.sampled_from(USERS),
    st.sampled_from(PORTS),
    st.sampled_from(TEXTS),
    st.integers(0, 3),
    st.sampled_from((None, "desk:17", "desk:18")),
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "subscriber": st.sampled_from(USERS),
        "number": st.sampled_from(("+86138", "138", "1069", "106901", "106 9012345", "+8613700137000", "999")),
        "text": st.sampled_from(("贷", "LOAN", '"', "\\n", "1380")),
        "received_from": st.just("1795000000002"),
        "received_before": st.just("1795000000002"),
        "assigned": st.sampled_from(("desk:17", "desk:19")),
        "party": st.sampled_from((f"number|{PORTS[0]}", "number|95588")),
        "ended": st.just("true"),
    },
)


@given(
    known=st.lists(KNOWN, max_size=12),
    put_last=st.integers(0, 12),
    stated=QUERIES,
    caller=st.sampled_from((DESK, CENTRE, AGENT)),
    few_max=st.sampled_from((0, 5_000)),
)
def test_a_search_finds_what_a_plain_filter_finds(
    known: list[tuple[str, str, str, int, str | None]],
    put_last: int,
    stated: dict[str, str],
    caller: Caller,
    few_max: int,
) -> None:
    if caller is AGENT:
        stated.pop("assigned", None)
    rows = [
        complaint(str(n), user, port, text, at=1_795_000_000_000 + at, to=to)
        for n, (user, port, text, at, to) in enumerate(known)
    ]
    index = CaseIndex(kept_ms=1_000, few_max=few_max)
    index.load(map(indexed, rows[put_last:]))
    for data in (*rows[:put_last], *rows[:put_last]):
        index.put(indexed(data))

    def is_asked_for(user: str, port: str, text: str, at: int, to: str | None) -> bool:
        begins = stated.get("number", "").replace(" ", "")
        words = (user, port, text, *((to,) if to and caller is DESK else ()))
        return (
            (caller is not AGENT or user.startswith("+86138"))
            and stated.get("subscriber") in (None, user)
            and any(one.startswith((begins, f"+86{begins}")) for one in (user, port))
            and any(stated.get("text", "").lower() in word.lower() for word in words)
            and ("received_from" not in stated or at >= 2)
            and ("received_before" not in stated or at < 2)
            and ("assigned" not in stated or (caller is DESK and to == stated["assigned"]))
            and stated.get("party") in (None, f"number|{port}")
        )

    wanted = [f"C-{n}" for n, one in enumerate(known) if is_asked_for(*one)]
    assert sorted(pages(index, caller, None, **stated)) == sorted(wanted)


def test_a_number_leads_to_the_cases_of_its_owner_and_to_its_own() -> None:
    channels: tuple[tuple[str, Channel], ...] = (("ORG-9", "sms"), ("ORG-1", "call"))
    entries = {name: (NumberEntry(PORTS[0], channel, ("commercial",)),) for name, channel in channels}
    owned = Registry()
    owned.apply(Sender(name, name, "95588", "active", numbers) for name, numbers in entries.items())
    rows = [
        row(ComplaintCase(case="C-1"), "complaint", party=Party(sender="ORG-9")),
        row(ComplaintCase(case="C-2"), "complaint", party=Party(sender="ORG-1")),
        row(ComplaintCase(case="C-3"), "complaint", party=Party(sender="ORG-2")),
        complaint("4"),
    ]
    index = index_of(*rows)
    assert pages(index, DESK, owned, owner_of="10690 12345") == ["C-1", "C-2", "C-4"]
    assert pages(index, DESK, owned, owner_of="95588") == []


def test_mine_is_what_is_in_the_callers_own_hands_and_nobodys_what_is_in_none_of_its_office() -> None:
    rows = [complaint("1", to="desk:17"), complaint("2", to="desk:18"), complaint("3")]
    index = index_of(*rows)
    assert pages(index, DESK, mine="true") == ["C-1"]
    assert pages(index, DESK, unassigned="true") == ["C-3"]
    assert pages(index, DESK, assigned="desk:18") == pages(index, COUNTRY, assigned="desk:18") == ["C-2"]
    assert pages(index, CENTRE, assigned="desk:18") == [], "the desk's business"
    assert pages(index, CENTRE, unassigned="true") == ["C-1", "C-2", "C-3"]
    handed_over = complaint("1", to="desk:18")
    index.put(indexed(handed_over))
    assert (pages(index, DESK, mine="true"), pages(index, DESK, assigned="desk:18")) == ([], ["C-1", "C-2"])
    assert refused(DESK, mine="true", assigned="desk:18") == "400 assigned"


def test_an_administration_finds_people_in_no_case_of_another_province() -> None:
    index = index_of(filing("1", "110100"), filing("2", "310000"), filing("3", "000000"), complaint("4", port="106901"))
    assert pages(index, BEIJING, number="106901") == ["C-4", "P-1"]
    assert pages(index, SHANGHAI, number="106901") == ["C-4", "P-2"]
    assert pages(index, COUNTRY, number="106901") == ["C-4", "P-1", "P-2", "P-3"]
    assert len(pages(index, BEIJING)) == 4, "its list is what it was"


@pytest.mark.parametrize("role", get_args(Role))
def test_whoever_may_not_see_numbers_searches_by_none(role: Role) -> None:
    caller = Caller(role, "somebody", ("ORG-9",) if role == "sender" else ("+86138",))
    whole: tuple[Mapping[str, str], ...] = (
        {"subscriber": USERS[0]},
        {"number": "138"},
        {"owner_of": PORTS[0]},
        {"party": f"number|{PORTS[0]}"},
        {"text": "call 1-3-8-0"},
        {"text": "١٣٨٠"},
    )
    for stated in whole:
        if role in search.SEES_NUMBERS:
            search.asked(stated, TERMS, NOW, caller)
        else:
            assert refused(caller, **stated).startswith("403")
    search.asked({"text": "138", "party": "sender|ORG-9"}, TERMS, NOW, caller)
    for held in ({"assigned": "desk:17"}, {"mine": "true"}, {"unassigned": "true"}):
        if role in ("sender", "subscriber-agent"):
            assert refused(caller, **held).startswith("403")


def test_a_text_is_found_in_what_the_caller_is_shown_alone() -> None:
    noted = with_work(None, Noted("the pensioner", "centre"), NOW)
    said = Complaint("1", 1, subscriber=USERS[0], text="call the bank at 010 8765 4321")
    index = index_of(row(ComplaintCase(case="C-1", complaint=said, work=noted), "complaint"))
    for caller in (CENTRE, COUNTRY, AUDITOR):
        assert pages(index, caller, text="PENSIONER") == ["C-1"]
    for caller in (DESK, AGENT):
        assert pages(index, caller, text="pensioner") == [], "another office's note"
        assert pages(index, caller, text="the bank") == ["C-1"]
    assert pages(index, DESK, text="8765 4321") == ["C-1"]
    assert pages(index, AUDITOR, text="432") == [], "it is masked"
    assert pages(index, DESK, text="subscriber") == [], "a field is no text of the case"


def test_what_is_no_number_and_no_moment_is_a_fault() -> None:
    assert (
        refused(DESK, number="13", subscriber="95588", received_from="1795500000")
        == "400 received_from subscriber number"
    )
    assert refused(DESK, text="x" * 101) == "400 text"
    assert refused(DESK, party="sender|ORG-9", owner_of="1069") == "400 owner_of"


def test_a_page_looks_at_so_many_cases_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(*(complaint(f"{n:02}", text="yes" if n == 17 else "no") for n in range(20)))
    monkeypatch.setattr(case_index, "LOOKED_AT_MAX", 5)
    query = CaseQuery(text="yes")
    assert index.page(query, DESK)[0] == []
    assert index.page(query, DESK)[1] is not None
    assert pages(index, DESK, text="yes") == ["C-17"]
    monkeypatch.setattr(case_index, "READ_MAX", 3)
    assert pages(index, AUDITOR, text="yes") == ["C-17"]


@pytest.mark.parametrize(
    "stated",
    [
        {"party": f"number|{PORTS[0]}"},
        {"number": "1069"},
        {"subscriber": "+8613800138009"},
        {"text": "贷"},
        {"assigned": "desk:17"},
    ],
)
def test_a_bodys_search_takes_no_time_for_what_is_not_its_business(stated: dict[str, str]) -> None:
    """Nor does it lose its own cases behind those that it may not see."""

    def work(measures: int) -> int:
        index = index_of(complaint("1"), *(measure(f"{n}") for n in range(measures)))
        query = search.asked(stated, TERMS, NOW, CENTRE)
        found = search.found(query, TERMS.numbering)
        lines, _ = index.page(query, CENTRE, found)
        assert [line.case for line in lines] == (["C-1"] if stated.keys() & {"party", "number", "text"} else [])
        return instructions(lambda: index.page(query, CENTRE, found))

    assert work(600) == work(4)


@given(
    numbers=st.lists(st.tuples(st.text("123", min_size=1, max_size=4), st.integers(0, 5)), max_size=20),
    removed=st.lists(st.integers(0, 19), max_size=10),
    prefix=st.text("123", max_size=3),
    most=st.integers(0, 6),
)
def test_numbers_are_found_by_how_they_begin(
    numbers: list[tuple[str, int]], removed: list[int], prefix: str, most: int
) -> None:
    index, known = NumberIndex(), set[tuple[str, str]]()
    for number, case in numbers:
        index.add((number,), str(case))
        known.add((number, str(case)))
    for place in removed:
        if place < len(numbers) and (numbers[place][0], str(numbers[place][1])) in known:
            index.remove((numbers[place][0],), str(numbers[place][1]))
            known.discard((numbers[place][0], str(numbers[place][1])))
    wanted = {case for number, case in known if number.startswith(prefix)}
    found = index.beginning(prefix, most=most)
    if found is None:
        assert len(known) > most, "there may be more"
    else:
        assert found == wanted
