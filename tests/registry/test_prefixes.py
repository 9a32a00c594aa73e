"""Prefixes of senders: what no number as read can begin with is refused (DESIGN section 4)."""

import pytest

from stream.model.fields import Channel
from stream.policy.loading import load
from stream.registry.prefixes import campaign_problem, problem
from tests.work import instructions

NUMBERING = load(None).numbering
BOTH: tuple[Channel, ...] = ("sms", "call")


@pytest.mark.parametrize("channel", BOTH)
@pytest.mark.parametrize(
    "prefix",
    [
        "1069", "10690123", "1064", "95588", "10086", "12345", "400", "4001234567", "962", "+861", "+8610",
        "+86139", "+8613800138000", "+861087", "+861012345678", "+86755", "+869558", "+869558812345", "+86955", "+1212",
        "+4420", "2012345678",
    ],
)  # fmt: skip
def test_what_numbers_begin_with_is_a_prefix(prefix: str, channel: Channel) -> None:
    assert problem(prefix, channel, NUMBERING) is None


@pytest.mark.parametrize("channel", BOTH)
@pytest.mark.parametrize(
    "prefix",
    [
        "", "1", "9", "13", "95", "+86", "+8695588", "+86400", "+864001234567", "+8696", "+86110", "+8612321", "+86010",
        "138", "13800138000", "010", "0755", "86138", "861087654321", "0086138", "+10", "+1069", "+0",
        "+0086", "1" * 21, "106 90", "138-0013", "tel:95588", "sip:95588", "+", "１０６９",
    ],
)  # fmt: skip
def test_what_no_number_as_read_begins_with_is_none(prefix: str, channel: Channel) -> None:
    told = problem(prefix, channel, NUMBERING)
    assert told is not None
    assert prefix in told


def test_a_port_behind_the_countrys_code_is_one_on_sms_and_a_telephone_on_calls() -> None:
    assert "106" in (problem("+861069", "sms", NUMBERING) or "")
    assert problem("+861069", "call", NUMBERING) is None


def test_a_service_on_the_internet_has_an_identifier_on_sms_alone() -> None:
    assert problem("app:bank.v2", "sms", NUMBERING) is None
    assert problem("app:bank.v2", "call", NUMBERING) is not None


def test_the_mend_is_told() -> None:
    assert (problem("+8695588", "sms", NUMBERING) or "").endswith("write 95588")
    assert "+86138" in (problem("138", "call", NUMBERING) or "")


@pytest.mark.parametrize(
    ("prefix", "fits"), [("10086", True), ("106900", True), ("138", True), ("13", False), ("", False)]
)
def test_a_campaigns_prefix_may_be_of_what_stands_behind_the_countrys_code(prefix: str, *, fits: bool) -> None:
    assert (campaign_problem(prefix, NUMBERING) is None) is fits


@pytest.mark.parametrize("start", ["13", "30", "400", "86", "106", "+86"])
def test_a_filing_of_a_thousand_prefixes_is_looked_at_in_some_hundredths_of_a_second(start: str) -> None:
    prefixes = [f"{start}{n:05}" for n in range(50_000, 50_020)]
    found: list[str | None] = []
    work = instructions(lambda: found.extend(campaign_problem(prefix, NUMBERING) for prefix in prefixes))
    assert found == [None] * len(prefixes), "of one that is unfit the next is not looked at"
    assert work / len(prefixes) < 7_500


def test_no_campaign_has_a_prefix_of_a_number_that_is_read_without_it() -> None:
    assert campaign_problem("0013800", NUMBERING) is not None
