"""The policy file: what it refuses, and with which words; and the two that are shipped."""

import re
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

import stream.policy
from stream.policy.loading import load, read
from stream.policy.settings import Hours, Policy, within
from stream.policy.toml import PolicyError
from tests.policy.cases import (
    ADVERT,
    BANK,
    CONSENTING,
    NOON,
    NOTICE,
    REFUSING,
    SALES_CALL,
    SILENT,
    but,
    entry,
    lands_on,
)

CN_2020 = files(stream.policy).joinpath("cn-2020.toml").read_text("utf-8")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HOURS = '\n[[hours]]\nchannel = "sms"\nfrom = "08:00"\nto = "21:00"\nzone = "Asia/Shanghai"\nbasis = "consent"\n'


def refused(old: str, new: str) -> str:
    """The message about cn-2020 with one thing changed, and the line that it names, as it stands there."""
    assert old in CN_2020
    text = CN_2020.replace(old, new, 1)
    with pytest.raises(PolicyError) as caught:
        read(text, source="my.toml")
    message = str(caught.value)
    line = re.match(r"my\.toml:(\d+): ", message)
    assert line, message
    return f"{text.splitlines()[int(line[1]) - 1]} ← {message}"


@pytest.mark.parametrize("name", ["cn-2020", "opt-out"])
def test_the_shipped_policies_load_and_answer_every_reason(name: str) -> None:
    policy = load(name)
    assert policy.version.startswith(name)
    assert policy.code("refused", "call") == {"sip": 608, "q850": 21}
    assert policy.code("malformed_number", "call") == {"sip": 484, "q850": 28}


def test_the_default_is_cn_2020() -> None:
    assert load().version == load("cn-2020").version


def test_the_digest_covers_every_byte_of_the_file() -> None:
    assert read(CN_2020, source="x").digest == load().digest
    assert read(CN_2020 + "# a comment\n", source="x").digest != load().digest


def test_a_file_that_is_not_there_is_named_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.toml.*cn-2020, opt-out"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ('silence = "refuse"', 'silence = "maybe"', 'silence = "maybe"', "there are: allow, refuse"),
        ('silence = "refuse"', 'silense = "refuse"', 'silense = "refuse"', "did you mean silence?"),
        ("limit_ms = 60_000", "limit_ms = 10", "limit_ms = 10", ">= 1000"),
        ("limit_ms = 60_000", 'limit_ms = "60"', 'limit_ms = "60"', "Expected `int`"),
        ('version = "cn-2020.2"', "", "#", "missing required field `version`"),
        ("[texts]", "[texts", "[texts", "not TOML"),
        ("limit_ms = 60_000", f"limit_ms = {'1' * 5_000}", "#", "not TOML"),
        ("subscriber = '", "subscriber = '(", "subscriber = '(", "not a regular expression"),
        ("short = '", "short = '2(?P<x>1)|", "short = '2(?P<x>1)|", "no named groups"),
        ("short = '", r"short = '(1)\1|", "short = '(1)", "back references"),
        ("help = '", "help = '(?i)", "help = '(?i)", "no plain pattern"),
        *[
            (f"{name} = '", f"{name} = '{bad}|", f"{name} = '{bad}|", why)
            for name in ("subscriber", "mobile", "fixed", "hotline", "area", "port", "short", "help")
            for bad, why in (
                ("(?!400)1", "begins with `(?`, which is no plain pattern of a number: write groups as `(…)`"),
                ("1(?!400)", "no look-around; write what may stand there"),
                ("(1", "not a regular expression"),
                ("1?", "matches an empty text"),
                (".+", "matches letters and digits alike"),
                (".{11}", "matches letters and digits alike"),
                (r"\+?[a-z0-9]+", "matches letters and digits alike"),
                (r"\+.+", "matches letters and digits alike"),
            )
        ],
        *[
            ('redress = ["12300"', f'redress = ["{bad}"', f'redress = ["{bad}"', "write its 3 to 15 digits")
            for bad in ("(12", "12300|.*", "+8612300", "12", "1" * 16, "１２３００", "12300\\n")
        ],
        *[
            ('mvno = ["+86162"', f'mvno = ["{bad}"', f'mvno = ["{bad}"', "write a plus and digits, as `+86170`")
            for bad in ("abc", "86162", "+", "+0170", "+86 162", "+861٦2")
        ],
        ('country = "86"', 'country = "+86"', 'country = "+86"', "write a calling code without its plus, as `86`"),
        ("opt_out = '", "opt_out = '|", "opt_out = '|", "matches an empty text"),
        (
            'texts = ["KTFSR"]',
            'texts = ["KTFSR", "退订啊"]',
            'texts = ["KTFSR", "退订啊"]',
            "'退订啊' means two things",
        ),
        ('texts = ["KTFSR"]', 'texts = ["KTFSR", "ｔｄ"]', 'texts = ["KTFSR", "ｔｄ"]', "'td' means two things"),
        ('texts = ["QXFSR"]', 'texts = ["ktfsr"]', 'texts = ["ktfsr"]', "'ktfsr' means two things"),
        ('texts = ["QXFSR"]', 'texts = [" "]', 'texts = [" "]', "blank"),
        ('texts = ["QXFSR"]', 'texts = ["。"]', 'texts = ["。"]', "blank"),
        ('undoes = ["撤回"', 'undoes = ["!"', 'undoes = ["!"', "blank"),
        ('ends = ["发自我的"', 'ends = [" "', 'ends = [" "', "blank"),
        ('quotation_marks = ["“”"', 'quotation_marks = ["“"', 'quotation_marks = ["“"', "length >= 2"),
        ('quotation_marks = ["“”"', 'quotation_marks = ["㈱”"', 'quotation_marks = ["㈱”"', "no pair of marks"),
        ('after = ["短信"', 'behind = ["短信"', 'behind = ["短信"', "no such name"),
        ("opt_out = '", "opt_out = 't(?!x)|", "opt_out = 't(?!x)|", "no look-around; write what may stand there"),
        (
            "campaign_characters_max",
            r"link = '(a)\1'" + "\ncampaign_characters_max",
            r"link = '(a)\1'",
            "no back references",
        ),
        ('texts = ["QXFSR"]', "texts = []", "texts = []", "length >= 1"),
        ('to = ["10086", "10001"]', 'to = ["owner"]', 'to = ["owner"]', "without brackets"),
        ('scope = "everything"', 'scope = "owner"', 'scope = "owner"', 'needs to = "owner"'),
        ("smpp = 0x0402", "smpp = 0x0500", "refused ", "<= 1279"),
        ("quiet_hours    ", "quite_hours    ", "quite_hours", "no rule blocks for 'quite_hours'"),
        (
            "spoofed_number           = { sip = 608, q850 = 21 }",
            "",
            "[answers]",
            "no answer for 'spoofed_number' on call",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_reason(old: str, new: str, line: str, why: str) -> None:
    found = refused(old, new)
    assert found.startswith(line)
    assert why in found


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('to = "21:00"', 'to = "08:00"', "hours that never open"),
        ('zone = "Asia/Shanghai"', 'zone = "Asia/Shangai"', "unknown time zone 'Asia/Shangai'"),
        ('zone = "Asia/Shanghai"', 'zone = "../etc"', "unknown time zone"),
        ('to = "21:00"', 'to = "25:00"', "write a time of day from 00:00 to 24:00, as `21:00` (at `$.hours[0].to`)"),
        ('from = "08:00"', 'from = "8:00"', "write a time of day from 00:00 to 23:59, as `08:00` (at"),
        ('basis = "consent"', 'basis = "consent"\ncategories = ["fiance"]', "unknown category 'fiance'"),
    ],
)
def test_hours_that_contradict_themselves_are_refused(old: str, new: str, why: str) -> None:
    found = refused("\n# The answers per", HOURS.replace(old, new) + "\n# The answers per")
    assert why in found
    assert found.split(" ← ")[0].strip() in HOURS.replace(old, new)


def shanghai(hour: int, minute: int = 0, second: int = 0) -> int:
    """A moment of 2026-11-24 on the clock of Shanghai."""
    return NOON + (hour - 12) * HOUR + minute * MINUTE + second * 1000


def window(begins: str, ends: str, zone: str = "Asia/Shanghai") -> tuple[Hours, ...]:
    return (Hours("sms", begins, ends, zone, "consent"),)


def test_hours_run_from_their_beginning_until_before_their_end() -> None:
    day = window("08:00", "21:00")
    assert [within(day, shanghai(*at)) for at in ((7, 59, 59), (8,), (20, 59, 59), (21,))] == [False, True, True, False]


def test_hours_that_end_before_they_begin_run_over_midnight() -> None:
    night = window("22:00", "06:00")
    assert [within(night, shanghai(hour)) for hour in (21, 22, 23, 24, 29, 30)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]


def test_hours_may_end_with_the_day_and_begin_with_it() -> None:
    assert [within(window("20:00", "24:00"), shanghai(hour)) for hour in (19, 20, 23, 24)] == [False, True, True, False]
    assert [within(window("20:00", "00:00"), shanghai(hour)) for hour in (19, 20, 23, 24)] == [False, True, True, False]
    assert within(window("00:00", "24:00"), shanghai(3))


def test_hours_follow_the_clock_of_their_zone_through_summer_time() -> None:
    berlin = window("08:00", "09:00", "Europe/Berlin")
    for day, opens in ((24, 6), (25, 7)):  # October 2026: the clock goes back in the night of the 25th
        moment = int(datetime(2026, 10, day, opens, tzinfo=UTC).timestamp() * 1000)
        assert [within(berlin, moment + shift) for shift in (-1, 0, HOUR - 1, HOUR)] == [False, True, True, False]


def test_hours_are_known_at_every_moment_that_the_wire_can_say() -> None:
    day, year_400 = window("08:00", "21:00"), 146_097 * DAY
    far = NOON + 40 * year_400
    assert within(day, far)
    assert not within(day, far + 10 * HOUR)
    assert within(day, 2**53 - 1) in (True, False)
    assert within(day, 0)


@pytest.fixture
def opt_out() -> Policy:
    return load("opt-out")


def test_under_opt_out_silence_allows_and_a_refusal_blocks(opt_out: Policy) -> None:
    lands_on("30b", but(ADVERT, to=SILENT), by=opt_out)
    lands_on("30a", but(ADVERT, to=CONSENTING), by=opt_out)
    lands_on("25a", but(ADVERT, to=REFUSING), by=opt_out)
    lands_on("25b", but(SALES_CALL, to=REFUSING), by=opt_out)


def test_under_opt_out_a_stale_registry_does_not_stop_traffic(opt_out: Policy) -> None:
    lands_on("30b", but(ADVERT, to=SILENT), by=opt_out, stale=True)


@pytest.mark.parametrize(
    ("hour", "sms", "call"), [(6, "29", "29"), (7, "30b", "29"), (8, "30b", "30b"), (21, "30b", "29"), (22, "29", "29")]
)
def test_under_opt_out_sms_and_calls_have_their_hours(opt_out: Policy, hour: int, sms: str, call: str) -> None:
    lands_on(sms, but(ADVERT, to=SILENT), by=opt_out, now=shanghai(hour))
    lands_on(call, but(SALES_CALL, to=SILENT), by=opt_out, now=shanghai(hour))
    lands_on("19b", NOTICE, by=opt_out, now=shanghai(hour))


def test_hours_of_several_windows_add_up_and_bind_their_categories_only() -> None:
    file = load().file
    lunch = Hours("sms", "11:00", "13:00", "Asia/Shanghai", "consent", ("finance",))
    evening = Hours("sms", "18:00", "20:00", "Asia/Shanghai", "consent", ("finance",))
    policy = Policy(but(file, hours=(lunch, evening)), text="a variant")
    for hour, row in ((12, "30a"), (14, "29"), (19, "30a"), (20, "29")):
        lands_on(row, ADVERT, by=policy, now=shanghai(hour))
    free = but(BANK, numbers=(entry("1069", "commercial"),))
    lands_on("26", but(ADVERT, category="travel"), free, by=policy, now=shanghai(3))
