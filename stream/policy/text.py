"""How texts are read: folded, and for prohibited terms also stripped (DESIGN section 5).

*Folded* is NFKC (UAX #15), lower case, traditional characters as simplified, in this order. *Stripped* is
folded without all that is neither letter nor number (Unicode categories L and N), so that a term is found
whatever is put between its characters. The table of simplified characters is part of the policy's version.
"""

import re
import sys
from collections.abc import Iterable
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
        self._terms = stripped

    def __bool__(self) -> bool:
        return self._automaton is not None

    def found(self, folded: str) -> str | None:
        """A prohibited term that stands in a folded text, or None."""
        if self._automaton is None:
            return None
        matches = self._automaton.find_matches_as_indexes(strip(folded))
        return self._terms[matches[0][0]] if matches else None


class Identity:
    """How one sender makes itself known in a text: its name or a signature in 【】, and its contact."""

    def __init__(self, sender: Sender) -> None:
        self._names = (fold(sender.name), *(f"【{fold(signature)}】" for signature in sender.signatures))
        digits = r"[\s\-]*".join(digits_of(sender.contact))
        self._contact = re.compile(rf"(?<![0-9]){digits}(?![0-9])")

    def named_in(self, folded: str) -> bool:
        """Whether the sender stands in a folded text."""
        return any(name in folded for name in self._names)

    def contact_in(self, folded: str) -> bool:
        """Whether the contact's digits stand there in order, spaced or dashed, with no digit around them."""
        return self._contact.search(folded) is not None


READINGS_MAX = 1_024
"""Texts whose reading is remembered; beyond, all are forgotten. What repeats itself does so much sooner."""

REMEMBERED_CHARACTERS_MAX = 1_024
"""Longer texts are read anew each time, so that huge ones cannot fill the memory. Fifteen SMS fit."""


class Reading:
    """What one text was found to say. What few rules ask is worked out when it is first asked for."""

    __slots__ = ("_identified", "_opt_out", "_opt_out_pattern", "folded", "prohibited")

    def __init__(self, text: str, prohibited: Prohibited, opt_out: re.Pattern[str]) -> None:
        self.folded = fold(text)
        self.prohibited = prohibited.found(self.folded) is not None
        """whether a prohibited term stands in the text: asked of every text that is read at all"""
        self._opt_out_pattern = opt_out
        self._opt_out: bool | None = None
        self._identified: dict[Identity, bool] | None = None

    @property
    def opt_out(self) -> bool:
        """Whether the text tells how to refuse."""
        if self._opt_out is None:
            self._opt_out = self._opt_out_pattern.search(self.folded) is not None
        return self._opt_out

    def identifies(self, identity: Identity) -> bool:
        """Whether the text names this sender and its contact."""
        if self._identified is None:
            self._identified = {}
        known = self._identified.get(identity)
        if known is None:
            known = identity.named_in(self.folded) and identity.contact_in(self.folded)
            self._identified[identity] = known
        return known


class Reader:
    """Reads texts and remembers what they say, for as long as word lists and senders stay as they are."""

    def __init__(self, *, prohibited: Prohibited, opt_out: re.Pattern[str]) -> None:
        self._prohibited = prohibited
        self._opt_out = opt_out
        self._readings: dict[str, Reading] = {}

    def read(self, text: str) -> Reading:
        """The reading of a text."""
        reading = self._readings.get(text)
        if reading is None:
            reading = Reading(text, self._prohibited, self._opt_out)
            if len(text) <= REMEMBERED_CHARACTERS_MAX:
                if len(self._readings) >= READINGS_MAX:
                    self._readings.clear()
                self._readings[text] = reading
        return reading
