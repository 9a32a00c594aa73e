"""Numbers as people write them mean what the network dials; one by one and by the column alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.registry.dialling import wire_form, wire_forms

EXAMPLES = [
    ("13800138000", "+8613800138000"),
    ("138-0013-8000", "+8613800138000"),
    (" 138 0013 8000 ", "+8613800138000"),
    ("+86 138 0013 8000", "+8613800138000"),
    ("8613800138000", "+8613800138000"),
    ("0086 138 0013 8000", "+8613800138000"),
    ("＋８６１３８００１３８０００", "+8613800138000"),
    ("(010) 8765-4321", "+861087654321"),
    ("861087654321", "+861087654321"),
    ("+1 212 555 0100", "+12125550100"),
    ("10086", "10086"),
    ("95588", "95588"),
    ("110", "110"),
    ("010110", "010110"),
    ("4008123123", "4008123123"),
    ("12300138000", "12300138000"),
    ("1380013800", "1380013800"),
    ("13800138000a", "13800138000a"),
    ("", ""),
    ("0", "0"),
]


@pytest.mark.parametrize(("written", "meant"), EXAMPLES)
def test_a_number_means_what_people_mean_by_it(written: str, meant: str) -> None:
    assert wire_form(written) == meant


@pytest.mark.parametrize(
    ("written", "country", "meant"),
    [
        ("2125550100", "1", "+12125550100"),
        ("12125550100", "1", "+12125550100"),
        ("020 7946 0000", "44", "+442079460000"),
        ("447946000000", "44", "+447946000000"),
        ("13800138000", "44", "+4413800138000"),
        ("+8613800138000", "44", "+8613800138000"),
    ],
)
def test_numbers_without_a_country_belong_to_the_one_given(written: str, country: str, meant: str) -> None:
    assert wire_form(written, country) == meant


_spelt = st.builds(
    lambda prefix, digits, dash, tail: prefix + dash.join(digits) + tail,
    st.sampled_from(["", "+", "86", "+86", "0086", "00", "0", "+86 ", "１"]),
    st.lists(st.sampled_from(["138", "0013", "8000", "1", "9", "10", "110", "86"]), max_size=6),
    st.sampled_from(["", "-", " ", ".", "_", ","]),
    st.sampled_from(["", " ", "x", "\r", "０"]),
)
_texts = st.lists(_spelt | st.text(st.characters(blacklist_characters="\n", codec="utf-8"), max_size=20), max_size=30)


@given(texts=_texts, country=st.sampled_from(["86", "1", "44"]))
def test_a_column_reads_as_its_texts_do_one_by_one(texts: list[str], country: str) -> None:
    forms = wire_forms([text.encode() for text in texts], country)
    together = [forms.others.get(row, f"+{number}") for row, number in enumerate(forms.numbers.tolist())]
    assert together == [wire_form(text, country) for text in texts]


def test_the_examples_mean_the_same_in_a_column() -> None:
    forms = wire_forms([written.encode() for written, _ in EXAMPLES])
    found = [forms.others.get(row, f"+{number}") for row, number in enumerate(forms.numbers.tolist())]
    assert found == [meant for _, meant in EXAMPLES]


def test_a_text_with_a_line_end_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="line end"):
        wire_forms([b"138\n139"])
