"""Each character of the basic plane by itself: what it is folded to, and whether stripping keeps it.

Most characters fold to the same one whatever stands around them, so that a whole batch of texts can be folded by
one look into a table (numpy). The table says of each character whether it is one of those; a text that holds any
other is for `text.fold`, and so is one with more marks on end than the limit (`nfkc.is_bounded`). Promises the same
results as `text.fold` and `text.strip` on all other texts of *lone* characters, by construction and by test. Made
once, when it is first asked for: some 40 ms, 300 kB, shared by workers that are forked.
"""

from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Final, NamedTuple
from unicodedata import category, combining, decomposition, normalize

import numpy as np
from numpy.typing import NDArray

from stream.policy.text import fold

Codes = NDArray[np.uint32]
"""Code points of one text or of many on end."""

PLANE: Final = 0x10000
"""The basic plane ends here; what lies beyond (emoji, rare ideographs) is folded in its context."""

END: Final = "\x1e"
"""Stands behind each text of several joined (RECORD SEPARATOR): it combines with nothing and no term holds it."""

_JAMO_THAT_JOIN: Final = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
"""Vowels and finals of Hangul, which compose with what stands before them by rule (Unicode 3.12)."""


class Characters(NamedTuple):
    """The table, by code point; its last row stands for everything beyond the plane."""

    folded: Codes
    """what a lone character is folded to"""
    lone: NDArray[np.bool_]
    """whether it folds so whatever stands around it"""
    kept: NDArray[np.bool_]
    """whether stripping keeps this folded character; the separator is kept"""
    several: Mapping[int, str]
    """what else folds so whatever stands around it, but to several characters or to none of the plane"""


def codes_of(text: str) -> Codes:
    """The code points of a text. Linear; a copy."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def text_of(codes: Codes) -> str:
    """The text of code points."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


@cache
def characters() -> Characters:
    """The table."""
    folded = np.arange(PLANE + 1, dtype=np.uint32)
    lone = np.zeros(PLANE + 1, dtype=np.bool_)
    kept = np.zeros(PLANE + 1, dtype=np.bool_)
    several: dict[int, str] = {}
    joining = _joining()
    for code in range(PLANE):
        character = chr(code)
        kept[code] = character.isalnum()
        becomes = fold(character)
        if not _stands_alone(character, joining):
            continue
        if len(becomes) == 1 and ord(becomes) < PLANE:
            folded[code], lone[code] = ord(becomes), True
        else:
            several[code] = becomes
    lone[ord(END)], kept[ord(END)] = True, True
    for table in (folded, lone, kept):
        table.setflags(write=False)
    return Characters(folded, lone, kept, several)


def _stands_alone(character: str, joining: frozenset[str]) -> bool:
    """Whether NFKC and lower case do the same to it wherever it stands."""
    if category(character) == "Cs":  # half of a pair
        return False
    parts, whole = normalize("NFKD", character), normalize("NFKC", character)
    if "Σ" in whole:  # whose lower case depends on what follows
        return False
    return not any(combining(part) for part in chain(parts[:1], whole)) and not joining.intersection(
        (character, parts[0], whole[0])
    )


def _joining() -> frozenset[str]:
    """The characters that may compose with one before them: seconds of a canonical decomposition (UAX #15)."""
    seconds = {chr(code) for code in _JAMO_THAT_JOIN}
    for code in range(PLANE):
        parts = decomposition(chr(code)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(chr(int(parts[1], 16)))
    return frozenset(seconds)


def ends_of(codes: Codes) -> NDArray[np.intp]:
    """Where the texts of joined code points end: the places of their separators."""
    return np.flatnonzero(codes == ord(END))
