"""Numbers as gateways and people write them: each spelling means one number, or stays what it is."""

import random
import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.policy.loading import SHIPPED, load
from stream.policy.numbering import USUAL, Numbering
from tests.policy import numbers as model

NUMBERING = load().numbering
PLAIN = Numbering({**USUAL, "subscriber": f"(?:{USUAL['subscriber']})"}, load().file.numbers.redress)
"""The same patterns, one of them written otherwise: so the quick way is not taken."""

PERSON = "+8613800138000"
TELEPHONE = "+861087654321"

SPELLINGS = (
    (PERSON, PERSON),
    ("13800138000", PERSON),
    ("013800138000", PERSON),
    ("8613800138000", PERSON),
    ("008613800138000", PERSON),
    ("+008613800138000", PERSON),
    ("86013800138000", PERSON),
    ("+86 138 0013 8000", PERSON),
    ("+86-138-0013-8000", PERSON),
    ("138\u20130013\u22128000", PERSON),
    ("(+86)138.0013.8000", PERSON),
    ("tel:+8613800138000", PERSON),
    ("TEL:13800138000", PERSON),
    ("sip:+8613800138000@ims.example.org;user=phone", PERSON),
    ("sips:13800138000;phone-context=+86@ims.example.org", PERSON),
    ("sip:tel:13800138000?x", PERSON),
    ("１３８００１３８０００", PERSON),
    ("＋8613800138000", PERSON),
    ("\u202a+8613800138000\u202c", PERSON),
    ("13800138000\ufe0f", PERSON),
    ("\ufeff13800138000\n", PERSON),
    ("13800138000#", PERSON),
    ("tel:5551234567;phone-context=+1", "+15551234567"),
    ("0015551234567", "+15551234567"),
    ("+86 (0)10 8765 4321", TELEPHONE),
    ("86-010-87654321", TELEPHONE),
    ("0086-010-87654321", TELEPHONE),
    ("010-87654321", TELEPHONE),
    ("1087654321", "1087654321"),
    ("+869558812345", "+869558812345"),
    ("01095588", "95588"),
    ("+861095588", "95588"),
    ("8602195588", "95588"),
    ("+8695588", "95588"),
    ("8695588", "8695588"),
    ("+95588", "95588"),
    ("+864001234567", "4001234567"),
    ("+8610086", "10086"),
    ("8610086", "10086"),
    ("+10086", "10086"),
    ("+1069012345", "1069012345"),
    ("110", "110"),
    ("+110", "110"),
    ("+86110", "110"),
    ("86110", "110"),
    ("860110", "110"),
    ("010110", "010110"),
    ("+86010110", "010110"),
    ("tel:110;phone-context=+86", "110"),
    ("tel:112;phone-context=+1", "112"),
    ("110#", "110"),
    ("URN:Service:SOS.police", "urn:service:sos.police"),
    ("sip:urn:service:sos@example.org", "urn:service:sos"),
    ("tel:12300;phone-context=+86", "12300"),
    # What makes no sense stays as it is.
    ("+8613800138004.0", "+8613800138004.0"),
    ("013800138005.0", "013800138005.0"),
    ("010-87654326-12", "010-87654326-12"),
    ("+86 86 13800138007", "+868613800138007"),
    ("+86 138 0013 80088", "+86138001380088"),
    ("+86 138 0013 800", "+861380013800"),
    ("anonymous", "anonymous"),
    ("", ""),
    ("\u200b", ""),
)


@pytest.mark.parametrize(("text", "number"), SPELLINGS)
def test_each_spelling_means_one_number_or_stays_what_it_is(text: str, number: str) -> None:
    assert NUMBERING.read(text) == number == model.read(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [(f"{before}1069012345", "1069012345") for before in ("", "0", "86", "+86", "860", "+860", "+", "0086")]
    + [("+861061234567", "1061234567"), ("1064123456789", "1064123456789"), ("+010690123", "+010690123")],
)
def test_on_the_senders_side_of_an_sms_an_industry_port_is_one_whatever_stands_before_it(
    text: str, number: str
) -> None:
    assert NUMBERING.read_port(text) == number == model.read_port(text)


@pytest.mark.parametrize(
    ("number", "person"),
    [
        (PERSON, True),
        (TELEPHONE, True),
        ("+869558812345", True),
        ("+8614000000000", True),
        ("+861064123456789", True),
        ("+15551234567", True),
        ("+864001234567", False),
        ("+8613800138", False),
        ("+868613800138007", False),
        ("13800138000", False),
        ("110", False),
    ],
)
def test_within_the_country_only_mobile_and_fixed_numbers_are_persons(number: str, person: bool) -> None:  # noqa: FBT001
    assert NUMBERING.is_person(number) is person is model.is_person(number)


def test_other_countries_numbers_are_registered_only_where_their_plan_has_them() -> None:
    assert NUMBERING.registrable("+1 201 555 0123") == "+12015550123"
    assert NUMBERING.registrable("+13800138000") is None
    assert NUMBERING.registrable("138 0013 8000") == PERSON


def test_the_shipped_policies_take_the_quick_way() -> None:
    for name in SHIPPED:
        numbering = load(name).numbering
        assert numbering.is_canonical(PERSON, of_sms=True)
        assert numbering.is_canonical(TELEPHONE, of_sms=False)
    assert not PLAIN.is_canonical(PERSON, of_sms=True)


def test_the_areas_of_fixed_numbers_are_those_of_the_design() -> None:
    fixed = re.compile(USUAL["fixed"])
    for area in map("{:03}".format, range(1_000)):
        for rest in ("2345678", "23456789", "12345678", "2", "234567890"):
            assert bool(fixed.fullmatch(area + rest)) == bool(model.FIXED.fullmatch(area + rest)), area


HEADS = (
    "",
    "+",
    "0",
    "00",
    "+00",
    "86",
    "+86",
    "0086",
    "+860",
    "860",
    "+86 0",
    "tel:",
    "sip:",
    "TEL:+",
    "+10",
    "＋86",
    "+86 (0)",
)
BODIES = (
    "13800138000", "1064123456789", "14012345678901", "1087654321", "57187654321", "9558812345", "95588", "4001234567",
    "110", "999", "12110", "121101234567", "08", "000", "10086", "12321", "106", "10690123", "1061234567", "2345678901",
    "urn:service:sos", "010110", "21110", "123", "", "x",
)  # fmt: skip
TAILS = ("", "#", "-1", "-12", ".0", ";phone-context=+86", ";phone-context=+1", "@x", "\u200b", " ")


def _agree(text: str) -> None:
    read = NUMBERING.read(text)
    assert read == model.read(text) == PLAIN.read(text), ascii(text)
    assert NUMBERING.read_port(text) == model.read_port(text) == PLAIN.read_port(text)
    kind, number = NUMBERING.recipient(text)
    assert (kind, number) == PLAIN.recipient(text)
    assert number == (read or text)
    assert NUMBERING.is_person(read) == PLAIN.is_person(read) == model.is_person(read)
    for of_sms in (False, True):
        if NUMBERING.is_canonical(text, of_sms=of_sms):
            assert (model.read_port if of_sms else model.read)(text) == text
            assert model.is_person(text)


def test_reading_is_that_of_the_design_for_every_head_body_and_tail() -> None:
    for parts in product(HEADS, BODIES, TAILS):
        _agree("".join(parts))


NOISE = st.sampled_from(list(" -.()#+\u2212\u2013\u200b\ufe0f０１\u0301;@?x"))


@given(st.lists(st.sampled_from([*HEADS, *BODIES, *TAILS]) | NOISE | st.text("0123456789", max_size=5), max_size=6))
def test_reading_is_that_of_the_design_for_any_text(parts: list[str]) -> None:
    _agree("".join(parts))


def test_reading_is_that_of_the_design_for_numbers_of_any_length() -> None:
    draw = random.Random(1)
    for _ in range(20_000):
        digits = "".join(draw.choices("0123456789", k=draw.randint(1, 16)))
        _agree(draw.choice(("", "+", "0", "86", "+86", "+860", "00", "0086", "+1")) + digits)


@given(st.text())
def test_reading_never_fails(text: str) -> None:
    _agree(text)
