"""Forms that people fill in: what is well formed is kept, what is not is asked for, and nothing of it is lost."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.enforce.cases import decoding
from stream.enforce.procedures import campaign, fitness, forms
from stream.enforce.procedures.campaign import CampaignCase, Filed
from stream.enforce.procedures.complaint import PROCEDURE, Complained, ComplaintCase, ComplaintState, missing
from stream.enforce.procedures.effects import SendNotice, WriteCampaign
from stream.enforce.procedures.engine import Stepped, advance
from stream.enforce.procedures.forms import SENDER, Wrong
from stream.model.codec import Undecodable, encode
from stream.model.control import Complaint, Filing
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import NOW, TERMS, act, took

READING = forms.FormContext(TERMS.numbering, NOW)
OURS = {"kind": "complaint", "complaint": "C-1", "time": NOW}
NUMBER = Wrong("subscriber", forms.PERSON)


def read(**fields: object) -> forms.Filled[Complaint]:
    return forms.read(Complaint, msgspec.json.encode({**OURS, **fields}), made=decoding.MADE, reading=READING)


def test_a_form_without_fault_is_the_record_that_it_is() -> None:
    assert forms.read(Complaint, encode(pools.COMPLAINT), made=decoding.MADE, reading=READING) == (
        pools.COMPLAINT,
        (),
    )


def file(**fields: object) -> forms.Filled[Filing]:
    ours = {"kind": "filing", "filing": "P-1", "time": NOW}
    return forms.read(Filing, msgspec.json.encode({**ours, **fields}), made=decoding.MADE, reading=READING)


def test_what_is_ill_formed_is_named_with_its_form_and_the_rest_is_kept() -> None:
    said = read(subscriber="+8613800138004.0", channel="fax", at="yesterday", evidence=["E-1", 7], text="贷款")
    assert said.record == Complaint(complaint="C-1", time=NOW, text="贷款")
    assert {str(one) for one in said.wrong} == {
        str(NUMBER),
        "channel: not one of call, sms",
        "at: not milliseconds since the epoch, UTC",
        "evidence: not a list, each a text",
    }


def test_a_filing_is_read_like_a_complaint() -> None:
    assert forms.read(Filing, encode(pools.FILING), made=decoding.MADE, reading=READING) == (pools.FILING, ())
    said = file(**{"from": "2026-10-20", "regions": "110000", "volume": -1, "level": "village", "emergency": "yes"})
    assert said.record == Filing(filing="P-1", time=NOW)
    assert {str(one) for one in said.wrong} == {
        "from: not milliseconds since the epoch, UTC",
        "regions: not a list, each a text",
        "volume: not an integer",
        "level: not one of autonomous-prefecture, city-with-districts, county, national, other, province, township",
        "emergency: not true or false",
    }


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("13800138000", "+8613800138000"),
        ("138-0013-8000", "+8613800138000"),
        ("０１０-８７６５４３２１", "+861087654321"),
        ("tel:+86-138-0013-8000", "+8613800138000"),
        ("+447911123456", "+447911123456"),
    ],
)
def test_a_persons_number_is_kept_as_read_however_it_was_written(written: str, kept: str) -> None:
    assert read(subscriber=written) == (Complaint(complaint="C-1", time=NOW, subscriber=kept), ())


@pytest.mark.parametrize("written", ["010-87654326-12", "+86 86 13800138000", "+13800138000", "10086", "somebody"])
def test_what_is_no_persons_number_is_asked_for_and_never_made_to_fit(written: str) -> None:
    assert read(subscriber=written) == (Complaint(complaint="C-1", time=NOW), (NUMBER,))


@pytest.mark.parametrize(
    ("channel", "written", "kept"),
    [
        ("sms", "+861069012345", "1069012345"),
        ("call", "+861069012345", "+861069012345"),
        ("call", "+86-95588", "95588"),
        ("sms", "app:bank.v2", "app:bank.v2"),
    ],
)
def test_where_a_message_came_from_is_kept_as_the_channel_reads_it(channel: str, written: str, kept: str) -> None:
    assert read(channel=channel, **{"from": written}).record.from_ == kept


@pytest.mark.parametrize("at", [1_600_394_400, 1_600_394_400_000_000, NOW + 86_400_001, 0])
def test_a_time_that_nobody_can_have_meant_is_asked_for(at: int) -> None:
    said = read(at=at)
    assert said.record.at is None
    assert [one.field for one in said.wrong] == ["at"]


def test_a_campaign_may_be_filed_for_years_ahead_and_no_more() -> None:
    year = 365 * 86_400_000
    assert file(**{"from": NOW + 9 * year, "until": NOW + 9 * year + 1}).wrong == ()
    assert [one.field for one in file(until=NOW + 11 * year).wrong] == ["until"]


def test_prefixes_of_a_campaign_with_which_no_number_begins_are_asked_for() -> None:
    assert file(numbers=["10086", "106900", "95588"]).wrong == ()
    assert file(numbers=["10086", "13"]).wrong == (Wrong("numbers", forms.PREFIXES),)


def test_what_exceeds_a_limit_is_asked_for_again() -> None:
    said = read(text="x" * 40_001, evidence=["e" * 4_000], sender="s" * 257)
    assert said.record == Complaint(complaint="C-1", time=NOW, evidence=("e" * 4_000,))
    assert {str(one) for one in said.wrong} == {
        "text: not within its limit of 40,000 characters",
        "sender: not within its limit of 256 characters",
    }


def test_nobody_complains_of_every_sender_at_once() -> None:
    for name in ("*", "a|b"):  # a refusal's key is made of it
        assert read(sender=name).wrong == (Wrong("sender", SENDER),)


@pytest.mark.parametrize("ours", [{"complaint": 7}, {"time": "now"}, {"kind": "appeal"}, {"actor": 1}, {"refusal": 1}])
def test_what_no_person_fills_in_is_a_programs_fault(ours: dict[str, object]) -> None:
    with pytest.raises(Undecodable):
        read(**ours)


@pytest.mark.parametrize("ours", [{"filing": 7}, {"time": "now"}, {"kind": "complaint"}, {"actor": 1}])
def test_what_no_person_fills_in_of_a_filing_is_a_programs_fault(ours: dict[str, object]) -> None:
    with pytest.raises(Undecodable):
        file(**ours)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_form_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(Undecodable):
        forms.read(Complaint, data, made=decoding.MADE, reading=READING)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
filled = st.fixed_dictionaries(
    {},
    optional={
        "subscriber": json | st.just("+8613800138000"),
        "channel": json | st.just("sms"),
        "from": json | st.just("1069012345"),
        "sender": json | st.sampled_from(("ORG-9", "*")),
        "at": json | st.just(NOW),
        "text": json,
        "evidence": json | st.just(["E-1"]),
    },
)


@given(filled, filled)
def test_whatever_people_fill_in_is_asked_for_until_it_is_whole(
    first: dict[str, object], more: dict[str, object]
) -> None:
    case = ComplaintCase(case="C-1")
    for words in (first, more):
        said = Complained(*read(**words))
        stated = {name for name, value in words.items() if value not in (None, "")}
        assert {one.field for one in said.wrong} <= stated
        taken = advance(PROCEDURE, case, said, NOW, TERMS)
        if case.state == ComplaintState.RECEIVED:
            assert not isinstance(taken, Stepped)
            return
        before = case
        case, effects = took(taken)
        assert case.complaint is not None
        lacking = missing(case.complaint, case.wrong)
        assert (case.state == ComplaintState.INCOMPLETE) == bool(lacking)
        if effects and lacking:
            assert act(effects, SendNotice).notice.missing == lacking
        else:
            assert effects or (before.complaint, before.wrong) == (case.complaint, case.wrong), "it was asked before"


def test_what_was_wrong_is_asked_for_once_and_mended_by_what_is_right() -> None:
    bad = Complained(msgspec.structs.replace(pools.COMPLAINT, subscriber=None), (NUMBER,))
    case, effects = took(advance(PROCEDURE, ComplaintCase(case="C-1"), bad, NOW, TERMS))
    notice = act(effects, SendNotice).notice
    assert (case.state, notice.to, notice.missing) == (ComplaintState.INCOMPLETE, "complaint|C-1", (str(NUMBER),))
    case, effects = took(
        advance(PROCEDURE, case, Complained(Complaint(complaint="C-1", time=NOW), (NUMBER,)), NOW, TERMS)
    )
    assert act(effects, SendNotice).notice.missing == (str(NUMBER),)
    good = Complaint(complaint="C-1", time=NOW, subscriber=pools.SUBSCRIBER)
    case = took(advance(PROCEDURE, case, Complained(good), NOW, TERMS)).case
    assert (case.state, case.complaint, case.wrong) == (ComplaintState.RECEIVED, pools.COMPLAINT, ())


written = msgspec.to_builtins(pools.FILING)
applied = st.fixed_dictionaries(
    {},
    optional={
        name: json | st.just(value)
        for name, value in {**written, "emergency": True, "exempt": "notice 5"}.items()
        if name not in ("kind", "filing", "time", "sender_problem", "actor")
    },
)


@given(applied, applied)
def test_whatever_a_body_files_is_answered_with_what_is_wrong(
    first: dict[str, object], more: dict[str, object]
) -> None:
    case = CampaignCase(case="P-1")
    for words in (first, more):
        said = Filed(*file(**words))
        before, taken = case, advance(campaign.PROCEDURE, case, said, NOW, TERMS)
        if before.state in (
            campaign.CampaignState.WEIGHING,
            campaign.CampaignState.SENT_FIRST,
            campaign.CampaignState.SETTLED,
        ):
            return
        case, effects = took(taken)
        assert case.filing is not None
        lacking = fitness.missing(case.filing, case.wrong)
        unfit = before.state in campaign.ASKED and not effects
        if unfit:
            assert (before.filing, before.wrong) == (case.filing, case.wrong), "it was asked before"
        elif case.state == campaign.CampaignState.INCOMPLETE:
            assert lacking
            asked = act(effects, SendNotice).notice.missing
            assert asked[: len(lacking)] == lacking
            assert all(one.startswith("until: ") for one in asked[len(lacking) :])
        elif case.state != campaign.CampaignState.SENT_FIRST:
            assert not lacking


def test_what_was_wrong_in_a_filing_is_asked_for_and_mended_by_what_is_right() -> None:
    bad = Filed(msgspec.structs.replace(pools.FILING, from_=None), (Wrong("from", "milliseconds"),))
    case, effects = took(advance(campaign.PROCEDURE, CampaignCase(case="P-1"), bad, NOW, TERMS))
    notice = act(effects, SendNotice).notice
    assert (case.state, notice.to, notice.missing) == ("incomplete", "campaign|P-1", ("from: not milliseconds",))
    bare = Filing(filing="P-1", time=NOW)
    assert took(advance(campaign.PROCEDURE, case, Filed(bare), NOW, TERMS)).effects == (), "it was asked before"
    again = took(advance(campaign.PROCEDURE, case, Filed(bare, bad.wrong), NOW, TERMS))
    assert act(again.effects, SendNotice).notice.missing == notice.missing, "what is wrong again is answered again"
    good = Filed(msgspec.structs.replace(bare, from_=pools.FILING.from_))
    case = took(advance(campaign.PROCEDURE, case, good, NOW, TERMS)).case
    assert (case.state, case.filing, case.wrong) == ("weighing", pools.FILING, ())


def test_a_box_that_was_ill_formed_is_no_where_the_next_filing_does_not_tick_it() -> None:
    bad = Filed(pools.FILING, (Wrong("emergency", "true or false"),))
    case = took(advance(campaign.PROCEDURE, CampaignCase(case="P-1"), bad, NOW, TERMS)).case
    assert case.state == "incomplete"
    assert took(advance(campaign.PROCEDURE, case, Filed(pools.FILING), NOW, TERMS)).case.state == "weighing"


@pytest.mark.parametrize("field", ["regions", "numbers", "body_region"])
def test_an_emergency_never_reaches_further_than_its_body_meant(field: str) -> None:
    """What it says of where and by which numbers must be readable; what it owes may be ill-formed, and is owed."""
    wrong = (Wrong(field, "as it must be"),)
    held = took(advance(campaign.PROCEDURE, CampaignCase(case="P-1"), Filed(pools.EMERGENCY, wrong), NOW, TERMS))
    assert held.case.state == "incomplete"
    assert str(wrong[0]) in act(held.effects, SendNotice).notice.missing
    mended = took(advance(campaign.PROCEDURE, held.case, Filed(pools.EMERGENCY), NOW, TERMS))
    assert mended.case.state == "sent-first"

    sent = took(
        advance(
            campaign.PROCEDURE, CampaignCase(case="P-1"), Filed(pools.EMERGENCY, (Wrong("volume", "x"),)), NOW, TERMS
        )
    )
    assert sent.case.state == "sent-first"
    assert act(sent.effects, WriteCampaign).campaign.regions == pools.EMERGENCY.regions
    assert sent.case.wrong, "it is still owed"
    assert took(advance(campaign.PROCEDURE, sent.case, Filed(pools.FILING), NOW, TERMS)).case.wrong == ()
