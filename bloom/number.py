"""Subscribers' numbers: text on the wire, an integer in the bitmaps, a mask wherever people look.

Promises that `parse` and `to_text` are inverse on all that `SUBSCRIBER_PATTERN` matches, and that `masked` is
total. Must never let a text pass that is not wholly a number: `int` alone would take spaces, underscores and
the digits of other scripts.
"""

import re
from typing import Final, NewType

Msisdn = NewType("Msisdn", int)
"""A subscriber's E.164 digits without the plus, read as an integer: from 10⁶ up to, not including, 10¹⁵."""

MSISDN_MIN: Final = 10**6
MSISDN_END: Final = 10**15
"""E.164 allows fifteen digits; this is the first integer that needs sixteen."""

SUBSCRIBER_PATTERN: Final = r"\+[1-9][0-9]{6,14}"
"""What a subscriber's number looks like, to be matched whole (DESIGN section 5)."""

_matches = re.compile(SUBSCRIBER_PATTERN).fullmatch

_SHOWN_MAX = 10
_HIDDEN_MIN = 4


def parse(text: str) -> Msisdn | None:
    """The number that the text is, or None if it is anything else.

    About 0.23 µs. One regular expression and `int` were faster here than string methods (0.29 µs) and than
    `int` with a comparison of the text made from it (0.31 µs).
    """
    return Msisdn(int(text)) if _matches(text) else None


def to_text(number: Msisdn) -> str:
    """The number as it stands on the wire; `parse` of it gives the number again."""
    return f"+{number}"


def masked(text: str) -> str:
    """The text as logs and screens may show it: `+8613800138000` becomes `+86138****8000`.

    Takes any text. Shows at most the first six and the last four characters, and always leaves out at least
    four, so that of a short text less is shown and of four characters or fewer nothing. The stars are four
    whatever they stand for: they do not tell the length.
    """
    shown = max(0, min(_SHOWN_MAX, len(text) - _HIDDEN_MIN))
    tail = shown * 2 // 5
    return f"{text[: shown - tail]}****{text[len(text) - tail :]}"
