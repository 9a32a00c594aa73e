"""Every row of the table by example: one thing in an orderly world is changed, and the row for it decides."""

import pytest

from docs.generate.policy import coverage
from stream.model.events import Call, Sms
from stream.model.registry import FileRecord, Tombstone
from stream.model.topics import SENDERS, WORDLISTS
from stream.policy.settings import Hours
from tests.policy.cases import (
    ADVERT,
    APPROVED,
    BANK,
    CAMPAIGN,
    CHAT,
    CONSENTING,
    HOUR,
    LINE,
    NOON,
    NOTICE,
    OPT_OUT,
    PORT,
    PUBLIC,
    REFUSING,
    SALES_CALL,
    SERVICE_PORT,
    SHOP,
    SILENT,
    SIM,
    but,
    covers,
    decided,
    entry,
    lands_on,
    order,
    policy,
)

MORNING = (
    Hours("sms", "08:00", "11:00", "Asia/Shanghai", "consent"),
    Hours("call", "08:00", "11:00", "Asia/Dubai", "consent"),
)
HELP_NUMBERS = (
    "110",
    "000",
    "08",
    "911",
    "+8610110",
    "021119",
    "0755122",
    "0010110",
    "+86110",
    "110\n",
    "１１０",
    "tel:112;phone-context=+1",
    "12110",
    "12110123456",
    "urn:service:sos",
    "urn:service:sos.fire",
)
NO_HELP_NUMBERS = (
    "110.1",
    "1100",
    "12110x",
    "121101234567",
    "+861110",
    "urn:service:sos.",
    "urn:service:sosx",
    "00110",
)


def test_every_row_has_an_example() -> None:
    assert [row for row, tests in coverage().items() if not tests] == []


@covers("1")
@pytest.mark.parametrize("number", HELP_NUMBERS)
def test_messages_and_calls_for_help_pass_whatever_else_is_wrong(number: str) -> None:
    lands_on("1", but(ADVERT, to=number, from_=None), order("suspend"))
    assert lands_on("1", but(SALES_CALL, to=number, verstat="TN-Validation-Failed")).basis == "emergency"


@pytest.mark.parametrize("number", NO_HELP_NUMBERS)
def test_what_is_not_wholly_a_help_number_is_none(number: str) -> None:
    assert decided(but(ADVERT, to=number)).reason != "call_for_help"


@covers("2")
@pytest.mark.parametrize("number", ["12300", "12321", "10086", "10099"])
def test_the_way_to_an_appeal_is_open_even_to_the_suspended(number: str) -> None:
    assert lands_on("2", but(SALES_CALL, to=number), order("suspend")).basis == "measures"


@covers("3")
@pytest.mark.parametrize("text", ["TD", " td ", "ｔｄ", "退訂", "拒收", "t", "R", "n", "退订\n"])
def test_a_subscriber_opts_out_by_replying_to_an_owned_port(text: str) -> None:
    assert lands_on("3", but(OPT_OUT, text=text)).sender is None


@covers("3")
def test_a_subscriber_declines_all_calls_by_writing_to_the_carrier() -> None:
    lands_on("3", but(OPT_OUT, to="10086", text="ktfsr"))
    lands_on("3", but(OPT_OUT, to="10001", text="QXFSR"))


def test_a_revoked_owner_can_still_be_refused() -> None:
    lands_on("3", OPT_OUT, but(BANK, status="revoked"))


@covers("4")
def test_any_other_reply_passes_and_says_nothing() -> None:
    assert lands_on("4", but(OPT_OUT, text="TD please")).basis is None
    lands_on("4", but(OPT_OUT, text=None))
    lands_on("4", but(OPT_OUT, to="10655"))
    lands_on("4", but(OPT_OUT, from_="95588"))
    lands_on("4", but(OPT_OUT, to="owner"))
    lands_on("4", but(OPT_OUT, to="110"))
    lands_on("4", but(OPT_OUT, to="10010", text="KTFSR"))


@covers("5a")
def test_nothing_passes_without_a_sending_number() -> None:
    lands_on("5a", but(NOTICE, from_=None))
    assert lands_on("5a", but(SALES_CALL, from_="")).from_ is None


@covers("5b")
@pytest.mark.parametrize("number", ["12", "1" * 21, "+0123456789", "10690-12", "10690_123", "1069+", "app:x", "+86138"])
def test_a_sending_number_is_a_subscribers_or_three_to_twenty_digits(number: str) -> None:
    lands_on("5b", but(ADVERT, from_=number))


def test_on_the_internet_the_form_of_the_senders_identifier_is_not_checked() -> None:
    owner = but(BANK, numbers=(entry("app:", "service"),))
    lands_on("19b", but(NOTICE, from_="app:x", network="internet"), owner)
    lands_on("5b", but(NOTICE, from_="app:x"), owner)


@covers("6a")
def test_an_emergency_from_an_entry_that_is_for_it_yields_to_nothing() -> None:
    lands_on("6a", but(ADVERT, purpose="emergency", text="赌场"), order("suspend"))
    lands_on("7", but(ADVERT, purpose="emergency"), order("suspend"), but(BANK, status="revoked"))


@covers("6b")
def test_an_open_emergency_campaign_carries_an_emergency_of_its_numbers() -> None:
    campaign = but(CAMPAIGN, emergency=True, numbers=("955",))
    approved = but(PUBLIC, purpose="emergency", from_="95511")
    lands_on("6b", approved, campaign)
    lands_on("6b", but(approved, from_="+8695511", text=None), campaign, now=NOON - HOUR)
    warning = but(approved, text="赌场")
    for spoilt in (
        but(campaign, emergency=False),
        but(campaign, status="filed"),
        but(campaign, numbers=("956",)),
        but(campaign, sender="ORG-9", until=NOON),
    ):
        lands_on("15", warning, spoilt)
    lands_on("15", warning, campaign, but(BANK, status="revoked"))


@covers("6b")
def test_a_number_that_is_not_the_campaigns_own_bears_the_approved_text_alone_while_no_order_suspends_it() -> None:
    campaign = but(CAMPAIGN, emergency=True, numbers=("955", "10691"), sender="ORG-9")
    stray = but(PUBLIC, purpose="emergency", from_="95511")
    lands_on("16", but(stray, text="防汛。"), campaign)
    lands_on("7", stray, campaign, order("suspend", number="95511"))
    lands_on("7", stray, campaign, order("suspend", number="+8695511"))
    lands_on("6b", stray, campaign, order("suspend", number="95511", channel="call"))
    others = but(stray, from_="1069199")
    lands_on("6b", others, campaign)
    lands_on("7", others, campaign, order("suspend", sender=SHOP.sender))
    own = but(campaign, sender=SHOP.sender)
    lands_on("6b", but(others, text="赌场"), own, order("suspend", sender=SHOP.sender))


@covers("7")
def test_an_order_to_suspend_holds_against_the_sender_the_owner_and_the_number() -> None:
    lands_on("7", NOTICE, order("suspend"))
    lands_on("7", but(NOTICE, sender="ORG-2"), order("suspend"))
    lands_on("7", NOTICE, order("suspend", number=SERVICE_PORT))
    lands_on("19b", NOTICE, order("suspend", number=SERVICE_PORT[:-1]))


@covers("7")
def test_an_order_holds_from_its_beginning_until_before_its_end_on_its_channel() -> None:
    window = order("suspend", channel="sms", until=NOON + HOUR, **{"from": NOON})
    for moment, row in ((NOON - 1, "19b"), (NOON, "7"), (NOON + HOUR - 1, "7"), (NOON + HOUR, "19b")):
        lands_on(row, NOTICE, window, now=moment)
    lands_on("30a", SALES_CALL, window)


def test_of_several_orders_the_one_with_the_smallest_id_is_cited() -> None:
    orders = (
        order("suspend", order="O-2", basis="second"),
        order("suspend", order="O-10", basis="regulator-order", number=SERVICE_PORT, appeal="mailto:a@example.org"),
    )
    decision = lands_on("7", NOTICE, *orders)
    assert (decision.basis, decision.appeal) == ("regulator-order", "mailto:a@example.org")


def test_a_limit_changes_nothing() -> None:
    for event in (ADVERT, SALES_CALL, NOTICE, PUBLIC, CHAT, OPT_OUT):
        assert decided(event, order("limit")) == decided(event)


@covers("8a")
def test_a_call_whose_number_failed_validation_is_blocked() -> None:
    lands_on("8a", but(SALES_CALL, verstat="TN-Validation-Failed-A"))
    lands_on("30a", but(SALES_CALL, verstat="No-TN-Validation"))


@covers("8b")
def test_a_call_shows_its_own_number_or_one_of_its_sender_or_one_that_protects_numbers() -> None:
    protector = but(
        SHOP,
        numbers=(entry("40012", "number-protection", channel="call"), entry("400", "commercial", channel="call")),
    )
    lands_on("8b", but(SALES_CALL, presented="+8613700137000"))
    lands_on("8b", but(SALES_CALL, presented="+864001234567"), but(protector, numbers=protector.numbers[1:]))
    for presented in (LINE, "+861012345678", ""):
        lands_on("30a", but(SALES_CALL, presented=presented))
    lands_on("30a", but(SALES_CALL, presented="+864001234567"), protector)


@covers("9")
def test_what_a_person_writes_is_never_looked_at() -> None:
    assert lands_on("9", but(CHAT, text="赌场")).basis is None
    lands_on("9", but(CHAT, purpose=None, text=None))
    lands_on("16", but(CHAT, sender="ORG-9"))
    lands_on("16", but(CHAT, from_="95599"))
    lands_on("19a", but(CHAT, from_=SIM))


@covers("10")
def test_public_interest_sms_needs_an_approved_campaign_to_which_its_number_belongs() -> None:
    lands_on("10", but(PUBLIC, campaign=None))
    lands_on("10", but(PUBLIC, campaign="P-2"))
    lands_on("10", PUBLIC, but(CAMPAIGN, status="filed"))
    lands_on("10", but(PUBLIC, from_="10691000"))
    lands_on("10", PUBLIC, but(BANK, status="revoked"))
    lands_on("10", but(PUBLIC, from_="10691000"), but(CAMPAIGN, numbers=("1069",)), but(SHOP, status="revoked"))
    lands_on("14", but(PUBLIC, from_="10691000"), but(CAMPAIGN, numbers=("1069",)))
    lands_on("14", but(PUBLIC, from_="95599"), but(CAMPAIGN, sender="GOV", numbers=("955",)))


@covers("11")
def test_public_interest_sms_keeps_to_its_window() -> None:
    lands_on("11", PUBLIC, now=NOON - HOUR - 1)
    lands_on("14", PUBLIC, now=NOON - HOUR)
    lands_on("11", PUBLIC, now=NOON + HOUR)


@covers("12")
def test_public_interest_sms_keeps_to_its_regions_where_the_recipients_is_known() -> None:
    lands_on("12", but(PUBLIC, region="310000"))
    lands_on("12", but(PUBLIC, region="110000"), but(CAMPAIGN, regions=("110101",)))
    for region in ("110101", "110000", None, "11", "beijing", "１１００００", "3100000"):
        lands_on("14", but(PUBLIC, region=region))
    lands_on("14", but(PUBLIC, region="310000"), but(CAMPAIGN, regions=()))
    lands_on("14", but(PUBLIC, region="110203"), but(CAMPAIGN, regions=("310000", "110200")))


@covers("13")
def test_public_interest_sms_says_what_was_approved() -> None:
    lands_on("13", but(PUBLIC, text=APPROVED + "。"))
    lands_on("13", but(PUBLIC, text=None))
    lands_on("13", but(PUBLIC, text="abc"), but(CAMPAIGN, text="ABC"))
    lands_on("13", but(PUBLIC, text="防訊"), but(CAMPAIGN, text="防讯"))


@covers("14")
def test_public_interest_sms_as_approved_passes_and_may_differ_in_width_and_blanks_around() -> None:
    assert lands_on("14", PUBLIC).basis == "public-interest"
    lands_on("14", but(PUBLIC, text=f" {APPROVED.replace('12345', '１２３４５')}\n"))


@covers("15")
@pytest.mark.parametrize("text", ["去赌场", "賭場", "赌 场", "赌-。-场", "赌\u200b场", "赌1场", "x"])
def test_a_prohibited_term_is_found_whatever_stands_between_its_characters(text: str) -> None:
    lands_on("19b" if text in ("赌1场", "x") else "15", but(NOTICE, text=text))


def test_every_word_list_counts_until_it_is_withdrawn() -> None:
    withdrawn = Tombstone(topic=WORDLISTS, key="L")
    lands_on("19b", but(NOTICE, text="赌场"), withdrawn)


@covers("16")
def test_a_sender_is_known_and_active() -> None:
    lands_on("16", but(NOTICE, sender="ORG-9"))
    lands_on("16", but(NOTICE, sender=None, from_="95599"))
    lands_on("16", NOTICE, but(BANK, status="revoked"))
    lands_on("16", NOTICE, Tombstone(topic=SENDERS, key="ORG-1"))


@covers("17")
def test_a_sender_uses_its_own_numbers() -> None:
    decision = lands_on("17", but(NOTICE, sender="ORG-2"))
    assert decision.sender == "ORG-2"
    lands_on("17", but(NOTICE, from_="95599"))


@pytest.mark.parametrize(
    ("since", "row"), [(1, "17"), (0, "17")], ids=["the later since", "of equal since, the later record"]
)
def test_a_prefix_that_two_claim_belongs_to_the_newer_claim(since: int, row: str) -> None:
    lands_on(row, NOTICE, but(SHOP, numbers=(entry(SERVICE_PORT, "service", since=since),)))


def test_a_longer_prefix_wins_over_an_older_or_newer_shorter_one() -> None:
    lands_on("19b", NOTICE, but(SHOP, numbers=(entry(SERVICE_PORT[:-1], "service", since=9),)))


def test_an_older_since_loses_whatever_record_came_last() -> None:
    own = but(BANK, numbers=(entry(SERVICE_PORT, "service", since=5),))
    lands_on("19b", NOTICE, own, but(SHOP, numbers=(entry(SERVICE_PORT, "service", since=4),)))


def test_of_two_entries_with_one_prefix_the_later_since_counts_then_the_later_in_the_list() -> None:
    service, commercial = entry(SERVICE_PORT, "service"), entry(SERVICE_PORT, "commercial")
    lands_on("19b", NOTICE, but(BANK, numbers=(commercial, service)))
    lands_on("18", NOTICE, but(BANK, numbers=(service, commercial)))
    lands_on("19b", NOTICE, but(BANK, numbers=(but(service, since=1), commercial)))


@covers("18")
def test_a_port_serves_the_purposes_it_is_for() -> None:
    assert lands_on("18", but(ADVERT, from_=SERVICE_PORT)).basis == "port-purpose"
    lands_on("18", but(NOTICE, from_=SIM))
    lands_on("18", but(NOTICE, purpose=None), but(BANK, numbers=(entry(SERVICE_PORT, "number-protection"),)))


def test_a_purpose_that_nobody_states_is_the_strictest_that_the_entry_has() -> None:
    lands_on("26", but(ADVERT, purpose=None, to=SILENT))
    lands_on("19b", but(NOTICE, purpose=None))
    public = but(BANK, numbers=(entry(PORT, "emergency", "service", "public", "personal"),))
    lands_on("10", but(ADVERT, purpose=None), public)
    lands_on("16", but(CHAT, purpose=None, from_="95599"))


@covers("19a")
def test_personal_traffic_of_a_registered_sender_passes_unread() -> None:
    lands_on("19a", but(ADVERT, purpose="personal", text="赌场"))


@covers("19b")
def test_service_traffic_passes_whatever_the_recipient_wants() -> None:
    for to in (CONSENTING, REFUSING, SILENT, "95588", "x"):
        assert lands_on("19b", but(NOTICE, to=to)).basis is None
    lands_on("19b", but(SALES_CALL, purpose="service", to=REFUSING))


@covers("19c")
def test_public_interest_calls_need_no_campaign() -> None:
    assert lands_on("19c", but(SALES_CALL, purpose="public", to=REFUSING)).basis == "public-interest"


@covers("19d")
def test_emergency_calls_pass() -> None:
    assert lands_on("19d", but(SALES_CALL, purpose="emergency", to=REFUSING)).basis == "emergency"


@covers("20")
def test_an_order_to_stop_ends_commercial_traffic_and_nothing_else() -> None:
    decision = lands_on("20", ADVERT, order("stop", basis="regulator-order"))
    assert (decision.verdict, decision.reason, decision.basis) == ("suspend", "stopped", "regulator-order")
    lands_on("20", but(ADVERT, to="95588"), order("stop", number=PORT))
    lands_on("19b", NOTICE, order("stop"))
    lands_on("14", PUBLIC, order("stop"))
    lands_on("30a", ADVERT, order("stop", channel="call"))


@covers("21")
@pytest.mark.parametrize("number", ["95588", "96110", "9512345", "4001234567", "8001234567", "12580", "1200"])
def test_hotlines_have_no_wills(number: str) -> None:
    lands_on("21", but(ADVERT, to=number, text=None))


@covers("22")
@pytest.mark.parametrize(
    "number", ["1380013800", "+8613800138000.0", "+0138001380", "1069012", "+864101234", "+8610000001"]
)
def test_commercial_traffic_goes_to_persons_and_short_numbers_only(number: str) -> None:
    lands_on("22", but(ADVERT, to=number))


@covers("23")
def test_no_commercial_calls_from_platforms() -> None:
    lands_on("23", but(SALES_CALL, platform=True))
    lands_on(
        "23",
        but(SALES_CALL, platform=False),
        but(BANK, numbers=(entry(LINE, "commercial", channel="call", platform=True),)),
    )
    lands_on("19b", but(SALES_CALL, platform=True, purpose="service"))


@covers("24")
def test_a_port_serves_the_categories_it_is_for_where_it_lists_any() -> None:
    lands_on("24", but(ADVERT, category="education"))
    lands_on("24", but(ADVERT, category=None))
    lands_on("26", but(ADVERT, category="travel"))
    lands_on("26", but(ADVERT, from_=SIM, category="education"))


def test_an_unstated_category_is_the_entrys_only_one() -> None:
    lands_on("30a", but(ADVERT, category=None), but(BANK, numbers=(entry(PORT, "commercial", categories=["finance"]),)))


@covers("25a")
def test_who_has_refused_gets_no_commercial_sms() -> None:
    assert lands_on("25a", but(ADVERT, to=REFUSING)).basis == "consent"
    lands_on("25a", but(ADVERT, to=REFUSING), by=policy(silence="allow"))


@covers("25b")
def test_who_has_refused_gets_no_commercial_calls() -> None:
    assert lands_on("25b", but(SALES_CALL, to=REFUSING)).basis == "decline-calls"


@covers("26")
def test_silence_is_refusal() -> None:
    lands_on("26", but(ADVERT, to=SILENT))
    lands_on("26", but(SALES_CALL, to=SILENT), stale=True)


@covers("27")
def test_a_registry_too_old_to_know_the_latest_refusals_stops_commercial_traffic() -> None:
    lands_on("27", ADVERT, stale=True)
    lands_on("30a", ADVERT, by=policy(fail="open"), stale=True)
    lands_on("19b", NOTICE, stale=True)


@covers("28a")
@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "详询95588拒收回R",
        "某行 95588 退订",
        "【某行】退订",
        "【某行】195588 退订",
        "【某行】955880 退订",
        "【某行】9558a8 退订",
    ],
)
def test_an_advertisement_names_its_sender_and_a_contact(text: str | None) -> None:
    assert lands_on("28a", but(ADVERT, text=text)).basis == "identity"


@pytest.mark.parametrize(
    "text", ["某某銀行95588退订", "【某行】9 5-5\t8 8退订", "x【某行】９５５８８，退订", "【某行】95588a退订"]
)
def test_a_name_or_a_signature_and_the_contacts_digits_in_order_will_do(text: str) -> None:
    lands_on("30a", but(ADVERT, text=text))


@pytest.mark.parametrize("contact", ["95-588", "９５５８８", "tel 95588"])
def test_a_contact_is_its_digits(contact: str) -> None:
    lands_on("30a", ADVERT, but(BANK, contact=contact))


@covers("28b")
@pytest.mark.parametrize("hint", ["", "回复", "回TX", "回复：：：T", "不再收", "回复t1", "退 订"])
def test_an_advertisement_tells_how_to_refuse(hint: str) -> None:
    assert lands_on("28b", but(ADVERT, text=f"【某行】详询95588{hint}")).basis == "opt-out"


@pytest.mark.parametrize("hint", ["退订", "退訂", "拒收", "回T", "回覆: TD", "回复_-n退", "回ｒ"])
def test_the_usual_ways_of_telling_it_are_known(hint: str) -> None:
    lands_on("30a", but(ADVERT, text=f"【某行】详询95588。{hint}"))


def test_an_advertisement_from_a_subscribers_number_need_not_name_itself() -> None:
    lands_on("30a", but(ADVERT, from_=SIM, text=None))


@covers("29")
def test_commercial_traffic_keeps_to_the_permitted_hours() -> None:
    lands_on("29", ADVERT, by=policy(hours=MORNING))
    lands_on("30a", SALES_CALL, by=policy(hours=MORNING), now=NOON)
    lands_on("19b", NOTICE, by=policy(hours=MORNING))


@covers("30a")
def test_who_has_consented_is_reached() -> None:
    decision = lands_on("30a", ADVERT)
    assert (decision.verdict, decision.reason, decision.basis) == ("allow", "consented", "consent")
    lands_on("30a", SALES_CALL)
    lands_on("30a", ADVERT, by=policy(silence="allow"))


@covers("30b")
def test_where_silence_allows_the_silent_are_reached() -> None:
    lands_on("30b", but(ADVERT, to=SILENT), by=policy(silence="allow"))


@pytest.mark.parametrize("event", [ADVERT, SALES_CALL], ids=["sms", "call"])
def test_a_block_carries_codes_and_an_appeal_and_an_allow_does_not(event: Sms | Call) -> None:
    blocked, allowed = decided(but(event, to=SILENT, origin="gw-1")), decided(but(event, to=CONSENTING))
    assert blocked.code == ({"sip": 608, "q850": 21} if event is SALES_CALL else {"smpp": 0x0401, "cmpp": 9})
    assert (blocked.appeal, blocked.origin) == ("tel:12300;phone-context=+86", "gw-1")
    assert not allowed.code
    assert not allowed.appeal


@pytest.mark.parametrize("record", [BANK, SHOP], ids=["ORG-1", "ORG-2"])
def test_a_tombstone_takes_a_senders_numbers_with_it(record: FileRecord) -> None:
    gone = Tombstone(topic=SENDERS, key=getattr(record, "sender"))  # noqa: B009 - every sender has one
    assert decided(but(ADVERT, sender=None), gone).sender == (None if record is BANK else "ORG-1")
