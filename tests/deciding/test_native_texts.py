"""What is looked for in texts is found natively where Python finds it: prohibited terms, contacts; and few are left."""

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.model.codec import decode_event
from stream.model.limits import MARKS
from stream.model.registry import Wordlist
from stream.policy.loading import load
from stream.registry.registry import registry_of
from tests.deciding.twins import Twins, needs_native
from tests.policy.cases import CONSENTING, GOOD_TEXT, LAWFUL, NOON, PORT, but

pytestmark = needs_native

TERMS = ("赌场", "AV", "av资源", "64", "6", "vpn", "ｖ-p-n-x", "b2b", "loan", "o")
WORDED = "avAV64６赌场资源vpnxb2loan ,，.-。_é中"
worded_texts = st.text(st.sampled_from(WORDED), max_size=14)
"""Of the characters of the terms, and of what may stand between and around these."""


def line(text: str, **more: object) -> bytes:
    event = {"kind": "sms", "id": "e", "time": NOON, "to": CONSENTING, "from": PORT, "sender": "ORG-1"}
    rest = {"purpose": "commercial", "category": "finance", "text": text}
    return json.dumps({**event, **rest, **more}, ensure_ascii=False).encode()


@settings(max_examples=80)
@given(st.sets(st.sampled_from(TERMS), min_size=1), st.lists(worded_texts, min_size=20, max_size=40))
def test_terms_count_where_they_do_in_python(terms: set[str], texts: list[str]) -> None:
    twins = Twins(load(), registry_of([*LAWFUL, Wordlist(list="L", terms=tuple(terms))]))
    assert twins.agree([line(text) for text in texts], now=NOON) == []


def reasons(twins: Twins, texts: Sequence[str]) -> list[str]:
    lines = [line(text) for text in texts]
    assert twins.agree(lines, now=NOON) == []
    return [twins.decider.decide(decode_event(one), NOON).reason for one in lines]


def test_a_word_counts_by_itself_and_a_number_in_one_piece() -> None:
    twins = Twins(load(), registry_of([*LAWFUL, Wordlist(list="L", terms=("av", "64"))]))
    bad = ("AV资源", "a.v", "看a v吧", "ａｖ", "xav a-v", "64", "64.")
    good = ("have", "A,V领", "a，v", "a--v", "av2", "6.4", "164", "6 4", "")
    assert reasons(twins, bad) == ["prohibited_content"] * len(bad)
    assert "prohibited_content" not in reasons(twins, good)


def test_marks_beyond_the_limit_are_pythons_and_few_are_not() -> None:
    twins = Twins(load(), registry_of(LAWFUL))
    for marks in ("\ufe0f", "\u20e3\ufe0f"):
        within = (marks * MARKS.most)[: MARKS.most]
        assert twins.agree([line(f"❤{within}好{within}{GOOD_TEXT}")], now=NOON) == []
        assert len(twins.agree([line(f"❤{within}{marks[0]}{GOOD_TEXT}")], now=NOON)) == 1


def test_a_contact_stands_in_a_text_in_every_spelling_of_its_number() -> None:
    bank = next(record for record in LAWFUL if getattr(record, "sender", None) == "ORG-1")
    texts = [
        f"【某行】好消息，{contact}，拒收请回复R"
        for contact in (
            "010-87654321", "+86 10 8765 4321", "1087654321", "(010)8765–4321", "(010)8765−4321", "87654321",
            "0 1 0 87654321", "1010-87654321", "010-876543210", "010/87654321", "861087654321", "95588", "0095588",
            "9 5\u3000588",
        )
    ]  # fmt: skip
    for contact in ("010-87654321", "+861087654321", "1087654321", "95588", "tel:95588", "01095588", "４００-800 1234"):
        twins = Twins(load(), registry_of([*LAWFUL, but(bank, contact=contact)]))
        assert twins.agree([line(text) for text in texts], now=NOON) == []
