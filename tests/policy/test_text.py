"""A sender's contact in a text, and how long it may take to look for it."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.model.registry import Sender
from stream.policy import text as texts
from stream.policy.text import SenderIdentity, fold
from tests.policy import model_texts


def as_national(contact: str) -> str:
    """A stand-in for how numbers are read: what begins with a 0 is a number of China, what begins +869 a hotline."""
    digits = contact.replace("-", "").replace(" ", "")
    if digits.startswith("+869"):
        return digits.removeprefix("+86")
    return f"+86{digits[1:]}" if digits.startswith("0") else digits


def identity(contact: str) -> SenderIdentity:
    sender = Sender(sender="S", name="某行", contact=contact, status="active", numbers=())
    return SenderIdentity(sender, read=as_national)


@pytest.mark.parametrize(
    "text",
    [
        "95588",
        "９５５８８",
        "955-88",
        "9 5 5 8 8",
        "(955)88",
        "955—88",
        "955\u221288",
        "95\u2010588",
        "9\t5\u20035(8)8",
        "a95588b",
    ],
)
def test_a_contact_stands_there_with_spaces_dashes_and_parentheses(text: str) -> None:
    assert identity("95588").contact_in(fold(f"详询{text}。"))


@pytest.mark.parametrize("text", ["195588", "955881", "955.88", "955/88", "9558", "955a88"])
def test_a_contact_is_no_part_of_a_longer_number_and_nothing_else_stands_in_it(text: str) -> None:
    assert not identity("95588").contact_in(fold(f"详询{text}。"))


def test_digits_a_space_away_are_another_number() -> None:
    assert identity("95588").contact_in("1 9558-8 2")


@pytest.mark.parametrize("text", ["010-8765 4321", "1087654321", "(010) 87654321", "+86 10 8765-4321"])
def test_a_number_of_the_country_stands_there_with_and_without_its_0(text: str) -> None:
    assert identity("010-87654321").contact_in(fold(text))


def test_a_hotline_stands_there_as_it_is_read_and_as_it_is_registered() -> None:
    assert identity("+86 95588").contacts == ("8695588", "95588")
    assert identity("+86 95588").contact_in("详询95588")
    assert identity("+86 95588").contact_in("详询+86 955-88")


@given(
    st.lists(st.sampled_from((*"01588", "955", *" -(\u2014.a")), max_size=14).map("".join),
    st.sampled_from(("558", "0158", "+86955", "9-5-5", "88888")),
)
def test_contacts_are_found_as_the_design_says(text: str, contact: str) -> None:
    assert identity(contact).contact_in(fold(text)) == model_texts.reached(fold(text), contact, as_national)


@pytest.mark.parametrize("piece", ["9 ", "9" + " " * 60, "9", "95588", "95 58-", "(-) "])
def test_to_look_for_a_contact_takes_no_longer_than_the_text_is_long(piece: str) -> None:
    some = identity("9" * 20)

    def took(characters: int) -> float:
        text = piece.replace("95588", "9" * 19 + "8") * (characters // len(piece))
        began = time.process_time()
        some.contact_in(text)
        return time.process_time() - began

    assert took(320_000) < 40 * max(took(40_000), 0.001), "eight times the length would be sixty-four times the work"


def test_what_becomes_eighteen_characters_needs_no_normalisation(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\ufdfa" * 1_000 + "a，\ufdfb"
    wanted = unicodedata.normalize("NFKC", text)
    monkeypatch.delattr(texts, "normalize")
    assert texts.fold(text) == wanted
