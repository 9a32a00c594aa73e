"""How texts are read: folded, and for prohibited terms also stripped (DESIGN section 5).

*Folded* is NFKC (UAX #15) of bounded marks, lower case, traditional characters as simplified, in this order.
*Stripped* is folded without all that is neither letter nor number (Unicode categories L and N), so that a term is
found whatever is put between its characters; a *word*, a term of `a-z0-9` alone, must also stand by itself, or "av"
would be found in "have". The table of simplified characters is part of the policy's version. All of it is linear in
the text, whoever wrote that.
"""

import re
import sys
from bisect import bisect_left
from collections.abc import Callable, Iterable
from importlib.resources import files
from typing import Final
from unicodedata import category, is_normalized, normalize

import ahocorasick_rs

from stream.model.fields import digits_of
from stream.model.nfkc import bounded, nfkc
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
_REPLACED = tuple((wide, normalize("NFKC", wide)) for wide in "，！：；？（）\ufdfa\ufdfb")
"""What Chinese texts are punctuated with. Most hold nothing else that normalisation changes, and to replace these one
by one takes a tenth of the time; whatever else there is, is left to `normalize`, so the result is the same. And the two
characters that become eighteen and eight, with which a text of 40,000 takes `normalize` 40 ms."""

_HOME: Final = "+86"
_DIGITS: Final = frozenset("0123456789")

_RUN: Final = re.compile(r"[a-z0-9]+")
_LETTERS_AND_NUMBERS = re.compile(r"[^\W_]+")

BETWEEN_DIGITS: Final = frozenset(
    c for c in map(chr, range(0x20000)) if c.isspace() or c in "()\u2212" or category(c) == "Pd"
)
"""What may stand between the digits of a contact: spaces, parentheses, and dashes of any kind."""
_NO_BETWEEN_DIGITS: Final = re.compile(f"[^{re.escape(''.join(sorted(BETWEEN_DIGITS)))}]+")


def fold(text: str) -> str:
    """The text as rules read it. Idempotent on ordinary text; linear."""
    if text.isascii():
        return text.lower()
    text = bounded(text)
    if not is_normalized("NFKC", text):
        for wide, narrow in _REPLACED:
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
    return nfkc(text).strip()


class ProhibitedTerms:
    """The terms of all word lists, searched at once (Aho and Corasick 1975): linear in the text.

    Terms of `a-z0-9` alone are words; all others count wherever they stand in the stripped text.
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms = sorted({strip(fold(term)) for term in terms} - {""})
        # Stripped and ASCII: nothing but a-z0-9 is left.
        self._words = [term for term in self.terms if term.isascii()]
        self._others = [term for term in self.terms if not term.isascii()]
        self._search_words = ahocorasick_rs.AhoCorasick(self._words) if self._words else None
        self._search_others = ahocorasick_rs.AhoCorasick(self._others) if self._others else None

    def __bool__(self) -> bool:
        return bool(self.terms)

    def found(self, folded: str) -> str | None:
        """A prohibited term that counts in a folded text, or None."""
        stripped = strip(folded)
        if self._search_others is not None:
            for term, _, _ in self._search_others.find_matches_as_indexes(stripped):
                return self._others[term]
        return self.word_in(folded) if self.suspects(stripped) else None

    def others(self, stripped: str) -> list[int]:
        """Where terms that are no words begin in a stripped text, or in several with something between that no term
        holds: at least one of each text that holds any.
        """
        return _begins(self._search_others, stripped)

    def suspects(self, stripped: str) -> list[int]:
        """The same of words, without a look at what stands around them: for each text, `word_in` tells."""
        return _begins(self._search_words, stripped)

    def word_in(self, folded: str) -> str | None:
        """A prohibited word that counts in a folded text, or None.

        None of `a-z0-9` is right before or after it, and at most one character, neither letter, number nor comma,
        between any two neighbours. So it is one run of `a-z0-9`, or several with one such character between each two;
        a number is one alone (`6.4` is not 64).
        """
        terms = self._words
        runs = list(_RUN.finditer(folded))
        for place, first in enumerate(runs):
            word, end, last = first[0], first.end(), place
            # The first of the sorted terms that is not before the word begins with it, if any does.
            while (term := bisect_left(terms, word)) < len(terms) and terms[term].startswith(word):
                if terms[term] == word and (last == place or not word.isdigit()):
                    return word
                last += 1
                if last == len(runs) or runs[last].start() != end + 1 or not _separates(folded[end]):
                    break
                word, end = word + runs[last][0], runs[last].end()
        return None


def _begins(automaton: ahocorasick_rs.AhoCorasick | None, text: str) -> list[int]:
    return [] if automaton is None else [begin for _, begin, _ in automaton.find_matches_as_indexes(text)]


def _separates(character: str) -> bool:
    return character != "," and not character.isalnum()


class SenderIdentity:
    """How one sender makes itself known in a text: its name or a signature in 【】, and its contact."""

    def __init__(self, sender: Sender, *, read: Callable[[str], str]) -> None:
        """`read` is how numbers are read (DESIGN section 4)."""
        self.names = (fold(sender.name), *(f"【{fold(signature)}】" for signature in sender.signatures))
        """its name and its signatures in their brackets, folded"""
        self.contacts = _spellings(sender.contact, read)
        """the digits of its contact, in each way in which they may stand in a text; its own first"""

    def named_in(self, folded: str) -> bool:
        """Whether the sender stands in a folded text."""
        for name in self.names:  # noqa: SIM110  # `any` of a generator takes three times as long
            if name in folded:
                return True
        return False

    def contact_in(self, folded: str) -> bool:
        """Whether the contact's digits stand there in order, spaced or dashed, with no digit around them."""
        for contact in self.contacts:
            before, digits, after = folded.partition(contact)
            if digits and not (before[-1:] in _DIGITS or after[:1] in _DIGITS):
                return True  # in one piece, as most write it: a quarter of what it takes to look between the digits
        return self._spaced_in(folded)

    def _spaced_in(self, folded: str) -> bool:
        close = "".join(_NO_BETWEEN_DIGITS.findall(folded))
        if not any(contact in close for contact in self.contacts):
            return False
        kept = [place for place, character in enumerate(folded) if character not in BETWEEN_DIGITS]
        for contact in self.contacts:
            begin = close.find(contact)
            while begin >= 0:
                first, last = kept[begin], kept[begin + len(contact) - 1]
                if not ((first and folded[first - 1] in _DIGITS) or folded[last + 1 : last + 2] in _DIGITS):
                    return True
                begin = close.find(contact, begin + 1)
        return False


def _spellings(contact: str, read: Callable[[str], str]) -> tuple[str, ...]:
    """The digits that stand for a contact: its own, and those of what it reads as; in China without the country's
    code too, with or without a 0.
    """
    number = read(contact)
    spellings = [digits_of(contact)]
    if number.startswith(_HOME):
        rest = digits_of(number.removeprefix(_HOME))
        spellings += [rest, f"0{rest}"]
    else:
        spellings.append(digits_of(number))
    return tuple(dict.fromkeys(spelling for spelling in spellings if spelling))
