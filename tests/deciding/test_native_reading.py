"""Texts are read natively as the policy reads them, or not at all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.deciding.character_tables import character_tables
from stream.policy.loading import load
from stream.policy.patterns import OPT_OUT, compile_linear
from stream.policy.text import fold, strip
from tests.deciding.differential import ODD_CHARACTERS
from tests.deciding.twins import needs_native
from tests.policy.strategies import PIECES

pytestmark = needs_native

PATTERN = compile_linear(OPT_OUT)
HINTING = "退订拒收回复覆tTdDrRnN -_，。.a1退Ｔｄ覆回ΣσİⅣ"

texts = st.lists(
    st.one_of(st.sampled_from(PIECES), st.sampled_from(ODD_CHARACTERS), st.characters(exclude_categories=["Cs"]))
).map("".join)
hinting_texts = st.text(st.sampled_from(HINTING), max_size=12)


def alike(text: str) -> bool:
    """Whether the text is read natively; where it is, that must be right."""
    import wurao_native  # noqa: PLC0415  # there only where the module is built

    tables = wurao_native.Tables(*character_tables())
    folded = fold(text)
    read, (hint, hint_lower) = tables.read(text), tables.hints(text)
    assert read in (None, (folded, strip(folded))), f"{text!r}"
    assert hint in (None, PATTERN.search(folded)), f"{text!r}"
    assert hint_lower in (None, PATTERN.search(text.lower())), f"{text!r}"
    return read is not None


def test_the_pattern_for_hints_is_that_of_both_policies() -> None:
    assert load("cn-2020").file.texts.opt_out == load("opt-out").file.texts.opt_out == OPT_OUT


def test_every_character_that_is_read_folds_so_whatever_stands_around_it() -> None:
    import wurao_native  # noqa: PLC0415  # there only where the module is built

    tables = wurao_native.Tables(*character_tables())
    read_count = 0
    for code in (*range(0xD800), *range(0xE000, 0x2_0000)):
        character = chr(code)
        read = tables.read(character)
        if read is not None:
            read_count += 1
            folded = fold(f"aΩ가{character}か回1")
            assert tables.read(f"aΩ가{character}か回1") == (folded, strip(folded)), f"U+{code:04X}"
    assert read_count > 100_000


@settings(max_examples=300)
@given(texts)
def test_a_text_is_read_as_the_policy_reads_it(text: str) -> None:
    alike(text)


@settings(max_examples=300)
@given(hinting_texts)
def test_an_opt_out_hint_is_found_where_the_pattern_finds_it(text: str) -> None:
    alike(text)


def test_a_hint_is_read_to_its_end() -> None:
    # Seven characters after the first 回 the second hint is cut, and would be one if it ended there.
    assert alike("回覆：ｎ回复TDx")


def test_what_messages_are_written_in_is_read() -> None:
    written = (
        "【某行】您的额度已提升……详询95588，拒收请回复R！",
        "Café ①②③ ㈱ ½ ℃",
        "好的👌謝謝",
        "ＡＢＣ１２３　：；",
    )
    assert all(map(alike, written))
