"""The campaign procedure (Articles 25 to 27): what a filing must say, what is checked and weighed, what comes of it."""

import msgspec
import pytest

from stream.enforce.procedures import fitness
from stream.enforce.procedures.campaign import (
    PROCEDURE,
    CampaignCase,
    CampaignEvent,
    CampaignState,
    Filed,
    Weighed,
)
from stream.enforce.procedures.effects import SendNotice, WriteCampaign
from stream.enforce.procedures.engine import Stepped, advance
from stream.enforce.procedures.fitness import FaultKind
from stream.model.control import Filing, Level
from stream.model.registry import Campaign
from tests.enforce.procedures import pools
from tests.enforce.procedures.world import HOUR, MINUTE, NOW, TERMS, act, at, refused, took

NEW = CampaignCase(case="P-1")
FILED = Filed(pools.FILING)
APPROVE = Weighed("approve", "fit", pools.LIGHT)


def after(*events: CampaignEvent) -> Stepped[CampaignCase]:
    """The last step of these events, a minute apart."""
    done = Stepped(NEW, ())
    for count, event in enumerate(events):
        done = took(advance(PROCEDURE, done.case, event, NOW + count * MINUTE, TERMS))
    return done


def but(filing: Filing = pools.FILING, **changes: object) -> Filing:
    return msgspec.structs.replace(filing, **changes)


def test_a_fit_filing_is_weighed_and_an_approval_writes_the_campaign_with_its_numbers() -> None:
    weighing, effects = after(FILED)
    assert weighing.state == CampaignState.WEIGHING
    assert act(effects, WriteCampaign).campaign.status == "filed"
    approved, effects = after(FILED, APPROVE)
    assert approved.state == CampaignState.APPROVED
    assert act(effects, WriteCampaign).campaign == Campaign(
        campaign="P-1",
        status="approved",
        sender="GOV-110000-HEALTH",
        from_=at("2026-10-20 09:00"),
        until=at("2026-10-21 21:00"),
        text=pools.FILING.text or "",
        numbers=("10690012320",),
        contact="12320",
        regions=("110100",),
    )


@pytest.mark.parametrize(
    "filing", [pools.FILING, but(reason=None), but(level="county"), but(emergency=True, reason=None)]
)
def test_whoever_files_the_same_again_is_neither_answered_twice_nor_refused(filing: Filing) -> None:
    case, effects = after(Filed(filing), Filed(but(filing, time=7, actor="agent:6")))
    assert (effects, case.filing, case.step) == ((), filing, 2)


def test_the_desk_may_give_other_numbers_to_carry_it() -> None:
    given = msgspec.structs.replace(APPROVE, numbers=("10086",))
    assert act(after(FILED, given).effects, WriteCampaign).campaign.numbers == ("10086",)


def test_an_incomplete_filing_is_answered_with_all_that_is_missing() -> None:
    case, effects = after(Filed(Filing(filing="P-1", time=NOW)))
    assert case.state == CampaignState.INCOMPLETE
    assert act(effects, SendNotice).notice.missing == (
        "sender",
        "body",
        "body_region",
        "level",
        "subject",
        "reason",
        "text",
        "contact",
        "from",
        "until",
        "volume",
    )
    assert took(advance(PROCEDURE, case, FILED, NOW + HOUR, TERMS)).case.state == CampaignState.WEIGHING


BODY = "【北京市卫生健康委】12320 "

FAULTY: list[tuple[FaultKind, str, Filing]] = [
    ("body", "level: county; only departments of a government of a province or above file", but(level="county")),
    ("body", "level: township; only", but(level="township")),
    ("work-publicity", "subject: a body's own publicity", but(subject="work-publicity")),
    ("region", "body_region: 110000 (北京市) is of level province, not national", but(level="national")),
    ("region", "body_region: 990000 is no region's code", but(body_region="990000", regions=())),
    ("region", "regions: 119900 is no region's code", but(regions=("110101", "119900"))),
    ("outside-range", "regions: 310000 is outside 110000 (北京市)", but(regions=("310000",))),
    ("window", "until: after `from`, and at most 30 days later", but(until=pools.FILING.from_)),
    ("window", "until: after `from`, and at most 30 days later", but(until=at("2026-11-20 09:00"))),
    ("too-late", "from: 15 working days ahead is 2026-10-16 or later", but(from_=at("2026-10-15 23:59"))),
    ("too-long", "text: 71 characters of 70", but(text=BODY + "字" * (71 - len(BODY)))),
    ("too-long", "text: 72 characters of 70", but(text=BODY + "字" * (66 - len(BODY)) + "😀😀😀")),
    ("expands", "text: U+FDFA becomes 18 characters (NFKC)", but(text=BODY + "\ufdfa")),
    ("link", "text: link https://", but(text=BODY + "https://x")),
    ("link", "text: link www.例子", but(text=BODY + "ｗｗｗ．例子")),
    ("body-not-named", "text: does not name 北京市卫生健康委", but(text="请接种流感疫苗,咨询12320")),
    (
        "phone-not-named",
        "text: does not name the phone 12320",
        but(text="【北京市卫生健康委】请接种流感疫苗,咨询123200"),
    ),
]


@pytest.mark.parametrize(
    ("kind", "words", "filing"), FAULTY, ids=[f"{kind}-{place}" for place, (kind, *_) in enumerate(FAULTY)]
)
def test_a_faulty_filing_is_returned_with_the_fault_named_and_may_be_mended(
    kind: FaultKind, words: str, filing: Filing
) -> None:
    (fault,) = fitness.faults(filing, NOW, TERMS)
    assert fault.kind == kind
    assert str(fault).startswith(words)
    case, effects = after(Filed(filing))
    assert case.state == CampaignState.RETURNED
    assert act(effects, SendNotice).notice.missing == (str(fault),)
    assert took(advance(PROCEDURE, case, FILED, NOW + HOUR, TERMS)).case.state == CampaignState.WEIGHING


def test_seventy_characters_and_fifteen_working_days_are_enough() -> None:
    text = BODY + "字" * (70 - len(BODY))
    assert fitness.faults(but(text=text, from_=at("2026-10-16 00:00")), NOW, TERMS) == ()


def test_a_filing_whose_days_ahead_reach_into_a_year_that_nobody_announced_is_told_so() -> None:
    assert fitness.uncertain_lead(pools.FILING, NOW, TERMS) is None
    december = at("2040-12-20 10:00")
    said = fitness.uncertain_lead(pools.FILING, december, TERMS)
    assert said == "the 15 working days ahead reach into a year whose make-up days are not announced, and may end later"
    assert fitness.uncertain_lead(pools.EMERGENCY, december, TERMS) is None, "it goes out first"


@pytest.mark.parametrize(
    ("level", "region", "body", "may"),
    [
        ("national", "000000", "国家卫生健康委", True),
        ("province", "330000", "浙江省应急管理厅", True),
        ("province", "330000", "浙江省人民政府", False),
        ("city-with-districts", "330100", "杭州市人民政府", True),
        ("city-with-districts", "330100", "杭州市卫生健康委", False),
        ("autonomous-prefecture", "532900", "大理白族自治州人民政府", True),
        ("autonomous-prefecture", "532900", "大理白族自治州公安局", False),
    ],
)
def test_who_may_file_is_one_of_two_kinds_of_body(level: Level, region: str, body: str, may: bool) -> None:  # noqa: FBT001
    filing = but(level=level, body_region=region, body=body, regions=(), text=f"【{body}】请注意12320")
    assert [fault.kind for fault in fitness.faults(filing, NOW, TERMS)] == ([] if may else ["body"])


@pytest.mark.parametrize(
    ("level", "region"),
    [
        ("city-with-districts", "441900"),  # Dongguan has no districts
        ("city-with-districts", "532900"),
        ("autonomous-prefecture", "330100"),
        ("city-with-districts", "152200"),  # a league has an office, no people's government
        ("province", "330100"),
    ],
)
def test_a_bodys_region_fits_its_level(level: Level, region: str) -> None:
    kinds = {fault.kind for fault in fitness.faults(but(level=level, body_region=region, regions=()), NOW, TERMS)}
    assert "region" in kinds


@pytest.mark.parametrize(
    ("own", "regions", "inside"),
    [
        ("110000", ("110101",), True),
        ("110000", (), True),
        ("110100", ("110000",), False),
        ("000000", ("110000", "310000"), True),
        ("000000", (), True),
    ],
)
def test_a_body_reaches_what_it_governs(own: str, regions: tuple[str, ...], inside: bool) -> None:  # noqa: FBT001
    filing = but(body_region=own, regions=regions)
    assert ("outside-range" in {fault.kind for fault in fitness.faults(filing, NOW, TERMS)}) is not inside


def test_a_campaign_without_regions_goes_to_all_that_the_body_governs_and_no_further() -> None:
    assert fitness.regions_of(but(regions=())) == ("110000",)
    assert fitness.regions_of(but(regions=(), body_region="000000")) == ()


def test_an_exemption_must_be_stated_and_granted() -> None:
    long = but(text=BODY + "字" * 100, exempt="State Council notice 2026-5")
    case = after(Filed(long)).case
    assert case.state == CampaignState.WEIGHING
    assert "exemption granted" in refused(advance(PROCEDURE, case, APPROVE, NOW + MINUTE, TERMS)).reason
    granted, effects = took(
        advance(PROCEDURE, case, msgspec.structs.replace(APPROVE, exempts=True), NOW + MINUTE, TERMS)
    )
    assert granted.state == CampaignState.APPROVED
    assert act(effects, WriteCampaign).campaign.exempt == "State Council notice 2026-5"


@pytest.mark.parametrize(("kind", "words", "filing"), FAULTY)
def test_an_exemption_reaches_what_the_article_leaves_to_other_rules_and_no_further(
    kind: FaultKind, words: str, filing: Filing
) -> None:
    state = after(Filed(msgspec.structs.replace(filing, exempt="a notice"))).case.state
    waived = kind in ("work-publicity", "too-long", "link")
    assert state == (CampaignState.WEIGHING if waived else CampaignState.RETURNED), words


def test_a_campaign_over_a_limit_needs_a_reason_to_override_it() -> None:
    heavy = msgspec.structs.replace(APPROVE, standing=pools.HEAVY)
    assert fitness.too_heavy(fitness.weigh(pools.FILING, pools.HEAVY, TERMS)) == ("messages_per_person",)
    case = after(FILED).case
    refused(advance(PROCEDURE, case, heavy, NOW + MINUTE, TERMS))
    overridden = msgspec.structs.replace(heavy, override="an epidemic")
    assert took(advance(PROCEDURE, case, overridden, NOW + MINUTE, TERMS)).case.state == CampaignState.APPROVED


def test_frequency_and_the_users_wishes_weigh_too() -> None:
    often = msgspec.structs.replace(pools.LIGHT, body_campaigns=4)
    unwanted = msgspec.structs.replace(pools.LIGHT, refusals=2_001)
    assert fitness.too_heavy(fitness.weigh(pools.FILING, often, TERMS)) == ("body_campaigns",)
    assert fitness.too_heavy(fitness.weigh(pools.FILING, unwanted, TERMS)) == ("refusals_per_thousand",)


def test_a_refusal_is_told_with_its_reason_and_figures() -> None:
    case, effects = after(FILED, Weighed("refuse", "too often", pools.LIGHT))
    notice = act(effects, SendNotice).notice
    assert case.state == CampaignState.REFUSED
    assert notice.reason == "too often"
    assert [figure.name for figure in notice.figures] == [
        "messages_per_person",
        "body_campaigns",
        "refusals_per_thousand",
    ]
    assert act(effects, WriteCampaign).campaign.status == "refused"
    refused(advance(PROCEDURE, after(FILED).case, Weighed("refuse", "", pools.LIGHT), NOW + MINUTE, TERMS))


def test_nothing_is_approved_when_its_time_is_over() -> None:
    refused(advance(PROCEDURE, after(FILED).case, APPROVE, pools.FILING.until or 0, TERMS))
