"""How texts are read: folded, and for prohibited terms also stripped (DESIGN section 5).

*Folded* is NFKC (UAX #15), lower case, traditional characters as simplified, in this order. *Stripped* is
folded without all that is neither letter nor number (Unicode categories L and N), so that a term is found
whatever is put between its characters. The table of simplified characters is part of the policy's version.
"""

import re
import sys
from collections.abc import Iterable
from functools import cached_property
from importlib.resources import files
from unicodedata import is_normalized, normalize

import ahocorasick_rs

from stream.model.fields import digits_of
from stream.model.registry import Sender

SIMPLIFIED_FILE = "simplified.txt"


def simplified_table() -> str:
    """The table as it is shipped: two lines of characters, traditional above simplified."""
    return files(__package__).joinpath(SIMPLIFIED_FILE).read_text(encoding="utf-8")


_BEYOND_BASIC = "\U00010000"


def _table() -> tuple[dict[int, int], re.Pattern[str]]:
    traditional, simplified = (line for line in simplified_table().splitlines() if not line.startswith("#"))
    assert len(traditional) == len(simplified), f"{SIMPLIFIED_FILE}: its two lines differ in length"
    # Characters beyond the basic plane, all rare, stand here as one range: `re` would compare them one by one,
    # which took 20 µs for a short text.
    basic = "".join(c for c in traditional if c < _BEYOND_BASIC)
    found = re.compile(f"[{re.escape(basic)}{_BEYOND_BASIC}-{chr(sys.maxunicode)}]")
    return str.maketrans(traditional, simplified), found


_SIMPLIFIED, _TRADITIONAL = _table()
_PUNCTUATION = tuple((wide, normalize("NFKC", wide)) for wide in "，！：；？（）")
"""What Chinese texts are punctuated with. Most hold nothing else that normalisation changes, and to replace these one
by one takes a tenth of the time; whatever else there is, is left to `normalize`, so the result is the same."""

_DIGITS = frozenset("0123456789")

_LETTERS_AND_NUMBERS = re.compile(r"[^\W_]+")


def fold(text: str) -> str:
    """The text as rules read it. Idempotent on ordinary text; linear."""
    if text.isascii():
        return text.lower()
    if not is_normalized("NFKC", text):
        for wide, narrow in _PUNCTUATION:
            text = text.replace(wide, narrow)
        if not is_normalized("NFKC", text):
            text = normalize("NFKC", text)
    text = text.lower()
    # Few texts hold a traditional character, and translating character by character is what costs.
    return text.translate(_SIMPLIFIED) if _TRADITIONAL.search(text) else text


def strip(folded: str) -> str:
    """A folded text without all that is neither letter nor number."""
    return "".join(_LETTERS_AND_NUMBERS.findall(folded))


def normal(text: str) -> str:
    """NFKC and trimmed, not folded: how a campaign's text is compared with what was approved (rule 13)."""
    return normalize("NFKC", text).strip()


class Prohibited:
    """The terms of all word lists, searched at once (Aho and Corasick 1975): linear in the text."""

    def __init__(self, terms: Iterable[str]) -> None:
        stripped = sorted({strip(fold(term)) for term in terms} - {""})
        self._automaton = ahocorasick_rs.AhoCorasick(stripped) if stripped else None
        self.terms = stripped

    def __bool__(self) -> bool:
        return self._automaton is not None

    def found(self, folded: str) -> str | None:
        """A prohibited term that stands in a folded text, or None."""
        if self._automaton is None:
            return None
        matches = self._automaton.find_matches_as_indexes(strip(folded))
        return self.terms[matches[0][0]] if matches else None

    def places(self, stripped: str) -> list[int]:
        """Where prohibited terms begin in a stripped text, or in several with something between that no term holds."""
        if self._automaton is None:
            return []
        return [begin for _, begin, _ in self._automaton.find_matches_as_indexes(stripped)]


class Identity:
    """How one sender makes itself known in a text: its name or a signature in 【】, and its contact."""

    def __init__(self, sender: Sender) -> None:
        self.names = (fold(sender.name), *(f"【{fold(signature)}】" for signature in sender.signatures))
        """its name and its signatures in their brackets, folded"""
        self.digits = digits_of(sender.contact)
        """the contact's"""

    @cached_property
    def _contact(self) -> re.Pattern[str]:
        # Made when it is first asked for: few contacts are written in pieces, and to compile takes 60 µs.
        digits = r"[\s\-]*".join(self.digits)
        return re.compile(rf"(?<![0-9]){digits}(?![0-9])")

    def named_in(self, folded: str) -> bool:
        """Whether the sender stands in a folded text."""
        for name in self.names:  # noqa: SIM110  # `any` of a generator takes three times as long
            if name in folded:
                return True
        return False

    def contact_in(self, folded: str) -> bool:
        """Whether the contact's digits stand there in order, spaced or dashed, with no digit around them."""
        before, digits, after = folded.partition(self.digits)
        if digits and not (before[-1:] in _DIGITS or after[:1] in _DIGITS):
            return True  # in one piece, as most write it: a quarter of the pattern's time
        return self._contact.search(folded) is not None
