"""The native module's tables for normalizing texts: those of `stream.policy.characters`, in that module's layout.

Promises that the native module folds every text as `stream.policy.text` does; a character whose folding depends on its
neighbours is marked, and a text with one falls back to Python. Made once, some 100 ms; pure.
"""

from functools import cache
from typing import Final, NamedTuple
from unicodedata import category, decomposition

import numpy as np

from stream.policy.characters import PLANE, characters
from stream.policy.text import BETWEEN_DIGITS, fold, strip

# The class of a character in the search for opt-out hints (`stream.policy.patterns.OPT_OUT`). The values are the native
# module's.
_OTHER, _LETTER, _LATIN, _UNSURE = 0, 1, 11, 15
_CLASS_OF: Final = {"退": 2, "订": 3, "拒": 4, "收": 5, "回": 6, "复": 7, "覆": 7, "t": 8, "d": 9, "r": 10, "n": 10}
_LATIN_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")

_MARK_BIT, _LENGTH_SHIFT, _LETTER_BIT, _UNSURE_BIT, _CLASS_SHIFT = 1 << 16, 24, 1 << 26, 1 << 27, 28

_BEYOND: Final = range(PLANE, 2 * PLANE)
"""The first supplementary plane, where emoji are."""


class CharacterTables(NamedTuple):
    """The tables. Each stands for the code points of one plane, in order."""

    fold: bytes
    """four bytes each: the folded character's UTF-8, its length, whether stripping keeps it, its class; or the index of
    an expansion, and whether that is of a mark; or that its text falls back"""
    expansions: list[tuple[str, str, bytes]]
    """folded, stripped, classes"""
    lower: bytes
    """the class of the character's lower case"""
    between: bytes
    """a bit each: whether it may stand between the digits of a contact"""
    beyond: bytes
    """of the next plane: 0 falls back, 1 folds to itself and is stripped, 2 folds to itself and is kept"""


@cache
def character_tables() -> CharacterTables:
    """The tables."""
    table = characters()
    entries = np.full(PLANE, _UNSURE_BIT, dtype="<u4")
    expanding = dict(table.several)
    for code in np.flatnonzero(table.lone[:PLANE]).tolist():
        if _is_mark(chr(code)):
            expanding[code] = chr(table.folded[code])  # so that a text without marks pays nothing for counting them
        else:
            entries[code] = _entry(chr(table.folded[code]))
    expansions: list[tuple[str, str, bytes]] = []
    for code, text in expanding.items():
        entries[code] = len(expansions) | (_MARK_BIT if _is_mark(chr(code)) else 0)
        expansions.append((text, strip(text), bytes(map(_class_of, text))))
    surrogates = range(0xD800, 0xE000)
    lower = bytes(_UNSURE if code in surrogates else _class_of_lower(chr(code)) for code in range(PLANE))
    between = np.packbits([chr(code) in BETWEEN_DIGITS for code in range(PLANE)], bitorder="little").tobytes()
    return CharacterTables(entries.tobytes(), expansions, lower, between, _beyond())


def _is_mark(character: str) -> bool:
    return category(character)[0] == "M"


def _entry(folded: str) -> int:
    encoded = folded.encode()
    return (
        int.from_bytes(encoded, "little")
        | len(encoded) << _LENGTH_SHIFT
        | (_LETTER_BIT if folded.isalnum() else 0)
        | _class_of(folded) << _CLASS_SHIFT
    )


def _class_of(character: str) -> int:
    known = _CLASS_OF.get(character)
    if known is not None:
        return known
    if character in _LATIN_LETTERS:
        return _LATIN
    return _LETTER if character.isalnum() else _OTHER


def _class_of_lower(character: str) -> int:
    lower = character.lower()
    # The lower case of a capital sigma depends on what follows; but to the pattern either form is just a letter.
    return _class_of(lower) if len(lower) == 1 else _UNSURE


def _beyond() -> bytes:
    joining = {parts[1] for code in _BEYOND if len(parts := decomposition(chr(code)).split()) == 2}
    return bytes(
        0
        if f"{code:04X}" in joining
        or _is_mark(chr(code))
        or chr(code) in BETWEEN_DIGITS
        or fold(chr(code)) != chr(code)
        else 1 + chr(code).isalnum()
        for code in _BEYOND
    )
