"""NFKC (UAX #15) in linear time, whoever wrote the text: `nfkc`, and `bounded`, which comes before it.

Marks are put in order within their run, which takes the square of its length: 40,000 characters made for that held a
worker for a second and a half. So of a run of characters of category M those after the 30th are left out (DESIGN
section 4, *Limits*; the stream-safe format of UAX #15). Two letters become marks only by NFKC, and are no part of such
a run: where there are many, `bounded` puts them in order itself, which changes nothing in what NFKC makes of the text.
"""

import re
from itertools import chain, groupby
from typing import Final
from unicodedata import category, combining, normalize

from stream.model.limits import MARKS

_PLANES_WITH_MARKS: Final = chain(range(0x20000), range(0xE0000, 0xE1000))
"""The others hold ideographs or nothing; to look through them all took a tenth of a second at every start."""
_MARKS: Final = "".join(c for c in map(chr, _PLANES_WITH_MARKS) if category(c)[0] == "M")
_BECOME_MARKS: Final = "\uff9e\uff9f"
"""The half-width voiced and semi-voiced sound marks of Katakana, letters of category Lm: the only two of their kind."""
_ORDERED: Final = frozenset(_MARKS + _BECOME_MARKS)
_MAY_BE_HIGH: Final = "\U00010000-\U0001efff\U000e0000-\U000e0fff"
"""Where marks beyond U+FFFF can be: a class that holds any of them takes 1 µs for each character that is none."""


def _runs(marks: str) -> re.Pattern[str]:
    """Runs of these, each found whole. One of thirty is not gone through again from each of its marks."""
    low, high = ("".join(one for one in marks if (one > "\uffff") is beyond) for beyond in (False, True))
    return re.compile(f"(?:[{low}]|(?=[{_MAY_BE_HIGH}])[{high}])+")


_RUN: Final = _runs(_MARKS)
_RUN_ORDERED: Final = _runs(_MARKS + _BECOME_MARKS)
_STEP: Final = MARKS.most + 1


def bounded(text: str) -> str:
    """The text without what exceeds the limit of marks, ready for `normalize`. 0.1 µs where nothing does; linear."""
    if is_bounded(text):
        return text
    return _RUN_ORDERED.sub(_in_order, _RUN.sub(_cut, text))


def is_bounded(text: str) -> bool:
    """Whether `bounded` takes the text as it is, for certain. 0.1 µs for a short text."""
    # A run of 31 covers a 31st place, so that all other places need no look.
    return _ORDERED.isdisjoint(text[MARKS.most :: _STEP])


def nfkc(text: str) -> str:
    """NFKC of a text whose runs of marks are bounded. Linear."""
    return normalize("NFKC", bounded(text))


def _cut(run: re.Match[str]) -> str:
    """A run of marks without those after the 30th."""
    return run[0][: MARKS.most]


def _in_order(run: re.Match[str]) -> str:
    """A run of marks, if it is too long, in canonical order (Unicode 3.11), decomposed."""
    if len(run[0]) <= MARKS.most:
        return run[0]
    parts = (part for mark in run[0] for part in normalize("NFKD", mark))
    return "".join(
        "".join(sorted(some, key=combining) if moves else some)
        for moves, some in groupby(parts, key=lambda part: combining(part) > 0)
    )
